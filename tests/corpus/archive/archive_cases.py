"""Numbers and reports to try matching on."""

from __future__ import annotations

from sorby.corpus.archive import Component, Report
from sorby.phantom.fracture.file_naming import Foan


def foan(number: int, year: int = 2023) -> str:
    """A whole, normalised FOAN."""
    return Foan(year, number).normalised


def report(source: str, number: int, *parts: tuple[str | None, str]) -> Report:
    """A report of components, each a serial number and a class."""
    components = tuple(Component(serial, 14_000.0, label, "pore", label) for serial, label in parts)
    return Report(source, foan(number), components)

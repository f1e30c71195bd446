"""Engines by name: which there are, and what to do where one is not installed."""

from __future__ import annotations

from typing import Literal, get_args

from sorby.errors import InputError
from sorby.micrograph.text_reading.lines import TextReader

EngineName = Literal["rapidocr", "tesseract"]

ENGINES: tuple[str, ...] = get_args(EngineName)
"""Names that `open_reader` takes."""


def open_reader(engine: str = "rapidocr", *, threads: int | None = None) -> TextReader:
    """Load an engine for reading text. Nothing is ever fetched from a network.

    Parameters
    ----------
    engine : {"rapidocr", "tesseract"}
        ``rapidocr`` brings its networks in its package and runs them on OpenVINO; ``tesseract`` is a program that has
        to be installed.
    threads : int, optional
        Processor threads that a call may use; all cores where not given. Tesseract decides by itself
        (``OMP_THREAD_LIMIT``).

    Raises
    ------
    InputError
        No engine of this name.
    MissingPartError
        The engine is not installed; the hint says how to.
    """
    if engine not in ENGINES:
        raise InputError(f"{engine!r} is no engine for reading text", f"choose from {', '.join(ENGINES)}")
    if engine == "tesseract":
        from sorby.micrograph.text_reading.tesseract import TesseractReader

        return TesseractReader()
    from sorby.micrograph.text_reading.rapid import RapidReader

    return RapidReader(threads=threads)

"""Experiments by plain names: what each asks, what it needs, and who answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.report.experiment_page import Figure, Table

#: Modules that register experiments; imported when the first one is asked for.
_MODULES = (
    "ablations",
    "heads",
    "handcrafted",
    "repeats",
    "generalisation",
    "ceiling",
    "strangers",
    "coverage",
    "regularisation",
    "fuzzy_matches",
    "specimen_pooling",
    "triaging",
    "magnification",
    "unmatched",
    "synthetic_images",
    "severity",
    "fusion",
    "time_lapse",
    "naming",
)
_REGISTRY: dict[str, Experiment] = {}


@dataclass(frozen=True, eq=False)
class Request:
    """What an experiment is asked to do.

    Attributes
    ----------
    data : Corpus or path
    out : Path
        Folder of the result; fine-tuned arms keep their state there.
    recipe : Recipe
        What every arm starts from.
    device : {"auto", "cpu", "cuda"}
    columns : dict
        ``label``, ``group``, ``image``: columns of a table.
    options : dict
        The experiment's own options, its defaults filled in.
    """

    data: Corpus | Path | str
    out: Path
    recipe: Recipe
    device: Device
    columns: Mapping[str, str | None]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Findings:
    """What an experiment found.

    Attributes
    ----------
    table : list of dict
        One row an arm (or level, kind, ...), estimates as ``value``, ``ci95``, ``n``.
    answers : list of str
        The findings in sentences.
    tables : sequence of Table
        The same for people.
    figures : sequence of Figure
    may, may_not : sequence of str
        What may and may not be concluded.
    data : sequence of str
        On what it was found and how.
    arms : sequence of (str, str)
    warnings, quarantined : list
    extra : dict
        Further results for JSON.
    """

    table: list[dict[str, Any]]
    answers: list[str]
    tables: Sequence[Table]
    figures: Sequence[Figure]
    may: Sequence[str]
    may_not: Sequence[str]
    data: Sequence[str]
    arms: Sequence[tuple[str, str]] = ()
    warnings: list[str] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Experiment:
    """One experiment.

    Attributes
    ----------
    name : str
    title : str
    question : str
        In plain words.
    source : str
        Where the question comes from.
    needs : tuple of str
        Columns that the corpus must have.
    options : dict
        Own options and their defaults.
    slow : bool
        Whether it takes longer than minutes.
    run : callable
    """

    name: str
    title: str
    question: str
    source: str
    needs: tuple[str, ...]
    options: Mapping[str, Any]
    slow: bool
    run: Callable[[Request], Findings]


def experiment(
    name: str,
    title: str,
    source: str,
    *,
    question: str,
    needs: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
    slow: bool = False,
) -> Callable[[Callable[[Request], Findings]], Callable[[Request], Findings]]:
    """Register a function as an experiment.

    Parameters
    ----------
    name, title, source : str
    question : str
        What it asks, in plain words.
    needs : tuple of str
        Columns the corpus must have.
    options : dict, optional
        Own options and their defaults.
    slow : bool
    """

    def decorate(function: Callable[[Request], Findings]) -> Callable[[Request], Findings]:
        _REGISTRY[name] = Experiment(name, title, question, source, needs, dict(options or {}), slow, function)
        return function

    return decorate


def experiments() -> dict[str, Experiment]:
    """Return every experiment by name, in the order of the paper's questions."""
    for module in _MODULES:
        import_module(f"sorby.workflow.experiments.{module}")
    return dict(_REGISTRY)


def find(name: str) -> Experiment:
    """Return an experiment.

    Raises
    ------
    InputError
        There is none of that name.
    """
    known = experiments()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"no experiment {name!r}", f"{hint}experiments: {', '.join(known)}")
    return known[name]

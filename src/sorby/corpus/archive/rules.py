"""The rules of an archive: how a house numbers, names, reports and judges; the one file that a new house replaces."""

from __future__ import annotations

import string
from pathlib import Path
from re import Pattern
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sorby.corpus.archive.foan import FoanGrammar
from sorby.corpus.archive.patterns import compile_pattern, compiled
from sorby.errors import InputError
from sorby.recipe_files import read_recipe

UNKNOWN = "unknown"
"""The class of a report that names no cause; never trained."""

NAME_GROUPS = ("foan", "serial", "fragment", "magnification", "kilo", "date", "plant", "instrument", "number")
"""Named groups that a file-name pattern may have; ``kilo`` multiplies the magnification by 1000 where it matched."""

ROW_GROUPS = ("serial", "load", "unit", "type", "subtype")
"""Named groups that a pattern of a table row may have."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileNamePattern(_Section):
    """How one plant names its images.

    Attributes
    ----------
    name : str
        What the convention is called; goes into the corpus as ``convention``.
    pattern : str
        Regular expression over the whole file name without its ending; groups as in `NAME_GROUPS`.
    foan : str
        How the full FOAN is written from the groups, e.g. ``FOAN20{foan}`` where names leave a part out.
    """

    name: str
    pattern: str
    foan: str = "{foan}"

    @model_validator(mode="after")
    def _consistent(self) -> FileNamePattern:
        groups = set(compile_pattern(self.pattern, knows=NAME_GROUPS).groupindex)
        named = {field for _, field, _, _ in string.Formatter().parse(self.foan) if field is not None}
        if "foan" in groups and named - groups:
            raise ValueError(
                f"foan: {self.foan!r} uses {sorted(named - groups)[0]!r}, which no group of the pattern is"
            )
        return self

    @property
    def compiled(self) -> Pattern[str]:
        """The pattern, compiled."""
        return compiled(self.pattern)


class ReportPatterns(_Section):
    """Where a report says what; of each list the first pattern that finds something counts.

    A pattern sees one line at a time (at most 300 characters); one that holds a line break (backslash n) sees each
    line together with the next.

    Attributes
    ----------
    foan, fracture_type, fracture_subtype : list of str
        Group ``value``.
    serial : list of str
        Group ``value``; every match is a serial number.
    fracture_load : list of str
        Groups ``value`` and, optionally, ``unit`` (N or kN).
    rows : list of str
        Rows of a table of components, groups as in `ROW_GROUPS`; where one matches, each row is a component, and what
        the row leaves out is taken from the fields above.
    load_unit : {"N", "kN"}
        Where no unit is written.
    load_range_n : pair of float
        Plausible loads; they also decide what ``51.300`` means.
    """

    foan: list[str] = Field(min_length=1)
    serial: list[str] = Field(default_factory=list)
    fracture_load: list[str] = Field(default_factory=list)
    fracture_type: list[str] = Field(default_factory=list)
    fracture_subtype: list[str] = Field(default_factory=list)
    rows: list[str] = Field(default_factory=list)
    load_unit: Literal["N", "kN"] = "N"
    load_range_n: tuple[float, float] = (10.0, 1e6)

    @field_validator("foan", "serial", "fracture_type", "fracture_subtype")
    @classmethod
    def _have_a_value(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            compile_pattern(pattern, needs=("value",), knows=("value",))
        return patterns

    @field_validator("fracture_load")
    @classmethod
    def _have_a_load(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            compile_pattern(pattern, needs=("value",), knows=("value", "unit"))
        return patterns

    @field_validator("rows")
    @classmethod
    def _have_a_serial(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            compile_pattern(pattern, needs=("serial",), knows=ROW_GROUPS)
        return patterns

    @field_validator("load_range_n")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0 < bounds[0] < bounds[1]:
            raise ValueError("two loads in N, the lower one first")
        return bounds

    @property
    def compiled(self) -> dict[str, list[Pattern[str]]]:
        """Every list of patterns, compiled, by field."""
        names = ("foan", "serial", "fracture_load", "fracture_type", "fracture_subtype", "rows")
        return {name: [compiled(pattern) for pattern in getattr(self, name)] for name in names}


class PageRules(_Section):
    """How much of a PDF is read, and how.

    Attributes
    ----------
    most : int
        Pages read from the front; a longer report says how many were not.
    least_characters : int
        A page with fewer letters and digits in its text layer is taken for a scan.
    dpi : int
        Resolution at which scans are rendered for text recognition.
    """

    most: int = Field(default=12, ge=1, le=200)
    least_characters: int = Field(default=20, ge=0)
    dpi: int = Field(default=150, ge=72, le=400)


class MatchRules(_Section):
    """When an image belongs to a report.

    Attributes
    ----------
    similarity : float
        A FOAN that no report has goes to the nearest one above this normalised similarity, 1 - edits / longer length.
    metric : {"levenshtein", "osa"}
        ``osa`` counts swapped neighbours as one edit, ``levenshtein`` as two.
    serial_least : int
        A part of a serial number decides between reports from this length on.
    review_below : float
        Matches of lower confidence go to the review table, fuzzy ones and ties always.
    """

    similarity: float = Field(default=0.9, ge=0.5, lt=1)
    metric: Literal["levenshtein", "osa"] = "levenshtein"
    serial_least: int = Field(default=4, ge=1)
    review_below: float = Field(default=0.9, ge=0, le=1)


class ArchiveRules(_Section):
    """Everything that differs between houses.

    Attributes
    ----------
    foan : FoanGrammar
    file_names : list of FileNamePattern
        The first one that matches a name counts.
    report : ReportPatterns
    labels : dict of str to list of str
        Class to the texts that mean it, compared without case, accents and punctuation.
    set_aside : list of str
        Classes that are kept but not trained; a cause that no class knows becomes ``unknown``.
    label_similarity : float
        How much a text may differ from those listed, for letters misread from scans.
    pages : PageRules
    match : MatchRules
    phantom : bool
        Whether the pictures are rendered; the corpus says so in its column ``phantom``.
    """

    foan: FoanGrammar
    file_names: list[FileNamePattern] = Field(min_length=1)
    report: ReportPatterns
    labels: dict[str, list[str]] = Field(min_length=1)
    set_aside: list[str] = Field(default_factory=lambda: [UNKNOWN])
    label_similarity: float = Field(default=0.85, gt=0.5, le=1)
    pages: PageRules = PageRules()
    match: MatchRules = MatchRules()
    phantom: bool = False

    @property
    def classes(self) -> list[str]:
        """Every class a person may give, `UNKNOWN` included."""
        return sorted({*self.labels, *self.set_aside, UNKNOWN})


def load_rules(path: Path | str) -> ArchiveRules:
    """Read the rules of an archive.

    Parameters
    ----------
    path : Path or str
        A YAML file.

    Raises
    ------
    InputError
        No such file, not YAML, or a field that is missing, unknown or wrong; the line names it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such rules file", "--rules FILE; sorby phantom fracture writes one to start from")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: rules are a YAML file", f"{path.with_suffix('.yaml').name}")
    try:
        return read_recipe(ArchiveRules, path.parent, path)
    except InputError as error:
        line = error.message.replace("Value error, ", "")
        told = any(word in line for word in ("Field required", "no such field"))
        regular = not told and any(
            word in line for word in ("regular expression", "named group", "repeat within", "pattern")
        )
        raise InputError(
            line, "Python's regular expressions, groups as (?P<name>...)" if regular else error.hint
        ) from error

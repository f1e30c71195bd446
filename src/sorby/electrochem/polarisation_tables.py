"""Numbers and column names of polarisation files: separators, decimal commas, what a column holds and its unit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from sorby.electrochem.number_text import ambiguous_commas, has_decimal_commas, number, separator_of, split_cells
from sorby.errors import InputError
from sorby.evidence._types import FloatArray

#: Potential units in volts, current units in amperes.
VOLTS = {"V": 1.0, "mV": 1e-3}
AMPERES = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9}
#: Per which area, in cm2.
AREAS = {"cm2": 1.0, "mm2": 0.01, "m2": 1e4}

_UNIT = re.compile(
    r"(?:[\[(/,\s]|^)\s*(?P<unit>m?V(?:olts?)?|[munp\u00b5\u03bc]?A(?:mps?|mperes?)?)(?P<per>\s*(?:/|\s|\.|\u00b7)?\s*(?:c|m)?m\s*(?:\^|-|\u207b)*\s*[2\u00b2])?"
    r"(?=[\])\s,;.]|$|\s*vs)"
)
_POTENTIAL = re.compile(
    r"^\W*(?:e|u|vf|vm|e_?we|pot|voltage|.*\b(?:working electrode|potential|ewe)\b.*"
    r"|[eu]\s*(?:vs|applied|[\[(/,]).*)(?:\W|$)",
    re.IGNORECASE,
)
_CURRENT = re.compile(
    r"^\W*(?:i|j|im|<i>|.*\bcurrent\b.*|<?[ij]>?\s*[\[(/,].*)(?:\W|$)",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"range|status|reference|error|power|charge|time|noise|filter|sync|\breal\b|\bimag\b|\bz\b", re.IGNORECASE
)
_SET = re.compile(r"applied|control|set|vu\b|nominal", re.IGNORECASE)
_LOG = re.compile(r"\blog\b|\blog10\b|\bln\b|\babs\b|\|", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column that was recognised.

    Attributes
    ----------
    index : int
    name : str
        As in the file.
    unit : str
        Such as ``mV`` or ``uA``; empty where the name states none.
    per : str
        ``cm2``, ``mm2`` or ``m2`` for current densities, otherwise empty.
    """

    index: int
    name: str
    unit: str
    per: str


@dataclass(frozen=True)
class NumberTable:
    """Rows of numbers from text.

    Attributes
    ----------
    values : array, shape (rows, columns)
    skipped : int
        Lines within the numbers that were no row of them.
    decimal_comma : bool
    """

    values: FloatArray
    skipped: int
    decimal_comma: bool


def read_numbers(lines: list[str], columns: tuple[int, int], n_titles: int) -> NumberTable:
    """Read the rows of numbers among *lines*.

    Parameters
    ----------
    lines : list of str
        Without the header; blank lines and comments may be among them.
    columns : (int, int)
        Which must be numbers; others may hold words.
    n_titles : int
        How many columns there are at most.

    Returns
    -------
    NumberTable
        Rows with fewer cells than most are left out and counted. NaN in cells that are no numbers.

    Raises
    ------
    InputError
        There is no row of numbers, or commas may be anything in them.
    """
    wanted = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "%", "//", "!"))]
    separator = usual_separator(wanted)
    table = [split_cells(line, separator) for line in wanted]
    # A shorter row than most has lost a cell somewhere, and nobody knows which.
    usual = Counter(map(len, table)).most_common(1)[0][0] if table else 0
    whole = [row for row in table if len(row) >= max(usual, max(columns) + 1)]
    if separator == "," and ambiguous_commas(whole, n_titles):
        raise InputError(
            "commas separate both columns and decimals", "export the file with tabs or semicolons between columns"
        )
    rows = [cells for row in whole if np.isfinite([(cells := [*map(number, row)])[k] for k in columns]).all()]
    if not rows:
        raise InputError("no rows of numbers were found", "export potential and current as columns of text")
    width = min(len(row) for row in rows)
    values = np.array([row[:width] for row in rows], dtype=float)
    return NumberTable(values, len(table) - len(rows), has_decimal_commas(cell for row in whole for cell in row))


def usual_separator(lines: list[str]) -> str | None:
    """Return what separates the numbers in most of *lines*; None for white space."""
    sample = [line for line in lines if re.search(r"\d", line)][:200]
    return Counter(map(separator_of, sample)).most_common(1)[0][0] if sample else None


def unit_of(name: str) -> tuple[str, str]:
    """Return the unit in a column's name and the area it is per; empty where there is none.

    Examples
    --------
    >>> unit_of("Current (mA/cm^2)"), unit_of("<I>/mA"), unit_of("Current")
    (('mA', 'cm2'), ('mA', ''), ('', ''))
    """
    found = _UNIT.search(name)
    if found is None:
        return "", ""
    unit = re.sub(r"olts?$|mps?$|mperes?$", "", found["unit"]).replace("\u00b5", "u").replace("\u03bc", "u")
    per = re.sub(r"[^a-z]", "", found["per"] or "")
    return unit, f"{per}2" if per else ""


def find_columns(names: list[str]) -> tuple[Column, Column]:
    """Recognise potential and current among column names.

    Returns
    -------
    potential, current : Column
        Measured potentials are taken before applied ones.

    Raises
    ------
    InputError
        One of them is missing, or only the logarithm of the current is there.
    """
    potentials = [k for k, name in enumerate(names) if _POTENTIAL.match(name) and not _NOT.search(name)]
    currents = [k for k, name in enumerate(names) if _CURRENT.match(name) and not _NOT.search(name)]
    currents = [k for k in currents if k not in potentials]
    potentials.sort(key=lambda k: bool(_SET.search(names[k])))
    signed = [k for k in currents if not _LOG.search(names[k])]
    logarithms = [name for name in names if _LOG.search(name) and unit_of(name.replace("|", " "))[0].endswith("A")]
    if not signed and (currents or logarithms):
        raise InputError(
            f"the current stands only as {(logarithms or [names[currents[0]]])[0]!r}, which has lost its sign",
            "export the current itself",
        )
    spectrum = any(re.match(r"\W*freq", name, re.IGNORECASE) for name in names)
    for found, what in ((potentials, "potential"), (signed, "current")):
        if not found:
            raise InputError(
                f"no column of {what} among {', '.join(map(repr, names[:8]))}",
                "impedance is read by 'sorby electro eis'"
                if spectrum
                else "name the columns like 'Potential (V)' and 'Current (A)'",
            )
    first, second = potentials[0], signed[0]
    return Column(first, names[first], *unit_of(names[first])), Column(second, names[second], *unit_of(names[second]))

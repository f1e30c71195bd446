"""Impedance spectra from the text files of nine makers, told apart by what they say, not by their names.

Every format here is a table of text under a header, with its own surroundings. The header states which columns hold
frequency and impedance, in what unit, and whether the imaginary part is printed with its sign turned (``-Im(Z)``).
Where a format's header does not state them, the format's own documentation does, and the spectrum's ``conventions``
say so. Three bare columns are frequency in Hz, Z' and Z'' in ohm, Z'' negative where capacitive; that is said in a
warning, and `read_spectrum` takes another unit and sign.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.electrochem.number_text import ambiguous_commas, number, read_text, separator_of, split_cells
from sorby.electrochem.spectrum import Spectrum, make_spectrum
from sorby.electrochem.spectrum_columns import Column, complete, read_columns, unit_factor
from sorby.errors import InputError

Array = npt.NDArray[np.float64]

SIGNS = ("imag", "minus-imag")
IMPEDANCE_UNITS = {"ohm": 1.0, "kohm": 1e3, "mohm": 1e-3}
_HEAD = 4000
_COMMENT = re.compile(r"^\s*(?:#|%|!|//)\s?")


@dataclass(frozen=True)
class Format:
    """A maker's text format.

    Attributes
    ----------
    vendor : str
    signature : str
        Pattern that its first characters match.
    begins : str
        Pattern of the line that the table's header follows; "" where the header itself is found.
    sections : bool
        Whether something else follows the table.
    documented : bool
        Whether its documentation fixes Hz, ohm and the sign of Z'' where the header is silent.
    """

    vendor: str
    signature: str
    begins: str = ""
    sections: bool = False
    documented: bool = True


FORMATS = (
    Format("Gamry DTA", r"\s*EXPLAIN\b", begins=r"ZCURVE\tTABLE", sections=True),
    Format("BioLogic EC-Lab", r"\s*EC-Lab ASCII FILE"),
    Format("ZPlot", r"\s*(?:ZPLOT2 ASCII|\"ZPlotW Data File)"),
    Format("Autolab (ZView export)", r"\s*\"Z60W Data File"),
    Format("VersaStudio", r"\s*<Application>\s*Name=VersaStudio", begins=r"<Segment\d+>", sections=True),
    Format("CH Instruments", r"[\s\S]{0,400}?A\.C\. Impedance[\s\S]{0,2000}?Instrument Model:\s*CHI"),
    Format("Parstat", r"\s*Potential \(V\)\tCurrent \(A\)\tElapsed Time \(s\)\tFrequency \(Hz\)"),
    Format("PowerSuite", r"\s*Frequency\t\s*Zre\t\s*Zimg"),
    Format("text", r"", documented=False),
)


def read_spectrum(path: Path | str, *, sign: str | None = None, unit: str | None = None) -> Spectrum:
    """Read an impedance spectrum.

    Parameters
    ----------
    path : path
        A text file of any of `FORMATS`.
    sign : {"imag", "minus-imag"}, optional
        What the imaginary column holds, where the file does not say or says it wrongly.
    unit : {"ohm", "kohm", "mohm"}, optional
        Of the impedance, likewise.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        The file holds no spectrum, or does not say what is needed to read it.
    """
    if sign is not None and sign not in SIGNS:
        raise InputError(f"sign {sign!r} is not known", f"choose one of {', '.join(SIGNS)}")
    if unit is not None and unit not in IMPEDANCE_UNITS:
        raise InputError(f"unit {unit!r} is not known", f"choose one of {', '.join(IMPEDANCE_UNITS)}")
    text = read_text(path)
    form = next(each for each in FORMATS if re.match(each.signature, text[:_HEAD]))
    lines = text.splitlines()
    columns, titles, first = _header(path, lines, form)
    rows, skipped = _rows(lines, first, columns, form)
    if not columns:
        columns = _bare(path, rows)
    if not rows:
        raise InputError(f"{path}: a header of {form.vendor} but no points below it", "the measurement did not start")
    said = _remarks(text, form, rows, columns, skipped)
    if "frequency" not in columns:
        columns = _frequency_restored(path, columns, titles, rows, said)
    return _assembled(path, form, columns, rows, sign, unit, said)


def _header(path: Path | str, lines: Sequence[str], form: Format) -> tuple[dict[str, Column], int, int]:
    """Return columns, how many titles there are, and the line behind them; no columns for a table without header."""
    start = 0
    if form.begins:
        matching = (k for k, line in enumerate(lines) if re.match(form.begins, line))
        start = next(matching, len(lines))
    near: dict[str, Column] = {}
    for k in range(start, len(lines)):
        line = _COMMENT.sub("", lines[k]).removeprefix("Definition=")
        if "z" not in line.lower() or len(line) > _HEAD:
            continue
        for cells in _title_cells(line):
            columns = read_columns(cells)
            if complete(columns):
                return _with_units_below(columns, lines, k + 1), len(line.rstrip().split("\t")), k + 1
            near = columns if len(columns) > len(near) else near
    if form.documented:
        if {"real", "imaginary"} <= set(near):
            raise InputError(f"{path}: the {form.vendor} table has no frequency column", "export it with frequencies")
        raise InputError(f"{path}: {form.vendor} without an impedance table", "is it an impedance measurement?")
    if {"real", "imaginary"} <= set(near) or {"modulus", "phase"} <= set(near):
        raise InputError(f"{path}: no column of frequencies in its header", "name one freq/Hz")
    return {}, 0, 0


def _title_cells(line: str) -> list[list[str]]:
    """Return the ways to split a header, the likelier first."""
    line = line.strip("\r\n")
    if "\t" in line:
        return [line.split("\t")]
    ways = [line.split(separator) for separator in (";", ",") if separator in line]
    quoted = line.strip().strip('"').strip()
    return [*ways, re.split(r"\s{2,}", quoted), quoted.split()]


def _with_units_below(columns: dict[str, Column], lines: Sequence[str], k: int) -> dict[str, Column]:
    """Take units from a line of units below the titles, as Gamry writes them."""
    cells = lines[k].split("\t") if k < len(lines) else []
    said = {}
    for role, column in columns.items():
        if column.factor is None and column.index < len(cells):
            factor, per_area = unit_factor(role, cells[column.index].replace("°", "deg"))
            said[role] = column if factor is None else replace(column, factor=factor, per_area=per_area)
    return {**columns, **said}


def _rows(
    lines: Sequence[str], first: int, columns: dict[str, Column], form: Format
) -> tuple[list[list[str]], list[int]]:
    """Return the rows of numbers below the header, and the numbers of lines between them that are none."""
    needed = max((column.index for column in columns.values()), default=2)
    lead = min((column.index for column in columns.values()), default=0)
    rows: list[list[str]] = []
    skipped: list[int] = []
    pending: list[int] = []
    for k in range(first, len(lines)):
        line = lines[k]
        if not line.strip() or _COMMENT.match(line):
            continue
        cells = split_cells(line, separator_of(line))
        if len(cells) > lead and not np.isnan([number(cell) for cell in cells if cell]).all():
            usable = len(cells) > needed and not np.isnan(number(cells[lead]))
            if usable or rows:
                rows.append(cells)
                skipped += pending
                pending = []
                continue
        if rows and form.sections:
            break
        if rows:
            pending.append(k + 1)
    widest = max((len(row) for row in rows), default=0)
    width = max(widest, needed + 1) if columns else widest
    return [[*row, *[""] * (width - len(row))] for row in rows], skipped


def _bare(path: Path | str, rows: Sequence[Sequence[str]]) -> dict[str, Column]:
    """Return the columns of a table without a header: frequency, Z', Z''."""
    if not rows:
        raise InputError(f"{path}: no impedance table in it", "three columns are enough: frequency, Z', Z''")
    if ambiguous_commas(rows, 3):
        raise InputError(f"{path}: commas separate and may also be decimal points",
                         "separate the columns by semicolons or tabs")  # fmt: skip
    if len(rows[0]) != 3:
        raise InputError(
            f"{path}: {len(rows[0])} columns without titles", "give three, or titles: freq/Hz,Z'/ohm,Z''/ohm"
        )
    return {role: Column(k, role, "") for k, role in enumerate(("frequency", "real", "imaginary"))}


def _remarks(
    text: str, form: Format, rows: Sequence[Sequence[str]], columns: dict[str, Column], skipped: Sequence[int]
) -> list[str]:
    said = []
    if skipped:
        said.append(f"{len(skipped)} lines inside the table are no numbers (line {skipped[0]} first); left out")
    if form.vendor == "Gamry DTA" and re.search(r"^EXPERIMENTABORTED\tTOGGLE\tT", text, re.MULTILINE):
        planned = re.search(r"^FREQFINAL\tQUANT\t(\S+)", text, re.MULTILINE)
        last = number(rows[-1][columns["frequency"].index]) if "frequency" in columns else float("nan")
        goal = f" of {number(planned.group(1)):.4g} Hz planned" if planned else ""
        said.append(f"the experiment was aborted: it ends at {last:.4g} Hz{goal}")
    return said


def _assembled(
    path: Path | str,
    form: Format,
    columns: dict[str, Column],
    rows: Sequence[Sequence[str]],
    sign: str | None,
    unit: str | None,
    said: list[str],
) -> Spectrum:
    """Turn cells into a spectrum, and say how each was read."""
    values = {role: np.array([number(row[column.index]) for row in rows]) for role, column in columns.items()}
    stated = [_stated(column, form) for role, column in columns.items() if role != "series_capacitance"]
    polar = "imaginary" not in columns
    turning = columns["phase" if polar else "imaginary"]
    turned = turning.sign if sign is None else (1 if sign == "imag" else -1)
    if sign is not None and turning.title and turned != turning.sign:
        said.append(f"the header says {turning.title}; read as {sign} as asked")
    size = columns["modulus" if polar else "real"]
    scale = IMPEDANCE_UNITS[unit] if unit else (1.0 if size.factor is None else size.factor)
    if not form.documented and (unit is None and size.factor is None):
        said.append("the file states no unit of impedance: ohm is taken")
    if not form.documented and sign is None and not turning.title:
        said.append("the file has no titles: columns taken as Hz, Z' and Z'', Z'' negative where capacitive")
    z = np.empty(len(rows), np.complex128)
    if polar:
        degrees = values["phase"] * (turning.factor or 1.0) * turned
        z[:] = scale * values["modulus"] * np.exp(1j * np.deg2rad(degrees))
    else:
        other = columns["imaginary"].factor
        z.real = scale * values["real"] * size.sign
        z.imag = (scale if unit or other is None else other) * values["imaginary"] * turned
    frequency = values["frequency"] * (columns["frequency"].factor or 1.0)
    direct = frequency == 0
    if direct.any():
        said.append(f"{int(direct.sum())} direct-current rows (frequency 0) left out")
    if not direct.all() and (z.imag[~direct] > 0).mean() > 0.8:
        said.append("most imaginary parts are positive: if the electrode is capacitive, the sign is turned (--sign)")
    return make_spectrum(
        frequency[~direct], z[~direct], path=str(path), vendor=form.vendor, conventions=tuple(stated),
        warnings=tuple(said), normalised=size.per_area,
    )  # fmt: skip


def _frequency_restored(
    path: Path | str, columns: dict[str, Column], titles: int, rows: Sequence[Sequence[str]], said: list[str]
) -> dict[str, Column]:
    """Return the columns with that of frequency, whose title is missing.

    By definition the series capacitance is -1 / (ω Z''), so ω follows from two other columns and nothing is guessed: a
    first column without title is frequency where it agrees with them.
    """
    if len(rows[0]) != titles + 1:
        raise InputError(f"{path}: no frequency column", "export the spectrum with its frequencies")
    moved = {role: replace(column, index=column.index + 1) for role, column in columns.items()}
    first = np.array([number(row[0]) for row in rows])
    farads, ohms = (
        np.array([number(row[moved[role].index]) for row in rows]) * (moved[role].factor or 1.0) * moved[role].sign
        for role in ("series_capacitance", "imaginary")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        agrees = np.abs(-1 / (2 * np.pi * farads * ohms) / first - 1) < 1e-3
    if agrees.mean() < 0.9:
        raise InputError(
            f"{path}: {len(rows[0])} numbers a row for {titles} titles, none of them frequency",
            "export the spectrum with its frequencies",
        )
    title = moved["series_capacitance"].title
    said.append(f"no column is titled frequency: the untitled first one is, since it agrees with Z'' and {title}")
    return {**moved, "frequency": Column(0, "frequency", "", 1, 1.0)}


def _stated(column: Column, form: Format) -> str:
    """Return how a column was read."""
    unit = {"frequency": "Hz", "phase": "degrees"}.get(column.role, "ohm")
    origin = f"titled {column.title}" if column.title else "untitled"
    known = (
        "unit in the file"
        if column.factor is not None
        else (f"{unit} by the format" if form.documented else f"{unit} taken")
    )
    turned = ", sign turned" if column.sign < 0 else ""
    return f"{column.role}: {origin}, {known}{turned}"

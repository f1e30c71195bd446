"""Polarisation files of several makers, told apart by what stands in them.

| recognised by | columns | sign |
|---|---|---|
| ``EXPLAIN``, ``CURVE TABLE`` (Gamry DTA) | ``Vf``, ``Im``, units a line below | ``CONVENTION`` 1: anodic positive |
| ``EC-Lab ASCII FILE`` (BioLogic mpt) | ``Ewe/V``, ``<I>/mA`` | anodic positive, always |
| a date, then ``Instrument Model:  CHI...`` (CH Instruments) | ``Potential/V, Current/A`` | not stated |
| ``<Application>`` and ``Name=VersaStudio`` (par) | ``Definition=`` of the segments | not stated |
| ``CORRW ASCII`` (CorrWare, CorrTest) | titles above ``End Comments`` | not stated |
| a line of column names (Parstat, PowerSuite, Autolab, spreadsheets) | by name, unit in the name | not stated |
| nothing but numbers | first potential, second current | not stated |

What a file does not state comes from the caller; nothing is inferred from how large the numbers are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sorby.electrochem.number_text import number, read_text, split_cells
from sorby.electrochem.polarisation_curve import PolarisationCurve, Stated
from sorby.electrochem.polarisation_tables import (
    AMPERES,
    AREAS,
    VOLTS,
    Column,
    find_columns,
    read_numbers,
    usual_separator,
)
from sorby.errors import InputError

#: What a file of nothing but numbers is recognised as.
BARE = "columns without names"
SIGNS = ("anodic-positive", "cathodic-positive")


@dataclass(frozen=True)
class _Found:
    """What a maker's file holds, before units."""

    format: str
    lines: list[str]
    potential: Column
    current: Column
    n_titles: int
    sign: Stated | None = None
    area_mm2: float | None = None
    equivalent_weight: float | None = None
    density_g_cm3: float | None = None
    notes: tuple[str, ...] = ()


def _gamry_value(lines: list[str], key: str) -> float | None:
    for line in lines:
        cells = line.split("\t")
        if cells[0].strip() == key and len(cells) > 2:
            value = number(cells[2])
            return value if np.isfinite(value) else None
    return None


def _gamry(lines: list[str]) -> _Found | None:
    if not lines or lines[0].strip() != "EXPLAIN":
        return None
    starts = [k for k, line in enumerate(lines) if re.match(r"CURVE\d*\tTABLE", line)]
    if not starts:
        raise InputError(
            "a Gamry file without a table of currents (CURVE)", "an impedance file is read by 'sorby electro eis'"
        )
    rows: list[str] = []
    names: list[str] = []
    units: list[str] = []
    for start in starts:
        if start + 2 >= len(lines):
            raise InputError("a Gamry file that ends above its currents", "the measurement did not start")
        names = [name.strip() for name in lines[start + 1].split("\t")]
        units = [unit.strip() for unit in lines[start + 2].split("\t")]
        for line in lines[start + 3 :]:
            if not line.startswith("\t"):
                break
            rows.append(line.lstrip("\t"))
    # The rows begin with a tab; so do the names, whose first cell is empty.
    names, units = names[1:], units[1:]
    try:
        volt = next(names.index(name) for name in ("Vf", "Vm") if name in names)
        ampere = names.index("Im")
    except (StopIteration, ValueError):
        raise InputError("the Gamry table has no columns Vf and Im", "export the whole curve") from None
    if max(volt, ampere) >= len(units):
        raise InputError("a Gamry file that ends within the units of its table", "the measurement did not start")
    convention = _gamry_value(lines, "CONVENTION")
    area = _gamry_value(lines, "AREA")
    aborted = any(line.startswith("EXPERIMENTABORTED") and "\tT" in line for line in lines)
    return _Found(
        "Gamry DTA",
        rows,
        Column(volt, names[volt], units[volt].split()[0] if units[volt].strip() else "", ""),
        Column(ampere, names[ampere], units[ampere], ""),
        len(names),
        Stated(SIGNS[0], "file") if convention == 1 else None,
        100 * area if area else None,
        _gamry_value(lines, "EQUIV"),
        _gamry_value(lines, "DENSITY"),
        ("the experiment was aborted: the curve may end early",) if aborted else (),
    )


def _biologic(lines: list[str]) -> _Found | None:
    if not lines or not lines[0].startswith("EC-Lab ASCII FILE"):
        return None
    found = next((re.search(r"Nb header lines\s*:\s*(\d+)", line) for line in lines[:5] if "Nb header" in line), None)
    count = int(found.group(1)) if found else 0
    if not 1 < count <= len(lines):
        raise InputError("an EC-Lab file that does not say how long its header is", "export it again as text (mpt)")
    names = split_cells(lines[count - 1], "\t")
    potential, current = find_columns(names)
    area = next(
        (re.search(r"surface area\s*:\s*([\d.,]+)\s*cm", line) for line in lines[:count] if "area" in line), None
    )
    square = number(area.group(1)) * 100 if area else None
    # EC-Lab: "oxidation currents are positive", whatever the settings.
    return _Found(
        "BioLogic mpt", lines[count:], potential, current, len(names), Stated(SIGNS[0], "format"), area_mm2=square
    )


def _versastudio(lines: list[str]) -> _Found | None:
    if not lines or not lines[0].startswith("<Application>") or not any("VersaStudio" in line for line in lines[:20]):
        return None
    starts = [k for k, line in enumerate(lines) if line.startswith("Definition=")]
    if not starts:
        raise InputError("a VersaStudio file without segments", "was the measurement started?")
    names = split_cells(lines[starts[0]].removeprefix("Definition="), ",")
    potential, current = find_columns(names)
    rows: list[str] = []
    for start in starts:
        for line in lines[start + 1 :]:
            if line.startswith("<"):
                break
            rows.append(line)
    area = next((re.match(r"Working Electrode Area \(cm2\)=([\d.eE+-]+)", line) for line in lines
                 if line.startswith("Working Electrode Area (cm2)=")), None)  # fmt: skip
    return _Found(
        "VersaStudio", rows, potential, current, len(names), area_mm2=100 * float(area.group(1)) if area else None
    )


def _chi(lines: list[str]) -> _Found | None:
    if not any(re.match(r"Instrument Model:\s*CHI", line) for line in lines[:40]):
        return None
    for k, line in enumerate(lines):
        if re.match(r"\s*Potential/", line):
            names = split_cells(line, ",")
            return _Found("CH Instruments", lines[k + 1 :], *find_columns(names), len(names))
    raise InputError(
        "a CH Instruments file without a column of potentials", "export the curve with potential and current"
    )


def _corrware(lines: list[str]) -> _Found | None:
    if not lines or not lines[0].startswith("CORRW ASCII"):
        return None
    end = next((k for k, line in enumerate(lines) if line.strip() == "End Comments"), None)
    if end is None:
        raise InputError("a CorrWare file that ends within its comments", "was the measurement started?")
    # Two tabs between titles, one between numbers.
    names = [name for name in split_cells(lines[end - 1], "\t") if name]
    area = next((number(line.split(":")[1]) for line in lines[:end] if line.strip().startswith("Surface Area:")), 0.0)
    return _Found(
        "CorrWare", lines[end + 1 :], *find_columns(names), len(names), area_mm2=100 * area if area > 0 else None
    )


_ROW = re.compile(r"\s*[-+]?[.,]?\d[\d.,eE+-]*[\s;,]+\S")


def _named(lines: list[str]) -> _Found | None:
    """Recognise a table under a line of column names.

    Raises
    ------
    InputError
        The line above the numbers names as many columns, but not potential and current.
    """
    for k, line in enumerate(lines[:200]):
        bare = line.strip().lstrip("#%!/").strip()
        following = [row for row in lines[k + 1 : k + 11] if row.strip()][:3]
        # Exponents are letters as well.
        prose = re.search(r"[A-Za-z]", bare) and not _ROW.match(bare)
        if not prose or not any(_ROW.match(row) for row in following):
            continue
        for separator in ("\t", ";", ",", None):
            names = split_cells(bare, separator)
            width = len(split_cells(following[0], separator))
            if len(names) > width and "" in names:  # titles set apart by two tabs, numbers by one
                names = [name for name in names if name]
            if len(names) < 2 or max(map(len, names)) > 60:
                continue
            try:
                potential, current = find_columns(names)
            except InputError as error:
                # A comment may be followed by numbers too; names stand above as many columns and are no comment.
                heads = separator and bare == line.strip() and width == len(names)
                if "lost its sign" in error.message or (heads and _ROW.match(following[0])):
                    raise
                continue
            # Words with blanks between may be prose; names of columns are told by their units.
            if separator is None and not (potential.unit and current.unit):
                continue
            return _Found("columns with names", lines[k + 1 :], potential, current, len(names))
    return None


def _bare(lines: list[str], columns: tuple[int, int] | None) -> _Found:
    lines = [line.strip() for line in lines]
    data = [line for line in lines if line and not line.startswith(("#", "%", "//", "!"))]
    separator = usual_separator(data)
    count = min((len(split_cells(line, separator)) for line in data if re.match(r"\s*[-+.\d]", line)), default=0)
    if count < 2:
        raise InputError("no table of potential and current was found", "two columns of numbers are needed at least")
    if columns is None and count > 3 and not (separator == "," and not any("." in line for line in data)):
        raise InputError(f"{count} columns without names", "give --columns POTENTIAL,CURRENT, counted from 1")
    first, second = columns or (1, 2)
    if first == second or not (1 <= first <= count and 1 <= second <= count):
        raise InputError(f"columns {first} and {second} of {count}", "--columns takes two different ones, from 1")
    potential, current = (Column(k - 1, f"column {k}", "", "") for k in (first, second))
    return _Found(BARE, lines, potential, current, 3)


def _decided(stated: str, chosen: str | None, fallback: str | None, known: dict[str, float], option: str) -> Stated:
    """Return the unit a person chose, the file states, or the caller falls back to, in this order."""
    for value, source in ((chosen, "option"), (stated, "file"), (fallback, "default")):
        if not value:
            continue
        if value not in known:
            raise InputError(f"an unknown unit {value!r}", f"{option} one of {', '.join(known)}")
        return Stated(value, source)
    raise InputError(
        f"the file does not state its unit of {option.split('-')[2]}", f"give {option}, e.g. {next(iter(known))}"
    )


def read_polarisation(
    path: Path | str,
    *,
    potential_unit: str | None = None,
    current_unit: str | None = None,
    sign: str | None = None,
    columns: tuple[int, int] | None = None,
    fallback: tuple[str, str, str] | None = None,
) -> PolarisationCurve:
    """Read potential and current from a polarisation file.

    Parameters
    ----------
    path : Path or str
    potential_unit, current_unit, sign : str, optional
        Overrule the file: ``V`` or ``mV``; ``A``, ``mA``, ``uA``, ``nA``, with ``/cm2``, ``/mm2`` or ``/m2`` behind it
        for densities; ``anodic-positive`` or ``cathodic-positive``.
    columns : (int, int), optional
        Which columns of a file without column names are potential and current, counted from 1; the first two where
        left out.
    fallback : (str, str, str), optional
        Potential unit, current unit and sign for what neither the arguments nor the file state. The units serve only
        files without column names: a name without its unit is an error, and so is any silence without a fallback.

    Returns
    -------
    PolarisationCurve
        In V and A (or A/cm2), anodic positive, with where each unit came from.

    Raises
    ------
    InputError
        The file cannot be read, holds no such table, or does not state what was not given either.
    """
    path = Path(path)
    try:
        return _curve(path, potential_unit, current_unit, sign, columns, fallback or ("", "", ""))
    except InputError as error:
        if error.message.startswith(str(path)):
            raise
        raise InputError(f"{path}: {error.message}", error.hint) from error


def _curve(
    path: Path,
    potential_unit: str | None,
    current_unit: str | None,
    sign: str | None,
    columns: tuple[int, int] | None,
    fallback: tuple[str, str, str],
) -> PolarisationCurve:
    lines = read_text(path).splitlines()
    found = _gamry(lines) or _biologic(lines) or _versastudio(lines) or _corrware(lines) or _chi(lines)
    # Who counts columns out means numbers, whatever stands above them.
    found = found or (_named(lines) if columns is None else None) or _bare(lines, columns)
    potential, current = found.potential, found.current
    if found.format != BARE:
        fallback = ("", "", fallback[2])
    volts = _decided(potential.unit, potential_unit, fallback[0], VOLTS, "--potential-unit")
    densities = {f"{unit}/{area}": unit for unit in AMPERES for area in AREAS}
    known = {**AMPERES, **dict.fromkeys(densities, 1.0)}
    in_file = f"{current.unit}/{current.per}" if current.per else current.unit
    amperes = _decided(in_file, current_unit, fallback[1], known, "--current-unit")
    unit, _, area = amperes.value.partition("/")
    polarity = (
        Stated(sign, "option") if sign else found.sign or (Stated(fallback[2], "default") if fallback[2] else None)
    )
    if polarity is None:
        raise InputError(
            "the file does not state whether anodic or cathodic currents are positive",
            f"give --sign {' or '.join(SIGNS)}",
        )
    if polarity.value not in SIGNS:
        raise InputError(f"an unknown sign convention {polarity.value!r}", f"one of {', '.join(SIGNS)}")
    table = read_numbers(found.lines, (potential.index, current.index), found.n_titles)
    factor = AMPERES[unit] / (AREAS[area] if area else 1.0) * (1 if polarity.value == SIGNS[0] else -1)
    notes = list(found.notes)
    if in_file and amperes.source == "option" and amperes.value != in_file:
        notes.append(f"the file says {in_file}; {amperes.value} was taken because --current-unit says so")
    if potential.unit and volts.source == "option" and volts.value != potential.unit:
        notes.append(f"the file says {potential.unit}; {volts.value} was taken because --potential-unit says so")
    if table.skipped:
        notes.append(f"{table.skipped} lines were no rows of numbers and were left out")
    if table.decimal_comma:
        notes.append("decimal commas")
    return PolarisationCurve(
        np.ascontiguousarray(table.values[:, potential.index] * VOLTS[volts.value]),
        np.ascontiguousarray(table.values[:, current.index] * factor),
        bool(area),
        found.format,
        (potential.name, current.name),
        volts,
        amperes,
        polarity,
        found.area_mm2,
        found.equivalent_weight,
        found.density_g_cm3,
        tuple(notes),
    )

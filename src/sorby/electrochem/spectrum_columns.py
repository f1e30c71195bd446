"""What the columns of an impedance table are called, and which unit and sign they state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FREQUENCY_UNITS = {"Hz": 1.0, "hz": 1.0, "HZ": 1.0, "kHz": 1e3, "MHz": 1e6, "mHz": 1e-3}
#: The sign of ohm is U+03A9 on some keyboards and U+2126 on others; both are written out.
_IMPEDANCE_UNITS = {"ohm": 1.0, "kohm": 1e3, "mohm": 1e-3, "Mohm": 1e6}
_ANGLE_UNITS = {"deg": 1.0, "°": 1.0, "degree": 1.0, "degrees": 1.0, "rad": 57.29577951308232}
_CAPACITANCE_UNITS = {"F": 1.0, "mF": 1e-3, "\u00b5F": 1e-6, "\u03bcF": 1e-6, "uF": 1e-6, "nF": 1e-9, "pF": 1e-12}
_UNITS = {
    "frequency": _FREQUENCY_UNITS,
    "real": _IMPEDANCE_UNITS,
    "imaginary": _IMPEDANCE_UNITS,
    "modulus": _IMPEDANCE_UNITS,
    "phase": _ANGLE_UNITS,
    "series_capacitance": _CAPACITANCE_UNITS,
}
_NAMES = {
    "frequency": r"f|freq|frequency",
    "real": r"re\(?z\)?|z'|z′|z_?re|z_?real|z real|real\(?z\)?|z_?r",
    "imaginary": r"im\(?z\)?|z''|z\"|z″|z′′|z_?im|z_?imag|z_?img|z imag|imag\(?z\)?|z_?i",
    "modulus": r"\|z\||z_?mod|z|mod\(?z\)?",
    "phase": r"phase|phase\(z\)|z_?phz|phi|theta",
    "series_capacitance": r"cs",
}
_SPLIT = re.compile(r"^(?P<name>.*?)\s*(?:/\s*(?P<slash>[^/]+)|[(\[]\s*(?P<bracket>[^()\[\]]*)\s*[)\]])?$")
_AREA = re.compile(r"[\s.·*]*cm(?:2|\^2|²)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """One column that a spectrum needs.

    Attributes
    ----------
    index : int
        Place in a row.
    role : str
        ``frequency``, ``real``, ``imaginary``, ``modulus``, ``phase`` or ``series_capacitance``.
    title : str
        As written.
    sign : int
        -1 where the title begins with a minus.
    factor : float or None
        To Hz, ohm, degrees or F; None where no unit is stated.
    per_area : bool
        Whether the unit is per cm2.
    """

    index: int
    role: str
    title: str
    sign: int = 1
    factor: float | None = None
    per_area: bool = False


def read_columns(cells: Sequence[str]) -> dict[str, Column]:
    """Return the columns of a header by role, the first of each.

    Parameters
    ----------
    cells : sequence of str
        Titles in order.
    """
    found: dict[str, Column] = {}
    for index, cell in enumerate(cells):
        column = _column(index, cell)
        if column is not None and column.role not in found:
            found[column.role] = column
    return found


def complete(columns: dict[str, Column]) -> bool:
    """Return whether an impedance and a frequency, or what it can be computed from, are there."""
    cartesian = {"real", "imaginary"} <= set(columns)
    return (cartesian and ("frequency" in columns or "series_capacitance" in columns)) or (
        {"modulus", "phase", "frequency"} <= set(columns)
    )


def unit_factor(role: str, unit: str) -> tuple[float | None, bool]:
    """Return the factor of a unit to the role's own, None where it is none, and whether it is per cm2."""
    unit, per_area = unit.strip(), False
    if role in {"real", "imaginary", "modulus"}:
        bare = _AREA.sub("", unit)
        per_area, unit = bare != unit, bare
        # Ohm, OHM and ohm are one; the prefix keeps its case, for m and M differ.
        unit = re.sub(r"(?:ohms?|\u03a9|\u2126)$", "ohm", unit, flags=re.IGNORECASE)
    return _UNITS[role].get(unit), per_area


def _column(index: int, cell: str) -> Column | None:
    title = cell.strip().strip('"').strip()
    # ZView numbers its columns: Z'(a), Z''(b).
    bare = re.sub(r"\([ab]\)$", "", title)
    negative = bare.startswith(("-", "−"))
    bare = bare.lstrip("-−").strip()
    for role in _NAMES:
        if _is_called(role, bare):
            return Column(index, role, title, -1 if negative else 1)
    split = _SPLIT.match(bare)
    if split is None:
        return None
    unit = split["slash"] or split["bracket"] or ""
    for role in _NAMES:
        if _is_called(role, split["name"]):
            factor, per_area = unit_factor(role, unit)
            if factor is not None:
                return Column(index, role, title, -1 if negative else 1, factor, per_area)
    return None


def _is_called(role: str, name: str) -> bool:
    return re.fullmatch(_NAMES[role], name.strip(), re.IGNORECASE) is not None

"""Alloys by name: composition, density, and the valences with which their elements dissolve.

316L and AZ31B are the heats analysed by Bhat et al. (2023, Tables 1 and 2); the others have nominal compositions of
the elements of 1 % and more, the base metal making up the balance, as ASTM G102 counts them. Valences are the lowest
ones of its Table 1 (Fe 2, Cr 3, Ni 2, Mo 3, Mn 2), except where an alloy says otherwise. Densities follow ASTM G1 and
G102.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sorby.errors import InputError

#: Standard atomic weights (IUPAC 2021, abridged).
ATOMIC_WEIGHTS: Mapping[str, float] = {
    "Al": 26.982, "As": 74.922, "Be": 9.0122, "C": 12.011, "Co": 58.933, "Cr": 51.996, "Cu": 63.546, "Fe": 55.845,
    "Li": 6.94, "Mg": 24.305, "Mn": 54.938, "Mo": 95.95, "N": 14.007, "Nb": 92.906, "Ni": 58.693, "P": 30.974,
    "Pb": 207.2, "S": 32.06, "Si": 28.085, "Sn": 118.71, "Ti": 47.867, "V": 50.942, "W": 183.84, "Zn": 65.38,
    "Zr": 91.224,
}  # fmt: skip
#: ASTM G102, Table 1, lowest valences.
VALENCES: Mapping[str, int] = {
    "Al": 3, "Co": 2, "Cr": 3, "Cu": 2, "Fe": 2, "Mg": 2, "Mn": 2, "Mo": 3, "Nb": 4, "Ni": 2, "Sn": 2, "Ti": 2,
    "V": 3, "W": 4, "Zn": 2, "Zr": 4, "Pb": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Alloy:
    """What an alloy dissolves to.

    Attributes
    ----------
    composition : dict of str to float
        Mass per cent.
    density_g_cm3 : float
    dissolving : tuple of str
        Elements counted in the equivalent weight.
    passive : bool
        Whether it is protected by a passive film in many aqueous media.
    valences : dict of str to int
        Where they differ from `VALENCES`.
    note : str
        Where the composition comes from, if not nominal.
    """

    composition: Mapping[str, float]
    density_g_cm3: float
    dissolving: tuple[str, ...]
    passive: bool = False
    valences: Mapping[str, int] | None = None
    note: str = ""


def _of(
    base: str, composition: str, density: float, *, passive: bool = False, valences: Mapping[str, int] | None = None
) -> Alloy:
    """Read ``Cr 19 Ni 9.25`` as an alloy of *base*, which makes up the balance."""
    words = composition.split()
    shares = {words[k]: float(words[k + 1]) for k in range(0, len(words), 2)}
    shares = {base: 100 - sum(shares.values()), **shares}
    return Alloy(shares, density, tuple(shares), passive, valences)


ALLOYS: Mapping[str, Alloy] = {
    # The two heats of the corrosion paper; manganese of AZ31B and the main elements of 316L are counted.
    "316L": Alloy(
        {
            "C": 0.032, "Si": 0.442, "Mn": 1.81, "P": 0.028, "S": 0.013, "Cr": 16.96, "Ni": 10.39, "Mo": 1.80,
            "Al": 0.141, "Cu": 0.60, "Co": 0.156, "As": 0.014, "Nb": 0.016, "V": 0.058, "W": 0.025, "Fe": 67.5,
            "Sn": 0.012,
        },
        7.98, ("Cr", "Ni", "Fe", "Mo", "Mn"), passive=True, note="heat of Bhat et al., Table 2",
    ),
    "AZ31B": Alloy(
        {"Al": 3.15, "Zn": 0.99, "Mn": 0.31, "Si": 0.016, "Fe": 0.003, "Cu": 0.0026, "Ni": 0.0008, "Mg": 95.5276},
        1.77, ("Mg", "Al", "Zn", "Mn"), note="heat of Bhat et al., Table 1",
    ),
    "1018": _of("Fe", "", 7.86),
    "4140": _of("Fe", "", 7.85),
    "cast-iron": _of("Fe", "", 7.20),
    "iron": _of("Fe", "", 7.87),
    "304": _of("Fe", "Cr 19 Ni 9.25", 7.94, passive=True),
    "304L": _of("Fe", "Cr 19 Ni 10", 7.94, passive=True),
    "316": _of("Fe", "Cr 17 Ni 12 Mo 2.5", 7.98, passive=True),
    "410": _of("Fe", "Cr 12.5", 7.70, passive=True),
    "430": _of("Fe", "Cr 17", 7.72, passive=True),
    "2205": _of("Fe", "Cr 22.5 Ni 5.5 Mo 3.2", 7.80, passive=True),
    "1100": _of("Al", "", 2.71, passive=True),
    "2024": _of("Al", "Cu 4.4 Mg 1.5", 2.78, passive=True, valences={"Cu": 1}),
    "5083": _of("Al", "Mg 4.45", 2.66, passive=True),
    "6061": _of("Al", "Mg 1", 2.70, passive=True),
    "7075": _of("Al", "Zn 5.6 Mg 2.5 Cu 1.6", 2.81, passive=True, valences={"Cu": 1}),
    "C11000": _of("Cu", "", 8.94),
    "C26000": _of("Cu", "Zn 30", 8.52),
    "C71500": _of("Cu", "Ni 30", 8.94),
    "alloy-400": _of("Ni", "Cu 31.5 Fe 1.25", 8.84),
    "alloy-600": _of("Ni", "Cr 15.5 Fe 8", 8.51, passive=True),
    "alloy-625": _of("Ni", "Cr 21.5 Mo 9 Nb 3.6 Fe 2.5", 8.44, passive=True),
    "C-276": _of("Ni", "Cr 15.5 Mo 16 Fe 5.5 W 3.75", 8.89, passive=True),
    "nickel": _of("Ni", "", 8.90),
    "titanium-2": _of("Ti", "", 4.51, passive=True, valences={"Ti": 4}),
    "Ti-6Al-4V": _of("Ti", "Al 6 V 4", 4.43, passive=True, valences={"Ti": 4}),
    "zinc": _of("Zn", "", 7.13),
    "magnesium": _of("Mg", "", 1.74),
    "AZ91D": _of("Mg", "Al 9", 1.81),
}  # fmt: skip
_ALSO = {
    "ss304": "304", "304ss": "304", "aisi304": "304", "ss316": "316", "ss316l": "316L", "316lss": "316L",
    "1018ms": "1018", "aisi1018": "1018", "mildsteel": "1018", "carbonsteel": "1018", "copper": "C11000",
    "brass": "C26000", "monel400": "alloy-400", "monel": "alloy-400", "inconel600": "alloy-600",
    "inconel625": "alloy-625", "hastelloyc276": "C-276", "ti2": "titanium-2", "aa2024": "2024", "aa6061": "6061",
    "aa7075": "7075", "aa5083": "5083", "aa1100": "1100", "ti64": "Ti-6Al-4V",
}  # fmt: skip


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def alloy(name: str) -> tuple[str, Alloy]:
    """Look an alloy up by name; capitals, spaces and hyphens do not matter.

    Returns
    -------
    str, Alloy
        Its name in `ALLOYS`, and the record.

    Raises
    ------
    InputError
        It is not known.
    """
    known = {_plain(key): key for key in ALLOYS}
    found = known.get(_plain(name)) or _ALSO.get(_plain(name))
    if found is None:
        raise InputError(
            f"no alloy is known as {name!r}",
            f"one of {', '.join(ALLOYS)}; or give --equivalent-weight and --density",
        )
    return found, ALLOYS[found]

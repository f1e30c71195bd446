"""Corrosion rate from a corrosion current density (ASTM G102)."""

from __future__ import annotations

from collections.abc import Mapping

from sorby.electrochem.alloys import ATOMIC_WEIGHTS, VALENCES, Alloy
from sorby.errors import InputError

#: mm g / (uA cm year), ASTM G102 eq. 4.
K1 = 3.27e-3


def equivalent_weight(
    composition: Mapping[str, float],
    dissolving: tuple[str, ...] | None = None,
    valences: Mapping[str, int] | None = None,
) -> float:
    """Return the equivalent weight 1 / sum(n f / W) of an alloy (ASTM G102 eq. 3).

    Parameters
    ----------
    composition : dict of str to float
        Mass per cent.
    dissolving : tuple of str, optional
        Elements that count; those of 1 % and more that have a valence where left out.
    valences : dict of str to int, optional
        Where they differ from the lowest ones of the standard.

    Raises
    ------
    InputError
        An element is unknown, has no valence, or nothing dissolves.

    Examples
    --------
    >>> round(equivalent_weight({"Fe": 100.0}), 2)
    27.92
    """
    table = {**VALENCES, **(valences or {})}
    if dissolving is None:
        dissolving = tuple(element for element, share in composition.items() if share >= 1 and element in table)
    unknown = [element for element in composition if element not in ATOMIC_WEIGHTS]
    silent = [element for element in dissolving if element not in table or element not in composition]
    if unknown or silent:
        raise InputError(
            f"no atomic weight, share or valence for {', '.join([*unknown, *silent])}", "check the composition"
        )
    electrons = sum(table[element] * composition[element] / 100 / ATOMIC_WEIGHTS[element] for element in dissolving)
    if electrons <= 0:
        raise InputError("nothing in this composition dissolves", "give mass per cent of the elements")
    return float(1 / electrons)


def alloy_equivalent_weight(alloy: Alloy) -> float:
    """Return the equivalent weight of a known alloy."""
    return equivalent_weight(alloy.composition, alloy.dissolving, alloy.valences)


def corrosion_rate_mm_y(icorr_a_cm2: float, equivalent_weight: float, density_g_cm3: float) -> float:
    """Return the penetration rate 3.27e-3 icorr EW / rho in mm a year, icorr in uA/cm2 (ASTM G102 eq. 4).

    Parameters
    ----------
    icorr_a_cm2 : float
        A/cm2.
    equivalent_weight, density_g_cm3 : float

    Raises
    ------
    InputError
        Equivalent weight or density is not above zero.

    Examples
    --------
    >>> round(corrosion_rate_mm_y(1e-6, 27.92, 7.86), 5)
    0.01162
    """
    if not (equivalent_weight > 0 and density_g_cm3 > 0):
        raise InputError(
            f"equivalent weight {equivalent_weight:g}, density {density_g_cm3:g} g/cm3", "both must be above zero"
        )
    return K1 * (icorr_a_cm2 * 1e6) * equivalent_weight / density_g_cm3

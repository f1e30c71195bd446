"""Activation energy of corrosion from corrosion currents at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sorby.errors import InputError

#: J / (mol K), exact since 2019 to the digits given.
GAS_CONSTANT = 8.314462618


@dataclass(frozen=True)
class Arrhenius:
    """A line through ln(icorr) over 1/T.

    Attributes
    ----------
    activation_energy_kj_mol : float
    ci95 : (float, float) or None
        By t with n - 2 degrees of freedom; None for two temperatures.
    ln_prefactor : float
        ln of A/cm2.
    r_squared : float
    n : int
    """

    activation_energy_kj_mol: float
    ci95: tuple[float, float] | None
    ln_prefactor: float
    r_squared: float
    n: int


def fit_arrhenius(temperature_k: Sequence[float], icorr_a_cm2: Sequence[float]) -> Arrhenius:
    """Fit ln(icorr) = ln(A) - E / (R T) by least squares.

    Parameters
    ----------
    temperature_k, icorr_a_cm2 : sequence of float
        At least two different temperatures.

    Raises
    ------
    InputError
        Fewer than two temperatures, or a value that is not above zero.

    Examples
    --------
    >>> round(fit_arrhenius([303, 313, 323], [5.420e-5, 7.466e-5, 9.611e-5]).activation_energy_kj_mol, 1)
    23.3
    """
    kelvin, current = np.asarray(temperature_k, dtype=float), np.asarray(icorr_a_cm2, dtype=float)
    if kelvin.shape != current.shape or not (np.all(kelvin > 0) and np.all(current > 0)):
        raise InputError("a temperature or corrosion current is not above zero", "give kelvin and A/cm2")
    if len(np.unique(kelvin)) < 2:
        raise InputError("one temperature has no activation energy", "give curves of two temperatures or more")
    inverse, logs = 1 / kelvin, np.log(current)
    x, y = inverse - inverse.mean(), logs - logs.mean()
    slope = float(np.sum(x * y) / np.sum(x**2))
    unexplained, total = float(np.sum((y - slope * x) ** 2)), float(np.sum(y**2))
    energy = -slope * GAS_CONSTANT / 1e3
    interval = None
    if len(kelvin) > 2:
        error = float(np.sqrt(unexplained / (len(kelvin) - 2) / np.sum(x**2))) * GAS_CONSTANT / 1e3
        reach = float(stdtrit(len(kelvin) - 2, 0.975)) * error
        interval = (energy - reach, energy + reach)
    return Arrhenius(
        energy,
        interval,
        float(logs.mean() - slope * inverse.mean()),
        1 - unexplained / total if total > 0 else 1.0,
        len(kelvin),
    )

"""How long N tiles take, from shorter measurements: the paper's proportion, and a fixed part plus a linear one.

Yan et al. (2023), eq. 1, extrapolate T_N = N / N_test * T_test. A measured time has a part that does not grow with N
(start, first transfer, the last batch), so a proportion from few tiles overestimates: the totals printed for 72, 324
and 900 tiles fall from 15.1 to 12.3 and 12.0 ms a tile. T(n) = a + b n describes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.errors import InputError

_PROPORTION_TOLD_APART = 0.05


def proportional_s(n: float, n_test: float, t_test_s: float) -> float:
    """Return the time of *n* tiles after eq. 1 of Yan et al. (2023): ``n / n_test * t_test_s``."""
    return n / n_test * t_test_s


@dataclass(frozen=True)
class TimingModel:
    """T(n) = fixed + each * n.

    Attributes
    ----------
    fixed_s, each_s : float
        The part that does not grow with n, and the time of one more tile.
    n : int
        Measurements fitted.
    ci95 : dict of str to (float, float) or None
        Of ``fixed_s`` and ``each_s``; None with two measurements, which a line always meets.
    """

    fixed_s: float
    each_s: float
    n: int
    ci95: dict[str, tuple[float, float]] | None
    _mean_n: float
    _spread_n: float
    _residual_s: float

    def predict(self, n: float) -> float:
        """Return the time of *n* tiles, seconds."""
        return self.fixed_s + self.each_s * n

    def interval(self, n: float) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean time of *n* tiles; None where there is none."""
        if self.ci95 is None:
            return None
        from scipy import stats  # slow to load

        half = float(stats.t.ppf(0.975, self.n - 2)) * self._residual_s
        half *= float(np.sqrt(1 / self.n + (n - self._mean_n) ** 2 / self._spread_n))
        return self.predict(n) - half, self.predict(n) + half

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        ci95 = None if self.ci95 is None else {name: list(bounds) for name, bounds in self.ci95.items()}
        return {"fixed_s": self.fixed_s, "each_ms": 1000 * self.each_s, "n": self.n, "ci95_s": ci95}


def fit_timing(n: Sequence[float], seconds: Sequence[float]) -> TimingModel:
    """Fit a fixed and a linear part by least squares.

    Parameters
    ----------
    n : sequence of float
        Tiles of each measurement; at least two different numbers.
    seconds : sequence of float

    Returns
    -------
    TimingModel

    Raises
    ------
    InputError
        Unequal numbers of values, values that are not positive, or tiles of one number only.
    """
    tiles, times = np.asarray(n, np.float64), np.asarray(seconds, np.float64)
    if len(tiles) != len(times):
        raise InputError(f"{len(tiles)} numbers of tiles, but {len(times)} times", "give one time for each number")
    if (tiles <= 0).any() or (times <= 0).any():
        raise InputError("a measured number of tiles or time is not above zero", "leave it out")
    if len(np.unique(tiles)) < 2:
        raise InputError("a fixed and a linear part need times of at least two numbers of tiles", "measure another")
    from scipy import stats  # slow to load

    fit = stats.linregress(tiles, times)
    count = len(tiles)
    spread = float(((tiles - tiles.mean()) ** 2).sum())
    ci95 = None
    residual = 0.0
    if count > 2:
        t = float(stats.t.ppf(0.975, count - 2))
        residual = float(np.sqrt(((times - fit.intercept - fit.slope * tiles) ** 2).sum() / (count - 2)))
        ci95 = {
            "fixed_s": (
                float(fit.intercept - t * fit.intercept_stderr),
                float(fit.intercept + t * fit.intercept_stderr),
            ),
            "each_s": (float(fit.slope - t * fit.stderr), float(fit.slope + t * fit.stderr)),
        }
    return TimingModel(
        float(fit.intercept), float(fit.slope), count, ci95, float(tiles.mean()), spread, residual
    )  # fmt: skip


def difference_note(n: float, n_test: float, t_test_s: float, model: TimingModel) -> str:
    """Say in one line where the paper's proportion and the model differ; empty where they hardly do."""
    proportion, modelled = proportional_s(n, n_test, t_test_s), model.predict(n)
    if abs(proportion / modelled - 1) < _PROPORTION_TOLD_APART:
        return ""
    share = f"{abs(proportion / modelled - 1):.0%} {'more' if proportion > modelled else 'less'}"
    return (
        f"the proportion from {n_test:g} tiles gives {proportion:.1f} s for {n:g}, {share} than the fitted "
        f"{modelled:.1f} s: it takes the {model.fixed_s:.2f} s that do not grow with the number of tiles for a part of "
        "each tile"
    )

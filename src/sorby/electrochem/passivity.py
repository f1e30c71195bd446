"""Passive branches: anodic currents that stop rising with potential."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import median_filter

from sorby.electrochem.corrosion_potential import CorrosionPotential
from sorby.electrochem.polarisation_curve import Sweep

_BIN_MV = 5.0
_STRETCH_MV = 100.0
# Current through a mere resistance grows by half over such a stretch; a passive film's stays within a quarter.
_LENGTHENING = 1.5
_GROWTH = 1.25


@dataclass(frozen=True)
class PassiveBranch:
    """An anodic branch on which the current hardly rises or falls.

    Attributes
    ----------
    from_v, to_v : float
        The stretch.
    density_a_cm2 : float
        Median anodic current density there.
    peak_a_cm2 : float or None
        Of the active nose before it, where the current fell by half or more.
    """

    from_v: float
    to_v: float
    density_a_cm2: float
    peak_a_cm2: float | None


def find_passive_branch(sweep: Sweep, ecorr: CorrosionPotential) -> PassiveBranch | None:
    """Look for passivity above the corrosion potential.

    Parameters
    ----------
    sweep : Sweep
    ecorr : CorrosionPotential

    Returns
    -------
    PassiveBranch or None
        A stretch of 100 mV or more, and long enough that a resistance would pass half as much current again, over
        which the current grows by less than a quarter. A diffusion-limited anodic branch looks the same: such a
        branch has no Tafel slope either.
    """
    potential, density = sweep.ascending()
    over_mv = 1e3 * (potential - ecorr.potential_v)
    above = over_mv > 2 * _BIN_MV
    if above.sum() < 20 or over_mv.max() < _STRETCH_MV:
        return None
    steady = median_filter(density[above], size=5, mode="nearest")
    bins = (over_mv[above] // _BIN_MV).astype(np.int64)
    _, first = np.unique(bins, return_index=True)
    edges = np.append(first, len(bins))
    level = np.array([np.median(steady[a:b]) for a, b in pairwise(edges)])
    place = np.array([np.median(over_mv[above][a:b]) for a, b in pairwise(edges)])
    best: tuple[int, int] | None = None
    for start in np.flatnonzero(level > 0):
        long_enough = (place >= place[start] + _STRETCH_MV) & (place >= _LENGTHENING * place[start])
        # The whole stretch has to stay low, not only its far end.
        running = np.maximum.accumulate(level[start:])
        ends = np.flatnonzero(long_enough[start:] & (running <= _GROWTH * level[start])) + start
        if ends.size and (best is None or place[ends[-1]] - place[start] > place[best[1]] - place[best[0]]):
            best = int(start), int(ends[-1])
    if best is None:
        return None
    stretch = level[best[0] : best[1] + 1]
    anodic = stretch[stretch > 0]
    typical = float(np.median(anodic))
    peak = float(level[: best[1] + 1].max())
    return PassiveBranch(
        ecorr.potential_v + float(place[best[0]]) / 1e3,
        ecorr.potential_v + float(place[best[1]]) / 1e3,
        typical,
        peak if peak >= 2 * typical else None,
    )

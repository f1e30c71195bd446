"""Defects that recur at one distance along the web: a roller marks it, and its circumference is that distance.

How chance is reckoned with. Two defects of one track (close to each other across the web) propose a period. From
there on every multiple of it is a slot; a defect within the tolerance of where the last hit predicts it is a hit. Were
the defects scattered at random along the track with the density seen in the span, a slot would be hit with probability
q = 1 - exp(-2 tolerance density), independently of the others; the probability of k - 2 or more hits among the J - 2
slots that the pair does not fill itself is a binomial tail. Any pair may propose, three tolerances are tried (the
stated one, its half and its quarter), and a chain may begin and end at any slot, so the tail is multiplied by the
number of pairs of all tracks, by three and by the square of the number of slots (Bonferroni). The result is an upper
bound for the chance that a roll without any repeating defect shows one as convincing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_NEIGHBOURS = 64  # pairs are formed with so many successors of a track
_CANDIDATES = 24  # periods followed up for each track
_MISSES = 6  # slots in a row without a hit end a chain
_LEAST_LOG = -690.0  # of a probability that a float still holds
_FINER = (1, 2, 4)  # the tolerance and parts of it are tried: the marks of many a roller hardly scatter
_STARTS = 4  # pairs of a period from which a chain is begun


@dataclass(frozen=True)
class RepeatSearch:
    """What counts as recurring.

    Attributes
    ----------
    along_tolerance_mm : float
        A recurrence may come so much early or late: slip, stretch and the size of a cell.
    across_tolerance_mm : float
        And so far to the side: weave of the web.
    least_period_mm, most_period_mm : float
        Circumferences of rollers there may be.
    least : int
        Recurrences needed, three or more.
    p_value : float
        Larger chances are not reported.
    resolution_mm : float
        Positions are known to this step only (a cell of the map); the interval of a period is at least what this
        rounding alone would give.
    """

    along_tolerance_mm: float = 2.0
    across_tolerance_mm: float = 3.0
    least_period_mm: float = 50.0
    most_period_mm: float = 4000.0
    least: int = 4
    p_value: float = 0.01
    resolution_mm: float = 0.0

    def as_dict(self) -> dict[str, float | int]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Repeat:
    """Defects that recur.

    Attributes
    ----------
    period_mm : float
        Distance along the web: the circumference of the roller.
    ci95 : (float, float)
        Of the period: least squares over the recurrences, t quantiles. Slip that adds up makes it too narrow.
    diameter_mm : float
        Period / pi.
    count, slots : int
        Recurrences seen among those there could have been from the first to the last.
    along_from_mm, along_to_mm, across_mm : float
    p_value : float
        Upper bound for the chance, see the module.
    members : tuple of int
        Indices of the defects, ascending along the web.
    """

    period_mm: float
    ci95: tuple[float, float]
    diameter_mm: float
    count: int
    slots: int
    along_from_mm: float
    along_to_mm: float
    across_mm: float
    p_value: float
    members: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object without the members."""
        found = asdict(self)
        found["ci95"] = {"period_mm": list(self.ci95)}
        del found["members"]
        return found


def find_repeats(along_mm: _Floats, across_mm: _Floats, search: RepeatSearch | None = None) -> list[Repeat]:
    """Find defects that recur at a constant distance.

    Parameters
    ----------
    along_mm, across_mm : ndarray, shape (n,)
        Centres of defects.
    search : RepeatSearch, optional

    Returns
    -------
    list of Repeat
        The least probable by chance first; no defect belongs to two.
    """
    search = search or RepeatSearch()
    searches = [replace(search, along_tolerance_mm=search.along_tolerance_mm / part) for part in _FINER]
    tracks = [track for track in _tracks(along_mm, across_mm, search) if len(track) >= search.least]
    looks = len(searches) * sum(_pair_count(along_mm[track], search) for track in tracks)
    found: list[Repeat] = []
    taken = np.zeros(len(along_mm), bool)
    while True:
        chains = [_best_chain(along_mm, across_mm, track[~taken[track]], looks, searches) for track in tracks]
        best = min((chain for chain in chains if chain), key=lambda chain: chain.p_value, default=None)
        if best is None or best.p_value > search.p_value:
            return found
        found.append(best)
        taken[list(best.members)] = True
        # A track without a chain now has none later, with fewer defects.
        tracks = [track for track, chain in zip(tracks, chains, strict=True) if chain is not None]


def _tracks(along_mm: _Floats, across_mm: _Floats, search: RepeatSearch) -> list[_Ints]:
    """Return overlapping bands along the web, each the indices of its defects in order along the web.

    Bands are two tolerances wide and begin a tolerance apart, so that defects within a tolerance share one.
    """
    width = search.across_tolerance_mm
    order = np.argsort(along_mm, kind="stable")
    band = np.floor(across_mm[order] / width).astype(np.int64)
    starts = np.unique(np.concatenate([band, band - 1]))
    tracks = [order[(band == start) | (band == start + 1)] for start in starts]
    distinct = {tuple(track.tolist()): track for track in tracks}
    return list(distinct.values())


def _pair_count(x: _Floats, search: RepeatSearch) -> int:
    high = np.searchsorted(x, x + search.most_period_mm, side="right")
    low = np.searchsorted(x, x + search.least_period_mm, side="left")
    return int(np.maximum(high - low, 0).sum())


def _proposals(x: _Floats, search: RepeatSearch) -> list[tuple[int, float]]:
    """Return the commonest distances of a track, with some of the defects that have a successor at each of them."""
    first: list[_Ints] = []
    distance: list[_Floats] = []
    for lag in range(1, min(_NEIGHBOURS, len(x) - 1) + 1):
        apart = x[lag:] - x[:-lag]
        inside = (apart >= search.least_period_mm) & (apart <= search.most_period_mm)
        first.append(np.flatnonzero(inside))
        distance.append(apart[inside])
    start, apart = np.concatenate(first), np.concatenate(distance)
    if len(apart) == 0:
        return []
    order = np.argsort(apart, kind="stable")
    start, apart = start[order], apart[order]
    # How many pairs lie within a tolerance: the centre of a crowd is a period.
    tolerance = search.along_tolerance_mm
    crowd = np.searchsorted(apart, apart + tolerance, side="right") - np.searchsorted(apart, apart - tolerance)
    proposals: list[tuple[int, float]] = []
    periods = 0
    free = np.ones(len(apart), bool)
    for index in np.argsort(-crowd, kind="stable"):
        if not free[index]:
            continue
        near = np.abs(apart - apart[index]) <= tolerance
        free &= ~near
        period, starts = float(np.median(apart[near])), np.sort(start[near])
        some = starts[np.linspace(0, len(starts) - 1, min(_STARTS, len(starts))).astype(int)]
        proposals += [(int(each), period) for each in np.unique(some)]
        periods += 1
        if periods == _CANDIDATES:
            break
    return proposals


def _best_chain(
    along_mm: _Floats, across_mm: _Floats, track: _Ints, looks: int, searches: Sequence[RepeatSearch]
) -> Repeat | None:
    """Return the chain of a track that chance explains worst; None where it has none long enough."""
    if len(track) < searches[0].least:
        return None
    x, y = along_mm[track], across_mm[track]
    best: Repeat | None = None
    for search in searches:  # a finer tolerance only where the stated one shows nothing: it loses members
        chains = []
        for start, period in _proposals(x, search):
            hits, slots = _follow(x, y, start, period, search)
            if len(hits) >= search.least:
                chains.append(_describe(x, y, track, hits, slots, looks, search))
        if best is not None:
            chains.append(best)
        best = min(chains, key=lambda chain: (chain.p_value, -chain.count), default=None)
        if best is not None and best.p_value <= search.p_value:
            break
    return best


def _follow(x: _Floats, y: _Floats, start: int, period: float, search: RepeatSearch) -> tuple[list[int], list[int]]:
    """Walk from hit to hit to both sides, learning the period on the way; return the hits and their slots."""
    hits, slots = _walk(x, y, start, period, search)
    if len(hits) > 1:
        period = (x[hits[-1]] - x[start]) / slots[-1]
    back, back_slots = _walk(-x, y, start, period, search)
    return back[:0:-1] + hits, [-slot for slot in back_slots[:0:-1]] + slots


def _walk(x: _Floats, y: _Floats, start: int, period: float, search: RepeatSearch) -> tuple[list[int], list[int]]:
    """Walk towards larger *x*."""
    hits, slots, missed, last = [start], [0], 0, x.max() + search.along_tolerance_mm
    while missed < _MISSES:
        expected = x[hits[-1]] + (missed + 1) * period
        if expected > last:
            break
        near = np.flatnonzero(np.abs(x - expected) <= search.along_tolerance_mm)
        near = near[np.abs(y[near] - np.median(y[hits])) <= search.across_tolerance_mm]
        if len(near) == 0:
            missed += 1
            continue
        hits.append(int(near[np.argmin(np.abs(x[near] - expected))]))
        slots.append(slots[-1] + missed + 1)
        missed = 0
        period = (x[hits[-1]] - x[hits[0]]) / slots[-1]
    return hits, slots


def _describe(
    x: _Floats, y: _Floats, track: _Ints, hits: list[int], slots: list[int], looks: int, search: RepeatSearch
) -> Repeat:
    from scipy import stats  # slow to load, and only needed where something recurs

    fit = stats.linregress(slots, x[hits])
    period, n = float(fit.slope), len(hits)
    rounding = search.resolution_mm / np.sqrt(12 * np.var(slots) * n)
    margin = float(stats.t.ppf(0.975, n - 2) * max(fit.stderr, rounding))
    span = float(x[hits[-1]] - x[hits[0]])
    inside = int(np.count_nonzero((x >= x[hits[0]]) & (x <= x[hits[-1]])))
    q = 1 - np.exp(-2 * search.along_tolerance_mm * inside / span)
    looked_at = slots[-1] - slots[0] + 1
    log_tail = float(stats.binom.logsf(n - 3, looked_at - 2, q))
    log_p = max(log_tail + np.log(max(looks, 1)) + 2 * np.log(looked_at), _LEAST_LOG)
    return Repeat(
        period_mm=round(period, 4),
        ci95=(round(period - margin, 4), round(period + margin, 4)),
        diameter_mm=round(period / np.pi, 4),
        count=n,
        slots=looked_at,
        along_from_mm=round(float(x[hits[0]]), 3),
        along_to_mm=round(float(x[hits[-1]]), 3),
        across_mm=round(float(np.median(y[hits])), 3),
        p_value=float(f"{min(1.0, float(np.exp(log_p))):.3g}"),
        members=tuple(int(each) for each in track[hits]),
    )

"""Which findings a person should name next: first unlike ones, then those whose name is in doubt.

References
----------
G. Hacohen, A. Dekel, D. Weinshall. Active learning on a budget: opposite strategies suit high and low budgets.
ICML 2022: typical examples of unlike groups first, doubtful ones once there are enough.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

_MOST_GROUPED = 4000  # findings that are grouped; beyond it a draw of them stands for all
_DOUBTFUL_SHARE = 0.5


def ask(
    directions: Floats,
    named: Indices,
    passed: Indices,
    count: int,
    *,
    probabilities: npt.NDArray[np.float64] | None = None,
    seed: int = 0,
) -> list[int]:
    """Choose findings to be named.

    Parameters
    ----------
    directions : ndarray, shape (n, d)
        See `sorby.workflow.detection.name_model.embedded`.
    named, passed : ndarray of int
        Findings that have a name, and those that nobody could name: neither is asked again.
    count : int
        How many are wanted; fewer where fewer are left.
    probabilities : ndarray, shape (n, C), optional
        Of the names so far. Without it all are chosen for being typical of unlike groups; with it, half of them for
        the smallest lead of the first name over the second, no two of one group.
    seed : int

    Returns
    -------
    list of int
        Typical ones first, those of large groups before those of small ones.
    """
    free = np.setdiff1d(np.arange(len(directions)), np.concatenate([named, passed]))
    if len(free) <= count:
        return [int(k) for k in free]
    group = _groups(directions, len(named) + count, seed)
    doubtful = 0 if probabilities is None else int(count * _DOUBTFUL_SHARE)
    chosen = _typical(directions, group, free, named, count - doubtful)
    if probabilities is not None:
        chosen += _in_doubt(probabilities, group, np.setdiff1d(free, chosen), count - len(chosen))
    rest = np.setdiff1d(free, chosen)
    chosen += [int(k) for k in np.random.default_rng([seed, 3]).permutation(rest)[: count - len(chosen)]]
    return chosen


def _groups(directions: Floats, count: int, seed: int) -> Indices:
    """Return the group of each finding, by k-means on directions."""
    rng = np.random.default_rng([seed, 1])
    some = directions
    if len(directions) > _MOST_GROUPED:
        some = directions[np.sort(rng.choice(len(directions), _MOST_GROUPED, replace=False))]
    means = KMeans(min(count, len(some)), n_init=3, random_state=int(rng.integers(2**31))).fit(some)
    return np.asarray(means.predict(directions), np.intp)


def _typical(directions: Floats, group: Indices, free: Indices, named: Indices, count: int) -> list[int]:
    """Return the findings nearest the middle of groups in which nothing is named yet, large groups first."""
    sizes = np.bincount(group)
    sizes[np.unique(group[named])] = 0
    chosen: list[int] = []
    for each in np.argsort(-sizes, kind="stable"):
        members = free[group[free] == each]
        if len(chosen) == count or not sizes[each]:
            break
        if len(members):
            middle = directions[group == each].mean(0)
            chosen.append(int(members[np.argmax(directions[members] @ middle)]))
    return chosen


def _in_doubt(probabilities: npt.NDArray[np.float64], group: Indices, free: Indices, count: int) -> list[int]:
    """Return the findings with the smallest lead of the first name over the second, one of a group."""
    first_two = -np.sort(-probabilities[free], axis=1)[:, :2]
    lead = first_two[:, 0] - (first_two[:, 1] if first_two.shape[1] > 1 else 0.0)
    chosen: list[int] = []
    taken: set[int] = set()
    for k in free[np.argsort(lead, kind="stable")]:
        if len(chosen) == count:
            break
        if int(group[k]) not in taken:
            taken.add(int(group[k]))
            chosen.append(int(k))
    return chosen

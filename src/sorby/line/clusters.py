"""Defects that lie together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cluster:
    """Defects closer to each other than to the rest.

    Attributes
    ----------
    number : int
        Counted from 1 along the web.
    count : int
    along_from_mm, along_to_mm, across_from_mm, across_to_mm : float
        Box around their centres.
    """

    number: int
    count: int
    along_from_mm: float
    along_to_mm: float
    across_from_mm: float
    across_to_mm: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def find_clusters(
    along_mm: _Floats, across_mm: _Floats, *, reach_mm: float = 10.0, least: int = 5
) -> tuple[_Ints, list[Cluster]]:
    """Group defects whose centres lie densely (DBSCAN, Ester et al. 1996).

    Parameters
    ----------
    along_mm, across_mm : ndarray, shape (n,)
    reach_mm : float
        Neighbours lie within this distance.
    least : int
        Neighbours, itself included, that make a defect the core of a cluster.

    Returns
    -------
    labels : ndarray of int, shape (n,)
        Number of the cluster of each defect, 0 for none.
    clusters : list of Cluster
    """
    if len(along_mm) < least:
        return np.zeros(len(along_mm), np.int64), []
    from sklearn.cluster import DBSCAN  # slow to load, and only needed at the end of a roll

    points = np.stack([along_mm, across_mm], axis=1)
    found = DBSCAN(eps=reach_mm, min_samples=least).fit_predict(points)
    names = sorted(set(found.tolist()) - {-1}, key=lambda name: along_mm[found == name].min())
    labels = np.zeros(len(found), np.int64)
    clusters = []
    for number, name in enumerate(names, start=1):
        inside = found == name
        labels[inside] = number
        x, y = along_mm[inside], across_mm[inside]
        bounds = [round(float(value), 3) for value in (x.min(), x.max(), y.min(), y.max())]
        clusters.append(Cluster(number, int(inside.sum()), *bounds))
    return labels, clusters

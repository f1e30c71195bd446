"""How often the truth is in the set, and how much the sets say: measured, by specimen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import BoolArray
from sorby.evidence.calibration import checked
from sorby.evidence.intervals import (
    Estimate,
    bootstrap_estimate,
    cluster_bootstrap,
    proportion,
    specimen_index,
    sum_by_group,
    wilson,
)


def coverage(
    sets: npt.ArrayLike, labels: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Measure how often the truth is in the set, with a 95 % interval.

    Parameters
    ----------
    sets : array_like of bool, shape (N, C)
    labels : array_like of int, shape (N,)
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed : int
        Seed of the bootstrap by specimen.

    Returns
    -------
    Estimate
        Wilson for independent images, else bootstrap by specimen.
    """
    inside, codes = checked(np.asarray(sets, dtype=np.float64), labels)
    return share(inside[np.arange(codes.size), codes] > 0, groups, seed)


def describe_sets(
    sets: npt.ArrayLike, labels: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0
) -> dict[str, Any]:
    """Measure coverage, overall and by class, and how much the sets say.

    Parameters
    ----------
    sets : array_like of bool, shape (N, C)
    labels : array_like of int, shape (N,)
    groups : array_like, shape (N,), optional
    seed : int

    Returns
    -------
    dict
        `coverage`, `mean_size`, `single` (share of sets with one class), `empty` as `Estimate`,
        `per_class` a list with the coverage of each class (None where a class is absent).
    """
    inside, codes = checked(np.asarray(sets, dtype=np.float64), labels)
    size = inside.sum(axis=1)
    index, n_groups = specimen_index(groups, codes.size)
    sums = sum_by_group(np.stack([size, np.ones_like(size)], axis=1), index, n_groups)
    samples = cluster_bootstrap(sums, lambda total: total[:, 0] / total[:, 1], seed=seed)
    per_class = [
        coverage(inside[codes == c], codes[codes == c], index[codes == c], seed) if np.any(codes == c) else None
        for c in range(inside.shape[1])
    ]
    return {
        "coverage": coverage(inside, codes, groups, seed),
        "mean_size": bootstrap_estimate(float(size.mean()), samples, codes.size, n_groups),
        "single": share(size == 1, groups, seed),
        "empty": share(size == 0, groups, seed),
        "per_class": per_class,
    }


def share(hit: BoolArray, groups: npt.ArrayLike | None = None, seed: int = 0) -> Estimate:
    """Share of the images that something holds for, with a 95 % interval.

    Parameters
    ----------
    hit : ndarray of bool, shape (N,)
    groups : array_like, shape (N,), optional
        Specimen of each image.
    seed : int
        Seed of the bootstrap by specimen.

    Returns
    -------
    Estimate
        Wilson for independent images, bootstrap by specimen else, Wilson over specimens where that is flat.
    """
    index, n_groups = specimen_index(groups, hit.size)
    if n_groups == hit.size:
        return proportion(int(hit.sum()), hit.size)
    sums = sum_by_group(np.stack([hit, np.ones(hit.size)], axis=1).astype(np.float64), index, n_groups)
    samples = cluster_bootstrap(sums, lambda total: total[:, 0] / total[:, 1], seed=seed)
    estimate = bootstrap_estimate(float(hit.mean()), samples, hit.size, n_groups)
    if estimate.ci95 is None and n_groups > 1:
        bounds = wilson(n_groups * float(hit.mean()), n_groups)
        note = "the bootstrap shows no spread here"
        return Estimate(estimate.value, bounds, hit.size, f"Wilson over {n_groups} specimens", note)
    return estimate

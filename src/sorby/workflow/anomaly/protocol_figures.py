"""The figures of one run of a protocol, and what stands in the table for many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from sorby.evidence import t_interval
from sorby.evidence.defect_regions import paired
from sorby.evidence.false_alarms import region_false_alarms
from sorby.evidence.pixel_ranking import best_f1_threshold, image_auroc, rank_images
from sorby.evidence.printed_rounding import Kind, yan_rounding
from sorby.evidence.region_overlap import pro_auc, threshold_pro

Maps = Sequence[npt.NDArray[np.float32]]
Masks = Sequence[npt.NDArray[np.bool_] | None]

SHARED_DATA = "repeats share images and sheets: the interval is of these sheets and too narrow for others"


class RunFigures(TypedDict):
    """What one run found; shares of one unless the name says otherwise.

    ``threshold`` is a raw distance; ``false_regions`` counts called regions without a defect pixel, each image once.
    """

    image_auroc: float
    pixel_auroc: float
    pro_auc: float
    threshold: float
    pixel_f1: float
    threshold_pro_by_region: float
    threshold_pro_by_image: float
    false_regions: float
    false_regions_per_image: float
    image_specificity: float
    pixel_specificity: float


#: What a figure is called, and how Yan et al. round it; None for those that they do not print.
TITLES: dict[str, tuple[str, Kind | None]] = {
    "image_auroc": ("image ROC-AUC", "score"),
    "pixel_auroc": ("pixel ROC-AUC", "score"),
    "pro_auc": ("PRO-AUC", "score"),
    "threshold_pro_by_region": ("threshold PRO, by region", "score"),
    "inference_s": ("inference, s", "time"),
    "total_s": ("total, s", "time"),
    "threshold_pro_by_image": ("threshold PRO, by image", None),
    "outer_pro": ("outer threshold PRO, by image", "score"),
    "threshold": ("threshold, raw distance", None),
    "pixel_f1": ("best pixel F1", None),
    "false_regions": ("false-positive regions", None),
    "false_regions_per_image": ("false-positive regions an image", None),
    "image_specificity": ("image specificity", None),
    "pixel_specificity": ("pixel specificity", None),
}


def measure(maps: Maps, masks: Masks, weights: npt.ArrayLike, fpr_limit: float) -> RunFigures:
    """Measure one run: the threshold is that of best pixel F1 on these very images, as published.

    Parameters
    ----------
    maps : sequence of ndarray of float32, each (H, W)
        Raw distances; nothing is rescaled by the images under test, so that a threshold can leave them.
    masks : sequence of ndarray of bool (H, W), or None
    weights : array_like
        How often each image counts; 0 leaves it out of everything.
    fpr_limit : float
        Where the integration of PRO ends.
    """
    counted = np.asarray(weights, np.float64)
    rows = np.flatnonzero(counted).tolist()
    maps, masks, counted = [maps[k] for k in rows], [masks[k] for k in rows], counted[rows]
    images = paired(maps, masks, counted)
    ranking = rank_images(images)
    scores = np.array([each.max() for each in maps], np.float64)
    bad = np.array([mask is not None for mask in masks])
    best = best_f1_threshold(ranking)
    overlap = threshold_pro(maps, masks, best.threshold, counted)
    alarms = region_false_alarms(maps, masks, best.threshold)
    return RunFigures(
        image_auroc=image_auroc(scores, bad, counted),
        pixel_auroc=ranking.auroc(),
        pro_auc=pro_auc(ranking, fpr_limit=fpr_limit),
        threshold=best.threshold,
        pixel_f1=best.f1,
        threshold_pro_by_region=overlap.by_region,
        threshold_pro_by_image=overlap.by_image,
        false_regions=float(alarms.count),
        false_regions_per_image=alarms.per_image,
        image_specificity=alarms.image_specificity,
        pixel_specificity=alarms.pixel_specificity,
    )


def summary(values: Sequence[float], key: str, *, shared: bool = True) -> dict[str, Any]:
    """Return mean, t interval over runs, and both as Yan et al. would print them.

    Parameters
    ----------
    values : sequence of float
        One a run.
    key : str
        A key of `TITLES`; times and scores are rounded by different rules.
    shared : bool
        Whether the runs share images (repeated splits), rather than each testing another one (outer loop).

    Returns
    -------
    dict
        ``value``, ``mean``, ``sd``, ``ci95``, ``margin``, ``n`` (runs), ``printed``, ``note``.
    """
    found = t_interval(values)
    margin = None if found.ci95 is None else (found.ci95[1] - found.ci95[0]) / 2
    kind = TITLES[key][1]
    printed = None if kind is None else printed_as(*yan_rounding(found.value, margin, kind))
    note = "one run" if len(values) < 2 else SHARED_DATA if shared else "images of the same sheets"
    return {
        "value": _finite(found.value),
        "mean": _finite(found.value),
        "sd": _finite(found.sd),
        "ci95": None if found.ci95 is None else list(found.ci95),
        "margin": margin,
        "n": len(values),
        "printed": printed,
        "note": note,
    }


def printed_as(mean: float, margin: float | None) -> str:
    """Return ``0.90 ± 0.02``, or the mean alone."""
    return f"{mean:.2f}" if margin is None else f"{mean:.2f} ± {margin:.2f}"


def summarised(runs: Sequence[Mapping[str, Any]], *, shared: bool = True) -> dict[str, dict[str, Any]]:
    """Return `summary` of every figure that the runs have."""
    keys = [key for key in TITLES if runs and key in runs[0]]
    return {key: summary([float(run[key]) for run in runs], key, shared=shared) for key in keys}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

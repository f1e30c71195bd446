"""How uniform good material looks, measured before any model: bright spots are what false positives are made of."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from sorby.evidence.defect_regions import label_regions
from sorby.workflow.anomaly.sub_images import SubImages

_LOCAL_PX = 8.0  # scale on which brightness may change without being a spot
_BRIGHT = 5.0  # robust standard deviations above the surroundings


class Uniformity(TypedDict):
    """Baseline uniformity of good sub-images, in the network's pixels.

    ``texture`` is the standard deviation of grey about its surroundings, ``shading`` that of the sub-images' means,
    both in grey levels; ``spots_per_mpx`` counts bright regions; ``spots`` and ``rows`` are of each good sub-image.
    """

    texture: float
    shading: float
    spots_per_mpx: float
    n: int
    rows: list[int]
    spots: list[int]


def uniformity(subs: SubImages) -> Uniformity:
    """Measure the sub-images without a labelled defect.

    A spot is an 8-connected region that is brighter than its surroundings by five robust standard deviations of all
    good sub-images (Yan et al. 2023 blame specular spots for the weaker scores of their rougher sheets).

    Parameters
    ----------
    subs : SubImages
    """
    rows = np.flatnonzero(~subs.bad)
    images = subs.pixels[rows].mean(axis=3).astype(np.float32)
    above = images - gaussian_filter(images, (0, _LOCAL_PX, _LOCAL_PX), mode="nearest")
    spread = float(1.4826 * np.median(np.abs(above - np.median(above))))
    spots = [label_regions(each > _BRIGHT * max(spread, 0.5))[1] for each in above]
    return Uniformity(
        texture=spread,
        shading=float(images.mean(axis=(1, 2)).std()),
        spots_per_mpx=1e6 * float(np.sum(spots)) / images.size,
        n=len(rows),
        rows=rows.tolist(),
        spots=spots,
    )


def spots_predict_scores(found: Uniformity, scores: dict[int, list[float]]) -> dict[str, float | int | None]:
    """Return the rank correlation of a good sub-image's bright spots with its mean score over the runs.

    Parameters
    ----------
    found : Uniformity
    scores : dict of int to list of float
        Of tested sub-images, see `sorby.workflow.anomaly.protocols.ArmResult`.

    Returns
    -------
    dict
        ``rho`` (Spearman; None where fewer than five were tested or nothing varies), ``p``, ``n``.
    """
    pairs = [
        (n, float(np.mean(scores[row]))) for row, n in zip(found["rows"], found["spots"], strict=True) if row in scores
    ]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if len(table) < 5 or np.ptp(table[:, 0]) == 0 or np.ptp(table[:, 1]) == 0:
        return {"rho": None, "p": None, "n": len(table)}
    answer = spearmanr(table[:, 0], table[:, 1])
    return {"rho": float(answer.statistic), "p": float(answer.pvalue), "n": len(table)}

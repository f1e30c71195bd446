"""How sure an average precision is: images or whole specimens are drawn anew and the findings ranked anew.

Nothing is matched again: what a found box meets on an image does not depend on the other images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence._types import FloatArray
from sorby.evidence.detection_precision import Form, Ranking, precisions_by_form
from sorby.evidence.intervals import Estimate, bootstrap_estimate, resample_counts, specimen_index


@dataclass(frozen=True)
class BoxEstimate(Estimate):
    """A figure of detection with the boxes behind it.

    Attributes
    ----------
    boxes : int
        True boxes behind the figure; `n` are images.
    """

    boxes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON with `boxes`."""
        return {**super().as_dict(), "boxes": self.boxes}


@dataclass(frozen=True)
class Draws:
    """How images are drawn anew.

    Attributes
    ----------
    groups : array_like, shape (n_images,), or None
        Specimen of each image; specimens are drawn whole.
    resamples : int
        0 for no intervals.
    seed : int
    """

    groups: npt.ArrayLike | None = None
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class PrecisionSamples:
    """Average precision of each class and overlap, as measured and in each resample.

    Attributes
    ----------
    measured : ndarray, shape (C, T)
        NaN for a class without a box.
    drawn : ndarray, shape (B, C, T)
    """

    measured: FloatArray
    drawn: FloatArray

    def mean(self, classes: int | slice = slice(None), levels: int | slice = slice(None)) -> tuple[float, FloatArray]:
        """Return the mean over classes that have boxes and over overlaps, measured and in each resample."""
        both = np.concatenate([self.measured[None], self.drawn])[:, _span(classes)][:, :, _span(levels)]
        defined = ~np.isnan(both)
        number = defined.sum(axis=(1, 2))
        total = np.where(defined, both, 0.0).sum(axis=(1, 2))
        means = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
        return float(means[0]), means[1:]


def precision_samples(
    ranked: Sequence[Ranking], draws: Draws, forms: Sequence[Form] = ("coco",)
) -> list[PrecisionSamples]:
    """Return average precisions as measured and in each resample.

    Parameters
    ----------
    ranked : sequence of Ranking
        One a class.
    draws : Draws
    forms : sequence of {"coco", "voc07", "voc"}

    Returns
    -------
    list of PrecisionSamples
        One a form.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
    """
    measured = np.concatenate([precisions_by_form(each, forms) for each in ranked], axis=1)
    n_images = ranked[0].positives.size
    index, n_groups = specimen_index(draws.groups, n_images)
    if not draws.resamples or n_groups < 2:
        return [PrecisionSamples(each, np.full((draws.resamples, *each.shape), np.nan)) for each in measured]
    blocks = []
    for counts in resample_counts(n_groups, draws.resamples, draws.seed):
        weights = counts[:, index]
        blocks.append(np.stack([precisions_by_form(each, forms, weights) for each in ranked], axis=2))
    return [PrecisionSamples(*both) for both in zip(measured, np.concatenate(blocks, axis=1), strict=True)]


def box_estimate(
    value: float, samples: FloatArray, draws: Draws, n_images: int, boxes: int, *, behind: int | None = None
) -> BoxEstimate:
    """Turn resampled figures into an estimate.

    Parameters
    ----------
    value : float
    samples : ndarray, shape (B,)
    draws : Draws
    n_images, boxes : int
        Images that were drawn from, and boxes behind the figure.
    behind : int, optional
        Images behind the figure, where these are fewer.
    """
    n = n_images if behind is None else behind
    if not draws.resamples:
        return BoxEstimate(value, None, n, "no interval asked for", "", boxes)
    _, n_groups = specimen_index(draws.groups, n_images)
    found = bootstrap_estimate(value, samples, n_images, n_groups)
    return BoxEstimate(found.value, found.ci95, n, found.method, found.note, boxes)


def dictionaries(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return estimates by name as dictionaries fit for JSON."""
    return {name: each.as_dict() for name, each in estimates.items()}


def _span(which: int | slice) -> slice:
    return which if isinstance(which, slice) else slice(which, which + 1)

"""How well boundaries were found: Dice with a tolerance, intercept counts, and what a set of labels marks at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize

from sorby.errors import InputError
from sorby.measure.grain_counting import ISO_643_WEIGHTS, LineCount, count_along, parallel_lines
from sorby.measure.grain_fields import ANGLES

Mask = npt.NDArray[np.bool_]

_LINE_ELONGATION = 8.0  # spots cut by skeletons reach three, networks of boundaries hundreds


@dataclass(frozen=True)
class Overlap:
    """Counts behind a Dice coefficient; those of several images add up.

    Attributes
    ----------
    found_right, found : int
        Pixels found that lie within the tolerance of a true one; pixels found.
    true_met, true : int
        True pixels that lie within the tolerance of one found; true pixels.
    """

    found_right: int
    found: int
    true_met: int
    true: int

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(
            self.found_right + other.found_right,
            self.found + other.found,
            self.true_met + other.true_met,
            self.true + other.true,
        )

    @property
    def dice(self) -> float:
        """Share of all pixels, found and true, that have a partner; 1 where both are empty."""
        both = self.found + self.true
        return (self.found_right + self.true_met) / both if both else 1.0


def overlap(found: Mask, true: Mask, tolerance_px: float = 0.0) -> Overlap:
    """Compare two masks, forgiving displacements up to a tolerance.

    With tolerance 0 this is the Dice coefficient. Thin boundaries need a tolerance: a line one pixel wide and one
    pixel aside has Dice 0.

    Parameters
    ----------
    found, true : ndarray of bool, (H, W)
    tolerance_px : float
        Euclidean distance.

    Raises
    ------
    InputError
        Masks of two sizes.
    """
    if found.shape != true.shape:
        raise InputError(f"masks of {found.shape} and {true.shape} pixels cannot be compared", "use equal sizes")
    near_true, near_found = _within(true, tolerance_px), _within(found, tolerance_px)
    return Overlap(int((found & near_true).sum()), int(found.sum()), int((true & near_found).sum()), int(true.sum()))


def _within(mask: Mask, tolerance_px: float) -> Mask:
    if tolerance_px <= 0 or not mask.any():
        return mask
    near: Mask = ndimage.distance_transform_edt(~mask) <= tolerance_px
    return near


@dataclass(frozen=True)
class LabelGeometry:
    """What the masks of a training set mark.

    Attributes
    ----------
    marks : str
        ``lines`` or ``regions``.
    width_px : float
        Typical width: twice the mean distance of the middle line to the edge.
    elongation : float
        Median over objects of the length of the middle line over the width; boundary networks have tens, spots 1.
    """

    marks: str
    width_px: float
    elongation: float


def label_geometry(masks: Sequence[Mask]) -> LabelGeometry:
    """Say whether masks mark lines or regions, and how wide.

    Raises
    ------
    InputError
        Nothing is marked.
    """
    widths: list[float] = []
    ratios: list[float] = []
    weights: list[float] = []
    for mask in masks:
        # The frame cuts objects: what lies beyond it counts as marked, or a cut spot would look thin.
        inner = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
        middle = skeletonize(mask)
        parts, n = ndimage.label(mask, structure=np.ones((3, 3)))
        if n == 0:
            continue
        index = np.arange(1, n + 1)
        length = ndimage.sum_labels(middle, parts, index)
        depth = ndimage.sum_labels(inner * middle, parts, index) / np.maximum(length, 1)
        width = np.maximum(2 * depth - 1, 1.0)
        widths += width.tolist()
        ratios += (length / width).tolist()
        weights += length.tolist()
    if not widths:
        raise InputError("nothing is marked in any mask", "give masks that are above zero where something is")
    # Weighted by length: one network of boundaries outweighs the specks beside it.
    elongation = _weighted_median(np.array(ratios), np.array(weights))
    width_px = _weighted_median(np.array(widths), np.array(weights))
    return LabelGeometry("lines" if elongation >= _LINE_ELONGATION else "regions", width_px, elongation)


def _weighted_median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values)
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, running[-1] / 2)])


def mask_intersections(mask: Mask, lines_per_direction: int = 12) -> float:
    """Return how often test lines in four directions meet what a mask marks.

    Each passage through something marked counts once, whatever lies on both sides, and half where a line ends in it:
    for boundary lines it is the number of intersections, for spots the number of spots intercepted (N_L of E1245).

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
    lines_per_direction : int
    """
    labels = np.where(mask, 0, 1)
    total = LineCount()
    for angle in ANGLES:
        for line in parallel_lines((mask.shape[0], mask.shape[1]), angle, lines_per_direction):
            total += count_along(labels, line)
    # With one number for all that is not marked, each passage is a touch.
    return total.tangents + ISO_643_WEIGHTS.end_on_boundary * total.ends_on_boundary

"""What a threshold calls defective where nothing is: counted in regions, images and pixels.

The area under a curve hides what a line operator pays for; these figures say it at the threshold in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.evidence._types import IntArray
from sorby.evidence.defect_regions import MappedImage, Maps, Masks, label_regions, paired


@dataclass(frozen=True, eq=False)
class FalseAlarms:
    """False-positive regions and pixels at one threshold.

    Attributes
    ----------
    threshold : float
        Pixels that score as much or more are called defective.
    regions : ndarray of int64, shape (N,)
        For each image the called 8-connected regions that hold no defect pixel.
    good_images : ndarray of bool, shape (N,)
        Images without a defect.
    pixels : ndarray of int64, shape (N,)
        Pixels of each image.
    good_pixels, called_good_pixels : ndarray of int64, shape (N,)
        Good pixels of each image, and how many of them are called defective.
    """

    threshold: float
    regions: IntArray
    good_images: np.ndarray[Any, np.dtype[np.bool_]]
    pixels: IntArray
    good_pixels: IntArray
    called_good_pixels: IntArray

    @property
    def count(self) -> int:
        """False-positive regions in all images."""
        return int(self.regions.sum())

    @property
    def per_image(self) -> float:
        """False-positive regions an image, over all images."""
        return self.count / self.regions.size

    @property
    def per_mpx(self) -> float:
        """False-positive regions a million pixels, over all images."""
        return 1e6 * self.count / float(self.pixels.sum())

    @property
    def alarmed_good_images(self) -> int:
        """Good images with any called pixel."""
        return int((self.regions[self.good_images] > 0).sum())

    @property
    def image_specificity(self) -> float:
        """Share of the good images that stay silent; NaN without a good image."""
        good = int(self.good_images.sum())
        return 1.0 - self.alarmed_good_images / good if good else float("nan")

    @property
    def pixel_specificity(self) -> float:
        """Share of the good pixels that stay silent; NaN without a good pixel."""
        good = int(self.good_pixels.sum())
        return 1.0 - int(self.called_good_pixels.sum()) / good if good else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, fit for JSON; undefined ones are None."""
        good = int(self.good_images.sum())
        return {
            "threshold": self.threshold,
            "regions": self.count,
            "regions_per_image": self.per_image,
            "regions_per_mpx": self.per_mpx,
            "good_images": good,
            "good_images_alarmed": self.alarmed_good_images,
            "image_specificity": self.image_specificity if good else None,
            "pixel_specificity": self.pixel_specificity if self.good_pixels.any() else None,
        }


def region_false_alarms(maps: Maps, masks: Masks, threshold: float) -> FalseAlarms:
    """Count what is called defective without holding a single defect pixel.

    Parameters
    ----------
    maps : sequence of ndarray of float, each shape (h, w)
    masks : sequence of ndarray of bool, each shape (h, w), or None for a good image
    threshold : float
        Pixels that score as much or more are called defective.

    Returns
    -------
    FalseAlarms
        Each image counts once.

    Raises
    ------
    InputError
        If maps and masks do not fit.
    """
    images = paired(maps, masks)
    rows = np.array([_alarms(image, threshold) for image in images], dtype=np.int64)
    return FalseAlarms(
        threshold=float(threshold),
        regions=rows[:, 0],
        good_images=np.array([image.mask is None for image in images], dtype=bool),
        pixels=rows[:, 1],
        good_pixels=rows[:, 2],
        called_good_pixels=rows[:, 3],
    )


def false_regions(image: MappedImage, threshold: float) -> tuple[IntArray, IntArray]:
    """Return the labels of an image's called regions, and which of them hold no defect pixel.

    Parameters
    ----------
    image : MappedImage
    threshold : float

    Returns
    -------
    labels : ndarray of int64, shape (h, w)
        0 where nothing is called, 1 .. K in the called regions.
    false : ndarray of int64, shape (F,)
        Labels of the regions that hold no defect pixel.
    """
    labels, count = label_regions(image.scores >= threshold)
    true = np.zeros(count + 1, dtype=bool)
    true[0] = True
    if image.mask is not None:
        true[labels[image.mask]] = True
    return labels.astype(np.int64), np.flatnonzero(~true).astype(np.int64)


def _alarms(image: MappedImage, threshold: float) -> tuple[int, int, int, int]:
    """Count false regions, pixels, good pixels, called good pixels of one image."""
    pixels = image.scores.size
    called = image.scores >= threshold
    n_called = int(np.count_nonzero(called))
    bad = 0 if image.mask is None else int(np.count_nonzero(image.mask))
    hit = 0 if image.mask is None else int(np.count_nonzero(called & image.mask))
    regions = false_regions(image, threshold)[1].size if n_called else 0
    return regions, pixels, pixels - bad, n_called - hit

"""Binary thresholding: a pixel is strange if it is darker or brighter than good pixels are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from sorby.anomaly.comparators.grey_levels import TwoSidedScale, check_tail, good_images, grey
from sorby.errors import InputError
from sorby.evidence._types import Arrays

_LEVELS = np.arange(256, dtype=np.float64)


class IntensityThreshold:
    """Distance of a grey value from the good pixels' median, towards either side.

    A score of 1 is the threshold that the share `tail` of the good pixels reaches on that side. Slow changes of
    illumination over the web look like defects to it.

    Parameters
    ----------
    tail : float
        Share of the good pixels beyond each threshold.

    References
    ----------
    A. Yan, P. Rupnowski, N. Guba, A. Nag, Int. J. Hydrogen Energy 48(50) 18978 (2023), introduction: thresholds find
    debris on membranes, but miss faint slits and scuffs.
    """

    name: ClassVar[str] = "intensity-threshold"

    def __init__(self, tail: float = 1e-3) -> None:
        self.tail = check_tail(tail)
        self.scale: TwoSidedScale | None = None

    def fit(self, images: Iterable[npt.NDArray[np.uint8]]) -> Self:
        """Learn how grey good pixels are.

        Parameters
        ----------
        images : iterable of ndarray of uint8, each shape (H, W)
            Taken one at a time.

        Raises
        ------
        InputError
            If there is no image, or one is not 8-bit grey.
        """
        counts = np.zeros(256)
        for image in good_images(images):
            counts += np.bincount(image.ravel(), minlength=256)
        self.scale = TwoSidedScale.from_counts(counts, _LEVELS, self.tail)
        return self

    def maps(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Map images to scores.

        Parameters
        ----------
        images : ndarray of uint8, shape (N, H, W)

        Returns
        -------
        ndarray of float32, shape (N, H, W)

        Raises
        ------
        InputError
            If not fitted, or the images are not 8-bit grey.
        """
        if self.scale is None:
            raise InputError("the intensity threshold has not learned from good images yet")
        of_level = self.scale.scores(_LEVELS, least=1.0)
        return of_level[grey(images, 3, "images")]

    def arrays(self) -> Arrays:
        """Return what was set and learned: ``tail``, ``scale`` (centre, low, high)."""
        if self.scale is None:
            raise InputError("the intensity threshold has not learned from good images yet")
        return {"tail": np.array(self.tail), "scale": self.scale.as_array()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Return the comparator that `arrays` describes."""
        stored = cls(float(arrays["tail"]))
        stored.scale = TwoSidedScale(*(float(value) for value in arrays["scale"]))
        return stored

"""Adaptive thresholding: a pixel is strange if it differs from the Gaussian mean of its surroundings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from sorby.anomaly.comparators.grey_levels import TwoSidedScale, check_tail, good_images, grey
from sorby.errors import InputError
from sorby.evidence._types import Arrays

_STEP = 0.25  # grey levels; a finer histogram of residuals changes no threshold by more
_LEVELS = np.arange(-255.0, 255.0 + _STEP, _STEP)
_TRUNCATE = 3.0  # standard deviations of the window


class AdaptiveThreshold:
    """Difference of a grey value from the local Gaussian mean, beside the differences in good images.

    Slow shading cancels. A score of 1 is the difference that the share `tail` of the good pixels reaches on that
    side.

    Parameters
    ----------
    sigma_px : float
        Standard deviation of the Gaussian window. It should exceed the defect: what fills the window is its own
        mean.
    tail : float
        Share of the good pixels beyond each threshold.

    References
    ----------
    A. Yan, P. Rupnowski, N. Guba, A. Nag, Int. J. Hydrogen Energy 48(50) 18978 (2023), section 2.2.1, picks tiles with
    bright spots by it.
    """

    name: ClassVar[str] = "adaptive-threshold"

    def __init__(self, sigma_px: float = 12.0, tail: float = 1e-3) -> None:
        if not sigma_px > 0:
            raise InputError(f"the Gaussian window needs a width above 0 px, not {sigma_px}")
        self.sigma_px = float(sigma_px)
        self.tail = check_tail(tail)
        self.scale: TwoSidedScale | None = None

    def fit(self, images: Iterable[npt.NDArray[np.uint8]]) -> Self:
        """Learn how much good pixels differ from their surroundings.

        Parameters
        ----------
        images : iterable of ndarray of uint8, each shape (H, W)
            Taken one at a time.

        Raises
        ------
        InputError
            If there is no image, or one is not 8-bit grey.
        """
        counts = np.zeros(_LEVELS.size)
        for image in good_images(images):
            place = np.rint((self._residual(image) + 255.0) / _STEP).astype(np.int64)
            counts += np.bincount(place.ravel(), minlength=_LEVELS.size)
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
            raise InputError("the adaptive threshold has not learned from good images yet")
        return self.scale.scores(self._residual(grey(images, 3, "images")), least=1.0)

    def _residual(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Grey value less the local mean, shape as given, -255 to 255."""
        pixels = images.astype(np.float32)
        width = (*(0.0,) * (pixels.ndim - 2), self.sigma_px, self.sigma_px)
        local = gaussian_filter(pixels, width, mode="nearest", truncate=_TRUNCATE)
        return np.asarray(np.clip(pixels - local, -255.0, 255.0), dtype=np.float32)

    def arrays(self) -> Arrays:
        """Return what was set and learned: ``sigma_px``, ``tail``, ``scale`` (centre, low, high)."""
        if self.scale is None:
            raise InputError("the adaptive threshold has not learned from good images yet")
        return {
            "sigma_px": np.array(self.sigma_px),
            "tail": np.array(self.tail),
            "scale": self.scale.as_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Return the comparator that `arrays` describes."""
        stored = cls(float(arrays["sigma_px"]), float(arrays["tail"]))
        stored.scale = TwoSidedScale(*(float(value) for value in arrays["scale"]))
        return stored

"""What an attribution method returns: maps with the numbers needed to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from sorby.errors import InputError

FloatArray = npt.NDArray[np.float32]
ScoreKind = Literal["logit", "margin"]
"""What is explained: the target's logit, or its lead over the mean of the other logits.

Adding the same function to every logit changes no probability but changes each logit, so a map of the plain
logit depends on how the head was written (a binary head exported as logits ``(0, z)`` has nothing to explain for
class 0). The margin does not.
"""


@dataclass(frozen=True, eq=False)
class Attribution:
    """Non-negative maps of N images, each divided by its own peak.

    A map is divided by its peak and not stretched from its minimum: an evenly spread map stays evenly bright.

    Attributes
    ----------
    maps : ndarray of float32, shape (N, H, W)
        0 to 1 at the resolution of the model's input. All zero where nothing speaks for the target (`blank`).
    peaks : ndarray of float64, shape (N,)
        Largest value of each map before the division, in units of the score.
    targets : ndarray of int64, shape (N,)
        The class each map explains.
    scores : ndarray of float64, shape (N,)
        The explained score of that class.
    method : str
        Name of the method with the settings that matter.
    layers : tuple of str
        Names of the layers read; empty for gradient-free methods.
    passes : int
        Forward passes spent on each image.
    """

    maps: FloatArray
    peaks: npt.NDArray[np.float64]
    targets: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    method: str
    layers: tuple[str, ...] = ()
    passes: int = 1

    @property
    def blank(self) -> npt.NDArray[np.bool_]:
        """Which images have no positive evidence at all, shape (N,)."""
        return self.peaks <= 0

    @classmethod
    def from_signed(
        cls,
        signed: FloatArray,
        targets: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        method: str,
        layers: tuple[str, ...] = (),
        passes: int = 1,
    ) -> Attribution:
        """Keep the positive part of *signed* (N, H, W) and divide each map by its peak."""
        positive = np.maximum(signed, 0)
        peaks = positive.max(axis=(1, 2)).astype(np.float64)
        divisor = np.where(peaks > 0, peaks, 1.0).astype(np.float32)
        maps = (positive / divisor[:, None, None]).astype(np.float32)
        return cls(maps, peaks, targets, scores, method, layers, passes)


@dataclass(frozen=True, eq=False)
class Contribution:
    """A score taken apart by location: the mean of each map is the score.

    Attributes
    ----------
    maps : ndarray of float32, shape (N, H, W)
        Signed, in units of the score: what the score would be if the whole image were like this place.
        ``maps.mean(axis=(1, 2)) == scores`` up to rounding.
    scores : ndarray of float64, shape (N,)
        The explained score.
    rest : ndarray of float64, shape (N,)
        What belongs to no location (bias, standardisation), spread evenly over the map. For a head that is linear
        in means and standard deviations of the layers it is the same for every image of a target; if it varies
        between images, the head is something else and the maps are first order only.
    parts : ndarray of float64, shape (N, L, 2)
        Share of each layer through its channel means [..., 0] and through their spread [..., 1];
        ``parts.sum(axis=(1, 2)) + rest == scores``.
    targets : ndarray of int64, shape (N,)
        The class each map explains.
    layers : tuple of str
        Names of the L layers, in the order of `parts`.
    """

    maps: FloatArray
    scores: npt.NDArray[np.float64]
    rest: npt.NDArray[np.float64]
    parts: npt.NDArray[np.float64]
    targets: npt.NDArray[np.int64]
    layers: tuple[str, ...]

    def relative_to(self, *references: Contribution) -> Contribution:
        """Subtract the mean map of reference images, target by target.

        Zero padding makes the border of every image unusual to a network, and a spread part shows it. What all
        images share says nothing about one of them: against reference images (a sample of the training set, all
        classes) the border cancels, and the maps say where an image differs from the average one. Scores, rest
        and parts become differences as well, so the sums still hold.

        Parameters
        ----------
        *references : Contribution
            Same model, layers, kind of score and input size; together they must explain each target that
            occurs here (one call of `linear_contribution` on the reference images for each target).

        Raises
        ------
        InputError
            If layers or sizes differ, or a target is missing.
        """
        shape = self.maps.shape[1:]
        if any(other.layers != self.layers or other.maps.shape[1:] != shape for other in references):
            raise InputError("the reference has other layers or another size", "explain it in the same way")
        known = np.concatenate([other.targets for other in references] or [np.empty(0, np.int64)])
        classes, which = np.unique(self.targets, return_inverse=True)
        missing = np.setdiff1d(classes, known)
        if missing.size:
            raise InputError(f"no reference explains target {missing[0]}", "give one for each target")

        def mean(values: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
            pooled = np.concatenate(values)
            return np.stack([pooled[known == target].mean(0) for target in classes])[which]

        return Contribution(
            maps=self.maps - mean([other.maps for other in references]),
            scores=self.scores - mean([other.scores for other in references]),
            rest=self.rest - mean([other.rest for other in references]),
            parts=self.parts - mean([other.parts for other in references]),
            targets=self.targets,
            layers=self.layers,
        )

    def positive(self, smooth_px: float = 0.0) -> Attribution:
        """Return what speaks for the target, 0 to 1, for overlays and coverage.

        Parameters
        ----------
        smooth_px : float
            Standard deviation in pixels of a Gaussian applied to the signed maps first. Squared deviations of an
            early stage are spiky; each stands for a receptive field, not for a pixel. The mean is kept.
        """
        signed = self.maps
        if smooth_px > 0:
            # Mirrored borders keep every pixel's weight inside the image, hence the mean.
            signed = gaussian_filter(signed, (0, smooth_px, smooth_px), mode="reflect")
        method = f"linear contribution, smoothed by {smooth_px:g} px" if smooth_px > 0 else "linear contribution"
        return Attribution.from_signed(signed, self.targets, self.scores, method, self.layers)

"""How much of a map lies on a marked cue, and how much would by chance.

By chance is meant literally: the same map, shifted by every possible amount over the same mask (as on a torus). That
keeps how large and how lumpy both are, and loses only that they belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, rfft2

from sorby.errors import InputError

#: Share of the pixels that counts as highlighted: the brightest fifth.
QUANTILE = 0.8


@dataclass(frozen=True)
class Overlap:
    """One figure of overlap and its distribution by chance.

    Attributes
    ----------
    value : float
        NaN for a blank map or an empty mask.
    chance_mean, chance_high : float
        Mean and 95th percentile over all shifts.
    p : float
        Share of the shifts with as much overlap or more; the map where it is counts as one of them.
    """

    value: float
    chance_mean: float
    chance_high: float
    p: float


@dataclass(frozen=True)
class CueOverlap:
    """How a map and a cue overlap.

    Attributes
    ----------
    mass : Overlap
        Share of the map's mass inside the cue; its mean by chance is the share of the image that the cue covers.
    iou : Overlap
        Intersection over union of the cue and the highlighted pixels.
    area, highlighted : float
        Shares of the image that the cue covers and that is highlighted.
    """

    mass: Overlap
    iou: Overlap
    area: float
    highlighted: float

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON; undefined figures become None."""

        def plain(found: Overlap) -> dict[str, float | None]:
            return {name: value if np.isfinite(value) else None for name, value in vars(found).items()}

        return {"mass": plain(self.mass), "iou": plain(self.iou), "area": self.area, "highlighted": self.highlighted}


def cue_overlap(cam: npt.ArrayLike, mask: npt.ArrayLike, *, quantile: float = QUANTILE) -> CueOverlap:
    """Compare a map with a marked cue.

    Parameters
    ----------
    cam : array_like, shape (H, W)
        Non-negative; its scale does not matter.
    mask : array_like, shape (H, W)
        Above zero inside the cue.
    quantile : float
        Pixels above this quantile of the map, and above zero, are highlighted.

    Returns
    -------
    CueOverlap

    Raises
    ------
    InputError
        The shapes differ, the map is negative or not finite, or the quantile lies outside 0..1.

    References
    ----------
    Wang et al., Score-CAM, CVPR workshops (2020), for the mass inside; shifts on a torus: H. W. Lotwick and
    B. W. Silverman, J. R. Stat. Soc. B 44 (1982) 406.
    """
    heat, inside = np.asarray(cam, dtype=np.float64), np.asarray(mask) > 0
    if heat.ndim != 2 or heat.shape != inside.shape or not heat.size:
        raise InputError(f"a map of shape {heat.shape} and a mask of shape {inside.shape}", "bring both to one size")
    if not np.isfinite(heat).all() or heat.min() < 0:
        raise InputError("a map must be finite and not negative")
    if not 0 <= quantile < 1:
        raise InputError(f"quantile {quantile:g} lies outside 0..1")
    hot = (heat > np.quantile(heat, quantile)) & (heat > 0)
    area, highlighted = float(inside.mean()), float(hot.mean())
    if not inside.any() or not heat.any():
        nothing = Overlap(*[float("nan")] * 4)
        return CueOverlap(nothing, nothing, area, highlighted)
    mass = _over_shifts(heat, inside) / heat.sum()
    common = np.rint(_over_shifts(hot.astype(np.float64), inside))
    union = float(hot.sum() + inside.sum()) - common
    return CueOverlap(_among(mass), _among(common / union), area, highlighted)


def _over_shifts(values: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the sum of shifted values inside the mask for every shift, shape (H, W); no shift comes first."""
    spectrum = np.conj(rfft2(values)) * rfft2(inside.astype(np.float64))
    return np.maximum(np.asarray(irfft2(spectrum, s=values.shape), dtype=np.float64), 0.0)


def _among(shifted: npt.NDArray[np.float64]) -> Overlap:
    value = float(shifted[0, 0])
    # Sums through Fourier space are equal up to rounding only.
    as_much = shifted >= value - 1e-9 * max(1.0, abs(value))
    return Overlap(value, float(shifted.mean()), float(np.quantile(shifted, 0.95)), float(as_much.mean()))

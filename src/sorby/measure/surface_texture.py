"""What a corroded surface looks like in words and numbers: lines, clouds or blobs.

Ground steel shows *strides*, parallel lines that attack follows; magnesium turns *cloudy* and carries *blobs* of
product. Three numbers tell them apart: how strongly gradients keep to one direction (structure tensor, Bigun & Granlund
1987), how many compact dark or bright spots there are and how wide (determinant of the Hessian over scales, Lindeberg
1998), and how much brightness varies over tens of micrometres. They are cues for a reader, not a grade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum_filter

from sorby.errors import InputError
from sorby.micrograph import Pixels, resize, to_grey, to_uint8

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Cue = Literal["linear", "cloudy", "blobs", "plain"]

#: Pixel size at which textures are looked at; finer pictures are reduced to it, coarser ones stay as they are.
WORKING_UM = 1.0
_GRADIENT_UM = 1.6  # lines a few micrometres apart survive it, a detector's noise does not
_STRONGEST = 0.9  # quantile of gradients above which one pit counts no more than another
_BLOB_UM = (1.6, 2.5, 4.0, 6.3, 10.0)
_MARGIN_UM = 6.0
_PLAIN_BLOB = 0.004  # of the normalised determinant of grey levels 0 to 1 that a spot needs
_CLOUD_UM = (8.0, 40.0)
#: Attacked share = 1 - exp(-k x share under spots); k from phantoms of both alloys, whose attack is known.
_ATTACK_PER_SPOT = 2.7
LINEAR_FROM, BLOBS_FROM, CLOUDY_FROM = 0.20, 0.02, 0.40
_LEAST_PX = 32


@dataclass(frozen=True)
class SurfaceTexture:
    """Cues of one picture.

    Attributes
    ----------
    anisotropy : float
        0 where gradients have no common direction, 1 where all have one.
    direction_deg : float
        Of the lines, 0 to 180; 0 runs across the picture and angles grow clockwise, as rows do.
    blobs_per_mm2 : float
    blob_um : float or None
        Median diameter of the spots; None where there is none.
    blob_share : float
        Area of the spots over that of the surface; overlaps count twice.
    cloudiness : float
        Variation of brightness over 8 to 40 um, as a part of all its variation.
    attacked_share : float
        Rough share of the surface that is attacked, from the spots; its scale was fitted to phantoms and holds for
        nothing else.
    cue : {"linear", "cloudy", "blobs", "plain"}
    """

    anisotropy: float
    direction_deg: float
    blobs_per_mm2: float
    blob_um: float | None
    blob_share: float
    cloudiness: float
    attacked_share: float
    cue: Cue

    @property
    def reading(self) -> str:
        """The cue in one line, such as ``linear, 0.62 along 31 deg``."""
        if self.cue == "linear":
            return f"linear, {self.anisotropy:.2f} along {self.direction_deg:.0f} deg"
        spots = "" if self.blob_um is None else f"{self.blobs_per_mm2:.0f} per mm2 of {self.blob_um:.1f} um"
        if self.cue == "cloudy":
            return f"cloudy{f' with blobs, {spots}' if self.blob_share >= BLOBS_FROM else ''}"
        if self.cue == "blobs":
            return f"blobs, {spots}"
        return f"plain, anisotropy {self.anisotropy:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the cues ready for JSON."""
        return {
            "cue": self.cue,
            "reading": self.reading,
            "anisotropy": self.anisotropy,
            "direction_deg": self.direction_deg,
            "blobs_per_mm2": self.blobs_per_mm2,
            "blob_um": self.blob_um,
            "blob_share": self.blob_share,
            "cloudiness": self.cloudiness,
            "attacked_share": self.attacked_share,
        }


def surface_texture(pixels: Pixels, pixel_size_um: float, surface: Mask | None = None) -> SurfaceTexture:
    """Return the cues of a picture without info bar.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    pixel_size_um : float
    surface : ndarray of bool, shape (H, W), optional
        What shows the specimen; everything where None.

    Raises
    ------
    InputError
        The pixel size is not above 0, or less than 32 x 32 working pixels are left to look at.
    """
    if not 0 < pixel_size_um < np.inf:
        raise InputError(f"a pixel size of {pixel_size_um:g} um is none", "give micrometres above 0")
    grey, um, seen = _working(pixels, pixel_size_um, surface)
    if min(grey.shape) < _LEAST_PX or int(seen.sum()) < _LEAST_PX**2:
        raise InputError(
            f"{grey.shape[1]} x {grey.shape[0]} px of {um:.3g} um are too little surface to tell its texture",
            f"show {_LEAST_PX} x {_LEAST_PX} px or more",
        )
    anisotropy, direction = dominant_direction(grey, um, seen)
    spots, width_um, covered = _blobs(grey, um, seen)
    cloudiness = _cloudiness(grey, um, seen)
    attacked = float(-np.expm1(-_ATTACK_PER_SPOT * covered))
    cue = _cue(anisotropy, covered, cloudiness)
    return SurfaceTexture(anisotropy, direction, spots, width_um if spots else None, covered, cloudiness, attacked, cue)


def pooled_texture(parts: Sequence[SurfaceTexture]) -> SurfaceTexture:
    """Return the cues of a surface from those of its equal parts; lines count as far as the parts agree on them.

    Parameters
    ----------
    parts : sequence of SurfaceTexture

    Raises
    ------
    InputError
        There is no part.
    """
    if not parts:
        raise InputError("no part of the surface is large enough to tell its texture", "show more of it")
    strength = np.array([part.anisotropy for part in parts])
    double = 2.0 * np.radians([part.direction_deg for part in parts])
    across, down = float((strength * np.cos(double)).mean()), float((strength * np.sin(double)).mean())
    widths = [part.blob_um for part in parts if part.blob_um is not None]
    anisotropy = float(np.hypot(across, down))
    covered, cloudiness = (float(np.mean([getattr(part, name) for part in parts])) for name in _SHARES)
    return SurfaceTexture(
        anisotropy,
        float(np.degrees(0.5 * np.arctan2(down, across)) % 180.0),
        float(np.mean([part.blobs_per_mm2 for part in parts])),
        float(np.median(widths)) if widths else None,
        covered,
        cloudiness,
        float(np.mean([part.attacked_share for part in parts])),
        _cue(anisotropy, covered, cloudiness),
    )


_SHARES = ("blob_share", "cloudiness")


def _cue(anisotropy: float, blob_share: float, cloudiness: float) -> Cue:
    if anisotropy >= LINEAR_FROM:
        return "linear"
    if cloudiness >= CLOUDY_FROM:
        return "cloudy"
    return "blobs" if blob_share >= BLOBS_FROM else "plain"


def _working(pixels: Pixels, pixel_size_um: float, surface: Mask | None) -> tuple[Float32, float, Mask]:
    """Return grey levels 0 to 1 at the working scale, their pixel size, and where the surface is."""
    grey = to_grey(to_uint8(pixels))
    seen = np.ones(grey.shape, bool) if surface is None else surface
    factor = WORKING_UM / pixel_size_um
    if factor > 1.25:
        size = (max(1, round(grey.shape[0] / factor)), max(1, round(grey.shape[1] / factor)))
        pixel_size_um *= grey.shape[1] / size[1]
        grey = resize(grey, size)
        seen = resize(np.where(seen, np.uint8(255), np.uint8(0)), size) > 254
    return grey.astype(np.float32) / np.float32(255), pixel_size_um, seen


def dominant_direction(grey: Float32, pixel_size_um: float, seen: Mask) -> tuple[float, float]:
    """Return anisotropy (0 to 1) and direction of the lines in degrees, from doubled gradient angles.

    Parameters
    ----------
    grey : ndarray of float32, shape (H, W)
    pixel_size_um : float
    seen : ndarray of bool, shape (H, W)
    """
    sigma = max(_GRADIENT_UM / pixel_size_um, 1.0)
    across, down = gaussian_filter(grey, sigma, order=(0, 1)), gaussian_filter(grey, sigma, order=(1, 0))
    x, y = across[seen].astype(np.float64), down[seen].astype(np.float64)
    energy = x * x + y * y
    most = float(np.quantile(energy, _STRONGEST))
    if most <= 0:
        return 0.0, 0.0
    weight = np.minimum(energy, most) / np.maximum(energy, 1e-30)
    double_x, double_y = float((weight * (x * x - y * y)).sum()), float((weight * 2 * x * y).sum())
    along = np.degrees(0.5 * np.arctan2(double_y, double_x)) + 90.0  # lines run across their gradients
    return float(np.hypot(double_x, double_y) / (weight * energy).sum()), float(along % 180.0)


def _blobs(grey: Float32, pixel_size_um: float, seen: Mask) -> tuple[float, float, float]:
    """Return number of compact spots per mm2, their median diameter in um, and the share of the surface under them."""
    responses = []
    for width in _BLOB_UM:
        sigma = max(width / pixel_size_um, 1.0)
        xx, yy = gaussian_filter(grey, sigma, order=(0, 2)), gaussian_filter(grey, sigma, order=(2, 0))
        xy = gaussian_filter(grey, sigma, order=(1, 1))
        # A line bends across itself only: its determinant is small, and strides are no spots.
        responses.append((xx * yy - xy * xy) * np.float32(sigma**4))
    stack = np.stack(responses)
    # Mirrored at the border, lines make corners there that look like spots.
    margin, inner = max(1, round(_MARGIN_UM / pixel_size_um)), np.zeros_like(seen)
    inner[margin:-margin, margin:-margin] = seen[margin:-margin, margin:-margin]
    peak = (stack == maximum_filter(stack, size=(3, 5, 5))) & (stack > _PLAIN_BLOB) & inner
    scale, area_um2 = np.nonzero(peak)[0], float(inner.sum()) * pixel_size_um**2
    if not len(scale):
        return 0.0, 0.0, 0.0
    diameter = 2.0 * np.sqrt(2.0) * np.asarray(_BLOB_UM)[scale]
    covered = float((np.pi / 4 * diameter**2).sum()) / area_um2
    return 1e6 * len(scale) / area_um2, float(np.median(diameter)), covered


def _cloudiness(grey: Float32, pixel_size_um: float, seen: Mask) -> float:
    """Return how much brightness varies over tens of micrometres, as a part of all its variation."""
    fine, coarse = (um / pixel_size_um for um in _CLOUD_UM)
    smooth = gaussian_filter(grey, max(_GRADIENT_UM / pixel_size_um, 1.0))
    band = gaussian_filter(grey, fine) - gaussian_filter(grey, min(coarse, min(grey.shape) / 3))
    every = float(smooth[seen].std())
    return float(band[seen].std()) / every if every > 0 else 0.0

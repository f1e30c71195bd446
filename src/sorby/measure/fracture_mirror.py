"""The fracture mirror of a picture: its origin, its radius, and whether the picture serves.

Around the origin a brittle fracture is smooth (mirror), then stippled (mist), then ridged along the way the crack ran
(hackle). ASTM C1678 measures the radius of the mirror/mist boundary from the origin and relates it to the stress at
fracture by ``sigma R^1/2 = A``. What rises most plainly over that boundary is how far lines point at the origin. Where
they do is measured (`sorby.measure.mirror_boundary`); the mirror/mist boundary lies a fixed ratio within, taken from
rendered fractures of fine-grained alumina. In glass, or in coarse ceramics, that ratio is another.

References
----------
ASTM C1678, Standard Practice for Fractographic Analysis of Fracture Mirror Sizes in Ceramics and Glasses.
ASTM C1322, Standard Practice for Fractography and Characterization of Fracture Origins in Advanced Ceramics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sorby.errors import ImageError
from sorby.measure.mirror_boundary import MIST_ENDS, Boundary, fit_boundary, radii_to_try
from sorby.measure.mirror_origin import find_origin
from sorby.measure.mirror_rays import Slopes
from sorby.micrograph import Pixels, resize, to_grey, to_uint8

#: Longest side at which lines are looked at; larger pictures are reduced, which also quiets the detector's noise.
SIDE_PX = 512
#: Scatter of the measure that the sectors of one picture cannot show (standard deviation of ln R), with the origin
#: given and found: the wandering of mirrors, and what the ratio of hackle to mirror leaves.
SYSTEMATIC = {"given": 0.06, "found": 0.17}
#: Mirror radii, in longest sides of the picture, that are looked for, and that are measured without a warning.
_TRIED, _FAIR = (0.03, 0.36), (0.075, 0.24)
#: Larger ones are refused: flaws and scratches in the mirror pass for its boundary. Without the origin, above the fair.
_LARGEST = 0.32
_SMALLEST_SIDE_PX = 160
_LEAST_AMPLITUDE, _PLAIN_AMPLITUDE = 0.30, 0.36
_FEWEST_SECTORS = 4  # of 36: 40 degrees
_LEAST_WHOLE = 0.7
_MOST_STRAY = 0.5
TOO_SMALL = "mirror too small: take a higher magnification"
NOT_WHOLE = "mirror not whole in view: take a lower magnification"


@dataclass(frozen=True, eq=False)
class FractureMirror:
    """A measured mirror.

    Attributes
    ----------
    x_px, y_px : float
        Origin, in pixels of the picture, from its left upper corner.
    origin_source : str
        ``given`` or ``found``.
    radius_px : float
        Mirror/mist boundary.
    ci95_px : tuple of float
    mist_hackle_px : float
        Mist/hackle boundary, `MIST_ENDS` radii: it is not measured apart.
    angles : ndarray, shape (S,)
        Directions of sectors around the origin, radians, x to the right and y downwards.
    by_direction_px : ndarray, shape (S,)
        Radius by direction; NaN where no boundary is seen: beyond the surface of the part, under dirt.
    amplitude : float
        How much more lines point at the origin beyond the boundary than within, 0 to 1.
    share : float
        Radius over the longest side of the picture.
    pixel_size_um : float
    warnings : list of str
    """

    x_px: float
    y_px: float
    origin_source: str
    radius_px: float
    ci95_px: tuple[float, float]
    mist_hackle_px: float
    angles: npt.NDArray[np.float64]
    by_direction_px: npt.NDArray[np.float64]
    amplitude: float
    share: float
    pixel_size_um: float
    warnings: list[str] = field(default_factory=list)

    @property
    def radius_um(self) -> float:
        """Mirror radius in µm."""
        return self.radius_px * self.pixel_size_um

    @property
    def ci95_um(self) -> tuple[float, float]:
        """95 % interval of the mirror radius in µm."""
        return self.ci95_px[0] * self.pixel_size_um, self.ci95_px[1] * self.pixel_size_um

    @property
    def relative_error(self) -> float:
        """Standard error of ln R."""
        return math.log(self.ci95_px[1] / self.ci95_px[0]) / (2 * 1.96)

    @property
    def fair_view(self) -> bool:
        """Whether the mirror fills a fair part of the picture and is whole in it."""
        return not {TOO_SMALL, NOT_WHOLE}.intersection(self.warnings)


def measure_mirror(
    pixels: Pixels, pixel_size_um: float, *, origin: tuple[float, float] | None = None, seed: int = 0
) -> FractureMirror:
    """Measure the fracture mirror of a picture that shows the origin and hackle around it.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
        Without info bar.
    pixel_size_um : float
    origin : (float, float), optional
        x and y in pixels; found where absent, which is less sure.
    seed : int
        Of the resampling.

    Returns
    -------
    FractureMirror

    Raises
    ------
    ImageError
        The picture is too small, the origin lies outside, or no mirror with hackle around it is seen, or it is
        not whole in view.
    """
    grey = to_grey(to_uint8(pixels)).astype(np.float32) / np.float32(255)
    height, width = grey.shape
    if min(height, width) < _SMALLEST_SIDE_PX:
        raise ImageError(f"{width} x {height} pixels are too few to find a mirror in", "give the whole picture")
    if origin is not None and not (0 <= origin[0] < width and 0 <= origin[1] < height):
        raise ImageError(
            f"origin {origin[0]:g},{origin[1]:g} lies outside the picture of {width} x {height} pixels",
            "give x,y in pixels from the left upper corner",
        )
    factor = max(height, width) / SIDE_PX
    if factor > 1:
        grey = resize(grey, (round(height / factor), round(width / factor)))
    factor = max(factor, 1.0)
    slopes = Slopes.of(grey.astype(np.float64))
    # Pixels are counted from their middles: those of a reduced picture lie between those of the whole.
    place = (
        find_origin(slopes) if origin is None else ((origin[0] + 0.5) / factor - 0.5, (origin[1] + 0.5) / factor - 0.5)
    )
    rays, side = slopes.about(place), max(grey.shape)
    boundary = fit_boundary(rays, radii_to_try(_TRIED[0] * side, _TRIED[1] * side), seed)
    source = "found" if origin is None else "given"
    spread = math.hypot(boundary.scatter, SYSTEMATIC[source])
    _refuse(boundary, source)
    share = boundary.radius_px / side
    if share > _LARGEST or (origin is None and share > _FAIR[1]):
        raise ImageError("the mirror is not whole in view", "take a lower magnification, and give --origin")
    radius = boundary.radius_px * factor
    return FractureMirror(
        (place[0] + 0.5) * factor - 0.5,
        (place[1] + 0.5) * factor - 0.5,
        source,
        radius,
        (radius * math.exp(-1.96 * spread), radius * math.exp(1.96 * spread)),
        radius * MIST_ENDS,
        rays.angles,
        boundary.by_sector_px * factor,
        boundary.amplitude,
        share,
        pixel_size_um,
        _warnings(boundary, share, source),
    )


def _refuse(boundary: Boundary, source: str) -> None:
    """Raise where what was fitted is no mirror's boundary."""
    fair = "take a magnification at which the mirror's radius is a tenth to a fifth of the width"
    hint = f"{fair}, or give --origin" if source == "found" else f"{fair}, and look whether the origin is right"
    if boundary.at_end or boundary.amplitude < _LEAST_AMPLITUDE or boundary.fitting.sum() < _FEWEST_SECTORS:
        raise ImageError("no mirror with hackle around it is seen", hint)
    if boundary.stray > _MOST_STRAY:
        raise ImageError("no mirror is seen: its boundary differs too much from direction to direction", hint)


def _warnings(boundary: Boundary, share: float, source: str) -> list[str]:
    said = []
    if share > _FAIR[1] or boundary.whole < _LEAST_WHOLE:
        said.append(NOT_WHOLE)
    if share < _FAIR[0]:
        said.append(TOO_SMALL)
    if boundary.amplitude < _PLAIN_AMPLITUDE:
        said.append("the boundary is faint")
    if source == "found":
        said.append("the origin was found, not given: check it in the overlay; where it is wrong, the interval is")
    return said

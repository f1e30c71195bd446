"""Where a fracture began: the place about which a mirror's boundary fits best."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sorby.measure.mirror_boundary import gain_over_none, radii_to_try
from sorby.measure.mirror_rays import Floats, Slopes

#: Deviation of origins from the middle of pictures, and how far out they are looked for, in widths.
_NEAR_MIDDLE, _FARTHEST = 0.10, 0.24
#: Steps of the search, in widths, and how many to each side.
_STEPS = ((0.06, 4), (0.02, 2), (0.007, 2))
#: What a deviation from the middle weighs against the gain.
_WEIGHT = 2.0
#: Radii tried, in widths.
_RADII = (0.06, 0.26)


def find_origin(slopes: Slopes) -> tuple[float, float]:
    """Return the place about which a boundary fits best: coarse places first, then around the best.

    Operators put the origin near the middle of the picture, and the search leans that way.

    Parameters
    ----------
    slopes : Slopes

    Returns
    -------
    (float, float)
        x and y in pixels.
    """
    height, width = slopes.grey.shape
    side = max(height, width)
    middle = ((width - 1) / 2, (height - 1) / 2)
    sizes: Floats = radii_to_try(_RADII[0] * side, _RADII[1] * side, coarse=4)
    best, place = -math.inf, middle
    for step, count in _STEPS:
        for x, y in _places(place, step * side, count):
            away = math.hypot(x - middle[0], y - middle[1]) / side
            if away > _FARTHEST:
                continue
            score = gain_over_none(slopes.about((x, y)), sizes) - _WEIGHT * (away / _NEAR_MIDDLE) ** 2
            if score > best:
                best, place = score, (x, y)
    return place


def _places(centre: tuple[float, float], step: float, count: int) -> Iterator[tuple[float, float]]:
    steps = range(-count, count + 1)
    return ((centre[0] + i * step, centre[1] + j * step) for j in steps for i in steps)

"""A picture of the measured mirror, for the eye to judge."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sorby.measure.fracture_mirror import FractureMirror
from sorby.micrograph import Pixels, to_grey, to_uint8

#: Colours that people of any colour vision tell apart (Okabe and Ito 2008).
MIRROR_COLOUR, MIST_COLOUR, ORIGIN_COLOUR = (230, 100, 0), (86, 180, 233), (240, 228, 66)
_SMALLEST_PX = 800


def draw_mirror(pixels: Pixels, mirror: FractureMirror) -> npt.NDArray[np.uint8]:
    """Return the picture in grey with the mirror's boundary, its interval and the origin; enlarged where it is small.

    The mirror/mist boundary is orange, its interval thin orange, the mist/hackle boundary blue, the origin a yellow
    cross; yellow dots are the radii of single directions, where the boundary is seen.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    mirror : FractureMirror

    Returns
    -------
    ndarray of uint8, shape (k H, k W, 3)
    """
    grey = to_grey(to_uint8(pixels))
    factor = max(1, -(-_SMALLEST_PX // max(grey.shape)))
    picture = Image.fromarray(grey).convert("RGB").resize((factor * grey.shape[1], factor * grey.shape[0]))
    pen = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 500))
    x, y = factor * (mirror.x_px + 0.5) - 0.5, factor * (mirror.y_px + 0.5) - 0.5
    for radius, colour, thick in (
        (mirror.ci95_px[0], MIRROR_COLOUR, 1),
        (mirror.ci95_px[1], MIRROR_COLOUR, 1),
        (mirror.mist_hackle_px, MIST_COLOUR, width),
        (mirror.radius_px, MIRROR_COLOUR, 2 * width),
    ):
        reach = factor * radius
        pen.ellipse([x - reach, y - reach, x + reach, y + reach], outline=colour, width=thick)
    for angle, radius in zip(mirror.angles.tolist(), mirror.by_direction_px.tolist(), strict=True):
        if math.isfinite(radius):
            at = (x + factor * radius * math.cos(angle), y + factor * radius * math.sin(angle))
            pen.ellipse(
                [at[0] - 2 * width, at[1] - 2 * width, at[0] + 2 * width, at[1] + 2 * width], fill=ORIGIN_COLOUR
            )
    arm = 8 * width
    pen.line([(x - arm, y), (x + arm, y)], fill=ORIGIN_COLOUR, width=2 * width)
    pen.line([(x, y - arm), (x, y + arm)], fill=ORIGIN_COLOUR, width=2 * width)
    return np.asarray(picture, dtype=np.uint8)

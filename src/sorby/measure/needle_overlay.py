"""A picture of the traced needles, for the eye to judge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sorby.measure.needle_lengths import NeedleLengths
from sorby.micrograph import Pixels, to_grey, to_uint8

#: Colours that people of any colour vision tell apart (Okabe and Ito 2008).
DARK_COLOUR, BRIGHT_COLOUR, CUT_COLOUR = (230, 100, 0), (86, 180, 233), (240, 228, 66)
_SMALLEST_PX = 1000


def draw_needles(pixels: Pixels, measured: NeedleLengths) -> npt.NDArray[np.uint8]:
    """Return the micrograph in grey with its traced needles, enlarged where it is small.

    Dark needles are orange, bright ones blue, those that reach the border yellow; what lies outside the region of
    interest is darkened.

    Parameters
    ----------
    pixels : ndarray, shape (height, width) or (height, width, 3)
        The micrograph.
    measured : NeedleLengths
        What was measured in it.

    Returns
    -------
    ndarray of uint8, shape (k * height, k * width, 3)
    """
    grey = to_grey(to_uint8(pixels))
    shown = np.where(measured.region, grey, grey // 3).astype(np.uint8)
    factor = max(1, -(-_SMALLEST_PX // max(shown.shape)))
    picture = Image.fromarray(shown).convert("RGB").resize((factor * shown.shape[1], factor * shown.shape[0]))
    pen = ImageDraw.Draw(picture)
    segments = measured.segments
    half = segments.length_um / measured.pixel_size_um / 2
    dx, dy = half * np.cos(segments.angle), half * np.sin(segments.angle)
    ends = factor * np.stack([segments.x_px - dx, segments.y_px - dy, segments.x_px + dx, segments.y_px + dy], axis=1)
    for line, dark, cut in zip(ends.tolist(), segments.dark.tolist(), segments.cut.tolist(), strict=True):
        pen.line(line, fill=CUT_COLOUR if cut else DARK_COLOUR if dark else BRIGHT_COLOUR, width=max(1, factor))
    return np.asarray(picture, dtype=np.uint8)

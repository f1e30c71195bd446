"""An image with its anomaly map over it and a box around each finding, one file an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image, ImageDraw

from sorby.files import atomic_write
from sorby.micrograph import read, to_rgb, to_uint8

_LONGEST_PX = 1600
_OPAQUE = 0.55


def write_overlay(path: Path, found: Any, regions: Sequence[Any], threshold: float) -> None:
    """Write an image with its map over it and a box around each finding.

    The colour scale runs from 0 to one and a half times the threshold in every picture, so that pictures can be
    compared; what is below half the threshold is left as it is.

    Parameters
    ----------
    path : Path
        PNG to write.
    found : sorby.anomaly.detector.ImageMaps
    regions : sequence of sorby.anomaly.findings.Finding
    threshold : float
    """
    pixels = to_rgb(to_uint8(read(found.path).pixels))
    shrink = min(1.0, _LONGEST_PX / max(pixels.shape[:2]))
    size = max(1, round(pixels.shape[1] * shrink)), max(1, round(pixels.shape[0] * shrink))
    base = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), np.float32)
    level = _laid_over(found, size, shrink) / max(threshold, 1e-12)
    colour = np.asarray(colormaps["inferno"](np.clip(level / 1.5, 0, 1)))[..., :3] * 255
    weight = _OPAQUE * np.clip((level - 0.5) / 0.5, 0, 1)[..., None]
    blended = Image.fromarray((base * (1 - weight) + colour * weight).astype(np.uint8))
    draw = ImageDraw.Draw(blended)
    for each in regions:
        left, top = each.x * shrink, each.y * shrink
        draw.rectangle((left - 2, top - 2, left + each.w * shrink + 2, top + each.h * shrink + 2), outline="#00e5ff")
    with atomic_write(path) as file:
        blended.save(file, format="PNG", compress_level=3)


def _laid_over(found: Any, size: tuple[int, int], shrink: float) -> npt.NDArray[np.float32]:
    """Return the larger value of the views' maps at each pixel of the picture."""
    level = np.zeros((size[1], size[0]), np.float32)
    for values, (top, left, bottom, right) in zip(found.maps, found.stack.boxes.tolist(), strict=True):
        rows = round(max(0, top) * shrink), round(bottom * shrink)
        columns = round(max(0, left) * shrink), round(right * shrink)
        part = level[rows[0] : rows[1], columns[0] : columns[1]]
        if part.size:
            fitted = Image.fromarray(np.ascontiguousarray(values)).resize(
                (part.shape[1], part.shape[0]), Image.Resampling.BILINEAR
            )
            np.maximum(part, np.asarray(fitted), out=part)
    return level

"""Overlays: a map in colour on the image it belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.errors import InputError

UNIFORM_COLORMAPS = ("viridis", "cividis", "inferno", "magma", "plasma")
"""Perceptually uniform: equal steps of the map look equal. 'jet' is what the papers print, and is not."""


def overlay(
    image: npt.NDArray[np.uint8],
    cam: npt.NDArray[Any],
    colormap: str = "jet",
    alpha: float = 0.5,
    *,
    region: tuple[int, int, int, int] | None = None,
) -> npt.NDArray[np.uint8]:
    """Lay a map over an image at the image's own size and aspect.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
        The original micrograph, not the resized input of the model.
    cam : ndarray of float, shape (h, w)
        Values 0 to 1 at any resolution, stretched over *region*.
    colormap : str
        Any name in matplotlib's registry; see `UNIFORM_COLORMAPS`.
    alpha : float
        Weight of the colour, 0 (image only) to 1 (map only).
    region : (top, left, height, width), optional
        The part of the image that the model saw, in pixels of the image; the whole image when not given. It may
        reach beyond the image where the input was padded. Pixels outside were not seen and keep their look.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)

    Raises
    ------
    InputError
        For an unknown colour map, wrong shapes, or values outside 0 to 1.
    """
    colours = _colours(colormap)
    base = _rgb(image)
    cam = np.asarray(cam, dtype=np.float32)
    if cam.ndim != 2 or not cam.size:
        raise InputError(f"a map has the shape H x W, not {cam.shape}")
    # Interpolation may overshoot by a rounding error; anything more is a map that was not normalised.
    if not (np.isfinite(cam).all() and cam.min() >= -1e-3 and cam.max() <= 1 + 1e-3):
        raise InputError("map values lie outside 0 to 1", "divide the map by its peak first")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie between 0 and 1, not {alpha}")

    top, left, height, width = region or (0, 0, *base.shape[:2])
    if height < 1 or width < 1:
        raise InputError("a region needs a height and a width")
    resized = np.asarray(Image.fromarray(cam).resize((width, height), Image.Resampling.BILINEAR))
    rows = slice(max(top, 0), max(min(top + height, base.shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + width, base.shape[1]), 0))
    seen = resized[rows.start - top : max(rows.stop - top, 0), columns.start - left : max(columns.stop - left, 0)]
    level = np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)

    result = base.copy()
    blend = (1 - alpha) * base[rows, columns].astype(np.float32) + alpha * colours[level]
    result[rows, columns] = np.rint(blend).astype(np.uint8)
    return result


def _colours(name: str) -> npt.NDArray[np.float32]:
    """Return the 256 colours of a map, shape (256, 3), 0 to 255."""
    import matplotlib

    if name not in matplotlib.colormaps:
        raise InputError(f"unknown colour map {name!r}", f"use 'jet' or one of {', '.join(UNIFORM_COLORMAPS)}")
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 256), bytes=True)
    return np.asarray(colours, dtype=np.float32)[:, :3]


def _rgb(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if image.dtype != np.uint8 or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise InputError(f"an overlay needs a uint8 image H x W, grey or RGB, not {image.dtype} {image.shape}")
    return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else image

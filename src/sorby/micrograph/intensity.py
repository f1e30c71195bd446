"""From the depth of the detector to eight bits, and from colour to grey, by one stated rule."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.errors import ImageError
from sorby.micrograph.image import Pixels

IntensityRule = Literal["percentile", "full-range"]
"""How 16-bit and float images become 8-bit; stored with a model, the same in training and use."""

UInt8 = npt.NDArray[np.uint8]

_MID_GREY = 128
_AT_ONCE = 1 << 22  # pixels counted together
# Rec. 601 luma in 16-bit fixed point; the three sum to 65536, so a neutral pixel keeps its value.
_RED, _GREEN, _BLUE = 19595, 38470, 7471


def to_uint8(pixels: Pixels, rule: IntensityRule = "percentile", low: float = 0.1, high: float = 99.9) -> UInt8:
    """Bring an image to 8 bits.

    uint8 passes unchanged whatever the rule: eight bits were the operator's own choice of contrast.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3), uint8 or uint16 or float32
    rule : {"percentile", "full-range"}
        ``percentile`` stretches this image from its *low* to its *high* percentile (over all channels
        together, so colours keep their hue) and clips the rest. ``full-range`` keeps brightness
        comparable between images: 0..65535 becomes 0..255 (divided by 257, rounded), floats must lie
        in 0..1.
    low, high : float
        Percentiles for ``percentile``, 0 <= low < high <= 100.

    Returns
    -------
    ndarray, same shape, uint8

    Raises
    ------
    ImageError
        ``full-range`` on floats outside 0..1, where no range is stated.

    Notes
    -----
    Where both percentiles fall on one value (a saturated field with a few dark pixels), the image is
    stretched from its minimum to its maximum; an image of a single value becomes mid-grey 128.
    """
    if rule not in get_args(IntensityRule):
        raise ValueError(f"rule must be one of {', '.join(get_args(IntensityRule))}, not {rule!r}")
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must satisfy 0 <= low < high <= 100, not {low} and {high}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return _sixteen_to_eight(pixels, rule, low, high)
    return _float_to_eight(pixels, rule, low, high)


def _sixteen_to_eight(pixels: Pixels, rule: IntensityRule, low: float, high: float) -> UInt8:
    values = np.arange(65536, dtype=np.float64)
    if rule == "full-range":
        table = np.rint(values / 257).astype(np.uint8)
    else:
        counts = _histogram(pixels)
        bottom, top = _histogram_percentiles(counts, low, high)
        if bottom >= top:
            present = np.flatnonzero(counts)
            bottom, top = float(present[0]), float(present[-1])
        table = _stretch(values, bottom, top)
    return _looked_up(table, pixels)


def _looked_up(table: UInt8, pixels: Pixels) -> UInt8:
    """Return the table's value of every pixel, a part at a time for the same reason as in `_histogram`."""
    flat = np.ascontiguousarray(pixels).reshape(-1)
    found = np.empty(flat.size, np.uint8)
    for start in range(0, flat.size, _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        np.take(table, part, out=found[start : start + part.size], mode="clip")  # a buffered "raise" is slower
    return found.reshape(pixels.shape)


def _histogram(pixels: Pixels) -> npt.NDArray[np.int64]:
    """Count the values of a uint16 image; bincount widens to eight bytes a pixel, so it sees a part at a time."""
    flat = np.ascontiguousarray(pixels).reshape(-1)
    counts = np.zeros(65536, np.int64)
    for start in range(0, flat.size, _AT_ONCE):
        counts += np.bincount(flat[start : start + _AT_ONCE], minlength=65536)
    return counts


def _float_to_eight(pixels: Pixels, rule: IntensityRule, low: float, high: float) -> UInt8:
    least, most = float(pixels.min()), float(pixels.max())
    if rule == "full-range":
        if least < 0 or most > 1:
            raise ImageError(
                f"float pixels from {least:g} to {most:g} have no stated full range",
                "use the percentile rule",
            )
        return np.rint(pixels * np.float32(255)).astype(np.uint8)
    bottom, top = (float(q) for q in np.percentile(pixels, (low, high)))
    if bottom >= top:
        bottom, top = least, most
    return _stretch(pixels, bottom, top)


def _stretch(values: Pixels, bottom: float, top: float) -> UInt8:
    """Map bottom..top linearly to 0..255, clip, round."""
    if bottom >= top:
        return np.full(values.shape, _MID_GREY, np.uint8)
    scaled = (values.astype(np.float64) - bottom) * (255.0 / (top - bottom))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _histogram_percentiles(counts: npt.NDArray[np.int64], low: float, high: float) -> tuple[float, float]:
    """Percentiles of integers from their histogram, linear between order statistics as NumPy's."""
    cumulative = np.cumsum(counts)
    position = (int(cumulative[-1]) - 1) * np.array((low, high)) / 100
    below = np.floor(position)
    at = np.searchsorted(cumulative, below, side="right")
    after = np.searchsorted(cumulative, np.ceil(position), side="right")
    values = at + (position - below) * (after - at)
    return float(values[0]), float(values[1])


def to_grey(pixels: Pixels) -> Pixels:
    """Return the Rec. 601 luma, ``(H, W)``, in the depth of the input; grey passes unchanged.

    References
    ----------
    ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B.
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.dtype == np.uint8:
        return np.array(Image.fromarray(pixels).convert("L"))
    if pixels.dtype == np.uint16:
        wide = pixels.astype(np.uint32)
        luma = (wide[..., 0] * _RED + wide[..., 1] * _GREEN + wide[..., 2] * _BLUE + 0x8000) >> 16
        return luma.astype(np.uint16)
    weights = np.array((_RED, _GREEN, _BLUE), np.float64) / 65536
    return (pixels.astype(np.float64) @ weights).astype(np.float32)


def to_rgb(pixels: Pixels) -> Pixels:
    """Return ``(H, W, 3)``: grey is repeated three times, RGB passes unchanged."""
    if pixels.ndim == 3:
        return pixels
    return np.repeat(pixels[:, :, None], 3, axis=2)

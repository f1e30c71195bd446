"""A plate before it is judged: eight bits by one rule for all of it, what shows it, and tiles at a stated scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.errors import ImageError
from sorby.measure.surface_outline import beyond_specimen
from sorby.micrograph import Pixels, resize, to_grey, to_uint8
from sorby.micrograph.region import find_region, read_region
from sorby.micrograph.tiling import TilePlan, Tiler

UInt8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_STRIP_ROWS = 512
_LEVELS = 65536
_OUTLINE_PX = 1024
#: Plates whose pixels are larger than the network's by more are refused, by more than the second are warned of.
COARSEST, COARSE = 1.5, 1.1
#: The same for plates finer than the taught pictures: their noise averages out, and more of it the finer they are.
FINEST, FINE = 8.0, 2.0
#: A tile may differ by this factor from the field that the taught pictures showed.
FIELD_SLACK = 1.25


@dataclass(frozen=True)
class TaughtScale:
    """At which scale a classifier was taught.

    Attributes
    ----------
    field_um : (float, float)
        Height and width of the surface that a picture showed.
    network_um : float
        Pixel size at which it reached the network.
    pixel_um : float or None
        Smallest pixel size of the taught pictures; None where they stated none.
    """

    field_um: tuple[float, float]
    network_um: float
    pixel_um: float | None


def scale_doubts(path: Path | str, pixel_size_um: float, taught: TaughtScale) -> list[str]:
    """Refuse a plate whose scale is another one; say what remains to be said of its scale.

    Raises
    ------
    ImageError
        Its pixels are much coarser than those the network saw, or much finer than those of the taught pictures.
    """
    coarser = pixel_size_um / taught.network_um
    if coarser > COARSEST:
        raise ImageError(
            f"{path}: pixels of {pixel_size_um:.3g} um are {coarser:.1f} times those the network was taught on"
            f" ({taught.network_um:.3g} um): what it knows cannot be seen there",
            "take the plate at a higher magnification, or teach at its scale",
        )
    if taught.pixel_um is None:
        return ["the taught pictures state no pixel size: whether the plate has their scale was not checked"]
    finer = taught.pixel_um / pixel_size_um
    if finer > FINEST:
        raise ImageError(
            f"{path}: pixels of {pixel_size_um:.3g} um are {finer:.1f} times finer than the taught ones"
            f" ({taught.pixel_um:.3g} um)",
            "reduce the picture, or teach at its scale",
        )
    said = []
    if coarser > COARSE:
        said.append(
            f"the plate is {coarser:.2f} times coarser than what the network was taught on: tiles are enlarged and"
            " lack its finest detail"
        )
    if finer > FINE or finer < 1 / FINE:
        said.append(
            f"pixels of {pixel_size_um:.3g} um, taught ones {taught.pixel_um:.3g} um: both reach the network at"
            f" {taught.network_um:.3g} um, but noise and sharpness differ by then"
        )
    return said


def in_eight_bits(pixels: Pixels, rule: str, low: float, high: float) -> tuple[UInt8, str]:
    """Return a plate as 8 bits, and one line on how; strip by strip, with one stretch for all of it.

    Stretched tile by tile, a sound place would show its noise as contrast.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8 or uint16 or float32
    rule : {"percentile", "full-range"}
    low, high : float
        Percentiles.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8), ""
    if rule == "full-range":
        out = np.empty(pixels.shape, np.uint8)
        for rows in _strips(len(pixels)):
            out[rows] = to_uint8(pixels[rows], "full-range")
        return out, "depth reduced to 8 bits by the full range"
    least, most = float(pixels.min()), float(pixels.max())
    if least == most:
        return np.full(pixels.shape, 128, np.uint8), "one grey level only"
    step = 1.0 if pixels.dtype.kind == "u" else (most - least) / (_LEVELS - 1)
    counts = np.zeros(_LEVELS, np.int64)
    for rows in _strips(len(pixels)):
        counts += np.bincount(_level(pixels[rows], least, step).ravel(), minlength=_LEVELS)
    below = np.cumsum(counts) / counts.sum()
    bottom, top = (int(np.searchsorted(below, share / 100.0)) for share in (low, high))
    if bottom >= top:
        present = np.flatnonzero(counts)
        bottom, top = int(present[0]), int(present[-1])
    table = np.rint(np.clip((np.arange(_LEVELS) - bottom) * (255.0 / (top - bottom)), 0, 255)).astype(np.uint8)
    out = np.empty(pixels.shape, np.uint8)
    for rows in _strips(len(pixels)):
        out[rows] = table[_level(pixels[rows], least, step)]
    return out, f"stretched to 8 bits between percentiles {low:g} and {high:g} of the whole plate"


def _strips(height: int) -> list[slice]:
    return [slice(first, min(first + _STRIP_ROWS, height)) for first in range(0, height, _STRIP_ROWS)]


def _level(strip: Pixels, least: float, step: float) -> npt.NDArray[np.int64]:
    return np.asarray(np.rint((strip.astype(np.float64) - least) / step), np.int64)


def outline(path: Path | None, plate: UInt8, *, whole: bool = False) -> tuple[Mask, str]:
    """Return what shows the plate, at a reduced size, and where that is known from.

    Parameters
    ----------
    path : Path, optional
        Of the picture; a region file beside it decides.
    plate : ndarray of uint8, shape (H, W) or (H, W, 3)
    whole : bool
        All of it shows the plate.

    Returns
    -------
    mask : ndarray of bool, shape (h, w)
    source : str

    Raises
    ------
    ImageError
        Nothing shows the plate.
    """
    factor = max(1.0, max(plate.shape[:2]) / _OUTLINE_PX)
    size = (max(1, round(plate.shape[0] / factor)), max(1, round(plate.shape[1] / factor)))
    if whole:
        return np.ones(size, bool), "the whole picture, as asked for"
    file = None if path is None else find_region(path)
    if file is not None:
        mask = resize(np.where(read_region(file, plate.shape), np.uint8(255), np.uint8(0)), size) > 127
        source = f"region file {file.name}"
    else:
        grey = to_grey(resize(plate, size))
        mask = ~beyond_specimen(grey.astype(np.float64) / 255)
        source = "the whole picture" if mask.all() else "what is not dark at the border (a proposal)"
    if not mask.any():
        raise ImageError(f"{path or 'plate'}: no part of it shows a plate", "draw a region file, or use --whole")
    return np.asarray(mask, np.bool_), source


def tiles_over(
    path: Path | str, size: tuple[int, int], pixel_size_um: float, tile_um: tuple[float, float], overlap: float
) -> TilePlan:
    """Lay tiles over a plate.

    Parameters
    ----------
    path : path
        Of the picture, for messages.
    size : (int, int)
        Its height and width in pixels.
    pixel_size_um : float
    tile_um : (float, float)
        Height and width of a tile.
    overlap : float
        Share of a tile that its neighbour shows too.

    Raises
    ------
    ImageError
        The plate is smaller than a tile.
    """
    height, width = (max(1, round(um / pixel_size_um)) for um in tile_um)
    if size[0] < height or size[1] < width:
        raise ImageError(
            f"{path}: the plate is {size[1] * pixel_size_um:.0f} x {size[0] * pixel_size_um:.0f} um, a tile"
            f" {tile_um[1]:.0f} x {tile_um[0]:.0f} um",
            "use sorby inspect for single pictures",
        )
    shared = (int(overlap * height), int(overlap * width))
    return Tiler.fixed_pixels(height, width, overlap=shared).plan(*size)

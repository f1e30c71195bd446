"""What speed a line needs: from sheet, pixel size, tile and web speed to time per tile and pixels per second."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from sorby.errors import InputError
from sorby.line.timing import proportional_s

_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4, "inch": 25.4, "ft": 304.8, "um": 0.001}
_MINUTES = {"s": 1 / 60, "sec": 1 / 60, "min": 1.0, "h": 60.0}
_NUMBER = r"\s*(\d+(?:\.\d+)?|\.\d+)\s*"


def parse_speed(text: str) -> float:
    """Return a web speed in metres a minute, e.g. from ``10 ft/min``, ``3.05 m/min`` or ``50 mm/s``.

    Raises
    ------
    InputError
        The text is no speed above zero.
    """
    found = re.fullmatch(_NUMBER + r"([a-z]+)\s*(?:/|per)\s*([a-z]+)\s*", text.lower())
    if not found or found[2] not in _MM or found[3] not in _MINUTES or float(found[1]) == 0:
        raise InputError(f"--speed {text}: no speed", "e.g. '10 ft/min', '3 m/min' or '50 mm/s'")
    return float(found[1]) * _MM[found[2]] / 1000 / _MINUTES[found[3]]


def parse_sheet(text: str) -> tuple[float, float]:
    """Return a sheet's size across and along the web in millimetres, e.g. from ``8x11in`` or ``203.2 x 279.4 mm``.

    Raises
    ------
    InputError
        The text is no size above zero.
    """
    found = re.fullmatch(_NUMBER + "[x×]" + _NUMBER + r"([a-z]+)\s*", text.lower())
    if not found or found[3] not in _MM or float(found[1]) * float(found[2]) == 0:
        raise InputError(f"--sheet {text}: no size", "across x along the web with a unit, e.g. 8x11in or 200x280mm")
    unit = _MM[found[3]]
    return float(found[1]) * unit, float(found[2]) * unit


def tiles_along(pixels: int, tile: int, step: int) -> int:
    """Return how many tiles of an edge *tile* every *step* pixels cover a length, its uncropped border included."""
    return 1 if pixels <= tile else 1 + math.ceil((pixels - tile) / step)


@dataclass(frozen=True)
class Budget:
    """What a line asks for.

    Attributes
    ----------
    across_mm, along_mm : float
        Of a sheet, or of the piece of web looked at.
    across_px, along_px : int
    tiles : int
        Tiles of a sheet, overlap and border included.
    seconds : float
        Until the sheet has passed.
    tiles_per_s, ms_per_tile : float
        Needed of each lane; lanes share the width.
    mpix_per_s : float
        Pixels that come in through each lane, millions a second.
    mpix_per_s_tiles : float
        Pixels that tiles of a lane hold, overlaps counted as often as they are looked at.
    m_per_min : float
    lines_per_s : float
        Of the camera.
    lanes : int
    """

    across_mm: float
    along_mm: float
    across_px: int
    along_px: int
    tiles: int
    seconds: float
    tiles_per_s: float
    ms_per_tile: float
    mpix_per_s: float
    mpix_per_s_tiles: float
    m_per_min: float
    lines_per_s: float
    lanes: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def line_need(
    across_mm: float,
    along_mm: float,
    pixel_size_um: float,
    m_per_min: float,
    *,
    tile_px: int = 224,
    overlap_px: int = 0,
    lanes: int = 1,
    tiles: int | None = None,
) -> Budget:
    """Return what a web speed asks of the inspection.

    Parameters
    ----------
    across_mm, along_mm : float
        Width of the web, and the length over which tiles are counted.
    pixel_size_um : float
    m_per_min : float
        Speed of the web.
    tile_px, overlap_px : int
        Edge of a tile, and what neighbours share.
    lanes : int
        Cameras or computers that share the width.
    tiles : int, optional
        Number of tiles where it is known; counted from the geometry otherwise.

    Raises
    ------
    InputError
        The overlap is as large as the tile.
    """
    if overlap_px >= tile_px:
        raise InputError(f"--overlap {overlap_px} is not below --tile {tile_px}", "tiles must advance")
    across_px, along_px = round(1000 * across_mm / pixel_size_um), round(1000 * along_mm / pixel_size_um)
    step = tile_px - overlap_px
    if tiles is None:
        tiles = tiles_along(across_px, tile_px, step) * tiles_along(along_px, tile_px, step)
    seconds = along_mm / 1000 / m_per_min * 60
    per_s = tiles / seconds / lanes
    lines_per_s = m_per_min / 60 * 1e6 / pixel_size_um
    return Budget(
        across_mm=across_mm,
        along_mm=along_mm,
        across_px=across_px,
        along_px=along_px,
        tiles=tiles,
        seconds=seconds,
        tiles_per_s=per_s,
        ms_per_tile=1000 / per_s,
        mpix_per_s=across_px * lines_per_s / lanes / 1e6,
        mpix_per_s_tiles=per_s * tile_px**2 / 1e6,
        m_per_min=m_per_min,
        lines_per_s=lines_per_s,
        lanes=lanes,
    )


def published_estimates() -> list[dict[str, str | float]]:
    """Return the line-speed figures of Yan et al. (2023) as printed and as their own numbers give them.

    Returns
    -------
    list of dict
        ``what``, ``printed``, ``recomputed`` (seconds) and ``note``.
    """
    inch = 25.4
    sheets_mm2 = 4 * 8 * 11 * inch**2
    small = round(75.0**2 / sheets_mm2 * 4181)
    rows: list[tuple[str, float, float, str]] = [
        ("4,181 tiles of four sheets, from 1.6 s for 75", 89.0, proportional_s(4181, 75, 1.6), ""),
        ("the same from the 1.64 s of Table 2", 89.0, proportional_s(4181, 75, 1.64), "1.64 s were rounded to 1.6"),
        ("four sheets of 11 inches at 10 ft/min", 22.0, 44 / 120 * 60, "5.26 ms a tile, 190 tiles/s"),
        (
            f"{small} tiles of 75 x 75 mm", 2.1, proportional_s(small, 75, 1.6),
            "2.1 s came from the 1.5 s of the scratch set; thermography needs a little over 5 s",
        ),
        ("46,219 crops of Faster-RCNN at .04 s", 30.8 * 60, 46219 * 0.04, "30.8 minutes"),
        (
            "18 crops of a sheet of scratches at .04 s", 7.2, 18 * 0.04,
            "7.2 s is ten times too much: four sheets take 2.9 s, below the 22 s available, so "
            "'too slow' holds for pinholes only",
        ),
    ]  # fmt: skip
    return [
        {"what": what, "printed_s": printed, "recomputed_s": round(recomputed, 3), "note": note}
        for what, printed, recomputed, note in rows
    ]

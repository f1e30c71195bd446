"""What frames a micrograph: the embedding resin beyond the specimen, scratches, the micron bar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter1d

from sorby.phantom.fields import Float32, cloudy_noise, smooth_noise
from sorby.phantom.optics import UInt8

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Border:
    """How the specimen ends at the top of the field.

    Attributes
    ----------
    share : float
        Share of the height that lies beyond the specimen's edge; 0 for none.
    bleeding_share : float
        Depth of the zone below the edge that crept-out etchant altered, as a share of the height.
    tone : float
        Reflectance of the resin.
    """

    share: float = 0.0
    bleeding_share: float = 0.0
    tone: float = 0.16


def add_border(surface: Float32, border: Border, rng: np.random.Generator) -> tuple[Float32, Mask]:
    """Return the surface with resin above the specimen's edge, and where the altered zone lies.

    Parameters
    ----------
    surface : ndarray of float32, shape (height, width)
        Reflectance.
    border : Border
        What to draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    surface : ndarray of float32, shape (height, width)
    excluded : ndarray of bool, shape (height, width)
        Resin and bleeding zone: no part of the region of interest.
    """
    height, width = surface.shape
    if border.share <= 0:
        return surface, np.zeros(surface.shape, dtype=bool)
    waves = smooth_noise((1, width), width / 5, rng)[0] * 0.012 + smooth_noise((1, width), 9, rng)[0] * 0.002
    slope = np.linspace(-1, 1, width) * rng.normal(0, 0.015)
    edge = (border.share + waves + slope) * height
    depth = np.arange(height, dtype=np.float32)[:, None] - edge[None, :].astype(np.float32)
    resin = np.float32(border.tone) + np.float32(0.025) * cloudy_noise(surface.shape, (60, 15, 4), rng, (1, 0.7, 0.5))
    # The edge is rounded by polishing: it falls out of focus and reflects less.
    inside = np.clip(depth / np.float32(0.012 * height) + np.float32(0.5), 0, 1)
    shade = 1 - np.float32(0.35) * np.exp(-np.clip(depth, 0, None) / np.float32(0.03 * height))
    mixed = resin * (1 - inside) + surface * shade * inside
    zone_px = border.bleeding_share * height
    if zone_px > 0:
        ragged = zone_px * (0.6 + 0.4 * np.abs(smooth_noise((1, width), width / 8, rng)[0]))
        stained = np.clip(1 - depth / ragged[None, :].astype(np.float32), 0, 1) * (depth > 0)
        mixed = mixed * (1 - np.float32(0.45) * stained)
        excluded = depth < np.maximum(ragged, 0.02 * height)[None, :]
    else:
        excluded = np.broadcast_to(depth < 0.02 * height, surface.shape).copy()
    return np.asarray(mixed, dtype=np.float32), np.asarray(excluded, dtype=bool)


def scratch_layer(shape: tuple[int, int], count: int, rng: np.random.Generator) -> Float32:
    """Return polishing scratches as a change of reflectance, shape (height, width); mostly darker."""
    height, width = shape
    if count <= 0:
        return np.zeros(shape, dtype=np.float32)
    canvas = Image.new("F", (width, height), 0.0)
    pen = ImageDraw.Draw(canvas)
    common = rng.uniform(0, np.pi)
    reach = float(np.hypot(height, width))
    for _ in range(count):
        angle = common + rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(0, np.pi)
        x, y, half = rng.uniform(0, width), rng.uniform(0, height), reach * rng.uniform(0.08, 0.6)
        dx, dy = half * np.cos(angle), half * np.sin(angle)
        depth = float(-rng.uniform(0.04, 0.16) if rng.random() < 0.75 else rng.uniform(0.04, 0.12))
        pen.line([(x - dx, y - dy), (x + dx, y + dy)], fill=depth, width=1 if rng.random() < 0.8 else 2)
    return np.asarray(gaussian_filter1d(np.asarray(canvas, dtype=np.float32), 0.5, axis=0), dtype=np.float32)


def bar_length_um(field_width_um: float) -> int:
    """Return the round length (1, 2, 5 times a power of ten) nearest to a fifth of the field of view."""
    wanted = field_width_um / 5
    steps: list[int] = [multiple * int(10**power) for power in range(5) for multiple in (1, 2, 5)]
    return min(steps, key=lambda step: float(abs(np.log(step / wanted))))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the lettering; PIL's built-in face has no µ, the one that comes with matplotlib has."""
    found = find_spec("matplotlib")  # looked up, not imported: a worker process should start quickly
    folder = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else Path()
    return ImageFont.truetype(str(folder / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def add_micron_bar(picture: UInt8, pixel_size_um: float, style: str = "box") -> tuple[UInt8, Mask]:
    """Return the picture with a micron bar at the lower right, and which pixels it covers.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width) or (height, width, 3)
        The micrograph.
    pixel_size_um : float
        Pixel size in micrometres.
    style : str
        ``box``: black on a white box; ``plain``: black with a white edge on the picture itself.

    Returns
    -------
    picture : ndarray of uint8, of the same shape
    covered : ndarray of bool, shape (height, width)
    """
    height, width = picture.shape[:2]
    length_um = bar_length_um(width * pixel_size_um)
    length_px = round(length_um / pixel_size_um)
    size = max(10, round(min(height, width) / 26))
    font = _font(size)
    text = f"{length_um} µm"
    left, top, right, bottom = font.getbbox(text)
    text_width, text_height = right - left, bottom - top
    pad = max(4, size // 3)
    box_width = int(max(length_px, text_width)) + 2 * pad
    box_height = int(text_height) + 3 * pad + max(2, size // 6)
    x0, y0 = width - box_width - pad, height - box_height - pad
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    black, white = (0, 255) if picture.ndim == 2 else ((0, 0, 0), (255, 255, 255))
    bar_x, bar_y, thick = x0 + (box_width - length_px) // 2, y0 + box_height - pad - size // 6, max(2, size // 6)
    bar = (bar_x, bar_y, bar_x + length_px - 1, bar_y + thick - 1)
    where = (x0 + (box_width - text_width) / 2 - left, y0 + pad - top)
    if style == "box":
        pen.rectangle((x0, y0, x0 + box_width - 1, y0 + box_height - 1), fill=white)
        pen.rectangle(bar, fill=black)
        pen.text(where, text, fill=black, font=font)
    else:
        pen.rectangle((bar[0] - 1, bar[1] - 1, bar[2] + 1, bar[3] + 1), fill=white)
        pen.rectangle(bar, fill=black)
        pen.text(where, text, fill=black, font=font, stroke_width=1, stroke_fill=white)
    covered = np.zeros((height, width), dtype=bool)
    covered[max(0, y0 - 1) : y0 + box_height + 1, max(0, x0 - 1) : x0 + box_width + 1] = True
    return np.asarray(image, dtype=np.uint8), covered

"""Surfaces without defects: steel strip, ground tiles, textures of any spectrum.

A ground is kept unclipped: what is overexposed lies above 255, and a dark mark on it is seen as on the film.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sorby.phantom.defects.noise import band_noise, sloped_noise
from sorby.phantom.defects.picture import Bool, Float32
from sorby.phantom.fields import smooth_noise

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Ground:
    """A surface on which nothing has happened yet.

    Attributes
    ----------
    family, texture : str
    field : ndarray of float32, shape (h, w)
        Grey levels, not clipped.
    grain : float
        Deviation of the fine texture in grey levels.
    along_deg : float
        Direction of rolling or grinding: 0 along rows, 90 along columns.
    outside : ndarray of bool, shape (h, w), or None
        Where the part ends and the table begins.
    """

    family: str
    texture: str
    field: Float32
    grain: float
    along_deg: float
    outside: Bool | None = None


def draw_ground(family: str, shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw a surface of a family.

    Parameters
    ----------
    family : str
        A key of :data:`TEXTURES`.
    shape : tuple of int
        Height and width in pixels.
    rng : numpy.random.Generator
    """
    textures = TEXTURES[family]
    name = list(textures)[int(rng.integers(len(textures)))]
    return textures[name](shape, rng)


def _rolling(rng: np.random.Generator) -> float:
    """Strip runs down the picture as a rule, sometimes across, seldom at a slant."""
    return float(rng.choice([90.0, 0.0, rng.uniform(0, 180)], p=[0.7, 0.18, 0.12]))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _gradient(shape: Shape, rng: np.random.Generator) -> Float32:
    """Return a slope of light, -1 to 1, straight or bent."""
    turn = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] * np.float32(np.sin(turn))
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :] * np.float32(np.cos(turn))
    slope = (x + y) / np.float32(1.41)
    return np.asarray(np.sign(slope) * np.abs(slope) ** np.float32(rng.uniform(0.7, 1.8)), dtype=np.float32)


def _vignette(shape: Shape, rng: np.random.Generator) -> Float32:
    """Return the fall of light away from a centre of chance, 0 there and some -1 in the far corner."""
    middle = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] - middle[0]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :] - middle[1]
    return np.asarray(-(x * x + y * y) / 2, dtype=np.float32)


def _bands(shape: Shape, along_deg: float, rng: np.random.Generator, width_px: float = 40.0) -> Float32:
    """Return broad bands of brightness along the rolling direction, unit deviation."""
    return sloped_noise(
        shape, rng.uniform(1.2, 2.2), rng, largest_px=3 * width_px, elongation=_between(rng, 4, 30), angle_deg=along_deg
    )


def _sand(
    shape: Shape,
    rng: np.random.Generator,
    wavelength_px: float = 4.0,
    *,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
) -> Float32:
    """Return fine grain of about unit deviation: noise of the single pixel and of small grains."""
    share = np.float32(rng.uniform(0.35, 0.85))
    grains = band_noise(shape, wavelength_px, rng, octaves=1.0, elongation=elongation, angle_deg=angle_deg)
    single = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(share * single + np.sqrt(1 - share * share) * grains, dtype=np.float32)


def _zones(shape: Shape, along_deg: float, rng: np.random.Generator) -> Float32:
    """Return a step of brightness with a wavy border along the rolling direction, 0 and 1: nothing that is boxed."""
    turn = np.deg2rad(along_deg)
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (x - shape[1] / 2) * np.sin(turn) - (y - shape[0] / 2) * np.cos(turn)
    border = rng.uniform(-0.35, 0.35) * min(shape) + rng.uniform(0, 10) * smooth_noise(shape, 45.0, rng)
    return np.asarray(np.clip((across - border) / rng.uniform(1.5, 25.0) + 0.5, 0, 1), dtype=np.float32)


def _specks(shape: Shape, rng: np.random.Generator) -> Float32:
    """Return a few faint single pixels, softened: dust that nobody marks."""
    field = np.zeros(shape, np.float32)
    count = int(rng.integers(2, 30))
    rows, columns = rng.integers(1, shape[0] - 1, count), rng.integers(1, shape[1] - 1, count)
    light = rng.uniform(-1, 1, count).astype(np.float32)
    field[rows, columns] += light
    field[rows, columns - 1] += light / 2
    field[rows - 1, columns] += light / 2
    return field


def _finish(
    family: str, texture: str, field: Float32, grain: float, along_deg: float, rng: np.random.Generator
) -> Ground:
    """Add what any surface may have: light from one side, zones, specks."""
    shape: Shape = (field.shape[0], field.shape[1])
    level = float(field.mean())
    if rng.random() < 0.5:
        field = field + np.float32(level * rng.uniform(0.05, 0.35)) * _gradient(shape, rng)
    if rng.random() < 0.25:
        field = field + np.float32(level * rng.uniform(0.1, 0.6)) * _vignette(shape, rng)
    if rng.random() < 0.15:
        field = field + np.float32(level * rng.uniform(-0.25, 0.25)) * _zones(shape, along_deg, rng)
    if rng.random() < 0.3:
        field = field + np.float32(1.2 * grain + 2) * _specks(shape, rng)
    return Ground(family, texture, np.maximum(field, 2.0).astype(np.float32), grain, along_deg)


# -- steel strip -------------------------------------------------------------------------------------------


def _grainy(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw pickled or oxidised strip: coarse sand, dark specks in it, bands of brightness."""
    along = _rolling(rng)
    level, grain = rng.uniform(75, 185), _between(rng, 12, 38)
    sand = _sand(shape, rng, rng.uniform(3.0, 7.0), elongation=rng.uniform(1.0, 1.8), angle_deg=along)
    field = level + grain * sand + level * rng.uniform(0.03, 0.14) * _bands(shape, along, rng)
    if rng.random() < 0.6:
        pits = band_noise(shape, rng.uniform(8, 20), rng, octaves=0.6)
        field -= np.float32(grain * rng.uniform(0.6, 1.6)) * np.clip(pits - 1.7, 0, 1)
    return _finish("steel", "grainy", field.astype(np.float32), grain, along, rng)


def _brushed(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw strip with short slanting marks of the rolls, a soft mottle under them."""
    along = _rolling(rng)
    level, grain = rng.uniform(70, 165), _between(rng, 4, 14)
    slant = along + 90 + rng.uniform(-35, 35)
    brush = band_noise(
        shape, rng.uniform(2.8, 6.0), rng, octaves=0.6, elongation=rng.uniform(2.5, 7.0), angle_deg=slant
    )
    mottle = sloped_noise(shape, rng.uniform(1.2, 2.0), rng, largest_px=90)
    field = level + grain * brush + level * rng.uniform(0.02, 0.07) * mottle
    field += level * rng.uniform(0.02, 0.1) * _bands(shape, along, rng)
    return _finish("steel", "brushed", field.astype(np.float32), grain, along, rng)


def _smooth(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw dark smooth strip: faint rolling lines, light from one side."""
    along = _rolling(rng)
    level, grain = rng.uniform(35, 130), _between(rng, 1.2, 5)
    lines = sloped_noise(
        shape, rng.uniform(0.5, 1.3), rng, largest_px=40, elongation=_between(rng, 15, 80), angle_deg=along
    )
    sand = _sand(shape, rng, rng.uniform(3, 6))
    field = level + grain * (0.8 * sand + rng.uniform(0.2, 1.0) * lines)
    field += level * rng.uniform(0.02, 0.15) * _bands(shape, along, rng, 70.0)
    if rng.random() < 0.5:
        field = field + np.float32(level * rng.uniform(0.15, 0.45)) * _gradient(shape, rng)
    return _finish("steel", "smooth", field.astype(np.float32), grain, along, rng)


def _glaring(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw overexposed strip: most of it white, grain where the light falls off."""
    along = _rolling(rng)
    level, grain = rng.uniform(180, 250), _between(rng, 12, 40)
    sand = _sand(shape, rng, rng.uniform(3, 7))
    mottle = sloped_noise(shape, rng.uniform(1.3, 2.0), rng, largest_px=80, elongation=1.5, angle_deg=along)
    field = level + grain * sand + rng.uniform(6, 26) * mottle + rng.uniform(5, 25) * _bands(shape, along, rng)
    return _finish("steel", "glaring", field.astype(np.float32), grain, along, rng)


def _bright(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw evenly lit pale strip."""
    along = _rolling(rng)
    level, grain = rng.uniform(140, 235), _between(rng, 2, 9)
    sand = _sand(shape, rng, rng.uniform(3, 6))
    lines = sloped_noise(
        shape, rng.uniform(0.5, 1.3), rng, largest_px=40, elongation=_between(rng, 8, 60), angle_deg=along
    )
    field = level + grain * (sand + rng.uniform(0, 0.8) * lines)
    if rng.random() < 0.6:
        field = field + np.float32(level * rng.uniform(0.1, 0.4)) * _gradient(shape, rng)
    return _finish("steel", "bright", field.astype(np.float32), grain, along, rng)


def _woven(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw a regular weave or knurl."""
    along = _rolling(rng)
    level, depth = rng.uniform(70, 180), _between(rng, 4, 20)
    pitch, turn = rng.uniform(5, 18, 2), np.deg2rad(along + rng.uniform(-5, 5))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x += np.float32(rng.uniform(0, 1.5)) * smooth_noise(shape, 20.0, rng)
    u, v = (
        x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn)),
        y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn)),
    )
    weave = np.sin(u * np.float32(2 * np.pi / pitch[0])) * np.sin(v * np.float32(2 * np.pi / pitch[1]))
    sand = _sand(shape, rng)
    field = level + depth * weave + 0.5 * depth * sand + level * rng.uniform(0.01, 0.06) * _bands(shape, along, rng)
    return _finish("steel", "woven", field.astype(np.float32), 0.75 * depth, along, rng)


# -- ground tiles ------------------------------------------------------------------------------------------


def _ground_tile(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw a ground ceramic or metal part: bright and dark grinding lines, grains, an edge at times."""
    along = float(rng.choice([90.0, 0.0, rng.uniform(0, 180)], p=[0.55, 0.15, 0.3])) + rng.uniform(-4, 4)
    level = rng.uniform(50, 175)
    stripe, sand = _between(rng, 2, 11), _between(rng, 2, 8)
    lines = band_noise(
        shape, rng.uniform(2.5, 9), rng, octaves=rng.uniform(0.6, 1.4), elongation=_between(rng, 20, 120),
        angle_deg=along,
    )  # fmt: skip
    grains = _sand(shape, rng)
    field = level + stripe * (lines + 0.35 * lines * np.abs(lines)) + sand * grains
    field += level * rng.uniform(0.03, 0.12) * sloped_noise(shape, 2.2, rng, largest_px=160)
    field = field + np.float32(level * rng.uniform(0.1, 0.7)) * _vignette(shape, rng)
    ground = _finish("tile", "ground", field.astype(np.float32), float(np.hypot(stripe, sand)), along, rng)
    return _with_edge(ground, rng) if rng.random() < 0.35 else ground


def _granular(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw a sintered or cast part: grains of several sizes, no direction."""
    level, grain = rng.uniform(60, 190), _between(rng, 3, 16)
    grains = band_noise(shape, rng.uniform(2.5, 9), rng, octaves=rng.uniform(0.5, 1.0))
    field = level + grain * grains + level * rng.uniform(0.02, 0.1) * sloped_noise(shape, 2.0, rng)
    ground = _finish("tile", "granular", field.astype(np.float32), grain, rng.uniform(0, 180), rng)
    return _with_edge(ground, rng) if rng.random() < 0.35 else ground


def _with_edge(ground: Ground, rng: np.random.Generator) -> Ground:
    """Let the part end near a border of the picture, with a bevel before the dark table."""
    height, width = ground.field.shape
    y, x = np.ogrid[:height, :width]
    side = int(rng.integers(4))
    across = (x, width - 1 - x, y, height - 1 - y)[side]
    tilt = rng.uniform(-0.06, 0.06) * (y - height / 2 if side < 2 else x - width / 2)
    inside = (across + tilt - rng.uniform(3, 26)).astype(np.float32)
    table = np.float32(rng.uniform(2, 25))
    bevel = 1 + np.float32(rng.uniform(-0.3, 0.5)) * np.exp(-np.abs(inside) / np.float32(rng.uniform(2, 12)))
    cover = np.clip(inside + 0.5, 0, 1)
    field = ground.field * bevel * cover + table * (1 - cover)
    return Ground(
        ground.family, ground.texture, field.astype(np.float32), ground.grain, ground.along_deg, inside < 0
    )  # fmt: skip


# -- any spectrum ------------------------------------------------------------------------------------------


def _sloped(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw noise of a slope and direction of chance."""
    along, level, depth = rng.uniform(0, 180), rng.uniform(40, 215), _between(rng, 3, 26)
    slope = rng.uniform(0.3, 2.2)
    field = level + depth * sloped_noise(
        shape, slope, rng, largest_px=_between(rng, 10, 200), elongation=_between(rng, 1, 12), angle_deg=along
    )
    grain = _between(rng, 1, 8)
    field += grain * band_noise(shape, rng.uniform(2.2, 4), rng, octaves=0.8)
    return _finish("spectrum", "sloped", field.astype(np.float32), float(np.hypot(grain, depth * 0.4)), along, rng)


def _banded(shape: Shape, rng: np.random.Generator) -> Ground:
    """Draw two bands of noise on one another, each with its own direction."""
    along, level = rng.uniform(0, 180), rng.uniform(40, 215)
    first, second = _between(rng, 2, 20), _between(rng, 2, 14)
    field = level + first * band_noise(
        shape,
        _between(rng, 2.5, 16),
        rng,
        octaves=rng.uniform(0.3, 1),
        elongation=_between(rng, 1, 15),
        angle_deg=along,
    )
    field += second * band_noise(
        shape, _between(rng, 8, 60), rng, octaves=rng.uniform(0.3, 1), elongation=_between(rng, 1, 6),
        angle_deg=rng.uniform(0, 180),
    )  # fmt: skip
    return _finish("spectrum", "banded", field.astype(np.float32), float(first), along, rng)


#: Families of surface and their textures; the electrode web is drawn by ``defects.web``.
TEXTURES: dict[str, dict[str, Callable[[Shape, np.random.Generator], Ground]]] = {
    "steel": {
        "grainy": _grainy,
        "brushed": _brushed,
        "smooth": _smooth,
        "glaring": _glaring,
        "bright": _bright,
        "woven": _woven,
    },
    "tile": {"ground": _ground_tile, "granular": _granular},
    "spectrum": {"sloped": _sloped, "banded": _banded},
}

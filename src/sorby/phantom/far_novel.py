"""Pictures that are no micrographs at all: what a novelty gate must refuse without hesitation."""

from __future__ import annotations

import numpy as np

from sorby.phantom.fields import Float32, cloudy_noise, smooth_noise


def paint_noise(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint what a covered or broken camera gives: white noise about a grey."""
    del pixel_um  # no micrograph: nothing has a size
    level, strength = rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.3)
    return (level + strength * rng.standard_normal(shape)).astype(np.float32)


def paint_clouds(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint clouds as in a photograph: power at all scales, most in the large ones."""
    del pixel_um
    side = max(shape)
    scales = tuple(side / 2**power for power in range(1, 7))
    clouds = cloudy_noise(shape, scales, rng, tuple(0.55**power for power in range(6)))
    return np.asarray(0.55 + 0.2 * clouds, dtype=np.float32)


def paint_checker(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint a chequered board, turned, in slight perspective of light: a calibration target or a tiled floor."""
    del pixel_um
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle, side = np.float32(rng.uniform(0, np.pi / 2)), np.float32(max(shape) / rng.uniform(6, 20))
    across = np.floor((x * np.cos(angle) + y * np.sin(angle)) / side)
    along = np.floor((y * np.cos(angle) - x * np.sin(angle)) / side)
    board = np.where((across + along) % 2 == 0, np.float32(0.25), np.float32(0.75))
    light = 1 + np.float32(0.15) * smooth_noise(shape, max(shape) / 2, rng)
    return np.asarray(board * light, dtype=np.float32)


def paint_gradient(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint a plain surface under uneven light: a sheet of paper, a lamp without a specimen."""
    del pixel_um
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    slope_x, slope_y, bow = (np.float32(value) for value in rng.uniform(-0.25, 0.25, 3))
    return np.asarray(np.float32(0.55) + slope_x * x + slope_y * y + bow * (x**2 + y**2) / 2, dtype=np.float32)

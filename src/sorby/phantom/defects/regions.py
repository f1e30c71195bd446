"""Altered regions: pitting, rolled-in scale, crazing. Many small marks, one box round all of them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from sorby.phantom.defects.drawing import Window, between, finished, strength, window_around
from sorby.phantom.defects.grounds import Ground
from sorby.phantom.defects.noise import band_noise
from sorby.phantom.defects.picture import Float32, Mark
from sorby.phantom.fields import smooth_noise

#: Fewer flecks than so many pixels are no group.
_LEAST_PX = 30


def _region(
    shape: tuple[int, ...], rng: np.random.Generator, widths: tuple[float, float], heights: tuple[float, float]
) -> Window | None:
    """Return a rectangle of chance; bounds are shares of the picture's sides, and it may hang over its border."""
    width, height = between(rng, *widths) * shape[1], between(rng, *heights) * shape[0]
    x = rng.uniform(0.3 * width, shape[1] - 0.3 * width) if width < 1.6 * shape[1] else shape[1] / 2
    y = rng.uniform(0.3 * height, shape[0] - 0.3 * height) if height < 1.6 * shape[0] else shape[0] / 2
    return window_around(
        (shape[0], shape[1]), x - width / 2, y - height / 2, x + width / 2, y + height / 2, 0
    )  # fmt: skip


def _envelope(window: Window, rng: np.random.Generator, *, round: float, ragged: float) -> Float32:
    """Return the density of a group over its window, 1 within, falling to 0 towards a ragged border.

    Parameters
    ----------
    window : Window
    rng : numpy.random.Generator
    round : float
        0 fills the rectangle, 1 the ellipse in it.
    ragged : float
        Deviation of the border, as a share of the radius.
    """
    height, width = window.shape
    v = np.abs(np.linspace(-1, 1, height, dtype=np.float32))[:, None]
    u = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :]
    power = np.float32(2.0 + 8.0 * (1 - round))
    distance = (u**power + v**power) ** (1 / power)
    distance = distance + np.float32(ragged) * np.clip(
        smooth_noise(window.shape, max(6.0, 0.25 * min(height, width)), rng), -1.5, 1.5
    )
    t = np.clip((1 - distance) / np.float32(0.3), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def draw_pitting(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw pitting: a field of small dots over a large region, often over the whole picture."""
    shape = ground.field.shape
    whole = rng.random() < 0.5
    window = Window(0, 0, *shape) if whole else _region(shape, rng, (0.18, 1.2), (0.3, 1.6))
    if window is None:
        return None
    pitch = between(rng, 4.5, 15.0)
    dots = band_noise(
        window.shape, pitch, rng, octaves=rng.uniform(0.25, 0.5), elongation=rng.uniform(1.0, 2.2),
        angle_deg=ground.along_deg + rng.normal(0, 10),
    )  # fmt: skip
    envelope = np.ones(window.shape, np.float32) if whole else _envelope(window, rng, round=0.2, ragged=0.08)
    density = rng.uniform(0, 0.6) * smooth_noise(window.shape, 60.0, rng)
    threshold = rng.uniform(0.8, 1.9)
    cover = np.clip((dots + density - threshold) / np.float32(rng.uniform(0.3, 0.9)), 0, 1) * envelope
    amount = strength(ground, window, rng, dark=0.88, low=1.6, high=6.0, floor=(10, 70))
    delta = cover * np.float32(amount)
    mask = cover > 0.3
    return finished("pitting", window, delta, mask) if int(mask.sum()) > 2 * _LEAST_PX else None


def draw_rolled_in_scale(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw rolled-in scale: a swarm of short dark flecks across the rolling direction."""
    shape = ground.field.shape
    window = _region(shape, rng, (0.12, 0.65), (0.12, 0.75))
    if window is None or min(window.shape) < 12:
        return None
    flecks = band_noise(
        window.shape, between(rng, 4.5, 12.0), rng, octaves=0.45, elongation=rng.uniform(1.5, 4.0),
        angle_deg=ground.along_deg + 90 + rng.normal(0, 15),
    )  # fmt: skip
    envelope = _envelope(window, rng, round=rng.uniform(0.2, 1.0), ragged=0.15)
    clumps = rng.uniform(0.2, 0.8) * smooth_noise(window.shape, rng.uniform(12, 30), rng)
    cover = np.clip((flecks + clumps + 1.2 * envelope - rng.uniform(2.0, 2.9)) / 0.6, 0, 1) * (envelope > 0.02)
    amount = strength(ground, window, rng, dark=0.85, low=1.8, high=6.0, floor=(12, 60))
    delta = cover * np.float32(amount)
    if rng.random() < 0.4:
        # The metal between the flecks is rougher and a little lighter or darker than around them.
        delta = delta + envelope * np.float32(rng.uniform(-0.5, 0.5) * ground.grain)
    mask = cover > 0.4
    return finished("rolled_in_scale", window, delta, mask, 1) if int(mask.sum()) > _LEAST_PX else None


def draw_crazing(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw crazing: a band or region of fine cracks of low contrast."""
    shape = ground.field.shape
    wide = rng.random() < 0.7
    window = _region(shape, rng, (0.3, 1.1) if wide else (0.15, 0.5), (0.18, 0.6) if wide else (0.3, 1.1))
    if window is None or min(window.shape) < 16:
        return None
    wander = band_noise(
        window.shape, between(rng, 9, 30), rng, octaves=0.7, elongation=rng.uniform(1.0, 2.5),
        angle_deg=ground.along_deg + 90 + rng.normal(0, 25),
    )  # fmt: skip
    # Cracks run where noise passes through zero; other noise lets only pieces of them open.
    line = np.exp(-((wander / np.float32(rng.uniform(0.12, 0.3))) ** 2))
    opened = np.clip(band_noise(window.shape, between(rng, 6, 18), rng, octaves=0.6) + rng.uniform(-0.4, 0.7), 0, 1)
    envelope = _envelope(window, rng, round=rng.uniform(0.0, 0.6), ragged=0.08)
    cover = line * opened * envelope
    amount = strength(ground, window, rng, dark=0.88, low=1.0, high=3.5, floor=(8, 40))
    delta = cover * np.float32(amount) * np.float32(1.3)
    if rng.random() < 0.35:
        delta = delta + gaussian_filter(envelope, 3.0) * np.float32(0.2 * amount)
    mask = cover > 0.35
    return finished("crazing", window, delta, mask, 1) if int(mask.sum()) > 2 * _LEAST_PX else None

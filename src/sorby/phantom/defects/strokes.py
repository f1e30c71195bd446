"""Marks drawn by strokes: scratches, cracks, scuffs, fibres."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from sorby.phantom.defects.drawing import SEEN, Window, between, finished, path, strength, stroked, window_around
from sorby.phantom.defects.grounds import Ground
from sorby.phantom.defects.picture import Float32, Float64, Mark

Line = tuple[Float64, Float64, Float64]


def _pressed(pieces: int, rng: np.random.Generator, *, broken: float) -> Float64:
    """Return the pressure along a stroke, 0 to 1, lifted on the share *broken* of it."""
    knots = rng.standard_normal(pieces + 4)
    wave = np.convolve(knots, (0.15, 0.2, 0.3, 0.2, 0.15), mode="valid") * 2.0
    pressure = np.clip(0.85 + 0.25 * wave, 0.35, 1.0)
    if broken > 0:
        pressure = np.where(wave < np.quantile(wave, broken), 0.0, pressure)
    ends = np.minimum(np.arange(pieces), np.arange(pieces)[::-1]) + 1
    return np.asarray(pressure * np.clip(ends / max(1.0, 0.12 * pieces), 0.3, 1.0), dtype=np.float64)


def _around(shape: tuple[int, int], lines: list[Line], margin: float) -> Window | None:
    points = np.concatenate([line[0] for line in lines])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return window_around(shape, left, top, right, bottom, margin)


def _veined(window: Window, cover: Float32, amount: float, rng: np.random.Generator) -> Float32:
    """Return the light of strokes, a little uneven as metal is that was torn."""
    uneven = 1 + np.float32(0.18) * rng.standard_normal(window.shape, dtype=np.float32)
    return np.asarray(cover * np.float32(amount) * uneven, dtype=np.float32)


def _hand(rng: np.random.Generator, width: float = 1.0) -> int:
    """Return by how many pixels a line is drawn around; nobody draws closer than one round a thin line."""
    hand = int(rng.choice([0, 1, 2, 3, 5], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
    return max(hand, int(width < 3))


def draw_scratch(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a scratch: long and thin, along the rolling direction as a rule, bright as a rule, perhaps several lines."""
    shape = ground.field.shape
    edge = float(min(shape))
    angle = ground.along_deg + float(
        rng.choice([rng.normal(0, 3), 90 + rng.normal(0, 4), rng.uniform(0, 180)], p=[0.55, 0.15, 0.3])
    )
    length = float(rng.choice([between(rng, 14, 1.1 * edge), 3 * edge], p=[0.68, 0.32]))
    width = between(rng, 0.8, 5.5) if rng.random() < 0.85 else between(rng, 5.5, 0.13 * edge)
    x, y = rng.uniform(0.04, 0.96) * shape[1], rng.uniform(0.04, 0.96) * shape[0]
    through = length > 2 * edge
    bend, jitter = (0.02, 0.004) if through else (rng.choice([0.02, 0.3, 0.9], p=[0.6, 0.3, 0.1]), 0.02)
    broad = width > 5.5
    several = 1 if broad else int(rng.choice([1, 2, 3, 5], p=[0.68, 0.18, 0.09, 0.05]))
    broken = rng.uniform(0.15, 0.5) if rng.random() < 0.3 and not broad else 0.0
    spine = path(x, y, length, angle, rng, bend=float(bend), jitter=jitter)
    normal = np.array([-np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    gap = width * rng.uniform(1.4, 2.6) + 1.0
    lines: list[Line] = []
    for number in range(several):
        points = spine + normal * (number - (several - 1) / 2) * gap
        if number and not through:
            shift = rng.uniform(-0.25, 0.25) * length
            points = points + shift * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
        pieces = len(points) - 1
        widths = width * rng.uniform(0.6, 1.2) * (1 + 0.2 * rng.standard_normal(pieces)).clip(0.4, 1.8)
        lines.append((points, widths, _pressed(pieces, rng, broken=broken)))
    window = _around((shape[0], shape[1]), lines, width + 5)
    if window is None:
        return None
    cover = stroked(window, lines)
    if width > 3 and rng.random() < 0.5:
        cover = gaussian_filter(cover, min(0.2 * width, 2.5))
    amount = strength(ground, window, rng, dark=0.28, low=1.6, high=9.0, floor=(10, 170))
    delta = _veined(window, cover, amount, rng)
    if rng.random() < 0.2:
        # A ridge thrown up beside the furrow is of the other tone.
        shift = int(np.clip(np.rint(width), 1, 4))
        delta -= np.float32(0.5 * amount) * np.roll(cover, (shift * (abs(normal[1]) > 0.5), shift), (0, 1))
    return finished("scratch", window, delta, cover > SEEN, _hand(rng, width))


def draw_crack(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a crack: a dark meandering line, forked at times."""
    shape = ground.field.shape
    length = between(rng, 14, 0.9 * min(shape))
    angle = ground.along_deg + (rng.normal(0, 12) if rng.random() < 0.4 else rng.uniform(0, 180))
    x, y = rng.uniform(0.05, 0.95) * shape[1], rng.uniform(0.05, 0.95) * shape[0]
    width = between(rng, 0.8, 3.2)
    spine = path(x, y, length, angle, rng, bend=0.8, jitter=rng.uniform(0.2, 0.7))
    lines: list[Line] = []
    branches = [spine]
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.55, 0.25, 0.12, 0.08]))):
        start = spine[int(rng.integers(len(spine)))]
        side = path(0, 0, length * rng.uniform(0.15, 0.5), angle + rng.uniform(-80, 80), rng, bend=0.6, jitter=0.4)
        branches.append(side - side[0] + start)
    for points in branches:
        pieces = len(points) - 1
        taper = np.linspace(1.2, 0.5, pieces) if rng.random() < 0.5 else np.ones(pieces)
        lines.append((points, width * taper, np.clip(_pressed(pieces, rng, broken=0.0) + 0.2, 0, 1)))
    window = _around((shape[0], shape[1]), lines, width + 5)
    if window is None:
        return None
    cover = stroked(window, lines)
    amount = strength(ground, window, rng, dark=0.9, low=2.2, high=8.0, floor=(15, 90))
    return finished("crack", window, _veined(window, cover, amount, rng), cover > SEEN, _hand(rng))


def draw_scuff(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a scuff: a bundle of short strokes in one direction, one box round all."""
    shape = ground.field.shape
    edge = float(min(shape))
    reach = between(rng, 10, 0.4 * edge)
    angle = rng.uniform(0, 180)
    x, y = rng.uniform(0.08, 0.92) * shape[1], rng.uniform(0.08, 0.92) * shape[0]
    flat = rng.uniform(0.35, 0.9)
    count = int(rng.integers(6, 34))
    width = between(rng, 0.6, 2.2)
    offsets = rng.standard_normal((count, 2)).clip(-1.7, 1.7) * (0.45 * reach, 0.45 * reach * flat)
    turn = np.deg2rad(angle)
    lines: list[Line] = []
    for along, across in offsets:
        centre = (
            x + along * np.cos(turn) - across * np.sin(turn),
            y + along * np.sin(turn) + across * np.cos(turn),
        )
        points = path(*centre, reach * rng.uniform(0.25, 0.9), angle + rng.normal(0, 9), rng, bend=0.3, jitter=0.05)
        pieces = len(points) - 1
        lines.append((points, np.full(pieces, width), _pressed(pieces, rng, broken=0.0) * rng.uniform(0.5, 1.0)))
    window = _around((shape[0], shape[1]), lines, 6)
    if window is None:
        return None
    cover = stroked(window, lines)
    amount = strength(ground, window, rng, dark=0.3, low=1.5, high=6.0, floor=(10, 80))
    haze = gaussian_filter(cover, max(2.0, 0.08 * reach)) * np.float32(rng.uniform(0, 0.5))
    delta = _veined(window, np.maximum(cover, haze), amount, rng)
    return finished("scuff", window, delta, cover > SEEN, _hand(rng))


def draw_fibre(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a fibre: a thin curled hair that lies on the surface."""
    shape = ground.field.shape
    length = between(rng, 16, 0.8 * min(shape))
    x, y = rng.uniform(0.08, 0.92) * shape[1], rng.uniform(0.08, 0.92) * shape[0]
    points = path(x, y, length, rng.uniform(0, 180), rng, bend=rng.uniform(1.0, 4.5), jitter=0.15)
    pieces = len(points) - 1
    width = between(rng, 0.7, 2.2)
    lines: list[Line] = [(points, np.full(pieces, width), np.full(pieces, 1.0))]
    window = _around((shape[0], shape[1]), lines, 8)
    if window is None:
        return None
    cover = stroked(window, lines)
    amount = strength(ground, window, rng, dark=0.5, low=2.0, high=8.0, floor=(15, 100))
    delta = cover * np.float32(amount)
    if rng.random() < 0.4:
        shadow = np.roll(gaussian_filter(cover, 1.2), (2, 2), (0, 1))
        delta = delta - np.float32(0.35 * abs(amount)) * shadow * (1 - cover)
    return finished("fibre", window, delta, cover > SEEN, _hand(rng))

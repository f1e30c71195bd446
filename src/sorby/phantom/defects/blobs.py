"""Marks of one body or a few: inclusions, patches, stains, dents, holes, pinholes, debris, chips."""

from __future__ import annotations

import numpy as np

from sorby.phantom.defects.drawing import (
    SEEN,
    Window,
    between,
    blob,
    edged,
    finished,
    radius,
    strength,
    window_around,
)
from sorby.phantom.defects.grounds import Ground
from sorby.phantom.defects.noise import band_noise
from sorby.phantom.defects.picture import Float32, Mark
from sorby.phantom.fields import smooth_noise


def _somewhere(shape: tuple[int, ...], rng: np.random.Generator, margin: float = 0.03) -> tuple[float, float]:
    """Return x and y of a place in the picture."""
    return rng.uniform(margin, 1 - margin) * shape[1], rng.uniform(margin, 1 - margin) * shape[0]


def _around(
    shape: tuple[int, ...], centre: tuple[float, float], axes: tuple[float, float], angle_deg: float, slack: float
) -> Window | None:
    """Return the window that holds a turned ellipse *slack* times as large."""
    turn = np.deg2rad(angle_deg)
    half_w = slack * float(np.hypot(axes[0] * np.cos(turn), axes[1] * np.sin(turn)))
    half_h = slack * float(np.hypot(axes[0] * np.sin(turn), axes[1] * np.cos(turn)))
    x, y = centre
    return window_around((shape[0], shape[1]), x - half_w, y - half_h, x + half_w, y + half_h, 3)


def _mottled(window: Window, rng: np.random.Generator, depth: float) -> Float32:
    """Return the unevenness within a mark, about 1."""
    return np.asarray(1 + np.float32(depth) * smooth_noise(window.shape, rng.uniform(2.5, 9), rng), dtype=np.float32)


def draw_inclusion(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw inclusions: slivers along the rolling direction, alone, several in a line within one box, or torn."""
    return _torn(ground, rng) if rng.random() < 0.3 else _slivers(ground, rng)


def _slivers(ground: Ground, rng: np.random.Generator) -> Mark | None:
    shape = ground.field.shape
    angle = ground.along_deg + rng.normal(0, 4)
    turn = np.deg2rad(angle)
    count = int(rng.choice([1, 2, 3, 5, 7], p=[0.5, 0.2, 0.14, 0.1, 0.06]))
    b = between(rng, 1.8, 9.0)
    a = b * between(rng, 1.4, 7.0)
    x, y = _somewhere(shape, rng)
    along = np.cumsum(rng.uniform(0.9, 2.6, count)) * a if count > 1 else np.zeros(1)
    along = along - along.mean()
    across = rng.normal(0, 1.3 * b, count) if count > 1 else np.zeros(1)
    reach = (float(np.abs(along).max()) + 1.6 * a, float(np.abs(across).max()) + 1.9 * b)
    window = _around(shape, (x, y), reach, angle, 1.0)
    if window is None:
        return None
    cover = np.zeros(window.shape, np.float32)
    ragged, soft = rng.uniform(0.1, 0.35), between(rng, 0.15, 0.7)
    for s, t in zip(along, across, strict=True):
        centre = (x + s * np.cos(turn) - t * np.sin(turn), y + s * np.sin(turn) + t * np.cos(turn))
        axes = (a * rng.uniform(0.5, 1.15), b * rng.uniform(0.5, 1.15))
        part = blob(window, centre, axes, angle + rng.normal(0, 4), rng, ragged=ragged, soft=soft)
        cover = np.maximum(cover, part * np.float32(rng.uniform(0.7, 1.0)))
    amount = strength(ground, window, rng, dark=0.8, low=1.8, high=7.0, floor=(10, 60))
    delta = cover * np.float32(amount) * _mottled(window, rng, 0.12)
    return finished("inclusion", window, delta, cover > SEEN, int(rng.integers(0, 3)))


def _torn(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a long streak of torn slivers: stretched noise above a threshold, within an envelope."""
    shape = ground.field.shape
    edge = float(min(shape))
    b = between(rng, 5, 0.17 * edge)
    a = between(rng, 1.6 * b, 1.3 * edge)
    angle = ground.along_deg + rng.normal(0, 3)
    centre = _somewhere(shape, rng)
    window = _around(shape, centre, (a, b), angle, 1.15)
    if window is None:
        return None
    envelope = blob(window, centre, (a, b), angle, rng, ragged=0.15, soft=0.6)
    fragments = band_noise(
        window.shape, max(5.0, b * rng.uniform(0.5, 1.4)), rng, octaves=0.6, elongation=between(rng, 3, 9),
        angle_deg=angle,
    )  # fmt: skip
    cover = np.clip((fragments + 3.2 * envelope - rng.uniform(1.9, 2.8)) / rng.uniform(0.2, 0.7), 0, 1) * (envelope > 0)
    amount = strength(ground, window, rng, dark=0.85, low=1.3, high=4.5)
    delta = cover * np.float32(amount) * _mottled(window, rng, 0.1)
    return finished("inclusion", window, delta, cover > 0.5, int(rng.integers(0, 2)))


def draw_patch(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a patch: a large area of another brightness with a ragged border, the surface's grain still in it."""
    shape = ground.field.shape
    edge = float(min(shape))
    b = between(rng, 0.045 * edge, 0.2 * edge)
    a = b * between(rng, 1.0, 4.0)
    angle = ground.along_deg + rng.normal(0, 12) if rng.random() < 0.75 else rng.uniform(0, 180)
    centre = _somewhere(shape, rng, 0.0)
    window = _around(shape, centre, (a, b), angle, 1.7)
    if window is None:
        return None
    cover = blob(window, centre, (a, b), angle, rng, ragged=rng.uniform(0.12, 0.4), soft=between(rng, 0.08, 0.5))
    below = window.of(ground.field)
    amount = strength(ground, window, rng, dark=0.8, low=1.2, high=5.0, floor=(14, 110))
    mean = float(below.mean())
    # What covers the surface dims its light, so the grain under it shrinks with it.
    dimmed = np.clip((mean + amount) / max(mean, 1.0), 0.08, 2.5)
    delta = cover * (below * np.float32(dimmed - 1.0)) * _mottled(window, rng, rng.uniform(0.03, 0.2))
    if rng.random() < 0.5:
        grit = rng.standard_normal(window.shape, dtype=np.float32)
        delta = delta + cover * grit * np.float32(0.35 * ground.grain)
    return finished("patch", window, delta, cover > 0.5)


def draw_stain(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a stain: what a drop left when it dried, faint within, stronger at its border."""
    shape = ground.field.shape
    b = between(rng, 5, 0.3 * min(shape))
    axes = (b * between(rng, 1.0, 1.8), b)
    angle, centre = rng.uniform(0, 180), _somewhere(shape, rng)
    window = _around(shape, centre, axes, angle, 1.5)
    if window is None:
        return None
    distance = radius(window, centre, axes, angle, rng, ragged=rng.uniform(0.05, 0.25))
    body = edged(distance, between(rng, 0.08, 0.4))
    rim = np.exp(-(((distance - 0.92) / np.float32(rng.uniform(0.05, 0.15))) ** 2))
    amount = strength(ground, window, rng, dark=0.65, low=0.8, high=3.0)
    share = rng.uniform(0.0, 1.0)
    delta = np.float32(amount) * (body * np.float32(1 - 0.5 * share) + rim * np.float32(share))
    return finished("stain", window, delta * _mottled(window, rng, 0.15), body > 0.5)


def draw_dent(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a dent or bump: one flank bright, the other in shadow."""
    shape = ground.field.shape
    b = between(rng, 3.5, 0.17 * min(shape))
    axes = (b * between(rng, 1.0, 2.2), b)
    angle, centre = rng.uniform(0, 180), _somewhere(shape, rng)
    window = _around(shape, centre, axes, angle, 2.3)
    if window is None:
        return None
    distance = radius(window, centre, axes, angle, rng, ragged=rng.uniform(0, 0.15))
    rows, columns = window.grid()
    lamp = rng.uniform(0, 2 * np.pi)
    slope = (columns - np.float32(centre[0])) * np.float32(np.cos(lamp)) + (rows - np.float32(centre[1])) * np.float32(
        np.sin(lamp)
    )
    bowl = np.exp(-((distance / np.float32(0.75)) ** 2))
    flank = slope / np.float32(b) * bowl * np.float32(2.0)
    amount = abs(strength(ground, window, rng, dark=0.5, low=1.8, high=6.0, floor=(10, 60)))
    delta = np.float32(amount) * (flank + np.float32(rng.uniform(-0.5, 0.3)) * bowl)
    return finished("dent", window, delta, distance < 1)


def draw_hole(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a hole: a dark well with a bright or dark halo, as a blowhole or a burst bubble has."""
    shape = ground.field.shape
    b = between(rng, 2.5, 0.09 * min(shape))
    axes = (b * between(rng, 1.0, 2.2), b)
    angle, centre = rng.uniform(0, 180), _somewhere(shape, rng)
    window = _around(shape, centre, axes, angle, 2.6)
    if window is None:
        return None
    distance = radius(window, centre, axes, angle, rng, ragged=rng.uniform(0.03, 0.25))
    well = edged(distance, between(rng, 0.15, 0.6))
    amount = strength(ground, window, rng, dark=0.88, low=2.5, high=9.0, floor=(18, 120))
    halo = np.exp(-(((distance - 1.2) / np.float32(rng.uniform(0.2, 0.6))) ** 2)) * np.float32(rng.uniform(-0.6, 0.3))
    delta = np.float32(amount) * (well + halo * (1 - well))
    return finished("hole", window, delta, well > 0.4, int(rng.integers(0, 3)))


def draw_pinhole(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a pinhole: a dot of a few pixels, bright or dark, with a rim or rings at times."""
    shape = ground.field.shape
    r = between(rng, 1.3, 6.0)
    centre = _somewhere(shape, rng, 0.02)
    window = _around(shape, centre, (r, r), 0.0, 3.5)
    if window is None:
        return None
    distance = radius(window, centre, (r, r * rng.uniform(0.75, 1.0)), rng.uniform(0, 180), rng, ragged=0.08)
    dot = edged(distance, rng.uniform(0.4, 1.0))
    amount = strength(ground, window, rng, dark=0.45, low=3.5, high=12.0, floor=(20, 150))
    form = rng.random()
    delta = np.float32(amount) * dot
    seen = distance < 1.1
    if form < 0.35:
        rim = np.exp(-(((distance - 1.35) / np.float32(0.3)) ** 2))
        delta = np.float32(amount) * (dot - np.float32(rng.uniform(0.4, 1.0)) * rim)
        seen = distance < 1.6
    elif form < 0.5:
        rings = np.cos(distance * np.float32(2 * np.pi / 1.1)) * np.exp(-distance / np.float32(1.4)) * (distance > 1)
        delta = np.float32(amount) * (dot + np.float32(0.3) * rings)
    return finished("pinhole", window, delta, seen, int(rng.integers(0, 2)))


def draw_debris(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a crumb that lies on the surface, with a little shadow."""
    shape = ground.field.shape
    b = between(rng, 1.6, 9.0)
    axes = (b * between(rng, 1.0, 2.5), b)
    angle, centre = rng.uniform(0, 180), _somewhere(shape, rng)
    window = _around(shape, centre, axes, angle, 2.2)
    if window is None:
        return None
    cover = blob(window, centre, axes, angle, rng, ragged=rng.uniform(0.2, 0.5), soft=0.25)
    amount = strength(ground, window, rng, dark=0.5, low=2.5, high=9.0, floor=(15, 100))
    delta = cover * np.float32(amount) * _mottled(window, rng, 0.25)
    if rng.random() < 0.5:
        shadow = np.roll(cover, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), (0, 1)) * (1 - cover)
        delta = delta - np.float32(0.4 * abs(amount)) * shadow
    return finished("debris", window, delta, cover > SEEN, int(rng.integers(0, 2)))


def draw_chip(ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a chip: a piece broken out of the edge of the part, or of what the picture shows of it."""
    shape = ground.field.shape
    b = between(rng, 4, 0.15 * min(shape))
    axes = (b * between(rng, 1.0, 3.0), b)
    if ground.outside is not None and ground.outside.any():
        inner = ground.outside ^ np.roll(ground.outside, 1, 0) | ground.outside ^ np.roll(ground.outside, 1, 1)
        rows, columns = np.nonzero(inner[2:-2, 2:-2])
        if not len(rows):
            return None
        at = int(rng.integers(len(rows)))
        centre = (float(columns[at]) + 2, float(rows[at]) + 2)
        upright = int(np.ptp(rows)) > int(np.ptp(columns))
        table = float(ground.field[ground.outside].mean())
    else:
        upright = bool(rng.random() < 0.5)
        side = float(rng.random() < 0.5)
        centre = (side * shape[1], rng.uniform(0, shape[0])) if upright else (rng.uniform(0, shape[1]), side * shape[0])
        table = rng.uniform(2, 30)
    angle = (90.0 if upright else 0.0) + rng.normal(0, 10)
    window = _around(shape, centre, axes, angle, 1.7)
    if window is None:
        return None
    distance = radius(window, centre, axes, angle, rng, ragged=rng.uniform(0.15, 0.4))
    cover = edged(distance, rng.uniform(0.08, 0.3))
    below = window.of(ground.field)
    facet = np.exp(-(((distance - 1.05) / np.float32(0.15)) ** 2)) * np.float32(rng.uniform(-0.2, 0.5))
    floor = np.float32(table) + np.float32(rng.uniform(0, 0.5)) * np.clip(distance, 0, 1) * (below - np.float32(table))
    delta = cover * (floor - below) + facet * below * (1 - cover)
    mask = cover > 0.5
    if ground.outside is not None:
        mask &= ~ground.outside[window.top : window.bottom, window.left : window.right]
    return finished("chip", window, delta, mask)

"""What stands at the origin: cracks, pores, agglomerates, inclusions, large grains, each built of a few lenses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.phantom.fracture.specimen import FractureSpecimen
from sorby.phantom.place_noise import Float32, Window, smooth

Wall = Literal["sintered", "planar", "porous", "metallic", "cleaved"]


@dataclass(frozen=True)
class Lens:
    """An ellipse of the fracture plane: centre, semi-axes in µm, direction of the longer in radians."""

    x_um: float
    y_um: float
    a_um: float
    b_um: float
    angle: float


@dataclass(frozen=True)
class Kind:
    """How a flaw looks.

    Attributes
    ----------
    wall : str
        ``sintered``: rounded free grains; ``planar``: a flat crack with striations; ``porous``: loose coarse grains;
        ``metallic``: smooth and bright; ``cleaved``: one facet with steps.
    void : float
        Depth of the cavity over the smaller semi-axis, on both halves.
    raised : float
        Height over the smaller semi-axis, a hollow on the other half.
    step : float
        Height of the ledge at the boundary over the smaller semi-axis.
    shade : float
        Grey against the surroundings, 0..1.
    gap : float
        Width of the gap around it over the smaller semi-axis.
    ragged : float
        How far its outline wanders, over the smaller semi-axis.
    """

    wall: Wall
    void: float = 0.0
    raised: float = 0.0
    step: float = 0.0
    shade: float = 0.0
    gap: float = 0.0
    ragged: float = 0.2


KINDS: Mapping[str, Kind] = {
    "pressing_crack": Kind("sintered", void=0.55, step=0.15, shade=-0.13, ragged=0.55),
    "lamination": Kind("sintered", void=0.7, step=0.2, shade=-0.15, ragged=0.35),
    "machining_crack": Kind("planar", step=0.05, shade=0.03, ragged=0.16),
    "grinding_groove": Kind("planar", step=0.08, shade=0.02, ragged=0.3),
    "pore": Kind("sintered", void=1.0, shade=-0.24, ragged=0.22),
    "agglomerate": Kind("porous", raised=0.22, shade=-0.03, gap=0.16, ragged=0.15),
    "inclusion": Kind("metallic", raised=0.3, shade=0.3, gap=0.1, ragged=0.2),
    "large_grain": Kind("cleaved", raised=0.1, step=0.1, shade=0.08, ragged=0.3),
}


#: How an outline wanders: wavelengths over the smaller semi-axis, shares.
_OUTLINE = ((1.3, 0.55), (0.5, 0.28), (0.18, 0.12), (0.06, 0.05))


@dataclass(frozen=True)
class FlawField:
    """A flaw on a part of a window.

    Attributes
    ----------
    rows, columns : slice
        The part.
    inside : ndarray of float32
        0 outside, 1 inside, with a soft border.
    gap : ndarray of float32
        1 in the gap around an agglomerate or inclusion.
    rim : ndarray of float32
        1 along the ledge.
    depth : ndarray of float32
        0 at the outline, 1 in the middle.
    near : ndarray of bool
        The flaw and its surroundings to half its width: where the fracture began.
    width_um : float
        Smaller semi-axis.
    """

    rows: slice
    columns: slice
    inside: Float32
    gap: Float32
    rim: Float32
    depth: Float32
    near: npt.NDArray[np.bool_]
    width_um: float


def lenses(specimen: FractureSpecimen) -> tuple[Lens, ...]:
    """Return the lenses of a specimen's flaw; the origin of coordinates is in the middle of the first."""
    flaw = specimen.flaw
    rng = np.random.default_rng([specimen.seed, 5])
    root = float(np.sqrt(flaw.elongation))
    a, b = flaw.size_um * root, flaw.size_um / root
    if flaw.subtype == "pressing_crack":
        return (Lens(0, 0, a, b, flaw.angle), *_branches(rng, a, b, flaw.angle))
    if flaw.subtype == "lamination":
        return _echelon(rng, a, b, flaw.angle)
    if flaw.subtype == "machining_crack":
        neighbours = [
            Lens(float(side * a * rng.uniform(1.1, 1.9)), 0.0, a * 0.55, b * rng.uniform(0.35, 0.7), 0.0)
            for side in (-1, 1)
            if rng.random() < 0.5
        ]
        return (Lens(0, 0, a, b, 0.0), *neighbours)
    if flaw.subtype == "grinding_groove":
        places = np.sort(rng.uniform(-0.8, 0.8, 3)) * a
        return (Lens(0, 0, a, b * 0.8, 0.0), *(Lens(float(x), 0.0, a * 0.3, b, 0.0) for x in places))
    if flaw.subtype == "pore":
        lobes = [
            Lens(float(rng.normal(0, 0.6 * a)), float(rng.normal(0, 0.6 * b)), a * 0.55, b * 0.5, flaw.angle)
            for _ in range(int(rng.integers(0, 3)))
        ]
        return (Lens(0, 0, a, b, flaw.angle), *lobes)
    return (Lens(0, 0, a, b, flaw.angle),)


def _branches(rng: np.random.Generator, a: float, b: float, angle: float) -> list[Lens]:
    """Return short cracks leaving a long one to either side."""
    branches = []
    for _ in range(int(rng.integers(2, 5))):
        at, turn, reach = rng.uniform(-0.8, 0.8) * a, rng.choice((-1, 1)) * rng.uniform(0.4, 1.1), rng.uniform(0.3, 0.6)
        half = reach * a
        x = at * np.cos(angle) + half * 0.8 * np.cos(angle + turn)
        y = at * np.sin(angle) + half * 0.8 * np.sin(angle + turn)
        branches.append(Lens(float(x), float(y), float(half), b * 0.5, angle + float(turn)))
    return branches


def _echelon(rng: np.random.Generator, a: float, b: float, angle: float) -> tuple[Lens, ...]:
    """Return thin lenses side by side, each a little further along."""
    count = int(rng.integers(3, 6))
    shift = rng.uniform(-0.25, 0.25) * a
    steps = [0, *[sign * (k // 2 + 1) for k, sign in zip(range(count - 1), (1, -1) * count, strict=False)]]
    return tuple(
        Lens(
            float(k * (shift * np.cos(angle) - 1.05 * b * np.sin(angle))),
            float(k * (shift * np.sin(angle) + 1.05 * b * np.cos(angle))),
            float(a * rng.uniform(0.6, 1.0)) if k else a,
            b * 0.45,
            angle + float(rng.normal(0, 0.06)),
        )
        for k in steps
    )


def draw_flaw(specimen: FractureSpecimen, window: Window) -> FlawField | None:
    """Return the flaw where a window shows it, or None.

    Parameters
    ----------
    specimen : FractureSpecimen
    window : Window
        In the specimen's coordinates.
    """
    parts = lenses(specimen)
    kind = KINDS[specimen.flaw.subtype]
    width = min(parts[0].a_um, parts[0].b_um)
    reach = max(max(p.a_um, p.b_um) + float(np.hypot(p.x_um, p.y_um)) for p in parts) * 1.3 + width
    rows, columns = window.rows_and_columns(0.0, 0.0, max(reach, 4 * window.pixel_um))
    if rows.start == rows.stop or columns.start == columns.stop:
        return None
    part = window.part(rows, columns)
    # Inside is positive: one minus the elliptic radius, times the smaller axis, is a distance near the outline.
    distance = np.full(part.shape, -np.inf, dtype=np.float32)
    for lens in parts:
        dx, dy = part.x_um - np.float32(lens.x_um), part.y_um - np.float32(lens.y_um)
        cos, sin = np.float32(np.cos(lens.angle)), np.float32(np.sin(lens.angle))
        along, across = (dx * cos + dy * sin) / np.float32(lens.a_um), (dy * cos - dx * sin) / np.float32(lens.b_um)
        radius = np.sqrt(along * along + across * across)
        distance = np.maximum(distance, (1.0 - radius) * np.float32(min(lens.a_um, lens.b_um)))
    seed = specimen.seed * 64 + 40
    wander = np.zeros(part.shape, dtype=np.float32)
    for number, (scale, share) in enumerate(_OUTLINE):
        wander += smooth(part, width * scale, seed + number) * np.float32(share)
    distance = distance + wander * np.float32(kind.ragged * width)
    soft = max(0.5 * window.pixel_um, 0.02 * width)
    inside = np.clip(0.5 + distance / (2 * soft), 0.0, 1.0).astype(np.float32)
    band = max(0.06 * width, 1.2 * window.pixel_um)
    gap_half = kind.gap * width / 2
    gap = np.zeros_like(inside)
    if kind.gap:
        # Shrinkage opens the gap along a part of the outline only.
        open_here = np.clip(0.6 + smooth(part, 1.6 * width, seed + 7), 0.0, 1.0)
        gap = (
            np.clip(1.5 - np.abs(distance + gap_half) / max(gap_half, 0.7 * window.pixel_um), 0, 1) * open_here
        ).astype(np.float32)
    rim = np.exp(-0.5 * (distance / np.float32(band)) ** 2).astype(np.float32)
    depth = np.clip(distance / np.float32(width), 0.0, 1.0).astype(np.float32)
    near = distance > -max(0.5 * width, 2.5 * window.pixel_um)
    return FlawField(rows, columns, inside, gap, rim, depth, near, width)

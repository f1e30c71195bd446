"""The electrode web as a family of surfaces: its own defects on its own surface, at native resolution."""

from __future__ import annotations

import numpy as np

from sorby.phantom.defects.drawing import between
from sorby.phantom.defects.grounds import Ground
from sorby.phantom.defects.picture import Mark
from sorby.phantom.membrane.defects import DefectPlan
from sorby.phantom.membrane.sheet import PIXEL_SIZE_UM, draw_defect
from sorby.phantom.membrane.surface import Background, Surface


def draw_web(shape: tuple[int, int], rng: np.random.Generator) -> Ground:
    """Draw a part of a web: coated electrode, bare or under a membrane, more or less spotted."""
    surface = Surface(
        width_px=max(shape[1], 32),
        level=rng.uniform(55, 140),
        texture=rng.uniform(0.03, 0.09),
        clouds=rng.uniform(0.01, 0.05),
        shading=rng.uniform(0.02, 0.1),
        lines=rng.uniform(0.0, 0.02),
        spot_rate=between(rng, 5, 1500),
        spot_strength=rng.uniform(12, 32),
        membrane=bool(rng.random() < 0.5),
    )
    background = Background(surface, int(rng.integers(2**31)))
    first = int(rng.integers(0, 2000))
    field = background.rows(first, first + shape[0])[:, : shape[1]]
    texture = "membrane" if surface.membrane else "electrode"
    return Ground("web", texture, field, surface.level * surface.texture, 90.0)


def draw_web_mark(kind: str, ground: Ground, rng: np.random.Generator) -> Mark | None:
    """Draw a defect of the web as its sheets have it.

    Parameters
    ----------
    kind : str
        ``scratch``, ``scuff``, ``pinhole``, ``dent``, ``debris`` or ``fibre``.
    ground : Ground
    rng : numpy.random.Generator
    """
    height, width = ground.field.shape
    edge = float(min(height, width))
    length, across, low, high = {
        "scratch": (between(rng, 20, 0.9 * edge), between(rng, 3.0, 9.0), 22.0, 110.0),
        "scuff": (between(rng, 16, 0.6 * edge), 0.0, 24.0, 85.0),
        "pinhole": (between(rng, 3.5, 17.0), 0.0, 50.0, 165.0),
        "dent": (between(rng, 10, 60), 0.0, 25.0, 70.0),
        "debris": (between(rng, 4, 12), 0.0, 30.0, 90.0),
        "fibre": (between(rng, 25, 110), rng.uniform(1.6, 2.8), 30.0, 90.0),
    }[kind]
    across = across or length * (1.0 if kind in ("pinhole", "debris") else rng.uniform(0.4, 0.85))
    rimmed = kind == "pinhole" and length > 7 and rng.random() < 0.5
    plan = DefectPlan(
        kind=kind,
        row=rng.uniform(0.05, 0.95) * height,
        column=rng.uniform(0.05, 0.95) * width,
        length_um=length * PIXEL_SIZE_UM,
        width_um=across * PIXEL_SIZE_UM,
        contrast=between(rng, low, high),
        angle_deg=rng.uniform(0, 180),
        form=("rimmed" if rimmed else "white") if kind == "pinhole" else "",
        rings=int(rng.integers(0, 6)) if kind == "pinhole" else 0,
        veil_px=0.7 if ground.texture == "membrane" and rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**31)),
    )
    patch = draw_defect(plan, PIXEL_SIZE_UM, float(ground.field.mean())).within(height, width)
    if min(patch.light.shape) < 3 or int(patch.mask.sum()) < 4:
        return None
    delta = patch.light
    if patch.cover is not None:
        rows, columns = slice(patch.top, patch.bottom), slice(patch.left, patch.left + patch.light.shape[1])
        delta = delta - patch.cover * ground.field[rows, columns]
    # An annotator's contour round a scratch is wide; half of the pictures are marked closely instead.
    body = patch.body if int(patch.body.sum()) >= 4 else patch.mask
    mask = patch.mask if rng.random() < 0.5 else body
    return Mark(kind, patch.top, patch.left, delta.astype(np.float32), mask, body)

"""Defects that are spots: pinholes, dents of a roller, specks of debris, and a discoloured triangle."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from sorby.errors import InputError
from sorby.phantom.membrane.defects import DefectPlan, Patch
from sorby.phantom.membrane.surface import Float32, Float64, keyed

#: Pixels over which an edge passes from dark to bright: the blur of the scanner's optics.
_EDGE_PX = 0.55
#: How far from a hole its contour is drawn by hand.
_HAND_PX = 4.0
PINHOLE_FORMS = ("white", "rimmed")


def draw_pinhole(plan: DefectPlan, pixel_size_um: float, level: float) -> Patch:
    """Draw a pinhole: a white dot, or a dark dot with a whiter border, with or without concentric rings.

    Parameters
    ----------
    plan : DefectPlan
        Its length is the diameter over all, the border included, the rings not.
    pixel_size_um : float
    level : float
        Grey level of the surface around it.

    Returns
    -------
    Patch
        Its mask is drawn around the hole and its border.

    Raises
    ------
    InputError
        The form is unknown.
    """
    if plan.form not in PINHOLE_FORMS:
        raise InputError(f"pinhole form {plan.form!r} is unknown", f"allowed: {', '.join(PINHOLE_FORMS)}")
    rng = keyed(plan.seed, 31)
    radius = 0.5 * plan.length_um / pixel_size_um
    pitch = max(3.2, 0.75 * radius) * rng.uniform(0.9, 1.2)
    top, left, distance, angle = _polar(plan, int(np.ceil(radius + 5 + plan.rings * pitch * 1.25)))
    edge = radius * _uneven(angle, rng, 0.05 if radius < 4 else 0.08)
    hole = _disc(distance, edge)
    light = plan.contrast * hole
    if plan.form == "rimmed":
        # The core shows what lies below; the burr around it catches the light.
        core = _disc(distance, edge - max(1.3, 0.38 * radius))
        light = plan.contrast * (hole - core) - 0.6 * level * rng.uniform(0.45, 0.9) * core
    if plan.rings:
        beyond = np.maximum(distance - edge, 0.0)
        fading = np.exp(-beyond / (0.55 * plan.rings * pitch)) * np.clip(beyond / 1.5, 0.0, 1.0)
        light = light + 0.1 * plan.contrast * rng.uniform(0.7, 1.2) * fading * -np.cos(2 * np.pi * beyond / pitch)
    light = light + 0.75 * hole * level
    return _patch(plan, top, left, light, 0.75 * hole, distance - edge)


def draw_dent(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw what a particle on a roller presses into the web at every turn: a dull hollow with a bright crescent."""
    rng = keyed(plan.seed, 32)
    long_axis, short_axis = 0.5 * plan.length_um / pixel_size_um, 0.5 * plan.width_um / pixel_size_um
    top, left, distance, angle = _polar(plan, int(np.ceil(max(long_axis, short_axis))) + 8)
    along, across = _turned(distance, angle, plan.angle_deg)
    outline = np.hypot(along / long_axis, across / short_axis) / _uneven(angle, rng, 0.06)
    hollow = np.exp(-(outline**4))
    lit = np.exp(-0.5 * ((outline - 0.9) / 0.16) ** 2) * np.clip(-np.sin(angle - 0.5), 0.0, None)
    light = plan.contrast * (lit - 0.4 * hollow)
    return _patch(plan, top, left, light, 0.3 * hollow, (outline - 1.05) * min(long_axis, short_axis))


def draw_debris(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw a bright irregular speck that lies on the surface."""
    rng = keyed(plan.seed, 33)
    radius = 0.5 * plan.length_um / pixel_size_um
    top, left, distance, angle = _polar(plan, int(np.ceil(1.5 * radius)) + 5)
    edge = radius * _uneven(angle, rng, 0.3)
    speck = _disc(distance, edge)
    facets = gaussian_filter(rng.standard_normal(distance.shape), 1.0) * 2.0
    shadow = np.roll(speck, (2, 2), axis=(0, 1)) * (1 - speck)
    light = plan.contrast * (speck * (1.0 + 0.2 * facets) - 0.22 * shadow)
    return _patch(plan, top, left, light, None, distance - edge)


def draw_discoloration(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw a triangle of lighter tone with soft edges, as from a fold that lay higher in the scanner."""
    rng = keyed(plan.seed, 34)
    reach = 0.5 * plan.length_um / pixel_size_um
    turned = np.deg2rad(plan.angle_deg) + np.array([0.0, 2.0, 4.3]) + 0.15 * rng.standard_normal(3)
    corner_x, corner_y = reach * np.cos(turned), reach * (plan.width_um / plan.length_um) * np.sin(turned)
    top, left, distance, angle = _polar(plan, int(np.ceil(reach)) + 45)
    x, y = distance * np.cos(angle), distance * np.sin(angle)
    # Signed distance to each edge; the least of the three says how deep inside a pixel lies.
    edge_x, edge_y = np.roll(corner_x, -1) - corner_x, np.roll(corner_y, -1) - corner_y
    depth = np.full(x.shape, np.inf)
    for i in range(3):
        side = edge_x[i] * (y - corner_y[i]) - edge_y[i] * (x - corner_x[i])
        depth = np.minimum(depth, side / np.hypot(edge_x[i], edge_y[i]))
    # It lay higher towards one side.
    tone = plan.contrast * (1.0 + 0.35 * (x * np.cos(turned[0]) + y * np.sin(turned[0])) / reach)
    return _patch(plan, top, left, tone / (1.0 + np.exp(-depth / 6.0)), None, -depth)


def _polar(plan: DefectPlan, reach: int) -> tuple[int, int, Float64, Float64]:
    """Return the frame around a plan's centre: its first row and column, each pixel's distance and angle."""
    top, left = int(np.floor(plan.row)) - reach, int(np.floor(plan.column)) - reach
    y, x = np.mgrid[0 : 2 * reach + 1, 0 : 2 * reach + 1].astype(np.float64)
    y, x = y + top - plan.row, x + left - plan.column
    return top, left, np.hypot(x, y), np.arctan2(y, x)


def _turned(distance: Float64, angle: Float64, degrees: float) -> tuple[Float64, Float64]:
    turned = angle - np.deg2rad(degrees)
    return distance * np.cos(turned), distance * np.sin(turned)


def _uneven(angle: Float64, rng: np.random.Generator, deviation: float) -> Float64:
    """Return a factor around 1 that varies with the angle like the outline of something torn."""
    waves = np.arange(2, 6)
    size, phase = rng.standard_normal(4) / np.sqrt(waves), rng.uniform(0, 2 * np.pi, 4)
    return np.asarray(
        1.0 + deviation * np.tensordot(size, np.cos(waves[:, None, None] * angle + phase[:, None, None]), 1)
    )


def _disc(distance: Float64, edge: Float64) -> Float64:
    """Return 1 inside *edge*, 0 outside, with the optics' blur between."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip((distance - edge) / (0.6 * _EDGE_PX), -40, 40))))


def _patch(plan: DefectPlan, top: int, left: int, light: Float64, cover: Float64 | None, beyond_px: Float64) -> Patch:
    """Return the patch; *beyond_px* is each pixel's distance to the outline, negative inside."""
    if plan.veil_px > 0:
        light = gaussian_filter(light, plan.veil_px)
        cover = None if cover is None else gaussian_filter(cover, plan.veil_px)
    covered: Float32 | None = None if cover is None else cover.astype(np.float32)
    mask, body = np.asarray(beyond_px <= _HAND_PX), np.asarray(beyond_px <= 0)
    return Patch(top, left, light.astype(np.float32), covered, mask, body)

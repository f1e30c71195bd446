"""316L: a ground surface with strides, pits, and grain boundaries that attack opens."""

from __future__ import annotations

import numpy as np

from sorby.phantom.corrosion.marks import Cells, Spots, cells, grown_radius_um, spots
from sorby.phantom.corrosion.relief import FORMS, Relief, grinding, step, strides, turned, untwisted, warped, within
from sorby.phantom.corrosion.specimen import CorrosionSpecimen
from sorby.phantom.place_noise import Float32, Window, smooth, uniform

#: Length of boundary per area of a jittered Voronoi net, times the root of the mean cell area.
_BOUNDARY = 2.0
#: Part of the attack beside pits that follows grinding lines, not grain boundaries.
_STRIDES = 0.5
#: Pits are longer along the grinding lines, where they start.
_ELONGATION = 1.25


def steel_relief(specimen: CorrosionSpecimen, window: Window, hours: float) -> Relief:
    """Return the surface of a 316L coupon after *hours* of immersion.

    Extended areas add up over independent forms of attack, so pits take ``appearance.pitting`` of it; furrows opened
    along grinding lines (the strides), opened grain boundaries and fallen grains share the rest.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    window : Window
    hours : float
    """
    look, seed = specimen.appearance, specimen.seed * 64
    extended = specimen.course.extended(hours, window.x_um, window.y_um)
    pits, centres = _pits(specimen, window, hours)
    rest = extended * (1.0 - look.pitting)
    furrow = strides(look, window, seed, 1.0 - np.exp(-rest * _STRIDES))
    grains, groove, fallen = _grains(specimen, window, rest * (1.0 - _STRIDES))
    bitten = (1.0 - np.exp(-extended)).astype(np.float32)
    level = uniform(grains.cell, 0) - 0.5
    tilt = grains.u * (uniform(grains.cell, 1) - 0.5) + grains.v * (uniform(grains.cell, 2) - 0.5)
    rough = smooth(window, 6.0, seed + 20) + 0.6 * smooth(window, 2.6, seed + 21)
    fine = smooth(window, 4.0, seed + 23)
    # General attack blunts the lines and sets grains off against each other: they dissolve unevenly.
    lines = grinding(look, window, seed) * (1.0 - 0.2 * bitten)
    height = lines + bitten * (1.3 * level + 4.0 * tilt + 0.35 * rough)
    height -= 1.5 * np.sqrt(furrow) * (1.0 + 0.2 * fine)
    opened = step(groove, 0.8)
    height -= 1.3 * opened * np.sqrt(np.clip(groove, 0.0, 3.0))
    height -= 5.0 * fallen * (1.0 + 0.25 * fine)
    height -= 0.85 * pits.radius_um * np.sqrt(pits.inside) * (1.0 + 0.12 * fine)
    # The bottom of a deep pit gives little back; crumbs of product at its rim glow.
    deposit = _deposit(pits, window, seed)
    shade = 0.05 * bitten * (_twins(grains) - 2.0 * level) - 0.10 * opened - 0.10 * furrow - 0.12 * fallen
    # Furrows are dark from whichever side the detector looks: few electrons leave them.
    shade += 0.13 * lines + 0.16 * deposit - 0.20 * step(pits.inside, 0.6) * step(pits.radius_um, 4.0)
    forms = np.zeros(window.shape, dtype=np.uint8)
    forms[(groove > 0) | (fallen > 0.5)] = FORMS["intergranular"]
    forms[furrow > 0] = FORMS["stride"]
    forms[pits.inside > 0] = FORMS["pit"]
    return Relief(
        height_um=np.asarray(height, dtype=np.float32),
        shade=np.asarray(shade, dtype=np.float32),
        insulating=deposit * 0.6,
        forms=forms,
        product_um=deposit * 0.8,
        pits=within(window, *centres, pits.radii_um),
    )


def _pits(specimen: CorrosionSpecimen, window: Window, hours: float) -> tuple[Spots, tuple[Float32, Float32]]:
    """Return the pits and the true places of their centres."""
    look, seed = specimen.appearance, specimen.seed * 64 + 30
    along, across = turned(window, look.grind_angle)
    ragged = 0.10 * look.pit_um
    along, across = warped(along, across, window, ((ragged, 0.45 * look.pit_um), (ragged / 3, 3.0)), seed)
    longer = _ELONGATION**0.5
    pitch = look.pit_um

    def radius(rank: Float32, u: Float32, v: Float32) -> Float32:
        x, y = untwisted(u * longer, v / longer, look.grind_angle)
        extended = specimen.course.extended(hours, x, y) * look.pitting
        # More places come alive as attack goes on, and each grows; the oldest are much the largest.
        alive = (1.0 - np.exp(-2.2 * np.sqrt(extended))) * 0.9
        nearby = look.groups * (gathering(x, y, pitch) - 0.5)
        return grown_radius_um(np.clip(rank + nearby, 0.0, 1.0), extended, alive, pitch, 2.0, 0.25)

    found = spots(along / longer, across * longer, pitch, seed + 4, radius)
    return found, untwisted(found.u_um * longer, found.v_um / longer, look.grind_angle)


def gathering(x_um: Float32, y_um: Float32, pitch_um: float) -> Float32:
    """Return 0 to 1 over places in waves some pitches long: where pits keep together."""
    k = float(2 * np.pi / (9.0 * pitch_um))
    wave = np.sin(k * x_um + np.sin(0.7 * k * y_um)) * np.cos(0.83 * k * y_um + 0.31 * k * x_um)
    return np.asarray(0.5 + 0.5 * wave, dtype=np.float32)


def _grains(specimen: CorrosionSpecimen, window: Window, part: Float32) -> tuple[Cells, Float32, Float32]:
    """Return the grains, how far within an opened boundary each pixel lies (µm, 0 outside), and fallen grains."""
    look, seed = specimen.appearance, specimen.seed * 64 + 40
    x, y = warped(window.x_um, window.y_um, window, ((0.03 * look.grain_um, 0.5 * look.grain_um),), seed)
    # Turned, or the lattice would show in rows of boundaries along the picture's edges.
    cosine, sine = np.float32(np.cos(look.grind_angle + 0.6)), np.float32(np.sin(look.grind_angle + 0.6))
    grains = cells(x * cosine + y * sine, y * cosine - x * sine, look.grain_um, seed + 2)
    # Whole grains fall out only where their boundaries have been open for long.
    lost = 0.3 * np.clip(part - 0.15, 0.0, None)
    fallen = (uniform(grains.cell, 2) < 1.0 - np.exp(-lost)).astype(np.float32)
    opened = 1.0 - np.exp(-9.0 * part)
    reach = 0.6 * look.grain_um / _BOUNDARY * (part - lost) * 2 / np.maximum(opened, np.float32(1e-6))
    half_width = reach * np.clip(1.0 - grains.boundary / np.maximum(opened, np.float32(1e-6)), 0.0, None)
    frayed = 1.0 + 0.3 * np.clip(smooth(window, 4.0, seed + 3), -1.5, 1.5)
    groove = np.clip(half_width * frayed - grains.distance_um, 0.0, None).astype(np.float32)
    groove[half_width < 0.12] = 0.0
    return grains, groove, fallen


def _twins(grains: Cells) -> Float32:
    """Return -1 or 1 for the bands of annealing twins, 0 in grains without."""
    angle = uniform(grains.cell, 0) * float(np.pi)
    place = grains.u * np.cos(angle) + grains.v * np.sin(angle)
    width = 0.12 + 0.25 * uniform(grains.cell, 1)
    band = np.where(np.abs(place - width / 2) < width / 2, 1.0, -0.3)
    return np.asarray(np.where(uniform(grains.cell, 2) < 0.55, band, 0.0), dtype=np.float32)


def _deposit(pits: Spots, window: Window, seed: int) -> Float32:
    """Return 0 to 1: crumbs of rust-like product at the rims of pits."""
    near = step(pits.inside, 0.05) * (1.0 - step(pits.inside - 0.25, 0.25))
    crumbs = step(smooth(window, 3.2, seed + 50) - 0.9, 0.5)
    return np.asarray(near * crumbs * step(pits.radius_um, 3.0), dtype=np.float32)

"""The fracture surface: one height field about the origin, computed wherever and however finely it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.phantom.fracture.flaws import KINDS, FlawField, draw_flaw
from sorby.phantom.fracture.grains import Grains, draw_grains
from sorby.phantom.fracture.specimen import FractureSpecimen, Fragment
from sorby.phantom.place_noise import Float32, Window, along, at_points, smooth

UInt8 = npt.NDArray[np.uint8]
#: Numbers of the regions in a cue image.
CUES = {"nothing": 0, "origin": 1, "mirror": 2, "mist": 3, "hackle": 4, "class_cue": 5, "contamination": 6}
#: Where mist ends and hackle begins, in mirror radii.
MIST_ENDS = 1.35
#: The rim is seen nearly edge-on: so many µm of it make one in the picture.
_FORESHORTENED = 4.0
#: Fewer pixels of an origin than these are none.
_FEWEST_PX = 4
#: Octaves of roughness: pitch of the finest in µm, ratio.
_FINEST_UM, _RATIO = 0.12, 2.1


@dataclass(frozen=True)
class Relief:
    """What a window of a specimen holds, arrays of shape (height, width).

    Attributes
    ----------
    height_um : ndarray of float32
        Height against the mean fracture plane.
    shade : ndarray of float32
        Grey to add for what the material is and for where few electrons come out, 0..1.
    sharp : ndarray of float32
        Extra brightness of edges, 0..1.
    stub : ndarray of bool
        Neither fracture nor rim: what lies behind the specimen.
    cues : ndarray of uint8
        :data:`CUES`, contamination left out.
    origin_seen : bool
        Whether the flaw or its surroundings lie in the window, on this piece.
    """

    height_um: Float32
    shade: Float32
    sharp: Float32
    stub: npt.NDArray[np.bool_]
    cues: UInt8
    origin_seen: bool


def relief(specimen: FractureSpecimen, window: Window, fragment: Fragment) -> Relief:
    """Return the surface of a fragment within a window.

    Parameters
    ----------
    specimen : FractureSpecimen
    window : Window
        In the specimen's coordinates: the origin of the fracture at 0, 0, y towards the tensile surface. The other
        half is not turned over here, only its hills are valleys.
    fragment : Fragment
    """
    look, seed = specimen.appearance, specimen.seed * 64
    x, y = window.x_um, window.y_um
    reached = _mirror_radii(specimen, window)
    rough = _roughness(reached)
    grains = draw_grains(window, look.grain_um, seed + 30)
    height = _octaves(specimen, window, rough) + _hackle(specimen, window, reached)
    fine = np.zeros(window.shape, dtype=np.float32)
    if grains is not None:
        fine = np.float32(grains.share * look.roughness) * grains.facets_um
        height += (np.float32(0.45) + np.float32(0.55) * rough) * fine
    height += _scratches(specimen, window)
    shade = np.float32(0.05) * (rough - np.float32(0.5))
    sharp = np.zeros(window.shape, dtype=np.float32)
    void = np.zeros(window.shape, dtype=np.float32)
    below = y - _edge(specimen, x)
    cues = np.select([reached < 1.0, reached < MIST_ENDS], [2, 3], 4).astype(np.uint8)
    near = np.zeros(window.shape, dtype=bool)
    if specimen.lost_um:
        _break_out(specimen, window, below, fine, height, void, sharp, cues)
    else:
        field = draw_flaw(specimen, window)
        if field is not None:
            near[field.rows, field.columns] = field.near & (below[field.rows, field.columns] < 0)
            _set_flaw(specimen, window, field, below, grains, height, void, shade, sharp, cues)
    turned = height if not fragment.mirrored else -height
    whole = turned - void
    stub = below > np.float32(look.rim_um)
    _rim(specimen, window, below, fine, whole, shade, sharp, cues)
    stub = stub | _other_piece(specimen, window, fragment, sharp)
    whole[stub] = 0.0
    shade[stub] = 0.0
    cues[stub] = 0
    origin_seen = int((near & ~stub).sum()) >= _FEWEST_PX
    return Relief(whole, shade, sharp, stub, cues, origin_seen)


def _rise(value: Float32, low: float, high: float) -> Float32:
    """Return 0 below *low*, 1 above *high*, smoothly between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def _mirror_radii(specimen: FractureSpecimen, window: Window) -> Float32:
    """Return the distance from the origin in mirror radii; mirrors are never drawn with compasses."""
    radius, seed = specimen.mirror_radius_um, specimen.seed * 64
    x, y = window.x_um / np.float32(radius), window.y_um / np.float32(radius * specimen.mirror_aspect)
    wander = np.float32(0.035) * smooth(window, 0.8 * radius, seed + 1)
    wander += np.float32(0.02) * smooth(window, 0.25 * radius, seed + 2)
    return np.asarray(np.sqrt(x * x + y * y) * (1.0 + wander), dtype=np.float32)


def _roughness(reached: Float32) -> Float32:
    """Return the relative roughness: smooth mirror, mist, hackle."""
    return np.asarray(
        np.float32(0.22)
        + np.float32(0.08) * np.minimum(reached, 1.0)
        + np.float32(0.40) * _rise(reached, 0.9, MIST_ENDS)
        + np.float32(0.30) * _rise(reached, 1.2, 2.0),
        dtype=np.float32,
    )


def _octaves(specimen: FractureSpecimen, window: Window, rough: Float32) -> Float32:
    """Return self-affine roughness: amplitude grows with wavelength to the power of the Hurst exponent."""
    look, seed = specimen.appearance, specimen.seed * 64 * 1024
    fine = np.zeros(window.shape, dtype=np.float32)
    broad = np.zeros(window.shape, dtype=np.float32)
    for number in range(14):
        wavelength = _FINEST_UM * _RATIO**number
        if wavelength < 1.6 * window.pixel_um or wavelength > 4.0 * window.field_um:
            continue
        slope = 0.42 * look.roughness * (max(wavelength, look.grain_um) / look.grain_um) ** (look.hurst - 1.0)
        slope *= min(1.0, (wavelength / look.grain_um)) ** 0.8
        octave = smooth(window, wavelength, seed + number) * np.float32(slope * wavelength / (2 * np.pi))
        # The crack front smooths what is smaller than the mirror; broad undulations run through mirror and hackle.
        if wavelength < 0.35 * specimen.mirror_radius_um:
            fine += octave
        else:
            broad += octave
    return fine * rough + broad * np.float32(0.55)


def _hackle(specimen: FractureSpecimen, window: Window, reached: Float32) -> Float32:
    """Return the radial ridges: finer ones set in with growing distance, so that lines keep their spacing and fork."""
    look, seed, radius = specimen.appearance, specimen.seed * 64, specimen.mirror_radius_um
    height = np.zeros(window.shape, dtype=np.float32)
    furthest = float(reached.max())
    if furthest < 1.1:
        return height
    distance = np.maximum(np.hypot(window.x_um, window.y_um), np.float32(0.3 * radius))
    # Lines sway by so many micrometres, not by so many degrees: far out they are straight.
    sway = smooth(window, 1.2 * radius, seed + 5) * np.float32(0.03 * radius) / distance
    angle = np.arctan2(window.y_um, window.x_um) + sway
    turn = (angle / np.float32(2 * np.pi) + np.float32(1.0)).astype(np.float32)
    outward = np.log(distance / np.float32(radius))
    wanted = look.hackle_spacing * radius * np.sqrt(distance / radius)
    grown = _rise(reached, 1.1, 1.9) * np.float32(0.62 * look.hackle)
    for number in range(10):
        count = 20 * 2**number
        width = (2 * np.pi / count) * distance
        share = np.exp(-0.5 * (np.log(width / wanted) / 0.65) ** 2)
        if float(width.max()) < 2.0 * window.pixel_um or float(share.max()) < 0.03:
            continue
        lines = at_points(
            turn * np.float32(count), outward * np.float32(0.9) + number * 7.31, seed + 10 + number, period=count
        )
        height += (np.abs(lines) * share * width * np.float32(0.5)).astype(np.float32)
    return height * grown


def _scratches(specimen: FractureSpecimen, window: Window) -> Float32:
    """Return the marks of tweezers and boxes: a few long, narrow furrows across the surface."""
    rng = np.random.default_rng([specimen.seed, 6])
    height = np.zeros(window.shape, dtype=np.float32)
    for _ in range(specimen.appearance.scratches):
        angle, offset = rng.uniform(0, np.pi), rng.normal(0, 0.9 * specimen.mirror_radius_um)
        width, start, length = rng.uniform(2.0, 7.0), rng.normal(0, 400.0), rng.uniform(200.0, 1500.0)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        corners_x = np.array([window.left_um, window.left_um + window.field_um])
        corners_y = np.array([window.top_um, window.top_um + window.height * window.pixel_um])
        reach = (corners_y[:, None] * cos - corners_x[None, :] * sin) - offset
        if reach.min() > 3 * width or reach.max() < -3 * width:
            continue
        across = window.y_um * cos - window.x_um * sin - np.float32(offset)
        lengthwise = window.x_um * cos + window.y_um * sin - np.float32(start)
        shape = np.exp(-0.5 * (across / np.float32(max(width, 0.7 * window.pixel_um))) ** 2)
        shape *= np.clip((length / 2 - np.abs(lengthwise)) / 60.0, 0.0, 1.0)
        height -= (shape * np.float32(0.35 * width)).astype(np.float32)
    return height


def _break_out(
    specimen: FractureSpecimen,
    window: Window,
    below: Float32,
    fine: Float32,
    height: Float32,
    void: Float32,
    sharp: Float32,
    cues: UInt8,
) -> None:
    """Take the origin away, in place: a conchoidal hollow with a coarse floor."""
    lost, seed = specimen.lost_um, specimen.seed * 64 + 50
    distance = np.hypot(window.x_um, window.y_um * np.float32(0.85))
    wander = np.float32(0.14) * smooth(window, 0.7 * lost, seed) + np.float32(0.03) * smooth(
        window, 0.12 * lost, seed + 8
    )
    distance = (distance * (1.0 + wander)).astype(np.float32)
    gone = _rise(-distance, -1.01 * lost, -0.99 * lost) * (below < 0)
    floor = np.zeros(window.shape, dtype=np.float32)
    for number in range(6):
        wavelength = lost * 0.6 * 0.42**number
        floor += smooth(window, wavelength, seed + 1 + number) * np.float32(0.09 * wavelength)
    height *= 1.0 - gone
    height += gone * (floor + fine)
    void += gone * np.float32(0.4 * lost) * np.clip(1.0 - (distance / np.float32(lost)) ** 2, 0.0, 1.0)
    line = np.float32(max(0.8, 1.0 * window.pixel_um))
    sharp += np.float32(0.18) * np.exp(-0.5 * ((distance - np.float32(lost)) / line) ** 2) * (below < 0)
    cues[gone > 0.5] = CUES["nothing"]


def _set_flaw(
    specimen: FractureSpecimen,
    window: Window,
    field: FlawField,
    below: Float32,
    grains: Grains | None,
    height: Float32,
    void: Float32,
    shade: Float32,
    sharp: Float32,
    cues: UInt8,
) -> None:
    """Set the flaw into the surface, in place."""
    here = (field.rows, field.columns)
    kind, strength = KINDS[specimen.flaw.subtype], specimen.flaw.strength
    part = window.part(field.rows, field.columns)
    # What the flaw would be beyond the edge was ground away.
    body = (below[here] < 0).astype(np.float32)
    inside, width = field.inside * body, field.width_um
    seen = np.float32(min(strength, 1.3))
    plain = 0.85 * min(float(seen), 1.0) if kind.wall == "planar" else 1.0
    blunt = 1.0 - np.float32(plain) * inside
    height[here] = height[here] * blunt + seen * inside * (
        _wall(specimen, part, field, grains, here) + kind.raised * width * np.sqrt(field.depth)
    )
    height[here] += np.float32(strength * kind.step * width) * inside
    void[here] += seen * inside * np.float32(kind.void * width) * np.sqrt(field.depth)
    void[here] += seen * field.gap * body * np.float32(0.4 * width)
    shade[here] += seen * (
        np.float32(kind.shade) * inside * (0.45 + 0.55 * np.sqrt(field.depth)) - np.float32(0.22) * field.gap * body
    )
    sharp[here] += seen * np.float32(0.07) * field.rim * body
    near = field.near & (body > 0)
    cues[here] = np.where(inside > 0.5, CUES["class_cue"], np.where(near, CUES["origin"], cues[here]))


def _wall(
    specimen: FractureSpecimen,
    part: Window,
    field: FlawField,
    grains: Grains | None,
    here: tuple[slice, slice],
) -> Float32:
    """Return the height of a flaw's wall."""
    kind, look, seed = KINDS[specimen.flaw.subtype], specimen.appearance, specimen.seed * 64 + 55
    if kind.wall == "sintered":
        # Free surfaces sinter round: domes where grains are seen, gentle swells where not.
        swell = smooth(part, field.width_um * 0.4, seed) * np.float32(0.03 * field.width_um)
        return swell if grains is None else swell + np.float32(1.25 * grains.share) * grains.domes_um[here]
    if kind.wall == "porous":
        coarse = draw_grains(part, 2.2 * look.grain_um, seed + 1)
        lumps = smooth(part, 7.0 * look.grain_um, seed + 2) * np.float32(1.1 * look.grain_um)
        return lumps if coarse is None else lumps + np.float32(1.2 * coarse.share) * coarse.domes_um
    if kind.wall == "planar":
        # Shear steps run from the surface inwards and fan out a little.
        fan = part.x_um / (1.0 + np.float32(0.15) * np.abs(part.y_um) / np.float32(field.width_um))
        lines = np.zeros(part.shape, dtype=np.float32)
        for number, pitch in enumerate((0.12 * field.width_um, 0.04 * field.width_um)):
            if pitch > 1.5 * part.pixel_um:
                lines += along((fan / np.float32(pitch)).astype(np.float32), seed + number) * np.float32(0.09 * pitch)
        return lines
    if kind.wall == "metallic":
        return np.asarray(
            smooth(part, field.width_um * 0.3, seed) * np.float32(0.02 * field.width_um), dtype=np.float32
        )
    # Cleavage: river lines, all one way.
    turn = np.float32(specimen.flaw.angle + 0.7)
    across = (part.x_um * np.cos(turn) + part.y_um * np.sin(turn)) / np.float32(0.22 * field.width_um)
    across = across + np.float32(0.4) * smooth(part, field.width_um, seed)
    soft = max(0.03, part.pixel_um / (0.22 * field.width_um))
    stairs = np.floor(across) + np.clip((across - np.floor(across)) / soft, 0.0, 1.0)
    facet = np.float32(0.25) * (part.x_um * np.sin(turn) - part.y_um * np.cos(turn))
    return np.asarray(stairs * np.float32(0.02 * field.width_um) + facet, dtype=np.float32)


def _edge(specimen: FractureSpecimen, x_um: Float32) -> Float32:
    """Return y of the component's edge at *x_um*."""
    look, seed = specimen.appearance, specimen.seed * 64 + 60
    straight = np.float32(specimen.flaw.depth_um) + np.float32(look.edge_tilt) * x_um
    # Chipping: larger where grinding was harsh.
    chips = np.zeros_like(x_um)
    for number, (pitch, size) in enumerate(((60.0, 1.6), (17.0, 0.8), (4.0, 0.25))):
        chips += along((x_um / np.float32(pitch)).astype(np.float32), seed + number) * np.float32(size)
    return np.asarray(straight + np.float32(look.groove_depth) * chips, dtype=np.float32)


def _rim(
    specimen: FractureSpecimen,
    window: Window,
    below: Float32,
    fine: Float32,
    height: Float32,
    shade: Float32,
    sharp: Float32,
    cues: UInt8,
) -> None:
    """Draw the ground surface beyond the edge, with the grooves of the wheel, in place."""
    look, seed = specimen.appearance, specimen.seed * 64 + 70
    line = max(0.8, 0.9 * window.pixel_um)
    touched = (below > -4 * line).any(axis=1)
    if not touched.any():
        return
    first = int(np.argmax(touched))
    q, x = below[first:], window.x_um
    sharp[first:] += np.float32(0.20) * np.exp(-0.5 * (q / np.float32(line)) ** 2)
    outside = q > 0
    if not outside.any():
        return
    # Grooves run straight, whatever chips the edge has lost.
    level = window.y_um[first:] - np.float32(look.edge_tilt) * x
    across = x * np.float32(np.sin(look.groove_angle)) + level * np.float32(_FORESHORTENED * np.cos(look.groove_angle))
    grooves = np.zeros(q.shape, dtype=np.float32)
    for number, ratio in enumerate((1.0, 0.45, 0.21, 0.09, 0.04)):
        pitch = look.groove_um * ratio
        if pitch > 1.6 * window.pixel_um:
            grooves += along((across / np.float32(pitch)).astype(np.float32), seed + number) * np.float32(0.055 * pitch)
    if specimen.flaw.subtype == "grinding_groove":
        # The one furrow that was too deep, through the origin.
        grooves -= np.float32(0.35 * look.groove_um) * np.exp(-0.5 * (across / np.float32(0.5 * look.groove_um)) ** 2)
    uneven = smooth(window.part(slice(first, window.height), slice(0, window.width)), 9.0, seed + 9)
    # The wheel levels what the fracture would have left, and smears it.
    ground = np.float32(look.groove_depth) * grooves + np.float32(0.12) * uneven + np.float32(0.3) * fine[first:]
    height[first:] = np.where(outside, ground - np.float32(0.35) * q, height[first:])
    fall = np.float32(0.09) - np.float32(0.24) * (q / np.float32(look.rim_um)) ** 2
    shade[first:] = np.where(outside, fall, shade[first:])
    cues[first:][outside] = 0
    if specimen.label == "hard_machining":
        marks = outside & (np.abs(x) < np.float32(1.5 * specimen.mirror_radius_um))
        cues[first:][marks] = CUES["class_cue"]


def _other_piece(
    specimen: FractureSpecimen, window: Window, fragment: Fragment, sharp: Float32
) -> npt.NDArray[np.bool_]:
    """Return what lies beyond the crack that ended this piece, and brighten its edge."""
    if not np.isfinite(fragment.cut_um):
        return np.zeros(window.shape, dtype=bool)
    seed = specimen.seed * 64 + 80
    away = window.x_um * np.float32(np.cos(fragment.cut_angle)) + window.y_um * np.float32(np.sin(fragment.cut_angle))
    # Both sides of one crack share its course.
    side = np.float32(np.sign(fragment.cut_um))
    course = (
        smooth(window, 300.0, seed) * 22 + smooth(window, 70.0, seed + 1) * 6 + smooth(window, 15.0, seed + 2) * 1.5
    )
    beyond = away - np.float32(fragment.cut_um) + side * course
    line = max(0.8, 0.9 * window.pixel_um)
    sharp += np.float32(0.25) * np.exp(-0.5 * (beyond / np.float32(line)) ** 2)
    return np.asarray(beyond > 0, dtype=bool)

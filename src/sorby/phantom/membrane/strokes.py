"""Lines scored into the surface: scratches, scuffs, fibres and streaks, drawn by points along curves."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from sorby.phantom.membrane.defects import Bool, DefectPlan, Patch
from sorby.phantom.membrane.surface import Float32, Float64, keyed

#: Distance between the points of a curve in pixels: close enough that no bead shows.
_STEP = 0.6
#: Below this share of its full strength a scratch is not marked: an annotator would not see it.
_SEEN = 0.3
#: How far from a scratch its contour is drawn by hand: .2 mm, as wide as a steady stroke of the pen on the screen.
_HAND_PX = 6.0
#: Rounds of stamping are cut to this many pixel values, to bound memory.
_AT_ONCE = 2_000_000


class Canvas:
    """A patch under construction.

    Parameters
    ----------
    x, y : ndarray of float64
        Every point that will be drawn, in sheet pixels; the canvas spans them.
    margin : int
        Pixels beyond the points.
    """

    def __init__(self, x: Float64, y: Float64, margin: int) -> None:
        self.left, self.top = int(np.floor(x.min())) - margin, int(np.floor(y.min())) - margin
        shape = (int(np.ceil(y.max())) + margin + 1 - self.top, int(np.ceil(x.max())) + margin + 1 - self.left)
        self.light = np.zeros(shape, dtype=np.float32)
        self.mask = np.zeros(shape, dtype=bool)
        self.body = np.zeros(shape, dtype=bool)

    def stroke(self, x: Float64, y: Float64, strength: Float64, sigma: Float64, target: Float32 | None = None) -> None:
        """Draw points with a Gaussian profile, brightest wins: *strength* grey levels, *sigma* pixels."""
        into = (self.light if target is None else target).reshape(-1)
        reach = max(2, int(np.ceil(3 * sigma.max())))
        offset_y, offset_x = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
        # In rounds of whole points, so that a long scuff needs no more memory than a short one.
        for part in _rounds(len(x), len(offset_x)):
            row = np.rint(y[part] - self.top).astype(np.int64)[:, None] + offset_y
            column = np.rint(x[part] - self.left).astype(np.int64)[:, None] + offset_x
            away = (row + self.top - y[part, None]) ** 2 + (column + self.left - x[part, None]) ** 2
            value = strength[part, None] * np.exp(-0.5 * away / sigma[part, None] ** 2)
            keep = self._inside(row, column)
            np.maximum.at(into, (row * self.light.shape[1] + column)[keep], value[keep].astype(np.float32))

    def mark(self, x: Float64, y: Float64, radius: float, into: Bool) -> None:
        """Mark in *into* all pixels whose centre lies within *radius* of a point."""
        reach = int(np.ceil(radius))
        offset_y, offset_x = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
        for part in _rounds(len(x), len(offset_x)):
            row = np.rint(y[part] - self.top).astype(np.int64)[:, None] + offset_y
            column = np.rint(x[part] - self.left).astype(np.int64)[:, None] + offset_x
            away = (row + self.top - y[part, None]) ** 2 + (column + self.left - x[part, None]) ** 2
            keep = self._inside(row, column) & (away <= radius**2)
            into[row[keep], column[keep]] = True

    def _inside(self, row: np.ndarray, column: np.ndarray) -> Bool:
        height, width = self.light.shape
        return np.asarray((row >= 0) & (row < height) & (column >= 0) & (column < width))


def _rounds(points: int, each: int) -> list[slice]:
    size = max(1, _AT_ONCE // each)
    return [slice(start, start + size) for start in range(0, points, size)]


def wandering(count: int, scale: float, rng: np.random.Generator) -> Float64:
    """Return a smooth random function of *count* steps, about unit deviation, changing over *scale* steps."""
    knots = np.arange(-1, int(np.ceil(count / scale)) + 3)
    values = rng.standard_normal(len(knots))
    smooth = gaussian_filter(values, 0.6, mode="nearest") * 1.4
    return np.asarray(np.interp(np.arange(count) / scale, knots, smooth), dtype=np.float64)


def curve(
    length: float, angle_deg: float, rng: np.random.Generator, bend: float, wobble: float
) -> tuple[Float64, Float64]:
    """Return a curve of *length* pixels around the origin.

    Parameters
    ----------
    length : float
        In pixels.
    angle_deg : float
        Its mean direction.
    rng : numpy.random.Generator
    bend : float
        Deviation of the turn from end to end, in radians.
    wobble : float
        Deviation of the direction on the way, in radians.

    Returns
    -------
    x, y : ndarray of float64
        Points :data:`_STEP` pixels apart, their mean at the origin.
    """
    count = max(3, int(length / _STEP))
    t = np.linspace(-0.5, 0.5, count)
    heading = np.deg2rad(angle_deg) + bend * rng.standard_normal() * t + wobble * wandering(count, count / 4, rng)
    x, y = np.cumsum(np.cos(heading)) * _STEP, np.cumsum(np.sin(heading)) * _STEP
    return x - x.mean(), y - y.mean()


def _tapered(count: int, share: float) -> Float64:
    """Return 1 along a stroke, falling to 0 over *share* of it at either end."""
    t = np.linspace(0.0, 1.0, count)
    return np.clip(np.minimum(t, 1 - t) / share, 0.0, 1.0) ** 0.7


def draw_scratch(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw a scratch: thin, a little curved, its pressure varying until it skips where it is faint.

    Parameters
    ----------
    plan : DefectPlan
    pixel_size_um : float

    Returns
    -------
    Patch
        Its mask is drawn around the visible line; several components where it skips over more than its width.
    """
    rng = keyed(plan.seed, 21)
    length, width = plan.length_um / pixel_size_um, plan.width_um / pixel_size_um
    x, y = curve(length, plan.angle_deg, rng, bend=0.45, wobble=0.05)
    x, y = x + plan.column, y + plan.row
    slow, quick = wandering(len(x), 90 / _STEP, rng), wandering(len(x), 7 / _STEP, rng)
    pressure = np.clip(0.78 + 0.3 * slow, 0.0, 1.0) * _tapered(len(x), 0.12)
    if not pressure.any():
        # A stroke shorter than its lifts can be lifted from end to end; then its lifts are left out.
        pressure = _tapered(len(x), 0.12)
    pressure /= pressure.max()  # its brightest place has the planned contrast, however short it is
    canvas = Canvas(x, y, margin=int(2 * width) + 8)
    sigma = np.maximum(0.36 * width * (0.75 + 0.25 * pressure), 0.55)
    canvas.stroke(x, y, plan.contrast * pressure * (0.82 + 0.2 * quick).clip(0.2, 1.2), sigma)
    # Beside a furrow lies a thin shadow, on the side away from the lamp.
    shadow = np.zeros_like(canvas.light)
    canvas.stroke(x + 0.5 * width, y + 0.7 * width, 0.3 * plan.contrast * pressure, 0.8 * sigma, shadow)
    seen = pressure > _SEEN
    canvas.mark(x[seen], y[seen], max(0.5 * width, 0.7), canvas.body)
    canvas.mark(x[seen], y[seen], 0.5 * width + _HAND_PX, canvas.mask)
    return _finished(canvas, canvas.light - np.where(canvas.light < 0.3 * plan.contrast, shadow, 0), plan)


def draw_scuff(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw a scuff: a cluster of many short scratches that thins out towards a border nobody can point at.

    Parameters
    ----------
    plan : DefectPlan
        Length and width are its axes (four standard deviations of where its strokes lie).
    pixel_size_um : float

    Returns
    -------
    Patch
        Its mask is where strokes lie densely, drawn around like by hand, and larger islands beside it.
    """
    rng = keyed(plan.seed, 22)
    long_axis, short_axis = plan.length_um / pixel_size_um, plan.width_um / pixel_size_um
    count = int(np.clip(0.0035 * long_axis * short_axis, 40, 420))
    across = rng.standard_normal((2, count)) * [[long_axis / 4], [short_axis / 4]]
    main = np.deg2rad(plan.angle_deg)
    centre_x = plan.column + across[0] * np.cos(main) - across[1] * np.sin(main)
    centre_y = plan.row + across[0] * np.sin(main) + across[1] * np.cos(main)
    # One rub has one direction; a second rub crosses it.
    turned = plan.angle_deg + rng.choice([0.0, 55.0], count, p=[0.75, 0.25]) + 13 * rng.standard_normal(count)
    lengths = np.clip(rng.lognormal(np.log(0.16 * long_axis), 0.5, count), 8, 0.6 * long_axis)
    strokes = [curve(lengths[i], turned[i], rng, bend=0.25, wobble=0.04) for i in range(count)]
    force = np.minimum(rng.lognormal(-0.75, 0.55, count), 1.0)
    x = np.concatenate([stroke[0] + centre_x[i] for i, stroke in enumerate(strokes)])
    y = np.concatenate([stroke[1] + centre_y[i] for i, stroke in enumerate(strokes)])
    strength = np.concatenate([force[i] * _tapered(len(stroke[0]), 0.3) for i, stroke in enumerate(strokes)])
    # A rubbed surface is touched on its high places only.
    strength *= (0.8 + 0.3 * wandering(len(strength), 8 / _STEP, rng)).clip(0.1, 1.2)
    canvas = Canvas(x, y, margin=12)
    canvas.stroke(x, y, plan.contrast * strength, 0.55 + 0.5 * strength)
    dense = _density(canvas, x, y, strength)
    light = canvas.light + np.float32(0.1 * plan.contrast) * np.minimum(dense / np.float32(dense.max()), 1.0)
    canvas.mask |= _drawn_around(dense, 0.16 * float(np.quantile(dense[dense > 0], 0.99)))
    canvas.body |= canvas.mask
    return _finished(canvas, light, plan)


def _density(canvas: Canvas, x: Float64, y: Float64, strength: Float64) -> Float32:
    """Return how densely strokes lie, as the eye sees it from some distance."""
    dense = np.zeros_like(canvas.light)
    row, column = np.rint(y - canvas.top).astype(np.int64), np.rint(x - canvas.left).astype(np.int64)
    np.add.at(dense, (row, column), strength.astype(np.float32))
    return np.asarray(gaussian_filter(dense, 9.0, truncate=3.0), dtype=np.float32)


def _drawn_around(dense: Float32, threshold: float) -> Bool:
    """Return where strokes lie densely; holes and islands not worth a contour of their own get none."""
    parts, count = label(dense > threshold, np.ones((3, 3), dtype=np.int64))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = sizes >= max(0.04 * sizes.max(), 60)
    return np.asarray(binary_fill_holes(kept[parts]), dtype=bool)


def draw_streak(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw a long, evenly curved white streak, such as nobody remembers having made."""
    rng = keyed(plan.seed, 23)
    length, width = plan.length_um / pixel_size_um, plan.width_um / pixel_size_um
    x, y = curve(length, plan.angle_deg, rng, bend=1.3, wobble=0.1)
    x, y = x + plan.column, y + plan.row
    strength = (0.8 + 0.2 * wandering(len(x), 150 / _STEP, rng)).clip(0.2, 1.0) * _tapered(len(x), 0.2)
    canvas = Canvas(x, y, margin=int(2 * width) + 6)
    canvas.stroke(x, y, plan.contrast * strength, np.full(len(x), max(0.4 * width, 0.6)))
    canvas.mark(x, y, max(0.5 * width, 0.7), canvas.body)
    canvas.mark(x, y, 0.5 * width + _HAND_PX, canvas.mask)
    return _finished(canvas, canvas.light, plan)


def draw_fibre(plan: DefectPlan, pixel_size_um: float) -> Patch:
    """Draw lint: a bright curled fibre that lies on the surface and throws a thin shadow."""
    rng = keyed(plan.seed, 24)
    length, width = plan.length_um / pixel_size_um, plan.width_um / pixel_size_um
    x, y = curve(length, plan.angle_deg, rng, bend=1.6, wobble=0.55)
    x, y = x + plan.column, y + plan.row
    strength = (0.8 + 0.25 * wandering(len(x), 12 / _STEP, rng)).clip(0.3, 1.0)
    canvas = Canvas(x, y, margin=int(2 * width) + 6)
    sigma = np.full(len(x), max(0.36 * width, 0.5))
    canvas.stroke(x, y, plan.contrast * strength, sigma)
    shadow = np.zeros_like(canvas.light)
    canvas.stroke(x + 1.6, y + 2.0, 0.25 * plan.contrast * strength, sigma, shadow)
    canvas.mark(x, y, max(0.5 * width, 0.7), canvas.body)
    canvas.mark(x, y, 0.5 * width + 2.0, canvas.mask)
    return _finished(canvas, np.where(canvas.light > 4.0, canvas.light, -shadow), plan)


def _finished(canvas: Canvas, light: Float32, plan: DefectPlan) -> Patch:
    """Return the patch; a membrane tacked over it afterwards blurs it."""
    seen = gaussian_filter(light, plan.veil_px, truncate=3.0) if plan.veil_px > 0 else light
    return Patch(canvas.top, canvas.left, np.asarray(seen, dtype=np.float32), None, canvas.mask, canvas.body)

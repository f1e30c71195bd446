"""From the surface to the picture: secondary electrons, charging, a stage that creeps, a scan that is not straight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

from sorby.errors import InputError
from sorby.phantom.corrosion.course import grade
from sorby.phantom.corrosion.magnesium import magnesium_relief
from sorby.phantom.corrosion.relief import FORMS, Relief
from sorby.phantom.corrosion.specimen import CorrosionSpecimen, FieldPlan
from sorby.phantom.corrosion.stainless import steel_relief
from sorby.phantom.place_noise import Float32, Window

UInt8 = npt.NDArray[np.uint8]
#: Width and height of the published pictures as the networks took them.
SIZE = (450, 450)
#: Pixels at which blur and displacements are given.
_NOMINAL = 450.0
_SMALLEST = 32


@dataclass(frozen=True)
class CorrosionView:
    """A picture and its truth.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Without info bar, until :func:`sorby.phantom.corrosion.with_bar` adds one.
    attacked : ndarray of bool, shape (height, width)
        Where the surface is no longer sound, as displaced by drift and scan as the picture is.
    forms : ndarray of uint8, shape (height, width)
        Which form the attack has, numbered as :data:`FORMS`.
    plan : FieldPlan
    pixel_size_um : float
    expected_share : float
        Share of the area expected to be attacked by the law of growth: the continuous truth under the grade.
    severity : int
        Grade of the expected share, 0 to 4.
    attacked_fraction : float
        Share of *attacked* in the picture.
    form_fractions : dict
        Share of the picture under each form of attack.
    pit_count : int
        Pits with their centre in the field.
    pit_radius_um : float
        Mean radius of those; 0 where there are none.
    product_um : float
        Mean thickness of corrosion product over the field.
    bar_top : int or None
        First row of the info bar; None without one.
    bar_rows : int
        Rows of the info bar.
    scale_label : str
        What its scale bar says, such as ``50 µm``.
    scale_px : int
        The scale bar's length in pixels.
    """

    pixels: UInt8
    attacked: npt.NDArray[np.bool_]
    forms: UInt8
    plan: FieldPlan
    pixel_size_um: float
    expected_share: float
    severity: int
    attacked_fraction: float
    form_fractions: dict[str, float]
    pit_count: int
    pit_radius_um: float
    product_um: float
    bar_top: int | None = None
    bar_rows: int = 0
    scale_label: str = ""
    scale_px: int = 0


def render(specimen: CorrosionSpecimen, plan: FieldPlan | None = None, size: tuple[int, int] = SIZE) -> CorrosionView:
    """Take one picture.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    plan : FieldPlan, optional
        One of the specimen's views; a flawless picture of the coupon's middle at the end of immersion where None.
    size : tuple of int
        Width and height in pixels.

    Returns
    -------
    CorrosionView

    Raises
    ------
    InputError
        The picture is too small, or magnification or hours cannot be.
    """
    asked = FieldPlan(0, specimen.hours) if plan is None else plan
    width, height = size
    if min(size) < _SMALLEST or not asked.magnification > 0 or not asked.hours >= 0:
        raise InputError(
            f"a picture of {width} x {height} pixels at {asked.magnification:g}x after {asked.hours:g} h cannot be",
            f"give {_SMALLEST} pixels or more, a magnification above 0 and hours of 0 or more",
        )
    pixel_um = asked.field_um / width
    rows, columns, margin = _scan(asked, size)
    window = Window(
        asked.centre_um[0] - (width / 2 + margin) * pixel_um,
        asked.centre_um[1] - (height / 2 + margin) * pixel_um,
        pixel_um,
        width + 2 * margin,
        height + 2 * margin,
    )
    surface = relief(specimen, window, asked.hours)
    grey = map_coordinates(secondary_electrons(specimen, surface, pixel_um), (rows, columns), order=1, mode="nearest")
    insulating = map_coordinates(surface.insulating, (rows, columns), order=1, mode="nearest")
    nearest = np.rint(rows).astype(np.int32), np.rint(columns).astype(np.int32)
    forms = surface.forms[nearest]
    inner = window.part(slice(margin, margin + height), slice(margin, margin + width))
    share = float(specimen.course.share(asked.hours, inner.x_um, inner.y_um).mean())
    pits = _inside(surface.pits, inner)
    counts = np.bincount(forms.ravel(), minlength=len(FORMS)) / forms.size
    return CorrosionView(
        pixels=detect(specimen, asked, grey, insulating),
        attacked=forms > 0,
        forms=forms,
        plan=asked,
        pixel_size_um=pixel_um,
        expected_share=share,
        severity=int(grade(share)),
        attacked_fraction=float((forms > 0).mean()),
        form_fractions={name: float(counts[number]) for name, number in FORMS.items() if number},
        pit_count=len(pits),
        pit_radius_um=float(pits[:, 2].mean()) if len(pits) else 0.0,
        product_um=float(surface.product_um[margin:-margin, margin:-margin].mean()),
    )


def relief(specimen: CorrosionSpecimen, window: Window, hours: float) -> Relief:
    """Return the surface of a coupon over a window after *hours* of immersion."""
    return (steel_relief if specimen.alloy == "316L" else magnesium_relief)(specimen, window, hours)


def secondary_electrons(specimen: CorrosionSpecimen, surface: Relief, pixel_um: float) -> Float32:
    """Return the brightness, about 0 to 1: slopes towards the detector, bright edges, dark hollows, the matter's own.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    surface : Relief
    pixel_um : float

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    look, height = specimen.appearance, surface.height_um
    down, across = np.gradient(height, np.float32(pixel_um))
    steepness = down * down + across * across
    towards = across * np.float32(np.cos(look.light)) + down * np.float32(np.sin(look.light))
    grey = 0.20 * np.tanh(2.2 * towards)
    # More electrons leave a steep flank.
    grey += 0.20 * np.tanh(0.8 * (np.sqrt(1.0 + 2.0 * steepness) - 1.0))
    for reach_um, depth in ((3.0, 0.10), (14.0, 0.09)):
        across_px = max(3, round(2 * reach_um / pixel_um))
        hollow = uniform_filter(height, across_px, mode="nearest") - height
        grey -= depth * np.tanh(hollow * 2.0 / reach_um**0.6)
    return np.asarray(grey + surface.shade, dtype=np.float32)


def detect(
    specimen: CorrosionSpecimen, plan: FieldPlan, grey: Float32, insulating: Float32, *, zoom: float | None = None
) -> UInt8:
    """Return the picture that the detector makes of brightness: focus, charging, noise, tone.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    plan : FieldPlan
    grey, insulating : ndarray of float32, shape (height, width)
        See :func:`secondary_electrons` and `Relief`.
    zoom : float, optional
        Factor on lengths in pixels; the picture's width over 450 where None.
    """
    look, microscope = specimen.appearance, specimen.microscope
    rng = np.random.default_rng([specimen.seed, 38, plan.number, plan.frame, plan.seed])
    height, width = grey.shape
    zoom = max(width / _NOMINAL, 0.3) if zoom is None else zoom
    seen = grey * (microscope.contrast * look.contrast * plan.contrast)
    seen = seen + (microscope.brightness + look.tone) * plan.exposure
    seen += np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :] * look.shading[0]
    seen += np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None] * look.shading[1]
    sigma = float(np.hypot(microscope.spot_px, plan.defocus_px)) * zoom
    seen = _defocused(seen, sigma, plan.astigmatism)
    charge = look.charging * plan.charging
    if charge > 0.02:
        seen = _charged(seen, insulating, charge, zoom, rng)
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    if microscope.smear > 0.02:
        noise[:, 1:] += microscope.smear * noise[:, :-1]
    seen = seen + noise * microscope.noise * np.sqrt(np.clip(seen, 0.05, 1.0))
    tone = np.clip(seen, 0.0, 1.0) ** microscope.gamma
    return np.asarray(tone * 255.0 + 0.5, dtype=np.uint8)


def _defocused(seen: Float32, sigma_px: float, astigmatism: float) -> Float32:
    if sigma_px < 0.2:
        return seen
    stretched = sigma_px * (1.0 + abs(astigmatism))
    return np.asarray(
        gaussian_filter(seen, (sigma_px, stretched) if astigmatism > 0 else (stretched, sigma_px), truncate=3.0),
        dtype=np.float32,
    )


def _charged(seen: Float32, insulating: Float32, charge: float, zoom: float, rng: np.random.Generator) -> Float32:
    """Return the picture with product glowing, the rest of its lines dark behind it, and lines that jump."""
    width = seen.shape[1]
    glow = gaussian_filter(insulating * np.clip(seen - 0.35, 0.0, None), 5.0 * zoom, truncate=2.0)
    bright = np.clip(seen + (1.6 * charge) * glow - 0.62, 0.0, None) * insulating
    length = max(5, width // 10)
    trail = uniform_filter(bright, (1, length), mode="constant", origin=(0, (length - 1) // 2))
    # A line now and then finds the beam pushed aside.
    lines = rng.standard_normal((seen.shape[0], 1), dtype=np.float32)
    jump = np.where(np.abs(lines) > 2.2, lines, 0.15 * lines) * (0.035 * charge)
    jump = jump * np.float32(insulating.mean() ** 0.5 + 0.1)
    return np.asarray(seen + (1.6 * charge) * glow - np.float32(1.5 * charge) * trail + jump, dtype=np.float32)


def _scan(plan: FieldPlan, size: tuple[int, int]) -> tuple[Float32, Float32, int]:
    """Return where on the padded surface each pixel of the picture looks, in pixels, and the padding."""
    width, height = size
    zoom = width / _NOMINAL
    rng = np.random.default_rng([plan.seed, 39, plan.frame])
    time = np.linspace(-0.5, 0.5, height, dtype=np.float32)
    start = rng.standard_normal(height, dtype=np.float32)
    # Lines remember a little where the last one began.
    start[1:] = 0.8 * start[1:] + 0.6 * start[:-1]
    phase, beat = rng.uniform(0, 2 * np.pi), rng.uniform(5.0, 14.0)
    swing = np.sin(2 * np.pi * np.float32(beat) * time + np.float32(phase))
    shift = zoom * (plan.drift_px[0] * time + plan.jitter_px * start + plan.mains_px * swing)
    down = np.arange(height, dtype=np.float32) + (zoom * plan.drift_px[1]) * time
    middle = (width - 1) / 2
    across = (np.arange(width, dtype=np.float32) - middle) * (1.0 + plan.stretch) + middle
    reach = max(float(np.abs(shift).max()) + abs(plan.stretch) * width / 2, zoom * abs(plan.drift_px[1]) / 2)
    margin = int(np.ceil(reach)) + 3
    columns = across[None, :] + shift[:, None] + margin
    rows = np.broadcast_to((down + margin)[:, None], columns.shape)
    return np.ascontiguousarray(rows), columns, margin


def _inside(pits: npt.NDArray[np.float64], window: Window) -> npt.NDArray[np.float64]:
    x, y = pits[:, 0] - window.left_um, pits[:, 1] - window.top_um
    here = (x >= 0) & (x < window.field_um) & (y >= 0) & (y < window.height * window.pixel_um)
    return pits[here]

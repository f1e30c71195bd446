"""From the surface to the picture: secondary electrons, dirt, charging, focus, the detector's noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.special import ndtri

from sorby.errors import InputError
from sorby.phantom.fracture.specimen import FractureSpecimen, ViewPlan, field_width_um
from sorby.phantom.fracture.surface import CUES, Relief, relief
from sorby.phantom.place_noise import Float32, Window, smooth

UInt8 = npt.NDArray[np.uint8]
#: Width and height of a picture without its info bar.
FULL_SIZE, SMALL_SIZE = (1024, 768), (256, 192)
#: The magnification's rule needs some pixels to be a picture of anything.
_SMALLEST = 32


@dataclass(frozen=True)
class FractureView:
    """A picture and its truth.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Without info bar, until :func:`sorby.phantom.fracture.with_bar` adds one.
    cues : ndarray of uint8, shape of the picture without bar
        Regions, numbered as :data:`CUES`.
    plan : ViewPlan
        What was asked for.
    magnification : float
    pixel_size_um : float
    origin_in_view : bool
        Whether a part of the flaw or of its surroundings lies in the picture, on this fragment, and not broken away.
    contamination : float
        Share of the picture under residue.
    bar_top : int or None
        First row of the info bar; None without one.
    bar_rows : int
        Rows of the info bar.
    scale_label : str
        What the scale bar says, such as ``10 µm``.
    scale_px : int
        Its length in pixels.
    """

    pixels: UInt8
    cues: UInt8
    plan: ViewPlan
    magnification: float
    pixel_size_um: float
    origin_in_view: bool
    contamination: float
    bar_top: int | None = None
    bar_rows: int = 0
    scale_label: str = ""
    scale_px: int = 0


def render(
    specimen: FractureSpecimen,
    plan: ViewPlan | float,
    size: tuple[int, int] = FULL_SIZE,
    *,
    fragment: str | None = None,
) -> FractureView:
    """Take one picture.

    Parameters
    ----------
    specimen : FractureSpecimen
    plan : ViewPlan or float
        One of the specimen's views, or a magnification to look straight at the origin.
    size : tuple of int
        Width and height in pixels, without info bar.
    fragment : str, optional
        Another fragment than the plan's.

    Returns
    -------
    FractureView
        Without info bar.

    Raises
    ------
    InputError
        The picture is too small, the magnification is not above 0, or there is no such fragment.
    """
    asked = plan if isinstance(plan, ViewPlan) else ViewPlan(0, float(plan))
    if fragment is not None:
        asked = replace(asked, fragment=fragment)
    width, height = size
    if min(size) < _SMALLEST or not asked.magnification > 0:
        raise InputError(
            f"a picture of {width} x {height} pixels at {asked.magnification:g}x cannot be taken",
            f"give {_SMALLEST} pixels or more and a magnification above 0",
        )
    piece = specimen.fragment(asked.fragment)
    pixel_um = field_width_um(asked.magnification) / width
    turns = specimen.appearance.turns
    across, down = (width, height) if turns % 2 == 0 else (height, width)
    window = Window(
        asked.centre_um[0] - across * pixel_um / 2, asked.centre_um[1] - down * pixel_um / 2, pixel_um, across, down
    )
    surface = relief(specimen, window, piece)
    grey = _secondary_electrons(specimen, surface, pixel_um)
    cues = surface.cues
    dirty = _contaminate(specimen, window, surface, grey, cues)
    if piece.mirrored:
        grey, cues = np.fliplr(grey), np.fliplr(cues)
    grey, cues = np.rot90(grey, turns), np.ascontiguousarray(np.rot90(cues, turns))
    return FractureView(
        pixels=_detect(specimen, asked, np.ascontiguousarray(grey)),
        cues=cues,
        plan=asked,
        magnification=asked.magnification,
        pixel_size_um=pixel_um,
        origin_in_view=surface.origin_seen,
        contamination=dirty,
    )


def _secondary_electrons(specimen: FractureSpecimen, surface: Relief, pixel_um: float) -> Float32:
    """Return the brightness, 0..1: slopes towards the detector, edges, and darkness in cavities."""
    look = specimen.appearance
    height = surface.height_um
    dx = np.empty_like(height)
    dy = np.empty_like(height)
    dx[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / np.float32(2 * pixel_um)
    dy[1:-1] = (height[2:] - height[:-2]) / np.float32(2 * pixel_um)
    dx[:, 0], dx[:, -1], dy[0], dy[-1] = dx[:, 1], dx[:, -2], dy[1], dy[-2]
    seen = ~surface.stub
    steepness = dx * dx + dy * dy
    spread = float(np.sqrt(np.mean(steepness[seen]))) if seen.any() else 1.0
    # The operator turns the contrast up on a smooth surface and down on a rough one, not all the way.
    gain = np.float32(0.30 / max(spread, 0.02) ** 0.7)
    towards = dx * np.float32(np.cos(look.light)) + dy * np.float32(np.sin(look.light))
    grey = np.float32(look.brightness) + np.float32(0.42 * look.contrast) * np.tanh(gain * towards)
    tilt = np.sqrt(1.0 + (gain * gain) * steepness) - 1.0
    grey += np.float32(0.16 * look.edge) * np.tanh(tilt)
    hollow = uniform_filter(height, max(5, height.shape[1] // 32), mode="nearest") - height
    grey -= np.float32(0.16) * np.tanh(hollow * np.float32(6.0 * gain / (height.shape[1] * pixel_um / 32)))
    grey += surface.shade + np.float32(look.edge) * surface.sharp
    grey[surface.stub] = 0.05
    return np.asarray(grey, dtype=np.float32)


def _contaminate(specimen: FractureSpecimen, window: Window, surface: Relief, grey: Float32, cues: UInt8) -> float:
    """Lay residue on the surface, in place; return the share of the picture under it."""
    look, seed = specimen.appearance, specimen.seed * 64 + 90
    covered = np.zeros(window.shape, dtype=bool)
    solid = (~surface.stub).astype(np.float32)
    if look.carbon > 0.01:
        stain = (
            smooth(window, 260.0, seed) + 0.45 * smooth(window, 70.0, seed + 1) + 0.2 * smooth(window, 18.0, seed + 2)
        )
        under = _coverage(stain, look.carbon, 1.13) * solid
        blurred = gaussian_filter(grey, max(1.0, window.width / 200), truncate=2.5)
        grey += under * (np.float32(0.45) * (blurred - grey) - np.float32(0.17))
        covered |= under > 0.5
    if look.metal > 0.01:
        # Rubbed off a fixture: short bright smears, all one way.
        smear = smooth(window, 120.0, seed + 4, stretch=0.22) + 0.6 * smooth(window, 34.0, seed + 5, stretch=0.22)
        under = _coverage(smear, look.metal, 1.17) * solid
        grey += under * (np.float32(0.45) * (np.float32(0.85) - grey))
        covered |= under > 0.5
    cues[covered] = CUES["contamination"]
    return float(covered.mean())


def _coverage(field: Float32, share: float, deviation: float) -> Float32:
    """Return 0..1 such that about *share* of a Gaussian field of that deviation is covered."""
    threshold = deviation * float(ndtri(1.0 - share))
    soft = (field - np.float32(threshold)) * np.float32(2.2) + np.float32(0.5)
    return np.asarray(np.clip(soft, 0.0, 1.0), dtype=np.float32)


def _detect(specimen: FractureSpecimen, plan: ViewPlan, grey: Float32) -> UInt8:
    """Return the picture: exposure, focus, charging, noise, tone."""
    look = specimen.appearance
    rng = np.random.default_rng([specimen.seed, 7, plan.number, plan.seed])
    mean = np.float32(look.brightness)
    seen = (grey - mean) * np.float32(plan.contrast) + mean * np.float32(plan.exposure)
    across = np.linspace(-0.5, 0.5, grey.shape[1], dtype=np.float32)[None, :] * np.float32(2 * look.shading[0])
    seen += across + np.linspace(-0.5, 0.5, grey.shape[0], dtype=np.float32)[:, None] * np.float32(2 * look.shading[1])
    sigma = float(np.hypot(look.spot_px, plan.defocus_px)) * max(1.0, grey.shape[1] / 512.0)
    seen = gaussian_filter(seen, sigma, truncate=3.0)
    if look.charging > 0.05:
        # Bright places leave the rest of their line dark, and lines jump.
        trail = uniform_filter(
            np.clip(seen - np.float32(0.62), 0.0, None), (1, max(9, grey.shape[1] // 8)), mode="nearest"
        )
        jumps = rng.standard_normal((grey.shape[0], 1), dtype=np.float32)
        seen = seen - np.float32(1.3 * look.charging) * trail + np.float32(0.03 * look.charging) * jumps
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    if look.smear > 0.02:
        noise[:, 1:] += np.float32(look.smear) * noise[:, :-1]
        noise[:, 2:] += np.float32(0.6 * look.smear) * noise[:, :-2]
    seen = seen + noise * np.float32(look.noise) * np.sqrt(np.clip(seen, 0.05, 1.0))
    tone = np.clip(seen, 0.0, 1.0) ** np.float32(look.gamma)
    return np.asarray(tone * 255.0 + 0.5, dtype=np.uint8)

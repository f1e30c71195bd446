"""Near misses: structures the classifier was taught, spoiled, and other steels that look plausible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sorby.phantom.fields import Cells, Float32, cloudy_noise, smooth_noise
from sorby.phantom.frame import add_micron_bar
from sorby.phantom.optics import Instrument, UInt8
from sorby.phantom.specimens import SteelSpec, draw_specimen
from sorby.phantom.steel import render_steel

#: What is spoiled is drawn by about S1's shares of the classes.
_TAUGHT = {"G9-10": 0.5, "G8": 0.12, "G7": 0.04, "B9-10": 0.11, "B8": 0.1, "B7": 0.04, "M9-10": 0.05, "M8": 0.04}


@dataclass(frozen=True, eq=False)
class Spoiled:
    """A taught structure that was prepared or taken wrongly.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width, 3) or (height, width)
    pixel_size_um : float
        What the file says, in micrometres.
    magnification : int
        What the file says, nominal.
    instrument : Instrument
    """

    pixels: UInt8
    pixel_size_um: float
    magnification: int
    instrument: Instrument


def _overetched(spec: SteelSpec, rng: np.random.Generator) -> SteelSpec:
    """Left far too long in the etchant: dark, harsh, pitted and stained; fine detail is eaten away."""
    depth = float(rng.uniform(1.9, 2.8))
    etching = replace(spec.etching, depth=depth, stain=float(rng.uniform(0.06, 0.10)), roughness=0.11)
    return replace(spec, etching=etching, carbides=0.3 * spec.carbides)


def _out_of_focus(spec: SteelSpec, rng: np.random.Generator) -> SteelSpec:
    """Mildly out of focus: needles can be guessed, their ends and edges cannot be seen."""
    return replace(spec, defocus_um=float(rng.uniform(0.40, 0.70)) * 500 / spec.magnification)


def _wrong_magnification(spec: SteelSpec, rng: np.random.Generator) -> SteelSpec:
    """Taken at about 200x or 2000x, while file and micron bar claim the usual 500x."""
    far = float(rng.choice([2.5, 0.25]) * np.exp(rng.normal(0, 0.05)))
    taken = 200 if far > 1 else 2000
    return replace(spec, pixel_size_um=spec.pixel_size_um * far, magnification=taken, micron_bar=False)


_SPOIL: Mapping[str, Callable[[SteelSpec, np.random.Generator], SteelSpec]] = {
    "overetched": _overetched,
    "out-of-focus": _out_of_focus,
    "wrong-magnification": _wrong_magnification,
}


def render_spoiled(
    kind: str, seed: int, size_px: tuple[int, int], magnification: int, micron_bar: bool, colour: bool
) -> Spoiled:
    """Draw a taught structure, prepared or taken wrongly.

    Parameters
    ----------
    kind : {"overetched", "out-of-focus", "wrong-magnification"}
    seed : int
    size_px : tuple of int
        Height and width.
    magnification : int
        500 or 1000, nominal, as the file says.
    micron_bar, colour : bool
        As for steel.

    Returns
    -------
    Spoiled
    """
    rng = np.random.default_rng([1863, 61, seed, *kind.encode()])
    code = str(rng.choice(list(_TAUGHT), p=np.array(list(_TAUGHT.values()))))
    specimen = draw_specimen(
        code,
        int(rng.integers(2**31)),
        images=1,
        size_px=size_px,
        bimodal=False,
        magnification=magnification,
        micron_bar=micron_bar,
        resin_share=0.1,
        colour=colour,
    )
    usual = specimen.specs[0]
    phantom = render_steel(_SPOIL[kind](usual, rng), specimen.seeds[0])
    pixels = phantom.pixels
    if micron_bar and not phantom.spec.micron_bar:
        pixels, _ = add_micron_bar(pixels, usual.pixel_size_um, usual.instrument.bar_style)
    return Spoiled(pixels, usual.pixel_size_um, magnification, usual.instrument)


def paint_other_alloy(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint another steel: lath martensite of a low-carbon steel, or upper bainite in ferrite."""
    if rng.random() < 0.5:
        return _lath_martensite(shape, pixel_um, rng)
    return _upper_bainite(shape, pixel_um, rng)


def _across(shape: tuple[int, int], direction: Float32, bend: Float32) -> Float32:
    """Return the coordinate across a direction that varies from cell to cell, in pixels."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return np.asarray(x * np.cos(direction) + y * np.sin(direction) + bend, dtype=np.float32)


def _lath_martensite(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint wide grains, in them packets of straight parallel blocks, light and dark, with fine laths inside."""
    grains = Cells(shape, rng.uniform(45, 80) / pixel_um, rng)
    _, rim = grains.map(rng, wobble_px=1.0 / pixel_um)
    packets = Cells(shape, rng.uniform(18, 30) / pixel_um, rng)
    packet, seam = packets.map(rng, wobble_px=0.8 / pixel_um)
    direction = rng.uniform(0, np.pi, len(packets)).astype(np.float32)[packet]
    across = _across(shape, direction, np.float32(0.35 / pixel_um) * cloudy_noise(shape, (8 / pixel_um,), rng))
    # Blocks of irregular breadth: one random profile, read across each packet at its own offset.
    breadth = rng.uniform(2.0, 3.5) / pixel_um
    length = 4 * (shape[0] + shape[1])
    blocks = smooth_noise((1, length), breadth, rng)[0]
    laths = smooth_noise((1, length), max(1.2, 0.35 / pixel_um), rng)[0]
    offset = rng.uniform(0, shape[0] + shape[1], len(packets)).astype(np.float32)[packet]
    place = np.clip(across + offset + shape[0] + shape[1], 0, length - 1).astype(np.int64)
    surface = np.float32(0.55) + np.float32(0.11) * np.tanh(np.float32(1.8) * blocks[place])
    surface += np.float32(0.035) * laths[place] + np.float32(0.03) * smooth_noise(shape, 0.4 / pixel_um, rng)
    surface -= np.float32(0.08) * np.exp(-((seam * np.float32(pixel_um / 0.4)) ** 2))
    surface -= np.float32(0.14) * np.exp(-((rim * np.float32(pixel_um / 0.5)) ** 2))
    return np.asarray(surface, dtype=np.float32)


def _upper_bainite(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint bright polygonal ferrite, and between it colonies of coarse upper bainite with stringers of carbide."""
    grains = Cells(shape, rng.uniform(10, 18) / pixel_um, rng)
    cell, distance = grains.map(rng, wobble_px=0.7 / pixel_um)
    field = smooth_noise((1, len(grains)), 1.0, rng)[0]
    bainitic = field > np.quantile(field, rng.uniform(0.4, 0.6))
    direction = rng.uniform(0, np.pi, len(grains)).astype(np.float32)[cell]
    across = _across(shape, direction, np.float32(0.5 / pixel_um) * cloudy_noise(shape, (4 / pixel_um,), rng))
    wave = np.float32(2 * np.pi * pixel_um / rng.uniform(1.3, 2.0))
    stringer = np.sin(across * wave + np.float32(1.2) * smooth_noise(shape, 2.0 / pixel_um, rng))
    broken = smooth_noise(shape, 0.9 / pixel_um, rng) > -0.3
    dark = np.where(broken, np.clip(stringer - np.float32(0.35), 0, 1), np.float32(0))
    sheaf = np.float32(0.56) - np.float32(0.42) * dark
    ferrite = rng.normal(0.80, 0.03, len(grains)).astype(np.float32)[cell]
    surface = np.where(bainitic[cell], sheaf, ferrite)
    surface -= np.float32(0.38) * np.exp(-((distance * np.float32(pixel_um / 0.4)) ** 2))
    return np.asarray(surface + np.float32(0.02) * smooth_noise(shape, 0.4 / pixel_um, rng), dtype=np.float32)

"""Micrographs no steel classifier here was taught: they must be referred, not classified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sorby.errors import InputError
from sorby.phantom.far_novel import paint_checker, paint_clouds, paint_gradient, paint_noise
from sorby.phantom.fields import Cells, Float32, cloudy_noise, smooth_noise
from sorby.phantom.frame import add_micron_bar, scratch_layer
from sorby.phantom.near_novel import paint_other_alloy, render_spoiled
from sorby.phantom.optics import Instrument, UInt8, blur, expose, instrument_catalogue

Painter = Callable[[tuple[int, int], float, np.random.Generator], Float32]


@dataclass(frozen=True, eq=False)
class NovelPhantom:
    """A micrograph outside the steel classifier's world.

    Attributes
    ----------
    kind : str
        One of ``ALL_KINDS``.
    pixels : ndarray of uint8, shape (height, width, 3) or (height, width)
        The micrograph.
    pixel_size_um : float
        Pixel size in micrometres, as the file says.
    magnification : int
        500 or 1000, as the file says.
    instrument : Instrument
        The microscope.
    seed : int
        It was drawn with.
    """

    kind: str
    pixels: UInt8
    pixel_size_um: float
    magnification: int
    instrument: Instrument
    seed: int


def _pearlite(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint lamellae of ferrite and cementite, one direction and spacing to a colony, gently bent."""
    colonies = Cells(shape, rng.uniform(12, 20) / pixel_um, rng)
    cell, distance = colonies.map(rng, wobble_px=1.2 / pixel_um)
    count = len(colonies)
    # The spacing seen depends on how a colony is cut; steeply cut ones are not resolved and look dark.
    spacing = rng.uniform(0.7, 0.9) / pixel_um / np.clip(np.sin(rng.uniform(0.3, np.pi / 2, count)), 0.4, 1)
    direction, phase = rng.uniform(0, np.pi, count), rng.uniform(0, 2 * np.pi, count)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    bend = np.float32(1.1 / pixel_um) * cloudy_noise(shape, (9 / pixel_um, 3 / pixel_um), rng, (1.0, 0.25))
    wave = (2 * np.pi / spacing).astype(np.float32)
    across = x * np.cos(direction).astype(np.float32)[cell] + y * np.sin(direction).astype(np.float32)[cell] + bend
    lamellae = np.sin(across * wave[cell] + phase.astype(np.float32)[cell])
    contrast = rng.uniform(0.10, 0.26, count).astype(np.float32)
    tone = rng.normal(0.48, 0.05, count).astype(np.float32)
    surface = tone[cell] + contrast[cell] * np.tanh(np.float32(2.0) * lamellae + np.float32(0.5))
    seams = np.exp(-((distance * np.float32(pixel_um / 0.35)) ** 2))
    surface += np.float32(0.03) * smooth_noise(shape, 0.4 / pixel_um, rng) - np.float32(0.10) * seams
    return np.asarray(surface, dtype=np.float32)


def _ferrite(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint light equiaxed grains with dark boundaries, each a little differently bright."""
    grains = Cells(shape, rng.uniform(9, 18) / pixel_um, rng)
    cell, distance = grains.map(rng, wobble_px=0.6 / pixel_um)
    tone = rng.normal(0.78, 0.035, len(grains)).astype(np.float32)
    breadth = 0.42 * np.clip(1 + 0.25 * smooth_noise(shape, 12 / pixel_um, rng), 0.5, 1.6)
    boundary = np.exp(-((distance * np.float32(pixel_um) / breadth.astype(np.float32)) ** 2))
    surface = tone[cell] - np.float32(0.5) * boundary
    dots = smooth_noise(shape, 0.8 / pixel_um, rng) > 3.1  # tertiary cementite and etch pits
    surface += np.float32(0.015) * smooth_noise(shape, 0.4 / pixel_um, rng) - np.float32(0.3) * dots
    return np.asarray(surface, dtype=np.float32)


def _inclusions(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint a polished, unetched section: round oxides and stringers of sulphide on a bright ground."""
    height, width = shape
    surface = np.full(shape, 0.86, dtype=np.float32) + np.float32(0.012) * cloudy_noise(shape, (120, 12), rng)
    canvas = Image.new("F", (width, height), 0.0)
    pen = ImageDraw.Draw(canvas)
    area_um2 = height * width * pixel_um**2
    rolling = rng.uniform(0, np.pi)
    for _ in range(int(rng.poisson(area_um2 / 160)) + 4):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        size = float(rng.lognormal(np.log(0.9), 0.55)) / pixel_um
        if rng.random() < 0.6:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=float(rng.uniform(0.55, 0.75)))
            continue
        t = np.linspace(0, 2 * np.pi, 18)
        u, v = size * rng.uniform(3, 9) * np.cos(t), 0.45 * size * np.sin(t)
        c, s = np.cos(rolling), np.sin(rolling)
        outline = np.column_stack([x + u * c - v * s, y + u * s + v * c]).ravel().tolist()
        pen.polygon(outline, fill=float(rng.uniform(0.32, 0.45)))
    return surface - blur(np.asarray(canvas, dtype=np.float32), 0.6)


def _defocused(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint a structure so far out of focus that nothing can be graded."""
    surface = np.float32(0.5) + np.float32(0.22) * smooth_noise(shape, 1.2 / pixel_um, rng)
    return blur(surface, float(rng.uniform(2.0, 3.5)) / pixel_um)


def _resin(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator) -> Float32:
    """Paint embedding resin beside the specimen: dark, cloudy, with filler and bubbles."""
    clouds = cloudy_noise(shape, (40 / pixel_um, 9 / pixel_um, 2 / pixel_um), rng, (1, 0.6, 0.35))
    filler = smooth_noise(shape, 1.6 / pixel_um, rng) > 2.4
    tone = np.float32(rng.uniform(0.12, 0.28))
    surface = tone + np.float32(0.03) * clouds + np.float32(0.10) * filler.astype(np.float32)
    return blur(surface, 1.5)


NOVEL_KINDS: Mapping[str, Painter] = {
    "pearlite": _pearlite,
    "ferrite": _ferrite,
    "inclusions": _inclusions,
    "defocused": _defocused,
    "resin": _resin,
}
_FAR: Mapping[str, Painter] = {
    "noise": paint_noise,
    "clouds": paint_clouds,
    "checker": paint_checker,
    "gradient": paint_gradient,
}
_PAINTERS: Mapping[str, Painter] = {**NOVEL_KINDS, "other-alloy": paint_other_alloy, **_FAR}

#: Micrographs that a classifier of taught steels should refer: other structures, and taught ones taken wrongly.
NEAR_OOD = (*NOVEL_KINDS, "overetched", "other-alloy", "out-of-focus", "wrong-magnification")
#: No micrographs at all.
FAR_OOD = tuple(_FAR)
ALL_KINDS = (*NEAR_OOD, *FAR_OOD)
_SPOILED = ("overetched", "out-of-focus", "wrong-magnification")
#: Nothing in focus, or nothing polished: no scratches are seen.
_UNSCRATCHED = ("defocused", "resin", *FAR_OOD)


def render_novel(
    kind: str,
    seed: int,
    *,
    size_px: tuple[int, int] = (448, 448),
    magnification: int = 500,
    micron_bar: bool = True,
    colour: bool = True,
) -> NovelPhantom:
    """Draw a micrograph that a steel classifier should refer to a person.

    Parameters
    ----------
    kind : str
        Of ``NEAR_OOD``: ``pearlite`` (fully pearlitic), ``ferrite`` (equiaxed grains), ``inclusions`` (unetched
        section), ``defocused`` (beyond grading), ``resin``; ``overetched``, ``out-of-focus`` (mildly) and
        ``wrong-magnification`` (200x or 2000x, said to be 500x), all of taught structures; ``other-alloy`` (lath
        martensite of a low-carbon steel, or upper bainite in ferrite). Of ``FAR_OOD``: ``noise``, ``clouds``,
        ``checker``, ``gradient``.
    seed : int
        Same seed, same pixels.
    size_px : tuple of int
        Height and width.
    magnification : int
        500 or 1000, nominal.
    micron_bar, colour : bool
        As for steel, on the same microscopes, so that only the structure is new.

    Returns
    -------
    NovelPhantom

    Raises
    ------
    InputError
        The kind is unknown.
    """
    if kind not in ALL_KINDS:
        raise InputError(f"novel kind {kind!r} is unknown", f"allowed: {', '.join(ALL_KINDS)}")
    if kind in _SPOILED:
        spoiled = render_spoiled(kind, seed, size_px, magnification, micron_bar, colour)
        return NovelPhantom(
            kind, spoiled.pixels, spoiled.pixel_size_um, spoiled.magnification, spoiled.instrument, seed
        )
    rng = np.random.default_rng([1863, seed, *kind.encode()])
    instruments = instrument_catalogue()
    instrument = instruments[int(rng.integers(len(instruments)))]
    pixel_size_um = round(instrument.pixel_size_um_500x * 500 / magnification, 5)
    surface = _PAINTERS[kind](size_px, pixel_size_um, rng)
    if kind not in _UNSCRATCHED:
        surface = surface + scratch_layer(size_px, int(rng.poisson(2)), rng)
    pixels = expose(
        np.clip(surface, 0.02, 1.0).astype(np.float32),
        instrument,
        pixel_size_um=pixel_size_um,
        magnification=magnification,
        defocus_px=0.0,
        colour=colour,
        rng=rng,
    )
    if micron_bar:
        pixels, _ = add_micron_bar(pixels, pixel_size_um, instrument.bar_style)
    return NovelPhantom(kind, pixels, pixel_size_um, magnification, instrument, seed)

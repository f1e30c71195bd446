"""What a light microscope and its camera do to a surface: blur, illumination, tint, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from sorby.phantom.fields import Float32, cloudy_noise

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Instrument:
    """A microscope with its camera; micrographs taken on it share these traits.

    Attributes
    ----------
    name : str
        Such as ``LM-03``.
    plant : str
        Where it stands.
    pixel_size_um_500x : float
        Pixel size at nominal 500x in micrometres; half of it at 1000x.
    resolution_um : float
        Standard deviation of the point spread at 500x in micrometres.
    vignetting : float
        Relative loss of light in the corners.
    tilt : float
        Relative gradient of the illumination across the field.
    exposure : float
        Factor on the brightness.
    shot_noise : float
        Deviation of the noise at full brightness, as a part of full scale.
    warmth : float
        Tint of shadows and highlights, 0 neutral, positive brown, negative blue.
    bar_style : str
        ``box`` (black on a white box) or ``plain`` (on the picture).
    """

    name: str
    plant: str
    pixel_size_um_500x: float
    resolution_um: float
    vignetting: float
    tilt: float
    exposure: float
    shot_noise: float
    warmth: float
    bar_style: str


def instrument_catalogue(plants: int = 2, instruments: int = 10) -> tuple[Instrument, ...]:
    """Return the house's microscopes, always the same ones: S1 had ten in two plants.

    Parameters
    ----------
    plants, instruments : int
        How many; instruments are shared out to the plants in turn.
    """
    rng = np.random.default_rng(643)
    return tuple(
        Instrument(
            name=f"LM-{number + 1:02d}",
            plant=f"plant-{chr(ord('A') + number % plants)}",
            pixel_size_um_500x=round(float(rng.uniform(0.185, 0.215)), 4),
            resolution_um=float(rng.uniform(0.14, 0.21)),
            vignetting=float(rng.uniform(0.02, 0.12)),
            tilt=float(rng.uniform(0.0, 0.10)),
            exposure=float(rng.uniform(0.90, 1.10)),
            shot_noise=float(rng.uniform(0.010, 0.024)),
            warmth=float(rng.normal(0.45, 0.45)),
            bar_style="box" if number % 3 else "plain",
        )
        for number in range(instruments)
    )


def blur(surface: Float32, sigma_px: float) -> Float32:
    """Return *surface* (height, width) seen through a Gaussian point spread of *sigma_px* pixels."""
    if sigma_px < 0.2:
        return surface
    return np.asarray(gaussian_filter(surface, sigma_px, mode="nearest", truncate=3.0), dtype=np.float32)


def illumination(shape: tuple[int, int], vignetting: float, tilt: float, rng: np.random.Generator) -> Float32:
    """Return the relative brightness of the light over the field, shape (height, width), near 1."""
    height, width = shape
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    centre_x, centre_y = rng.uniform(-0.25, 0.25, 2)
    direction = rng.uniform(0.0, 2 * np.pi)
    radius2 = (x - np.float32(centre_x)) ** 2 + (y - np.float32(centre_y)) ** 2
    slope = np.float32(np.cos(direction)) * x + np.float32(np.sin(direction)) * y
    clouds = np.float32(0.012) * cloudy_noise(shape, (max(shape) / 2.5,), rng)
    return np.asarray(
        1.0 - np.float32(vignetting) * radius2 / 2 + np.float32(tilt) * slope / 2 + clouds, dtype=np.float32
    )


def tint(grey: Float32, warmth: float) -> Float32:
    """Return *grey* in 0..1 as RGB, shape (height, width, 3): shadows take the colour, highlights little.

    Nital leaves brown to bluish films; halogen light and white balance add to it.
    """
    base = np.clip(grey, 1e-4, None)
    logarithm = np.log(base)
    channels = [np.exp(logarithm * np.float32(power)) for power in (1 - 0.10 * warmth, 1.0, 1 + 0.17 * warmth)]
    gains = (1 + 0.015 * warmth, 1.0, 1 - 0.035 * warmth)
    return np.stack([c * np.float32(g) for c, g in zip(channels, gains, strict=True)], axis=-1)


def expose(
    surface: Float32,
    instrument: Instrument,
    *,
    pixel_size_um: float,
    magnification: int,
    defocus_px: float,
    colour: bool,
    rng: np.random.Generator,
) -> UInt8:
    """Return the picture the instrument takes of a reflecting surface.

    Parameters
    ----------
    surface : ndarray of float32, shape (height, width)
        Reflectance, 0 black to 1 as bright as the camera holds.
    instrument : Instrument
        The microscope.
    pixel_size_um : float
        Pixel size in micrometres.
    magnification : int
        500 or 1000; the better objective resolves more.
    defocus_px : float
        Extra blur in pixels.
    colour : bool
        RGB where true, grey otherwise.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3) or (height, width)
    """
    resolution_um = instrument.resolution_um * (500 / magnification) ** 0.6
    seen = blur(surface, float(np.hypot(resolution_um / pixel_size_um, defocus_px)))
    light = illumination((seen.shape[0], seen.shape[1]), instrument.vignetting, instrument.tilt, rng)
    seen = seen * light * np.float32(instrument.exposure)
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    deviation = np.float32(instrument.shot_noise) * np.sqrt(np.clip(seen, 0.02, None))
    seen = seen + noise * deviation
    picture = tint(seen, instrument.warmth) if colour else seen
    # A mono camera's noise is grey; a colour camera's carries some chroma, blurred by its demosaicing.
    if colour:
        chroma = rng.standard_normal((*seen.shape, 2), dtype=np.float32) * (np.float32(0.5) * deviation[..., None])
        picture[..., 0] += chroma[..., 0]
        picture[..., 2] += chroma[..., 1]
    return np.asarray(np.clip(picture * 255.0 + 0.5, 0, 255), dtype=np.uint8)

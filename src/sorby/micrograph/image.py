"""A micrograph: pixels, the scale they were taken at, and where that scale comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
"""Pixels of one image: ``(H, W)`` or ``(H, W, 3)``, uint8, uint16 or float32."""

ScaleSource = Literal[
    "fei", "zeiss", "sis", "ome", "imagej", "hitachi", "jeol", "tiff-resolution", "info-bar", "user", "none"
]


@dataclass(frozen=True)
class Scale:
    """How large a pixel is on the specimen, who says so, and how far to trust it.

    Attributes
    ----------
    pixel_size_um : float or None
        Edge of one pixel on the specimen, micrometres. This is the truth to measure with.
    magnification : float or None
        The nominal magnification the instrument prints; it depends on an assumed display width,
        so two instruments print different numbers for one pixel size.
    source : str
        ``fei``, ``zeiss``, ``sis``, ``ome``, ``imagej``, ``hitachi``, ``jeol``, ``tiff-resolution``,
        ``info-bar``, ``user`` or ``none``.
    confidence : float
        From 0 (nothing known) to 1 (stated by the user).
    detail : str
        One line: which field was read, or why nothing could be believed.
    """

    pixel_size_um: float | None = None
    magnification: float | None = None
    source: ScaleSource = "none"
    confidence: float = 0.0
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("pixel_size_um", "magnification"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, not {value}")

    @property
    def known(self) -> bool:
        """Whether lengths can be measured at all."""
        return self.pixel_size_um is not None

    def coarsened(self, factor: float) -> Scale:
        """Return the scale after a resize that makes each pixel *factor* times as large."""
        if self.pixel_size_um is None:
            return self
        return replace(self, pixel_size_um=self.pixel_size_um * factor)


NO_SCALE = Scale(detail="neither tag nor sidecar states a pixel size")
"""What a file without any statement of scale has."""


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One image of a specimen, as read.

    Attributes
    ----------
    pixels : ndarray, (H, W) or (H, W, 3), uint8 or uint16 or float32
        Grey or RGB values, upright (EXIF orientation applied), no alpha.
    path : Path or None
        Where it was read from.
    scale : Scale
        Pixel size and magnification, with their source and confidence.
    page : int
        Which page of the file, counted from 0.
    n_pages : int
        How many pages the file has.
    notes : tuple of str
        Everything that was done to the pixels or found odd, one line each.
    info : dict of str to str
        What the instrument says about itself: ``instrument``, ``detector``, ``hv_kv``, ``wd_mm``,
        ``date``, ``info_bar_height_px`` ... as far as the file states them.
    """

    pixels: Pixels
    path: Path | None = None
    scale: Scale = NO_SCALE
    page: int = 0
    n_pages: int = 1
    notes: tuple[str, ...] = ()
    info: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or 0 in shape:
            raise ValueError(f"pixels must be (H, W) or (H, W, 3), not {shape}")
        if kind not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"pixels must be uint8, uint16 or float32, not {kind}")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def mode(self) -> str:
        """Colour and depth in one word, for example ``grey8``, ``rgb16``, ``grey32f``."""
        return mode_of(1 if self.pixels.ndim == 2 else 3, self.pixels.dtype)

    def apply(self, step: Callable[[Pixels], Pixels], note: str, *, pixel_size_factor: float = 1.0) -> Micrograph:
        """Return a copy whose pixels went through *step*, and say so in the notes.

        Optical distortion is not corrected anywhere in sorby: the published systems did not, and a
        correction needs a calibration target that the archives lack. A laboratory that has one hangs
        its correction in here.

        Parameters
        ----------
        step : callable
            Takes and returns pixels.
        note : str
            What was done, one line.
        pixel_size_factor : float
            How many times larger a pixel is afterwards (2.0 for halving width and height).
        """
        return replace(
            self,
            pixels=step(self.pixels),
            scale=self.scale.coarsened(pixel_size_factor),
            notes=(*self.notes, note),
        )


def mode_of(channels: int, dtype: npt.DTypeLike) -> str:
    """Name colour and depth: ``grey8``, ``rgb8``, ``grey16``, ``rgb16``, ``grey32f``, ``rgb32f``."""
    kind = np.dtype(dtype)
    return ("grey" if channels == 1 else "rgb") + str(8 * kind.itemsize) + ("f" if kind.kind == "f" else "")

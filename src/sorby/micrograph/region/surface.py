"""Where the specimen's surface lies in focus: fine structure against the smoothness of resin and background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, find_objects, gaussian_filter, label

Mask = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]

_WINDOW = 0.012  # standard deviation of the window of local measures, as a share of the picture's size
_STRUCTURED = 90  # percentile of the fine contrast that stands for the specimen; it may fill as little as a tenth
_SMOOTH = 0.32  # share of that contrast below which a place is smooth
_NO_STRUCTURE = 0.03  # median of the fine contrast over brightness, where nothing shows structure ...
_SHARP, _FAINT = 0.13, 0.02  # ... and its 98th percentile, over brightness and of full scale
_EVEN = 0.215  # median contrast of a background over that of the specimen, at most
_LEAST_CONTACT = 0.5  # of the shorter side: how much of the picture's edge a background takes at least
_TONE_STEP = 0.22  # relative difference of brightness between resin and specimen


@dataclass(frozen=True, eq=False)
class Surface:
    """Local measures of a picture, all float32 of shape (H, W).

    Attributes
    ----------
    contrast : ndarray
        Fine contrast: deviation of the picture's detail between one and three pixels, in a window.
    tone : ndarray
        Brightness, 0..1, in the same window.
    window_px : float
        Standard deviation of the window.
    """

    contrast: Float32
    tone: Float32
    window_px: float

    def thinned(self, step: int) -> Surface:
        """Return every *step*-th row and column: the measures vary slowly."""
        return Surface(self.contrast[::step, ::step], self.tone[::step, ::step], self.window_px / step)


def measure_surface(grey: Float32, ignored: Mask) -> Surface:
    """Measure fine contrast and brightness around each pixel.

    Parameters
    ----------
    grey : ndarray of float32, shape (H, W)
        Brightness, 0..1.
    ignored : ndarray of bool, shape (H, W)
        Drawn on the picture (the micron bar): takes no part.

    Notes
    -----
    The detail is a difference of Gaussians of 1 and 3 px, which takes away both the pixel noise and the slow
    clouds; its local energy is the usual measure of focus.

    References
    ----------
    Pertuz et al. 2013, Analysis of focus measure operators for shape-from-focus, Pattern Recognition 46, 1415.
    """
    window = max(_WINDOW * float(np.sqrt(grey.size)), 3.0)
    filled = np.where(ignored, np.float32(np.median(grey)), grey)
    detail = gaussian_filter(filled, 1.0) - gaussian_filter(filled, 3.0)
    # Beside the bar the detail is of the bar.
    weight = 1 - binary_dilation(ignored, iterations=6).astype(np.float32) if ignored.any() else None
    return Surface(np.sqrt(_mean(detail**2, weight, window)), _mean(filled, weight, window), window)


def _mean(values: Float32, weight: Float32 | None, window: float) -> Float32:
    """Return the local mean over the pixels that count."""
    if weight is None:
        return np.asarray(gaussian_filter(values, window, truncate=3.0), dtype=np.float32)
    norm = gaussian_filter(weight, window, truncate=3.0)
    total = gaussian_filter(values * weight, window, truncate=3.0)
    return np.asarray(np.maximum(total, 0) / np.maximum(norm, 1e-3), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Background:
    """What lies beyond the specimen, as masks of shape (H, W).

    Attributes
    ----------
    resin, defocus : ndarray of bool
        Smooth and of another brightness than the specimen; smooth and of the same.
    resin_tone, specimen_tone : float
        Median brightness of both, 0..1; nan where there is no resin.
    """

    resin: Mask
    defocus: Mask
    resin_tone: float = float("nan")
    specimen_tone: float = float("nan")

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return bool(self.resin.any() or self.defocus.any())


def shows_nothing(surface: Surface, ignored: Mask) -> bool:
    """Whether a picture is smooth everywhere: resin only, background only, or nothing in focus.

    A polished and unetched section is smooth too, but for its inclusions, which are sharp; a dark picture has little
    contrast, but not little for its brightness. So three things are asked at once.
    """
    contrast, tone = surface.contrast[~ignored], surface.tone[~ignored]
    if contrast.size == 0:
        return True
    middle, top = (float(q) for q in np.percentile(contrast, (50, 98)))
    brightness = max(float(tone.mean()), 0.01)
    return middle < _NO_STRUCTURE * brightness and top < _SHARP * brightness and top < _FAINT


def find_background(surface: Surface, ignored: Mask) -> Background:
    """Return what lies beyond the specimen's border.

    Parameters
    ----------
    surface : Surface
    ignored : ndarray of bool, shape (H, W)
        The micron bar.

    Notes
    -----
    Background is smooth compared with the rest of the same picture, touches the picture's edge over a length, and
    leaves the specimen in one or few pieces. The smooth ground between the inclusions of a polished section fails the
    last, the inside of a grain or of a dark inclusion the second.
    """
    empty = np.zeros(ignored.shape, dtype=bool)
    high = float(np.percentile(surface.contrast[~ignored], _STRUCTURED))
    smooth = (surface.contrast < _SMOOTH * high) & ~ignored
    specimen = ~smooth & ~ignored
    if not smooth.any() or not _in_few_pieces(specimen):
        return Background(empty, empty)
    specimen_tone = float(np.median(surface.tone[specimen]))
    specimen_contrast = float(np.median(surface.contrast[specimen]))
    resin, defocus, tones = empty.copy(), empty.copy(), []
    pieces, _ = label(smooth)
    for number, place in enumerate(find_objects(pieces), start=1):
        piece = pieces == number if place is not None else empty
        contact = _contact(piece) / min(piece.shape)
        if contact < _LEAST_CONTACT:
            continue
        evenness = _core_contrast(surface, piece) / specimen_contrast
        tone = float(np.median(surface.tone[piece]))
        if evenness > _EVEN:
            continue
        # As far as the picture's brightness allows, towards black or, inverted, towards white.
        room = min(max(tone, specimen_tone), 1 - min(tone, specimen_tone))
        if abs(tone - specimen_tone) >= _TONE_STEP * room:
            resin |= piece
            tones.append(tone)
        elif contact >= 2 * _LEAST_CONTACT:
            defocus |= piece
    return Background(resin, defocus, float(np.median(tones)) if tones else float("nan"), specimen_tone)


def _core_contrast(surface: Surface, piece: Mask) -> float:
    """Return the contrast of a piece, away from its edge, where the window sees the specimen too."""
    core = piece & ~binary_dilation(~piece, iterations=max(1, round(surface.window_px)))
    if core.sum() > 0.2 * piece.sum():
        return float(np.median(surface.contrast[core]))
    return float(np.percentile(surface.contrast[piece], 10))  # a strip too thin to have a core


def _in_few_pieces(structured: Mask) -> bool:
    """Whether what shows structure lies together, not in islands all over the picture."""
    pieces, count = label(structured)
    if count == 0:
        return False
    areas = np.bincount(pieces.ravel())[1:]
    return bool(areas[areas >= 0.02 * structured.size].sum() >= 0.85 * areas.sum())


def _contact(piece: Mask) -> int:
    """Return over how many pixels a piece touches the picture's edge."""
    return int(piece[0].sum() + piece[-1].sum() + piece[:, 0].sum() + piece[:, -1].sum())

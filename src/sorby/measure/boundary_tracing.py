"""Grain boundaries traced without a model: ridges on several scales, gaps closed by watershed, false edges pruned.

What it needs is an etch that draws the boundaries as lines, darker or brighter than the grains. Tint etching, which
colours grains and draws no lines, is not traced; annealing twins that the etch draws are traced as boundaries,
because nothing in the picture tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import h_maxima, skeletonize
from skimage.segmentation import watershed

from sorby.errors import ImageError
from sorby.micrograph import Pixels, to_grey, to_uint8

Polarity = Literal["dark", "bright"]
Reals = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SCALES_PX = (1.0, 1.5, 2.2, 3.2)
"""Gaussian widths on which ridges are looked for, pixels: boundaries from about 2 to 9 pixels wide."""

# Noise draws as many bright ridges as dark ones; a boundary of one kind must stand out from the other kind.
_NULL_QUANTILE = 0.98
_HIGH, _LOW = 0.9, 0.55
_LEAST_SHARE = 0.004  # of the field's pixels on ridges, below which there are no boundaries
_LEAST_EXCESS = 1.3  # ridges of the chosen polarity over those of the other
_LEAST_SUPPORT = 0.35  # of an edge between two regions that must lie on a ridge
_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class TracedBoundaries:
    """Boundaries found in a micrograph.

    Attributes
    ----------
    labels : ndarray of int32, (H, W)
        Grains 1 .. n, a complete partition without boundary pixels.
    boundary : ndarray of bool, (H, W)
        Closed boundary map, one pixel wide.
    ridges : ndarray of bool, (H, W)
        What was seen before gaps were closed and edges pruned, one pixel wide.
    polarity : str
        ``dark`` or ``bright`` boundaries.
    closed_share : float
        Share of the boundary length that lies on no ridge: closed by watershed, not seen.
    """

    labels: npt.NDArray[np.int32]
    boundary: Mask
    ridges: Mask
    polarity: Polarity
    closed_share: float


def trace_boundaries(
    pixels: Pixels, *, polarity: Polarity | None = None, scales_px: Sequence[float] = SCALES_PX
) -> TracedBoundaries:
    """Trace the grain boundaries of an etched micrograph.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3), uint8 or uint16 or float32
    polarity : {"dark", "bright"}, optional
        Whether boundaries are darker or brighter than grains; found from the picture where not given.
    scales_px : sequence of float
        Gaussian widths of the ridge filter.

    Returns
    -------
    TracedBoundaries

    Raises
    ------
    ImageError
        The image is one flat grey, or no lines stand out from it; no boundary is invented.

    References
    ----------
    Y. Sato et al., Med. Image Anal. 2 (1998) 143 (ridges from Hessian eigenvalues over scales). J. Canny, IEEE PAMI 8
    (1986) 679 (hysteresis). F. Meyer, Signal Processing 38 (1994) 113 (watershed from markers).
    """
    flat = flattened(pixels)
    dark, bright = ridge_strength(flat, scales_px)
    found, high = _choose(dark, bright, polarity)
    strength = dark if found == "dark" else bright
    seen = _hysteresis(strength, high)
    if seen.mean() < _LEAST_SHARE:
        raise ImageError(
            f"no grain boundary found ({100 * seen.mean():.2f} % of the pixels lie on lines)",
            "etch again, or draw the boundaries and use --mask",
        )
    labels = _prune(_close_gaps(seen), seen, strength)
    boundary = _one_pixel(labels)
    near = ndimage.distance_transform_edt(~seen) <= 2
    closed = 1.0 - float(near[boundary].mean()) if boundary.any() else 0.0
    return TracedBoundaries(labels, boundary, seen, found, closed)


def close_boundaries(probability: npt.NDArray[np.floating[Any]], threshold: float = 0.5) -> TracedBoundaries:
    """Turn a map of boundary probability, a model's for example, into closed boundaries.

    Parameters
    ----------
    probability : ndarray of float, (H, W)
        From 0 to 1.
    threshold : float
        From which a pixel is boundary; half of it continues a line that was begun.

    Returns
    -------
    TracedBoundaries
        Its polarity is ``bright``, that of the map.

    Raises
    ------
    ImageError
        No pixel reaches the threshold.
    """
    smooth: Reals = ndimage.gaussian_filter(probability.astype(np.float32), 0.7)
    seen = skeletonize(_linked(smooth, threshold, threshold / 2))
    if not seen.any():
        raise ImageError("no grain boundary found by the model", "is it made for such pictures?")
    labels = _prune(_close_gaps(seen), seen, smooth)
    boundary = _one_pixel(labels)
    near = ndimage.distance_transform_edt(~seen) <= 2
    closed = 1.0 - float(near[boundary].mean()) if boundary.any() else 0.0
    return TracedBoundaries(labels, boundary, seen, "bright", closed)


def flattened(pixels: Pixels) -> Reals:
    """Return grey values over their local mean and local scatter, so that uneven light and shading are gone.

    Raises
    ------
    ImageError
        The image is one flat grey.
    """
    grey = to_grey(to_uint8(pixels)).astype(np.float32)
    if grey.max() - grey.min() < 3:
        raise ImageError("one flat grey: nothing can be found in it", "check the exposure and the file")
    wide = max(8.0, min(grey.shape) / 12)
    level = ndimage.gaussian_filter(grey, wide, mode="reflect")
    deviation = grey - level
    scatter = np.sqrt(ndimage.gaussian_filter(deviation**2, 2 * wide, mode="reflect"))
    return np.asarray(deviation / np.maximum(scatter, 1.0), np.float32)


def ridge_strength(flat: Reals, scales_px: Sequence[float] = SCALES_PX) -> tuple[Reals, Reals]:
    """Return how line-like each pixel is, for dark and for bright lines.

    At each scale the Hessian's larger curvature across a line counts, less what there is along it, so that pits
    and dust score less than lines; scales are normalised by their square and the largest response is kept.

    Parameters
    ----------
    flat : ndarray of float32, (H, W)
    scales_px : sequence of float

    Returns
    -------
    dark, bright : ndarray of float32, (H, W)
    """
    dark, bright = np.zeros_like(flat), np.zeros_like(flat)
    for sigma in scales_px:
        rr = ndimage.gaussian_filter(flat, sigma, order=(2, 0), mode="reflect")
        cc = ndimage.gaussian_filter(flat, sigma, order=(0, 2), mode="reflect")
        rc = ndimage.gaussian_filter(flat, sigma, order=(1, 1), mode="reflect")
        half, root = (rr + cc) / 2, np.sqrt(((rr - cc) / 2) ** 2 + rc**2)
        large, small = half + root, half - root
        np.maximum(dark, sigma**2 * (large - np.maximum(small, 0)), out=dark)
        np.maximum(bright, sigma**2 * (-small - np.maximum(-large, 0)), out=bright)
    return dark, bright


def _choose(dark: Reals, bright: Reals, wanted: Polarity | None) -> tuple[Polarity, float]:
    """Decide dark or bright lines, and from which strength a ridge is more than chance."""
    crest = {"dark": _crests(dark), "bright": _crests(bright)}
    tops = {name: float(np.mean(np.sort(values)[-max(1, values.size // 10) :])) for name, values in crest.items()}
    found: Polarity = wanted or ("dark" if tops["dark"] >= tops["bright"] else "bright")
    other = "bright" if found == "dark" else "dark"
    if tops[found] < _LEAST_EXCESS * tops[other]:
        raise ImageError(
            f"no grain boundary found: {found} lines hardly stand out from {other} ones, as in noise or texture",
            "etch again, or draw the boundaries and use --mask",
        )
    chance = float(np.quantile(crest[other], _NULL_QUANTILE))
    return found, _HIGH * chance


def _crests(strength: Reals) -> npt.NDArray[np.float32]:
    """Return the strengths at local maxima across some direction: ridge lines without their flanks."""
    top = (strength >= ndimage.maximum_filter1d(strength, 3, axis=0)) | (
        strength >= ndimage.maximum_filter1d(strength, 3, axis=1)
    )
    values: npt.NDArray[np.float32] = strength[top & (strength > 0)]
    return values if values.size else np.zeros(1, np.float32)


def _linked(strength: Reals, high: float, low: float) -> Mask:
    """Keep what lies above *low* and is connected (8 neighbours) to something above *high*."""
    parts, n = ndimage.label(strength > low, structure=np.ones((3, 3)))
    kept = np.zeros(n + 1, bool)
    kept[np.unique(parts[strength > high])] = True
    kept[0] = False
    found: Mask = kept[parts]
    return found


def _hysteresis(strength: Reals, high: float) -> Mask:
    """Return ridge lines one pixel wide; specks shorter than a few pixels are dust."""
    lines = skeletonize(_linked(strength, high, _LOW * high))
    parts, n = ndimage.label(lines, structure=np.ones((3, 3)))
    long = np.bincount(parts.ravel(), minlength=n + 1) >= 8
    long[0] = False
    found: Mask = long[parts]
    return found


def _close_gaps(seen: Mask) -> npt.NDArray[np.int32]:
    """Partition by watershed on the distance to the ridges: gaps narrower than the grains beside them close."""
    distance = ndimage.distance_transform_edt(~seen).astype(np.float32)
    # The frame is no boundary: a grain cut by it has its deepest point there.
    smooth = ndimage.gaussian_filter(distance, 1.0)
    typical = float(np.quantile(smooth, 0.9))
    peaks = h_maxima(smooth, max(0.5, 0.06 * typical))
    markers, _ = ndimage.label(peaks, structure=np.ones((3, 3)))
    return np.asarray(watershed(-smooth, markers), np.int32)


def _prune(labels: npt.NDArray[np.int32], seen: Mask, strength: Reals) -> npt.NDArray[np.int32]:
    """Merge regions whose common edge has too little support by ridges, weakest edges first, in rounds.

    In each round the edges merge that are the weakest of both their regions, and the support of the edges that
    remain is reckoned again: a false edge through a grain goes, an edge with a gap stays.
    """
    near = ndimage.binary_dilation(seen, iterations=2)
    for _ in range(_ROUNDS):
        first, second, support = _edges(labels, near)
        if not first.size:
            break
        n = int(labels.max()) + 1
        weakest = np.full(n, np.inf)
        np.minimum.at(weakest, first, support)
        np.minimum.at(weakest, second, support)
        merge = (support < _LEAST_SUPPORT) & (support <= weakest[first]) & (support <= weakest[second])
        if not merge.any():
            break
        target = np.arange(n)
        # Ties may chain; joining each pair to its smaller number in order resolves them over the rounds.
        np.minimum.at(target, second[merge], first[merge])
        labels = target[labels].astype(np.int32)
    numbers, flat = np.unique(labels, return_inverse=True)
    return (flat.reshape(labels.shape) + 1).astype(np.int32) if numbers.size else labels


def _edges(
    labels: npt.NDArray[np.int32], near: Mask
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return pairs of touching regions (first < second) and which share of their common edge lies on a ridge."""
    pairs, marks = [], []
    for a, b, m, k in (
        (labels[:, :-1], labels[:, 1:], near[:, :-1], near[:, 1:]),
        (labels[:-1], labels[1:], near[:-1], near[1:]),
    ):
        differ = a != b
        low, high = np.minimum(a[differ], b[differ]), np.maximum(a[differ], b[differ])
        pairs.append(low.astype(np.int64) << 32 | high)
        marks.append((m | k)[differ])
    joined, mark = np.concatenate(pairs), np.concatenate(marks)
    if not joined.size:
        empty = np.zeros(0, np.int64)
        return empty, empty, np.zeros(0)
    unique, index = np.unique(joined, return_inverse=True)
    support = np.bincount(index, weights=mark) / np.bincount(index)
    return unique >> 32, unique & 0xFFFFFFFF, support


def _one_pixel(labels: npt.NDArray[np.int32]) -> Mask:
    """Return boundaries one pixel wide between the grains of a partition."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge

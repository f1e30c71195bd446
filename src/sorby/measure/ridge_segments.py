"""Needles traced: ridges of the oriented bands, cut where the direction changes, each with its length.

Nothing is corrected here: what later needles hide, what the border cuts and what the etch does not draw is not traced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from sorby.measure.needle_surface import Surface
from sorby.measure.ridge_bank import DIRECTIONS, answers, interior, line_angle, make_band, padded_shape

Float64 = npt.NDArray[np.float64]

#: Needles narrower than about a quarter of a band's wavelength or wider than it belong to other bands.
_BANDS_UM = (1.25, 1.85, 2.7, 4.0)
_HIGH, _LOW = 1.3, 0.8  # in root mean square answers of the strongest direction's band
_LEAST_ASPECT = 1.6  # length in wavelengths below which a ridge is a speck


@dataclass(frozen=True, eq=False)
class Segments:
    """Straight ridges, one entry each; positions in pixels of the micrograph, x to the right, y down.

    Attributes
    ----------
    x_px, y_px : ndarray of float64, shape (n,)
        Centres.
    length_um : ndarray of float64, shape (n,)
        Lengths in micrometres, from where the answer rises to half its greatest to where it falls below.
    reach_um : ndarray of float64, shape (n,)
        How far the ridge can be followed at all, in micrometres; never shorter than the length.
    angle : ndarray of float64, shape (n,)
        Direction in radians from the x axis towards y, modulo pi.
    dark : ndarray of bool, shape (n,)
        Whether the ridge is darker than its surroundings.
    cut : ndarray of bool, shape (n,)
        Whether it reaches the border of the region.
    """

    x_px: Float64
    y_px: Float64
    length_um: Float64
    reach_um: Float64
    angle: Float64
    dark: npt.NDArray[np.bool_]
    cut: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.length_um)


def _strongest(surface: Surface) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Return at each pixel the strongest even answer (signed, in units of its band's RMS), its direction, its band."""
    height, width = surface.relief.shape
    shape = padded_shape((height, width))
    spectrum = fft.fft2(surface.relief, s=shape)
    value = np.zeros((height, width), np.float32)
    direction = np.zeros((height, width), np.int16)
    wavelength = np.zeros((height, width), np.float32)
    for wanted in _BANDS_UM:
        band = make_band(wanted, shape, surface.pixel_size_um)
        inside = interior(surface.valid, band, shape)
        best, where = np.zeros(band.shape, np.float32), np.zeros(band.shape, np.int16)
        for number, answer in enumerate(answers(band, spectrum)):
            even = answer.real
            better = np.abs(even) > np.abs(best)
            best[better], where[better] = even[better], number
        rms = float(np.sqrt(np.mean(best[inside] ** 2))) if inside.any() else 0.0
        if rms == 0:
            continue
        best /= np.float32(rms)
        # Directions cannot be interpolated: the nearest one is taken.
        rows = (np.arange(height) * band.shape[0] / shape[0]).astype(np.intp)
        columns = (np.arange(width) * band.shape[1] / shape[1]).astype(np.intp)
        if band.shape != shape:
            factors = (shape[0] / band.shape[0], shape[1] / band.shape[1])
            best = ndimage.zoom(best, factors, order=1, grid_mode=True, mode="nearest")
        zoomed = best[:height, :width]
        stronger = (np.abs(zoomed) > np.abs(value)) & surface.valid
        value[stronger] = zoomed[stronger]
        direction[stronger] = where[np.ix_(rows, columns)][stronger]
        wavelength[stronger] = wanted
    return value, direction, wavelength


def _measured(
    labels: npt.NDArray[np.int32],
    count: int,
    wavelength: npt.NDArray[np.float32],
    strength: npt.NDArray[np.float32],
    border: npt.NDArray[np.bool_],
) -> dict[str, Float64]:
    """Return area, centre, direction from the second moments, wavelength and greatest strength of each component."""
    row, column = np.nonzero(labels)
    which = labels[row, column] - 1
    area = np.bincount(which, minlength=count).astype(np.float64)
    mean_x = np.bincount(which, column, count) / area
    mean_y = np.bincount(which, row, count) / area
    dx, dy = column - mean_x[which], row - mean_y[which]
    xx, yy, xy = (np.bincount(which, v, count) / area for v in (dx * dx, dy * dy, dx * dy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    along = dx * np.cos(angle)[which] + dy * np.sin(angle)[which]
    seen = strength[row, column]
    peak, ends, reach = np.zeros(count), np.zeros((2, count)), np.zeros((2, count))
    np.maximum.at(peak, which, seen)
    np.maximum.at(reach[0], which, along)
    np.minimum.at(reach[1], which, along)
    # A line ends where its answer falls to half: beyond, it is the filter that is long.
    body = seen > 0.5 * peak[which]
    np.maximum.at(ends[0], which[body], along[body])
    np.minimum.at(ends[1], which[body], along[body])
    cut = np.bincount(which, border[row, column], count) > 0
    width = np.bincount(which, wavelength[row, column], count) / area
    return {
        "x": mean_x,
        "y": mean_y,
        "angle": angle,
        "length": ends[0] - ends[1] + 1,
        "reach": reach[0] - reach[1] + 1,
        "peak": peak,
        "wavelength": width,
        "cut": cut.astype(np.float64),
    }


def trace(surface: Surface) -> Segments:
    """Return the needles that can be followed in a surface, dark ones and bright ones.

    Parameters
    ----------
    surface : Surface
        From :func:`sorby.measure.needle_surface.make_surface`.

    Returns
    -------
    Segments
        Connected places of one polarity whose strongest direction stays within one twelfth of a half turn of each
        other, strong somewhere (hysteresis) and at least 1.6 wavelengths of their band long.
    """
    value, direction, wavelength = _strongest(surface)
    border = ndimage.binary_dilation(~np.pad(surface.valid, 1), iterations=2)[1:-1, 1:-1]
    found: list[npt.NDArray[np.float64]] = []
    for sign in (-1, 1):
        strength = np.maximum(sign * value, 0)
        for wanted in range(DIRECTIONS):
            near = np.abs((direction - wanted + DIRECTIONS // 2) % DIRECTIONS - DIRECTIONS // 2) <= 1
            labels, count = ndimage.label((strength > _LOW) & near, structure=np.ones((3, 3)))
            if count == 0:
                continue
            part = _measured(labels, count, wavelength, strength, border)
            # A component is seen from up to three directions: it belongs to the one its own axis is nearest to.
            off = np.abs((part["angle"] - line_angle(wanted) + np.pi / 2) % np.pi - np.pi / 2)
            length_um = part["length"] * surface.pixel_size_um
            reach_um = part["reach"] * surface.pixel_size_um
            kept = (
                (off <= np.pi / DIRECTIONS / 2)
                & (part["peak"] > _HIGH)
                & (reach_um >= _LEAST_ASPECT * part["wavelength"])
            )
            columns = (part["x"], part["y"], length_um, reach_um, part["angle"], np.full(count, sign < 0), part["cut"])
            found.append(np.column_stack([np.asarray(c, np.float64)[kept] for c in columns]))
    table = np.concatenate(found) if found else np.zeros((0, 7))
    scale = surface.block
    return Segments(
        x_px=(table[:, 0] + 0.5) * scale,
        y_px=(table[:, 1] + 0.5) * scale,
        length_um=table[:, 2],
        reach_um=table[:, 3],
        angle=np.mod(table[:, 4], np.pi),
        dark=table[:, 5] > 0,
        cut=table[:, 6] > 0,
    )

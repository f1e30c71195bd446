"""The electrode's surface as a line scanner sees it: grain, clouds, shading, lines along the web, bright spots.

The surface is woven in bands of :data:`BAND` rows. A band depends on its number and the seed alone, so any rows
of any sheet, or of a web without end, come out the same however they are asked for, and in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Drawn = TypeVar("Drawn")

#: Rows woven at a time; a multiple of both coarse grids.
BAND = 128
#: Pitch of the grid of the coarser grain, and of clouds and shading, in pixels.
_COARSE_GRAIN, _SLOW = 4, 16
#: Distances over which clouds change, in pixels, and their shares.
_CLOUD_SCALES = ((48, 0.35), (144, 0.5), (560, 0.8))
#: Lines along the web keep their brightness over about this many rows.
_LINE_ROWS = 1536
#: No bright spot reaches further than this from its centre, in pixels.
_SPOT_REACH = 10
_KEPT_BANDS = 3


@dataclass(frozen=True)
class Surface:
    """What a sheet or web looks like where nothing is wrong with it.

    Attributes
    ----------
    width_px : int
        Columns, across the web.
    level : float
        Mean grey level, 0 to 255.
    texture : float
        Relative deviation of the grain.
    clouds : float
        Relative deviation of the slow variation of coating and roughness.
    shading : float
        Relative depth of the illumination's fall towards the edges and of its drift along the web.
    lines : float
        Relative deviation of the faint lines along the web.
    spot_rate : float
        Specular bright spots per million pixels.
    spot_strength : float
        Median brightness of a spot above the surface in grey levels; a few are many times brighter.
    membrane : bool
        A membrane lies on the electrode: it veils the grain and adds sheen.
    """

    width_px: int
    level: float = 84.0
    texture: float = 0.055
    clouds: float = 0.03
    shading: float = 0.05
    lines: float = 0.006
    spot_rate: float = 200.0
    spot_strength: float = 22.0
    membrane: bool = False


def keyed(seed: int, *key: int) -> np.random.Generator:
    """Return a fast generator of its own for *key*."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, *key])))


class Background:
    """Rows of a surface, woven on demand.

    Parameters
    ----------
    surface : Surface
    seed : int
        Same surface and seed, same grey levels.
    """

    def __init__(self, surface: Surface, seed: int) -> None:
        self.surface = surface
        self._seed = seed
        self._grain = _kept(self._draw_grain)
        self._coarse = _kept(self._draw_coarse_grain)
        self._spots = _kept(self._draw_spots)
        self._line_knots = _kept(self._draw_lines)
        self._band = _kept(self._weave)
        self._cloud_rows = lru_cache(maxsize=64)(self._draw_cloud_row)
        grid = np.arange(-2, _cells(surface.width_px, _SLOW) + 3)
        self._spread = {scale: _spline(grid * (_SLOW / scale))[0] for scale, _ in _CLOUD_SCALES}
        columns = (grid + 0.5) * _SLOW / surface.width_px
        tilt, fall = keyed(seed, 7).uniform((-0.5, 0.6), (0.5, 1.0))
        # Lamps and lens leave the edges darker; the lamp is never quite in the middle.
        self._across = (
            1.0 + surface.shading * (0.3 - fall * (2 * columns - 1) ** 2 + tilt * (2 * columns - 1))
        ).astype(np.float64)

    def rows(self, first: int, last: int) -> Float32:
        """Return the grey levels of rows *first* to *last*, not rounded.

        Parameters
        ----------
        first, last : int
            Half-open range of rows, from 0.

        Returns
        -------
        ndarray of float32, shape (last - first, width)
        """
        out = np.empty((last - first, self.surface.width_px), dtype=np.float32)
        for number in range(first // BAND, -(-last // BAND)):
            top = number * BAND
            begin, end = max(first, top), min(last, top + BAND)
            out[begin - first : end - first] = self._band(number)[begin - top : end - top]
        return out

    def _weave(self, number: int) -> Float32:
        """Return one band: reflectance times illumination, spots on top."""
        surface = self.surface
        # What lies below a membrane is seen through it: duller, its grain finer in contrast.
        grain = surface.texture * (0.8 if surface.membrane else 1.0)
        band = self._fine(number)
        band *= np.float32(0.75 * grain)
        coarse = self._coarsened(number)
        # A rough surface has more bright facets than dark pits.
        band += np.float32(0.62 * grain) * coarse + np.float32(0.1 * grain) * coarse * coarse
        band += self._lines(number)
        band += np.float32(1.0)
        band *= self._slow(number)
        self._add_spots(band, number)
        return band

    # -- grain ---------------------------------------------------------------------------------------------

    def _draw_grain(self, number: int) -> npt.NDArray[np.uint8]:
        return _bytes(keyed(self._seed, 1, number), (BAND, self.surface.width_px + 2))

    def _fine(self, number: int) -> Float32:
        """Return fine grain of unit deviation: white noise blurred by the optics over about two pixels."""
        # A row takes from the two rows below it, so that a band needs only its successor.
        white = np.concatenate([self._grain(number), self._grain(number + 1)[:2]]).astype(np.uint16)
        across = white[:, :-2] + (white[:, 1:-1] << 1) + white[:, 2:]
        total = across[:-2] + (across[1:-1] << 1) + across[2:]
        # Sixteenths of uniform bytes: mean 127.5 * 16, deviation 73.9 * 6.
        out = total.astype(np.float32)
        out -= np.float32(127.5 * 16)
        out *= np.float32(1.0 / (73.9 * 6.0))
        return out

    def _draw_coarse_grain(self, number: int) -> Float32:
        shape = (BAND // _COARSE_GRAIN, _cells(self.surface.width_px, _COARSE_GRAIN) + 6)
        return keyed(self._seed, 2, number).standard_normal(shape, dtype=np.float32)

    def _coarsened(self, number: int) -> Float32:
        """Return coarser grain of about unit deviation, some four to ten pixels wide."""
        white = np.concatenate([self._coarse(number), self._coarse(number + 1)[:6]])
        # Interpolated white noise would show its lattice; blurred over neighbours first, it does not.
        blurred = _blurred(_blurred(white).T).T
        cells = BAND // _COARSE_GRAIN
        box = (2.0, 2.0, 2.0 + self.surface.width_px / _COARSE_GRAIN, 2.0 + cells)
        return _enlarged(blurred, (BAND, self.surface.width_px), box) * np.float32(2.75)

    # -- slow variation ------------------------------------------------------------------------------------

    def _draw_cloud_row(self, scale: int, row: int) -> Float64:
        """Return one row of a coarse cloud, spread over the slow grid's columns."""
        basis = self._spread[scale]
        drawn = keyed(self._seed, 3, scale, row).standard_normal(basis.shape[1])
        return np.asarray(basis @ drawn, dtype=np.float64)

    def _slow(self, number: int) -> Float32:
        """Return level times illumination times clouds of one band."""
        cells = BAND // _SLOW
        # One scale further down, where no knot has a negative number.
        rows = (np.arange(-2, cells + 3) + number * cells) * _SLOW + 2.0 * _CLOUD_SCALES[-1][0]
        total = np.zeros((len(rows), len(self._across)))
        for scale, share in _CLOUD_SCALES:
            basis, knot = _spline(rows / scale)
            knots = range(knot, knot + basis.shape[1])
            total += share * (basis @ np.stack([self._cloud_rows(scale, row) for row in knots]))
        surface = self.surface
        level = surface.level * (1.06 if surface.membrane else 1.0)
        sheen = 1.25 if surface.membrane else 1.0
        slow = (level * self._across * (1.0 + 1.5 * sheen * surface.clouds * total)).astype(np.float32)
        box = (2.0, 2.0, 2.0 + surface.width_px / _SLOW, 2.0 + cells)
        return _enlarged(slow, (BAND, surface.width_px), box)

    def _draw_lines(self, knot: int) -> Float32:
        rng = keyed(self._seed, 4, knot)
        width = self.surface.width_px
        fine = rng.standard_normal(width + 8, dtype=np.float32)
        broad = np.repeat(rng.standard_normal(_cells(width, 8) + 1, dtype=np.float32), 8)
        # Few lines stand out: the third power of a normal value is mostly small.
        profile = 0.35 * fine**3 + 0.5 * broad[: width + 8] ** 3
        kernel = np.array([1, 2, 3, 3, 3, 3, 2, 1], dtype=np.float32) / np.float32(18)
        return np.asarray(np.convolve(profile, kernel, "valid")[:width], dtype=np.float32)

    def _lines(self, number: int) -> Float32:
        """Return lines along the web, which fade into others over some thousand rows."""
        place = (np.arange(BAND, dtype=np.float32) + np.float32((number * BAND) % _LINE_ROWS)) / np.float32(_LINE_ROWS)
        knot = number * BAND // _LINE_ROWS
        before, after = self._line_knots(knot), self._line_knots(knot + 1)
        strength = np.float32(self.surface.lines)
        return strength * before + (strength * (after - before)) * place[:, None]

    # -- bright spots --------------------------------------------------------------------------------------

    def _draw_spots(self, number: int) -> Float32:
        """Return the spots centred in one band: row, column, two widths, angle and brightness of each."""
        surface = self.surface
        rng = keyed(self._seed, 5, number + 1)
        expected = surface.spot_rate * BAND * surface.width_px / 1e6
        # Rough patches have many: a gamma-distributed rate for each stretch of the band.
        stretches = _cells(surface.width_px, 512)
        counts = rng.poisson(expected / stretches * rng.gamma(1.6, 1 / 1.6, stretches))
        total = int(counts.sum())
        column = (np.repeat(np.arange(stretches), counts) + rng.random(total)) * (surface.width_px / stretches)
        row = rng.random(total) * BAND + number * BAND
        narrow = rng.uniform(0.55, 1.15, total) * (1.0 + 0.7 * rng.random(total) ** 6)
        aspect = 1.0 + rng.exponential(0.6, total)
        dulled = 0.85 if surface.membrane else 1.0
        bright = dulled * surface.spot_strength * np.exp(0.75 * rng.standard_normal(total))
        wide = np.minimum(narrow * aspect, 3.3)
        angle = rng.uniform(0, np.pi, total)
        return np.stack([row, column, narrow, wide, angle, np.minimum(bright, 190.0)]).astype(np.float32)

    def _add_spots(self, band: Float32, number: int) -> None:
        """Add the spots of this band and of its neighbours where they reach into it."""
        if self.surface.spot_rate <= 0:
            return
        top = number * BAND
        spots = np.concatenate([self._spots(n) for n in range(max(number - 1, -1), number + 2)], axis=1)
        near = (spots[0] > top - _SPOT_REACH) & (spots[0] < top + BAND + _SPOT_REACH)
        row, column, narrow, wide, angle, bright = (values[:, None] for values in spots[:, near])
        # Narrow spots are stamped small, wide ones large; most are narrow.
        for reach, chosen in ((4, wide[:, 0] <= 1.35), (_SPOT_REACH, wide[:, 0] > 1.35)):
            y, x = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
            at_row = np.floor(row[chosen]).astype(np.int64) + y
            at_column = np.floor(column[chosen]).astype(np.int64) + x
            dy, dx = at_row - row[chosen], at_column - column[chosen]
            cos, sin = np.cos(angle[chosen]), np.sin(angle[chosen])
            along, across = (dx * cos + dy * sin) / wide[chosen], (dy * cos - dx * sin) / narrow[chosen]
            light = bright[chosen] * np.exp(-0.5 * (along * along + across * across))
            inside = (at_row >= top) & (at_row < top + BAND) & (at_column >= 0) & (at_column < band.shape[1])
            flat = ((at_row - top) * band.shape[1] + at_column)[inside]
            np.add.at(band.reshape(-1), flat, light[inside].astype(np.float32))


def _kept(draw: Callable[[int], Drawn]) -> Callable[[int], Drawn]:
    """Remember the last few bands: neighbours share them, and strips are asked for in order."""
    return lru_cache(maxsize=_KEPT_BANDS)(draw)


def _cells(pixels: int, pitch: int) -> int:
    return -(-pixels // pitch)


def _bytes(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return uniform random bytes, eight from each draw."""
    count = shape[0] * shape[1]
    raw = np.asarray(rng.bit_generator.random_raw(_cells(count, 8)), dtype="<u8")
    return raw.view(np.uint8)[:count].reshape(shape)


def _blurred(values: Float32) -> Float32:
    """Return rows blurred by 1 2 1, one cell shorter at either end."""
    return (values[:-2] + 2 * values[1:-1] + values[2:]) * np.float32(0.25)


def _enlarged(field: Float32, shape: tuple[int, int], box: tuple[float, float, float, float]) -> Float32:
    """Return the part of *field* inside *box* (left, top, right, bottom in cells) interpolated to *shape*."""
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    resized = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.array(resized, dtype=np.float32)


def _spline(places: npt.NDArray[Any]) -> tuple[Float64, int]:
    """Return the cubic B-spline weights of *places* (in cells) on whole-numbered knots, and the first knot's number."""
    left = np.floor(places).astype(np.int64) - 1
    t = places - np.floor(places)
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    first = int(left.min())
    basis = np.zeros((len(places), int(left.max()) - first + 4))
    np.put_along_axis(basis, (left - first)[:, None] + np.arange(4), weights, axis=1)
    return basis, first

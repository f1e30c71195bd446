"""What describes the needles of a micrograph without tracing one: how strongly oriented bands of widths answer.

A needle answers to the band of its width and to its own direction. How the energy is shared among the bands, how much
the strongest direction stands out, how unevenly the answers are spread over the field, and how all this differs
between its finer and its coarser parts describes the structure. All descriptors are ratios of squares: dark and bright
needles, contrast and exposure make no difference.

The spectrum of the answers' envelopes along and across their own direction (second-order scattering energies) was
tried beside these and left out: it made the estimates worse, not better.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter, zoom

from sorby.measure.needle_surface import Surface, block_mean
from sorby.measure.ridge_bank import BANDS_UM, DIRECTIONS, Band, answers, interior, make_band, padded_shape

Float64 = npt.NDArray[np.float64]

#: Limits of the wavelengths in which the spectrum of the surface itself is summed.
PLAIN_UM = (0.42, 0.5, 0.62, 0.8, 1.1, 1.5, 2.1, 3.0, 4.2, 6.0, 9.0)
_GRID_UM, _WINDOW_UM = 2.0, 5.0
_TILE_PX = 640
_LEAST_ENERGY = 1e-9


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Descriptors of one micrograph.

    Attributes
    ----------
    names : tuple of str
    values : ndarray of float64, shape (n,)
        Natural logarithms of ratios, or shares.
    orientedness : float
        How much more the strongest direction answers than the mean one, averaged over places and the bands from
        1.25 to 2.7 um; a structure without direction has a fixed, low value.
    """

    names: tuple[str, ...]
    values: Float64
    orientedness: float


@dataclass(eq=False)
class _Sums:
    """What a band's answers add up to over tiles, each weighted with its valid area."""

    area: float = 0.0
    energy: float = 0.0
    modulus: float = 0.0
    strongest: float = 0.0
    fourth: float = 0.0


def _parts(length: int) -> list[slice]:
    count = max(1, round(length / _TILE_PX))
    edges = np.linspace(0, length, count + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _on_grid(values: npt.NDArray[Any], band: Band, extent_um: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return *values* of a band's grid on the common coarse grid, smoothed over a window."""
    block = max(1, round(_GRID_UM / band.pixel_um[0]))
    coarse = block_mean(values, block)
    shape = [max(1, int(e / _GRID_UM)) for e in extent_um]
    factors = (shape[0] / coarse.shape[0], shape[1] / coarse.shape[1])
    grid = zoom(coarse, factors, order=1, grid_mode=True, mode="nearest")
    return np.asarray(gaussian_filter(grid, _WINDOW_UM / _GRID_UM, mode="nearest"), dtype=np.float32)


class _Gathering:
    """Sums over the tiles of one micrograph."""

    def __init__(self) -> None:
        self.sums = [_Sums() for _ in BANDS_UM]
        self.plain = np.zeros(len(PLAIN_UM) - 1)
        self.local: list[Float64] = []
        self._bands: dict[tuple[int, int], list[Band]] = {}

    def add(self, relief: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], pixel_size_um: float) -> None:
        """Add one tile."""
        shape = padded_shape((relief.shape[0], relief.shape[1]))
        spectrum = fft.fft2(relief, s=shape)
        self._add_plain(spectrum, pixel_size_um)
        extent_um = (shape[0] * pixel_size_um, shape[1] * pixel_size_um)
        energies = []
        weight: npt.NDArray[np.float32] = np.zeros(1, np.float32)
        if shape not in self._bands:
            self._bands[shape] = [make_band(wavelength, shape, pixel_size_um) for wavelength in BANDS_UM]
        for band, sums in zip(self._bands[shape], self.sums, strict=True):
            inside = interior(valid, band, shape)
            weight = _on_grid(inside, band, extent_um)
            energies.append(_on_grid(self._add_band(spectrum, band, inside, sums), band, extent_um))
        enough = weight > 0.5
        if enough.any():
            self.local.append(np.stack([energy[enough] for energy in energies], axis=1).astype(np.float64))

    def _add_plain(self, spectrum: npt.NDArray[Any], pixel_size_um: float) -> None:
        y = fft.fftfreq(spectrum.shape[0], pixel_size_um)[:, None]
        x = fft.fftfreq(spectrum.shape[1], pixel_size_um)[None, :]
        ring = np.digitize(1 / np.maximum(np.hypot(y, x), 1e-6), PLAIN_UM) - 1
        kept = (ring >= 0) & (ring < len(self.plain))
        power = np.abs(spectrum[kept]) ** 2
        self.plain += np.bincount(ring[kept], power, minlength=len(self.plain))

    @staticmethod
    def _add_band(
        spectrum: npt.NDArray[Any],
        band: Band,
        inside: npt.NDArray[np.bool_],
        sums: _Sums,
    ) -> npt.NDArray[np.float32]:
        """Add one band of one tile; return its energy at each place, over all directions."""
        mask = inside.astype(np.float32)
        area = float(mask.sum())
        total, strongest = np.zeros(band.shape, np.float32), np.zeros(band.shape, np.float32)
        if area == 0:
            return total
        for answer in answers(band, spectrum):
            envelope = np.abs(answer)
            squared = envelope**2
            total += squared
            np.maximum(strongest, squared, out=strongest)
            seen = squared * mask
            sums.modulus += float((envelope * mask).sum())
            sums.energy += float(seen.sum())
            sums.fourth += float((seen * squared).sum())
        sums.area += area
        sums.strongest += float((strongest * mask).sum())
        return total * mask


def _local_descriptors(local: Float64) -> dict[str, float]:
    """Return how the scale varies over the field: what a structure of coarse and fine regions shows."""
    logarithm = np.log(np.asarray(BANDS_UM))
    centre = local @ logarithm / np.maximum(local.sum(axis=1), _LEAST_ENERGY)
    quantiles = np.quantile(centre, (0.05, 0.25, 0.5, 0.75, 0.95))
    named = {"scale": float(centre.mean()), "scale_spread": float(np.log(centre.std() + 0.02))}
    for name, value in zip(("q05", "q25", "q75", "q95"), quantiles[[0, 1, 3, 4]], strict=True):
        named[f"scale_{name}"] = float(value - quantiles[2])
    # The finest and the coarsest third of the field, each with its own spectrum.
    order = np.argsort(centre)
    third = max(1, len(order) // 3)
    for name, members in (("fine", order[:third]), ("coarse", order[-third:])):
        energy = local[members].mean(axis=0)
        for band, value in enumerate(np.log(energy / max(energy.sum(), _LEAST_ENERGY) + _LEAST_ENERGY)):
            named[f"{name}_{band}"] = float(value)
    return named


def describe(surface: Surface) -> Descriptors | None:
    """Return the descriptors of a surface, or None where it shows nothing to describe.

    Parameters
    ----------
    surface : Surface
        From :func:`sorby.measure.needle_surface.make_surface`.
    """
    gathered = _Gathering()
    if surface.flat:
        return None
    for rows in _parts(surface.relief.shape[0]):
        for columns in _parts(surface.relief.shape[1]):
            if surface.valid[rows, columns].any():
                gathered.add(surface.relief[rows, columns], surface.valid[rows, columns], surface.pixel_size_um)
    if not gathered.local or min(s.energy for s in gathered.sums) <= 0:
        return None
    named: dict[str, float] = {"particles": float(np.log(surface.particle_share + 0.003))}
    energy = np.array([s.energy / s.area for s in gathered.sums])
    for band, sums in enumerate(gathered.sums):
        named[f"energy_{band}"] = float(np.log(energy[band] / energy.sum()))
        named[f"sparse_{band}"] = float(np.log(sums.modulus**2 / (sums.area * sums.energy * DIRECTIONS)))
        named[f"oriented_{band}"] = float(np.log(sums.strongest / sums.energy))
        named[f"peaked_{band}"] = float(np.log(sums.fourth * sums.area / sums.energy**2))
    plain = gathered.plain / max(float(gathered.plain.sum()), _LEAST_ENERGY)
    named |= {f"plain_{ring}": float(np.log(value + 1e-9)) for ring, value in enumerate(plain)}
    named |= _local_descriptors(np.concatenate(gathered.local))
    oriented = float(np.mean([named[f"oriented_{band}"] for band in (1, 2, 3)]))
    return Descriptors(tuple(named), np.array(list(named.values())), float(np.exp(oriented)) * DIRECTIONS)

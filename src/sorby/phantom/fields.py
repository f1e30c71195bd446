"""Random fields and tessellations that every phantom material is woven from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def resize_field(field: Float32, shape: tuple[int, int]) -> Float32:
    """Return *field* interpolated (bicubic) to *shape* ``(height, width)``."""
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> Float32:
    """Return a smooth Gaussian field of about zero mean and unit deviation.

    Parameters
    ----------
    shape : tuple of int
        Height and width in pixels.
    scale_px : float
        Distance over which the field changes its mind, in pixels; its values are white noise on a grid of
        that spacing, interpolated.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    height, width = shape
    scale = max(float(scale_px), 1.0)
    # Two cells of margin keep the interpolation away from the border of the coarse grid.
    rows, columns = int(np.ceil(height / scale)) + 4, int(np.ceil(width / scale)) + 4
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    if scale == 1.0:
        return coarse[:height, :width]
    image = Image.fromarray(coarse)
    box = (2.0, 2.0, 2.0 + width / scale, 2.0 + height / scale)
    field = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box), dtype=np.float32)
    return field * np.float32(1.35)  # bicubic interpolation of white noise loses a quarter of the deviation


def cloudy_noise(
    shape: tuple[int, int], scales_px: Sequence[float], rng: np.random.Generator, weights: Sequence[float] = ()
) -> Float32:
    """Return a sum of :func:`smooth_noise` at several scales, scaled to unit deviation.

    Parameters
    ----------
    shape : tuple of int
        Height and width in pixels.
    scales_px : sequence of float
        Scales of the summands in pixels.
    rng : numpy.random.Generator
        Source of randomness.
    weights : sequence of float, optional
        Amplitude of each summand; equal where empty.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    amplitudes = tuple(weights) or (1.0,) * len(scales_px)
    total = np.zeros(shape, dtype=np.float32)
    for scale, amplitude in zip(scales_px, amplitudes, strict=True):
        total += np.float32(amplitude) * smooth_noise(shape, scale, rng)
    return total / np.float32(np.sqrt(np.sum(np.square(amplitudes))))


def sample_field(field: Float32, x_px: Float64, y_px: Float64) -> Float64:
    """Return *field* at points (bilinear); points outside take the nearest border value."""
    values = map_coordinates(field, np.vstack([y_px, x_px]), order=1, mode="nearest")
    return np.asarray(values, dtype=np.float64)


class Cells:
    """A Voronoi tessellation of the plane around a frame: prior austenite grains, packets, colonies.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the frame in pixels.
    diameter_px : float
        Equivalent diameter of the mean cell in pixels.
    rng : numpy.random.Generator
        Source of randomness.
    margin_px : float
        How far beyond the frame cells are wanted.

    Attributes
    ----------
    sites : ndarray of float64, shape (n, 2)
        Cell centres, x and y in pixels.
    """

    def __init__(
        self, shape: tuple[int, int], diameter_px: float, rng: np.random.Generator, margin_px: float = 0.0
    ) -> None:
        margin = margin_px + 2.0 * diameter_px
        height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
        pitch = diameter_px * float(np.sqrt(np.pi / 4.0))
        columns, rows = int(np.ceil(width / pitch)), int(np.ceil(height / pitch))
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
        # A jittered grid has fewer slivers than a Poisson process: grains after growth look like that.
        jittered = grid + rng.uniform(0.0, 1.0, grid.shape)
        self.shape = shape
        self.sites: Float64 = jittered * pitch - margin
        self._tree = cKDTree(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def at(self, x_px: Float64, y_px: Float64) -> npt.NDArray[np.int64]:
        """Return the number of the cell in which each point lies."""
        return np.asarray(self._tree.query(np.column_stack([x_px, y_px]))[1], dtype=np.int64)

    def map(
        self, rng: np.random.Generator, *, wobble_px: float = 0.0, coarsen: int = 2
    ) -> tuple[npt.NDArray[np.int64], Float32]:
        """Return the cell of each pixel and the distance to the nearest cell boundary.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the boundaries' waviness.
        wobble_px : float
            Amplitude of that waviness in pixels.
        coarsen : int
            Distances are computed on a grid this much coarser and interpolated; cells are repeated.

        Returns
        -------
        cells : ndarray of int64, shape (height, width)
        distance_px : ndarray of float32, shape (height, width)
            Distance to the boundary in pixels, good near it.
        """
        height, width = self.shape
        y, x = np.mgrid[0:height:coarsen, 0:width:coarsen].astype(np.float64) + (coarsen - 1) / 2
        if wobble_px > 0:
            scale = max(10.0 * wobble_px / coarsen, 3.0)
            x = x + wobble_px * smooth_noise(x.shape, scale, rng)
            y = y + wobble_px * smooth_noise(x.shape, scale, rng)
        distances, nearest = self._tree.query(np.column_stack([x.ravel(), y.ravel()]), k=2)
        first, second = self.sites[nearest[:, 0]], self.sites[nearest[:, 1]]
        apart = np.linalg.norm(first - second, axis=1)
        to_boundary = (distances[:, 1] ** 2 - distances[:, 0] ** 2) / (2.0 * apart)
        distance = resize_field(to_boundary.reshape(x.shape).astype(np.float32), (height, width))
        cells = nearest[:, 0].reshape(x.shape).repeat(coarsen, 0).repeat(coarsen, 1)[:height, :width]
        return cells.astype(np.int64), distance

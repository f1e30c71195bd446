"""The one tiler: cutting an image into equal tiles and putting tiles back together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sorby.micrograph.image import Pixels
from sorby.micrograph.sizing import mirrored_positions

Edge = Literal["shift", "mirror", "drop"]
Aggregation = Literal["mean", "max", "majority"]
Floats = npt.NDArray[np.float64]

# Breaks ties of the vote by mean probability; far below one vote in any image that fits in memory.
_TIE_WEIGHT = 1e-9


@dataclass(frozen=True)
class TilePlan:
    """Where the tiles of one image lie.

    Attributes
    ----------
    boxes : ndarray, (N, 4), int64
        ``top, left, bottom, right`` of each tile, row by row; half open. A box reaches beyond the image
        only where the image is mirrored.
    grid : (int, int)
        Rows and columns of tiles; N = rows * columns.
    tile : (int, int)
        Height and width of every tile, pixels.
    image : (int, int)
        Height and width of the image, pixels.
    """

    boxes: npt.NDArray[np.int64]
    grid: tuple[int, int]
    tile: tuple[int, int]
    image: tuple[int, int]

    def __len__(self) -> int:
        return len(self.boxes)

    def cut(self, image: Pixels, index: int) -> Pixels:
        """Return tile *index*, ``(h, w)`` or ``(h, w, C)``; a view where it lies inside the image."""
        top, left, bottom, right = (int(v) for v in self.boxes[index])
        if top >= 0 and left >= 0 and bottom <= self.image[0] and right <= self.image[1]:
            return image[top:bottom, left:right]
        rows = mirrored_positions(self.image[0], bottom - top, top)
        columns = mirrored_positions(self.image[1], right - left, left)
        return image[rows][:, columns]

    def tiles(self, image: Pixels) -> Pixels:
        """Cut *image* ``(H, W[, C])`` into an array of tiles ``(N, h, w[, C])``."""
        if image.shape[:2] != self.image:
            raise ValueError(f"the plan is for {self.image}, the image is {image.shape[:2]}")
        out = np.empty((len(self), *self.tile, *image.shape[2:]), image.dtype)
        for index in range(len(self)):
            out[index] = self.cut(image, index)
        return out

    def untile(self, tiles: Pixels, *, blend: Literal["mean", "max"] = "mean") -> Pixels:
        """Put tiles or per-tile maps back together.

        Parameters
        ----------
        tiles : ndarray, (N, h, w) or (N, h, w, C)
            One map the size of a tile for each box.
        blend : {"mean", "max"}
            What overlapping tiles agree on.

        Returns
        -------
        ndarray, (H, W) or (H, W, C), dtype of the input
            Exactly the image where the tiles were cut from one. Pixels that no tile covers
            (``edge="drop"``) are 0 for integers and NaN for floats.
        """
        if tiles.shape[:3] != (len(self), *self.tile):
            raise ValueError(f"expected tiles {(len(self), *self.tile)}, got {tiles.shape[:3]}")
        return self._blend(iter(tiles), tiles.shape[3:], tiles.dtype, blend)

    def untile_values(self, values: npt.ArrayLike, *, blend: Literal["mean", "max"] = "mean") -> Pixels:
        """Spread one value, or one vector, per tile over the pixels of that tile.

        Parameters
        ----------
        values : array_like, (N,) or (N, K)
            Scores or class probabilities of the tiles.
        blend : {"mean", "max"}
            What a pixel in several tiles gets.

        Returns
        -------
        ndarray, (H, W) or (H, W, K), float64
            NaN where no tile lies.
        """
        table = np.asarray(values, np.float64)
        if table.shape[:1] != (len(self),):
            raise ValueError(f"expected {len(self)} values, got {table.shape}")
        maps = (np.broadcast_to(value, (*self.tile, *table.shape[1:])) for value in table)
        return self._blend(maps, table.shape[1:], table.dtype, blend)

    def _blend(self, maps: Iterator[Pixels], channels: tuple[int, ...], dtype: np.dtype[Any], blend: str) -> Pixels:
        if blend not in ("mean", "max"):
            raise ValueError(f"blend must be mean or max, not {blend!r}")
        total = np.zeros((*self.image, *channels), np.float64)
        count = np.zeros(self.image, np.int64)
        for (top, left, bottom, right), tile in zip(self.boxes, maps, strict=True):
            rows = slice(max(top, 0), min(bottom, self.image[0]))
            columns = slice(max(left, 0), min(right, self.image[1]))
            inner = tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            seen = count[rows, columns]
            weight = seen.reshape(*seen.shape, *(1,) * len(channels))
            here = total[rows, columns]
            if blend == "max":
                here[...] = np.where(weight == 0, inner, np.maximum(here, inner))
            else:
                # A running mean: tiles that agree change nothing, so a cut image returns to the last bit.
                here += (inner - here) / (weight + 1)
            seen += 1
        if dtype.kind == "f":
            total[count == 0] = np.nan
        elif dtype.kind in "ui":
            total = np.rint(total)
        return total.astype(dtype)


@dataclass(frozen=True)
class Tiler:
    """Cut images into tiles of equal size: a fixed grid, or a fixed number of pixels.

    Make one with :meth:`fixed_grid` or :meth:`fixed_pixels`.

    Attributes
    ----------
    grid : (int, int) or None
        Rows and columns of tiles, whatever the size of the image.
    tile : (int, int) or None
        Height and width of a tile, pixels.
    overlap : (int, int)
        Pixels that neighbours share, vertically and horizontally (at least; a tile that does not fit
        shares more, see *edge*).
    edge : {"shift", "mirror", "drop"}
        What happens to the last tile of fixed pixels where the image is no multiple: moved inwards
        (default), filled by mirroring, or left out. An image smaller than a tile is mirrored, or
        with ``drop`` gives no tile.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    >>> plan = Tiler.fixed_pixels(3, 4, overlap=1).plan(5, 7)
    >>> plan.boxes.tolist()
    [[0, 0, 3, 4], [0, 3, 3, 7], [2, 0, 5, 4], [2, 3, 5, 7]]
    >>> bool((plan.untile(plan.tiles(image)) == image).all())
    True
    """

    grid: tuple[int, int] | None = None
    tile: tuple[int, int] | None = None
    overlap: tuple[int, int] = (0, 0)
    edge: Edge = "shift"

    def __post_init__(self) -> None:
        if (self.grid is None) == (self.tile is None):
            raise ValueError("state either a grid or a tile size")
        if min(self.grid or self.tile or (0,)) < 1:
            raise ValueError("grid and tile sizes must be at least 1")
        if min(self.overlap) < 0 or (self.tile and any(o >= t for o, t in zip(self.overlap, self.tile, strict=True))):
            raise ValueError("overlap must be at least 0 and smaller than the tile")
        if self.edge not in get_args(Edge):
            raise ValueError(f"edge must be one of {', '.join(get_args(Edge))}, not {self.edge!r}")

    @classmethod
    def fixed_grid(cls, rows: int, columns: int, *, overlap: int | tuple[int, int] = 0) -> Tiler:
        """Tile every image into *rows* x *columns* equal tiles; rounding is taken up by overlap."""
        return cls(grid=(rows, columns), overlap=_pair(overlap))

    @classmethod
    def fixed_pixels(
        cls, height: int, width: int, *, overlap: int | tuple[int, int] = 0, edge: Edge = "shift"
    ) -> Tiler:
        """Tile into tiles of *height* x *width* pixels, as many as the image needs."""
        return cls(tile=(height, width), overlap=_pair(overlap), edge=edge)

    def plan(self, height: int, width: int) -> TilePlan:
        """Lay the tiles over an image of *height* x *width* pixels.

        Raises
        ------
        ValueError
            A fixed grid has more rows or columns than the image has pixels.
        """
        tops, tile_height = self._axis(0, height)
        lefts, tile_width = self._axis(1, width)
        top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
        boxes = np.stack([top, left, top + tile_height, left + tile_width], axis=1)
        return TilePlan(boxes, (len(tops), len(lefts)), (tile_height, tile_width), (height, width))

    def tiles(self, image: Pixels) -> Pixels:
        """Cut *image* ``(H, W[, C])`` into tiles ``(N, h, w[, C])``."""
        return self.plan(*image.shape[:2]).tiles(image)

    def untile(self, tiles: Pixels, size: tuple[int, int], *, blend: Literal["mean", "max"] = "mean") -> Pixels:
        """Put tiles of an image of *size* (height, width) back together; see :meth:`TilePlan.untile`."""
        return self.plan(*size).untile(tiles, blend=blend)

    def _axis(self, axis: int, length: int) -> tuple[npt.NDArray[np.int64], int]:
        """Return the first pixel of each tile along one axis, and the tile's extent."""
        overlap = self.overlap[axis]
        if self.grid is not None:
            number = self.grid[axis]
            if number > length:
                raise ValueError(f"{number} tiles do not fit on {length} pixels")
            extent = min(length, -(-(length + (number - 1) * overlap) // number))
            starts = np.rint(np.linspace(0, length - extent, number)).astype(np.int64)
            return starts, extent
        if self.tile is None:  # ruled out in __post_init__
            raise ValueError("state either a grid or a tile size")
        extent = self.tile[axis]
        step = extent - overlap
        fitting = (length - extent) // step + 1 if length >= extent else 0
        covered = fitting > 0 and (fitting - 1) * step + extent == length
        if self.edge == "drop" or covered:
            return np.arange(fitting, dtype=np.int64) * step, extent
        starts = np.arange(fitting + 1, dtype=np.int64) * step
        if self.edge == "shift" and length >= extent:
            starts[-1] = length - extent
        return starts, extent


def aggregate(probabilities: npt.ArrayLike, images: npt.ArrayLike | None = None, rule: Aggregation = "mean") -> Floats:
    """Turn class probabilities of tiles into those of their images.

    Parameters
    ----------
    probabilities : array_like, (N, K)
        One row a tile.
    images : array_like, (N,), optional
        Index 0..M-1 of the image each tile belongs to, in any order; one image where left out.
    rule : {"mean", "max", "majority"}
        ``mean`` of the tiles; ``max``, each class's largest probability, scaled to sum 1 (one tile may
        decide: for defects); ``majority``, each class's share of the tiles' votes, ties broken
        by mean probability.

    Returns
    -------
    ndarray, (M, K) float64, or (K,) where *images* is left out
        Rows sum to 1 where those of *probabilities* do.

    Raises
    ------
    ValueError
        The shapes do not fit, or an image has no tile.
    """
    table = np.asarray(probabilities, np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"probabilities must be (tiles, classes), not {table.shape}")
    index = np.zeros(len(table), np.int64) if images is None else np.asarray(images)
    if index.shape != (len(table),) or index.dtype.kind not in "iu" or index.min() < 0:
        raise ValueError("images must hold one index from 0 for each tile")
    counts = np.bincount(index)
    if not counts.all():
        raise ValueError(f"image {int(np.argmin(counts))} has no tile")
    mean = _sum_by(table, index, len(counts)) / counts[:, None]
    if rule == "mean":
        result = mean
    elif rule == "max":
        result = np.zeros_like(mean)
        np.maximum.at(result, index, table)
        total = result.sum(axis=1, keepdims=True)
        result = np.divide(result, total, out=np.zeros_like(result), where=total > 0)
    elif rule == "majority":
        votes = np.eye(table.shape[1])[table.argmax(axis=1)]
        share = _sum_by(votes, index, len(counts)) / counts[:, None]
        result = (share + _TIE_WEIGHT * mean) / (1 + _TIE_WEIGHT)
    else:
        raise ValueError(f"rule must be one of {', '.join(get_args(Aggregation))}, not {rule!r}")
    return result[0] if images is None else result


def _sum_by(table: Floats, index: npt.NDArray[np.int64], n: int) -> Floats:
    total = np.zeros((n, table.shape[1]))
    np.add.at(total, index, table)
    return total


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value

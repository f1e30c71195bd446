"""Whole plates: from grades of tiles to a map, and from the map to area fractions with their intervals.

Array work only: who judges a tile, and who reads the plate, is not known here. Tiles may overlap, and the last ones of
a row are moved inwards; the plate is therefore cut into *cells* along all edges of tiles, and a cell takes the mean of
the tiles that cover it. No area counts twice.

Fractions are counted, and corrected for the classifier's known confusion: the fractions of greatest likelihood given
how often each grade is called as another one (Richardson's and Lucy's iteration; the counted ones corrected by the
matrix, but never below zero). The interval draws blocks of neighbouring cells, wrapped at the borders, and a confusion
matrix of as many specimens as were tested: neighbours resemble each other, and the confusion is known by a test only.
Blocks are twice as wide as grades stay alike, and fewer are drawn than cover the plate, since the spread of few blocks
is itself uncertain. Where patches are as wide as a quarter of the plate, one plate cannot say how surfaces like it
differ: in simulations the interval then holds the true fraction seven to eight times in ten, not 95 in a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from sorby.errors import InputError
from sorby.micrograph.tiling import TilePlan

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RESAMPLES = 2000
_ROUNDS = 300  # of the iteration; fractions then change in the fifth digit
_STILL_ALIKE = 0.2  # correlation of the grades of cells below which they count as strangers
_FEWEST_BLOCKS = 9


@dataclass(frozen=True, eq=False)
class PlateMap:
    """The plate by cells; arrays have shape (rows, columns) of cells.

    Attributes
    ----------
    top, left : ndarray of int, shapes (rows + 1,), (columns + 1,)
        Edges of the cells in pixels.
    probabilities : ndarray, shape (rows, columns, C)
        Mean of the judged tiles that cover a cell; NaN where there is none.
    area : ndarray
        Pixels of the plate in each cell: what lies beyond it is left out.
    judged : ndarray of bool
        Whether a judged tile covers the cell.
    """

    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    probabilities: Floats
    area: Floats
    judged: Mask

    @property
    def called(self) -> npt.NDArray[np.int64]:
        """Class of each cell, -1 where none was judged or no plate is."""
        best = np.where(self.judged, np.nan_to_num(self.probabilities, nan=-1.0).argmax(axis=2), -1)
        return np.asarray(np.where(self.area > 0, best, -1), np.int64)

    @property
    def judged_share(self) -> float:
        """Part of the plate's area that was judged."""
        return float(self.area[self.judged].sum() / self.area.sum())

    def counted(self) -> Floats:
        """Return the part of the judged area called each class, shape (C,)."""
        weight = self.votes()
        return np.asarray(weight.sum(axis=(0, 1)) / weight.sum())

    def votes(self) -> Floats:
        """Return the area of each cell in the column of its class, shape (rows, columns, C); 0 where not judged."""
        called = self.called
        chosen = np.eye(self.probabilities.shape[2])[np.maximum(called, 0)]
        return np.asarray(chosen * np.where(called >= 0, self.area, 0.0)[:, :, None])


def map_of_tiles(plan: TilePlan, probabilities: Floats, judged: Mask, plate: Mask) -> PlateMap:
    """Stitch tiles to a map.

    Parameters
    ----------
    plan : TilePlan
        Tiles inside the image.
    probabilities : ndarray, shape (N, C)
        Of the tiles; those of tiles that are not judged do not count.
    judged : ndarray of bool, shape (N,)
    plate : ndarray of bool, shape (h, w)
        What shows the plate, at the image's size or smaller.

    Raises
    ------
    InputError
        No pixel shows the plate.
    """
    if not plate.any():
        raise InputError("no part of the picture shows a plate", "give a mask, or --whole if all of it does")
    rows, columns = plan.grid
    tops, lefts = plan.boxes[:: columns or 1, 0], plan.boxes[:columns, 1]
    top = np.unique(np.concatenate([tops, tops + plan.tile[0], [0, plan.image[0]]]))
    left = np.unique(np.concatenate([lefts, lefts + plan.tile[1], [0, plan.image[1]]]))
    over_rows = _covers(tops, plan.tile[0], top)  # (tile rows, cell rows)
    over_columns = _covers(lefts, plan.tile[1], left)
    weight = judged.reshape(rows, columns).astype(np.float64)
    table = np.where(judged[:, None], probabilities, 0.0).reshape(rows, columns, -1)
    count = over_rows.T @ weight @ over_columns
    total = np.einsum("ry,rck,cx->yxk", over_rows, table, over_columns)
    with np.errstate(invalid="ignore"):
        mean = np.where(count[:, :, None] > 0, total / np.maximum(count, 1)[:, :, None], np.nan)
    area = _plate_area(plate, plan.image, top, left)
    return PlateMap(top, left, mean, area, (count > 0) & (area > 0))


def _covers(first: npt.NDArray[np.int64], extent: int, edges: npt.NDArray[np.int64]) -> Floats:
    """Return 1 where a tile covers a cell along one axis, shape (tiles, cells)."""
    low, high = edges[:-1], edges[1:]
    return np.asarray((first[:, None] <= low) & (first[:, None] + extent >= high), np.float64)


def _plate_area(plate: Mask, image: tuple[int, int], top: npt.NDArray[np.int64], left: npt.NDArray[np.int64]) -> Floats:
    """Return the pixels of the plate in each cell, from a mask that may be smaller than the image."""
    table = np.zeros((plate.shape[0] + 1, plate.shape[1] + 1))
    np.cumsum(np.cumsum(plate, axis=0), axis=1, out=table[1:, 1:])
    rows, columns = top * (plate.shape[0] / image[0]), left * (plate.shape[1] / image[1])
    at = _between(table, rows, columns)
    scale = image[0] * image[1] / plate.size
    area = (at[1:, 1:] - at[:-1, 1:] - at[1:, :-1] + at[:-1, :-1]) * scale
    return np.asarray(np.where(area > 1e-6, area, 0.0))


def _between(table: Floats, rows: Floats, columns: Floats) -> Floats:
    """Read a summed-area table at fractional places, linearly between its entries."""
    r, c = np.minimum(rows.astype(int), table.shape[0] - 2), np.minimum(columns.astype(int), table.shape[1] - 2)
    u, v = (rows - r)[:, None], (columns - c)[None, :]
    low = table[r][:, c] * (1 - v) + table[r][:, c + 1] * v
    high = table[r + 1][:, c] * (1 - v) + table[r + 1][:, c + 1] * v
    return np.asarray(low * (1 - u) + high * u)


def unconfused(counted: Floats, confusion: Floats, rounds: int = _ROUNDS) -> Floats:
    """Return the fractions of greatest likelihood behind counted ones.

    Parameters
    ----------
    counted : ndarray, shape (..., C)
        Parts called each class.
    confusion : ndarray, shape (..., C, C)
        Counts or weights of a test, rows true, columns called; a class that was never tested is taken as always
        called itself.
    rounds : int

    Returns
    -------
    ndarray, shape (..., C)
        Sum 1, none below 0.

    References
    ----------
    W. H. Richardson, J. Opt. Soc. Am. 62 (1972); L. B. Lucy, Astron. J. 79 (1974); G. Forman, "Quantifying counts and
    costs via classification", Data Min. Knowl. Discov. 17 (2008) for adjusted counting.
    """
    size = confusion.shape[-1]
    support = confusion.sum(axis=-1, keepdims=True)
    given = np.where(support > 0, confusion / np.maximum(support, 1e-300), np.eye(size))
    found = np.full(np.broadcast_shapes(counted.shape, given.shape[:-1]), 1.0 / size)
    for _ in range(rounds):
        expected = np.einsum("...i,...ij->...j", found, given)
        ratio = np.where(expected > 0, counted / np.maximum(expected, 1e-300), 0.0)
        found = found * np.einsum("...ij,...j->...i", given, ratio)
        found = found / np.maximum(found.sum(axis=-1, keepdims=True), 1e-300)
    return np.asarray(found)


def block_side(plate: PlateMap) -> int:
    """Return the side in cells of blocks beyond which grades are alike no more, from the map's own correlation.

    Twice that lag, as sums over blocks just as wide would still go together. At least two cells where the map allows
    it, at most half of its shorter side, so that blocks can differ.
    """
    called = plate.called.astype(np.float64)
    known = called >= 0
    most = max(1, int(min(called.shape)) // 2)
    if known.sum() < _FEWEST_BLOCKS:
        return 1
    values = np.where(known, called - called[known].mean(), 0.0)
    spread = float((values[known] ** 2).mean())
    if spread <= 0:
        return min(2, most)
    for lag in range(1, most + 1):
        pairs = [
            (values[lag:] * values[:-lag], known[lag:] & known[:-lag]),
            (values[:, lag:] * values[:, :-lag], known[:, lag:] & known[:, :-lag]),
        ]
        n = sum(int(both.sum()) for _, both in pairs)
        if n == 0 or sum(float(product.sum()) for product, _ in pairs) / n < _STILL_ALIKE * spread:
            return min(2 * lag, most)
    return most


def resampled_fractions(
    plate: PlateMap, confusion: Floats | None, n_specimens: int, *, seed: int = 0, n_resamples: int = RESAMPLES
) -> Floats:
    """Draw fractions of the classes from blocks of neighbouring cells.

    Parameters
    ----------
    plate : PlateMap
    confusion : ndarray, shape (C, C), optional
        Of a test; each row is drawn anew from what that many specimens can say. Without it fractions stay as counted.
    n_specimens : int
        Specimens of that test.
    seed, n_resamples : int

    Returns
    -------
    ndarray, shape (B, C)
        NaN where a draw met no judged cell.
    """
    rng = np.random.default_rng(seed)
    votes, side = plate.votes(), block_side(plate)
    rows, columns, size = votes.shape
    # Circular blocks: every cell is drawn as often as any other, those at the border too.
    sums = sum(np.roll(votes, (-r, -c), axis=(0, 1)) for r in range(side) for c in range(side))
    flat = np.asarray(sums).reshape(rows * columns, size)
    blocks = _blocks_drawn(rows * columns / side**2)
    drawn = flat[rng.integers(0, len(flat), (n_resamples, blocks))].sum(axis=1)
    total = drawn.sum(axis=1, keepdims=True)
    counted = np.where(total > 0, drawn / np.maximum(total, 1e-300), np.nan)
    if confusion is None:
        return counted
    tables = _drawn_confusions(confusion, n_specimens, rng, n_resamples)
    return np.where(total > 0, unconfused(np.nan_to_num(counted), tables), np.nan)


def _blocks_drawn(n: float) -> int:
    """Return how many of *n* blocks a draw holds: so few that its spread is that of Student's t over n - 1 degrees."""
    degrees = max(n - 1, 1.0)
    wider = float(stats.t.ppf(0.975, degrees) / stats.norm.ppf(0.975)) ** 2 * n / degrees
    return max(1, round(n / wider))


def _drawn_confusions(confusion: Floats, n_specimens: int, rng: np.random.Generator, n_resamples: int) -> Floats:
    """Draw confusion matrices, rows from Dirichlet posteriors that count specimens and not their images."""
    size = len(confusion)
    each = confusion * min(1.0, n_specimens / max(confusion.sum(), 1.0))
    # Half an observation in all is spread over a row: less would make what was never seen impossible.
    rows = rng.standard_gamma(each + 0.5 / size, (n_resamples, size, size))
    untested = each.sum(axis=1) == 0
    rows[:, untested] = np.eye(size)[untested]
    return np.asarray(rows / rows.sum(axis=2, keepdims=True))

"""The largest upright rectangle inside a region: what a network or a counting grid can take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def inscribed_rectangle(mask: Mask) -> tuple[int, int, int, int]:
    """Return the largest axis-parallel rectangle that holds nothing but True.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    top, left, height, width : int
        ``mask[top : top + height, left : left + width]`` is all True; height and width are 0 where no pixel is.
        Of several equally large ones the first found from the top.

    Notes
    -----
    Exact, in O(H W): row by row the largest rectangle under a histogram, whose bars are the runs of True upwards,
    found with a stack. Rows that repeat the row above (most of them, in a region of few pieces) only lengthen the
    rectangles, so the histogram is searched once a run of equal rows; and columns are merged where all rows agree.

    References
    ----------
    Vandevoorde 1998, The maximal rectangle problem, Dr. Dobb's Journal 23(4).
    """
    mask = np.asarray(mask, dtype=bool)
    if not mask.any():
        return 0, 0, 0, 0
    rows = _starts(mask)
    columns = _starts(mask.T)
    small = mask[rows][:, columns]
    row_edges, column_edges = [*rows.tolist(), mask.shape[0]], [*columns.tolist(), mask.shape[1]]
    run = np.zeros(small.shape[1], dtype=np.int64)
    best, found = 0, (0, 0, 0, 0)
    for k in range(small.shape[0]):
        run = np.where(small[k], run + row_edges[k + 1] - row_edges[k], 0)
        area, left, right, height = _under_histogram(run.tolist(), column_edges)
        if area > best:
            best, found = area, (row_edges[k + 1] - height, left, height, right - left)
    return found


def _starts(mask: Mask) -> npt.NDArray[np.intp]:
    """Return the first row of each run of equal rows."""
    changed = (mask[1:] != mask[:-1]).any(axis=1)
    return np.concatenate([[0], np.flatnonzero(changed) + 1]).astype(np.intp)


def _under_histogram(heights: list[int], edges: list[int]) -> tuple[int, int, int, int]:
    """Return area, left, right and height of the largest rectangle under bars that stand between *edges*."""
    best = (0, 0, 0, 0)
    stack: list[tuple[int, int]] = []  # (left edge, height), heights rising
    for k, height in enumerate([*heights, 0]):
        left = edges[k]
        while stack and stack[-1][1] >= height:
            left, tall = stack.pop()
            area = tall * (edges[k] - left)
            if area > best[0]:
                best = (area, left, edges[k], tall)
        stack.append((left, height))
    return best

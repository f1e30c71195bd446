"""Grains of a sintered ceramic as a function of place: facets left by fracture, domes left by sintering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sorby.phantom.place_noise import Float32, Window, hashed, uniform

#: Grains of fewer pixels than the first are not drawn, of more than the second fully.
_UNSEEN_PX, _SEEN_PX = 2.5, 5.0
#: How far a grain's centre may lie from the middle of its lattice cell, in cells.
_JITTER = 0.9


@dataclass(frozen=True)
class Grains:
    """Grains of a window, all of shape (height, width).

    Attributes
    ----------
    facets_um : ndarray of float32
        Height of facets between grains: each grain stands at a level and a tilt of its own.
    domes_um : ndarray of float32
        Height of free, sintered grains: rounded, with grooves between them.
    share : float
        0 where grains are too small to be seen at this scale, 1 where they are plain.
    """

    facets_um: Float32
    domes_um: Float32
    share: float


def draw_grains(window: Window, grain_um: float, seed: int) -> Grains | None:
    """Return the grains of a window, or None where they are too small to be seen.

    Parameters
    ----------
    window : Window
    grain_um : float
        Mean grain diameter.
    seed : int
    """
    share = float(np.clip((grain_um / window.pixel_um - _UNSEEN_PX) / (_SEEN_PX - _UNSEEN_PX), 0.0, 1.0))
    if share == 0.0:
        return None
    u, v = window.x_um[0] / grain_um, window.y_um[:, 0] / grain_um
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    i = np.arange(column[0] - 1, column[-1] + 2)
    j = np.arange(row[0] - 1, row[-1] + 2)
    bits = hashed(i[None, :], j[:, None], seed)
    site_x = (i[None, :] + 0.5 + _JITTER * (uniform(bits, 0) - 0.5)).astype(np.float32)
    site_y = (j[:, None] + 0.5 + _JITTER * (uniform(bits, 1) - 0.5)).astype(np.float32)
    number = np.arange(bits.size, dtype=np.int32).reshape(bits.shape)
    u, v = u.astype(np.float32)[None, :], v.astype(np.float32)[:, None]
    nearest = np.full(window.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    owner = np.zeros(window.shape, dtype=np.int32)
    # The nine cells around a place hold its nearest centre; a lattice of pixels reads them row by row.
    for down in range(3):
        for across in range(3):
            rows, columns = row - row[0] + down, column - column[0] + across
            pick = np.ix_(rows, columns)
            squared = (u - site_x[pick]) ** 2 + (v - site_y[pick]) ** 2
            np.copyto(owner, number[pick], where=squared < nearest)
            np.minimum(second, np.maximum(nearest, squared), out=second)
            np.minimum(nearest, squared, out=nearest)
    flat_x, flat_y = site_x.ravel()[owner], site_y.ravel()[owner]
    tilt = hashed(i[None, :], j[:, None], seed + 1).ravel()
    slope_x, slope_y, level = ((uniform(tilt, part) - np.float32(0.5))[owner] for part in range(3))
    facets = np.float32(1.3) * (slope_x * (u - flat_x) + slope_y * (v - flat_y)) + np.float32(0.45) * level
    # Free grains are caps, with a narrow groove where two meet.
    border = np.minimum(np.sqrt(second) - np.sqrt(nearest), np.float32(0.25))
    domes = (
        np.float32(-0.75) * nearest
        + np.float32(0.9) * border * (np.float32(0.5) - border) * 4
        + np.float32(0.3) * level
    )
    scale = np.float32(grain_um)
    return Grains((facets * scale).astype(np.float32), (domes * scale).astype(np.float32), share)

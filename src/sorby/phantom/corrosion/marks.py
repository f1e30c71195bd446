"""What marks are made of, as functions of place: round spots, cells with boundaries, winding lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.phantom.place_noise import Float32, Int64, UInt64, hashed, uniform

#: How far a spot's or cell's centre may lie from the middle of its place in the lattice, in pitches.
_JITTER = 0.9
#: Offsets of the nine places of the lattice around a point.
_AROUND = tuple((down, across) for down in (-1, 0, 1) for across in (-1, 0, 1))


@dataclass(frozen=True)
class Spots:
    """Spots of a window.

    Attributes
    ----------
    inside : ndarray of float32, shape (height, width)
        1 at the middle of the deepest spot over a point, falling as the square of the distance to 0 at its rim;
        0 outside.
    radius_um : ndarray of float32, shape (height, width)
        Radius of that spot; 0 outside.
    u_um, v_um, radii_um : ndarray of float32, shape (n,)
        Every spot there is in the window and a little beyond: centre in the coordinates given, and radius.
    """

    inside: Float32
    radius_um: Float32
    u_um: Float32
    v_um: Float32
    radii_um: Float32


def spots(
    u_um: Float32,
    v_um: Float32,
    pitch_um: float,
    seed: int,
    radius_um: Callable[[Float32, Float32, Float32], Float32],
) -> Spots:
    """Return spots of which each place of a lattice holds one at most.

    Parameters
    ----------
    u_um, v_um : ndarray of float32, shape (height, width)
        Coordinates of the pixels; they may be turned, stretched or warped.
    pitch_um : float
        Of the lattice.
    seed : int
    radius_um : callable
        Given each spot's rank (uniform in 0..1) and centre u, v, its radius; 0 or less for none. Above *pitch_um*
        it is cut.
    """
    lattice = _Lattice.over(u_um, v_um, pitch_um, seed)
    rank = uniform(lattice.bits, 2)
    radii = np.minimum(radius_um(rank, lattice.u_um, lattice.v_um), np.float32(pitch_um)).astype(np.float32)
    present = radii > 0
    inverse = np.where(present, 1.0 / np.maximum(radii, np.float32(1e-3)) ** 2, np.float32(np.inf))
    flat = [np.ascontiguousarray(a.ravel()) for a in (lattice.u_um, lattice.v_um, inverse.astype(np.float32), radii)]
    inside, radius = np.zeros(u_um.shape, dtype=np.float32), np.zeros(u_um.shape, dtype=np.float32)
    if present.any():
        for down, across in _AROUND:
            place = lattice.index + np.int32(down * lattice.columns + across)
            centre_u, centre_v, over, own = (values.take(place) for values in flat)
            depth = 1.0 - ((u_um - centre_u) ** 2 + (v_um - centre_v) ** 2) * over
            deeper = depth > inside
            np.copyto(inside, depth, where=deeper)
            np.copyto(radius, own, where=deeper)
    return Spots(inside, radius, lattice.u_um[present], lattice.v_um[present], radii[present])


def grown_radius_um(
    rank: Float32, extended: Float32, alive: Float32, pitch_um: float, power: float, least_um: float
) -> Float32:
    """Return the radii of spots that together cover a share 1 - exp(-extended) of the plane.

    A spot is born when *alive* passes its rank, and never shrinks as long as *alive* and *extended* / *alive* rise.

    Parameters
    ----------
    rank : ndarray of float32
        Uniform in 0..1.
    extended : ndarray of float32
        Extended area: sum of the spots' areas per area.
    alive : ndarray of float32
        Share of the places that hold a spot.
    pitch_um : float
        Of the places.
    power : float
        How unequal the spots are: their areas go as (1 - rank / alive)^power.
    least_um : float
        Smaller ones are left out (0 is returned).
    """
    alive = np.maximum(alive, np.float32(1e-6))
    left = np.clip(1.0 - rank / alive, 0.0, 1.0)
    area = (power + 1.0) * extended / alive * left**power * (pitch_um * pitch_um / np.pi)
    radius = np.sqrt(area)
    return np.asarray(np.where(radius > least_um, radius, 0.0), dtype=np.float32)


@dataclass(frozen=True)
class Cells:
    """Cells of a window, all of shape (height, width).

    Attributes
    ----------
    distance_um : ndarray of float32
        To the boundary of the cell.
    cell : ndarray of uint64
        64 random bits of the cell.
    boundary : ndarray of float32
        A random number, 0 to 1, of the boundary that is nearest: the same on both of its sides.
    u, v : ndarray of float32
        Place against the cell's centre in mean diameters.
    """

    distance_um: Float32
    cell: UInt64
    boundary: Float32
    u: Float32
    v: Float32


def cells(u_um: Float32, v_um: Float32, diameter_um: float, seed: int) -> Cells:
    """Return the Voronoi cells of a jittered lattice.

    Parameters
    ----------
    u_um, v_um : ndarray of float32, shape (height, width)
        Coordinates of the pixels; they may be warped.
    diameter_um : float
        Pitch of the lattice: root of the mean area of a cell.
    seed : int
    """
    lattice = _Lattice.over(u_um, v_um, diameter_um, seed)
    site_u, site_v = lattice.u_um.ravel(), lattice.v_um.ravel()
    nearest = np.full(u_um.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    first_cell, second_cell = np.zeros(u_um.shape, dtype=np.int32), np.zeros(u_um.shape, dtype=np.int32)
    for down, across in _AROUND:
        place = lattice.index + np.int32(down * lattice.columns + across)
        squared = (u_um - site_u.take(place)) ** 2 + (v_um - site_v.take(place)) ** 2
        closer = squared < nearest
        between = ~closer & (squared < second)
        np.copyto(second, nearest, where=closer)
        np.copyto(second_cell, first_cell, where=closer)
        np.copyto(second, squared, where=between)
        np.copyto(second_cell, place, where=between)
        np.copyto(nearest, squared, where=closer)
        np.copyto(first_cell, place, where=closer)
    own_u, own_v = site_u.take(first_cell), site_v.take(first_cell)
    apart = np.hypot(own_u - site_u.take(second_cell), own_v - site_v.take(second_cell))
    bits = lattice.bits.ravel()
    own, other = bits.take(first_cell), bits.take(second_cell)
    return Cells(
        distance_um=(second - nearest) / (2.0 * np.maximum(apart, np.float32(1e-3))),
        cell=own,
        # The exclusive or of the two cells' bits does not know which of them came first.
        boundary=uniform(own ^ other, 1),
        u=(u_um - own_u) / np.float32(diameter_um),
        v=(v_um - own_v) / np.float32(diameter_um),
    )


def winding(field: Float32, pixel_um: float, flattest: float) -> Float32:
    """Return the distance in µm to the nearest zero of a smooth field, good near it: lines that wind and never end.

    Parameters
    ----------
    field : ndarray of float32, shape (height, width)
        Smooth over many pixels.
    pixel_um : float
    flattest : float
        Slope in 1/µm below which it counts as this: near a saddle a line shall not widen into a lake.
    """
    down, across = np.gradient(field, np.float32(pixel_um))
    return np.asarray(np.abs(field) / np.maximum(np.hypot(down, across), np.float32(flattest)), dtype=np.float32)


@dataclass(frozen=True)
class _Lattice:
    """Jittered places of a square lattice that cover some points and one place more all around."""

    u_um: Float32
    v_um: Float32
    bits: UInt64
    columns: int
    index: npt.NDArray[np.int32]

    @classmethod
    def over(cls, u_um: Float32, v_um: Float32, pitch_um: float, seed: int) -> _Lattice:
        pitch = np.float32(pitch_um)
        column, row = np.floor(u_um / pitch).astype(np.int32), np.floor(v_um / pitch).astype(np.int32)
        i: Int64 = np.arange(int(column.min()) - 1, int(column.max()) + 2, dtype=np.int64)[None, :]
        j: Int64 = np.arange(int(row.min()) - 1, int(row.max()) + 2, dtype=np.int64)[:, None]
        bits = hashed(i, j, seed)
        u = (i + 0.5 + _JITTER * (uniform(bits, 0) - 0.5)).astype(np.float32) * pitch
        v = (j + 0.5 + _JITTER * (uniform(bits, 1) - 0.5)).astype(np.float32) * pitch
        index = (row - np.int32(j[0, 0])) * np.int32(i.size) + (column - np.int32(i[0, 0]))
        return cls(u, v, bits, i.size, index)

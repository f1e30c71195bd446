"""AZ31B: filiform tracks, then clouds of cracked product with nodules, and craters at last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from sorby.phantom.corrosion.marks import Spots, cells, grown_radius_um, spots, winding
from sorby.phantom.corrosion.relief import FORMS, Relief, grinding, step, warped, within
from sorby.phantom.corrosion.specimen import CorrosionSpecimen
from sorby.phantom.place_noise import Float32, Window, smooth

#: Wavelengths of the clouds' octaves over the largest, and their amplitudes.
_OCTAVES = ((1.0, 1.0), (0.45, 0.62), (0.2, 0.36), (0.09, 0.20), (0.04, 0.11))
#: Extended area over which tracks grow to all they take.
_TRACKS_BY = 0.10


def magnesium_relief(specimen: CorrosionSpecimen, window: Window, hours: float) -> Relief:
    """Return the surface of an AZ31B coupon after *hours* of immersion.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    window : Window
    hours : float
    """
    look, seed = specimen.appearance, specimen.seed * 64
    extended = specimen.course.extended(hours, window.x_um, window.y_um)
    height = grinding(look, window, seed) + _second_phase(window, seed + 8)
    tracks, begun = _tracks(specimen, window, extended)
    rest = extended + np.log1p(-look.tracks * begun)
    cloud = _cloud(specimen, window)
    spread = 0.62 + 0.3 * (1.0 - look.pitting)
    # The film lies where the cloud is densest; its edge recedes as its share rises.
    bound = ndtri(np.clip(np.exp(-rest * spread), 1e-7, 1 - 1e-7)).astype(np.float32)
    above = cloud - bound
    film = (above > 0) & (rest > 1e-4)
    covered = step(above, 0.12) * film
    ripe = (1.0 - np.exp(-1.6 * extended)).astype(np.float32)
    thickness = look.film_um * ripe * np.sqrt(np.clip(above, 0.0, 2.5)) * film
    nodules = _nodules(specimen, window, hours, 1.0 - spread)
    craters, pits = _craters(specimen, window, hours)
    grain = smooth(window, 4.5, seed + 20) + 0.7 * smooth(window, 2.0, seed + 21)
    lumps = smooth(window, 13.0, seed + 22) + 0.6 * smooth(window, 28.0, seed + 23)
    crack, curl = _mud_cracks(specimen, window, thickness)
    dome = np.sqrt(nodules.inside)
    height = height * (1.0 - 0.92 * covered) * (1.0 - 0.5 * ripe)
    height += covered * (thickness * 0.45 + 0.30 * grain + 0.9 * ripe * lumps)
    # The metal between dulls under a thin layer that is no film yet.
    height += 0.22 * ripe * (grain + lumps) * (1.0 - covered)
    height += covered * curl - crack * (1.0 + 0.7 * thickness)
    height += 0.7 * nodules.radius_um * dome + (dome > 0) * 0.35 * grain
    height -= 0.28 * craters.radius_um * np.sqrt(craters.inside)
    height -= 0.8 * step(tracks, 1.0) * (1.0 + 0.4 * grain)
    shade = covered * (0.05 + 0.02 * grain)
    shade += 0.08 * ripe * (0.25 + 0.75 * covered) * np.clip(cloud + 0.4 * lumps, -2.0, 2.5)
    shade += 0.08 * dome - 0.13 * step(tracks, 1.0) * (1.0 - covered)
    shade -= 0.36 * crack + 0.13 * step(craters.inside, 0.7)
    forms = np.zeros(window.shape, dtype=np.uint8)
    for name, here in (("track", tracks > 0), ("film", film), ("nodule", dome > 0), ("pit", craters.inside > 0)):
        forms[here] = FORMS[name]
    return Relief(
        height_um=np.asarray(height, dtype=np.float32),
        shade=np.asarray(shade, dtype=np.float32),
        insulating=np.asarray(np.maximum(covered * step(thickness, look.film_um), dome * 0.9), dtype=np.float32),
        forms=forms,
        product_um=np.asarray(thickness + nodules.radius_um * dome, dtype=np.float32),
        pits=pits,
    )


def _second_phase(window: Window, seed: int) -> Float32:
    """Return the height of Al-Mn particles that stand out of the softer matrix, in µm."""
    u, v = np.broadcast_arrays(window.x_um, window.y_um)

    def radius(rank: Float32, _u: Float32, _v: Float32) -> Float32:
        return np.asarray(np.where(rank < 0.3, 0.5 + 4.0 * rank, 0.0), dtype=np.float32)

    found = spots(u, v, 19.0, seed, radius)
    return np.asarray(0.8 * np.sqrt(found.inside), dtype=np.float32)


def _cloud(specimen: CorrosionSpecimen, window: Window) -> Float32:
    """Return the field whose densest parts the film takes first, of about unit deviation."""
    seed, largest = specimen.seed * 64 + 30, specimen.appearance.cloud_um
    total = np.zeros(window.shape, dtype=np.float32)
    for octave, (over, amplitude) in enumerate(_OCTAVES):
        total += amplitude * smooth(window, over * largest, seed + octave)
    deviation = float(np.sqrt(sum(amplitude**2 for _, amplitude in _OCTAVES)))
    return total / np.float32(deviation)


def _tracks(specimen: CorrosionSpecimen, window: Window, extended: Float32) -> tuple[Float32, Float32]:
    """Return how far within a filiform track pixels lie (µm, 0 outside), and how much of their course tracks have run.

    Tracks follow the zeros of a smooth field and run on from where a slower field is lowest.
    """
    seed = specimen.seed * 64 + 40
    begun = (1.0 - np.exp(-extended / _TRACKS_BY)).astype(np.float32)
    pitch = 34.0
    course = smooth(window, pitch, seed) + 0.25 * smooth(window, 11.0, seed + 1)
    # Of a field of this spectrum, so many µm of zeros lie in one µm^2.
    length = 0.85 / pitch
    half_width = specimen.appearance.tracks / (2 * length * 0.85)
    ahead = ndtr(smooth(window, 2.2 * pitch, seed + 2)).astype(np.float32)
    width = half_width * step(begun - ahead, 0.15)
    inside = np.clip(width - winding(course, window.pixel_um, 0.4 / pitch), 0.0, None)
    return inside.astype(np.float32), begun


def _nodules(specimen: CorrosionSpecimen, window: Window, hours: float, part: float) -> Spots:
    """Return round heaps of product; they crowd where the film is."""
    seed = specimen.seed * 64 + 46
    u, v = warped(window.x_um, window.y_um, window, ((0.9, 5.0),), seed)
    pitch = 13.0

    def radius(rank: Float32, x: Float32, y: Float32) -> Float32:
        extended = specimen.course.extended(hours, x, y) * (0.8 * part)
        alive = 0.8 * (1.0 - np.exp(-2.5 * np.sqrt(extended)))
        return grown_radius_um(rank, extended, alive, pitch, 3.0, 0.6)

    return spots(u, v, pitch, seed + 2, radius)


def _craters(specimen: CorrosionSpecimen, window: Window, hours: float) -> tuple[Spots, npt.NDArray[np.float64]]:
    """Return wide shallow pits of ragged outline, and those of the window; they come late."""
    seed = specimen.seed * 64 + 52
    pitch = 70.0
    u, v = warped(window.x_um, window.y_um, window, ((7.0, 24.0), (2.5, 7.0)), seed)

    def radius(rank: Float32, x: Float32, y: Float32) -> Float32:
        late = np.clip(specimen.course.extended(hours, x, y) - 0.08, 0.0, None)
        alive = 0.6 * (1.0 - np.exp(-1.5 * late))
        return grown_radius_um(rank, 0.075 * late, alive, pitch, 1.0, 1.0)

    found = spots(u, v, pitch, seed + 4, radius)
    return found, within(window, found.u_um, found.v_um, found.radii_um)


def _mud_cracks(specimen: CorrosionSpecimen, window: Window, thickness: Float32) -> tuple[Float32, Float32]:
    """Return 0 to 1 in the cracks of the drying film, and the height by which its plates curl up beside them."""
    seed, pitch = specimen.seed * 64 + 58, specimen.appearance.crack_um
    x, y = warped(window.x_um, window.y_um, window, ((0.09 * pitch, 0.7 * pitch),), seed)
    crack, curl = np.zeros(window.shape, dtype=np.float32), np.zeros(window.shape, dtype=np.float32)
    full = specimen.appearance.film_um
    # Wide cracks first; finer ones divide the plates of a film twice as thick.
    for number, (size, needed, widest) in enumerate(((1.0, 0.10, 1.5), (0.45, 0.34, 0.7))):
        net = cells(x, y, size * pitch, seed + 2 + number)
        open_to = widest * step(thickness / full - needed, 0.5)
        # A boundary in three stays whole.
        open_to *= net.boundary < 0.75
        crack = np.maximum(crack, step(open_to - net.distance_um, 0.35 + 0.5 * window.pixel_um))
        curl += 0.8 * open_to * np.exp(-net.distance_um / (0.10 * size * pitch))
    return crack, curl

"""Etched equiaxed microstructures whose every grain is known: what a grain-size measurement must find again.

The grains are the cells of a power diagram (a Voronoi diagram whose sites have weights), which spreads their
areas more like those of a grown structure than equal weights do. The truth is the label image; the etch then
loses part of it: each boundary takes the etchant differently well, pieces stay unetched, and annealing twins
draw lines that are no grain boundaries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from sorby.errors import InputError
from sorby.phantom.fields import Float32, Float64, cloudy_noise, smooth_noise
from sorby.phantom.frame import Mask, add_micron_bar, scratch_layer
from sorby.phantom.optics import Instrument, UInt8, expose, instrument_catalogue

#: ASTM E112-13, equation 1 in metric units: G = 3.321928 log10(grains per mm2) - 2.954.
_SLOPE, _OFFSET = 3.321928, 2.954
#: Grains a field should show where no pixel size is given; E112 asks for at least 50 in each of three fields.
_USUAL_GRAINS = 150
#: Sites are weighted by up to this much of the squared grid pitch; a few lose their cell to their neighbours.
_WEIGHT = 0.55
#: Cells that are seen for each site at that weight, measured (60 seeds, G 8, 150 grains each).
_KEPT = 0.977
#: Smaller sections than this, in pixels, are crumbs that the bending cut off.
_CRUMB_PX = 12


def grains_per_mm2(grain_size_g: float) -> float:
    """Return the number of grains per square millimetre of an ASTM E112 grain size number (planimetric)."""
    return float(10 ** ((grain_size_g + _OFFSET) / _SLOPE))


def grain_size_number(per_mm2: float) -> float:
    """Return the ASTM E112 grain size number (planimetric) of grains per square millimetre."""
    return float(_SLOPE * np.log10(per_mm2) - _OFFSET)


@dataclass(frozen=True, eq=False)
class GrainPhantom:
    """A drawn equiaxed micrograph and its grains.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width) or (height, width, 3)
        The micrograph.
    labels : ndarray of int32, shape (height, width)
        Grain of each pixel, 1 to the number of grains; every pixel has one, boundaries have no width.
    boundary : ndarray of bool, shape (height, width)
        Pixels that touch another grain (4-neighbours, one pixel on either side): all of them, the ones that the
        etch did not show included.
    etched : ndarray of bool, shape (height, width)
        The part of `boundary` that the etch shows.
    twins : ndarray of bool, shape (height, width)
        Twin boundaries; they are no grain boundaries.
    region : ndarray of bool, shape (height, width)
        False beneath the micron bar.
    pixel_size_um : float
        Pixel size in micrometres.
    wanted_g : float
        Grain size number that was asked for; the truth of this field is `grain_size_g`.
    seed : int
        It was drawn with.
    """

    pixels: UInt8
    labels: npt.NDArray[np.int32]
    boundary: Mask
    etched: Mask
    twins: Mask
    region: Mask
    pixel_size_um: float
    wanted_g: float
    seed: int

    @property
    def sections(self) -> int:
        """Number of grain sections seen, cut ones included."""
        return int(self.labels.max())

    @property
    def count(self) -> float:
        """Equivalent number of whole grains in the frame.

        Inner grains count 1, those cut by one side of the frame 1/2 and the four in its corners 1/4 each
        (Saltykov's rectangle; ASTM E112, 11.1).
        """
        sides = [self.labels[0], self.labels[-1], self.labels[:, 0], self.labels[:, -1]]
        corners = np.unique(self.labels[[0, 0, -1, -1], [0, -1, 0, -1]])
        cut = np.setdiff1d(np.unique(np.concatenate(sides)), corners)
        inner = self.sections - cut.size - corners.size
        return float(inner + cut.size / 2 + 1.0)

    @property
    def area_mm2(self) -> float:
        """Area of the frame in square millimetres."""
        return self.labels.size * self.pixel_size_um**2 * 1e-6

    @property
    def grain_size_g(self) -> float:
        """True ASTM E112 grain size number of this field, planimetric, counted in the label image."""
        return grain_size_number(self.count / self.area_mm2)

    @property
    def mean_intercept_um(self) -> float:
        """True mean lineal intercept in micrometres along all rows and columns of the label image."""
        rows, columns = np.diff(self.labels, axis=1) != 0, np.diff(self.labels, axis=0) != 0
        lines_um = (rows.size + columns.size) * self.pixel_size_um
        return float(lines_um / (np.count_nonzero(rows) + np.count_nonzero(columns)))

    @property
    def intercept_g(self) -> float:
        """True ASTM E112 grain size number of this field by the intercept procedure.

        It is about .29 above `grain_size_g`: E112 makes both numbers agree for an intercept of .89 times
        the square root of the mean grain area, and these sections have .82 (plane Voronoi cells .79, hexagons
        .84), so an intercept count is to be held against this number.
        """
        return float(-6.643856 * np.log10(self.mean_intercept_um / 1000) - 3.288)

    @property
    def areas_um2(self) -> Float64:
        """Areas in square micrometres of the grains that no side of the frame cuts."""
        cut = np.unique(np.concatenate([self.labels[0], self.labels[-1], self.labels[:, 0], self.labels[:, -1]]))
        sizes = np.bincount(self.labels.ravel(), minlength=self.sections + 1)
        whole = np.setdiff1d(np.arange(1, self.sections + 1), cut)
        return np.asarray(sizes[whole] * self.pixel_size_um**2, dtype=np.float64)

    def truth(self) -> dict[str, Any]:
        """Return what is known about the micrograph as plain values, for JSON."""
        return {
            "grain_size_g": self.grain_size_g,
            "intercept_g": self.intercept_g,
            "wanted_g": self.wanted_g,
            "grains": self.count,
            "sections": self.sections,
            "area_mm2": self.area_mm2,
            "mean_intercept_um": self.mean_intercept_um,
            "boundary_etched_share": float(self.etched.sum() / max(1, self.boundary.sum())),
            "pixel_size_um": self.pixel_size_um,
            "seed": self.seed,
            "phantom": True,
        }


@dataclass(frozen=True, eq=False)
class _Diagram:
    """A power diagram on the pixels: cell and runner-up of each, distance to the boundary between them."""

    cell: npt.NDArray[np.int64]
    facet: npt.NDArray[np.int64]
    distance_px: Float32
    facets: int
    cells: int
    sites: Float64


def _power_diagram(shape: tuple[int, int], per_px2: float, bend: float, rng: np.random.Generator) -> _Diagram:
    """Tessellate the frame and a margin of two grains with *per_px2* cells a pixel."""
    pitch = float(np.sqrt(_KEPT / per_px2))
    margin = 2.5 * pitch
    columns, rows = (int(np.ceil((side + 2 * margin) / pitch)) for side in (shape[1], shape[0]))
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2).astype(np.float64)
    # The offset of the grid is random: nothing may depend on where the frame's corner lies in it.
    sites = (grid + rng.uniform(0, 1, grid.shape) + rng.uniform(-0.5, 0.5, 2)) * pitch - margin
    weight = _WEIGHT * pitch**2 * rng.uniform(0, 1, len(sites))
    # A third coordinate turns power distances into Euclidean ones, so a k-d tree finds the cells.
    tree = cKDTree(np.column_stack([sites, np.sqrt(weight.max() - weight)]))
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + np.float32(0.5)
    # Boundaries bend gently: far less than the scale on which they do, so that no cell falls apart.
    bent = np.float32(bend * pitch)
    x = x + bent * smooth_noise(shape, 0.7 * pitch, rng)
    y = y + bent * smooth_noise(shape, 0.7 * pitch, rng)
    points = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size, dtype=np.float32)])
    distances, nearest = tree.query(points, k=2)
    apart = np.linalg.norm(sites[nearest[:, 0]] - sites[nearest[:, 1]], axis=1)
    to_boundary = (distances[:, 1] ** 2 - distances[:, 0] ** 2) / (2.0 * apart)
    pair = nearest.min(axis=1) * len(sites) + nearest.max(axis=1)
    _, facet = np.unique(pair, return_inverse=True)
    return _Diagram(
        cell=nearest[:, 0].reshape(shape),
        facet=facet.reshape(shape),
        distance_px=to_boundary.reshape(shape).astype(np.float32),
        facets=int(facet.max()) + 1,
        cells=len(sites),
        sites=sites,
    )


def _grains(cell: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return connected grains numbered from 1; crumbs of a bent boundary go to the grain beside them."""
    from skimage.measure import label as connected  # here: processes that draw steel need not load it

    parts = np.asarray(connected(cell + 1, connectivity=1))
    crumb = np.bincount(parts.ravel())[parts] < _CRUMB_PX
    beside = distance_transform_edt(crumb, return_distances=False, return_indices=True)
    return np.asarray(connected(parts[tuple(beside)], connectivity=1), dtype=np.int32)


def _touching(labels: npt.NDArray[np.int32]) -> Mask:
    """Return the pixels with a 4-neighbour of another label, shape (height, width)."""
    touch = np.zeros(labels.shape, dtype=bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    touch[1:] |= down
    touch[:-1] |= down
    touch[:, 1:] |= right
    touch[:, :-1] |= right
    return touch


def _twin_distance(diagram: _Diagram, share: float, pitch_px: float, rng: np.random.Generator) -> Float32:
    """Return the distance to the nearest twin boundary of a pixel's own grain; infinite where there is none."""
    height, width = diagram.cell.shape
    count = diagram.cells
    twinned = rng.random(count) < share
    angle, half = rng.uniform(0, np.pi, count), rng.uniform(0.05, 0.18, count) * pitch_px
    offset = rng.normal(0, 0.12, count) * pitch_px
    cosine, sine = np.cos(angle), np.sin(angle)
    middle = offset + diagram.sites[:, 0] * cosine + diagram.sites[:, 1] * sine
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cell = diagram.cell
    across = x * cosine.astype(np.float32)[cell] + y * sine.astype(np.float32)[cell] - middle.astype(np.float32)[cell]
    distance = np.abs(np.abs(across) - half.astype(np.float32)[cell])
    return np.where(twinned[cell], distance, np.float32(np.inf)).astype(np.float32)


def _etch_strength(
    diagram: _Diagram, pitch_px: float, missing: float, unevenness: float, rng: np.random.Generator
) -> Float32:
    """Return how strongly each boundary is etched, 0..1, shape (height, width); 0 where it is missing.

    Half of what is missing are whole boundaries of two grains, half are pieces anywhere.
    """
    facet = 1.0 - unevenness * rng.random(diagram.facets)
    facet[rng.random(diagram.facets) < missing / 2] = 0.0
    pieces = smooth_noise(diagram.cell.shape, 0.18 * pitch_px, rng)
    lost = pieces < np.quantile(pieces, missing / 2) if missing > 0 else np.zeros(pieces.shape, dtype=bool)
    return np.where(lost, np.float32(0), facet.astype(np.float32)[diagram.facet])


def render_grains(
    grain_size_g: float,
    seed: int,
    *,
    size_px: int | tuple[int, int] = 512,
    pixel_size_um: float | None = None,
    missing: float = 0.04,
    unevenness: float = 0.5,
    twins: float = 0.0,
    grain_contrast: float = 0.03,
    boundary_um: float | None = None,
    scratches: int = 1,
    noise: float = 1.0,
    instrument: Instrument | None = None,
    micron_bar: bool = False,
    colour: bool = False,
) -> GrainPhantom:
    """Draw an etched equiaxed micrograph of a given mean grain size.

    Parameters
    ----------
    grain_size_g : float
        ASTM E112 grain size number, planimetric, of the structure. One field of it scatters (by about .03 with
        150 grains); its own truth is `GrainPhantom.grain_size_g`.
    seed : int
        Same seed and options, same pixels.
    size_px : int or tuple of int
        Side, or height and width.
    pixel_size_um : float, optional
        Pixel size in micrometres; where None, the one with which about 150 grains fill the frame.
    missing : float
        Share of the boundary length that the etch does not show.
    unevenness : float
        Boundaries are etched between ``1 - unevenness`` and 1 of the full depth.
    twins : float
        Share of the grains crossed by an annealing twin.
    grain_contrast : float
        Standard deviation of the grains' reflectance; above .1 it looks tint-etched.
    boundary_um : float, optional
        Half width of the etched groove in micrometres; a fortieth of a grain (and .7 pixel at least) where None.
    scratches : int
        Number of polishing scratches.
    noise : float
        Factor on the camera's noise; 0 for none.
    instrument : Instrument, optional
        The microscope; drawn where None.
    micron_bar, colour : bool
        As for steel.

    Returns
    -------
    GrainPhantom

    Raises
    ------
    InputError
        A share lies outside 0..1, the frame is too small or the pixel size is not above 0; or the frame would
        hold fewer than 4 grains, or grains of fewer than 40 pixels.
    """
    shape = (size_px, size_px) if isinstance(size_px, int) else size_px
    if min(shape) < 32:
        raise InputError(f"size_px {shape} is too small", "use at least 32 x 32 pixels")
    if not all(0 <= share <= 1 for share in (missing, unevenness, twins)):
        raise InputError("missing, unevenness and twins are shares", "give values in 0..1")
    per_um2 = grains_per_mm2(grain_size_g) * 1e-6
    if pixel_size_um is None:
        pixel_size_um = round(float(np.sqrt(_USUAL_GRAINS / per_um2 / (shape[0] * shape[1]))), 5)
    if pixel_size_um <= 0:
        raise InputError("pixel_size_um must be above 0")
    per_px2 = per_um2 * pixel_size_um**2
    if per_px2 * shape[0] * shape[1] < 4 or 1 / per_px2 < 40:
        raise InputError(
            f"G {grain_size_g:g} at {pixel_size_um:g} µm per pixel gives {per_px2 * shape[0] * shape[1]:.0f} grains "
            f"of {1 / per_px2:.0f} pixels",
            "choose a pixel size with which at least 4 grains of at least 40 pixels fill the frame",
        )
    rng = np.random.default_rng([1863, 112, seed])
    catalogue = instrument_catalogue()
    microscope = instrument or catalogue[int(rng.integers(len(catalogue)))]
    pitch_px = float(np.sqrt(1 / per_px2))
    diagram = _power_diagram(shape, per_px2, 0.035, rng)
    labels = _grains(diagram.cell)
    strength = _etch_strength(diagram, pitch_px, missing, unevenness, rng)
    groove_px = max(0.7, pitch_px / 40 if boundary_um is None else boundary_um / pixel_size_um)
    surface, twin_distance = _surface(diagram, strength, pitch_px, groove_px, twins, grain_contrast, rng)
    surface += scratch_layer(shape, scratches, rng)
    pixels = _photograph(surface, microscope, pixel_size_um, noise, colour, rng)
    region = np.ones(shape, dtype=bool)
    if micron_bar:
        pixels, bar = add_micron_bar(pixels, pixel_size_um, microscope.bar_style)
        region &= ~bar
    boundary = _touching(labels)
    twin_line = (twin_distance < 0.75) & ~boundary
    return GrainPhantom(
        pixels, labels, boundary, boundary & (strength > 0), twin_line, region, pixel_size_um, grain_size_g, seed
    )


def _surface(
    diagram: _Diagram,
    strength: Float32,
    pitch_px: float,
    groove_px: float,
    twins: float,
    grain_contrast: float,
    rng: np.random.Generator,
) -> tuple[Float32, Float32]:
    """Return the reflectance of the etched section, and the distance to the twin boundaries."""
    shape = (diagram.cell.shape[0], diagram.cell.shape[1])
    tone = rng.normal(0.76, grain_contrast, diagram.cells).astype(np.float32)
    breadth = np.float32(groove_px) * np.clip(1 + np.float32(0.25) * smooth_noise(shape, pitch_px / 3, rng), 0.5, 1.6)
    groove = strength * np.exp(-((diagram.distance_px / breadth) ** 2))
    twin_distance = _twin_distance(diagram, twins, pitch_px, rng)
    line = np.float32(0.6) * np.exp(-((twin_distance / np.float32(0.7 * groove_px)) ** 2))
    surface = tone[diagram.cell] - np.float32(0.42) * np.maximum(groove, line)
    surface += np.float32(0.012) * cloudy_noise(shape, (4 * pitch_px, pitch_px, 2.0), rng, (1.5, 1.0, 0.8))
    pits = smooth_noise(shape, max(1.5, pitch_px / 25), rng) > 3.3
    surface -= np.float32(0.25) * pits
    return np.asarray(np.clip(surface, 0.03, 1.0), dtype=np.float32), twin_distance


def _photograph(
    surface: Float32,
    instrument: Instrument,
    pixel_size_um: float,
    noise: float,
    colour: bool,
    rng: np.random.Generator,
) -> UInt8:
    """Return the picture; the objective suits the pixel size, so the blur is the same in pixels."""
    scale = pixel_size_um / instrument.pixel_size_um_500x
    microscope = replace(
        instrument, shot_noise=noise * instrument.shot_noise, resolution_um=instrument.resolution_um * scale
    )
    return expose(
        surface,
        microscope,
        pixel_size_um=pixel_size_um,
        magnification=500,
        defocus_px=0.0,
        colour=colour,
        rng=rng,
    )

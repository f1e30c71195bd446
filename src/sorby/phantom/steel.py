"""Steel micrographs drawn needle by needle, so that their grade is known and not judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sorby.corpus.grades import Criterion
from sorby.phantom.fields import Cells, Float32, Float64, cloudy_noise, sample_field, smooth_noise
from sorby.phantom.frame import Mask, add_border, add_micron_bar, scratch_layer
from sorby.phantom.needles import (
    Lognormal,
    NeedleTable,
    local_coordinates,
    mean_area_um2,
    ownership,
    typical_width_um,
)
from sorby.phantom.optics import UInt8, blur, expose
from sorby.phantom.specimens import ASPECT, SteelSpec

MATRIX, NEEDLE, AUSTENITE, CARBIDE = 0, 1, 2, 3
PHASES = {"matrix": MATRIX, "needle": NEEDLE, "retained_austenite": AUSTENITE, "carbide": CARBIDE}

#: Quantiles of the graded needles' lengths that the truth states, in percent.
LENGTH_QUANTILES = (5, 25, 50, 75, 95)
#: How often needles cover each point of the plane on average; the rest, exp(-cover), stays matrix.
_COVER = {"B": 1.15, "M": 2.2}
_BLUNTNESS = {"B": 0.72, "G": 0.60, "M": 0.92}
#: Raggedness of needle edges in micrometres: sheaves are feathery, plates nearly straight.
_RAGGED_UM = {"B": 0.17, "G": 0.08, "M": 0.10}


@dataclass(frozen=True, eq=False)
class SteelPhantom:
    """A drawn micrograph and the truth about it.

    Attributes
    ----------
    spec : SteelSpec
        What it was drawn from.
    seed : int
        With which seed.
    pixels : ndarray of uint8, shape (height, width, 3) or (height, width)
        The micrograph.
    needles : NeedleTable
        All needles drawn, the reaching-in ones included.
    graded : ndarray of bool, shape (n,)
        Needles centred in the region of interest: those the grade is made of.
    owner : ndarray of int32, shape (height, width)
        Needle (position in the table plus 1) each pixel belongs to; 0 none. Carbides lie over needles.
    phases : ndarray of uint8, shape (height, width)
        See ``PHASES``; meaningful in the region of interest and beneath the micron bar.
    region : ndarray of bool, shape (height, width)
        Region of interest: neither resin, nor bleeding zone, nor micron bar.
    coarse_region : ndarray of bool, shape (height, width)
        Coarse regions of bimodal bainite.
    """

    spec: SteelSpec
    seed: int
    pixels: UInt8
    needles: NeedleTable
    graded: Mask
    owner: npt.NDArray[np.int32]
    phases: UInt8
    region: Mask
    coarse_region: Mask

    @property
    def needle_mask(self) -> Mask:
        """Where a needle is seen, shape (height, width)."""
        return np.asarray((self.phases == NEEDLE) & self.region)

    @property
    def lengths_um(self) -> Float64:
        """Lengths of the graded needles in micrometres, as drawn."""
        return self.needles.length_um[self.graded]

    @property
    def code_by_mean(self) -> str:
        """Structure code by the mean criterion."""
        return self.spec.table.grade(self.lengths_um, self.spec.subtype, "mean")

    @property
    def code_by_maximum(self) -> str:
        """Structure code by the maximum criterion."""
        return self.spec.table.grade(self.lengths_um, self.spec.subtype, "maximum")

    @property
    def coarse_area_fraction(self) -> float:
        """Share of the region of interest that coarse regions take."""
        return float(self.coarse_region[self.region].mean())

    @property
    def criterion(self) -> Criterion:
        """Which measure grades this micrograph, by the grade table's rule for coarse regions."""
        return self.spec.table.criterion_for(self.coarse_area_fraction)

    @property
    def label(self) -> str:
        """Structure code by the criterion that applies."""
        return self.code_by_mean if self.criterion == "mean" else self.code_by_maximum

    def fraction(self, phase: str) -> float:
        """Return the area fraction of a phase (a key of ``PHASES``) in the region of interest."""
        return float(np.mean(self.phases[self.region] == PHASES[phase]))

    def truth(self) -> dict[str, Any]:
        """Return what is known about the micrograph as plain values, for JSON; lengths in micrometres."""
        spec, lengths = self.spec, self.lengths_um
        coarse = spec.coarse_lengths
        quantiles = np.quantile(lengths, [q / 100 for q in LENGTH_QUANTILES])
        return {
            "subtype": spec.subtype,
            "size_class": self.label[1:],
            "label": self.label,
            "truth": self.label,
            "criterion": self.criterion,
            "code_by_mean": self.code_by_mean,
            "code_by_maximum": self.code_by_maximum,
            "needles": int(lengths.size),
            "mean_needle_length_um": float(lengths.mean()),
            "largest_needle_length_um": spec.table.largest_um(lengths),
            "max_needle_length_um": float(lengths.max()),
            **{f"needle_length_q{q:02d}_um": float(v) for q, v in zip(LENGTH_QUANTILES, quantiles, strict=True)},
            "length_median_um": spec.lengths.median_um,
            "length_sigma": spec.lengths.sigma,
            "coarse_median_um": None if coarse is None else coarse.median_um,
            "coarse_sigma": None if coarse is None else coarse.sigma,
            "coarse_area_fraction": self.coarse_area_fraction,
            "retained_austenite_fraction": self.fraction("retained_austenite"),
            "carbide_fraction": self.fraction("carbide"),
            "grade_table": spec.table.name,
            "specimen": spec.specimen,
            "magnification": spec.magnification,
            "pixel_size_um": spec.pixel_size_um,
            "plant": spec.instrument.plant,
            "instrument": spec.instrument.name,
            "alloy": spec.alloy,
            "etching_depth": spec.etching.depth,
            "seed": self.seed,
            "phantom": True,
        }


def _coarse_region(spec: SteelSpec, rng: np.random.Generator) -> tuple[Float32, float]:
    """Return a field and the level above which it marks the coarse regions of bimodal bainite."""
    field = cloudy_noise(spec.size_px, (45 / spec.pixel_size_um, 14 / spec.pixel_size_um), rng, (1.0, 0.35))
    return field, float(np.quantile(field, 1 - spec.coarse_area))


def _scatter(
    lengths: Lognormal, cover: float, margin_px: float, spec: SteelSpec, population: int, rng: np.random.Generator
) -> NeedleTable:
    """Scatter needles of one population over frame and margin, as many as the cover asks for."""
    height, width = spec.size_px
    aspect = ASPECT[spec.subtype]
    area_px = mean_area_um2(lengths, aspect) / spec.pixel_size_um**2
    count = int(rng.poisson(cover * (height + 2 * margin_px) * (width + 2 * margin_px) / area_px))
    length = lengths.draw(count, rng)
    slender = np.exp(0.22 * rng.standard_normal(count))
    return NeedleTable(
        x_px=rng.uniform(-margin_px, width + margin_px, count),
        y_px=rng.uniform(-margin_px, height + margin_px, count),
        length_um=length,
        width_um=np.maximum(typical_width_um(length, lengths, aspect) * slender, 0.25),
        angle=rng.uniform(0, np.pi, count),
        population=np.full(count, population, dtype=np.int64),
        group=np.zeros(count, dtype=np.int64),
    )


def _orient_martensite(needles: NeedleTable, spec: SteelSpec, margin_px: float, rng: np.random.Generator) -> None:
    """Give plates one of their grain's few habit-plane traces."""
    grains = Cells(spec.size_px, spec.grain_um / spec.pixel_size_um, rng, margin_px)
    variants = rng.uniform(0, np.pi, (len(grains), 5))
    needles.group[:] = grains.at(needles.x_px, needles.y_px)
    chosen = rng.integers(0, variants.shape[1], len(needles))
    needles.angle[:] = variants[needles.group, chosen] + rng.normal(0, 0.09, len(needles))


def _orient_packets(needles: NeedleTable, spec: SteelSpec, margin_px: float, rng: np.random.Generator) -> None:
    """Give laths the one direction of their packet, two packets or so to a grain."""
    packets = Cells(spec.size_px, 0.8 * spec.grain_um / spec.pixel_size_um, rng, margin_px)
    direction = rng.uniform(0, np.pi, len(packets))
    needles.group[:] = packets.at(needles.x_px, needles.y_px)
    # A seventh of the laths are of another block and cross the others.
    crossing = np.where(rng.random(len(needles)) < 0.14, rng.uniform(0.6, 1.3, len(packets))[needles.group], 0.0)
    needles.angle[:] = direction[needles.group] + crossing + rng.normal(0, 0.08, len(needles))


def _gather_sheaves(needles: NeedleTable, spec: SteelSpec, margin_px: float, rng: np.random.Generator) -> None:
    """Move needles into sheaves: some parallel subunits side by side, fanning out a little."""
    height, width = spec.size_px
    for population in np.unique(needles.population):
        members = np.flatnonzero(needles.population == population)
        sheaves = max(1, len(members) // 4)
        sheaf = rng.integers(0, sheaves, len(members))
        centre_x = rng.uniform(-margin_px, width + margin_px, sheaves)
        centre_y = rng.uniform(-margin_px, height + margin_px, sheaves)
        grains = Cells(spec.size_px, spec.grain_um / spec.pixel_size_um, rng, margin_px)
        variants = rng.uniform(0, np.pi, (len(grains), 4))
        home = grains.at(centre_x, centre_y)
        direction = variants[home, rng.integers(0, 4, sheaves)]
        length_px = needles.length_um[members] / spec.pixel_size_um
        width_px = needles.width_um[members] / spec.pixel_size_um
        along = rng.normal(0, 0.22, len(members)) * length_px
        sideways = rng.normal(0, 1.5, len(members)) * width_px
        cosine, sine = np.cos(direction[sheaf]), np.sin(direction[sheaf])
        needles.x_px[members] = centre_x[sheaf] + along * cosine - sideways * sine
        needles.y_px[members] = centre_y[sheaf] + along * sine + sideways * cosine
        needles.angle[members] = direction[sheaf] + rng.normal(0, 0.10, len(members))
        needles.group[members] = sheaf + (needles.group.max() + 1 if population else 0)


def _join(tables: list[NeedleTable]) -> NeedleTable:
    names = tables[0].columns()
    return NeedleTable(**{name: np.concatenate([t.columns()[name] for t in tables]) for name in names})


def _draw_needles(spec: SteelSpec, rng: np.random.Generator) -> tuple[NeedleTable, Mask]:
    """Draw all needles in painting order, and the map of coarse regions."""
    largest = max(d.mean_um for d in (spec.lengths, spec.coarse_lengths or spec.lengths))
    margin_px = 0.8 * largest / spec.pixel_size_um
    # Random needles leave exp(-cover) bare; 1.15 makes up for the thinning in patches below.
    cover = -1.15 * np.log(max(spec.retained_austenite, 0.02)) if spec.subtype == "G" else _COVER[spec.subtype]
    fine = _scatter(spec.lengths, float(cover), margin_px, spec, 0, rng)
    coarse_region = np.zeros(spec.size_px, dtype=bool)
    if spec.coarse_lengths is None:
        tables = [fine]
    else:
        coarse = _scatter(spec.coarse_lengths, float(cover), margin_px, spec, 1, rng)
        tables = [fine, coarse]
    needles = _join(tables)
    if spec.subtype == "B":
        _gather_sheaves(needles, spec, margin_px, rng)
    elif spec.subtype == "M":
        _orient_packets(needles, spec, margin_px, rng)
    else:
        _orient_martensite(needles, spec, margin_px, rng)
        # Austenite is retained in patches: thin the plates there, whatever their length.
        patches = cloudy_noise(spec.size_px, (2.5 * spec.lengths.mean_um / spec.pixel_size_um,), rng)
        depth = sample_field(patches, needles.x_px, needles.y_px)
        needles = needles.take(rng.random(len(needles)) < 1.0 - 0.6 / (1.0 + np.exp(-3.0 * (depth - 1.1))))
    if spec.coarse_lengths is not None:
        # Each population keeps to its regions; where a needle lies does not depend on how long it is.
        field, level = _coarse_region(spec, rng)
        coarse_region = field > level
        in_coarse = sample_field(field, needles.x_px, needles.y_px) > level
        needles = needles.take(in_coarse == (needles.population == 1))
    # Long plates form first and stop the later, shorter ones: they lie on top.
    rank = np.log(needles.length_um) + rng.normal(0, 0.25, len(needles))
    return needles.take(np.argsort(rank, kind="stable")), coarse_region


def _ragged(owner: npt.NDArray[np.int32], spec: SteelSpec, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Return the ownership map with needle edges as ragged as the subtype's."""
    height, width = owner.shape
    amplitude = np.float32(_RAGGED_UM[spec.subtype] / spec.pixel_size_um)
    scales = (0.9 / spec.pixel_size_um, 0.4 / spec.pixel_size_um)
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    row = np.rint(rows + amplitude * cloudy_noise(owner.shape, scales, rng)).astype(np.intp)
    column = np.rint(columns + amplitude * cloudy_noise(owner.shape, scales, rng)).astype(np.intp)
    return owner[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def _tones(needles: NeedleTable, subtype: str, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """Return each needle's own reflectance and how much darker its rim is."""
    count = len(needles)
    groups = int(needles.group.max()) + 1 if count else 1
    own, shared = rng.standard_normal(count), rng.standard_normal(groups)[needles.group]
    if subtype == "G":
        tempered = rng.random(count) < 0.35
        tone = np.where(tempered, 0.36, 0.50) + 0.065 * own + 0.025 * shared
        rim = np.full(count, 0.10)
    elif subtype == "B":
        tone = 0.34 + 0.05 * own + 0.045 * shared
        rim = np.full(count, -0.04)
    else:
        tone = 0.50 + 0.06 * own + 0.06 * shared
        rim = np.full(count, 0.15)
    return tone.astype(np.float32), rim.astype(np.float32)


def _matrix(spec: SteelSpec, rng: np.random.Generator) -> Float32:
    """Return the reflectance between needles: austenite (G), fine bainite (B), more laths (M)."""
    grain = cloudy_noise(spec.size_px, (0.9 / spec.pixel_size_um, 0.4 / spec.pixel_size_um), rng, (1.0, 0.7))
    if spec.subtype == "G":
        return np.float32(0.86) + np.float32(0.02) * grain
    if spec.subtype == "B":
        return np.float32(0.60) + np.float32(0.07) * grain
    return np.float32(0.50) + np.float32(0.06) * grain


def _shade(
    surface: Float32, owner: npt.NDArray[np.int32], needles: NeedleTable, spec: SteelSpec, rng: np.random.Generator
) -> Float32:
    """Return the surface with its needles: own tone, darker rim, a midrib in the wide ones."""
    tone, rim = _tones(needles, spec.subtype, rng)
    covered = owner > 0
    which = owner[covered] - 1
    along, across = local_coordinates(owner, needles, spec.pixel_size_um)
    lens = np.abs(across) / np.clip(1.05 - np.float32(0.9) * along**2, 0.15, None)
    value = tone[which] - rim[which] * np.clip((lens - np.float32(0.45)) * np.float32(1.9), 0, 1) ** 2
    if spec.subtype == "G":
        ribbed = (needles.width_um / spec.pixel_size_um > 5.0)[which]
        value -= np.where(ribbed, np.float32(0.10) * np.exp(-((across / np.float32(0.16)) ** 2)), np.float32(0))
    texture = smooth_noise(spec.size_px, max(1.0, 0.28 / spec.pixel_size_um), rng)
    slow = smooth_noise(spec.size_px, max(1.5, 1.3 / spec.pixel_size_um), rng)
    roughness = np.float32(spec.etching.roughness)
    surface = surface.copy()
    surface[covered] = value + roughness * (texture[covered] + np.float32(0.5) * slow[covered])
    return surface


def _carbide_layer(spec: SteelSpec, rng: np.random.Generator) -> Float32:
    """Return how much of each pixel is carbide, 0..1; they gather in clusters, most in bainite."""
    height, width = spec.size_px
    if spec.carbides <= 0:
        return np.zeros(spec.size_px, dtype=np.float32)
    spread = 0.30
    mean_area = np.pi / 4 * (spec.carbide_um * np.exp(spread**2)) ** 2 / spec.pixel_size_um**2
    count = int(rng.poisson(2.0 * spec.carbides * height * width / mean_area))
    x, y = rng.uniform(0, width, count), rng.uniform(0, height, count)
    clusters = cloudy_noise(spec.size_px, (22 / spec.pixel_size_um, 7 / spec.pixel_size_um), rng)
    gather = 1.0 if spec.subtype == "B" else 0.6
    crowding = gather * sample_field(clusters, x, y) + rng.standard_normal(count)
    keep = crowding > (np.median(crowding) if count else 0.0)  # the more crowded half
    x, y = x[keep], y[keep]
    radius = spec.carbide_um / 2 / spec.pixel_size_um * np.exp(spread * rng.standard_normal(len(x)))
    fine = 2  # drawn twice as large and averaged, for smooth rims
    canvas = Image.new("L", (fine * width, fine * height), 0)
    pen = ImageDraw.Draw(canvas)
    stretch = np.exp(0.12 * rng.standard_normal(len(x)))
    rx, ry = radius * stretch, radius / stretch
    for box in (fine * np.column_stack([x - rx, y - ry, x + rx, y + ry])).tolist():
        pen.ellipse(box, fill=255)
    return np.asarray(canvas.reduce(fine), dtype=np.float32) / np.float32(255)


def _bands(spec: SteelSpec, rng: np.random.Generator) -> Float32:
    """Return slow stains and segregation bands of the etch, of unit deviation."""
    height, width = spec.size_px
    clouds = cloudy_noise(spec.size_px, (60 / spec.pixel_size_um, 20 / spec.pixel_size_um), rng, (1.0, 0.6))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = x * np.float32(np.cos(spec.etching.band_angle)) + y * np.float32(np.sin(spec.etching.band_angle))
    profile = smooth_noise((1, 2 * (height + width)), 30 / spec.pixel_size_um, rng)[0]
    place = np.clip(across + height + width, 0, profile.size - 1).astype(np.int64)
    return np.asarray(np.float32(0.8) * clouds + np.float32(0.5) * profile[place], dtype=np.float32)


def _etch(surface: Float32, spec: SteelSpec, rng: np.random.Generator) -> Float32:
    """Return the surface as deep as it was etched: deeper is darker in the dark parts."""
    surface = surface + np.float32(spec.etching.stain) * _bands(spec, rng)
    return np.asarray(np.clip(surface, 0.03, 1.0) ** np.float32(spec.etching.depth), dtype=np.float32)


def render_steel(spec: SteelSpec, seed: int) -> SteelPhantom:
    """Draw one steel micrograph.

    Parameters
    ----------
    spec : SteelSpec
        What to draw, for instance from :func:`sorby.phantom.draw_specimen`.
    seed : int
        Same spec and seed, same pixels.

    Returns
    -------
    SteelPhantom
        Pixels, needles and truth.
    """
    rng = np.random.default_rng([1863, seed])
    needles, coarse_region = _draw_needles(spec, rng)
    owner = ownership(needles, spec.size_px, spec.pixel_size_um, bluntness=_BLUNTNESS[spec.subtype])
    owner = _ragged(owner, spec, rng)
    surface = _shade(_matrix(spec, rng), owner, needles, spec, rng)
    carbide = _carbide_layer(spec, rng)
    if spec.carbides > 0:
        halo = np.clip(blur(carbide, 0.22 / spec.pixel_size_um) * np.float32(1.6), 0, 1)
        surface = surface * (1 - np.float32(0.42) * halo)
        surface = surface * (1 - carbide) + np.float32(0.92) * carbide
    surface = _etch(surface, spec, rng) + scratch_layer(spec.size_px, spec.scratches, rng)
    surface, excluded = add_border(surface, spec.border, rng)
    pixels = expose(
        surface,
        spec.instrument,
        pixel_size_um=spec.pixel_size_um,
        magnification=spec.magnification,
        defocus_px=spec.defocus_um / spec.pixel_size_um,
        colour=spec.colour,
        rng=rng,
    )
    region = ~excluded
    if spec.micron_bar:
        pixels, bar = add_micron_bar(pixels, spec.pixel_size_um, spec.instrument.bar_style)
        region &= ~bar
    between = AUSTENITE if spec.subtype == "G" else MATRIX
    phases = np.where(owner > 0, NEEDLE, between).astype(np.uint8)
    phases[carbide > 0.5] = CARBIDE
    return SteelPhantom(spec, seed, pixels, needles, needles.centred_in(region), owner, phases, region, coarse_region)

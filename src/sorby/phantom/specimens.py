"""Steel specimens: what a heat treatment, an etch and a microscope leave to be drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sorby.corpus.grades import HOUSE_SCALE, Criterion, GradeTable, split_code
from sorby.errors import InputError
from sorby.phantom.frame import Border
from sorby.phantom.needles import Lognormal, largest_mean_um, mean_area_um2
from sorby.phantom.optics import Instrument, instrument_catalogue

Subtype = Literal["B", "G", "M"]
SUBTYPES: Mapping[str, str] = {
    "B": "bainitic through-hardened",
    "G": "martensitic through-hardened",
    "M": "quenched and tempered martensitic",
}
INSTRUMENTS = instrument_catalogue()
#: Length over width of the mean needle.
ASPECT: Mapping[str, float] = {"B": 9.0, "G": 10.0, "M": 9.0}


@dataclass(frozen=True)
class Etching:
    """How the etchant developed the structure of one specimen.

    Attributes
    ----------
    depth : float
        1 is as it should be; more is darker and harder (over-etched), less is pale.
    stain : float
        Amplitude of slow stains and segregation bands in reflectance.
    roughness : float
        Amplitude of the fine mottling inside needles.
    band_angle : float
        Direction of segregation bands in radians.
    """

    depth: float = 1.0
    stain: float = 0.03
    roughness: float = 0.05
    band_angle: float = 0.0


@dataclass(frozen=True)
class SteelSpec:
    """Everything about one steel micrograph that is decided before it is drawn.

    Attributes
    ----------
    subtype : {"B", "G", "M"}
        Bainite, through-hardened martensite, quenched and tempered martensite.
    lengths : Lognormal
        Needle lengths of the only, or of the fine, population.
    coarse_lengths : Lognormal or None
        Needle lengths in the coarse regions of bimodal bainite.
    coarse_area : float
        Share of the area those regions take.
    retained_austenite : float
        Wanted share of the area (G).
    carbides : float
        Wanted share of the area (B and G).
    carbide_um : float
        Median diameter of carbides in micrometres.
    grain_um : float
        Prior austenite grain diameter in micrometres.
    size_px : tuple of int
        Height and width.
    magnification : int
        500 or 1000, nominal.
    pixel_size_um : float
        Pixel size in micrometres, the truth about scale.
    instrument : Instrument
        The microscope.
    etching : Etching
        The specimen's etch.
    border : Border
        Resin at the top, if any.
    scratches : int
        Number of polishing scratches.
    defocus_um : float
        Extra blur, standard deviation in micrometres.
    micron_bar : bool
        Draw one.
    colour : bool
        RGB where true, grey otherwise.
    specimen : str
        Identifier of the physical specimen.
    alloy : str
        Steel grade.
    requested : str
        Structure code the specimen was drawn for, empty where it was written by hand.
    criterion : {"mean", "maximum"}
        Which measure it was drawn for; the one that labels a micrograph follows from its coarse area.
    table : GradeTable
        The house scale that grades it.
    """

    subtype: Subtype
    lengths: Lognormal
    coarse_lengths: Lognormal | None = None
    coarse_area: float = 0.0
    retained_austenite: float = 0.0
    carbides: float = 0.0
    carbide_um: float = 0.6
    grain_um: float = 25.0
    size_px: tuple[int, int] = (448, 448)
    magnification: int = 500
    pixel_size_um: float = 0.2
    instrument: Instrument = INSTRUMENTS[0]
    etching: Etching = field(default_factory=Etching)
    border: Border = field(default_factory=Border)
    scratches: int = 0
    defocus_um: float = 0.0
    micron_bar: bool = True
    colour: bool = True
    specimen: str = ""
    alloy: str = "100Cr6"
    requested: str = ""
    criterion: Criterion = "mean"
    table: GradeTable = HOUSE_SCALE

    def __post_init__(self) -> None:
        if self.subtype not in SUBTYPES:
            raise InputError(f"steel subtype {self.subtype!r} is unknown", f"allowed: {', '.join(SUBTYPES)}")
        if min(self.size_px) < 32:
            raise InputError(f"size_px {self.size_px} is too small", "use at least 32 x 32 pixels")
        if self.pixel_size_um <= 0:
            raise InputError("pixel_size_um must be above 0")
        if self.coarse_lengths is not None and not 0 < self.coarse_area < 1:
            raise InputError("coarse_area must lie between 0 and 1 where coarse_lengths is given")


@dataclass(frozen=True)
class SteelSpecimen:
    """One specimen and the micrographs to be taken of it.

    Attributes
    ----------
    identifier : str
        In every file name and table row.
    specs : tuple of SteelSpec
        One a micrograph; they share subtype, needle distribution, phases and etch.
    seeds : tuple of int
        The seed to draw each with.
    """

    identifier: str
    specs: tuple[SteelSpec, ...]
    seeds: tuple[int, ...]


def _target_um(low: float, high: float, rng: np.random.Generator) -> float:
    """Return a length well inside a class: an open class ends .6 or 1.5 times its one limit away."""
    low, high = max(low, 0.6 * high if np.isfinite(high) else low), min(high, 1.5 * low if low > 0 else high)
    share = rng.uniform(0.08, 0.92)
    return float(low * (high / low) ** share)


def _coarse_population(fine: Lognormal, area: float, wanted_um: float, sigma: float, share: float) -> Lognormal:
    """Return the coarse population with which the longest *share* of all needles averages *wanted_um*."""
    best, error = fine, np.inf
    for median in np.geomspace(fine.median_um, wanted_um, 160):
        coarse = Lognormal(float(median), sigma)
        # Few coarse needles fill much: numbers go as area over the area of one.
        numbers = np.array([(1 - area) / mean_area_um2(fine, 1.0), area / mean_area_um2(coarse, 1.0)])
        numbers /= numbers.sum()
        off = abs(largest_mean_um([(numbers[0], fine), (numbers[1], coarse)], share) - wanted_um)
        if off < error:
            best, error = coarse, off
    return best


def _identifier(code: str, seed: int) -> str:
    digest = hashlib.sha256(f"{code}/{seed}".encode()).hexdigest()
    return f"S{digest[:7].upper()}"


def _phases(subtype: Subtype, mean_um: float, rng: np.random.Generator) -> dict[str, float]:
    """Draw what else the structure holds, by subtype (S1, section 3.2.1)."""
    if subtype == "G":
        return {
            "retained_austenite": float(rng.uniform(0.06, 0.17)),
            "carbides": float(rng.choice([0.0, 1.0], p=[0.2, 0.8]) * rng.uniform(0.008, 0.045)),
            "carbide_um": float(rng.uniform(0.50, 0.80)),
            "grain_um": 2.2 * mean_um,
        }
    if subtype == "B":
        return {
            "carbides": float(rng.uniform(0.03, 0.075)),
            "carbide_um": float(rng.uniform(0.50, 0.85)),
            "grain_um": 2.5 * mean_um,
        }
    return {"grain_um": 2.8 * mean_um}


def draw_specimen(
    code: str,
    seed: int,
    *,
    images: int = 2,
    size_px: tuple[int, int] = (448, 448),
    table: GradeTable = HOUSE_SCALE,
    bimodal: bool | None = None,
    magnification: int | None = None,
    micron_bar: bool = True,
    resin_share: float = 0.25,
    colour: bool = True,
) -> SteelSpecimen:
    """Draw one specimen of a structure code and the conditions of its micrographs.

    Parameters
    ----------
    code : str
        Structure code such as ``G8`` or ``B9-10``: subtype and size class.
    seed : int
        Same seed, same specimen.
    images : int
        Micrographs of it. Subtype, needle distribution, phases, etch, plant and magnification are shared;
        field, focus, scratches, border and (sometimes) the instrument differ.
    size_px : tuple of int
        Height and width of each.
    table : GradeTable
        The house scale.
    bimodal : bool, optional
        Bainite with coarse regions in a fine matrix, labelled by the maximum criterion; drawn (half of B7 and
        B8) where None. Only bainite can be.
    magnification : int, optional
        500 or 1000; drawn where None: 1000 is used mostly for class 9-10 (S1).
    micron_bar : bool
        Draw one in each micrograph.
    resin_share : float
        Probability that a micrograph reaches beyond the specimen's edge.
    colour : bool
        RGB or grey.

    Returns
    -------
    SteelSpecimen

    Raises
    ------
    InputError
        The code or the combination is unknown.
    """
    name, size_class = split_code(code)
    subtype: Subtype = name  # type: ignore[assignment]
    rng = np.random.default_rng([1863, seed, *code.encode()])
    sigma = float(rng.uniform(0.30, 0.40))
    coarse_class = size_class != table.classes[-1]
    draw = bool(rng.random() < 0.5) and subtype == "B" and coarse_class
    if bimodal and (subtype != "B" or not coarse_class):
        raise InputError(f"{code} cannot be bimodal", "only bainite coarser than the finest class is")
    two = draw if bimodal is None else bimodal
    if two:
        fine = Lognormal.from_mean(_target_um(*table.bounds(subtype, table.classes[-1]), rng), sigma)
        area = float(rng.uniform(0.20, 0.45))
        low, high = table.bounds(subtype, size_class, "maximum")
        # Few coarse needles lie in one field, so their mean scatters: aim at the middle of the class.
        wanted = float(np.sqrt(low * min(high, 1.5 * low))) * float(np.exp(rng.normal(0, 0.04)))
        lengths, coarse = fine, _coarse_population(fine, area, wanted, 0.30, table.largest_share)
        criterion: Criterion = "maximum"
    else:
        lengths = Lognormal.from_mean(_target_um(*table.bounds(subtype, size_class), rng), sigma)
        coarse, area, criterion = None, 0.0, "mean"
    if magnification is None:
        closer = 0.0 if two else 0.03 if coarse_class else 0.30  # a coarse region must fit into the field
        magnification = 1000 if rng.random() < closer else 500
    at_home = INSTRUMENTS[int(rng.integers(len(INSTRUMENTS)))]
    same_plant = [i for i in INSTRUMENTS if i.plant == at_home.plant]
    base = SteelSpec(
        subtype=subtype,
        lengths=lengths,
        coarse_lengths=coarse,
        coarse_area=area,
        **_phases(subtype, lengths.mean_um, rng),  # type: ignore[arg-type]
        size_px=size_px,
        magnification=magnification,
        etching=Etching(
            depth=float(np.clip(rng.normal(1.0, 0.16), 0.65, 1.5)),
            stain=float(rng.uniform(0.01, 0.05)),
            roughness=float(rng.uniform(0.035, 0.075)),
            band_angle=float(rng.uniform(0, np.pi)),
        ),
        micron_bar=micron_bar,
        colour=colour,
        specimen=_identifier(code, seed),
        alloy={"M": "C56E2", "B": "100Cr6"}.get(subtype, str(rng.choice(["100Cr6", "100CrMnSi6-4"], p=[0.8, 0.2]))),
        requested=code,
        criterion=criterion,
        table=table,
    )
    specs = []
    for _ in range(images):
        other = same_plant[int(rng.integers(len(same_plant)))] if rng.random() < 0.2 else at_home
        beyond = rng.random() < resin_share
        bleeding = float(rng.uniform(0.03, 0.08)) if rng.random() < 0.4 else 0.0
        border = Border(float(rng.uniform(0.04, 0.16)), bleeding, float(rng.uniform(0.08, 0.25)))
        specs.append(
            replace(
                base,
                instrument=other,
                pixel_size_um=round(other.pixel_size_um_500x * 500 / magnification, 5),
                border=border if beyond else Border(),
                scratches=int(rng.poisson(1.2)),
                defocus_um=float(np.abs(rng.normal(0, 0.07)) * 500 / magnification),
            )
        )
    seeds = tuple(int(s) for s in rng.integers(0, 2**31, images))
    return SteelSpecimen(base.specimen, tuple(specs), seeds)

"""One broken component: what it was, where it broke and from what, and how it looks under the microscope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sorby.errors import InputError
from sorby.phantom.fracture.mechanics import (
    COMPONENT,
    MIRROR_CONSTANT_MPA_SQRT_M,
    flaw_depth_um,
    mirror_radius_um,
    weibull_stress_mpa,
)
from sorby.phantom.info_bars import VENDORS, Vendor

Label = Literal["green_body", "hard_machining", "material", "unknown"]
#: The three causes that are taught.
LABELS: tuple[Label, ...] = ("green_body", "hard_machining", "material")
#: What can be found at the origin, and how often, for each cause.
SUBTYPES: Mapping[Label, Mapping[str, float]] = {
    "green_body": {"pressing_crack": 0.55, "lamination": 0.45},
    "hard_machining": {"machining_crack": 0.6, "grinding_groove": 0.4},
    "material": {"pore": 0.35, "agglomerate": 0.3, "inclusion": 0.2, "large_grain": 0.15},
    "unknown": {"not_found": 1.0},
}
#: The magnifications of the published series.
MAGNIFICATIONS = (50, 100, 250, 500, 1000, 2000, 4000, 10000)
#: Width of the picture to which magnifications refer, as instruments have it: horizontal field = this / magnification.
DISPLAY_WIDTH_UM = 127_000.0


def field_width_um(magnification: float) -> float:
    """Return the width of the field of view in µm: 127 mm / magnification."""
    return DISPLAY_WIDTH_UM / magnification


@dataclass(frozen=True)
class Flaw:
    """The origin of a fracture.

    Attributes
    ----------
    subtype : str
        See :data:`SUBTYPES`.
    depth_um : float
        Distance of its centre from the tensile surface; 0 for a flaw of the surface.
    size_um : float
        Its size c in fracture mechanics; its semi-axes are c times and c over the root of the elongation.
    elongation : float
        Its length over its width.
    angle : float
        Direction of its length in radians, 0 along the surface.
    strength : float
        How plainly it differs from its surroundings, 1 is usual.
    """

    subtype: str
    depth_um: float
    size_um: float
    elongation: float
    angle: float
    strength: float


@dataclass(frozen=True)
class Appearance:
    """What all pictures of a specimen share, whatever they show: a fingerprint.

    Attributes
    ----------
    brightness, contrast, gamma : float
        Grey level (0 to 1) of a flat place, deviation of slopes, exponent of the tone curve.
    light : float
        Direction of the detector in radians.
    noise : float
        Deviation of the detector's noise, as a part of full scale.
    smear : float
        How far the noise runs along the lines, 0 to 1: slow detectors.
    spot_px : float
        Width of the beam's spot at a picture 512 pixels wide.
    shading : tuple of float
        Rise of the brightness across and down the picture: where the detector stands.
    edge : float
        Strength of the brightening of edges.
    roughness : float
        Factor on every slope of the surface.
    hurst : float
        Exponent by which the amplitude of roughness grows with its wavelength.
    grain_um : float
        Mean grain size in µm.
    hackle : float
        Factor on the height of hackle lines.
    hackle_spacing : float
        Their spacing as a part of the mirror radius.
    groove_um : float
        Spacing of the grooves of the ground surface.
    groove_angle : float
        Their direction against the edge, in radians.
    groove_depth : float
        How plainly they show, 1 is usual after hard machining.
    edge_tilt : float
        Slope of the component's edge in the picture.
    rim_um : float
        Width of the ground surface in view, foreshortened.
    scratches : int
        Handling scratches on the fracture surface.
    carbon, metal, charging : float
        Share of the surface under carbon residue and metallic abrasion; strength of charging.
    turns : int
        Quarter turns by which the operator laid the specimen.
    """

    brightness: float
    contrast: float
    gamma: float
    light: float
    noise: float
    smear: float
    spot_px: float
    shading: tuple[float, float]
    edge: float
    roughness: float
    hurst: float
    grain_um: float
    hackle: float
    hackle_spacing: float
    groove_um: float
    groove_angle: float
    groove_depth: float
    edge_tilt: float
    rim_um: float
    scratches: int
    carbon: float
    metal: float
    charging: float
    turns: int


@dataclass(frozen=True)
class Fragment:
    """A piece of the broken component.

    Attributes
    ----------
    name : str
        ``A`` and ``B`` are the matching halves; ``A2`` is a piece broken off ``A``.
    mirrored : bool
        The other half: mirrored, hills for valleys.
    cut_um, cut_angle : float
        Where a second crack ended this piece: what lies further than *cut_um* from the origin along *cut_angle*
        belongs to another piece (a negative distance: the origin does). ``inf`` for none.
    """

    name: str
    mirrored: bool = False
    cut_um: float = float("inf")
    cut_angle: float = 0.0

    @property
    def has_origin(self) -> bool:
        """Whether the origin lies on this piece."""
        return self.cut_um > 0


@dataclass(frozen=True)
class ViewPlan:
    """One picture to be taken.

    Attributes
    ----------
    number : int
        Of the picture within the specimen, from 1.
    magnification : float
    fragment : str
        Name of the fragment.
    centre_um : tuple of float
        Place of the middle of the picture, x and y against the origin; y runs towards the tensile surface.
    defocus_px : float
        Blur at a picture 512 pixels wide; it grows with the picture.
    exposure, contrast : float
        Factors of this picture on the specimen's.
    seed : int
        Of the detector's noise.
    """

    number: int
    magnification: float
    fragment: str = "A"
    centre_um: tuple[float, float] = (0.0, 0.0)
    defocus_px: float = 0.0
    exposure: float = 1.0
    contrast: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class FractureSpecimen:
    """A broken component; :func:`sorby.phantom.fracture.render` takes its pictures.

    Attributes
    ----------
    name : str
        Such as ``fracture-0007``; no serial number.
    seed : int
        Of its surface: same seed, same surface at every magnification.
    label : str
        Cause; ``unknown`` where the origin broke away.
    subtype : str
    flaw : Flaw
    load_n : float
        Load at fracture in newtons.
    stress_mpa : float
        Nominal stress at fracture, at the tensile surface.
    origin_stress_mpa : float
        Stress at the flaw.
    mirror_radius_um : float
        Radius of the mirror along the surface.
    mirror_aspect : float
        Its extent into the depth over that along the surface.
    lost_um : float
        Radius of the break-out that took the origin away; 0 for none.
    vendor : str
        Whose microscope took the pictures.
    language : str
        Of its info bar, ``en`` or ``de``.
    bar_at : str
        ``bottom`` or ``top``.
    appearance : Appearance
    fragments : tuple of Fragment
    views : tuple of ViewPlan
        Pictures of the archive.
    """

    name: str
    seed: int
    label: Label
    subtype: str
    flaw: Flaw
    load_n: float
    stress_mpa: float
    origin_stress_mpa: float
    mirror_radius_um: float
    mirror_aspect: float
    lost_um: float
    vendor: Vendor
    language: Literal["en", "de"]
    bar_at: Literal["bottom", "top"]
    appearance: Appearance
    fragments: tuple[Fragment, ...]
    views: tuple[ViewPlan, ...] = field(default=(), repr=False)

    @classmethod
    def draw(
        cls,
        seed: int,
        label: Label,
        *,
        name: str = "",
        subtype: str | None = None,
        difficulty: float = 1.0,
        vendor: Vendor | None = None,
    ) -> FractureSpecimen:
        """Draw a specimen.

        Parameters
        ----------
        seed : int
            Same seed, same specimen.
        label : {"green_body", "hard_machining", "material", "unknown"}
        name : str, optional
            ``fracture-<seed>`` where empty.
        subtype : str, optional
            One of the label's; drawn where None.
        difficulty : float
            0: plain origins, hardly any differences between specimens; 1 is usual.
        vendor : str, optional
            Drawn where None.

        Raises
        ------
        InputError
            The label, the subtype or the vendor is unknown, or *difficulty* is negative.
        """
        _check(label, subtype, vendor, difficulty)
        rng = np.random.default_rng([seed, 1863])
        chosen = subtype or _any(rng, label)
        # An unknown origin was one of the known kinds; nobody will tell.
        hidden = LABELS[int(rng.choice(3, p=(0.45, 0.45, 0.10)))] if label == "unknown" else label
        flaw, stress = _draw_flaw(rng, chosen if label != "unknown" else _any(rng, hidden), hidden, difficulty)
        load = COMPONENT.load_n(stress, flaw.depth_um)
        radius = mirror_radius_um(stress)
        return cls(
            name=name or f"fracture-{seed:06d}",
            seed=seed,
            label=label,
            subtype=chosen,
            flaw=flaw,
            load_n=round(load, 1),
            stress_mpa=COMPONENT.stress_mpa(load),
            origin_stress_mpa=stress,
            mirror_radius_um=radius,
            # The stress falls with depth in bending, so mirrors reach further inwards.
            mirror_aspect=float(rng.uniform(1.0, 1.0 + 0.25 * min(1.0, radius / 500.0))),
            lost_um=float(radius * rng.uniform(0.55, 0.9)) if label == "unknown" else 0.0,
            vendor=vendor or VENDORS[int(rng.integers(4))],
            language="de" if rng.random() < 0.4 else "en",
            bar_at="top" if rng.random() < 0.15 else "bottom",
            appearance=_draw_appearance(rng, hidden, difficulty),
            fragments=_draw_fragments(rng, radius),
        )

    def fragment(self, name: str) -> Fragment:
        """Return a fragment by its name.

        Raises
        ------
        InputError
            There is none of that name.
        """
        for fragment in self.fragments:
            if fragment.name == name:
                return fragment
        known = ", ".join(fragment.name for fragment in self.fragments)
        raise InputError(f"{self.name} has no fragment {name!r}", f"it has {known}")

    def with_views(self, views: tuple[ViewPlan, ...]) -> FractureSpecimen:
        """Return the specimen with other pictures planned."""
        return replace(self, views=views)

    @property
    def mirror_constant_mpa_sqrt_m(self) -> float:
        """A of sigma r^1/2 = A, the same for every specimen."""
        return MIRROR_CONSTANT_MPA_SQRT_M


def _check(label: Label, subtype: str | None, vendor: str | None, difficulty: float) -> None:
    if label not in SUBTYPES:
        raise InputError(f"fracture cause {label!r} is unknown", f"allowed: {', '.join(SUBTYPES)}")
    if subtype is not None and subtype not in SUBTYPES[label]:
        raise InputError(f"{label} has no subtype {subtype!r}", f"allowed: {', '.join(SUBTYPES[label])}")
    if vendor is not None and vendor not in VENDORS:
        raise InputError(f"vendor {vendor!r} is unknown", f"allowed: {', '.join(VENDORS)}")
    if not difficulty >= 0:
        raise InputError(f"difficulty {difficulty} cannot be", "give 0 or more; 1 is usual")


def _any(rng: np.random.Generator, label: Label) -> str:
    kinds = SUBTYPES[label]
    return str(rng.choice(list(kinds), p=list(kinds.values())))


def _draw_flaw(rng: np.random.Generator, subtype: str, label: Label, difficulty: float) -> tuple[Flaw, float]:
    """Draw a flaw and the stress at which it breaks, in MPa."""
    # Green-body cracks are the largest flaws, machining the smallest, so mirrors differ too; broadly enough to overlap.
    median = {"green_body": 440.0, "hard_machining": 670.0, "material": 560.0}[label]
    stress = float(np.clip(weibull_stress_mpa(rng, median, 8.0), 300.0, 900.0))
    at_surface = label == "hard_machining" or (label == "green_body" and rng.random() < 0.25)
    size = flaw_depth_um(stress, at_surface=at_surface)
    deepest = {"green_body": 900.0, "hard_machining": 0.0, "material": 700.0}[label]
    # A flaw in the volume keeps a ligament to the surface; log-uniform, because the stress falls with depth.
    depth = 0.0 if at_surface else float(size * 1.6 + np.exp(rng.uniform(np.log(15.0), np.log(deepest))))
    elongation = {
        "pressing_crack": rng.uniform(3.0, 6.0),
        "lamination": rng.uniform(3.5, 7.0),
        "machining_crack": rng.uniform(1.0, 2.2),
        "grinding_groove": rng.uniform(2.5, 5.0),
    }.get(subtype, rng.uniform(1.0, 1.6))
    return (
        Flaw(
            subtype=subtype,
            depth_um=depth,
            size_um=size,
            elongation=float(elongation),
            angle=float(rng.normal(0.0, 0.5)) if label == "green_body" else float(rng.uniform(-0.4, 0.4)),
            strength=float(np.exp(rng.normal(-0.3 * difficulty, 0.35 * difficulty))),
        ),
        stress,
    )


def _draw_appearance(rng: np.random.Generator, label: Label, difficulty: float) -> Appearance:
    """Draw a fingerprint; *difficulty* widens what differs between specimens for no reason of their cause."""
    spread = min(difficulty, 2.0)

    def about(centre: float, relative: float) -> float:
        return float(centre * np.exp(rng.normal(0.0, relative * spread)))

    machined = 1.0 if label == "hard_machining" else 0.7
    return Appearance(
        brightness=float(np.clip(rng.normal(0.41, 0.085 * spread), 0.26, 0.64)),
        contrast=about(1.0, 0.33),
        gamma=about(1.0, 0.2),
        light=float(rng.uniform(0.0, 2 * np.pi)),
        noise=about(0.03, 0.5),
        smear=float(rng.uniform(0.0, 0.75) * min(spread, 1.0)),
        spot_px=about(0.45, 0.45),
        shading=(float(rng.normal(0.0, 0.07 * spread)), float(rng.normal(0.0, 0.07 * spread))),
        edge=about(1.0, 0.35),
        roughness=about(1.0, 0.22),
        hurst=float(np.clip(rng.normal(0.78, 0.06 * spread), 0.55, 0.95)),
        grain_um=about(1.5, 0.22),
        hackle=about(1.0, 0.3),
        hackle_spacing=about(0.10, 0.25),
        groove_um=about(14.0, 0.35),
        groove_angle=float(rng.choice((0.0, np.pi / 2)) + rng.normal(0.0, 0.25)),
        groove_depth=about(machined, 0.35),
        edge_tilt=float(rng.normal(0.0, 0.06)),
        rim_um=about(220.0, 0.5),
        scratches=int(rng.poisson(2.0)),
        carbon=float(min(0.3, rng.beta(0.4, 9.0))),
        metal=float(min(0.12, rng.beta(0.3, 20.0))),
        charging=float(max(0.0, rng.normal(-0.2, 0.5))) * min(spread, 1.0),
        turns=int(rng.choice(4, p=(0.85, 0.05, 0.05, 0.05))),
    )


def _draw_fragments(rng: np.random.Generator, mirror_radius: float) -> tuple[Fragment, ...]:
    """Two matching halves; now and then a second crack has split one of them beside the mirror."""
    halves = (Fragment("A"), Fragment("B", mirrored=True))
    if rng.random() < 0.3:
        place = float(mirror_radius * rng.uniform(1.5, 3.0))
        angle = float(rng.choice((0.0, np.pi)) + rng.normal(0.0, 0.4))
        return (
            Fragment("A", cut_um=place, cut_angle=angle),
            halves[1],
            # The same crack seen from its other side.
            Fragment("A2", cut_um=-place, cut_angle=angle + np.pi),
        )
    return halves

"""One immersed coupon: alloy, bath, how far it has come, its own surface, and the pictures planned of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sorby.errors import InputError
from sorby.phantom.corrosion.course import (
    ALLOYS,
    TEMPERATURES_K,
    Alloy,
    Course,
    Unevenness,
    grade_limits,
)
from sorby.phantom.info_bars import Vendor

#: Width of the picture to which magnifications refer: horizontal field = this / magnification.
DISPLAY_WIDTH_UM = 127_000.0
#: Of the published pictures.
MAGNIFICATION = 500.0


@dataclass(frozen=True)
class Microscope:
    """What a scanning electron microscope makes of a surface.

    Attributes
    ----------
    name : str
    vendor : str
        Whose info bar it prints.
    brightness, contrast, gamma : float
        Grey level (0 to 1) of a flat place, deviation of slopes, exponent of the tone curve.
    noise : float
        Deviation of the detector's noise, as a part of full scale.
    smear : float
        How far the noise runs along the lines, 0 to 1.
    spot_px : float
        Blur by the beam's spot in pixels of a picture 450 pixels wide.
    """

    name: str
    vendor: Vendor
    brightness: float
    contrast: float
    gamma: float
    noise: float
    smear: float
    spot_px: float


#: The first is the published one; the others are what a second and a third laboratory might own.
MICROSCOPES: tuple[Microscope, ...] = (
    Microscope("JSM-6380L", "jeol", 0.44, 1.00, 1.00, 0.050, 0.30, 0.65),
    Microscope("SEM-B", "zeiss", 0.38, 1.25, 0.90, 0.032, 0.10, 0.45),
    Microscope("SEM-C", "hitachi", 0.50, 0.80, 1.10, 0.065, 0.50, 0.90),
)


@dataclass(frozen=True)
class Appearance:
    """What all pictures of a specimen share beside its grade.

    Attributes
    ----------
    grind_angle : float
        Direction of the grinding lines in radians; 0 runs across the picture.
    grind_um : float
        Spacing of the lines that are plainest.
    grind_depth : float
        How plainly they show; steel keeps them better than magnesium.
    cross_grind : float
        How plainly lines of the last but one grit show across them.
    grain_um : float
        Root of the mean grain area.
    pitting : float
        Part of the attack that goes into pits (316L: the rest follows grinding lines and grain boundaries; AZ31B:
        into nodules).
    pit_um : float
        Spacing of pits.
    groups : float
        How much pits keep together, 0 to 1.
    cloud_um : float
        Size of the largest clouds of product.
    tracks : float
        Share of the area that filiform tracks take before the film spreads.
    crack_um : float
        Spacing of mud cracks.
    film_um : float
        Thickness of a film that covers everything.
    charging : float
        How readily the product charges, 0 to 1.
    light : float
        Direction of the detector in radians.
    tone : float
        Addition to the instrument's brightness.
    contrast : float
        Factor on the instrument's contrast.
    shading : tuple of float
        Rise of brightness across and down a picture.
    """

    grind_angle: float
    grind_um: float
    grind_depth: float
    cross_grind: float
    grain_um: float
    pitting: float
    pit_um: float
    groups: float
    cloud_um: float
    tracks: float
    crack_um: float
    film_um: float
    charging: float
    light: float
    tone: float
    contrast: float
    shading: tuple[float, float]


@dataclass(frozen=True)
class FieldPlan:
    """One picture to be taken.

    Attributes
    ----------
    number : int
        Of the picture within the specimen, from 1.
    hours : float
        Of immersion when it is taken.
    magnification : float
    centre_um : tuple of float
        Place of its middle on the coupon, x to the right and y down.
    frame : int
        0 for a still; 1, 2, ... for the frames of a time-lapse sequence.
    drift_px : tuple of float
        How far the stage creeps, across and down, while the picture is scanned; in pixels of a picture 450 wide, as
        all that follows.
    jitter_px, mains_px : float
        Deviation of the lines' starts; amplitude of their swing at mains frequency.
    stretch : float
        Error of the scan's aspect: 0.01 is one per cent too wide.
    charging : float
        Factor on the specimen's charging.
    defocus_px, astigmatism : float
        Blur, and by how much it is wider along one diagonal, as a part.
    exposure, contrast : float
        Factors of this picture on the specimen's.
    seed : int
        Of noise and jitter.
    """

    number: int
    hours: float
    magnification: float = MAGNIFICATION
    centre_um: tuple[float, float] = (0.0, 0.0)
    frame: int = 0
    drift_px: tuple[float, float] = (0.0, 0.0)
    jitter_px: float = 0.0
    mains_px: float = 0.0
    stretch: float = 0.0
    charging: float = 1.0
    defocus_px: float = 0.0
    astigmatism: float = 0.0
    exposure: float = 1.0
    contrast: float = 1.0
    seed: int = 0

    @property
    def field_um(self) -> float:
        """Width of the field of view: 127 mm / magnification."""
        return DISPLAY_WIDTH_UM / self.magnification


@dataclass(frozen=True)
class CorrosionSpecimen:
    """A coupon after immersion; :func:`sorby.phantom.corrosion.render` takes its pictures.

    Attributes
    ----------
    name : str
        Such as ``corrosion-0007``.
    seed : int
        Of its surface: same seed, same surface at every time and magnification.
    alloy : {"316L", "AZ31B"}
    severity : int
        Grade it was drawn for, 0 to 4; a picture's own follows from its place and time.
    hours : float
        Of immersion until the coupon was taken out.
    course : Course
        Attack by place and time.
    appearance : Appearance
    microscope : Microscope
    views : tuple of FieldPlan
        Pictures of a set.
    """

    name: str
    seed: int
    alloy: Alloy
    severity: int
    hours: float
    course: Course
    appearance: Appearance
    microscope: Microscope
    views: tuple[FieldPlan, ...] = field(default=(), repr=False)

    @classmethod
    def draw(
        cls,
        seed: int,
        alloy: Alloy,
        *,
        severity: int | None = None,
        temperature_k: float | None = None,
        name: str = "",
        microscope: str | None = None,
        difficulty: float = 1.0,
        unevenness: float = 0.06,
    ) -> CorrosionSpecimen:
        """Draw a coupon.

        Parameters
        ----------
        seed : int
            Same seed, same coupon.
        alloy : {"316L", "AZ31B"}
        severity : int, optional
            Grade, 0 to 4, on the whole; drawn where None.
        temperature_k : float, optional
            Of the bath; one of 303, 313, 323 K where None. The hotter, the sooner the grade is reached.
        name : str, optional
            ``corrosion-<seed>`` where empty.
        microscope : str, optional
            Of :data:`MICROSCOPES`; drawn where None.
        difficulty : float
            0: coupons and pictures differ in their corrosion alone; 1 is usual.
        unevenness : float
            Deviation of the logarithm of the pace of attack over the coupon; a plate has 1 and more.

        Raises
        ------
        InputError
            The alloy, the grade or the microscope is unknown, or a number cannot be.
        """
        instrument = _checked(alloy, temperature_k, microscope, difficulty, unevenness)
        rng = np.random.default_rng([seed, 316, *alloy.encode()])
        grade = int(rng.integers(5)) if severity is None else severity
        low, high = grade_limits(grade)
        temperature = float(rng.choice(TEMPERATURES_K)) if temperature_k is None else float(temperature_k)
        course = Course(alloy, temperature, float(np.exp(rng.normal(0.0, 0.25))), Unevenness.draw(rng, unevenness))
        # Well within a grade; sound coupons have seen the medium too, if only for minutes.
        share = low + (high - low) * float(rng.uniform(0.08, 0.92))
        chosen = MICROSCOPES[int(rng.choice(len(MICROSCOPES), p=(0.6, 0.2, 0.2)))] if instrument is None else instrument
        return cls(
            name=name or f"corrosion-{seed:06d}",
            seed=seed,
            alloy=alloy,
            severity=grade,
            hours=course.hours_until(share),
            course=course,
            appearance=_draw_appearance(rng, alloy, difficulty),
            microscope=chosen,
        )

    def with_views(self, views: tuple[FieldPlan, ...]) -> CorrosionSpecimen:
        """Return the specimen with other pictures planned."""
        return replace(self, views=views)

    @property
    def temperature_k(self) -> float:
        """Of the bath."""
        return self.course.temperature_k


def _checked(
    alloy: Alloy, temperature_k: float | None, microscope: str | None, difficulty: float, unevenness: float
) -> Microscope | None:
    if alloy not in ALLOYS:
        raise InputError(f"alloy {alloy!r} is unknown", f"allowed: {', '.join(ALLOYS)}")
    if temperature_k is not None and not 273.0 <= temperature_k <= 373.0:
        raise InputError(f"a bath of {temperature_k:g} K is no aqueous medium", "give kelvin, 273 to 373")
    if not difficulty >= 0 or not unevenness >= 0:
        raise InputError(f"difficulty {difficulty:g}, unevenness {unevenness:g} cannot be", "give 0 or more")
    known: Mapping[str, Microscope] = {instrument.name: instrument for instrument in MICROSCOPES}
    if microscope is not None and microscope not in known:
        raise InputError(f"microscope {microscope!r} is unknown", f"allowed: {', '.join(known)}")
    return None if microscope is None else known[microscope]


def _draw_appearance(rng: np.random.Generator, alloy: Alloy, difficulty: float) -> Appearance:
    spread = min(difficulty, 2.0)

    def about(centre: float, relative: float) -> float:
        return float(centre * np.exp(rng.normal(0.0, relative * spread)))

    steel = alloy == "316L"
    return Appearance(
        grind_angle=float(rng.uniform(0.0, np.pi)),
        grind_um=about(5.0 if steel else 7.0, 0.25),
        grind_depth=about(1.6 if steel else 0.5, 0.3),
        cross_grind=float(rng.beta(0.6, 3.0)),
        grain_um=about(32.0 if steel else 18.0, 0.2),
        pitting=float(np.clip(rng.normal(0.45 if steel else 0.25, 0.13 * spread), 0.12, 0.75)),
        pit_um=about(15.0, 0.25),
        groups=float(rng.uniform(0.0, 0.8)),
        cloud_um=about(75.0, 0.3),
        tracks=float(rng.uniform(0.02, 0.07)),
        crack_um=about(24.0, 0.3),
        film_um=about(9.0, 0.25),
        charging=float(rng.beta(0.7, 6.0) if steel else rng.beta(1.6, 2.2)),
        light=float(rng.normal(-np.pi / 2, 0.4)),
        tone=float(rng.normal(0.0, 0.05 * spread)),
        contrast=about(1.0, 0.2),
        shading=(float(rng.normal(0.0, 0.05 * spread)), float(rng.normal(0.0, 0.05 * spread))),
    )

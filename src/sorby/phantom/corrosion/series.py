"""Which pictures are taken of a coupon, and which coupons make a set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sorby.errors import InputError
from sorby.phantom.corrosion.course import ALLOYS, SEVERITIES, TEMPERATURES_K, Alloy
from sorby.phantom.corrosion.specimen import MAGNIFICATION, CorrosionSpecimen, FieldPlan

#: Originals of the published study: fields of 316L and of AZ31B.
PUBLISHED_IMAGES = {"316L": 12, "AZ31B": 13}
#: Fields of a coupon lie within this distance of its middle in µm.
_REACH_UM = 1_200.0


def with_fields(
    specimen: CorrosionSpecimen,
    count: int = 4,
    *,
    magnifications: Sequence[float] = (MAGNIFICATION,),
    difficulty: float = 1.0,
) -> CorrosionSpecimen:
    """Return the specimen with *count* more stills planned: other places, focus, drift and exposure.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    count : int
    magnifications : sequence of float
        In turn.
    difficulty : float
        Scales every fault of the pictures; 0 for none.

    Raises
    ------
    InputError
        There is no magnification to take them at.
    """
    if not magnifications:
        raise InputError("no magnification to take pictures at", "give one or more, such as 500")
    first = len(specimen.views) + 1
    rng = np.random.default_rng([specimen.seed, 41, first])
    plans = tuple(
        _plan(rng, number, specimen.hours, float(magnifications[turn % len(magnifications)]), difficulty)
        for turn, number in enumerate(range(first, first + count))
    )
    return specimen.with_views(specimen.views + plans)


def with_sequence(
    specimen: CorrosionSpecimen,
    frames: int = 5,
    *,
    hours: float | None = None,
    magnification: float = MAGNIFICATION,
    wander_um: float = 0.0,
    difficulty: float = 1.0,
) -> CorrosionSpecimen:
    """Return the specimen with a time-lapse of one field planned after its other views.

    Frames lie evenly in time from before immersion to *hours*. Scan and focus keep their faults; noise and, where
    asked for, the stage's place do not.

    Parameters
    ----------
    specimen : CorrosionSpecimen
    frames : int
    hours : float, optional
        Of immersion at the last frame; all the specimen's where None.
    magnification : float
    wander_um : float
        Deviation of the field's place from frame to frame: what registration has to undo.
    difficulty : float
        See :func:`with_fields`.

    Raises
    ------
    InputError
        There are fewer than two frames.
    """
    if frames < 2:
        raise InputError(f"a sequence of {frames} frames does not show time", "ask for 2 or more")
    first = len(specimen.views) + 1
    rng = np.random.default_rng([specimen.seed, 42, first])
    held = _plan(rng, first, specimen.hours, magnification, difficulty)
    places = np.asarray(held.centre_um) + rng.normal(0.0, 1.0, (frames, 2)) * wander_um
    until = specimen.hours if hours is None else hours
    plans = tuple(
        FieldPlan(
            number=first + turn,
            hours=until * turn / (frames - 1),
            magnification=magnification,
            centre_um=(float(x), float(y)),
            frame=turn + 1,
            drift_px=held.drift_px,
            mains_px=held.mains_px,
            stretch=held.stretch,
            charging=held.charging,
            defocus_px=held.defocus_px,
            astigmatism=held.astigmatism,
            exposure=held.exposure,
            contrast=held.contrast,
            seed=held.seed,
        )
        for turn, (x, y) in enumerate(places)
    )
    return specimen.with_views(specimen.views + plans)


def corrosion_set(
    n: int,
    seed: int = 0,
    alloys: Sequence[Alloy] = ALLOYS,
    *,
    severities: Sequence[int] = SEVERITIES,
    images: int = 4,
    frames: int = 0,
    magnifications: Sequence[float] = (MAGNIFICATION,),
    difficulty: float = 1.0,
) -> list[CorrosionSpecimen]:
    """Draw coupons: alloys in turn, each with all grades in turn, grades and temperatures crossed at random.

    Parameters
    ----------
    n : int
        Number of coupons.
    seed : int
        Same seed, same set.
    alloys : sequence of {"316L", "AZ31B"}
    severities : sequence of int
        Grades, 0 to 4.
    images : int
        Stills of each.
    frames : int
        Frames of a time-lapse of each; 0 for none.
    magnifications : sequence of float
        Of the stills, in turn.
    difficulty : float
        0: coupons and pictures differ in their corrosion alone; 1 is usual.

    Returns
    -------
    list of CorrosionSpecimen
        Named ``corrosion-0001`` and so on, shuffled.

    Raises
    ------
    InputError
        A request cannot be met.
    """
    if n < 1 or images < 0 or images + frames < 1 or not alloys or not severities:
        raise InputError(
            f"{n} coupons of {len(alloys)} alloys and {len(severities)} grades, {images} stills and {frames} frames",
            "ask for one or more of each; stills or frames may be 0, not both",
        )
    rng = np.random.default_rng([seed, 318])
    states = np.random.SeedSequence([seed, 319]).generate_state(n)
    order = rng.permutation(n)
    temperatures = rng.permutation(np.resize(TEMPERATURES_K, n))
    # Few coupons shall not all be sound ones.
    grades = [severities[int(turn)] for turn in rng.permutation(len(severities))]
    specimens = []
    for number in range(n):
        place = int(order[number])
        specimen = CorrosionSpecimen.draw(
            int(states[number]),
            alloys[place % len(alloys)],
            severity=grades[place // len(alloys) % len(grades)],
            temperature_k=float(temperatures[number]),
            name=f"corrosion-{number + 1:04d}",
            difficulty=difficulty,
        )
        specimen = with_fields(specimen, images, magnifications=magnifications, difficulty=difficulty)
        specimens.append(with_sequence(specimen, frames, difficulty=difficulty) if frames else specimen)
    return specimens


def _plan(rng: np.random.Generator, number: int, hours: float, magnification: float, difficulty: float) -> FieldPlan:
    x, y = rng.uniform(-_REACH_UM, _REACH_UM, 2)
    drift, blur, tilt = rng.normal(0.0, 1.0, 2), abs(rng.normal()), rng.normal()
    jitter, mains, stretch = abs(rng.normal()), abs(rng.normal()), rng.normal()
    exposure, contrast, charging = rng.normal(0.0, 1.0, 3)
    return FieldPlan(
        number=number,
        hours=hours,
        magnification=magnification,
        centre_um=(float(x), float(y)),
        drift_px=(float(2.0 * difficulty * drift[0]), float(2.0 * difficulty * drift[1])),
        jitter_px=float(0.15 * difficulty * jitter),
        # Most rooms are quiet.
        mains_px=float(difficulty * max(0.0, mains - 1.2)),
        stretch=float(0.006 * difficulty * stretch),
        charging=float(np.exp(0.4 * charging)) if difficulty > 0 else 0.0,
        defocus_px=float(0.5 * difficulty * blur),
        astigmatism=float(0.3 * difficulty * tilt),
        exposure=float(np.exp(0.05 * difficulty * exposure)),
        contrast=float(np.exp(0.08 * difficulty * contrast)),
        seed=int(rng.integers(2**31)),
    )

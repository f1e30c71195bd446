"""Which pictures are taken of a specimen, and which specimens make a set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sorby.errors import InputError
from sorby.phantom.fracture.flaws import lenses
from sorby.phantom.fracture.specimen import (
    MAGNIFICATIONS,
    FractureSpecimen,
    Fragment,
    Label,
    ViewPlan,
    field_width_um,
)

#: Images of each cause in the published archive (material: 355 of 8,493; the others from its per-class figures).
PUBLISHED_IMAGES: Mapping[Label, int] = {"green_body": 3_730, "hard_machining": 4_408, "material": 355}
#: Fewer material specimens than this cannot be split into taught and tested ones.
FEWEST_SPECIMENS = 2
#: How many operators take a second picture of, at each magnification.
_AGAIN = {50: 0.3, 100: 0.2, 250: 0.25, 500: 0.35, 1000: 0.5, 2000: 0.45, 4000: 0.4, 10000: 0.4}


def fracture_set(
    n_specimens: int,
    seed: int = 0,
    *,
    difficulty: float = 1.0,
    unknown: float = 0.0,
    balance: Mapping[Label, float] = PUBLISHED_IMAGES,
) -> list[FractureSpecimen]:
    """Draw the specimens of an archive, each with its pictures planned.

    Parameters
    ----------
    n_specimens : int
        Specimens of known cause and unknown together.
    seed : int
        Same seed, same set.
    difficulty : float
        See :meth:`FractureSpecimen.draw`; 1 is calibrated on the published order of results.
    unknown : float
        Share of specimens whose origin broke away.
    balance : mapping
        Weight of each cause; as published by default, 12 machining specimens to one of material. There are at least
        two of each.

    Returns
    -------
    list of FractureSpecimen
        Named ``fracture-0001`` and so on, causes shuffled.

    Raises
    ------
    InputError
        There are too few specimens for two of each cause, or *unknown* is not a share.
    """
    if not 0 <= unknown < 1:
        raise InputError(f"unknown {unknown} is not a share", "give 0 or more, below 1")
    aside = round(unknown * n_specimens)
    labels = [label for label, count in _counts(n_specimens - aside, balance).items() for _ in range(count)]
    labels += ["unknown"] * aside
    rng = np.random.default_rng([seed, 1864])
    states = np.random.SeedSequence([seed, 1865]).generate_state(n_specimens)
    order = rng.permutation(n_specimens)
    return [
        with_planned_views(
            FractureSpecimen.draw(
                int(states[number]), labels[order[number]], name=f"fracture-{number + 1:04d}", difficulty=difficulty
            ),
            difficulty=difficulty,
        )
        for number in range(n_specimens)
    ]


def _counts(n: int, balance: Mapping[Label, float]) -> dict[Label, int]:
    """Return whole numbers of specimens near the weights, at least two each."""
    if n < FEWEST_SPECIMENS * len(balance):
        raise InputError(
            f"{n} specimens of {len(balance)} causes are too few",
            f"ask for {FEWEST_SPECIMENS * len(balance)} or more: each cause needs two",
        )
    total = sum(balance.values())
    exact = {label: weight / total * n for label, weight in balance.items()}
    counts = {label: max(FEWEST_SPECIMENS, int(share)) for label, share in exact.items()}
    while (missing := n - sum(counts.values())) != 0:
        step = 1 if missing > 0 else -1
        able = [label for label in counts if step > 0 or counts[label] > FEWEST_SPECIMENS]
        furthest = max(able, key=lambda label: (step * (exact[label] - counts[label]), label))
        counts[furthest] += step
    return counts


def with_planned_views(
    specimen: FractureSpecimen,
    *,
    difficulty: float = 1.0,
    magnifications: tuple[int, ...] = MAGNIFICATIONS,
) -> FractureSpecimen:
    """Return the specimen with its series planned: one picture at each magnification, some twice.

    Parameters
    ----------
    specimen : FractureSpecimen
    difficulty : float
        Scales how often the origin is missed, and focus and exposure.
    magnifications : tuple of int
    """
    rng = np.random.default_rng([specimen.seed, 1866])
    plans: list[ViewPlan] = []
    missed = False
    for magnification in magnifications:
        again = rng.random() < _AGAIN.get(magnification, 0.3)
        for _ in range(2 if again else 1):
            piece = _piece(specimen, rng, magnification)
            # An operator who lost the way at 500x does not find it at 1000x, as a rule.
            missed = bool(rng.random() < (0.75 if missed else 0.05) * min(difficulty, 1.5)) and magnification >= 250
            plans.append(
                ViewPlan(
                    number=len(plans) + 1,
                    magnification=float(magnification),
                    fragment=piece.name,
                    centre_um=_centre(specimen, piece, rng, magnification, missed),
                    defocus_px=float(abs(rng.normal(0.0, 0.3 * difficulty))),
                    exposure=float(np.exp(rng.normal(0.0, 0.025 * difficulty))),
                    contrast=float(np.exp(rng.normal(0.0, 0.05 * difficulty))),
                    seed=int(rng.integers(2**31)),
                )
            )
    return specimen.with_views(tuple(plans))


def _piece(specimen: FractureSpecimen, rng: np.random.Generator, magnification: int) -> Fragment:
    """Choose a fragment; one without the origin is looked at from afar only."""
    whole = [fragment for fragment in specimen.fragments if fragment.has_origin]
    others = [fragment for fragment in specimen.fragments if not fragment.has_origin]
    if others and magnification <= 250 and rng.random() < 0.1:
        return others[0]
    return whole[int(rng.random() < 0.35) % len(whole)]


def _centre(
    specimen: FractureSpecimen, piece: Fragment, rng: np.random.Generator, magnification: int, missed: bool
) -> tuple[float, float]:
    """Return where the middle of a picture lies, in µm against the origin."""
    field = field_width_um(magnification)
    if not piece.has_origin:
        away = abs(piece.cut_um) + 0.3 * field
        # The piece lies beyond the cut, on the side to which the cut's angle does not point.
        angle = piece.cut_angle + np.pi
        return float(away * np.cos(angle)), float(away * np.sin(angle) - 0.1 * field)
    if missed:
        angle = rng.uniform(np.pi * 1.05, np.pi * 1.95)  # into the material, not over its edge
        away = field * rng.uniform(0.75, 1.3) + 1.5 * specimen.flaw.size_um
        return float(away * np.cos(angle)), float(away * np.sin(angle))
    x, y = rng.normal(0.0, 0.07 * field, 2)
    if magnification >= 2000:
        # Closer than the flaw is wide, operators look about in it.
        lens = lenses(specimen)[int(rng.integers(len(lenses(specimen))))]
        reach, angle = np.sqrt(rng.random()) * 0.8, rng.uniform(0, 2 * np.pi)
        along, across = reach * lens.a_um * np.cos(angle), reach * lens.b_um * np.sin(angle)
        x += lens.x_um + along * np.cos(lens.angle) - across * np.sin(lens.angle)
        y += lens.y_um + along * np.sin(lens.angle) + across * np.cos(lens.angle)
        if specimen.flaw.depth_um == 0:
            y = min(y, 0.25 * field)
    # The rest of the picture goes to what lies inwards of the origin.
    return float(x), float(y - 0.12 * field if magnification <= 250 else y)

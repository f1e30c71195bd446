"""Which images of a box detector's test a reader should see: successes, each kind of mistake, disputed places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_errors import (
    BACKGROUND,
    BOTH,
    DUPLICATE,
    FOUND,
    HIT,
    IGNORED,
    MISNAMED,
    MISPLACED,
    MISSED,
    UNSURE,
    DetectionErrors,
    ImageListing,
    ambiguous_places,
    listings,
)
from sorby.micrograph import Pixels
from sorby.report.detection_pictures import Line, Mark, boxed, window_about
from sorby.report.page import drawing

Kind = Literal[
    "right", "missed", "unsure", "double", "misnamed", "duplicate", "misplaced", "both", "invented", "ambiguous"
]
Box = tuple[float, float, float, float]
Entry = tuple[float, int, Box, str]
"""How telling a case is (small is more), its image, what it is about, what happened."""

#: Title of each group and what it shows, in the order of the page.
GROUPS: dict[Kind, tuple[str, str]] = {
    "right": ("Found", "All boxes found and nothing else reported; of middling surety, not the best."),
    "missed": (
        "Missed",
        "Nothing reported points at the box, and nothing below the score meets it. The largest first.",
    ),
    "unsure": ("Low confidence", "Found, but with a score below the one in use. A lower one would report these."),
    "double": ("Two classes on one defect", "Named right and, on the same place, wrong as well."),
    "misnamed": ("Class confusion", "The box fits, the name does not. The surest first."),
    "duplicate": ("Duplicate", "A defect reported a second time. The surest first."),
    "misplaced": ("Localisation", "Right name, but less than half overlap with the defect. The surest first."),
    "both": ("Wrong name, poor box", "A finding of another class that overlaps a defect by less than half."),
    "invented": ("False alarm", "Nothing is annotated there. Good images first, the surest first."),
    "ambiguous": ("Two true names on one place", "Annotated twice by different classes: no answer is right by both."),
}
_WRONG = {DUPLICATE: "duplicate", MISPLACED: "misplaced", BOTH: "both", BACKGROUND: "invented"}


@dataclass(frozen=True, eq=False)
class Case:
    """One picture of the gallery.

    Attributes
    ----------
    kind : str
        A key of `GROUPS`.
    image : int
    focus : tuple of float or None
        What it is about: left, top, right, bottom in pixels.
    words : str
        What happened, in words.
    truth, found : tuple of Mark
        Boxes of the two pictures side by side.
    """

    kind: Kind
    image: int
    focus: Box | None
    words: str
    truth: tuple[Mark, ...]
    found: tuple[Mark, ...]


@dataclass(frozen=True)
class Shown:
    """A case as the page shows it.

    Attributes
    ----------
    name, words, part : str
        File, what happened, which part of the image.
    truth, found : Markup or None
        None where the image cannot be read.
    missing : str
        Why there is no picture.
    """

    name: str
    words: str
    part: str
    truth: Markup | None
    found: Markup | None
    missing: str = ""


def choose_cases(
    errors: DetectionErrors, truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], most: int = 4
) -> dict[Kind, list[Case]]:
    """Choose images that show what the detector does well and badly.

    Parameters
    ----------
    errors : DetectionErrors
    truth, found : sequences of TrueBoxes and FoundBoxes
        As given to it.
    most : int
        Pictures of a kind, of different images where there are enough.

    References
    ----------
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), figures 10 and 11.
    """
    each = listings(errors)
    ranked: dict[Kind, list[Entry]] = {kind: [] for kind in GROUPS}
    for listing, on_it, seen in zip(each, truth, found, strict=True):
        for kind, entries in _of_image(listing, on_it, seen, errors).items():
            ranked[kind] += entries
    for image, i, j in ambiguous_places(truth):
        names = [errors.classes[int(truth[image].labels[k])] for k in (i, j)]
        boxes = truth[image].boxes[[i, j]]
        hull = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
        called = _called(each[image], found[image], errors, (i, j))
        ranked["ambiguous"].append((0.0, image, hull, f"annotated {names[0]} and {names[1]}; {called}"))
    chosen = {
        kind: [
            Case(kind, image, focus, words, *_marks(each[image], truth[image], found[image], errors, focus))
            for _, image, focus, words in _of_different_images(entries, most)
        ]
        for kind, entries in ranked.items()
    }
    chosen["right"] = _successes(each, truth, found, errors, most)
    return {kind: cases for kind, cases in chosen.items() if cases}


def show_cases(
    cases: dict[Kind, list[Case]], read: Callable[[int], Pixels | None], names: Sequence[str]
) -> dict[Kind, list[Shown]]:
    """Draw the chosen cases, truth beside findings.

    Parameters
    ----------
    cases : dict
    read : callable
        Gives the pixels of an image by its number, or None where it cannot be read.
    names : sequence of str
        File of each image.
    """
    return {kind: [_shown(case, read(case.image), names[case.image]) for case in of_kind]
            for kind, of_kind in cases.items()}  # fmt: skip


def _of_image(
    listing: ImageListing, truth: TrueBoxes, found: FoundBoxes, errors: DetectionErrors
) -> dict[Kind, list[Entry]]:
    """Return what could be shown of one image, with how telling it is (small is more)."""
    names, image = errors.classes, listing.image
    entries: dict[Kind, list[Entry]] = {}
    good = not len(truth)
    for place, (which, kind) in enumerate(zip(listing.found.tolist(), listing.kinds.tolist(), strict=True)):
        if kind in (HIT, IGNORED):
            continue
        name, score = names[int(found.labels[which])], float(found.scores[which])
        target, part = int(listing.target[place]), f"overlap {listing.overlap[place]:.2f}"
        true_name = names[int(truth.labels[target])] if target >= 0 else ""
        group: Kind
        if kind == MISNAMED and listing.doubled[place]:
            group = "double"
            words = f"{true_name}, called {true_name} {listing.best_score[target]:.2f} and {name} {score:.2f}"
        elif kind == MISNAMED:
            group, words = "misnamed", f"{true_name}, called {name} {score:.2f}; {part}"
        else:
            group = _WRONG[kind]  # type: ignore[assignment]
            words = {
                "duplicate": f"{name} reported again with {score:.2f}; {part}",
                "misplaced": f"{name} {score:.2f} beside the defect; {part}",
                "both": f"{name} {score:.2f} where {true_name} is annotated; {part}",
                "invented": f"{name} {score:.2f} on {'a good image' if good else 'nothing annotated'}",
            }[group]
        telling = -score - (1.0 if good else 0.0)
        entries.setdefault(group, []).append((telling, image, _box(found.boxes[which]), words))
    for which, state in enumerate(listing.truth_kinds.tolist()):
        name, box = names[int(truth.labels[which])], _box(truth.boxes[which])
        if state == MISSED:
            size = (box[2] - box[0]) * (box[3] - box[1])
            wide, high = (round(box[k + 2] - box[k]) for k in (0, 1))
            entries.setdefault("missed", []).append((-size, image, box, f"{name} of {wide} × {high} px, missed"))
        elif state == UNSURE:
            score = float(listing.best_score[which])
            words = f"{name} found with {score:.2f}, below {errors.score:.2f}"
            entries.setdefault("unsure", []).append((-score, image, box, words))
    return entries


def _of_different_images(entries: list[Entry], most: int) -> list[Entry]:
    """Return the most telling ones, a second of an image only where there are too few."""
    ranked = sorted(entries, key=lambda entry: entry[:2])
    seen: set[int] = set()
    first: list[Entry] = []
    again: list[Entry] = []
    for entry in ranked:
        (again if entry[1] in seen else first).append(entry)
        seen.add(entry[1])
    return (first + again)[:most]


def _successes(
    each: Sequence[ImageListing], truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], errors: DetectionErrors,
    most: int,
) -> list[Case]:  # fmt: skip
    """Return images without a mistake, spread from the least sure to the surest."""
    clean = [one for one in each if (one.truth_kinds == FOUND).any() and np.isin(one.kinds, (HIT, IGNORED)).all()
             and not np.isin(one.truth_kinds, (MISSED, UNSURE)).any()]  # fmt: skip
    clean.sort(key=lambda one: float(np.nanmin(one.best_score)))
    picks = np.unique(np.linspace(0, len(clean) - 1, min(most, len(clean)) + 2).round().astype(int)[1:-1])
    cases = []
    for one in (clean[k] for k in (picks if len(clean) > 2 else range(len(clean)))):
        k = int(np.nanargmin(one.best_score))
        focus = _box(truth[one.image].boxes[k])
        n, least = int((one.truth_kinds == FOUND).sum()), float(one.best_score[k])
        words = f"{n} of {n} found, the least sure with {least:.2f}" if n > 1 else f"found with {least:.2f}"
        marks = _marks(one, truth[one.image], found[one.image], errors, focus)
        cases.append(Case("right", one.image, focus, words, *marks))
    return cases


def _called(listing: ImageListing, found: FoundBoxes, errors: DetectionErrors, boxes: tuple[int, int]) -> str:
    """Say what was reported on two true boxes."""
    there = np.isin(listing.target, boxes)
    said = [f"{errors.classes[int(found.labels[k])]} {found.scores[k]:.2f}" for k in listing.found[there].tolist()]
    return f"called {' and '.join(said)}" if said else "nothing reported"


def _marks(
    listing: ImageListing, truth: TrueBoxes, found: FoundBoxes, errors: DetectionErrors, focus: Box
) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    """Return the boxes of the two pictures; what the case is about comes first, so that it keeps its words."""
    names = errors.classes
    of_truth = [
        Mark(_box(box), "ignored" if ignored else "true", names[int(code)])
        for box, code, ignored in zip(truth.boxes, truth.labels, truth.flags, strict=True)
    ]
    of_found = [
        Mark(_box(found.boxes[k]), _line(kind), f"{names[int(found.labels[k])]} {found.scores[k]:.2f}")
        for k, kind in zip(listing.found.tolist(), listing.kinds.tolist(), strict=True)
    ]
    for which in np.flatnonzero(listing.truth_kinds == UNSURE).tolist():
        k = int(listing.met_by[which])
        words = f"({names[int(found.labels[k])]} {found.scores[k]:.2f})"
        of_found.append(Mark(_box(found.boxes[k]), "found", words))
    for marks in (of_truth, of_found):
        marks.sort(key=lambda mark: _apart(mark.box, focus))
    return tuple(of_truth), tuple(of_found)


def _line(kind: int) -> Line:
    return "found" if kind == HIT else "ignored" if kind == IGNORED else "wrong"


def _apart(one: Box, other: Box) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _box(values: npt.NDArray[Any]) -> Box:
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom


def _shown(case: Case, pixels: Pixels | None, name: str) -> Shown:
    if pixels is None:
        return Shown(name, case.words, "", None, None, "the image cannot be read")
    window = window_about(pixels.shape, case.focus)
    truth = boxed(pixels, case.truth, f"True boxes on {name}", window)
    found = boxed(pixels, case.found, f"Findings on {name}: {case.words}", window)
    return Shown(name, case.words, window.said(), drawing(truth), drawing(found))

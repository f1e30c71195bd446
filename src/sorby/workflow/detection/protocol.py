"""The published few-shot protocol: the same images, another draw of examples each time, several ways of teaching.

Yan et al. (2023, section 2.2) teach a predictor behind frozen stages on 5 or 10 images a class, test it on all others
and on images without defects, and repeat this 30 times. What frozen stages make of an image does not depend on the
draw, so it is computed once, and a repeat costs the teaching of one layer. All ways of teaching see the same draws:
their differences are paired.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.backbone.runtime import Device
from sorby.detect.detector import Detector
from sorby.detect.pictures import Example, fit
from sorby.detect.teaching import teach, teach_few
from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_metrics import DetectionScores, detection_scores
from sorby.evidence.repeat_intervals import RepeatInterval, each_over_repeats, over_repeats
from sorby.micrograph import Pixels
from sorby.progress import bar
from sorby.workflow.detection.labelled import LabelledImages, micrographs
from sorby.workflow.detection.protocol_arms import Arm, Frozen, Shelf, only_of
from sorby.workflow.detection.published_crops import published_division

PAIRED = ("ap", "ap50", "ap75", "merged_ap50")
"""Figures whose differences between arms are given."""

_BOX_FREE = ("centre_recall", "centre_precision", "area_covered")
_AT_BEST_F1 = ("recall", "false_per_image", "images_caught", "images_silent", *_BOX_FREE)

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class FewShotSettings:
    """How often and with what seeds.

    Attributes
    ----------
    repeats : int
        Draws of examples; 30 as published.
    seed : int
        Of the first draw; the others follow.
    resamples : int
        Of the images of the first draw, for an interval that a single test set has; 0 for none.
    """

    repeats: int = 30
    seed: int = 0
    resamples: int = 1000


@dataclass(frozen=True, eq=False)
class Repeat:
    """One draw, taught and tested.

    Attributes
    ----------
    seed : int
    teaching, testing : ndarray of int
        Rows of the images.
    figures : mapping of str to float
        ``ap``, ``ap50``, ``ap75``, ``ar`` by COCO; ``voc07_ap``, ``voc07_ap50`` by Pascal VOC's 11 points; ``merged_``:
        with all classes taken as one; ``CLASS:`` the same of each class; at the score of best F1 ``recall``,
        ``false_per_image``, ``images_caught``, ``images_silent`` and the forms without boxes ``centre_recall``,
        ``centre_precision``, ``area_covered``. NaN where a figure is not defined.
    found : list of FoundBoxes
        On each image of *testing*.
    seconds : float
        Teaching and finding.
    """

    seed: int
    teaching: Rows
    testing: Rows
    figures: dict[str, float]
    found: list[FoundBoxes]
    seconds: float


@dataclass(frozen=True, eq=False)
class ArmResult:
    """All repeats of one way of teaching.

    Attributes
    ----------
    arm : Arm
    classes : tuple of str
        That it was taught; fewer than the images' where it takes several as one.
    repeats : list of Repeat
    over : mapping of str to RepeatInterval
        Every figure over the repeats.
    resampled : DetectionScores or None
        Of the first repeat, with intervals by drawing its test images anew.
    detector : Detector
        Of the first repeat.
    """

    arm: Arm
    classes: tuple[str, ...]
    repeats: list[Repeat]
    over: dict[str, RepeatInterval]
    resampled: DetectionScores | None
    detector: Detector

    def median_repeat(self) -> Repeat:
        """Return the repeat in the middle by AP50: one to look at that is neither lucky nor unlucky."""
        order = sorted(self.repeats, key=lambda each: (each.figures["ap50"], each.seed))
        return order[(len(order) - 1) // 2]

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        resampled = None if self.resampled is None else self.resampled.as_dict(curves=False)
        return {
            "arm": self.arm.name,
            "title": self.arm.title,
            "recipe": self.arm.recipe.model_dump(mode="json"),
            "classes": list(self.classes),
            "repeats": len(self.repeats),
            "seconds_a_repeat": float(np.median([each.seconds for each in self.repeats])),
            "figures": {name: each.as_dict() for name, each in self.over.items()},
            "first_repeat": None if resampled is None else {name: resampled[name] for name in ("ap", "ap50", "ap75")},
        }


@dataclass(frozen=True, eq=False)
class FewShotResult:
    """A protocol carried out.

    Attributes
    ----------
    name : str
    images : LabelledImages
    pixels : list of ndarray
        Of each image, as read.
    shots : int
        Images a class.
    settings : FewShotSettings
    arms : list of ArmResult
        The first is what the others are compared with.
    paired : mapping of str to mapping of str to RepeatInterval
        By arm and figure: the arm less the first one, over the draws that both had.
    seconds_describing : float
        What the frozen stages took, once for all draws.
    """

    name: str
    images: LabelledImages
    pixels: list[Pixels]
    shots: int
    settings: FewShotSettings
    arms: list[ArmResult]
    paired: dict[str, dict[str, RepeatInterval]]
    seconds_describing: float
    warnings: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, list[int]]:
        """Return least and most images of a draw: taught, tested with and without a box, tested of each class."""
        repeats = self.arms[0].repeats
        shown = [{int(label) for label in each.labels[~each.flags]} for each in self.images.truth]
        found: dict[str, list[int]] = {
            "taught": [len(each.teaching) for each in repeats],
            "tested": [len(each.testing) for each in repeats],
            "tested without a defect": [sum(not shown[row] for row in each.testing) for each in repeats],
        }
        for label, name in enumerate(self.images.classes):
            found[f"tested with {name}"] = [sum(label in shown[row] for row in each.testing) for each in repeats]
        return {name: sorted({min(values), max(values)}) for name, values in found.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            "protocol": self.name,
            "shots": self.shots,
            "classes": list(self.images.classes),
            "images": len(self.images),
            "boxes": self.images.boxes_of(),
            "counts": self.counts(),
            "arms": [each.as_dict() for each in self.arms],
            "paired_with": self.arms[0].arm.name,
            "paired": {
                arm: {name: each.as_dict() for name, each in found.items()} for arm, found in self.paired.items()
            },
            "seconds_describing": self.seconds_describing,
            "warnings": self.warnings,
        }


def run_few_shot(
    name: str,
    images: LabelledImages,
    shots: int,
    arms: Sequence[Arm],
    settings: FewShotSettings | None = None,
    *,
    device: Device = "auto",
    shelf: Shelf | None = None,
) -> FewShotResult:
    """Carry out the protocol.

    Parameters
    ----------
    name : str
        Of the protocol, for the page.
    images : LabelledImages
        Of `sorby.workflow.detection.published_crops`; none of its images is unreadable.
    shots : int
        Images a class that teach.
    arms : sequence of Arm
    settings : FewShotSettings, optional
    device : {"auto", "cpu", "cuda"}
    shelf : Shelf, optional
        What frozen stages made of these very images before, as another number of shots needs the same.

    Raises
    ------
    InputError
        No arm, an image cannot be read, or the shots leave nothing to test.
    """
    settings = settings or FewShotSettings()
    if not arms:
        raise InputError("no way of teaching to try", "give at least one arm")
    shelf = shelf if shelf is not None else Shelf(read_all(images), images.truth, device)
    draws = [
        (seed, *published_division(images.corpus, shots, seed))
        for seed in range(settings.seed, settings.seed + settings.repeats)
    ]
    started = time.perf_counter()
    ready = [shelf.frozen(arm, images.classes) if arm.frozen else None for arm in arms]
    described = time.perf_counter() - started
    results = []
    for arm, stages in zip(arms, ready, strict=True):
        few = draws if arm.repeats is None else draws[: arm.repeats]
        results.append(_arm(arm, stages, images, shelf, few, settings, device))
    return FewShotResult(name, images, shelf.pixels, shots, settings, results, paired_with_first(results), described)


def read_all(images: LabelledImages) -> list[Pixels]:
    """Read every image.

    Raises
    ------
    InputError
        One cannot be read: draws would not be the published ones.
    """
    bad = list(images.quarantined)
    pixels = [each.pixels for _, each in micrographs(images, bad)]
    if bad:
        raise InputError(f"{bad[0].file}: {bad[0].reason}", "the protocol needs every image; build the corpus again")
    return pixels


def _arm(
    arm: Arm,
    stages: Frozen | None,
    images: LabelledImages,
    shelf: Shelf,
    draws: Sequence[tuple[int, Rows, Rows]],
    settings: FewShotSettings,
    device: Device,
) -> ArmResult:
    classes, truth = arm.taught(images.classes, images.truth)
    repeats: list[Repeat] = []
    first: tuple[Detector, DetectionScores] | None = None
    with bar(arm.name, len(draws)) as advance:
        for seed, teaching, testing in draws:
            started = time.perf_counter()
            if stages is not None:
                detector, found = _behind_frozen(arm, stages, classes, teaching, testing, seed)
            else:
                detector, found = _by_gradients(arm, classes, truth, shelf, teaching, testing, seed, device)
            seconds = time.perf_counter() - started
            of_test = [truth[row] for row in testing]
            resamples = settings.resamples if first is None else 0
            scores = detection_scores(of_test, found, classes, resamples=resamples, seed=seed)
            repeats.append(Repeat(seed, teaching, testing, figures_of(scores), found, seconds))
            first = first or (detector, scores)
            advance(1)
    assert first is not None
    over = each_over_repeats([each.figures for each in repeats])
    return ArmResult(arm, classes, repeats, over, first[1] if settings.resamples else None, first[0])


def _behind_frozen(
    arm: Arm, stages: Frozen, classes: tuple[str, ...], teaching: Rows, testing: Rows, seed: int
) -> tuple[Detector, list[FoundBoxes]]:
    """Teach one layer on what is described already, and find on what is described already."""
    if arm.examples:
        lessons = [stages.lessons[int(row)] for row in teaching]
        detector = teach_few(stages.base, arm.recipe, classes, lessons, seed=seed)
    else:
        detector = stages.base
    chosen = [detector.found(stages.described[row], stages.fitted[row]) for row in testing]
    return detector, [only_of(each, detector.classes, classes) for each in chosen]


def _by_gradients(
    arm: Arm,
    classes: tuple[str, ...],
    truth: Sequence[TrueBoxes],
    shelf: Shelf,
    teaching: Rows,
    testing: Rows,
    seed: int,
    device: Device,
) -> tuple[Detector, list[FoundBoxes]]:
    """Teach all that is not frozen on the drawn images."""
    examples = []
    for row in teaching:
        fitted = fit(shelf.pixels[row], arm.recipe.image)
        boxes = TrueBoxes(fitted.to_input(truth[row].boxes), truth[row].labels, truth[row].flags)
        examples.append(Example(fitted.pixels, boxes))
    detector = teach(arm.recipe, classes, examples, base=arm.base, seed=seed, device=device)
    return detector, list(detector.detect((shelf.pixels[row] for row in testing), device=device, score=0.0))


def figures_of(scores: DetectionScores) -> dict[str, float]:
    """Return the figures of a repeat by name, see `Repeat`."""
    found = {name: each.value for name, each in scores.figures.items()}
    found |= {name: scores.voc[name].value for name in ("voc07_ap", "voc07_ap50")}
    found |= {f"merged_{name}": scores.merged[name].value for name in ("ap", "ap50", "ap75")}
    for of_class, each in scores.per_class.items():
        found |= {f"{of_class}:{name}": each[name].value for name in ("ap", "ap50", "ap75")}
        found |= {f"{of_class}:{name}": scores.voc_per_class[of_class][name] for name in ("voc07_ap", "voc07_ap50")}
    best = scores.best_f1
    return found | {name: np.nan if best is None else best.figures[name].value for name in _AT_BEST_F1}


def paired_with_first(results: Sequence[ArmResult]) -> dict[str, dict[str, RepeatInterval]]:
    """Return each further arm less the first, over the draws that both had.

    Where an arm takes classes as one, only figures of merged classes mean the same in both.
    """
    first = results[0]
    by_seed: Mapping[int, Repeat] = {each.seed: each for each in first.repeats}
    found = {}
    for other in results[1:]:
        names = PAIRED if other.classes == first.classes else PAIRED[-1:]
        pairs = [(each.figures, by_seed[each.seed].figures) for each in other.repeats if each.seed in by_seed]
        found[other.arm.name] = {name: over_repeats([mine[name] - its[name] for mine, its in pairs]) for name in names}
    return found

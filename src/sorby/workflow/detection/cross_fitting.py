"""Few images that both teach and judge: every image is judged by a predictor that has not seen its specimen.

Frozen stages see each image once. What they make of it is kept, so that a fold costs the teaching of one predictor.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from sorby.backbone.runtime import Device
from sorby.corpus.splits import kfold
from sorby.detect.described import DescribedImage, Lessons, describe_images, lessons_of
from sorby.detect.detector import Detector, pieces_of
from sorby.detect.pictures import Fitted, viewed_pixels
from sorby.detect.recipe import DetectRecipe
from sorby.detect.teaching import examples_of, teach_few
from sorby.detect.tiles import TileBoxes
from sorby.errors import InputError, Quarantined, SorbyWarning
from sorby.evidence.boxes import FoundBoxes
from sorby.micrograph import Pixels
from sorby.progress import bar
from sorby.workflow.detection.labelled import LabelledImages, micrographs

Folds = npt.NDArray[np.intp]

FOLDS = 5
LEAST = 3
"""Specimens (or images) from which on anything is cross-fitted: of two, each would be judged by one alone."""


@dataclass(frozen=True, eq=False)
class SeenImage:
    """What frozen stages make of one image.

    Attributes
    ----------
    lessons : Lessons
        To teach from.
    pieces : list of list of DescribedImage
        To judge, the image itself or its tiles, each in as many views as the recipe looks at.
    fitted : list of Fitted
        How the pieces came about; without their pixels.
    tiles : ndarray
        Where they lie.
    size : (int, int)
        Height and width of the image.
    """

    lessons: Lessons
    pieces: list[list[DescribedImage]]
    fitted: list[Fitted]
    tiles: TileBoxes
    size: tuple[int, int]


def see(
    stages: Detector, images: LabelledImages, recipe: DetectRecipe, *, seed: int, device: Device
) -> tuple[list[int], list[SeenImage], list[Quarantined]]:
    """Run the frozen stages on every image, once.

    Parameters
    ----------
    stages : Detector
        As `sorby.detect.teaching.behind` returns it.
    images : LabelledImages
    recipe : DetectRecipe
    seed : int
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    rows : list of int
        The images that could be read.
    seen : list of SeenImage
    quarantined : list of Quarantined
    """
    rows: list[int] = []
    seen: list[SeenImage] = []
    quarantined: list[Quarantined] = []
    with bar("looking", len(images)) as advance:
        for row, micrograph in micrographs(images, quarantined):
            rows.append(row)
            seen.append(_see(stages, micrograph.pixels, images, row, recipe, seed + row, device))
            advance(1)
    if not rows:
        raise InputError(f"no image could be read ({quarantined[0].reason})", "check the files")
    return rows, seen, quarantined


def _see(
    stages: Detector, pixels: Pixels, images: LabelledImages, row: int, recipe: DetectRecipe, seed: int, device: Device
) -> SeenImage:
    runner = stages.runner(device)
    (examples,) = examples_of([pixels], [images.truth[row]], recipe, seed=seed)
    lessons = Lessons.joined(lessons_of(runner, examples, len(images.classes), recipe.few_shot, seed=seed))
    fitted, tiles = pieces_of(pixels, recipe)
    views = range(recipe.output.views)
    described = describe_images(runner, (viewed_pixels(each.pixels, view) for each in fitted for view in views))
    pieces = [[next(described) for _ in views] for _ in fitted]
    bare = [replace(each, pixels=each.pixels[:0].copy()) for each in fitted]
    return SeenImage(lessons, pieces, bare, tiles, (pixels.shape[0], pixels.shape[1]))


def found_on(detector: Detector, seen: SeenImage) -> FoundBoxes:
    """Return everything that a detector behind the same stages finds on an image, whatever its score."""
    parts = [detector.found_in_views(piece, fitted) for piece, fitted in zip(seen.pieces, seen.fitted, strict=True)]
    return detector.joined(parts, seen.tiles, seen.size)


def folds_of(images: LabelledImages, *, seed: int, most: int = FOLDS) -> Folds | None:
    """Return the fold of every image, specimens whole and classes in proportion; None where there are too few."""
    count = len(np.unique(images.specimens))
    if count < LEAST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SorbyWarning)  # it speaks of strata; `never_found` says what matters
        folds: Folds = kfold(images.strata, min(most, count), groups=images.groups, seed=seed)
    return folds


def never_found(images: LabelledImages, folds: Folds) -> list[str]:
    """Say of which classes all boxes lie in one fold, so that the predictor that judges them has never seen them."""
    lone = []
    for k, name in enumerate(images.classes):
        there = {int(fold) for fold, each in zip(folds, images.truth, strict=True) if (each.labels == k).any()}
        lone += [name] if len(there) == 1 else []
    if not lone:
        return []
    what, one = ("specimen", "specimens") if images.named else ("image", "images")
    return [
        f"too few {one} show {', '.join(lone)}: whoever judges them has never seen them, so that they count as missed;"
        f" label a second {what}"
    ]


def out_of_fold(
    stages: Detector,
    recipe: DetectRecipe,
    classes: Sequence[str],
    seen: Sequence[SeenImage],
    folds: Folds,
    *,
    seed: int,
) -> Iterator[tuple[int, FoundBoxes]]:
    """Yield number of every image and what is found on it by the predictor of its fold.

    A class whose boxes all lie in one fold cannot be found there: its predictor has never seen it.
    """
    for fold in range(int(folds.max()) + 1):
        teaching = [seen[k].lessons for k in np.flatnonzero(folds != fold).tolist()]
        judge, known = _taught(stages, recipe, classes, teaching, seed)
        for k in np.flatnonzero(folds == fold).tolist():
            if judge is None:
                yield k, FoundBoxes()
                continue
            found = found_on(judge, seen[k])
            if recipe.few_shot.classes == "all":
                found = found.of(found.labels < len(known))
            yield k, FoundBoxes(found.boxes, known[found.labels], found.scores)


def _taught(
    stages: Detector, recipe: DetectRecipe, classes: Sequence[str], lessons: Sequence[Lessons], seed: int
) -> tuple[Detector | None, npt.NDArray[np.intp]]:
    """Teach the classes that the lessons show; return also which of all classes these are."""
    together = Lessons.joined(lessons)
    counts = torch.bincount(together.labels, minlength=len(classes) + 1)[: len(classes)].numpy()
    known = np.flatnonzero(counts).astype(np.intp)
    if not len(known):
        return None, known
    number = np.full(len(classes) + 1, len(known), np.int64)
    number[known] = np.arange(len(known))
    labels = torch.from_numpy(number)[together.labels]
    renamed = Lessons(together.described, labels, together.offsets)
    return teach_few(stages, recipe, [classes[k] for k in known.tolist()], [renamed], seed=seed), known

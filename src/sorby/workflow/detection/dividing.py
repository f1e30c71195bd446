"""Which labelled images teach a detector, set its threshold, judge it: specimens whole, never on two sides unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sorby.corpus import Corpus
from sorby.corpus.splits import holdout
from sorby.detect.recipe import DetectRecipe
from sorby.detect.shots import k_shot
from sorby.errors import InputError
from sorby.workflow.detection.labelled import LabelledImages, labelled_images

_HELD_OUT = 0.2
_LEAST_HELD_OUT = 5  # specimens from which on a share of them is held out


@dataclass(frozen=True, eq=False)
class Division:
    """Which images teach, set the threshold, judge.

    Attributes
    ----------
    teaching : LabelledImages
    tuning, testing : LabelledImages or None
    protocol : str
        Of the testing images.
    """

    teaching: LabelledImages
    tuning: LabelledImages | None
    testing: LabelledImages | None
    protocol: str


def divide(
    images: LabelledImages,
    recipe: DetectRecipe,
    *,
    val: Path | str | Corpus | None = None,
    test: Path | str | Corpus | None = None,
    shots: int | None = None,
    by: Literal["boxes", "images"] = "boxes",
) -> Division:
    """Say which images teach, which set the threshold and which judge, see `train_detector`.

    Raises
    ------
    InputError
        Nothing is left to teach from, or a class has fewer than *shots*.
    """
    judges = images.parts == "test"
    tunes = images.parts == "val"
    testing = images.take(judges) if judges.any() else None
    tuning = images.take(tunes) if tunes.any() else None
    protocol = "test split"
    if test is not None:
        testing, protocol = labelled_images(test, known=images.classes, merge=recipe.box.merge), "test data"
    if val is not None:
        tuning = labelled_images(val, known=images.classes, merge=recipe.box.merge)
    teaching = images.take(~judges & ~tunes)
    if not len(teaching) or not teaching.n_boxes():
        raise InputError("no image with a box is left to teach from", "the split gives all of them to val or test")
    if shots is not None:
        drawn = k_shot(teaching.truth, images.classes, shots, seed=recipe.seed, by=by)
        rows = np.array(sorted(drawn), np.intp)
        rest = teaching.take(~np.isin(teaching.specimens, teaching.specimens[rows]))
        teaching = teaching.take(rows).with_truth([drawn[row] for row in rows.tolist()])
        if testing is None and rest.n_boxes():
            testing, protocol = rest, f"images of which none was drawn for the {shots} {by} a class"
    if recipe.teaching.all_frozen or tuning is not None:
        return Division(teaching, tuning, testing, protocol)
    if len(np.unique(teaching.specimens)) < _LEAST_HELD_OUT:
        return Division(teaching, None, testing, protocol)
    shares = (1 - _HELD_OUT, _HELD_OUT)
    parts = holdout(teaching.strata, shares, groups=teaching.groups, seed=recipe.seed, names=("train", "val"))
    return Division(teaching.take(parts == "train"), teaching.take(parts == "val"), testing, protocol)


def of_others(division: Division, source: LabelledImages) -> list[str]:
    """Return what opening val and test data warned of, and images that both teach and judge."""
    said, taught = list[str](), set(division.teaching.hashes)
    for what, part in (("set the threshold", division.tuning), ("judge", division.testing)):
        if part is None:
            continue
        said += [line for line in part.warnings if line not in source.warnings]
        shared = len(taught & set(part.hashes))
        if shared:
            said.append(f"{shared} images both teach and {what}: the figures are too good")
        if division.teaching.named and part.named:
            both = sorted(set(division.teaching.specimens) & set(part.specimens))
            if both and not shared:
                said.append(
                    f"{len(both)} specimens both teach and {what}, such as {both[0]}: the figures are too good, unless"
                    " the same names stand for other specimens there"
                )
    return said

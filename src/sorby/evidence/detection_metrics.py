"""The scores of a box detector: COCO's, Pascal VOC's, false alarms for each image, and forms that forgive.

Average precision as measured comes from COCO's reference evaluator; its interval, the other forms and what happens at
one score from a matching that is made once (`sorby.evidence.detection_matching`). With every score stand the images
and boxes behind it. Of an image and class only the surest hundred findings are looked at, as COCO does, which also
bounds memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.evidence._types import FloatArray
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.coco_evaluator import CocoTable, coco_table
from sorby.evidence.detection_intervals import (
    BoxEstimate,
    Draws,
    PrecisionSamples,
    box_estimate,
    dictionaries,
    precision_samples,
)
from sorby.evidence.detection_matching import MAX_DETECTIONS, Scene, box_areas, coco_matching, scene, voc_matching
from sorby.evidence.detection_operating import (
    Froc,
    OperatingPoint,
    froc,
    operating_point,
    score_of_best_f1,
    what_scores_cost,
)
from sorby.evidence.detection_precision import Curve, Form, curve, rankings

#: Sides of 32 and 96 px, squared: COCO's borders between small, medium and large.
COCO_AREAS = (32.0**2, 96.0**2)
GIVEN = "given beforehand"
"""How a score was chosen that owes nothing to the images it is judged on."""

ON_THESE = "on these very images"
"""Part of how a score was chosen that may be too good for others."""

_LEVELS: dict[str, slice | int] = {"ap": slice(None), "ap50": 0, "ap75": 5}
_SIZE_NAMES = ("small", "medium", "large")
_FALSE_PER_IMAGE = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_MOST_POINTS = 200


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """Everything measured of a detector on annotated images.

    Attributes
    ----------
    classes : tuple of str
    n_images, n_good, n_boxes, n_ignored, n_found, n_cut : int
        Images; those without any box; boxes to be found; ignored regions; findings looked at; findings left out because
        an image and class had more than `max_detections`.
    max_detections : int
    figures : mapping of str to BoxEstimate
        ``ap`` (mean over overlaps .50 to .95), ``ap50``, ``ap75``, ``ar`` (greatest recall, mean over overlaps).
    per_class : mapping of str to mapping of str to BoxEstimate
        ``ap``, ``ap50``, ``ap75``, ``ar``; NaN for a class without a box.
    per_size : mapping of str to mapping
        The same by area of the true box.
    size_limits : mapping of str to (float, float)
        Square pixels.
    merged : mapping of str to BoxEstimate
        The same with all classes taken as one: was the defect found, whatever it was called?
    voc : mapping of str to BoxEstimate
        ``voc07_ap50`` and ``voc07_ap`` (11 points, at .5 and as the mean over .50 to .95), ``voc_ap50`` and ``voc_ap``
        (every point), matched as VOC does.
    voc_per_class : mapping of str to mapping of str to float
    operating : OperatingPoint or None
        At the score asked about, else that of best F1; None if no box was ever found.
    best_f1 : OperatingPoint or None
        At the score of best F1, chosen on these very images.
    by_score : tuple of dict
        What a higher or lower score would cost, from .1 to .9.
    froc : Froc
    curves : mapping of str to Curve
        Precision against recall at an overlap of one half, by class.
    """

    classes: tuple[str, ...]
    n_images: int
    n_good: int
    n_boxes: int
    n_ignored: int
    n_found: int
    n_cut: int
    max_detections: int
    figures: dict[str, BoxEstimate]
    per_class: dict[str, dict[str, BoxEstimate]]
    per_size: dict[str, dict[str, BoxEstimate]]
    size_limits: dict[str, tuple[float, float]]
    merged: dict[str, BoxEstimate]
    voc: dict[str, BoxEstimate]
    voc_per_class: dict[str, dict[str, float]]
    operating: OperatingPoint | None
    best_f1: OperatingPoint | None
    by_score: tuple[dict[str, Any], ...]
    froc: Froc
    curves: dict[str, Curve]

    @property
    def ap(self) -> float:
        """Mean average precision over overlaps .50 to .95."""
        return self.figures["ap"].value

    @property
    def ap50(self) -> float:
        """Mean average precision at an overlap of one half."""
        return self.figures["ap50"].value

    @property
    def ap75(self) -> float:
        """Mean average precision at an overlap of three quarters."""
        return self.figures["ap75"].value

    def as_dict(self, *, curves: bool = True) -> dict[str, Any]:
        """Return a dictionary fit for JSON.

        Parameters
        ----------
        curves : bool
            With precision-recall and free-response curves, thinned to what can be told apart in a drawing.
        """
        counts = ("n_images", "n_good", "n_boxes", "n_ignored", "n_found", "n_cut", "max_detections")
        found: dict[str, Any] = {
            "classes": list(self.classes),
            **{name: getattr(self, name) for name in counts},
            **dictionaries(self.figures),
            "per_class": {name: dictionaries(each) for name, each in self.per_class.items()},
            "per_size": {
                name: {"area_px": [_finite(bound) for bound in self.size_limits[name]], **dictionaries(each)}
                for name, each in self.per_size.items()
            },
            "merged_classes": dictionaries(self.merged),
            "voc": {
                **dictionaries(self.voc),
                "per_class": {
                    name: {key: _finite(value) for key, value in each.items()}
                    for name, each in self.voc_per_class.items()
                },
            },
            "operating": None if self.operating is None else self.operating.as_dict(),
            "best_f1": None if self.best_f1 is None else self.best_f1.as_dict(),
            "by_score": list(self.by_score),
            "recall_at_false_per_image": {f"{rate:g}": _finite(self.froc.recall_at(rate)) for rate in _FALSE_PER_IMAGE},
        }
        if curves:
            found["curves"] = {name: _thinned_curve(each) for name, each in self.curves.items()}
            found["froc"] = _thinned(
                score=self.froc.score, false_per_image=self.froc.false_per_image, recall=self.froc.recall
            )
        return found


def detection_scores(
    truth: Sequence[TrueBoxes],
    found: Sequence[FoundBoxes],
    classes: Sequence[str],
    *,
    score: float | None = None,
    chosen: str = GIVEN,
    groups: npt.ArrayLike | None = None,
    size_limits: Sequence[float] = COCO_AREAS,
    resamples: int = 1000,
    seed: int = 0,
    max_detections: int = MAX_DETECTIONS,
) -> DetectionScores:
    """Score findings against annotated images.

    Parameters
    ----------
    truth, found : sequences of TrueBoxes and FoundBoxes, an image each
        An image without a true box is a good one: whatever is found there is a false alarm.
    classes : sequence of str
        What the labels stand for.
    score : float, optional
        At which findings are reported; that of best F1 on these images if not given.
    chosen : str
        How *score* was chosen, for the reader; `ON_THESE` in it says that these images had a part in it.
    groups : array_like, shape (n_images,), optional
        Specimen of each image. Specimens are drawn whole for the intervals.
    size_limits : two floats
        Areas in square pixels between small, medium and large boxes.
    resamples : int
        For the 95 % intervals; 0 for none.
    seed : int
    max_detections : int
        Findings looked at of an image and class, the surest first.

    Returns
    -------
    DetectionScores

    Raises
    ------
    InputError
        If there is no image or class, `truth` and `found` differ in length, a label names no class, or a box or score
        is not a finite number.
    """
    if not len(truth):
        raise InputError("no annotated image to score on", "give images with boxes, or looked at and found good")
    if not len(classes):
        raise InputError("no class to score", "name the classes that the labels stand for")
    names, draws = tuple(classes), Draws(groups, resamples, seed)
    sizes = _sizes(size_limits)
    boxes = scene(truth, found, len(names), max_detections=max_detections)
    table, matching = coco_table(boxes, sizes, max_detections), coco_matching(boxes)
    ranked = rankings(boxes, matching)
    (samples,) = precision_samples(ranked, draws)
    figures = _estimates(table, samples, slice(None), draws, *_behind(boxes))
    pooled = curve(ranked)
    best_score = score_of_best_f1(pooled)
    best = None
    if best_score is not None:
        best = operating_point(boxes, matching, best_score, f"best F1 {ON_THESE}", draws)
    asked = best if score is None else operating_point(boxes, matching, score, chosen, draws)
    voc, voc_per_class = _voc(boxes, names, draws)
    per_class = {
        name: _estimates(_column(table, k), samples, k, draws, *_behind(boxes, k)) for k, name in enumerate(names)
    }
    as_one = scene(truth, found, len(names), max_detections=max_detections, merged=True) if len(names) > 1 else None
    return DetectionScores(
        classes=names,
        n_images=boxes.n_images,
        n_good=int((np.bincount(boxes.truth_image, minlength=boxes.n_images) == 0).sum()),
        n_boxes=int((~boxes.ignored).sum()),
        n_ignored=int(boxes.ignored.sum()),
        n_found=boxes.score.size,
        n_cut=boxes.cut,
        max_detections=max_detections,
        figures=figures,
        per_class=per_class,
        per_size=_by_size(boxes, table, sizes, draws),
        size_limits=sizes,
        merged=figures if as_one is None else _merged(as_one, max_detections, draws),
        voc=voc,
        voc_per_class=voc_per_class,
        operating=asked,
        best_f1=best,
        by_score=tuple(what_scores_cost(boxes, matching, np.arange(1, 10) / 10)),
        froc=froc(pooled),
        curves={name: curve([ranked[k]]) for k, name in enumerate(names)},
    )


def _sizes(limits: Sequence[float]) -> dict[str, tuple[float, float]]:
    if len(limits) != 2 or not 0 < limits[0] < limits[1]:
        raise InputError("size limits: two rising areas in square pixels expected", "COCO has 1024 and 9216")
    low, high = map(float, limits)
    return dict(zip(_SIZE_NAMES, ((0.0, low), (low, high), (high, np.inf)), strict=True))


def _behind(boxes: Scene, code: int | None = None) -> tuple[int, int]:
    """Return the images, and the boxes to be found on them."""
    counted = boxes.counted()
    return boxes.n_images, int(counted.sum() if code is None else counted[code].sum())


def _column(table: CocoTable, code: int) -> CocoTable:
    return CocoTable(table.ap[:, code : code + 1], table.recall[:, code : code + 1])


def _estimates(
    table: CocoTable, samples: PrecisionSamples, classes: int | slice, draws: Draws, n_images: int, n_boxes: int,
    size: int = 0,
) -> dict[str, BoxEstimate]:  # fmt: skip
    """Pair the reference evaluator's figures with the spread of the resamples."""
    found = {
        name: box_estimate(table.mean_ap(size, level), samples.mean(classes, level)[1], draws, n_images, n_boxes)
        for name, level in _LEVELS.items()
    }
    recall = BoxEstimate(table.mean_recall(size), None, n_images, "no interval", "", n_boxes)
    return {**found, "ar": recall}


def _merged(boxes: Scene, max_detections: int, draws: Draws) -> dict[str, BoxEstimate]:
    table = coco_table(boxes, {}, max_detections)
    (samples,) = precision_samples(rankings(boxes, coco_matching(boxes)), draws)
    return _estimates(table, samples, slice(None), draws, *_behind(boxes))


def _by_size(
    boxes: Scene, table: CocoTable, sizes: Mapping[str, tuple[float, float]], draws: Draws
) -> dict[str, dict[str, BoxEstimate]]:
    areas, found = box_areas(boxes.truth_boxes), {}
    for k, (name, limits) in enumerate(sizes.items(), 1):
        n_boxes = int(boxes.counted((areas >= limits[0]) & (areas <= limits[1])).sum())
        wanted = draws if n_boxes else Draws(draws.groups, 0, draws.seed)
        (samples,) = precision_samples(rankings(boxes, coco_matching(boxes, areas=limits), limits), wanted)
        found[name] = _estimates(table, samples, slice(None), wanted, boxes.n_images, n_boxes, k)
    return found


def _voc(
    boxes: Scene, names: Sequence[str], draws: Draws
) -> tuple[dict[str, BoxEstimate], dict[str, dict[str, float]]]:
    """Return Pascal VOC's figures, over classes and for each."""
    ranked = rankings(boxes, voc_matching(boxes))
    figures: dict[str, BoxEstimate] = {}
    per_class: dict[str, dict[str, float]] = {name: {} for name in names}
    forms: tuple[Form, ...] = ("voc07", "voc")
    for form, samples in zip(forms, precision_samples(ranked, draws, forms), strict=True):
        for name, level in (("ap50", 0), ("ap", slice(None))):
            value, drawn = samples.mean(slice(None), level)
            figures[f"{form}_{name}"] = box_estimate(value, drawn, draws, *_behind(boxes))
            for k, of_class in enumerate(names):
                per_class[of_class][f"{form}_{name}"] = samples.mean(k, level)[0]
    return figures, per_class


def _thinned_curve(each: Curve) -> dict[str, Any]:
    return _thinned(score=each.score, precision=each.precision, recall=each.recall)


def _thinned(**columns: FloatArray) -> dict[str, Any]:
    size = len(next(iter(columns.values())))
    keep = np.unique(np.linspace(0, size - 1, min(size, _MOST_POINTS)).round().astype(np.intp)) if size else slice(0)
    return {name: [_finite(value) for value in values[keep].tolist()] for name, values in columns.items()}


def _finite(value: float) -> float | None:
    """Return None for what JSON cannot hold."""
    return float(value) if np.isfinite(value) else None

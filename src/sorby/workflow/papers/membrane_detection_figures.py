"""S3's Figs. 10 and 11: what few-shot detection finds, misses, names twice, and where annotators differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sorby.evidence.boxes import TrueBoxes
from sorby.evidence.detection_errors import detection_errors
from sorby.evidence.detection_matching import coco_matching, scene
from sorby.evidence.detection_operating import score_of_best_f1
from sorby.evidence.detection_precision import curve, rankings
from sorby.report.detection_cases import GROUPS, Case, Kind, choose_cases
from sorby.report.detection_pictures import LEGEND, Mark, boxed, window_about
from sorby.report.experiment_page import Figure
from sorby.report.paper_page import Part
from sorby.report.wording import count
from sorby.workflow.detection.protocol import FewShotResult, Repeat

_OF_FIGURE_10: tuple[Kind, ...] = ("right", "missed", "double", "unsure", "invented")
_SHOWN = 2
_SCORE = 0.5  # where no box was ever found


def galleries(results: Sequence[FewShotResult]) -> list[Part]:
    """Return Fig. 10 of each protocol, and Fig. 11 of those with several classes."""
    parts = []
    for result in results:
        repeat = result.arms[0].median_repeat()
        truth = [result.images.truth[row] for row in repeat.testing]
        score = _score(truth, repeat, len(result.images.classes))
        errors = detection_errors(truth, repeat.found, result.images.classes, score)
        cases = choose_cases(errors, truth, repeat.found, _SHOWN)
        states = errors.truth_counts
        said = [
            f"The draw in the middle by AP50 ({100 * repeat.figures['ap50']:.1f}), at the score of best F1"
            f" ({score:.2f}): of {count(sum(len(each) for each in truth), 'box', 'boxes')} {states['found']} found,"
            f" {states['unsure']} with too low a score, {states['missed']} missed, {states['misnamed']} under another"
            f" name, {states['misplaced']} by a box that fits badly; {errors.counts['background']} findings where"
            " nothing is annotated.",
            LEGEND,
        ]
        shown = [figure for kind in _OF_FIGURE_10 for case in cases.get(kind, ())
                 for figure in _pair(case, result, repeat)]  # fmt: skip
        parts.append(Part(f"Fig. 10: {result.name}", said, figures=shown))
        if len(result.images.classes) > 1:
            parts.append(_ambiguous(result, repeat, cases.get("ambiguous", []), errors.counts))
    return parts


def _score(truth: Sequence[TrueBoxes], repeat: Repeat, n_classes: int) -> float:
    boxes = scene(truth, repeat.found, n_classes)
    best = score_of_best_f1(curve(rankings(boxes, coco_matching(boxes))))
    return _SCORE if best is None else best


def _pair(case: Case, result: FewShotResult, repeat: Repeat) -> list[Figure]:
    """Draw truth and findings, which the page sets side by side."""
    row = int(repeat.testing[case.image])
    pixels, name = result.pixels[row], result.images.names[row].rsplit("/", 1)[-1]
    window = window_about(pixels.shape, case.focus)
    group = GROUPS[case.kind][0]
    return [
        Figure(boxed(pixels, case.truth, f"True boxes on {name}", window), f"{group}: {name}, true boxes", 280),
        Figure(boxed(pixels, case.found, f"Findings on {name}: {case.words}", window), f"{group}: {case.words}", 280),
    ]


def _ambiguous(result: FewShotResult, repeat: Repeat, cases: Sequence[Case], counts: dict[str, int]) -> Part:
    """Fig. 11: marks that bear two names; where none does, images on which both classes stand side by side."""
    both = [k for k, row in enumerate(repeat.testing) if len(set(result.images.truth[row].labels.tolist())) > 1]
    said = [
        "Published: a mark between a scratch and a scuff, whose label is a matter of taste. On phantoms a streak that"
        " nobody made on purpose beside a scuff is labelled a scratch, as its annotators did: whoever sees only the"
        " image cannot tell.",
        f"Test images of this draw with more than one class: {len(both)}. Findings that name a defect a second time by"
        f" another class: {counts['doubled']}; by another class altogether: {counts['misnamed']}.",
    ]
    if cases:
        return Part(
            "Fig. 11: ambiguous labels", said, figures=[f for case in cases for f in _pair(case, result, repeat)]
        )
    said.append("No place is annotated twice, so images that show both classes stand for it.")
    shown = [figure for k in both[:_SHOWN] for figure in _side_by_side(result, repeat, k)]
    return Part("Fig. 11: ambiguous labels", said, figures=shown)


def _side_by_side(result: FewShotResult, repeat: Repeat, image: int) -> list[Figure]:
    """Draw all true boxes of an image, and as many of its surest findings."""
    row = int(repeat.testing[image])
    pixels, name = result.pixels[row], result.images.names[row].rsplit("/", 1)[-1]
    truth, found = result.images.truth[row], repeat.found[image]
    names, most = result.images.classes, np.argsort(-found.scores, kind="stable")[: len(truth)]
    true = [
        Mark(_corners(box), "true", names[int(label)]) for box, label in zip(truth.boxes, truth.labels, strict=True)
    ]
    surest = [Mark(_corners(found.boxes[k]), "found", f"{names[int(found.labels[k])]} {found.scores[k]:.2f}")
              for k in most]  # fmt: skip
    return [
        Figure(boxed(pixels, true, f"True boxes on {name}"), f"{name}, true boxes", 280),
        Figure(boxed(pixels, surest, f"Findings on {name}"), f"{name}, its surest findings", 280),
    ]


def _corners(box: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, right, bottom

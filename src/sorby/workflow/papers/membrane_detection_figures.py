"""S3's Figs. 10 and 11: what few-shot detection finds, misses, names twice, and where annotators differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sorby.evidence.boxes import TrueBoxes
from sorby.evidence.detection_errors import detection_errors
from sorby.evidence.detection_matching import coco_matching, scene
from sorby.evidence.detection_operating import score_of_best_f1
from sorby.evidence.detection_precision import curve, rankings
from sorby.report.detection_cases import GROUPS, Case, Kind, choose_cases
from sorby.report.detection_pictures import LEGEND, boxed, window_about
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
    """Fig. 11: marks that bear two names, and how often the two classes stand on one image."""
    shown = [{int(label) for label in each.labels} for each in result.images.truth]
    both = int(np.sum([len(each) > 1 for each in shown]))
    said = [
        "Published: a mark between a scratch and a scuff, whose label is a matter of taste. A streak that nobody made"
        " on purpose beside a scuff is labelled a scratch here as there: whoever sees only the image cannot tell.",
        f"{count(both, 'image')} show more than one class; {count(counts['doubled'], 'finding')} of the draw name a"
        f" defect a second time by another class, {counts['misnamed']} by another class altogether.",
    ]
    if not cases:
        said.append("No place is annotated by two classes at once, so there is none to be shown from this draw.")
    figures = [figure for case in cases for figure in _pair(case, result, repeat)]
    return Part("Fig. 11: ambiguous labels", said, figures=figures)

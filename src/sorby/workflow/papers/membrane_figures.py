"""S3's figures: missed and weakest defects, false positives, one place at three resolutions, histograms, schematic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence import t_interval
from sorby.evidence.defect_regions import paired
from sorby.evidence.false_alarms import false_regions
from sorby.evidence.pixel_ranking import rank_pixels
from sorby.evidence.region_overlap import pro_curve
from sorby.report.anomaly_figures import loocv_schematic, outer_pro_histogram, pro_curves, roc_curves, score_histogram
from sorby.report.anomaly_pictures import Case, false_alarm_gallery, false_alarm_words, resolution_panels, result_panels
from sorby.report.experiment_page import Figure
from sorby.report.paper_page import Part
from sorby.report.wording import count, percent
from sorby.workflow.anomaly.protocols import ArmResult, HeldOut, ProtocolResult
from sorby.workflow.anomaly.sub_images import SubImages
from sorby.workflow.papers import yan2023 as s3

_SHOWN = 3  # cases a figure of single images


def schematic(result: ProtocolResult) -> Part:
    """Fig. 1: how leave-one-out splits, fits and scores."""
    split, bad = result.split, result.subs.bad
    n_bad, n_test = int(bad.sum()), int((~bad[split.test]).sum())
    svg = loocv_schematic(len(split.train) + n_test, len(split.train), n_bad, f"fig-1-{result.kind}")
    words = f"One of {count(n_bad, 'run')} on {result.name}. Model and threshold never see the image held out."
    return Part("Fig. 1: leave-one-out cross-validation", figures=[Figure(svg, words, 620)])


def histogram(title: str, result: ProtocolResult) -> Part:
    """Figs. 3 and 9: how much of each held-out image's defect was found."""
    arm = result.arms[0]
    pro = [each.pro for each in arm.outer]
    zeros = sum(value == 0 for value in pro)
    interval = t_interval(pro).ci95
    svg = outer_pro_histogram(pro, f"outer-{result.kind}", interval=interval)
    words = (
        f"{count(zeros, 'image')} of {len(pro)} missed altogether; published, on other sheets:"
        f" {s3.OUTER_ZEROS[result.kind]} of {s3.TILES_WITH_PINHOLE if result.c is None else s3.TEST_BAD}."
        f" {arm.length} features."
    )
    return Part(title, figures=[Figure(svg, words)])


def weakest(title: str, result: ProtocolResult, text: Sequence[str] = ()) -> Part:
    """Figs. 2 and 5: the held-out images of which least was found, as the outer loop saw them."""
    arm, subs = result.arms[0], result.subs
    ordered = sorted(arm.outer, key=lambda each: (each.pro, each.map.max() / each.threshold))[:_SHOWN]
    missed = sum(each.pro == 0 for each in arm.outer)
    said = [*text, f"{count(missed, 'image')} of {len(arm.outer)} missed altogether."]
    above = next((each for each in sorted(arm.outer, key=lambda each: each.pro) if each.pro > 0), None)
    if above is not None:
        said.append(f"Of the next, {percent(above.pro)} was found ({subs.name(above.row)}).")
    peaks = ", ".join(f"{each.map.max() / each.threshold:.2f}" for each in ordered)
    svg = resolution_panels([_case(subs, each.row, each.map) for each in ordered], [each.threshold for each in ordered])
    words = f"Each at the threshold of its own run; the peaks of the maps are {peaks} of it."
    return Part(title, said, figures=[Figure(svg, words, 620)])


def false_positives(title: str, result: ProtocolResult) -> Part:
    """Fig. 4: called regions that touch no labelled pixel in one standard run, with their number."""
    arm, subs = result.arms[0], result.subs
    example = arm.example
    assert example is not None
    cases = [_case(subs, row, found) for row, found in zip(example.rows.tolist(), example.maps, strict=True)]
    words = false_alarm_words(cases, example.threshold)
    shown = [
        Figure(false_alarm_gallery(cases, example.threshold), "The highest first; orange is what was called.", 620)
    ]
    said = [
        f"{words}, of the first standard run with {arm.length} features. Only defects made on purpose are labelled:"
        " debris, lint and marks of unknown origin count as false, and somebody may still want to see them.",
    ]
    if result.c is None:
        said.append(f"Published: {s3.FALSE_POSITIVES} among {s3.PINHOLE_TEST} images of other sheets.")
    return Part(title, said, figures=shown if arm.standard[0]["false_regions"] else ())


def curves(result: ProtocolResult) -> Part:
    """Curves and scores of the first standard run, which the paper states as areas only."""
    arm, subs = result.arms[0], result.subs
    example = arm.example
    assert example is not None
    masks = [subs.masks[row] for row in example.rows]
    ranking = rank_pixels(list(example.maps), masks, example.weights)
    curve = pro_curve(ranking)
    peaks = example.maps.reshape(len(example.maps), -1).max(axis=1)
    bad = np.array([mask is not None for mask in masks])
    name = f"{result.kind}-{result.c or 0}"
    overlaps = {f"PRO-AUC {arm.standard[0]['pro_auc']:.3f}": (curve.fpr, curve.overlap)}
    drawn = (
        (pro_curves(overlaps, result.settings.fpr_limit, f"pro-{name}"),
         "Mean overlap of defect regions against the false positive rate over all good pixels."),
        (roc_curves({f"pixels, {ranking.auroc():.3f}": ranking.roc()}, f"roc-{name}"), "ROC over pixels."),
        (score_histogram(peaks[~bad], peaks[bad], example.threshold, f"scores-{name}", "sub-image"),
         "Scores of sub-images, with the threshold of best pixel F1: chosen for pixels, not for images."),
    )  # fmt: skip
    figures = [Figure(svg, words) for svg, words in drawn]
    return Part(f"Curves behind the areas: {result.name}", ["First standard run."], figures=figures)


def resolutions(results: Mapping[int, ProtocolResult]) -> list[Part]:
    """Figs. 5 to 7: the weakest defect at c = 1, and its strongest false alarm, at every c that was run."""
    coarse = results.get(1)
    if coarse is None or len(results) < 2 or not coarse.arms[0].outer:
        return []
    parts = []
    held = min(coarse.arms[0].outer, key=lambda each: (each.pro, each.map.max() / each.threshold))
    shown, thresholds = _at_each(results, coarse.subs.groups[held.row], held)
    words = f"Cell {coarse.subs.groups[held.row]}, weakest in the outer loop at c = 1; each row has its own threshold."
    parts.append(Part("Figs. 5 and 6: the same defect at each c", figures=[_panels(shown, thresholds, words)]))
    other = max(coarse.arms[0].outer, key=lambda each: _false_peak(coarse.subs, each))
    if not _false_peak(coarse.subs, other):
        return parts
    shown, thresholds = _at_each(results, coarse.subs.groups[other.row], other)
    words = (
        f"Cell {coarse.subs.groups[other.row]}, the strongest false alarm of the outer loop at c = 1. The finer the"
        " grid, the more bright spots are called."
    )
    parts.append(Part("Fig. 7: the same false alarm at each c", figures=[_panels(shown, thresholds, words)]))
    return parts


def sliver(result: ProtocolResult) -> Part | None:
    """Fig. 8: a sub-image that shows so little of a defect that it is missed, as a grid cuts defects."""
    arm, subs = result.arms[0], result.subs
    example = arm.example
    assert example is not None
    size = {k: _labelled(subs, row) for k, row in enumerate(example.rows.tolist()) if subs.masks[row] is not None}
    silent = [k for k in size if example.maps[k].max() < example.threshold]
    if not silent:
        return None
    k = min(silent, key=lambda each: size[each])
    row = int(example.rows[k])
    words = f"{subs.name(row)}: {count(size[k], 'labelled pixel')} of a defect that the grid cut; nothing is called."
    said = [
        f"{len(silent)} of {count(len(size), 'defective sub-image')} at c = {result.c} have no called pixel; the median"
        f" defective sub-image has {np.median(list(size.values())):.0f} labelled pixels. Overlapping tiles or strips do"
        " not cut defects: see the line.",
    ]
    svg = result_panels([_case(subs, row, example.maps[k])], example.threshold)
    return Part("Fig. 8: a sliver of a defect", said, figures=[Figure(svg, words, 620)])


def _labelled(subs: SubImages, row: int) -> int:
    """Return how many pixels of a sub-image are labelled."""
    mask = subs.masks[row]
    return 0 if mask is None else int(np.count_nonzero(mask))


def _case(subs: SubImages, row: int, found: npt.NDArray[np.float32], label: str = "") -> Case:
    pixels = subs.pixels[row]
    return Case(pixels[..., 0] if pixels.shape[2] == 1 else pixels, found, subs.masks[row], label or subs.name(row))


def _panels(shown: list[Case], thresholds: list[float], words: str) -> Figure:
    return Figure(resolution_panels(shown, thresholds), words, 620)


def _at_each(results: Mapping[int, ProtocolResult], group: str, held: HeldOut) -> tuple[list[Case], list[float]]:
    """Return the cell at every c, sub-images and maps of finer grids put together, and each threshold."""
    cases, thresholds = [], []
    for c, result in sorted(results.items()):
        if c == 1:
            cases.append(_case(result.subs, held.row, held.map, "c = 1"))
            thresholds.append(held.threshold)
            continue
        example = result.arms[0].example
        assert example is not None
        place = {int(row): k for k, row in enumerate(example.rows)}
        rows = [k for k, name in enumerate(result.subs.groups) if name == group]
        maps = example.maps[[place[row] for row in rows]]
        masks = np.zeros(maps.shape, bool)
        for k, row in enumerate(rows):
            mask = result.subs.masks[row]
            if mask is not None:
                masks[k] = mask
        pixels = _joined(result.subs.pixels[rows], c)
        cases.append(
            Case(pixels[..., 0] if pixels.shape[2] == 1 else pixels, _joined(maps, c), _joined(masks, c), f"c = {c}")
        )
        thresholds.append(example.threshold)
    return cases, thresholds


def _joined(parts: npt.NDArray[Any], c: int) -> npt.NDArray[Any]:
    """Put c x c sub-images (c * c, H, W[, C]) together."""
    height, width, *rest = parts.shape[1:]
    return parts.reshape(c, c, height, width, *rest).swapaxes(1, 2).reshape(c * height, c * width, *rest)


def _false_peak(subs: SubImages, held: HeldOut) -> float:
    """Return the highest score of a called region that touches no labelled pixel, in thresholds; 0 without one."""
    labels, false = false_regions(paired([held.map], [subs.masks[held.row]])[0], held.threshold)
    found = held.map[np.isin(labels, false)]
    return float(found.max() / held.threshold) if found.size else 0.0


def trade_off(results: Mapping[int, ProtocolResult]) -> list[str]:
    """State what c does to the scores (S3's discussion), in ours and theirs."""
    if len(results) < 2:
        return []
    ordered = sorted(results)

    def ours(key: str, digits: int = 3) -> str:
        return ", ".join(f"{_mean(results[c].arms[0], key):.{digits}f}" for c in ordered)

    theirs = {
        key: ", ".join(f"{s3.TABLE_1[c, 100][key][0]:.2f}" for c in ordered) for key in ("image_auroc", "pro_auc")
    }
    return [
        f"With c = {', '.join(map(str, ordered))}: image ROC-AUC {ours('image_auroc')} (published"
        f" {theirs['image_auroc']}), PRO-AUC {ours('pro_auc')} (published {theirs['pro_auc']}), pixel ROC-AUC"
        f" {ours('pixel_auroc')}, false-positive regions {ours('false_regions', 0)} in all,"
        f" {ours('false_regions_per_image', 2)} an image.",
        "The published trade-off: a finer grid shrinks faint defects less, and pixel figures rise; it also cuts defects"
        " into slivers and shows more bright spots, and image figures fall. Part of that fall is no effect of"
        " resolution: from c = 3 on the good images are parts of defective sheets.",
        *_against_the_published(results, ordered[0], ordered[-1]),
    ]


def _against_the_published(results: Mapping[int, ProtocolResult], coarse: int, fine: int) -> list[str]:
    """Say which figures move the other way here than in the paper as the grid becomes finer."""
    found = []
    for key, title in (("image_auroc", "image ROC-AUC"), ("pro_auc", "PRO-AUC")):
        theirs = s3.TABLE_1[fine, 100][key][0] - s3.TABLE_1[coarse, 100][key][0]
        ours = _mean(results[fine].arms[0], key) - _mean(results[coarse].arms[0], key)
        if theirs * ours < 0:
            found.append(f"{title} {'rises' if ours > 0 else 'falls'}")
    if not found:
        return []
    return [
        f"On these sheets the published trade-off does not appear: from c = {coarse} to c = {fine}"
        f" {' and '.join(found)}, against the paper."
    ]


def _mean(arm: ArmResult, key: str) -> float:
    runs: Sequence[Any] = arm.standard
    return float(np.mean([run[key] for run in runs]))

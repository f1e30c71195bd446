"""``detect train``: from labelled images to a detector, an honest estimate and a threshold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.corpus.splits import holdout
from sorby.detect import recipe as recipes
from sorby.detect.detector import Detector
from sorby.detect.detector_bundle import save
from sorby.detect.pictures import Example
from sorby.detect.recipe import DetectRecipe
from sorby.detect.teaching import behind, examples_of, teach, teach_few
from sorby.errors import InputError, Quarantined
from sorby.evidence.boxes import FoundBoxes
from sorby.evidence.detection_metrics import ON_THESE
from sorby.files import write_json, write_text
from sorby.progress import bar
from sorby.workflow.detection.bases import Say, open_base
from sorby.workflow.detection.cross_fitting import LEAST, folds_of, found_on, never_found, out_of_fold, see
from sorby.workflow.detection.dividing import Division, divide, of_others
from sorby.workflow.detection.judging import (
    HEADLINES,
    Judged,
    PageFacts,
    best_threshold,
    detect_all,
    judged,
    plain_figures,
    write_findings,
    write_page,
)
from sorby.workflow.detection.labelled import LabelledImages, labelled_images, micrographs
from sorby.workflow.detection.large_images import taught_sizes
from sorby.workflow.runs import RUN_FILE, noting, refuse_finished

BUNDLE = "detector.sorby"
DEFAULT_RECIPE = "few-shot"
_UNKNOWN_THRESHOLD = 0.5
_BEST_F1 = f"best F1 {ON_THESE}"
_MANY = 400  # images whose lessons are kept in memory at once


@dataclass(frozen=True, eq=False)
class Outcome:
    """A detector and what is known of it.

    Attributes
    ----------
    detector : Detector
    judged : Judged or None
    teaching : LabelledImages
        The images that taught it, without those that could not be read.
    folds : ndarray or None
        Of the images that taught it, where they were cross-fitted.
    tuned_on : str
        What the threshold was chosen on.
    quarantined : list of Quarantined
    warnings : list of str
    """

    detector: Detector
    judged: Judged | None
    teaching: LabelledImages
    folds: Any
    tuned_on: str
    quarantined: list[Quarantined]
    warnings: list[str] = field(default_factory=list)


def train_detector(
    data: Path | str | Corpus,
    out: Path | str,
    recipe: DetectRecipe | None = None,
    *,
    base: str | Path | None = None,
    shots: int | None = None,
    by: Literal["boxes", "images"] = "boxes",
    classes: Sequence[str] | None = None,
    val: Path | str | Corpus | None = None,
    test: Path | str | Corpus | None = None,
    device: Device = "auto",
    report: bool = True,
    say: Say | None = None,
) -> dict[str, Any]:
    """Teach a box detector.

    Images of the split ``test``, or *test*, judge it. Without any, and with the stages frozen, every image is judged
    by a predictor that has not seen its specimen (cross-fitting), and the last predictor learns from all of them. With
    gradients, a fifth of the specimens is held out. The threshold is never chosen on a test part.

    Parameters
    ----------
    data : Corpus or path
        A corpus with boxes, a COCO file, or a VOC or YOLO folder. Images without boxes teach what is no defect.
    out : path
        Run folder: ``detector.sorby``, ``run.json``, ``recipe.yaml``, ``findings.csv``, ``corpus.parquet``,
        ``report.html``. An interrupted teaching by gradients there is resumed.
    recipe : DetectRecipe, optional
        ``few-shot`` by default.
    base : str or path, optional
        ``phantom``, ``none`` or a bundle; what the recipe says by default.
    shots : int, optional
        Teach on so many examples a class, drawn by the recipe's seed. Specimens that none was drawn from then judge,
        where there is no test part.
    by : {"boxes", "images"}
        What *shots* counts, see `sorby.detect.shots.k_shot`.
    classes : sequence of str, optional
        Those to be learnt; all by default.
    val, test : Corpus or path, optional
        Further data that set the threshold, and that judge.
    device : {"auto", "cpu", "cuda"}
    report : bool
        Whether ``report.html`` is written.
    say : callable, optional
        Gets lines about what will take long.

    Returns
    -------
    dict
        ``bundle``, ``ap``, ``ap50``, ``ap75``, ``per_class``, ``ci95``, ``n_images``, ``n_boxes`` (that judged; AP is
        None where nothing could), ``protocol``, ``threshold``, ``threshold_from``, ``taught``, ``seconds``, ``report``,
        ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        There are no boxes, a class has fewer than *shots*, or base and recipe do not fit together.
    """
    started = time.perf_counter()
    recipe, out = recipe or recipes.load(DEFAULT_RECIPE), Path(out)
    refuse_finished(out)
    source = labelled_images(data, classes=classes, merge=recipe.box.merge)
    division = divide(source, recipe, val=val, test=test, shots=shots, by=by)
    spec = recipe.teaching.base if base is None else base
    detector = open_base(spec, device=device, say=say)
    warnings = list(dict.fromkeys([*source.warnings, *of_others(division, source)]))
    with noting(warnings):
        if recipe.teaching.all_frozen:
            outcome = _behind_frozen_stages(division, recipe, detector, device)
        else:
            outcome = _by_gradients(division, recipe, detector, out / "state", device)
    warnings += [line for line in outcome.warnings if line not in warnings]
    others = [part.quarantined for part in (division.tuning, division.testing) if part is not None]
    told = [entry for found in others if found is not source.quarantined for entry in found]
    quarantined = [*source.quarantined, *told, *outcome.quarantined]
    done = _write(out, outcome, recipe, warnings, quarantined, started, str(spec or "none"), report=report)
    checkpoint = out / "state" / "checkpoint.safetensors"
    checkpoint.unlink(missing_ok=True)
    if checkpoint.parent.is_dir() and not any(checkpoint.parent.iterdir()):
        checkpoint.parent.rmdir()
    return done


# -- teaching -----------------------------------------------------------------------------------------------


def _behind_frozen_stages(division: Division, recipe: DetectRecipe, base: Detector | None, device: Device) -> Outcome:
    """Teach a predictor behind a base's stages; see every image once."""
    if base is None:
        raise InputError(
            "all stages are frozen, and there is no base detector whose stages they could be",
            "--base phantom or a bundle, or --recipe full, which teaches the stages themselves",
        )
    teaching, seed, warnings = division.teaching, recipe.seed, list[str]()
    stages = behind(base, recipe)
    if len(teaching) > _MANY:
        teaching = teaching.take(_some(teaching, recipe))
        warnings.append(
            f"of {len(division.teaching)} images {len(teaching)} teach, drawn by class: behind frozen stages more teach"
            " little that is new; --recipe full learns from all"
        )
    rows, seen, quarantined = see(stages, teaching, recipe, seed=seed, device=device)
    teaching = teaching.take(rows)
    final = teach_few(stages, recipe, teaching.classes, [each.lessons for each in seen], seed=seed)
    folds, out_of, threshold, tuned_on = None, list[FoundBoxes](), None, "nothing"
    if division.tuning is not None:
        threshold, tuned_on = _tuned(final, division.tuning, device, quarantined), "the val part"
    elif (folds := folds_of(teaching, seed=seed)) is not None:
        with bar("cross-fitting", len(teaching)) as advance:
            by_row = {}
            for k, found in out_of_fold(stages, recipe, teaching.classes, seen, folds, seed=seed):
                by_row[k] = found
                advance(1)
        out_of = [by_row[k] for k in range(len(teaching))]
        threshold = best_threshold(teaching.truth, out_of, teaching.classes)
        tuned_on = "images judged without themselves"
    else:
        # Nothing is known of unseen images; on its own examples the scores are only too high.
        with torch.inference_mode():
            out_of = _of([found_on(final, each) for each in seen], len(teaching.classes))
        threshold = best_threshold(teaching.truth, out_of, teaching.classes)
        threshold = None if threshold is None else min(threshold, _UNKNOWN_THRESHOLD)
        out_of, tuned_on = [], "the images that taught it, at most .5"
    final = _with_threshold(final, threshold, warnings)
    result = _judge(division, final, device, quarantined, warnings, recipe)
    if result is None and folds is not None:
        count = len(np.unique(teaching.specimens))
        what = "specimens" if teaching.named else "images"
        protocol = f"cross-fitted: {int(folds.max()) + 1} folds over {count} {what}"
        parts = [f"fold-{fold + 1}" for fold in folds.tolist()]
        warnings += never_found(teaching, folds)
        result = judged(teaching, out_of, protocol, threshold=final.threshold, seed=seed, chosen=_BEST_F1, parts=parts)
    if result is None:
        warnings.append(_not_judged(teaching))
    return Outcome(final, result, teaching, folds, tuned_on, quarantined, warnings)


def _some(images: LabelledImages, recipe: DetectRecipe) -> Any:
    share = _MANY / len(images)
    parts = holdout(images.strata, (share, 1 - share), groups=images.groups, seed=recipe.seed, names=("taken", "left"))
    return parts == "taken"


def _by_gradients(
    division: Division, recipe: DetectRecipe, base: Detector | None, state: Path, device: Device
) -> Outcome:
    quarantined, warnings = list[Quarantined](), list[str]()
    rows, examples = _examples(division.teaching, recipe, quarantined)
    teaching = division.teaching.take(rows)
    detector = teach(recipe, teaching.classes, examples, base=base, state_folder=state, device=device)
    threshold, tuned_on = None, "nothing"
    if division.tuning is not None:
        threshold, tuned_on = _tuned(detector, division.tuning, device, quarantined), "the val part"
    detector = _with_threshold(detector, threshold, warnings)
    result = _judge(division, detector, device, quarantined, warnings, recipe)
    if result is None and division.tuning is not None:
        readable, found, _ = detect_all(detector, division.tuning, device)
        protocol = "held-out images, on which the threshold was chosen too"
        result = judged(
            division.tuning.take(readable), found, protocol, threshold=detector.threshold, seed=recipe.seed,
            chosen=_BEST_F1, parts=["held out"] * len(found),
        )  # fmt: skip
    if result is None:
        warnings.append(_not_judged(teaching))
    return Outcome(detector, result, teaching, None, tuned_on, quarantined, warnings)


def _examples(
    images: LabelledImages, recipe: DetectRecipe, quarantined: list[Quarantined]
) -> tuple[list[int], list[Example]]:
    rows: list[int] = []
    examples: list[Example] = []
    with bar("reading images", len(images)) as advance:
        for row, micrograph in micrographs(images, quarantined):
            rows.append(row)
            (found,) = examples_of([micrograph.pixels], [images.truth[row]], recipe, seed=recipe.seed + row)
            examples += found
            advance(1)
    if not rows:
        raise InputError(f"no image could be read ({quarantined[0].reason})", "check the files")
    return rows, examples


def _tuned(detector: Detector, tuning: LabelledImages, device: Device, quarantined: list[Quarantined]) -> float | None:
    rows, found, bad = detect_all(detector, tuning, device, "setting the threshold")
    quarantined += bad
    return best_threshold(tuning.take(rows).truth, _of(found, len(tuning.classes)), tuning.classes) if rows else None


def _with_threshold(detector: Detector, threshold: float | None, warnings: list[str]) -> Detector:
    if threshold is None:
        warnings.append(
            f"no example was found again, or none could tell: findings are shown from {_UNKNOWN_THRESHOLD} on, which"
            " nothing supports"
        )
        threshold = _UNKNOWN_THRESHOLD
    return replace(detector, threshold=threshold)


def _judge(
    division: Division,
    detector: Detector,
    device: Device,
    quarantined: list[Quarantined],
    warnings: list[str],
    recipe: DetectRecipe,
) -> Judged | None:
    """Judge on the testing images, where there are any."""
    if division.testing is None:
        return None
    rows, found, bad = detect_all(detector, division.testing, device)
    quarantined += bad
    testing = division.testing.take(rows)
    if not rows or not testing.n_boxes():
        warnings.append("the test part shows no box of these classes: it says nothing about how many are found")
    if not rows:
        return None
    kept = _of(found, len(testing.classes))
    return judged(testing, kept, division.protocol, threshold=detector.threshold, seed=recipe.seed)


def _of(found: Sequence[FoundBoxes], n_classes: int) -> list[FoundBoxes]:
    """Return the findings of the classes in question: a detector that keeps its base's classes has them behind."""
    return [each.of(each.labels < n_classes) for each in found]


def _not_judged(images: LabelledImages) -> str:
    count = len(np.unique(images.specimens))
    what = ("specimen" if images.named else "image") + ("s" if count > 1 else "")
    return (
        f"nothing could be judged: {count} {what} to learn from, and none to test on; label {LEAST} or more, or give"
        " --test"
    )


# -- the run folder -----------------------------------------------------------------------------------------


def _write(
    out: Path,
    outcome: Outcome,
    recipe: DetectRecipe,
    warnings: list[str],
    quarantined: list[Quarantined],
    started: float,
    base: str,
    *,
    report: bool,
) -> dict[str, Any]:
    """Write bundle, findings, corpus, page and, last, ``run.json``; return the result."""
    teaching, result, detector = outcome.teaching, outcome.judged, _described(outcome, base)
    figures = {} if result is None else result.scores.as_dict(curves=False)
    protocol = "nothing could be judged" if result is None else result.protocol
    notes = [f"judged by: {protocol}", f"threshold chosen on: {outcome.tuned_on}", f"base: {base}", *warnings]
    sha256 = save(
        out / BUNDLE,
        detector,
        images=teaching.hashes,
        n_boxes=teaching.n_boxes(),
        specimens=len(np.unique(teaching.specimens)) if teaching.named else None,
        metrics={name: figures[name] for name in HEADLINES if name in figures},
        notes=notes,
        overwrite=True,
    )
    write_text(out / "recipe.yaml", recipes.dump(recipe))
    corpus = teaching.corpus if outcome.folds is None else teaching.corpus.with_folds(outcome.folds, "cross-fitting")
    corpus.save(out / "corpus.parquet")
    path = None
    if result is not None:
        write_findings(out / "findings.csv", result)
        if report:
            path = write_page(out / "report.html", result, _page(outcome, recipe, warnings, quarantined, base))
    empty: dict[str, Any] = {**dict.fromkeys(HEADLINES), "ci95": {}, "per_class": {}, "n_images": 0, "n_boxes": 0}
    done = {
        "bundle": str(out / BUNDLE),
        "sha256": sha256,
        **(empty if result is None else plain_figures(result.scores)),
        "protocol": protocol,
        "threshold": detector.threshold,
        "threshold_from": outcome.tuned_on,
        "classes": list(detector.classes),
        "taught": {"images": len(teaching), "boxes": teaching.n_boxes(), "per_class": teaching.boxes_of()},
        "base": base,
        "seconds": time.perf_counter() - started,
        "report": path,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }
    run = {
        **done,
        "kind": "detect train",
        "evaluation": None if result is None else result.scores.as_dict(),
        "errors": None if result is None else result.errors.as_dict(),
        "recipe": recipe.model_dump(mode="json"),
        "corpus": {"fingerprint": teaching.corpus.fingerprint(), "n": len(teaching)},
        "history": detector.facts.get("history", []),
        "provenance": provenance.describe(recipe.seed),
    }
    write_json(out / RUN_FILE, run)
    return done


def _described(outcome: Outcome, base: str) -> Detector:
    """Return the detector with the facts that its use needs: how large what it was taught on is."""
    return replace(outcome.detector, facts={**outcome.detector.facts, "base": base, **taught_sizes(outcome.teaching)})


def _page(
    outcome: Outcome, recipe: DetectRecipe, warnings: list[str], quarantined: list[Quarantined], base: str
) -> PageFacts:
    teaching, result = outcome.teaching, outcome.judged
    assert result is not None
    boxes = ", ".join(f"{count} {name}" for name, count in teaching.boxes_of().items())
    return PageFacts(
        f"Box detector: {recipe.name}",
        f"{len(result.images)} images, {result.protocol}",
        [
            ("recipe", recipe.name),
            ("base", base),
            ("taught on", f"{len(teaching)} images, boxes: {boxes}"),
            ("judged by", result.protocol),
            ("threshold", f"{outcome.detector.threshold:.3f}, chosen on {outcome.tuned_on}"),
            ("network", f"{recipe.backbone.name}, pyramid of {recipe.pyramid.channels} channels"),
        ],
        list(outcome.detector.facts.get("history", [])),
        warnings=warnings,
        quarantined=quarantined,
    )

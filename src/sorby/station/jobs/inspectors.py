"""A bundle at work on stored images: classifiers, anomaly detectors and box detectors, each said in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sorby._version import __version__
from sorby.anomaly import KIND as ANOMALY
from sorby.anomaly.findings import find, put_together
from sorby.bundle import OpenBundle, open_bundle
from sorby.classify import KIND as CLASSIFIER
from sorby.classify import Verdict
from sorby.detect import KIND as BOXES
from sorby.detect.detector import Detector as BoxDetector
from sorby.errors import ImageError, InputError, Quarantined, SorbyError
from sorby.evidence.boxes import FoundBoxes
from sorby.micrograph import Micrograph, read
from sorby.station import overlays
from sorby.station.inspections import MEANINGS, risk, trace
from sorby.workflow.anomaly.opening import open_detector
from sorby.workflow.detection.inspecting import verdict_on
from sorby.workflow.detection.large_images import detect_micrographs
from sorby.workflow.detection.opening import open_box_detector
from sorby.workflow.explaining import explain_each
from sorby.workflow.opening import classifier_of

_NEAR = 0.9  # of an anomaly threshold, from which on a score is called near it
_MOST_FINDINGS = 1000


@dataclass(frozen=True)
class Wanted:
    """An image to look at.

    Attributes
    ----------
    sha256 : str
    path : Path
        A name with the ending of its format.
    pixel_size_um, magnification : float or None
        As the station knows them.
    """

    sha256: str
    path: Path
    pixel_size_um: float | None
    magnification: float | None


@dataclass(frozen=True)
class Said:
    """What a bundle says of an image; columns of an inspection.

    Attributes
    ----------
    verdict : dict
        Everything else, with the decision trace.
    pictures : dict of str to bytes
        PNG of each overlay, by kind: ``cam``, ``map``, ``mask``, ``boxes``.
    """

    sha256: str
    label: str
    confidence: float | None
    labels: list[str]
    novelty: float | None
    reasons: list[str]
    risk: float
    verdict: dict[str, Any]
    pictures: dict[str, bytes] = field(default_factory=dict)


Inspector = Callable[[Sequence[Wanted]], Iterator["Said | tuple[str, str]"]]
"""Looks at some images; yields what it says, or an image's SHA-256 and why it could not look."""


@lru_cache(maxsize=2)
def open_inspector(file: Path, *, explain: bool) -> Inspector:
    """Return what looks at images with a bundle; the last two stay open, for compiling a network takes seconds.

    Raises
    ------
    BundleError, InputError
        The bundle is damaged, or gives no verdicts on images.
    """
    opened = open_bundle(file)
    kind = opened.description.kind
    if kind == CLASSIFIER:
        return _classifying(opened, explain)
    if kind == ANOMALY:
        return _scoring(file, opened)
    if kind == BOXES:
        return _boxing(opened)
    raise InputError(f"a bundle of kind {kind} gives no verdicts on images", "choose another")


def _bundle_facts(opened: OpenBundle) -> dict[str, Any]:
    made = opened.description
    return {
        "sha256": opened.sha256,
        "name": made.name,
        "kind": made.kind,
        "created": made.created,
        "signature": str(opened.signature),
        "training_data": None if made.training_data is None else made.training_data.model_dump(mode="json"),
    }


def _scale_step(size: float | None, source: str) -> tuple[str, str]:
    return "scale", "no pixel size is known" if size is None else f"{size:.4g} \u00b5m a pixel ({source})"


def _end_step(reasons: Sequence[str]) -> tuple[str, str]:
    if not reasons:
        return "decision", "clear: nothing asks for a person"
    return "decision", "to a person, because " + "; ".join(MEANINGS.get(reason, reason) for reason in reasons)


# -- classifiers ------------------------------------------------------------------------------------------


def _classifying(opened: OpenBundle, explain: bool) -> Inspector:
    classifier = classifier_of(opened)
    runtime = classifier.runtime("auto")
    judge, recipe = classifier.judge, opened.description.provenance.get("recipe")
    facts = {
        "software": __version__,
        "runtime": f"{runtime.name} {runtime.precision}",
        "recipe": recipe.get("name") if isinstance(recipe, dict) else None,
        "thresholds": {
            "novelty_rate": judge.novelty_rate,
            "set_level": 1 - judge.conformal.alpha,
            "pixel_sizes_um": judge.pixel_sizes_um,
        },
        "guarantee": judge.conformal.guarantee,
    }

    def said(wanted: Wanted, verdict: Verdict, picture: bytes | None) -> Said:
        value, parts = risk(verdict.confidence, verdict.novelty, verdict.reasons)
        named = ", ".join(verdict.labels) or "empty"
        steps = [
            _scale_step(verdict.pixel_size_um, verdict.scale_source),
            *([("stages", verdict.trace)] if verdict.stages else []),
            ("label", f"{verdict.label}, calibrated probability {verdict.confidence:.3f}"),
            ("set", f"{named} at the level {1 - judge.conformal.alpha:.0%}"),
            ("novelty", f"p = {verdict.novelty:.3f}; referred up to {judge.novelty_rate:g}"),
            _end_step(verdict.reasons),
        ]
        whole = {
            "probabilities": verdict.probabilities,
            "stages": verdict.stages,
            "lengths_um": {name: list(ends) for name, ends in verdict.lengths_um.items()},
            "pixel_size_um": verdict.pixel_size_um,
            "scale_source": verdict.scale_source,
            "notes": list(verdict.notes),
            "findings": [],
            "guarantee": facts["guarantee"],
            "trace": trace(_bundle_facts(opened), facts, steps, parts),
        }
        return Said(
            wanted.sha256, verdict.label, verdict.confidence, list(verdict.labels), verdict.novelty,
            list(verdict.reasons), value, whole, {} if picture is None else {"cam": picture},
        )  # fmt: skip

    def look(some: Sequence[Wanted]) -> Iterator[Said | tuple[str, str]]:
        outcomes = list(
            classifier.inspect(
                [each.path for each in some],
                pixel_size_um=[each.pixel_size_um for each in some],
                magnification=[each.magnification for each in some],
            )
        )
        pairs = [(each, found) for each, found in zip(some, outcomes, strict=True) if isinstance(found, Verdict)]
        pictures = iter(_cams(classifier, pairs)) if explain and pairs else iter(())
        for each, found in zip(some, outcomes, strict=True):
            if isinstance(found, Quarantined):
                yield each.sha256, found.reason
            else:
                yield said(each, found, next(pictures, None))

    return look


def _cams(classifier: Any, pairs: Sequence[tuple[Wanted, Verdict]]) -> list[bytes]:
    """Draw where a classifier looked for its own labels."""
    micrographs = [read(each.path, pixel_size_um=each.pixel_size_um) for each, _ in pairs]
    prepared = np.stack([classifier.prepared(micrograph) for micrograph in micrographs])
    targets = np.array([classifier.classes.index(verdict.label) for _, verdict in pairs], np.intp)
    powers = [each.magnification or m.scale.magnification for (each, _), m in zip(pairs, micrographs, strict=True)]
    rule = classifier.preprocessing
    drawn = []
    for micrograph, cam in zip(micrographs, explain_each(classifier, prepared, targets, powers), strict=True):
        region = rule.window(micrograph) if rule.sizing == "mirror" or rule.crops else None
        drawn.append(overlays.heat_map(cam, (micrograph.height, micrograph.width), region))
    return drawn


# -- anomaly detectors ------------------------------------------------------------------------------------


def _scoring(file: Path, opened: OpenBundle) -> Inspector:
    bundle = open_detector(file)
    detector, threshold = bundle.detector, bundle.detector.threshold
    if threshold is None:
        raise InputError("the detector has no threshold", "fit it again")
    runtime = detector.runtime("auto")
    centred = detector.embedding.centred and detector.recipe.smoothing.kind == "grid"
    facts = {
        "software": __version__,
        "runtime": f"{runtime.name} {runtime.precision}",
        "thresholds": threshold.describe(),
        "guarantee": threshold.guarantee,
    }

    def said(wanted: Wanted, found: Any) -> Said:
        score, size = found.score, found.stack.size
        scale = wanted.pixel_size_um or found.stack.pixel_size_um
        whole = put_together(found.maps, found.stack, centred=centred)
        regions = find(whole, threshold.value) if score >= threshold.value else []
        p_value = threshold.p_values(score).item()
        novelty = None if p_value != p_value else p_value
        anomalous = bool(score >= threshold.value)
        reasons = ["anomalous"] if anomalous else ["near-threshold"] if score >= _NEAR * threshold.value else []
        value, parts = risk(None, novelty, reasons)
        area = (whole.origin[0], whole.origin[1],
                whole.values.shape[0] * whole.cell[0], whole.values.shape[1] * whole.cell[1])  # fmt: skip
        pictures = {"map": overlays.score_map(whole.values, threshold.value, size, area)}
        if regions:
            inside = np.nan_to_num(whole.values, nan=0.0) >= threshold.value
            pictures["mask"] = overlays.mask(inside, size, area)
            pictures["boxes"] = overlays.boxes(
                [((r.x, r.y, r.x + r.w, r.y + r.h), 0, f"{r.score:.2f}") for r in regions[:_MOST_FINDINGS]], size
            )
        findings = [
            {"x": r.x, "y": r.y, "w": r.w, "h": r.h, "label": "anomaly", "score": r.score, "area_px": r.area_px,
             "area_um2": r.area_um2(scale)}
            for r in regions[:_MOST_FINDINGS]
        ]  # fmt: skip
        steps = [
            _scale_step(scale, "as stated" if wanted.pixel_size_um else "as read"),
            ("score", f"{score:.4g}, threshold {threshold.value:.4g}"),
            *([("novelty", f"p = {novelty:.3f} among good images")] if novelty is not None else []),
            ("findings", f"{len(regions)} regions at or above the threshold"),
            _end_step(reasons),
        ]
        label = "anomalous" if anomalous else "good"
        verdict = {
            "score": score, "threshold": threshold.value, "guarantee": threshold.guarantee,
            "pixel_size_um": scale, "notes": [], "findings": findings,
            "n_findings": len(regions), "trace": trace(_bundle_facts(opened), facts, steps, parts),
        }  # fmt: skip
        return Said(wanted.sha256, label, None, [label], novelty, reasons, value, verdict, pictures)

    def look(some: Sequence[Wanted]) -> Iterator[Said | tuple[str, str]]:
        for k, found in detector.score([each.path for each in some]):
            if isinstance(found, SorbyError):
                yield some[k].sha256, found.message.replace(f"{some[k].path}: ", "")
            else:
                yield said(some[k], found)

    return look


# -- box detectors ----------------------------------------------------------------------------------------


def _boxing(opened: OpenBundle) -> Inspector:
    bundle = open_box_detector(opened)
    detector = bundle.detector
    runner = detector.runner("auto")
    facts = {
        "software": __version__,
        "runtime": type(runner).__name__,
        "recipe": detector.recipe.name,
        "thresholds": {"score": detector.threshold},
        "guarantee": "none: scores of boxes are no probabilities",
    }

    def look(some: Sequence[Wanted]) -> Iterator[Said | tuple[str, str]]:
        readable: list[tuple[Wanted, Micrograph]] = []
        for each in some:
            try:
                readable.append((each, read(each.path, pixel_size_um=each.pixel_size_um)))
            except ImageError as error:
                yield each.sha256, error.message.replace(f"{each.path}: ", "")
        found = detect_micrographs(detector, [image for _, image in readable], device="auto", score=0.0)
        for (each, image), (_, candidates, cut) in zip(readable, found, strict=True):
            yield _boxed(opened, detector, facts, each, image, candidates, cut)

    return look


def _boxed(
    opened: OpenBundle,
    detector: BoxDetector,
    facts: dict[str, Any],
    wanted: Wanted,
    image: Micrograph,
    candidates: FoundBoxes,
    cut: bool,
) -> Said:
    size = image.scale.pixel_size_um
    verdict = verdict_on(detector, candidates, size)
    found = candidates.above(detector.threshold)
    lines = [
        (tuple(map(float, found.boxes[k])), int(found.labels[k]), float(found.scores[k]))
        for k in range(min(len(found), _MOST_FINDINGS))
    ]
    findings = [
        {"x": box[0], "y": box[1], "w": box[2] - box[0], "h": box[3] - box[1], "label": detector.classes[label],
         "score": score, "area_um2": None if size is None else (box[2] - box[0]) * (box[3] - box[1]) * size**2}
        for box, label, score in lines
    ]  # fmt: skip
    value, parts = risk(verdict.confidence, None, verdict.reasons)
    steps = [
        _scale_step(size, image.scale.source),
        *([("tiles", "larger than the taught images: looked at in tiles as large as these")] if cut else []),
        ("findings", f"{len(found)} boxes with a score of {detector.threshold:.2f} and more"),
        ("label", f"{verdict.label}, score {verdict.confidence:.3f}"),
        _end_step(verdict.reasons),
    ]
    pictures = {}
    if lines:
        drawn = [(box, label, f"{detector.classes[label]} {score:.2f}") for box, label, score in reversed(lines)]
        pictures["boxes"] = overlays.boxes(drawn, (image.height, image.width))  # type: ignore[arg-type]
    whole = {
        "probabilities": verdict.strongest,
        "pixel_size_um": size,
        "scale_source": image.scale.source,
        "notes": list(image.notes),
        "findings": findings,
        "n_findings": len(found),
        "guarantee": facts["guarantee"],
        "trace": trace(_bundle_facts(opened), facts, steps, parts),
    }
    return Said(
        wanted.sha256, verdict.label, verdict.confidence, list(verdict.labels), None, list(verdict.reasons), value,
        whole, pictures,
    )  # fmt: skip

"""What findings amount to: scores and mistakes, the table of findings, the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.detect.detector import Detector
from sorby.errors import ImageError, Quarantined
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.evidence.detection_errors import DetectionErrors, detection_errors
from sorby.evidence.detection_metrics import GIVEN, DetectionScores, detection_scores
from sorby.files import atomic_write, write_text
from sorby.micrograph import Micrograph, Pixels, read
from sorby.progress import bar
from sorby.workflow.detection.labelled import LabelledImages, micrographs
from sorby.workflow.detection.large_images import detect_micrographs

FINDING_COLUMNS = ("image", "x", "y", "w", "h", "label", "score", "area_um2")
HEADLINES = ("ap", "ap50", "ap75")
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Judged:
    """Findings beside the truth.

    Attributes
    ----------
    images : LabelledImages
        Those that were judged.
    found : list of FoundBoxes
        Of each, whatever the score.
    classes : tuple of str
    protocol : str
        How it came that they can judge: ``test split``, ``cross-fitted over ...``.
    parts : list of str
        Of each image, by whom it was judged: ``test``, ``fold-2``.
    scores : DetectionScores
    errors : DetectionErrors
    """

    images: LabelledImages
    found: list[FoundBoxes]
    classes: tuple[str, ...]
    protocol: str
    parts: list[str]
    scores: DetectionScores
    errors: DetectionErrors


def judged(
    images: LabelledImages,
    found: Sequence[FoundBoxes],
    protocol: str,
    *,
    threshold: float,
    seed: int,
    chosen: str = GIVEN,
    parts: Sequence[str] | None = None,
    resamples: int = _RESAMPLES,
) -> Judged:
    """Score findings.

    Parameters
    ----------
    images : LabelledImages
    found : sequence of FoundBoxes
        Of each image.
    protocol : str
    threshold : float
        Score from which findings are reported.
    seed : int
        Of the bootstrap; specimens are drawn whole.
    chosen : str
        How the threshold was chosen.
    parts : sequence of str, optional
        By whom each image was judged.
    resamples : int
    """
    scores = detection_scores(
        images.truth, found, images.classes, score=threshold, chosen=chosen, groups=images.groups, seed=seed,
        resamples=resamples,
    )  # fmt: skip
    errors = detection_errors(images.truth, found, images.classes, threshold)
    return Judged(images, list(found), images.classes, protocol, list(parts or ["test"] * len(found)), scores, errors)


def best_threshold(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], classes: Sequence[str]) -> float | None:
    """Return the score of best F1 over all classes, None where no box was ever found."""
    best = detection_scores(truth, found, classes, resamples=0).best_f1
    return None if best is None else float(best.score)


def detect_all(
    detector: Detector, images: LabelledImages, device: Device, label: str = "judging"
) -> tuple[list[int], list[FoundBoxes], list[Quarantined]]:
    """Return the images that could be read, everything found on each, and the files set aside."""
    rows: list[int] = []
    found: list[FoundBoxes] = []
    quarantined: list[Quarantined] = []

    def readable() -> Iterator[Micrograph]:
        for row, micrograph in micrographs(images, quarantined):
            rows.append(row)
            yield micrograph

    with bar(label, len(images)) as advance:
        for _, each, _ in detect_micrographs(detector, readable(), device=device, score=0.0):
            found.append(each)
            advance(1)
    return rows, found, quarantined


def plain_figures(scores: DetectionScores) -> dict[str, Any]:
    """Return the contract's figures of a single run: plain numbers with their intervals beside them."""
    figures = scores.as_dict(curves=False)
    return {
        **{name: figures[name]["value"] for name in HEADLINES},
        "ci95": {name: figures[name]["ci95"] for name in HEADLINES},
        "per_class": {
            name: {**{key: each[key]["value"] for key in HEADLINES}, "n_boxes": each["ap"]["boxes"]}
            for name, each in figures["per_class"].items()
        },
        "n_images": figures["n_images"],
        "n_boxes": figures["n_boxes"],
    }


def finding_rows(image: str, found: FoundBoxes, classes: Sequence[str], pixel_size_um: float | None) -> list[list[str]]:
    """Return the lines of ``findings.csv`` of one image, strongest first.

    Parameters
    ----------
    image : str
    found : FoundBoxes
    classes : sequence of str
    pixel_size_um : float or None
        Without it areas are left empty.
    """
    rows = []
    for box, label, score in zip(found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True):
        left, top, right, bottom = box
        area = "" if pixel_size_um is None else f"{(right - left) * (bottom - top) * pixel_size_um**2:.6g}"
        sides = (f"{value:.2f}" for value in (left, top, right - left, bottom - top))
        rows.append([image, *sides, classes[label], f"{score:.4f}", area])
    return rows


def write_findings(path: Path, found: Judged) -> None:
    """Write everything found on judged images with the part that judged it, complete or not at all."""
    sizes = found.images.pixel_sizes_um()
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow([*FINDING_COLUMNS, "judged_by"])
        for name, each, size, part in zip(found.images.names, found.found, sizes, found.parts, strict=True):
            known = float(size) if np.isfinite(size) else None
            writer.writerows([*row, part] for row in finding_rows(name, each, found.classes, known))
        text.flush()
        text.detach()


@dataclass(frozen=True, eq=False)
class PageFacts:
    """What a page says besides scores and mistakes.

    Attributes
    ----------
    title, source : str
    facts : list of (str, str)
    history : list of dict
    limits, warnings : list of str
    quarantined : list of Quarantined
    speed : mapping or None
    """

    title: str
    source: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    speed: Mapping[str, Any] | None = None


def write_page(path: Path, found: Judged, page: PageFacts) -> str:
    """Write the page of a detector with its gallery; return where it lies."""
    from sorby.report.detection_cases import choose_cases, show_cases  # pages and figures are slow to load
    from sorby.report.detection_page import DetectionFacts, detection_page

    paths = found.images.corpus.paths()

    def pixels(number: int) -> Pixels | None:
        try:
            return read(paths[number]).pixels
        except (ImageError, OSError):  # the page says that there is no picture
            return None

    cases = show_cases(choose_cases(found.errors, found.images.truth, found.found), pixels, found.images.names)
    facts = DetectionFacts(
        page.title,
        page.source,
        found.scores.as_dict(),
        found.errors.as_dict(),
        cases,
        page.facts,
        page.history,
        speed=page.speed,
        limits=page.limits,
        warnings=page.warnings,
        quarantined=[entry.as_dict() for entry in page.quarantined],
        provenance=provenance.describe(),
    )
    write_text(path, detection_page(facts))
    return str(path)

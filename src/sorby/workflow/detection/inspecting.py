"""``inspect`` with a box detector: what is on every image and where, written as it comes, in constant memory."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from sorby.backbone.runtime import Device
from sorby.bundle import OpenBundle
from sorby.detect.detector import Detector
from sorby.errors import ImageError, InputError, Quarantined
from sorby.evidence.boxes import FoundBoxes, box_iou
from sorby.files import atomic_write, explained, write_json
from sorby.micrograph import Micrograph, read
from sorby.progress import bar
from sorby.report.box_overlay import boxes_over
from sorby.workflow.detection.judging import FINDING_COLUMNS, finding_rows
from sorby.workflow.detection.labelled import BETWEEN, NOTHING
from sorby.workflow.detection.large_images import detect_micrographs
from sorby.workflow.detection.opening import OpenBoxDetector, open_box_detector

#: Reason codes of a referral, in the order in which they are given.
REASONS = {
    "near-threshold": "the strongest candidate scores so near the threshold that the verdict might be the other",
    "classes-compete": "findings of two classes lie on one place: it is one of them, or both",
    "list-full": "as many findings as the detector lists: there may be more",
    "scale-out-of-range": "the pixel size lies outside what the detector was taught on",
}
_NEAR_ODDS = 1.6  # odds of a score within this factor of the threshold's, either way, might as well be beyond it
_SAME_PLACE = 0.5
_SCALE_SLACK = 1.25  # pixel sizes up to this factor beyond the taught ones are accepted
_STEM = 60  # characters of an image's name in its picture's


@dataclass(frozen=True)
class BoxVerdict:
    """What a detector says of one image.

    Attributes
    ----------
    label : str
        Class of the strongest finding, or `NOTHING`.
    confidence : float
        Its score; of `NOTHING`, what is left of 1 by the strongest candidate that is no finding. No probability.
    labels : tuple of str
        Classes found, those of the strongest first; `NOTHING` where there are none.
    reasons : tuple of str
        Why a person must look, of `REASONS`.
    strongest : dict of str to float
        Score of the strongest finding of each class, 0 where there is none.
    """

    label: str
    confidence: float
    labels: tuple[str, ...]
    reasons: tuple[str, ...]
    strongest: dict[str, float]

    @property
    def referred(self) -> bool:
        """Whether the image goes to a person."""
        return bool(self.reasons)


@dataclass
class Tally:
    """What the verdicts amount to."""

    labels: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    referred: int = 0
    unscaled: int = 0
    cut: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Images with a verdict."""
        return sum(self.labels.values())


def verdict_on(detector: Detector, candidates: FoundBoxes, pixel_size_um: float | None) -> BoxVerdict:
    """Say what is on an image.

    Parameters
    ----------
    detector : Detector
    candidates : FoundBoxes
        Findings, and what scores less than the threshold, however little: it says how sure `NOTHING` is.
    pixel_size_um : float or None
    """
    found = candidates.above(detector.threshold)
    best = float(candidates.scores.max(initial=0.0))
    strongest = {
        name: float(found.scores[found.labels == k].max(initial=0.0)) for k, name in enumerate(detector.classes)
    }
    seen = tuple(name for name in sorted(strongest, key=lambda name: -strongest[name]) if strongest[name] > 0)
    near = near_threshold(detector.threshold)
    holds = {
        "near-threshold": near[0] <= best < near[1],
        "classes-compete": _competing(found),
        "list-full": len(found) >= detector.recipe.output.most,
        "scale-out-of-range": _out_of_range(detector.facts.get("pixel_sizes_um"), pixel_size_um),
    }
    reasons = tuple(name for name in REASONS if holds[name])
    if not len(found):
        return BoxVerdict(NOTHING, 1 - best, (NOTHING,), reasons, strongest)
    return BoxVerdict(seen[0], best, seen, reasons, strongest)


def near_threshold(threshold: float) -> tuple[float, float]:
    """Return the scores between which a finding might as well be on the other side of the threshold.

    Their odds differ from the threshold's by a factor of 1.6: scores of a softmax crowd near 1, where a share of the
    score itself would take in all of them.

    Examples
    --------
    >>> [round(end, 2) for end in near_threshold(0.5)], [round(end, 2) for end in near_threshold(0.8)]
    ([0.38, 0.62], [0.71, 0.86])
    """
    held = min(max(threshold, 1e-6), 1 - 1e-6)
    odds = held / (1 - held)
    low, high = odds / _NEAR_ODDS, odds * _NEAR_ODDS
    return low / (1 + low), high / (1 + high)


def _competing(found: FoundBoxes) -> bool:
    if len(np.unique(found.labels)) < 2:
        return False
    other = found.labels[:, None] != found.labels[None, :]
    return bool((other & (box_iou(found.boxes, found.boxes) >= _SAME_PLACE)).any())


def _out_of_range(taught: Sequence[float] | None, size: float | None) -> bool:
    return taught is not None and size is not None and not taught[0] / _SCALE_SLACK <= size <= taught[1] * _SCALE_SLACK


def inspect_boxes(
    bundle: OpenBundle,
    files: Sequence[Path],
    out: Path,
    *,
    explain: bool = False,
    pixel_size_um: float | None = None,
    device: Device = "auto",
) -> dict[str, Any]:
    """Write the findings and a verdict on every image.

    Parameters
    ----------
    bundle : OpenBundle
        Of a box detector.
    files : sequence of Path
    out : Path
        Gets ``findings.csv`` (a line a finding: place and size in pixels, class, score, area where the pixel size is
        known), ``verdicts.csv`` (a line an image), ``inspection.json`` and, with *explain*, ``overlays/``.
    explain : bool
        Write every image with its findings drawn in.
    pixel_size_um : float, optional
        Scale of every image; overrides what the files say.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``verdicts``, ``findings`` (the two files), ``n``, ``n_findings``, ``found`` (of each class), ``labels``,
        ``referred``, ``reasons``, ``threshold``, ``images_per_s``, ``warnings``, ``quarantined``, ``bundle_sha256``,
        ``signature``, ``runtime``.

    Raises
    ------
    InputError
        The folder holds verdicts already, or cannot be written.
    """
    targets = {name: out / f"{name}.csv" for name in ("verdicts", "findings")}
    for target in targets.values():
        if target.exists():
            raise InputError(f"{target}: exists", "choose another --out")
    opened = open_box_detector(bundle)
    detector, tally = opened.detector, Tally()
    runner = detector.runner(device)
    folder = out / "overlays" if explain else None
    if folder is not None:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with bar("inspecting", len(files)) as advance, ExitStack() as stack:
        verdicts, findings = (_table(stack, targets[name]) for name in ("verdicts", "findings"))
        verdicts.writerow(_verdict_columns(detector))
        findings.writerow(FINDING_COLUMNS)
        images = _readable(files, pixel_size_um, tally.quarantined)
        for image, candidates, cut in detect_micrographs(detector, images, device=device, score=0.0):
            found = candidates.above(detector.threshold)
            verdict = verdict_on(detector, candidates, image.scale.pixel_size_um)
            if folder is not None:
                _draw(folder, tally.n, image, found, detector)
            _count(tally, verdict, found, detector, image, cut)
            path = "" if image.path is None else image.path.as_posix()
            verdicts.writerow(_verdict_row(path, verdict, len(found), image))
            findings.writerows(finding_rows(path, found, detector.classes, image.scale.pixel_size_um))
            advance(1)
    seconds = time.perf_counter() - started
    result = _summary(targets, tally, seconds, opened, f"{type(runner).__name__}")
    write_json(out / "inspection.json", result)
    return result


def _readable(
    files: Sequence[Path], pixel_size_um: float | None, quarantined: list[Quarantined]
) -> Iterator[Micrograph]:
    for path in files:
        try:
            found = read(path, pixel_size_um=pixel_size_um)
        except ImageError as error:
            quarantined.append(Quarantined.from_error(path, error))
        except OSError as error:
            quarantined.append(Quarantined(str(path), f"cannot be read ({error.strerror})"))
        else:
            yield found


class _Writer:
    """A CSV file that appears when all its lines are in."""

    def __init__(self, file: IO[bytes]) -> None:
        # A file name that is no UTF-8 is written with escapes rather than ending the inspection.
        self.text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        self._writer = csv.writer(self.text)

    def writerow(self, row: Sequence[str]) -> None:
        self._writer.writerow(row)

    def writerows(self, rows: Sequence[Sequence[str]]) -> None:
        self._writer.writerows(rows)

    def done(self) -> None:
        self.text.flush()
        self.text.detach()


def _table(stack: ExitStack, path: Path) -> _Writer:
    writer = _Writer(stack.enter_context(atomic_write(path)))
    stack.callback(writer.done)
    return writer


def _verdict_columns(detector: Detector) -> list[str]:
    return [
        *("image", "label", "confidence", "set", "novelty", "referred", "reason"),
        *(f"p_{name}" for name in detector.classes),
        *("findings", "pixel_size_um", "scale_source", "notes"),
    ]


def _verdict_row(path: str, verdict: BoxVerdict, count: int, image: Micrograph) -> list[str]:
    size = image.scale.pixel_size_um
    return [
        path,
        verdict.label,
        f"{verdict.confidence:.4f}",
        BETWEEN.join(verdict.labels),
        "",  # a detector does not say how unlike its examples an image is
        "true" if verdict.referred else "false",
        "|".join(verdict.reasons),
        *(f"{score:.4f}" for score in verdict.strongest.values()),
        str(count),
        "" if size is None else f"{size:.6g}",
        image.scale.source,
        "; ".join(image.notes),
    ]


def _count(
    tally: Tally, verdict: BoxVerdict, found: FoundBoxes, detector: Detector, image: Micrograph, cut: bool
) -> None:
    tally.labels[verdict.label] += 1
    tally.found.update(detector.classes[label] for label in found.labels.tolist())
    tally.reasons.update(verdict.reasons)
    tally.referred += verdict.referred
    tally.unscaled += image.scale.pixel_size_um is None
    tally.cut += cut


def _draw(folder: Path, number: int, image: Micrograph, found: FoundBoxes, detector: Detector) -> None:
    """Write an image with its findings, numbered as the lines of the verdicts."""
    stem = "image" if image.path is None else image.path.stem[:_STEM]
    with atomic_write(folder / f"{number:05d}-{stem}.png") as file:
        Image.fromarray(boxes_over(image.pixels, found, detector.classes)).save(file, "PNG", compress_level=1)


def _summary(
    targets: dict[str, Path], tally: Tally, seconds: float, opened: OpenBoxDetector, runtime: str
) -> dict[str, Any]:
    warnings = []
    if tally.unscaled:
        warnings.append(f"{tally.unscaled} of {tally.n} images state no pixel size: their findings have no area")
    if tally.cut:
        warnings.append(
            f"{tally.cut} images are larger than those that taught the detector: they were looked at in tiles as large"
            " as these"
        )
    return {
        "verdicts": str(targets["verdicts"]),
        "findings": str(targets["findings"]),
        "n": tally.n,
        "n_findings": tally.found.total(),
        "found": dict(sorted(tally.found.items())),
        "referred": tally.referred,
        "labels": dict(sorted(tally.labels.items())),
        "reasons": dict(tally.reasons.most_common()),
        "threshold": opened.detector.threshold,
        "images_per_s": (tally.n + len(tally.quarantined)) / max(seconds, 1e-9),
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in tally.quarantined],
        "bundle_sha256": opened.sha256,
        "signature": opened.signature,
        "runtime": runtime,
    }

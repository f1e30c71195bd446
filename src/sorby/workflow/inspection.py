"""``inspect``: a verdict for every image, written as they come, in constant memory."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sorby.backbone.runtime import Device
from sorby.bundle import OpenBundle, open_bundle
from sorby.classify import Classifier, Verdict
from sorby.detect import KIND as BOXES
from sorby.errors import InputError, Quarantined
from sorby.files import atomic_write, explained, write_json
from sorby.micrograph import Micrograph, find_images, read
from sorby.progress import bar
from sorby.workflow.archive.bar_magnifications import told_by_bars
from sorby.workflow.explaining import Method, write_overlays
from sorby.workflow.opening import classifier_of
from sorby.workflow.specimens.seeing import Seen, looked_at
from sorby.workflow.specimens.verdicts import Specimens, judge_specimens, open_judge

Draw = Callable[[Classifier, Sequence[tuple[Micrograph, str, Path]]], None]
"""Writes the pictures of a batch of micrographs: what to explain, for which class, where it goes."""

_EXPLAIN_AT_ONCE = 8
_STEM = 60  # characters of an image's name in its picture's; a long one would not fit a file system
_FIXED_COLUMNS = ("image", "label", "confidence", "set", "novelty", "referred", "reason")
_EXTRA_COLUMNS = ("pixel_size_um", "scale_source", "notes")


@dataclass
class Tally:
    """What the verdicts amount to."""

    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    referred: int = 0
    unscaled: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Images with a verdict."""
        return sum(self.labels.values())

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.labels[verdict.label] += 1
        self.reasons.update(verdict.reasons)
        self.referred += verdict.referred
        self.unscaled += verdict.pixel_size_um is None


def gather(paths: Sequence[Path]) -> list[Path]:
    """Return the image files that PATHS name, folders searched.

    Raises
    ------
    InputError
        A path does not exist, or there is no image at all.
    """
    found = [file for path in paths for file in find_images(path)]
    if not found:
        raise InputError(f"{paths[0]}: holds no images", "give image files or a folder of them")
    return list(dict.fromkeys(found))


def row(verdict: Verdict, classifier: Classifier) -> list[str]:
    """Return one line of ``verdicts.csv``."""
    size = "" if verdict.pixel_size_um is None else f"{verdict.pixel_size_um:.6g}"
    return [
        verdict.image.as_posix(),
        verdict.label,
        f"{verdict.confidence:.4f}",
        "|".join(verdict.labels),
        f"{verdict.novelty:.4f}",
        "true" if verdict.referred else "false",
        "|".join(verdict.reasons),
        *(f"{verdict.probabilities[name]:.4f}" for name in classifier.classes),
        size,
        verdict.scale_source,
        "; ".join(verdict.notes),
        *([verdict.trace] if classifier.head.spec.kind != "flat" else []),
        *(f"{value:.3f}" for name in classifier.head.spec.lengths for value in verdict.lengths_um[name]),
    ]


def columns(classifier: Classifier) -> list[str]:
    """Return the header of ``verdicts.csv``; what only some heads say comes last."""
    spec = classifier.head.spec
    lengths = [f"needle_{name}{end}_um" for name in spec.lengths for end in ("", "_low", "_high")]
    return [
        *_FIXED_COLUMNS,
        *(f"p_{name}" for name in classifier.classes),
        *_EXTRA_COLUMNS,
        *(["trace"] if spec.kind != "flat" else []),
        *lengths,
    ]


def inspect(
    bundle: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    explain: bool = False,
    colormap: str = "jet",
    method: Method = "auto",
    layer: str | None = None,
    pixel_size_um: float | None = None,
    magnification: float | None = None,
    by_specimen: Path | str | None = None,
    specimen_judge: Path | str | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Write a verdict on every image.

    Parameters
    ----------
    bundle : path
        A classifier, or a box detector (see `sorby.workflow.detection.inspecting.inspect_boxes`).
    paths : sequence of path
        Image files and folders.
    out : path
        Folder that gets ``verdicts.csv``, ``inspection.json`` and, with *explain*, ``overlays/``.
    explain : bool
        Write where the classifier looked, for every image.
    colormap : str
        Of those pictures: ``jet`` as in the papers, or a perceptually uniform one such as ``viridis``.
    method, layer
        How those pictures are made, see `sorby.workflow.explaining.explain`.
    pixel_size_um : float, optional
        Scale of every image; overrides what the files say.
    magnification : float, optional
        Of every image; overrides what the files say. It counts where the classifier reads it and for specimens; of
        images for which neither this, nor a table, nor tags state one, it is then read off the info bar.
    by_specimen : path or "folder", optional
        Also give a verdict on each specimen: the folder an image lies in, or what a table (CSV with columns image and
        specimen) says; see `sorby.workflow.specimens.verdicts`.
    specimen_judge : path, optional
        Bundle that judges specimens and gives flags (`sorby specimens`); simple pooling where absent.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``verdicts`` (the CSV), ``n``, ``referred``, ``images_per_s``, ``labels``, ``reasons``, ``warnings``,
        ``quarantined``, ``bundle_sha256``, ``signature``; ``by_specimen`` where it was asked for.

    Raises
    ------
    InputError
        No images, an output folder that holds verdicts already, or a full disk.
    """
    out = Path(out)
    target = out / "verdicts.csv"
    if target.exists():
        raise InputError(f"{target}: exists", "choose another --out")
    files = gather([Path(path) for path in paths])
    specimens = None if by_specimen is None else Specimens.open(by_specimen)
    if specimen_judge is not None and specimens is None:
        raise InputError("a specimen judge judges specimens", "add --by-specimen folder, or a table")
    powers: dict[Path, float] = {}
    if specimens is not None:
        specimens.names(files)  # an image that the table does not name is refused before anything is done
        powers = specimens.magnification_of(files)
    if magnification is not None:
        powers = dict.fromkeys(files, magnification)
    opened = open_bundle(bundle, require_signed=require_signed)
    if opened.description.kind == BOXES:
        from sorby.workflow.detection.inspecting import inspect_boxes  # torch's detection parts are slow to load

        _refuse_for_boxes(
            by_specimen=by_specimen, specimen_judge=specimen_judge, magnification=magnification, map=method, layer=layer
        )
        return inspect_boxes(opened, files, out, explain=explain, pixel_size_um=pixel_size_um, device=device)
    classifier = classifier_of(opened)
    judge = None if specimen_judge is None else open_judge(specimen_judge, opened.sha256, require_signed=require_signed)
    seen = Seen()
    classifier.runtime(device)
    tally, said = Tally(), list[str]()
    started = time.perf_counter()
    if magnification is None and (classifier.reads_magnification or specimens is not None):
        told, said = told_by_bars([file for file in files if file not in powers])
        powers |= told
    with bar("inspecting", len(files)) as advance:
        outcomes = classifier.inspect(
            files,
            device=device,
            pixel_size_um=pixel_size_um,
            magnification=map(powers.get, files),
            progress=advance,
        )
        if specimens is not None:
            outcomes = looked_at(classifier, judge, outcomes, seen, magnifications=powers, device=device)
        if explain:
            outcomes = _explained(
                classifier,
                outcomes,
                out / "overlays",
                partial(write_overlays, colormap=colormap, method=method, layer=layer, magnification=magnification),
            )
        _write(target, outcomes, classifier, tally)
    seconds = time.perf_counter() - started
    result = _summary(target, tally, seconds, opened, classifier)
    result["warnings"] += said
    if specimens is not None and seen.verdicts:
        found = judge_specimens(classifier, judge, seen, specimens, out)
        result["warnings"] += found.pop("warnings")
        result["by_specimen"] = found
    write_json(out / "inspection.json", result)
    return result


def _refuse_for_boxes(**asked: object) -> None:
    """Refuse what only a classifier can be asked.

    Raises
    ------
    InputError
    """
    for name, value in asked.items():
        if value not in (None, "auto"):
            raise InputError(
                f"--{name.replace('_', '-')} is for classifiers, and this is a box detector", "leave it out"
            )


def _write(target: Path, outcomes: Iterable[Verdict | Quarantined], classifier: Classifier, tally: Tally) -> None:
    """Write the verdicts as they come; the file appears when all are in."""
    with atomic_write(target) as file:
        # A file name that is no UTF-8 is written with escapes rather than ending the inspection.
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(columns(classifier))
        for outcome in outcomes:
            if isinstance(outcome, Quarantined):
                tally.quarantined.append(outcome)
                continue
            tally.add(outcome)
            writer.writerow(row(outcome, classifier))
        text.flush()
        text.detach()


def _summary(target: Path, tally: Tally, seconds: float, opened: OpenBundle, classifier: Classifier) -> dict[str, Any]:
    runtime = classifier.runtime()
    return {
        "verdicts": str(target),
        "n": tally.n,
        "referred": tally.referred,
        "labels": dict(sorted(tally.labels.items())),
        "reasons": dict(tally.reasons.most_common()),
        "images_per_s": (tally.n + len(tally.quarantined)) / max(seconds, 1e-9),
        "warnings": _warnings(tally, classifier),
        "quarantined": [entry.as_dict() for entry in tally.quarantined],
        "bundle_sha256": opened.sha256,
        "signature": str(opened.signature),
        "runtime": f"{runtime.name} {runtime.precision}",
    }


def _warnings(tally: Tally, classifier: Classifier) -> list[str]:
    """Say what could not be checked: what the calibration does not suffice for, and scales that nobody stated."""
    found = classifier.judge.limits()
    if tally.unscaled and classifier.judge.pixel_sizes_um is not None:
        found.append(
            f"{tally.unscaled} of {tally.n} images state no pixel size: it was not compared with the taught ones"
        )
    return found


def _explained(
    classifier: Classifier, outcomes: Iterable[Verdict | Quarantined], folder: Path, draw: Draw
) -> Iterator[Verdict | Quarantined]:
    """Pass verdicts on and write a picture for each, a few at a time."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    waiting: list[Verdict] = []
    number = 0
    for outcome in outcomes:
        if isinstance(outcome, Verdict):
            waiting.append(outcome)
        if len(waiting) == _EXPLAIN_AT_ONCE:
            number = _draw(classifier, waiting, folder, number, draw)
            waiting.clear()
        yield outcome
    if waiting:
        _draw(classifier, waiting, folder, number, draw)


def _draw(classifier: Classifier, verdicts: Sequence[Verdict], folder: Path, number: int, draw: Draw) -> int:
    """Write the pictures of some verdicts, numbered as the lines of the CSV; return the next number."""
    jobs = [
        (read(verdict.image), verdict.label, folder / f"{number + k:05d}-{verdict.image.stem[:_STEM]}.png")
        for k, verdict in enumerate(verdicts)
    ]
    draw(classifier, jobs)
    return number + len(verdicts)

"""``anomaly score``: a score for every image and a finding for every region, written as they come."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorby.anomaly.detector import Detector, ImageMaps, score_meaning
from sorby.anomaly.findings import find, put_together
from sorby.anomaly.thresholds import Threshold
from sorby.backbone.runtime import Device
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import atomic_write, write_json
from sorby.progress import bar
from sorby.report.score_overlay import write_overlay
from sorby.workflow.anomaly.opening import open_detector
from sorby.workflow.inspection import gather

_SCORES = ("image", "score", "threshold", "anomalous", "p_value", "findings", "pixel_size_um")
_FINDINGS = ("image", "x", "y", "w", "h", "label", "score", "area_um2", "area_px")
_STEM = 60


@dataclass
class _Tally:
    images: int = 0
    views: int = 0
    anomalous: int = 0
    findings: int = 0
    unscaled: int = 0
    other_depth: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)


def score(
    bundle: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    pixel_size_um: float | None = None,
    maps: bool = False,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Score images and write down what was found.

    Parameters
    ----------
    bundle : path
    paths : sequence of path
        Image files and folders.
    out : path
        Folder that gets ``scores.csv``, ``findings.csv``, ``scoring.json`` and, with *maps*, ``maps/``.
    pixel_size_um : float, optional
        Scale of every image; overrides what the files say.
    maps : bool
        Write a picture of each image's map.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``scores``, ``findings`` (the CSV files), ``n``, ``anomalous``, ``n_findings``, ``threshold``, ``tiles_per_s``,
        ``meaning``, ``warnings``, ``quarantined`` ...

    Raises
    ------
    InputError
        No images, an output folder that holds scores already, or a full disk.
    """
    out = Path(out)
    target = out / "scores.csv"
    if target.exists():
        raise InputError(f"{target}: exists", "choose another --out")
    files = gather([Path(path) for path in paths])
    opened = open_detector(bundle, require_signed=require_signed)
    detector = opened.detector
    threshold = _calibrated(detector)
    # Maps on the grid lie about pixel stride * i; maps in pixels were put there already.
    centred = detector.embedding.centred and detector.recipe.smoothing.kind == "grid"
    detector.runtime(device)
    tally = _Tally()
    started = time.perf_counter()
    with bar("scoring", len(files)) as advance, ExitStack() as stack:
        tables = [stack.enter_context(_Table(out / name, columns)) for name, columns in
                  (("scores.csv", _SCORES), ("findings.csv", _FINDINGS))]  # fmt: skip
        for k, found in detector.score(files, device=device, progress=advance):
            if isinstance(found, SorbyError):
                tally.quarantined.append(Quarantined.from_error(files[k], found))
                continue
            tally.other_depth += bool(detector.depths) and found.stack.depth not in detector.depths
            rows = _write(found, centred, threshold, pixel_size_um, tables, tally)
            if maps:
                name = f"{k:05d}-{found.path.stem[:_STEM]}.png"
                write_overlay(out / "maps" / name, found, rows, threshold.value)
    seconds = time.perf_counter() - started
    result = {
        "scores": str(target),
        "findings": str(out / "findings.csv"),
        "n": tally.images,
        "anomalous": tally.anomalous,
        "n_findings": tally.findings,
        "threshold": threshold.value,
        "calibration": threshold.describe(),
        "meaning": score_meaning(detector.recipe),
        "tiles_per_s": tally.views / max(seconds, 1e-9),
        "seconds": seconds,
        "runtime": f"{detector.runtime().name} {detector.runtime().precision}",
        "bundle_sha256": opened.sha256,
        "signature": opened.signature,
        "warnings": _warnings(tally, detector),
        "quarantined": [entry.as_dict() for entry in tally.quarantined],
    }
    write_json(out / "scoring.json", result)
    return result


def _calibrated(detector: Detector) -> Threshold:
    if detector.threshold is None:
        raise InputError("the detector has no threshold", "fit it again")
    return detector.threshold


class _Table:
    """A CSV that appears when all rows are in."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, columns
        self._stack = ExitStack()

    def __enter__(self) -> _Table:
        file = self._stack.enter_context(atomic_write(self._path))
        # A file name that is no UTF-8 is written with escapes rather than ending the work.
        self._text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        self._writer = csv.writer(self._text)
        self._writer.writerow(self._columns)
        return self

    def row(self, values: Sequence[object]) -> None:
        self._writer.writerow(values)

    def __exit__(self, *exception: Any) -> None:
        self._text.flush()
        self._text.detach()
        self._stack.__exit__(*exception)


def _write(
    found: ImageMaps,
    centred: bool,
    threshold: Threshold,
    pixel_size_um: float | None,
    tables: list[_Table],
    tally: _Tally,
) -> list[Any]:
    """Write one image's lines; return its findings."""
    scale = pixel_size_um if pixel_size_um is not None else found.stack.pixel_size_um
    regions = []
    if found.score >= threshold.value:
        regions = find(put_together(found.maps, found.stack, centred=centred), threshold.value)
    image = found.path.as_posix()
    p_value = threshold.p_values(found.score).item()
    tables[0].row(
        [
            image, f"{found.score:.6g}", f"{threshold.value:.6g}", str(found.score >= threshold.value).lower(),
            "" if p_value != p_value else f"{p_value:.4g}", len(regions), "" if scale is None else f"{scale:.6g}",
        ]
    )  # fmt: skip
    for each in regions:
        area = each.area_um2(scale)
        tables[1].row(
            [image, *(f"{value:.1f}" for value in (each.x, each.y, each.w, each.h)), "anomaly",
             f"{each.score:.6g}", "" if area is None else f"{area:.6g}", f"{each.area_px:.1f}"]
        )  # fmt: skip
    tally.images += 1
    tally.views += len(found.maps)
    tally.anomalous += found.score >= threshold.value
    tally.findings += len(regions)
    tally.unscaled += scale is None
    return regions


def _warnings(tally: _Tally, detector: Detector) -> list[str]:
    """Say what the scores cannot be trusted for."""
    found = []
    if tally.other_depth:
        found.append(
            f"{tally.other_depth} of {tally.images} images have another depth than the good ones"
            f" ({', '.join(sorted(detector.depths))}): their contrast was stretched otherwise and scores do not compare"
        )
    if tally.unscaled and tally.findings:
        found.append(
            f"{tally.unscaled} of {tally.images} images state no pixel size: give --pixel-size-um for areas in um2"
        )
    return found

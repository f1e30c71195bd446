"""Findings of an anomaly map whose kinds are known: frames of a phantom web, scored by a detector of good frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.anomaly import recipe as anomaly_recipes
from sorby.backbone.runtime import Device
from sorby.evidence.boxes import BoxArray, areas, overlap
from sorby.files import atomic_write
from sorby.phantom.membrane import Web, WebSpec
from sorby.phantom.membrane.defects import Defect
from sorby.phantom.membrane.png import write_grey_png
from sorby.progress import bar
from sorby.workflow.anomaly import fit, score
from sorby.workflow.detection.located import Located, read_findings

KINDS = ("scratch", "scuff", "pinhole", "dent", "streak", "debris", "fibre")
"""What is on the frames; the last two are dirt."""
NOTHING = "nothing"
"""What a finding is called that shows no defect."""

_GROWN_PX = 16.0  # a cell of the anomaly map
_SHARED = 0.25  # of the smaller of finding and defect, from which one shows the other
_GOOD = WebSpec(width_px=1024, defects_per_m=0.0, dirt_per_m=0.0)
_BAD = WebSpec(width_px=1024, defects_per_m=70.0, dirt_per_m=40.0, kinds=KINDS[:5])
_RECIPE: dict[str, Any] = {"threshold.false_alarm_rate": 0.02}


@dataclass(frozen=True, eq=False)
class KnownFindings:
    """Findings with what they really show.

    Attributes
    ----------
    findings : list of Located
    truth : list of str
        One of `KINDS` or `NOTHING`.
    missed : dict of str to int
        Defects of each kind that no finding shows.
    """

    findings: list[Located]
    truth: list[str]
    missed: dict[str, int]


def known_findings(
    out: Path, *, frames: int = 100, good_frames: int = 40, seed: int = 0, device: Device = "auto"
) -> KnownFindings:
    """Render a web, fit an anomaly detector on clean frames of it, score the others and say what each finding shows.

    Parameters
    ----------
    out : Path
        Gets ``good/``, ``frames/``, ``web.sorby`` and ``scored/``; what is there already is not made again.
    frames, good_frames : int
        Frames of 1024 x 1024 pixels.
    seed : int
    device : {"auto", "cpu", "cuda"}
    """
    size = _BAD.width_px
    _write_frames(out / "good", Web(_GOOD, seed=seed), good_frames, size)
    web = Web(_BAD, seed=seed + 1)
    _write_frames(out / "frames", web, frames, size)
    if not (out / "web.sorby").exists():
        recipe = anomaly_recipes.load("web", {**_RECIPE, "seed": seed})
        fit(out / "good", out / "web.sorby", recipe=recipe, device=device)
    if not (out / "scored" / "findings.csv").exists():
        score(out / "web.sorby", [out / "frames"], out / "scored", pixel_size_um=_BAD.pixel_size_um, device=device)
    findings = read_findings(out / "scored").findings
    defects = web.truth(frames * size)
    return matched(findings, [_frame_number(each.image) for each in findings], defects, size)


def matched(
    findings: Sequence[Located], frame_of: Sequence[int], defects: Sequence[Defect], frame_px: int
) -> KnownFindings:
    """Say which kind of defect each finding shows: the one that covers most of it, or nothing.

    Parameters
    ----------
    findings : sequence of Located
    frame_of : sequence of int
        The frame that each lies on.
    defects : sequence of Defect
        In pixels of the web; frame k shows rows ``k * frame_px`` and on.
    frame_px : int
    """
    boxes = np.array([each.box for each in findings], np.float32).reshape(-1, 4)
    shift = np.array(frame_of, np.float32) * frame_px
    boxes[:, [1, 3]] += shift[:, None]
    real = np.array([[d.x, d.y, d.x + d.w, d.y + d.h] for d in defects], np.float32).reshape(-1, 4)
    kinds = [each.kind for each in defects]
    truth, shown = [], np.zeros(len(real), bool)
    for box in boxes:
        which = _shown(box[None], real)
        shown[which] = True
        truth.append(_largest(box, real[which], [kinds[k] for k in which]))
    missed = {kind: sum(k == kind and not s for k, s in zip(kinds, shown, strict=True)) for kind in sorted(set(kinds))}
    return KnownFindings(list(findings), truth, missed)


def _shown(box: BoxArray, real: BoxArray) -> npt.NDArray[np.intp]:
    """Return the defects that a finding shows; the map's cells are coarse, so it is grown by one first."""
    grown = box + np.array([-_GROWN_PX, -_GROWN_PX, _GROWN_PX, _GROWN_PX], np.float32)
    shared = overlap(grown, real)[0]
    least = np.minimum(areas(box)[0], np.maximum(areas(real), 1.0))
    return np.flatnonzero(shared >= _SHARED * least)


def _largest(box: npt.NDArray[np.float32], real: BoxArray, kinds: Sequence[str]) -> str:
    if not len(kinds):
        return NOTHING
    return kinds[int(overlap(box[None], real)[0].argmax())]


def _write_frames(folder: Path, web: Web, count: int, size: int) -> None:
    with bar(f"rendering {folder.name}", count) as advance:
        for number in range(count):
            path = folder / f"frame-{number:04d}.png"
            if not path.exists():
                pixels = web.rows(number * size, (number + 1) * size)
                with atomic_write(path) as file:
                    write_grey_png(file, (size, size), [pixels])
            advance(1)


def _frame_number(image: Path) -> int:
    return int(image.stem.rpartition("-")[2])

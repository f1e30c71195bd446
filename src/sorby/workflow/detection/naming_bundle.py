"""``detect name finish``: what was named becomes the lesson of a box detector, which needs no anomaly map any more."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sorby.backbone.runtime import Device
from sorby.corpus.boxes import Box, encode
from sorby.detect import recipe as recipes
from sorby.detect.recipe import DetectRecipe
from sorby.errors import InputError
from sorby.files import atomic_write
from sorby.workflow.detection.located import Located
from sorby.workflow.detection.name_labels import PASSED, TO_LABEL, checked, read_labels
from sorby.workflow.detection.name_model import NOTHING
from sorby.workflow.detection.naming_session import Session, SessionSettings
from sorby.workflow.detection.opening import open_box_detector
from sorby.workflow.detection.teaching import DEFAULT_RECIPE, train_detector

BOXES = "boxes.csv"
"""The labelled boxes, as a table that ``detect train`` takes."""

_AS_FOUND = (
    "its boxes are the regions of the anomaly map that taught it: wider than the defects by what that map sees around"
    " a point"
)


def finish_naming(folder: Path | str, out: Path | str, *, device: Device = "auto") -> dict[str, Any]:
    """Teach a box detector on what was named by hand, with its estimate and its threshold from cross-fitting.

    Findings called `NOTHING` teach the background. Those that nobody named are ignored: neither defect nor background.

    Parameters
    ----------
    folder : path
        The session.
    out : path
        Run folder, see `sorby.workflow.detection.teaching.train_detector`; its ``detector.sorby`` is the bundle.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        As of `train_detector`.

    Raises
    ------
    InputError
        No defect was named, or the folder holds a run.
    """
    session = Session.open(Path(folder))
    with session.alone():
        labels = {**session.labels(), **_written(session)}
        table = session.folder / BOXES
        _write_boxes(table, session.findings, labels)
        result = train_detector(table, out, _recipe(session.settings), base=session.settings.base, device=device)
    return {**result, "warnings": [*result["warnings"], _AS_FOUND]}


def _written(session: Session) -> dict[int, str]:
    """Return labels that were written since the last teaching."""
    if not session.table.exists():
        return {}
    return checked(read_labels(session.table, session.last_number), session.labels(), ())[0]


def _recipe(settings: SessionSettings) -> DetectRecipe:
    """Return the few-shot recipe on the base's stages, at the scale at which the findings were looked at."""
    base = open_box_detector(settings.base).detector.recipe
    few = recipes.load(DEFAULT_RECIPE, {"name": "named", "seed": settings.seed, "few_shot.views": settings.views})
    tiles = {"tile_px": settings.window_px, "overlap_px": settings.window_px // 4}
    box = {"pool": base.box.pool, "width": base.box.width, "describe": settings.describe}
    return few.model_copy(
        update={
            "image": base.image.model_copy(update=tiles),
            "backbone": base.backbone,
            "pyramid": base.pyramid,
            "anchors": base.anchors,
            "proposals": base.proposals,
            "box": few.box.model_copy(update=box),
        }
    )


def _write_boxes(path: Path, findings: Sequence[Located], labels: Mapping[int, str]) -> None:
    """Write one row for each picture on which something was named."""
    names = sorted(set(labels.values()) - {PASSED, NOTHING})
    if not names:
        raise InputError(f"no defect is named in {TO_LABEL}", "label some findings, then sorby detect name teach")
    pictures: dict[Path, list[Located]] = defaultdict(list)
    for each in findings:
        pictures[each.image].append(each)
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(("path", "label", "boxes"))
        for image, members in sorted(pictures.items()):
            given = [labels.get(each.number, PASSED) for each in members]
            if any(name != PASSED for name in given):
                boxes = [_box(e, name, names[0]) for e, name in zip(members, given, strict=True) if name != NOTHING]
                writer.writerow((image.resolve(), "named", encode(boxes)))  # tables of images want a label each
        text.flush()
        text.detach()


def _box(finding: Located, name: str, stand_in: str) -> Box:
    """Return a finding as a labelled box; one without a name is ignored, whatever it is called."""
    left, top = finding.box[:2]
    return Box(stand_in if name == PASSED else name, left, top, *finding.size, ignored=name == PASSED)

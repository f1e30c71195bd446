"""Pictures of defects on disk: images, masks, boxes, truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sorby.corpus.boxes import Box, encode
from sorby.errors import InputError
from sorby.files import staged_directory, write_json
from sorby.phantom.defects.picture import KINDS, DefectPicture
from sorby.phantom.defects.rendering import check_request, render
from sorby.phantom.writing import gather, write_mask

#: Pictures that one process draws before it reports.
_AT_ONCE = 8
#: Columns of the truth table.
TRUTH = ("image", "number", "kind", "x", "y", "w", "h", "area_px", "contrast", "family", "texture")


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    numbers: tuple[int, ...]
    size: tuple[int, int]
    family: str | None


def picture_name(number: int) -> str:
    """Return the name of a picture's files, from 0."""
    return f"defects-{number + 1:05d}.png"


def write_defects(
    out: Path | str,
    n: int,
    seed: int = 0,
    *,
    size: tuple[int, int] = (256, 256),
    family: str | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Draw pictures of defects and write them with their truth.

    The folder gets ``images/`` and ``masks/`` (PNG; masks 0 and 255), ``boxes.json`` (COCO), ``truth.csv`` (one row
    a defect) and ``labels.csv`` (one row a picture with its boxes, the returned table). It is complete or absent.

    Parameters
    ----------
    out : path
        Destination folder.
    n : int
        Pictures.
    seed : int
        Same seed, same bytes; the pictures of `sorby.phantom.defects.defect_set`.
    size : tuple of int
        Height and width in pixels.
    family : str, optional
        Of the surfaces; mixed where None.
    overwrite : bool
        Replace an existing folder.
    jobs : int, optional
        Processes; one for each processor where None.
    progress : callable, optional
        Called with pictures done and pictures in all.

    Returns
    -------
    pandas.DataFrame
        ``path``, ``label`` (``defect`` or ``good``), ``specimen``, ``boxes`` as a corpus holds them, ``mask``,
        ``family``, ``texture``, ``defects``; paths relative to *out* (kept in ``attrs["root"]``).

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    if n < 1:
        raise InputError(f"{n} pictures cannot be drawn", "ask for at least 1")
    check_request(size, family)
    with staged_directory(out, overwrite=overwrite) as folder:
        for part in ("images", "masks"):
            (folder / part).mkdir()
        work = [
            _Job(folder, seed, tuple(range(first, min(first + _AT_ONCE, n))), size, family)
            for first in range(0, n, _AT_ONCE)
        ]
        drawn = gather(_write_pictures, work, jobs, n, progress)
        table = pd.DataFrame([row for row, _ in drawn])
        table.to_csv(folder / "labels.csv", index=False)
        truth = pd.DataFrame([row for _, rows in drawn for row in rows], columns=list(TRUTH))
        truth.to_csv(folder / "truth.csv", index=False)
        write_json(folder / "boxes.json", _coco(table, truth, size))
    table.attrs["root"] = str(out)
    return table


def _write_pictures(job: _Job) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [_write_one(job, number) for number in job.numbers]


def _write_one(job: _Job, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    picture = render((job.seed, number), size=job.size, family=job.family)
    name = picture_name(number)
    # Noise hardly compresses: a higher level costs much time and saves little.
    Image.fromarray(picture.pixels).save(job.folder / "images" / name, compress_level=1)
    write_mask(job.folder / "masks" / name, np.asarray(picture.masks.any(axis=0)))
    truth = truth_rows(picture, f"images/{name}")
    boxes = [Box(row["kind"], row["x"], row["y"], row["w"], row["h"]) for row in truth]
    row = {
        "path": f"images/{name}",
        "label": "defect" if boxes else "good",
        "specimen": Path(name).stem,
        "label_source": "phantom",
        "boxes": encode(boxes),
        "mask": f"masks/{name}",
        "family": picture.family,
        "texture": picture.texture,
        "defects": len(boxes),
        "phantom": True,
    }
    return row, truth


def truth_rows(picture: DefectPicture, name: str) -> list[dict[str, Any]]:
    """Return what is true of each defect of a picture, one row each with the columns of :data:`TRUTH`.

    Parameters
    ----------
    picture : DefectPicture
    name : str
        What the rows call it.
    """
    change = np.abs(picture.pixels.astype(np.int16) - picture.clean)
    rows = []
    for number, (kind, box, mask) in enumerate(zip(picture.labels, picture.boxes, picture.masks, strict=True), 1):
        left, top, right, bottom = (int(edge) for edge in box)
        rows.append(
            {
                "image": name,
                "number": number,
                "kind": kind,
                "x": left,
                "y": top,
                "w": right - left,
                "h": bottom - top,
                "area_px": int(mask.sum()),
                "contrast": round(float(change[mask].mean()), 2),
                "family": picture.family,
                "texture": picture.texture,
            }
        )
    return rows


def _coco(table: pd.DataFrame, truth: pd.DataFrame, size: tuple[int, int]) -> dict[str, Any]:
    """Return all boxes as a COCO object."""
    number = {str(path): i for i, path in enumerate(table["path"], start=1)}
    return {
        "images": [{"id": i, "file_name": path, "height": size[0], "width": size[1]} for path, i in number.items()],
        "annotations": [
            {
                "id": i,
                "image_id": number[str(row["image"])],
                "category_id": KINDS.index(str(row["kind"])) + 1,
                "bbox": [int(row[side]) for side in ("x", "y", "w", "h")],
                "area": int(row["area_px"]),
                "iscrowd": 0,
            }
            for i, row in enumerate(truth.to_dict("records"), start=1)
        ],
        "categories": [{"id": i, "name": kind} for i, kind in enumerate(KINDS, start=1)],
    }

"""Labelled images of a task: those that teach its bundles, and those locked away to compare them.

A data set is a table in the store; so are its images. It cannot be changed, only another one can be made.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.files import sha256_bytes
from sorby.station import images
from sorby.station.database import tables
from sorby.station.desk import Act, Desk, NotFound, new_id
from sorby.station.permissions import Actor, Permission
from sorby.station.store.admission import SUFFIXES
from sorby.station.wording import one_line

Part = Literal["teaching", "locked"]

PARTS: tuple[Part, Part] = ("teaching", "locked")
COLUMNS = ("sha256", "suffix", "label", "specimen", "magnification", "pixel_size_um", "label_source")


def make(
    desk: Desk, actor: Actor, name: str, task: str, part: Part, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Set labelled images of the station apart.

    Parameters
    ----------
    name, task : str
    part : {"teaching", "locked"}
    rows : sequence of mapping
        ``image`` (SHA-256), ``label``, ``specimen`` (the image's own where absent).

    Raises
    ------
    Refused, NotFound
    InputError
        An image is named twice, is synthetic and not accepted, or there are fewer than two labels.
    """
    with desk.acting(actor, Permission.LOCK) as act:
        lines = []
        for row in rows:
            image = images.find(act.session, str(row["image"]))
            if image.synthetic and (part == "locked" or image.synthetic_state != "accepted"):
                raise InputError(f"{image.name} is generated", "generated images teach once accepted, and never judge")
            specimen = row.get("specimen")
            lines.append(
                {
                    "sha256": image.sha256,
                    "suffix": SUFFIXES[image.media_type],
                    "label": one_line(str(row["label"]), 80, "label"),
                    "specimen": image.specimen if specimen is None else one_line(str(specimen), 160, "specimen"),
                    "magnification": image.magnification,
                    "pixel_size_um": image.pixel_size_um,
                    "label_source": f"stated by {actor.name}",
                }
            )
        return as_dict(enter(desk, act, name, task, part, lines))


def enter_corpus(desk: Desk, act: Act, corpus: Corpus, name: str, task: str, part: Part) -> tables.Dataset:
    """Set a corpus apart, its images copied into the store."""
    lines = []
    for row, path in zip(corpus.usable().table.to_dict("records"), corpus.usable().paths(), strict=True):
        with open(path, "rb") as file:
            kept = desk.store.put(file)
        known = {key: row.get(key) for key in ("magnification", "pixel_size_um")}
        lines.append(
            {
                "sha256": kept.sha256,
                "suffix": path.suffix.lower(),
                "label": str(row["label"]),
                "specimen": "" if pd.isna(row.get("specimen")) else str(row.get("specimen")),
                **{key: None if value is None or pd.isna(value) else float(value) for key, value in known.items()},
                "label_source": str(row.get("label_source") or "the corpus"),
            }
        )
    return enter(desk, act, name, task, part, lines)


def enter(desk: Desk, act: Act, name: str, task: str, part: Part, lines: Sequence[Mapping[str, Any]]) -> tables.Dataset:
    """Enter a data set whose images are in the store."""
    shas = [str(line["sha256"]) for line in lines]
    if len(set(shas)) < len(shas):
        raise InputError("an image is named twice", "name each once")
    classes = sorted({str(line["label"]) for line in lines})
    if len(classes) < 2 or "" in classes:
        raise InputError("a data set needs two labels at least", "label every image")
    table = pd.DataFrame(list(lines), columns=list(COLUMNS))
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    pairs = "\n".join(sorted(f"{line['sha256']} {line['label']}" for line in lines))
    row = tables.Dataset(
        id=new_id(), name=one_line(name, 120, "name"), task=one_line(task, 80, "task"), part=part,
        file=desk.store.put(buffer.getvalue()).sha256, images=len(lines), classes=classes,
        fingerprint=sha256_bytes(pairs.encode()), added_by=act.actor.name, added_at=act.at,
    )  # fmt: skip
    act.session.add(row)
    act.session.flush()
    act.record("dataset.add", f"dataset/{row.id}", new=as_dict(row), evidence={"table": row.file})
    return row


def as_dict(row: tables.Dataset) -> dict[str, Any]:
    """Return a data set's row as JSON."""
    return {
        "id": row.id, "name": row.name, "task": row.task, "part": row.part, "images": row.images,
        "classes": row.classes, "fingerprint": row.fingerprint, "added_by": row.added_by, "added_at": row.added_at,
    }  # fmt: skip


def listed(desk: Desk, actor: Actor, *, task: str | None = None) -> list[dict[str, Any]]:
    """Return data sets, the newest first."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(tables.Dataset)
        if task is not None:
            query = query.where(tables.Dataset.task == task)
        return [as_dict(each) for each in session.execute(query.order_by(tables.Dataset.added_at.desc())).scalars()]


def newest(session: Session, task: str, part: Part) -> tables.Dataset:
    """Return the data set of a task that counts.

    Raises
    ------
    NotFound
    """
    query = select(tables.Dataset).where(tables.Dataset.task == task, tables.Dataset.part == part)
    found = session.execute(query.order_by(tables.Dataset.added_at.desc()).limit(1)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"{task} has no {part} images", "a supervisor sets labelled images apart for it")
    return found


def read_table(desk: Desk, dataset: tables.Dataset) -> pd.DataFrame:
    """Return the table of a data set, columns as in `COLUMNS`."""
    return pd.read_parquet(desk.store.path(dataset.file))


def as_corpus(desk: Desk, table: pd.DataFrame, folder: Path) -> Corpus:
    """Return a table of stored images as a corpus; its images lie in *folder* under names with an ending.

    Columns beyond those of a data set are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{sha}{suffix}" for sha, suffix in zip(table["sha256"], table["suffix"], strict=True)]
    for sha, name in zip(table["sha256"], names, strict=True):
        os.symlink(desk.store.path(str(sha)).resolve(), folder / name)
    kept = table.drop(columns=["sha256", "suffix"]).assign(path=names)
    kept["specimen"] = kept["specimen"].where(kept["specimen"].astype(str) != "", None)
    place = folder / "images.csv"
    kept.dropna(axis=1, how="all").to_csv(place, index=False)
    return build([place], min_classes=1).corpus

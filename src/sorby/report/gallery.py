"""Which images a reader should see, and getting hold of them when files have moved since."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.classify import REASONS
from sorby.errors import ImageError
from sorby.micrograph import Micrograph, read
from sorby.report.thumbnails import Picture, Uint8Image, centre_square, embed, strip

MOST_ERRORS, MOST_REFERRED, MOST_EXAMPLES = 12, 8, 30
_TILES_IN_ALL, _TILES_A_CLASS = 96, 8
_TILE_PX = 104


@dataclass(frozen=True)
class Selection:
    """Rows of the verdict table that are shown.

    Attributes
    ----------
    errors : list of int
        The most confident mistakes, the surest first.
    referred : list of int
        Referred images that are no mistakes, the reasons taken in turn.
    examples : list of int
        For each class one image named right, where there is one.
    without_example : list of str
        Classes without any.
    """

    errors: list[int]
    referred: list[int]
    examples: list[int]
    without_example: list[str]

    @property
    def rows(self) -> list[int]:
        """All rows, each once, in the order of the page."""
        return list(dict.fromkeys([*self.errors, *self.referred, *self.examples]))


def select(verdicts: pd.DataFrame, classes: Sequence[str]) -> Selection:
    """Choose the images a reader should see.

    Parameters
    ----------
    verdicts : DataFrame
        ``label``, ``correct``, ``confidence``, ``novelty``, ``referred``, ``reason``; default index.
    classes : sequence of str
    """
    wrong = verdicts[~verdicts["correct"].astype(bool)]
    errors = wrong.sort_values("confidence", ascending=False, kind="stable").index[:MOST_ERRORS].tolist()
    rest = verdicts[verdicts["referred"].astype(bool) & verdicts["correct"].astype(bool)]
    given = rest["reason"].fillna("").astype(str).str.split("|")
    queues = []
    for code in REASONS:
        of_code = rest[np.array([code in codes for codes in given], dtype=bool)]
        order = of_code.sort_values("novelty" if code == "novel" else "confidence", kind="stable")
        queues.append(order.index.tolist())
    referred: list[int] = []
    while len(referred) < MOST_REFERRED and any(queues):
        for queue in queues:
            while queue and queue[0] in referred:
                queue.pop(0)
            if queue and len(referred) < MOST_REFERRED:
                referred.append(queue.pop(0))
    examples, without = [], []
    for name in classes:
        right = verdicts[(verdicts["label"].astype(str) == name) & verdicts["correct"].astype(bool)]
        alone = right[~right["referred"].astype(bool)]
        pool = (alone if len(alone) else right).sort_values("confidence", kind="stable")
        if len(pool):
            examples.append(int(pool.index[len(pool) // 2]))
        else:
            without.append(name)
    return Selection(errors, referred, examples[:MOST_EXAMPLES], without)


@dataclass(frozen=True)
class Shot:
    """One image on the page with its verdict, its map and what to know about it."""

    truth: str
    verdict: str
    correct: bool
    confidence: float
    p_truth: float | None
    labels: tuple[str, ...]
    novelty: float
    reasons: tuple[str, ...]
    specimen: str
    part: str
    file: str
    picture: Picture | None
    map: Picture | None
    blank: bool
    missing: str


def shot(
    row: pd.Series[Any],
    pixels: Uint8Image | None,
    overlaid: Uint8Image | None,
    *,
    blank: bool = False,
    missing: str = "",
    part: str = "",
) -> Shot:
    """Return what the page shows of one row of the verdict table.

    Parameters
    ----------
    row : Series
    pixels, overlaid : ndarray of uint8, shape (h, w, 3), optional
        The image, and the image under its map.
    blank : bool
        Whether nothing in the image speaks for the verdict.
    missing : str
        Why there is no picture.
    part : str
        Fold, where that says something.
    """
    truth, verdict, name = str(row["label"]), str(row["predicted"]), Path(str(row["path"])).name
    specimen = row.get("specimen")
    said = f"labelled {truth}" if truth == verdict else f"labelled {truth}, named {verdict}"
    p_truth = row.get(f"p_{truth}")
    return Shot(
        truth=truth,
        verdict=verdict,
        correct=bool(row["correct"]),
        confidence=float(row["confidence"]),
        p_truth=None if p_truth is None else float(p_truth),
        labels=_split(row["set"]),
        novelty=float(row["novelty"]),
        reasons=_split(row["reason"]),
        specimen="" if specimen is None or pd.isna(specimen) else str(specimen),
        part=part,
        file=name,
        picture=None if pixels is None else embed(pixels, f"Micrograph {name}, {said}"),
        map=None if overlaid is None else embed(overlaid, f"What spoke for {verdict} in {name}"),
        blank=blank,
        missing=missing,
    )


def _split(joined: Any) -> tuple[str, ...]:
    return tuple(str(joined).split("|")) if isinstance(joined, str) and joined else ()


@dataclass
class Shelf:
    """The images of a run, wherever they are now.

    Attributes
    ----------
    places : list of list of Path
        For each image where it may lie, the likeliest first.
    hashes : list of str
        Content hash of each image; a file of another content is not shown as if it were the image.
    asked : int
        Images looked for so far.
    missing : dict of int to str
        Image to the reason why it cannot be shown.
    """

    places: list[list[Path]]
    hashes: list[str]
    asked: int = 0
    missing: dict[int, str] = field(default_factory=dict)

    def read(self, k: int) -> Micrograph | None:
        """Return image *k*, or None with the reason in `missing`."""
        self.asked += 1
        path = next((place for place in self.places[k] if place.is_file()), None)
        if path is None:
            self.missing[k] = "the file is not where it was"
            return None
        try:
            if len(self.hashes[k]) == 64:
                with open(path, "rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != self.hashes[k]:
                        self.missing[k] = "the file has changed since"
                        return None
            return read(path)
        except (ImageError, OSError):
            self.missing[k] = "the file cannot be read"
            return None

    def words(self) -> str:
        """Say how many of the images looked for could not be shown; empty if all could."""
        if not self.missing:
            return ""
        why = sorted(set(self.missing.values()))
        return (
            f"{len(self.missing)} of the {self.asked} images looked for could not be shown ({'; '.join(why)}). "
            "The numbers on this page stand; they were recorded when the run was made."
        )


@dataclass(frozen=True)
class Strip:
    """Sample images of one class side by side."""

    label: str
    shown: int
    total: int
    picture: Picture | None
    missing: str


def mosaic(shelf: Shelf, labels: Sequence[str], classes: Sequence[str], seed: int = 0) -> list[Strip]:
    """Return one strip of sample images for each class, drawn by chance.

    Parameters
    ----------
    shelf : Shelf
    labels : sequence of str
        Class of each image on the shelf.
    classes : sequence of str
    seed : int
    """
    rng = np.random.default_rng(seed)
    names: npt.NDArray[Any] = np.asarray(labels, dtype=object)
    most = int(np.clip(_TILES_IN_ALL // max(1, len(classes)), 3, _TILES_A_CLASS))
    strips = []
    for name in classes:
        members = np.flatnonzero(names == name)
        chosen = np.sort(rng.choice(members, min(most, len(members)), replace=False))
        found = [(int(k), shelf.read(int(k))) for k in chosen]
        tiles = [centre_square(micrograph.pixels, _TILE_PX) for _, micrograph in found if micrograph is not None]
        why = sorted({shelf.missing[k] for k, micrograph in found if micrograph is None})
        picture = embed(strip(tiles), f"{len(tiles)} sample images of class {name}") if tiles else None
        strips.append(Strip(name, len(tiles), len(members), picture, "; ".join(why) or "the class has no image"))
    return strips

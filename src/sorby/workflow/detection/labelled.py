"""What the verbs of box detection take as data: images, what is labelled on them, which belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus import Corpus
from sorby.corpus.boxes import Box, corpus_boxes, true_boxes
from sorby.corpus.strata import stratified
from sorby.errors import ImageError, InputError, Quarantined
from sorby.evidence.boxes import TrueBoxes
from sorby.micrograph import IMAGE_SUFFIXES, Micrograph, read
from sorby.workflow.data import open_data

Rows = npt.NDArray[np.intp]
Texts = npt.NDArray[Any]

_LEAST_PX = 1e-3  # what is left of a box after cutting it to its image; less is nothing


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images whose boxes are known.

    Attributes
    ----------
    corpus : Corpus
        Their rows.
    classes : tuple of str
        What the labels stand for.
    truth : list of TrueBoxes
    strata : ndarray of str, shape (n,)
        What splits keep in proportion: the classes on an image.
    specimens : ndarray of str, shape (n,)
        An image without a specimen is one by itself.
    named : bool
        Whether specimens are known at all.
    parts : ndarray of str, shape (n,)
        ``train``, ``val``, ``test`` or empty.
    warnings : list of str
    quarantined : list of Quarantined
    """

    corpus: Corpus
    classes: tuple[str, ...]
    truth: list[TrueBoxes]
    strata: Texts
    specimens: Texts
    named: bool
    parts: Texts
    warnings: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def groups(self) -> Texts | None:
        """Specimens for intervals and folds; None where every image is one by itself."""
        return self.specimens if self.named else None

    @property
    def names(self) -> list[str]:
        """Path of each image as the corpus holds it."""
        return [str(path) for path in self.corpus.table["path"]]

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of each image file."""
        return [str(sha256) for sha256 in self.corpus.table["sha256"]]

    def n_boxes(self) -> int:
        """Return how many boxes are to be found."""
        return sum(int((~each.flags).sum()) for each in self.truth)

    def boxes_of(self) -> dict[str, int]:
        """Return how many boxes each class has."""
        counts = Counter(int(label) for each in self.truth for label in each.labels[~each.flags])
        return {name: counts[k] for k, name in enumerate(self.classes)}

    def pixel_sizes_um(self) -> npt.NDArray[np.float64]:
        """Return the stated edge of a pixel on each image, NaN where nobody states it."""
        table = self.corpus.table
        stated = table.get("pixel_size_um", pd.Series(np.nan, table.index))
        return np.asarray(pd.to_numeric(stated, errors="coerce"), np.float64)

    def take(self, rows: Rows | Sequence[int] | npt.NDArray[np.bool_]) -> LabelledImages:
        """Return some of the images."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.intp)
        return replace(
            self,
            corpus=self.corpus.take(chosen),
            truth=[self.truth[k] for k in chosen],
            strata=self.strata[chosen],
            specimens=self.specimens[chosen],
            parts=self.parts[chosen],
        )

    def with_truth(self, truth: Sequence[TrueBoxes]) -> LabelledImages:
        """Return the same images with other boxes."""
        return replace(self, truth=list(truth))


def labelled_images(
    data: Path | str | Corpus,
    *,
    classes: Sequence[str] | None = None,
    merge: Mapping[str, str] | None = None,
    known: Sequence[str] | None = None,
) -> LabelledImages:
    """Open data with boxes.

    Parameters
    ----------
    data : Corpus or path
        A corpus, a COCO file, or a folder of Pascal VOC or YOLO files.
    classes : sequence of str, optional
        Those wanted, after merging; all that the boxes name by default. Boxes of others are left out: what they show
        counts as nothing.
    merge : mapping of str to str, optional
        Classes that are taken for another.
    known : sequence of str, optional
        The classes of a detector that judges the data, in its order; instead of *classes*.

    Raises
    ------
    InputError
        There are no boxes, or none of the classes wanted.
    """
    if isinstance(data, str | Path) and _holds_images_alone(Path(data)):
        raise InputError(
            f"{data}: holds images, and nothing that says where boxes are",
            "a COCO file as DATA, or Pascal VOC or YOLO files beside the images",
        )
    source = open_data(data, min_classes=0)
    corpus = source.corpus.annotated()
    said = list(source.warnings)
    if not len(corpus):
        raise InputError(
            f"{_name(data)}: no image has boxes", "give a corpus with boxes, a COCO file, or a VOC or YOLO folder"
        )
    bare = len(source.corpus.table) - len(corpus)
    if bare:
        said.append(f"{bare} images take no part: nobody has annotated them, or the corpus excludes them")
    boxes = [_within(each or (), row) for each, row in zip(corpus_boxes(corpus), _sizes(corpus), strict=True)]
    lost = sum(len(each or ()) for each in corpus_boxes(corpus)) - sum(map(len, boxes))
    if lost:
        said.append(f"{lost} boxes lie outside their images and are left out")
    boxes, unmerged = _merged(boxes, merge or {})
    said += unmerged
    there = sorted({box.label for each in boxes for box in each if not box.ignored})
    names = _chosen(there, classes, known, said, boxes)
    boxes = [tuple(box for box in each if box.label in names or box.ignored) for each in boxes]
    table = corpus.table
    parts = table["split"] if "split" in table else pd.Series("", table.index, dtype=object)
    groups = corpus.groups
    lone = np.array([f"image:{path}" for path in table["path"]], object)
    return LabelledImages(
        corpus,
        names,
        [true_boxes(each, names) for each in boxes],
        stratified(corpus).labels.astype(str),
        lone if groups is None else groups,
        groups is not None,
        parts.fillna("").astype(str).to_numpy(dtype=object),
        said,
        list(source.quarantined),
    )


def _holds_images_alone(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    suffixes = {path.suffix.lower() for path in folder.rglob("*") if path.is_file()}
    return bool(suffixes & IMAGE_SUFFIXES) and not suffixes & {".xml", ".txt", ".json", ".csv", ".parquet"}


def _name(data: Path | str | Corpus) -> str:
    return "the corpus" if isinstance(data, Corpus) else str(data)


def _sizes(corpus: Corpus) -> list[tuple[float, float]]:
    table = corpus.table
    return [(float(w), float(h)) for w, h in zip(table["width"], table["height"], strict=True)]


def _within(boxes: Sequence[Box], size: tuple[float, float]) -> tuple[Box, ...]:
    """Return boxes cut to an image of *size* (width, height), without those that lie beyond it."""
    kept = []
    for box in boxes:
        left, top = max(box.x, 0.0), max(box.y, 0.0)
        w, h = min(box.x + box.w, size[0]) - left, min(box.y + box.h, size[1]) - top
        if min(w, h) > _LEAST_PX:
            kept.append(replace(box, x=left, y=top, w=w, h=h))
    return tuple(kept)


def _merged(boxes: list[tuple[Box, ...]], merge: Mapping[str, str]) -> tuple[list[tuple[Box, ...]], list[str]]:
    if not merge:
        return boxes, []
    there = {box.label for each in boxes for box in each}
    said = [f"box.merge names class {name!r}, which no box has" for name in merge if name not in there]
    renamed = [tuple(replace(box, label=merge.get(box.label, box.label)) for box in each) for each in boxes]
    return renamed, said


NOTHING = "none"
"""What a verdict calls an image on which nothing was found."""

BETWEEN = "|"
"""What stands between the classes of a verdict."""


def _chosen(
    there: Sequence[str],
    wanted: Sequence[str] | None,
    known: Sequence[str] | None,
    said: list[str],
    boxes: Sequence[Sequence[Box]],
) -> tuple[str, ...]:
    """Return the classes in their order; say which are left out."""
    if known is None and wanted is None:
        if not there:
            raise InputError("there is no labelled box", "annotate some defects; images without any come on top")
        return _nameable(there)
    names = tuple(known if known is not None else dict.fromkeys(wanted or ()))
    if not set(names) & set(there) and (there or known is None):
        raise InputError(
            f"no box is of class {', '.join(map(repr, names))}", f"the boxes name: {', '.join(there) or 'nothing'}"
        )
    absent = [name for name in names if name not in there]
    if known is None and absent:
        raise InputError(f"no box is of class {absent[0]!r}", f"the boxes name: {', '.join(there)}")
    other = Counter(box.label for each in boxes for box in each if not box.ignored and box.label not in names)
    if other:
        named = ", ".join(f"{count} of {name!r}" for name, count in sorted(other.items())[:6])
        why = "the detector does not know" if known is not None else "nobody asked for"
        said.append(f"boxes of classes that {why} are left out, and what they show counts as nothing: {named}")
    return names if known is not None else _nameable(names)


def _nameable(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse names that a column of verdicts could not tell from its own marks."""
    for name in names:
        if name == NOTHING or BETWEEN in name:
            raise InputError(
                f"a class cannot be called {name!r}: {NOTHING!r} in verdicts.csv is an image with no finding,"
                f" and {BETWEEN!r} stands between classes",
                "rename it, e.g. by --set box.merge={OLD: NEW}",
            )
    return tuple(names)


def micrographs(images: LabelledImages, quarantined: list[Quarantined]) -> Iterator[tuple[int, Micrograph]]:
    """Yield number and micrograph of every image that can be read; the others are set aside."""
    for number, path in enumerate(images.corpus.paths()):
        try:
            found = read(path)
        except ImageError as error:
            quarantined.append(Quarantined.from_error(path, error))
        except OSError as error:
            quarantined.append(Quarantined(str(path), f"cannot be read ({error.strerror})"))
        else:
            yield number, found

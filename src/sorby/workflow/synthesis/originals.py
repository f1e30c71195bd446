"""Real images for generators: by class, at the scale they are taught at, with the names that generated ones inherit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.pipeline import prepared
from sorby.corpus import Corpus
from sorby.corpus.ancestry import names_of, originals_of, synthetic_rows
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.micrograph import read, to_grey, to_uint8
from sorby.progress import bar
from sorby.synthesize import SynthesisRecipe, as_original
from sorby.workflow.data import open_data

Grey = npt.NDArray[np.uint8]

PARTS = ("train", "all")
"""Which originals are taken where the data have a split."""


@dataclass
class Originals:
    """Pictures of one class, or sequences of frames.

    Attributes
    ----------
    pixels : list of ndarray of uint8
        (h, w), or (T, h, w) for a recipe of sequences.
    names : list of str
        Specimen, or name by content, see `sorby.corpus.ancestry.names_of`.
    paths : list of Path
        Of a sequence its first frame.
    """

    pixels: list[Grey] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    @property
    def stills(self) -> list[Grey]:
        """Pictures, those of sequences one by one."""
        return [frame for each in self.pixels for frame in (each if each.ndim == 3 else [each])]

    @property
    def still_names(self) -> list[str]:
        """Name of each of `stills`."""
        return [
            name for name, each in zip(self.names, self.pixels, strict=True)
            for _ in range(len(each) if each.ndim == 3 else 1)
        ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class OriginalSet:
    """The originals of every class.

    Attributes
    ----------
    classes : dict of str to Originals
    specimens : dict of str to str
        Name to specimen; names by content have none.
    quarantined : list of Quarantined
    warnings : list of str
    source : str
    """

    classes: dict[str, Originals]
    specimens: dict[str, str]
    quarantined: list[Quarantined]
    warnings: list[str]
    source: str

    def only(self, labels: Sequence[str]) -> OriginalSet:
        """Return the originals of some classes.

        Raises
        ------
        InputError
            A class has none.
        """
        missing = sorted(set(labels) - set(self.classes))
        if missing:
            raise InputError(
                f"{self.source}: no originals of class {missing[0]!r}, which was generated",
                f"its classes: {', '.join(self.classes)}",
            )
        kept = {label: self.classes[label] for label in labels}
        return OriginalSet(kept, self.specimens, self.quarantined, self.warnings, self.source)


def read_originals(
    data: Path | str | Corpus,
    recipe: SynthesisRecipe | None,
    *,
    part: str = "train",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> OriginalSet:
    """Read the originals of a corpus, a table or a folder with one folder a class.

    Parameters
    ----------
    data : Corpus or path
    recipe : SynthesisRecipe, optional
        Brings them to its scale, and to sequences where it needs these; as they are where absent.
    part : {"train", "all"}
        Where the data have a split, only its training part, or everything.
    label, group, image : str, optional
        Columns of a table.

    Raises
    ------
    InputError
        Nothing usable, no sequences where they are needed, or a class without a readable image.
    """
    if part not in PARTS:
        raise InputError(f"{part!r} is no part to take originals from", f"choose from {', '.join(PARTS)}")
    opened = open_data(data, label=label, group=group, image=image, min_classes=1)
    source = "the corpus" if isinstance(data, Corpus) else str(data)
    warnings = list(opened.warnings)
    corpus = _teaching(opened.corpus.usable(), part, warnings, source)
    if not len(corpus):
        raise InputError(f"{source}: no original takes part", "look at the corpus's columns exclusion and split")
    if "specimen" not in corpus.table or corpus.table["specimen"].isna().all():
        warnings.append("specimens are unknown: every original counts as its own, and intervals are too narrow")
    wanted = recipe is not None and recipe.needs_sequences
    groups = _sequences(corpus, source) if wanted else {str(row): [row] for row in range(len(corpus))}
    pixels, quarantined = _read(corpus, recipe)
    names, labels, paths = names_of(corpus), corpus.labels.astype(str), corpus.paths()
    classes: dict[str, Originals] = {name: Originals() for name in corpus.classes}
    for rows in groups.values():
        if any(row not in pixels for row in rows):
            continue  # a sequence with a hole is none
        own = classes[labels[rows[0]]]
        own.pixels.append(np.stack([pixels[row] for row in rows]) if wanted else pixels[rows[0]])
        own.names.append(names[rows[0]])
        own.paths.append(paths[rows[0]])
    empty = [name for name, own in classes.items() if not own.pixels]
    if empty:
        why = f" ({quarantined[0].reason})" if quarantined else ""
        raise InputError(f"{source}: class {empty[0]!r} has no original that could be read{why}", "check the files")
    specimens = {name: name for name in names if not name.startswith("image:")}
    return OriginalSet(classes, specimens, [*opened.quarantined, *quarantined], warnings, source)


def _teaching(corpus: Corpus, part: str, warnings: list[str], source: str) -> Corpus:
    """Return the originals that may be learnt from."""
    made = int(synthetic_rows(corpus).sum())
    if made:
        warnings.append(f"{made} generated images in {source} are left out: a generator is taught by originals")
    corpus = originals_of(corpus)
    if "split" not in corpus.table or not corpus.table["split"].notna().any():
        warnings.append(
            f"{source} has no split: every original is taken, so its specimens are one group in every later split"
        )
        return corpus
    if part == "all":
        warnings.append("every original is taken, those of the val and test parts too: none is left to judge by")
        return corpus
    kept = (corpus.table["split"].astype(str) == "train").to_numpy(bool)
    warnings.append(f"{int(kept.sum())} of {len(kept)} originals are taken: the training part of the stored split")
    return corpus.take(kept)


def _sequences(corpus: Corpus, source: str) -> dict[str, list[int]]:
    """Return the rows of each sequence in the order of their frames."""
    if not {"sequence", "frame"} <= set(corpus.table) or corpus.table["sequence"].isna().all():
        raise InputError(
            f"{source}: stills, and the recipe generates frames of sequences",
            "a corpus with columns sequence and frame, or a recipe for stills such as small-data",
        )
    frame = pd.to_numeric(corpus.table["frame"], errors="coerce")
    ordered = corpus.table.assign(_frame=frame, _row=np.arange(len(corpus))).dropna(subset=["sequence", "_frame"])
    groups: dict[str, list[int]] = defaultdict(list)
    for name, row in ordered.sort_values("_frame", kind="stable")[["sequence", "_row"]].itertuples(index=False):
        groups[str(name)].append(int(row))
    return dict(groups)


def _read(corpus: Corpus, recipe: SynthesisRecipe | None) -> tuple[dict[int, Grey], list[Quarantined]]:
    """Return the readable pictures by row."""
    paths = corpus.paths()

    def prepare(row: int) -> Grey:
        pixels = read(paths[row]).pixels
        found: Grey = to_grey(to_uint8(pixels)) if recipe is None else as_original(pixels, recipe)
        return found

    return _readable(range(len(paths)), prepare, paths, "originals")


def _readable(
    rows: Sequence[int], prepare: Callable[[int], Any], paths: Sequence[Path], what: str
) -> tuple[dict[int, Grey], list[Quarantined]]:
    found: dict[int, Grey] = {}
    quarantined: list[Quarantined] = []
    with bar(what, len(rows)) as advance:
        for row, outcome in prepared(rows, prepare):
            if isinstance(outcome, SorbyError):
                quarantined.append(Quarantined.from_error(paths[row], outcome))
            else:
                found[row] = outcome
            advance(1)
    return found, quarantined

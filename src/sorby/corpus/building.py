"""Building a corpus from a folder per class or from a table; what cannot be used is set aside and says why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby.corpus.ancestry import list_synthetic, settle_ancestry
from sorby.corpus.boxes import COLUMN as BOXES
from sorby.corpus.boxes import images_per_class
from sorby.corpus.folders import Listed, list_folder
from sorby.corpus.interchange import BoxOptions, list_annotated, recognise, settle_boxes
from sorby.corpus.interchange.sources import ANNOTATION
from sorby.corpus.near_duplicates import phash, to_hex
from sorby.corpus.schema import MEASURED, TEXT
from sorby.corpus.strata import claims
from sorby.corpus.table import Corpus, relative_to
from sorby.corpus.tabular import TABLES, list_table
from sorby.errors import ImageError, InputError, Quarantined
from sorby.files import sha256_file
from sorby.micrograph import read
from sorby.progress import bar


@dataclass(frozen=True, eq=False)
class Built:
    """A corpus and what building it found.

    Attributes
    ----------
    corpus : Corpus
        Readable images; duplicates and conflicts stay as excluded rows.
    quarantined : list of Quarantined
        Files that could not be read.
    warnings : list of str
    duplicates : list of list of str
        Paths with equal content and equal labels; all but the first are excluded.
    conflicts : list of list of str
        Paths with equal content and different labels; all are excluded.
    annotations : dict, optional
        What the boxes were and what was wrong with them, see `sorby.corpus.interchange.settle_boxes`; None where
        there are none.
    """

    corpus: Corpus
    quarantined: list[Quarantined]
    warnings: list[str] = field(default_factory=list)
    duplicates: list[list[str]] = field(default_factory=list)
    conflicts: list[list[str]] = field(default_factory=list)
    annotations: dict[str, Any] | None = None

    @property
    def matched(self) -> int:
        """Rows of the sources whose image was found and read."""
        return len(self.corpus)

    def as_dict(self) -> dict[str, Any]:
        """Return ``rows``, ``usable``, ``classes``, ``quarantined``, ``matched``, ``duplicates`` ... for JSON."""
        usable = self.corpus.usable()
        return {
            "rows": len(self.corpus),
            "usable": len(usable),
            "classes": usable.classes,
            "per_class": {str(name): int(n) for name, n in sorted(Counter(usable.labels).items())},
            "matched": self.matched,
            "quarantined": [entry.as_dict() for entry in self.quarantined],
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "excluded": self.corpus.excluded(),
            "warnings": self.warnings,
        }


def build(
    sources: Sequence[Path | str],
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    synthetic: Sequence[Path | str] = (),
    boxes: BoxOptions | None = None,
    min_classes: int = 2,
) -> Built:
    """Build a corpus.

    Parameters
    ----------
    sources : sequence of path
        Folders (one folder a class, see `sorby.corpus.folders.list_folder`), tables (.csv, .tsv, .parquet)
        whose image paths are relative to the table, or images with boxes: COCO files, folders of VOC or YOLO files,
        which are recognised by what they hold.
    label, group, image : str, optional
        Columns of a table that hold class, specimen and image path. Where not given, the usual names are looked
        for (``label``, ``specimen``, ``path`` ...).
    synthetic : sequence of path
        Folders of generated images, see `sorby.corpus.ancestry`; they join the originals that they descend from.
    boxes : BoxOptions, optional
        How boxes are read.
    min_classes : int
        Fewer classes are refused; 1 for data that are only inspected or evaluated. With boxes, up to 1 asks for
        classes of boxes, for images without boxes are data too; 2 asks for classes of images.

    Returns
    -------
    Built

    Raises
    ------
    InputError
        A source is absent, empty or has no such column, no image of it could be read, or all are of one class.
    """
    if not sources:
        raise InputError("nothing to build from", "give a folder with one folder a class, or a table")
    paths = [Path(source) for source in sources]
    options = boxes if boxes is not None else BoxOptions()
    listed, readings = [], []
    for path in paths:
        kind = recognise(path, options)
        if kind is None:
            listed.append(_list(path, label, group, image, several=len(paths) > 1))
            continue
        entry, reading = list_annotated(path, kind, options)
        listed.append(entry)
        readings.append(reading)
    columns = [f"--{name}" for name, value in (("label", label), ("group", group), ("image", image)) if value]
    if columns:
        for path, entry in zip(paths, listed, strict=True):
            if path.is_dir() or path.suffix.lower() == ".json":
                entry.warnings.append(f"{path}: no table, so it has no columns; {', '.join(columns)} not used")
    listed += [Listed(*list_synthetic(folder)) for folder in synthetic]
    root = common_folder([*paths, *map(Path, synthetic)])
    rows = pd.concat([entry.rows for entry in listed], ignore_index=True)
    table, quarantined, warnings = read_rows(rows, root)
    if not len(table):
        raise InputError(
            f"{sources[0]}: none of {len(rows)} images could be read ({quarantined[0].reason})", "check the files"
        )
    said = [*(line for entry in listed for line in entry.warnings), *warnings]
    quarantined = [*(entry for reading in readings for entry in reading.quarantined), *quarantined]
    annotations = None
    if ANNOTATION in table or BOXES in table:
        annotations = settle_boxes(table, readings, options, quarantined)
        said += annotations["lines"]
    if synthetic:
        table, ties = settle_ancestry(table, root)
        said += ties
    named = ", ".join(path.name for path in [*paths, *map(Path, synthetic)])
    corpus = Corpus(table, root, (f"built from {named}",))
    found = Built(corpus, quarantined, said, annotations=annotations)
    settle(found, min_classes)
    return found


def settle(found: Built, min_classes: int) -> None:
    """Decide which rows of a labelled table take part: repeats, conflicts and unlabelled rows are excluded.

    Parameters
    ----------
    found : Built
        Its table has ``label`` and ``exclusion``; rows excluded already stay so. Its lists are filled.
    min_classes : int

    Raises
    ------
    InputError
        Fewer classes take part.
    """
    _exclude(found)
    _check_classes(found, min_classes)


def _list(source: Path, label: str | None, group: str | None, image: str | None, *, several: bool) -> Listed:
    """Return what one source names."""
    if source.is_dir():
        return list_folder(source, several=several)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder", "check the path")
    if source.suffix.lower() not in TABLES:
        raise InputError(f"{source}: neither a folder nor a table", f"tables end in {', '.join(TABLES)}")
    return list_table(source, label, group, image)


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the deepest folder that holds all *paths*."""
    try:
        root = Path(os.path.commonpath([path.resolve() for path in paths]))
    except ValueError:  # different drives on Windows: the others' paths stay absolute
        root = paths[0].resolve()
    return root if root.is_dir() else root.parent


def _facts(file: Path | None) -> dict[str, Any] | Quarantined:
    """Read one image whole, which is how a damaged one is found."""
    if file is None:
        return Quarantined("(row without a path)", "the table names no file in this row")
    try:
        if not file.is_file():
            raise ImageError(f"{file}: no such file")
        micrograph = read(file)
        return {
            "sha256": sha256_file(file),
            "bytes": file.stat().st_size,
            "width": micrograph.width,
            "height": micrograph.height,
            "mode": micrograph.mode,
            "phash": to_hex(phash(micrograph.pixels)),
            "pixel_size_um": micrograph.scale.pixel_size_um,
            "magnification": micrograph.scale.magnification,
            "scale_source": micrograph.scale.source,
            "instrument": micrograph.info.get("instrument"),
            "_misnamed": any(note.endswith("by content") for note in micrograph.notes),
        }
    except ImageError as error:
        return Quarantined.from_error(file, error)
    except OSError as error:
        return Quarantined(str(file), f"cannot be read ({error.strerror})")


def read_rows(rows: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[Quarantined], list[str]]:
    """Read every image once, whatever number of rows name it.

    Parameters
    ----------
    rows : DataFrame
        ``file`` (Path or None), ``label`` and any further columns.
    root : Path
        Folder that stored paths start from.

    Returns
    -------
    table : DataFrame
        Rows whose image could be read, with what the file says of itself; columns as in `sorby.corpus.schema`.
    quarantined : list of Quarantined
    warnings : list of str
    """
    files = list(dict.fromkeys(rows["file"]))  # a file that several rows name is read once
    with bar("reading images", len(files)) as advance, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        facts = {}
        for file, fact in zip(files, pool.map(_facts, files), strict=True):
            facts[file] = fact
            advance(1)
    quarantined, good, measured = [], [], []
    for position, file in enumerate(rows["file"]):
        fact = facts[file]
        if isinstance(fact, Quarantined):
            quarantined.append(fact)
        else:
            good.append(position)
            measured.append(fact)
    if not good:
        return pd.DataFrame(), quarantined, []
    found = pd.DataFrame(measured, index=range(len(good)))
    kept = rows.iloc[good].reset_index(drop=True)
    warnings = _misnamed(found, kept)
    table = pd.DataFrame({"path": [relative_to(file, root) for file in kept["file"]]})
    if "mask" in kept:
        kept["mask"] = [None if pd.isna(mask) else relative_to(mask, root) for mask in kept["mask"]]
    table = pd.concat([table, _with_given(found, kept.drop(columns="file"), warnings)], axis=1)
    for column in ("pixel_size_um", "magnification"):
        table[column] = pd.to_numeric(table[column], errors="coerce").astype("float64")
    table["exclusion"] = table.get("exclusion")
    for column in TEXT:
        if column in table:
            # Also Parquet's numbers: a specimen 7 is a name.
            text = [None if pd.isna(value) or not str(value) else str(value) for value in table[column]]
            table[column] = pd.Series(text, index=table.index, dtype=object)
    return table, quarantined, warnings


def _with_given(found: pd.DataFrame, given: pd.DataFrame, warnings: list[str]) -> pd.DataFrame:
    """Join what the files say and what the table says.

    The file rules on its own content (hash, size); the table on what it was told (pixel size, instrument ...).
    """
    if "sha256" in given and len(given):
        stated = given["sha256"].notna()
        changed = int((stated & (given["sha256"].astype(str).str.lower() != found["sha256"])).sum())
        if changed:
            warnings.append(f"{changed} files differ from the SHA-256 that the table states")
    for column in [name for name in found.columns if name in given and name not in MEASURED]:
        own = given[column]
        if column in ("pixel_size_um", "magnification"):
            own = pd.to_numeric(own, errors="coerce")
        if column == "pixel_size_um":
            found["scale_source"] = found["scale_source"].where(own.isna().to_numpy(), "table")
        found[column] = own.where(own.notna(), found[column])
    return pd.concat([given.drop(columns=[name for name in found.columns if name in given]), found], axis=1)


def _misnamed(found: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """Take the mark of wrongly named files off *found* and say how many there are."""
    if "_misnamed" not in found:
        return []
    wrong = found.pop("_misnamed").to_numpy(dtype=bool)
    if not wrong.any():
        return []
    return [f"{int(wrong.sum())} files are not of the format their ending says, e.g. {kept['file'][wrong.argmax()]}"]


def _exclude(found: Built) -> None:
    """Mark unlabelled rows, repeated content and conflicting labels; fill the lists of *found*."""
    table = found.corpus.table
    exclusion = table["exclusion"].to_numpy(dtype=object).copy()
    labels = claims(table)
    paths = table["path"].to_numpy(dtype=object)
    unlabelled = pd.isna(labels)
    free = [not reason and not missing for reason, missing in zip(exclusion, unlabelled, strict=True)]
    for unnamed in unlabelled.nonzero()[0]:
        exclusion[unnamed] = exclusion[unnamed] or "no label"
    for members in table.groupby("sha256", sort=False).indices.values():
        rows = [row for row in members if free[row]]
        if len(rows) < 2:
            continue
        members_paths = [str(paths[row]) for row in rows]
        stated = sorted({str(labels[row]) for row in rows})
        if len(stated) > 1:
            found.conflicts.append(members_paths)
            named = " and ".join(stated) if BOXES not in table else "with different boxes"
            for row in rows:
                exclusion[row] = f"label conflict: the same content is labelled {named}"
        else:
            found.duplicates.append(members_paths)
            for row in rows[1:]:
                same = paths[row] == paths[rows[0]]
                exclusion[row] = "repeated row" if same else f"duplicate of {members_paths[0]}"
    table["exclusion"] = pd.Series(exclusion, index=table.index, dtype=object)
    if unlabelled.any():
        what = "neither boxes nor a label" if BOXES in table else "no label"
        found.warnings.append(f"{int(unlabelled.sum())} images have {what} and take no part")
    if found.duplicates:
        extra = sum(len(group) - 1 for group in found.duplicates)
        found.warnings.append(
            f"{extra} images repeat another byte for byte and take no part, e.g. {found.duplicates[0][1]}"
        )
    if found.conflicts:
        count = sum(len(group) for group in found.conflicts)
        found.warnings.append(
            f"{count} images have equal content and different {'boxes' if BOXES in table else 'labels'} and take no"
            f" part, e.g. {' and '.join(found.conflicts[0][:2])}"
        )


def _check_classes(found: Built, min_classes: int) -> None:
    """Refuse too few classes, and name the classes that no split can divide."""
    if found.annotations is not None and min_classes < 2:
        images = images_per_class(found.corpus)
        if len(images) < min_classes:
            raise InputError("there is no labelled box", "annotate some images")
        lone = [name for name, count in images.items() if count == 1]
        found.warnings.extend(_on_one_image(lone))
        return
    usable = found.corpus.usable()
    classes = usable.classes
    if len(classes) < min_classes:
        named = f"only one class, {classes[0]!r}" if classes else "no labelled images"
        raise InputError(f"{named}: nothing to tell apart", "one folder a class, or --label COLUMN")
    counts = Counter(usable.labels)
    lone = [name for name in classes if counts[name] == 1]
    found.warnings.extend(_on_one_image(lone))
    groups = usable.groups
    if groups is not None:
        found.warnings.extend(_in_several_classes(usable))
        specimens = pd.Series(groups).groupby(usable.labels).nunique()
        one = [name for name in classes if specimens[name] == 1 and counts[name] > 1]
        if one:
            found.warnings.append(
                "all images are of one specimen, so a split by specimen cannot divide them, in "
                f"{'classes' if len(one) > 1 else 'class'} {', '.join(one)}"
            )


def _on_one_image(lone: list[str]) -> list[str]:
    if not lone:
        return []
    what = "classes" if len(lone) > 1 else "class"
    return [f"{what} with a single image, which cannot be both learnt and tested: {', '.join(lone)}"]


def _in_several_classes(usable: Corpus) -> list[str]:
    """Name specimens with images of several classes: right where a specimen has regions, wrong where it has a cause."""
    labels = pd.Series(usable.labels).groupby(np.asarray(usable.groups)).unique()
    several = labels[labels.map(len) > 1]
    if not len(several):
        return []
    first = f"{several.index[0]} ({', '.join(sorted(map(str, several.iloc[0])))})"
    return [
        f"specimens with images of several classes: {len(several)}, e.g. {first}; they take part, so mend the labels if"
        " a specimen can have one class only"
    ]

"""Rows of a corpus from folders: the class is the name of a folder, or of the file where that is how it is written."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sorby.errors import InputError
from sorby.micrograph import find_images

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names that mean a part of a split rather than a class."""

MASKS = frozenset({"mask", "masks", "ground_truth"})
"""Folder names that hold masks rather than a class."""

_PREFIX = re.compile(r"(?P<label>.*?[^\d_\-. ])[_\-. ]*\d+")


@dataclass(frozen=True, eq=False)
class Listed:
    """What a source names, before any image is read.

    Attributes
    ----------
    rows : DataFrame
        ``file`` (absolute Path or None), ``label`` and any further columns.
    warnings : list of str
        What was decided or left out.
    """

    rows: pd.DataFrame
    warnings: list[str] = field(default_factory=list)


def list_folder(folder: Path, *, several: bool = False) -> Listed:
    """List the images of one source folder with their labels.

    Parameters
    ----------
    folder : Path
        Layouts: one folder a class; ``train``/``val``/``test`` with one folder a class each; images
        named ``class_number`` side by side; with *several*, images of one class named by the folder.
    several : bool
        The folder is one of several sources, so that a flat one is a class.

    Returns
    -------
    Listed
        ``file``, ``label``, ``label_source``, where masks lie beside images ``mask``, and ``split`` where the
        folders tell it.

    Raises
    ------
    InputError
        No images, or nothing that tells their class.
    """
    folder = folder.resolve()
    images, masks = without_masks(find_images(folder), folder)
    if not images:
        raise InputError(f"{folder}: holds no images", "give a folder with one folder of images a class")
    warnings = _left_out(folder)
    if masks:
        warnings.append(f"{len(masks)} images have a mask of the same name, which is no image of the corpus")
    inner = [image.relative_to(folder).parts[:-1] for image in images]
    rows = pd.DataFrame({"file": images})
    tops = {parts[0].lower() for parts in inner if parts}
    if tops and tops <= set(PARTS) and all(len(parts) >= 2 for parts in inner):
        labels: list[str | None] = [parts[1] for parts in inner]
        source = "folder name"
        rows["split"] = [PARTS[parts[0].lower()] for parts in inner]
        warnings.append(f"the folders {', '.join(sorted(tops))} are taken for the parts of a split")
    elif not tops:
        labels, source = _labels_of_flat(folder, images, several)
        warnings.append(f"{folder}: class taken from the {source}: {', '.join(sorted({str(x) for x in labels})[:8])}")
    else:
        labels, source = [parts[0] if parts else None for parts in inner], "folder name"
    rows["label"] = pd.Series(labels, dtype=object)
    rows["label_source"] = source
    if masks:
        rows["mask"] = pd.Series([masks.get(image) for image in images], dtype=object)
    return Listed(rows, warnings)


def _labels_of_flat(folder: Path, images: list[Path], several: bool) -> tuple[list[str | None], str]:
    """Return the class of images that lie directly in *folder*."""
    if several:
        return [folder.name] * len(images), "folder name"
    matches = [_PREFIX.fullmatch(image.stem) for image in images]
    labels = [match["label"] for match in matches if match]
    counts = Counter(labels)
    # Numbered images of a few repeated names are a labelling; a single name or all different ones are not.
    if len(labels) == len(images) and len(counts) >= 2 and min(counts.values()) >= 2:
        return list(labels), "file name"
    raise InputError(
        f"{folder}: images lie directly in it, so there is no class", "make one folder a class, or give a table"
    )


def without_masks(found: list[Path], folder: Path) -> tuple[list[Path], dict[Path, Path]]:
    """Tell masks from images.

    A mask lies in a folder named so, or is the PNG beside a single file of the same stem and another format.

    Parameters
    ----------
    found : list of Path
        Image files below *folder*.
    folder : Path

    Returns
    -------
    images : list of Path
    masks : dict of Path to Path
        Image to its mask, where it has one.
    """
    apart = [file for file in found if MASKS & {part.lower() for part in file.relative_to(folder).parts[:-1]}]
    aside = set(apart)
    images = [file for file in found if file not in aside]
    stems: dict[Path, list[Path]] = defaultdict(list)
    names: dict[str, list[Path]] = defaultdict(list)
    for file in images:
        stems[file.with_suffix("")].append(file)
        names[file.stem].append(file)
    masks = {names[_stem(mask)][0]: mask for mask in apart if len(names.get(_stem(mask), ())) == 1}
    for files in stems.values():
        pngs = [file for file in files if file.suffix.lower() == ".png"]
        others = [file for file in files if file.suffix.lower() != ".png"]
        if len(pngs) == len(others) == 1:
            masks[others[0]] = pngs[0]
    taken = set(masks.values())
    return [file for file in images if file not in taken], masks


def _stem(mask: Path) -> str:
    return mask.stem.removesuffix("_mask")


def _left_out(folder: Path) -> list[str]:
    """Name the kinds of files that are no images by their name."""
    images = set(find_images(folder))
    kinds = Counter(
        file.suffix.lower() or "no ending"
        for file in folder.rglob("*")
        if file.is_file() and not _hidden(file.relative_to(folder)) and file not in images
    )
    if not kinds:
        return []
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    return [f"{folder}: {sum(kinds.values())} files are no images by their name and were left out ({listed})"]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

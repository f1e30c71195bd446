"""Which image an annotation means: by the path it names within given folders, or by its stem.

Names in annotation files are other people's text. They are looked up below the folders that the user gave and
nowhere else; a name that leaves them is refused.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath

from sorby.corpus.folders import PARTS, without_masks
from sorby.micrograph import find_images

ROOMS = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "annotations", "annotation", "annots", "labels", "label", "xml"}
)
"""Folder names that say what kind of file lies there, and nothing of the image."""

Key = tuple[str, ...]


def key_of(file: Path, root: Path) -> Key:
    """Return what an image and its annotation have in common: folders below *root* without `ROOMS`, and the stem."""
    inner = file.relative_to(root)
    return (*(part.lower() for part in inner.parts[:-1] if part.lower() not in ROOMS), inner.stem)


def part_of(file: Path, root: Path) -> str | None:
    """Return the part of a split that a folder below *root* names, None where none does."""
    for part in file.relative_to(root).parts[:-1]:
        if part.lower() in PARTS:
            return PARTS[part.lower()]
    return None


def data_folder(folder: Path) -> Path:
    """Return the folder that holds images and annotations, given either it or one of its `ROOMS`."""
    return folder.parent if folder.name.lower() in ROOMS and not find_images(folder) else folder


class ImagesBelow:
    """The images below some folders, listed when they are first needed.

    Parameters
    ----------
    roots : list of Path
        Absolute folders, the most likely first.
    """

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [Path(os.path.normpath(root)) for root in roots]
        self._by_name: dict[str, list[Path]] | None = None

    def named(self, name: str) -> Path | None:
        """Return the image that an annotation names by a path, None where there is none or the name is of several.

        Raises
        ------
        PermissionError
            The name leaves the folders.
        """
        wanted = Path(*PureWindowsPath(name).parts) if "\\" in name else Path(*PurePosixPath(name).parts)
        inside = [place for root in self.roots if (place := Path(os.path.normpath(root / wanted))).is_relative_to(root)]
        if not inside or "\0" in name:
            raise PermissionError(name)
        for place in inside:
            if os.path.isfile(place):
                return place
        alike = self._names().get(wanted.name, [])
        return alike[0] if len(alike) == 1 else None

    def _names(self) -> dict[str, list[Path]]:
        if self._by_name is None:
            listed: dict[str, set[Path]] = defaultdict(set)
            for root in self.roots:
                if not root.is_dir() or any(root != other and root.is_relative_to(other) for other in self.roots):
                    continue  # below another, which lists it
                for file in without_masks(find_images(root), root)[0]:
                    listed[file.name].add(file)
            self._by_name = {name: sorted(files) for name, files in listed.items()}
        return self._by_name


class ImagesByStem:
    """The images below one folder, to be found by the stem of their annotation.

    Parameters
    ----------
    root : Path
        Absolute folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files, self.masks = without_masks(find_images(root), root)
        self._by_key: dict[Key, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for file in self.files:
            self._by_key[key_of(file, root)].append(file)
            self._by_stem[file.stem].append(file)

    def of(self, annotation: Path, filename: str = "") -> Path | None:
        """Return the image of an annotation file; *filename* is what the annotation itself calls it."""
        stated = PureWindowsPath(filename).stem
        for alike in (
            self._by_key.get(key_of(annotation, self.root), []),
            self._by_stem.get(annotation.stem, []),
            self._by_stem.get(stated, []) if stated else [],
        ):
            if len(alike) == 1:
                return alike[0]
        return None

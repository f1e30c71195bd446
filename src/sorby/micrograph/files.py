"""Finding the image files of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from sorby.errors import InputError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".btf"})
"""Lower-case file name endings that are taken for images."""

REGION_SUFFIXES = (".region.png", ".region.tif", ".region.tiff")
"""Endings of region files: masks beside a micrograph that say what of it may be used; see `sorby.micrograph.region`."""

OVERLAY_SUFFIX = ".region-overlay.png"
"""Ending of the pictures that show a region on its micrograph."""


def is_image_name(path: Path | str) -> bool:
    """Whether a file name looks like an image: a known ending, not hidden, neither a region file nor its picture."""
    name = os.path.basename(path).lower()
    if name.startswith(".") or name.endswith((*REGION_SUFFIXES, OVERLAY_SUFFIX)):
        return False
    return os.path.splitext(name)[1] in IMAGE_SUFFIXES


def find_images(folder: Path | str, *, recursive: bool = True) -> list[Path]:
    """List the images below *folder*, sorted by path.

    Hidden files and folders are left out (macOS leaves ``._name.png`` beside every image), links to
    folders are not followed, and only names are looked at: a damaged image is listed.

    Parameters
    ----------
    folder : Path or str
        A folder, or a single file, which is returned whatever its name.
    recursive : bool
        Look into sub-folders too.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        *folder* does not exist or cannot be listed.
    """
    root = Path(folder)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{root}: no such file or folder", "check the path")
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        where = error.filename or root
        raise InputError(f"{where}: cannot be listed ({error.strerror})", "check its permissions") from error

    for where, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        found.extend(Path(where, name) for name in names if is_image_name(name))
    return sorted(found)

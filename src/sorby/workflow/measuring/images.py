"""Structures measured in every image that has a scale; the others are set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sorby.errors import ImageError, InputError, Quarantined
from sorby.micrograph import Micrograph, find_images, read
from sorby.progress import bar

Measured = TypeVar("Measured")

SCALE_HINT = "state it with --pixel-size-um, or export the image with its scale"


def gather(paths: Sequence[Path | str]) -> list[Path]:
    """Return the image files that *paths* name, folders searched, each once.

    Raises
    ------
    InputError
        There is no image at all.
    """
    # A file that is not there is set aside like one that cannot be read.
    found = [file for path in map(Path, paths) for file in (find_images(path) if path.is_dir() else [path])]
    if not found:
        raise InputError(f"{paths[0]}: holds no images", "give image files or a folder of them")
    return list(dict.fromkeys(found))


def read_scaled(path: Path, pixel_size_um: float | None = None) -> Micrograph:
    """Read an image that has a pixel size.

    Parameters
    ----------
    path : Path
        The image.
    pixel_size_um : float, optional
        Pixel size in micrometres; overrules the file's.

    Raises
    ------
    ImageError
        The file cannot be read, or nobody states its pixel size: without one nothing can be measured.
    """
    micrograph = read(path, pixel_size_um=pixel_size_um)
    if micrograph.scale.pixel_size_um is None:
        raise ImageError(f"{path}: no pixel size, so nothing can be measured in it", SCALE_HINT)
    return micrograph


def measure_each(
    paths: Sequence[Path | str],
    pixel_size_um: float | None,
    measure: Callable[[Micrograph], Measured],
    *,
    what: str = "measuring",
) -> tuple[list[Measured], list[Quarantined]]:
    """Measure every image; those that cannot be measured are set aside.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders whose images are taken.
    pixel_size_um : float, optional
        Scale of every image; overrules the files.
    measure : callable
        Takes a micrograph with a scale; raises `ImageError` where it cannot measure.
    what : str
        Title of the progress bar.

    Returns
    -------
    measured : list
        What *measure* returned, in the order of the images.
    quarantined : list of Quarantined
        Images set aside, with the reason.

    Raises
    ------
    InputError
        There is no image, or the only one cannot be measured.
    """
    files = gather(paths)
    measured: list[Measured] = []
    quarantined: list[Quarantined] = []
    with bar(what, len(files)) as advance:
        for file in files:
            try:
                measured.append(measure(read_scaled(file, pixel_size_um)))
            except ImageError as error:
                if len(files) == 1:
                    raise
                quarantined.append(Quarantined.from_error(file, error))
            advance(1)
    return measured, quarantined

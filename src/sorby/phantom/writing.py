"""Phantoms to disk: image files with or without a scale tag, masks, and work shared out to processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from sorby.errors import InputError
from sorby.phantom.optics import UInt8

FileFormat = Literal["png", "tiff"]
Job = TypeVar("Job")
Done = TypeVar("Done")

#: Below this many jobs another interpreter takes longer to start than it saves.
_WORTH_A_PROCESS = 24


def write_picture(path: Path, pixels: UInt8, pixel_size_um: float) -> None:
    """Write a micrograph; the suffix says how.

    Parameters
    ----------
    path : Path
        ``.png`` carries no scale tag at all; ``.tif`` carries its resolution as ImageJ writes it, in µm.
    pixels : ndarray of uint8, shape (height, width) or (height, width, 3)
        The picture.
    pixel_size_um : float
        Pixel size in micrometres.

    Raises
    ------
    InputError
        The suffix is neither.
    """
    if path.suffix == ".png":
        # Noise hardly compresses: a higher level costs much time and saves little.
        Image.fromarray(pixels).save(path, compress_level=1)
    elif path.suffix == ".tif":
        per_um = 1.0 / pixel_size_um
        # ImageJ keeps one plane with interleaved colours in the order YXS.
        axes = "YXS" if pixels.ndim == 3 else "YX"
        tifffile.imwrite(path, pixels, imagej=True, resolution=(per_um, per_um), metadata={"unit": "um", "axes": axes})
    else:
        raise InputError(f"{path.name}: phantoms are written as .png or .tif", "choose png or tiff")


def write_mask(path: Path, mask: npt.NDArray[Any]) -> None:
    """Write a mask as PNG: a boolean one as 0 and 255, a uint8 one of phase numbers as it is."""
    values = np.where(mask, 255, 0).astype(np.uint8) if mask.dtype == bool else mask
    Image.fromarray(values).save(path, compress_level=1)


def share_out(work: Callable[[Job], Done], jobs: Sequence[Job], processes: int | None = None) -> Iterator[Done]:
    """Yield ``work(job)`` of every job in order, whichever process did it.

    Parameters
    ----------
    work : callable
        A function of a module's top level: fresh interpreters must find it.
    jobs : sequence
        What to do; each with its own seed, so that sharing changes no result.
    processes : int, optional
        How many; all processors where None. One works in this process.

    Yields
    ------
    object
        Results in the order of *jobs*.
    """
    wanted = (os.cpu_count() or 1) if processes is None else processes
    if wanted < 1:
        raise InputError(f"jobs must be at least 1, not {processes}")
    if processes is None:
        wanted = min(wanted, max(1, len(jobs) // _WORTH_A_PROCESS))
    wanted = min(wanted, max(1, len(jobs)))
    if wanted == 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")  # the same on every platform, and safe beside threads
    pool = ProcessPoolExecutor(wanted, mp_context=context)
    try:
        yield from pool.map(work, jobs, chunksize=max(1, min(8, len(jobs) // (4 * wanted))))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def gather(
    work: Callable[[Job], Sequence[Done]],
    jobs: Sequence[Job],
    processes: int | None,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> list[Done]:
    """Return what every job returns for its images, in order, and tell how far it is.

    Parameters
    ----------
    work, jobs, processes
        See :func:`share_out`; *work* returns one entry an image.
    total : int
        Images in all.
    progress : callable, optional
        Called with images done and images in all.
    """
    rows: list[Done] = []
    for done in share_out(work, jobs, processes):
        rows.extend(done)
        if progress is not None:
            progress(len(rows), total)
    return rows

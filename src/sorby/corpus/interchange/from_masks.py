"""Boxes around what masks mark: one box for every piece that hangs together.

Pieces are 8-connected, as in the region overlap of anomaly detection; pieces that lie close may be joined, because a
scratch that is broken by grain is one scratch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.corpus.folders import without_masks
from sorby.corpus.interchange.annotations import Annotated, Reading, Rectangles, no_rectangles
from sorby.errors import ImageError, InputError, Quarantined
from sorby.micrograph import find_images, identify, read

_EIGHT = np.ones((3, 3), bool)


def boxes_of_mask(mask: npt.NDArray[Any], *, min_area_px: int = 1, merge_px: float = 0) -> Rectangles:
    """Return the boxes around the pieces of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    min_area_px : int
        Pieces of fewer pixels are passed over, before pieces are joined.
    merge_px : float
        Pieces at most this many pixels of background apart are one.

    Returns
    -------
    ndarray of float64, shape (n, 4)
        Left, top, width, height, from top to bottom.
    """
    marked = np.asarray(mask, bool)
    pieces, count = ndimage.label(marked, _EIGHT)
    if min_area_px > 1 and count:
        areas = np.bincount(pieces.ravel())
        marked = marked & (areas >= min_area_px)[pieces]
        pieces, count = ndimage.label(marked, _EIGHT)
    if merge_px > 0 and count > 1:
        pieces = _joined(pieces, count, merge_px)
    places = [found for found in ndimage.find_objects(pieces) if found is not None]
    return np.array(
        [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in places], np.float64
    ).reshape(-1, 4)  # fmt: skip


def _joined(pieces: npt.NDArray[np.int32], count: int, merge_px: float) -> npt.NDArray[np.int32]:
    """Give pieces with at most *merge_px* pixels of background between them one number.

    Every pixel of background belongs to the piece it lies nearest to. Where the lands of two pieces meet, the pixels
    of the pieces that they lie nearest to are as far apart as the pieces are.
    """
    nearest = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    lands = pieces[tuple(nearest)]
    edges = []
    for here, there in (((slice(1, None),), (slice(-1),)), ((slice(None), slice(1, None)), (slice(None), slice(-1)))):
        meet = np.nonzero(lands[here] != lands[there])
        apart = nearest[(slice(None), *here)][:, *meet] - nearest[(slice(None), *there)][:, *meet]
        near = np.hypot(*apart) <= merge_px + 1  # centres of pixels with g between them lie g + 1 apart
        edges.append(np.stack([lands[here][meet][near], lands[there][meet][near]]))
    first, second = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count + 1, count + 1))
    numbers = connected_components(graph, directed=False)[1].astype(np.int32)
    return np.where(pieces > 0, numbers[pieces] + 1, 0)


def read_masks(
    folder: Path,
    masks: Path | None = None,
    *,
    values: Mapping[int, str] | None = None,
    label: str = "defect",
    min_area_px: int = 1,
    merge_px: float = 0,
    unlisted: Literal["negative", "unannotated"] = "unannotated",
) -> Reading:
    """Make boxes from the masks of the images of a folder.

    Parameters
    ----------
    folder : Path
        Images, in whichever sub-folders.
    masks : Path, optional
        Folder of masks; a mask has the stem of its image, or that with ``_mask``. By default what lies below
        *folder* in ``masks``, ``mask`` or ``ground_truth``, or as PNG beside an image of another format.
    values : mapping of int to str, optional
        Class of each mask value; other values are background. By default all above zero is of the class *label*.
    label : str
    min_area_px, merge_px
        See :func:`boxes_of_mask`.
    unlisted : {"negative", "unannotated"}
        What an image without mask is; one whose mask is empty is a negative.

    Returns
    -------
    Reading
        Masks that cannot be read, or are of another size than their image, are quarantined.

    Raises
    ------
    InputError
        No images, or no mask belongs to one.
    """
    folder = folder.resolve()
    images, beside = without_masks(find_images(folder), folder)
    if masks is not None:
        apart = masks.resolve()
        images = [image for image in images if not image.is_relative_to(apart) or apart == folder]
        beside = _by_stem(images, [file for file in find_images(apart) if file not in set(images)])
    if not images or not beside:
        raise InputError(f"{masks or folder}: no mask belongs to an image of {folder}", "stems are alike; --masks DIR")
    reading = Reading("masks", classes=list((values or {0: label}).values()))
    reading.warnings.append(f"boxes around 8-connected pieces of masks of at least {min_area_px} pixels" + (
        f", joined where at most {merge_px:g} pixels apart" if merge_px else ""))  # fmt: skip

    def look(image: Path) -> Annotated | Quarantined | None:
        if image not in beside:
            return None
        try:
            return _annotated(image, beside[image], values, label, min_area_px, merge_px)
        except ImageError as error:
            return Quarantined.from_error(beside[image], error)

    bare = no_rectangles() if unlisted == "negative" else None
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for image, seen in zip(images, pool.map(look, images), strict=True):
            if isinstance(seen, Quarantined):
                reading.quarantined.append(seen)
                reading.images.append(Annotated(image, None, unusable="its mask cannot be read"))
            elif seen is None:
                reading.findings.add("image without annotation", image.name)
                reading.images.append(Annotated(image, bare))
            else:
                reading.images.append(seen)
    return reading


def _by_stem(images: list[Path], masks: list[Path]) -> dict[Path, Path]:
    """Return the mask of each image whose stem is that of one mask only."""
    stems: dict[str, list[Path]] = {}
    for mask in masks:
        stems.setdefault(mask.stem.removesuffix("_mask"), []).append(mask)
    return {image: found[0] for image in images if len(found := stems.get(image.stem, [])) == 1}


def _annotated(
    image: Path, mask: Path, values: Mapping[int, str] | None, label: str, min_area_px: int, merge_px: float
) -> Annotated:
    pixels = read(mask).pixels
    flat = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    if values and pixels.ndim == 3 and (pixels != flat[:, :, None]).any():
        raise ImageError(f"{mask}: in colour, so that its pixels are no class values; save the values as grey levels")
    found, labels = [], []
    for name, marked in (
        [(label, flat > 0)] if not values else [(name, flat == value) for value, name in values.items()]
    ):
        boxes = boxes_of_mask(marked, min_area_px=min_area_px, merge_px=merge_px)
        found.append(boxes)
        labels += [name] * len(boxes)
    height, width = flat.shape
    header = identify(image)
    if (width, height) not in ((header.width, header.height), header.stored_size):
        raise ImageError(f"{mask}: {width} x {height} pixels, its image {header.width} x {header.height}")
    return Annotated(
        image, np.concatenate(found), np.array(labels, object), np.zeros(len(labels), bool), (width, height)
    )

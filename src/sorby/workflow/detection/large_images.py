"""Images larger than those that taught a detector: cut into tiles as large as these, so that nothing changes its size.

A detector scales every image to one size. Taught on crops of 200 pixels and given a sheet of 4,000, it would look at
the sheet a twentieth as large, and see nothing small. Images that show the same field at a finer pixel size are left
whole, where pixel sizes say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from sorby.backbone.runtime import Device
from sorby.detect.detector import Detector
from sorby.evidence.boxes import FoundBoxes
from sorby.micrograph import Micrograph
from sorby.workflow.detection.labelled import LabelledImages

_LARGER = 1.5  # than the largest taught image, from which on an image is cut
_LEAST_TILE, _MOST_TILE = 32, 4096


def taught_sizes(images: LabelledImages) -> dict[str, Any]:
    """Return what a bundle must know of the images that taught it: sides, fields, pixel sizes, largest box.

    Returns
    -------
    dict
        ``largest_px`` (longer side of the largest image), ``largest_um`` (the same where pixel sizes are stated, else
        None), ``largest_box_px`` (longest side of a box), ``pixel_sizes_um`` (least and most, None where unknown).
    """
    table = images.corpus.table
    sides = np.maximum(table["width"].to_numpy(np.float64), table["height"].to_numpy(np.float64))
    sizes = images.pixel_sizes_um()
    known = np.isfinite(sizes) & (sizes > 0)
    spans = [each.boxes[:, 2:] - each.boxes[:, :2] for each in images.truth if len(each)]
    return {
        "largest_px": float(sides.max()),
        "largest_um": float((sides * sizes)[known].max()) if known.any() else None,
        "largest_box_px": float(np.concatenate(spans).max()) if spans else 0.0,
        "pixel_sizes_um": [float(sizes[known].min()), float(sizes[known].max())] if known.any() else None,
    }


def in_tiles(detector: Detector, height: int, width: int, pixel_size_um: float | None = None) -> Detector:
    """Return the detector that suits an image: itself, or one that cuts it into tiles as large as the taught images.

    Parameters
    ----------
    detector : Detector
    height, width : int
    pixel_size_um : float, optional
        Of the image.
    """
    largest, field = detector.facts.get("largest_px"), detector.facts.get("largest_um")
    section = detector.recipe.image
    if section.tile_px is not None or largest is None or max(height, width) <= _LARGER * largest:
        return detector
    if pixel_size_um is not None and field is not None and max(height, width) * pixel_size_um <= _LARGER * field:
        return detector
    tile = int(np.clip(round(largest), _LEAST_TILE, _MOST_TILE))
    overlap = min(tile // 2, max(section.overlap_px, round(float(detector.facts["largest_box_px"]))))
    tiled = section.model_copy(update={"tile_px": tile, "overlap_px": overlap})
    return replace(detector, recipe=detector.recipe.model_copy(update={"image": tiled}))


def detect_micrographs(
    detector: Detector, images: Iterable[Micrograph], *, device: Device, score: float
) -> Iterator[tuple[Micrograph, FoundBoxes, bool]]:
    """Yield every micrograph, what is found on it, and whether it was cut; a few are held at a time.

    Parameters
    ----------
    detector : Detector
    images : iterable of Micrograph
    device : {"auto", "cpu", "cuda"}
    score : float
        Least score.
    """
    waiting: deque[Micrograph] = deque()

    def suited(each: Micrograph) -> tuple[int | None, int]:
        section = in_tiles(detector, each.height, each.width, each.scale.pixel_size_um).recipe.image
        return section.tile_px, section.overlap_px

    def pixels(group: Iterable[Micrograph]) -> Iterator[Any]:
        for each in group:
            waiting.append(each)
            yield each.pixels

    for (tile, overlap), group in groupby(images, suited):
        cut = tile != detector.recipe.image.tile_px
        section = detector.recipe.image.model_copy(update={"tile_px": tile, "overlap_px": overlap})
        chosen = replace(detector, recipe=detector.recipe.model_copy(update={"image": section})) if cut else detector
        for found in chosen.detect(pixels(group), device=device, score=score):
            yield waiting.popleft(), found, cut

"""Small sets of images with boxes, as other programs write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Boxes = Sequence[tuple[str, float, float, float, float]]
"""Class, left, top, width, height."""

_TAG = 0x0112


def write_image(path: Path, width: int = 60, height: int = 40, *, seed: int = 0, orientation: int = 1) -> Path:
    """Write noise, with an EXIF orientation tag where it is not 1; the size is that of the stored pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *path.name.encode()]).integers(0, 256, (height, width), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    if orientation != 1:
        exif[_TAG] = orientation
    image.save(path, exif=exif)
    return path


def coco(
    boxes: Mapping[str, Boxes],
    *,
    size: tuple[int, int] | None = (60, 40),
    categories: Iterable[str] | None = None,
    crowd: Iterable[int] = (),
) -> dict[str, Any]:
    """Return a COCO object; keys are file names."""
    names = sorted({label for found in boxes.values() for label, *_ in found}) if categories is None else [*categories]
    stated = {} if size is None else {"width": size[0], "height": size[1]}
    images = [{"id": k, "file_name": name, **stated} for k, name in enumerate(boxes, start=1)]
    annotations: list[dict[str, Any]] = []
    for image, found in enumerate(boxes.values(), start=1):
        for label, *bbox in found:
            number = names.index(label) + 1 if label in names else 99
            entry = {"id": len(annotations) + 1, "image_id": image, "category_id": number, "bbox": bbox}
            annotations.append({**entry, "iscrowd": int(len(annotations) in set(crowd))})
    listed = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": listed}


def write_coco(folder: Path, boxes: Mapping[str, Boxes], *, image_size: tuple[int, int] = (60, 40), **how: Any) -> Path:
    """Write images and ``boxes.json`` into a folder; return the JSON file."""
    for k, name in enumerate(boxes):
        write_image(folder / name, *image_size, seed=k)
    (folder / "boxes.json").write_text(json.dumps(coco(boxes, **how)))
    return folder / "boxes.json"


def voc_xml(
    objects: Iterable[tuple[str, float, float, float, float]],
    *,
    size: tuple[int, int] | None = (60, 40),
    filename: str = "",
    difficult: int = 0,
) -> str:
    """Return VOC XML of class, xmin, ymin, xmax, ymax."""
    stated = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>1</depth></size>"
    told = "".join(
        f"<object><name>{label}</name><difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in objects
    )
    return f"<annotation><filename>{filename}</filename>{stated}{told}</annotation>"


def write_voc(folder: Path, objects: Mapping[str, Any], *, image_size: tuple[int, int] = (60, 40)) -> Path:
    """Write images and XML files by stem; a value that is text is the whole file, None leaves the file out."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for k, (stem, told) in enumerate(objects.items()):
        write_image(folder / "JPEGImages" / f"{stem}.png", *image_size, seed=k)
        if told is not None:
            text = told if isinstance(told, str) else voc_xml(told)
            (folder / "Annotations" / f"{stem}.xml").write_text(text)
    return folder


def write_yolo(
    folder: Path,
    texts: Mapping[str, str | None],
    *,
    names: Sequence[str] | None = ("scratch", "scuff"),
    image_size: tuple[int, int] = (60, 40),
) -> Path:
    """Write images and texts by stem; None leaves the text out."""
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for k, (stem, text) in enumerate(texts.items()):
        write_image(folder / "images" / f"{stem}.png", *image_size, seed=k)
        if text is not None:
            (folder / "labels" / f"{stem}.txt").write_text(text)
    if names is not None:
        (folder / "data.yaml").write_text(json.dumps({"path": "..", "train": "images", "names": list(names)}))
    return folder

"""Pictures with bright and dark rectangles on noise: a task that a detector learns in seconds, and fails visibly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.detect.recipe import STAGES, DetectRecipe
from sorby.evidence.boxes import TrueBoxes

CLASSES = ("bright", "dark")
SIZE = 64


def picture(rng: np.random.Generator, size: int = SIZE, least: int = 0) -> tuple[npt.NDArray[np.uint8], TrueBoxes]:
    """Draw up to three rectangles that do not touch, 9 to 17 pixels wide."""
    pixels = 110 + rng.normal(0, 6, (size, size))
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for _ in range(int(rng.integers(least, 4))):
        w, h = (int(side) for side in rng.integers(9, 18, 2))
        x, y = (int(place) for place in rng.integers(1, size - 18, 2))
        box = (x, y, x + w, y + h)
        if any(
            min(box[2], o[2]) - max(box[0], o[0]) > -3 and min(box[3], o[3]) - max(box[1], o[1]) > -3 for o in boxes
        ):
            continue
        label = int(rng.integers(2))
        pixels[y : y + h, x : x + w] += 80 if label == 0 else -80
        boxes.append(box)
        labels.append(label)
    truth = TrueBoxes(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.intp))
    return np.clip(pixels, 0, 255).astype(np.uint8), truth


def pictures(count: int, seed: int, least: int = 0) -> list[tuple[npt.NDArray[np.uint8], TrueBoxes]]:
    """Draw several."""
    rng = np.random.default_rng(seed)
    return [picture(rng, least=least) for _ in range(count)]


def tiny_recipe(*, frozen: bool, **teaching: Any) -> DetectRecipe:
    """Return a recipe that a processor core teaches in seconds; *frozen* for the predictor alone."""
    content = {
        "name": "tiny",
        "image": {"short_side": 64},
        "pyramid": {"channels": 16},
        "box": {"width": 32, "pool": 4},
        "anchors": {"sizes": [12, 24, 48, 64, 64], "ratios": [1.0]},
        "proposals": {"test": 30, "train": 40, "before": 60},
        "few_shot": {"steps": 60, "views": 2, "jitter": 6},
        "teaching": {
            "freeze": list(STAGES) if frozen else ["backbone"],
            "steps": 90,
            "batch": 4,
            "learning_rate": 4e-3,
            "warmup": 5,
            "scales": [1, 1],
            "lighting": 0,
            "precision": "fp32",
            **teaching,
        },
    }
    return DetectRecipe.model_validate(content)


def write_coco(place: Path, drawn: list[tuple[npt.NDArray[np.uint8], TrueBoxes]], name: str = "boxes.json") -> Path:
    """Write pictures and a COCO file beside them; return the file."""
    place.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (pixels, truth) in enumerate(drawn, 1):
        file = f"{Path(name).stem}-{number:03d}.png"
        Image.fromarray(pixels).save(place / file)
        images.append({"id": number, "file_name": file, "width": pixels.shape[1], "height": pixels.shape[0]})
        for box, label in zip(truth.boxes.tolist(), truth.labels.tolist(), strict=True):
            sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": label + 1, "bbox": sides, "iscrowd": 0}
            )
    categories = [{"id": k, "name": label} for k, label in enumerate(CLASSES, 1)]
    (place / name).write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories}), "utf-8"
    )
    return place / name

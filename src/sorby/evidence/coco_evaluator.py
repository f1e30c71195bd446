"""COCO's own figures by the reference evaluator (faster-coco-eval): arrays in, arrays out, no file and no print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.evidence._types import FloatArray
from sorby.evidence.detection_matching import COCO_IOUS, Scene, box_areas

_LARGEST = 1e10  # square pixels; what COCO calls infinite


@dataclass(frozen=True, eq=False)
class CocoTable:
    """Average precision and greatest recall by overlap, class and size.

    Attributes
    ----------
    ap, recall : ndarray of float64, shape (T, C, 1 + S)
        At overlaps .50 to .95; the first entry of the last axis is for boxes of every size. NaN where there is nothing
        to be found.
    """

    ap: FloatArray
    recall: FloatArray

    def mean_ap(self, size: int = 0, level: int | slice = slice(None)) -> float:
        """Return the mean over classes that have boxes, and over overlaps or at one of them."""
        return _mean(self.ap[level, :, size])

    def mean_recall(self, size: int = 0) -> float:
        """Return the mean over classes and overlaps of the greatest recall."""
        return _mean(self.recall[:, :, size])


def coco_table(boxes: Scene, sizes: Mapping[str, tuple[float, float]], max_detections: int) -> CocoTable:
    """Judge findings as COCO does.

    Parameters
    ----------
    boxes : Scene
    sizes : mapping of str to (least, most)
        Square pixels, both ends included.
    max_detections : int
        Of an image and class.

    References
    ----------
    T.-Y. Lin et al., ECCV (2014).
    """
    from faster_coco_eval import COCO, COCOeval_faster

    shape = (len(COCO_IOUS), boxes.n_classes, 1 + len(sizes))
    if not boxes.score.size or not len(boxes.ignored):
        return _of_nothing(boxes, sizes, shape)
    head = {"images": [{"id": k} for k in range(boxes.n_images)],
            "categories": [{"id": k, "name": str(k)} for k in range(boxes.n_classes)]}  # fmt: skip
    truth = _annotations(boxes.truth_boxes, boxes.truth_image, boxes.truth_class)
    for entry, ignored in zip(truth, boxes.ignored.tolist(), strict=True):
        entry["iscrowd"] = int(ignored)
    found = _annotations(boxes.found_boxes, boxes.found_image, boxes.found_class)
    for entry, score in zip(found, boxes.score.tolist(), strict=True):
        entry["score"] = score
    annotated = COCO({**head, "annotations": truth})
    evaluator = COCOeval_faster(annotated, annotated.loadRes(found), iouType="bbox", print_function=_silent)
    evaluator.params.maxDets = [max_detections]
    evaluator.params.areaRng = [[0.0, _LARGEST], *([low, min(high, _LARGEST)] for low, high in sizes.values())]
    evaluator.params.areaRngLbl = ["all", *sizes]
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = evaluator.eval["precision"][..., 0], evaluator.eval["recall"][..., 0]
    return CocoTable(
        np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan), np.where(recall > -1, recall, np.nan)
    )


def _annotations(boxes: FloatArray, image: Any, label: Any) -> list[dict[str, Any]]:
    corners, sides, areas = boxes[:, :2], np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), box_areas(boxes)
    rows = zip(np.hstack([corners, sides]).tolist(), areas.tolist(), image.tolist(), label.tolist(), strict=True)
    return [
        {"id": k, "bbox": box, "area": area, "image_id": of_image, "category_id": code, "iscrowd": 0}
        for k, (box, area, of_image, code) in enumerate(rows, 1)
    ]


def _of_nothing(boxes: Scene, sizes: Mapping[str, tuple[float, float]], shape: tuple[int, int, int]) -> CocoTable:
    """Where nothing was found or nothing annotated there is nothing to rank: 0 where boxes were missed."""
    areas = box_areas(boxes.truth_boxes)
    table = np.full(shape, np.nan)
    for k, (low, high) in enumerate([(0.0, np.inf), *sizes.values()]):
        there = boxes.counted((areas >= low) & (areas <= high)).sum(axis=1) > 0
        table[:, there, k] = 0.0
    return CocoTable(table, table.copy())


def _silent(*_words: object) -> None:
    """Take the evaluator's progress lines."""


def _mean(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")

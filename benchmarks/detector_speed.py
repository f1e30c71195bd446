"""Images/s of a box detector through OpenVINO and through torch, at how much average precision.

The base detector, its own predictor, on rendered pictures of defects it has not seen. Beside OpenVINO in its two
precisions: torch eager as torchvision builds its detectors (RoIAlign over the pyramid, level by level), and torch eager
with this package's pooling. The first and ours once more with an allocator told to keep what it has, which spares page
faults, torch most. Each has a process of its own, since threads and memory of one runner change the speed of another;
the processes take turns; medians of rounds. What is timed is everything from pixels in memory to boxes. The same once
more at the published short side of 800 px, for the time alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from common import finish
from sorby.detect.described import Looked, StageRunner, TorchRunner
from sorby.detect.detector import Detector
from sorby.detect.network import Stages
from sorby.detect.openvino_stages import OpenVINORunner
from sorby.evidence.boxes import TrueBoxes
from sorby.evidence.detection_metrics import detection_scores
from sorby.phantom.defects import KINDS, DefectPicture, defect_set
from sorby.workflow.detection.bases import open_base
from sorby.workflow.papers.membrane_detection import line_loads

OURS = "openvino, bf16"
PEER = "torch eager, torchvision's RoIAlign"
POOLED = "torch eager, pooled as a sum of rows"
FP32 = "openvino, fp32"
SETTLED = "torch eager, torchvision's RoIAlign, memory kept"
# Above what any map needs: freed memory then stays with the process, as it would after days of work.
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
OURS_SETTLED = "openvino, bf16, memory kept"
SEED, SEED_LARGE = 4_000_017, 4_000_019
PREPARED: dict[str, Any] = {}
TARGETS = {"ratio": 4.0, "ap_points": 0.3}


class TorchvisionRunner(TorchRunner):
    """The stages in torch, boxes pooled by torchvision."""

    def __init__(self, stages: Stages) -> None:
        super().__init__(stages)
        self.stages = stages

    @torch.inference_mode()
    def describe(self, looked: Looked, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the hidden layers of boxes of each image, (sum of boxes, D)."""
        levels = OrderedDict((key, each) for key, each in looked.levels.items() if key != "pool")
        pooled = self.stages.pool(levels, boxes, [looked.size] * len(boxes))
        found: torch.Tensor = self.stages.box_head(pooled)
        return found


def runner(name: str, stages: Stages) -> StageRunner:
    """Return one way of running the stages."""
    if name in (PEER, SETTLED):
        return TorchvisionRunner(stages)
    if name == POOLED:
        return TorchRunner(stages)
    return OpenVINORunner(stages, "fp32" if name == FP32 else "bf16")


@dataclass(frozen=True)
class Task:
    """What a process is to time.

    Attributes
    ----------
    base : str
    name : str
    short_side : int or None
        The base's own by default.
    count, seed : int
        Of the pictures.
    """

    base: str
    name: str
    short_side: int | None
    count: int
    seed: int


def prepare(task: Task) -> None:
    """Make what `seconds` times, once for a process."""
    detector = opened(task.base)
    if task.short_side:
        image = detector.recipe.image.model_copy(update={"short_side": task.short_side, "long_side": 1333})
        detector = replace(detector, recipe=detector.recipe.model_copy(update={"image": image}))
    PREPARED["detector"] = replace(detector, _runners={("cpu", "auto"): runner(task.name, detector.stages)})
    PREPARED["images"] = [each.pixels for each in defect_set(task.count, seed=task.seed)]


def seconds() -> float:
    """Return how long this process takes for its images."""
    started = time.perf_counter()
    for _found in PREPARED["detector"].detect(PREPARED["images"], device="cpu", score=0.05):
        pass
    return time.perf_counter() - started


def rates(tasks: list[Task], rounds: int) -> dict[str, float]:
    """Return images/s of each, taking turns; the first turn of each, in which graphs are compiled, does not count."""
    pools = {}
    for task in tasks:
        kept = MEMORY_KEPT if task.name in (SETTLED, OURS_SETTLED) else {}
        os.environ.update(kept)  # read by the C library when a process starts, which the first call makes happen
        context = multiprocessing.get_context("spawn")
        pools[task] = ProcessPoolExecutor(1, context, initializer=prepare, initargs=(task,))
        pools[task].submit(seconds).result()
        for name in kept:
            os.environ.pop(name)
    taken: dict[Task, list[float]] = {task: [] for task in tasks}
    for _ in range(rounds):
        for task, pool in pools.items():
            taken[task].append(pool.submit(seconds).result())
    for pool in pools.values():
        pool.shutdown()
    return {task.name: task.count / statistics.median(each) for task, each in taken.items()}


def opened(name: str) -> Detector:
    """Return a base taught on rendered defects."""
    base = open_base(name, device="cpu")
    if base is None:
        sys.exit("error: no base\nhint: --base phantom, or a bundle")
    absent = sorted(set(KINDS) - set(base.classes))
    if absent:
        sys.exit(f"error: the base does not know {absent[0]}\nhint: a base taught on rendered defects")
    return base


def truth_of(picture: DefectPicture, classes: tuple[str, ...]) -> TrueBoxes:
    """Return the boxes of a picture, labelled by the classes of the detector."""
    return TrueBoxes(picture.boxes, np.array([classes.index(name) for name in picture.labels], np.intp))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="phantom")
    parser.add_argument("--pictures", type=int, default=250, help="on which average precision is measured")
    parser.add_argument("--timed", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=8, help="images at a short side of 800 px; 0 for none")
    arguments = parser.parse_args()
    base = opened(arguments.base)
    pictures = list(defect_set(arguments.pictures, seed=SEED))
    images, truth = [each.pixels for each in pictures], [truth_of(each, base.classes) for each in pictures]
    found: dict[str, Any] = {}
    for name in (PEER, POOLED, FP32, OURS):
        print(name, file=sys.stderr)
        detector = replace(base, _runners={("cpu", "auto"): runner(name, base.stages)})
        scores = detection_scores(truth, list(detector.detect(images, device="cpu", score=0.0)), base.classes,
                                  resamples=0)  # fmt: skip
        found[name] = {"ap": scores.ap, "ap50": scores.ap50, "ap75": scores.ap75}
    found = {PEER: found[PEER], SETTLED: dict(found[PEER]), **found, OURS_SETTLED: dict(found[OURS])}
    timed = min(arguments.timed, len(images))
    speed = rates([Task(arguments.base, name, None, timed, SEED) for name in found], arguments.rounds)
    for name, each in found.items():
        each |= {
            "images_per_s": speed[name],
            "ms": 1000 / speed[name],
            "ratio": speed[name] / speed[PEER],
            **{f"{key}_points": 100 * (each[key] - found[PEER][key]) for key in ("ap", "ap50")},
        }
    finish(
        "detector_speed",
        {
            "network": base.backbone.name,
            "pictures": len(images),
            "boxes": sum(len(each) for each in truth),
            "picture_px": list(images[0].shape[:2]),
            "short_side_px": base.recipe.image.short_side,
            "timed": timed,
            "rounds": arguments.rounds,
            "runners": found,
            "peer": PEER,
            "settled_ratio": speed[OURS_SETTLED] / speed[SETTLED],
            "ours": OURS,
            "targets": TARGETS,
            "large": large(arguments.base, arguments.large, arguments.rounds),
            "line": [each.as_dict() for each in line_loads({"pinholes": speed[OURS], "scratches": speed[OURS]})],
        },
    )


def large(base: str, count: int, rounds: int) -> dict[str, Any] | None:
    """Return images/s at the published short side."""
    if not count:
        return None
    speed = rates(
        [Task(base, name, 800, count, SEED_LARGE) for name in (PEER, SETTLED, OURS, OURS_SETTLED)], min(3, rounds)
    )
    return {
        "short_side_px": 800,
        "images": count,
        "images_per_s": speed,
        "ratio": speed[OURS] / speed[PEER],
        "settled_ratio": speed[OURS_SETTLED] / speed[SETTLED],
    }


if __name__ == "__main__":
    main()

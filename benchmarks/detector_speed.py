"""Images/s of a box detector through OpenVINO and through torch, at how much average precision.

The base detector, its own predictor, on rendered pictures of defects it has not seen. Beside OpenVINO in its two
precisions: torch eager as torchvision builds its detectors (RoIAlign over the pyramid, level by level), and torch eager
with this package's pooling. All take turns in one process; medians of rounds. What is timed is everything from pixels
in memory to boxes. The same once more at the published short side of 800 px, for the time alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import OrderedDict
from dataclasses import replace
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


def runners(stages: Stages) -> dict[str, StageRunner]:
    """Return every way of running the stages."""
    return {
        PEER: TorchvisionRunner(stages),
        "torch eager, pooled as a sum of rows": TorchRunner(stages),
        "openvino, fp32": OpenVINORunner(stages, "fp32"),
        OURS: OpenVINORunner(stages, "bf16"),
    }


def through(detector: Detector, runner: StageRunner) -> Detector:
    """Return the detector with its stages run by *runner*."""
    return replace(detector, _runners={("cpu", "auto"): runner})


def truth_of(picture: DefectPicture, classes: tuple[str, ...]) -> TrueBoxes:
    """Return the boxes of a picture, labelled by the classes of the detector."""
    return TrueBoxes(picture.boxes, np.array([classes.index(name) for name in picture.labels], np.intp))


def rates(detectors: dict[str, Detector], images: list[np.ndarray], rounds: int) -> dict[str, float]:
    """Return images/s of each, taking turns."""
    for detector in detectors.values():
        list(detector.detect(images[:9], device="cpu", score=0.05))  # full and last batch are compiled
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(rounds):
        for name, detector in detectors.items():
            started = time.perf_counter()
            for _found in detector.detect(images, device="cpu", score=0.05):
                pass
            seconds[name].append(time.perf_counter() - started)
    return {name: len(images) / statistics.median(each) for name, each in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="phantom")
    parser.add_argument("--pictures", type=int, default=250, help="on which average precision is measured")
    parser.add_argument("--timed", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=8, help="images at a short side of 800 px; 0 for none")
    arguments = parser.parse_args()
    base = open_base(arguments.base, device="cpu")
    if base is None:
        sys.exit("error: no base\nhint: --base phantom, or a bundle")
    absent = sorted(set(KINDS) - set(base.classes))
    if absent:
        sys.exit(f"error: the base does not know {absent[0]}\nhint: a base taught on rendered defects")
    pictures = list(defect_set(arguments.pictures, seed=4_000_017))
    images, truth = [each.pixels for each in pictures], [truth_of(each, base.classes) for each in pictures]
    detectors = {name: through(base, runner) for name, runner in runners(base.stages).items()}
    found: dict[str, Any] = {}
    for name, detector in detectors.items():
        print(name, file=sys.stderr)
        scores = detection_scores(truth, list(detector.detect(images, device="cpu", score=0.0)), base.classes,
                                  resamples=0)  # fmt: skip
        found[name] = {"ap": scores.ap, "ap50": scores.ap50, "ap75": scores.ap75}
    speed = rates(detectors, images[: arguments.timed], arguments.rounds)
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
            "timed": min(arguments.timed, len(images)),
            "rounds": arguments.rounds,
            "runners": found,
            "peer": PEER,
            "ours": OURS,
            "targets": TARGETS,
            "large": large(base, arguments.large, arguments.rounds),
            "line": [each.as_dict() for each in line_loads({"pinholes": speed[OURS], "scratches": speed[OURS]})],
        },
    )


def large(base: Detector, count: int, rounds: int) -> dict[str, Any] | None:
    """Return images/s at the published short side."""
    if not count:
        return None
    image = base.recipe.image.model_copy(update={"short_side": 800, "long_side": 1333})
    recipe = base.recipe.model_copy(update={"image": image})
    images = [each.pixels for each in defect_set(count, seed=4_000_019)]
    detectors = {
        name: through(replace(base, recipe=recipe), runner)
        for name, runner in runners(base.stages).items()
        if name in (PEER, OURS)
    }
    speed = rates(detectors, images, min(2, rounds))
    return {"short_side_px": 800, "images": count, "images_per_s": speed, "ratio": speed[OURS] / speed[PEER]}


if __name__ == "__main__":
    main()

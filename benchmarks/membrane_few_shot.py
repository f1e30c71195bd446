"""The published few-shot protocol on membrane phantoms: 30 draws of 5 and 10 images, several ways of teaching.

Pinholes with 5 and 10 examples, scratches and scuffs with 5, as Yan et al. (2023, Tables 5 to 7), on crops of rendered
sheets; pinholes off centre beside. All ways of teaching see the same draws. Images are fitted to the recipe's short
side, and one layer is taught on what the frozen stages make of the examples: a shorter schedule, stated in the result.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from common import finish
from sorby.evidence.repeat_intervals import RepeatInterval
from sorby.workflow.detection.protocol import FewShotResult, FewShotSettings
from sorby.workflow.papers import yan2023 as s3
from sorby.workflow.papers.membrane_detection import DetectionRequest, line_loads, run_detection


def published(result: FewShotResult) -> dict[str, Any]:
    """Return the printed cells of a protocol, shares of one."""
    if result.name.startswith("scratches"):
        rows = dict(s3.TABLE_6)
    elif "off centre" in result.name or result.shots not in s3.TABLE_5:
        rows = {}
    else:
        rows = {"pinhole": s3.TABLE_5[result.shots]}
    return {
        name: {key: {"mean": mean / 100, "margin": (margin or 0.0) / 100} for key, (mean, margin) in row.items()}
        for name, row in rows.items()
    }


def short(each: RepeatInterval) -> dict[str, Any]:
    """Return an interval without its single repeats."""
    return {key: value for key, value in each.as_dict().items() if key not in ("repeats", "mean")}


def described(result: FewShotResult) -> dict[str, Any]:
    """Return a protocol for the result."""
    return {
        "shots": result.shots,
        "classes": list(result.images.classes),
        "boxes": result.images.boxes_of(),
        "counts": result.counts(),
        "published": published(result),
        "seconds_describing": result.seconds_describing,
        "arms": {
            each.arm.name: {
                "title": each.arm.title,
                "repeats": len(each.repeats),
                "seconds_a_repeat": each.as_dict()["seconds_a_repeat"],
                "figures": {name: short(over) for name, over in each.over.items()},
            }
            for each in result.arms
        },
        "paired": {arm: {name: short(over) for name, over in found.items()} for arm, found in result.paired.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="phantom", help="phantom, or a bundle of a base detector")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=BUNDLE")
    parser.add_argument("--repeats", type=int, default=s3.DETECTION_RUNS)
    parser.add_argument("--without-base", type=int, default=3, help="draws taught without a base, minutes each")
    parser.add_argument("--trials", type=int, default=s3.DETECTION_TRIALS, help="0 leaves times out")
    parser.add_argument("--recipe", default="few-shot")
    arguments = parser.parse_args()
    started = time.perf_counter()
    request = DetectionRequest(
        base=arguments.base,
        others={name: Path(path) for name, _, path in (text.partition("=") for text in arguments.other)},
        recipe=arguments.recipe,
        settings=FewShotSettings(arguments.repeats),
        gradient_repeats=arguments.without_base,
        trials=arguments.trials,
    )
    run = run_detection(request)
    for each in run.results:
        print(each.name, each.arms[0].over["ap"].printed(), file=sys.stderr)
    recipe = request.few_shot()
    finish(
        "membrane_few_shot",
        {
            "images": "crops of membrane phantoms",
            "network": run.base.backbone.name,
            "short_side_px": recipe.image.short_side,
            "published_short_side_px": s3.CROP_SIDE,
            "steps": recipe.few_shot.steps,
            "published_steps": {str(shots): steps for shots, (steps, _) in s3.SCHEDULE.items()},
            "steps_without_base": request.gradient_steps,
            "base_kinds": list(run.base.classes),
            "known_to_the_base": list(run.known),
            "protocols": {each.name: described(each) for each in run.results},
            "times": {kind: each.as_dict() for kind, each in run.times.items()},
            "published_ms": s3.TABLE_7[0],
            "line": [
                each.as_dict() for each in line_loads({kind: each.images_per_s for kind, each in run.times.items()})
            ],
            "seconds": time.perf_counter() - started,
        },
    )


if __name__ == "__main__":
    main()

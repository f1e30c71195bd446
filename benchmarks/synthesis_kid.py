"""How near generated surfaces come to real ones, and how long that takes.

12 + 13 corrosion phantoms teach, 40 other coupons judge: KID of generated images in features of the packaged
efficientnet_lite0, between the floor (real against real, other coupons) and the ceiling (the generator before it was
taught), with intervals; precision and recall of the set; copies of the originals that taught.

``stills-128`` as packaged; ``small-data`` and the published methods for stills at 128 px with fewer steps, as stated.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from common import finish, hermetic
from sorby.synthesize import load_recipe
from sorby.workflow import synthesis
from sorby.workflow.papers.corrosion_phantoms import SIZE_PX, published_corrosion
from sorby.workflow.phantoms import write_corrosion_corpus

SAMPLES, JUDGES, JUDGES_SEED = 150, 40, 4711
#: Steps of the other methods; the published ones' recipes are made for GPUs.
OTHERS = {"small-data": 600, "gan-stills": 600, "gan-five-layer": 600}
KEPT = ("kid", "ci95", "floor", "ceiling", "fid", "precision", "recall", "accepted", "rejected", "copies", "reasons",
        "classes", "features", "warnings")  # fmt: skip


def one(name: str, settings: dict[str, Any], taught: Path, judges: Path, place: Path) -> dict[str, Any]:
    """Teach by one recipe, sample, and check against coupons not taught and against those taught."""
    recipe = load_recipe(name, settings)
    made = synthesis.train(taught, place / "generator", recipe, part="all", report=False)
    synthesis.sample(
        made["generator"], place / "sample", n=SAMPLES, originals=taught if recipe.needs_parents else None, part="all",
        report=False,
    )  # fmt: skip
    held = synthesis.check(judges, place / "sample", place / "held", generator=made["generator"], report=False)
    own = synthesis.check(taught, place / "sample", place / "own", generator=made["generator"], report=False)
    return {
        "recipe": recipe.model_dump(mode="json"),
        "settings": settings,
        "teaching_seconds": made["seconds"],
        "samples_a_class": SAMPLES,
        "held_out": {key: held[key] for key in KEPT},
        "copies_of_taught": own["copies"],
        "kid_to_taught": own["kid"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--steps", type=int, help="of stills-128, in place of the packaged number")
    asked = parser.parse_args()
    scratch = hermetic()
    taught = published_corrosion(folder=scratch / "phantoms")
    drawn = write_corrosion_corpus(scratch / "judges", JUDGES, seed=JUDGES_SEED, size_px=SIZE_PX, images=2)
    judges = Path(drawn["corpus"])
    plans: dict[str, dict[str, Any]] = {
        name: {"image.size_px": 128, "training.steps": steps} for name, steps in OTHERS.items()
    }
    plans = {"stills-128": {} if asked.steps is None else {"training.steps": asked.steps}} | plans
    found = {}
    for name, settings in plans.items():
        if asked.only and name not in asked.only:
            continue
        print(f"teaching {name}", file=sys.stderr)
        found[name] = one(name, settings, taught, judges, scratch / name)
    targets = {"teaching_minutes": 15, "kid": "between floor and ceiling, nearer to the floor"}
    finish("synthesis_kid", {"methods": found, "taught": 25, "judging_coupons": JUDGES, "targets": targets})


if __name__ == "__main__":
    main()

"""Few-shot and full detection on NEU-DET (hot-rolled strip, six classes), published figures beside ours.

Images 1 to 210 of each class may teach, 211 to 300 judge: 1,260 and 540 as published, though not the published random
draw. No crop of a field lies on both sides unless the set itself holds near-duplicates; ``neu_overlap`` finds them.
K is a number of boxes a class, drawn with a seed; other boxes of a drawn image are ignored. The phantoms of the base
were designed by people who had looked at images 1 to 210.

Arms:

* ``frozen``: all stages those of the phantom base, a predictor taught on cached descriptions (TFA, Wang et al. 2020).
* ``tuned``: everything but the backbone taught on the K boxes, from the phantom base on.
* ``imagenet``: the same without any base: what the phantoms bring.
* ``real-a``, ``real-b``: the base goes on learning from all boxes of three real classes, the novel ones are the other
  three, both ways round; ``phantom-a``, ``phantom-b``: the same novel classes behind the phantom base.
* ``full``: all 1,260 images.

Every finished run is kept in --work, so a stopped benchmark goes on. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import data_folder, finish
from neu_overlap import overlap_groups
from sorby.corpus import build
from sorby.corpus.boxes import corpus_boxes, true_boxes
from sorby.corpus.interchange.sources import BoxOptions
from sorby.detect import recipe as recipes
from sorby.detect.described import Lessons, describe_images, lessons_of
from sorby.detect.detector import Detector
from sorby.detect.detector_bundle import save
from sorby.detect.pictures import Example, Fitted
from sorby.detect.shots import k_shot
from sorby.detect.teaching import behind, examples_of, teach, teach_few
from sorby.evidence.boxes import TrueBoxes
from sorby.evidence.detection_metrics import detection_scores
from sorby.evidence.repeat_intervals import over_repeats
from sorby.files import write_json
from sorby.micrograph import read
from sorby.workflow.detection.bases import open_base
from sorby.workflow.detection.opening import open_box_detector

CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
#: Alternate classes of the alphabet, so that each half holds marks, regions and lines.
HALVES = {"a": ("crazing", "patches", "rolled-in_scale"), "b": ("inclusion", "pitted_surface", "scratches")}
SHOTS = (5, 10, 30)
LAST_TAUGHT = 210
PUBLISHED = {
    "few_shot_30": {"TFA": 65.67, "FSCE": 72.08, "DeFRCN": 80.46, "best": 85.29},
    "full": {"DDN, ResNet-34": 74.8, "DDN, ResNet-50": 82.3},
}


@dataclass(frozen=True, eq=False)
class Images:
    """All images at the network's size, their boxes in the same pixels."""

    names: list[str]
    examples: list[Example]
    taught: list[int]
    judged: list[int]

    def truth(self, rows: Sequence[int], classes: Sequence[str]) -> list[TrueBoxes]:
        """Return the boxes of some images, only of some classes, numbered by these."""
        return [_of_classes(self.examples[row].truth, classes) for row in rows]

    def example(self, row: int, truth: TrueBoxes) -> Example:
        """Return an image with other boxes."""
        return Example(self.examples[row].pixels, truth)


def _fitted(example: Example) -> Fitted:
    return Fitted(example.pixels, (example.pixels.shape[0], example.pixels.shape[1]), (1.0, 1.0))


def _of_classes(truth: TrueBoxes, classes: Sequence[str]) -> TrueBoxes:
    number = {CLASSES.index(name): place for place, name in enumerate(classes)}
    kept = np.isin(truth.labels, list(number))
    labels = np.array([number[int(label)] for label in truth.labels[kept]], np.intp)
    return TrueBoxes(truth.boxes[kept], labels, truth.flags[kept])


def read_images(recipe: recipes.DetectRecipe) -> Images:
    """Read the set: 1,800 images, difficult boxes counted as the published evaluations count them."""
    built = build([data_folder("neu-det")], min_classes=1, boxes=BoxOptions(format="voc", difficult="kept"))
    corpus = built.corpus
    boxes = corpus_boxes(corpus)
    order = sorted(range(len(corpus)), key=lambda k: Path(corpus.table["path"].iloc[k]).stem)
    names, pixels, truth = [], [], []
    for row in order:
        path = corpus.paths()[row]
        names.append(path.stem)
        pixels.append(read(path).pixels)
        truth.append(true_boxes(boxes[row] or (), CLASSES))
    examples = [one for group in examples_of(pixels, truth, recipe) for one in group]
    number = [int(name.rsplit("_", 1)[1]) for name in names]
    return Images(
        names, examples, [k for k, n in enumerate(number) if n <= LAST_TAUGHT],
        [k for k, n in enumerate(number) if n > LAST_TAUGHT],
    )  # fmt: skip


class Judge:
    """Scores detectors on the images that judge; what frozen stages make of these is computed once."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def scores(self, detector: Detector, classes: Sequence[str], described: list[Any] | None = None) -> dict[str, Any]:
        """Return AP, AP50 and AP75 in percent, and AP50 by class."""
        rows = self.images.judged
        fitted = [_fitted(self.images.examples[row]) for row in rows]
        if described is None:
            found = detector.found_on(fitted)
        else:
            found = [detector.found(each, piece) for each, piece in zip(described, fitted, strict=True)]
        scores = detection_scores(self.images.truth(rows, classes), found, list(classes), resamples=0)
        figures = scores.as_dict(curves=False)
        by_class = {name: 100 * (entry["ap50"]["value"] or 0.0) for name, entry in figures["per_class"].items()}
        return {
            **{name: 100 * figures[name]["value"] for name in ("ap", "ap50", "ap75")},
            "ap50_by_class": by_class,
        }

    def describe(self, detector: Detector) -> list[Any]:
        """Return what the stages make of every image that judges."""
        return list(describe_images(detector.runner(), (self.images.examples[k].pixels for k in self.images.judged)))


class Bench:
    """All runs; finished ones are read back."""

    def __init__(self, work: Path, seeds: int, slow_seeds: int) -> None:
        self.work, self.seeds, self.slow_seeds = work, seeds, slow_seeds
        work.mkdir(parents=True, exist_ok=True)
        base = open_base("phantom")
        assert base is not None
        self.base = base
        self.recipe = recipes.load("few-shot")
        self.tuned = recipes.load("tuned")
        self.images = read_images(self.recipe)
        self.judge = Judge(self.images)

    def kept(self, name: str) -> dict[str, Any] | None:
        """Return a run that was finished before."""
        path = self.work / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def keep(self, name: str, result: dict[str, Any]) -> dict[str, Any]:
        """Store a run."""
        write_json(self.work / f"{name}.json", result)
        print(name, {key: result[key] for key in ("ap50", "ap", "seconds")}, file=sys.stderr, flush=True)
        return result

    def drawn(self, classes: Sequence[str], shots: int, seed: int) -> list[Example]:
        """Return the examples of a draw."""
        truth = self.images.truth(self.images.taught, classes)
        draw = k_shot(truth, classes, shots, seed=seed)
        return [self.images.example(self.images.taught[k], boxes) for k, boxes in draw.items()]

    def frozen(self, arm: str, base: Detector, classes: Sequence[str], shots: Sequence[int] = SHOTS) -> None:
        """Teach a predictor behind frozen stages, every draw."""
        wanted = [(k, s) for k in shots for s in range(self.seeds) if self.kept(f"{arm}-{k}-{s}") is None]
        if not wanted:
            return
        ready = behind(base, self.recipe)
        described = self.judge.describe(ready)
        for k, seed in wanted:
            started = time.perf_counter()
            examples = self.drawn(classes, k, seed)
            lessons: list[Lessons] = lessons_of(ready.runner(), examples, len(classes), self.recipe.few_shot, seed=seed)
            taught = teach_few(ready, self.recipe, classes, lessons, seed=seed)
            seconds = time.perf_counter() - started
            scores = self.judge.scores(taught, classes, described)
            self.keep(f"{arm}-{k}-{seed}", {**scores, "n_images": len(examples), "seconds": seconds})

    def gradient(self, arm: str, base: Detector | None, classes: Sequence[str], shots: int, seeds: int) -> None:
        """Teach everything but the backbone, every draw."""
        for seed in range(seeds):
            if self.kept(f"{arm}-{shots}-{seed}") is not None:
                continue
            started = time.perf_counter()
            examples = self.drawn(classes, shots, seed)
            taught = teach(self.tuned, classes, examples, base=base, seed=seed)
            seconds = time.perf_counter() - started
            scores = self.judge.scores(taught, classes)
            self.keep(f"{arm}-{shots}-{seed}", {**scores, "n_images": len(examples), "seconds": seconds})

    def real_base(self, half: str) -> Detector:
        """Return a detector taught on every box of three real classes; images that show none of them are left out."""
        path = self.work / f"real-base-{half}.sorby"
        if path.is_file():
            return open_box_detector(path).detector
        classes = HALVES[half]
        rows = [k for k in self.images.taught if len(_of_classes(self.images.examples[k].truth, classes))]
        examples = [self.images.example(k, _of_classes(self.images.examples[k].truth, classes)) for k in rows]
        recipe = recipes.load(
            "full", {"teaching.freeze": ["backbone"], "teaching.steps": self.tuned.teaching.steps * 2}
        )
        detector = teach(recipe, classes, examples, base=self.base, state_folder=self.work / f"state-{half}", seed=0)
        save(path, detector, images=[], n_boxes=sum(len(each.truth) for each in examples))
        return detector

    def full(self, steps: int) -> None:
        """Teach on all 1,260 images."""
        name = f"full-{steps}"
        if self.kept(name) is not None:
            return
        started = time.perf_counter()
        recipe = recipes.load("full", {"teaching.steps": steps})
        examples = [self.images.examples[k] for k in self.images.taught]
        detector = teach(recipe, CLASSES, examples, base=self.base, state_folder=self.work / "state-full", seed=0)
        seconds = time.perf_counter() - started
        self.keep(name, {**self.judge.scores(detector, CLASSES), "n_images": len(examples), "seconds": seconds})

    def summary(self) -> dict[str, Any]:
        """Return every arm's mean over draws with its interval, in percent."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(self.work.glob("*-*-*.json")):
            arm, shots, _ = path.stem.rsplit("-", 2)
            runs.setdefault(f"{arm}-{shots}", []).append(json.loads(path.read_text()))
        for path in sorted(self.work.glob("full-*.json")):
            runs.setdefault(path.stem, []).append(json.loads(path.read_text()))
        return {name: _summarised(entries) for name, entries in sorted(runs.items())}


def _summarised(entries: list[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {"draws": len(entries)}
    for name in ("ap", "ap50", "ap75"):
        result[name] = over_repeats([entry[name] for entry in entries]).as_dict()
    names = entries[0]["ap50_by_class"]
    result["ap50_by_class"] = {key: float(np.mean([entry["ap50_by_class"][key] for entry in entries])) for key in names}
    result["images"] = float(np.mean([entry["n_images"] for entry in entries]))
    result["seconds_a_draw"] = float(np.median([entry["seconds"] for entry in entries]))
    return result


def near_duplicates(images: Images) -> int:
    """Return how many images that judge share a field with one that may teach."""
    files = [data_folder("neu-det") / "images" / f"{name}.jpg" for name in images.names]
    groups = np.asarray(overlap_groups(files))
    return int(np.isin(groups[images.judged], groups[images.taught]).sum())


def steps_of(arguments: argparse.Namespace, bench: Bench) -> Iterator[None]:
    """Carry out the wanted arms, cheapest first."""
    wanted = set(arguments.arms)
    if "frozen" in wanted:
        yield bench.frozen("frozen", bench.base, CLASSES)
    if "tuned" in wanted:
        for shots in (30, 10, 5):
            yield bench.gradient("tuned", bench.base, CLASSES, shots, bench.seeds if shots == 30 else bench.slow_seeds)
    if "imagenet" in wanted:
        yield bench.gradient("imagenet", None, CLASSES, 30, bench.slow_seeds)
    if "real" in wanted:
        for half, other in (("a", "b"), ("b", "a")):
            real = bench.real_base(half)
            yield bench.frozen(f"real-{half}", real, HALVES[other], (30,))
            yield bench.frozen(f"phantom-{half}", bench.base, HALVES[other], (30,))
            yield bench.gradient(f"real-{half}-tuned", real, HALVES[other], 30, bench.slow_seeds)
    if "full" in wanted:
        yield bench.full(arguments.full_steps)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/neu-detection"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slow-seeds", type=int, default=3)
    parser.add_argument("--full-steps", type=int, default=1500)
    parser.add_argument("--arms", nargs="*", default=["frozen", "tuned", "imagenet", "real", "full"])
    arguments = parser.parse_args()
    bench = Bench(arguments.work, arguments.seeds, arguments.slow_seeds)
    for _ in steps_of(arguments, bench):
        pass
    result = {
        "classes": list(CLASSES),
        "published": PUBLISHED,
        "protocol": "1,260 images may teach, 540 judge, as published; the draw is ours, so figures compare roughly",
        "taught": len(bench.images.taught),
        "judged": len(bench.images.judged),
        "judged_sharing_a_field_with_taught": near_duplicates(bench.images),
        "arms": bench.summary(),
    }
    finish("neu_detection", result)


if __name__ == "__main__":
    main()

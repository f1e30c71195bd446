"""From labelled images to a detector: few-shot behind frozen stages, or by gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sorby.backbone import runtime
from sorby.detect.described import Lessons, lessons_of
from sorby.detect.detector import Detector, build
from sorby.detect.few_shot import fit_predictor
from sorby.detect.network import DetectorNetwork, Stages
from sorby.detect.pictures import Example, fit
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import DetectRecipe
from sorby.detect.tiles import tile_boxes
from sorby.detect.training import train
from sorby.errors import InputError
from sorby.evidence.boxes import TrueBoxes, areas, clipped
from sorby.micrograph import to_uint8

_CUT = 0.35  # of a box must lie in a tile for the tile to show it; less is ignored there
_SHOTS = 30  # lessons of each class that a detector keeps for later teaching


def examples_of(
    images: Iterable[npt.NDArray[np.generic]], truth: Iterable[TrueBoxes], recipe: DetectRecipe, *, seed: int = 0
) -> Iterable[list[Example]]:
    """Yield each image's examples: itself, or its tiles where the recipe cuts it.

    Of tiles without any box as many are kept as show one, at least one, chosen by *seed*: nearly all of a large image
    shows nothing.
    """
    for number, (deep, boxes) in enumerate(zip(images, truth, strict=True)):
        image = to_uint8(deep)  # as a whole: tiles of a deep image keep one contrast
        tiles = tile_boxes(image.shape[0], image.shape[1], recipe.image)
        seen = [_within(boxes, tile) for tile in tiles]
        full = [k for k, each in enumerate(seen) if len(each)]
        empty = [k for k in range(len(tiles)) if not len(seen[k])]
        rng = np.random.default_rng([seed, number])
        kept = sorted([*full, *rng.permutation(empty)[: max(1, len(full))].tolist()])
        yield [_example(image, tiles[k], seen[k], recipe) for k in kept]


def _within(truth: TrueBoxes, tile: npt.NDArray[np.int64]) -> TrueBoxes:
    """Return the boxes that a tile shows, in its pixels; those it cuts to little are ignored."""
    left, top, right, bottom = (int(v) for v in tile)
    moved = (truth.boxes - np.array([left, top, left, top], np.float32)).astype(np.float32)
    seen = clipped(moved, bottom - top, right - left)
    share = areas(seen) / np.maximum(areas(moved), 1e-6)
    there = ((seen[:, 2:] - seen[:, :2]) > 0).all(axis=1)
    return TrueBoxes(seen[there], truth.labels[there], (truth.flags | (share < _CUT))[there])


def _example(
    image: npt.NDArray[np.generic], tile: npt.NDArray[np.int64], truth: TrueBoxes, recipe: DetectRecipe
) -> Example:
    left, top, right, bottom = (int(v) for v in tile)
    fitted = fit(image[top:bottom, left:right], recipe.image)
    return Example(fitted.pixels, TrueBoxes(fitted.to_input(truth.boxes), truth.labels, truth.flags))


def teach(
    recipe: DetectRecipe,
    classes: Sequence[str],
    examples: Sequence[Example],
    *,
    base: Detector | None = None,
    state_folder: Path | None = None,
    seed: int | None = None,
    device: runtime.Device = "auto",
) -> Detector:
    """Teach a detector.

    Parameters
    ----------
    recipe : DetectRecipe
        With all four stages frozen, `teach_few` behind the base detector; by gradients otherwise.
    classes : sequence of str
    examples : sequence of Example
    base : Detector, optional
        Where the stages start; the pretrained backbone alone without it.
    state_folder : Path, optional
        Where a teaching by gradients keeps its state.
    seed : int, optional
        The recipe's by default.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        All stages are frozen but there is no base detector, or its stages have another shape.
    """
    seed = recipe.seed if seed is None else seed
    if recipe.teaching.all_frozen:
        if base is None:
            raise InputError(
                "all stages are frozen, and there is no base detector whose stages they could be",
                "--base phantom, or fewer parts in teaching.freeze",
            )
        ready = behind(base, recipe)
        lessons = lessons_of(ready.runner(device), examples, len(classes), recipe.few_shot, seed=seed)
        return teach_few(ready, recipe, classes, lessons, seed=seed)
    start = build(recipe, classes, seed=seed)
    if base is not None:
        _check_shape(base, recipe)
        start.stages.load_state_dict(base.stages.state_dict())
    network = _joined(start.stages, start.predictor)
    taught = train(network, recipe, examples, state_folder, seed=seed, device=device)
    network.to("cpu")
    done = start.with_predictor(recipe, classes, network.predictor, facts={"history": taught.history})
    return done.with_predictor(recipe, classes, network.predictor, shots=_shots(done, examples, seed, device))


def behind(base: Detector, recipe: DetectRecipe) -> Detector:
    """Return a base detector whose stages describe proposals as *recipe* wants.

    Raises
    ------
    InputError
        Its stages have another shape.
    """
    _check_shape(base, recipe)
    stages = Stages(recipe, base.backbone)
    stages.load_state_dict(base.stages.state_dict())
    return Detector(
        recipe, base.classes, base.backbone, stages.eval(), base.predictor, base.threshold, base.shots, dict(base.facts)
    )


def teach_few(
    base: Detector, recipe: DetectRecipe, classes: Sequence[str], lessons: Sequence[Lessons], *, seed: int
) -> Detector:
    """Teach a new predictor behind frozen stages: seconds, for what the stages make of the examples is there already.

    Parameters
    ----------
    base : Detector
        As `behind` returns it.
    recipe : DetectRecipe
    classes : sequence of str
        Novel classes; with ``few_shot.classes = all`` the base detector's follow behind them.
    lessons : sequence of Lessons
        Of each example, labelled by *classes*.
    seed : int

    Raises
    ------
    InputError
        A class has no box, a novel class bears the name of a base class, or the base stores no examples of its own.
    """
    together = Lessons.joined(lessons)
    names = list(classes)
    if recipe.few_shot.classes == "all":
        together, names = _with_base(base, together, names)
    predictor = fit_predictor(
        together, len(names), recipe.box.width, recipe.box, recipe.few_shot, seed=seed, base=base.predictor
    )
    return base.with_predictor(recipe, names, predictor, shots=_thinned(together, len(names), seed))


def _with_base(base: Detector, lessons: Lessons, classes: list[str]) -> tuple[Lessons, list[str]]:
    if base.shots is None or base.shots.described.shape[1] != lessons.described.shape[1]:
        raise InputError(
            "the base detector stores no examples described as this recipe describes them",
            "few_shot.classes=novel, or box.describe as in the base detector",
        )
    twice = sorted(set(classes) & set(base.classes))
    if twice:
        raise InputError(f"class {twice[0]} is one of the base detector's", "give it another name, or box.merge")
    n, more = len(classes), len(base.classes)
    own = torch.where(lessons.labels == n, n + more, lessons.labels)
    theirs = base.shots.labels + n
    return Lessons.joined([
        Lessons(lessons.described, own, lessons.offsets), Lessons(base.shots.described, theirs, base.shots.offsets)
    ]), [*classes, *base.classes]  # fmt: skip


def _shots(detector: Detector, examples: Sequence[Example], seed: int, device: runtime.Device) -> Lessons | None:
    """Return lessons of a few of the examples, for a later teaching that shall not forget these classes."""
    n = len(detector.classes)
    order = np.random.default_rng([seed, 5]).permutation(len(examples))
    counts = np.zeros(n, np.int64)
    kept = []
    for k in order:
        labels = examples[k].truth.labels[~examples[k].truth.flags]
        if (counts[labels] < _SHOTS).any():
            kept.append(examples[k])
            np.add.at(counts, labels, 1)
    section = detector.recipe.few_shot.model_copy(update={"views": 1, "jitter": 2})
    lessons = lessons_of(detector.runner(device), kept, n, section, seed=seed)
    return _thinned(Lessons.joined(lessons), n, seed) if lessons else None


def _thinned(lessons: Lessons, n_classes: int, seed: int) -> Lessons:
    """Keep at most a few dozen lessons of each class, and of the background as many as of all classes together."""
    rng = np.random.default_rng([seed, 6])
    rows = []
    for label in range(n_classes + 1):
        here = torch.where(lessons.labels == label)[0].numpy()
        most = 2 * _SHOTS if label < n_classes else 2 * _SHOTS * n_classes
        rows.append(np.sort(rng.permutation(here)[:most]))
    chosen = torch.from_numpy(np.concatenate(rows))
    return Lessons(lessons.described[chosen], lessons.labels[chosen], lessons.offsets[chosen])


def _joined(stages: Stages, predictor: Predictor) -> DetectorNetwork:
    network = DetectorNetwork.__new__(DetectorNetwork)
    torch.nn.Module.__init__(network)
    network.stages, network.predictor = stages, predictor
    return network


def _check_shape(base: Detector, recipe: DetectRecipe) -> None:
    ours, theirs = recipe.shape(), base.recipe.shape()
    for key, value in theirs.items():
        if ours[key] != value:
            raise InputError(
                f"the base detector has {key} {value}, the recipe {ours[key]}",
                "a recipe that agrees with its base, or a base taught by this recipe's",
            )

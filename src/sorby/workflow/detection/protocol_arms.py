"""Ways of teaching that are set beside each other, and what frozen stages make of all images, kept for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from sorby.backbone.runtime import Device
from sorby.detect.described import DescribedImage, Lessons, describe_images, lessons_of
from sorby.detect.detector import Detector
from sorby.detect.pictures import Example, Fitted, fit
from sorby.detect.recipe import DetectRecipe
from sorby.detect.teaching import behind
from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes, TrueBoxes
from sorby.micrograph import Pixels

REFERENCE = "two stages"
ALL_CLASSES = "two stages, all classes"
PUBLISHED_FORM = "published form"
AS_ONE = "one class"
NO_EXAMPLE = "no example"
NO_BASE = "no base"

_STAGES_ALONE = ("backbone", "pyramid", "rpn", "box_head")


@dataclass(frozen=True, eq=False)
class Arm:
    """One way of teaching.

    Attributes
    ----------
    name, title : str
        Short, and what is done.
    recipe : DetectRecipe
        With all stages frozen, one layer is taught behind those of *base*; by gradients otherwise.
    base : Detector or None
    repeats : int or None
        At most, where it is slow; all draws for None.
    examples : bool
        False: the base as it is, without any example.
    """

    name: str
    title: str
    recipe: DetectRecipe
    base: Detector | None = None
    repeats: int | None = None
    examples: bool = True

    @property
    def frozen(self) -> bool:
        """Whether all stages are those of the base."""
        return self.recipe.teaching.all_frozen

    def taught(self, classes: Sequence[str], truth: Sequence[TrueBoxes]) -> tuple[tuple[str, ...], Sequence[TrueBoxes]]:
        """Return the classes that are taught, and the boxes labelled by them."""
        merge = self.recipe.box.merge
        names = tuple(dict.fromkeys(merge.get(name, name) for name in classes))
        if names == tuple(classes):
            return names, truth
        number = np.array([names.index(merge.get(name, name)) for name in classes], np.intp)
        return names, [TrueBoxes(each.boxes, number[each.labels], each.flags) for each in truth]


@dataclass(frozen=True, eq=False)
class Frozen:
    """All images behind the frozen stages of a base.

    Attributes
    ----------
    base : Detector
        Whose stages describe as the arm's recipe wants.
    fitted : list of Fitted
    described : list of DescribedImage
    lessons : dict of int to Lessons
        Of every image with a box.
    """

    base: Detector
    fitted: list[Fitted]
    described: list[DescribedImage]
    lessons: dict[int, Lessons]


class Shelf:
    """Images, and what frozen stages made of them, computed when first asked for and shared by arms that agree.

    Parameters
    ----------
    pixels : list of ndarray
    truth : sequence of TrueBoxes
    device : {"auto", "cpu", "cuda"}
    """

    def __init__(self, pixels: list[Pixels], truth: Sequence[TrueBoxes], device: Device = "auto") -> None:
        self.pixels = pixels
        self._truth, self._device = truth, device
        self._fitted: dict[str, list[Fitted]] = {}
        self._stages: dict[tuple[object, ...], tuple[Detector, list[DescribedImage]]] = {}
        self._lessons: dict[tuple[object, ...], dict[int, Lessons]] = {}

    def frozen(self, arm: Arm, classes: Sequence[str]) -> Frozen:
        """Return all images behind an arm's frozen stages.

        Raises
        ------
        InputError
            The arm has no base, its stages have another shape, or its recipe cuts images into tiles or looks twice.
        """
        recipe, base = arm.recipe, arm.base
        if base is None:
            raise InputError(f"arm {arm.name}: all stages are frozen, and there is no base", "give it one")
        if recipe.image.tile_px is not None:
            raise InputError(f"arm {arm.name}: the published images are looked at whole", "image.tile_px=null")
        if recipe.output.views > 1:  # what is kept of an image is one view
            raise InputError(f"arm {arm.name}: the published images are looked at once", "output.views=1")
        image = json.dumps(recipe.image.model_dump(mode="json"))
        if image not in self._fitted:
            self._fitted[image] = [fit(each, recipe.image) for each in self.pixels]
        fitted = self._fitted[image]
        # How many proposals there are, and what describes them, is settled by the stages' recipe.
        settled = json.dumps([recipe.proposals.model_dump(mode="json"), recipe.box.describe])
        key = (id(base.stages), image, settled)
        if key not in self._stages:
            ready = behind(base, recipe)
            runner = ready.runner(self._device)
            self._stages[key] = (ready, list(describe_images(runner, (each.pixels for each in fitted))))
        ready, described = self._stages[key]
        lessons = self._taught(arm, classes, ready, fitted, key) if arm.examples else {}
        own = behind_without(replace(ready, recipe=recipe, predictor=base.predictor, classes=base.classes,
                                     shots=base.shots), classes if arm.examples else ())  # fmt: skip
        return Frozen(own, fitted, described, lessons)

    def _taught(
        self, arm: Arm, classes: Sequence[str], ready: Detector, fitted: list[Fitted], key: tuple[object, ...]
    ) -> dict[int, Lessons]:
        section = arm.recipe.few_shot
        names, truth = arm.taught(classes, self._truth)
        wanted = (*key, section.views, section.jitter, names, len(classes))
        if wanted not in self._lessons:
            rows = [row for row, each in enumerate(truth) if len(each)]
            examples = [
                Example(fitted[row].pixels, TrueBoxes(fitted[row].to_input(truth[row].boxes), truth[row].labels,
                                                      truth[row].flags)) for row in rows
            ]  # fmt: skip
            made = lessons_of(ready.runner(self._device), examples, len(names), section, seed=arm.recipe.seed)
            self._lessons[wanted] = dict(zip(rows, made, strict=True))
        return self._lessons[wanted]


def behind_without(base: Detector, classes: Sequence[str]) -> Detector:
    """Return a base that has forgotten its examples of some classes, which a new predictor is about to learn."""
    if base.shots is None or not set(classes) & set(base.classes):
        return base
    kept = [k for k, name in enumerate(base.classes) if name not in classes]
    number = np.full(len(base.classes) + 1, -1, np.int64)
    number[kept] = np.arange(len(kept))
    number[len(base.classes)] = len(kept)  # background stays the last
    labels = torch.from_numpy(number)[base.shots.labels]
    rows = labels >= 0
    shots = Lessons(base.shots.described[rows], labels[rows], base.shots.offsets[rows])
    return replace(base, classes=tuple(base.classes[k] for k in kept), shots=shots)


def only_of(found: FoundBoxes, names: Sequence[str], classes: Sequence[str]) -> FoundBoxes:
    """Return the findings of *classes*, labelled by their place among these, of a detector that knows *names*."""
    if tuple(names) == tuple(classes):
        return found
    number = np.array([classes.index(name) if name in classes else -1 for name in names], np.intp)
    label = number[found.labels]
    kept = found.of(label >= 0)
    return FoundBoxes(kept.boxes, label[label >= 0], kept.scores)


def published_arms(
    recipe: DetectRecipe,
    base: Detector,
    classes: Sequence[str],
    *,
    others: Mapping[str, Detector] | None = None,
    gradients: DetectRecipe | None = None,
    gradient_repeats: int = 3,
) -> list[Arm]:
    """Return the ways of teaching that the published study leaves open or could not try.

    Parameters
    ----------
    recipe : DetectRecipe
        Few-shot, all stages frozen.
    base : Detector
    classes : sequence of str
    others : mapping of str to Detector, optional
        Further bases, by what they were taught on.
    gradients : DetectRecipe, optional
        Teaches proposals and boxes on the few images themselves, without a base.
    gradient_repeats : int
        As that is slow.

    Returns
    -------
    list of Arm
        The first is what the others are compared with.
    """
    recipe = fitting(recipe, base)
    alone = _changed(recipe, few_shot={"classes": "novel"})
    arms = [Arm(REFERENCE, f"{_of(base)}, then a new predictor for the classes in question", alone, base)]
    if base.shots is not None:
        described = {"describe": base.recipe.box.describe}
        both = _changed(recipe, few_shot={"classes": "all"}, box=described)
        arms.append(
            Arm(ALL_CLASSES, "the predictor also keeps the base's other classes (Wang et al. 2020)", both, base)
        )
    form = _changed(recipe, few_shot={"classes": "novel", "regressor": "random"},
                    box={"describe": "head", "regression": "per-class", "classifier": "cosine"})  # fmt: skip
    arms.append(
        Arm(PUBLISHED_FORM, "classifier and box regression from random numbers, hidden layers alone", form, base)
    )
    if len(classes) > 1:
        one = "/".join(classes)
        arms.append(
            Arm(AS_ONE, f"{one} taught as one class", _changed(alone, box={"merge": dict.fromkeys(classes, one)}), base)
        )
    if set(classes) <= set(base.classes):
        own = _changed(alone, box={"describe": base.recipe.box.describe})
        arms.append(Arm(NO_EXAMPLE, "the base's own predictor, which knows kinds of these names", own, base,
                        examples=False))  # fmt: skip
    for name, other in (others or {}).items():
        arms.append(Arm(f"base: {name}", f"{_of(other)} in its place", fitting(alone, other), other))
    if gradients is not None:
        arms.append(
            Arm(NO_BASE, "pretrained backbone alone; everything else learns from the few images", gradients,
                repeats=gradient_repeats)
        )  # fmt: skip
    return arms


def fitting(recipe: DetectRecipe, base: Detector) -> DetectRecipe:
    """Return a few-shot recipe with the fields that the stages of a base settle taken from it."""
    own = base.recipe
    image = recipe.image.model_copy(update={"colour": own.image.colour})
    box = recipe.box.model_copy(update={"pool": own.box.pool, "width": own.box.width})
    teaching = recipe.teaching.model_copy(update={"freeze": _STAGES_ALONE})
    return recipe.model_copy(update={"image": image, "box": box, "teaching": teaching, "backbone": own.backbone,
                                     "pyramid": own.pyramid, "anchors": own.anchors})  # fmt: skip


def _of(base: Detector) -> str:
    return f"base of {len(base.classes)} kinds"


def _changed(recipe: DetectRecipe, **sections: Mapping[str, object]) -> DetectRecipe:
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=dict(fields)) for name, fields in sections.items()}
    )

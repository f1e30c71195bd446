"""Fine-tuning of every kind of head: one network for most, one a stage where stages are trained apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from sorby.backbone.architecture import Backbone
from sorby.backbone.runtime import Device
from sorby.classify.finetune import Finetuned, OnEpoch, Part, finetune
from sorby.classify.heads import Head, HeadSpec, Targets
from sorby.classify.heads.readout import LinearReadout
from sorby.classify.network import ClassifierNetwork, embedding_width
from sorby.classify.recipe import Recipe
from sorby.errors import InputError


@dataclass(frozen=True, eq=False)
class FinetunedHead:
    """A trained network, or the networks of all stages as one.

    Attributes
    ----------
    network : ClassifierNetwork
    backbones : list of Backbone
    notes : dict
        ``history``, ``best_epoch``, ``resumed_from_epoch``, ``train_scores``, ``collapse``; by stage where
        there are several networks.
    """

    network: ClassifierNetwork
    backbones: list[Backbone]
    notes: dict[str, Any]


def finetune_head(
    recipe: Recipe,
    spec: HeadSpec,
    train: Part,
    validation: Part,
    state_folder: Path,
    *,
    device: Device = "auto",
    on_epoch: OnEpoch | None = None,
) -> FinetunedHead:
    """Train the whole network, or for a staged head one network a stage.

    Parameters
    ----------
    recipe, train, validation, state_folder, device
        As for `finetune`.
    spec : HeadSpec
    on_epoch : callable, optional
        As for `finetune`; stages trained apart do not report theirs.

    Raises
    ------
    InputError
        A stage has no image of one of its classes to learn from or to choose the epoch by.
    """
    if spec.kind != "staged":
        done = finetune(recipe, spec, train, validation, state_folder, device=device, on_epoch=on_epoch)
        return FinetunedHead(done.network, [done.backbone], _notes(done))
    return _staged(recipe, spec, train, validation, state_folder, device)


def _notes(done: Finetuned) -> dict[str, Any]:
    return {
        "history": done.history,
        "best_epoch": done.best_epoch,
        "resumed_from_epoch": done.resumed_from,
        "train_scores": done.train_scores,
        "collapse": None if done.collapse is None else {**done.collapse.as_dict(), "sentence": done.collapse.sentence},
    }


def _staged(
    recipe: Recipe, spec: HeadSpec, train: Part, validation: Part, state_folder: Path, device: Device
) -> FinetunedHead:
    """Train the subtype network on all images and a size network on those of each subtype, each by itself."""
    structure = spec.structure
    by_subtype = [_relabelled(part, structure.subtype_of) for part in (train, validation)]
    stages = [_Stage("subtype", recipe, structure.subtypes, *by_subtype)]
    chosen = recipe.backbone
    sized = chosen.model_copy(update={"name": chosen.size_name or chosen.name})
    of_sizes = recipe.model_copy(update={"backbone": sized})
    for s, name in enumerate(structure.subtypes):
        if len(structure.sizes[s]) > 1:
            own = [_only(part, structure.subtype_of == s) for part in (train, validation)]
            by_size = [_relabelled(part, structure.grade_of) for part in own]
            stages.append(_Stage(f"size of {name}", of_sizes, structure.sizes[s], *by_size))
    done = [stage.train(state_folder / f"stage-{k}", device) for k, stage in enumerate(stages)]
    notes = {
        "stages": {stage.name: _notes(each) for stage, each in zip(stages, done, strict=True)},
        "best_epoch": {stage.name: each.best_epoch for stage, each in zip(stages, done, strict=True)},
        "resumed_from_epoch": max(each.resumed_from for each in done),
    }
    return FinetunedHead(_joined(spec, done), [each.backbone for each in done], notes)


@dataclass(frozen=True, eq=False)
class _Stage:
    """One network of several: what it is called, and what it is taught."""

    name: str
    recipe: Recipe
    classes: tuple[str, ...]
    taught: Part
    validation: Part

    def train(self, folder: Path, device: Device) -> Finetuned:
        """Fine-tune the stage's own network."""
        unchosen = self.recipe.finetune.keep == "best" and not len(self.validation.labels)
        if len(np.unique(self.taught.labels)) < len(self.classes) or unchosen:
            raise InputError(
                f"stage {self.name!r}: its training or validation images lack a class",
                "add images, or head.kind=multitask",
            )
        spec = HeadSpec(classes=self.classes, inputs=1)
        return finetune(self.recipe, spec, self.taught, self.validation, folder, device=device)


def _only(part: Part, classes: np.ndarray[Any, np.dtype[np.bool_]]) -> Part:
    """Return the images of some classes."""
    chosen = classes[part.labels]
    return Part(part.pixels, part.rows[chosen], part.targets.take(chosen))


def _relabelled(part: Part, codes: np.ndarray[Any, np.dtype[np.intp]]) -> Part:
    """Return the same images with the classes of one stage."""
    return Part(part.pixels, part.rows, Targets.plain(codes[part.labels]))


@torch.no_grad()
def _joined(spec: HeadSpec, done: list[Finetuned]) -> ClassifierNetwork:
    """Return all stages' networks side by side under one head, whose readout is theirs, block by block."""
    widths = [embedding_width(each.backbone.module) for each in done]
    head = Head(spec.model_copy(update={"inputs": sum(widths)}))
    structure = spec.structure
    begins, row = [0], len(structure.subtypes)
    for sizes in structure.sizes:
        if len(sizes) > 1:
            begins.append(row)
        row += len(sizes)
    target, column = cast(LinearReadout, head.readout).linear, 0
    for each, begin, width in zip(done, begins, widths, strict=True):
        own = cast(LinearReadout, each.network.head.readout).linear
        target.weight[begin : begin + len(own.bias), column : column + width] = own.weight
        target.bias[begin : begin + len(own.bias)] = own.bias
        column += width
    return ClassifierNetwork([each.backbone for each in done], head).eval()

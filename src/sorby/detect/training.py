"""Teaching by gradients: one loop; killed at any moment and started again it ends with the same network."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from sorby.backbone import runtime
from sorby.backbone.checkpoint import load_checkpoint, save_checkpoint
from sorby.detect.losses import sampled, second_stage_losses
from sorby.detect.network import DetectorNetwork, Levels
from sorby.detect.openvino_stages import FrozenMaps
from sorby.detect.pictures import Example, changed, stacked
from sorby.detect.recipe import DetectRecipe
from sorby.errors import InputError
from sorby.progress import bar

# It tells of its precision at every start, which the run's notes hold already.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

_CHECKPOINT_EVERY = 200  # steps
_HISTORY_EVERY = 25
_LARGEST_GRADIENT = 10.0


@dataclass(frozen=True, eq=False)
class Taught:
    """A network after its teaching.

    Attributes
    ----------
    network : DetectorNetwork
    history : list of dict
        ``step``, ``learning_rate`` and the losses ``objectness``, ``proposal``, ``class``, ``box``, ``total``, means
        over 25 steps.
    first_step : int
        0, or where it was resumed.
    """

    network: DetectorNetwork
    history: list[dict[str, float]]
    first_step: int


class _Losses(nn.Module):
    """The network as something that turns a batch into losses, which is what Fabric wraps."""

    def __init__(self, network: DetectorNetwork, frozen: frozenset[str]) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen

    def forward(
        self,
        images: torch.Tensor,
        targets: list[dict[str, torch.Tensor]],
        generator: torch.Generator,
        maps: list[torch.Tensor] | None = None,
    ) -> dict[str, torch.Tensor]:
        stages, size = self.network.stages, (int(images.shape[1]), int(images.shape[2]))
        if maps is None:
            with torch.set_grad_enabled("backbone" not in self.frozen):
                maps = stages.maps(images)
        with torch.set_grad_enabled("pyramid" not in self.frozen):
            levels = Levels((key, each.float()) for key, each in stages.levels(maps).items())
        with torch.set_grad_enabled("rpn" not in self.frozen):
            proposals, first = stages.propose(levels, size, targets)
        n_classes = self.network.predictor.n_classes
        chosen = sampled(proposals, targets, n_classes, generator)
        with torch.set_grad_enabled("box_head" not in self.frozen):
            described = stages.describe(maps, levels, chosen.boxes, size)
        second = second_stage_losses(self.network.predictor, described, chosen.labels, chosen.offsets)
        losses = {"objectness": first["loss_objectness"], "proposal": first["loss_rpn_box_reg"], **second}
        if "rpn" in self.frozen:
            losses = second | {name: losses[name].detach() for name in ("objectness", "proposal")}
        return losses


def set_frozen(network: DetectorNetwork, frozen: Sequence[str]) -> None:
    """Switch off the gradients of frozen stages and on those of all others."""
    stages = network.stages
    parts = {"backbone": stages.body, "pyramid": stages.pyramid, "rpn": stages.rpn, "box_head": stages.box_head}
    for name, part in parts.items():
        part.requires_grad_(name not in frozen)
    network.predictor.requires_grad_(True)


def train(
    network: DetectorNetwork,
    recipe: DetectRecipe,
    examples: Sequence[Example],
    state_folder: Path | None,
    *,
    seed: int | None = None,
    device: runtime.Device = "auto",
) -> Taught:
    """Teach whatever the recipe does not freeze.

    Parameters
    ----------
    network : DetectorNetwork
        Taught in place.
    recipe : DetectRecipe
    examples : sequence of Example
        Images without boxes teach what is no defect.
    state_folder : Path, optional
        Holds ``checkpoint.safetensors``; without it nothing can be resumed.
    seed : int, optional
        The recipe's by default.
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        No example has a box, the folder holds another training, or the loss is no longer a number.
    """
    section = recipe.teaching
    seed = recipe.seed if seed is None else seed
    if not any(len(each.truth) for each in examples):
        raise InputError("no image has a box to learn from", "label some defects; images without any come on top")
    target = runtime.resolve_device(device)
    native = runtime.cpu_has_bf16() if target == "cpu" else torch.cuda.is_bf16_supported()
    bf16 = section.precision == "bf16" or (section.precision == "auto" and native)
    fabric = Fabric(accelerator=target, devices=1, precision="bf16-mixed" if bf16 else "32-true")
    set_frozen(network, section.freeze)
    network.to(memory_format=torch.channels_last)
    weights = [each for each in network.parameters() if each.requires_grad]
    optimiser = _optimiser(weights, recipe)
    losses, optimiser = fabric.setup(_Losses(network, frozenset(section.freeze)), optimiser)
    identity = _identity(recipe, examples, seed)
    path = None if state_folder is None else state_folder / "checkpoint.safetensors"
    first, history = _resume(path, identity, network, optimiser)
    network.train()
    _still(network.stages.body)  # few images make poor batch statistics
    frozen_maps = None
    if target == "cpu" and "backbone" in section.freeze:
        frozen_maps = FrozenMaps(network.stages, "bf16" if bf16 else "fp32")
    sums: dict[str, float] = {}
    order = _Order(len(examples), seed)
    with bar("teaching", section.steps) as advance:
        advance(first)
        for step in range(first, section.steps):
            for group in optimiser.param_groups:
                group["lr"] = section.learning_rate * rate_factor(recipe, step)
            rng = np.random.default_rng([seed, step])
            batch = [changed(examples[k], section, rng) for k in order.rows(step, section.batch)]
            torch.manual_seed(seed * 1_000_003 + step)  # the proposal network samples its anchors
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            images = torch.from_numpy(stacked(batch))
            maps = None if frozen_maps is None else frozen_maps(images)
            found = losses(fabric.to_device(images), _targets(batch, fabric), generator, maps)
            total = torch.stack(list(found.values())).sum()
            if not math.isfinite(float(total.detach())):
                raise InputError(
                    f"step {step + 1}: the loss is no longer a number",
                    "a lower rate, e.g. --set teaching.learning_rate=1e-4, or --set teaching.precision=fp32",
                )
            fabric.backward(total)
            torch.nn.utils.clip_grad_norm_(weights, _LARGEST_GRADIENT)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            for name, value in {**found, "total": total}.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            done = step + 1
            if done % _HISTORY_EVERY == 0 or done == section.steps:
                count = (done - 1) % _HISTORY_EVERY + 1
                rate = float(optimiser.param_groups[0]["lr"])
                means = {name: value / count for name, value in sums.items()}
                history.append({"step": float(done), "learning_rate": rate, **means})
                sums = {}
            if path is not None and (done % _CHECKPOINT_EVERY == 0 or done == section.steps):
                state = network.state_dict()
                save_checkpoint(path, state, state, optimiser, {"identity": identity, "step": done, "history": history})
            advance(1)
    return Taught(network.eval(), history, first)


def rate_factor(recipe: DetectRecipe, step: int) -> float:
    """Return the share of the full learning rate at a step: warm-up, then steps down by ten or a cosine."""
    section = recipe.teaching
    if step < section.warmup:
        return (step + 1) / (section.warmup + 1)
    if section.milestones:
        return float(0.1 ** sum(step >= share * section.steps for share in section.milestones))
    return 0.5 * (1 + math.cos(math.pi * step / section.steps))


class _Order:
    """Which examples a step looks at: every one once before any is looked at again."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._epochs: dict[int, list[int]] = {}

    def rows(self, step: int, batch: int) -> list[int]:
        return [self._row(k) for k in range(step * batch, (step + 1) * batch)]

    def _row(self, place: int) -> int:
        epoch, k = divmod(place, self._count)
        if epoch not in self._epochs:
            self._epochs = {
                epoch: [int(i) for i in np.random.default_rng([self._seed, 7, epoch]).permutation(self._count)]
            }
        return self._epochs[epoch][k]


def _optimiser(weights: list[nn.Parameter], recipe: DetectRecipe) -> torch.optim.Optimizer:
    section = recipe.teaching
    if section.optimiser == "sgd":
        return torch.optim.SGD(
            weights, section.learning_rate, momentum=section.momentum, weight_decay=section.weight_decay
        )
    return torch.optim.AdamW(weights, section.learning_rate, weight_decay=section.weight_decay)


def _targets(batch: Sequence[Example], fabric: Fabric) -> list[dict[str, torch.Tensor]]:
    return [
        fabric.to_device({
            "boxes": torch.from_numpy(each.truth.boxes),
            "labels": torch.from_numpy(each.truth.labels.astype(np.int64)),
            "ignored": torch.from_numpy(each.truth.flags),
        })
        for each in batch
    ]  # fmt: skip


def _still(module: nn.Module) -> None:
    """Keep batch normalisation at the statistics it came with."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def _identity(recipe: DetectRecipe, examples: Sequence[Example], seed: int) -> str:
    digest = hashlib.sha256(f"{recipe.model_dump_json()}|{seed}".encode())
    for each in examples:
        digest.update(hashlib.sha256(each.pixels.tobytes()).digest())
        digest.update(each.truth.boxes.tobytes() + each.truth.labels.astype(np.int64).tobytes())
        digest.update(each.truth.flags.tobytes())
    return digest.hexdigest()


def _resume(
    path: Path | None, identity: str, network: DetectorNetwork, optimiser: Any
) -> tuple[int, list[dict[str, float]]]:
    if path is None or not path.is_file():
        return 0, []
    model, _, state, notes = load_checkpoint(path)
    if notes.get("identity") != identity:
        raise InputError(
            f"{path.parent}: holds a training of other data or another recipe", "choose another --out or delete it"
        )
    network.load_state_dict(model)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(notes["step"]), list(notes["history"])

"""Fine-tuning: the loop on one screen; killed at any moment and started again it ends with the same network."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from sorby.backbone import architecture, runtime
from sorby.backbone.checkpoint import load_checkpoint, save_checkpoint
from sorby.backbone.memory import require_memory
from sorby.backbone.surface_networks import SURFACE_NETWORKS, weight_count
from sorby.classify import augmentation
from sorby.classify.collapse import Collapse, watch
from sorby.classify.cross_stitch import cross_stitched
from sorby.classify.heads import Head, HeadSpec, Targets
from sorby.classify.losses import HeadLoss
from sorby.classify.mixing import mix
from sorby.classify.network import ClassifierNetwork, embedding_width, parameter_groups
from sorby.classify.optimisers import make_optimiser, numbers_per_weight
from sorby.classify.recipe import Recipe
from sorby.classify.sampling import epoch_order
from sorby.classify.schedule import rate_factor
from sorby.errors import InputError
from sorby.evidence import confusion_matrix, from_confusion
from sorby.progress import bar

# It tells of its precision at every start, which the run's notes hold already.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.intp]
OnEpoch = Callable[[dict[str, float]], None]
"""Called with the history's newest entry after each epoch; an exception it raises ends the training there."""


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a split.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (N, H, W, C)
        Prepared images of the whole corpus; may be memory-mapped.
    rows : ndarray of int, shape (n,)
        Which of them belong to the part.
    targets : Targets
        Their classes, and lengths and criteria where known.
    """

    pixels: Pixels
    rows: Labels
    targets: Targets

    @property
    def labels(self) -> Labels:
        """Classes, shape (n,)."""
        return self.targets.labels


@dataclass(frozen=True, eq=False)
class Finetuned:
    """A trained network at the epoch that was kept.

    Attributes
    ----------
    network : ClassifierNetwork
    backbone : Backbone
        What it started from; its module is the network's, trained.
    history : list of dict
        ``epoch``, ``learning_rate`` (of its last step), ``train_loss`` (of augmented, sampled batches), ``val_loss``,
        ``val_accuracy``, ``val_macro_f1`` for each epoch, the last three where there are validation images; also
        ``train_accuracy`` and ``train_macro_f1`` of the training images as they are, where the recipe asks for them
        every epoch.
    best_epoch : int
        Whose weights these are: the best on the validation part, or the last one where the recipe keeps that.
    resumed_from : int
        First epoch that this process ran.
    train_scores : dict of str to float
        ``accuracy``, ``macro_f1`` and ``loss`` of the network that is kept on the training images as they are, each
        once: what may be compared with the validation part.
    collapse : Collapse or None
        A lasting fall of the accuracy that was watched; None where there was none, or nothing to watch.
    """

    network: ClassifierNetwork
    backbone: architecture.Backbone
    history: list[dict[str, float]]
    best_epoch: int
    resumed_from: int
    train_scores: dict[str, float]
    collapse: Collapse | None = None


def fingerprint(recipe: Recipe, spec: HeadSpec, train: Part, validation: Part) -> str:
    """Identify a training, so that a checkpoint of another one is never resumed."""
    digest = hashlib.sha256((recipe.model_dump_json() + spec.model_dump_json()).encode())
    for part in (train, validation):
        targets = part.targets
        for values in (targets.labels, targets.log_lengths, targets.criterion, part.rows):
            digest.update(np.ascontiguousarray(values).tobytes())
        for row in part.rows:
            digest.update(np.ascontiguousarray(part.pixels[row]).tobytes())
    return digest.hexdigest()


def _seed(*numbers: int) -> None:
    """Seed torch from several numbers; all randomness of a step follows from (seed, epoch, position)."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def _batch(
    part: Part, members: Labels, augment: augmentation.Augmentation | None, seed: int, epoch: int, first: int
) -> torch.Tensor:
    """Return uint8 pixels (n, H, W, C) of some members of a part.

    Each is augmented from the seed of its position in the epoch (the batch's begins at *first*), so that an image
    which an epoch visits twice is changed in two ways.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(part.pixels[part.rows[members]]))
    if augment is None:
        return pixels
    changed = []
    for position, image in enumerate(pixels, first):
        _seed(seed, epoch, position)
        changed.append(augment(image.permute(2, 0, 1)).permute(1, 2, 0))
    return torch.stack(changed)


def _fresh_head(spec: HeadSpec, backbone: architecture.Backbone, seed: int) -> Head:
    """Return a head for a backbone with seeded weights."""
    head = Head(spec.model_copy(update={"inputs": embedding_width(backbone.module)}), seed)
    generator = torch.Generator().manual_seed(seed)
    for weight in head.readout.weights():  # zeros would keep the backbone from learning in the first step
        torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5, generator=generator)
    return head


class _Training:
    """The moving parts of one training."""

    def __init__(self, recipe: Recipe, spec: HeadSpec, train: Part, device: runtime.Device) -> None:
        section = recipe.finetune
        self.recipe, self.section, self.train = recipe, section, train
        target = runtime.resolve_device(device)
        height, width = train.pixels.shape[1:3]
        _require_memory(recipe, (height, width), target)
        native = runtime.cpu_has_bf16() if target == "cpu" else torch.cuda.is_bf16_supported()
        bf16 = section.precision == "bf16" or (section.precision == "auto" and native)
        self.fabric = Fabric(accelerator=target, devices=1, precision="bf16-mixed" if bf16 else "32-true")
        backbone = architecture.load(
            recipe.backbone.name,
            pretrained=recipe.backbone.pretrained,
            seed=recipe.seed,
            size=(height, width),
            **_options(recipe),
        )
        if spec.sharing == "towers":
            backbone = cross_stitched(backbone)
        self.backbone = backbone
        head = _fresh_head(spec, backbone, recipe.seed)
        if spec.lengths:
            head.set_length_scale(train.targets.log_lengths)
        network = ClassifierNetwork([backbone], head).to(memory_format=torch.channels_last)
        optimiser = make_optimiser(section, parameter_groups(network, section))
        self.plain_network, self.plain_optimiser = network, optimiser
        self.network, self.optimiser = self.fabric.setup(network, optimiser)
        n_classes, weight = len(spec.classes), recipe.head.length_weight
        self.loss = HeadLoss(recipe.balance, train.labels, n_classes, weight, section.label_smoothing)
        self.fabric.to_device(self.loss)  # a module moves in place
        self.augment = augmentation.make(recipe.augment, section.randaugment_ops, section.randaugment_magnitude)

    @property
    def rate(self) -> float:
        """Learning rate of the head in the last step."""
        return float(self.plain_optimiser.param_groups[-1]["lr"])

    def run_epoch(self, epoch: int) -> float:
        """Train one epoch and return its mean loss (on augmented, sampled batches)."""
        recipe, section = self.recipe, self.section
        self.network.train()
        order = epoch_order(self.train.labels, recipe.balance.sampling, recipe.seed, epoch)
        micro = [order[k : k + section.batch_size] for k in range(0, len(order), section.batch_size)]
        if len(micro) > 1 and len(micro[-1]) == 1:  # a batch of one has no variance for batch norm
            micro[-2:] = [np.concatenate(micro[-2:])]
        steps_per_epoch = -(-len(micro) // section.accumulate)
        by_step = section.schedule_unit == "step"
        total = 0.0
        with bar(f"epoch {epoch + 1}/{section.epochs}", len(micro)) as advance:
            for k, rows in enumerate(micro):
                images = self.fabric.to_device(
                    _batch(self.train, rows, self.augment, recipe.seed, epoch, k * section.batch_size)
                )
                targets = self.train.targets.take(rows).tensors(self.fabric.device)
                last = (k + 1) % section.accumulate == 0 or k + 1 == len(micro)
                _seed(recipe.seed, epoch, len(order) + k)
                mixed = mix(images, section, np.random.default_rng([recipe.seed, epoch, k]))
                with self.fabric.no_backward_sync(self.network, enabled=not last):
                    _, embedding = self.network(images if mixed is None else mixed.images)
                    if mixed is None:
                        loss = self.loss(self.plain_network.head, embedding.float(), targets)
                    else:
                        others = self.train.targets.take(rows[mixed.partner.cpu().numpy()]).tensors(self.fabric.device)
                        loss = self.loss.mixed(self.plain_network.head, embedding.float(), targets, others, mixed.share)
                    self.fabric.backward(loss / section.accumulate)
                total += float(loss.detach()) * len(rows)
                if last:
                    if by_step:
                        factor = rate_factor(
                            section, epoch * steps_per_epoch + k // section.accumulate, steps_per_epoch
                        )
                    else:
                        factor = rate_factor(section, epoch * len(micro) + k, len(micro))
                    for group in self.optimiser.param_groups:
                        group["lr"] = section.learning_rate * group["lr_scale"] * factor
                    self.optimiser.step()
                    self.optimiser.zero_grad(set_to_none=True)
                advance(1)
        return total / len(order)

    @torch.inference_mode()
    def logits(self, part: Part) -> torch.Tensor:
        """Return the logits of a part without augmentation."""
        self.network.eval()
        size = 2 * self.section.batch_size
        found = []
        for members in np.split(np.arange(len(part.labels)), range(size, len(part.labels), size)):
            images = self.fabric.to_device(_batch(part, members, None, 0, 0, 0))
            found.append(self.network(images)[0])
        return torch.cat(found).float().cpu()

    def resume(self, path: Path, identity: str) -> tuple[int, dict[str, Any], dict[str, torch.Tensor]]:
        """Continue from a checkpoint where there is one; return (next epoch, notes, best state)."""
        if not path.is_file():
            return 0, {"history": [], "best_epoch": -1}, {}
        model, best, state, notes = load_checkpoint(path)
        if notes["fingerprint"] != identity:
            raise InputError(
                f"{path.parent}: holds a training of other data or another recipe", "choose another --out or delete it"
            )
        self.plain_network.load_state_dict(model)
        groups = self.plain_optimiser.state_dict()["param_groups"]
        self.plain_optimiser.load_state_dict({"state": state, "param_groups": groups})
        return int(notes["epoch"]) + 1, notes, best


def finetune(
    recipe: Recipe,
    spec: HeadSpec,
    train: Part,
    validation: Part,
    state_folder: Path,
    *,
    device: runtime.Device = "auto",
    on_epoch: OnEpoch | None = None,
) -> Finetuned:
    """Train the whole network and return it at its best validation macro-F1, or as it is in the end.

    Parameters
    ----------
    recipe : Recipe
    spec : HeadSpec
        What reads the network; ``inputs`` is set to the length of its embedding.
    train, validation : Part
        Disjoint specimens; the validation part chooses the epoch and nothing else. It may be empty where the recipe
        keeps the last epoch.
    state_folder : Path
        Holds ``checkpoint.safetensors`` after every epoch.
    device : {"auto", "cpu", "cuda"}
    on_epoch : callable, optional
        Told of every epoch in order, of those that lie in the checkpoint first.

    Raises
    ------
    InputError
        The folder holds the checkpoint of another training, the training diverges, the network knows no patches
        to drop, or it does not fit into memory.
    """
    identity = fingerprint(recipe, spec, train, validation)
    training = _Training(recipe, spec, train, device)
    path = state_folder / "checkpoint.safetensors"
    first, notes, best = training.resume(path, identity)
    history: list[dict[str, float]] = notes["history"]
    best_epoch = int(notes["best_epoch"])
    tell = on_epoch or (lambda entry: None)
    for entry in history:
        tell(entry)
    watched = {"val_accuracy": len(validation.labels), "train_accuracy": len(train.labels)}
    for epoch in range(first, recipe.finetune.epochs):
        if recipe.finetune.on_collapse == "stop" and watch(history, watched, recipe.finetune.epochs):
            break
        if recipe.finetune.patience and epoch - 1 - best_epoch >= recipe.finetune.patience:
            break
        train_loss = training.run_epoch(epoch)
        if not math.isfinite(train_loss):
            raise InputError(
                f"epoch {epoch + 1}: the training loss is no longer a number",
                "a lower rate, e.g. --set finetune.learning_rate=1e-4, or --set finetune.precision=fp32",
            )
        scores = _validate(training, validation, len(spec.classes)) if len(validation.labels) else {}
        entry = {"epoch": epoch, "learning_rate": training.rate, "train_loss": train_loss, **scores}
        if recipe.finetune.train_metrics == "every":
            of_train = _scores(training, train, len(spec.classes))
            entry |= {f"train_{name}": of_train[name] for name in ("accuracy", "macro_f1")}
        history.append(entry)
        now = {key: value.detach().clone() for key, value in training.plain_network.state_dict().items()}
        last = recipe.finetune.keep == "last"
        if last or best_epoch < 0 or scores["val_macro_f1"] > history[best_epoch]["val_macro_f1"]:
            best_epoch, best = epoch, now
        notes = {"fingerprint": identity, "epoch": epoch, "best_epoch": best_epoch, "history": history}
        save_checkpoint(path, now, best, training.plain_optimiser, notes)
        tell(entry)
    training.plain_network.load_state_dict(best)
    train_scores = _scores(training, train, len(spec.classes))
    network = training.plain_network.eval()
    collapse = watch(history, watched, recipe.finetune.epochs)
    return Finetuned(network, training.backbone, history, best_epoch, first, train_scores, collapse)


def _require_memory(recipe: Recipe, size: tuple[int, int], target: str) -> None:
    """Refuse to train a surface network that memory cannot hold with gradients and the optimiser's state."""
    name, section = recipe.backbone.name, recipe.finetune
    if name not in SURFACE_NETWORKS:
        return
    on_gpu, held = target == "cuda", f"weights, gradients, the state of {section.optimiser}, checkpoints"
    count = weight_count(name, size)
    if on_gpu:
        require_memory(name, count, numbers_per_weight(section, host=False, on_gpu=True), held, "cuda")
    require_memory(name, count, numbers_per_weight(section, host=True, on_gpu=on_gpu), held)


def _options(recipe: Recipe) -> dict[str, object]:
    """Return what the network is built with.

    Raises
    ------
    InputError
        Patches are to be dropped by a network that has none.
    """
    section = recipe.finetune
    options: dict[str, object] = {"drop_path_rate": section.drop_path} if section.drop_path else {}
    if section.patch_drop:
        if not architecture.drops_patches(recipe.backbone.name):
            raise InputError(
                f"{recipe.backbone.name} knows no finetune.patch_drop",
                "--set finetune.patch_drop=0, or take a vision transformer (vit_...)",
            )
        options["patch_drop_rate"] = section.patch_drop
    return options


def _validate(training: _Training, part: Part, n_classes: int) -> dict[str, float]:
    return {f"val_{name}": value for name, value in _scores(training, part, n_classes).items()}


def _scores(training: _Training, part: Part, n_classes: int) -> dict[str, float]:
    """Return cross-entropy, accuracy and macro-F1 of a part as it is, each image once, in evaluation mode."""
    logits = training.logits(part)
    labels = torch.from_numpy(part.labels.astype(np.int64))
    scores = from_confusion(confusion_matrix(part.labels, logits.argmax(1).numpy(), n_classes))
    return {
        "loss": float(torch.nn.functional.cross_entropy(logits, labels)),
        "accuracy": float(scores.accuracy),
        "macro_f1": float(scores.macro_f1),
    }

"""A small vision transformer in training, also as a process of its own: ``python interrupted_vit.py STATE EPOCH``.

The process kills itself by SIGKILL as soon as that epoch's checkpoint lies on the disk.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from sorby.classify import finetune
from sorby.classify.heads import HeadSpec, Targets
from sorby.classify.recipe import Recipe, load
from textures import textures

EPOCHS = 2
SPEC = HeadSpec(classes=("blobs", "stripes"), inputs=1)


def recipe(**changes: object) -> Recipe:
    """Everything of the fracture training that draws random numbers is switched on, on the smallest ViT of timm."""
    return load(
        None,
        {
            "regime": "finetune",
            "backbone.name": "vit_tiny_patch16_224",
            "backbone.pretrained": False,
            "augment": "fracture",
            "balance.sampling": "weighted",
            "finetune.epochs": EPOCHS,
            "finetune.batch_size": 5,
            "finetune.accumulate": 2,
            "finetune.learning_rate": 0.001,
            "finetune.schedule_unit": "micro-batch",
            "finetune.warmup_steps": 2,
            "finetune.drop_path": 0.1,
            "finetune.patch_drop": 0.111,
            "finetune.mixup": 0.8,
            "finetune.cutmix": 1.0,
            "finetune.train_metrics": "every",
            "finetune.precision": "fp32",
            **changes,
        },
    )


def parts() -> tuple[finetune.Part, finetune.Part]:
    """Return 16 training images, which leave a short last batch, and 8 for validation."""
    pixels, labels = textures(["blobs", "stripes"], 12, seed=2, size=64)
    rows = torch.randperm(24, generator=torch.Generator().manual_seed(0)).numpy()
    return (
        finetune.Part(pixels, rows[:16], Targets.plain(labels[rows[:16]])),
        finetune.Part(pixels, rows[16:], Targets.plain(labels[rows[16:]])),
    )


def main(state: Path, last_epoch: int) -> None:
    """Train and die after *last_epoch*."""
    torch.set_num_threads(1)
    plain = finetune.save_checkpoint

    def save_and_die(path: Path, model: object, best: object, optimiser: object, notes: dict[str, int]) -> None:
        plain(path, model, best, optimiser, notes)  # type: ignore[arg-type]
        if notes["epoch"] == last_epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    finetune.save_checkpoint = save_and_die  # type: ignore[assignment]
    train, validation = parts()
    finetune.finetune(recipe(), SPEC, train, validation, state, device="cpu")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

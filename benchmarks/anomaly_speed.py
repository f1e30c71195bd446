"""Tiles per second of PaDiM beside anomalib's, and whether fitting memory grows with the number of images.

Same network, stages, tile of 224 px, 100 random features and grid of stride 4 on both sides; three channels, pixels
already in memory. sorby's figure runs from uint8 tiles to smoothed maps and scores, streamed as `anomaly score` does.
The peer's figures are of its deployed form (OpenVINO, one image a call), of its torch module at one image a call and at
32; the better torch figure counts. All take turns in rounds in one run, and medians count.
Weights are random for networks whose weights are not at hand: speed does not depend on them.

Peak memory is that of a fresh process that fits on 500 and on 5,000 files (hard links to the same images).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import finish, hermetic
from inspect_speed import linked, own_peak_mb
from peer import peer_command
from sorby.anomaly import recipe as recipes
from sorby.anomaly.detector import Detector
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.backbone.pipeline import stream
from sorby.errors import SorbyError

SIDE, FEATURES, ROUNDS, GOOD = 224, 100, 5, 24


@dataclass(frozen=True)
class Case:
    """One network on both sides.

    Attributes
    ----------
    ours : dict
        Recipe settings.
    layers : tuple of str
        The peer's names of the same maps.
    counts : dict of str to int
        Tiles a round for each form.
    """

    ours: dict[str, Any]
    layers: tuple[str, ...]
    counts: dict[str, int]


CASES = {
    "efficientnet_lite0": Case(
        {"backbone.stages": [1, 2, 3]},
        ("blocks.1", "blocks.2", "blocks.4"),
        {"ours": 512, "openvino": 64, "torch": 8, "batch": 32},
    ),
    "efficientnet_b4": Case(
        {"backbone.stages": [1, 2, 3], "backbone.weights": "random"},
        ("blocks.1", "blocks.2", "blocks.4"),
        {"ours": 128, "openvino": 32, "torch": 8, "batch": 32},
    ),
}


def tile_files(folder: Path, count: int) -> list[Path]:
    """Write tiles of noise of several scales; their content does not change the speed."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = []
    for k in range(count):
        coarse = rng.integers(60, 200, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE)), np.int16)
        pixels = pixels + rng.integers(-20, 20, pixels.shape)
        files.append(folder / f"{k:03d}.png")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(files[-1])
    return files


def speed_recipe(kind: str, network: str) -> AnomalyRecipe:
    """Return the recipe that is timed."""
    fixed = {
        "image.height": SIDE, "image.width": SIDE, "image.colour": "rgb", "backbone.name": network,
        "features.kind": "random", "features.count": FEATURES, "grid.stride": 4, "density.kind": kind,
    }  # fmt: skip
    return recipes.load(None, {**fixed, **CASES[network].ours})


class Ours:
    """A fitted detector and tiles in memory."""

    def __init__(self, kind: str, network: str, files: list[Path]) -> None:
        self.detector = Detector.blank(speed_recipe(kind, network))
        self.detector.fit(files)
        self.runtime = self.detector.runtime()
        image = self.detector.recipe.image
        self.tiles = [image.read(file) for file in files]
        self.seconds(2 * self.runtime.batch_size * self.runtime.slots)

    def seconds(self, count: int) -> float:
        """Return how long *count* tiles take, from pixels to scores."""
        tiles = (self.tiles[k % len(self.tiles)] for k in range(count))
        began = time.perf_counter()
        done = 0
        for _, found in stream(tiles, lambda tile: tile, self.runtime):
            if isinstance(found, SorbyError):
                raise found
            self.detector.finished(found[0][None]).max()
            done += 1
        assert done == count
        return time.perf_counter() - began


class Peer:
    """The peer's process, which waits to be told what to time."""

    def __init__(self, network: str, scratch: Path) -> None:
        layers = CASES[network].layers
        command = peer_command("speed", "--backbone", network, "--features", str(FEATURES), "--layers", *layers)
        # It keeps a cache of compiled models where it stands.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=scratch)
        self.facts = self._answer()
        for form in ("openvino", "torch", "batch"):
            self.seconds(form, 32)

    def seconds(self, form: str, count: int) -> float:
        """Return how long *count* tiles take in one form."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{form} {count}\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def _answer(self) -> dict[str, Any]:
        """Return the next line of JSON; its libraries print other lines too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        sys.exit("error: the peer ended\nhint: its own message stands above")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def race(network: str, files: list[Path], scratch: Path, rounds: int) -> dict[str, Any]:
    """Time all forms of one network in turn."""
    counts = CASES[network].counts
    peer = Peer(network, scratch)
    ours = {kind: Ours(kind, network, files) for kind in ("position", "pooled")}
    runners: dict[str, tuple[Callable[[int], float], int]] = {
        kind: (each.seconds, counts["ours"]) for kind, each in ours.items()
    }
    for form in ("openvino", "torch", "batch"):
        runners[f"peer_{form}"] = (lambda count, form=form: peer.seconds(form, count), counts[form])
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, (seconds, count) in runners.items():
            rates[name].append(count / seconds(count))
    peer.close()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    torch_best = max(medians["peer_torch"], medians["peer_batch"])
    return {
        "tiles_per_s": medians,
        "all_rounds": rates,
        "ratio": {
            kind: {"to_torch": medians[kind] / torch_best, "to_openvino": medians[kind] / medians["peer_openvino"]}
            for kind in ours
        },
        "mpix_per_s": {kind: medians[kind] * SIDE**2 / 1e6 for kind in ours},
        "precision": ours["pooled"].runtime.precision,
        "peer": peer.facts,
    }


def fit_peak_mb(kind: str, folder: Path) -> float:
    """Return the peak memory of a fresh process that fits on a folder."""
    done = subprocess.run(
        [sys.executable, __file__, "--fit", kind, str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(json.loads(done.stdout.strip().splitlines()[-1])["peak_mb"])


def memory(files: list[Path], scratch: Path) -> dict[str, Any]:
    """Return peak memory of fitting on few and on many images."""
    few, many = linked(files, 500, scratch / "few"), linked(files, 5_000, scratch / "many")
    found = {}
    for kind in ("position", "pooled", "nearest"):
        small, large = fit_peak_mb(kind, few), fit_peak_mb(kind, many)
        found[kind] = {"500": small, "5000": large, "growth": large / small}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="anomaly speed beside anomalib, and fitting memory")
    parser.add_argument("--fit", nargs=2, metavar=("KIND", "FOLDER"))
    parser.add_argument("--networks", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-memory", action="store_true")
    arguments = parser.parse_args()
    if arguments.fit:
        kind, folder = arguments.fit
        detector = Detector.blank(speed_recipe(kind, "efficientnet_lite0"))
        detector.fit(sorted(Path(folder).glob("*.png")))
        print(json.dumps({"peak_mb": own_peak_mb()}))
        return
    peer_command()
    scratch = hermetic()
    files = tile_files(scratch / "tiles", GOOD)
    result: dict[str, Any] = {name: race(name, files, scratch, arguments.rounds) for name in arguments.networks}
    if not arguments.no_memory:
        result["fit_peak_mb"] = memory(files, scratch)
    finish(
        "anomaly_speed",
        {
            "tile": f"{SIDE} px, {FEATURES} random features, stride-4 grid, {arguments.rounds} rounds in turn",
            **result,
            "targets": {"to_torch": 15, "to_openvino": 6, "memory": "flat"},
        },
    )


if __name__ == "__main__":
    main()

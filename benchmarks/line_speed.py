"""Strips of a web to a list of defects: Mpx/s end to end of each form of the web detector, and what each form costs.

A full-width web (6,250 px of 34 um) is rendered once and repeated; what is timed is everything from uint8 strips in
memory to the roll map: the checks of the frames, cutting, scoring, thresholding, merging, the journal on disk. Beside
it the graph alone, panel by panel, and the plain backbones on tiles of 224 px, without any detector: what a machine
makes of those says how fast it is just then. What a form costs in detection is measured on pictures of another web,
harder than the default, with and without labelled defects. Phantoms throughout.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from common import finish, hermetic
from sorby.anomaly.recipe import load
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.architecture import to_onnx
from sorby.backbone.patch_maps import PatchMaps
from sorby.backbone.runtime import OpenVINORuntime
from sorby.line.sources import ArraySource
from sorby.phantom.membrane.web import Web, WebSpec
from sorby.workflow import anomaly
from sorby.workflow.line import LineRequest, run_line

WIDTH, PIXEL_UM, NEED_MPX = 6250, 34.0, 9.5
TILE = 512
STAGES = {"backbone.blocks": None, "backbone.stages": [1, 2, 3]}
HUNDRED = {"features.kind": "random", "features.count": 100}
FORMS: dict[str, dict[str, Any]] = {
    "blocks 3, 5, 8, stride 4, all 144 features": {},
    "blocks 3, 5, 8, stride 8": {"grid.stride": 8},
    "blocks 3, 5, stride 4": {"backbone.blocks": [3, 5]},
    "stages 1-3, stride 4, 100 features": STAGES | HUNDRED,
}
B4 = HUNDRED | {
    "backbone.name": "efficientnet_b4",
    "backbone.blocks": [3, 7, 17],
    "backbone.weights": "random",
}


def save(path: Path, pixels: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)


def write_pictures(folder: Path, *, good: int, pairs: int) -> None:
    """Write clean pieces to fit on, and pictures of clean and of faulty web to be judged."""
    look: dict[str, Any] = {"width_px": 3 * TILE, "spot_rate": 20.0}
    clean = Web(WebSpec(**look, defects_per_m=0, dirt_per_m=0), 11)
    for k in range(good):
        save(folder / "good" / f"{k:02d}.png", clean.rows(k * 1024, (k + 1) * 1024))
    faulty = Web(WebSpec(**look, defects_per_m=60.0, difficulty=2.0), 12)
    for k in range(pairs):
        first = (2 * good + k) * TILE
        rows = clean.rows(first, first + TILE)
        bad, mask = faulty.rows(k * TILE, (k + 1) * TILE), faulty.mask_rows(k * TILE, (k + 1) * TILE)
        for column in range(3):
            part = slice(column * TILE, (column + 1) * TILE)
            save(folder / "fresh" / f"{k:02d}-{column}.png", rows[:, part])
            if mask[:, part].any():
                save(folder / "bad" / f"{k:02d}-{column}.png", bad[:, part])
                save(folder / "masks" / f"{k:02d}-{column}.png", np.where(mask[:, part], 255, 0).astype(np.uint8))


def repeated(strip: npt.NDArray[np.uint8], rows: int) -> ArraySource:
    """Return a source of *rows* lines: the rendered ones again and again, each time moved a little sideways."""

    def make() -> Iterator[npt.NDArray[np.uint8]]:
        for k in itertools.islice(itertools.count(), rows // len(strip)):
            yield np.roll(strip, 37 * k, axis=1)

    return ArraySource(make, "repeated", rows_total=rows // len(strip) * len(strip))


def timed(
    bundle: Path, strip: npt.NDArray[np.uint8], rows: int, precision: Any, network: str = "efficientnet_lite0"
) -> dict[str, Any]:
    """Run the line once to warm up and once to be timed, between two looks at the yardstick; and the graph alone."""
    request = LineRequest(pixel_size_um=PIXEL_UM, precision=precision, crops=100)
    with tempfile.TemporaryDirectory() as folder:
        run_line(bundle, [repeated(strip, len(strip))], Path(folder) / "warm", request)
        before = plain_backbone(network)
        started = time.perf_counter()
        result = run_line(bundle, [repeated(strip, rows)], Path(folder) / "roll", request)
        whole = time.perf_counter() - started
    plain = (before + plain_backbone(network)) / 2
    return {
        "precision": precision,
        "plain_backbone_mpix_per_s": plain,
        "times_plain_backbone": result["mpix_per_s"] / plain,
        "mpix_per_s": result["mpix_per_s"],
        "mpix_per_s_with_loading": rows * WIDTH / whole / 1e6,
        "graph_alone_mpix_per_s": graph_alone(bundle, strip, precision),
        "times_10_ft_per_min": result["mpix_per_s"] / NEED_MPX,
        "latency_ms": result["latency_ms"],
        "defects": result["defects"],
        "dropped": result["dropped"],
        "mpix": rows * WIDTH / 1e6,
    }


def graph_alone(bundle: Path, strip: npt.NDArray[np.uint8], precision: Any, seconds: float = 4.0) -> float:
    """Return the Mpx/s of scoring alone, margins not counted."""
    scorer = anomaly.open_detector(bundle).detector.strip_scorer(WIDTH, precision=precision)
    window = np.ascontiguousarray(np.pad(strip[: scorer.rows], [(0, 0), (0, scorer.width - WIDTH)], mode="symmetric"))
    for slot in range(scorer.slots):
        scorer.start(slot, window)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        scorer.finish(done % scorer.slots)
        scorer.start(done % scorer.slots, window)
        done += 1
    for k in range(scorer.slots):
        scorer.finish((done + k) % scorer.slots)
    inner = (scorer.rows - 2 * scorer.margin_px) * WIDTH
    return inner * (done + scorer.slots) / (time.perf_counter() - started) / 1e6


@cache
def yardstick(name: str) -> OpenVINORuntime:
    """Return a bare network to stage 3 for RGB tiles of 224 px, eight a call."""
    maps = PatchMaps(load_backbone(name, pretrained=False), stages=[1, 2, 3]).eval()
    return OpenVINORuntime(to_onnx(Bare(maps), 224, 224, 3, ("a", "b", "c")), (224, 224, 3))


def plain_backbone(name: str, seconds: float = 3.0) -> float:
    """Return the Mpx/s of the bare network: how fast this machine is just now."""
    runtime = yardstick(name)
    images = np.random.default_rng(0).integers(0, 256, (runtime.batch_size, 224, 224, 3), dtype=np.uint8)
    for slot in range(runtime.slots):
        runtime.start(slot, images)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        runtime.finish(done % runtime.slots)
        runtime.start(done % runtime.slots, images)
        done += 1
    for k in range(runtime.slots):
        runtime.finish((done + k) % runtime.slots)
    return (done + runtime.slots) * runtime.batch_size * 224**2 / (time.perf_counter() - started) / 1e6


class Bare(nn.Module):
    """A network's maps as a tuple."""

    def __init__(self, maps: PatchMaps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps."""
        return tuple(self.maps(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mpix", type=float, default=400, help="web to be timed, megapixels")
    parser.add_argument("--good", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=16)
    arguments = parser.parse_args()
    folder = hermetic()
    write_pictures(folder, good=arguments.good, pairs=arguments.pairs)
    strip = Web(WebSpec(width_px=WIDTH, spot_rate=2.0, defects_per_m=12.0), 13).rows(0, 4096)
    rows = round(arguments.mpix * 1e6 / WIDTH)
    forms: dict[str, Any] = {}
    for name, settings in FORMS.items():
        print(name, file=sys.stderr)
        bundle = folder / f"{len(forms)}.sorby"
        recipe = load("web", {"threshold.false_alarm_rate": 0.01, **settings})
        anomaly.fit(folder / "good", bundle, recipe=recipe)
        found = anomaly.evaluate(bundle, folder / "fresh", folder / "bad", folder / "masks")
        forms[name] = {
            **{key: found[key] for key in ("image_auroc", "pixel_auroc", "pro_auc")},
            "speed": [timed(bundle, strip, rows, precision) for precision in _precisions(name)],
        }
    print("efficientnet_b4, random weights", file=sys.stderr)
    bundle = folder / "b4.sorby"
    anomaly.fit(folder / "good", bundle, recipe=load("web", {"threshold.false_alarm_rate": 0.01, **B4}))
    b4 = timed(bundle, strip, rows // 4, "auto", "efficientnet_b4")
    finish(
        "line_speed",
        {
            "web": {"width_px": WIDTH, "pixel_size_um": PIXEL_UM, "need_mpix_per_s_10_ft_per_min": NEED_MPX},
            "targets": {"mpix_per_s": 30, "b4_mpix_per_s": 8},
            "forms": forms,
            "b4_random_weights": b4,
        },
    )


def _precisions(name: str) -> list[str]:
    return ["auto", "fp32"] if name == next(iter(FORMS)) else ["auto"]


if __name__ == "__main__":
    main()

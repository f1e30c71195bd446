"""The leakage audit on 8,861 images of 200 px in five folds: seconds from files to table, decoding included.

The images are the 1,800 of NEU and seeded copies of them: shifted, brightened, blurred, turned or cut and enlarged,
saved again as JPEG, as archives hold retaken and edited pictures. 8,861 is the number of images that the fracture
study's table stands for. Each unordered pair is compared once and serves all folds.

Beside it imagededup on the same files, where SORBY_PEER_HASH names an environment that has it: its perceptual hashes
and all pairs within the same ten bits. It has no SSIM and no folds, so it does less; its bits are not ours (it resizes
with another filter), so its pairs differ.

    uv venv PEER && uv pip install --python PEER imagededup && export SORBY_PEER_HASH=PEER
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageFilter

from common import data_folder, finish, hermetic
from sorby.corpus import Corpus, splits
from sorby.corpus.fold_audit import fold_table
from sorby.corpus.likeness import Likeness
from sorby.corpus.near_duplicates import look_at

IMAGES, FOLDS, HAMMING, NEIGHBOURS = 8861, 5, 10, 10
_PEER = Path(__file__).resolve().parent / "peers" / "imagededup_phash.py"


def write_images(source: Path, folder: Path, n: int, seed: int = 0) -> list[Path]:
    """Write the originals and copies of them until there are *n* files."""
    rng = np.random.default_rng(seed)
    originals = sorted(source.glob("*.jpg"))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for path in originals[:n]:
        paths.append(folder / path.name)
        paths[-1].write_bytes(path.read_bytes())
    for k in range(n - len(paths)):
        path = originals[k % len(originals)]
        with Image.open(path) as image:
            copy = _changed(image.convert("L"), k // len(originals), rng)
        paths.append(folder / f"{path.stem}-copy{k // len(originals)}.jpg")
        copy.save(paths[-1], quality=int(rng.integers(60, 96)))
    return paths


def _changed(image: Image.Image, kind: int, rng: np.random.Generator) -> Image.Image:
    side = image.size[0]
    if kind == 0:
        return ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.8, 1.2)))
    if kind == 1:
        dx, dy = (int(value) for value in rng.integers(-8, 9, 2))
        return image.transform(image.size, Image.Transform.AFFINE, (1, 0, dx, 0, 1, dy), Image.Resampling.NEAREST)
    if kind == 2:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.5))))
    cut = rng.uniform(0, 0.08, 2) * side
    return image.resize(image.size, Image.Resampling.BICUBIC, box=(cut[0], cut[1], side - cut[1], side - cut[0]))


def audited(paths: list[Path]) -> tuple[dict[str, Any], Likeness, dict[str, float]]:
    """Audit files in folds by image; return the table, the candidates, and the seconds of each step."""
    marks = [time.perf_counter()]
    hashes, thumbnails = look_at(paths)
    marks.append(time.perf_counter())
    likeness = Likeness.find(paths, hashes, HAMMING + 2, thumbnails=thumbnails)
    marks.append(time.perf_counter())
    labels = np.array([path.name.rsplit("_", 1)[0] for path in paths])
    table = pd.DataFrame({"path": [path.name for path in paths], "label": labels, "sha256": "", "exclusion": None})
    corpus = Corpus(table, paths[0].parent)
    fold = splits.kfold(labels, FOLDS, seed=0)
    found = fold_table(corpus, likeness, fold, "folds by image", hamming=HAMMING, neighbours=NEIGHBOURS)
    marks.append(time.perf_counter())
    steps = dict(zip(("decode_and_hash", "pairs_and_ssim", "folds"), np.diff(marks).tolist(), strict=True))
    return found, likeness, steps


def known_pairs(folder: Path) -> dict[str, Any]:
    """Return what the audit finds among the original images alone."""
    paths = sorted(folder.glob("*.jpg"))
    hashes, thumbnails = look_at(paths)
    likeness = Likeness.find(paths, hashes, HAMMING + 2, thumbnails=thumbnails)
    order = np.argsort(-likeness.ssim)
    named = [
        (paths[a].stem, paths[b].stem, int(likeness.distance[k]), round(float(likeness.ssim[k]), 4))
        for k in order
        for a, b in [likeness.pairs[k]]
    ]
    return {"within_bits": HAMMING + 2, "pairs": named}


def peer(folder: Path) -> dict[str, Any] | None:
    """Return imagededup's seconds and pairs, None where it is not at hand."""
    python = Path(os.environ.get("SORBY_PEER_HASH", ""), "bin", "python")
    if "SORBY_PEER_HASH" not in os.environ or not python.is_file():
        print("imagededup is not at hand (SORBY_PEER_HASH)", file=sys.stderr)
        return None
    command = [str(python), str(_PEER), str(folder), str(HAMMING)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description="time the leakage audit")
    parser.add_argument("--images", type=int, default=IMAGES)
    arguments = parser.parse_args()
    source = data_folder("neu-det") / "images"
    folder = hermetic() / "images"
    paths = write_images(source, folder, arguments.images)
    started = time.perf_counter()
    table, likeness, steps = audited(paths)
    seconds = time.perf_counter() - started
    finish(
        "leakage_audit",
        {
            "images": len(paths),
            "folds": FOLDS,
            "seconds": seconds,
            "steps_seconds": steps,
            "pairs_compared_by_ssim": len(likeness.pairs),
            "table1": {key: table[key] for key in ("thresholds", "folds", "mean", "sd", "hamming", "neighbours")},
            "sensitivity": table["sensitivity"],
            "originals_alone": known_pairs(source),
            "imagededup": peer(folder),
        },
    )


if __name__ == "__main__":
    main()

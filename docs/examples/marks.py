"""Stand in for a line camera and a person with a mouse.

``marks.py tiles FOLDER MARKED CLEAN SEED`` writes tiles of a web, and what is on them as a COCO file;
``marks.py web`` writes the lines of another web to standard output, and what is on it to marks-truth.csv.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sorby.phantom.membrane import Web, WebSpec, web_strips

TILE, ROWS, STRIPS, SEED = 256, 256, 32, 3
KINDS = ("pinhole", "dent", "fibre")
SURFACE = WebSpec(width_px=1536, texture=0.045, clouds=0.015, shading=0.05, spot_rate=9.0, spot_strength=14.0)
LABELLED = replace(SURFACE, kinds=KINDS, defects_per_m=60.0, dirt_per_m=0.0)
RUNNING = replace(LABELLED, defects_per_m=25.0, repeat_period_mm=47.1, repeat_across_mm=20.0)  # a roller of 15 mm
LAST = 256 * TILE


def tiles(folder: Path, marked: int, clean: int, seed: int) -> None:
    """Write tiles with marks, each kind in turn and anywhere in its tile, and tiles without."""
    web, rng = Web(LABELLED, seed), np.random.default_rng(seed)
    marks = web.truth(LAST)
    boxes = np.array([[mark.x, mark.y, mark.x + mark.w, mark.y + mark.h] for mark in marks])
    limits = np.array([LABELLED.width_px, LAST])
    whole = np.flatnonzero((boxes[:, :2].min(axis=1) > 0) & (boxes[:, 2:] < limits).all(axis=1))
    by_kind = [[k for k in whole if marks[k].kind == kind] for kind in KINDS]
    images, found = [], []
    (folder / "images").mkdir(parents=True)
    while len(images) < marked + clean:
        number = len(images)
        low, high = np.zeros(2, int), limits - TILE
        if number < marked:
            box = boxes[by_kind[number % len(KINDS)][number // len(KINDS)]]
            low, high = np.maximum(0, box[2:] - TILE), np.minimum(box[:2] + 1, high)
        left, top = (int(rng.integers(*ends)) for ends in zip(low, high, strict=True))
        seen = (boxes - [left, top, left, top]).clip(0, TILE)
        there = np.flatnonzero((seen[:, 2:] > seen[:, :2]).all(axis=1))
        if number >= marked and len(there):
            continue
        name = f"{'mark' if number < marked else 'clean'}-{number + 1:02d}.png"
        Image.fromarray(web.rows(top, top + TILE)[:, left : left + TILE]).save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": TILE, "height": TILE})
        for k in there:
            box = [int(side) for side in (*seen[k, :2], *(seen[k, 2:] - seen[k, :2]))]
            category = KINDS.index(marks[k].kind)
            found.append({"id": len(found), "image_id": number, "category_id": category, "bbox": box})
    categories = [{"id": k, "name": kind} for k, kind in enumerate(KINDS)]
    labels = {"images": images, "annotations": found, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(labels), encoding="utf-8")
    print(f"{marked} tiles with {len(found)} boxes and {clean} without: {folder / 'boxes.json'}")


if sys.argv[1] == "tiles":
    tiles(Path(sys.argv[2]), *map(int, sys.argv[3:]))
else:
    Web(RUNNING, SEED).truth_table(ROWS * STRIPS).to_csv("marks-truth.csv", index=False)
    for strip in web_strips(RUNNING, SEED, rows=ROWS, strips=STRIPS):
        sys.stdout.buffer.write(strip.tobytes())

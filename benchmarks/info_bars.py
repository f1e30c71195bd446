"""Info bars found, read and checked: two vendors' and FEI's real bars, phantoms in four makers' styles, and how fast.

Real bars: ``metaldam`` (30 images; what their bars say was read by eye) and ``sem-fei`` (17 images with FEI's tag),
the latter also with tags left out. Speed is of the whole of ``sorby corpus scale`` in batches, decoding included, on
two cores, with the networks loaded and run once before. The rules were written on the real images and mended on
phantoms of other seeds. ``--engines`` also reads the same lines on ONNX Runtime.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import data_folder, finish, hermetic
from sorby.micrograph import find_images, read, to_grey
from sorby.micrograph.info_bar import cross_check, find_info_bar, read_info_bars
from sorby.micrograph.info_bar.lettering import cut_out, take_apart
from sorby.micrograph.text_reading import open_reader
from sorby.micrograph.text_reading.rapid import RapidReader
from sorby.phantom.fracture.series import fracture_set
from sorby.phantom.fracture.writing import take
from sorby.workflow.archive.scales import state_scales

REPEATS = 3
CORES = 2
SPECIMENS = 8
SIZES = ((1024, 768), (512, 384))


def on_cores(count: int) -> int:
    """Keep this process to so many cores, where the system can; return how many it has."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def value_of(entry: dict[str, Any], name: str) -> Any:
    """Return what a bar said under one name, None where nothing was read."""
    return entry["bar"].get(name, {}).get("value")


def metaldam(cores: int) -> dict[str, Any]:
    folder = data_folder("metaldam")
    truth = pd.read_csv(folder / "bars.csv").set_index("file")
    found = {Path(entry["file"]).name: entry for entry in state_scales([folder / "images"], threads=cores)["images"]}
    rows = [(truth.loc[name], found[name]) for name in truth.index]
    offsets = [abs(entry["info_bar"] - told["bar_top_px"]) for told, entry in rows if entry["info_bar"] is not None]
    labels = [value_of(entry, "scale_label_um") == told["scale_label_um"] for told, entry in rows]
    distances = [value_of(entry, "working_distance_mm") == told["WD_mm"] for told, entry in rows]
    return {
        "n": len(rows),
        "magnification_exact": sum(bool(entry["magnification"] == told["magnification"]) for told, entry in rows),
        "scale_label_exact": int(sum(labels)),
        "working_distance_exact": int(sum(distances)),
        "bar_found": len(offsets),
        "bar_row_off_at_most_px": int(max(offsets)),
        "with_disagreements": sum(bool(entry["disagreements"]) for _, entry in rows),
    }


def fei(cores: int, *, ignore_tags: bool) -> dict[str, Any]:
    folder = data_folder("sem-fei")
    truth = pd.read_csv(folder / "truth.csv").set_index("file")
    said = state_scales([folder], ignore_tags=ignore_tags, threads=cores)["images"]
    found = {Path(entry["file"]).name: entry for entry in said}
    rows = [(truth.loc[name], found[name]) for name in truth.index]
    errors = [abs(1e3 * entry["pixel_size_um"] / told["pixel_size_nm"] - 1) for told, entry in rows]
    tops = [entry["info_bar"] == told["image_height_px"] - told["info_bar_height_px"] for told, entry in rows]
    # From the label and the drawn line alone, before the known display width sets it.
    drawn = [abs(1e3 * entry["pixel_sizes_um"]["bar"] / told["pixel_size_nm"] - 1) for told, entry in rows]
    return {
        "n": len(rows),
        "magnification_exact": sum(bool(entry["magnification"] == told["magnification"]) for told, entry in rows),
        "pixel_size_within_1e-4": int(sum(error <= 1e-4 for error in errors)),
        "pixel_size_error_at_most": float(max(errors)),
        "pixel_size_error_by_drawn_bar_at_most": float(max(drawn)),
        "bar_row_exact": int(sum(tops)),
        "with_disagreements": sum(bool(entry["disagreements"]) for _, entry in rows),
        "confidence_least": min(entry["confidence"] for _, entry in rows),
    }


def phantoms(size: tuple[int, int]) -> dict[str, Any]:
    """Read the bars of phantom series."""
    views = [
        (specimen, take(specimen, plan, size)) for specimen in fracture_set(SPECIMENS, 11) for plan in specimen.views
    ]
    readings = read_info_bars([view.pixels for _, view in views], open_reader(threads=CORES))
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (specimen, view), reading in zip(views, readings, strict=True):
        count = counts[f"{specimen.vendor} {specimen.bar_at} {specimen.language}"]
        count["n"] += 1
        if reading is None:
            continue
        checked = cross_check(reading)
        scale = checked.scale
        count["bar_row_exact"] += (reading.bar.top, reading.bar.height) == (view.bar_top, view.bar_rows)
        count["magnification_exact"] += scale.magnification == view.magnification
        size_um = scale.pixel_size_um
        count["pixel_size_within_1_percent"] += size_um is not None and abs(size_um / view.pixel_size_um - 1) <= 0.01
        length = reading.number("bar_length_px")
        count["drawn_length_within_1_px"] += length is not None and abs(length - view.scale_px) <= 1.0
        count["with_disagreements"] += bool(checked.disagreements)
    total: dict[str, int] = defaultdict(int)
    for count in counts.values():
        for name, value in count.items():
            total[name] += value
    return {"all": dict(total), "by_style": {name: dict(count) for name, count in sorted(counts.items())}}


def false_bars() -> dict[str, Any]:
    """Look for bars on pictures that have none."""
    result = {}
    for name in ("neu-det", "magnetic-tile", "mlography"):
        files = find_images(data_folder(name))[::4]
        found = [path.name for path in files if find_info_bar(read(path).pixels) is not None]
        result[name] = {"n": len(files), "bars_found": len(found), "files": found[:5]}
    return result


def seconds_an_image(folder: Path, cores: int) -> dict[str, Any]:
    """Time whole folders; the processor's own time beside it hardly depends on what else the machine does."""
    files = find_images(folder)
    reader = open_reader(threads=cores)
    state_scales(files, ignore_tags=True, reader=reader)
    times, busy = [], []
    for _ in range(REPEATS):
        began, busy_before = time.perf_counter(), time.process_time()
        state_scales(files, ignore_tags=True, reader=reader)
        times.append((time.perf_counter() - began) / len(files))
        busy.append((time.process_time() - busy_before) / len(files))
    return {
        "n": len(files),
        "seconds_an_image": statistics.median(times),
        "cpu_seconds_an_image": statistics.median(busy),
        "runs": times,
    }


def engines(cores: int) -> dict[str, Any]:
    """Read the same lines on OpenVINO and on ONNX Runtime."""
    crops = []
    for path in [*find_images(data_folder("metaldam") / "images"), *find_images(data_folder("sem-fei"))]:
        pixels = to_grey(read(path).pixels)
        bar = find_info_bar(pixels)
        if bar is not None:
            rows = pixels[bar.top : bar.bottom]
            crops += [cut_out(rows, box, bar.tone) for box in take_apart(rows, bar.tone).text]
    said: dict[str, list[str]] = {}
    result: dict[str, Any] = {"lines": len(crops)}
    for runtime in ("openvino", "onnxruntime"):
        reader = RapidReader(threads=cores, runtime=runtime)
        reader.recognise(crops)
        began = time.perf_counter()
        said[runtime] = [reading.text for reading in reader.recognise(crops)]
        result[f"{runtime}_ms_a_line"] = 1e3 * (time.perf_counter() - began) / len(crops)
    result["texts_alike"] = float(np.mean([a == b for a, b in zip(*said.values(), strict=True)]))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", action="store_true", help="also compare runtimes")
    options = parser.parse_args()
    hermetic()
    cores = on_cores(CORES)
    result: dict[str, Any] = {
        "metaldam": metaldam(cores),
        "sem_fei": fei(cores, ignore_tags=False),
        "sem_fei_without_tags": fei(cores, ignore_tags=True),
        "phantoms": {f"{width} x {height}": phantoms((width, height)) for width, height in SIZES},
        "pictures_without_bars": false_bars(),
        "speed": {
            "cores": cores,
            "note": "corpus scale without tags, in batches, decoding included, networks loaded and run once before",
            "metaldam": seconds_an_image(data_folder("metaldam") / "images", cores),
            "sem_fei": seconds_an_image(data_folder("sem-fei"), cores),
        },
        "engine": open_reader(threads=cores).provenance,
    }
    if options.engines:
        result["engines"] = engines(cores)
    finish("info_bars", result)


if __name__ == "__main__":
    main()

"""What every benchmark needs: the real data, the machine in words, a table of images, JSON out."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby import provenance
from sorby.backbone.runtime import cpu_has_bf16
from sorby.evidence import t_interval


def data_folder(name: str) -> Path:
    """Return a folder of real images, or leave with one line."""
    root = Path(os.environ.get("SORBY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (root / name).is_dir():
        sys.exit(f"error: {root / name} is absent\nhint: set SORBY_DATA to the folder of real images")
    return root / name


def machine() -> dict[str, Any]:
    """Describe the machine; absolute times mean something on it only."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = named[0].split(":")[1].strip() if named else model
    return {"cpu": model, "cores": os.cpu_count(), "bf16": cpu_has_bf16(), "versions": provenance.versions()}


def hermetic() -> Path:
    """Give this process a fresh home, so that no feature is known beforehand; return a scratch folder."""
    folder = Path(tempfile.mkdtemp(prefix="sorby-bench-"))
    os.environ["SORBY_HOME"] = str(folder / "home")
    return folder


def write_listing(folder: Path, rows: pd.DataFrame) -> Path:
    """Write a table of images for ``sorby`` to read."""
    path = folder / "images.csv"
    rows.to_csv(path, index=False)
    return path


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Return mean, SD and the t interval over seeds, which share their images and are not independent."""
    entry = t_interval(np.array(values)).as_dict()
    entry["method"] = f"t over {len(values)} seeds, which share the images"
    entry["seeds"] = entry.pop("folds")
    entry.pop("note", None)
    return entry


def finish(name: str, result: dict[str, Any]) -> None:
    """Print the result as JSON."""
    print(json.dumps({"benchmark": name, **result, "machine": machine()}, indent=2))

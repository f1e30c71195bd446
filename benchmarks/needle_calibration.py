"""Make the calibration that ``measure needles`` comes with.

    python benchmarks/needle_calibration.py src/sorby/measure/needle_calibration.npz

Draws phantoms (seeds from ``FIRST_SEED`` on, which no evaluation uses), describes them and fits the regression. Prints
the leave-one-out errors as JSON. Every phantom is of another specimen, so leaving one out leaves its specimen out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from needle_phantoms import CELLS, described, in_parallel, jobs_of
from sorby import __version__
from sorby.files import atomic_write
from sorby.measure.length_model import TARGETS, LengthModel, fit

FIRST_SEED = 1_000
"""Evaluations use seeds from 700,000 on."""

SEEDS = 44


def make(rows: Sequence[dict[str, Any]], seeds: int) -> LengthModel:
    """Fit the model to described phantoms."""
    names = tuple(rows[0]["values"])
    points = np.array([[row["values"][name] for name in names] for row in rows])
    targets = np.array([row["targets"] for row in rows])
    spread = {
        key: [float(min(r[key] for r in rows)), float(max(r[key] for r in rows))]
        for key in ("pixel_size_um", "field_um2", "orientedness")
    }
    mean = np.exp(targets[:, 0])
    provenance = {
        "made_by": "benchmarks/needle_calibration.py",
        "sorby": __version__,
        "phantoms": len(rows),
        "seeds": [FIRST_SEED, FIRST_SEED + seeds - 1],
        "cells": [f"{code} {magnification}x{' bimodal' if two else ''}" for code, magnification, two in CELLS],
        "size_px": 512,
        "ranges": {**spread, "mean_um": [float(mean.min()), float(mean.max())]},
    }
    model = fit(names, points, targets, provenance)
    return replace(model, provenance={**provenance, "left_out": left_out_errors(model)})


def left_out_errors(model: LengthModel) -> dict[str, Any]:
    """Return median, 90th percentile and bias of each length's relative leave-one-out errors."""
    errors = np.exp(model.left_out()[0] - model.targets) - 1
    size = np.abs(errors)
    return {
        name: {
            "median": float(np.median(size[:, k])),
            "p90": float(np.quantile(size[:, k], 0.9)),
            "bias": float(errors[:, k].mean()),
        }
        for k, name in enumerate(TARGETS)
        if name != "coarse_area"
    }


def main() -> None:
    """Write the calibration and print how well it does."""
    parser = argparse.ArgumentParser(description="Calibrate needle lengths on phantoms.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    jobs = jobs_of(range(FIRST_SEED, FIRST_SEED + arguments.seeds))
    rows = [row for row in in_parallel(described, jobs, arguments.processes) if row is not None]
    model = make(rows, arguments.seeds)
    with atomic_write(arguments.out) as file:
        model.save(file)
    sys.stdout.write(json.dumps({"kernel": vars(model.kernel), **model.provenance}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Grain size and boundaries: phantoms with known grains, and the etched patches of the MLography set.

The patches in ``mlography/boundaries`` are named after boundaries, but their masks mark inclusions: filled spots some
ten pixels across. Patches 10 to 42 are crops of the micrographs of the same number in ``mlography/inclusions``
(correlation .97 and more at full scale). So the set says nothing about grain boundaries. What is measured on it is how
well spots are found, by patches of other inferred parents; boundaries are measured on phantoms.

``--part phantoms``, ``segmenter`` or ``patches`` runs one part.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from common import data_folder, finish
from sorby.errors import ImageError
from sorby.measure.boundary_scores import label_geometry
from sorby.measure.boundary_tracing import trace_boundaries
from sorby.measure.grain_counting import boundary_of
from sorby.measure.grain_fields import measure_field
from sorby.measure.segmenter import Segmenter
from sorby.measure.segmenter_training import SegmenterSettings, train_segmenter
from sorby.phantom.grains import render_grains
from sorby.workflow.measuring.boundary_training import score_segmenter, train_boundaries

G_RANGE = (5.0, 11.0)


def _errors(values: list[float]) -> dict[str, Any]:
    array = np.array(values)
    half = 1.96 * array.std(ddof=1) / np.sqrt(array.size)
    return {
        "mean": float(array.mean()),
        "ci95_of_mean": [float(array.mean() - half), float(array.mean() + half)],
        "q95_of_absolute": float(np.quantile(np.abs(array), 0.95)),
        "within_quarter": float((np.abs(array) <= 0.25).mean()),
        "n": int(array.size),
    }


#: Etches that hide or add boundaries; 12 phantoms each.
HARDER: dict[str, dict[str, float]] = {
    "a tenth of the boundary missing": {"missing": 0.1},
    "a fifth missing": {"missing": 0.2},
    "three in ten grains twinned": {"twins": 0.3},
}


def grain_size_errors(n: int, first_seed: int, **etch: Any) -> dict[str, Any]:
    """Return the errors of G on phantoms, from their true labels and from the traced picture."""
    found: dict[str, list[float]] = {}
    failed = 0
    for k in range(n):
        truth = render_grains(float(np.linspace(*G_RANGE, n)[k]), first_seed + k, **etch)
        size = truth.pixel_size_um
        try:
            labels = {"true labels": truth.labels, "traced": trace_boundaries(truth.pixels).labels}
        except ImageError:
            failed += 1
            continue
        for source, grains in labels.items():
            lines = measure_field(grains, size)
            rings = measure_field(grains, size, method="intercept", pattern="circles")
            disc = measure_field(grains, size, method="planimetric", window="circle")
            for name, value, true in (
                ("Heyn lines", lines.intercept_g, truth.intercept_g),
                ("Abrams circles", rings.intercept_g, truth.intercept_g),
                ("planimetric, rectangle", lines.planimetric_g, truth.grain_size_g),
                ("planimetric, Jeffries circle", disc.planimetric_g, truth.grain_size_g),
            ):
                if value is not None:
                    found.setdefault(f"{source}: {name}", []).append(value.number - true)
    return {"errors_of_g": {name: _errors(values) for name, values in found.items()}, "no_boundary_found": failed}


def phantom_segmentation(taught: int, tested: int, epochs: int) -> dict[str, Any]:
    """Teach on phantom boundaries and score on unseen phantoms, each its own group."""
    rng = np.random.default_rng(112)
    images, masks = [], []
    for k in range(taught + tested):
        truth = render_grains(float(rng.uniform(*G_RANGE)), 7000 + k, size_px=256 if k < taught else 384)
        images.append(np.repeat(truth.pixels[..., None], 3, axis=2))
        masks.append(ndimage.binary_dilation(boundary_of(truth.labels), np.ones((2, 2))))
    geometry = label_geometry(masks)
    network = train_segmenter(images[:taught], masks[:taught], SegmenterSettings(epochs=epochs))
    segmenter = Segmenter(network, "lines", geometry.width_px)
    scores = score_segmenter(segmenter, images[taught:], masks[taught:], np.arange(tested))
    return {"label_width_px": geometry.width_px, "taught": taught, "epochs": epochs, **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description="grain size and boundaries")
    parser.add_argument("--part", choices=["phantoms", "segmenter", "patches", "all"], default="all")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--phantoms", type=int, default=36)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"note": __doc__.split("\n\n")[1].replace("\n", " ")}
    if arguments.part in ("phantoms", "all"):
        result["phantoms"] = grain_size_errors(arguments.phantoms, 5000)
        result["harder"] = {
            name: grain_size_errors(12, 6000, **etch)["errors_of_g"]["traced: Heyn lines"]
            for name, etch in HARDER.items()
        }
    if arguments.part in ("segmenter", "all"):
        result["phantom_segmentation"] = phantom_segmentation(24, 16, arguments.epochs)
    if arguments.part in ("patches", "all"):
        folder = data_folder("mlography") / "boundaries"
        with tempfile.TemporaryDirectory() as scratch:
            result["patches"] = train_boundaries(
                folder / "images",
                folder / "labels",
                Path(scratch) / "patches.sorby",
                settings=SegmenterSettings(epochs=arguments.epochs),
            )
        result["patches"].pop("bundle")
        result["patches"]["quarantined"] = len(result["patches"]["quarantined"])
    finish("grain_boundaries", result)


if __name__ == "__main__":
    main()

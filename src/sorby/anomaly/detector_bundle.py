"""A detector as a bundle: graph, weights, what it remembers, its threshold, and the images behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sorby import provenance
from sorby.anomaly import KIND
from sorby.anomaly.detector import Detector, backbone_facts, score_meaning
from sorby.anomaly.memory import memory_from_arrays
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.thresholds import Threshold
from sorby.backbone.architecture import Backbone
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.weights import WeightSource
from sorby.bundle import Description, OpenBundle, TrainingData, write
from sorby.errors import BundleError, InputError
from sorby.files import sha256_bytes

_GRAPH, _IMAGES = "model.onnx", "images.json"
_LARGEST_GRAPH = 1 << 28  # bytes; a larger graph is made again when the bundle is opened
_LIMITS = (
    "It knows good images of one product under one set-up: other material, lighting, lens or scale looks anomalous.",
    "It finds what can be seen: defects without contrast in the image, such as a layer of the wrong thickness, need"
    " another sensor.",
    "An anomaly is not a defect by itself: dust, lint or glare unlike the good images is found as well.",
)
_ONE_PLACE = "Each place is compared with the same place of the good images: parts must lie as they did there."


@dataclass(frozen=True)
class KnownImage:
    """An image behind a detector.

    Attributes
    ----------
    sha256 : str
        Hash of the file.
    name : str
        Where it lay when it was read.
    role : {"good", "calibration"}
        Remembered, or held out for the threshold.
    number : int
        Of a remembered image, in the memory; -1 otherwise.
    specimen : str
        Empty where none is known.
    """

    sha256: str
    name: str
    role: Literal["good", "calibration"]
    number: int
    specimen: str = ""


@dataclass(frozen=True)
class StoredDetector:
    """A detector from a bundle, and the images behind it."""

    detector: Detector
    images: list[KnownImage]


def save(
    path: Path,
    detector: Detector,
    images: Sequence[KnownImage],
    *,
    metrics: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    runtime: str = "",
    overwrite: bool = False,
) -> str:
    """Write a detector as a bundle and return its SHA-256.

    Raises
    ------
    InputError
        It was not fitted or has no threshold, something is at *path* already, or it cannot be written.
    """
    threshold = detector.threshold
    if threshold is None:
        raise InputError("the detector has no threshold", "calibrate it first")
    recipe = detector.recipe
    memory = detector.filled().arrays()
    good = [image for image in images if image.role == "good"]
    specimens = {image.specimen for image in images if image.specimen}
    description = Description(
        kind=KIND,
        name=path.stem,
        preprocessing=recipe.image.model_dump(mode="json"),
        model={
            "recipe": recipe.model_dump(mode="json"),
            "network": backbone_facts(recipe, detector.backbone),
            "score": score_meaning(recipe),
            "features": detector.embedding.length,
            "grid": list(detector.grid_size),
            "depths": sorted(detector.depths),
        },
        calibration={**threshold.describe(), "runtime": runtime},
        training_data=TrainingData(
            fingerprint=sha256_bytes("\n".join(sorted(image.sha256 for image in images)).encode()),
            n=len(good),
            n_specimens=len(specimens) or None,
        ),
        metrics=dict(metrics or {}),
        licence="as the training images allow; state it with the bundle",
        provenance=provenance.describe(recipe.seed),
        limits=[*_LIMITS, *([_ONE_PLACE] if recipe.density.kind == "position" else []), *_random(recipe)],
        notes=list(notes),
    )
    state = detector.backbone.module.state_dict()
    weights = {key: np.atleast_1d(value.detach().cpu().numpy()) for key, value in state.items()}
    files: dict[str, bytes | Path] = {_IMAGES: json.dumps([asdict(each) for each in images], indent=0).encode()}
    onnx = detector.onnx()
    if len(onnx) <= _LARGEST_GRAPH:
        files[_GRAPH] = onnx
    tensors = {"weights": weights, "memory": memory, "calibration": {"scores": threshold.scores}}
    return write(path, description, tensors=tensors, files=files, overwrite=overwrite)


def _random(recipe: AnomalyRecipe) -> list[str]:
    if recipe.backbone.weights == "pretrained":
        return []
    return ["Its network has random weights: for measuring speed only."]


def from_bundle(bundle: OpenBundle) -> StoredDetector:
    """Rebuild a detector from an open, verified bundle.

    Raises
    ------
    BundleError
        It is of another kind, or its contents do not fit together.
    """
    description = bundle.description
    if description.kind != KIND:
        raise BundleError(
            f"{bundle.path}: holds a model of kind '{description.kind}', not an anomaly detector",
            "make one with sorby anomaly fit",
        )
    try:
        return _from_parts(description, bundle)
    except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(
            f"bundle {description.name}: contents do not fit together ({first})", "fit it again"
        ) from error


def _from_parts(description: Description, bundle: OpenBundle) -> StoredDetector:
    model: dict[str, Any] = dict(description.model)
    recipe = AnomalyRecipe.model_validate(model["recipe"])
    network: dict[str, Any] = model["network"]
    size = (recipe.image.height, recipe.image.width)
    blank = load_backbone(network["name"], pretrained=False, size=size)
    state = blank.module.state_dict()
    weights = bundle.tensors("weights")
    blank.module.load_state_dict(
        {key: torch.from_numpy(np.array(weights[key])).reshape(state[key].shape) for key in state}
    )
    source = WeightSource(network["weights"], network["weights_detail"], network["weights_sha256"])
    backbone = Backbone(blank.name, blank.module, tuple(network["mean"]), tuple(network["std"]), source)
    detector = Detector(recipe, backbone)
    detector.memory = memory_from_arrays(recipe, bundle.tensors("memory"))
    if detector.memory.size != detector.grid_size:
        raise ValueError(f"a memory of {detector.memory.size} places for a grid of {detector.grid_size}")
    detector.depths = {str(depth) for depth in model.get("depths", ())}
    scores = bundle.tensors("calibration")["scores"]
    detector.threshold = Threshold.from_parts(dict(description.calibration), scores)
    if _GRAPH in bundle:
        detector.take_graph(bundle.read(_GRAPH))
    images = [KnownImage(**entry) for entry in json.loads(bundle.read(_IMAGES))]
    return StoredDetector(detector, images)


def load_bundle(bundle: OpenBundle, device: str) -> Detector:
    """Load a detector bundle for `sorby.bundle.load`; the graph is compiled for *device* at once."""
    detector = from_bundle(bundle).detector
    detector.runtime(device)  # type: ignore[arg-type]
    return detector

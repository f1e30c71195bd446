"""A box detector as a bundle: weights, the classes it finds, from which score on, and what it was taught from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sorby import provenance
from sorby.backbone.architecture import Backbone
from sorby.backbone.architecture import load as load_backbone
from sorby.backbone.weights import WeightSource
from sorby.bundle import Description, OpenBundle, TrainingData, write
from sorby.detect import KIND
from sorby.detect.described import Lessons
from sorby.detect.detector import Detector
from sorby.detect.network import DetectorNetwork
from sorby.detect.recipe import DetectRecipe
from sorby.errors import BundleError
from sorby.files import sha256_bytes

_LIMITS = (
    "It names what it was taught and nothing else: a defect of another kind is missed or takes the nearest name.",
    "It knows one set-up: other material, lighting, lens or scale needs its own examples.",
    "Scores rank findings; they are not probabilities.",
)
_FEW = "It was taught on few examples: its figures vary much between draws of them."
_FEW_BOXES = 100
_IMAGES = "images.json"


def save(
    path: Path,
    detector: Detector,
    *,
    images: Sequence[str] = (),
    n_boxes: int = 0,
    specimens: int | None = None,
    metrics: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    files: Mapping[str, bytes | Path] | None = None,
    overwrite: bool = False,
) -> str:
    """Write a detector as a bundle and return its SHA-256.

    Parameters
    ----------
    path : Path
    detector : Detector
    images : sequence of str
        Hashes of the images that taught it.
    n_boxes : int
        Labelled boxes on them.
    specimens : int, optional
    metrics, notes
        For the description.
    files : mapping, optional
        Further members.
    overwrite : bool

    Raises
    ------
    InputError
        Something is at *path* already, or it cannot be written.
    """
    recipe, network = detector.recipe, detector.backbone
    description = Description(
        kind=KIND,
        name=path.stem,
        classes=list(detector.classes),
        preprocessing=recipe.image.model_dump(mode="json"),
        model={
            "recipe": recipe.model_dump(mode="json"),
            "network": {
                "name": network.name,
                "mean": list(network.mean),
                "std": list(network.std),
                "weights": network.source.kind,
                "weights_detail": network.source.detail,
                "weights_sha256": network.source.sha256,
            },
            "facts": detector.facts,
        },
        calibration={"threshold": detector.threshold},
        training_data=TrainingData(
            fingerprint=sha256_bytes("\n".join(sorted(images)).encode()), n=len(images), n_specimens=specimens
        ),
        metrics=dict(metrics or {}),
        licence="as the training images allow; state it with the bundle",
        provenance=provenance.describe(recipe.seed),
        limits=[*_LIMITS, *([_FEW] if n_boxes < _FEW_BOXES else []), *_random(recipe)],
        notes=list(notes),
    )
    tensors = {"stages": _arrays(detector.stages), "predictor": _arrays(detector.predictor)}
    if detector.shots is not None:
        shots = detector.shots
        tensors["shots"] = {
            "described": shots.described.numpy(),
            "labels": shots.labels.numpy(),
            "offsets": shots.offsets.numpy(),
        }
    members = {_IMAGES: json.dumps(sorted(set(images))).encode(), **(files or {})}
    return write(path, description, tensors=tensors, files=members, overwrite=overwrite)


def images_of(bundle: OpenBundle) -> frozenset[str]:
    """Return the SHA-256 of every image file that taught the detector of a bundle."""
    return frozenset(map(str, json.loads(bundle.read(_IMAGES)))) if _IMAGES in bundle else frozenset()


def _arrays(module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    return {key: np.atleast_1d(value.detach().cpu().numpy()) for key, value in module.state_dict().items()}


def _random(recipe: DetectRecipe) -> list[str]:
    if recipe.backbone.weights == "pretrained":
        return []
    return ["Its backbone started from random weights: for measuring speed only."]


def from_bundle(bundle: OpenBundle) -> Detector:
    """Rebuild a detector from an open, verified bundle.

    Raises
    ------
    BundleError
        It is of another kind, or its contents do not fit together.
    """
    description = bundle.description
    if description.kind != KIND:
        raise BundleError(
            f"{bundle.path}: holds a model of kind '{description.kind}', not a box detector",
            "make one with sorby detect train",
        )
    try:
        return _from_parts(description, bundle)
    except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(
            f"bundle {description.name}: contents do not fit together ({first})", "teach it again"
        ) from error


def _from_parts(description: Description, bundle: OpenBundle) -> Detector:
    model: dict[str, Any] = dict(description.model)
    recipe = DetectRecipe.model_validate(model["recipe"])
    facts: dict[str, Any] = model["network"]
    blank = load_backbone(facts["name"], pretrained=False)
    source = WeightSource(facts["weights"], facts["weights_detail"], facts["weights_sha256"])
    backbone = Backbone(blank.name, blank.module, tuple(facts["mean"]), tuple(facts["std"]), source)
    classes = tuple(description.classes)
    network = DetectorNetwork(recipe, backbone, len(classes)).eval()
    _fill(network.stages, bundle.tensors("stages"))
    _fill(network.predictor, bundle.tensors("predictor"))
    shots = None
    if "shots.safetensors" in bundle:
        stored = bundle.tensors("shots")
        parts = {key: torch.from_numpy(np.array(stored[key])) for key in ("described", "labels", "offsets")}
        shots = Lessons(parts["described"], parts["labels"], parts["offsets"])
    threshold = float(dict(description.calibration)["threshold"])  # type: ignore[arg-type]
    if not 0 <= threshold <= 1:
        raise ValueError(f"a threshold of {threshold}")
    facts_of_use = dict(model["facts"])
    _check_sizes(facts_of_use)
    return Detector(recipe, classes, backbone, network.stages, network.predictor, threshold, shots, facts_of_use)


def _check_sizes(facts: Mapping[str, Any]) -> None:
    """Refuse sizes by which no image can be cut into tiles; other facts are only shown."""
    known = [facts[name] for name in ("largest_px", "largest_um", "largest_box_px") if facts.get(name) is not None]
    span = facts.get("pixel_sizes_um")
    known += [] if span is None else [float(span[0]), float(span[1])]
    if any(isinstance(size, bool) or not isinstance(size, int | float) for size in known):
        raise TypeError("sizes of what taught it are no numbers")
    if not all(0 <= size < math.inf for size in known) or facts.get("largest_px", 1) == 0:
        raise ValueError("sizes of what taught it are out of range")
    if facts.get("largest_px") is not None and facts.get("largest_box_px") is None:
        raise ValueError("the largest box is not stated")


def _fill(module: torch.nn.Module, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    state = module.state_dict()
    module.load_state_dict({key: torch.from_numpy(np.array(weights[key])).reshape(state[key].shape) for key in state})


def load_bundle(bundle: OpenBundle, device: str) -> Detector:
    """Load a detector bundle for `sorby.bundle.load`; the runner for *device* is made at once."""
    detector = from_bundle(bundle)
    detector.runner(device)  # type: ignore[arg-type]
    return detector

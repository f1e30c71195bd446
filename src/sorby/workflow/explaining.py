"""Where a classifier looked: the map that fits its regime, laid over the micrograph at its own size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sorby.attribution import Attribution, grad_cam, linear_contribution, overlay
from sorby.classify import Classifier
from sorby.classify.classifier import HeadOnStages
from sorby.files import atomic_write
from sorby.micrograph import Micrograph, resize, to_uint8

_SMOOTH_PX = 8.0  # squared deviations of an early stage are spiky; each stands for a receptive field
_LONGEST_SIDE_PX = 2048  # pictures for people; larger micrographs are scaled down


def stage_layers(classifier: Classifier) -> list[str] | None:
    """Name the pooled layers of a frozen classifier, or None for a fine-tuned one (its last convolution)."""
    graph = classifier.graph
    if not isinstance(graph, HeadOnStages):
        return None
    module, stages = graph.features.module, graph.features.stages
    names = [str(module.feature_info[k]["module"]) for k in stages]  # type: ignore[index]
    return [f"graph.features.module.{name}" for name in names]


def explain(
    classifier: Classifier, images: npt.NDArray[np.uint8], targets: npt.NDArray[np.intp] | None = None
) -> Attribution:
    """Return where the classifier looked.

    The frozen regime is taken apart exactly (linear contribution of every location); the fine-tuned one gets
    Grad-CAM at its last convolution.

    Parameters
    ----------
    classifier : Classifier
    images : ndarray of uint8, shape (N, H, W, C)
        Prepared images.
    targets : ndarray of int, shape (N,), optional
        Classes to explain; the predicted ones where absent.
    """
    model = classifier.logits_module()
    layers = stage_layers(classifier)
    # Two classes share one decision: their margin is what the score is.
    score = "margin"
    if layers is None:
        return grad_cam(model, images, targets, score=score)  # type: ignore[arg-type]
    return linear_contribution(model, images, targets, layers, score=score).positive(_SMOOTH_PX)  # type: ignore[arg-type]


def lay_over(
    classifier: Classifier, micrograph: Micrograph, cam: npt.NDArray[np.float32], colormap: str = "jet"
) -> npt.NDArray[np.uint8]:
    """Lay a map over a micrograph at the micrograph's own aspect.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    rule = classifier.preprocessing
    base = to_uint8(micrograph.pixels, rule=rule.intensity, low=rule.low, high=rule.high)
    height, width = base.shape[:2]
    region = None
    if rule.sizing == "mirror" or rule.region == "auto":
        region = rule.window(micrograph)
    factor = _LONGEST_SIDE_PX / max(height, width)
    if factor < 1 and region is None:
        base = resize(base, (max(1, round(height * factor)), max(1, round(width * factor))))
    return overlay(base, cam, colormap, region=region)


def write_overlays(classifier: Classifier, jobs: Sequence[tuple[Micrograph, str, Path]], colormap: str) -> None:
    """Write a picture for each of a batch of micrographs.

    Parameters
    ----------
    jobs : sequence of (Micrograph, label, Path)
        What to explain, for which class, and where the PNG goes.
    colormap : str
    """
    images = np.stack([classifier.prepared(micrograph) for micrograph, _, _ in jobs])
    targets = np.array([classifier.classes.index(label) for _, label, _ in jobs], np.intp)
    maps = explain(classifier, images, targets).maps
    for (micrograph, _, path), cam in zip(jobs, maps, strict=True):
        with atomic_write(path) as file:
            Image.fromarray(lay_over(classifier, micrograph, cam, colormap)).save(file, format="PNG")

"""Where a classifier looked: the map that fits its regime, laid over the micrograph at its own size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import nn

from sorby.attribution import (
    Attribution,
    attention_rollout,
    grad_cam,
    linear_contribution,
    occlusion,
    overlay,
    token_network,
)
from sorby.classify import Classifier
from sorby.classify.scoring_graphs import HeadOnStages
from sorby.errors import InputError
from sorby.files import atomic_write
from sorby.micrograph import Micrograph, resize, to_uint8

Method = Literal["auto", "linear", "grad-cam", "rollout", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)

_SMOOTH_PX = 8.0  # squared deviations of an early stage are spiky; each stands for a receptive field
_LONGEST_SIDE_PX = 2048  # pictures for people; larger micrographs are scaled down


def stage_layers(classifier: Classifier) -> list[str] | None:
    """Name the pooled layers of a frozen classifier whose head is linear in them; None for any other.

    A fine-tuned network has none, and neither have features that hold the class token.
    """
    graph = classifier.graph
    if not isinstance(graph, HeadOnStages) or graph.features.pooling.startswith("cls"):
        return None
    module, stages = graph.features.module, graph.features.stages
    names = [str(module.feature_info[k]["module"]) for k in stages]  # type: ignore[index]
    return [f"graph.features.module.{name}" for name in names]


def explain(
    classifier: Classifier,
    images: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.intp] | None = None,
    *,
    method: Method = "auto",
    layer: str | None = None,
    magnification: float | None = None,
) -> Attribution:
    """Return where the classifier looked.

    Parameters
    ----------
    classifier : Classifier
    images : ndarray of uint8, shape (N, H, W, C)
        Prepared images.
    targets : ndarray of int, shape (N,), optional
        Classes to explain; the predicted ones where absent.
    method : {"auto", "linear", "grad-cam", "rollout", "occlusion"}
        ``auto`` takes the frozen regime apart exactly (``linear``: contribution of every location) and gives the
        fine-tuned one, and features with a class token, ``grad-cam``. ``rollout`` is for vision transformers and
        knows no class; ``occlusion`` is for every network and slow.
    layer : str, optional
        Where ``grad-cam`` reads: a layer of the network by its name (``blocks.10.norm1``, ``blocks.6``); the last
        convolution, or the input of the last block's attention, where absent.
    magnification : float, optional
        Of all the images, where the head reads it.

    Raises
    ------
    InputError
        The method does not go with the classifier, or there is no such layer.
    """
    model, layers = classifier.logits_module(magnification=magnification), stage_layers(classifier)
    if method == "auto":
        method = "grad-cam" if layers is None or layer else "linear"
    if layer is not None and method != "grad-cam":
        raise InputError(f"a layer is chosen for grad-cam, not for {method}", "--map grad-cam")
    # Two classes share one decision: their margin is what the score is.
    if method == "linear":
        if layers is None:
            raise InputError("linear contribution needs a linear head on frozen stage features", "--map grad-cam")
        return linear_contribution(model, images, targets, layers, score="margin").positive(_SMOOTH_PX)
    if method == "rollout":
        return attention_rollout(model, images, targets, last_block=_last_block(classifier), score="margin")
    if method == "occlusion":
        return occlusion(model, images, targets, score="margin")
    return grad_cam(model, images, targets, _named(classifier, model, layer), score="margin")


def explain_each(
    classifier: Classifier,
    images: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.intp],
    powers: Sequence[float | None],
    *,
    method: Method = "auto",
    layer: str | None = None,
) -> npt.NDArray[np.float32]:
    """Return where the classifier looked on images that have each its own magnification, shape (N, H, W).

    Parameters
    ----------
    classifier, images, targets, method, layer
        See `explain`.
    powers : sequence of float or None
        Magnification of each image; it counts where the classifier reads it.
    """
    if not classifier.reads_magnification:
        return explain(classifier, images, targets, method=method, layer=layer).maps
    one_by_one = [
        explain(classifier, images[k : k + 1], targets[k : k + 1], method=method, layer=layer, magnification=power).maps
        for k, power in enumerate(powers)
    ]
    return np.concatenate(one_by_one)


def _last_block(classifier: Classifier) -> int | None:
    """Return the last block that a frozen classifier's features come from; None for a fine-tuned one."""
    graph = classifier.graph
    return graph.features.stages[-1] if isinstance(graph, HeadOnStages) else None


def _named(classifier: Classifier, model: nn.Module, layer: str | None) -> str | None:
    """Return a layer's name within the model; it may be given as the network calls it."""
    network = token_network(model)
    if layer is None:
        return None if network is None else network.layer(_last_block(classifier))
    inside = "graph.features.module" if isinstance(classifier.graph, HeadOnStages) else "graph.networks.0"
    within = f"{inside}.{layer}"
    known = {name for name, _ in model.named_modules()}
    return layer if layer in known else within


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
    if rule.sizing == "mirror" or rule.crops:
        region = rule.window(micrograph)
    factor = _LONGEST_SIDE_PX / max(height, width)
    if factor < 1 and region is None:
        base = resize(base, (max(1, round(height * factor)), max(1, round(width * factor))))
    return overlay(base, cam, colormap, region=region)


def write_overlays(
    classifier: Classifier,
    jobs: Sequence[tuple[Micrograph, str, Path]],
    colormap: str,
    *,
    method: Method = "auto",
    layer: str | None = None,
    magnification: float | None = None,
) -> None:
    """Write a picture for each of a batch of micrographs.

    Parameters
    ----------
    jobs : sequence of (Micrograph, label, Path)
        What to explain, for which class, and where the PNG goes.
    colormap : str
    method, layer
        See `explain`.
    magnification : float, optional
        Of every micrograph, in place of what the file says.
    """
    images = np.stack([classifier.prepared(micrograph) for micrograph, _, _ in jobs])
    targets = np.array([classifier.classes.index(label) for _, label, _ in jobs], np.intp)
    powers = [magnification or micrograph.scale.magnification for micrograph, _, _ in jobs]
    maps = explain_each(classifier, images, targets, powers, method=method, layer=layer)
    for (micrograph, _, path), cam in zip(jobs, maps, strict=True):
        with atomic_write(path) as file:
            Image.fromarray(lay_over(classifier, micrograph, cam, colormap)).save(file, format="PNG")

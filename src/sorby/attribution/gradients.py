r"""Grad-CAM, and the exact decomposition of a linear head over mean and standard deviation.

Both read the activation :math:`A_k(x)` of a layer (channel k, position x of Z) and the gradient
:math:`g_k(x)` of the score, and split what they say to first order into two parts:

.. math::
    Z\,\bar g_k A_k(x) \quad\text{(mean part)}, \qquad
    Z\,(g_k(x) - \bar g_k)(A_k(x) - \bar A_k) \quad\text{(spread part)}.

The factor Z makes them densities: their *mean* over the positions is a share of the score, so layers of
different size add and peaks are in units of the score.

Grad-CAM [1]_ is the positive part of the mean part. For a head that pools by the mean it loses nothing: the
gradient is constant over the positions. For a head that pools by the standard deviation it sees nothing: the
gradient of a standard deviation, :math:`(A - \bar A)/(Z s)`, has zero mean. The spread part is then
:math:`w (A_k(x) - \bar A_k)^2 / s_k`, whose mean is :math:`w\,s_k`. As mean and standard deviation are both
homogeneous of degree one, the two parts together give the score up to its constants, exactly.

References
----------
.. [1] Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization,
   ICCV 2017.
.. [2] Zhou et al., Learning deep features for discriminative localization, CVPR 2016 (the case of one mean).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sorby.attribution.maps import Attribution, Contribution, ScoreKind
from sorby.attribution.taps import (
    Images,
    Reshape,
    Targets,
    as_batch,
    as_grid,
    borrowed,
    branch_layers,
    check_logits,
    input_size,
    last_conv_layer,
    resolve_targets,
    score_of,
    tapped,
    to_model,
)
from sorby.attribution.transformers import token_network, token_reshape
from sorby.errors import InputError


@dataclass(frozen=True, eq=False)
class _Read:
    """One batch: scores and targets (n,), and for each layer the mean and the spread part (n, h, w)."""

    scores: npt.NDArray[np.float64]
    targets: npt.NDArray[np.int64]
    mean_parts: list[Tensor]
    spread_parts: list[Tensor]


def grad_cam(
    model: nn.Module,
    images: Images,
    targets: Targets = None,
    layers: str | Sequence[str] | None = None,
    *,
    spread: bool = False,
    score: ScoreKind = "logit",
    reshape: Reshape | None = None,
    batch_size: int = 16,
) -> Attribution:
    """Grad-CAM: one forward and one backward pass for each image.

    Several layers that feed the head side by side are combined before the positive part is taken: their signed
    maps are brought to the finest of their grids and added. Each layer's gradient leaves out the paths through
    the other layers given, so nothing counts twice.

    Parameters
    ----------
    model : torch.nn.Module
        Returns logits (N, C). It is used in evaluation mode and left exactly as it was.
    images : ndarray or Tensor
        uint8 (N, H, W, 1 or 3), or normalised floating point (N, C, H, W).
    targets : int or array of int (N,), optional
        Classes to explain; the predicted ones when not given.
    layers : str or sequence of str, optional
        Layer names; when not given the last convolution, or for a vision transformer the last block's input as its
        attention receives it (see `sorby.attribution.transformers` for why not its output).
    spread : bool
        Add the spread part (see the module's notes). Grad-CAM as published has none and is blind to heads that
        pool by the standard deviation. With a head that only averages, it changes nothing at the layer averaged.
    score : {'logit', 'margin'}
        What to differentiate.
    reshape : callable, optional
        Brings the layers' outputs to (N, C, h, w), for example `token_grid()`; not needed for timm's vision
        transformers, whose grid is known.
    batch_size : int
        Images in a pass.

    Returns
    -------
    Attribution
        Maps at the input's resolution (bilinear). ``peaks`` are Z times those of the published formula.

    Raises
    ------
    InputError
        If a layer does not exist, has no map, or does not reach the score except through another one given.
    """
    names = _layer_names(model, layers)
    signed, reads = [], []
    batch = as_batch(images)
    for read in _read(model, batch, targets, names, reshape, score, batch_size):
        grids = [
            mean + extra if spread else mean for mean, extra in zip(read.mean_parts, read.spread_parts, strict=True)
        ]
        finest = max((_size(grid) for grid in grids), key=lambda size: size[0] * size[1])
        combined = torch.stack([_resize(grid, finest) for grid in grids]).sum(0)
        signed.append(_resize(combined.clamp_min(0), input_size(batch)).cpu().numpy())
        reads.append(read)
    return Attribution.from_signed(
        np.concatenate(signed),
        np.concatenate([read.targets for read in reads]),
        np.concatenate([read.scores for read in reads]),
        "Grad-CAM with spread" if spread else "Grad-CAM",
        names,
    )


def linear_contribution(
    model: nn.Module,
    images: Images,
    targets: Targets = None,
    layers: str | Sequence[str] | None = None,
    *,
    score: ScoreKind = "logit",
    reshape: Reshape | None = None,
    batch_size: int = 16,
) -> Contribution:
    """Take the score of a linear head apart by location, exactly.

    Exact for heads that are linear in the mean and the standard deviation over positions of *layers* (all of
    those which feed the head), standardised or not: a frozen backbone with a linear head, and any network that
    ends in global average pooling and one linear layer. For other heads it is first order, and ``rest`` differs
    between images. Interpolation to the input's size keeps each layer's mean (by a constant).

    Parameters
    ----------
    model, images, targets, score, reshape, batch_size
        As for `grad_cam`.
    layers : str or sequence of str, optional
        The pooled layers; the last convolution when not given, which is right only if that is what is pooled.

    Returns
    -------
    Contribution

    Raises
    ------
    InputError
        As for `grad_cam`.
    """
    names = _layer_names(model, layers)
    batch = as_batch(images)
    size = input_size(batch)
    maps, parts, rests, reads = [], [], [], []
    for read in _read(model, batch, targets, names, reshape, score, batch_size):
        pairs = list(zip(read.mean_parts, read.spread_parts, strict=True))
        part = torch.stack([torch.stack([half.double().mean((1, 2)) for half in pair], dim=1) for pair in pairs], dim=1)
        rest = read.scores - part.sum((1, 2)).cpu().numpy()
        total = torch.stack([_resize_keeping_mean(mean + extra, size) for mean, extra in pairs]).sum(0)
        maps.append((total.cpu().numpy() + rest[:, None, None]).astype(np.float32))
        parts.append(part.cpu().numpy())
        rests.append(rest)
        reads.append(read)
    return Contribution(
        maps=np.concatenate(maps),
        scores=np.concatenate([read.scores for read in reads]),
        rest=np.concatenate(rests),
        parts=np.concatenate(parts),
        targets=np.concatenate([read.targets for read in reads]),
        layers=names,
    )


def _layer_names(model: nn.Module, layers: str | Sequence[str] | None) -> tuple[str, ...]:
    if layers is None:
        if side_by_side := branch_layers(model):
            return side_by_side
        network = token_network(model)
        return (last_conv_layer(model) if network is None else network.layer(),)
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not names or len(set(names)) != len(names):
        raise InputError("name at least one layer, and each once")
    return names


def _read(
    model: nn.Module,
    batch: Tensor,
    targets: Targets,
    names: tuple[str, ...],
    reshape: Reshape | None,
    score: ScoreKind,
    batch_size: int,
) -> Iterator[_Read]:
    """Mean and spread parts of every layer, one batch after the other."""
    wanted = resolve_targets(targets, len(batch))
    reshape = reshape or token_reshape(model)
    for start in range(0, len(batch), batch_size):
        chosen = slice(start, start + batch_size)
        images = to_model(batch[chosen], model)
        with borrowed(model), tapped(model, names) as leaves:
            logits = check_logits(model(images), len(images))
            target = logits.argmax(1) if wanted is None else torch.from_numpy(wanted[chosen]).to(logits.device)
            scores = score_of(logits, target, score)
            gradients = _gradients(scores, leaves, names)
        mean_parts, spread_parts = [], []
        for name, gradient in zip(names, gradients, strict=True):
            mean, spread = _parts(as_grid(leaves[name].detach(), name, reshape), as_grid(gradient, name, reshape))
            mean_parts.append(mean)
            spread_parts.append(spread)
        yield _Read(scores.detach().double().cpu().numpy(), target.cpu().numpy(), mean_parts, spread_parts)


def _gradients(scores: Tensor, leaves: dict[str, Tensor], names: tuple[str, ...]) -> list[Tensor]:
    """Gradient of each image's score in each layer; images are independent in evaluation mode."""
    absent = [name for name in names if name not in leaves]
    if absent:
        raise InputError(f"layer {absent[0]!r} does not run in a forward pass")
    # Without any path the scores are constants to autograd, which would only complain.
    found: Sequence[Tensor | None] = [None] * len(names)
    if scores.requires_grad:
        found = torch.autograd.grad(scores.sum(), [leaves[name] for name in names], allow_unused=True)
    gradients = []
    for name, gradient in zip(names, found, strict=True):
        if gradient is None:
            raise InputError(
                f"layer {name!r} does not reach the score, or only through another layer given",
                "give one layer, or layers that feed the head side by side",
            )
        if not bool(torch.isfinite(gradient).all()):
            raise InputError(
                f"the gradient at layer {name!r} is not finite",
                "a square root of a zero variance does this: use torch.std, or add a small constant",
            )
        gradients.append(gradient)
    return gradients


def _parts(activation: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread part (n, h, w) from activation and gradient (n, C, h, w); see the module's notes."""
    positions = activation.shape[2] * activation.shape[3]
    mean_gradient = gradient.mean((2, 3), keepdim=True)
    centred = activation - activation.mean((2, 3), keepdim=True)
    mean_part = positions * (mean_gradient * activation).sum(1)
    spread_part = positions * ((gradient - mean_gradient) * centred).sum(1)
    return mean_part, spread_part


def _size(maps: Tensor) -> tuple[int, int]:
    return int(maps.shape[1]), int(maps.shape[2])


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear interpolation of (n, h, w) maps, pixel centres aligned as in images."""
    if _size(maps) == size:
        return maps
    return interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def _resize_keeping_mean(maps: Tensor, size: tuple[int, int]) -> Tensor:
    resized = _resize(maps, size)
    shift = maps.double().mean((1, 2)) - resized.double().mean((1, 2))
    return resized + shift[:, None, None]

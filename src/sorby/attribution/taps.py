"""Reading inside a network without leaving a trace: layers by name, hooks, token grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sorby.attribution.maps import FloatArray, ScoreKind
from sorby.backbone.surface_networks import SurfaceNetwork
from sorby.errors import InputError

Images = npt.NDArray[Any] | Tensor
"""uint8 (N, H, W, 1 or 3) raw images, or floating point (N, C, H, W) already normalised."""

Targets = npt.ArrayLike | None
"""One class for all, one class an image, or None for the predicted ones."""

Reshape = Callable[[Tensor], Tensor]
"""Turns a layer's output into (N, C, h, w)."""


@dataclass(frozen=True)
class LayerInfo:
    """A layer whose output is a map.

    Attributes
    ----------
    name : str
        As in ``model.named_modules()``.
    kind : str
        Class name of the module.
    shape : tuple of int or None
        Output shape without the batch axis, (C, h, w) or (tokens, D); None when the model was not run.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None = None


# -- images and scores ------------------------------------------------------------------------------------------


def as_batch(images: Images) -> Tensor:
    """Check *images* and return them as a tensor.

    Raises
    ------
    InputError
        If they are neither uint8 (N, H, W, 1 or 3) nor floating point (N, C, H, W), or none are given.
    """
    batch = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    fits = batch.ndim == 4 and batch.shape[0] > 0
    fits = fits and (batch.shape[3] in (1, 3) if batch.dtype == torch.uint8 else batch.dtype.is_floating_point)
    if not fits:
        raise InputError(
            f"images of type {batch.dtype} and shape {tuple(batch.shape)} cannot be attributed",
            "give uint8 N x H x W x 1 or 3, or normalised floating point N x C x H x W",
        )
    return batch


def input_size(batch: Tensor) -> tuple[int, int]:
    """Height and width in pixels of a checked batch."""
    height, width = batch.shape[1:3] if batch.dtype == torch.uint8 else batch.shape[2:4]
    return int(height), int(width)


def to_model(batch: Tensor, model: nn.Module) -> Tensor:
    """Bring *batch* to the device of *model*, and a floating batch to its precision."""
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            dtype = tensor.dtype if batch.is_floating_point() else batch.dtype
            return batch.to(device=tensor.device, dtype=dtype)
    return batch.float() if batch.is_floating_point() else batch


def resolve_targets(targets: Targets, n: int) -> npt.NDArray[np.int64] | None:
    """Spread *targets* over n images; None stays None (the predicted classes)."""
    if targets is None:
        return None
    given = np.asarray(targets)
    if given.dtype.kind not in "iu" or given.shape not in ((), (1,), (n,)):
        raise InputError(f"targets must be one class number, or one for each of the {n} images")
    return np.broadcast_to(given, (n,)).astype(np.int64)


def check_logits(logits: Tensor, n: int) -> Tensor:
    """Return *logits* if they are (n, C); otherwise say what came instead."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != n:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the model must return logits of shape ({n}, classes), not {found}")
    return logits


def score_of(logits: Tensor, targets: Tensor, kind: ScoreKind) -> Tensor:
    """Score (N,) of each image's target class from logits (N, C); see `ScoreKind`."""
    n_classes = logits.shape[1]
    if bool(((targets < 0) | (targets >= n_classes)).any()):
        raise InputError(f"a target lies outside the model's {n_classes} classes")
    own = logits.gather(1, targets[:, None])[:, 0]
    if kind == "logit":
        return own
    if kind != "margin":
        raise InputError(f"unknown score {kind!r}", "use 'logit' or 'margin'")
    if n_classes < 2:
        raise InputError("a margin needs at least two classes", "use score='logit'")
    return own - (logits.sum(1) - own) / (n_classes - 1)


# -- borrowing a model ------------------------------------------------------------------------------------------


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Lend a model in evaluation mode with frozen parameters; afterwards every flag is as it was.

    Frozen parameters keep the graph short: it then begins at the tapped layer, not at the input.
    """
    training = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in wanted:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in wanted:
            parameter.requires_grad_(flag)


@contextmanager
def tapped(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Cut the graph at the named layers and keep their outputs as leaves, filled by the next forward pass.

    Every tap is a cut: gradients of a leaf follow the paths that meet no later tap, so that contributions of
    several layers add up without counting anything twice.
    """
    leaves: dict[str, Tensor] = {}

    def tap(name: str) -> Callable[[nn.Module, Any, Any], Tensor]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor):
                raise InputError(f"layer {name!r} returns {type(output).__name__}, not a tensor")
            if name in leaves:
                raise InputError(f"layer {name!r} runs more than once in a pass", "name a layer that runs once")
            leaf = output.detach().requires_grad_(True)
            leaves[name] = leaf
            # A clone, because a following in-place activation may not write into the leaf; with gradients on,
            # because a frozen backbone may run under no_grad although its pooling does not.
            with torch.enable_grad():
                return leaf.clone()

        return hook

    # First in line, so that a network's own hooks (timm's feature hooks) see the tapped output.
    handles = [submodule(model, name).register_forward_hook(tap(name), prepend=True) for name in dict.fromkeys(names)]
    try:
        yield leaves
    finally:
        for handle in handles:
            handle.remove()


def submodule(model: nn.Module, name: str) -> nn.Module:
    """Return the layer called *name*, or raise `InputError` with what to do."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise InputError(
            f"the model has no layer {name!r}", "sorby.attribution.layers(model, images) lists them"
        ) from None


def as_grid(output: Tensor, name: str, reshape: Reshape | None) -> Tensor:
    """Bring a layer's output (or its gradient) to float32 (N, C, h, w)."""
    grid = output if reshape is None else reshape(output)
    if grid.ndim != 4:
        raise InputError(
            f"layer {name!r} returns shape {tuple(grid.shape)}, not N x C x h x w",
            "for a transformer give reshape=token_grid(...)",
        )
    return grid.float()


def token_grid(prefix_tokens: int = 1, grid: tuple[int, int] | None = None) -> Reshape:
    """Make a function that lays tokens (N, T, D) out as maps (N, D, h, w).

    With class-token pooling the last block's patch tokens no longer reach the logits: read the input of its
    attention instead (``blocks.11.norm1`` in timm), as `sorby.attribution.transformers` does.

    Parameters
    ----------
    prefix_tokens : int
        Class, distillation and register tokens in front, which have no place in the image.
    grid : (int, int), optional
        Rows and columns of patches; a square when not given.

    Returns
    -------
    callable
        Raises `InputError` when the tokens do not fill the grid.
    """

    def reshape(tokens: Tensor) -> Tensor:
        if tokens.ndim != 3:
            raise InputError(f"tokens must have shape N x T x D, not {tuple(tokens.shape)}")
        n, total, width = tokens.shape
        count = total - prefix_tokens
        rows, columns = grid or (round(max(count, 0) ** 0.5),) * 2
        if count < 1 or rows * columns != count:
            raise InputError(
                f"{total} tokens less {prefix_tokens} in front do not fill a grid of {rows} x {columns}",
                "give token_grid(prefix_tokens, grid=(rows, columns))",
            )
        return tokens[:, prefix_tokens:].transpose(1, 2).reshape(n, width, rows, columns)

    return reshape


# -- finding and viewing layers ---------------------------------------------------------------------------------


def layers(model: nn.Module, images: Images | None = None) -> list[LayerInfo]:
    """List the layers whose output can carry a map.

    Parameters
    ----------
    model : torch.nn.Module
    images : optional
        One image is enough. With it, every module that returns N x C x h x w (larger than 1 x 1) or N x T x D
        is listed, blocks and stages included, in the order in which they finish. Without it, the convolutions
        in the order in which they were registered, which is not always the order in which they run.

    Returns
    -------
    list of LayerInfo
    """
    if images is None:
        return [
            LayerInfo(name, type(module).__name__)
            for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d)
        ]
    found: dict[str, LayerInfo] = {}

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            is_map = output.ndim == 4 and output.shape[2] * output.shape[3] > 1
            if is_map or (output.ndim == 3 and output.shape[1] > 1):
                found[name] = LayerInfo(name, type(module).__name__, tuple(output.shape[1:]))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        with borrowed(model), torch.no_grad():
            model(to_model(as_batch(images)[:1], model))
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def last_conv_layer(model: nn.Module, images: Images | None = None) -> str:
    """Name of the last convolution, where Grad-CAM is usually read.

    Parameters
    ----------
    model : torch.nn.Module
    images : optional
        As for `layers`: with an image it is the last convolution that *runs* and has more than one position.

    Raises
    ------
    InputError
        If there is none (a transformer, for example).
    """
    names = [layer.name for layer in layers(model, images) if isinstance(model.get_submodule(layer.name), nn.Conv2d)]
    if not names:
        raise InputError("the model has no convolution with a map", "name a layer; layers(model, images) lists them")
    return names[-1]


def branch_layers(model: nn.Module) -> tuple[str, ...]:
    """Name the last convolution of each branch of a surface network within *model*; nothing for other networks."""
    return tuple(
        f"{name}.{layer}".lstrip(".")
        for name, module in model.named_modules()
        if isinstance(module, SurfaceNetwork)
        for layer in module.map_layers
    )


def activations(model: nn.Module, images: Images, layer: str, *, reshape: Reshape | None = None) -> FloatArray:
    """Return a layer's output for *images*, for viewing channel by channel.

    Parameters
    ----------
    model : torch.nn.Module
    images : ndarray or Tensor
        In one pass; keep N small for early layers.
    layer : str
    reshape : callable, optional
        As for `grad_cam`.

    Returns
    -------
    ndarray of float32, shape (N, C, h, w)

    Raises
    ------
    InputError
        If the layer does not exist, does not run, or returns no map.
    """
    batch = as_batch(images)
    with borrowed(model), tapped(model, [layer]) as leaves, torch.no_grad():
        model(to_model(batch, model))
        if layer not in leaves:
            raise InputError(f"layer {layer!r} does not run in a forward pass")
        grid: FloatArray = as_grid(leaves[layer].detach(), layer, reshape).cpu().numpy()
    return grid

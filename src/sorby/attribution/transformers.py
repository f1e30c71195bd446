r"""Maps of vision transformers: which layer Grad-CAM reads, and attention rollout.

A head that reads the class token only leaves the last block's patch tokens without a gradient: nothing after that
block looks at them. Inside the last block attention still does, so Grad-CAM reads the block's input as its attention
receives it, after the first norm (``blocks.11.norm1`` in a ViT-B or ViT-S). With average pooling the same layer
serves; the class token's place is left out of the map either way.

Attention rollout [1]_ asks another question: from which patches the token that is read gathers, whatever the class.
With :math:`A_l` the attention of block l, averaged over its heads,

.. math::
    R_l = \tfrac12 (A_l + I)\, R_{l-1}, \qquad R_0 = I,

the half-and-half standing for the residual connection, and the map is the class token's row of the last
:math:`R_l` (the mean row of the patch tokens where these are averaged). Gradients play no part in it: it says where
information can have come from, not that the class was decided there.

References
----------
.. [1] Abnar and Zuidema, Quantifying attention flow in transformers, ACL 2020.
.. [2] Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sorby.attribution.maps import Attribution, ScoreKind
from sorby.attribution.taps import (
    Images,
    Reshape,
    Targets,
    as_batch,
    borrowed,
    check_logits,
    input_size,
    resolve_targets,
    score_of,
    to_model,
    token_grid,
)
from sorby.errors import InputError

Fusion = Literal["mean", "max", "min"]


@dataclass(frozen=True, eq=False)
class TokenNetwork:
    """A vision transformer inside a model.

    Attributes
    ----------
    name : str
        Where it lies in the model; empty where it is the model itself.
    module : torch.nn.Module
        With timm's attributes ``blocks``, ``patch_embed.grid_size`` and ``num_prefix_tokens``.
    """

    name: str
    module: nn.Module

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        rows, columns = cast(Any, self.module).patch_embed.grid_size
        return int(rows), int(columns)

    @property
    def prefix_tokens(self) -> int:
        """Class, distillation and register tokens in front of the patches."""
        return int(cast(Any, self.module).num_prefix_tokens)

    @property
    def depth(self) -> int:
        """Blocks."""
        return len(cast(Any, self.module).blocks)

    @property
    def reads_class_token(self) -> bool:
        """Whether its embedding is the class token, not a mean over patches."""
        return getattr(self.module, "global_pool", "token") == "token" and self.prefix_tokens > 0

    def layer(self, block: int | None = None) -> str:
        """Return the name of a block's input as its attention receives it; the last block's when none is given.

        Raises
        ------
        InputError
            There is no such block.
        """
        number = self.depth - 1 if block is None else block
        if not 0 <= number < self.depth:
            raise InputError(f"the network has no block {number}", f"its blocks: 0 to {self.depth - 1}")
        return ".".join(part for part in (self.name, f"blocks.{number}.norm1") if part)


def token_network(model: nn.Module) -> TokenNetwork | None:
    """Return the first vision transformer inside *model* (the model itself counts), or None."""
    for name, module in model.named_modules():
        patches = getattr(module, "patch_embed", None)
        if isinstance(getattr(module, "blocks", None), nn.Module) and hasattr(module, "num_prefix_tokens"):
            grid = getattr(patches, "grid_size", None)
            if grid is not None and isinstance(module.num_prefix_tokens, int):
                return TokenNetwork(name, module)
    return None


def token_reshape(model: nn.Module) -> Reshape | None:
    """Return what lays the tokens of *model* out as maps and lets maps pass; None for a model without tokens."""
    network = token_network(model)
    if network is None:
        return None
    lay_out = token_grid(network.prefix_tokens, network.grid)

    def reshape(output: Tensor) -> Tensor:
        return lay_out(output) if output.ndim == 3 else output

    return reshape


# -- attention rollout ------------------------------------------------------------------------------------------


def attention_rollout(
    model: nn.Module,
    images: Images,
    targets: Targets = None,
    *,
    fusion: Fusion = "mean",
    last_block: int | None = None,
    score: ScoreKind = "logit",
    batch_size: int = 16,
) -> Attribution:
    """Attention rollout: from which patches the token that is read gathers. It knows no class.

    Parameters
    ----------
    model : torch.nn.Module
        Returns logits (N, C) and holds a timm vision transformer; left exactly as it was.
    images : ndarray or Tensor
        uint8 (N, H, W, 1 or 3), or normalised floating point (N, C, H, W).
    targets : int or array of int (N,), optional
        Whose scores are reported; the maps do not depend on them.
    fusion : {'mean', 'max', 'min'}
        How the heads of a block are put together; the source takes the mean.
    last_block : int, optional
        The block whose output is read; the last one when not given.
    score : {'logit', 'margin'}
    batch_size : int

    Returns
    -------
    Attribution
        Maps at the input's resolution (bilinear); ``peaks`` are shares of the attention times the number of patches:
        1 is an even spread.

    Raises
    ------
    InputError
        The model holds no such transformer, or its attention cannot be read.
    """
    network = token_network(model)
    if network is None:
        raise InputError("the model is no vision transformer: it has no attention to roll out", "use Grad-CAM")
    depth = network.depth if last_block is None else last_block + 1
    if not 1 <= depth <= network.depth:
        raise InputError(f"the network has no block {last_block}", f"its blocks: 0 to {network.depth - 1}")
    batch = as_batch(images)
    wanted = resolve_targets(targets, len(batch))
    maps, scores, classes = [], [], []
    for start in range(0, len(batch), batch_size):
        chosen = slice(start, start + batch_size)
        pictures = to_model(batch[chosen], model)
        with borrowed(model), torch.no_grad(), _attentions(network, depth, fusion) as rolled:
            logits = check_logits(model(pictures), len(pictures))
        target = logits.argmax(1) if wanted is None else torch.from_numpy(wanted[chosen]).to(logits.device)
        if rolled.gathered is None:
            raise InputError("the attention of this network could not be read", "use Grad-CAM")
        maps.append(_map_of(rolled.gathered, network, input_size(batch)).cpu().numpy())
        scores.append(score_of(logits, target, score).double().cpu().numpy())
        classes.append(target.cpu().numpy())
    name = "attention rollout" if fusion == "mean" else f"attention rollout, {fusion} of the heads"
    layers = (".".join(part for part in (network.name, f"blocks.{depth - 1}.attn") if part),)
    return Attribution.from_signed(
        np.concatenate(maps), np.concatenate(classes).astype(np.int64), np.concatenate(scores), name, layers
    )


def _map_of(gathered: Tensor, network: TokenNetwork, size: tuple[int, int]) -> Tensor:
    """Return the maps (n, H, W) from what every token has gathered (n, T, T)."""
    first = network.prefix_tokens
    row = gathered[:, 0] if network.reads_class_token else gathered[:, first:].mean(1)
    patches = row[:, first:]
    rows, columns = network.grid
    grid = patches.reshape(-1, 1, rows, columns) * patches.shape[1]
    return interpolate(grid, size=size, mode="bilinear", align_corners=False)[:, 0]


class _Rolled:
    """The product of the blocks' attention so far, shape (n, T, T)."""

    def __init__(self) -> None:
        self.gathered: Tensor | None = None

    def take(self, attention: Tensor) -> None:
        """Multiply one more block's attention (n, T, T) on, half of it the residual connection."""
        identity = torch.eye(attention.shape[1], device=attention.device, dtype=attention.dtype)
        mixed = (attention + identity) / 2
        mixed = mixed / mixed.sum(-1, keepdim=True)  # maxima and minima over heads do not sum to one
        self.gathered = mixed if self.gathered is None else mixed @ self.gathered


@contextmanager
def _attentions(network: TokenNetwork, depth: int, fusion: Fusion) -> Iterator[_Rolled]:
    """Collect the attention of the first *depth* blocks during a forward pass.

    Fused kernels never form it, so it is computed again from the queries and keys that the block has just made.
    """
    rolled = _Rolled()

    def listen(attention: Any) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            rolled.take(_fused(_weights(attention, output), fusion))

        return hook

    handles = []
    try:
        for block in list(cast(Any, network.module).blocks)[:depth]:
            attention = getattr(block, "attn", None)
            needed = ("qkv", "num_heads", "head_dim", "scale", "q_norm", "k_norm")
            if not all(hasattr(attention, part) for part in needed):
                kind = type(attention).__name__
                raise InputError(f"the attention of this network ({kind}) cannot be read", "use Grad-CAM")
            handles.append(cast(Any, attention).qkv.register_forward_hook(listen(attention)))
        yield rolled
    finally:
        for handle in handles:
            handle.remove()


def _weights(attention: Any, qkv: Tensor) -> Tensor:
    """Return the attention (n, heads, T, T) of a block from its queries, keys and values (n, T, 3 D)."""
    n, tokens = qkv.shape[:2]
    parts = qkv.float().reshape(n, tokens, 3, attention.num_heads, attention.head_dim).permute(2, 0, 3, 1, 4)
    queries, keys = attention.q_norm(parts[0]), attention.k_norm(parts[1])
    found: Tensor = ((queries * attention.scale) @ keys.transpose(-2, -1)).softmax(-1)
    return found


def _fused(attention: Tensor, fusion: Fusion) -> Tensor:
    """Put the heads of (n, heads, T, T) together."""
    if fusion == "mean":
        return attention.mean(1)
    if fusion not in ("max", "min"):
        raise InputError(f"unknown fusion {fusion!r}", "use 'mean', 'max' or 'min'")
    return attention.amax(1) if fusion == "max" else attention.amin(1)

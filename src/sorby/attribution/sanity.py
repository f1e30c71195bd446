"""The randomisation check: do the maps depend on what the model learned?

References
----------
.. [1] Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import nn

from sorby.attribution.gradients import grad_cam
from sorby.attribution.maps import Attribution, FloatArray
from sorby.attribution.taps import Images, Reshape, Targets, submodule
from sorby.errors import InputError

Explain = Callable[[nn.Module, Images, npt.NDArray[np.int64] | None], Attribution]
"""Model, images, targets to maps."""


def randomisation_check(
    model: nn.Module,
    images: Images,
    targets: Targets = None,
    layers: str | Sequence[str] | None = None,
    seed: int = 0,
    *,
    explain: Explain | None = None,
    classifier: str | None = None,
    reshape: Reshape | None = None,
    repeats: int = 3,
    limit: float = 0.5,
) -> dict[str, Any]:
    """Compare maps before and after shuffling the weights of the classifier, and of the whole network.

    Each weight tensor keeps its values and loses their order, so their distribution stays what it was. A map
    that stays the same shows the image (its edges, its bright places), not what the model learned [1]_.

    The check passes if, for both shufflings, the mean Spearman rank correlation over images and repeats is at
    most *limit*. The mean SSIM is reported beside it, without a limit: on smooth maps it depends mostly on how
    much of the image is lit. A map that is blank after shuffling counts as uncorrelated.

    Parameters
    ----------
    model : torch.nn.Module
        Is copied; the given one is not changed.
    images : ndarray or Tensor
        uint8 (N, H, W, 1 or 3), or normalised floating point (N, C, H, W); some ten images are enough.
    targets : int or array of int (N,), optional
        Classes to explain; the ones the *unshuffled* model predicts when not given.
    layers : str or sequence of str, optional
        For Grad-CAM; the last convolution when not given.
    seed : int
        Of the shuffling.
    explain : callable, optional
        ``explain(model, images, targets) -> Attribution``, to check another method than Grad-CAM.
    classifier : str, optional
        Name of the module that holds the classifier; the last linear layer when not given.
    reshape : callable, optional
        As for `grad_cam`.
    repeats : int
        Shufflings of each kind. One is not enough: a single shuffled head may by chance agree with the old one.
    limit : float
        Largest mean rank correlation that passes.

    Returns
    -------
    dict
        ``passed``, ``limit``, ``method``, ``n`` (images compared), ``repeats``, ``seed``, ``classifier_name``, and for
        each of ``classifier`` and ``network``: ``spearman``, ``ssim`` (means), ``blank`` (share of shuffled maps
        without any evidence).

    Raises
    ------
    InputError
        If every map is blank already before shuffling, if a shuffled network gives no finite maps, or if the
        model has no linear layer and none is named.
    """
    name = classifier or _last_linear(model)
    submodule(model, name)  # a wrong name fails here, before the first pass
    if explain is None:

        def explain(network: nn.Module, pictures: Images, classes: npt.NDArray[np.int64] | None) -> Attribution:
            return grad_cam(network, pictures, classes, layers, reshape=reshape)

    given = None if targets is None else np.asarray(targets)
    before = explain(model, images, given)
    lit = ~before.blank
    if not lit.any():
        raise InputError("every map is blank before shuffling: nothing to compare", "choose another layer or target")

    result: dict[str, Any] = {
        "method": before.method,
        "layers": list(before.layers),
        "n": int(lit.sum()),
        "repeats": repeats,
        "seed": seed,
        "limit": limit,
        "classifier_name": name,
    }
    for kind, part in (("classifier", name), ("network", "")):
        generator = torch.Generator().manual_seed(seed)
        correlations, similarities, blanks = [], [], []
        for _ in range(repeats):
            shuffled = copy.deepcopy(model)
            _shuffle(shuffled.get_submodule(part), generator)
            try:
                after = explain(shuffled, images, before.targets)
            except InputError as error:  # the same call has just worked with the weights in order
                raise InputError(f"no maps with the {kind} shuffled: {error.message}") from error
            correlations.append(_spearman(before.maps[lit], after.maps[lit]))
            similarities.append(_ssim(before.maps[lit], after.maps[lit]))
            blanks.append(after.blank[lit])
        result[kind] = {
            "spearman": float(np.mean(correlations)),
            "ssim": float(np.mean(similarities)),
            "blank": float(np.mean(blanks)),
        }
    result["passed"] = all(result[kind]["spearman"] <= limit for kind in ("classifier", "network"))
    return result


def _last_linear(model: nn.Module) -> str:
    names: list[str] = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise InputError("the model has no linear layer", "name its classifier: classifier='...'")
    return names[-1]


def _shuffle(module: nn.Module, generator: torch.Generator) -> None:
    """Permute the entries of every floating-point parameter and buffer of *module*, in place."""
    with torch.no_grad():
        for tensor in chain(module.parameters(), module.buffers()):
            if tensor.is_floating_point():
                order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
                tensor.copy_(tensor.flatten()[order].view_as(tensor))


def _spearman(first: FloatArray, second: FloatArray) -> npt.NDArray[np.float64]:
    """Rank correlation of each pair of maps, shape (N,); 0 where either map is constant."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    one, other = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    norm = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return np.asarray((one * other).sum(1) / np.where(norm > 0, norm, 1), dtype=np.float64)


def _ssim(first: FloatArray, second: FloatArray) -> npt.NDArray[np.float64]:
    """Structural similarity of each pair of maps, shape (N,), data range 1."""
    from skimage.metrics import structural_similarity

    window = min(7, *first.shape[1:])
    window -= 1 - window % 2
    return np.array(
        [
            structural_similarity(one, other, data_range=1.0, win_size=window)
            for one, other in zip(first, second, strict=True)
        ]
    )

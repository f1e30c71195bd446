"""Where the classifier looked on a handful of images, and whether such maps can be believed at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.attribution import Attribution, grad_cam, linear_contribution, randomisation_check
from sorby.errors import InputError

SMOOTH_PX = 8.0  # squared deviations of an early stage are spiky; each stands for a receptive field, not a pixel
_CHECKED = 6  # images in the randomisation check
_REFERENCES = 8  # images whose mean map is what "usual" means

Uint8Batch = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Attention:
    """Maps of some images with what is needed to judge them.

    Attributes
    ----------
    maps : ndarray of float32, shape (N, H, W)
        0 to 1 of each map's own peak; all zero where nothing speaks for the class.
    targets : ndarray of int64, shape (N,)
        The class each map explains.
    method : str
        What was computed, in words.
    check : dict or None
        Result of the randomisation check; None where it could not be made.
    problem : str
        Why there is no check; empty otherwise.
    """

    maps: npt.NDArray[np.float32]
    targets: Codes
    method: str
    check: dict[str, Any] | None
    problem: str = ""

    @property
    def believable(self) -> bool:
        """Whether the check was made and passed."""
        return self.check is not None and bool(self.check["passed"])


def look(
    model: Any, images: Uint8Batch, targets: Codes, layers: Sequence[str] | None, references: Uint8Batch, seed: int = 0
) -> Attention:
    """Compute the maps of *images* and hold the method against shuffled weights.

    With *layers* (a head that is linear in their means and spreads) each score is taken apart exactly, against the
    mean of the reference images: what all images share, the border above all, says nothing about one of them.
    Without, it is Grad-CAM at the last convolution, or before the last block's attention.

    Parameters
    ----------
    model : torch.nn.Module
        uint8 images (N, H, W, C) to logits (N, classes).
    images : ndarray of uint8, shape (N, H, W, C)
    targets : ndarray of int, shape (N,)
        Classes to explain.
    layers : sequence of str, optional
    references : ndarray of uint8, shape (M, H, W, C)
        Ordinary images of all classes; the first few are used.
    seed : int
        Of the shuffling.

    Raises
    ------
    InputError
        The architecture has no layer that carries a map.
    """
    usual = references[:_REFERENCES]

    def explain(network: Any, pictures: Any, classes: Codes | None) -> Attribution:
        if layers is None:
            return grad_cam(network, pictures, classes, score="margin")
        found = linear_contribution(network, pictures, classes, layers, score="margin")
        for_each = [
            linear_contribution(network, usual, int(target), layers, score="margin")
            for target in np.unique(found.targets)
        ]
        return (found.relative_to(*for_each) if len(usual) else found).positive(SMOOTH_PX)

    found = explain(model, images, targets)
    method = f"Grad-CAM at layer {found.layers[0]}" if found.layers else "Grad-CAM"
    if layers is not None:
        compared = f", less the mean of {len(usual)} other test images" if len(usual) else ""
        method = f"exact share of each place in the score{compared}, smoothed by {SMOOTH_PX:g} px"
    chosen = _few(found.targets, np.flatnonzero(~found.blank))
    if not len(chosen):
        return Attention(found.maps, found.targets, method, None, "no map shows anything")
    try:
        check = randomisation_check(model, images[chosen], targets[chosen], seed=seed, explain=explain, repeats=2)
    except InputError as error:
        return Attention(found.maps, found.targets, method, None, error.message)
    return Attention(found.maps, found.targets, method, check)


def _few(targets: Codes, candidates: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Choose images of few classes for the check: each class costs a pass over the references."""
    kinds, counts = np.unique(targets[candidates], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    chosen = np.concatenate([candidates[targets[candidates] == kinds[k]] for k in order]) if len(kinds) else candidates
    return chosen[:_CHECKED]

"""Two images of a batch made into one: blended (Mixup) or patched (CutMix), labels in the same shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sorby.classify.recipe import FinetuneSection


@dataclass(frozen=True, eq=False)
class Mixed:
    """A batch whose images are each made of two.

    Attributes
    ----------
    images : Tensor of float32, shape (N, H, W, C)
        Pixels from 0 to 255.
    partner : Tensor of int64, shape (N,)
        Which image of the batch the second one is.
    share : float
        How much of each image, and of its label, is the first one's.
    """

    images: torch.Tensor
    partner: torch.Tensor
    share: float


def mix(images: torch.Tensor, section: FinetuneSection, rng: np.random.Generator) -> Mixed | None:
    """Make pairs of a batch, or return None for a batch that stays as it is.

    Image k is paired with the k-th from the end. One share is drawn for the whole batch, from Beta(a, a).

    Parameters
    ----------
    images : Tensor of uint8, shape (N, H, W, C)
    section : FinetuneSection
        ``mixup`` and ``cutmix`` are the parameters a (Zhang et al. 2018; Yun et al. 2019).
    rng : numpy Generator
    """
    if not section.mixes or len(images) < 2 or rng.random() >= section.mix_probability:
        return None
    partner = torch.arange(len(images) - 1, -1, -1, device=images.device)
    patched = section.cutmix > 0 and (section.mixup == 0 or rng.random() < section.mix_switch)
    parameter = section.cutmix if patched else section.mixup
    share = float(rng.beta(parameter, parameter))
    pixels = images.float()
    if not patched:
        return Mixed(share * pixels + (1 - share) * pixels[partner], partner, share)
    top, bottom, left, right = _box(int(images.shape[1]), int(images.shape[2]), share, rng)
    changed = pixels.clone()
    changed[:, top:bottom, left:right] = pixels[partner, top:bottom, left:right]
    area = (bottom - top) * (right - left) / (images.shape[1] * images.shape[2])
    return Mixed(changed, partner, 1 - area)  # what the border cut off counts: labels follow the pixels


def _box(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of a box about a random centre, cut off at the image's border."""
    side = np.sqrt(1 - share)
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    y, x = int(rng.integers(height)), int(rng.integers(width))
    return max(0, y - half_height), min(height, y + half_height), max(0, x - half_width), min(width, x + half_width)

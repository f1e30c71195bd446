"""Teaching the small segmenter from patches and their masks; deterministic for a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sorby.errors import InputError
from sorby.measure.segmenter_network import SmallUNet, overlap_loss

UInt8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SegmenterSettings:
    """How the segmenter learns.

    Attributes
    ----------
    crop_px : int
        Side of the random crops.
    epochs : int
        An epoch shows as many pixels as the patches have.
    batch : int
        Crops a step.
    learning_rate : float
        Largest; it rises for a tenth of the steps and falls along a cosine.
    brightness, contrast : float
        Grey levels of random offset; random factor is within ``1 +- contrast``.
    seed : int
    """

    crop_px: int = 128
    epochs: int = 30
    batch: int = 16
    learning_rate: float = 3e-3
    brightness: float = 25.0
    contrast: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crop_px % 8 or self.crop_px < 32:
            raise InputError(f"crop_px {self.crop_px} must divide by 8 and be at least 32", "128 is usual")
        if min(self.epochs, self.batch) < 1:
            raise InputError("epochs and batch must be at least 1", "30 and 16 are usual")


def train_segmenter(
    images: Sequence[UInt8],
    masks: Sequence[Mask],
    settings: SegmenterSettings | None = None,
    progress: Callable[[int], Any] | None = None,
) -> SmallUNet:
    """Teach a segmenter.

    Parameters
    ----------
    images : sequence of ndarray, (H, W, 3), uint8
        Of any size; smaller ones than a crop are mirrored out.
    masks : sequence of ndarray of bool, (H, W)
        True where the labels mark.
    settings : SegmenterSettings, optional
    progress : callable, optional
        Called with the steps just done.

    Returns
    -------
    SmallUNet
        In evaluation mode.

    Raises
    ------
    InputError
        No patches, a mask of another size than its image, or nothing marked in any of them.
    """
    settings = settings or SegmenterSettings()
    check_pairs(images, masks)
    rng = np.random.default_rng(settings.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = SmallUNet().to(memory_format=torch.channels_last)
    ready = [_at_least(image, mask, settings.crop_px) for image, mask in zip(images, masks, strict=True)]
    share = np.array([mask.size for _, mask in ready], np.float64)
    share /= share.sum()
    steps = steps_of(masks, settings)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    network.train()
    for _ in range(steps):
        chosen = rng.choice(len(ready), settings.batch, p=share)
        crops = [_augmented(ready[k][0], ready[k][1], settings, rng) for k in chosen]
        pictures = torch.from_numpy(np.stack([crop for crop, _ in crops]))
        truth = torch.from_numpy(np.stack([mask for _, mask in crops]).astype(np.float32))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network.logits(pictures)
        loss = overlap_loss(logits.float(), truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(1)
    return network.eval()


def steps_of(masks: Sequence[Mask], settings: SegmenterSettings) -> int:
    """Return how many steps a training takes."""
    pixels = sum(max(mask.size, settings.crop_px**2) for mask in masks)
    return max(1, round(settings.epochs * pixels / settings.crop_px**2 / settings.batch))


def check_pairs(images: Sequence[UInt8], masks: Sequence[Mask]) -> None:
    """Raise InputError where images and masks cannot be learnt from."""
    if not images or len(images) != len(masks):
        raise InputError(f"{len(images)} images and {len(masks)} masks", "each image needs its mask")
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        if image.shape[:2] != mask.shape:
            raise InputError(
                f"image {number} is {image.shape[0]} x {image.shape[1]}, its mask {mask.shape[0]} x {mask.shape[1]}",
                "a mask has the size of its image",
            )
    if not any(mask.any() for mask in masks):
        raise InputError("nothing is marked in any mask", "give masks that are above zero where something is")


def _at_least(image: UInt8, mask: Mask, side: int) -> tuple[UInt8, Mask]:
    """Mirror small patches out to the size of a crop."""
    pad = [(0, max(0, side - length)) for length in mask.shape]
    if not any(after for _, after in pad):
        return image, mask
    return np.pad(image, [*pad, (0, 0)], mode="symmetric"), np.pad(mask, pad, mode="symmetric")


def _augmented(image: UInt8, mask: Mask, settings: SegmenterSettings, rng: np.random.Generator) -> tuple[UInt8, Mask]:
    """Return a random crop, turned, flipped, and changed in brightness, contrast and tint."""
    side = settings.crop_px
    top, left = (int(rng.integers(0, length - side + 1)) for length in mask.shape)
    crop = image[top : top + side, left : left + side].astype(np.float32)
    marked = mask[top : top + side, left : left + side]
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    crop, marked = np.rot90(crop, turns), np.rot90(marked, turns)
    if flip:
        crop, marked = crop[:, ::-1], marked[:, ::-1]
    middle = crop.mean()
    factor = rng.uniform(1 - settings.contrast, 1 + settings.contrast)
    tint = 1 + rng.uniform(-0.1, 0.1, 3)
    crop = ((crop - middle) * factor + middle + rng.uniform(-settings.brightness, settings.brightness)) * tint
    return np.rint(np.clip(crop, 0, 255)).astype(np.uint8), np.ascontiguousarray(marked)

"""Random changes of training images that leave the label true; none at test time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torchvision.transforms import v2

from sorby.micrograph.variation import DRAWS, Variation

Augmentation = Callable[[torch.Tensor], torch.Tensor]


def _quarter_turn(image: torch.Tensor) -> torch.Tensor:
    return torch.rot90(image, int(torch.randint(0, 4, ())), dims=(-2, -1))


class _MirrorRotation(v2.Transform):  # type: ignore[misc]
    """Rotation by any angle, corners filled by reflection.

    The source rotates micrographs of 1994 px arbitrarily; black corners would be a cue, so the image is
    reflected outwards before it is turned.
    """

    def transform(self, inpt: torch.Tensor, params: dict[str, object]) -> torch.Tensor:
        """Turn one image (C, H, W)."""
        height, width = inpt.shape[-2:]
        padded = _reflect_to(inpt, math.ceil(math.hypot(height, width)) + 2)
        angle = float(torch.empty(()).uniform_(-180, 180))
        turned = v2.functional.rotate(padded, angle, interpolation=v2.InterpolationMode.BILINEAR)
        cropped: torch.Tensor = v2.functional.center_crop(turned, [height, width])
        return cropped


def _varied(image: torch.Tensor) -> torch.Tensor:
    """Return one variant of an image (C, H, W), drawn by torch's generator."""
    changed = Variation.drawn(torch.rand(DRAWS).tolist()).apply(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(changed).permute(2, 0, 1)


def _reflect_to(image: torch.Tensor, side: int) -> torch.Tensor:
    """Reflect an image (C, H, W) outwards until both sides are at least *side*; long ones need several rounds."""
    while min(image.shape[-2:]) < side:
        margin = [min(extent - 1, max(0, -(-(side - extent) // 2))) for extent in (image.shape[-1], image.shape[-2])]
        image = v2.functional.pad(image, margin, padding_mode="reflect")
    return image


def make(preset: str, ops: int = 2, magnitude: int = 12) -> Augmentation | None:
    """Return a preset for uint8 images (C, H, W), or None for no change.

    Parameters
    ----------
    preset : {"none", "flips", "steel", "fracture", "corrosion"}
        ``flips``: horizontal and vertical flips and quarter turns, which no microstructure cares about.
        ``steel``: any rotation, flips, slight contrast, Gaussian blur (Durmaz et al. 2023; magnitudes are not
        published, ours: contrast +-20 %, sigma .1 to 1.5 px in half the images).
        ``fracture``: RandAugment (Cubuk et al. 2020); Schmid et al. take 2 operations of magnitude 12.
        ``corrosion``: the image generator of Bhat et al. (2023): any rotation, shifts, flips, brightness, zoom; see
        `sorby.micrograph.variation`.
    ops, magnitude : int
        Of RandAugment.
    """
    flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    if preset == "none":
        return None
    changes: Augmentation
    if preset == "flips":
        changes = v2.Compose([*flips, _quarter_turn])
    elif preset == "steel":
        blur = v2.RandomApply([v2.GaussianBlur(5, sigma=(0.1, 1.5))], p=0.5)
        changes = v2.Compose([_MirrorRotation(), *flips, v2.ColorJitter(contrast=0.2), blur])
    elif preset == "fracture":
        changes = v2.RandAugment(num_ops=ops, magnitude=magnitude)
    elif preset == "corrosion":
        changes = _varied
    else:
        raise ValueError(f"unknown augmentation preset {preset!r}")
    return changes

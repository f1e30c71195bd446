"""What the second stage is taught by: which proposals show what, and how far their boxes are off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou

from sorby.detect.predictors import Predictor

Targets = Sequence[dict[str, torch.Tensor]]
"""Of each image ``boxes`` (n, 4) and ``labels`` (n,), from 0, and ``ignored`` (n,)."""

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
"""Offsets of Girshick et al. (2014), scaled as is usual: a deviation of about 1."""

_POSITIVE = 0.5
MOST_IGNORED = 0.5
"""Share of a box inside an ignored region from which it shows nothing that counts."""

_BETA = 1 / 9


@dataclass(frozen=True, eq=False)
class Assigned:
    """Proposals with what they show.

    Attributes
    ----------
    boxes : list of Tensor, each (n, 4)
        By image.
    labels : Tensor of int64, shape (N,)
        Of all of them; the number of classes stands for background.
    offsets : Tensor, shape (N, 4)
        From each to the labelled box that it shows; 0 for background.
    """

    boxes: list[torch.Tensor]
    labels: torch.Tensor
    offsets: torch.Tensor


def assign(boxes: torch.Tensor, target: dict[str, torch.Tensor], n_classes: int) -> tuple[torch.Tensor, ...]:
    """Return label, offsets and whether it counts for each box of one image.

    A box shows the labelled box of largest overlap, from .5 on (Ren et al. 2015); boxes inside an ignored region show
    nothing and do not count.
    """
    truth, labels, ignored = target["boxes"], target["labels"], target["ignored"]
    found = boxes.new_full((len(boxes),), n_classes, dtype=torch.int64)
    offsets, counts = boxes.new_zeros((len(boxes), 4)), boxes.new_ones(len(boxes), dtype=torch.bool)
    real = truth[~ignored]
    if len(real):
        overlap, which = box_iou(boxes, real).max(dim=1)
        positive = overlap >= _POSITIVE
        found[positive] = labels[~ignored][which[positive]]
        offsets[positive] = CODER.encode_single(real[which[positive]], boxes[positive])
    if bool(ignored.any()):
        inside = share_inside(boxes, truth[ignored])
        counts &= (found < n_classes) | (inside < MOST_IGNORED)
    return found, offsets, counts


def share_inside(boxes: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
    """Return the largest share of each box that lies in one region."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2).max(dim=1).values
    return shared / (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6).prod(1)


def sampled(
    proposals: Sequence[torch.Tensor], targets: Targets, n_classes: int, generator: torch.Generator,
    *, each: int = 96, positive_share: float = 0.33,
) -> Assigned:  # fmt: skip
    """Choose proposals and labelled boxes of each image; at most *positive_share* of them show something."""
    kept, labels, offsets = [], [], []
    for boxes, target in zip(proposals, targets, strict=True):
        candidates = torch.cat([boxes.detach(), target["boxes"][~target["ignored"]]])
        found, moves, counts = assign(candidates, target, n_classes)
        positive = torch.where((found < n_classes) & counts)[0]
        negative = torch.where((found == n_classes) & counts)[0]
        some = min(len(positive), int(each * positive_share))
        chosen = torch.cat([
            _some(positive, some, generator), _some(negative, min(len(negative), each - some), generator)
        ])  # fmt: skip
        kept.append(candidates[chosen])
        labels.append(found[chosen])
        offsets.append(moves[chosen])
    return Assigned(kept, torch.cat(labels), torch.cat(offsets))


def _some(indices: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    order = torch.randperm(len(indices), generator=generator).to(indices.device)
    return indices[order[:count]]


def second_stage_losses(
    predictor: Predictor, described: torch.Tensor, labels: torch.Tensor, offsets: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return cross-entropy over classes and background, and smooth L1 of the boxes that show something."""
    logits, moves = predictor(described)
    positive = torch.where(labels < predictor.n_classes)[0]
    chosen = moves[positive]
    if not predictor.agnostic:
        chosen = chosen.view(-1, predictor.n_classes, 4)[torch.arange(len(positive)), labels[positive]]
    box = functional.smooth_l1_loss(chosen.float(), offsets[positive], beta=_BETA, reduction="sum")
    return {"class": functional.cross_entropy(logits.float(), labels), "box": box / max(len(labels), 1)}

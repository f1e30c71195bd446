"""From class scores and offsets to boxes: decoding, suppression, the strongest."""

from __future__ import annotations

import torch
from torchvision.ops import batched_nms, clip_boxes_to_image, nms

from sorby.detect.losses import CODER
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import OutputSection

LEAST_SIDE = 1.0
"""Of a finding, in pixels of the input."""


def decode(
    predictor: Predictor,
    logits: torch.Tensor,
    offsets: torch.Tensor,
    proposals: torch.Tensor,
    size: tuple[int, int],
    section: OutputSection,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return boxes (n, 4), labels and scores of one image, strongest first.

    Parameters
    ----------
    predictor : Predictor
        Says how many classes there are and whether they share boxes.
    logits : Tensor, shape (p, classes + 1)
    offsets : Tensor, shape (p, 4) or (p, 4 * classes)
    proposals : Tensor, shape (p, 4)
        Pixels of the input.
    size : (int, int)
        Height and width within which boxes must lie.
    section : OutputSection
    """
    count, n = len(proposals), predictor.n_classes
    scores = torch.softmax(logits.float(), dim=1)[:, :n]
    moved = CODER.decode(offsets.float(), [proposals]).reshape(count, -1, 4)
    boxes = clip_boxes_to_image(moved, size).expand(count, n, 4)
    rows, labels = torch.where(scores >= section.score)
    boxes, found = boxes[rows, labels], scores[rows, labels]
    large = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all(dim=1)
    boxes, labels, found = boxes[large], labels[large], found[large]
    if section.across_classes:
        kept = nms(boxes, found, section.overlap)
    else:
        kept = batched_nms(boxes, found, labels, section.overlap)
    kept = kept[: section.most]
    return boxes[kept], labels[kept], found[kept]

"""Boxes as arrays: what is on an image, what was found on it, and how far two boxes agree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BoxArray = npt.NDArray[np.float32]
"""Boxes, shape (n, 4): left, top, right, bottom in pixels of the image; right and bottom lie outside."""
Indices = npt.NDArray[np.intp]
Scores = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def no_boxes() -> BoxArray:
    """Return an empty array of boxes."""
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """What is on one image.

    Attributes
    ----------
    boxes : ndarray of float32, shape (n, 4)
    labels : ndarray of int, shape (n,)
        Index of each box's class.
    ignored : ndarray of bool, shape (n,)
        Regions that nobody is asked to find and nobody is blamed for finding.
    """

    boxes: BoxArray = field(default_factory=no_boxes)
    labels: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    ignored: Flags | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.ignored is None:
            object.__setattr__(self, "ignored", np.zeros(count, bool))
        if self.boxes.shape != (count, 4) or len(self.labels) != count or len(self.flags) != count:
            raise ValueError("boxes, labels and ignored differ in length")

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def flags(self) -> Flags:
        """The ignored boxes, never None."""
        assert self.ignored is not None
        return self.ignored


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """What a detector found on one image.

    Attributes
    ----------
    boxes : ndarray of float32, shape (n, 4)
    labels : ndarray of int, shape (n,)
    scores : ndarray of float32, shape (n,)
        0 to 1, higher for surer.
    """

    boxes: BoxArray = field(default_factory=no_boxes)
    labels: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    scores: Scores = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or len(self.labels) != count or len(self.scores) != count:
            raise ValueError("boxes, labels and scores differ in length")

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score: float) -> FoundBoxes:
        """Return those with at least *score*."""
        return self.of(self.scores >= score)

    def of(self, which: Flags | Indices) -> FoundBoxes:
        """Return a choice of them."""
        return FoundBoxes(self.boxes[which], self.labels[which], self.scores[which])


def areas(boxes: BoxArray) -> npt.NDArray[np.float32]:
    """Return the area of each box in square pixels, shape (n,); none is below 0."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    product: npt.NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return product


def overlap(first: BoxArray, second: BoxArray) -> npt.NDArray[np.float32]:
    """Return the intersection areas of all pairs, shape (n, m)."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(opposite - corner, 0, None)
    product: npt.NDArray[np.float32] = sides[..., 0] * sides[..., 1]
    return product


def box_iou(first: BoxArray, second: BoxArray) -> npt.NDArray[np.float32]:
    """Return the intersection over union of all pairs, shape (n, m); 0 where both boxes are empty.

    Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 88 (2010), eq. 4.
    """
    shared = overlap(first, second)
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    ratio: npt.NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def clipped(boxes: BoxArray, height: float, width: float) -> BoxArray:
    """Return the boxes cut to an image."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0, limits).astype(np.float32)

"""From a micrograph to the network's pixels and back, and the changes that teaching makes to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.detect.recipe import ImageSection, TeachingSection
from sorby.evidence.boxes import BoxArray, TrueBoxes, areas, clipped
from sorby.micrograph import resize, to_grey, to_rgb, to_uint8

Uint8Image = npt.NDArray[np.uint8]
_MULTIPLE = 32  # the coarsest map of the pyramid's inputs has this stride
_GREY = 127  # about what normalisation brings to zero
_LEAST_VISIBLE = 0.35  # share of a box that must remain after a crop
_LEAST_SIDE = 1.0


@dataclass(frozen=True, eq=False)
class Fitted:
    """An image at the network's size.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (H, W, C)
        Sides are multiples of 32, filled up with grey on the right and below.
    size : (int, int)
        Height and width of what is not filling.
    scale : (float, float)
        Pixels of the network for one of the image, down and across.
    """

    pixels: Uint8Image
    size: tuple[int, int]
    scale: tuple[float, float]

    def to_input(self, boxes: BoxArray) -> BoxArray:
        """Return boxes of the image in pixels of the network's input."""
        return (boxes * self._factors).astype(np.float32)

    def to_image(self, boxes: BoxArray) -> BoxArray:
        """Return boxes of the input in pixels of the image, cut to it."""
        height, width = self.size[0] / self.scale[0], self.size[1] / self.scale[1]
        return clipped((boxes / self._factors).astype(np.float32), height, width)

    @property
    def _factors(self) -> npt.NDArray[np.float32]:
        return np.array([self.scale[1], self.scale[0]] * 2, np.float32)


def fit(pixels: npt.NDArray[np.generic], section: ImageSection) -> Fitted:
    """Bring an image (H, W) or (H, W, 3) of any depth to the network's size."""
    byte = to_uint8(pixels)
    byte = to_grey(byte) if section.colour == "grey" else to_rgb(byte)
    height, width = byte.shape[:2]
    factor = min(section.short_side / min(height, width), section.long_side / max(height, width))
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    sized = resize(byte, size).reshape(*size, section.channels)
    return Fitted(filled(sized), size, (size[0] / height, size[1] / width))


def filled(pixels: Uint8Image, size: tuple[int, int] | None = None) -> Uint8Image:
    """Fill an image (H, W, C) up to *size*, or to the next multiples of 32."""
    height, width = pixels.shape[:2]
    wanted = size or (-(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE)
    if wanted == (height, width):
        return np.ascontiguousarray(pixels)
    out = np.full((*wanted, pixels.shape[2]), _GREY, np.uint8)
    out[:height, :width] = pixels
    return out


@dataclass(frozen=True, eq=False)
class Example:
    """A labelled image at the network's size; boxes in its pixels."""

    pixels: Uint8Image
    truth: TrueBoxes


def viewed(example: Example, view: int) -> Example:
    """Return one of the eight mirrored and turned views; 0 is the example itself.

    Parameters
    ----------
    example : Example
    view : int
        Bit 0 mirrors left and right, bit 1 up and down, bit 2 swaps rows and columns before that.
    """
    truth = example.truth
    boxes = viewed_boxes(truth.boxes, view, (example.pixels.shape[0], example.pixels.shape[1]))
    return Example(viewed_pixels(example.pixels, view), TrueBoxes(boxes, truth.labels, truth.flags))


def viewed_pixels(pixels: Uint8Image, view: int) -> Uint8Image:
    """Return the pixels (H, W, C) of a view, see `viewed`."""
    if view & 4:
        pixels = pixels.swapaxes(0, 1)
    if view & 1:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels[::-1] if view & 2 else pixels)


def viewed_boxes(boxes: BoxArray, view: int, size: tuple[int, int]) -> BoxArray:
    """Return boxes as a view of an image of *size* (height, width) shows them.

    For the mirrors alone (views 0 to 3) doing it twice gives the boxes back.
    """
    height, width = size
    if view & 4:
        boxes, height, width = boxes[:, [1, 0, 3, 2]], width, height
    if view & 1:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    if view & 2:
        boxes = np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1)
    return boxes.astype(np.float32)


def changed(example: Example, section: TeachingSection, rng: np.random.Generator) -> Example:
    """Return an example mirrored, turned, scaled, shifted and relit as the recipe allows, at its size."""
    view = int(rng.integers(4)) if section.flips else 0
    if section.turns and rng.random() < 0.5 and example.pixels.shape[0] == example.pixels.shape[1]:
        view |= 4
    example = viewed(example, view) if view else example
    low, high = section.scales
    if (low, high) != (1.0, 1.0):
        example = _scaled(example, float(np.exp(rng.uniform(np.log(low), np.log(high)))), rng)
    if section.lighting:
        gain, offset = 1 + section.lighting * rng.uniform(-1, 1), 255 * section.lighting * rng.uniform(-0.5, 0.5)
        table = np.clip((np.arange(256) - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)
        example = Example(table[example.pixels], example.truth)
    return example


def _scaled(example: Example, factor: float, rng: np.random.Generator) -> Example:
    """Scale, and cut or fill at a place of chance so that the size stays."""
    height, width, channels = example.pixels.shape
    size = (max(_MULTIPLE, round(height * factor)), max(_MULTIPLE, round(width * factor)))
    pixels = resize(np.ascontiguousarray(example.pixels).reshape(height, width, channels), size)
    pixels = pixels.reshape(*size, channels)
    top, left = (
        int(rng.integers(min(0, w - h), max(0, w - h) + 1)) for h, w in zip(size, (height, width), strict=True)
    )
    out = np.full((height, width, channels), _GREY, np.uint8)
    rows, columns = slice(max(0, top), min(height, top + size[0])), slice(max(0, left), min(width, left + size[1]))
    out[rows, columns] = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    boxes = example.truth.boxes * np.array([size[1] / width, size[0] / height] * 2, np.float32)
    boxes = boxes + np.array([left, top, left, top], np.float32)
    seen = clipped(boxes, height, width)
    kept = areas(seen) >= _LEAST_VISIBLE * np.maximum(areas(boxes), 1e-6)
    kept &= (seen[:, 2:] - seen[:, :2] >= _LEAST_SIDE).all(axis=1)
    truth = TrueBoxes(seen[kept], example.truth.labels[kept], example.truth.flags[kept])
    return Example(out, truth)


def stacked(examples: Sequence[Example]) -> Uint8Image:
    """Return the pixels of examples as one batch (N, H, W, C), filled up to the largest."""
    size = (max(each.pixels.shape[0] for each in examples), max(each.pixels.shape[1] for each in examples))
    return np.stack([filled(each.pixels, size) for each in examples])

"""What frozen stages make of images, computed once: proposals and their descriptions, kept in half precision."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Protocol

import numpy as np
import torch

from sorby.detect.losses import assign
from sorby.detect.network import Levels, Stages
from sorby.detect.pictures import Example, Uint8Image, viewed
from sorby.detect.recipe import FewShotSection

_NEGATIVES = 60  # proposals of an image and view that show nothing, at most: more of them teach little that is new
_SHIFT, _STRETCH = 0.25, 0.3


class StageRunner(Protocol):
    """What runs the frozen stages."""

    @property
    def lanes(self) -> Sequence[StageRunner]:
        """What may take turns at batches at the same time; none where the runner does one after the other."""

    def look(self, images: Uint8Image) -> Looked:
        """Run everything up to the proposals on a batch (N, H, W, C)."""

    def describe(self, looked: Looked, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the descriptions of boxes of each image, (sum of boxes, D) float32."""


@dataclass(frozen=True, eq=False)
class Looked:
    """A batch after the proposals.

    Attributes
    ----------
    maps : list of Tensor
        The backbone's; empty where nothing reads them.
    levels : Levels
    proposals : list of Tensor, each (p, 4)
        Pixels of the input.
    size : (int, int)
        Height and width of the input.
    """

    maps: list[torch.Tensor]
    levels: Levels
    proposals: list[torch.Tensor]
    size: tuple[int, int]


class TorchRunner:
    """The stages as they are, in float32 on the CPU or in bfloat16 on CUDA.

    Parameters
    ----------
    stages : Stages
    device : str
        ``cpu`` or ``cuda``.
    """

    def __init__(self, stages: Stages, device: str = "cpu") -> None:
        self._stages, self._device = stages.eval().to(device), device

    @property
    def lanes(self) -> Sequence[StageRunner]:
        """None: torch spreads every layer over the cores."""
        return ()

    @torch.inference_mode()
    def look(self, images: Uint8Image) -> Looked:
        """Run everything up to the proposals on a batch (N, H, W, C)."""
        batch = torch.from_numpy(images).to(self._device)
        size = (images.shape[1], images.shape[2])
        with torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda"):
            maps = self._stages.maps(batch)
            levels = Levels((key, each.float()) for key, each in self._stages.levels(maps).items())
            proposals, _ = self._stages.propose(levels, size)
        return Looked(maps, levels, [each.float() for each in proposals], size)

    @torch.inference_mode()
    def describe(self, looked: Looked, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Return the descriptions of boxes of each image, (sum of boxes, D) float32."""
        there = [each.to(self._device) for each in boxes]
        return self._stages.describe(looked.maps, looked.levels, there, looked.size).float()


@dataclass(frozen=True, eq=False)
class DescribedImage:
    """One image's proposals.

    Attributes
    ----------
    proposals : Tensor, shape (p, 4)
        Pixels of the network's input.
    described : Tensor of float16, shape (p, D)
    size : (int, int)
        Height and width of the input.
    """

    proposals: torch.Tensor
    described: torch.Tensor
    size: tuple[int, int]


def describe_images(runner: StageRunner, images: Iterable[Uint8Image], batch: int = 8) -> Iterator[DescribedImage]:
    """Yield proposals and descriptions of prepared images (H, W, C); neighbours of one size share a batch."""
    groups = _alike(images, batch)
    first = list(islice(groups, 2))
    lanes = runner.lanes if len(first) > 1 else ()
    if len(lanes) < 2:
        for group in chain(first, groups):
            yield from _described(runner, group)
        return
    with ExitStack() as stack:
        # A thread of its own for each lane: what a lane holds is never used twice at once.
        threads = [(stack.enter_context(ThreadPoolExecutor(1)), lane) for lane in lanes]
        running: deque[Future[list[DescribedImage]]] = deque()
        for group, (thread, lane) in zip(chain(first, groups), cycle(threads), strict=False):
            running.append(thread.submit(_described, lane, group))
            if len(running) > len(lanes):
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _described(runner: StageRunner, group: Sequence[Uint8Image]) -> list[DescribedImage]:
    looked = runner.look(np.stack(group))
    described = runner.describe(looked, looked.proposals).half().cpu()
    rows = torch.split(described, [len(each) for each in looked.proposals])
    return [
        DescribedImage(proposals.cpu(), each.clone(), looked.size)
        for proposals, each in zip(looked.proposals, rows, strict=True)
    ]


def _alike(images: Iterable[Uint8Image], batch: int) -> Iterator[list[Uint8Image]]:
    group: list[Uint8Image] = []
    for each in images:
        if group and (len(group) == batch or each.shape != group[0].shape):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


@dataclass(frozen=True, eq=False)
class Lessons:
    """Described boxes with what they show, to teach a predictor.

    Attributes
    ----------
    described : Tensor of float16, shape (n, D)
    labels : Tensor of int64, shape (n,)
        The number of classes stands for background.
    offsets : Tensor of float32, shape (n, 4)
    """

    described: torch.Tensor
    labels: torch.Tensor
    offsets: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def joined(cls, parts: Sequence[Lessons]) -> Lessons:
        """Put lessons together."""
        return cls(
            torch.cat([each.described for each in parts]),
            torch.cat([each.labels for each in parts]),
            torch.cat([each.offsets for each in parts]),
        )


def lessons_of(
    runner: StageRunner, examples: Sequence[Example], n_classes: int, section: FewShotSection, *, seed: int
) -> list[Lessons]:
    """Return the lessons of each example: proposals, its labelled boxes and shifted copies of these, in every view.

    Parameters
    ----------
    runner : StageRunner
    examples : sequence of Example
    n_classes : int
    section : FewShotSection
        ``views`` and ``jitter``.
    seed : int
        Of the shifts and of which background is kept.
    """
    return [_lessons(runner, example, n_classes, section, seed) for example in examples]


def _lessons(runner: StageRunner, example: Example, n_classes: int, section: FewShotSection, seed: int) -> Lessons:
    parts = []
    for view in range(section.views):
        seen = viewed(example, view)
        target = {
            "boxes": torch.from_numpy(seen.truth.boxes),
            "labels": torch.from_numpy(seen.truth.labels.astype(np.int64)),
            "ignored": torch.from_numpy(seen.truth.flags),
        }
        looked = runner.look(seen.pixels[None])
        rng = np.random.default_rng([seed, view, len(seen.truth)])
        shifted = torch.from_numpy(_shifted(seen, section.jitter, rng))
        boxes = torch.cat([looked.proposals[0].cpu(), target["boxes"][~target["ignored"]], shifted])
        labels, offsets, counts = assign(boxes, target, n_classes)
        # A shifted copy that misses its box is no example of background: it still shows part of the defect.
        counts[len(looked.proposals[0]) :] &= labels[len(looked.proposals[0]) :] < n_classes
        chosen = _chosen(labels, counts, n_classes, rng)
        described = runner.describe(looked, [boxes[chosen]]).half().cpu()
        parts.append(Lessons(described, labels[chosen], offsets[chosen]))
    return Lessons.joined(parts)


def _chosen(labels: torch.Tensor, counts: torch.Tensor, n_classes: int, rng: np.random.Generator) -> torch.Tensor:
    """Return all boxes that show something and some of those that do not."""
    positive = torch.where(counts & (labels < n_classes))[0]
    negative = torch.where(counts & (labels == n_classes))[0].numpy()
    if len(negative) > _NEGATIVES:
        negative = np.sort(rng.choice(negative, _NEGATIVES, replace=False))
    return torch.cat([positive, torch.from_numpy(negative)])


def _shifted(
    example: Example, count: int, rng: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return *count* shifted and stretched copies of each labelled box, cut to the image."""
    boxes = np.repeat(example.truth.boxes[~example.truth.flags], count, axis=0)
    size = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, 2:] + boxes[:, :2]) / 2 + size * rng.uniform(-_SHIFT, _SHIFT, size.shape)
    half = size / 2 * np.exp(rng.uniform(-_STRETCH, _STRETCH, size.shape))
    height, width = example.pixels.shape[:2]
    limits = np.array([width, height, width, height], np.float64)
    moved = np.clip(np.concatenate([centre - half, centre + half], axis=1), 0, limits)
    kept = (moved[:, 2:] - moved[:, :2] >= 1).all(axis=1)
    return np.asarray(moved[kept], np.float32)

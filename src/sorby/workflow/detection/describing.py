"""Findings described by the frozen stages of a box detector: a window around each, in several views."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from sorby.detect.described import StageRunner
from sorby.detect.detector import Detector
from sorby.detect.pictures import Example, fit, viewed
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.evidence.boxes import TrueBoxes
from sorby.micrograph import Pixels, read
from sorby.progress import bar
from sorby.workflow.detection.located import Located

Describe = Literal["head", "texture", "context"]
Described = npt.NDArray[np.float16]
"""Descriptions, shape (n, V, D)."""

_ROOM = 1.5  # times the longer side of a finding, which a window has at least
_BATCH = 8


@dataclass(frozen=True)
class Window:
    """A square about a finding: left, top and edge in whole pixels; it may reach beyond a small picture."""

    left: int
    top: int
    side: int

    def cut(self, pixels: Pixels) -> Pixels:
        """Return what it shows, (side, side) or (side, side, 3); beyond the picture, its mirror image."""
        part = pixels[self.top : self.top + self.side, self.left : self.left + self.side]
        missing = [(0, self.side - part.shape[0]), (0, self.side - part.shape[1])]
        if missing == [(0, 0), (0, 0)]:
            return part
        return np.pad(part, [*missing, *[(0, 0)] * (part.ndim - 2)], mode="symmetric")


def window_around(box: tuple[float, float, float, float], height: int, width: int, side_px: int) -> Window:
    """Return the square in which a finding is looked at, within the picture as far as that is large enough.

    Parameters
    ----------
    box : (float, float, float, float)
        Left, top, right, bottom.
    height, width : int
        Of the picture.
    side_px : int
        Edge of the window. All findings are seen at one scale, so that size tells kinds apart; only a finding that
        would not fit is given a larger window.
    """
    side = max(side_px, math.ceil(_ROOM * max(box[2] - box[0], box[3] - box[1])))
    left = int(np.clip(round((box[0] + box[2] - side) / 2), 0, max(0, width - side)))
    top = int(np.clip(round((box[1] + box[3] - side) / 2), 0, max(0, height - side)))
    return Window(left, top, side)


def seen_as(detector: Detector, describe: Describe, tile_px: int) -> Detector:
    """Return a detector whose stages describe boxes as asked and whose images are cut into tiles of *tile_px*."""
    recipe = detector.recipe
    image = recipe.image.model_copy(update={"tile_px": tile_px, "overlap_px": tile_px // 4})
    recipe = recipe.model_copy(update={"box": recipe.box.model_copy(update={"describe": describe}), "image": image})
    stages = copy.copy(detector.stages)  # the weights are shared
    stages.recipe = recipe
    return replace(detector, recipe=recipe, stages=stages, _runners={})


@dataclass(frozen=True, eq=False)
class Sight:
    """A finding's window at the network's size, and where it lies in it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (H, W, C)
    box : ndarray of float32, shape (4,)
    """

    pixels: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float32]


def sights(findings: Sequence[Located], detector: Detector, window_px: int) -> Iterator[tuple[int, Sight | SorbyError]]:
    """Yield the position of each finding and its sight, picture by picture, or why there is none.

    Findings of one picture must be neighbours: each picture is read once and one is held at a time.
    """
    for path, members in groupby(range(len(findings)), lambda k: findings[k].image):
        rows = list(members)
        try:
            pixels = read(path).pixels
        except SorbyError as error:
            yield from ((k, error) for k in rows)
            continue
        for k in rows:
            window = window_around(findings[k].box, pixels.shape[0], pixels.shape[1], window_px)
            fitted = fit(window.cut(pixels), detector.recipe.image)
            inside = fitted.to_input(np.array([findings[k].box], np.float32) - _origin(window))[0]
            yield k, Sight(fitted.pixels, np.clip(inside, 0, max(fitted.size)).astype(np.float32))


def _origin(window: Window) -> npt.NDArray[np.float32]:
    return np.array([window.left, window.top] * 2, np.float32)


def describe(seen: Sequence[Sight], runner: StageRunner, views: int) -> Described:
    """Return the descriptions (n, V, D) of sights in the first *views* mirrored and turned views.

    A short batch is filled up, as graphs are compiled for one size of batch.
    """
    filled = [*seen, *[seen[-1]] * (_BATCH - len(seen))]
    found = []
    for view in range(views):
        shown = [viewed(Example(each.pixels, TrueBoxes(each.box[None], np.zeros(1, np.intp))), view) for each in filled]
        looked = runner.look(np.stack([each.pixels for each in shown]))
        described = runner.describe(looked, [torch.from_numpy(each.truth.boxes) for each in shown])
        found.append(described.cpu().numpy()[: len(seen)].astype(np.float16))
    return np.stack(found, axis=1)


def described_findings(
    findings: Sequence[Located], detector: Detector, runner: StageRunner, *, window_px: int, views: int
) -> Iterator[tuple[list[int], Described, list[Quarantined]]]:
    """Yield positions, descriptions (n, V, D) and the pictures that could not be read since, some findings at a time.

    Parameters
    ----------
    findings : sequence of Located
    detector : Detector
        From `seen_as`.
    runner : StageRunner
    window_px : int
    views : int
    """
    waiting: list[tuple[int, Sight]] = []
    bad: dict[Path, Quarantined] = {}
    told: set[Path] = set()
    for k, sight in sights(findings, detector, window_px):
        if isinstance(sight, SorbyError):
            path = findings[k].image
            if path not in told:
                bad[path] = Quarantined.from_error(path, sight)
                told.add(path)
            continue
        waiting.append((k, sight))
        if len(waiting) == _BATCH:
            yield (
                [row for row, _ in waiting],
                describe([each for _, each in waiting], runner, views),
                list(bad.values()),
            )
            waiting, bad = [], {}
    if waiting:
        yield [row for row, _ in waiting], describe([each for _, each in waiting], runner, views), list(bad.values())
    elif bad:
        yield [], np.zeros((0, views, 0), np.float16), list(bad.values())


def describe_all(
    findings: Sequence[Located], detector: Detector, runner: StageRunner, *, window_px: int, views: int
) -> tuple[list[int], Described, list[Quarantined]]:
    """Return which findings could be described, their descriptions (n, V, D), and pictures that could not be read.

    Raises
    ------
    InputError
        None could be.
    """
    order = sorted(range(len(findings)), key=lambda k: (str(findings[k].image), findings[k].number))
    parts: dict[int, npt.NDArray[np.float16]] = {}
    quarantined: list[Quarantined] = []
    with bar("describing", len(findings)) as advance:
        chosen = [findings[k] for k in order]
        for rows, found, bad in described_findings(chosen, detector, runner, window_px=window_px, views=views):
            parts.update((order[k], row) for k, row in zip(rows, found, strict=True))
            quarantined += bad
            advance(len(rows))
    if not parts:
        raise InputError(f"{quarantined[0].file}: {quarantined[0].reason}", "no picture of a finding could be read")
    kept = sorted(parts)
    return kept, np.stack([parts[k] for k in kept]), quarantined

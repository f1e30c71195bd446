"""How long a box detector takes for an image, and for the sheets of a line, beside what was published."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorby.backbone.runtime import Device
from sorby.detect.detector import Detector
from sorby.evidence.repeat_intervals import RepeatInterval, over_repeats
from sorby.line.timing import TimingModel, fit_timing
from sorby.micrograph import Pixels

_WARM = 3
_LOTS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class DetectionTimes:
    """Times of a detector on the images of a test.

    Attributes
    ----------
    each_ms : RepeatInterval
        One image at a time, from pixels in memory to boxes, over trials.
    median_ms : float
    model : TimingModel
        Of lots of several sizes: a part that is fixed, and one more image.
    images_per_s : float
        Of all images together.
    """

    each_ms: RepeatInterval
    median_ms: float
    model: TimingModel
    images_per_s: float

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary fit for JSON."""
        return {
            "ms_an_image": {**self.each_ms.as_dict(), "median": self.median_ms},
            "lots": self.model.as_dict(),
            "images_per_s": self.images_per_s,
        }


def detection_times(
    detector: Detector, pixels: Sequence[Pixels], trials: int = 90, *, lots: int = 3, device: Device = "auto"
) -> DetectionTimes:
    """Measure a detector.

    Parameters
    ----------
    detector : Detector
    pixels : sequence of ndarray
        Images in memory; decoding files is not counted, scaling to the network's size is.
    trials : int
        Images that are timed one at a time; 90 as published.
    lots : int
        Times that each of four numbers of images is gone through at once.
    device : {"auto", "cpu", "cuda"}
    """
    for k in range(_WARM):
        list(detector.detect([pixels[k % len(pixels)]], device=device))
    alone = np.array([_seconds(detector, [pixels[k % len(pixels)]], device) for k in range(trials)])
    sizes = sorted({max(2, round(share * len(pixels))) for share in _LOTS})
    list(detector.detect(pixels, device=device))
    counts, seconds = [], []
    for size in sizes * lots:
        counts.append(size)
        seconds.append(_seconds(detector, pixels[:size], device))
    rate = len(pixels) / float(np.median([s for n, s in zip(counts, seconds, strict=True) if n == sizes[-1]]))
    return DetectionTimes(
        over_repeats(1000 * alone), float(np.median(1000 * alone)), fit_timing(counts, seconds), rate
    )  # fmt: skip


def _seconds(detector: Detector, pixels: Sequence[Pixels], device: Device) -> float:
    started = time.perf_counter()
    for _ in detector.detect(pixels, device=device):
        pass
    return time.perf_counter() - started


@dataclass(frozen=True)
class LineLoad:
    """What sheets ask of a method.

    Attributes
    ----------
    what : str
    source : str
        ``published`` or ``ours``.
    tiles : int
        To be looked at while the sheets pass.
    ms_a_tile : float
    allowed_s : float
        Until they have passed.
    """

    what: str
    source: str
    tiles: int
    ms_a_tile: float
    allowed_s: float

    @property
    def seconds(self) -> float:
        """How long the tiles take."""
        return self.tiles * self.ms_a_tile / 1000

    @property
    def lanes(self) -> int:
        """Computers of this kind that keep up with the line."""
        return max(1, math.ceil(self.seconds / self.allowed_s))

    def as_dict(self) -> Mapping[str, Any]:
        """Return a row fit for JSON and a table."""
        return {
            "what": self.what, "source": self.source, "tiles": self.tiles, "ms_a_tile": self.ms_a_tile,
            "seconds": self.seconds, "allowed_s": self.allowed_s, "share": self.seconds / self.allowed_s,
            "lanes": self.lanes,
        }  # fmt: skip

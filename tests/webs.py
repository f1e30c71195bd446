"""Webs with known defects, and detectors simple enough to know what they must find."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

GROUND, NOISE = 120, 4.0


def web(rows: int, width: int, seed: int = 7) -> Pixels:
    """Noise around a ground that slopes across the web, so that its mirror image differs."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-15, 15, width)
    return np.clip(GROUND + slope + rng.normal(0, NOISE, (rows, width)), 0, 255).astype(np.uint8)


def dot(pixels: Pixels, row: int, col: int, size: int = 8, value: int = 250) -> None:
    """Draw a square defect, its first pixel at (row, col)."""
    pixels[row : row + size, col : col + size] = value


class Brightest:
    """Scores each cell by its brightest pixel; cells do not look beyond themselves, so answers are exact."""

    def __init__(
        self,
        *,
        rows: int = 96,
        width: int = 256,
        stride: int = 8,
        margin_px: int = 16,
        threshold: float = 200.0,
        slots: int = 2,
        seconds: float = 0.0,
    ) -> None:
        self.rows, self.width, self.stride, self.margin_px = rows, width, stride, margin_px
        self.threshold, self.slots, self.seconds = threshold, slots, seconds
        self._under_way: dict[int, Pixels] = {}
        self.started = 0

    def start(self, slot: int, strip: Pixels) -> None:
        assert slot not in self._under_way, "a slot is used by one strip at a time"
        assert strip.shape == (self.rows, self.width)
        assert strip.dtype == np.uint8
        self._under_way[slot] = strip
        self.started += 1

    def finish(self, slot: int) -> npt.NDArray[np.float32]:
        strip = self._under_way.pop(slot)
        if self.seconds:
            time.sleep(self.seconds)
        n = self.stride
        cells = strip.reshape(self.rows // n, n, self.width // n, n)
        return np.asarray(cells.max(axis=(1, 3)), np.float32)


class Contrast(Brightest):
    """Scores each cell by its contrast to cells around it: it leans on its surroundings as a real detector does."""

    def finish(self, slot: int) -> npt.NDArray[np.float32]:
        from scipy import ndimage

        strip = self._under_way.pop(slot)
        n = self.stride
        cells = strip.reshape(self.rows // n, n, self.width // n, n).mean(axis=(1, 3))
        ground = ndimage.uniform_filter(cells, 5, mode="constant")
        return np.asarray(np.abs(cells - ground), np.float32)

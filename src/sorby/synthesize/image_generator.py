"""The paper's image generator: endless variants of stored images, made when they are asked for (S2-24).

Every epoch shows each image once, in a new variant; nothing is written, so a corpus never grows by it, and no more than
one batch is held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.backbone import Preprocessing
from sorby.micrograph.variation import DRAWS, PUBLISHED, Ranges, Variation

UInt8 = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ImageGenerator:
    """Variants of image files, batch by batch.

    Attributes
    ----------
    paths : sequence of Path
    preprocessing : Preprocessing
        To what size and colour each image is brought before it is changed.
    batch_size : int
    ranges : Ranges
    seed : int
    """

    paths: Sequence[Path]
    preprocessing: Preprocessing
    batch_size: int = 32
    ranges: Ranges = PUBLISHED
    seed: int = 0

    def epoch(self, number: int) -> Iterator[tuple[UInt8, Rows]]:
        """Yield the batches of one epoch: every image once, in an order and variants of this epoch alone.

        Parameters
        ----------
        number : int
            Of the epoch; the same number gives the same variants.

        Yields
        ------
        pixels : ndarray of uint8, shape (b, H, W, C)
        rows : ndarray of int, shape (b,)
            Which of the paths each shows.

        Raises
        ------
        ImageError
            A file cannot be read.
        """
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.paths))
        draws = rng.random((len(self.paths), DRAWS))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield np.stack([self._variant(row, draws[row]) for row in rows.tolist()]), rows

    def _variant(self, row: int, draws: npt.NDArray[np.float64]) -> UInt8:
        pixels = self.preprocessing.read(self.paths[row])
        return Variation.drawn(draws.tolist(), self.ranges).apply(pixels)

"""What the line asks of a detector: strips in, anomaly maps out, a few under way at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

GreyStrip = npt.NDArray[np.uint8]
ScoreMap = npt.NDArray[np.float32]
NameMap = npt.NDArray[np.int16]
"""Class of each cell, an index; -1 for none."""


@dataclass(frozen=True, eq=False)
class NamedMap:
    """The map of a detector that names what it finds.

    Attributes
    ----------
    scores : ndarray of float32, shape (H, W)
    names : ndarray of int16, shape (H, W)
        Class of the finding that each cell has its score from; -1 where there is none.
    """

    scores: ScoreMap
    names: NameMap


class StripScorer(Protocol):
    """A detector compiled for strips of one size.

    Attributes
    ----------
    stride : int
        Edge of a cell of the map in pixels, e.g. 4, 8 or 16.
    margin_px : int
        Rows at the top and bottom of a strip, and columns at its sides, whose scores lean on padding; a multiple of
        *stride*. Strips overlap by twice this, so that every cell that counts has seen real surroundings.
    rows, width : int
        Size of a strip with all its margins, multiples of 32.
    threshold : float
        A cell at or above it is a finding.
    slots : int
        Strips that may be under way at once.
    """

    @property
    def stride(self) -> int:
        """Edge of a map cell, pixels."""

    @property
    def margin_px(self) -> int:
        """Rows and columns at the border of a strip that lean on padding."""

    @property
    def rows(self) -> int:
        """Rows of a strip with both margins."""

    @property
    def width(self) -> int:
        """Columns of a strip."""

    @property
    def threshold(self) -> float:
        """Score from which a cell is a finding."""

    @property
    def slots(self) -> int:
        """Strips that may be under way at once."""

    def start(self, slot: int, strip: GreyStrip) -> None:
        """Begin to score *strip*, uint8 (rows, width), in *slot*; may return at once."""

    def finish(self, slot: int) -> ScoreMap | NamedMap:
        """Wait for *slot* and return its map, float32 (rows // stride, width // stride); with names, if it has any."""

"""What an engine returns: lines of text with their places, and how sure it is of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

_SAME_LINE = 0.5  # of the lower line's height: two pieces whose middles are closer stand on one line


@dataclass(frozen=True)
class TextLine:
    """A piece of text on one line.

    Attributes
    ----------
    text : str
        As read, blanks at the ends removed.
    left, top, right, bottom : float
        Its upright box in pixels of the image; right and bottom lie just outside.
    confidence : float
        The engine's own, 0 to 1; not calibrated, and not comparable between engines.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float

    @property
    def width(self) -> float:
        """Pixels across."""
        return float(self.right - self.left)

    @property
    def height(self) -> float:
        """Pixels down."""
        return float(self.bottom - self.top)

    def moved(self, across: float, down: float) -> TextLine:
        """Return the line in the pixels of an image that this one was cut from."""
        return TextLine(
            self.text, self.left + across, self.top + down, self.right + across, self.bottom + down, self.confidence
        )


@dataclass(frozen=True)
class Reading:
    """What one cut-out line says.

    Attributes
    ----------
    text : str
    confidence : float
        0 to 1; 0 where nothing was read.
    """

    text: str
    confidence: float


class TextReader(Protocol):
    """An engine that is loaded and ready. Safe in threads: calls wait for each other."""

    @property
    def provenance(self) -> dict[str, str]:
        """Engine, its version, and what it runs on, to be stored with every result."""

    def read(self, image: UInt8) -> list[TextLine]:
        """Find and read the text of an image, shape (H, W) or (H, W, 3), from top to bottom and left to right."""

    def read_many(self, images: Sequence[UInt8]) -> list[list[TextLine]]:
        """Find and read the text of several images."""

    def recognise(self, lines: Sequence[UInt8]) -> list[Reading]:
        """Read cut-out lines, each an image that holds one upright line and a margin; nothing is looked for."""


def joined(lines: Sequence[TextLine]) -> str:
    """Return the text of a page: pieces on one line joined by blanks, lines by line feeds, from top to bottom.

    Parameters
    ----------
    lines : sequence of TextLine
    """
    return "\n".join(" ".join(piece.text for piece in row) for row in in_rows(lines))


def in_rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Group pieces of text that stand on one line; rows from top to bottom, pieces from left to right."""
    rows: list[list[TextLine]] = []
    for piece in sorted(lines, key=lambda piece: piece.top + piece.bottom):
        middle = (piece.top + piece.bottom) / 2
        if rows:
            first = rows[-1][0]
            apart = abs(middle - (first.top + first.bottom) / 2)
            if apart <= _SAME_LINE * min(piece.height, first.height):
                rows[-1].append(piece)
                continue
        rows.append([piece])
    return [sorted(row, key=lambda piece: piece.left) for row in rows]


def three_channels(image: npt.NDArray[Any]) -> UInt8:
    """Return an 8-bit image as (H, W, 3), which the engines ask for.

    Raises
    ------
    ValueError
        It is not uint8, or neither (H, W) nor (H, W, 3).
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"text is read in uint8 images (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    grey = image.ndim == 2
    return np.ascontiguousarray(np.repeat(image[:, :, None], 3, axis=2) if grey else image)

"""Finding the info bar: the strip of even tone, with lettering on it, that an instrument lays along an edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label

from sorby.micrograph.image import Pixels
from sorby.micrograph.intensity import to_grey, to_uint8

UInt8 = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Edge = Literal["bottom", "top"]

_TALLEST = 0.3  # of the image's height
_SHORTEST, _SHORTEST_PX = 0.012, 8
_REST, _REST_PX = 0.006, 4  # rows of picture that some instruments leave beyond the bar
_BIN = 8  # grey levels of the histograms that give a row's tone
_EVEN, _MEMBER, _FRAME = 0.55, 0.3, 0.93  # shares of a row at one tone: sets the tone, belongs to it, is a drawn line
_OUTERMOST, _OUTERMOST_PX = 0.025, 12  # rows near the edge that name the tone
_BLANK = 0.15  # below the emptiest rows' share: rows without much lettering, as there are on both sides of every line
_FRAMES = 3  # rows of a drawn border at most
_LOOSE = 12  # grey levels around the tone, JPEG noise included
_STROKE = 56  # grey levels between lettering and the bar's tone
_FEWEST_LETTERS = 4
_LETTER_PX = 5  # rows of the lowest letter
_ALIKE = 0.35  # letters differ by so much from their median height
_LEAST_STEP = 0.25  # of the rows' share at the tone, across the border
_LEAST_SURE = 0.4


@dataclass(frozen=True)
class InfoBar:
    """Where the bar lies.

    Attributes
    ----------
    top, bottom : int
        First row, and the row after the last; a drawn border counts as bar.
    edge : {"bottom", "top"}
        The edge of the image along which it lies.
    tone : int
        Grey value of its ground, 0..255.
    confidence : float
        0 to 1: how even the bar is, times how sharply it ends.
    """

    top: int
    bottom: int
    edge: Edge
    tone: int
    confidence: float

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def dark(self) -> bool:
        """Whether the ground is darker than the lettering."""
        return self.tone < 128


def find_info_bar(pixels: Pixels) -> InfoBar | None:
    """Find the info bar of an image from any instrument.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8, uint16 or float32

    Returns
    -------
    InfoBar or None
        The surer of a bar along the bottom and one along the top; None where there is neither.

    Notes
    -----
    Nothing is read. Each row is described by its share of pixels at the bar's ground tone, which is the commonest tone
    of even rows near the edge. A bar is a run of rows with a large share, or drawn border lines, that begins at the
    edge or a few rows off it, holds letters of like height, and ends where the share falls for good. Lettering laid on
    the picture itself, without a ground of its own, is no bar; see `sorby.micrograph.region`.
    """
    grey = to_grey(to_uint8(pixels))
    found = [bar for edge in ("bottom", "top") if (bar := _along(grey, edge)) is not None]
    return max(found, key=lambda bar: bar.confidence, default=None)


def _along(grey: UInt8, edge: Edge) -> InfoBar | None:
    """Find a bar along one edge. Rows are counted from that edge inwards until the result is made."""
    height = grey.shape[0]
    rest, least = max(_REST_PX, round(_REST * height)), max(_SHORTEST_PX, round(_SHORTEST * height))
    reach = min(height - 1, max(round(_TALLEST * height), 4 * _SHORTEST_PX))
    strip = grey[::-1][:reach] if edge == "bottom" else grey[:reach]
    tone = _ground(strip[: rest + max(_OUTERMOST_PX, round(_OUTERMOST * height))])
    if tone is None:
        return None
    share = _share(strip, tone, _spread(strip, tone))
    frame = _drawn(strip, tone)
    first, last = _run(share, frame, rest)
    if last - first >= least:
        last = _before_black_picture(strip, frame, tone, first, last, least)
    if last - first < least or last >= reach or not _lettered(strip[first:last], tone):
        return None
    confidence = _sureness(share, frame, first, last)
    if confidence < _LEAST_SURE:
        return None
    top, bottom = (height - last, height - first) if edge == "bottom" else (first, last)
    return InfoBar(top, bottom, edge, tone, confidence)


def _ground(outermost: UInt8) -> int | None:
    """Return the tone that most even rows share, None without even rows."""
    counts = _histograms(outermost)
    # Neighbouring bins belong together: a tone may lie between two.
    pairs = counts[:, :-1] + counts[:, 1:]
    commonest = pairs.argmax(axis=1)
    even = pairs.max(axis=1) >= _EVEN * outermost.shape[1]
    if not even.any():
        return None
    chosen = int(np.bincount(commonest[even], minlength=pairs.shape[1]).argmax())
    rows = outermost[even & (np.abs(commonest - chosen) <= 1)]
    near = rows[(rows >= chosen * _BIN) & (rows < (chosen + 2) * _BIN)]
    return int(np.bincount(near, minlength=256).argmax())


def _histograms(strip: UInt8) -> npt.NDArray[np.int64]:
    """Return the histogram of each row, shape (rows, 256 / bin)."""
    rows, bins = strip.shape[0], 256 // _BIN
    keys = (strip // _BIN).astype(np.int64) + np.arange(rows)[:, None] * bins
    return np.bincount(keys.ravel(), minlength=rows * bins).reshape(rows, bins)


def _spread(strip: UInt8, tone: int) -> int:
    """Return how far the bar's own ground strays from its tone: nothing in lossless files, some levels in JPEG."""
    offset = np.abs(strip.astype(np.int16) - tone)
    loose = (offset <= _LOOSE).mean(axis=1)
    evenest = offset[loose >= max(_EVEN, float(np.quantile(loose, 0.9)))]
    kept = evenest[evenest <= _LOOSE]
    return int(np.clip(np.quantile(kept, 0.98) + 1, 1, _LOOSE)) if kept.size else _LOOSE


def _share(strip: UInt8, tone: int, spread: int) -> Float:
    """Return the share of each row that lies at the ground tone."""
    return np.asarray((np.abs(strip.astype(np.int16) - tone) <= spread).mean(axis=1))


def _drawn(strip: UInt8, tone: int) -> Mask:
    """Mark the rows that are one value, far from the ground, over the whole width: drawn lines."""
    level = np.median(strip, axis=1)
    even = (np.abs(strip.astype(np.float32) - level[:, None]) <= _LOOSE).mean(axis=1) >= _FRAME
    return np.asarray(even & (np.abs(level - tone) >= _STROKE))


def _run(share: Float, frame: Mask, rest: int) -> tuple[int, int]:
    """Return the rows, first and after the last, that belong to the bar."""
    starts = np.flatnonzero(share[: rest + _FRAMES + 1] >= _EVEN)
    if not starts.size:
        return 0, 0
    first = int(starts[0])
    # Lettering may crowd some rows, but emptier ones follow; a picture that is partly as dark as the bar has none.
    crowded = share < _MEMBER
    end = first + int(np.argmax(np.append(crowded[first:], True)))
    blank = np.flatnonzero(share[first:end] >= share[first:end].max() - _BLANK)
    last = first + int(blank[-1]) + 1
    first -= _framed(frame[:first][::-1])
    last += _framed(frame[last:])
    return (first, last) if first <= rest else (0, 0)


def _framed(frame: Mask) -> int:
    """Return how many rows of a drawn border follow; more than a few are picture."""
    count = int(np.argmin(np.append(frame, False)))
    return count if count <= _FRAMES else 0


def _before_black_picture(strip: UInt8, frame: Mask, tone: int, first: int, last: int, least: int) -> int:
    """Return the bar's end; at a drawn line across it where nothing is written beyond: that is picture as dark."""
    lines = first + np.flatnonzero(frame[first:last])
    for line in lines[lines >= first + least]:
        end = int(line) + max(1, _framed(frame[line:]))
        if end < last and not _lettered(strip[end:last], tone):
            return end
    return last


def _lettered(bar: UInt8, tone: int) -> bool:
    """Whether letters of like height stand on the bar, clear of its borders."""
    ink = np.abs(bar.astype(np.int16) - tone) >= _STROKE
    if float(ink.mean()) >= 0.6:
        return False
    pieces, _ = label(ink, np.ones((3, 3), bool))
    boxes = [box for box in find_objects(pieces) if box[0].start > 0 and box[0].stop < len(bar)]
    sizes = np.array([(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in boxes]).reshape(-1, 2)
    tall, wide = sizes[:, 0], sizes[:, 1]
    letters = tall[(tall >= _LETTER_PX) & (tall <= 0.85 * len(bar)) & (wide <= 3 * tall)]
    if letters.size < _FEWEST_LETTERS:
        return False
    middle = float(np.median(letters))
    return int((np.abs(letters - middle) <= _ALIKE * middle).sum()) >= max(_FEWEST_LETTERS, 0.4 * letters.size)


def _sureness(share: Float, frame: Mask, first: int, last: int) -> float:
    """Return how sure the bar is, 0 where nothing ends at its border."""
    evenness = float(np.median(share[first:last]))
    within = float(np.max(share[max(first, last - 6) : last]))
    beyond = float(share[last : last + 6].mean())
    # A drawn border ends the bar as well as a change of tone does.
    step = 0.5 if frame[last - 1] and share[last - 1] < _MEMBER else within - beyond
    return round(evenness * min(1.0, step / 0.5), 4) if step >= _LEAST_STEP else 0.0

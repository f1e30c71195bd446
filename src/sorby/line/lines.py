"""Lines of a moving web as they come: blocks of pixels, lines that were lost, and what was odd about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from sorby.errors import ImageError, InputError
from sorby.line.scorer import GreyStrip
from sorby.micrograph import Pixels, to_grey

IncidentKind = Literal[
    "gap", "lost-lines", "stuck-camera", "saturation", "dark", "flipped", "width-change", "truncated"
]


@dataclass(frozen=True)
class Lane:
    """The columns that one camera sees.

    Attributes
    ----------
    number : int
        Counted from 0 across the web.
    first : int
        Its first column in the pixels of a block; lanes lie there one after the other.
    width : int
        Columns.
    across_px : int
        Column of the web that its first column shows. Lanes may overlap on the web.
    """

    number: int
    first: int
    width: int
    across_px: int


def one_lane(width: int) -> tuple[Lane, ...]:
    """Return the layout of a single camera *width* pixels wide."""
    return (Lane(0, 0, width, 0),)


def web_width(lanes: tuple[Lane, ...]) -> int:
    """Return how many columns of the web *lanes* reach to."""
    return max(lane.across_px + lane.width for lane in lanes)


@dataclass(frozen=True)
class Incident:
    """Something that happened to the lines, not to the web.

    Attributes
    ----------
    kind : str
    row : int
        Line of the web where it begins; relative to the item that carries it until the item has its place.
    rows : int or None
        Lines it concerns; None where nobody can tell.
    lane : int
    message : str
        One line.
    """

    kind: IncidentKind
    row: int
    rows: int | None
    lane: int
    message: str


@dataclass(frozen=True, eq=False)
class LineBlock:
    """Lines that follow one another.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (rows, columns)
        Columns of all lanes, lane after lane.
    lanes : tuple of Lane
    origin : str
        File or stream they came from.
    cursor : JSON value
        Where a source begins to give this block again; None where it cannot.
    incidents : tuple of Incident
        Rows counted from the first of the block.
    breaks : bool
        The block does not continue the one before (another sheet): no strip spans both.
    arrived : float
        Clock time of arrival, seconds.
    """

    pixels: GreyStrip
    lanes: tuple[Lane, ...]
    origin: str
    cursor: Any = None
    incidents: tuple[Incident, ...] = ()
    breaks: bool = False
    arrived: float = field(default_factory=time.perf_counter)

    @property
    def rows(self) -> int:
        """Lines of the block."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True)
class LostLines:
    """Lines of the web of which there is no picture.

    Attributes
    ----------
    rows : int or None
        How many; None where nothing tells. What follows is then placed directly after, and the result says so.
    message : str
    origin : str
        File or stream.
    cursor : JSON value
    lane : int
    advances : bool
        False where other lanes show these lines of the web: the web's count goes on through them.
    quarantined : str
        Why the file was set aside; empty where there was no file.
    """

    rows: int | None
    message: str
    origin: str
    cursor: Any = None
    lane: int = 0
    advances: bool = True
    quarantined: str = ""


Item = LineBlock | LostLines


class LineSource(Protocol):
    """Where lines come from."""

    @property
    def width(self) -> int:
        """Columns of the widest lane expected."""

    @property
    def rows_total(self) -> int | None:
        """Lines there will be; None where that is open."""

    def identity(self) -> dict[str, Any]:
        """Return what tells this source from another, for a run that is taken up again."""

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield what comes, from the item that bore *cursor* on; from the beginning without one.

        A source that cannot go back yields items whose cursor is None.
        """


@dataclass(frozen=True)
class Levels:
    """One fixed way from the camera's depth to eight bits, the same on every line of a roll.

    A stretch that looks at each strip by itself would change the contrast from strip to strip, and with it every score.

    Attributes
    ----------
    black, white : float or None
        Values that become 0 and 255. Left out: the whole range of the type (0..65535 for uint16); uint8 stays as it is.
    """

    black: float | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        black, white = self.black or 0.0, self.white
        if white is not None and not white > black:
            raise InputError(f"--white {white:g} is not above --black {black:g}", "give the values of black and white")

    def apply(self, pixels: Pixels) -> GreyStrip:
        """Return grey pixels of 8 bits.

        Parameters
        ----------
        pixels : ndarray, (H, W) or (H, W, 3), uint8, uint16 or float32

        Raises
        ------
        ImageError
            Floats without a stated white level: they have no range of their own.
        """
        grey = to_grey(pixels)
        if grey.dtype == np.uint8 and self.black is None and self.white is None:
            return np.asarray(grey, np.uint8)
        if grey.dtype.kind == "f" and self.white is None:
            raise ImageError("pixels of type float32 have no stated white level", "give --black and --white")
        black = self.black or 0.0
        white = self.white if self.white is not None else float(np.iinfo(grey.dtype).max)
        if grey.dtype.kind == "u":
            values = np.arange(np.iinfo(grey.dtype).max + 1, dtype=np.float64)
            table = np.rint(np.clip((values - black) * (255 / (white - black)), 0, 255)).astype(np.uint8)
            return np.asarray(table[grey])
        scaled = (grey - np.float32(black)) * np.float32(255 / (white - black))
        return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)

    def as_dict(self) -> dict[str, float | None]:
        """Return the levels for a record."""
        return {"black": self.black, "white": self.white}

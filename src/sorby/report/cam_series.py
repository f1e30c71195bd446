"""One specimen after the other through its magnifications: picture, where the classifier looked, what it said.

The layout of Figs. 5 and 6 of Schmid et al.: a row a specimen (or class), a column a magnification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sorby.report.panels import Panel, panel_sheet
from sorby.report.thumbnails import Uint8Image, shrink

_LONGEST_PX = 320  # of a picture in the page


@dataclass(frozen=True, eq=False)
class SeriesView:
    """One image of a specimen.

    Attributes
    ----------
    row : str
        Which row it stands in: specimen, class, or both.
    magnification : float
        Which column it stands in.
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
    overlay : ndarray of uint8, shape (H, W, 3)
        The map laid over it, see `sorby.attribution.overlay`.
    predicted : str
    confidence : float
        Calibrated probability of *predicted*.
    true : str
        What the report says; empty where unknown.
    flags : tuple of str
        What a person must know of it, e.g. ``origin not in view``.
    """

    row: str
    magnification: float
    image: Uint8Image
    overlay: Uint8Image
    predicted: str
    confidence: float
    true: str = ""
    flags: tuple[str, ...] = ()


def cam_series(views: Sequence[SeriesView], description: str = "") -> str:
    """Draw the series: for each row the pictures and, below them, the maps with what was predicted.

    Rows stand in the order of their first view, columns in rising magnification. A specimen without an image at a
    magnification leaves the place empty; of several the first is shown.

    Parameters
    ----------
    views : sequence of SeriesView
    description : str
        For readers who do not see it; rows and columns are named where it is absent.

    Returns
    -------
    str
        ``<svg ...>...</svg>``
    """
    rows = list(dict.fromkeys(view.row for view in views))
    columns = sorted({view.magnification for view in views})
    at = {(view.row, view.magnification): view for view in reversed(views)}
    sheet: list[list[Panel]] = []
    labels: list[str] = []
    for row in rows:
        own = [at.get((row, magnification)) for magnification in columns]
        height, width = next(view.image.shape[:2] for view in own if view is not None)
        blank = np.full((height, width, 3), 225, np.uint8)
        sheet.append(
            [
                Panel(shrink(blank if view is None else view.image, _LONGEST_PX), named(magnification))
                for view, magnification in zip(own, columns, strict=True)
            ]
        )
        sheet.append([_looked_at(view, blank) for view in own])
        labels += [_title(row, own), ""]
    said = description or (
        f"{len(rows)} specimens at {', '.join(named(each) for each in columns)}: pictures, and below each the place the"
        " classifier looked at with its verdict."
    )
    return panel_sheet(sheet, said, labels, empty="no images")


def named(magnification: float) -> str:
    """Write a magnification as instruments do: 50x, 250x, 1k x, 10k x."""
    if magnification >= 1000:
        return f"{magnification / 1000:g}k x"
    return f"{magnification:g}x"


def _title(row: str, own: Sequence[SeriesView | None]) -> str:
    truth = next((view.true for view in own if view is not None and view.true), "")
    return f"{row}: {truth}" if truth and truth not in row else row


def _looked_at(view: SeriesView | None, blank: Uint8Image) -> Panel:
    """Return the map of a view with its verdict; a wrong one names itself."""
    if view is None:
        return Panel(shrink(blank, _LONGEST_PX), notes=("no image",))
    wrong = " (wrong)" if view.true and view.predicted != view.true else ""
    said = f"{view.predicted} {view.confidence:.2f}{wrong}"
    return Panel(shrink(view.overlay, _LONGEST_PX), notes=(said, *view.flags))

"""The audit of left-over text as one HTML file: every image looked at, what was cut, and what was still read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sorby._version import __version__
from sorby.micrograph import Pixels
from sorby.micrograph.text_reading import TextLine
from sorby.report.page import render
from sorby.report.thumbnails import Picture, Uint8Image, embed, shrink

_LONGEST_PX = 230
_LINE_COLOUR = (200, 30, 30)


@dataclass(frozen=True, eq=False)
class AuditedImage:
    """An image after cropping, small, with what was read on it.

    Attributes
    ----------
    file : str
    height : int
        Rows before cropping.
    bar_top, bar_rows : int or None
        Where an info bar was found.
    rows_cut, first_row : int
        Rows taken off, and the first one kept.
    lines : tuple of TextLine
        What was read, in pixels of the cropped image.
    picture : Picture
        The cropped image with a frame around each line.
    """

    file: str
    height: int
    bar_top: int | None
    bar_rows: int | None
    rows_cut: int
    first_row: int
    lines: tuple[TextLine, ...]
    picture: Picture

    @classmethod
    def of(
        cls,
        path: Path,
        whole: Pixels,
        cropped: Pixels,
        lines: tuple[TextLine, ...],
        *,
        bar_top: int | None,
        bar_rows: int | None,
        rows_cut: int,
        first_row: int,
    ) -> AuditedImage:
        """Return what the page keeps of an image; its pixels are let go."""
        small = shrink(cropped, _LONGEST_PX).copy()
        _frame(small, lines, small.shape[1] / cropped.shape[1])
        said = f"text left on {path.name}" if lines else f"{path.name} after cropping"
        return cls(
            str(path), whole.shape[0], bar_top, bar_rows, rows_cut, first_row, lines, embed(small, said)
        )  # fmt: skip


def text_audit_page(result: Mapping[str, Any], images: Sequence[AuditedImage], how: str) -> str:
    """Return the page.

    Parameters
    ----------
    result : mapping
        What `sorby.workflow.archive.text_audit.audit_text` returns.
    images : sequence of AuditedImage
    how : str
        What was cropped, in words.
    """
    return render(
        "text_audit.html",
        title="Text left after cropping",
        sorby_version=__version__,
        result=result,
        how=how,
        with_text=[one for one in images if one.lines],
        clean=[one for one in images if not one.lines],
        engine=", ".join(f"{name} {value}" for name, value in result["engine"].items()),
    )


def _frame(picture: Uint8Image, lines: Sequence[TextLine], factor: float) -> None:
    """Draw a frame of one pixel around each line."""
    bottom, right = picture.shape[0] - 1, picture.shape[1] - 1
    for line in lines:
        places = np.rint(np.array([line.top, line.bottom, line.left, line.right]) * factor).astype(int)
        y0, y1 = np.clip(places[:2], 0, bottom)
        x0, x1 = np.clip(places[2:], 0, right)
        picture[y0, x0 : x1 + 1] = picture[y1, x0 : x1 + 1] = _LINE_COLOUR
        picture[y0 : y1 + 1, x0] = picture[y0 : y1 + 1, x1] = _LINE_COLOUR

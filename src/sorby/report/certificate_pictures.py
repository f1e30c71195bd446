"""Pictures on a certificate: micrographs scaled down, side by side, each with its scale bar."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from sorby.micrograph import Pixels, read
from sorby.report.certificate import CertificateImage
from sorby.report.certificate_lettering import BOLD, SANS, Lettering
from sorby.report.plate_figures import bar_length_um
from sorby.report.thumbnails import Uint8Image, shrink

INK, MUTED, RULE = "#16202b", "#5a6672", "#c3ccd5"
_LONGEST_PX = 900  # about 300 dots an inch at the widest that a picture is printed
_QUALITY = 88
_SAME_SHAPE = 0.02
_GAP = 7.0
_CAPTION = 6.4
_LEADING = 8.2
_CAPTIONS = 2 * _LEADING + 5.0
_MOST_ROWS = 3


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture as it is printed.

    Attributes
    ----------
    jpeg : bytes
    width_px, height_px : int
        Of the original, which the pixel size belongs to.
    pixel_size_um : float or None
    caption : tuple of str
        Two lines.
    """

    jpeg: bytes
    width_px: int
    height_px: int
    pixel_size_um: float | None
    caption: tuple[str, str]

    @property
    def aspect(self) -> float:
        """Width over height of its place on the page; a longer picture gets white beside it."""
        return min(max(self.width_px / self.height_px, 0.35), 8.0)


def prepare(images: Sequence[CertificateImage]) -> list[Shown]:
    """Read, scale down and encode pictures; an image with an overlay makes two.

    Raises
    ------
    InputError
        A picture cannot be read.
    """
    shown = []
    for image in images:
        sure = f" {percent(image.confidence)}" if image.confidence is not None else ""
        said = [image.name, *([f"{image.label}{sure}"] if image.label else [])]
        source = f" ({image.scale_source})" if image.scale_source and image.pixel_size_um else ""
        scale = [f"{image.pixel_size_um:.4g} µm/px{source}" if image.pixel_size_um else "no scale stated"]
        scale += [f"{image.magnification:g}x"] if image.magnification else []
        pixels = _pixels(image.picture)
        shown.append(_shown(pixels, image.pixel_size_um, (" · ".join(said), " · ".join(scale))))
        if image.overlay is not None:
            over = _pixels(image.overlay)
            caption = (image.overlay_says or "overlay", f"over {image.name}")
            shown.append(_shown(over, _size_over(pixels, over, image.pixel_size_um), caption))
    return shown


def percent(share: float) -> str:
    """Return a probability in per cent; one that is not 0 or 1 never looks like it."""
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def draw_row(
    canvas: Canvas,
    pictures: Sequence[Shown],
    lettering: Lettering,
    *,
    left: float,
    top: float,
    width: float,
    height: float,
) -> None:
    """Draw pictures in one row, as large as they fit, captions below.

    Parameters
    ----------
    canvas : Canvas
    pictures : sequence of Shown
    lettering : Lettering
    left, top, width, height : float
        The place in points, captions included; *top* is its upper edge.
    """
    room = height - _CAPTIONS
    tall = min(room, (width - _GAP * (len(pictures) - 1)) / sum(shown.aspect for shown in pictures))
    used = tall * sum(shown.aspect for shown in pictures) + _GAP * (len(pictures) - 1)
    x = left + (width - used) / 2
    for shown in pictures:
        wide = tall * shown.aspect
        factor = min(wide / shown.width_px, tall / shown.height_px)
        own_wide, own_tall = shown.width_px * factor, shown.height_px * factor
        own_x, own_y = x + (wide - own_wide) / 2, top - tall / 2 - own_tall / 2
        canvas.drawImage(ImageReader(io.BytesIO(shown.jpeg)), own_x, own_y, own_wide, own_tall)
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(0.4)
        canvas.rect(own_x, own_y, own_wide, own_tall, stroke=1, fill=0)
        if shown.pixel_size_um:
            _draw_bar(canvas, shown.width_px * shown.pixel_size_um, own_x, own_y, own_wide)
        _draw_caption(canvas, shown.caption, lettering, x, top - tall, wide)
        x += wide + _GAP


def arrange(pictures: Sequence[Shown], width: float, most: float) -> list[tuple[Sequence[Shown], float]]:
    """Set pictures in the number of rows that shows them largest.

    Parameters
    ----------
    pictures : sequence of Shown
    width, most : float
        Room in points, captions included.

    Returns
    -------
    list of (pictures, height)
        The rows, from top to bottom.
    """
    best: list[tuple[Sequence[Shown], float]] = []
    for n_rows in range(1, min(_MOST_ROWS, len(pictures)) + 1):
        cuts = [round(k * len(pictures) / n_rows) for k in range(n_rows + 1)]
        groups = [pictures[low:high] for low, high in pairwise(cuts)]
        rows = [(group, _row_height(group, width, most / n_rows)) for group in groups]
        if _area(rows) > 1.1 * _area(best):  # another row must be worth it
            best = rows
    return best


def _row_height(pictures: Sequence[Shown], width: float, most: float) -> float:
    tall = (width - _GAP * (len(pictures) - 1)) / sum(shown.aspect for shown in pictures)
    return min(most, tall + _CAPTIONS)


def _area(rows: Sequence[tuple[Sequence[Shown], float]]) -> float:
    return sum(max(height - _CAPTIONS, 0.0) ** 2 * sum(shown.aspect for shown in group) for group, height in rows)


def length_text(um: float) -> str:
    """Return a length with the unit that keeps its number short."""
    for unit, factor in (("nm", 1e-3), ("µm", 1.0), ("mm", 1e3)):
        if um < 1e3 * factor or unit == "mm":
            return f"{um / factor:g} {unit}"
    raise AssertionError("the last unit takes every length")


def _pixels(picture: Path | Pixels) -> Pixels:
    return read(picture).pixels if isinstance(picture, Path) else picture


def _shown(pixels: Pixels, pixel_size_um: float | None, caption: tuple[str, str]) -> Shown:
    small: Uint8Image = shrink(pixels, _LONGEST_PX)
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, format="JPEG", quality=_QUALITY)
    return Shown(buffer.getvalue(), pixels.shape[1], pixels.shape[0], pixel_size_um, caption)


def _size_over(pixels: Pixels, over: Pixels, pixel_size_um: float | None) -> float | None:
    """Return an overlay's pixel size; None where its shape says that it shows more than the field of the picture."""
    wide, tall = over.shape[1] / pixels.shape[1], over.shape[0] / pixels.shape[0]
    same = abs(wide / tall - 1) < _SAME_SHAPE
    return pixel_size_um / wide if pixel_size_um and same else None


def _draw_bar(canvas: Canvas, field_um: float, x: float, y: float, wide: float) -> None:
    """Draw a white bar on a dark plate in the lower right corner: legible on any picture."""
    length = bar_length_um(field_um)
    bar, text = wide * length / field_um, length_text(length)
    size = min(6.5, max(4.0, wide / 18))
    plate = max(bar, stringWidth(text, BOLD, size)) + 6
    right, bottom = x + wide - 3, y + 3
    canvas.setFillColor("#000000", alpha=0.72)
    canvas.rect(right - plate, bottom, plate, size + 7, stroke=0, fill=1)
    canvas.setFillColor("#ffffff", alpha=1)
    centre = right - plate / 2
    canvas.rect(centre - bar / 2, bottom + 2, bar, 1.6, stroke=0, fill=1)
    canvas.setFont(BOLD, size)
    canvas.drawCentredString(centre, bottom + 5.4, text)


def _draw_caption(
    canvas: Canvas, caption: tuple[str, str], lettering: Lettering, x: float, y: float, wide: float
) -> None:
    for number, (line, colour) in enumerate(zip(caption, (INK, MUTED), strict=True)):
        canvas.setFillColor(colour)
        canvas.setFont(SANS, _CAPTION)
        canvas.drawString(x, y - _LEADING * (number + 1), shortened(lettering.plain(line), SANS, _CAPTION, wide))


def shortened(text: str, font: str, size: float, width: float) -> str:
    """Return *text* cut with an ellipsis so that it is at most *width* points wide."""
    if stringWidth(text, font, size) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = math.ceil((low + high) / 2)
        if stringWidth(text[:middle].rstrip() + "…", font, size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"

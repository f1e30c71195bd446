"""The page of a certificate: A4, one page whatever it has to say.

Sections are measured before anything is drawn. Where they do not fit, they are set smaller and shorter, step by step;
what is left out is counted on the page and stands in the tables beside it. Pictures take the room that is left.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from sorby.files import atomic_write
from sorby.micrograph import read
from sorby.report.certificate import SUPPORTS, Certificate
from sorby.report.certificate_lettering import BOLD, SANS, Lettering
from sorby.report.certificate_pictures import INK, MUTED, RULE, Shown, arrange, draw_row, prepare, shortened
from sorby.report.certificate_sections import LEVELS, WIDTH, Section, moment, sections
from sorby.report.thumbnails import shrink

_LEFT = (A4[0] - WIDTH) / 2
_TOP, _BOTTOM = A4[1] - 34.0, 52.0
_ACCENT = "#1f4e79"
_QR = 62.0
_HEADER = 84.0
_SPACE = 9.0
_AIR = 9.0  # at most so much more between sections of a short certificate
_LOWEST, _HIGHEST = 78.0, 340.0
_MOST_PICTURES = 8
_LOGO_PX = 500


def write_certificate(certificate: Certificate, path: Path | str) -> None:
    """Write the page as PDF; the same certificate gives the same bytes.

    Parameters
    ----------
    certificate : Certificate
    path : Path or str

    Raises
    ------
    InputError
        A picture cannot be read, a font cannot be embedded, or the file cannot be written.
    """
    data = render_certificate(certificate)
    with atomic_write(path) as file:
        file.write(data)


def render_certificate(certificate: Certificate) -> bytes:
    """Return the page as PDF, see `write_certificate`."""
    lettering = Lettering(certificate.letterhead.fonts)
    pictures = prepare(certificate.images[:_MOST_PICTURES])[:_MOST_PICTURES]
    plan = _plan(certificate, lettering, pictures)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1, lang="en")
    canvas.setTitle(f"Certificate {certificate.number}")
    canvas.setAuthor(certificate.letterhead.laboratory)
    canvas.setSubject(f"Specimen {certificate.specimen}")
    canvas.setCreator(certificate.software or "sorby")
    _draw_header(canvas, certificate, lettering)
    _draw_body(canvas, plan, lettering)
    _draw_footer(canvas, certificate, lettering)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is drawn, from top to bottom, the rows of pictures within it, and the space between."""

    above: Sequence[Section]
    below: Sequence[Section]
    rows: Sequence[tuple[Sequence[Shown], float]]
    space: float
    shrink: float = 1.0


def _plan(certificate: Certificate, lettering: Lettering, pictures: Sequence[Shown]) -> _Plan:
    """Choose the first level at which everything fits."""
    room = _TOP - _HEADER - _BOTTOM
    for level in LEVELS:
        shown = pictures[: level.pictures]
        above, below = sections(certificate, lettering, level, _images_shown(certificate, len(shown)))
        fixed = sum(section.height + _SPACE for section in (*above, *below))
        left = room - fixed - (_SPACE if shown else 0.0)
        lowest = arrange(shown, WIDTH, _LOWEST)
        if left >= sum(height for _, height in lowest):
            rows = arrange(shown, WIDTH, min(left, _HIGHEST))
            spare = left - sum(height for _, height in rows)
            return _Plan(above, below, rows, _SPACE + min(_AIR, spare / (len(above) + len(below) + 1)))
    # Nothing is left to shorten: set it all smaller.
    needed = room - left + sum(height for _, height in lowest)
    return _Plan(above, below, lowest, _SPACE, room / needed)


def _images_shown(certificate: Certificate, n_pictures: int) -> int:
    """Return how many images so many pictures are; an image with an overlay is two."""
    used = shown = 0
    for image in certificate.images:
        used += 1
        if used > n_pictures:
            break
        shown += 1
        used += image.overlay is not None
    return shown


def _draw_header(canvas: Canvas, certificate: Certificate, lettering: Lettering) -> None:
    canvas.setFillColor(_ACCENT)
    canvas.rect(0, A4[1] - 7, A4[0], 7, stroke=0, fill=1)
    right = _LEFT + WIDTH - (_QR + 10 if certificate.code else 0)
    left = _LEFT + _draw_logo(canvas, certificate)
    head = certificate.letterhead
    _line(
        canvas,
        lettering,
        head.laboratory or "Issuing laboratory not stated",
        BOLD,
        10.5,
        INK,
        left,
        _TOP - 10,
        right - left,
    )
    for number, line in enumerate(head.lines[:2]):
        _line(canvas, lettering, line, SANS, 7, MUTED, left, _TOP - 21 - 9 * number, right - left)
    _line(canvas, lettering, certificate.title, BOLD, 16, _ACCENT, _LEFT, _TOP - 57, right - _LEFT)
    _line(
        canvas,
        lettering,
        f"No. {certificate.number}   ·   issued {moment(certificate.issued_at)}",
        SANS,
        8,
        INK,
        _LEFT,
        _TOP - 70,
        right - _LEFT,
    )
    if certificate.code:
        _draw_code(canvas, certificate.code, _LEFT + WIDTH - _QR, _TOP - _QR - 2)
    canvas.setStrokeColor(_ACCENT)
    canvas.setLineWidth(1.1)
    canvas.line(_LEFT, _TOP - _HEADER + 5, _LEFT + WIDTH, _TOP - _HEADER + 5)


def _draw_logo(canvas: Canvas, certificate: Certificate) -> float:
    """Draw the logo and return how far what follows moves to the right."""
    if certificate.letterhead.logo is None:
        return 0.0
    shown = ImageReader(Image.fromarray(shrink(read(certificate.letterhead.logo).pixels, _LOGO_PX)))
    wide, tall = shown.getSize()
    factor = min(30 / tall, 120 / wide)
    canvas.drawImage(shown, _LEFT, _TOP - 32, wide * factor, tall * factor)
    return float(wide * factor + 10)


def _draw_code(canvas: Canvas, text: str, x: float, y: float) -> None:
    """Draw the QR code with medium error correction and its quiet zone."""
    widget = QrCodeWidget(text, barLevel="M", barBorder=2)
    left, bottom, right, top = widget.getBounds()
    drawing = Drawing(_QR, _QR, transform=[_QR / (right - left), 0, 0, _QR / (top - bottom), 0, 0])
    drawing.add(widget)
    renderPDF.draw(drawing, canvas, x, y)
    canvas.setFillColor(MUTED)
    canvas.setFont(SANS, 5.2)
    canvas.drawCentredString(
        x + _QR / 2, y - 5, "names the record" if text.startswith("sorby:") else "leads to the record"
    )


def _draw_body(canvas: Canvas, plan: _Plan, lettering: Lettering) -> None:
    canvas.saveState()
    if plan.shrink < 1:
        canvas.translate(
            _LEFT * (1 - plan.shrink) + WIDTH * (1 - plan.shrink) / 2, (_TOP - _HEADER) * (1 - plan.shrink)
        )
        canvas.scale(plan.shrink, plan.shrink)
    y = _TOP - _HEADER
    for section in plan.above:
        y = section.draw(canvas, _LEFT, y) - plan.space
    for pictures, height in plan.rows:
        draw_row(canvas, pictures, lettering, left=_LEFT, top=y, width=WIDTH, height=height)
        y -= height
    y -= plan.space if plan.rows else 0.0
    for section in plan.below:
        y = section.draw(canvas, _LEFT, y) - plan.space
    canvas.restoreState()


def _draw_footer(canvas: Canvas, certificate: Certificate, lettering: Lettering) -> None:
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.5)
    canvas.line(_LEFT, _BOTTOM - 8, _LEFT + WIDTH, _BOTTOM - 8)
    for number, part in enumerate(_two_lines(SUPPORTS)):
        _line(canvas, lettering, part, SANS, 6, MUTED, _LEFT, _BOTTOM - 17 - 7.5 * number, WIDTH)
    said = [certificate.software, "page 1 of 1"]
    if lettering.unknown:
        said.insert(0, f"{len(lettering.unknown)} letters are in no embedded font (\ufffd): the tables hold them")
    _line(canvas, lettering, " · ".join(part for part in said if part), SANS, 6, MUTED, _LEFT, _BOTTOM - 34, WIDTH)


def _two_lines(text: str) -> list[str]:
    """Break after the first sentence."""
    first, dot, rest = text.partition(". ")
    return [first + dot.strip(), rest]


def _line(
    canvas: Canvas,
    lettering: Lettering,
    text: str,
    font: str,
    size: float,
    colour: str,
    x: float,
    y: float,
    width: float,
) -> None:
    """Draw one line, cut where it is too long."""
    canvas.setFillColor(colour)
    canvas.setFont(font, size)
    canvas.drawString(x, y, shortened(lettering.plain(text, font), font, size, width))

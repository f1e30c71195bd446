"""Info bars as four makers' microscopes print them, with a scale bar that is true to a pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Vendor = Literal["zeiss", "fei", "hitachi", "jeol"]
VENDORS: tuple[Vendor, ...] = ("zeiss", "fei", "hitachi", "jeol")
#: Letters are never smaller than this many pixels: less cannot be read.
_SMALLEST_LETTERS = 10
_Language = Literal["en", "de"]
_Place = Literal["bottom", "top"]
_Font = ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Style:
    """How a maker's bar looks.

    Attributes
    ----------
    paper, ink : int
        Grey of ground and letters.
    height : float
        Rows over the picture's width.
    letters : float
        Size of letters over the picture's width.
    font : str
        DejaVu font file, as Matplotlib brings it.
    scale_share : tuple of float
        Length of the scale bar over the picture's width, least and most.
    """

    paper: int
    ink: int
    height: float
    letters: float
    font: str
    scale_share: tuple[float, float]


STYLES: Mapping[Vendor, Style] = {
    "zeiss": Style(255, 0, 0.048, 0.0175, "DejaVuSans.ttf", (0.035, 0.1)),
    "fei": Style(8, 250, 0.058, 0.0165, "DejaVuSans.ttf", (0.1, 0.25)),
    "hitachi": Style(0, 255, 0.05, 0.027, "DejaVuSans.ttf", (0.25, 0.5)),
    "jeol": Style(28, 240, 0.042, 0.018, "DejaVuSansMono-Bold.ttf", (0.1, 0.25)),
}
#: At the top, JEOL's bar is light.
_JEOL_TOP = Style(226, 20, 0.042, 0.018, "DejaVuSansMono.ttf", (0.1, 0.25))


@dataclass(frozen=True)
class _Session:
    """What the operator had set; every text of a bar comes from here."""

    magnification: float
    field_um: float
    kv: float
    wd_mm: float
    detector: str
    date: str
    time: str
    length_um: float
    length_px: int
    language: _Language

    def number(self, value: float, decimals: int) -> str:
        """Return a number, with a decimal comma in German."""
        text = f"{value:.{decimals}f}"
        return text.replace(".", ",") if self.language == "de" else text


@dataclass
class _Sheet:
    """An empty bar to draw on."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    style: Style
    font: _Font

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    def wide(self, text: str, font: _Font | None = None) -> int:
        """Return how many pixels *text* takes."""
        return int(np.ceil((font or self.font).getlength(text)))

    def write(self, x: float, y: float, text: str, anchor: str = "lm", font: _Font | None = None) -> None:
        self.draw.text((x, y), text, fill=self.style.ink, font=font or self.font, anchor=anchor)

    def block(self, left: int, top: int, width: int, height: int) -> None:
        """Fill exactly *width* x *height* pixels."""
        self.draw.rectangle((left, top, left + width - 1, top + height - 1), fill=self.style.ink)


@dataclass(frozen=True)
class InfoBar:
    """A bar, drawn.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (rows, width)
    at : {"bottom", "top"}
        Of the picture.
    scale_label : str
        What the scale bar says, such as ``10 µm``.
    scale_px : int
        Its length in pixels.
    """

    pixels: npt.NDArray[np.uint8]
    at: _Place
    scale_label: str
    scale_px: int

    @property
    def rows(self) -> int:
        """Rows of the bar."""
        return len(self.pixels)

    def beside(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return a picture of the bar's width with the bar above or below it."""
        return np.vstack([self.pixels, picture] if self.at == "top" else [picture, self.pixels])

    def nothing_beside(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return a mask grown to the size of the picture with its bar: 0 where the bar is."""
        empty = np.zeros_like(self.pixels)
        return np.vstack([empty, mask] if self.at == "top" else [mask, empty])


def draw_bar(
    vendor: Vendor,
    width: int,
    pixel_size_um: float,
    magnification: float,
    *,
    seed: int,
    number: int = 1,
    language: _Language = "en",
    at: _Place = "bottom",
    kv: float | None = None,
) -> InfoBar:
    """Draw the info bar of a picture.

    Parameters
    ----------
    vendor : {"zeiss", "fei", "hitachi", "jeol"}
    width : int
        Of the picture in pixels.
    pixel_size_um, magnification : float
    seed : int
        Of the session: voltage, working distance and date are the same in every picture of it.
    number : int
        Of the picture within the session: time goes on.
    language : {"en", "de"}
    at : {"bottom", "top"}
    kv : float, optional
        Accelerating voltage; drawn where None.
    """
    style = _JEOL_TOP if vendor == "jeol" and at == "top" else STYLES[vendor]
    session = _session(style, vendor, width, pixel_size_um, magnification, seed, number, language, kv)
    letters = max(_SMALLEST_LETTERS, round(style.letters * width))
    rows = max(round(style.height * width), round(2.6 * letters))
    image = Image.new("L", (width, rows), style.paper)
    sheet = _Sheet(image, ImageDraw.Draw(image), style, _font(style.font, letters))
    label = _DRAWN[vendor](sheet, session)
    return InfoBar(np.asarray(image, dtype=np.uint8), at, label, session.length_px)


def _session(
    style: Style,
    vendor: Vendor,
    width: int,
    pixel_size_um: float,
    magnification: float,
    seed: int,
    number: int,
    language: _Language,
    kv: float | None,
) -> _Session:
    rng = np.random.default_rng([seed, 9])
    length = _round_length_um(pixel_size_um * width, *style.scale_share)
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(2019, 2025))
    minute = int(rng.integers(8 * 60, 15 * 60)) + 3 * number
    drawn_kv = float(rng.choice((5.0, 10.0, 15.0, 20.0)))
    return _Session(
        magnification=magnification,
        field_um=pixel_size_um * width,
        kv=drawn_kv if kv is None else kv,
        wd_mm=round(float(rng.uniform(6.0, 14.0)), 1),
        detector={"zeiss": "SE2", "fei": "ETD", "hitachi": "SE(M)", "jeol": "SEI"}[vendor],
        date=f"{day:02d}.{month:02d}.{year}" if language == "de" else f"{month}/{day}/{year}",
        time=f"{minute // 60:02d}:{minute % 60:02d}",
        length_um=length,
        length_px=round(length / pixel_size_um),
        language=language,
    )


def _round_length_um(field_um: float, least: float, most: float) -> float:
    """Return the longest length of the series 1, 2, 5 that is no longer than its share of the field."""
    powers = 10.0 ** np.arange(-3, 5)
    lengths = np.sort(np.outer(powers, (1.0, 2.0, 5.0)).ravel())
    fitting = lengths[lengths <= most * field_um * (1 + 1e-9)]
    chosen = float(fitting[-1])
    return chosen if chosen >= least * field_um else float(lengths[len(fitting)])


def _length(length_um: float, session: _Session, space: str = " ", decimals: int | None = None) -> str:
    """Return a length as bars print it: 200 nm, 10 µm, 1 mm."""
    value, unit = length_um, "µm"
    if length_um < 1.0:
        value, unit = length_um * 1000, "nm"
    elif length_um >= 1000.0:
        value, unit = length_um / 1000, "mm"
    places = decimals if decimals is not None else (0 if value == int(value) else 1)
    return f"{session.number(value, places)}{space}{unit}"


@lru_cache(maxsize=32)
def _font(name: str, size: int) -> _Font:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _zeiss(sheet: _Sheet, session: _Session) -> str:
    """Black on white; the scale bar under its label at the left, then fields in a row."""
    label = _length(session.length_um, session)
    line = max(1, sheet.width // 700)
    left, middle = round(0.018 * sheet.width), sheet.height // 2
    foot = round(0.72 * sheet.height)
    end = max(5, round(0.3 * sheet.height))
    sheet.block(left, foot - line // 2, session.length_px, line)
    sheet.block(left, foot - end // 2, line, end)
    sheet.block(left + session.length_px - line, foot - end // 2, line, end)
    sheet.write(left + session.length_px / 2, 0.28 * sheet.height, label, "mm")
    if sheet.wide(label) / 2 > left + session.length_px / 2:
        sheet.draw.rectangle((0, 0, sheet.width, foot - end // 2 - 1), fill=sheet.style.paper)
        sheet.write(2, 0.28 * sheet.height, label)
    value = session.magnification
    shown = f"{session.number(value / 1000, 2)} K X" if value >= 1000 else f"{value:.0f} X"
    fields = [
        f"Mag = {shown}",
        f"EHT = {session.number(session.kv, 2)} kV",
        f"WD = {session.number(session.wd_mm, 1)} mm",
        f"Signal A = {session.detector}",
        f"{'Datum' if session.language == 'de' else 'Date'} : {session.date}",
    ]
    x = max(left + session.length_px, sheet.wide(label)) + max(10, 0.03 * sheet.width)
    for field in fields:
        if x + sheet.wide(field) > sheet.width - 4:
            break
        sheet.write(x, middle, field)
        x += sheet.wide(field) + max(8, 0.022 * sheet.width)
    return label


def _fei(sheet: _Sheet, session: _Session) -> str:
    """White on black in framed cells of two lines; the scale bar left and right of its label, at the right."""
    label = _length(session.length_um, session)
    thousands = "." if session.language == "de" else " "
    value = f"{session.magnification:,.0f}".replace(",", thousands) + " x"
    cells = [
        ("mag", value),
        ("HV", f"{session.number(session.kv, 2)} kV"),
        ("WD", f"{session.number(session.wd_mm, 1)} mm"),
        ("HFW", _length(session.field_um, session, decimals=2 if session.field_um >= 1000 else 1)),
        ("det", session.detector),
        (session.date, session.time),
        ("spot", session.number(3.0, 1)),
    ]
    label_wide = sheet.wide(label) + 10
    scale_wide = max(session.length_px, label_wide + 12) + 16
    right = sheet.width - scale_wide
    x, upper, lower = 0, 0.29 * sheet.height, 0.72 * sheet.height
    sheet.draw.rectangle((0, 0, sheet.width - 1, sheet.height - 1), outline=sheet.style.ink)
    for head, text in cells:
        wide = max(sheet.wide(head), sheet.wide(text)) + max(8, sheet.width // 60)
        if x + wide > right:
            break
        sheet.write(x + wide / 2, upper, head, "mm")
        sheet.write(x + wide / 2, lower, text, "mm")
        x += wide
        sheet.draw.line((x, 0, x, sheet.height), fill=sheet.style.ink)
    # The line stops for its label where it is long enough; else it lies under it.
    start = right + (scale_wide - session.length_px) // 2
    line, end = max(1, sheet.width // 600), max(4, round(0.16 * sheet.height))
    broken = session.length_px > label_wide + 12
    y = round(upper if broken else lower)
    sheet.block(start, y, session.length_px, line)
    if broken:
        gap = round(start + (session.length_px - label_wide) / 2)
        sheet.draw.rectangle((gap, y - 2, gap + label_wide, y + line + 2), fill=sheet.style.paper)
    sheet.block(start, y - end // 2, line, end + line)
    sheet.block(start + session.length_px - line, y - end // 2, line, end + line)
    sheet.write(start + session.length_px / 2, upper, label, "mm")
    return label


def _hitachi(sheet: _Sheet, session: _Session) -> str:
    """Large white letters on black; eleven ticks, the first and the last the scale bar's ends."""
    digits = 2 if session.length_um % 1000 < 10 and session.length_um >= 1 else 1
    value = session.length_um / 1000 if session.length_um >= 1000 else session.length_um
    digits = 2 if value < 10 else 1 if value < 100 else 0
    unit = "mm" if session.length_um >= 1000 else "um" if session.length_um >= 1 else "nm"
    if unit == "nm":
        value, digits = session.length_um * 1000, 0
    label = f"{session.number(value, digits)}{unit}"
    shown = session.magnification
    power = f"x{session.number(shown / 1000, 1 if shown >= 10000 else 2)}k" if shown >= 1000 else f"x{shown:.0f}"
    right = sheet.width - 1 - max(4, sheet.width // 80)
    tick_wide, tick_high = max(1, sheet.width // 400), max(4, round(0.22 * sheet.height))
    first = right - session.length_px
    for number in range(11):
        # Ticks are measured from middle to middle, as they stand.
        x = round(first + number * session.length_px / 10) - tick_wide // 2
        sheet.block(x, 2, tick_wide, tick_high)
    y = 0.62 * sheet.height
    sheet.write(right + tick_wide, y, label, "rm")
    room = right - sheet.wide(label) - 10
    fields = [power, f"{session.number(session.kv, 1)}kV", f"{session.number(session.wd_mm, 1)}mm", session.detector]
    order = (1, 2, 0, 3)
    while fields and sheet.wide(" ".join(fields)) > room - 4:
        fields.pop()
    text = " ".join(fields[k] for k in order if k < len(fields))
    sheet.write(max(4, min(0.1 * sheet.width, room - sheet.wide(text))), y, text)
    return label


def _jeol(sheet: _Sheet, session: _Session) -> str:
    """One line of bold type; the scale bar to the right of its label."""
    label = _length(session.length_um, session, space="")
    line = max(2, sheet.width // 340)
    right = sheet.width - max(4, sheet.width // 60)
    middle = sheet.height // 2
    sheet.block(right - session.length_px, middle - line // 2, session.length_px, line)
    x = right - session.length_px - sheet.wide(label) - max(6, sheet.width // 100)
    sheet.write(x, middle, label)
    thousands = f"{session.magnification:,.0f}"
    power = f"x{thousands.replace(',', '.') if session.language == 'de' else thousands}"
    fields = [power, f"{session.number(session.kv, 1)}kV", f"WD{session.number(session.wd_mm, 1)}mm", session.detector]
    place, order = 4.0 + 0.01 * sheet.width, (3, 1, 0, 2)
    while fields and place + sheet.wide("  ".join(fields)) > x - 6:
        fields.pop()
    sheet.write(place, middle, "  ".join(fields[k] for k in order if k < len(fields)))
    return label


_DRAWN: Mapping[Vendor, Callable[[_Sheet, _Session], str]] = {
    "zeiss": _zeiss,
    "fei": _fei,
    "hitachi": _hitachi,
    "jeol": _jeol,
}

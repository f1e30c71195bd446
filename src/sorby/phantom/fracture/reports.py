"""Reports of fracture analyses as PDF: two layouts, English and German, with a text layer or as a scan."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pypdfium2
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Language = Literal["en", "de"]
Layout = Literal["list", "table"]

#: What a cause may be called; the first is usual.
TYPE_NAMES: Mapping[Language, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "green_body": ("Green body defect", "Green-body crack"),
        "hard_machining": ("Hard machining defect", "Machining damage"),
        "material": ("Material defect", "Intrinsic material flaw"),
        "unknown": ("Unknown origin", "Origin not found"),
    },
    "de": {
        "green_body": ("Grünkörperfehler", "Grünkörperriss"),
        "hard_machining": ("Hartbearbeitungsfehler", "Schleifschaden"),
        "material": ("Materialfehler", "Gefügefehler"),
        "unknown": ("Ursprung unbekannt", "Ursprung nicht gefunden"),
    },
}
_GERMAN_SUBTYPES = {
    "pressing_crack": "Pressriss",
    "lamination": "Presslamination",
    "machining_crack": "Bearbeitungsriss",
    "grinding_groove": "Schleifriefe",
    "pore": "Pore",
    "agglomerate": "Agglomerat",
    "inclusion": "Einschluss",
    "large_grain": "Grobkorn",
    "not_found": "nicht gefunden",
}
_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Fracture analysis report",
        "foan": "FOAN number",
        "serial": "Serial number",
        "load": "Fracture load",
        "type": "Fracture type",
        "subtype": "Sub-type",
        "date": "Date",
        "test": "Test: burst test in production, four-point bending",
        "table": "Component   Load   Fracture type - sub-type",
        "text": "The fracture surfaces were cleaned and looked at in the scanning electron microscope from 50x to "
        "10,000x. Hackle lines lead back to the mirror; the origin was judged on both halves.",
        "page": "Page 1 of 1",
    },
    "de": {
        "title": "Bericht zur Bruchanalyse",
        "foan": "FOAN-Nummer",
        "serial": "Seriennummer",
        "load": "Bruchlast",
        "type": "Bruchart",
        "subtype": "Unterart",
        "date": "Datum",
        "test": "Prüfung: Berstversuch in der Fertigung, Vierpunktbiegung",
        "table": "Bauteil   Last   Bruchart - Unterart",
        "text": "Die Bruchflächen wurden gereinigt und im Rasterelektronenmikroskop von 50x bis 10.000x betrachtet. "
        "Lanzettlinien führen zum Bruchspiegel zurück; der Ursprung wurde an beiden Hälften beurteilt.",
        "page": "Seite 1 von 1",
    },
}
_LEFT, _TOP, _LINE = 64.0, 780.0, 22.0
_SCAN_DPI, _SCAN_QUALITY = 150, 70


@dataclass(frozen=True)
class ReportedComponent:
    """One broken component as its report has it.

    Attributes
    ----------
    serial : str or None
        Seven digits; None where the report leaves it out.
    label, subtype : str
    load_n : float
    """

    serial: str | None
    label: str
    subtype: str
    load_n: float


@dataclass(frozen=True)
class PhantomReport:
    """What a report says and how it looks.

    Attributes
    ----------
    name : str
        File name.
    foan : str
        As printed.
    components : sequence of ReportedComponent
    date : str
    language : {"en", "de"}
    layout : {"list", "table"}
        A list has room for one component.
    scanned : bool
        A picture without text layer.
    turned : bool
        A quarter turn: of the sheet on the scanner, or of the page as it is shown.
    wording : int
        Which name of the cause is used.
    seed : int
        Of the scanner's noise.
    """

    name: str
    foan: str
    components: Sequence[ReportedComponent]
    date: str
    language: Language = "en"
    layout: Layout = "list"
    scanned: bool = False
    turned: bool = False
    wording: int = 0
    seed: int = 0

    def type_name(self, label: str) -> str:
        """Return what the report calls a cause."""
        names = TYPE_NAMES[self.language][label]
        return names[self.wording % len(names)]

    def subtype_name(self, subtype: str) -> str:
        """Return what the report calls a sub-type."""
        return _GERMAN_SUBTYPES[subtype] if self.language == "de" else subtype.replace("_", " ")


def write_load(load_n: float, language: Language, *, kilo: bool) -> str:
    """Return a load as people write it: ``14.23 kN``, ``14,23 kN``, ``14 230 N``, ``14.230 N``."""
    if kilo:
        text = f"{load_n / 1000:.2f} kN"
        return text.replace(".", ",") if language == "de" else text
    return f"{load_n:,.0f} N".replace(",", "." if language == "de" else " ")


def stated_load_n(load_n: float, *, kilo: bool) -> float:
    """Return the load that the report's digits say."""
    return round(load_n / 1000, 2) * 1000 if kilo else float(round(load_n))


def says_kilo(report: PhantomReport) -> bool:
    """Whether a report writes loads in kN."""
    return report.layout == "table" or report.wording % 2 == 0


def report_pdf(report: PhantomReport) -> bytes:
    """Return a report as PDF; same report, same bytes.

    Parameters
    ----------
    report : PhantomReport
    """
    written = _typeset(report)
    return _scan(written, report) if report.scanned else written


def _typeset(report: PhantomReport) -> bytes:
    words, buffer = _WORDS[report.language], io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle(words["title"])
    if report.turned and not report.scanned:
        canvas.setPageRotation(90)
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(_LEFT, _TOP, words["title"])
    canvas.setFont("Helvetica", 12)
    lines = [f"{words['foan']}: {report.foan}", f"{words['date']}: {report.date}", words["test"], ""]
    lines += _listed(report) if report.layout == "list" else _tabled(report)
    lines += ["", *_wrapped(words["text"], 78)]
    for number, line in enumerate(lines, start=2):
        canvas.drawString(_LEFT, _TOP - _LINE * number, line)
    canvas.setFont("Helvetica", 9)
    canvas.drawString(_LEFT, 40, words["page"])
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _listed(report: PhantomReport) -> list[str]:
    words, component = _WORDS[report.language], report.components[0]
    lines = [f"{words['serial']}: SN {component.serial}"] if component.serial else []
    return [
        *lines,
        f"{words['load']}: {write_load(component.load_n, report.language, kilo=says_kilo(report))}",
        f"{words['type']}: {report.type_name(component.label)}",
        f"{words['subtype']}: {report.subtype_name(component.subtype)}",
    ]


def _tabled(report: PhantomReport) -> list[str]:
    rows = [
        f"SN {component.serial}   {write_load(component.load_n, report.language, kilo=True)}   "
        f"{report.type_name(component.label).replace('-', ' ')} - {report.subtype_name(component.subtype)}"
        for component in report.components
    ]
    return [_WORDS[report.language]["table"], *rows]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _scan(written: bytes, report: PhantomReport) -> bytes:
    """Lay a printed page on a scanner: a little askew, with noise, without its text."""
    rng = np.random.default_rng([report.seed, 1839])
    document = pypdfium2.PdfDocument(written)
    try:
        page = document[0].render(scale=_SCAN_DPI / 72.0, grayscale=True).to_numpy()
    finally:
        document.close()
    sheet = Image.fromarray(np.ascontiguousarray(page.reshape(page.shape[:2])))
    sheet = sheet.rotate(float(rng.normal(0.0, 0.35)), Image.Resampling.BICUBIC, fillcolor=255)
    pixels = np.asarray(sheet, dtype=np.float32) * 0.92 + rng.normal(8.0, 5.0, (sheet.height, sheet.width))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    if report.turned:
        pixels = np.rot90(pixels, 1 if rng.random() < 0.5 else 3)
    picture = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(picture, format="JPEG", quality=_SCAN_QUALITY)
    picture.seek(0)
    size = A4 if not report.turned else A4[::-1]
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    canvas.drawImage(ImageReader(picture), 0, 0, *size)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()

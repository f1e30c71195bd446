"""The sections of a certificate, each measured before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, Table, TableStyle

from sorby.report.certificate import Certificate, Measurement, Review
from sorby.report.certificate_lettering import BOLD, MONO, SANS, Lettering
from sorby.report.certificate_pictures import INK, MUTED, RULE, percent

WIDTH = 515.0
_TINT = "#eef3f8"
_ACCENT = "#1f4e79"
_WARN = "#9a3b12"
_CHECK = "held against the record with: sorby record verify RECORD --anchor ENTRIES:HEAD"


@dataclass(frozen=True)
class Level:
    """How generously a page is set.

    Attributes
    ----------
    scale : float
        Of letters.
    letters : int
        Of one field; what is longer is cut.
    particulars, measurements, reviews, hashes, reasons, remarks, pictures : int
        How many of each.
    """

    scale: float
    letters: int
    particulars: int
    measurements: int
    reviews: int
    hashes: int
    reasons: int
    remarks: int
    pictures: int


LEVELS = (
    Level(1.0, 400, 12, 10, 8, 6, 6, 4, 8),
    Level(0.94, 260, 12, 8, 6, 5, 5, 3, 8),
    Level(0.88, 160, 10, 7, 5, 4, 4, 3, 6),
    Level(0.82, 110, 8, 6, 4, 3, 3, 2, 4),
    Level(0.78, 70, 6, 4, 3, 2, 2, 1, 4),
)


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and what stands below it, with its height in points."""

    heading: str
    flowables: Sequence[Flowable]
    heights: Sequence[float]
    lead: float

    @property
    def height(self) -> float:
        """All of it."""
        return self.lead + sum(self.heights)

    def draw(self, canvas: Canvas, x: float, y: float) -> float:
        """Draw from *y* downwards and return where it ends."""
        if self.heading:
            canvas.setFillColor(_ACCENT)
            canvas.setFont(BOLD, 7)
            canvas.drawString(x, y - 7, self.heading.upper())
        y -= self.lead
        for flowable, height in zip(self.flowables, self.heights, strict=True):
            flowable.drawOn(canvas, x, y - height)
            y -= height
        return y


def sections(
    certificate: Certificate, lettering: Lettering, level: Level, images_shown: int
) -> tuple[list[Section], list[Section]]:
    """Return what stands above the pictures and what below."""
    writer = _Writer(lettering, level)
    above = [writer.particulars(certificate), writer.verdict(certificate)]
    below = [
        writer.images_left(certificate, images_shown),
        writer.measurements(certificate.measurements),
        writer.judgement(certificate),
        writer.reviews(certificate.reviews),
        writer.provenance(certificate),
    ]
    return [part for part in above if part], [part for part in below if part]


def moment(at: str) -> str:
    """Return a time to the minute, as people read it."""
    return f"{at[:10]} {at[11:16]} UTC" if len(at) >= 16 and at[10] == "T" else at


@dataclass
class _Writer:
    """Sets text at one level."""

    lettering: Lettering
    level: Level

    def style(self, size: float, font: str = SANS, colour: str = INK, leading: float = 1.3) -> ParagraphStyle:
        size = size * self.level.scale
        return ParagraphStyle("", fontName=font, fontSize=size, leading=size * leading, textColor=colour)

    def text(self, text: str, size: float = 7.6, font: str = SANS, colour: str = INK) -> Paragraph:
        """Return a paragraph of somebody's words, cut at the level's length."""
        return self.whole(self.cut(text), size, font, colour)

    def whole(self, text: str, size: float = 7.6, font: str = SANS, colour: str = INK) -> Paragraph:
        """Return a paragraph that is never cut: numbers, hashes, sentences of this page."""
        return Paragraph(self.lettering.marked(text, font), self.style(size, font, colour))

    def cut(self, text: str) -> str:
        return _cut(text, self.level.letters)

    def section(self, heading: str, flowables: Sequence[Flowable]) -> Section:
        heights = [flowable.wrap(WIDTH, 10_000)[1] for flowable in flowables]
        return Section(heading, flowables, heights, 11.0 if heading else 0.0)

    def table(self, rows: Sequence[Sequence[Paragraph]], widths: Sequence[float], *, ruled: bool = True) -> Table:
        pad = 1.7 * self.level.scale
        rules: list[tuple[Any, ...]] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("LEFTPADDING", (1, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), pad),
            ("BOTTOMPADDING", (0, 0), (-1, -1), pad),
        ]
        if ruled:
            rules += [("LINEBELOW", (0, 0), (-1, -1), 0.35, RULE)]
        return Table(
            [list(row) for row in rows], colWidths=[share * WIDTH for share in widths], style=TableStyle(rules)
        )

    def left_out(self, n: int, what: str, plural: str = "") -> list[Paragraph]:
        """Say how much is not on the page."""
        if n <= 0:
            return []
        return [self.text(f"{n} further {what if n == 1 else plural or what + 's'} in the table", 6.4, SANS, MUTED)]

    def particulars(self, certificate: Certificate) -> Section:
        """Specimen and what is known of it, in two columns."""
        given = {"Specimen": certificate.specimen, **certificate.particulars}
        pairs = list(given.items())[: self.level.particulars]
        cells = [(self.text(_cut(name, 60), 7.2, SANS, MUTED), self.text(value, 8, BOLD if n == 0 else SANS))
                 for n, (name, value) in enumerate(pairs)]  # fmt: skip
        half = (len(cells) + 1) // 2
        empty = (self.text(""), self.text(""))
        columns = zip(cells[:half], [*cells[half:], *[empty] * (2 * half - len(cells))], strict=True)
        rows = [(*one, *other) for one, other in columns]
        grid = self.table(rows, (0.15, 0.36, 0.15, 0.34), ruled=False)
        return self.section("", [grid, *self.left_out(len(given) - len(pairs), "particular")])

    def verdict(self, certificate: Certificate) -> Section:
        """Say what was found: large, with how sure and what else it may be."""
        found = certificate.conclusion
        big = Paragraph(
            self.lettering.marked(_cut(certificate.verdict, 60), BOLD),
            self.style(_big(certificate.verdict), BOLD, INK, 1.15),
        )
        person = [self.whole(self.spoken(certificate), 7.2, BOLD, _WARN if self.differs(certificate) else _ACCENT)]
        said = [self.whole(line, 7.6) for line in self.sureness(certificate)]
        panel = Table(
            [[[self.text(found.question, 6.8, SANS, MUTED), big, *person], said]],
            colWidths=[0.42 * WIDTH, 0.58 * WIDTH],
            style=TableStyle(
                [
                    ("BACKGROUND", (0, 0), (-1, -1), _TINT),
                    ("LINEBEFORE", (0, 0), (0, 0), 3, _ACCENT),
                    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                    ("LEFTPADDING", (0, 0), (-1, -1), 11),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 8),
                    ("TOPPADDING", (0, 0), (-1, -1), 7 * self.level.scale),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 8 * self.level.scale),
                ]
            ),
        )
        return self.section("", [panel])

    @staticmethod
    def differs(certificate: Certificate) -> bool:
        found = certificate.conclusion
        return bool(found.decision) and found.decision != found.label

    def spoken(self, certificate: Certificate) -> str:
        """Say whose verdict it is."""
        found = certificate.conclusion
        if self.differs(certificate):
            return f"decided by a person; the model said {self.cut(found.label)}"
        if found.decision:
            return "by the model, confirmed by a person"
        return "by the model alone; no person has decided"

    def sureness(self, certificate: Certificate) -> list[str]:
        """Return what is said beside the verdict."""
        found, lines = certificate.conclusion, list[str]()
        if found.confidence is not None:
            bounds = found.confidence_ci95
            within = f" (95 % interval {percent(bounds[0])} to {percent(bounds[1])})" if bounds else ""
            lines.append(f"Calibrated confidence of the model: {percent(found.confidence)}{within}.")
        if found.labels:
            promise = f": {self.cut(found.guarantee)}" if found.guarantee else ""
            lines.append(f"Conformal set: {self.cut(', '.join(found.labels))}{promise}.")
        elif found.guarantee:
            lines.append(f"Conformal set: empty, no class fits ({self.cut(found.guarantee)}).")
        if found.reliability:
            lines.append(self.cut(found.reliability))
        return lines or ["The model states no confidence."]

    def images_left(self, certificate: Certificate, shown: int) -> Section | None:
        """Count the images that are not printed."""
        left = self.left_out(len(certificate.images) - shown, "image")
        return self.section("", left) if left else None

    def measurements(self, found: Sequence[Measurement]) -> Section | None:
        """Quantities with intervals and standards."""
        if not found:
            return None
        head = [
            self.text(name, 6.6, SANS, MUTED) for name in ("quantity", "value", "95 % interval", "standard, edition")
        ]
        rows = [head]
        for one in found[: self.level.measurements]:
            unit = f" {one.unit}" if one.unit else ""
            bounds = f"{one.ci95[0]:.4g} to {one.ci95[1]:.4g}{unit}" if one.ci95 else "not stated"
            standard = ", ".join(part for part in (one.standard, one.edition) if part) or "no standard"
            noted = f"{standard}; {one.note}" if one.note else standard
            rows.append(
                [
                    self.text(one.quantity),
                    self.text(f"{one.value:.4g}{unit}", 7.6, BOLD),
                    self.text(bounds),
                    self.text(noted),
                ]
            )
        more = self.left_out(len(found) - self.level.measurements, "measurement")
        return self.section("Measurements", [self.table(rows, (0.25, 0.16, 0.22, 0.37)), *more])

    def judgement(self, certificate: Certificate) -> Section | None:
        """Novelty, referral, limits."""
        found, lines = certificate.conclusion, list[Paragraph]()
        if found.novelty is not None:
            meaning = "small values are unlike the images the model was taught on"
            lines.append(self.whole(f"Novelty: p = {found.novelty:.3g} ({meaning}).", 7.2))
        if found.reasons:
            listed = "; ".join(found.reasons[: self.level.reasons])
            more = len(found.reasons) - self.level.reasons
            rest = f"; and {more} further reasons in the table" if more > 0 else ""
            lines.append(self.whole(f"Referred to a person: {self.cut(listed)}{rest}.", 7.2))
        elif certificate.images:
            lines.append(self.text("Not referred to a person by the model.", 7.2))
        lines += [self.text(f"Remark: {remark}", 7.2) for remark in certificate.remarks[: self.level.remarks]]
        lines += self.left_out(len(certificate.remarks) - self.level.remarks, "remark")
        return self.section("Novelty, referral, limits", lines) if lines else None

    def reviews(self, found: Sequence[Review]) -> Section:
        """Electronic signatures."""
        if not found:
            said = self.text("No electronic signature: nobody has reviewed or approved this.", 7.6, BOLD, _WARN)
            return self.section("Reviewed and signed", [said])
        rows = [[self.text(name, 6.6, SANS, MUTED) for name in ("meaning", "person, role", "time", "record")]]
        for one in found[: self.level.reviews]:
            entry = f"entry {one.entry}" if one.entry is not None else ""
            who = [self.text(f"{one.person}, {one.role}", 7.6, BOLD)]
            if one.reason:
                who.append(self.text(one.reason, 6.8))
            rows.append([self.text(one.meaning), who, self.text(moment(one.at)), self.text(entry)])
        more = self.left_out(len(found) - self.level.reviews, "signature")
        return self.section("Reviewed and signed electronically", [self.table(rows, (0.14, 0.5, 0.22, 0.14)), *more])

    def provenance(self, certificate: Certificate) -> Section:
        """Model, data and record, each with its hash."""
        model = [(f"bundle {certificate.bundle}".strip(), certificate.bundle_sha256)]
        pictures = [(f"image {image.name}", image.sha256) for image in certificate.images]
        named = [pair for pair in (*model, *pictures, *certificate.data.items()) if pair[1]]
        kept = named[: self.level.hashes]
        rows = [[self.text(name, 6.4, SANS, MUTED), self.whole(digest, 6.0, MONO)] for name, digest in kept]
        if certificate.record:
            head = f"{certificate.record.count}:{certificate.record.head}"
            rows.append([self.text("record, entries:head", 6.4, SANS, MUTED), self.whole(head, 6.0, MONO)])
            rows.append([self.text(""), self.whole(_CHECK, 6.0, SANS, MUTED)])
        if not rows:
            rows = [[self.text("nothing stated", 6.4, SANS, MUTED), self.text("")]]
        more = self.left_out(len(named) - len(kept), "hash", "hashes")
        return self.section("SHA-256 of model, data and record", [self.table(rows, (0.3, 0.7), ruled=False), *more])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _big(label: str) -> float:
    """Return the size of the verdict's letters: a short one is large."""
    return 24.0 if len(label) <= 10 else 17.0 if len(label) <= 24 else 12.0

"""The text of PDF reports: from the text layer where there is one, by text recognition where there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pypdfium2

from sorby.corpus.archive.patterns import bounded_lines
from sorby.corpus.archive.rules import PageRules
from sorby.errors import InputError, MissingPartError
from sorby.files import sha256_file, write_json
from sorby.micrograph.text_reading.lines import TextLine, in_rows

Source = Literal["text layer", "recognised", "blank"]
Grey = npt.NDArray[np.uint8]

_FORMAT = 1  # of the stored text; another one is read anew
_LONGEST_PX = 5000  # a page drawn at the size of a wall is rendered coarser
_PASSWORD = 4  # PDFium's error number
_SURE = 0.8  # mean confidence from which the first orientation is taken without trying the others
_NOT_RECOGNISED = "pages without text layer not read"
_UPRIGHT = 0.7  # share of letters in boxes wider than tall, likewise


class PageReader(Protocol):
    """Whatever finds text in a picture of a page."""

    def read(self, image: Grey) -> list[TextLine]:
        """Return the lines in a uint8 picture, shape (H, W) or (H, W, 3)."""


OpenReader = Callable[[], PageReader]
"""Opens text recognition; called only when a page without text layer comes up."""


@dataclass(frozen=True)
class Line:
    """One line of a page.

    Attributes
    ----------
    text : str
    confidence : float
        1 from a text layer; of a recognised line, the least sure of its parts.
    """

    text: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Page:
    """The text of a page.

    Attributes
    ----------
    lines : tuple of Line
    source : {"text layer", "recognised", "blank"}
    turned_deg : int
        By how much the picture was turned counter-clockwise to be read.
    """

    lines: tuple[Line, ...]
    source: Source
    turned_deg: int = 0


@dataclass(frozen=True)
class ReportText:
    """What a report says, page by page.

    Attributes
    ----------
    pages : tuple of Page
        Those that were read.
    n_pages : int
        Those that there are.
    problems : tuple of str
        What a reader must know, e.g. pages not read.
    """

    pages: tuple[Page, ...]
    n_pages: int
    problems: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> list[Line]:
        """All lines in order."""
        return [line for page in self.pages for line in page.lines]

    @property
    def recognised(self) -> bool:
        """Whether any page was read by text recognition."""
        return any(page.source == "recognised" for page in self.pages)


def read_report_text(
    path: Path,
    rules: PageRules,
    open_reader: OpenReader,
    *,
    engine: str = "",
    cache: Path | None = None,
) -> ReportText:
    """Read the text of a PDF.

    Parameters
    ----------
    path : Path
    rules : PageRules
        How many pages, and at which resolution scans are rendered. A scan is turned by quarters until its text reads
        best.
    open_reader : callable
        Opens text recognition where it is needed.
    engine : str
        Which one; stored texts of another one are not used.
    cache : Path, optional
        Folder of texts found by the PDF's content; a PDF whose text lies there is not opened.

    Raises
    ------
    InputError
        Empty, damaged, encrypted, without pages or without any text. One line, naming the file.
    MissingPartError
        A scan, and text recognition is not installed. Where some pages have a text layer, these are read, and
        ``problems`` says which are not.
    """
    places: list[Path] = []
    if cache is not None:
        content = sha256_file(path)
        places = [cache / f"{_key(content, rules, name)}.json" for name in ("", engine)]
    for place in places:
        if (stored := _stored(place)) is not None:
            return stored
    text = _read(path, rules, open_reader)
    if places and not _wants_reader(text):
        write_json(places[1] if text.recognised else places[0], _as_dict(text))
    return text


def _wants_reader(text: ReportText) -> bool:
    """Whether text recognition was missing: once it is installed, the report is to be read again."""
    return any(line.startswith(_NOT_RECOGNISED) for line in text.problems)


def _read(path: Path, rules: PageRules, open_reader: OpenReader) -> ReportText:
    if path.stat().st_size == 0:
        raise InputError(f"{path}: an empty file", "copy the report again")
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD:
            raise InputError(f"{path}: encrypted, it opens with a password only", "save it without password") from error
        raise InputError(f"{path}: not a readable PDF (damaged or of another format)", "save it again") from error
    try:
        n_pages = len(document)
        if not n_pages:
            raise InputError(f"{path}: a PDF without pages", "save it again")
        pages, unheard = _pages(document, min(n_pages, rules.most), rules, open_reader)
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path}: a page cannot be read ({error})", "save it again") from error
    finally:
        document.close()
    if not any(page.lines for page in pages):
        raise InputError(f"{path}: no text, neither as text nor as a picture of it", "look at the report")
    unread = n_pages - min(n_pages, rules.most)
    problems = (f"{unread} of {n_pages} pages not read (pages.most is {rules.most})",) if unread else ()
    return ReportText(pages, n_pages, (*problems, *unheard))


def _pages(
    document: Any, count: int, rules: PageRules, open_reader: OpenReader
) -> tuple[tuple[Page, ...], tuple[str, ...]]:
    """Read pages; where text recognition is missing, those with a text layer, and say which were not recognised.

    Raises
    ------
    MissingPartError
        It is missing and no page has a text layer.
    """
    pages: list[Page] = []
    mute: list[int] = []
    missing: MissingPartError | None = None
    for number in range(count):
        try:
            pages.append(_page(document, number, rules, open_reader))
        except MissingPartError as error:
            missing = error
            mute.append(number + 1)
    if missing is None:
        return tuple(pages), ()
    if not any(page.source == "text layer" for page in pages):
        raise missing
    listed = ", ".join(map(str, mute))
    return tuple(pages), (f"{_NOT_RECOGNISED}, {listed}: {missing.message}; {missing.hint}",)


def _page(document: Any, number: int, rules: PageRules, open_reader: OpenReader) -> Page:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            lines = bounded_lines(text_page.get_text_range())
        finally:
            text_page.close()
        if sum(map(_letters, lines)) >= max(1, rules.least_characters):
            return Page(tuple(Line(line) for line in lines), "text layer")
        picture = _picture(page, rules.dpi)
    finally:
        page.close()
    if np.ptp(picture) == 0:  # a blank sheet needs no reader
        return Page(tuple(Line(line) for line in lines), "text layer" if lines else "blank")
    recognised, turned = read_turned(picture, open_reader())
    if not recognised:
        return Page(tuple(Line(line) for line in lines), "text layer" if lines else "blank")
    return Page(tuple(recognised), "recognised", turned)


def _picture(page: Any, dpi: int) -> Grey:
    """Render a page in grey."""
    scale = min(dpi / 72.0, _LONGEST_PX / max(page.get_size()))
    pixels: Grey = page.render(scale=scale, grayscale=True).to_numpy()
    return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))


def read_turned(picture: Grey, reader: PageReader) -> tuple[list[Line], int]:
    """Read a picture of a page in the quarter turn that reads best.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W)
    reader : PageReader

    Returns
    -------
    lines : list of Line
        Top to bottom, parts of a line from left to right.
    turned_deg : int
        0, 90, 180 or 270, counter-clockwise.
    """
    best: tuple[float, list[Line], int] = (0.0, [], 0)
    quarters = [0]
    while quarters:
        quarter = quarters.pop(0)
        found = [each for each in reader.read(np.ascontiguousarray(np.rot90(picture, quarter))) if each.text.strip()]
        letters = np.array([_letters(each.text) for each in found], dtype=float)
        wide = np.array([_is_wide(each) for each in found], dtype=bool)
        sure = np.array([each.confidence for each in found], dtype=float)
        evidence = float((letters * sure * wide).sum())
        if evidence > best[0]:
            best = (evidence, _in_lines(found), 90 * quarter)
        upright = float((letters * wide).sum() / max(letters.sum(), 1.0))
        if upright >= _UPRIGHT and evidence >= _SURE * (letters * wide).sum() > 0:
            break
        if quarter == 0:
            # Boxes that stand upright say that the sheet lies on its side; the others may be upside down.
            quarters = [1, 3] if len(found) and upright < 1 - _UPRIGHT else [2, 1, 3]
    return best[1], best[2]


def _is_wide(each: TextLine) -> bool:
    """Whether a line lies as text does; one or two letters tell nothing against it."""
    return each.width > each.height or len(each.text.strip()) < 3


def _in_lines(found: Sequence[TextLine]) -> list[Line]:
    """Join what stands at one height."""
    lines = []
    for row in in_rows(found):
        text = " ".join(part.text.strip() for part in row)
        lines += [Line(line, min(part.confidence for part in row)) for line in bounded_lines(text)]
    return lines


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def _key(content: str, rules: PageRules, engine: str) -> str:
    said = f"{_FORMAT} {content} {rules.model_dump_json()} {engine}"
    return hashlib.sha256(said.encode()).hexdigest()


def _as_dict(text: ReportText) -> dict[str, Any]:
    return {
        "n_pages": text.n_pages,
        "problems": list(text.problems),
        "pages": [
            {
                "source": page.source,
                "turned_deg": page.turned_deg,
                "lines": [[line.text, round(line.confidence, 4)] for line in page.lines],
            }
            for page in text.pages
        ],
    }


def _stored(place: Path) -> ReportText | None:
    """Return a stored text; one that cannot be read is as good as none, for the report can be read again."""
    try:
        said = json.loads(place.read_text("utf-8"))
        pages = tuple(
            Page(tuple(Line(text, sure) for text, sure in page["lines"]), page["source"], page["turned_deg"])
            for page in said["pages"]
        )
        return ReportText(pages, said["n_pages"], tuple(said["problems"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

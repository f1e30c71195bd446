"""Letters of a certificate: embedded fonts, what they lack, and the order of scripts that run from right to left.

DejaVu Sans comes with matplotlib: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic. ReportLab sets letters
from left to right as they come, so right-to-left runs are turned round here, and Arabic letters take the form that
their neighbours ask for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from sorby.errors import InputError

SANS, BOLD, MONO = "sorby-sans", "sorby-bold", "sorby-mono"
_FILES = {SANS: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf", MONO: "DejaVuSansMono.ttf"}
_UNKNOWN = "\ufffd"
_RIGHT_TO_LEFT = {"R", "AL"}
_JOINED_BY = {"initial": (False, True), "medial": (True, True), "final": (True, False), "isolated": (False, False)}


class Lettering:
    """The fonts of one certificate.

    Parameters
    ----------
    further : sequence of Path
        TrueType files that help out where DejaVu has no letter.

    Attributes
    ----------
    unknown : set of str
        Letters asked for so far that no font has; a replacement sign stands for each.

    Raises
    ------
    InputError
        A file is no TrueType font that can be embedded.
    """

    def __init__(self, further: Sequence[Path] = ()) -> None:
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for name, file in _FILES.items():
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(name, str(folder / file)))
        self._further = [_registered(path) for path in further]
        self.unknown: set[str] = set()

    def plain(self, text: str, font: str = SANS) -> str:
        """Return text as one font can draw it, in the order in which it is seen."""
        shown = []
        for letter in visual_order(_cleaned(text)):
            if not _has(font, letter):
                self.unknown.add(letter)
                letter = _UNKNOWN
            shown.append(letter)
        return "".join(shown)

    def marked(self, text: str, font: str = SANS) -> str:
        """Return text as markup of a paragraph: escaped, letters of other fonts marked."""
        parts, run, current = list[str](), "", font
        for letter in visual_order(_cleaned(text)):
            name = next((name for name in (font, *self._further) if _has(name, letter)), "")
            if not name:
                self.unknown.add(letter)
                name, letter = font, _UNKNOWN
            if name != current and run:
                parts.append(_run(run, current, font))
                run = ""
            current = name
            run += letter
        parts.append(_run(run, current, font))
        return "".join(parts)


def visual_order(text: str) -> str:
    """Return text in the order in which it is drawn from left to right.

    Runs of right-to-left letters are turned round, with what stands between them; numbers keep their order. This is the
    greater part of the Unicode bidirectional algorithm for one line of names and short remarks, without its embeddings.
    """
    if not any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return text
    shaped = _shaped(text)
    out, at = list[str](), 0
    for span in re.finditer(r"R[RN]*R|R", "".join(_sides(shaped))):
        out += [shaped[at : span.start()], _turned(shaped[span.start() : span.end()])]
        at = span.end()
    return "".join([*out, shaped[at:]])


def _sides(text: str) -> list[str]:
    """Return R for right-to-left letters, L for the others, N for what takes its side from them."""
    sides = []
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        sides.append("R" if kind in _RIGHT_TO_LEFT or kind == "NSM" else "L" if kind == "L" else "N")
    return sides


def _turned(run: str) -> str:
    """Turn a run round; numbers within it and marks on letters keep their order."""
    pieces = re.findall(r"[0-9][0-9.,:/-]*[0-9]|.[\u0591-\u05c7\u0610-\u061a\u064b-\u065f]*", run, re.DOTALL)
    mirrored = {"(": ")", ")": "(", "[": "]", "]": "[", "<": ">", ">": "<"}
    return "".join(mirrored.get(piece, piece) for piece in reversed(pieces))


@cache
def _forms() -> dict[tuple[str, str], str]:
    """Return the presentation forms of Arabic letters: (letter, form) to the sign that draws it."""
    found = {}
    for code in range(0xFB50, 0xFEFD):
        form, _, rest = unicodedata.decomposition(chr(code)).partition(" ")
        parts = rest.split()
        if form[1:-1] in _JOINED_BY and len(parts) == 1:
            found[chr(int(parts[0], 16)), form[1:-1]] = chr(code)
    return found


def _shaped(text: str) -> str:
    """Give each Arabic letter the form that its neighbours ask for."""
    forms, out = _forms(), []
    for at, letter in enumerate(text):
        if (letter, "isolated") not in forms:
            out.append(letter)
            continue
        before = at > 0 and (text[at - 1], "initial") in forms  # only such letters reach out to the next
        after = at + 1 < len(text) and (text[at + 1], "final") in forms and (letter, "initial") in forms
        form = next(name for name, sides in _JOINED_BY.items() if sides == (before, after))
        out.append(forms.get((letter, form), letter))
    return "".join(out)


def _cleaned(text: str) -> str:
    """Return one line without control characters, composed where there is a composed sign."""
    text = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)
    text = re.sub(r" +", " ", unicodedata.normalize("NFC", text)).strip()
    return text.replace(" %", "\u00a0%")  # a number and its sign stay on one line


def _run(text: str, name: str, font: str) -> str:
    return escape(text) if name == font or not text else f'<font face="{name}">{escape(text)}</font>'


@cache
def _glyphs(name: str) -> frozenset[int]:
    return frozenset(pdfmetrics.getFont(name).face.charToGlyph)


def _has(name: str, letter: str) -> bool:
    return ord(letter) in _glyphs(name)


def _registered(path: Path) -> str:
    """Register a font by its content and return its name.

    Raises
    ------
    InputError
    """
    try:
        data = Path(path).read_bytes()
        name = f"sorby-{sha256(data).hexdigest()[:12]}"
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(path)))
    except (OSError, TTFError) as error:
        raise InputError(f"{path}: no font that can be embedded", "give a TrueType file (.ttf, .ttc)") from error
    return name

"""Tesseract, where it is installed: the engine of the published fracture system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import util
from typing import Any

import numpy as np

from sorby.errors import MissingPartError
from sorby.micrograph.text_reading.lines import Reading, TextLine, UInt8, three_channels

_PROGRAM = "install the program (Debian, Ubuntu: apt-get install tesseract-ocr), or use the engine rapidocr"
_PAGE, _LINE = "--psm 11", "--psm 7"  # sparse text anywhere; a single line


class TesseractReader:
    """Tesseract through pytesseract.

    Parameters
    ----------
    languages : str
        Its language packs, joined by ``+``.

    Raises
    ------
    MissingPartError
        The package, the program or a language pack is absent.
    """

    def __init__(self, languages: str = "eng") -> None:
        if util.find_spec("pytesseract") is None:
            raise MissingPartError("pytesseract is not installed", "install the extra: pip install 'sorby[ocr]'")
        import pytesseract

        self._tesseract: Any = pytesseract
        try:
            self._version = str(pytesseract.get_tesseract_version())
            present = set(pytesseract.get_languages())
        except pytesseract.TesseractNotFoundError as error:
            raise MissingPartError("the program tesseract is not installed", _PROGRAM) from error
        missing = sorted(set(languages.split("+")) - present)
        if missing:
            raise MissingPartError(
                f"tesseract lacks the language {', '.join(missing)}", f"apt-get install tesseract-ocr-{missing[0]}"
            )
        self._languages = languages

    @property
    def provenance(self) -> dict[str, str]:
        """Engine, version and languages."""
        return {"engine": "tesseract", "version": self._version, "languages": self._languages}

    def read(self, image: UInt8) -> list[TextLine]:
        """Find and read the text of an image, shape (H, W) or (H, W, 3)."""
        return self._read(image, _PAGE)

    def read_many(self, images: Sequence[UInt8]) -> list[list[TextLine]]:
        """Find and read the text of several images."""
        return [self.read(image) for image in images]

    def recognise(self, lines: Sequence[UInt8]) -> list[Reading]:
        """Read cut-out lines one after the other."""
        readings = []
        for line in lines:
            words = self._read(line, _LINE)
            text = " ".join(word.text for word in words)
            readings.append(Reading(text, float(np.mean([word.confidence for word in words])) if words else 0.0))
        return readings

    def _read(self, image: UInt8, mode: str) -> list[TextLine]:
        table = self._tesseract.image_to_data(
            three_channels(image), lang=self._languages, config=mode, output_type=self._tesseract.Output.DICT
        )
        return lines_of_words(table)


def lines_of_words(table: dict[str, list[Any]]) -> list[TextLine]:
    """Join the words of Tesseract's table into lines.

    Parameters
    ----------
    table : dict of str to list
        ``text``, ``conf`` (percent, negative for what is no word), ``left``, ``top``, ``width``, ``height``,
        ``block_num``, ``par_num``, ``line_num``; one entry a word.
    """
    members: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for k, (text, confidence) in enumerate(zip(table["text"], table["conf"], strict=True)):
        if str(text).strip() and float(confidence) >= 0:
            members[table["block_num"][k], table["par_num"][k], table["line_num"][k]].append(k)
    lines = []
    for words in members.values():
        left, top = np.array([[table["left"][k], table["top"][k]] for k in words]).T
        size = np.array([[table["width"][k], table["height"][k]] for k in words]).T
        lines.append(
            TextLine(
                " ".join(str(table["text"][k]).strip() for k in words),
                float(left.min()),
                float(top.min()),
                float((left + size[0]).max()),
                float((top + size[1]).max()),
                float(np.mean([float(table["conf"][k]) for k in words])) / 100,
            )
        )
    return lines

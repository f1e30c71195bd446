"""What instruments write on their bars, as a table of rules: a field, a pattern, how its number is meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Field = Literal["magnification", "field_width_um", "voltage_kv", "working_distance_mm", "detector"]

SCALE_STEPS = (1.0, 2.0, 5.0)
"""Mantissas of the lengths that nearly all instruments label their scale bar with."""

RARER_STEPS = (1.5, 2.5, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0)
"""Mantissas that occur as well; ZEISS draws 3 µm, others 300 nm or 4 µm."""

_MICRO = "µ"
# What recognisers make of the micro sign: two code points, letters that look alike, letters that fall apart.
_MICROMETRES = (
    "µm", "um", "pm", "jm", "ym", "hm", "lm", "/m", "µn", "un",
    "µrn", "urn", "prn", "jrn", "µrm", "µnm", "microns", "micron",
)  # fmt: skip
_UNITS_UM: dict[str, float] = {
    **dict.fromkeys(_MICROMETRES, 1.0),
    "nm": 1e-3, "nrn": 1e-3, "mm": 1e3, "rnm": 1e3, "mrn": 1e3, "cm": 1e4, "å": 1e-4,
}  # fmt: skip
_SURE_UNITS = ("µm", "nm", "mm", "cm", "micron", "microns")

# A digit read as a letter, only where digits stand beside it.
_LETTERS_FOR_DIGITS = (
    (re.compile(r"(?<=\d)[oO](?=[\d.,\s]|$|[kKuµnmxX])|(?<=[\d.,])[oO]|(?<![A-Za-z])[oO](?=[.,]\d)"), "0"),
    (re.compile(r"(?<=[\d.,])[lI|](?=[\d.,]|$)|(?<![A-Za-z])[lI|](?=\d|[oO0][.,]|[.,]\d)"), "1"),
)
_NUMBER = r"(?>(?P<number>\d{1,3}(?:[ ]\d{3})+(?![\d])|\d+(?:[.,]\d+)*))"
_KILO = r"\s?(?P<kilo>[kK])?"
_TIMES = r"[xX×*]"
_NO_UNIT = r"(?!\s?(?:kV|V|mm|nm|µm|um|pA|nA|s)\b)"


@dataclass(frozen=True)
class Rule:
    """How one field is written.

    Attributes
    ----------
    field : str
    pattern : Pattern
        With a group ``number`` or ``word``, and ``kilo`` or ``unit`` where they occur.
    confidence : float
        0 to 1: how seldom the pattern means something else.
    """

    field: Field
    pattern: re.Pattern[str]
    confidence: float


def _rule(field: Field, pattern: str, confidence: float) -> Rule:
    return Rule(field, re.compile(pattern, re.IGNORECASE), confidence)


RULES: tuple[Rule, ...] = (
    _rule("magnification", rf"\b(?:mag|magn|magnification|vergr|vergrößerung|vergroesserung)(?![A-Za-z])[^\d]{{0,6}}"
          rf"{_NUMBER}{_NO_UNIT}{_KILO}\s?(?:{_TIMES}|(?=$|[\s,;|]))", 1.0),
    _rule("magnification", rf"(?<![\d.,A-Za-z]){_NUMBER}{_KILO}\s?{_TIMES}(?![A-Za-z\d])", 0.95),
    _rule("magnification", rf"(?<![A-Za-z\d])(?<!\d\s){_TIMES}\s?{_NUMBER}{_NO_UNIT}{_KILO}(?![A-Za-z])", 0.95),
    _rule("field_width_um", r"\b(?:HFW|FOV|VFW|field(?: width)?|Bildbreite|Sichtfeld)(?![A-Za-z])[^\d]{0,4}"
          rf"{_NUMBER}\s?(?P<unit>[^\W\d_]{{1,4}}|µ\w{{1,2}})", 0.95),
    _rule("voltage_kv", rf"(?<![\d.,]){_NUMBER}\s?kV", 1.0),
    _rule("working_distance_mm", rf"\b(?:WD|AA|Arbeitsabstand)(?![A-Za-z])[^\d]{{0,4}}"
          rf"{_NUMBER}\s?(?:mm|rnm|mrn)\b", 1.0),
    _rule("working_distance_mm", rf"kV[\s,;|]+{_NUMBER}\s?(?:mm|rnm|mrn)\b", 0.9),
    _rule("detector", r"\b(?:det(?:ector|ektor)?|signal(?: A)?)\b\s?[:=]?\s*(?P<word>[A-Z][A-Za-z0-9()+-]{1,10})",
          0.95),
    _rule("detector", r"(?<![A-Za-z])(?P<word>InLens|SE2|SE\(?[ULM]\)?|SEI|BSE|BEC|ETD|AsB|CBS|ABS|TLD|LED|LEI|LFD"
          r"|SESI)(?![A-Za-z0-9])", 0.85),
)  # fmt: skip
"""All fields but the scale label, which is told by where it stands."""

_LABEL = re.compile(rf"^[^\w]*{_NUMBER}\s?(?P<unit>[^\d\s]{{1,7}})[^\w]*$", re.IGNORECASE)

_LENGTH = re.compile(rf"(?<![\d.,]){_NUMBER}\s?(?P<unit>[µujphylLn/][mnr]{{1,2}})(?![A-Za-z\d])")


@dataclass(frozen=True)
class Reading:
    """A field as the grammar understands it.

    Attributes
    ----------
    value : float or str
    text : str
        The words it was read from.
    confidence : float
        0 to 1: of the pattern alone.
    note : str
        What had to be assumed; empty where nothing had.
    """

    value: float | str
    text: str
    confidence: float
    note: str = ""


def cleaned(text: str) -> str:
    """Return text with one micro sign, plain blanks, and letters among digits turned into digits."""
    plain = re.sub(r"\s+", " ", text.replace("μ", _MICRO).replace("\u2009", " ").replace("\xa0", " ")).strip()
    for pattern, digit in _LETTERS_FOR_DIGITS:
        plain = pattern.sub(digit, plain)
    return plain


def number_of(text: str, *, whole: bool = False) -> float | None:
    """Return a number written with a point or a comma, in groups of three or not.

    Parameters
    ----------
    text : str
        ``1 000``, ``5,000``, ``1.5``, ``1,5``, ``12.500,0``.
    whole : bool
        Three digits after a single mark are thousands and no decimals: magnifications without a k are written so.

    Returns
    -------
    float or None
        None where the marks make no sense or the number is not positive.
    """
    plain = text.replace(" ", "")
    marks = [c for c in plain if c in ".,"]
    if len(set(marks)) == 2:  # the last mark is the decimal one
        group, decimal = marks[0], marks[-1]
        if marks.count(decimal) > 1:
            return None
        plain = plain.replace(group, "").replace(decimal, ".")
    elif len(marks) > 1 or (whole and len(marks) == 1 and re.fullmatch(r"\d{1,3}[.,]\d{3}", plain)):
        plain = re.sub(r"[.,]", "", plain)
    else:
        plain = plain.replace(",", ".")
    if not re.fullmatch(r"\d+(?:\.\d+)?", plain):
        return None
    value = float(plain)
    return value if value > 0 else None


def unit_um(text: str) -> tuple[float, bool] | None:
    """Return how many micrometres a unit is, and whether it was read as it is written; None for no length."""
    plain = text.replace("μ", _MICRO).strip(" .|-_").lower()
    factor = _UNITS_UM.get(plain)
    return None if factor is None else (factor, plain in _SURE_UNITS or plain == "um")


def read_label(text: str) -> Reading | None:
    """Return a text that is a length and nothing else, in micrometres: the label of a scale bar.

    A ``pm`` is taken for a badly read µm: no electron micrograph is a few picometres wide.
    """
    match = _LABEL.match(cleaned(text))
    if match is None:
        return None
    value, unit = number_of(match["number"]), unit_um(match["unit"])
    if value is None or unit is None:
        return None
    factor, sure = unit
    note = "" if sure else f"unit read as {match['unit']!r}, taken for µm"
    return Reading(value * factor, text, 1.0 if sure else 0.85, note)


def labels_in(text: str) -> list[tuple[Reading, int, int]]:
    """Return the lengths within a longer text that may be a scale label, with their first and last character.

    Millimetres are left out: within a line they are a working distance.
    """
    plain = cleaned(text)
    found = []
    for match in _LENGTH.finditer(plain):
        reading = read_label(match[0])
        if reading is not None and float(reading.value) < 1000:
            found.append((reading, match.start(), match.end()))
    return found


def read_fields(texts: Sequence[str]) -> dict[Field, list[Reading]]:
    """Return what the rules find in the texts of a bar, each field's readings with the surest first.

    Parameters
    ----------
    texts : sequence of str
        Pieces, whole lines, and headings joined with what stands below them; the same words may occur several times.
    """
    found: dict[Field, list[Reading]] = {}
    for text in texts:
        plain = cleaned(text)
        for rule in RULES:
            for match in rule.pattern.finditer(plain):
                reading = _MEANINGS[rule.field](match, rule.confidence)
                if reading is not None:
                    found.setdefault(rule.field, []).append(reading)
    return {field: sorted(readings, key=lambda reading: -reading.confidence) for field, readings in found.items()}


def step_confidence(length_um: float) -> float:
    """Return how usual a scale label is: 1 for steps of 1, 2 and 5, less for others that occur, little for the rest."""
    mantissa = length_um / 10 ** math.floor(math.log10(length_um) + 1e-9)
    if any(abs(mantissa - step) < 1e-3 * step for step in SCALE_STEPS):
        return 1.0
    if any(abs(mantissa - step) < 1e-3 * step for step in RARER_STEPS):
        return 0.9
    return 0.4


def _magnification(match: re.Match[str], confidence: float) -> Reading | None:
    kilo = bool(match["kilo"])
    value = number_of(match["number"], whole=not kilo)
    if value is None:
        return None
    value = round(value * 1000, 6) if kilo else value
    # Ten times is a magnifying glass, ten million times is beyond any instrument: something else was read.
    return Reading(value, match[0], confidence) if 5 <= value <= 5e6 else None


def _length(match: re.Match[str], confidence: float) -> Reading | None:
    value, unit = number_of(match["number"]), unit_um(match["unit"])
    if value is None or unit is None:
        return None
    factor, sure = unit
    note = "" if sure else f"unit read as {match['unit']!r}, taken for µm"
    return Reading(value * factor, match[0], confidence * (1.0 if sure else 0.85), note)


def _plain(match: re.Match[str], confidence: float) -> Reading | None:
    value = number_of(match["number"])
    return None if value is None else Reading(value, match[0], confidence)


def _word(match: re.Match[str], confidence: float) -> Reading | None:
    return Reading(match["word"], match[0], confidence)


_MEANINGS: dict[Field, Callable[[re.Match[str], float], Reading | None]] = {
    "magnification": _magnification,
    "field_width_um": _length,
    "voltage_kv": _plain,
    "working_distance_mm": _plain,
    "detector": _word,
}

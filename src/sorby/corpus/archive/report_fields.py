"""From a report's text to what it says: FOAN, serial numbers, fracture load, type, sub-type, and the class."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from re import Match, Pattern

from rapidfuzz import fuzz, process

from sorby.corpus.archive.report_text import Line, ReportText
from sorby.corpus.archive.rules import UNKNOWN, ArchiveRules, ReportPatterns

_MENDED = 0.8  # factor on the confidence of a FOAN that was mended
_GUESSED = 0.5  # factor on the confidence of a number that can be read in two ways
_NUMBER = re.compile(r"\d[\d.,' ]*")


@dataclass(frozen=True)
class Component:
    """One broken component of a report.

    Attributes
    ----------
    serial : str or None
        Upper case, without separators.
    fracture_load_n : float or None
    fracture_type, fracture_subtype : str or None
        As written.
    label : str
        Class by the rules' texts; ``unknown`` where none fits.
    """

    serial: str | None
    fracture_load_n: float | None
    fracture_type: str | None
    fracture_subtype: str | None
    label: str


@dataclass(frozen=True)
class Report:
    """What a report says.

    Attributes
    ----------
    source : str
        Name of the file.
    foan : str or None
        Normalised.
    components : tuple of Component
        At least one where there is a FOAN.
    recognised : bool
        Whether text recognition was needed.
    confidence : dict of str to float
        How sure each field was read, 0..1.
    problems : tuple of str
        What a person should look at.
    """

    source: str
    foan: str | None
    components: tuple[Component, ...]
    recognised: bool = False
    confidence: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def serials(self) -> tuple[str, ...]:
        """Serial numbers of its components."""
        return tuple(component.serial for component in self.components if component.serial)


@dataclass
class _Reading:
    """What is being gathered from one report."""

    lines: Sequence[Line]
    patterns: dict[str, list[Pattern[str]]]
    confidence: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def all(self, name: str) -> list[Match[str]]:
        """Return every match of the first pattern that has one, and note how sure the lines were."""
        for pattern in self.patterns[name]:
            span = 2 if "\\n" in pattern.pattern else 1
            found: list[Match[str]] = []
            sure = []
            for start in range(len(self.lines)):
                window = self.lines[start : start + span]
                first = len(window[0].text)
                # What begins in the second line is found again in the next window.
                everything = pattern.finditer("\n".join(line.text for line in window))
                matches = [match for match in everything if match.start() <= first]
                found += matches
                sure += [min(line.confidence for line in window)] * len(matches)
            if found:
                self.confidence[name] = min(sure)
                return found
        return []

    def value(self, name: str) -> str | None:
        """Return the first value of a field."""
        found = self.all(name)
        return found[0]["value"].strip() or None if found else None


def parse_report(text: ReportText, source: str, rules: ArchiveRules) -> Report:
    """Read the fields of a report.

    Parameters
    ----------
    text : ReportText
    source : str
        Name of the file.
    rules : ArchiveRules

    Returns
    -------
    Report
        ``foan`` is None where no pattern found one; every doubt is a line of ``problems``.
    """
    reading = _Reading(text.lines, rules.report.compiled)
    foan = _foan(reading, rules)
    components = _components(reading, rules)
    problems = (*text.problems, *reading.problems)
    return Report(source, foan, components if foan else (), text.recognised, reading.confidence, problems)


def _foan(reading: _Reading, rules: ArchiveRules) -> str | None:
    found = [rules.foan.normalise(match["value"]) for match in reading.all("foan")]
    distinct = [foan for foan in dict.fromkeys(found) if foan]
    if not distinct:
        reading.problems.append("no FOAN found")
        return None
    whole = [foan for foan in distinct if rules.foan.is_whole(foan)]
    foan = (whole or distinct)[0]
    if len(whole or distinct) > 1:
        reading.problems.append(f"names several FOANs ({', '.join((whole or distinct)[:4])}); the first is taken")
    if whole:
        return foan
    mended = rules.foan.mend(foan)
    if mended is not None:
        reading.confidence["foan"] *= _MENDED
        reading.problems.append(f"FOAN read as {foan}, taken for {mended} by grammar and check digit")
        return mended
    reading.confidence["foan"] *= _GUESSED
    reading.problems.append(f"FOAN {foan} does not obey grammar and check digit")
    return foan


def _components(reading: _Reading, rules: ArchiveRules) -> tuple[Component, ...]:
    shared_type, shared_subtype = reading.value("fracture_type"), reading.value("fracture_subtype")
    loads = reading.all("fracture_load")
    shared_load = _load(loads[0], "value", rules.report, reading) if loads else None
    rows = reading.all("rows")
    if rows:
        cells = [{name: (value or "").strip() or None for name, value in row.groupdict().items()} for row in rows]
        return tuple(
            _component(
                cell["serial"],
                _load(row, "load", rules.report, reading) if cell.get("load") else shared_load,
                cell.get("type") or shared_type,
                cell.get("subtype") or shared_subtype,
                rules,
                reading,
            )
            for cell, row in zip(cells, rows, strict=True)
        )
    serials = list(dict.fromkeys(match["value"].strip() for match in reading.all("serial")))
    if not serials:
        reading.problems.append("no serial number found")
    if len(serials) > 1 and shared_load is not None:
        reading.problems.append(f"one load for {len(serials)} serial numbers")
    each: list[str | None] = [*serials] or [None]
    return tuple(_component(serial, shared_load, shared_type, shared_subtype, rules, reading) for serial in each)


def _component(
    serial: str | None,
    load_n: float | None,
    fracture_type: str | None,
    subtype: str | None,
    rules: ArchiveRules,
    reading: _Reading,
) -> Component:
    label, sure = classify_text(fracture_type, rules)
    if fracture_type is None:
        reading.problems.append("no fracture type found")
    elif sure == 0:
        reading.problems.append(f"fracture type {fracture_type[:40]!r} is none that the rules know")
    reading.confidence["label"] = min(reading.confidence.get("label", 1.0), sure)
    return Component(normal_serial(serial), load_n, fracture_type, subtype, label)


def normal_serial(serial: str | None) -> str | None:
    """Return a serial number in upper case without separators, None where nothing is left."""
    if serial is None:
        return None
    return "".join(character for character in serial.upper() if character.isalnum()) or None


def classify_text(text: str | None, rules: ArchiveRules) -> tuple[str, float]:
    """Return the class that a fracture type means, and how near its text is to one the rules list.

    Parameters
    ----------
    text : str or None
    rules : ArchiveRules

    Returns
    -------
    label : str
        ``unknown`` where nothing is near enough, or two classes are equally near.
    similarity : float
        0 where there is none.
    """
    said = _plain(text or "")
    known = [(label, _plain(each)) for label, texts in rules.labels.items() for each in texts]
    if not said:
        return UNKNOWN, 0.0
    scores = process.cdist([said], [each for _, each in known], scorer=fuzz.ratio)[0] / 100.0
    best = float(scores.max())
    labels = {label for (label, _), score in zip(known, scores, strict=True) if score >= best - 1e-9}
    if best < rules.label_similarity or len(labels) > 1:
        return UNKNOWN, 0.0
    return labels.pop(), best


def _plain(text: str) -> str:
    """Return lower-case letters and digits without accents; ß as ss and ü as u, so that both spellings meet."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = re.sub(r"(?<=[aou])e(?=[a-z])", "", folded.replace("̈", ""))
    return " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())


def _load(found: Match[str], group: str, rules: ReportPatterns, reading: _Reading) -> float | None:
    unit = (found.groupdict().get("unit") or rules.load_unit).strip().lower()
    load, doubt = read_load(found[group], 1000.0 if unit == "kn" else 1.0, rules.load_range_n)
    if doubt:
        reading.problems.append(f"fracture load {found[group].strip()!r}: {doubt}")
        reading.confidence["fracture_load"] = _GUESSED * reading.confidence.get("fracture_load", 1.0)
    return load


def read_load(text: str, unit_n: float, bounds_n: tuple[float, float]) -> tuple[float | None, str]:
    """Read a load written with decimal point or comma, with or without separated thousands.

    Parameters
    ----------
    text : str
        E.g. ``51.3``, ``51,3``, ``51 300``, ``51.300,5``.
    unit_n : float
        1 for N, 1000 for kN.
    bounds_n : pair of float
        Plausible loads; where ``51.300`` can be read in two ways, the plausible one is taken.

    Returns
    -------
    load_n : float or None
        None where no reading is plausible.
    doubt : str
        Empty where there is none.

    Examples
    --------
    >>> read_load("51,3", 1000.0, (100.0, 2e5)), read_load("51.300", 1.0, (100.0, 2e5))
    ((51300.0, ''), (51300.0, ''))
    """
    found = _NUMBER.search(text)
    if found is None:
        return None, "no number"
    digits = re.sub(r"[' ]", "", found[0]).strip(".,")
    loads = {reading * unit_n for reading in _readings(digits)}
    plausible = sorted(load for load in loads if bounds_n[0] <= load <= bounds_n[1])
    if not plausible:
        return None, f"not within {bounds_n[0]:g} to {bounds_n[1]:g} N"
    # Of two plausible readings the separator before three digits is more often that of thousands.
    return plausible[-1], "" if len(plausible) == 1 else f"{plausible[0]:g} N or {plausible[-1]:g} N"


def _readings(digits: str) -> list[float]:
    """Return the numbers that digits with points and commas may mean."""
    marks = [mark for mark in digits if mark in ".,"]
    if not marks:
        return [float(digits)]
    last = marks[-1]
    whole, _, part = digits.rpartition(last)
    as_decimal = re.sub(r"[.,]", "", whole) + "." + part
    as_thousands = re.sub(r"[.,]", "", digits)
    grouped = re.fullmatch(r"\d{1,3}([.,]\d{3})+", digits) is not None and len(set(marks)) == 1
    if marks.count(last) > 1:
        return [float(as_thousands)] if grouped else []
    readings = [float(as_decimal)]
    if grouped:
        readings.append(float(as_thousands))
    return [reading for reading in readings if math.isfinite(reading)]

"""Reading an info bar: its pieces of text, the fields in them, and the length of the drawn scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from sorby.micrograph.image import Pixels
from sorby.micrograph.info_bar.drawn_bar import DrawnBar
from sorby.micrograph.info_bar.finding import InfoBar, find_info_bar
from sorby.micrograph.info_bar.grammar import Field, Reading, labels_in, read_fields, read_label, step_confidence
from sorby.micrograph.info_bar.lettering import Lettering, cut_out, take_apart
from sorby.micrograph.intensity import to_grey, to_uint8
from sorby.micrograph.text_reading import TextLine, TextReader
from sorby.micrograph.text_reading.lines import in_rows

UInt8 = npt.NDArray[np.uint8]
Source = Literal["text", "measured"]

_ACROSS_ROWS = 0.9  # how far words are trusted that were joined over gaps
_NEAR = 2.0  # of the info bar's height: a label farther from a drawn bar does not belong to it
_RIVAL = 0.6  # of the surest reading's confidence: another value this sure is a contradiction
_MARKED, _PLAIN = 0.98, 0.93  # confidence in a measured length, with end marks and without


@dataclass(frozen=True)
class Value:
    """One thing that a bar says.

    Attributes
    ----------
    value : float or str
        In the unit that the field's name ends in.
    source : {"text", "measured"}
    confidence : float
        0 to 1: the recogniser's confidence times that of the rule or of the measurement.
    text : str
        The words, or how it was measured.
    note : str
        What had to be assumed; empty where nothing had.
    """

    value: float | str
    source: Source
    confidence: float
    text: str
    note: str = ""


@dataclass(frozen=True)
class InfoBarReading:
    """What the info bar of one image says.

    Attributes
    ----------
    bar : InfoBar
    width_px : int
        Width of the image.
    values : dict of str to Value
        ``magnification``, ``scale_label_um``, ``bar_length_px``, ``field_width_um``, ``voltage_kv``,
        ``working_distance_mm``, ``detector``, as far as they were read.
    lines : tuple of TextLine
        All text, in pixels of the image.
    rivals : tuple of str
        Contradictions within the bar, one line each.
    engine : dict of str to str
        What read the text.
    """

    bar: InfoBar
    width_px: int
    values: dict[str, Value]
    lines: tuple[TextLine, ...]
    rivals: tuple[str, ...] = ()
    engine: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> float | None:
        """Return a value as a number, None where it was not read."""
        entry = self.values.get(name)
        return None if entry is None or isinstance(entry.value, str) else float(entry.value)

    def confidence(self, *names: str) -> float:
        """Return the product of the confidences of several values, 0 where one is missing."""
        known = [self.values[name].confidence for name in names if name in self.values]
        return float(np.prod(known)) if len(known) == len(names) else 0.0


@dataclass(frozen=True, eq=False)
class _Open:
    """An info bar that was taken apart and not read yet."""

    bar: InfoBar
    pixels: UInt8
    lettering: Lettering


def read_info_bar(pixels: Pixels, reader: TextReader, bar: InfoBar | None = None) -> InfoBarReading | None:
    """Find and read the info bar of one image.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    reader : TextReader
    bar : InfoBar, optional
        Where it lies, if that is known.

    Returns
    -------
    InfoBarReading or None
        None where there is no bar.
    """
    return read_info_bars([pixels], reader, None if bar is None else [bar])[0]


def read_info_bars(
    images: Sequence[Pixels], reader: TextReader, bars: Sequence[InfoBar | None] | None = None
) -> list[InfoBarReading | None]:
    """Find and read the info bars of several images, their text in common batches.

    Text is found by its ink and cut out, which is quick. Where that gives no magnification, or a drawn scale bar
    without a label, the engine looks for text by itself.

    Parameters
    ----------
    images : sequence of ndarray, each shape (H, W) or (H, W, 3)
    reader : TextReader
    bars : sequence of InfoBar or None, optional
        Where they lie, one entry an image; found here where not given.
    """
    opened = [_open(image, find_info_bar(image) if bars is None else bars[k]) for k, image in enumerate(images)]
    boxes = [(k, box) for k, one in enumerate(opened) if one is not None for box in one.lettering.text]
    crops = [cut_out(one.pixels, box, one.bar.tone) for k, box in boxes if (one := opened[k]) is not None]
    said: list[list[TextLine]] = [[] for _ in images]
    for (k, (top, left, bottom, right)), reading in zip(boxes, reader.recognise(crops), strict=True):
        if reading.text:
            place = (float(left), float(top), float(right), float(bottom))
            said[k].append(TextLine(reading.text, *place, reading.confidence))
    results = [
        None if one is None else _understand(one, lines, reader.provenance)
        for one, lines in zip(opened, said, strict=True)
    ]
    again = [k for k, result in enumerate(results) if result is not None and not _enough(result)]
    looked = reader.read_many([one.pixels for k in again if (one := opened[k]) is not None])
    for k, lines in zip(again, looked, strict=True):
        one, first = opened[k], results[k]
        if one is not None and first is not None:
            second = _understand(one, lines, reader.provenance)
            # What was read from whole lines stands; the second look completes it.
            completed = {**second.values, **first.values}
            results[k] = replace(
                first if len(first.values) >= len(second.values) else second, values=completed,
                rivals=tuple(dict.fromkeys([*first.rivals, *second.rivals])),
            )  # fmt: skip
    return results


def _open(image: Pixels, bar: InfoBar | None) -> _Open | None:
    if bar is None:
        return None
    pixels = to_grey(to_uint8(image))[bar.top : bar.bottom]
    return _Open(bar, pixels, take_apart(pixels, bar.tone))


def _enough(result: InfoBarReading) -> bool:
    """Whether magnification was read, and a label to the drawn bar where one is drawn."""
    return "magnification" in result.values and ("scale_label_um" in result.values)


def _understand(one: _Open, lines: list[TextLine], engine: dict[str, str]) -> InfoBarReading:
    """Find the fields in the lines, in pixels of the info bar."""
    values: dict[str, Value] = {}
    rivals: list[str] = []
    for name, readings in _fields(lines).items():
        best, sureness = readings[0]
        values[name] = Value(best.value, "text", round(sureness, 4), best.text, best.note)
        others = {reading.value for reading, sure in readings if sure >= _RIVAL * sureness} - {best.value}
        if name == "magnification" and others:
            listed = ", ".join(f"{value:g}" for value in sorted(float(value) for value in others))
            rivals.append(f"the bar gives two magnifications: {float(best.value):g} and {listed}")
    label, drawn = _label_of(one, lines, values)
    if label is not None:
        reading, sureness = label
        sureness *= step_confidence(float(reading.value))
        values["scale_label_um"] = Value(reading.value, "text", round(sureness, 4), reading.text, reading.note)
    if drawn is not None:
        how = f"{drawn.kind}, columns {drawn.left:.1f} to {drawn.right:.1f}"
        sure = _MARKED if drawn.marked else _PLAIN
        values["bar_length_px"] = Value(round(drawn.length_px, 2), "measured", sure, how)
    moved = tuple(line.moved(0, one.bar.top) for line in lines)
    return InfoBarReading(one.bar, one.pixels.shape[1], values, moved, tuple(rivals), engine)


def _fields(lines: Sequence[TextLine]) -> dict[Field, list[tuple[Reading, float]]]:
    """Return each field's readings with their confidence, the surest first."""
    texts: list[tuple[str, float]] = []
    rows: list[tuple[str, float]] = []
    for line in lines:
        above = _heading(line, lines)
        if above is not None:
            texts.append((f"{above.text} {line.text}", min(above.confidence, line.confidence)))
        texts.append((line.text, line.confidence))
    for row in in_rows(lines):
        if len(row) > 1:
            rows.append((" ".join(piece.text for piece in row), _ACROSS_ROWS * min(p.confidence for p in row)))
    found: dict[Field, list[tuple[Reading, float]]] = {}
    for number, (text, confidence) in enumerate([*texts, *rows]):
        for name, readings in read_fields([text]).items():
            # Along a row of headings a field width would take up the label of the scale bar.
            if name == "field_width_um" and number >= len(texts):
                continue
            found.setdefault(name, []).extend((reading, reading.confidence * confidence) for reading in readings)
    return {name: sorted(pairs, key=lambda pair: -pair[1]) for name, pairs in found.items()}


def _heading(line: TextLine, lines: Sequence[TextLine]) -> TextLine | None:
    """Return the text right above another, in the same column."""
    above = [
        other
        for other in lines
        if other is not line
        and (other.top + other.bottom) / 2 < line.top
        and line.top - other.bottom < line.height
        and min(line.right, other.right) - max(line.left, other.left) >= 0.5 * min(line.width, other.width)
    ]
    return max(above, key=lambda other: other.bottom, default=None)


def _label_of(
    one: _Open, lines: Sequence[TextLine], values: dict[str, Value]
) -> tuple[tuple[Reading, float] | None, DrawnBar | None]:
    """Return the scale label with its confidence and the drawn bar it belongs to: the pair that stands closest."""
    candidates: list[tuple[Reading, float, TextLine]] = []
    distance = values.get("working_distance_mm")
    for line in lines:
        whole = read_label(line.text)
        if whole is not None:
            # Under its heading a working distance looks like a label in millimetres.
            if distance is not None and distance.text.endswith(line.text):
                continue
            candidates.append((whole, line.confidence * whole.confidence, line))
            continue
        for reading, start, stop in labels_in(line.text):
            step = line.width / max(1, len(line.text))
            place = replace(line, left=line.left + start * step, right=line.left + stop * step)
            candidates.append((reading, 0.9 * line.confidence * reading.confidence, place))
    best: tuple[float, tuple[Reading, float], DrawnBar] | None = None
    for reading, sureness, place in candidates:
        for rank, drawn in enumerate(one.lettering.drawn):
            cost = _apart(place, drawn) / one.bar.height + 0.01 * rank
            if cost <= _NEAR and (best is None or cost < best[0]):
                best = cost, (reading, sureness), drawn
    if best is not None:
        return best[1], best[2]
    if len(candidates) == 1:
        return (candidates[0][0], candidates[0][1]), None
    return None, None


def _apart(label: TextLine, drawn: DrawnBar) -> float:
    """Return how many pixels lie between a label and a drawn bar; for a broken one, how far it is off the gap."""
    if drawn.kind == "broken line":
        return abs((label.left + label.right) - (drawn.left + drawn.right)) / 2 + _gap(
            label.top, label.bottom, drawn.top, drawn.bottom
        )
    across = _gap(label.left, label.right, drawn.left, drawn.right)
    return float(np.hypot(across, _gap(label.top, label.bottom, drawn.top, drawn.bottom)))


def _gap(first: float, last: float, other_first: float, other_last: float) -> float:
    return max(0.0, other_first - last, first - other_last)

"""The labels a person writes: read, checked against slips of the pen, and never overwritten."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rapidfuzz import fuzz, process

from sorby.errors import InputError
from sorby.files import atomic_write
from sorby.workflow.detection.name_model import NOTHING, UNKNOWN

PASSED = "?"
"""What a person writes who cannot say: the finding teaches nothing and is not asked again."""

TO_LABEL = "to-label.csv"
LABELS = "labels.csv"

_RESERVED = (UNKNOWN, "unsure")
_ALIKE = 80.0  # of 100, from which two names may be one misspelt
_COLUMNS = ("number", "label", "guess", "image", "x", "y", "w", "h", "crop")


def read_labels(path: Path, count: int) -> dict[int, str]:
    """Return what is written in a table of labels, by the finding's number; rows without a label are left out.

    Comma, semicolon and tab part columns; spaces about a name and between its words do not count.

    Parameters
    ----------
    path : Path
        With columns ``number`` and ``label``.
    count : int
        Largest number there is.

    Raises
    ------
    InputError
        The file is not there or no such table; a number is none, unknown, or labelled in two ways; or a name means
        something else here.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", "sorby detect name start makes it") from error
    except UnicodeDecodeError:
        text = path.read_bytes().decode("cp1252", "replace")  # what Excel writes where nobody asks for UTF-8
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    if absent := [name for name in ("number", "label") if name not in (reader.fieldnames or ())]:
        raise InputError(f"{path}: no column {absent[0]}", "keep the first line as it was written")
    found: dict[int, str] = {}
    for line, row in enumerate(reader, start=2):
        label = " ".join((row["label"] or "").split())
        if not label:
            continue
        number = _number(row["number"], path, line, count)
        if label.lower() in _RESERVED:
            raise InputError(
                f"{path}, line {line}: {label!r} is no name",
                f"{PASSED} for one you cannot name, {NOTHING} for a false alarm",
            )
        if found.get(number, label) != label:
            raise InputError(f"{path}, line {line}: finding {number} is {found[number]!r} above", "keep one of the two")
        found[number] = label
    return found


def _number(text: str | None, path: Path, line: int, count: int) -> int:
    try:
        number = int(float(text or ""))
    except (ValueError, OverflowError):
        raise InputError(f"{path}, line {line}: {text!r} is no number", f"findings are 1 to {count}") from None
    if not 1 <= number <= count:
        raise InputError(f"{path}, line {line}: there is no finding {number}", f"findings are 1 to {count}")
    return number


def checked(
    written: Mapping[int, str], known: Mapping[int, str], new: Collection[str]
) -> tuple[dict[int, str], list[str]]:
    """Return labels in the spelling known so far, and what was changed, or stop at a name that looks misspelt.

    Parameters
    ----------
    written : mapping of int to str
        From the table.
    known : mapping of int to str
        Of earlier rounds.
    new : collection of str
        Names that the person vouches for.

    Raises
    ------
    InputError
        A name is new and nearly another one.
    """
    spelling = {name.lower(): name for name in [PASSED, NOTHING, *sorted(known.values())]}
    labels, notes = {}, []
    for number, label in written.items():
        usual = spelling.setdefault(label.lower(), label)
        labels[number] = usual
        if number in known and known[number] != usual:
            notes.append(f"finding {number} is {usual} now, was {known[number]}")
    settled = {*known.values(), NOTHING, *new} - {PASSED}
    counts = Counter(label for label in labels.values() if label != PASSED)
    # The commonest of new names come first, so that the rarer of two is taken for the slip.
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if name in settled:
            continue
        match = process.extractOne(name.lower(), {each: each.lower() for each in sorted(settled)}, scorer=fuzz.ratio)
        if match is not None and match[1] >= _ALIKE:
            where = min(number for number, label in labels.items() if label == name)
            raise InputError(
                f"finding {where}: {name!r} is new and nearly {match[2]!r}",
                f"write {match[2]}, or --new {name!r} where it is a kind of its own",
            )
        settled.add(name)
    return labels, notes


def write_labels(path: Path, labels: Mapping[int, str]) -> None:
    """Write all labels given so far."""
    _write(path, ("number", "label"), sorted(labels.items()))


def write_to_label(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write the table that a person fills; see the module's columns."""
    _write(path, _COLUMNS, rows)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(rows)
        text.flush()
        text.detach()

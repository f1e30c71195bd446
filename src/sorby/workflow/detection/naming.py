"""``detect name``: from nameless findings to kinds, with a person who names a few of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sorby.backbone.runtime import Device
from sorby.bundle import open_bundle
from sorby.detect.detector_bundle import from_bundle
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import atomic_write, write_json
from sorby.micrograph import read
from sorby.progress import bar
from sorby.report.naming_sheet import SheetEntry, close_up, write_sheet_page, write_sheet_picture
from sorby.workflow.detection.asking import ask
from sorby.workflow.detection.bases import PHANTOM, phantom_base
from sorby.workflow.detection.describing import Describe, described_findings, seen_as
from sorby.workflow.detection.located import Located, read_findings
from sorby.workflow.detection.name_labels import (
    LABELS,
    PASSED,
    TO_LABEL,
    checked,
    read_labels,
    write_labels,
    write_to_label,
)
from sorby.workflow.detection.name_model import NOTHING, UNKNOWN, Naming, compressed, embedded, name_all
from sorby.workflow.detection.named_table import write_named
from sorby.workflow.detection.naming_session import Session, SessionSettings

__all__ = ["NOTHING", "PASSED", "UNKNOWN", "start_naming", "teach_names"]

SHEET, PAGE, NAMED, ROUND = "to-label.png", "to-label.html", "named.csv", "round.json"
WINDOW_PX, VIEWS, ASK = 224, 4, 10
_AT_ONCE = 64  # findings described between two writings

Say = Callable[[str], None]


def start_naming(
    folder: Path | str,
    out: Path | str,
    *,
    base: Path | str = PHANTOM,
    count: int = ASK,
    describe: Describe = "texture",
    window_px: int = WINDOW_PX,
    views: int = VIEWS,
    seed: int = 0,
    device: Device = "auto",
    say: Say | None = None,
) -> dict[str, Any]:
    """Describe findings once and choose those to be named first.

    Parameters
    ----------
    folder : path
        From ``anomaly score`` or ``line run``.
    out : path
        The session. An interrupted start goes on with the same call.
    base : path or "phantom"
        The box detector whose frozen stages describe findings.
    count : int
        How many are asked for at a time.
    describe : {"head", "texture", "context"}
        See `sorby.detect.recipe.BoxSection`.
    window_px : int
        Edge of the window about a finding, pixels; findings that are larger get a larger one.
    views : int
        Mirrored and turned views of each finding.
    seed : int
    device : {"auto", "cpu", "cuda"}
    say : callable, optional
        Gets a line where the base detector must be made first.

    Returns
    -------
    dict
        ``session``, ``n_findings``, ``to_label`` (numbers), ``table``, ``sheet``, ``page``, ``seconds``, ``warnings``,
        ``quarantined``.

    Raises
    ------
    InputError
        No findings or pictures, or another session in the folder.
    """
    started = time.perf_counter()
    folder, out = Path(folder), Path(out)
    if count < 1:
        raise InputError(f"{count} findings cannot be asked for", "--ask 10")
    there = read_findings(folder)
    path = phantom_base(device=device, say=say) if str(base) == PHANTOM else Path(base)
    with open_bundle(path) as bundle:
        detector, sha256 = from_bundle(bundle), bundle.sha256
    settings = SessionSettings(str(folder), str(path), sha256, describe, window_px, views, count, seed)
    session = Session.begin(out, settings, there.findings)
    with session.alone():
        if session.table.exists():
            raise InputError(f"{out}: begun already, labels may be in {TO_LABEL}", f"sorby detect name teach {out}")
        done = set(session.described_numbers())
        waiting = sorted((f for f in there.findings if f.number not in done), key=lambda f: (str(f.image), f.number))
        bad = _describe(session, waiting, seen_as(detector, describe, window_px), device) if waiting else []
        findings, described = session.described()
        none = np.zeros(0, np.intp)
        asked = ask(compressed(embedded(described)), none, none, count, seed=seed)
        _write_sheet(session, findings, asked, {}, None)
    return {
        "session": str(out),
        "n_findings": len(findings),
        "to_label": [findings[k].number for k in asked],
        **_places(session),
        "seconds": time.perf_counter() - started,
        "warnings": _of_few(findings),
        "quarantined": [each.as_dict() for each in [*there.quarantined, *bad]],
    }


def _of_few(findings: Sequence[Located]) -> list[str]:
    few = 30
    return [f"only {len(findings)} findings: naming them all by hand takes minutes"] if len(findings) < few else []


def _describe(session: Session, findings: Sequence[Located], detector: Any, device: Device) -> list[Quarantined]:
    """Describe findings and keep them, some at a time, so that an interruption loses little."""
    settings = session.settings
    found = described_findings(
        findings, detector, detector.runner(device), window_px=settings.window_px, views=settings.views
    )
    numbers: list[int] = []
    values: list[Any] = []
    bad: list[Quarantined] = []
    with bar("describing", len(findings)) as advance:
        for rows, described, quarantined in found:
            numbers += [findings[k].number for k in rows]
            bad += quarantined
            if rows:
                values.append(described)
            if len(numbers) >= _AT_ONCE:
                session.add_described(numbers, np.concatenate(values))
                numbers, values = [], []
            advance(len(rows))
    if numbers:
        session.add_described(numbers, np.concatenate(values))
    return bad


def teach_names(folder: Path | str, *, new: Sequence[str] = ()) -> dict[str, Any]:
    """Learn from the labels written so far, name all findings, and choose the next to be named.

    Parameters
    ----------
    folder : path
        The session.
    new : sequence of str
        Names that are no misspellings although they look like it.

    Returns
    -------
    dict
        ``named`` (the table), ``classes`` (how many of each by hand, sure and unsure), ``unknown``, ``accuracy``
        (cross-fitted: ``value``, ``ci95``, ``n``, ``alone``), ``promise``, ``n_labelled``, ``to_label``, ``table``,
        ``sheet``, ``page``, ``seconds``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        There are no labels, or one of them cannot be meant so.
    """
    started = time.perf_counter()
    session = Session.open(Path(folder))
    with session.alone():
        labels, notes = _taken_in(session, new)
        findings, described = session.described()
        place = {each.number: k for k, each in enumerate(findings)}
        given = {place[n]: name for n, name in labels.items() if name != PASSED and n in place}
        if not given:
            raise InputError(
                f"{session.table}: no label yet", f"write names into its column label; {SHEET} shows which"
            )
        rows = embedded(described)
        naming = name_all(rows, given, seed=session.settings.seed)
        passed = np.array([place[n] for n, name in labels.items() if name == PASSED and n in place], np.intp)
        several = naming.probabilities if len(naming.classes) > 1 else None
        asked = ask(
            compressed(rows), np.array(sorted(given), np.intp), passed, session.settings.ask, probabilities=several,
            seed=session.settings.seed + len(labels),
        )  # fmt: skip
        write_named(session.folder / NAMED, findings, naming, given)
        result = {
            "session": str(folder),
            "named": str(session.folder / NAMED),
            "n_findings": len(findings),
            "n_labelled": len(given),
            "classes": _counted(naming, given),
            "unknown": sum(label == UNKNOWN for label in naming.label),
            "accuracy": naming.accuracy,
            "promise": naming.limits.promise(),
            "to_label": [findings[k].number for k in asked],
            **_places(session),
            "warnings": [*notes, *_warnings(naming)],
            "quarantined": [],
        }
        write_json(session.folder / ROUND, result)
        _write_sheet(session, findings, asked, labels, naming)
    return {**result, "seconds": time.perf_counter() - started}


def _taken_in(session: Session, new: Sequence[str]) -> tuple[dict[int, str], list[str]]:
    """Return all labels, those of the table on top of earlier ones; they are kept before anything else happens."""
    known = session.labels()
    written = read_labels(session.table, session.last_number)
    numbers = {each.number for each in session.findings}
    if strange := sorted(set(written) - numbers):
        raise InputError(f"{session.table}: there is no finding {strange[0]}", "numbers are those of the sheet")
    fresh, notes = checked(written, known, new)
    labels = {**known, **fresh}
    if labels != known:
        write_labels(session.folder / LABELS, labels)
    return labels, notes


def _counted(naming: Naming, given: Mapping[int, str]) -> dict[str, dict[str, int]]:
    """Return how many findings bear each name, by hand, surely and unsurely."""
    by_hand = Counter(given.values())
    rest = [k for k in range(len(naming.label)) if k not in given]
    sure = Counter(naming.label[k] for k in rest if not naming.unsure[k])
    unsure = Counter(naming.label[k] for k in rest if naming.unsure[k])
    return {name: {"labelled": by_hand[name], "sure": sure[name], "unsure": unsure[name]} for name in naming.classes}


def _warnings(naming: Naming) -> list[str]:
    notes = []
    if len(naming.classes) == 1:
        notes.append(f"only one name so far: every finding that is not unknown is called {naming.classes[0]}")
    counts = Counter(naming.judged.known.tolist())
    if counts[False] and len(naming.classes) > 1:
        notes.append(
            f"{counts[False]} of the names given have one finding each: whether these are found again cannot be judged"
        )
    return notes


def _places(session: Session) -> dict[str, str]:
    return {
        "table": str(session.table), "sheet": str(session.folder / SHEET), "page": str(session.folder / PAGE)
    }  # fmt: skip


def _write_sheet(
    session: Session,
    findings: Sequence[Located],
    asked: Sequence[int],
    labels: Mapping[int, str],
    naming: Naming | None,
) -> None:
    """Write crops, sheet and page, and last the table: the new ones on top, below them what was labelled already."""
    entries, table = [], []
    for k in asked:
        each = findings[k]
        guess = _guess(naming, k)
        crop = f"crops/finding-{each.number:05d}.png"
        picture = _picture(each)
        if picture is not None:
            _write_crop(session.folder / crop, picture)
            (wide, high), (left, top) = each.size, each.box[:2]
            where = f"{each.image.name}: {wide:.0f} × {high:.0f} px at x {left:.0f}, y {top:.0f}"
            entries.append(SheetEntry(each.number, picture, guess, where))
        table.append(_row(each, "", guess, crop))
    by_number = {each.number: each for each in findings}
    for number in sorted(labels):
        if number in by_number:
            table.append(_row(by_number[number], labels[number], "", f"crops/finding-{number:05d}.png"))
    names = sorted(set(labels.values()) - {PASSED})
    write_sheet_picture(session.folder / SHEET, entries)
    write_sheet_page(session.folder / PAGE, entries, names, TO_LABEL)
    write_to_label(session.table, table)


def _row(finding: Located, label: str, guess: str, crop: str) -> list[object]:
    left, top = finding.box[:2]
    sides = (round(value, 1) for value in (left, top, *finding.size))
    return [finding.number, label, guess, finding.image.as_posix(), *sides, crop]


def _guess(naming: Naming | None, k: int) -> str:
    return "" if naming is None else naming.label[k]


def _picture(finding: Located) -> Any:
    try:
        return close_up(read(finding.image).pixels, finding.box)
    except SorbyError:  # it could be read when it was described: it has gone since, and the table still names it
        return None


def _write_crop(path: Path, picture: Any) -> None:
    from PIL import Image

    with atomic_write(path) as file:
        Image.fromarray(picture).save(file, format="PNG", compress_level=4)

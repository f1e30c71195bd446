"""``line run``: a moving web to a roll map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd

from sorby.errors import InputError
from sorby.files import explained, write_json, write_text
from sorby.line.alarms import Alarm
from sorby.line.clusters import find_clusters
from sorby.line.journal import Journal
from sorby.line.lines import Item, LineSource
from sorby.line.pipeline import Pipeline
from sorby.line.recorder import RollRecorder
from sorby.line.repeats import Repeat, find_repeats
from sorby.line.roll_map import write_alarms, write_defects, write_geojson
from sorby.line.scorer import StripScorer
from sorby.line.strips import StripMaker
from sorby.progress import bar
from sorby.provenance import describe
from sorby.workflow.line_budget import line_budget
from sorby.workflow.line_opening import LineRequest, MakeScorer, open_scorer, open_sources, read_overlay

__all__ = ["CANNOT_SEE", "LineRequest", "line_budget", "run_line"]

_ANALYSED = 100_000

CANNOT_SEE = (
    "Only what changes the light that reaches the camera is found. Layer thickness, ion-exchange capacity and what "
    "lies under the surface need another sensor; its readings can be laid over this map (--overlay FILE.csv).",
    "A region is as large as the anomaly map is above the threshold: wider than its cause by up to what the detector "
    "sees around a point.",
    "A frame mirrored left to right is found only where the brightness across the web is not symmetric; one turned "
    "upside down only where neighbouring lines resemble each other; frames that were mirrored from the first on never.",
    "A camera that repeats one frame is told from a web without texture only by noise.",
)

BOXES_CANNOT_SEE = (
    "Only what the detector was taught is found and named; a defect of another kind is missed, or takes the nearest "
    "name.",
    "A defect is drawn as its box; boxes that touch are one defect, which bears the name of the strongest.",
)


def run_line(
    bundle: Path | str | MakeScorer,
    sources: Sequence[str | Path | LineSource],
    out: Path | str,
    request: LineRequest,
    *,
    overlay: Path | str | None = None,
    require_signed: bool = False,
) -> dict[str, Any]:
    """Inspect a moving web.

    Parameters
    ----------
    bundle : path or callable
        An anomaly bundle, a box detector, or what makes a `StripScorer` for a number of columns.
    sources : sequence of str, path or LineSource
        A folder of images, an image, a raw file, a named pipe, ``-`` for standard input, ``genicam:FILE.cti``, or a
        source made by the caller. Several are lanes side by side.
    out : path
        Gets ``roll_map.csv``, ``.geojson``, ``.html``, ``alarms.csv``, ``line.json``, ``crops/`` and the journal. The
        same request again goes on where the last one was interrupted.
    request : LineRequest
    overlay : path, optional
        CSV with columns ``along_mm``, ``across_mm`` and ``value`` from another sensor, drawn on the map.
    require_signed : bool

    Returns
    -------
    dict
        ``defects`` (how many), ``defect_list``, ``m_per_min``, ``mpix_per_s``, ``dropped``, ``alarms``, ``repeats``,
        ``clusters``, ``gaps``, ``latency_ms``, ``warnings``, ``quarantined`` and more.

    Raises
    ------
    InputError
        Sources, request or the output folder do not do; see the message.
    """
    out = Path(out)
    marks = None if overlay is None else read_overlay(Path(overlay))
    if (out / "line.json").exists():
        raise InputError(f"{out / 'line.json'}: exists", "choose another --out")
    source = open_sources(sources, request)
    scorer, detector = open_scorer(bundle, source.width, request, require_signed=require_signed)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise InputError(f"{out}: another run writes here", "wait for it, or choose another --out") from error
    with lock:
        journal = Journal(out / "journal.jsonl", _header(source, scorer, detector, request))
        try:
            return _run(journal, source, scorer, out, request, marks, detector)
        finally:
            journal.close()
            lock.release()


def _header(source: LineSource, scorer: StripScorer, detector: dict[str, Any], request: LineRequest) -> dict[str, Any]:
    # Speed and policy may differ when a run is taken up; what decides about a defect may not.
    free = {
        "queue_strips",
        "live",
        "frames",
        "checkpoint_strips",
        "precision",
        "repeats",
        "cluster_mm",
        "cluster_least",
    }
    fixed = {name: value for name, value in asdict(request).items() if name not in free}
    strip = {name: getattr(scorer, name) for name in ("stride", "margin_px", "rows", "width", "threshold")}
    known = {name: detector[name] for name in ("bundle_sha256", "detector") if name in detector}
    return {"source": source.identity(), "detector": known, "strip": strip, "request": fixed}


def _run(
    journal: Journal,
    source: LineSource,
    scorer: StripScorer,
    out: Path,
    request: LineRequest,
    marks: pd.DataFrame | None,
    detector: dict[str, Any],
) -> dict[str, Any]:
    recorder = RollRecorder(
        journal, request.settings, stride=scorer.stride, threshold=scorer.threshold, crops=out / "crops",
        classes=detector.get("classes", ()),
    )  # fmt: skip
    before = recorder.counts.scored_pixels, recorder.counts.row, recorder.counts.dropped
    resumed = journal.state is not None
    pipeline = Pipeline(scorer, recorder, live=request.live, queue_strips=request.queue_strips)
    if not recorder.finished:
        items, maker = _from_where_it_stopped(source, scorer, recorder, resumed=resumed)
        with bar("inspecting the web, lines", source.rows_total) as advance:
            pipeline.run(items, maker, advance)
    seconds = max(pipeline.seconds, 1e-9)
    counts, scale = recorder.counts, request.scale
    speed = {
        "m_per_min": (counts.row - before[1]) * scale.along_mm / 1000 / seconds * 60,
        "mpix_per_s": (counts.scored_pixels - before[0]) / 1e6 / seconds,
        "latency_ms": pipeline.latencies.as_dict(),
        "seconds": pipeline.seconds,
        "cell_mm": scorer.stride * scale.along_mm,
    }
    return _conclude(journal, recorder, out, request, marks, {**speed, "resumed": resumed, "detector": detector})


def _from_where_it_stopped(
    source: LineSource, scorer: StripScorer, recorder: RollRecorder, *, resumed: bool
) -> tuple[Iterator[Item], StripMaker]:
    """Return the items and the strip maker, at the beginning or where the journal ends."""
    bookmark = recorder.bookmark
    if bookmark is not None and bookmark.cursor is not None:
        return source.items(bookmark.cursor), StripMaker(scorer.rows, scorer.margin_px, bookmark)
    if resumed and recorder.row:
        recorder.interrupted("the run was interrupted here, and the source cannot go back; how much passed is unknown")
    return source.items(), StripMaker(scorer.rows, scorer.margin_px, row=recorder.row)


# -- what the roll amounts to --------------------------------------------------------------------------------


def _conclude(
    journal: Journal,
    recorder: RollRecorder,
    out: Path,
    request: LineRequest,
    marks: pd.DataFrame | None,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Find clusters and repeats, write the maps, return the result."""
    found: dict[str, list[dict[str, Any]]] = {"defect": [], "alarm": [], "quarantined": []}
    for kind, value in journal.entries(*found):
        found[kind].append(value)
    defects, notes = found["defect"], list[str]()
    clusters, repeats = _analyse(defects, request, facts["cell_mm"], notes)
    alarms = [*found["alarm"], *(_repeat_alarm(number, repeat) for number, repeat in enumerate(repeats, start=1))]
    alarms.sort(key=lambda alarm: (alarm["along_mm"], alarm["kind"]))
    counts, scale = recorder.counts, request.scale
    named = bool(facts["detector"].get("classes"))
    result = {
        "defects": len(defects),
        **({"defects_by_class": dict(Counter(defect["label"] for defect in defects).most_common())} if named else {}),
        "defect_list": str(out / "roll_map.csv"),
        "roll_map": str(out / "roll_map.html"),
        "geojson": str(out / "roll_map.geojson"),
        "alarm_list": str(out / "alarms.csv"),
        "m_per_min": facts["m_per_min"],
        "mpix_per_s": facts["mpix_per_s"],
        "dropped": counts.dropped,
        "latency_ms": facts["latency_ms"],
        "seconds": facts["seconds"],
        "metres": counts.row * scale.along_mm / 1000,
        "inspected_m": counts.scored_rows * scale.along_mm / 1000,
        "width_mm": counts.width_px * scale.across_mm,
        "severe": sum(defect["severe"] for defect in defects),
        "alarms": _by_kind(alarms),
        "repeats": [repeat.as_dict() for repeat in repeats],
        "clusters": [cluster.as_dict() for cluster in clusters],
        "gaps": [alarm for alarm in alarms if alarm["kind"] in ("gap", "lost-lines")],
        "resumed": facts["resumed"],
        "warnings": notes + _warnings(recorder, alarms, request),
        "cannot_see": [
            *(BOXES_CANNOT_SEE if named else ()),
            *(CANNOT_SEE[:1] + CANNOT_SEE[2:] if named else CANNOT_SEE),
        ],
        "quarantined": found["quarantined"],
        "detector": facts["detector"],
        "scale": {"along_um": scale.along_um, "across_um": scale.across_um},
    }
    write_defects(out / "roll_map.csv", defects)
    write_geojson(out / "roll_map.geojson", defects)
    write_alarms(out / "alarms.csv", alarms)
    _write_page(out, result, defects, alarms, repeats, marks)
    write_json(out / "line.json", {**result, "request": asdict(request), "provenance": describe()})
    return result


def _analyse(
    defects: list[dict[str, Any]], request: LineRequest, cell_mm: float, notes: list[str]
) -> tuple[list[Any], list[Repeat]]:
    """Mark the defects' clusters and repeats in place; return both."""
    last_piece: dict[int, dict[str, Any]] = {}
    for defect in defects:
        defect["cluster"], defect["repeat"] = 0, 0
        if defect["streak"]:
            last_piece[defect["streak"]] = defect
    for defect in last_piece.values():  # closed at its full length, it turned out to be the end
        defect["continues"] = False
    # A streak recorded in pieces is one defect: its pieces recur because they were cut, not because a roller turned.
    whole = [index for index, defect in enumerate(defects) if defect["streak"] == 0]
    if len(whole) > _ANALYSED:
        whole = sorted(sorted(whole, key=lambda index: -defects[index]["score"])[:_ANALYSED])
        notes.append(f"clusters and repeats were sought among the {_ANALYSED} highest scores only")
    along = np.array([defects[index]["along_mm"] for index in whole])
    across = np.array([defects[index]["across_mm"] for index in whole])
    labels, clusters = find_clusters(along, across, reach_mm=request.cluster_mm, least=request.cluster_least)
    # A centre lies on the grid of cells.
    search = replace(request.repeats, resolution_mm=cell_mm)
    repeats = find_repeats(along, across, search)
    for index, label in zip(whole, labels, strict=True):
        defects[index]["cluster"] = int(label)
    for number, repeat in enumerate(repeats, start=1):
        for member in repeat.members:
            defects[whole[member]]["repeat"] = number
    return clusters, repeats


def _repeat_alarm(number: int, repeat: Repeat) -> dict[str, Any]:
    message = (
        f"repeat {number}: every {repeat.period_mm:.2f} mm, {repeat.count} of {repeat.slots} times at "
        f"{repeat.across_mm:.1f} mm across; a roller of {repeat.diameter_mm:.2f} mm diameter; p < {repeat.p_value:.2g}"
    )
    length = round(repeat.along_to_mm - repeat.along_from_mm, 3)
    return Alarm("repeat", repeat.along_from_mm, length, 0, 0, message).as_dict()


def _by_kind(alarms: list[dict[str, Any]]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for alarm in alarms:
        kinds[alarm["kind"]] = kinds.get(alarm["kind"], 0) + 1
    return kinds


def _warnings(recorder: RollRecorder, alarms: list[dict[str, Any]], request: LineRequest) -> list[str]:
    counts, found = recorder.counts, []
    if counts.unplaced:
        found.append(
            f"{counts.unplaced} gaps of unknown length: everything after the first lies further along than stated"
        )
    if counts.dropped:
        lost = sum(alarm["length_mm"] or 0 for alarm in alarms if alarm["kind"] == "lost-lines")
        found.append(
            f"{counts.dropped} strips ({lost / 1000:.2f} m) were dropped: the detector was slower than the line"
        )
    if counts.crops >= request.crops and counts.defects > counts.crops:
        found.append(f"pictures of the first {request.crops} defects only")
    found += [alarm["message"] for alarm in alarms if alarm["kind"] == "truncated"]
    return found


def _write_page(
    out: Path,
    result: dict[str, Any],
    defects: list[dict[str, Any]],
    alarms: list[dict[str, Any]],
    repeats: Sequence[Repeat],
    marks: pd.DataFrame | None,
) -> None:
    from sorby.report.roll_map_page import RollFacts, roll_map_page  # matplotlib takes a while to import

    facts = RollFacts(result, pd.DataFrame(defects), alarms, [repeat.as_dict() for repeat in repeats], marks, out)
    write_text(out / "roll_map.html", roll_map_page(facts))

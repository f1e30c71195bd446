"""The job that inspects: a few images at a time, each batch on disk before the next, so that a crash repeats little."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sorby._version import __version__
from sorby.station import images
from sorby.station.bundles import find as find_bundle
from sorby.station.database import tables
from sorby.station.desk import Act, Desk, new_id
from sorby.station.inspections import risk
from sorby.station.jobs.inspectors import Said, Wanted, open_inspector
from sorby.station.jobs.queue import Work
from sorby.station.store.admission import SUFFIXES
from sorby.workflow.archive.scales import state_scales

_AT_ONCE, _AT_ONCE_PX = 8, 64_000_000


def run(work: Work) -> None:
    """Inspect ``request["images"]`` with each of ``request["bundles"]``.

    What an earlier attempt has committed is not done again.
    """
    desk, request = work.desk, work.request
    total = len(request["images"]) * len(request["bundles"])
    quarantined: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="sorby-job-") as folder:
        rows = _linked(desk, request["images"], Path(folder))
        work.alive(_done(work), total, "reading scales")
        _read_bars(work, rows)
        for bundle in request["bundles"]:
            left = _left(work, rows, bundle)
            if not left:
                continue
            work.alive(message="opening the bundle")
            with desk.database.read() as session:
                file = find_bundle(session, bundle).file
            look = open_inspector(desk.store.path(file), explain=bool(request.get("explain", True)))
            for some in _batches(left, {sha: each[1] for sha, each in rows.items()}):
                said = list(look(some))
                good = [_measured(work, rows, each) for each in said if isinstance(each, Said)]
                quarantined |= dict(each for each in said if not isinstance(each, Said))
                _commit(work, bundle, good)
                work.alive(min(total, _done(work) + len(quarantined)), total, f"inspected with {__version__}")
    with work.committing() as act:
        disputed = _disputed(act, work.id)
        referred = act.session.execute(
            select(tables.Inspection.id).where(tables.Inspection.job_id == work.id, tables.Inspection.referred)
        ).all()
        work.finish(
            act,
            {
                "inspected": _count(act, work.id),
                "referred": len(referred),
                "disputed": disputed,
                "quarantined": [{"image": sha, "reason": reason} for sha, reason in quarantined.items()],
            },
        )


def _linked(desk: Desk, shas: Sequence[str], folder: Path) -> dict[str, tuple[Wanted, int]]:
    """Give stored images names with the ending of their format; return them with their pixels, by SHA-256."""
    with desk.database.read() as session:
        found = [images.find(session, sha) for sha in shas]
    rows = {}
    for k, image in enumerate(found):
        path = folder / f"{k:05d}{SUFFIXES[image.media_type]}"
        os.symlink(desk.store.path(image.sha256).resolve(), path)
        # A size that the file itself states is read with it; a person's word, or the bar's, has to be handed over.
        size = image.pixel_size_um if image.scale_source in ("user", "info-bar") else None
        wanted = Wanted(image.sha256, path, size, image.magnification)
        rows[image.sha256] = (wanted, image.width * image.height)
    return rows


def _read_bars(work: Work, rows: dict[str, tuple[Wanted, int]]) -> None:
    """Look for the scale of images that state none in their info bars, and note what is believed."""
    with work.desk.database.read() as session:
        unscaled = [sha for sha in rows if images.find(session, sha).pixel_size_um is None]
    if not unscaled:
        return
    by_path = {str(rows[sha][0].path): sha for sha in unscaled}
    for entry in state_scales(list(by_path), threads=1)["images"]:
        size = entry["pixel_size_um"]
        if entry["source"] != "info-bar" or size is None or entry["disagreements"]:
            continue
        sha = by_path[entry["file"]]
        with work.committing() as act:
            images.scaled_by_bar(act, sha, size, entry["magnification"])
        wanted, pixels = rows[sha]
        rows[sha] = (Wanted(sha, wanted.path, size, wanted.magnification or entry["magnification"]), pixels)


def _measured(work: Work, rows: dict[str, tuple[Wanted, int]], said: Said) -> Said:
    kind = str(work.request.get("measure", ""))
    if not kind:
        return said
    from sorby.station.jobs.measuring import measured  # tracing is slow to load

    work.alive(message=f"measuring {kind}")
    return measured(rows[said.sha256][0], said, kind)


def _left(work: Work, rows: dict[str, tuple[Wanted, int]], bundle: str) -> list[Wanted]:
    with work.desk.database.read() as session:
        done = set(
            session.execute(
                select(tables.Inspection.image).where(
                    tables.Inspection.job_id == work.id, tables.Inspection.bundle == bundle
                )
            ).scalars()
        )
    return [wanted for sha, (wanted, _) in rows.items() if sha not in done]


def _batches(wanted: Sequence[Wanted], pixels: dict[str, int]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    held = 0
    for each in wanted:
        if batch and (len(batch) == _AT_ONCE or held + pixels[each.sha256] > _AT_ONCE_PX):
            yield batch
            batch, held = [], 0
        batch.append(each)
        held += pixels[each.sha256]
    if batch:
        yield batch


def _commit(work: Work, bundle: str, said: Sequence[Said]) -> None:
    """Write what was said; pictures lie in the store before the row that names them."""
    drawn = [{kind: work.desk.store.put(picture).sha256 for kind, picture in each.pictures.items()} for each in said]
    with work.committing() as act:
        for each, pictures in zip(said, drawn, strict=True):
            row = tables.Inspection(
                id=new_id(), job_id=work.id, image=each.sha256, bundle=bundle, label=each.label,
                confidence=each.confidence, set_=each.labels, novelty=each.novelty, referred=bool(each.reasons),
                reasons=each.reasons, verdict=each.verdict, overlays=pictures, risk=each.risk,
                state="waiting" if each.reasons else "clear", at=act.at,
            )  # fmt: skip
            act.session.add(row)
            act.record(
                "inspection.made", f"inspection/{row.id}", new=_recorded(row, work),
                evidence={"image": each.sha256, "bundle": bundle, **{f"overlay-{k}": v for k, v in pictures.items()}},
            )  # fmt: skip


def _recorded(row: tables.Inspection, work: Work) -> dict[str, Any]:
    return {
        "label": row.label, "confidence": row.confidence, "set": row.set_, "novelty": row.novelty,
        "reasons": row.reasons, "state": row.state, "job": work.id, "asked_by": work.created_by,
    }  # fmt: skip


def _disputed(act: Act, job_id: str) -> int:
    """Refer the images on which the job's bundles disagree; return how many there are."""
    query = select(tables.Inspection).where(tables.Inspection.job_id == job_id)
    rows = list(act.session.execute(query).scalars())
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(row.image, set()).add(row.label)
    for row in rows:
        if len(labels[row.image]) > 1 and "bundles-disagree" not in row.reasons and row.state in ("clear", "waiting"):
            old = row.state
            row.reasons = [*row.reasons, "bundles-disagree"]
            row.referred, row.state = True, "waiting"
            row.risk = risk(row.confidence, row.novelty, row.reasons)[0]
            act.record("inspection.dispute", f"inspection/{row.id}", old=old, new=row.state)
    return sum(len(each) > 1 for each in labels.values())


def _count(act: Act, job_id: str) -> int:
    return len(act.session.execute(select(tables.Inspection.id).where(tables.Inspection.job_id == job_id)).all())


def _done(work: Work) -> int:
    with work.desk.database.read() as session:
        return len(session.execute(select(tables.Inspection.id).where(tables.Inspection.job_id == work.id)).all())

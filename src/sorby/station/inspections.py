"""Inspections: what bundles say of images, why, and in which order a person should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.station import bundles, images, jobs
from sorby.station.database import tables
from sorby.station.desk import Act, Conflict, Desk, NotFound
from sorby.station.permissions import Actor, Permission

MOST_IMAGES = 5000
MEASURED = ("needles", "grains")
"""What can be measured beside a verdict."""

_PAGE = 200

#: How grave each reason of a referral is, 0 to 1; see `risk`.
_GRAVITY = {
    "novel": 0.6,
    "set-empty": 0.6,
    "anomalous": 0.6,
    "bundles-disagree": 0.5,
    "set-several": 0.4,
    "set-other": 0.4,
    "near-threshold": 0.4,
    "classes-compete": 0.35,
    "list-full": 0.3,
    "scale-out-of-range": 0.3,
    "magnification-unknown": 0.2,
}
_STRANGE = 0.1  # novelty p-values below it count as strange, the more the smaller

MEANINGS = {
    "novel": "unlike the images the model was taught on",
    "set-several": "the conformal set holds more than one class",
    "set-empty": "no class fits at the stated level",
    "set-other": "the one class in the set is not the most probable one",
    "scale-out-of-range": "the pixel size lies outside what the model was taught on",
    "magnification-unknown": "the model reads the magnification and the image states none",
    "anomalous": "the score lies at or above the threshold from good images",
    "near-threshold": "the verdict lies so near its threshold that it might be the other",
    "classes-compete": "findings of two classes lie on one place",
    "list-full": "as many findings as the detector lists: there may be more",
    "bundles-disagree": "two bundles say different things of this image",
}
"""What each reason of a referral means."""


def risk(confidence: float | None, novelty: float | None, reasons: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Say how urgently a person should look, 0 to 1, and what it is made of.

    Three things each leave a share of trust, and the shares multiply: *doubt* (1 less the confidence), *strangeness*
    (how far the novelty p-value lies below 0.1) and the *gravity* of the gravest reason of the referral. The risk is
    what is missing from full trust. It orders a queue; it is no probability.

    Examples
    --------
    >>> round(risk(0.9, 0.5, [])[0], 3), round(risk(0.9, 0.02, ["novel"])[0], 3)
    (0.1, 0.928)
    """
    parts = {
        "doubt": 0.0 if confidence is None else min(1.0, max(0.0, 1 - confidence)),
        "strangeness": 0.0 if novelty is None else min(1.0, max(0.0, 1 - novelty / _STRANGE)),
        "gravity": max((_GRAVITY.get(reason, 0.3) for reason in reasons), default=0.0),
    }
    trust = 1.0
    for part in parts.values():
        trust *= 1 - part
    return 1 - trust, parts


def request(
    desk: Desk,
    actor: Actor,
    sha256s: Sequence[str],
    *,
    using: Sequence[str] = (),
    explain: bool = True,
    measure: str = "",
    source: str = "",
) -> dict[str, Any]:
    """Ask for verdicts on images.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    sha256s : sequence of str
        The images.
    using : sequence of str
        Bundles, by SHA-256; several are compared with each other. The one current bundle where none is named.
    explain : bool
        Also draw where a classifier looked.
    measure : {"", "needles", "grains"}
        Also measure these, in images whose pixel size is known.
    source : str
        Where the images came from, such as a watched folder.

    Returns
    -------
    dict
        The job, see `sorby.station.jobs.as_dict`.

    Raises
    ------
    Refused, NotFound
    Conflict
        No bundle is named and none, or more than one, is current; or one is retired.
    InputError
        No images, or too many.
    """
    with desk.acting(actor, Permission.INSPECT) as act:
        return jobs.as_dict(ask(act, sha256s, using=using, explain=explain, measure=measure, source=source))


def ask(
    act: Act,
    sha256s: Sequence[str],
    *,
    using: Sequence[str] = (),
    explain: bool = True,
    measure: str = "",
    source: str = "",
) -> tables.Job:
    """Put an inspection into the queue within a transaction, see `request`."""
    wanted = list(dict.fromkeys(sha256s))
    if not 0 < len(wanted) <= MOST_IMAGES:
        raise InputError(f"{len(wanted)} images", f"1 to {MOST_IMAGES:,} at a time")
    if measure not in ("", *MEASURED):
        raise InputError(f"{measure!r} is not measured here", ", ".join(MEASURED))
    for sha in wanted:
        images.find(act.session, sha)
    chosen = _chosen(act.session, using)
    asked = {"images": wanted, "bundles": [each.sha256 for each in chosen], "explain": bool(explain),
             "measure": measure}  # fmt: skip
    job = jobs.enqueue(act, "inspect", asked, total=len(wanted) * len(chosen))
    act.record(
        "inspection.request", f"job/{job.id}",
        new={"images": len(wanted), "bundles": asked["bundles"], **({"source": source} if source else {})},
    )  # fmt: skip
    return job


def _chosen(session: Session, using: Sequence[str]) -> list[tables.Bundle]:
    if using:
        found = [bundles.find(session, sha) for sha in dict.fromkeys(using)]
        retired = next((each for each in found if each.state == "retired"), None)
        if retired is not None:
            raise Conflict(f"{retired.name} is retired", "choose the one that is current")
        return found
    current = list(session.execute(select(tables.Bundle).where(tables.Bundle.state == "current")).scalars())
    if len(current) != 1:
        raise Conflict(f"{len(current)} bundles are current", "name the bundle that is to look")
    return current


# -- looking ----------------------------------------------------------------------------------------------


def as_dict(row: tables.Inspection, image: tables.Image | None = None) -> dict[str, Any]:
    """Return an inspection's row as JSON, with what a list shows of its image."""
    shown = {} if image is None else {
        "image_name": image.name, "specimen": image.specimen, "width": image.width, "height": image.height,
        "pixel_size_um": image.pixel_size_um, "scale_source": image.scale_source, "instrument": image.instrument,
        "magnification": image.magnification, "synthetic": image.synthetic,
    }  # fmt: skip
    return {
        "id": row.id,
        "job_id": row.job_id,
        "image": row.image,
        "bundle": row.bundle,
        "label": row.label,
        "confidence": row.confidence,
        "set": row.set_,
        "novelty": row.novelty,
        "referred": row.referred,
        "reasons": row.reasons,
        "meanings": {reason: MEANINGS.get(reason, reason) for reason in row.reasons},
        "risk": row.risk,
        "state": row.state,
        "overlays": row.overlays,
        "at": row.at,
        **shown,
    }


def find(session: Session, inspection_id: str) -> tables.Inspection:
    """Return an inspection's row.

    Raises
    ------
    NotFound
    """
    found = session.get(tables.Inspection, inspection_id)
    if found is None:
        raise NotFound(f"no inspection {inspection_id[:32]}", "see the list of inspections")
    return found


def get(desk: Desk, actor: Actor, inspection_id: str) -> dict[str, Any]:
    """Return an inspection with its whole ``verdict``, its decision trace and the ``decisions`` on it.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        row = find(session, inspection_id)
        decisions = session.execute(
            select(tables.Decision)
            .where(tables.Decision.inspection_id == inspection_id)
            .order_by(tables.Decision.at, tables.Decision.id)
        ).scalars()
        bundle = bundles.find(session, row.bundle)
        return {
            **as_dict(row, images.find(session, row.image)),
            "verdict": row.verdict,
            "bundle_name": bundle.name,
            "bundle_state": bundle.state,
            "bundle_kind": bundle.kind,
            "classes": bundle.classes,
            "decisions": [decision_as_dict(each) for each in decisions],
        }


def decision_as_dict(row: tables.Decision) -> dict[str, Any]:
    """Return a decision's row as JSON."""
    return {
        "id": row.id,
        "reviewer": row.reviewer,
        "decision": row.decision,
        "label": row.label,
        "reason": row.reason,
        "signed": row.signed,
        "at": row.at,
    }


def listed(
    desk: Desk,
    actor: Actor,
    *,
    image: str | None = None,
    job: str | None = None,
    bundle: str | None = None,
    state: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> dict[str, Any]:
    """Return ``inspections``, the newest first, and their ``total``."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(tables.Inspection, tables.Image).join(
            tables.Image, tables.Image.sha256 == tables.Inspection.image
        )
        wanted = ((tables.Inspection.image, image), (tables.Inspection.job_id, job),
                  (tables.Inspection.bundle, bundle), (tables.Inspection.state, state))  # fmt: skip
        for column, value in wanted:
            if value is not None:
                query = query.where(column == value)
        total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        ordered = query.order_by(tables.Inspection.at.desc(), tables.Inspection.id)
        page = session.execute(ordered.offset(max(0, offset)).limit(max(1, min(limit, _PAGE))))
        return {"inspections": [as_dict(row, of) for row, of in page], "total": total}


def of_specimen(desk: Desk, actor: Actor, specimen: str) -> list[dict[str, Any]]:
    """Return a specimen's images from the widest view to the closest, each with its newest ``inspection`` or None."""
    found = images.of_specimen(desk, actor, specimen)
    with desk.looking(actor, Permission.LOOK) as session:
        rows = session.execute(
            select(tables.Inspection)
            .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
            .where(tables.Image.specimen == specimen)
            .order_by(tables.Inspection.at)
        ).scalars()
        newest = {row.image: as_dict(row) for row in rows}
    return [{**each, "inspection": newest.get(each["sha256"])} for each in found]


def compared(desk: Desk, actor: Actor, job_id: str) -> dict[str, Any]:
    """Set the verdicts of a job's bundles side by side.

    Returns
    -------
    dict
        ``bundles`` (their rows), ``images``: for each ``image``, ``image_name``, ``verdicts`` by bundle and ``agree``;
        ``n``, ``agreeing``. Images on which the bundles disagree come first.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        if session.get(tables.Job, job_id) is None:
            raise NotFound(f"no job {job_id[:32]}", "see the list of jobs")
        rows = session.execute(
            select(tables.Inspection, tables.Image)
            .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
            .where(tables.Inspection.job_id == job_id)
            .order_by(tables.Image.name, tables.Inspection.image)
        ).all()
        named = {row.bundle: bundles.as_dict(bundles.find(session, row.bundle)) for row, _ in rows}
        lines: dict[str, dict[str, Any]] = {}
        for row, image in rows:
            line = lines.setdefault(row.image, {"image": row.image, "image_name": image.name, "verdicts": {}})
            line["verdicts"][row.bundle] = as_dict(row)
    for line in lines.values():
        line["agree"] = len({each["label"] for each in line["verdicts"].values()}) == 1
    return {
        "bundles": list(named.values()),
        "images": sorted(lines.values(), key=lambda line: bool(line["agree"])),
        "n": len(lines),
        "agreeing": sum(bool(line["agree"]) for line in lines.values()),
    }


def trace(
    bundle: Mapping[str, Any], facts: Mapping[str, Any], steps: Sequence[tuple[str, str]], made_of: Mapping[str, float]
) -> dict[str, Any]:
    """Return the decision trace of a verdict: what looked, with which thresholds, what it found, step by step."""
    return {"bundle": dict(bundle), **facts, "steps": [{"step": name, "said": said} for name, said in steps],
            "risk": dict(made_of)}  # fmt: skip

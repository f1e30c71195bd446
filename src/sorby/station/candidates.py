"""What the station's own images offer to a study: labelled images for a round robin, specimens for a consensus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from sorby.errors import InputError
from sorby.station.database import tables
from sorby.station.desk import Desk
from sorby.station.images import of_specimen
from sorby.station.permissions import Actor, Permission
from sorby.station.rounds import Wanted
from sorby.study import Scheme


def labelled_images(desk: Desk, actor: Actor, scheme: Scheme) -> list[Wanted]:
    """Return images whose label a person has stated and the scheme knows, with what a model said of them.

    A mark on the whole image comes before a reviewer's decision, the newest of each before older ones. Synthetic
    images are left out.

    Raises
    ------
    Refused
    """
    with desk.looking(actor, Permission.ORGANISE) as session:
        said = session.execute(
            select(tables.Inspection.image, tables.Inspection.label, tables.Decision.label, tables.Decision.decision)
            .join(tables.Decision, tables.Decision.inspection_id == tables.Inspection.id)
            .order_by(tables.Decision.at)
        ).all()
        marked = session.execute(
            select(tables.Annotation.image, tables.Annotation.label)
            .where(tables.Annotation.kind == "class", tables.Annotation.replaced_by.is_(None))
            .order_by(tables.Annotation.at)
        ).all()
        predicted = dict(
            session.execute(
                select(tables.Inspection.image, tables.Inspection.label).order_by(tables.Inspection.at)
            ).all()
        )
        real = set(session.scalars(select(tables.Image.sha256).where(tables.Image.synthetic.is_(False))))
    labels = {image: corrected or label for image, label, corrected, decision in said if decision != "rejected"}
    labels.update({image: label for image, label in marked})
    return [
        Wanted(image, label, predicted.get(image, ""))
        for image, label in sorted(labels.items())
        if image in real and scheme.class_of(label) is not None
    ]


def cases(desk: Desk, actor: Actor, specimens: Sequence[str], labels: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return specimens as cases of a consensus session: their images from wide to close, with verdicts and maps.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    specimens : sequence of str
    labels : sequence of str
        What each specimen is known to be, in the same order; none known where empty.

    Raises
    ------
    Refused
    InputError
        A specimen has no image, or nothing was said of any.
    """
    known = dict(zip(specimens, labels, strict=False))
    return [_case(desk, actor, specimen, known.get(specimen, "")) for specimen in specimens]


def _case(desk: Desk, actor: Actor, specimen: str, label: str) -> dict[str, Any]:
    shown = of_specimen(desk, actor, specimen)
    with desk.looking(actor, Permission.ORGANISE) as session:
        rows = session.execute(
            select(tables.Inspection)
            .where(tables.Inspection.image.in_([image["sha256"] for image in shown]))
            .order_by(tables.Inspection.at)
        ).scalars()
        newest = {row.image: row for row in rows}
    if not newest:
        raise InputError(f"specimen {specimen}: nothing was said of it", "inspect its images first")
    surest = max(newest.values(), key=lambda row: row.confidence or 0.0)
    views = [
        {
            "sha256": image["sha256"], "magnification": image["magnification"],
            "pixel_size_um": image["pixel_size_um"],
            "map_sha256": newest[image["sha256"]].overlays.get("cam", "") if image["sha256"] in newest else "",
            "predicted": newest[image["sha256"]].label if image["sha256"] in newest else "",
            "confidence": newest[image["sha256"]].confidence if image["sha256"] in newest else None,
        }
        for image in shown
    ]  # fmt: skip
    return {"name": specimen[:40], "views": views, "predicted": surest.label, "confidence": surest.confidence,
            "label": label}  # fmt: skip

"""Certificates: what the station found of a specimen and who answers for it, on one page, issued with a signature."""

from __future__ import annotations

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby._version import __version__
from sorby.errors import InputError
from sorby.record import Anchor
from sorby.report.certificate import Certificate, CertificateImage, Conclusion, Letterhead, Measurement, Review
from sorby.report.certificate_tables import write_certificates
from sorby.station import images, inspections
from sorby.station.accounts import confirm
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound, head, new_id, now
from sorby.station.permissions import Actor, Permission
from sorby.station.records import set_anchor

MOST_AT_ONCE = 200
_PICTURE_PX = 2048  # a printed picture is a few centimetres wide
_DECIDED = ("accepted", "corrected")


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate that was issued.

    Attributes
    ----------
    id, specimen : str
    file, batch : str
        SHA-256 of the page, and of the archive with the pages and tables issued with it.
    count : int
    head : str
        The record as the page states it.
    issued_by, issued_at : str
    """

    id: str
    specimen: str
    file: str
    batch: str
    count: int
    head: str
    issued_by: str
    issued_at: str


def issue(
    desk: Desk,
    actor: Actor,
    specimens: Sequence[str],
    password: str,
    *,
    particulars: Mapping[str, str] | None = None,
    letterhead: Letterhead | None = None,
    remarks: Sequence[str] = (),
) -> list[CertificateFacts]:
    """Issue a certificate for each of some specimens, signed as approved.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    specimens : sequence of str
        Each has inspected images, of which none waits for a person.
    password : str
        The actor's, again.
    particulars : mapping of str to str, optional
        Material, order, heat and the like.
    letterhead : Letterhead, optional
    remarks : sequence of str

    Returns
    -------
    list of CertificateFacts
        Each page states count and head of the record, which are anchored before.

    Raises
    ------
    Refused
        The password is wrong.
    NotFound
        Nothing of a specimen was inspected.
    Conflict
        Some of its images wait for a person.
    """
    if not 1 <= len(set(specimens)) <= MOST_AT_ONCE:
        raise InputError(f"{len(specimens)} specimens", f"1 to {MOST_AT_ONCE} at a time")
    with desk.looking(actor, Permission.REVIEW) as session:
        author = session.get_one(tables.User, actor.id).full_name if actor.token is None else actor.name
    meaning = confirm(desk, actor, password, "approved")
    set_anchor(desk)
    with desk.looking(actor, Permission.REVIEW) as session:
        stated = Anchor.of(head(session))
    at, made = now(), list[Certificate]()
    for specimen in dict.fromkeys(specimens):
        signed = Review(author, actor.role, meaning, at)
        certificate = _certificate(
            desk, actor, specimen, stated, signed, particulars or {}, letterhead or Letterhead(), tuple(remarks)
        )
        made.append(certificate)
    files, batch = _written(desk, made)
    with desk.acting(actor, Permission.REVIEW) as act:
        facts = []
        for certificate in made:
            row = tables.Certificate(
                id=certificate.number, specimen=certificate.specimen, file=files[certificate.number], batch=batch,
                count=stated.count, head=stated.head, issued_by=actor.name, issued_at=certificate.issued_at,
            )  # fmt: skip
            act.session.add(row)
            evidence = {"certificate": row.file, "batch": batch}
            if certificate.bundle_sha256:
                evidence["bundle"] = certificate.bundle_sha256
            new = {"specimen": row.specimen, "verdict": certificate.verdict}
            act.record("certificate.issue", f"certificate/{row.id}", new=new, meaning=meaning, evidence=evidence)
            facts.append(_facts(row))
    return facts


def list_certificates(desk: Desk, actor: Actor, specimen: str | None = None) -> list[CertificateFacts]:
    """Return the certificates, newest first."""
    query = select(tables.Certificate).order_by(tables.Certificate.issued_at.desc(), tables.Certificate.id)
    if specimen is not None:
        query = query.where(tables.Certificate.specimen == specimen)
    with desk.looking(actor, Permission.LOOK) as session:
        return [_facts(row) for row in session.scalars(query.limit(1000))]


def get_certificate(desk: Desk, actor: Actor, certificate_id: str) -> CertificateFacts:
    """Return a certificate.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        row = session.get(tables.Certificate, certificate_id)
        if row is None:
            raise NotFound("no such certificate", "look at the list of certificates")
        return _facts(row)


def page_file(desk: Desk, actor: Actor, certificate_id: str) -> Path:
    """Return the PDF of a certificate.

    Raises
    ------
    NotFound
    """
    return desk.store.path(get_certificate(desk, actor, certificate_id).file)


def batch_file(desk: Desk, actor: Actor, certificate_id: str) -> Path:
    """Return the archive of pages, CSV and XLSX that were issued with a certificate.

    Raises
    ------
    NotFound
    """
    return desk.store.path(get_certificate(desk, actor, certificate_id).batch)


def _certificate(
    desk: Desk,
    actor: Actor,
    specimen: str,
    stated: Anchor,
    signed: Review,
    particulars: Mapping[str, str],
    letterhead: Letterhead,
    remarks: tuple[str, ...],
) -> Certificate:
    """Put together what is printed of a specimen."""
    seen = [each for each in inspections.of_specimen(desk, actor, specimen) if each["inspection"] is not None]
    if not seen:
        raise NotFound(f"nothing of specimen {specimen!r} was inspected", "inspect its images first")
    waiting = sum(each["inspection"]["state"] == "waiting" for each in seen)
    if waiting:
        raise Conflict(f"images of {specimen} that wait for a person: {waiting}", "review them first")
    whole = [inspections.get(desk, actor, each["inspection"]["id"]) for each in seen]
    unfit = [each for each in whole if each["state"] == "rejected"]
    fit = [each for each in whole if each["state"] != "rejected"]
    if not fit:
        raise Conflict(f"every image of {specimen} was rejected", "take others")
    bundles = sorted({(each["bundle_name"], each["bundle"]) for each in fit})
    said = [f"rejected, and not counted: {_images(len(unfit))}"] if unfit else []
    said += [f"verdicts of {len(bundles)} bundles; the page names one"] if len(bundles) > 1 else []
    with desk.database.read() as session:
        reviews = tuple(_reviews(session, fit))
    number = f"{signed.at[:10].replace('-', '')}-{new_id()[:8]}"
    data = {each["image_name"]: each["image"] for each in fit}
    return Certificate(
        number, signed.at, specimen, _conclusion(fit), letterhead=letterhead,
        particulars={**particulars, **_instruments(fit)},
        images=tuple(_printed(desk, each) for each in fit), reviews=(*reviews, signed), bundle=bundles[0][0],
        bundle_sha256=bundles[0][1], software=f"sorby {__version__}", data=data,
        measurements=tuple(_measurements(fit)), record=stated,
        record_url=f"{desk.settings.public_url}/certificates/{number}", remarks=(*remarks, *said),
    )  # fmt: skip


def _conclusion(fit: Sequence[Mapping[str, Any]]) -> Conclusion:
    """Say what images of a specimen come to: the most frequent label, all of them where they differ.

    Figures that hold for one image are printed for a specimen only where it has one image, or as the worst of them.
    """
    labels = Counter(each["label"] for each in fit)
    finals = Counter(_final(each) for each in fit)
    decided = any(each["state"] in _DECIDED for each in fit)
    alone = fit[0] if len(fit) == 1 else None
    novelties = [each["novelty"] for each in fit if each["novelty"] is not None]
    reasons = dict.fromkeys(meaning for each in fit for meaning in each["meanings"].values())
    return Conclusion(
        _told(labels), None if alone is None else alone["confidence"],
        labels=() if alone is None else tuple(alone["set"]),
        guarantee="" if alone is None else str(alone["verdict"].get("guarantee", "")),
        novelty=min(novelties) if novelties else None, reasons=tuple(reasons),
        decision=_told(finals) if decided else "",
    )  # fmt: skip


def _measurements(fit: Sequence[Mapping[str, Any]]) -> Iterator[Measurement]:
    """Yield what was measured in each image; the image is named where there are several."""
    for each in fit:
        found = each["verdict"].get("measurement") or {"figures": [], "standard": ""}
        standard, _, edition = str(found["standard"]).partition(":")
        for figure in found["figures"]:
            yield Measurement(
                str(figure["name"]), float(figure["value"]), str(figure["unit"]),
                None if figure["ci95"] is None else (float(figure["ci95"][0]), float(figure["ci95"][1])),
                standard, edition, str(each["image_name"]) if len(fit) > 1 else "",
            )  # fmt: skip


def _told(counted: Counter[str]) -> str:
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{label} ({_images(count)})" for label, count in counted.most_common())


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _final(each: Mapping[str, Any]) -> str:
    """Return the label that counts: the last correction, else the bundle's."""
    last = each["decisions"][-1] if each["decisions"] else None
    return str(last["label"] if last is not None and last["label"] else each["label"])


def _reviews(session: Session, fit: Iterable[Mapping[str, Any]]) -> Iterable[Review]:
    """Return who decided on the images, each person's signature once with how many images it covers."""
    people = {user.name: user for user in session.scalars(select(tables.User))}
    last: dict[str, tuple[str, int, bool]] = {}
    for each in fit:
        for made in each["decisions"]:
            at, count, signed = last.get(made["reviewer"], ("", 0, True))
            last[made["reviewer"]] = (max(at, made["at"]), count + 1, signed and made["signed"])
    for who, (at, count, signed) in sorted(last.items(), key=lambda item: item[1][0]):
        reason = _images(count) + ("" if signed else ", not signed")
        user = people.get(who)
        name, role = (who, "") if user is None else (user.full_name, user.role)
        yield Review(name, role, "reviewed", at, reason=reason)


def _instruments(fit: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    named = sorted({each["instrument"] for each in fit if each["instrument"]})
    return {"Instrument": ", ".join(named)} if named else {}


def _printed(desk: Desk, each: Mapping[str, Any]) -> CertificateImage:
    pixels, factor = _picture(desk, each["image"])
    kind, overlay = next(iter(each["overlays"].items()), ("", None))
    size = each["pixel_size_um"]
    return CertificateImage(
        pixels, each["image_name"], each["image"], None if size is None else size * factor, each["scale_source"],
        each["magnification"], _final(each), each["confidence"],
        None if overlay is None else _laid_over(pixels, desk.store.path(overlay)), _OVERLAYS.get(kind, kind),
    )  # fmt: skip


_OVERLAYS = {"cam": "where the classifier looked", "map": "anomaly map", "boxes": "findings", "mask": "defects"}


def _picture(desk: Desk, sha256: str) -> tuple[npt.NDArray[np.uint8], float]:
    """Return an image at a size fit for print, and how many of its pixels one of these is."""
    pyramid = images.tiles(desk, sha256)
    number = max((k for k, one in enumerate(pyramid.levels) if max(one.width, one.height) <= _PICTURE_PX), default=0)
    level, full = pyramid.levels[number], pyramid.levels[-1]
    rows = []
    for y in range(level.rows):
        tiles = [Image.open(BytesIO(pyramid.tile(number, x, y))) for x in range(level.columns)]
        rows.append(np.concatenate([np.asarray(tile) for tile in tiles], axis=1))
    return np.concatenate(rows, axis=0), full.width / level.width


def _laid_over(pixels: npt.NDArray[np.uint8], overlay: Path) -> npt.NDArray[np.uint8]:
    """Return a picture with a transparent one over it."""
    ground = Image.fromarray(pixels).convert("RGBA")
    with Image.open(overlay) as opened:
        above = opened.convert("RGBA").resize(ground.size)
    return np.asarray(Image.alpha_composite(ground, above).convert("RGB"))


def _written(desk: Desk, made: Sequence[Certificate]) -> tuple[dict[str, str], str]:
    """Put pages and the archive of all into the store; return the pages by number, and the archive."""
    with tempfile.TemporaryDirectory(dir=desk.settings.home) as scratch:
        issued = write_certificates(made, Path(scratch) / "issued")
        if issued.quarantined:
            first = issued.quarantined[0]
            raise InputError(f"certificate {first.file}: {first.reason}", "mend its images; none was issued")
        pages = {desk.store.put(path.read_bytes()).sha256 for path in (issued.out / "certificates").glob("*.pdf")}
        if pages != set(issued.files.values()):
            raise AssertionError("a page is not in the store as it was written")
        return issued.files, desk.store.put(_archive(issued.out)).sha256


def _archive(folder: Path) -> bytes:
    """Return a ZIP of a folder; the same files give the same bytes."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def _facts(row: tables.Certificate) -> CertificateFacts:
    return CertificateFacts(
        row.id, row.specimen, row.file, row.batch, row.count, row.head, row.issued_by, row.issued_at
    )

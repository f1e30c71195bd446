"""Images of the station: taken in once, shown as tiles, described by people."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.micrograph import Header, Micrograph, identify, read, to_uint8
from sorby.station.database import tables
from sorby.station.desk import Act, Desk, NotFound, TooLarge, allow
from sorby.station.permissions import Actor, Permission
from sorby.station.store import TooLarge as TooMuch
from sorby.station.store import pyramid
from sorby.station.store.admission import MEDIA_TYPES, checked_header, shown_name
from sorby.station.wording import plain_text

_SCREEN_PX = 2048  # larger images are cut into tiles when they come, smaller ones on the first look
_LARGE_PX = 25_000_000
_PAGE = 200

# A decoded image of the largest size takes a gigabyte: such ones wait for each other, small ones do not.
_one_large = threading.BoundedSemaphore(1)
_cutting = [threading.Lock() for _ in range(64)]  # of many requests for one image the first cuts it


def receive(
    desk: Desk,
    actor: Actor,
    content: IO[bytes],
    name: str,
    *,
    specimen: str = "",
    instrument: str = "",
    pixel_size_um: float | None = None,
    magnification: float | None = None,
    parent: str | None = None,
) -> dict[str, Any]:
    """Take an image in.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    content : binary stream
    name : str
        Of the file as its sender knows it; shown, never used as a path.
    specimen, instrument : str
    pixel_size_um, magnification : float, optional
        What the sender knows; it comes before what the file says.
    parent : str, optional
        SHA-256 of the image that this one was generated from: it is synthetic then, and waits to be accepted.

    Returns
    -------
    dict
        See `as_dict`; ``new`` says whether it was not here before. An image that is here already stays as it is.

    Raises
    ------
    Refused
    TooLarge
        More bytes or pixels than the station takes.
    InputError
        No image that is read here, or more than an image.
    """
    allow(actor, Permission.INSPECT)
    stated = {"pixel_size_um": _positive(pixel_size_um, "pixel size"),
              "magnification": _positive(magnification, "magnification")}  # fmt: skip
    words = {"specimen": plain_text(specimen, 160, "specimen"), "instrument": plain_text(instrument, 160, "instrument")}
    with desk.store.receiving() as (file, path):
        try:
            size = desk.store.fill(file, content, desk.settings.upload_bytes)
            sha = sha256_file(path)
            if (known := _known(desk, sha)) is not None:
                return {**known, "new": False}
            header = checked_header(path, desk.settings.upload_pixels)
        except TooMuch as error:
            raise TooLarge(error.message, error.hint) from error
        micrograph = _taken(desk, path, sha, header, stated["pixel_size_um"])
        desk.store.keep(path, size)
    scale = micrograph.scale
    image = tables.Image(
        sha256=sha, name=shown_name(name), media_type=MEDIA_TYPES[header.format], bytes_=size,
        width=header.width, height=header.height, pixel_size_um=scale.pixel_size_um, scale_source=scale.source,
        magnification=stated["magnification"] or scale.magnification, specimen=words["specimen"],
        instrument=words["instrument"] or plain_text(micrograph.info.get("instrument", ""), 160, "instrument"),
        synthetic=parent is not None, parent=parent, synthetic_state=None if parent is None else "waiting",
        added_by=actor.name, added_at="",
    )  # fmt: skip
    with desk.acting(actor, Permission.INSPECT) as act:
        if parent is not None:
            find(act.session, parent)
        if (there := act.session.get(tables.Image, sha)) is not None:  # somebody sent the same meanwhile
            return {**as_dict(there), "new": False}
        image.added_at = act.at
        act.session.add(image)
        act.session.flush()
        act.record("image.add", f"image/{sha}", new=_recorded(image), evidence={"image": sha})
        return {**as_dict(image), "new": True}


def _taken(desk: Desk, path: Path, sha: str, header: Header, pixel_size_um: float | None) -> Micrograph:
    """Decode an image to know that it can be, and cut it into tiles while it is in memory."""
    large = header.width * header.height > _LARGE_PX
    if large:
        _one_large.acquire()
    try:
        try:
            micrograph = read(path, pixel_size_um=pixel_size_um)
        except InputError as error:
            raise InputError(error.message.replace(f"{path}: ", ""), error.hint) from None
        if max(header.width, header.height) > _SCREEN_PX:
            pyramid.write(to_uint8(micrograph.pixels), desk.store.derived(sha, "tiles"))
        return micrograph
    finally:
        if large:
            _one_large.release()


def _cut(path: Path, target: Path) -> None:
    header = identify(path)
    if header.width * header.height <= _LARGE_PX:
        pyramid.build(path, target)
        return
    with _one_large:
        pyramid.build(path, target)


def _known(desk: Desk, sha: str) -> dict[str, Any] | None:
    with desk.database.read() as session:
        there = session.get(tables.Image, sha)
        return None if there is None else as_dict(there)


def tiles(desk: Desk, sha256: str) -> pyramid.Pyramid:
    """Return an image's tiles, made where they are not there.

    Who may see the image is asked before.
    """
    target = desk.store.derived(sha256, "tiles")
    if not target.is_file():
        with _cutting[int(sha256[:2], 16) % len(_cutting)]:
            if not target.is_file():
                _cut(desk.store.path(sha256), target)
    return pyramid.load(target)


# -- looking ----------------------------------------------------------------------------------------------


def as_dict(image: tables.Image) -> dict[str, Any]:
    """Return an image's row as JSON."""
    return {
        "sha256": image.sha256,
        "name": image.name,
        "media_type": image.media_type,
        "bytes": image.bytes_,
        "width": image.width,
        "height": image.height,
        "pixel_size_um": image.pixel_size_um,
        "scale_source": image.scale_source,
        "specimen": image.specimen,
        "magnification": image.magnification,
        "instrument": image.instrument,
        "synthetic": image.synthetic,
        "parent": image.parent,
        "synthetic_state": image.synthetic_state,
        "added_by": image.added_by,
        "added_at": image.added_at,
    }


def _recorded(image: tables.Image) -> dict[str, Any]:
    kept = ("name", "width", "height", "pixel_size_um", "scale_source", "specimen", "magnification", "instrument")
    return {key: as_dict(image)[key] for key in (*kept, "parent", "synthetic_state")}


def find(session: Session, sha256: str) -> tables.Image:
    """Return an image's row.

    Raises
    ------
    NotFound
    """
    found = session.get(tables.Image, sha256)
    if found is None:
        raise NotFound(f"no image {sha256[:12]}", "upload it first")
    return found


def visible(desk: Desk, actor: Actor, sha256: str) -> None:
    """Say nothing where an actor may see an image.

    Raises
    ------
    Refused, NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        find(session, sha256)


def picture(desk: Desk, actor: Actor, sha256: str) -> Path:
    """Return a file that the station drew: an overlay or a mask, and nothing else of the store.

    Raises
    ------
    Refused
    NotFound
        There is no such file, or it is no picture of the station's.
    """
    allow(actor, Permission.LOOK)
    hint = "overlays are named by inspections, masks by annotations"
    try:
        path = desk.store.path(sha256)
    except InputError:
        raise NotFound(f"no picture {sha256[:12]}", hint) from None
    with open(path, "rb") as file:
        begins = file.read(8)
    with desk.database.read() as session:
        # Bundles and uploads have routes of their own, with rules of their own.
        if begins != b"\x89PNG\r\n\x1a\n" or session.get(tables.Image, sha256) is not None:
            raise NotFound(f"no picture {sha256[:12]}", hint)
    return path


def get(desk: Desk, actor: Actor, sha256: str) -> dict[str, Any]:
    """Return one image with what a viewer of its tiles must know (``tile``, ``levels``).

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        image = find(session, sha256)
        levels = [
            {"width": each.width, "height": each.height, "columns": each.columns, "rows": each.rows}
            for each in pyramid.plan(image.width, image.height)
        ]
        return {**as_dict(image), "tile": pyramid.TILE, "levels": levels}


def listed(
    desk: Desk,
    actor: Actor,
    *,
    specimen: str | None = None,
    search: str = "",
    synthetic: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> dict[str, Any]:
    """Return images, the newest first.

    Parameters
    ----------
    specimen : str, optional
    search : str
        Part of the name or the specimen.
    synthetic : str, optional
        Only synthetic images in this state: waiting, accepted or rejected.
    offset, limit : int

    Returns
    -------
    dict
        ``images``, ``total``.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        query: Select[Any] = select(tables.Image)
        if specimen is not None:
            query = query.where(tables.Image.specimen == specimen)
        if search:
            part = f"%{_literal(search)}%"
            query = query.where(
                or_(tables.Image.name.ilike(part, escape="\\"), tables.Image.specimen.ilike(part, escape="\\"))
            )
        if synthetic is not None:
            query = query.where(tables.Image.synthetic_state == synthetic)
        total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        ordered = query.order_by(tables.Image.added_at.desc(), tables.Image.sha256)
        page = session.execute(ordered.offset(max(0, offset)).limit(max(1, min(limit, _PAGE)))).scalars()
        return {"images": [as_dict(each) for each in page], "total": total}


def specimens(desk: Desk, actor: Actor, search: str = "") -> list[dict[str, Any]]:
    """Return the named specimens: ``specimen``, ``images``, ``last`` (when one was added)."""
    with desk.looking(actor, Permission.LOOK) as session:
        query = select(tables.Image.specimen, func.count(), func.max(tables.Image.added_at)).where(
            tables.Image.specimen != ""
        )
        if search:
            query = query.where(tables.Image.specimen.ilike(f"%{_literal(search)}%", escape="\\"))
        rows = session.execute(query.group_by(tables.Image.specimen).order_by(func.max(tables.Image.added_at).desc()))
        return [{"specimen": name, "images": count, "last": last} for name, count, last in rows]


def of_specimen(desk: Desk, actor: Actor, specimen: str) -> list[dict[str, Any]]:
    """Return a specimen's images from the widest view to the closest.

    Images whose scale and magnification are unknown come last.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        rows = session.execute(select(tables.Image).where(tables.Image.specimen == specimen)).scalars().all()
        return [as_dict(each) for each in sorted(rows, key=_closeness)]


def _closeness(image: tables.Image) -> tuple[int, float, str]:
    if image.pixel_size_um:
        return 0, -image.pixel_size_um * image.width, image.name
    if image.magnification:
        return 1, image.magnification, image.name
    return 2, 0.0, image.name


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


# -- changing ---------------------------------------------------------------------------------------------


def describe(desk: Desk, actor: Actor, sha256: str, changes: dict[str, Any], *, reason: str = "") -> dict[str, Any]:
    """Change what people say of an image: ``specimen``, ``instrument``, ``magnification``, ``pixel_size_um``, ``name``.

    A pixel size that somebody states comes before what the file says, and is marked so.

    Raises
    ------
    NotFound, Refused
    InputError
        Another field, or a value that cannot be.
    """
    with desk.acting(actor, Permission.ANNOTATE) as act:
        image = find(act.session, sha256)
        old = _recorded(image)
        _apply(image, changes)
        if _recorded(image) != old:
            act.record("image.describe", f"image/{sha256}", old=old, new=_recorded(image), reason=reason)
        return as_dict(image)


def _apply(image: tables.Image, changes: dict[str, Any]) -> None:
    for field, value in changes.items():
        if field in ("specimen", "instrument"):
            setattr(image, field, plain_text(str(value), 160, field))
        elif field == "name":
            image.name = shown_name(str(value))
        elif field == "magnification":
            image.magnification = _positive(value, field)
        elif field == "pixel_size_um":
            image.pixel_size_um = _positive(value, "pixel size")
            image.scale_source = "user" if image.pixel_size_um else "none"
        else:
            raise InputError(f"an image's {field} is not for people to state", "specimen, instrument, scale or name")


def scaled_by_bar(act: Act, sha256: str, pixel_size_um: float | None, magnification: float | None) -> None:
    """Note the scale that an image's info bar told; what somebody stated meanwhile stays."""
    image = find(act.session, sha256)
    if image.pixel_size_um is not None:
        return
    old = _recorded(image)
    image.pixel_size_um, image.scale_source = pixel_size_um, "info-bar"
    image.magnification = image.magnification or magnification
    act.record("image.scale", f"image/{sha256}", old=old, new=_recorded(image))


def judge_synthetic(
    desk: Desk, actor: Actor, sha256s: Sequence[str], accept: bool, reason: str = ""
) -> list[dict[str, Any]]:
    """Accept synthetic images for teaching, or reject them with a reason.

    Raises
    ------
    NotFound, Refused
    InputError
        An image is an original, or rejected without a reason.
    """
    reason = plain_text(reason, 2000, "reason")
    if not accept and not reason:
        raise InputError("a rejection needs a reason", "say what is wrong with the image")
    judged = []
    with desk.acting(actor, Permission.REVIEW) as act:
        for sha in dict.fromkeys(sha256s):
            image = find(act.session, sha)
            if not image.synthetic:
                raise InputError(f"{image.name} is an original", "only generated images are accepted or rejected")
            old, image.synthetic_state = image.synthetic_state, "accepted" if accept else "rejected"
            act.record(
                "synthetic.accept" if accept else "synthetic.reject", f"image/{sha}", old=old,
                new=image.synthetic_state, reason=reason, evidence={"image": sha},
            )  # fmt: skip
            judged.append(as_dict(image))
    return judged


def _positive(value: Any, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"the {what} must be a number above 0", "leave it out where it is not known")
    return float(value)

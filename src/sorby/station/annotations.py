"""Marks on images: a class, a box, a polygon, or a brushed mask with its connected components.

Geometry is in pixels of the upright image, x to the right and y down from its top left corner. By convention only
defects that were made on purpose are labelled with their class; where nobody knows what made a mark, it is flagged as
of unknown origin.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from scipy.ndimage import find_objects, label, sum_labels
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station import images, overlays
from sorby.station.database import tables
from sorby.station.desk import Act, Conflict, Desk, NotFound, Refused, new_id
from sorby.station.permissions import Actor, Permission
from sorby.station.wording import one_line, plain_text

_CORNERS = 5000
_LISTED = 500  # components that are listed one by one; all are counted
_TOUCHING = np.ones((3, 3), bool)


def add(
    desk: Desk,
    actor: Actor,
    sha256: str,
    kind: str,
    *,
    label_: str = "",
    geometry: Mapping[str, Any] | None = None,
    mask: bytes | None = None,
    origin_unknown: bool = False,
    replaces: str | None = None,
) -> dict[str, Any]:
    """Mark something on an image.

    Parameters
    ----------
    sha256 : str
        The image.
    kind : {"class", "box", "polygon", "mask"}
    label_ : str
        May be empty only where the origin is unknown.
    geometry : mapping, optional
        Of a box ``x``, ``y``, ``w``, ``h``; of a polygon ``points``, pairs of x and y.
    mask : bytes, optional
        PNG of the image's size; what is above 0 is marked.
    origin_unknown : bool
    replaces : str, optional
        An annotation that this one takes the place of.

    Returns
    -------
    dict
        See `as_dict`. A mask's geometry holds ``mask`` and ``overlay`` (SHA-256 in the store), ``count`` (connected
        components) and ``components`` (``x``, ``y``, ``w``, ``h``, ``area_px``).

    Raises
    ------
    Refused, NotFound
    InputError
        A geometry that is none, or lies outside the image.
    Conflict
        The one to replace was replaced meanwhile.
    """
    named = one_line(label_, 80, "label")
    if not named and not origin_unknown:
        raise InputError("a mark needs a label", "name it, or say that its origin is unknown")
    with desk.looking(actor, Permission.ANNOTATE) as session:
        image = images.find(session, sha256)
        width, height = image.width, image.height
    evidence = {"image": sha256}
    if kind == "mask":
        shape = _mask(desk, mask, width, height)
        evidence["mask"] = shape["mask"]
    else:
        shape = _shape(kind, geometry or {}, width, height)
    with desk.acting(actor, Permission.ANNOTATE) as act:
        made = tables.Annotation(
            id=new_id(), image=sha256, author=actor.name, kind=kind, label=named, geometry=shape,
            origin_unknown=bool(origin_unknown), at=act.at,
        )  # fmt: skip
        old = _replace(act, replaces, sha256, made.id)
        act.session.add(made)
        act.session.flush()
        act.record("annotation.add", f"annotation/{made.id}", old=old, new=_recorded(made), evidence=evidence)
        return as_dict(made)


def _replace(act: Act, replaces: str | None, sha256: str, by: str) -> dict[str, Any] | None:
    if replaces is None:
        return None
    before = act.session.get(tables.Annotation, replaces)
    if before is None or before.image != sha256:
        raise NotFound(f"no annotation {replaces[:32]} on this image", "see the image's annotations")
    if before.replaced_by is not None:
        raise Conflict("somebody changed this annotation meanwhile", "look at it again")
    if before.author != act.actor.name and Permission.REVIEW not in act.actor.permissions:
        raise Refused(f"the annotation is {before.author}'s", "a reviewer may change it")
    before.replaced_by = by
    return _recorded(before)


def remove(desk: Desk, actor: Actor, annotation_id: str, *, reason: str) -> None:
    """Take an annotation out of sight; the record and the table keep it.

    Raises
    ------
    Refused, NotFound, Conflict
    """
    reason = plain_text(reason, 2000, "reason")
    with desk.acting(actor, Permission.ANNOTATE) as act:
        row = act.session.get(tables.Annotation, annotation_id)
        if row is None:
            raise NotFound(f"no annotation {annotation_id[:32]}", "see the image's annotations")
        if row.author != actor.name and not reason:
            raise InputError("another's annotation is not removed without a reason", "say why")
        old = _replace(act, annotation_id, row.image, "removed")
        act.record("annotation.remove", f"annotation/{annotation_id}", old=old, reason=reason)


def listed(desk: Desk, actor: Actor, sha256: str) -> list[dict[str, Any]]:
    """Return the annotations that stand on an image, the oldest first."""
    with desk.looking(actor, Permission.LOOK) as session:
        images.find(session, sha256)
        query = select(tables.Annotation).where(
            tables.Annotation.image == sha256, tables.Annotation.replaced_by.is_(None)
        )
        return [as_dict(each) for each in session.execute(query.order_by(tables.Annotation.at)).scalars()]


def as_dict(row: tables.Annotation) -> dict[str, Any]:
    """Return an annotation's row as JSON."""
    return {
        "id": row.id,
        "image": row.image,
        "author": row.author,
        "kind": row.kind,
        "label": row.label,
        "geometry": row.geometry,
        "origin_unknown": row.origin_unknown,
        "at": row.at,
    }


def _recorded(row: tables.Annotation) -> dict[str, Any]:
    kept = {key: value for key, value in row.geometry.items() if key not in ("components", "points")}
    if "points" in row.geometry:
        kept["points"] = len(row.geometry["points"])
    return {"kind": row.kind, "label": row.label, "geometry": kept, "origin_unknown": row.origin_unknown,
            "author": row.author}  # fmt: skip


# -- geometry ---------------------------------------------------------------------------------------------


def _shape(kind: str, geometry: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    if kind == "class":
        return {}
    if kind == "box":
        x, y, w, h = (_number(geometry.get(name), name) for name in ("x", "y", "w", "h"))
        if not (w > 0 and h > 0 and x >= 0 and y >= 0 and x + w <= width and y + h <= height):
            raise InputError("the box is empty or lies outside the image", f"the image has {width} x {height} pixels")
        return {"x": x, "y": y, "w": w, "h": h, "area_px": w * h}
    if kind == "polygon":
        return _polygon(geometry.get("points"), width, height)
    raise InputError(f"there is no annotation of kind {kind!r}", "class, box, polygon or mask")


def _polygon(points: Any, width: int, height: int) -> dict[str, Any]:
    if not isinstance(points, Sequence) or isinstance(points, str) or not 3 <= len(points) <= _CORNERS:
        raise InputError("a polygon has three corners at least", f"and {_CORNERS:,} at most")
    pairs = []
    for point in points:
        if not isinstance(point, Sequence) or isinstance(point, str) or len(point) != 2:
            raise InputError("a corner is a pair of x and y", "in pixels of the image")
        pairs.append((_number(point[0], "x"), _number(point[1], "y")))
    corners = np.array(pairs)
    if (corners < 0).any() or (corners > (width, height)).any():
        raise InputError("a corner lies outside the image", f"the image has {width} x {height} pixels")
    x, y = corners.T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2  # Gauss's area formula
    if area == 0:
        raise InputError("the polygon has no area", "draw around something")
    return {"points": corners.tolist(), "area_px": area}


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a number", "in pixels of the image")
    return float(value)


def _mask(desk: Desk, png: bytes | None, width: int, height: int) -> dict[str, Any]:
    """Keep a mask and return what is on it."""
    if png is None:
        raise InputError("a mask comes as a PNG", "brush it, or upload it")
    inside = mask_of(png, width, height)
    components = components_of(inside)
    if not components["count"]:
        raise InputError("the mask is empty", "mark something")
    buffer = io.BytesIO()
    # Only what is above 0 or not counts; whatever else the file held is not kept.
    Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    drawn = overlays.mask(inside, (height, width), colour="#f2e135")
    return {
        "mask": desk.store.put(buffer.getvalue()).sha256,
        "overlay": desk.store.put(drawn).sha256,
        **components,
    }


def mask_of(png: bytes, width: int, height: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Read a mask (H, W); its size is looked at before its pixels.

    Raises
    ------
    InputError
        It is no PNG, or of another size than the image.
    """
    hint = "a PNG of the image's size, marked where it is above 0"
    try:
        # The plugin is called directly: a PNG, and nothing else that Pillow might know.
        opened = PngImageFile(io.BytesIO(png))
        if opened.size != (width, height):
            raise InputError(
                f"the mask has {opened.size[0]} x {opened.size[1]} pixels, the image {width} x {height}", hint
            )
        alpha = "A" in opened.getbands()
        values = np.asarray(opened.convert("RGBA" if alpha else "L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError("the mask is no PNG, or damaged", hint) from error
    if alpha:  # a brush on a transparent sheet
        return np.asarray((values[..., 3] > 0) & (values[..., :3].max(axis=2) > 0))
    return np.asarray(values > 0)


def components_of(inside: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    """Count the connected components of a mask; corners connect.

    Returns
    -------
    dict
        ``count``, ``area_px``, ``components``: the largest first, each ``x``, ``y``, ``w``, ``h``, ``area_px``; no more
        than 500 are listed.

    Examples
    --------
    >>> found = components_of(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool))
    >>> found["count"], found["components"][0]
    (2, {'x': 0, 'y': 0, 'w': 2, 'h': 2, 'area_px': 2})
    """
    numbered, count = label(inside, structure=_TOUCHING)
    areas = np.asarray(sum_labels(inside, numbered, np.arange(1, count + 1)), np.int64).reshape(-1)
    places = find_objects(numbered)
    order = np.argsort(-areas, kind="stable")[:_LISTED]
    listed_ = [
        {
            "x": int(places[k][1].start),
            "y": int(places[k][0].start),
            "w": int(places[k][1].stop - places[k][1].start),
            "h": int(places[k][0].stop - places[k][0].start),
            "area_px": int(areas[k]),
        }
        for k in order.tolist()
    ]
    return {"count": int(count), "area_px": int(areas.sum()), "components": listed_}

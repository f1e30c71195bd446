"""From annotations as they came to boxes that can be used: what each image makes of them, and what was wrong.

Rectangles are brought into pixels of the upright image, cut to it, freed of repeats and of those without extent.
Contradictions (two classes in one place, a class that the file name denies) are said and kept: which side is right,
only a person can tell.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from sorby.corpus.interchange.annotations import Annotated, Findings, Rectangles
from sorby.micrograph import Header
from sorby.micrograph.orientation import upright_boxes

Frame = Literal["auto", "upright", "stored"]
"""What pixels an annotation counts on an image with an orientation tag."""

CONFLICT_IOU = 0.9
"""Boxes of different classes that overlap so far are about one thing."""

ROUNDING_PX = 0.05
"""What formats with few decimals add to a box; so little beyond the image is cut and not spoken of."""

_EXACT_PX = 1e-6  # sums of reals are off by less; what lies so little beyond is not cut at all
_DENSE = 1024  # up to so many boxes all pairs of an image are compared
_NEAREST = 6
_PREFIX = re.compile(r"(?P<label>.*?[^\d_\-. ])[_\-. ]*\d+")


@dataclass(frozen=True, eq=False)
class Checked:
    """The boxes of one image.

    Attributes
    ----------
    text : str
        As the column ``boxes`` holds them.
    per_class : Counter
        Boxes of each class, without those ignored.
    n_ignored : int
    """

    text: str
    per_class: Counter[str]
    n_ignored: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing on the image, not even a region to ignore."""
        return not self.per_class and not self.n_ignored


def check(
    annotated: Annotated,
    header: Header,
    findings: Findings,
    *,
    frame: Frame = "auto",
    classes: Sequence[str] = (),
    known: frozenset[str] = frozenset(),
) -> Checked:
    """Make the boxes of one image usable.

    Parameters
    ----------
    annotated : Annotated
        With rectangles.
    header : Header
        Of the image.
    findings : Findings
        What is wrong is added to it.
    frame : {"auto", "upright", "stored"}
        On which pixels the boxes were drawn. ``auto``: on the stored ones where the annotation states their size and
        the upright image has another; else on the upright image.
    classes : sequence of str
        Classes that are wanted; all where empty.
    known : frozenset of str
        Classes of the whole source, among which the names of folders and files are looked for.

    Returns
    -------
    Checked
    """
    place = annotated.file.name
    rectangles = _on_upright(annotated, header, frame, findings)
    labels, ignored = annotated.labels, annotated.ignored.copy()
    nameless = np.array([label is None for label in labels], bool)
    findings.add("unknown class", place, int(nameless.sum()))
    ignored |= nameless
    labels = np.where(nameless, "unknown", labels)
    _compare_with_name(annotated, known, findings)
    kept, rectangles = _within(rectangles, header, findings, place)
    if classes:
        wanted = np.isin(labels.astype(str), list(classes)) | nameless
        findings.add("class not asked for", place, int((kept & ~wanted).sum()))
        kept &= wanted
    rectangles, labels, ignored = rectangles[kept], labels[kept], ignored[kept]
    rows = _distinct(rectangles, labels, ignored)
    findings.add("duplicate", place, len(labels) - len(rows))
    rectangles, labels, ignored = rectangles[rows], labels[rows], ignored[rows]
    for first, second in conflicting(rectangles[~ignored], labels[~ignored]):
        pair = labels[~ignored][[first, second]]
        findings.add("conflict", f"{place}: {pair[0]} and {pair[1]}")
    text = _text(rectangles, labels, ignored)
    return Checked(text, Counter(labels[~ignored].tolist()), int(ignored.sum()))


def _on_upright(annotated: Annotated, header: Header, frame: Frame, findings: Findings) -> Rectangles:
    """Return the rectangles in pixels of the upright image."""
    assert annotated.rectangles is not None
    upright_size, stored_size = (header.width, header.height), header.stored_size
    turned = header.orientation != 1 and frame == "stored"
    if header.orientation != 1 and frame == "auto" and len(annotated.rectangles):
        if annotated.stated == stored_size != upright_size:
            turned = True
        elif annotated.stated is None or stored_size == upright_size:
            findings.add("frame unclear", f"{annotated.file.name} (EXIF orientation {header.orientation})")
    stated = annotated.stated
    if stated is not None and stated != (stored_size if turned else upright_size):
        said = f"{annotated.file.name}: {stated[0]} x {stated[1]} stated, {header.width} x {header.height} found"
        findings.add("size", said)
    rectangles = annotated.rectangles
    if annotated.relative:
        width, height = stored_size if turned else upright_size
        rectangles = rectangles * np.array([width, height, width, height], np.float64)
    if turned:
        findings.add("turned", f"{annotated.file.name} (EXIF orientation {header.orientation})")
        rectangles = upright_boxes(rectangles, header.orientation, *stored_size)
    return rectangles


def _within(
    rectangles: Rectangles, header: Header, findings: Findings, place: str
) -> tuple[npt.NDArray[np.bool_], Rectangles]:
    """Say which rectangles lie on the image, and cut them to it; those wholly within stay as they are."""
    finite = np.isfinite(rectangles).all(axis=1)
    extent = np.asarray(finite & (rectangles[:, 2:] > 0).all(axis=1))
    findings.add("degenerate", place, int((~extent).sum()))
    limits = np.array([header.width, header.height], np.float64)
    near = np.where(extent[:, None], rectangles[:, :2], 0.0)
    far = np.where(extent[:, None], near + rectangles[:, 2:], 1.0)
    beyond = np.maximum(np.maximum(-near, far - limits), 0).max(axis=1, initial=0)
    cut_near, cut_far = np.clip(near, 0, limits), np.clip(far, 0, limits)
    left_over = (cut_far - cut_near).min(axis=1, initial=np.inf)
    lost = extent & (beyond > 0) & (left_over <= np.minimum(ROUNDING_PX, (far - near).min(axis=1, initial=np.inf) / 2))
    findings.add("outside", place, int(lost.sum()))
    kept = extent & ~lost
    findings.add("cut", place, int((kept & (beyond > ROUNDING_PX)).sum()))
    cut = np.concatenate([cut_near, cut_far - cut_near], axis=1)
    return kept, np.where((beyond > _EXACT_PX)[:, None], cut, rectangles)


def _distinct(rectangles: Rectangles, labels: npt.NDArray[Any], ignored: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the rows without exact repeats of a class, in their order; of two, the one that is not ignored stays."""
    if len(labels) < 2:
        return np.arange(len(labels))
    codes = np.unique(labels.astype(str), return_inverse=True)[1]
    order = np.argsort(ignored, kind="stable")
    keys = np.column_stack([codes, rectangles])[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    rows: npt.NDArray[np.intp] = np.sort(order[first])
    return rows


def _compare_with_name(annotated: Annotated, known: frozenset[str], findings: Findings) -> None:
    """Count the boxes, as annotated, whose class the folder or the file name of the image denies."""
    claim = class_by_name(annotated, known)
    if claim is not None:
        other = [str(label) for label in annotated.labels if label is not None and label != claim]
        findings.add("other class", f"{annotated.file.name}: {', '.join(sorted(set(other)))}", len(other))


def class_by_name(annotated: Annotated, known: frozenset[str]) -> str | None:
    """Return the class that the folder or the numbered file name of an image claims, None where neither is one."""
    match = _PREFIX.fullmatch(annotated.file.stem)
    names = (annotated.file.parent.name, match["label"] if match else annotated.file.stem)
    return next((name for name in names if name in known), None)


def conflicting(rectangles: Rectangles, labels: npt.NDArray[Any], iou: float = CONFLICT_IOU) -> list[tuple[int, int]]:
    """Return the pairs of boxes of different classes that lie in the same place.

    Parameters
    ----------
    rectangles : ndarray of float64, shape (n, 4)
        Left, top, width, height.
    labels : ndarray, shape (n,)
    iou : float
        Least overlap of such a pair.

    Returns
    -------
    list of (int, int)
        Sorted. Above 1,024 boxes, each is compared with the six that lie nearest to it in its own size, so that
        200,000 boxes take seconds; of a pile of more than that, some pairs may remain unnamed.
    """
    codes = np.unique(labels.astype(str), return_inverse=True)[1]
    if len(codes) < 2 or codes.max() == 0:
        return []
    corners = np.concatenate([rectangles[:, :2], rectangles[:, :2] + rectangles[:, 2:]], axis=1)
    pairs = np.argwhere(np.triu(codes[:, None] != codes, 1)) if len(codes) <= _DENSE else _close_pairs(corners, iou)
    pairs = pairs[codes[pairs[:, 0]] != codes[pairs[:, 1]]]
    overlaps = _iou_of_pairs(corners, pairs)
    return [(int(first), int(second)) for first, second in pairs[overlaps > iou]]


def _iou_of_pairs(corners: Rectangles, pairs: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    first, second = corners[pairs[:, 0]], corners[pairs[:, 1]]
    sides = np.clip(np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2]), 0, None)
    shared = sides.prod(axis=1)
    union = (first[:, 2:] - first[:, :2]).prod(axis=1) + (second[:, 2:] - second[:, :2]).prod(axis=1) - shared
    ratio: npt.NDArray[np.float64] = shared / union
    return ratio


def _close_pairs(corners: Rectangles, iou: float) -> npt.NDArray[np.intp]:
    """Return pairs of boxes of like size and place, by trees over the boxes of each octave of width and height.

    Where the overlap is at least *t*, widths differ by a factor of at most 1/t, and no edge is further from its
    counterpart than (1 - t)/t of the width; heights likewise.
    """
    log_sides = np.log2(corners[:, 2:] - corners[:, :2])
    octaves, slack = np.round(log_sides), -np.log2(iou)
    found = []
    for octave in np.unique(octaves, axis=0):
        asking = np.flatnonzero((octaves == octave).all(axis=1))
        there = np.flatnonzero((np.abs(log_sides - octave) <= 0.5 + slack).all(axis=1))
        scaled = corners / np.tile(2.0**octave, 2)
        # An octave's widest box is 2**.5 of its middle.
        reach = (1 - iou) / iou * 2**0.5
        distance, near = cKDTree(scaled[there]).query(
            scaled[asking], k=min(_NEAREST + 1, len(there)), p=np.inf, distance_upper_bound=reach
        )
        near, distance = near.reshape(len(asking), -1), distance.reshape(len(asking), -1)
        row, column = np.nonzero(np.isfinite(distance))
        found.append(np.column_stack([asking[row], there[near[row, column]]]))
    pairs = np.sort(np.concatenate(found), axis=1)
    distinct: npt.NDArray[np.intp] = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    return distinct


def _text(rectangles: Rectangles, labels: npt.NDArray[Any], ignored: npt.NDArray[np.bool_]) -> str:
    """Return what `sorby.corpus.boxes.encode` returns, for arrays."""
    entries = []
    for label, numbers, flag in zip(labels.tolist(), rectangles.tolist(), ignored.tolist(), strict=True):
        x, y, w, h = (int(value) if value.is_integer() else value for value in numbers)
        entry = {"label": label, "x": x, "y": y, "w": w, "h": h}
        entries.append({**entry, "ignored": True} if flag else entry)
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False)

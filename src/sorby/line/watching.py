"""Watching the camera: identical frames, saturation, darkness, mirrored frames.

What can be found of a mirrored frame, and what cannot: *left and right exchanged* shows in the brightness across the
web (lens shading, lamps, streaks along the web), which stays the same from frame to frame; a frame that resembles the
mirrored profile of its predecessors is flipped, provided that these resembled each other. Where that profile is
symmetric, flat, or wanders with the texture, nothing can be told. *First and last line exchanged* shows at the joint
of two frames: the last line of one should resemble the first line of the next, not its last. Where neighbouring lines
have nothing in common (coarse pitch, shot noise), nothing can be told. A camera that has delivered flipped frames from
the very first is not found; nor is a frame turned by both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.line.lines import Incident, IncidentKind, Item, LineBlock, LineSource, LostLines
from sorby.line.scorer import GreyStrip

_BINS = 64
_EVERY = 8  # every eighth line suffices for a mean over lines
_TRUST, _STEADY = 0.4, 0.8
_MEMORY = 0.2  # weight of a new frame in the running profile
_FLIP_LEAD, _FLIP_LEAST = 0.4, 0.5
_JOINT_LEAD, _JOINT_LEAST = 0.35, 0.5
_LEAST_SPREAD = 0.5  # grey values; a flatter profile tells nothing
_DARK = 8

_Profile = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CameraLimits:
    """From when on a frame is odd.

    Attributes
    ----------
    saturated_share : float
        Share of pixels at 255. Specular bright spots of an electrode stay well below it.
    dark_share : float
        Share of pixels below 8.
    """

    saturated_share: float = 0.05
    dark_share: float = 0.9


class CameraWatch:
    """Looks at frames one after the other.

    Parameters
    ----------
    limits : CameraLimits
    """

    def __init__(self, limits: CameraLimits | None = None) -> None:
        self._limits = limits or CameraLimits()
        self._checksum: int | None = None
        self._profile: _Profile | None = None
        # How well frames resembled their predecessors so far; without that, a likeness to the mirror image is chance.
        self._steady: float | None = None
        self._joined: float | None = None
        self._last: GreyStrip | None = None

    def state(self) -> dict[str, Any]:
        """Return what it remembers, but for the last line, which it learns again from the frame before."""
        return {
            "checksum": self._checksum,
            "profile": None if self._profile is None else self._profile.tolist(),
            "steady": self._steady,
            "joined": self._joined,
        }

    def restore(self, state: dict[str, Any], before: GreyStrip | None = None) -> None:
        """Go on from `state`, after the frame *before*."""
        self._checksum = state["checksum"]
        self._profile = None if state["profile"] is None else np.array(state["profile"])
        self._steady, self._joined = state["steady"], state["joined"]
        self._last = None if before is None else before[-1].copy()

    def forget(self) -> None:
        """Lines were lost: the next frame does not continue this one."""
        self._last = None

    def look(self, pixels: GreyStrip) -> list[tuple[IncidentKind, str]]:
        """Return what is odd about a frame, (rows, columns): kind and one line each."""
        found: list[tuple[IncidentKind, str]] = []
        checksum = zlib.crc32(np.ascontiguousarray(pixels).data)
        stuck = checksum == self._checksum
        self._checksum = checksum
        if stuck:
            found.append(("stuck-camera", "the same frame again, pixel for pixel"))
        elif _one_line_repeated(pixels):
            found.append(("stuck-camera", "every line of the frame is the same"))
        found += self._exposure(pixels)
        if not stuck:
            found += self._orientation(pixels)
        return found

    def _exposure(self, pixels: GreyStrip) -> list[tuple[IncidentKind, str]]:
        some = pixels[::_EVERY]
        bright, dark = (np.count_nonzero(test) / some.size for test in (some == 255, some < _DARK))
        if bright > self._limits.saturated_share:
            return [("saturation", f"{bright:.0%} of the pixels are saturated; defects in them cannot show")]
        if dark > self._limits.dark_share:
            return [("dark", f"{dark:.0%} of the pixels are black: lamp, shutter or lens")]
        return []

    def _orientation(self, pixels: GreyStrip) -> list[tuple[IncidentKind, str]]:
        profile = _across(pixels)
        found: list[tuple[IncidentKind, str]] = []
        if self._profile is not None and len(profile) == len(self._profile):
            same, mirrored = _likeness(profile, self._profile), _likeness(profile[::-1], self._profile)
            if (self._steady or 0) > _STEADY and mirrored > _FLIP_LEAST and mirrored - same > _FLIP_LEAD:
                message = (
                    f"left and right are exchanged (likeness to its predecessors {same:.2f}, mirrored {mirrored:.2f})"
                )
                found.append(("flipped", message))
            if not found:
                self._steady = _smoothed(self._steady, same)
        if not found:
            found += self._joint(pixels)
        if not found:
            fresh = self._profile is None or len(profile) != len(self._profile)
            self._profile = profile if fresh else (1 - _MEMORY) * _given(self._profile) + _MEMORY * profile
        self._last = pixels[-1].copy()
        return found

    def _joint(self, pixels: GreyStrip) -> list[tuple[IncidentKind, str]]:
        if self._last is None or len(self._last) != pixels.shape[1] or len(pixels) < 2:
            return []
        # What all lines share says nothing about their order.
        common = pixels[::_EVERY].mean(axis=0)
        before, first, last = (line - common for line in (self._last, pixels[0], pixels[-1]))
        onward, backward = _likeness(before, first), _likeness(before, last)
        if (self._joined or 0) > _STEADY and backward > _JOINT_LEAST and backward - onward > _JOINT_LEAD:
            likeness = f"likeness at the joint {onward:.2f}, at the other end {backward:.2f}"
            return [("flipped", f"first and last line are exchanged ({likeness})")]
        self._joined = _smoothed(self._joined, onward)
        return []


class Watched:
    """A source with its camera watched.

    Parameters
    ----------
    source : LineSource
    limits : CameraLimits
    """

    def __init__(self, source: LineSource, limits: CameraLimits | None = None) -> None:
        self._source, self._limits = source, limits

    @property
    def width(self) -> int:
        """Columns of the source."""
        return self._source.width

    @property
    def rows_total(self) -> int | None:
        """Lines of the source."""
        return self._source.rows_total

    def identity(self) -> dict[str, Any]:
        """Return the source's."""
        return self._source.identity()

    def items(self, cursor: Any = None) -> Iterator[Item]:
        """Yield the source's items with what is odd about them.

        A cursor points to the frame before, whose last line is needed, and holds what the watch knew after it: so the
        next frame is judged as it would have been without interruption.
        """
        watch, state, inner = CameraWatch(self._limits), None, None
        if cursor is not None:
            inner, state = cursor["at"], cursor["watch"]
            if not cursor["line_before"]:
                watch.restore(state)
                state = None
        before: Any = None
        for item in self._source.items(inner):
            if state is not None and isinstance(item, LineBlock):
                watch.restore(state, item.pixels)
                state, before = None, item.cursor
                continue
            marked = None
            if item.cursor is not None:
                at = item.cursor if before is None else before
                marked = {"at": at, "watch": watch.state(), "line_before": before is not None}
            if isinstance(item, LostLines):
                watch.forget()
                before = None
                yield replace(item, cursor=marked)
                continue
            odd = watch.look(item.pixels) if item.rows else []
            before = item.cursor
            incidents = tuple(Incident(kind, 0, item.rows, 0, f"{item.origin}: {text}") for kind, text in odd)
            yield replace(item, cursor=marked, incidents=(*item.incidents, *incidents))


def _given(profile: _Profile | None) -> _Profile:
    assert profile is not None
    return profile


def _smoothed(running: float | None, value: float) -> float:
    return value if running is None else running + _TRUST * (value - running)


def _across(pixels: GreyStrip) -> _Profile:
    """Return the mean brightness in bins across the web."""
    mean = pixels[::_EVERY].mean(axis=0)
    edges = np.linspace(0, len(mean), min(_BINS, len(mean)) + 1).astype(int)
    return np.asarray(np.add.reduceat(mean, edges[:-1]) / np.diff(edges), np.float64)


def _likeness(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return Pearson's correlation, 0 where one of the two is flat."""
    a, b = one - one.mean(), other - other.mean()
    if a.std() < _LEAST_SPREAD or b.std() < _LEAST_SPREAD:
        return 0.0
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _one_line_repeated(pixels: GreyStrip) -> bool:
    return len(pixels) > 1 and bool((pixels[0] == pixels[-1]).all()) and bool((pixels[1:] == pixels[:-1]).all())

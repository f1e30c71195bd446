"""What somebody at the line must know now: about the web, and about the camera that looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sorby.line.defects import Defect, Scale
from sorby.line.lines import Incident

_MERGED = {"stuck-camera", "saturation", "dark", "flipped", "lost-lines"}
_METRE = 1000.0
_KEPT_METRES = 8

MEANINGS = {
    "severe": "a single defect so strong or so long that it alone is reason to act",
    "density": "more defects in a metre than allowed",
    "repeat": "defects recur at one distance along the web: a roller marks it",
    "gap": "there is no picture of these lines; nothing is known of them",
    "lost-lines": "the computer was slower than the line; these strips were not looked at",
    "stuck-camera": "the camera repeats itself; what passed meanwhile is unknown",
    "saturation": "too much light: defects cannot show in saturated pixels",
    "dark": "too little light: defects cannot show in black pixels",
    "flipped": "a frame is mirrored; positions of its defects are wrong",
    "width-change": "the number of pixels of a line changed",
    "truncated": "the stream ended early",
}


@dataclass(frozen=True)
class AlarmLimits:
    """From when on an alarm is raised.

    Attributes
    ----------
    severe_ratio : float
        A defect scoring this many times the threshold is severe.
    severe_length_mm : float
        A defect this long is severe.
    density_per_m : int
        So many defects within a metre of web raise an alarm.
    """

    severe_ratio: float = 3.0
    severe_length_mm: float = 20.0
    density_per_m: int = 20

    def is_severe(self, score: float, length_mm: float, threshold: float) -> bool:
        """Whether a defect is; scores have no ratio where the threshold is not above zero."""
        return length_mm >= self.severe_length_mm or (threshold > 0 and score >= self.severe_ratio * threshold)


@dataclass(frozen=True)
class Alarm:
    """One line of ``alarms.csv``.

    Attributes
    ----------
    kind : str
        See `MEANINGS`.
    along_mm : float
        Where it begins.
    length_mm : float or None
        How much of the web it concerns; None where nobody can tell.
    lane : int
    defect : int
        Number of the defect, 0 where it concerns none.
    message : str
    """

    kind: str
    along_mm: float
    length_mm: float | None
    lane: int
    defect: int
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


class AlarmBook:
    """Turns incidents and defects into alarms as the web moves.

    Incidents of one kind that follow one another without a break are one alarm, raised when they end.

    Parameters
    ----------
    scale : Scale
    limits : AlarmLimits
    raised : callable
        Takes each alarm.
    """

    def __init__(self, scale: Scale, limits: AlarmLimits, raised: Callable[[Alarm], None]) -> None:
        self._scale, self._limits, self._raised = scale, limits, raised
        self._running: dict[str, dict[str, Any]] = {}
        self._per_metre: dict[int, int] = {}

    def note(self, incident: Incident) -> None:
        """Take an incident with its place on the web."""
        if incident.kind not in _MERGED or incident.rows is None:
            self._raise_incident(incident.kind, incident.row, incident.rows, incident.lane, incident.message, 1)
            return
        key = f"{incident.kind}/{incident.lane}"
        running = self._running.get(key)
        if running and incident.row <= running["end"]:
            running["end"] = max(running["end"], incident.row + incident.rows)
            running["times"] += 1
            return
        self._end(key)
        self._running[key] = {
            "row": incident.row, "end": incident.row + incident.rows, "message": incident.message, "times": 1,
        }  # fmt: skip

    def judge(self, defect: Defect) -> None:
        """Take a defect."""
        if defect.severe:
            size = f"{defect.length_mm:.2f} x {defect.width_mm:.2f} mm, score {defect.score:.3g}"
            self._raised(Alarm("severe", defect.along_from_mm, defect.along_to_mm - defect.along_from_mm,
                               int(defect.lanes.split("|")[0]), defect.number, size))  # fmt: skip
        metre = int(defect.along_mm // _METRE)
        self._per_metre[metre] = self._per_metre.get(metre, 0) + 1
        if self._per_metre[metre] == self._limits.density_per_m:
            message = f"{self._limits.density_per_m} defects or more within this metre"
            self._raised(Alarm("density", metre * _METRE, _METRE, 0, 0, message))
        newest = max(self._per_metre)
        self._per_metre = {key: count for key, count in self._per_metre.items() if key > newest - _KEPT_METRES}

    def close(self) -> None:
        """Raise what is still running."""
        for key in sorted(self._running):
            self._end(key)

    def state(self) -> dict[str, Any]:
        """Return a JSON object."""
        per_metre = {str(metre): count for metre, count in self._per_metre.items()}
        return {"running": {key: dict(value) for key, value in self._running.items()}, "per_metre": per_metre}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._running = {key: dict(value) for key, value in state["running"].items()}
        self._per_metre = {int(metre): count for metre, count in state["per_metre"].items()}

    def _end(self, key: str) -> None:
        running = self._running.pop(key, None)
        if running:
            kind, _, lane = key.partition("/")
            rows = running["end"] - running["row"]
            self._raise_incident(kind, running["row"], rows, int(lane), running["message"], running["times"])

    def _raise_incident(self, kind: str, row: int, rows: int | None, lane: int, message: str, times: int) -> None:
        length = None if rows is None else round(rows * self._scale.along_mm, 3)
        text = message if times == 1 else f"{message} ({times} in a row)"
        self._raised(Alarm(kind, round(row * self._scale.along_mm, 3), length, lane, 0, text))

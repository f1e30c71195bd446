"""From the maps of successive strips to the journal of the roll."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sorby.line.alarms import Alarm, AlarmBook, AlarmLimits
from sorby.line.components import Region, RegionTracer
from sorby.line.crops import RecentStrips, write_crop
from sorby.line.defects import Scale, measure, smallest_rectangle
from sorby.line.journal import Journal
from sorby.line.lines import Incident, web_width
from sorby.line.scorer import NameMap, ScoreMap
from sorby.line.strips import Bookmark, EndOfRoll, Strip

_CONTEXT_ROWS = 512  # lines kept beyond the longest open region, for the surroundings in its picture


@dataclass(frozen=True)
class RollSettings:
    """What makes a region of the map a defect of the roll.

    Attributes
    ----------
    scale : Scale
    limits : AlarmLimits
    min_cells : int
        Smaller regions are no defects.
    piece_mm : float
        A longer defect, as a streak, is recorded in pieces of about this length.
    edge_mm : float
        Nothing is reported this close to the web's edges.
    crops : int
        Pictures of so many defects are kept, the first ones.
    checkpoint_strips : int
        The journal is made safe after so many strips.
    """

    scale: Scale
    limits: AlarmLimits = field(default_factory=AlarmLimits)
    min_cells: int = 1
    piece_mm: float = 100.0
    edge_mm: float = 0.0
    crops: int = 500
    checkpoint_strips: int = 32

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


@dataclass
class Counts:
    """What a roll amounts to so far."""

    row: int = 0
    strips: int = 0
    scored_rows: int = 0
    scored_pixels: int = 0
    defects: int = 0
    alarms: int = 0
    dropped: int = 0
    crops: int = 0
    width_px: int = 0
    unplaced: int = 0


class RollRecorder:
    """Takes strips with their maps in order and writes what they show.

    Parameters
    ----------
    journal : Journal
        Where it was left off, this goes on.
    settings : RollSettings
    stride : int
        Edge of a map cell, pixels.
    threshold : float
    crops : Path
        Folder for pictures.
    classes : sequence of str
        What the detector's names stand for; empty where it names nothing.
    """

    def __init__(
        self,
        journal: Journal,
        settings: RollSettings,
        *,
        stride: int,
        threshold: float,
        crops: Path,
        classes: Sequence[str] = (),
    ) -> None:
        self._classes = tuple(classes)
        self._journal, self._settings, self._stride, self._threshold = journal, settings, stride, threshold
        self._folder = crops
        scale = settings.scale
        piece_rows = max(stride, int(settings.piece_mm / scale.along_mm))
        self._tracer = RegionTracer(stride, threshold, piece_rows, (scale.along_mm, scale.across_mm))
        self._recent = RecentStrips(piece_rows + _CONTEXT_ROWS)
        self._book = AlarmBook(scale, settings.limits, self._raise)
        self.counts = Counts()
        self.finished = False
        self._since = 0
        self._seen_to = (0, 0)
        self._broken = False
        self.bookmark: Bookmark | None = None
        if journal.state is not None:
            self._restore(journal.state)

    @property
    def row(self) -> int:
        """Line of the web up to which everything is recorded."""
        return self.counts.row

    @property
    def open_regions(self) -> int:
        """Defects that are not at their end."""
        return self._tracer.open_regions

    @property
    def kept_rows(self) -> int:
        """Lines kept for pictures."""
        return self._recent.kept_rows

    def recall(self, strip: Strip) -> None:
        """Take a strip that is recorded already, for the pictures of those that follow."""
        self._recent.add(strip)

    def interrupted(self, message: str) -> None:
        """Note that the source could not go back to where the run was left off."""
        self._close_regions(self._tracer.close())
        self._note((Incident("gap", self.counts.row, None, 0, message),))

    def add(self, strip: Strip, scores: ScoreMap, names: NameMap | None = None) -> None:
        """Record a strip.

        Parameters
        ----------
        strip : Strip
        scores : ndarray of float32, shape (cells of the core, cells of the web)
        names : ndarray of int16, same shape, optional
            Class of each cell, from a detector that names what it finds.
        """
        self._note(strip.incidents)
        self._set_aside(strip.quarantined)
        self._recent.add(strip)
        width = web_width(strip.lanes)
        closed = self._tracer.add(
            self._without_edges(scores, width), strip.core_row, joins=strip.joins and not self._broken, names=names
        )
        self._broken = False
        self._seen_to = (strip.end_row, max(width, self._seen_to[1]) if strip.joins else width)
        self._close_regions(closed)
        counts = self.counts
        counts.row, counts.strips = strip.end_row, counts.strips + 1
        counts.scored_rows += strip.core_rows
        counts.scored_pixels += strip.core_rows * sum(lane.width for lane in strip.lanes)
        counts.width_px = max(counts.width_px, width)
        self._since += 1
        if self._since >= self._settings.checkpoint_strips:
            self.checkpoint()

    def drop(self, strip: Strip) -> None:
        """Record a strip that nobody had time to look at; its place on the web stays."""
        self._note(strip.incidents)
        self._set_aside(strip.quarantined)
        self._close_regions(self._tracer.close())
        self._broken = True
        message = "strips dropped: the detector was slower than the line"
        self._book.note(Incident("lost-lines", strip.core_row, strip.core_rows, 0, message))
        self.counts.dropped += 1
        self.counts.row = strip.end_row
        self.counts.width_px = max(self.counts.width_px, web_width(strip.lanes))

    def end(self, end: EndOfRoll) -> None:
        """Record the end of the roll."""
        self._note(end.incidents)
        self._set_aside(end.quarantined)
        self._close_regions(self._tracer.close())
        self._book.close()
        self.counts.row = max(self.counts.row, end.row)
        self.finished = True
        self.checkpoint()

    def checkpoint(self) -> None:
        """Make everything so far safe."""
        bookmark = self._recent.bookmark or self.bookmark
        self._since = 0
        self._journal.checkpoint(
            {
                "counts": asdict(self.counts),
                "finished": self.finished,
                "tracer": self._tracer.state(),
                "alarms": self._book.state(),
                "seen_to": list(self._seen_to),
                "broken": self._broken,
                "bookmark": None if bookmark is None else bookmark.as_dict(),
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.counts = Counts(**state["counts"])
        self.finished = state["finished"]
        self._tracer.restore(state["tracer"])
        self._book.restore(state["alarms"])
        self._seen_to = (state["seen_to"][0], state["seen_to"][1])
        self._broken = state["broken"]
        self.bookmark = None if state["bookmark"] is None else Bookmark(**state["bookmark"])

    def _without_edges(self, scores: ScoreMap, width: int) -> ScoreMap:
        edge = round(self._settings.edge_mm / self._settings.scale.across_mm / self._stride)
        if edge == 0:
            return scores
        scores = scores.copy()
        scores[:, :edge] = -np.inf
        scores[:, max(0, width // self._stride - edge) :] = -np.inf
        return scores

    def _note(self, incidents: tuple[Incident, ...]) -> None:
        for incident in incidents:
            self._book.note(incident)
            self.counts.unplaced += incident.kind == "gap" and incident.rows is None

    def _set_aside(self, files: tuple[tuple[str, str], ...]) -> None:
        for file, reason in files:
            self._journal.write("quarantined", {"file": file, "reason": reason})

    def _close_regions(self, regions: list[Region]) -> None:
        for region in regions:
            if region.cells >= self._settings.min_cells:
                self._record(region)

    def _record(self, region: Region) -> None:
        settings, counts = self._settings, self.counts
        counts.defects += 1
        length = smallest_rectangle(region.extents_mm)[0]
        defect = measure(
            region,
            counts.defects,
            settings.scale,
            self._stride,
            lanes=self._lanes_of(region),
            severe=settings.limits.is_severe(region.score, length, self._threshold),
            crop=self._picture(region, counts.defects),
            limits=self._seen_to,
            label=self._classes[region.name] if 0 <= region.name < len(self._classes) else "",
        )
        self._journal.write("defect", defect.as_dict())
        self._book.judge(defect)

    def _lanes_of(self, region: Region) -> str:
        strip = self._recent.newest
        if strip is None:
            return "0"
        seeing = [
            str(lane.number)
            for lane in strip.lanes
            if lane.across_px < region.cols[1] and lane.across_px + lane.width > region.cols[0]
        ]
        return "|".join(seeing) or "0"

    def _picture(self, region: Region, number: int) -> str:
        if self.counts.crops >= self._settings.crops:
            return ""
        pixels = self._recent.crop(region)
        if pixels is None:
            return ""
        self.counts.crops += 1
        path = self._folder / f"{number:06d}.png"
        write_crop(path, pixels)
        return f"{self._folder.name}/{path.name}"

    def _raise(self, alarm: Alarm) -> None:
        self.counts.alarms += 1
        self._journal.write("alarm", alarm.as_dict())

"""The line: from strips of a moving web to a roll map, and what speed that needs.

>>> from sorby import line
>>> round(line.parse_speed("10 ft/min"), 3)
3.048
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorby.line.alarms import MEANINGS, Alarm, AlarmBook, AlarmLimits
    from sorby.line.budget import Budget, line_need, parse_sheet, parse_speed, published_estimates, tiles_along
    from sorby.line.camera import GenICamSource, is_camera, open_camera
    from sorby.line.clusters import Cluster, find_clusters
    from sorby.line.components import Region, RegionTracer
    from sorby.line.defects import Defect, Scale, smallest_rectangle
    from sorby.line.journal import Journal
    from sorby.line.lines import Incident, Item, Lane, Levels, LineBlock, LineSource, LostLines, one_lane
    from sorby.line.pipeline import Pipeline
    from sorby.line.raw_stream import RawFormat, RawStream
    from sorby.line.recorder import RollRecorder, RollSettings
    from sorby.line.repeats import Repeat, RepeatSearch, find_repeats
    from sorby.line.roll_map import write_alarms, write_defects, write_geojson
    from sorby.line.scorer import StripScorer
    from sorby.line.side_by_side import Camera, SideBySide
    from sorby.line.sources import ArraySource, FolderSource, TallImage
    from sorby.line.strips import StripMaker
    from sorby.line.timing import TimingModel, difference_note, fit_timing, proportional_s
    from sorby.line.watching import CameraLimits, Watched

__all__ = [
    "MEANINGS",
    "Alarm",
    "AlarmBook",
    "AlarmLimits",
    "ArraySource",
    "Budget",
    "Camera",
    "CameraLimits",
    "Cluster",
    "Defect",
    "FolderSource",
    "GenICamSource",
    "Incident",
    "Item",
    "Journal",
    "Lane",
    "Levels",
    "LineBlock",
    "LineSource",
    "LostLines",
    "Pipeline",
    "RawFormat",
    "RawStream",
    "Region",
    "RegionTracer",
    "Repeat",
    "RepeatSearch",
    "RollRecorder",
    "RollSettings",
    "Scale",
    "SideBySide",
    "StripMaker",
    "StripScorer",
    "TallImage",
    "TimingModel",
    "Watched",
    "difference_note",
    "find_clusters",
    "find_repeats",
    "fit_timing",
    "is_camera",
    "line_need",
    "one_lane",
    "open_camera",
    "parse_sheet",
    "parse_speed",
    "proportional_s",
    "published_estimates",
    "smallest_rectangle",
    "tiles_along",
    "write_alarms",
    "write_defects",
    "write_geojson",
]

# SciPy, pandas and tifffile are slow to load; each name is fetched when first asked for.
_HOME = {
    "Alarm": "alarms",
    "AlarmBook": "alarms",
    "AlarmLimits": "alarms",
    "MEANINGS": "alarms",
    "Budget": "budget",
    "line_need": "budget",
    "parse_sheet": "budget",
    "parse_speed": "budget",
    "published_estimates": "budget",
    "tiles_along": "budget",
    "GenICamSource": "camera",
    "is_camera": "camera",
    "open_camera": "camera",
    "Cluster": "clusters",
    "find_clusters": "clusters",
    "Region": "components",
    "RegionTracer": "components",
    "Defect": "defects",
    "Scale": "defects",
    "smallest_rectangle": "defects",
    "Journal": "journal",
    "Incident": "lines",
    "Item": "lines",
    "Lane": "lines",
    "Levels": "lines",
    "LineBlock": "lines",
    "LineSource": "lines",
    "LostLines": "lines",
    "one_lane": "lines",
    "Pipeline": "pipeline",
    "RawFormat": "raw_stream",
    "RawStream": "raw_stream",
    "RollRecorder": "recorder",
    "RollSettings": "recorder",
    "Repeat": "repeats",
    "RepeatSearch": "repeats",
    "find_repeats": "repeats",
    "write_alarms": "roll_map",
    "write_defects": "roll_map",
    "write_geojson": "roll_map",
    "StripScorer": "scorer",
    "Camera": "side_by_side",
    "SideBySide": "side_by_side",
    "ArraySource": "sources",
    "FolderSource": "sources",
    "TallImage": "sources",
    "StripMaker": "strips",
    "TimingModel": "timing",
    "difference_note": "timing",
    "fit_timing": "timing",
    "proportional_s": "timing",
    "CameraLimits": "watching",
    "Watched": "watching",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

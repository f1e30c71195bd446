"""The line: from strips of a moving web to a roll map, and what speed that needs.

>>> from sorby import line
>>> round(line.parse_speed("10 ft/min"), 3)
3.048
"""

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

"""What a line run is asked to do, and the opening of its sources, its detector and its overlay."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sorby.errors import InputError
from sorby.line.alarms import AlarmLimits
from sorby.line.camera import is_camera, open_camera
from sorby.line.defects import Scale
from sorby.line.lines import Levels, LineSource
from sorby.line.raw_stream import RawFormat, RawStream, RawType
from sorby.line.recorder import RollSettings
from sorby.line.repeats import RepeatSearch
from sorby.line.scorer import StripScorer
from sorby.line.side_by_side import Camera, SideBySide
from sorby.line.sources import FolderSource, TallImage
from sorby.line.watching import CameraLimits, Watched
from sorby.micrograph import is_image_name

if TYPE_CHECKING:
    from sorby.backbone.runtime import Precision  # torch takes a while to import
    from sorby.bundle import OpenBundle

_EDGE_PX = 64  # room for mirrored margins at the web's edges, where the detector has none of its own
_LANE_STEP_PX = 32

MakeScorer = Callable[[int], StripScorer]
"""From the number of columns of a lane to a detector for it."""


@dataclass(frozen=True)
class LineRequest:
    """Everything that ``line run`` may be told.

    Attributes
    ----------
    pixel_size_um : float
        Across the web.
    line_pitch_um : float, optional
        Way of the web from line to line; the pixel size where left out.
    width : int, optional
        Columns of a raw stream.
    dtype : {"uint8", "uint16"}
        Of a raw stream.
    levels : Levels
    lanes : int
        Parts that the width of a single source is split into.
    offsets_mm, shifts_mm : tuple of float
        Place of each source across the web, and how far along it lies behind; empty: side by side, in step.
    separate : bool
        Images of a folder are sheets of their own.
    live : bool
        Drop strips rather than make the source wait.
    frames : int, optional
        Stop a camera after so many.
    rows : int
        Lines of a strip with its margins.
    precision : {"auto", "fp32", "bf16"}
        Of the detector's arithmetic.
    queue_strips : int
    min_cells : int
    piece_mm, edge_mm : float
    crops : int
    alarms : AlarmLimits
    camera : CameraLimits
    repeats : RepeatSearch
    cluster_mm : float
    cluster_least : int
    checkpoint_strips : int
    """

    pixel_size_um: float
    line_pitch_um: float | None = None
    width: int | None = None
    dtype: RawType = "uint8"
    levels: Levels = field(default_factory=Levels)
    lanes: int = 1
    offsets_mm: tuple[float, ...] = ()
    shifts_mm: tuple[float, ...] = ()
    separate: bool = False
    live: bool = False
    frames: int | None = None
    rows: int = 640
    precision: Precision = "auto"
    queue_strips: int = 4
    min_cells: int = 1
    piece_mm: float = 100.0
    edge_mm: float = 0.0
    crops: int = 500
    alarms: AlarmLimits = field(default_factory=AlarmLimits)
    camera: CameraLimits = field(default_factory=CameraLimits)
    repeats: RepeatSearch = field(default_factory=RepeatSearch)
    cluster_mm: float = 10.0
    cluster_least: int = 5
    checkpoint_strips: int = 32

    @property
    def scale(self) -> Scale:
        """Size of a pixel along and across the web."""
        return Scale(self.line_pitch_um or self.pixel_size_um, self.pixel_size_um)

    @property
    def settings(self) -> RollSettings:
        """What makes a region a defect of the roll."""
        return RollSettings(
            scale=self.scale,
            limits=self.alarms,
            min_cells=self.min_cells,
            piece_mm=self.piece_mm,
            edge_mm=self.edge_mm,
            crops=self.crops,
            checkpoint_strips=self.checkpoint_strips,
        )


def open_sources(sources: Sequence[str | Path | LineSource], request: LineRequest) -> LineSource:
    """Open what the user names, each camera watched, several side by side.

    Raises
    ------
    InputError
        A source is absent, empty or of no kind that can be read, or the offsets do not go with the sources.
    """
    if not sources:
        raise InputError("no source", "name a folder, a file, '-' or genicam:FILE.cti")
    if len(sources) > 1 and request.lanes > 1:
        raise InputError("--lanes splits the width of one source, but several are given", "leave --lanes out")
    for name, values in (("--offset-mm", request.offsets_mm), ("--shift-mm", request.shifts_mm)):
        if values and len(values) != len(sources):
            raise InputError(f"{len(values)} values of {name} for {len(sources)} sources", "give one for each source")
    opened = [Watched(_open_source(source, request), request.camera) for source in sources]
    if len(opened) == 1:
        return opened[0]
    scale = request.scale
    beside = np.cumsum([0, *(source.width for source in opened[:-1])])
    across = [round(mm / scale.across_mm) for mm in request.offsets_mm] or [int(at) for at in beside]
    along = [round(mm / scale.along_mm) for mm in request.shifts_mm] or [0] * len(opened)
    return SideBySide([Camera(*camera) for camera in zip(opened, across, along, strict=True)])


def _open_source(source: str | Path | LineSource, request: LineRequest) -> LineSource:
    if not isinstance(source, str | Path):
        return source
    if is_camera(str(source)):
        return open_camera(str(source), request.levels, frames=request.frames)
    if str(source) == "-":
        return RawStream(sys.stdin.buffer, _raw_format("standard input", request))
    path = Path(source)
    if path.is_dir():
        return FolderSource(path, request.levels, separate=request.separate)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", "check the path; '-' reads standard input")
    if path.is_file() and is_image_name(path) and request.width is None:
        return TallImage(path, request.levels)
    return RawStream(path, _raw_format(str(path), request))


def _raw_format(name: str, request: LineRequest) -> RawFormat:
    if request.width is None:
        raise InputError(f"{name}: a raw stream does not say how wide its lines are", "give --width and --dtype")
    return RawFormat(request.width, request.dtype, request.levels)


def open_scorer(
    bundle: Path | str | MakeScorer, web_width: int, request: LineRequest, *, require_signed: bool
) -> tuple[StripScorer, dict[str, Any]]:
    """Return a detector for lanes of a web *web_width* pixels wide, and what tells it from another.

    Raises
    ------
    InputError
        There is no such bundle, or it is neither an anomaly bundle nor a box detector.
    """
    lane = -(-web_width // request.lanes)
    width = -(-(lane + 2 * _EDGE_PX) // _LANE_STEP_PX) * _LANE_STEP_PX
    if not isinstance(bundle, str | Path):
        return bundle(width), {"detector": "given by the caller"}
    path = Path(bundle)
    if not path.exists():
        raise InputError(f"{path}: no such bundle", "make one with 'sorby anomaly fit'")
    from sorby.bundle import open_bundle  # torch and OpenVINO take a while to import
    from sorby.detect import KIND as BOXES
    from sorby.workflow.anomaly import open_detector

    bundle_file = open_bundle(path, require_signed=require_signed)
    if bundle_file.description.kind == BOXES:
        return _box_scorer(bundle_file, width, request)
    bundle_file.close()
    opened = open_detector(path, require_signed=require_signed)
    try:
        scorer = opened.detector.strip_scorer(width, rows=request.rows, precision=request.precision)
    except ValueError as error:
        raise InputError(f"--rows {request.rows}: {error}", "use strips with more rows, e.g. 512") from error
    return scorer, {
        "bundle_sha256": opened.sha256, "signature": opened.signature, "precision": scorer.precision,
        "stride": scorer.stride, "margin_px": scorer.margin_px, "threshold": scorer.threshold,
    }  # fmt: skip


def _box_scorer(bundle: OpenBundle, width: int, request: LineRequest) -> tuple[StripScorer, dict[str, Any]]:
    """Return what finds and names boxes on strips, and what tells it from another."""
    from sorby.workflow.detection.opening import open_box_detector
    from sorby.workflow.detection.strip_scoring import BoxStripScorer

    opened = open_box_detector(bundle)
    try:
        scorer = BoxStripScorer(opened.detector, width, rows=request.rows, precision=request.precision)
    except ValueError as error:
        raise InputError(f"--rows {request.rows}: {error}", "use strips with more rows, e.g. 512") from error
    return scorer, {
        "bundle_sha256": opened.sha256, "signature": opened.signature, "precision": scorer.precision,
        "stride": scorer.stride, "margin_px": scorer.margin_px, "threshold": scorer.threshold,
        "classes": list(scorer.classes),
    }  # fmt: skip


def read_overlay(path: Path) -> pd.DataFrame:
    """Read another sensor's readings with the coordinates of this map.

    Parameters
    ----------
    path : Path
        CSV with numeric columns ``along_mm``, ``across_mm`` and ``value``.

    Raises
    ------
    InputError
        The file cannot be read, or a column is absent or not numeric.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({' '.join(str(error).split())})", "check the file") from error
    wanted = ["along_mm", "across_mm", "value"]
    absent = [name for name in wanted if name not in table.columns]
    if absent:
        raise InputError(f"{path}: no column {', '.join(absent)}", "an overlay has along_mm, across_mm and value")
    try:
        table = table[wanted].astype(np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}", "its columns hold numbers only") from error
    if table.isna().to_numpy().any():
        raise InputError(f"{path}: has empty cells", "leave out readings without a place or a value")
    return table

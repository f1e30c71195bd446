"""Defects in millimetres of the web."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.line.components import DIRECTIONS, Region


@dataclass(frozen=True)
class Scale:
    """Size of a pixel on the web.

    Attributes
    ----------
    along_um : float
        Way of the web from line to line.
    across_um : float
        Distance of neighbouring pixels of a line.
    """

    along_um: float
    across_um: float

    @property
    def along_mm(self) -> float:
        """Millimetres from line to line."""
        return self.along_um / 1000

    @property
    def across_mm(self) -> float:
        """Millimetres from pixel to pixel."""
        return self.across_um / 1000


@dataclass(frozen=True)
class Defect:
    """One line of the roll map.

    Sizes are those of the region of the anomaly map at or above the threshold. The detector sees a neighbourhood, so
    the region is wider than the thing that caused it, by up to the width of that neighbourhood.

    Attributes
    ----------
    number : int
        Counted from 1 in the order in which defects ended.
    along_mm, across_mm : float
        Centre: way from the beginning of the roll, distance from the left edge of the leftmost lane.
    length_mm, width_mm : float
        Sides of the smallest rectangle around the region, whichever way it is turned (in steps of 2 degrees).
    orientation_deg : float
        Of the longer side: 0 along the web, 90 across, positive to the right; above -90 up to 90.
    area_mm2 : float
    score, mean_score : float
        Largest and mean value of the map.
    cells : int
    along_from_mm, along_to_mm, across_from_mm, across_to_mm : float
    lanes : str
        Numbers of the lanes that show it, joined by ``|``; two where it lies on a seam.
    streak : int
        Number of the streak this is a piece of; 0 for none.
    continues : bool
        It goes on in the next piece of its streak.
    severe : bool
    crop : str
        Its picture, relative to the folder of the roll map; empty where there is none.
    label : str
        Its class; empty where the detector names none.
    """

    number: int
    along_mm: float
    across_mm: float
    length_mm: float
    width_mm: float
    orientation_deg: float
    area_mm2: float
    score: float
    mean_score: float
    cells: int
    along_from_mm: float
    along_to_mm: float
    across_from_mm: float
    across_to_mm: float
    lanes: str
    streak: int
    continues: bool
    severe: bool
    crop: str
    label: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def smallest_rectangle(extents: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return length, width and orientation in degrees of the smallest rectangle around a shape.

    Parameters
    ----------
    extents : ndarray, shape (90,)
        How far the shape reaches in each direction, 2 degrees apart.

    Returns
    -------
    length, width : float
        In the unit of the extents.
    orientation : float
        Of the longer side, above -90 up to 90.

    Notes
    -----
    Toussaint's rotating calipers on a fixed set of directions: a rectangle's sides are extents in two directions at a
    right angle. A straight line of length L comes out up to L sin(1 degree) too wide.
    """
    right_angle = DIRECTIONS // 2
    # Rounded, so that directions which differ by the last bits only do not compete.
    area = np.round(extents * np.roll(extents, -right_angle), 9)
    k = int(np.argmin(area))
    one, other = float(extents[k]), float(extents[(k + right_angle) % DIRECTIONS])
    step = 180 / DIRECTIONS
    angle = k * step if one >= other else (k + right_angle) % DIRECTIONS * step
    return max(one, other), min(one, other), angle - 180 if angle > 90 else angle


def measure(
    region: Region,
    number: int,
    scale: Scale,
    stride: int,
    *,
    lanes: str,
    severe: bool,
    crop: str,
    limits: tuple[int, int],
    label: str = "",
) -> Defect:
    """Return *region* in millimetres.

    Parameters
    ----------
    region : Region
    number : int
    scale : Scale
    stride : int
        Edge of a cell, pixels.
    lanes : str
    severe : bool
    crop : str
    limits : (int, int)
        Line after the last and column after the last that were seen; the outermost cells may reach beyond.
    label : str
        Of its class.
    """
    length, width, orientation = smallest_rectangle(region.extents_mm)
    along, across = scale.along_mm, scale.across_mm
    figures = {
        "along_mm": region.centre[0] * along,
        "across_mm": region.centre[1] * across,
        "length_mm": length,
        "width_mm": width,
        "orientation_deg": orientation,
        "area_mm2": region.cells * stride**2 * along * across,
        "score": region.score,
        "mean_score": region.mean_score,
        "along_from_mm": region.rows[0] * along,
        "along_to_mm": min(region.rows[1], limits[0]) * along,
        "across_from_mm": region.cols[0] * across,
        "across_to_mm": min(region.cols[1], limits[1]) * across,
    }
    return Defect(
        number=number,
        cells=region.cells,
        lanes=lanes,
        streak=region.streak,
        continues=region.continues,
        severe=severe,
        crop=crop,
        label=label,
        # A micrometre, and six digits of a score, are more than is known; they keep the files short.
        **{name: float(f"{value:.6g}") if "score" in name else round(value, 3) for name, value in figures.items()},
    )

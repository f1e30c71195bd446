"""Whole plates: a surface of millimetres on which attack differs from place to place, and the map of its grades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError
from sorby.phantom.corrosion.course import Alloy, grade
from sorby.phantom.corrosion.imaging import UInt8, detect, relief, secondary_electrons
from sorby.phantom.corrosion.specimen import CorrosionSpecimen, FieldPlan
from sorby.phantom.place_noise import Float32, Window

#: Deviation of the logarithm of the pace over a plate: from sound to severe.
UNEVENNESS = 1.1
#: Rows drawn at a time, and rows around them that a picture's hollows reach into.
_STRIP, _HALO = 512, 16
_LARGEST_PX = 64_000_000


@dataclass(frozen=True)
class CorrosionPlate:
    """A plate's picture and its truth; arrays have shape (height, width).

    Attributes
    ----------
    specimen : CorrosionSpecimen
    pixels : ndarray of uint8
    forms : ndarray of uint8
        Form of attack, numbered as ``FORMS``; 0 where the surface is sound.
    expected_share : ndarray of float32
        Share of the area expected to be attacked at each place.
    severity : ndarray of uint8
        Its grade, 0 to 4: the truth map.
    pixel_size_um : float
    """

    specimen: CorrosionSpecimen
    pixels: UInt8
    forms: UInt8
    expected_share: Float32
    severity: UInt8
    pixel_size_um: float

    @property
    def attacked(self) -> npt.NDArray[np.bool_]:
        """Where the surface is no longer sound."""
        return self.forms > 0

    def area_by_severity(self) -> dict[int, float]:
        """Return the share of the plate in each grade."""
        counts = np.bincount(self.severity.ravel(), minlength=5)
        return {number: float(count) / self.severity.size for number, count in enumerate(counts)}

    def attacked_by_severity(self) -> dict[int, float]:
        """Return the share attacked of the area in each grade that occurs."""
        areas = np.bincount(self.severity.ravel(), minlength=5)
        hits = np.bincount(self.severity.ravel(), weights=self.attacked.ravel(), minlength=5)
        return {number: float(hits[number] / areas[number]) for number in range(5) if areas[number]}


def draw_plate(
    seed: int, alloy: Alloy, *, temperature_k: float | None = None, name: str = "", microscope: str | None = None
) -> CorrosionSpecimen:
    """Draw a plate: a coupon on which all grades may be found.

    Parameters
    ----------
    seed : int
    alloy : {"316L", "AZ31B"}
    temperature_k, name, microscope
        See :meth:`CorrosionSpecimen.draw`.
    """
    return CorrosionSpecimen.draw(
        seed,
        alloy,
        severity=2,
        temperature_k=temperature_k,
        name=name or f"plate-{seed:06d}",
        microscope=microscope,
        unevenness=UNEVENNESS,
    )


def render_plate(
    plate: CorrosionSpecimen,
    size: tuple[int, int] = (3600, 2400),
    *,
    pixel_size_um: float = 1.13,
    hours: float | None = None,
) -> CorrosionPlate:
    """Render a plate in one piece, as a stitched mosaic without seams would show it.

    Parameters
    ----------
    plate : CorrosionSpecimen
        See :func:`draw_plate`.
    size : tuple of int
        Width and height in pixels.
    pixel_size_um : float
        Twice that of a published picture by default: 4.1 mm x 2.7 mm.
    hours : float, optional
        Of immersion; all of them where None.

    Raises
    ------
    InputError
        The plate is too small or too large.
    """
    width, height = size
    if min(size) < 64 or width * height > _LARGEST_PX or not pixel_size_um > 0:
        raise InputError(
            f"a plate of {width} x {height} pixels of {pixel_size_um:g} µm",
            f"give 64 pixels or more a side, {_LARGEST_PX // 1_000_000} million at most, and a pixel size above 0",
        )
    when = plate.hours if hours is None else hours
    whole = plate_window(size, pixel_size_um)
    grey, insulating = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    forms, share = np.empty((height, width), np.uint8), np.empty((height, width), np.float32)
    for first in range(0, height, _STRIP):
        last = min(first + _STRIP, height)
        rows, inner = slice(first, last), slice(_HALO, _HALO + last - first)
        strip = whole.part(slice(first - _HALO, last + _HALO), slice(0, width))
        surface = relief(plate, strip, when)
        grey[rows] = secondary_electrons(plate, surface, pixel_size_um)[inner]
        insulating[rows], forms[rows] = surface.insulating[inner], surface.forms[inner]
        place = whole.part(rows, slice(0, width))
        share[rows] = plate.course.share(when, place.x_um, place.y_um)
    # A mosaic is no single scan: blur is that of its pictures, and no line runs across it to charge.
    pixels = detect(plate, FieldPlan(0, when, charging=0.0), grey, insulating, zoom=1.0)
    return CorrosionPlate(plate, pixels, forms, share, grade(share), pixel_size_um)


def plate_window(size: tuple[int, int], pixel_size_um: float) -> Window:
    """Return the window of a plate of *size* (width, height), its middle at the origin."""
    width, height = size
    return Window(-width * pixel_size_um / 2, -height * pixel_size_um / 2, pixel_size_um, width, height)


def with_survey(
    plate: CorrosionSpecimen,
    columns: int,
    rows: int,
    *,
    magnification: float = 500.0,
    overlap: float = 0.1,
    place_error_um: float = 3.0,
    aspect: float = 1.0,
) -> CorrosionSpecimen:
    """Return the plate with a survey planned: overlapping fields row by row, for whoever stitches them.

    Parameters
    ----------
    plate : CorrosionSpecimen
    columns, rows : int
        Fields across and down; their middle is the plate's.
    magnification : float
    overlap : float
        Share of a field that its neighbour shows too, 0 to below 1.
    place_error_um : float
        Deviation of the stage from where it was sent; the views carry the true places.
    aspect : float
        Height over width of the pictures that will be taken.

    Raises
    ------
    InputError
        There is no field, or the overlap is no share.
    """
    if min(columns, rows) < 1 or not 0 <= overlap < 1:
        raise InputError(
            f"a survey of {columns} x {rows} fields that overlap by {overlap:g}",
            "give 1 field or more each way and an overlap from 0 to below 1",
        )
    rng = np.random.default_rng([plate.seed, 43])
    field = FieldPlan(0, 0.0, magnification).field_um
    step_x, step_y = field * (1.0 - overlap), field * aspect * (1.0 - overlap)
    error = rng.normal(0.0, place_error_um, (rows, columns, 2))
    first = len(plate.views) + 1
    plans = tuple(
        FieldPlan(
            number=first + row * columns + column,
            hours=plate.hours,
            magnification=magnification,
            centre_um=(
                float((column - (columns - 1) / 2) * step_x + error[row, column, 0]),
                float((row - (rows - 1) / 2) * step_y + error[row, column, 1]),
            ),
            seed=int(rng.integers(2**31)),
        )
        for row in range(rows)
        for column in range(columns)
    )
    return plate.with_views(plate.views + plans)

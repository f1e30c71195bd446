"""What a defect is: its plan, its pixels and its truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label

from sorby.phantom.membrane.surface import Float32

Bool = npt.NDArray[np.bool_]

#: Made on purpose by the experimenters: these are labelled.
ARTIFICIAL_KINDS = ("scratch", "scuff", "pinhole", "dent")
#: Came by itself, or nobody knows how.
UNKNOWN_ORIGIN_KINDS = ("debris", "fibre", "streak", "discoloration")
KINDS = ARTIFICIAL_KINDS + UNKNOWN_ORIGIN_KINDS

_EIGHT = np.ones((3, 3), dtype=np.int64)


@dataclass(frozen=True)
class DefectPlan:
    """Where a defect shall be and what it shall look like.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    row, column : float
        Its centre in pixels.
    length_um, width_um : float
        Its extent: of a scratch, streak or fibre along and across; of a scuff, dent or discoloration the two axes;
        of a pinhole or speck the diameter (both the same).
    contrast : float
        Grey levels above the surface at its brightest; below the surface where negative.
    angle_deg : float
        Direction of its length, 0 across the web, 90 along it.
    form : str
        Of a pinhole: ``white`` (a white dot) or ``rimmed`` (a dark dot with a whiter border). Empty otherwise.
    rings : int
        Concentric rings around a pinhole.
    veil_px : float
        Blur by a membrane tacked over it, as a standard deviation in pixels.
    seed : int
        Of its irregularities.
    group : str
        Truth about its company, e.g. ``repeat`` or ``cluster``; empty where it stands alone.
    """

    kind: str
    row: float
    column: float
    length_um: float
    width_um: float
    contrast: float
    angle_deg: float = 0.0
    form: str = ""
    rings: int = 0
    veil_px: float = 0.0
    seed: int = 0
    group: str = ""

    @property
    def artificial(self) -> bool:
        """Whether somebody made it on purpose; only such defects are labelled in masks."""
        return self.kind in ARTIFICIAL_KINDS


@dataclass(frozen=True)
class Patch:
    """The pixels of a defect: grey level = surface x (1 - cover) + light.

    Attributes
    ----------
    top, left : int
        Where its first pixel lies on the sheet; negative where it hangs over the edge.
    light : ndarray of float32, shape (h, w)
        Grey levels added.
    cover : ndarray of float32, shape (h, w), or None
        How much of the surface is hidden, 0 to 1; None where nothing is.
    mask : ndarray of bool, shape (h, w)
        The pixels that an annotator would mark: drawn around the defect by hand, so a little wider than it.
    body : ndarray of bool, shape (h, w)
        The pixels of the defect itself.
    """

    top: int
    left: int
    light: Float32
    cover: Float32 | None
    mask: Bool
    body: Bool

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.top + len(self.light)

    def within(self, height: int | None, width: int) -> Patch:
        """Return the part on a sheet of *height* (None: without end) by *width* pixels."""
        rows = slice(max(0, -self.top), None if height is None else max(0, height - self.top))
        columns = slice(max(0, -self.left), max(0, width - self.left))
        return replace(
            self,
            top=max(0, self.top),
            left=max(0, self.left),
            light=self.light[rows, columns],
            cover=None if self.cover is None else self.cover[rows, columns],
            mask=self.mask[rows, columns],
            body=self.body[rows, columns],
        )


@dataclass(frozen=True)
class Defect:
    """The truth about a defect.

    Attributes
    ----------
    sheet : str
        Name of the sheet or web.
    number : int
        From 1 on each sheet.
    kind, form, rings, group
        As planned; see :class:`DefectPlan`.
    row, column : float
        Centre of its mask in pixels.
    x, y, w, h : int
        Box of its mask in pixels, left and top first.
    area_px : int
        Pixels of its mask.
    components : int
        8-connected parts of its mask.
    length_um, width_um, area_um2 : float
        Length and width as planned, area of the defect itself; its mask is drawn a little wider.
    angle_deg : float
        Direction of its length, 0 across the web.
    contrast : float
        Mean difference to the surface over the defect itself, in grey levels.
    artificial : bool
        Made on purpose.
    labelled : bool
        In the label mask: by the convention of Yan et al. (2023) only what is artificial.
    origin_unknown : bool
        Nobody knows where it comes from.
    """

    sheet: str
    number: int
    kind: str
    form: str
    rings: int
    group: str
    row: float
    column: float
    x: int
    y: int
    w: int
    h: int
    area_px: int
    components: int
    length_um: float
    width_um: float
    area_um2: float
    angle_deg: float
    contrast: float
    artificial: bool
    labelled: bool
    origin_unknown: bool

    def as_dict(self) -> dict[str, Any]:
        """Return one row of the truth table."""
        return asdict(self)


def measured(plan: DefectPlan, patch: Patch, sheet: str, number: int, pixel_size_um: float, level: float) -> Defect:
    """Return the truth about a drawn defect.

    Parameters
    ----------
    plan : DefectPlan
    patch : Patch
        Already cut to its sheet.
    sheet : str
    number : int
    pixel_size_um : float
    level : float
        Mean grey level of the surface, against which what covers it is seen.
    """
    rows, columns = np.nonzero(patch.mask)
    area, body = len(rows), int(patch.body.sum())
    effect = patch.light if patch.cover is None else patch.light - patch.cover * np.float32(level)
    top, left = (int(rows.min()), int(columns.min())) if area else (0, 0)
    bottom, right = (int(rows.max()) + 1, int(columns.max()) + 1) if area else (0, 0)
    return Defect(
        sheet=sheet,
        number=number,
        kind=plan.kind,
        form=plan.form,
        rings=plan.rings,
        group=plan.group,
        row=round(patch.top + float(rows.mean()), 2) if area else plan.row,
        column=round(patch.left + float(columns.mean()), 2) if area else plan.column,
        x=patch.left + left,
        y=patch.top + top,
        w=right - left,
        h=bottom - top,
        area_px=area,
        components=int(label(patch.mask, _EIGHT)[1]),
        length_um=round(plan.length_um, 1),
        width_um=round(plan.width_um, 1),
        area_um2=round(body * pixel_size_um**2, 1),
        angle_deg=round(plan.angle_deg % 180.0, 1),
        contrast=round(float(np.abs(effect[patch.body]).mean()) if body else 0.0, 2),
        artificial=plan.artificial,
        labelled=plan.artificial,
        origin_unknown=not plan.artificial,
    )

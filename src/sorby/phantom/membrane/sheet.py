"""A sheet of electrode: a surface with planned defects, rendered by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.errors import InputError
from sorby.phantom.membrane.defects import Bool, Defect, DefectPlan, Patch, measured
from sorby.phantom.membrane.spots import draw_debris, draw_dent, draw_discoloration, draw_pinhole
from sorby.phantom.membrane.strokes import draw_fibre, draw_scratch, draw_scuff, draw_streak
from sorby.phantom.membrane.surface import Background, Float32, Surface

UInt8 = npt.NDArray[np.uint8]

#: The seed's scans: about 150 micrometres are 4.5 pixels.
PIXEL_SIZE_UM = 34.0

_DRAW: dict[str, Callable[[DefectPlan, float], Patch]] = {
    "scratch": draw_scratch,
    "scuff": draw_scuff,
    "streak": draw_streak,
    "fibre": draw_fibre,
    "dent": draw_dent,
    "debris": draw_debris,
    "discoloration": draw_discoloration,
}


@dataclass(frozen=True)
class SheetSpec(Surface):
    """What a sheet shall be; the fields of :class:`Surface` say how it looks where nothing is wrong.

    Attributes
    ----------
    height_px : int
        Rows, along the web.
    pixel_size_um : float
        Edge of a pixel in micrometres.
    name : str
        Of the sheet: the specimen.
    subset : str
        The set it belongs to, ``scratches`` or ``pinholes``.
    seed : int
        Of its surface; defects have their own.
    defects : tuple of DefectPlan
        In the order in which they are drawn.
    """

    height_px: int = 8172
    pixel_size_um: float = PIXEL_SIZE_UM
    name: str = "sheet"
    subset: str = ""
    seed: int = 0
    defects: tuple[DefectPlan, ...] = ()

    @property
    def surface(self) -> Surface:
        """The surface alone."""
        return Surface(**{field.name: getattr(self, field.name) for field in fields(Surface)})


def draw_defect(plan: DefectPlan, pixel_size_um: float, level: float) -> Patch:
    """Draw one defect.

    Parameters
    ----------
    plan : DefectPlan
    pixel_size_um : float
    level : float
        Mean grey level of the surface.

    Raises
    ------
    InputError
        The kind is unknown.
    """
    if plan.kind == "pinhole":
        return draw_pinhole(plan, pixel_size_um, level)
    if plan.kind not in _DRAW:
        raise InputError(f"defect kind {plan.kind!r} is unknown", f"allowed: pinhole, {', '.join(_DRAW)}")
    return _DRAW[plan.kind](plan, pixel_size_um)


def paint(rows: Float32, first: int, patches: Iterable[Patch]) -> UInt8:
    """Lay patches over rows of a background and round to grey levels.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, width)
        Changed in place.
    first : int
        Number of the first row.
    patches : iterable of Patch
        Cut to the sheet; those that do not reach these rows change nothing.

    Returns
    -------
    ndarray of uint8, shape (n, width)
    """
    for patch in patches:
        begin, end = max(first, patch.top), min(first + len(rows), patch.bottom)
        if begin >= end:
            continue
        there = rows[begin - first : end - first, patch.left : patch.left + patch.light.shape[1]]
        if patch.cover is not None:
            there *= 1 - patch.cover[begin - patch.top : end - patch.top]
        there += patch.light[begin - patch.top : end - patch.top]
    np.clip(np.rint(rows, out=rows), 0, 255, out=rows)
    return rows.astype(np.uint8)


def masked(first: int, last: int, width: int, patches: Iterable[Patch]) -> Bool:
    """Return rows *first* to *last* of the union of the patches' masks, shape (last - first, width)."""
    mask = np.zeros((last - first, width), dtype=bool)
    for patch in patches:
        begin, end = max(first, patch.top), min(last, patch.bottom)
        if begin < end:
            columns = slice(patch.left, patch.left + patch.mask.shape[1])
            mask[begin - first : end - first, columns] |= patch.mask[begin - patch.top : end - patch.top]
    return mask


class Sheet:
    """A sheet that renders any of its rows.

    Parameters
    ----------
    spec : SheetSpec

    Raises
    ------
    InputError
        The sheet has no pixels, or a defect is of no known kind.
    """

    def __init__(self, spec: SheetSpec) -> None:
        if spec.height_px < 1 or spec.width_px < 32 or not spec.pixel_size_um > 0:
            raise InputError(
                f"a sheet of {spec.height_px} x {spec.width_px} pixels of {spec.pixel_size_um} um cannot be rendered",
                "at least one row, 32 columns and a pixel size above 0",
            )
        self.spec = spec
        self._background = Background(spec.surface, spec.seed)

    @property
    def name(self) -> str:
        """The sheet's name."""
        return self.spec.name

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.spec.height_px, self.spec.width_px

    @property
    def label(self) -> str:
        """``defect`` where anything is labelled, otherwise ``good``."""
        return "defect" if any(defect.labelled for defect in self.truth) else "good"

    def renamed(self, name: str) -> Sheet:
        """Return the same sheet under another name."""
        return Sheet(replace(self.spec, name=name))

    @cached_property
    def patches(self) -> tuple[Patch, ...]:
        """The pixels of the defects, cut to the sheet, in the order of the plans."""
        spec = self.spec
        return tuple(
            draw_defect(plan, spec.pixel_size_um, spec.level).within(spec.height_px, spec.width_px)
            for plan in spec.defects
        )

    @cached_property
    def truth(self) -> list[Defect]:
        """Every defect, labelled or not."""
        spec = self.spec
        return [
            measured(plan, patch, spec.name, number, spec.pixel_size_um, spec.level)
            for number, (plan, patch) in enumerate(zip(spec.defects, self.patches, strict=True), start=1)
        ]

    def truth_table(self) -> pd.DataFrame:
        """Return :attr:`truth` as a table, one row a defect."""
        return truth_table(self.truth)

    def rows(self, first: int, last: int) -> UInt8:
        """Return rows *first* to *last* as grey levels.

        Parameters
        ----------
        first, last : int
            Half-open range; the same pixels whichever range they are asked in.

        Returns
        -------
        ndarray of uint8, shape (last - first, width)

        Raises
        ------
        InputError
            The sheet does not have these rows.
        """
        self._check(first, last)
        return paint(self._background.rows(first, last), first, self.patches)

    def mask_rows(self, first: int, last: int, *, unlabelled: bool = False) -> Bool:
        """Return the label mask of rows *first* to *last*.

        Parameters
        ----------
        first, last : int
            Half-open range.
        unlabelled : bool
            Defects that were not made on purpose as well: debris, lint, streaks, discoloration.

        Returns
        -------
        ndarray of bool, shape (last - first, width)
        """
        self._check(first, last)
        plans = zip(self.spec.defects, self.patches, strict=True)
        return masked(first, last, self.spec.width_px, [p for plan, p in plans if unlabelled or plan.artificial])

    def _check(self, first: int, last: int) -> None:
        if not 0 <= first < last <= self.spec.height_px:
            raise InputError(
                f"{self.name}: no rows {first} to {last} in a sheet of {self.spec.height_px}", "first < last <= height"
            )


def truth_table(truth: Sequence[Defect]) -> pd.DataFrame:
    """Return defects as a table with the columns of :class:`Defect`, also where there are none."""
    return pd.DataFrame([defect.as_dict() for defect in truth], columns=[field.name for field in fields(Defect)])

"""A web without end, for the line: strips with defects at known places, a repeating one and a cluster among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from sorby.errors import InputError
from sorby.phantom.membrane.defects import Bool, Defect, DefectPlan, Patch, measured
from sorby.phantom.membrane.sheet import PIXEL_SIZE_UM, UInt8, draw_defect, masked, paint, truth_table
from sorby.phantom.membrane.surface import Background, Surface, keyed

#: Rows in which defects are planned together; no defect reaches further than half of it from its centre.
_CELL = 2048
_LONGEST_PX = 1400


@dataclass(frozen=True)
class WebSpec(Surface):
    """What a web shall be; the fields of :class:`Surface` say how it looks where nothing is wrong.

    Attributes
    ----------
    pixel_size_um : float
        Edge of a pixel in micrometres.
    defects_per_m : float
        Mean number of single defects in a metre of web, at places of chance.
    kinds : tuple of str
        Their kinds, each as likely as the others.
    dirt_per_m : float
        Mean number of specks and fibres in a metre, which the label mask leaves out.
    repeat_period_mm : float
        Distance along the web at which a dent returns: the circumference of the roller that makes it; none where 0.
    repeat_start_mm, repeat_across_mm : float
        Where its first centre lies along and across the web.
    cluster_at_mm : float
        Where along the web the centre of a cluster of pinholes lies; none where negative.
    cluster_across_mm, cluster_radius_mm : float
        Its place across the web, and the deviation of its pinholes from its centre.
    cluster_size : int
        Pinholes in it.
    difficulty : float
        Contrast of all defects is divided by it.
    """

    width_px: int = 4096
    spot_rate: float = 20.0
    pixel_size_um: float = PIXEL_SIZE_UM
    defects_per_m: float = 12.0
    kinds: tuple[str, ...] = ("scratch", "scuff", "pinhole")
    dirt_per_m: float = 10.0
    repeat_period_mm: float = 0.0
    repeat_start_mm: float = 20.0
    repeat_across_mm: float = 40.0
    cluster_at_mm: float = -1.0
    cluster_across_mm: float = 90.0
    cluster_radius_mm: float = 5.0
    cluster_size: int = 12
    difficulty: float = 1.0


class Web:
    """A web that renders any of its rows, however far along.

    Parameters
    ----------
    spec : WebSpec
    seed : int
        Same seed, same pixels.

    Raises
    ------
    InputError
        A rate, a length or the difficulty is out of range.
    """

    def __init__(self, spec: WebSpec, seed: int = 0) -> None:
        if spec.width_px < 256 or not spec.pixel_size_um > 0 or not spec.difficulty > 0:
            raise InputError(
                f"a web of {spec.width_px} columns of {spec.pixel_size_um} um at difficulty {spec.difficulty}",
                "at least 256 columns; pixel size and difficulty above 0",
            )
        if min(spec.defects_per_m, spec.dirt_per_m, spec.repeat_period_mm, spec.cluster_size) < 0 or not spec.kinds:
            raise InputError("rates, period and cluster size of a web must not be negative, and kinds must be named")
        if 0 < spec.repeat_period_mm < 1:
            raise InputError(f"a roller of {spec.repeat_period_mm} mm circumference", "a period of 1 mm or more, or 0")
        self.spec = spec
        self._seed = seed
        self._background = Background(Surface(**{f.name: getattr(spec, f.name) for f in fields(Surface)}), seed)
        self._drawn = lru_cache(maxsize=4)(self._draw)

    def rows(self, first: int, last: int) -> UInt8:
        """Return rows *first* to *last* as grey levels, shape (last - first, width)."""
        return paint(self._background.rows(first, last), first, self._patches(first, last))

    def mask_rows(self, first: int, last: int, *, unlabelled: bool = False) -> Bool:
        """Return the label mask of rows *first* to *last*; with *unlabelled*, of dirt as well."""
        return masked(first, last, self.spec.width_px, self._patches(first, last, labelled_only=not unlabelled))

    def truth(self, last: int, first: int = 0) -> list[Defect]:
        """Return the defects whose planned centre lies in rows *first* to *last*, in that order along the web."""
        found = [
            (plan, patch)
            for cell in range(max(first, 0) // _CELL, max(-(-last // _CELL), 0))
            for plan, patch in self._drawn(cell)
            if first <= plan.row < last
        ]
        found.sort(key=lambda pair: pair[0].row)
        spec = self.spec
        return [
            measured(plan, patch, "web", number, spec.pixel_size_um, spec.level)
            for number, (plan, patch) in enumerate(found, start=1)
        ]

    def truth_table(self, last: int, first: int = 0) -> pd.DataFrame:
        """Return :meth:`truth` as a table, one row a defect."""
        return truth_table(self.truth(last, first))

    def _patches(self, first: int, last: int, *, labelled_only: bool = False) -> list[Patch]:
        cells = range(max(first - _CELL // 2, 0) // _CELL, (last + _CELL // 2) // _CELL + 1)
        return [
            patch
            for cell in cells
            for plan, patch in self._drawn(cell)
            if patch.bottom > first and patch.top < last and (plan.artificial or not labelled_only)
        ]

    def _draw(self, cell: int) -> list[tuple[DefectPlan, Patch]]:
        spec = self.spec
        return [
            (plan, draw_defect(plan, spec.pixel_size_um, spec.level).within(None, spec.width_px))
            for plan in self._plans(cell)
        ]

    def _plans(self, cell: int) -> list[DefectPlan]:
        """Return what is planned with its centre in rows ``cell * _CELL`` and on."""
        rng = keyed(self._seed, 41, cell)
        metres = _CELL * self.spec.pixel_size_um / 1e6
        kinds = rng.choice(self.spec.kinds, int(rng.poisson(self.spec.defects_per_m * metres)))
        dirt = rng.choice(["debris", "fibre"], int(rng.poisson(self.spec.dirt_per_m * metres)))
        single = [self._anywhere(str(kind), cell, rng) for kind in [*kinds, *dirt]]
        return single + self._repeats(cell) + self._cluster(cell)

    def _anywhere(self, kind: str, cell: int, rng: np.random.Generator) -> DefectPlan:
        """Plan a single defect at a place of chance."""
        spec = self.spec
        room = min(spec.width_px, _LONGEST_PX)
        length, width, contrast = {
            "scratch": (room * rng.uniform(0.1, 0.6), rng.uniform(2.4, 5.5), rng.uniform(20.0, 80.0)),
            "scuff": (room * rng.uniform(0.1, 0.3), room * rng.uniform(0.06, 0.2), rng.uniform(25.0, 70.0)),
            "pinhole": (rng.uniform(4.4, 13.0), 0.0, rng.uniform(60.0, 125.0)),
            "dent": (rng.uniform(20.0, 60.0), rng.uniform(15.0, 40.0), rng.uniform(25.0, 60.0)),
            "debris": (rng.uniform(3.0, 11.0), 0.0, rng.uniform(25.0, 90.0)),
            "fibre": (rng.uniform(25.0, 130.0), rng.uniform(1.4, 2.6), rng.uniform(25.0, 90.0)),
            "streak": (room * rng.uniform(0.5, 0.95), rng.uniform(2.0, 3.2), rng.uniform(26.0, 42.0)),
        }.get(kind, (room * rng.uniform(0.3, 0.6), room * rng.uniform(0.2, 0.4), 8.0))
        return DefectPlan(
            kind=kind,
            row=(cell + rng.random()) * _CELL,
            column=rng.random() * spec.width_px,
            length_um=length * spec.pixel_size_um,
            width_um=(width or length) * spec.pixel_size_um,
            contrast=contrast / spec.difficulty,
            angle_deg=rng.uniform(0, 180),
            form="white" if kind == "pinhole" else "",
            rings=int(rng.integers(0, 5)) if kind == "pinhole" else 0,
            seed=int(rng.integers(2**31)),
        )

    def _repeats(self, cell: int) -> list[DefectPlan]:
        """Plan the dents of the roller whose turn ends in this cell: the same particle, so the same shape."""
        spec = self.spec
        if spec.repeat_period_mm <= 0:
            return []
        period = spec.repeat_period_mm * 1e3 / spec.pixel_size_um
        start = spec.repeat_start_mm * 1e3 / spec.pixel_size_um
        first = max(0, int(np.ceil((cell * _CELL - start) / period)))
        turns = range(first, 1 + int(np.floor(((cell + 1) * _CELL - start) / period)))
        plan = DefectPlan(
            kind="dent",
            row=start,
            column=spec.repeat_across_mm * 1e3 / spec.pixel_size_um,
            length_um=1500.0,
            width_um=1000.0,
            contrast=55.0 / spec.difficulty,
            angle_deg=20.0,
            seed=self._seed,
            group="repeat",
        )
        rows = [start + turn * period for turn in turns]
        return [replace(plan, row=row) for row in rows if cell * _CELL <= row < (cell + 1) * _CELL]

    def _cluster(self, cell: int) -> list[DefectPlan]:
        spec = self.spec
        if spec.cluster_at_mm < 0:
            return []
        rng = keyed(self._seed, 42)
        px = 1e3 / spec.pixel_size_um
        offset = spec.cluster_radius_mm * px * rng.standard_normal((spec.cluster_size, 2))
        size = rng.uniform(5.0, 12.0, spec.cluster_size)
        contrast = rng.uniform(60.0, 120.0, spec.cluster_size) / spec.difficulty
        seeds = rng.integers(2**31, size=spec.cluster_size)
        plans = [
            DefectPlan(
                kind="pinhole",
                row=max(spec.cluster_at_mm * px + float(offset[i, 0]), 0.0),
                column=float(np.clip(spec.cluster_across_mm * px + offset[i, 1], 0, spec.width_px - 1)),
                length_um=float(size[i]) * spec.pixel_size_um,
                width_um=float(size[i]) * spec.pixel_size_um,
                contrast=float(contrast[i]),
                form="white",
                seed=int(seeds[i]),
                group="cluster",
            )
            for i in range(spec.cluster_size)
        ]
        return [plan for plan in plans if cell * _CELL <= plan.row < (cell + 1) * _CELL]


def web_strips(spec: WebSpec, seed: int = 0, *, rows: int = 256, strips: int | None = None) -> Iterator[UInt8]:
    """Yield a web strip by strip, as a line camera would.

    Parameters
    ----------
    spec : WebSpec
    seed : int
    rows : int
        Of a strip.
    strips : int, optional
        How many; without end where None.

    Yields
    ------
    ndarray of uint8, shape (rows, width)
        Strip after strip from row 0, without overlap. ``Web(spec, seed).truth(rows * n)`` says what is on the
        first *n* of them.

    Raises
    ------
    InputError
        *rows* is not above 0, or the web cannot be.
    """
    if rows < 1:
        raise InputError(f"strips of {rows} rows", "at least 1")
    web = Web(spec, seed)
    number = 0
    while strips is None or number < strips:
        yield web.rows(number * rows, (number + 1) * rows)
        number += 1

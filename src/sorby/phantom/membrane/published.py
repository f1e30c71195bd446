"""The eight sheets of Yan et al. (2023): four with and without scratches and scuffs, four with pinholes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sorby.errors import InputError
from sorby.phantom.membrane.defects import DefectPlan
from sorby.phantom.membrane.sheet import PIXEL_SIZE_UM, Sheet, SheetSpec

#: Rows and columns of the grid in which one defect each was made.
GRID = (6, 3)
#: Edge of the pinhole set's tiles in pixels.
TILE = 224
#: Smallest cell of the grid in which a scratch still looks like one, in pixels.
_LEAST_CELL = 96
#: A cell at full size, to which lengths are drawn.
_FULL_CELL = 1362

_SCRATCHED = SheetSpec(
    width_px=0, subset="scratches", texture=0.07, clouds=0.036, spot_rate=900.0, spot_strength=26.0, shading=0.07
)
_PINHOLED = SheetSpec(
    width_px=0, subset="pinholes", texture=0.045, clouds=0.015, spot_rate=9.0, spot_strength=14.0, shading=0.05
)


@dataclass(frozen=True)
class _Cell:
    """Part of a sheet in which one defect has its place, in pixels."""

    top: float
    left: float
    height: float
    width: float


def scratch_sheets(seed: int = 0, difficulty: float = 1.0, scale: float = 1.0) -> list[Sheet]:
    """Return the scratch and scuff set: two sheets with 18 defects each in a 6 x 3 grid, two without.

    24 scratches and 12 scuffs lie on ``scratched-1`` (made before a membrane was tacked over them, so seen through
    it) and ``scratched-2`` (made after). ``baseline-1`` has a membrane, ``baseline-2`` has none. Sizes differ a
    little, as published: cells are 1359 to 1365 x 2041 to 2124 pixels.

    Parameters
    ----------
    seed : int
    difficulty : float
        Contrast of the defects is divided by it. At 1 the order of the published scores appears: scratches and
        scuffs are harder to find than pinholes.
    scale : float
        Size of the sheets in relation to 8 x 11 inches. The pixel size stays; defects shrink with their cells.

    Returns
    -------
    list of Sheet
        ``scratched-1``, ``scratched-2``, ``baseline-1``, ``baseline-2``.

    Raises
    ------
    InputError
        The sheets would be too small for their defects, or the difficulty is not above 0.
    """
    _check(difficulty, scale)
    rng = np.random.default_rng([seed, 701])
    sizes = ((1362, 2083), (1365, 2041), (1359, 2124), (1361, 2090))
    kinds = np.array(["scratch"] * 24 + ["scuff"] * 12)
    # As many scuffs on one sheet as on the other.
    kinds = np.concatenate([rng.permutation(kinds[half::2]) for half in range(2)])
    looks = (
        replace(_SCRATCHED, name="scratched-1", membrane=True),
        replace(_SCRATCHED, name="scratched-2", membrane=True, level=86.0, spot_strength=28.0),
        replace(_SCRATCHED, name="baseline-1", membrane=True, level=83.0),
        replace(_SCRATCHED, name="baseline-2", level=88.0),
    )
    sheets = []
    for number, (look, (cell_height, cell_width)) in enumerate(zip(looks, sizes, strict=True)):
        cells = _grid(round(cell_height * scale), round(cell_width * scale), *GRID)
        spec = replace(
            look,
            seed=_state(rng),
            height_px=GRID[0] * round(cell_height * scale),
            width_px=GRID[1] * round(cell_width * scale),
        )
        plans: list[DefectPlan] = []
        if number < 2:
            veil = 0.7 if number == 0 else 0.0
            chosen = kinds[18 * number : 18 * (number + 1)]
            plans = [_rubbed(str(kind), cell, difficulty, veil, rng) for kind, cell in zip(chosen, cells, strict=True)]
            plans += _streaks(plans, spec, rng) if number == 1 else []
        else:
            plans += [_triangle(spec, rng)] if number == 3 else []
        plans += _marks(spec, rng)
        sheets.append(Sheet(replace(spec, defects=tuple(plans + _dirt(spec, 5.0, rng)))))
    return sheets


def pinhole_sheets(seed: int = 0, difficulty: float = 1.0, scale: float = 1.0) -> list[Sheet]:
    """Return the pinhole set: four sheets with nine pinholes each, the smallest about 150 micrometres.

    At full size the sheets fall into 3,924 tiles of 224 pixels, or 4,181 with the cut-off borders, and three of the
    36 pinholes lie across the border of two tiles, so that 39 tiles show one: all as published.

    Parameters
    ----------
    seed, difficulty, scale
        As for :func:`scratch_sheets`.

    Returns
    -------
    list of Sheet
        ``pinholes-1`` to ``pinholes-4``.

    Raises
    ------
    InputError
        The sheets would be too small for their defects, or the difficulty is not above 0.
    """
    _check(difficulty, scale)
    rng = np.random.default_rng([seed, 702])
    sizes = ((8170, 6250), (8156, 6196), (8188, 6264), (8174, 6372))
    # Sizes between 150 and 550 um, most of them small; the smallest is one of those without rings.
    diameters = np.sort(150.0 + 400.0 * rng.beta(1.1, 1.7, 36))
    diameters[0] = 150.0
    order = np.concatenate([[0], 1 + rng.permutation(35)])
    ringed = rng.random(36) < 0.7
    ringed[0] = False
    sheets = []
    for number, (height, width) in enumerate(sizes):
        spec = replace(
            _PINHOLED,
            name=f"pinholes-{number + 1}",
            seed=_state(rng),
            height_px=round(height * scale),
            width_px=round(width * scale),
            membrane=number % 2 == 1,
        )
        # Within whole tiles only: what lies in the cut-off border would be no part of the published set.
        inner = (max(spec.height_px // TILE, 1), max(spec.width_px // TILE, 1))
        cells = _grid(min(inner[0] * TILE, spec.height_px) / 3, min(inner[1] * TILE, spec.width_px) / 3, 3, 3)
        split = int(rng.integers(9)) if number < 3 else -1
        plans = [
            _pricked(float(diameters[i]), bool(ringed[i]), cell, place == split, difficulty, rng)
            for place, (i, cell) in enumerate(zip(order[9 * number : 9 * number + 9], cells, strict=True))
        ]
        sheets.append(Sheet(replace(spec, defects=tuple(plans + _dirt(spec, 3.0, rng)))))
    return sheets


def _check(difficulty: float, scale: float) -> None:
    if not 0 < difficulty < float("inf"):
        raise InputError(f"difficulty {difficulty} is not above 0", "1 is calibrated; 2 halves the contrast")
    least = _LEAST_CELL / _FULL_CELL
    if not least <= scale <= 4:
        raise InputError(
            f"scale {scale} leaves no room for defects or is beyond any sheet", f"allowed: {least:.3f} to 4"
        )


def _state(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _grid(height: float, width: float, rows: int, columns: int) -> list[_Cell]:
    return [_Cell(r * height, c * width, height, width) for r in range(rows) for c in range(columns)]


def _rubbed(kind: str, cell: _Cell, difficulty: float, veil_px: float, rng: np.random.Generator) -> DefectPlan:
    """Plan a scratch or a scuff that lies wholly in its cell."""
    room = min(cell.height, cell.width)
    row = cell.top + cell.height * rng.uniform(0.42, 0.58)
    column = cell.left + cell.width * rng.uniform(0.42, 0.58)
    # Faint to clear, evenly on the eye's logarithmic scale.
    faintness = rng.uniform(0.0, 1.0)
    if kind == "scratch":
        contrast = float(np.exp(np.log(24.0) + faintness * np.log(110.0 / 24.0)))
        length, width = room * rng.uniform(0.3, 0.7), rng.uniform(4.5, 9.0)
    else:
        contrast = float(np.exp(np.log(26.0) + faintness * np.log(85.0 / 26.0)))
        length = room * rng.uniform(0.26, 0.48)
        width = length * rng.uniform(0.4, 0.85)
    return DefectPlan(
        kind=kind,
        row=row,
        column=column,
        length_um=length * PIXEL_SIZE_UM,
        width_um=width * PIXEL_SIZE_UM,
        contrast=contrast / difficulty,
        angle_deg=rng.uniform(0, 180),
        veil_px=veil_px,
        seed=_state(rng),
    )


def _pricked(
    diameter_um: float, ringed: bool, cell: _Cell, split: bool, difficulty: float, rng: np.random.Generator
) -> DefectPlan:
    """Plan a pinhole; *split* ones lie across the border of two tiles, others clear of any."""
    row = cell.top + cell.height * rng.uniform(0.15, 0.85)
    column = cell.left + cell.width * rng.uniform(0.15, 0.85)
    reach = 0.75 * diameter_um / PIXEL_SIZE_UM + 6.0
    row = _clear_of_borders(row, reach)
    column = round(column / TILE) * TILE - 0.5 if split else _clear_of_borders(column, reach)
    # The finest needle leaves no burr wide enough to be seen as a border.
    rimmed = diameter_um > 260.0 and rng.random() < 0.6
    return DefectPlan(
        kind="pinhole",
        row=row,
        column=column,
        length_um=diameter_um,
        width_um=diameter_um,
        contrast=rng.uniform(125.0, 165.0) * (1.0 if ringed else 0.85) / difficulty,
        form="rimmed" if rimmed else "white",
        rings=int(rng.integers(2, 6)) if ringed else 0,
        seed=_state(rng),
    )


def _clear_of_borders(place: float, reach: float) -> float:
    """Return *place* moved away from the nearest border of tiles until *reach* is free."""
    tile = np.floor(place / TILE) * TILE
    return float(np.clip(place, tile + reach, tile + TILE - 1 - reach))


def _dirt(spec: SheetSpec, per_10_mpx: float, rng: np.random.Generator) -> list[DefectPlan]:
    """Plan specks and lint, in proportion to the sheet's area and clear of the defects that are there on purpose."""
    mpx = spec.height_px * spec.width_px / 1e6
    plans = []
    for kind in ("debris", "fibre"):
        for _ in range(int(rng.poisson(0.05 * per_10_mpx * mpx))):
            speck = kind == "debris"
            length = rng.uniform(3.0, 11.0) if speck else rng.uniform(25.0, 130.0)
            width = length if speck else rng.uniform(1.4, 2.6)
            plans.append(
                DefectPlan(
                    kind=kind,
                    row=rng.uniform(0, spec.height_px),
                    column=rng.uniform(0, spec.width_px),
                    length_um=length * spec.pixel_size_um,
                    width_um=width * spec.pixel_size_um,
                    contrast=rng.uniform(25.0, 90.0),
                    angle_deg=rng.uniform(0, 180),
                    seed=_state(rng),
                )
            )
    return plans


def _marks(spec: SheetSpec, rng: np.random.Generator) -> list[DefectPlan]:
    """Plan marks of unknown origin, clean sheets not spared: they look like scratches, and nobody made them."""
    cell = spec.height_px / GRID[0]
    return [
        DefectPlan(
            kind="streak",
            row=rng.uniform(0, spec.height_px),
            column=rng.uniform(0, spec.width_px),
            length_um=cell * rng.uniform(0.05, 0.3) * spec.pixel_size_um,
            width_um=rng.uniform(2.5, 6.0) * spec.pixel_size_um,
            contrast=rng.uniform(20.0, 60.0),
            angle_deg=rng.uniform(0, 180),
            veil_px=0.7 if spec.membrane else 0.0,
            seed=_state(rng),
        )
        for _ in range(int(rng.poisson(5.0)))
    ]


def _streaks(plans: list[DefectPlan], spec: SheetSpec, rng: np.random.Generator) -> list[DefectPlan]:
    """Plan two long curved streaks beside a scuff, perhaps made by accident when the scuff was made."""
    scuff = next(plan for plan in plans if plan.kind == "scuff")
    length_px = 0.14 * spec.height_px
    return [
        DefectPlan(
            kind="streak",
            row=scuff.row + (0.45 + 0.2 * number) * scuff.length_um / spec.pixel_size_um,
            column=scuff.column,
            length_um=length_px * spec.pixel_size_um * rng.uniform(0.8, 1.2),
            width_um=rng.uniform(2.0, 3.2) * spec.pixel_size_um,
            contrast=rng.uniform(26.0, 42.0),
            angle_deg=rng.uniform(10, 40),
            seed=_state(rng),
        )
        for number in range(2)
    ]


def _triangle(spec: SheetSpec, rng: np.random.Generator) -> DefectPlan:
    """Plan a triangle of lighter tone towards the lower right corner."""
    return DefectPlan(
        kind="discoloration",
        row=0.86 * spec.height_px,
        column=0.82 * spec.width_px,
        length_um=0.13 * spec.height_px * spec.pixel_size_um,
        width_um=0.09 * spec.height_px * spec.pixel_size_um,
        contrast=8.0,
        angle_deg=rng.uniform(0, 180),
        seed=_state(rng),
    )

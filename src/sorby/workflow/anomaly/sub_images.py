"""Sheets cut into the sub-images that a protocol looks at, each with its mask and the defect it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.views import Boxes, ViewStack
from sorby.backbone.preprocessing import Uint8Image
from sorby.errors import InputError
from sorby.evidence.defect_regions import label_regions
from sorby.micrograph import Tiler, read, to_grey, to_rgb, to_uint8
from sorby.progress import bar
from sorby.workflow.anomaly.masks import in_views, read_mask
from sorby.workflow.anomaly.sheets import ScannedSheet

BoolArray = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Treatment = Callable[[Uint8Image], Uint8Image]

#: Rows and columns of the grid in which one defect each was made (Yan et al. 2023).
CELLS = (6, 3)


@dataclass(frozen=True, eq=False)
class SubImages:
    """Sub-images of several sheets, prepared for the network.

    Attributes
    ----------
    pixels : ndarray of uint8, (n, H, W, C)
    masks : list of ndarray of bool (H, W), or None
        None where nothing is labelled.
    boxes : ndarray of int, (n, 4)
        ``top, left, bottom, right`` in pixels of the sheet.
    sheet : ndarray of int, (n,)
        Which of *sheets*.
    groups : list of str
        What must stay together when images are resampled: on a grid the cell that holds one defect, on tiles the
        hole that a tile shows part of, otherwise the sub-image itself.
    sheets : tuple of ScannedSheet
    """

    pixels: Uint8Image
    masks: list[BoolArray | None]
    boxes: Boxes
    sheet: Rows
    groups: list[str]
    sheets: tuple[ScannedSheet, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def bad(self) -> BoolArray:
        """Which show a labelled defect, (n,)."""
        return np.array([mask is not None for mask in self.masks], bool)

    @property
    def of_defective_sheet(self) -> BoolArray:
        """Which belong to a sheet with defects, (n,)."""
        return np.array([self.sheets[k].defective for k in self.sheet], bool)

    def name(self, row: int) -> str:
        """Return a name for people: the sheet and the upper left pixel."""
        top, left = self.boxes[row, :2].tolist()
        return f"{self.sheets[self.sheet[row]].name} ({top}, {left})"


def cut(
    sheets: Sequence[ScannedSheet],
    recipe: AnomalyRecipe,
    *,
    border: bool = False,
    treatment: Treatment | None = None,
) -> SubImages:
    """Cut sheets as the recipe's views say.

    Parameters
    ----------
    sheets : sequence of ScannedSheet
    recipe : AnomalyRecipe
        ``views.kind`` grid, or tiles without overlap; its ``image`` section prepares each sub-image.
    border : bool
        Tiles: also those that reach over the cropped border, shifted inwards. The published set crops each side to a
        multiple of the tile.
    treatment : callable, optional
        What is done to the whole sheet (uint8) before it is cut.

    Raises
    ------
    InputError, ImageError
        No sheets, another kind of views, or a sheet or mask that cannot be read or does not fit.
    """
    if not sheets:
        raise InputError("no sheets to cut", "a table of sheets with columns path, label, mask (and set)")
    if recipe.views.kind == "whole" or recipe.views.overlap_px:
        raise InputError("views: a protocol takes a grid, or tiles without overlap", "views.kind=grid or tiles")
    parts = []
    with bar("cutting sheets", len(sheets)) as advance:
        for sheet in sheets:
            parts.append(_cut_sheet(sheet, recipe, border, treatment))
            advance(1)
    return SubImages(
        pixels=np.concatenate([stack.pixels for stack, _, _ in parts]),
        masks=[mask for _, masks, _ in parts for mask in masks],
        boxes=np.concatenate([stack.boxes for stack, _, _ in parts]),
        sheet=np.repeat(np.arange(len(sheets)), [len(stack.boxes) for stack, _, _ in parts]),
        groups=[group for _, _, groups in parts for group in groups],
        sheets=tuple(sheets),
    )


def _cut_sheet(
    sheet: ScannedSheet, recipe: AnomalyRecipe, border: bool, treatment: Treatment | None
) -> tuple[ViewStack, list[BoolArray | None], list[str]]:
    image, views = recipe.image, recipe.views
    micrograph = read(sheet.path)
    byte = to_uint8(micrograph.pixels, rule=image.intensity, low=image.low, high=image.high)
    byte = to_grey(byte) if image.colour == "grey" else to_rgb(byte)
    if treatment is not None:
        byte = treatment(byte)
    height, width = byte.shape[:2]
    if views.kind == "tiles" and not border:
        tile = views.tile_px
        boxes = Tiler.fixed_pixels(tile, tile, edge="drop").plan(height, width).boxes
        if not len(boxes):
            raise InputError(
                f"{sheet.path}: {width} x {height} px hold no tile of {tile} px", "a smaller views.tile_px"
            )
    else:
        boxes = views.boxes(height, width)
    pixels = np.stack([image.prepare(byte[top:bottom, left:right]) for top, left, bottom, right in boxes.tolist()])
    stack = ViewStack(pixels, boxes, (height, width), micrograph.scale.pixel_size_um)
    mask = read_mask(sheet.mask, (height, width)) if sheet.defective and sheet.mask is not None else None
    masks: list[BoolArray | None] = [None] * len(boxes)
    if mask is not None:
        found = in_views(mask, stack, (image.height, image.width))
        masks = [each if each.any() else None for each in found]
    return stack, masks, _groups(sheet.name, boxes, mask, recipe)


def _groups(name: str, boxes: Boxes, mask: BoolArray | None, recipe: AnomalyRecipe) -> list[str]:
    views = recipe.views
    number = np.arange(len(boxes))
    if views.kind == "grid":
        row, column = number // views.columns, number % views.columns
        cells = zip((row * CELLS[0] // views.rows).tolist(), (column * CELLS[1] // views.columns).tolist(), strict=True)
        return [f"{name}: cell {r}, {c}" for r, c in cells]
    if mask is None:
        return [f"{name}: tile {k}" for k in number.tolist()]
    return [f"{name}: tile {k}" if hole < 0 else f"{name}: hole {hole}" for k, hole in enumerate(_holes(boxes, mask))]


def _holes(boxes: Boxes, mask: BoolArray) -> list[int]:
    """Return the number of the hole that each tile shows, -1 without one; tiles of one hole share it."""
    labels, count = label_regions(mask)
    shown = [np.unique(labels[top:bottom, left:right]) for top, left, bottom, right in boxes.tolist()]
    tiles = np.repeat(np.arange(len(boxes)), [np.count_nonzero(each) for each in shown])
    regions = np.concatenate([each[each > 0] for each in shown])
    nodes = len(boxes) + count
    edges = coo_array((np.ones(len(tiles)), (tiles, len(boxes) + regions - 1)), shape=(nodes, nodes))
    together = connected_components(edges, directed=False)[1][: len(boxes)]
    return [int(hole) if np.count_nonzero(each) else -1 for hole, each in zip(together, shown, strict=True)]

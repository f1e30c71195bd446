"""A plate judged tile by tile: cut at the taught scale, graded, stitched; what has no grade is told why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.backbone.runtime import run
from sorby.bundle import OpenBundle
from sorby.classify import Classifier, Verdicts
from sorby.errors import ImageError, InputError
from sorby.measure.plate_map import PlateMap, map_of_tiles
from sorby.measure.plate_reading import FIELD_SLACK, TaughtScale, in_eight_bits, outline, scale_doubts, tiles_over
from sorby.measure.surface_texture import SurfaceTexture, pooled_texture, surface_texture
from sorby.micrograph import Micrograph
from sorby.micrograph.tiling import TilePlan
from sorby.progress import bar

LEAST_PLATE = 0.5  # of a tile: with less plate in it, it is none


@dataclass(frozen=True)
class PlateOptions:
    """How a plate is judged.

    Attributes
    ----------
    tile_um : float, optional
        Width of a tile; the field that the taught pictures showed where None.
    overlap : float
        Share of a tile that its neighbour shows too, 0 to below 1.
    widest_set : int
        Neighbouring grades that the conformal set of a tile may hold; wider, the tile is not judged.
    whole : bool
        All of the picture shows the plate.
    seed : int
        Of the interval.
    """

    tile_um: float | None = None
    overlap: float = 0.0
    widest_set: int = 2
    whole: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class MeasuredPlate:
    """A plate with what was found on it.

    Attributes
    ----------
    micrograph : Micrograph
    eight_bit : ndarray of uint8, shape (H, W) or (H, W, 3)
    plan : TilePlan
    shown : ndarray, shape (N,)
        Part of each tile that shows the plate.
    verdicts : Verdicts
        Of the tiles on the plate, in order.
    reasons : list of str
        Of each tile why it is not judged; empty where it is.
    textures : list of SurfaceTexture or None
        Of each tile on the plate.
    map : PlateMap
    texture : SurfaceTexture
        Of the whole plate, from its tiles.
    outline_from : str
    notes : list of str
    """

    micrograph: Micrograph
    eight_bit: npt.NDArray[np.uint8]
    plan: TilePlan
    shown: npt.NDArray[np.float64]
    verdicts: Verdicts
    reasons: list[str]
    textures: list[SurfaceTexture | None]
    map: PlateMap
    texture: SurfaceTexture
    outline_from: str
    notes: list[str]


def taught_scale(classifier: Classifier, opened: OpenBundle, tile_um: float | None) -> TaughtScale:
    """Return the scale at which tiles are cut: that of the taught pictures.

    Raises
    ------
    InputError
        Nobody states the field of the taught pictures, or *tile_um* is another one.
    """
    rule, data = classifier.preprocessing, opened.description.training_data
    sizes = classifier.judge.pixel_sizes_um
    stated = None if data is None else data.model_dump().get("fields_um")
    if rule.sizing == "mirror" and sizes is not None:
        field = (rule.height * sizes[0], rule.width * sizes[0])
    elif isinstance(stated, dict):
        field = (float(stated["height"]["median"]), float(stated["width"]["median"]))
    elif tile_um is None:
        raise InputError(
            "the bundle does not say how large a surface its pictures showed: they stated no pixel size",
            "give it as --tile-um, or teach from pictures with a scale",
        )
    else:
        field = (tile_um * rule.height / rule.width, tile_um)
    if tile_um is not None:
        off = max(tile_um / field[1], field[1] / tile_um)
        if off > FIELD_SLACK:
            raise InputError(
                f"tiles of {tile_um:g} um: the taught pictures showed {field[1]:.0f} um, so structures would reach the"
                f" network {off:.1f} times too large or too small",
                f"leave --tile-um out, or stay within {field[1] / FIELD_SLACK:.0f} to {field[1] * FIELD_SLACK:.0f} um",
            )
        field = (field[0] * tile_um / field[1], tile_um)
    return TaughtScale(field, field[1] / rule.width, None if sizes is None else sizes[0])


def judged_plate(
    micrograph: Micrograph,
    classifier: Classifier,
    grades: npt.NDArray[np.int64],
    taught: TaughtScale,
    options: PlateOptions,
) -> MeasuredPlate:
    """Judge every tile of a plate and stitch the map.

    Parameters
    ----------
    micrograph : Micrograph
        With a scale.
    classifier : Classifier
    grades : ndarray of int, shape (C,)
    taught : TaughtScale
    options : PlateOptions

    Raises
    ------
    ImageError
        Its scale is another one, it is smaller than a tile, or nothing of it shows a plate.
    """
    um = micrograph.scale.pixel_size_um
    path = micrograph.path or Path("plate")
    assert um is not None, "plates without a scale are refused when they are read"
    notes = [*micrograph.notes, *scale_doubts(path, um, taught)]
    plan = tiles_over(path, micrograph.pixels.shape[:2], um, taught.field_um, options.overlap)
    rule = classifier.preprocessing
    plate, how = in_eight_bits(micrograph.pixels, rule.intensity, rule.low, rule.high)
    notes += [how] if how else []
    mask, outline_from = outline(micrograph.path, plate, whole=options.whole)
    shown = _shown(plan, mask)
    on_plate = np.flatnonzero(shown >= LEAST_PLATE)
    if not len(on_plate):
        raise ImageError(f"{path}: no tile shows the plate for half of its area", "draw a region file, or use --whole")
    verdicts = _judge(classifier, plate, plan, on_plate)
    reasons = [""] * len(plan)
    probabilities = np.zeros((len(plan), len(grades)))
    probabilities[on_plate] = verdicts.probabilities
    for k in np.flatnonzero(shown < LEAST_PLATE):
        reasons[k] = "beyond-plate"
    for k, why in zip(on_plate, not_judged(verdicts, grades, options.widest_set), strict=True):
        reasons[k] = why
    judged = np.array([not why for why in reasons])
    textures: list[SurfaceTexture | None] = [None] * len(plan)
    for k in on_plate:
        textures[k] = _texture(plan.cut(plate, int(k)), um)
    whole = pooled_texture([each for each in textures if each is not None])
    return MeasuredPlate(
        micrograph, plate, plan, shown, verdicts, reasons, textures,
        map_of_tiles(plan, probabilities, judged, mask), whole, outline_from, notes,
    )  # fmt: skip


def not_judged(verdicts: Verdicts, grades: npt.NDArray[np.int64], widest_set: int) -> list[str]:
    """Say of each tile why it has no grade; empty where it has one.

    A set of two neighbouring grades is an answer: the tile lies between them. What is unlike everything taught, fits no
    grade, or may be almost any, is none.

    Parameters
    ----------
    verdicts : Verdicts
    grades : ndarray of int, shape (C,)
    widest_set : int
    """
    inside = verdicts.sets
    low = np.where(inside, grades, np.iinfo(np.int64).max).min(axis=1)
    high = np.where(inside, grades, np.iinfo(np.int64).min).max(axis=1)
    found = []
    for k, reasons in enumerate(verdicts.reasons):
        if "novel" in reasons:
            found.append("novel")
        elif not inside[k].any():
            found.append("set-empty")
        else:
            found.append("set-wide" if high[k] - low[k] + 1 > widest_set else "")
    return found


def _judge(
    classifier: Classifier, plate: npt.NDArray[np.uint8], plan: TilePlan, chosen: npt.NDArray[np.intp]
) -> Verdicts:
    """Return verdicts on tiles; a tile is a picture without bar or border, brought to the network's size."""
    rule = classifier.preprocessing.model_copy(update={"sizing": "resize", "region": "whole", "info_bar": "keep"})
    runtime = classifier.runtime()
    features = []
    with bar("tiles", len(chosen)) as advance:
        for first in range(0, len(chosen), runtime.batch_size):
            part = chosen[first : first + runtime.batch_size]
            features.append(run(runtime, np.stack([rule.prepare(plan.cut(plate, int(k))) for k in part]))[1])
            advance(len(part))
    return classifier.judge_features(np.concatenate(features))


def _shown(plan: TilePlan, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the part of each tile that shows the plate, from a mask at a reduced size."""
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    np.cumsum(np.cumsum(mask, axis=0), axis=1, out=table[1:, 1:])
    scale = np.array([mask.shape[0] / plan.image[0], mask.shape[1] / plan.image[1]] * 2)
    top, left, bottom, right = np.rint(plan.boxes * scale).astype(int).T
    bottom, right = np.maximum(bottom, top + 1), np.maximum(right, left + 1)
    total = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    return np.asarray(total / ((bottom - top) * (right - left)))


def _texture(tile: npt.NDArray[np.uint8], pixel_size_um: float) -> SurfaceTexture | None:
    try:
        return surface_texture(tile, pixel_size_um)
    except InputError:  # a tile of few pixels has verdicts but no texture; the table leaves it empty
        return None

"""Pictures of defects: a surface, what happened to it, the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from sorby.errors import InputError
from sorby.phantom.defects.blobs import (
    draw_chip,
    draw_debris,
    draw_dent,
    draw_hole,
    draw_inclusion,
    draw_patch,
    draw_pinhole,
    draw_stain,
)
from sorby.phantom.defects.drawing import between
from sorby.phantom.defects.grounds import TEXTURES, Ground, draw_ground
from sorby.phantom.defects.picture import KINDS, Bool, DefectPicture, Float32, Mark, UInt8
from sorby.phantom.defects.regions import draw_crazing, draw_pitting, draw_rolled_in_scale
from sorby.phantom.defects.strokes import draw_crack, draw_fibre, draw_scratch, draw_scuff
from sorby.phantom.defects.web import draw_web, draw_web_mark

_DRAW: dict[str, Callable[[Ground, np.random.Generator], Mark | None]] = {
    "scratch": draw_scratch,
    "inclusion": draw_inclusion,
    "patch": draw_patch,
    "pitting": draw_pitting,
    "rolled_in_scale": draw_rolled_in_scale,
    "crazing": draw_crazing,
    "pinhole": draw_pinhole,
    "scuff": draw_scuff,
    "dent": draw_dent,
    "crack": draw_crack,
    "chip": draw_chip,
    "stain": draw_stain,
    "hole": draw_hole,
    "fibre": draw_fibre,
    "debris": draw_debris,
}
#: Most marks of a kind that a picture begins with.
_MOST = {"pitting": 2, "crazing": 3, "rolled_in_scale": 5, "patch": 6, "scuff": 3, "chip": 3, "stain": 3}
#: Kinds at home on a family; any other kind may come to it too, but less often.
_AT_HOME: dict[str, tuple[str, ...]] = {
    "steel": ("scratch", "inclusion", "patch", "pitting", "rolled_in_scale", "crazing"),
    "tile": ("hole", "crack", "chip", "stain", "scratch", "dent"),
    "spectrum": KINDS,
    "web": ("scratch", "scuff", "pinhole", "dent", "debris", "fibre"),
}
#: What befalls a texture more than others.
_TYPICAL: dict[str, tuple[str, ...]] = {
    "grainy": ("crazing", "patch"),
    "brushed": ("rolled_in_scale",),
    "smooth": ("inclusion", "scratch"),
    "glaring": ("patch",),
    "bright": ("pitting", "inclusion"),
}
FAMILIES = (*TEXTURES, "web")
#: Shares of the families in a set.
_SHARES = {"steel": 0.45, "tile": 0.17, "spectrum": 0.2, "web": 0.18}
#: Share of pictures on which nothing happened.
EMPTY = 0.12
#: No picture is overexposed beyond this mean grey level.
_WHITE = 238.0
#: Most marks on a picture.
MOST_MARKS = 8
#: How often a place and a look is sought for a mark.
_ATTEMPTS = 3
#: Least side of a box in pixels.
_LEAST_BOX = 3
#: Least side of a picture in pixels.
LEAST_SIDE = 48


def render(
    seed: int | Sequence[int], *, size: tuple[int, int] = (224, 224), family: str | None = None
) -> DefectPicture:
    """Draw one picture.

    Parameters
    ----------
    seed : int or sequence of int
        Same seed, same picture.
    size : tuple of int
        Height and width in pixels, at least 48 each.
    family : str, optional
        Of the surface, one of :data:`FAMILIES`; by chance where None.

    Returns
    -------
    DefectPicture
        With no box at all on about one picture in eight.

    Raises
    ------
    InputError
        The family is unknown, or the picture too small.
    """
    check_request(size, family)
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    chosen = family or str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    zoom = _zoom(chosen, rng)
    # Seen closer, fewer pixels are drawn, and enlarged as a lens or a crop would.
    shape = (max(LEAST_SIDE, round(size[0] / zoom)), max(LEAST_SIDE, round(size[1] / zoom)))
    ground = draw_web(shape, rng) if chosen == "web" else draw_ground(chosen, shape, rng)
    marks = _marks(ground, rng)
    return _photographed(ground, marks, size, rng)


def defect_set(
    n: int, seed: int = 0, *, size: tuple[int, int] = (224, 224), family: str | None = None
) -> Iterator[DefectPicture]:
    """Yield *n* pictures; the first of a longer set are those of a shorter one.

    Parameters
    ----------
    n : int
    seed : int
    size, family
        See :func:`render`.

    Raises
    ------
    InputError
        As :func:`render`; *n* is below 0.
    """
    if n < 0:
        raise InputError(f"{n} pictures cannot be drawn", "0 or more")
    for number in range(n):
        yield render((seed, number), size=size, family=family)


def check_request(size: tuple[int, int], family: str | None) -> None:
    """Refuse what cannot be drawn.

    Raises
    ------
    InputError
        The family is unknown, or the picture too small.
    """
    if family is not None and family not in FAMILIES:
        raise InputError(f"family of surfaces {family!r} is unknown", f"allowed: {', '.join(FAMILIES)}")
    if min(size) < LEAST_SIDE:
        raise InputError(f"pictures of {size[1]} x {size[0]} pixels", f"at least {LEAST_SIDE} each way")


def _zoom(family: str, rng: np.random.Generator) -> float:
    """Return how much closer than usual the camera is: crops of a web are enlarged as a rule, strip seldom."""
    closer, most = (0.6, 3.6) if family == "web" else (0.2, 2.2)
    return between(rng, 1.1, most) if rng.random() < closer else 1.0


def _marks(ground: Ground, rng: np.random.Generator) -> list[Mark]:
    """Draw what happened: several marks of one kind, perhaps a few of others, none too much over another."""
    if rng.random() < EMPTY:
        return []
    home, chance = _AT_HOME[ground.family], rng.random()
    kinds = _TYPICAL.get(ground.texture, home) if chance < 0.4 else home if chance < 0.75 else KINDS
    first = str(rng.choice(kinds))
    wanted = [first] * int(min(1 + rng.poisson(1.3), _MOST.get(first, MOST_MARKS)))
    if rng.random() < 0.35:
        wanted += [str(kind) for kind in rng.choice(KINDS, int(rng.integers(1, 4)))]
    marks: list[Mark] = []
    for kind in wanted[:MOST_MARKS]:
        for _ in range(_ATTEMPTS):
            mark = _one(kind, ground, rng)
            if mark is not None and visible(mark, ground) and not _crowded(mark, marks):
                marks.append(mark)
                break
    for kind in () if marks else (first, "scratch", "patch", "hole"):
        # Something was to happen, and all of it fell outside or cannot be seen.
        mark = _one(kind, ground, rng)
        if mark is not None and visible(mark, ground):
            return [mark]
    return marks


def _one(kind: str, ground: Ground, rng: np.random.Generator) -> Mark | None:
    if ground.family == "web" and kind in _AT_HOME["web"] and rng.random() < 0.8:
        return draw_web_mark(kind, ground, rng)
    return _DRAW[kind](ground, rng)


def _crowded(mark: Mark, others: list[Mark]) -> bool:
    """Return whether a box lies over another so far that one could be taken for the other."""
    left, top, right, bottom = mark.box
    area = (right - left) * (bottom - top)
    for other in others:
        x0, y0, x1, y1 = other.box
        shared = max(0, min(right, x1) - max(left, x0)) * max(0, min(bottom, y1) - max(top, y0))
        smaller, larger = sorted((area, (x1 - x0) * (y1 - y0)))
        # A small mark may lie within a large region of another kind, not within a mark of like size or kind.
        if shared > 0.25 * smaller and (mark.kind == other.kind or smaller > 0.1 * larger):
            return True
    return False


def _laid(field: Float32, marks: list[Mark]) -> Float32:
    out = field.copy()
    for mark in marks:
        out[mark.place()] += mark.delta
    return out


def visible(mark: Mark, ground: Ground) -> bool:
    """Return whether a mark can be seen when the film has clipped: what cannot be seen is not drawn at all."""
    below = ground.field[mark.place()]
    change = np.abs(np.clip(below + mark.delta, 0, 255) - np.clip(below, 0, 255))[mark.body]
    left, top, right, bottom = mark.box
    if min(right - left, bottom - top) < _LEAST_BOX:
        return False  # only its tip reaches into the picture
    return bool(change.mean() >= max(4.5, 0.55 * ground.grain) and (change > 2).mean() > 0.5)


def _photographed(ground: Ground, marks: list[Mark], size: tuple[int, int], rng: np.random.Generator) -> DefectPicture:
    """Expose, enlarge and digitise the surface with and without its marks."""
    shape = ground.field.shape
    gain = between(rng, 0.75, 1.3) if rng.random() < 0.4 else 1.0
    gain = min(gain, _WHITE / float(ground.field.mean()))
    blur = rng.uniform(0.4, 1.1) if rng.random() < 0.25 else 0.0
    noise = between(rng, 0.5, 3.0) if rng.random() < 0.5 else 0.3
    grit = np.float32(noise) * rng.standard_normal(size, dtype=np.float32)

    def exposed(field: Float32) -> UInt8:
        film = gaussian_filter(field, blur) if blur else field
        film = np.clip(film * np.float32(gain), 0, 300)
        if film.shape != size:
            film = np.asarray(Image.fromarray(film).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        return np.asarray(np.clip(np.rint(film + grit), 0, 255), dtype=np.uint8)

    clean = exposed(ground.field)
    pixels = exposed(_laid(ground.field, marks)) if marks else clean.copy()
    masks = np.zeros((len(marks), *size), dtype=bool)
    for mask, mark in zip(masks, marks, strict=True):
        mask[:] = _enlarged(mark, (shape[0], shape[1]), size)
    return DefectPicture(
        pixels=pixels,
        boxes=bounds(masks),
        labels=tuple(mark.kind for mark in marks),
        masks=masks,
        clean=clean,
        family=ground.family,
        texture=ground.texture,
        grain=ground.grain * gain,
    )


def _enlarged(mark: Mark, shape: tuple[int, int], size: tuple[int, int]) -> Bool:
    whole = np.zeros(shape, dtype=np.uint8)
    whole[mark.place()] = mark.mask
    if shape == size:
        return whole > 0
    image = Image.fromarray(whole * np.uint8(255)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image) > 127


def bounds(masks: Bool) -> Float32:
    """Return the boxes of masks, shape (n, 4): left, top, right, bottom, the latter two outside.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, h, w)
        None empty.
    """
    height, width = masks.shape[1:]
    rows, columns = np.asarray(masks.any(axis=2)), np.asarray(masks.any(axis=1))
    return np.stack(
        [
            columns.argmax(axis=1),
            rows.argmax(axis=1),
            width - columns[:, ::-1].argmax(axis=1),
            height - rows[:, ::-1].argmax(axis=1),
        ],
        axis=1,
    ).astype(np.float32)

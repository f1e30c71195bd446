"""Originals as a recipe wants them, and a line that says so where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sorby.errors import InputError
from sorby.micrograph import Pixels, resize, to_grey, to_uint8
from sorby.synthesize.recipe import SynthesisRecipe
from sorby.synthesize.windows import Grey


def as_original(pixels: Pixels, recipe: SynthesisRecipe) -> Grey:
    """Return a picture in grey with the recipe's shorter edge; its proportions stay.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, C)
    recipe : SynthesisRecipe

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The shorter of h and w is ``recipe.image.shorter_edge_px``.
    """
    grey = to_grey(to_uint8(pixels))
    height, width = grey.shape[:2]
    factor = recipe.image.shorter_edge_px / min(height, width)
    size = (round(height * factor), round(width * factor))
    found: Grey = grey if size == (height, width) else resize(grey, size)
    return found


def checked_originals(
    images: Mapping[str, Sequence[Grey]], names: Mapping[str, Sequence[str]], recipe: SynthesisRecipe
) -> dict[str, list[Grey]]:
    """Return the originals of each class as lists.

    Raises
    ------
    InputError
        There are none, names are missing, a picture is smaller than the images to generate, no sequence is long
        enough, or stills came where sequences are needed.
    """
    if not images:
        raise InputError("no originals to teach a generator from", "give images of at least one class")
    for label, originals in images.items():
        if not len(originals):
            raise InputError(f"class {label} has no originals", "leave it out or add images")
        if len(names.get(label, ())) != len(originals):
            raise InputError(
                f"class {label}: {len(originals)} originals and {len(names.get(label, ()))} names",
                "name the specimen or image of each",
            )
        for name, original in zip(names[label], originals, strict=True):
            check_original(np.asarray(original), str(name), recipe)
    return {label: [np.asarray(original) for original in originals] for label, originals in images.items()}


def check_original(original: Grey, name: str, recipe: SynthesisRecipe, *, to_come: int = 1) -> None:
    """Refuse a picture or sequence that the recipe cannot take; a sequence needs *to_come* frames after those shown.

    Raises
    ------
    InputError
    """
    wanted = 3 if recipe.needs_sequences else 2
    if original.ndim != wanted or original.dtype != np.uint8:
        what = "sequences (frames, H, W)" if recipe.needs_sequences else "stills (H, W)"
        raise InputError(
            f"{name}: {recipe.method} takes {what} of 8-bit grey, not {original.dtype} of shape {original.shape}",
            "time-lapse frames for gan-frames, stills for every other recipe",
        )
    if min(original.shape[-2:]) < recipe.image.size_px:
        raise InputError(
            f"{name}: {original.shape[-1]} x {original.shape[-2]} px, smaller than images of {recipe.image.size_px} px",
            f"bring it to a shorter edge of {recipe.image.shorter_edge_px} px or --set image.size_px=...",
        )
    least = recipe.condition.frames + to_come
    if recipe.needs_sequences and len(original) < least:
        raise InputError(
            f"{name}: {len(original)} frames where {least} in a row are needed",
            "longer sequences, or --set condition.frames=...",
        )

"""Which generated images may be used: an automatic gate, and a person's decision, which counts more (S2-15).

Nothing is deleted. An image that is refused stays where it is, with the codes of its reasons; a table has a column
``decision`` in which a person writes accept or reject, and which every later check keeps, whatever the file is called
then: it is found by the image's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.spatial.distance import cdist

from sorby.errors import InputError
from sorby.synthesize.memorisation import Memorisation, memorised, repeated

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

REASONS: Mapping[str, str] = {
    "copy": "a piece of an original was found in it",
    "repeat": "it repeats an image generated before it",
    "flat": "it has less contrast than any original, by far",
    "striped": "one spatial frequency holds more of its power than in any original, by far",
    "strange": "it is further from every original than originals of different specimens are from each other",
}
"""Codes of the automatic gate, in the order in which they are written."""

DECISIONS = ("accept", "reject")
"""What a person may write; empty where none was made."""

_FLAT, _STRIPED, _STRANGE = 0.5, 2.0, 1.25  # of the least, the most and the farthest that originals show
_BLACK = 2.0  # grey levels: less contrast is none, whatever the originals have
_SEARCHED = 40  # originals a copy is looked for in: the nearest in features where there are more
_NEAREST = 3  # earlier images that one is compared with for repetition


@dataclass(frozen=True, eq=False)
class Gated:
    """What the gate says of a set of images.

    Attributes
    ----------
    reasons : list of tuple of str
        Codes of each image; empty where the gate lets it pass.
    decisions : tuple of str
        What a person decided of each; empty where nothing.
    memory : Memorisation
    nearest : ndarray of int, shape (n,)
        The real image nearest in features.
    distance : ndarray, shape (n,)
        To that image, over the median distance of reals to their nearest of another specimen.
    """

    reasons: list[tuple[str, ...]]
    decisions: tuple[str, ...]
    memory: Memorisation
    nearest: npt.NDArray[np.intp]
    distance: Floats

    @property
    def accepted(self) -> Bools:
        """Which images may be used: a person's decision, or the gate's where there is none."""
        return np.array(
            [decision == "accept" or (not decision and not codes)
             for decision, codes in zip(self.decisions, self.reasons, strict=True)], bool,
        )  # fmt: skip

    def decided(self, decisions: Sequence[str]) -> Gated:
        """Return the gate with a person's decisions."""
        return replace(self, decisions=tuple(decisions))

    def counts(self) -> dict[str, int]:
        """Return how many images carry each code."""
        return {code: sum(code in codes for codes in self.reasons) for code in REASONS}


def gate(
    generated: Grey,
    features: npt.ArrayLike,
    real: Grey,
    real_features: npt.ArrayLike,
    originals: list[Grey],
    names: list[str],
    shown: npt.NDArray[np.intp] | None = None,
) -> Gated:
    """Look at each generated image of one class.

    Parameters
    ----------
    generated : ndarray of uint8, shape (n, H, H)
    features : array_like, shape (n, D)
        Of the generated images, on the same scale as *real_features*.
    real : ndarray of uint8, shape (m, H, H)
        Real images, or windows of them, of the generated size.
    real_features : array_like, shape (m, D)
    originals : list of ndarray of uint8, shape (h, w)
        The pictures whole, at the generated images' scale: copies are looked for here.
    names : list of str
        Specimen of each original.
    shown : ndarray of int, shape (m,), optional
        Which original each real image is, or is a window of; one each in order where absent.

    Returns
    -------
    Gated
        Without decisions.
    """
    ours, theirs = np.asarray(features, np.float64), np.asarray(real_features, np.float64)
    shown = np.arange(len(names)) if shown is None else shown
    specimens = [names[k] for k in shown.tolist()]
    of_original = theirs[np.unique(shown, return_index=True)[1]]
    among = [_nearest(each, of_original) for each in (ours, of_original)]
    memory = memorised(generated, originals, names, *among)
    between = cdist(ours, theirs)
    typical, farthest = _apart(theirs, specimens)
    found: dict[str, Bools] = {
        "copy": memory.copies,
        "repeat": repeated(generated, _earlier(ours), memory.threshold),
        "flat": _contrast(generated) < max(_BLACK, _FLAT * float(_contrast(real).min())),
        "striped": _concentration(generated) > _STRIPED * float(_concentration(real).max()),
        "strange": between.min(axis=1) > _STRANGE * farthest,
    }
    reasons = [tuple(code for code in REASONS if found[code][k]) for k in range(len(generated))]
    return Gated(reasons, ("",) * len(generated), memory, between.argmin(axis=1), between.min(axis=1) / typical)


def checked_decision(text: object, where: str) -> str:
    """Return a decision as written in a table.

    Raises
    ------
    InputError
        Neither accept nor reject nor empty.
    """
    word = "" if text is None or text != text else str(text).strip().lower()
    if word and word not in DECISIONS:
        raise InputError(f"{where}: decision {text!r}", f"write {' or '.join(DECISIONS)}, or leave it empty")
    return word


def nearest_of_others(features: npt.ArrayLike, specimens: Sequence[str]) -> npt.NDArray[np.intp] | None:
    """Return for each real image the nearest of another specimen, None where there is one specimen only."""
    distances = _between_specimens(np.asarray(features, np.float64), specimens)
    return None if np.isinf(distances).all() else distances.argmin(axis=1)


def _between_specimens(features: Floats, specimens: Sequence[str]) -> Floats:
    names = np.array(specimens)
    distances: Floats = np.where(names[:, None] == names[None], np.inf, cdist(features, features))
    return distances


def _apart(features: Floats, specimens: Sequence[str]) -> tuple[float, float]:
    """Return the median and the largest distance of reals to their nearest of another specimen."""
    nearest = _between_specimens(features, specimens).min(axis=1)
    if np.isinf(nearest).any():
        return float("nan"), float("inf")
    return float(np.median(nearest)), float(nearest.max())


def _nearest(features: Floats, originals: Floats) -> npt.NDArray[np.intp] | None:
    """Return the originals that each image is searched for in, None for all of them."""
    if len(originals) <= _SEARCHED:
        return None
    found: npt.NDArray[np.intp] = np.argsort(cdist(features, originals), axis=1, kind="stable")[:, :_SEARCHED]
    return found


def _earlier(features: Floats) -> npt.NDArray[np.intp]:
    """Return the nearest earlier images of each, -1 where there are fewer, shape (n, 3)."""
    distances = np.where(np.tri(len(features), k=-1, dtype=bool), cdist(features, features), np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :_NEAREST]
    earlier: npt.NDArray[np.intp] = np.where(np.isinf(np.take_along_axis(distances, order, axis=1)), -1, order)
    return earlier


def _contrast(images: Grey) -> Floats:
    """Return the standard deviation of grey values."""
    return np.asarray(images.std(axis=(1, 2)), np.float64)


def _concentration(images: npt.NDArray[Any]) -> Floats:
    """Return the largest share of an image's power that one frequency holds."""
    height, width = images.shape[1:]
    taper = np.hanning(height)[:, None] * np.hanning(width)[None]
    values = images.astype(np.float64) - images.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(fft.rfft2(values * taper)) ** 2).reshape(len(images), -1)
    share: Floats = power.max(axis=1) / np.maximum(power.sum(axis=1), 1e-9)
    return share

"""Collapse in mid-training: an accuracy that falls, stays down, and by more than its number of images explains.

Bhat et al. (2023) saw validation accuracy fall from 92 % to 73 % after 150 (elsewhere: 200) of 400 epochs and noticed
it by eye.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

Floats = npt.NDArray[np.float64]

LASTING = 5
"""Epochs of which the middle one counts: a dip of one or two of them is none."""
RATE = 0.01
"""Share of steady trainings, at most, in which chance is taken for a collapse."""
_ORDINARY = 0.025  # lower end of a 95 % interval: what is above it counts as recovered

#: What is watched, the first that the history holds.
WATCHED = {"val_accuracy": "validation accuracy", "train_accuracy": "training accuracy"}


@dataclass(frozen=True)
class Collapse:
    """A fall of an accuracy.

    Attributes
    ----------
    watched : str
        ``validation accuracy`` or ``training accuracy``.
    epoch : int
        First epoch of the fall, counted from 0.
    before, after : float
        The highest level held before it, and the lowest reached in it.
    recovered : int or None
        First epoch that was back within chance of the earlier level; None where none was.
    n : int
        Images behind each accuracy.
    p_value : float
        Chance that as many images would be right where the accuracy still has its earlier level.
    """

    watched: str
    epoch: int
    before: float
    after: float
    recovered: int | None
    n: int
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for notes and pages."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """Say it in one line; epochs are counted from 1 there."""
        end = "it did not recover" if self.recovered is None else f"it recovered at epoch {self.recovered + 1}"
        return (
            f"the {self.watched} fell from {100 * self.before:.0f} % to {100 * self.after:.0f} % from epoch"
            f" {self.epoch + 1} on, which {self.n} images do not explain by chance (p = {self.p_value:.1g}); {end}"
        )


def find_collapse(
    accuracy: npt.ArrayLike, n: int, *, epochs: int | None = None, watched: str = "validation accuracy"
) -> Collapse | None:
    """Find the first lasting fall of an accuracy below its earlier level.

    The level is the highest median over ``LASTING`` epochs so far. A later median is a fall where at most as many of
    *n* images would be right by chance, at that level, with a probability of ``RATE`` divided by the number of epochs.
    The level counts as (k + 1) / (n + 2), so that perfect scores of few
    images promise nothing.

    Parameters
    ----------
    accuracy : array_like, shape (E,)
        After each epoch, of the same images; NaN where it was not measured.
    n : int
        Images.
    epochs : int, optional
        Epochs that were planned; *accuracy*'s own number where absent.
    watched : str
        What it is the accuracy of, for the words.

    Returns
    -------
    Collapse or None
        None also where there are fewer than two stretches of epochs, of which nothing can be said.
    """
    values = np.asarray(accuracy, np.float64)
    if n < 1 or len(values) < 2 * LASTING or np.isnan(values).any():
        return None
    middle = np.median(np.lib.stride_tricks.sliding_window_view(values, LASTING), axis=1)  # of the epochs k .. k + 4
    level = np.maximum.accumulate(middle)
    earlier, later = level[:-LASTING], middle[LASTING:]
    chance = _chance(later, earlier, n)
    allowed = RATE / max(epochs or 0, len(values))
    fallen = np.flatnonzero(chance < allowed)
    if not len(fallen):
        return None
    first = int(fallen[0])
    before = float(earlier[first])
    back = np.flatnonzero(_chance(later[first:], np.full(len(later) - first, before), n) > _ORDINARY)
    end = len(later) if not len(back) else first + int(back[0])
    start = first + LASTING
    stretch = values[start : start + LASTING]
    return Collapse(
        watched=watched,
        epoch=start + int(np.flatnonzero(stretch <= later[first])[0]),
        before=before,
        after=float(later[first:end].min()),
        recovered=None if not len(back) else end + LASTING + int(np.flatnonzero(_is_back(values, end, before, n))[0]),
        n=n,
        p_value=float(chance[first:end].min()),
    )


def _is_back(values: Floats, place: int, before: float, n: int) -> npt.NDArray[np.bool_]:
    """Say which epochs of a stretch that has recovered are themselves within chance of the earlier level."""
    stretch = values[place + LASTING : place + 2 * LASTING]
    back: npt.NDArray[np.bool_] = _chance(stretch, np.full(len(stretch), before), n) > _ORDINARY
    return back


def _chance(accuracy: Floats, level: Floats, n: int) -> Floats:
    """Return the probability that at most as many of *n* images are right at an earlier level."""
    steady = (n * level + 1) / (n + 2)
    found: Floats = np.asarray(binom.cdf(np.floor(n * accuracy + 1e-6), n, steady), np.float64)
    return found


def watch(history: Sequence[Mapping[str, float]], n: Mapping[str, int], epochs: int | None = None) -> Collapse | None:
    """Find a collapse in the history of a fine-tuning: of the validation accuracy, or of the training accuracy.

    Parameters
    ----------
    history : sequence of mapping
        As `sorby.classify.finetune.Finetuned` has it.
    n : mapping
        Images behind ``val_accuracy`` and ``train_accuracy``.
    epochs : int, optional
        Planned.
    """
    for key, words in WATCHED.items():
        if history and key in history[0]:
            return find_collapse([entry[key] for entry in history], n[key], epochs=epochs, watched=words)
    return None

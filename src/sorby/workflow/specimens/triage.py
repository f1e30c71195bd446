"""Triage: from the lowest magnification upwards, only while the specimen's set is not a single class.

What is decided about a specimen, and when to stop, comes from others: the model from taught specimens, the thresholds
from calibration scores of specimens that the scoring model had not seen (CV+ over whole specimens). Labels of tested
specimens are used to count errors, nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.classify.specimens import Bags, Method, SpecimenModel, fit_specimens
from sorby.classify.specimens.scorers import Scorer
from sorby.errors import InputError
from sorby.evidence import proportion, softmax
from sorby.evidence.sequential import Spending, Stops, fit_stopping, microscope_time, stop, time_saved
from sorby.progress import bar

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Protocol:
    """How specimens are looked at.

    Attributes
    ----------
    alpha : float
        Error over all looks that thresholds are chosen for.
    spending : {"joint", "bonferroni"}
        How the looks share it, see `sorby.evidence.sequential`.
    method : str
        How the images taken so far are put together, see `sorby.classify.specimens`.
    image_s, change_s : float
        Microscope seconds of an image and of a change of magnification.
    folds : int
        Of the calibration within the specimens that are not tested.
    seed : int
    """

    alpha: float = 0.1
    spending: Spending = "joint"
    method: Method = "mean-probability"
    image_s: float = 90.0
    change_s: float = 30.0
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Triaged:
    """What the protocol did to every specimen.

    Attributes
    ----------
    levels : ndarray, shape (L,)
        Magnifications, rising.
    truth : ndarray of int, shape (G,)
    stops : Stops
    sets : ndarray of bool, shape (G, L, C)
        After each look.
    available : ndarray of bool, shape (G, L)
    called : ndarray of int, shape (G, L)
        Most probable class after each look; -1 before the first.
    spent, whole : ndarray, shape (G,)
        Seconds under the protocol, and of the whole series.
    seconds : ndarray, shape (G, L)
        Up to and including each look.
    shortages : list of str
        What calibration specimens did not suffice for.
    scarce : set of int
        Classes that some calibration was too scarce for.
    guarantee : str
    """

    levels: Floats
    truth: Rows
    stops: Stops
    sets: Mask
    available: Mask
    called: Rows
    spent: Floats
    whole: Floats
    seconds: Floats
    shortages: list[str]
    scarce: set[int]
    guarantee: str

    @property
    def wrong(self) -> Mask:
        """Specimens decided, and wrongly, shape (G,)."""
        return np.asarray(self.stops.decided & (self.stops.label != self.truth))


def triage(bags: Bags, magnification: Floats, n_classes: int, outer: Rows, protocol: Protocol) -> Triaged:
    """Run the protocol on every specimen, each tested by models and thresholds of others.

    Parameters
    ----------
    bags : Bags
        All images of all specimens, with labels.
    magnification : ndarray, shape (N,)
        Of each image.
    n_classes : int
    outer : ndarray of int, shape (G,)
        Fold in which each specimen is tested; it is tested once.
    protocol : Protocol

    Raises
    ------
    InputError
        A magnification is unknown, or there is a single level.
    """
    if not (np.isfinite(magnification) & (magnification > 0)).all():
        raise InputError("triage needs the magnification of every image", "leave out images that state none")
    levels = np.unique(magnification)
    if len(levels) < 2:
        raise InputError(f"all images are at {levels[0]:g}x: there is no order of looks", "add other magnifications")
    look = np.searchsorted(levels, magnification)
    counts = np.zeros((bags.n, len(levels)), np.intp)
    np.add.at(counts, (bags.index, look), 1)
    seconds = microscope_time(counts, protocol.image_s, protocol.change_s)
    sets = np.zeros((bags.n, len(levels), n_classes), bool)
    called = np.full((bags.n, len(levels)), -1, np.intp)
    shortages: list[str] = []
    scarce: set[int] = set()
    guarantee = ""
    n_folds = int(outer.max()) + 1
    with bar("triage", n_folds) as advance:
        for k in range(n_folds):
            test = np.flatnonzero(outer == k)
            decided = _decide(bags, look, outer != k, test, n_classes, len(levels), protocol)
            sets[test], called[test] = decided.sets, decided.called
            shortages += [decided.shortage] if decided.shortage else []
            scarce |= decided.scarce
            guarantee = decided.guarantee
            advance(1)
    available = counts > 0
    stops = stop(sets, available)
    spent = seconds[np.arange(bags.n), stops.look]
    return Triaged(
        levels, bags.labels, stops, sets, available, called, spent, seconds[:, -1], seconds,
        list(dict.fromkeys(shortages)), scarce, guarantee,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Decided:
    sets: Mask
    called: Rows
    shortage: str
    scarce: set[int]
    guarantee: str


def _decide(
    bags: Bags, look: Rows, rest: Mask, test: Rows, n_classes: int, n_looks: int, protocol: Protocol
) -> _Decided:
    """Teach and calibrate on the rest, and return the sets of the tested specimens after each look."""
    others = np.flatnonzero(rest)
    taught, taught_look = bags.take(others), look[rest[bags.index]]
    model = fit_specimens(
        taught, n_classes, protocol.method, alpha=protocol.alpha, folds=protocol.folds, seed=protocol.seed
    )
    calibration = _cross_fitted(model, taught, taught_look, n_classes, n_looks)
    rule = fit_stopping(calibration, taught.labels, protocol.alpha, spending=protocol.spending, folds=model.folds)
    tested = np.isin(bags.index, test)
    fresh, fresh_look = bags.take(test), look[tested]
    by_fold = np.stack([look_probabilities(scorer, fresh, fresh_look, n_classes, n_looks) for scorer in model.by_fold])
    final = look_probabilities(model.scorer, fresh, fresh_look, n_classes, n_looks)
    called = np.where(np.isnan(final[:, :, 0]), -1, np.nan_to_num(final).argmax(axis=2))
    return _Decided(rule.sets(by_fold), called, rule.shortage, set(model.scarce), rule.guarantee)


def _cross_fitted(model: SpecimenModel, taught: Bags, look: Rows, n_classes: int, n_looks: int) -> Floats:
    """Return what the fold that had not seen a specimen says of it after each look, shape (G, L, C)."""
    found = np.full((taught.n, n_looks, n_classes), np.nan)
    for k, scorer in enumerate(model.by_fold):
        inside = model.folds == k
        found[inside] = look_probabilities(scorer, taught.take(inside), look[inside[taught.index]], n_classes, n_looks)
    return found


def look_probabilities(scorer: Scorer, bags: Bags, look: Rows, n_classes: int, n_looks: int) -> Floats:
    """Return the probabilities after each look, from the images of that look and all before.

    Parameters
    ----------
    scorer : Scorer
    bags : Bags
    look : ndarray of int, shape (N,)
        Number of the look at which each image was taken.
    n_classes, n_looks : int

    Returns
    -------
    ndarray, shape (G, L, C)
        NaN before a specimen's first image.
    """
    found = np.full((bags.n, n_looks, n_classes), np.nan)
    for number in range(n_looks):
        seen = look <= number
        if seen.any():
            part, kept = bags.images(seen)
            found[kept, number] = softmax(scorer.scores(part))
    return found


def stop_rows(found: Triaged) -> list[dict[str, Any]]:
    """Return one row a look: how many series ended there, how often the set held the truth, how often it was wrong."""
    truth_inside = np.take_along_axis(found.sets, found.truth[:, None, None], axis=2)[:, :, 0]
    rows = []
    for number, level in enumerate(found.levels):
        reached = (found.stops.look >= number) & found.available[:, number]
        here = (found.stops.look == number) & found.stops.decided
        all_seen = found.available[:, number]
        rows.append({
            "name": f"{level:g}x",
            "magnification": float(level),
            "n_reached": int(reached.sum()),
            "n_stopped": int(here.sum()),
            "stopped": proportion(int(here.sum()), len(here)).as_dict(),
            "right": proportion(int((here & ~found.wrong).sum()), int(here.sum())).as_dict(),
            "coverage": proportion(int((truth_inside[:, number] & all_seen).sum()), int(all_seen.sum())).as_dict(),
            "seconds_saved": None if not here.any() else float((found.whole - found.spent)[here].mean()),
        })  # fmt: skip
    return rows


def fixed_rows(found: Triaged, seed: int = 0) -> list[dict[str, Any]]:
    """Return one row a fixed protocol: every specimen looked at up to a magnification, its most probable class called.

    What triage must be held against: such protocols call every specimen, sure or not.
    """
    rows = []
    for number, level in enumerate(found.levels):
        seen = found.called[:, number] >= 0
        wrong = seen & (found.called[:, number] != found.truth)
        saved = time_saved(found.seconds[seen, number], found.whole[seen], seed)
        rows.append({
            "protocol": f"up to {level:g}x",
            "error": proportion(int(wrong.sum()), int(seen.sum())).as_dict(),
            "referred": proportion(0, int(seen.sum())).as_dict(),
            "time_saved": saved.as_dict(),
            "n": int(seen.sum()),
        })  # fmt: skip
    return rows


def triage_row(found: Triaged, name: str, seed: int = 0) -> dict[str, Any]:
    """Return the protocol's own row: error, referrals and time saved, each with its interval over specimens."""
    n = len(found.truth)
    return {
        "protocol": name,
        "error": proportion(int(found.wrong.sum()), n).as_dict(),
        "error_of_decided": proportion(int(found.wrong.sum()), int(found.stops.decided.sum())).as_dict(),
        "referred": proportion(int((~found.stops.decided).sum()), n).as_dict(),
        "time_saved": time_saved(found.spent, found.whole, seed).as_dict(),
        "images_before_stop": float(found.stops.look.mean() + 1),
        "n": n,
    }


def triage_list(found: Triaged, names: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row a specimen: where its series ended and what was decided, the undecided first."""
    rows = [
        {
            "specimen": name,
            "stopped_at": float(found.levels[found.stops.look[g]]),
            "decided": bool(found.stops.decided[g]),
            "label": classes[found.stops.label[g]] if found.stops.decided[g] else "",
            "set": "|".join(c for c, inside in zip(classes, found.sets[g, found.stops.look[g]], strict=True) if inside),
            "seconds": float(found.spent[g]),
        }
        for g, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: (row["decided"], row["specimen"]))

"""The threshold of a fitted detector, from good images or from labelled ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.anomaly.detector import Detector
from sorby.anomaly.leave_one_out import leave_one_out_scores
from sorby.anomaly.recipe import ThresholdSection
from sorby.anomaly.thresholds import Threshold, conformal_threshold, needed
from sorby.backbone.runtime import Device
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.progress import bar

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Division:
    """Which good images are remembered and which are held out.

    Attributes
    ----------
    fit, calibration : ndarray of int
        Positions among the good images.
    rule : str
        ``split``, ``leave-one-out`` or ``f1``.
    note : str
        Why, in words.
    """

    fit: Numbers
    calibration: Numbers
    rule: str
    note: str


def specimens_of(paths: Sequence[Path], pattern: str | None) -> list[str]:
    """Name the specimen of each image: the first group of *pattern* in its file name, or nothing.

    Raises
    ------
    InputError
        The pattern is no regular expression with a group, or does not fit a file's name.
    """
    if pattern is None:
        return [""] * len(paths)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--specimen-pattern {pattern}: {error}", r"e.g. '(tile\d+)_'") from error
    if compiled.groups < 1:
        raise InputError(f"--specimen-pattern {pattern}: has no group", r"put the specimen in brackets: '(tile\d+)_'")
    names = []
    for path in paths:
        found = compiled.search(path.name)
        if found is None or found.group(1) is None:
            raise InputError(f"{path}: --specimen-pattern {pattern} does not fit its name", "mend the pattern")
        names.append(found.group(1))
    return names


def divide(specimens: Sequence[str], views_each: int, section: ThresholdSection, seed: int) -> Division:
    """Decide which good images are held out for the threshold; specimens stay whole.

    Parameters
    ----------
    specimens : sequence of str
        Of each good image; empty ones stand for themselves.
    views_each : int
        Views of an image; counts where the rate is one of views.
    section : ThresholdSection
    seed : int

    Raises
    ------
    InputError
        The images cannot hold the rate by any rule that was allowed.
    """
    n = len(specimens)
    everything = np.arange(n, dtype=np.intp)
    nothing = np.empty(0, np.intp)
    if section.rule == "f1":
        return Division(everything, nothing, "f1", "all good images are remembered; the threshold is of labelled ones")
    names = [name or f"#{k}" for k, name in enumerate(specimens)]
    codes = np.unique(names, return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(codes.max() + 1)
    wanted = section.calibration_share * n
    held = np.zeros(n, bool)
    for code in order:
        if held.sum() >= wanted:
            break
        held |= codes == code
    units = int(held.sum()) * (views_each if section.unit == "view" else 1)
    least = needed(section.false_alarm_rate)
    if section.rule == "split" or (section.rule == "auto" and units >= least and (~held).sum() >= 2):
        if (~held).sum() < 2:
            raise InputError(
                f"{n} good images of {codes.max() + 1} specimens cannot be split", "give more, or leave-one-out"
            )
        note = f"{int(held.sum())} of {n} good images were held out for the threshold"
        return Division(everything[~held], everything[held], "split", note)
    note = "all good images are remembered; each was scored without itself for the threshold"
    if section.rule == "auto":
        note += f" (a split would need {least} held-out {section.unit}s for a rate of {section.false_alarm_rate:g})"
    return Division(everything, nothing, "leave-one-out", note)


def from_held_out(
    detector: Detector, paths: Sequence[Path], section: ThresholdSection, device: Device
) -> tuple[Threshold, list[int], list[Quarantined]]:
    """Return the split-conformal threshold of held-out good images, which of them were read, and the others."""
    scores: list[npt.NDArray[np.float64]] = []
    kept, quarantined = [], []
    with bar("calibrating", len(paths)) as advance:
        for k, found in detector.score(paths, device=device, progress=advance):
            if isinstance(found, SorbyError):
                quarantined.append(Quarantined.from_error(paths[k], found))
                continue
            kept.append(k)
            scores.append(found.view_scores)
    return _threshold(scores, section, "split"), kept, quarantined


def from_each_without_itself(
    detector: Detector, paths: Sequence[Path], numbers: Sequence[int], section: ThresholdSection, device: Device
) -> Threshold:
    """Return the leave-one-out threshold of remembered good images."""
    _enough(len(paths), section)
    with bar("leaving one out", len(paths)) as advance:
        scores = list(leave_one_out_scores(detector, paths, numbers, device=device, progress=advance))
    return _threshold(scores, section, "leave-one-out")


def _enough(n: int, section: ThresholdSection) -> None:
    """Say at once, not after the work, that images do not suffice."""
    if section.unit == "image" and n < needed(section.false_alarm_rate):
        conformal_threshold(np.zeros(n), section.false_alarm_rate, "leave-one-out", "image")


def _threshold(scores: Sequence[npt.NDArray[np.float64]], section: ThresholdSection, rule: str) -> Threshold:
    units = [each.max() for each in scores] if section.unit == "image" else np.concatenate([*scores, np.empty(0)])
    return conformal_threshold(units, section.false_alarm_rate, rule, section.unit)  # type: ignore[arg-type]

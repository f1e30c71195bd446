"""What a test says in plain words: how good, when it refers an image to a person, and whether promises were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.classify import REASONS
from sorby.evidence import coverage, score
from sorby.report.wording import ABSENT, count, estimate, in_a_hundred, is_number, listed, percent

Groups = npt.NDArray[Any] | None


@dataclass(frozen=True)
class Promise:
    """What the sets promised and what came of it.

    Attributes
    ----------
    aim, floor : float
        Coverage aimed at (1 - alpha) and coverage that theory guarantees.
    guarantee : str
        The guarantee in words.
    verdict : str
        Whether it was kept, in a sentence.
    kept : bool
        False where the measured coverage lies below the floor beyond its uncertainty.
    """

    aim: float
    floor: float
    guarantee: str
    verdict: str
    kept: bool


def share(hit: npt.NDArray[np.bool_], groups: Groups, seed: int = 0) -> dict[str, Any]:
    """Return the share of true entries as an estimate whose interval counts specimens where they are known."""
    # A share of hits is the coverage of sets that hold class 0 exactly on a hit.
    found = coverage(np.stack([hit, ~hit], axis=1), np.zeros(len(hit), np.intp), groups, seed)
    return found.as_dict()


def reasons(verdicts: pd.DataFrame, groups: Groups, seed: int = 0) -> list[dict[str, Any]]:
    """Return each reason code with its meaning and the share of images it referred; an image may have several."""
    given = verdicts["reason"].fillna("").astype(str).str.split("|")
    rows = []
    for code, meaning in REASONS.items():
        hit = np.array([code in codes for codes in given], dtype=bool)
        rows.append({"code": code, "meaning": meaning, "images": int(hit.sum()), "share": share(hit, groups, seed)})
    return rows


def decided(verdicts: pd.DataFrame, classes: Sequence[str], groups: Groups, seed: int = 0) -> dict[str, Any]:
    """Return how good the verdicts are that no person checks, and what is lost on the way.

    Returns
    -------
    dict
        ``n`` images decided, ``right`` among them, ``accuracy`` an estimate (None where nothing was decided),
        ``silent`` an estimate: share of all images that are wrong and not referred; ``referred_right``: how many of
        the referred images were named right after all.
    """
    alone = ~verdicts["referred"].to_numpy(dtype=bool)
    correct = verdicts["correct"].to_numpy(dtype=bool)
    accuracy = None
    if alone.any():
        code = {name: k for k, name in enumerate(classes)}
        truth, called = (verdicts.loc[alone, name].astype(str).map(code).to_numpy() for name in ("label", "predicted"))
        within = None if groups is None else groups[alone]
        accuracy = score(truth, called, len(classes), within, seed)["accuracy"].as_dict()
    return {
        "n": int(alone.sum()),
        "right": int((alone & correct).sum()),
        "accuracy": accuracy,
        "silent_errors": int((alone & ~correct).sum()),
        "silent": share(alone & ~correct, groups, seed),
        "referred_right": int((~alone & correct).sum()),
        "referred": int((~alone).sum()),
    }


def promise(alpha: float, floor: float, guarantee: str, measured: Mapping[str, Any]) -> Promise:
    """Hold the measured coverage of the sets against what was promised.

    Parameters
    ----------
    alpha : float
        The aim is a coverage of 1 - alpha.
    floor : float
        Guaranteed coverage.
    guarantee : str
    measured : mapping
        An estimate: ``value``, ``ci95``, ``n``.
    """
    aim, bounds = 1 - alpha, measured.get("ci95")
    value = float("nan") if measured.get("value") is None else float(measured["value"])
    kept = True
    if not is_number(value):
        said = "There is nothing to measure it on."
    elif value >= aim:
        said = "The aim is met."
    elif bounds and bounds[1] >= aim:
        said = f"That agrees with the aim of {percent(aim)} within the uncertainty of {count(measured['n'], 'image')}."
    elif value >= floor:
        said = f"That is below the aim of {percent(aim)}, but not below the guaranteed {percent(floor)}."
    elif bounds and bounds[1] >= floor:
        said = f"That is below the guaranteed {percent(floor)}, though the test is too small to be sure of it."
    else:
        kept = False
        said = (
            f"The guaranteed {percent(floor)} is missed by more than chance: the test images differ in kind from those "
            "it was calibrated on. Do not rely on the sets."
        )
    return Promise(aim, floor, guarantee, said, kept)


def short_class(test: Mapping[str, Any], classes: Sequence[str], aim: float, each_class: bool) -> str:
    """Name the class whose sets miss the aim most, where that is no chance; empty if there is none.

    Parameters
    ----------
    test : mapping
        Assessment with ``sets``.
    classes : sequence of str
    aim : float
        Coverage aimed at.
    each_class : bool
        Whether the sets promise it within each class.
    """
    covered = zip(classes, test["sets"]["per_class"], strict=True)
    short = [(name, row) for name, row in covered if row and row["ci95"] and row["ci95"][1] < aim]
    if not short:
        return ""
    name, row = min(short, key=lambda entry: float(entry[1]["value"]))
    scope = (
        "though the promise is made for each class"
        if each_class
        else "because the promise is kept over all images together, not within each class; "
        "verdict.class_conditional=true in the recipe asks for that"
    )
    return f"For {name} the set holds the true class less often: {estimate(row)}, {scope}."


def headline(run: Mapping[str, Any]) -> list[str]:
    """Say how good the classifier is, in sentences a reader can repeat."""
    test = run["test"]
    accuracy, n, specimens = test["accuracy"], test["n"], test.get("n_specimens")
    if not is_number(accuracy.get("value")):
        return [f"The accuracy is {ABSENT}: there is nothing to test on."]
    right = round(accuracy["value"] * n)
    tested = f"{count(n, 'image')} of {count(specimens, 'specimen')}" if run["grouped"] else count(n, "image")
    who = f"On {tested} it had not seen, it named"
    if run["kind"] == "crossval":
        who = f"On {tested}, each judged by one of {len(run['folds'])} classifiers that had not seen it, they named"
    said = [
        f"{who} {right} right and {n - right} wrong.",
        f"In 100 further images of the same kind, expect {in_a_hundred(1 - accuracy['value'], accuracy.get('ci95'))}.",
    ]
    weakest = weakest_class(test["per_class"])
    if weakest:
        name, row = weakest
        found = round(row["recall"]["value"] * row["support"])
        said.append(
            f"The class found least often is {name}: {found} of {row['support']} ({percent(found / row['support'])})."
        )
    mixed = worst_confusion(test["confusion"], run["classes"])
    if mixed:
        truth, called, times = mixed
        said.append(f"Its most frequent mistake: {truth} taken for {called} ({times} of {n - right} mistakes).")
    else:
        said.append("It made no mistake on these images; the interval says how many may still hide.")
    return said


def weakest_class(per_class: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the class with the lowest recall below 1 among those tested, or None."""
    tested = [
        (name, row) for name, row in per_class.items() if row["support"] and is_number(row["recall"].get("value"))
    ]
    below = [entry for entry in tested if entry[1]["recall"]["value"] < 1]
    return min(below, key=lambda entry: float(entry[1]["recall"]["value"])) if below else None


def worst_confusion(confusion: npt.ArrayLike, classes: Sequence[str]) -> tuple[str, str, int] | None:
    """Return truth, verdict and number of the most frequent mistake, or None without mistakes."""
    wrong = np.array(confusion, dtype=np.int64)
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return None
    i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return classes[int(i)], classes[int(j)], int(wrong[i, j])


def cautions(run: Mapping[str, Any], shared_specimens: int) -> list[str]:
    """Say what makes the figures above look better or surer than they are."""
    found = []
    test = run["test"]
    if not run["grouped"]:
        known = shared_specimens > 0
        found.append(
            f"Specimens were not kept whole: {count(shared_specimens, 'specimen')} gave images to more than one part. "
            "On new specimens expect more mistakes than stated here."
            if known
            else "Specimens are not known, so images of one specimen may have been both taught and tested. "
            "The figures hold for further images of these specimens; for new specimens they may be too good."
        )
    elif test.get("n_specimens") and test["n_specimens"] < 20:
        found.append(
            f"The test holds {count(test['n_specimens'], 'specimen')} only; below 20 intervals are often too narrow."
        )
    if is_number(test["referred"].get("value")) and test["referred"]["value"] > 0.5:
        found.append("More than half of the images go to a person: as it stands it saves little work.")
    few = [name for name, row in test["per_class"].items() if 0 < row["support"] < 10]
    none = [name for name, row in test["per_class"].items() if not row["support"]]
    if none:
        found.append(f"Not tested at all, for want of images: {listed(none)}.")
    if few:
        found.append(f"Fewer than 10 test images each, so hardly tested: {listed(few)}.")
    return found

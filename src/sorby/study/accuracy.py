"""How often raters are right: by level, by class, by rater, and as a majority."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from sorby.evidence.crossed import crossed_share
from sorby.evidence.intervals import Estimate, proportion
from sorby.evidence.rating_table import majority_vote
from sorby.study.panel import Level, Panel


def accuracies(panel: Panel, seed: int = 0) -> dict[str, Any]:
    """Return the shares of right ratings, first showings only.

    Parameters
    ----------
    panel : Panel
    seed : int
        Of the bootstraps.

    Returns
    -------
    dict
        A level to an estimate over images and raters with its ``hits``; ``size_given_class``: the code among the
        ratings whose class is right; ``by_class``: for the images of each class, share of all ratings with the right
        code, and of those with the right class. Empty where no image has a label.
    """
    found: dict[str, Any] = {}
    for level in panel.levels:
        if level != "size":
            hits, judged = panel.right(level)
            if judged.any():
                found[level] = _share(hits, judged & panel.kept(level)[:, None], seed)
    if not found or not panel.scheme.two_steps:
        return found
    of_code, judged = panel.right("code")
    of_class, rated = panel.right("class")
    found["size_given_class"] = _share(of_code, of_class & judged, seed)
    label_class = panel.labels("class")
    found["by_class"] = {
        name: {
            "images": int((label_class == name).sum()),
            "class": _share(of_class, rated & (label_class == name)[:, None], seed),
            "code": _share(of_code, judged & (label_class == name)[:, None], seed),
            "size_given_class": _share(of_code, of_class & judged & (label_class == name)[:, None], seed),
        }
        for name in panel.scheme.class_names
        if (label_class == name).any()
    }
    return found


def _share(hits: Any, counted: Any, seed: int) -> dict[str, Any]:
    found = crossed_share(hits, counted, seed=seed).as_dict()
    return {**found, "hits": int((hits & counted).sum())}


def rater_reports(panel: Panel) -> list[dict[str, Any]]:
    """Return what is to be said of each rater.

    Returns
    -------
    list of dict
        ``rater``, ``ratings``, ``unrated`` (images without a code), ``class``, ``code``, ``reduced`` (Wilson intervals
        over images), ``mean_steps`` (towards the end of the range, classes right), ``flags`` and ``criteria`` (counts),
        ``median_seconds``, and the profile where one is known.
    """
    table = panel.ratings.table
    profiles = {str(row["rater"]): row for row in panel.ratings.profiles.to_dict("records")}
    right = {level: panel.right(level) for level in panel.levels if level in ("class", "code", "reduced")}
    found = []
    for k, rater in enumerate(panel.raters):
        own = table[table["rater"] == rater]
        first = own[own["occasion"] == 1]
        estimates: dict[str, Any] = {
            level: _by_images(hits[:, k] & panel.kept(level), judged[:, k] & panel.kept(level))
            for level, (hits, judged) in right.items()
        }
        entry: dict[str, Any] = {"rater": rater, "ratings": len(own)}
        steps = panel.steps[:, k]
        seconds = own["seconds"].astype(float).dropna()
        found.append(
            {
                **entry,
                "unrated": len(panel.design.items) - int((first["code"] != "").sum()),
                **estimates,
                "mean_steps": float(np.nanmean(steps)) if np.isfinite(steps).any() else None,
                "flags": _counts("|".join(first["flags"]).split("|")),
                "criteria": _counts(first["criterion"].tolist()),
                "median_seconds": float(seconds.median()) if len(seconds) else None,
                "simulated": rater in panel.ratings.simulated,
                "profile": _known(profiles.get(rater)),
            }
        )
    return found


def _by_images(hits: Any, judged: Any) -> dict[str, Any] | None:
    n = int(judged.sum())
    return {**proportion(int(hits.sum()), n).as_dict(), "hits": int(hits.sum())} if n else None


def _counts(values: list[str]) -> dict[str, int]:
    return dict(Counter(value for value in values if value).most_common())


def _known(profile: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return what a profile says; what it leaves out is left out."""
    return {str(key): value for key, value in (profile or {}).items() if key != "rater" and value == value and value}


def majority(panel: Panel, level: Level) -> dict[str, Any]:
    """Hold what most raters said against the label.

    Parameters
    ----------
    panel : Panel
    level : {"code", "reduced", "class"}

    Returns
    -------
    dict
        Counts of images: ``equal``, ``adjacent`` (one step beside it in the same class), ``same_class`` (further),
        ``other_class``; ``tied`` where two codes have as many votes, ``tied_with_label`` those of them whose label is
        one of the two; ``of`` images with a label and a vote; ``share_equal`` with its Wilson interval, ties counted as
        not equal. ``items``: one entry an image.
    """
    said, labels = panel.said(level), panel.labels(level)
    kept = np.array([label is not None for label in labels])
    kept &= np.array([any(value is not None for value in row) for row in said])
    names = ("equal", "adjacent", "same_class", "other_class", "tied", "tied_with_label")
    counts = dict.fromkeys(names, 0)
    entries: list[dict[str, Any]] = []
    rows = np.flatnonzero(kept)
    vote = majority_vote(said[rows], panel.order(level)) if rows.size else None
    for j, row in enumerate(rows.tolist()):
        assert vote is not None
        label, choice = str(labels[row]), str(vote.choice[j])
        votes = Counter(value for value in said[row] if value is not None)
        best = [code for code in panel.order(level) if votes[code] == max(votes.values())]
        how = "tied" if vote.tied[j] else _against(panel, level, label, choice)
        counts[how] += 1
        counts["tied_with_label"] += how == "tied" and any(code in _met(panel, level, label) for code in best)
        entries.append({"item": panel.design.items[row].name, "label": label, "majority": best,
                        "share": float(vote.share[j]), "how": how})  # fmt: skip
    share = proportion(counts["equal"], len(rows))
    return {**counts, "of": len(rows), "share_equal": share.as_dict(), "items": entries}


def _met(panel: Panel, level: Level, label: str) -> tuple[str, ...]:
    return panel.scheme.covers(label) if level == "code" else (label,)


def _against(panel: Panel, level: Level, label: str, choice: str) -> str:
    if choice in _met(panel, level, label):
        return "equal"
    if level == "class" or panel.scheme.class_of(label) != panel.scheme.class_of(choice):
        return "other_class"
    if level == "reduced":
        order = [code for code in panel.order(level) if panel.scheme.class_of(code) == panel.scheme.class_of(label)]
        steps = order.index(choice) - order.index(label) if panel.scheme.ordered else None
    else:
        steps = panel.scheme.steps(label, choice)
    return "adjacent" if steps is not None and abs(steps) == 1 else "same_class"


def chosen_counts(panel: Panel) -> dict[str, Any]:
    """Return how often each code was named for each image: what the bubble plot shows.

    Returns
    -------
    dict
        ``codes``; ``counts``, items by codes; ``right``, items by codes: whether naming it is right; ``labels``.
    """
    said, codes = panel.said("code"), panel.order("code")
    counts = [[int(sum(value == code for value in row)) for code in codes] for row in said]
    covered = [panel.scheme.covers(label) if label else () for label in panel.design.labels]
    return {
        "codes": list(codes),
        "items": [item.name for item in panel.design.items],
        "labels": list(panel.design.labels),
        "counts": counts,
        "right": [[code in covers for code in codes] for covers in covered],
    }


def criterion_shares(panel: Panel) -> dict[str, Any]:
    """Return how often each criterion was chosen, among the ratings that name one."""
    named = panel.ratings.table[panel.ratings.table["rater"].isin(panel.raters)]["criterion"]
    named = named[named != ""]
    counts = named.value_counts()
    total = int(counts.sum())
    note = "ratings counted as independent"
    shares: dict[str, Estimate] = {str(k): proportion(int(v), total, note) for k, v in counts.items()}
    return {name: estimate.as_dict() for name, estimate in shares.items()}

"""What S1's round robin found, beside what a corpus's own ratings give: right classes and codes, and the majority."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from sorby.report.experiment_page import Column, Table
from sorby.study import Item, Panel, plan, rating_rows, read_scheme
from sorby.study.accuracy import accuracies, majority
from sorby.workflow.papers import durmaz2023 as s1

#: When a design is made matters for records; this one is made and forgotten.
_NEVER = "1863-01-01T00:00:00Z"
_KEYS = {
    "class": "subtype",
    "size_given_class": "size, given the subtype",
    "code": "structure code",
    "reduced": "reduced classes",
}


def rater_rows(ratings: npt.NDArray[Any], labels: Sequence[str], flag: str) -> list[dict[str, Any]]:
    """Return the shares of right ratings and the majority, published and ours.

    Parameters
    ----------
    ratings : ndarray of object, shape (n, R)
        Full codes; anything that is no code is a gap.
    labels : sequence of str, length n
        Codes or reduced codes.
    flag : str
        Whether the two may be compared.

    Returns
    -------
    list of dict
        ``what``, ``published`` (a share), ``ours`` (``value``, ``ci95``), ``n`` (ratings or images), ``flag``.
    """
    panel = _panel(ratings, labels)
    found = accuracies(panel)
    rows = [
        {"what": f"{name} right", "published": hits / n, "ours": found[key], "n": found[key]["n"], "flag": flag}
        for key, name in _KEYS.items()
        for hits, n in [s1.ROUND_ROBIN_HITS[name]]
    ]
    for name, entry in found["by_class"].items():
        rows.append({"what": f"structure code right, images of {name}", "published": s1.SIZE_ACCURACY[name],
                     "ours": entry["code"], "n": entry["code"]["n"], "flag": flag})  # fmt: skip
    vote = majority(panel, "code")
    published = s1.MAJORITY["equal"] / s1.ROUND_ROBIN["images"]
    rows.append({"what": "majority is the label", "published": published, "ours": vote["share_equal"],
                 "n": vote["of"], "flag": flag})  # fmt: skip
    return rows


def rater_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the rows as a table of the page."""
    return Table(
        "How often raters were right. Ours with intervals over images and raters.",
        (Column("what", "what"), Column("published", "published", "share"), Column("ours", "ours", "share"),
         Column("n", "ratings or images", "count"), Column("flag", "comparable?", "flag")),
        rows,
    )  # fmt: skip


def _panel(ratings: npt.NDArray[Any], labels: Sequence[str]) -> Panel:
    """Put a corpus's ratings into the form of a study."""
    scheme = read_scheme("steel")
    items = [Item(f"I{k}", "", str(k), label, str(scheme.class_of(label))) for k, label in enumerate(labels)]
    raters = [f"R{k}" for k in range(ratings.shape[1])]
    design = plan("S1", scheme, items, raters, created=_NEVER)
    rows = [
        {"rater": rater, "item": item.name, "class": scheme.class_of(code), "code": code}
        for item, given in zip(items, ratings.tolist(), strict=True)
        for rater, code in zip(raters, given, strict=True)
        if code in scheme.codes
    ]
    return Panel.of(design, rating_rows(design, rows))

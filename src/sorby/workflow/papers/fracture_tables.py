"""S4's cells beside ours, each with what keeps them from being compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sorby.evidence import score
from sorby.report.experiment_page import Column, Table
from sorby.workflow.experiments.bench import Bench
from sorby.workflow.papers import schmid2026 as s4
from sorby.workflow.papers.comparing import NOT_COMPARABLE
from sorby.workflow.papers.fracture_protocols import BY_SPECIMEN, Protocol

METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "train_macro_f1": "macro-F1 on the training part",
    "gap": "training less judged part, macro-F1 (printed: that of accuracy)",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
}
_MATCHES = ("exact", "fuzzy", "tie", "unmatched")


def differences(bench: Bench, phantoms: bool, folds: int) -> list[str]:
    """Name everything in which our figures differ from the published ones, one sentence each."""
    recipe = bench.recipe
    return [
        "Images: " + ("phantoms, whose truth is known" if phantoms else "not those of the paper") + ".",
        f"Network: {recipe.backbone.name}, {recipe.regime} (recipe {recipe.name}); published: ViT-B/16, fine-tuned"
        " (recipe fracture-vit).",
        f"Both protocols are run here, {folds} folds each: drawn by image, as published, and with specimens kept"
        " whole. Only the second says what a new specimen may expect.",
        "Nothing is chosen on a judged fold: strengths and epochs are chosen inside the training part. The paper chose"
        " its epoch on the fold it judged.",
    ]


def counts_table(counts: Mapping[str, int], flagged: str) -> Table:
    """Fig. 1 in numbers: images of each class."""
    rows = []
    for name in dict.fromkeys([*s4.CLASSES, *counts]):
        low, high = s4.CLASS_IMAGES.get(name, (None, None))
        published = "-" if low is None else str(low) if low == high else f"{low} to {high}, inferred"
        ours = counts.get(name, 0)
        rows.append({"class": s4.TITLES.get(name, name), "published": published, "ours": ours,
                     "share": ours / max(sum(counts.values()), 1), "flag": flagged})  # fmt: skip
    rows.append({"class": "all", "published": str(s4.IMAGES), "ours": sum(counts.values()), "share": None,
                 "flag": flagged})  # fmt: skip
    columns = (
        Column("class", "class"),
        Column("published", "published, images"),
        Column("ours", "ours, images", "count"),
        Column("share", "our share", "share"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Fig. 1 in numbers: images of each class.", columns, rows)


def match_rows(table: pd.DataFrame, flagged: str) -> list[dict[str, Any]]:
    """Return how the archive's files found their reports, one row a way; empty where the corpus does not say."""
    if "match" not in table or table["match"].isna().all():
        return []
    counts = Counter(table["match"].dropna().astype(str))
    total = sum(counts.values())
    published = {"unmatched": "23 %", "fuzzy": "under 10 % of the images"}
    return [
        {"way": way, "published": published.get(way, "not stated"), "n": counts[way], "share": counts[way] / total,
         "flag": flagged}
        for way in _MATCHES
    ]  # fmt: skip


def match_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Section 2.1: from file names to reports."""
    columns = (
        Column("way", "matched"),
        Column("published", "published"),
        Column("n", "ours, files", "count"),
        Column("share", "our share", "share"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Section 2.1: how files found their report. Unmatched ones take no part.", columns, rows)


def metric_rows(protocols: Mapping[str, Protocol], flagged: str) -> list[dict[str, Any]]:
    """Rows of Table 2 and of the supplement's table."""
    rows = []
    for name, printed in s4.TABLE_2.items():
        published = printed.estimate()
        rows.append({
            "metric": name, "title": METRICS[name], "where": printed.where,
            "published": {**published.as_dict(), "ci95": list(printed.ci95)}, "published_sd": printed.sd,
            **{_key(p): {**protocol.over_folds(name).as_dict()} for p, protocol in protocols.items()},
            **{f"{_key(p)}_sd": protocol.over_folds(name).sd for p, protocol in protocols.items()},
            "flag": flagged,
        })  # fmt: skip
    return rows


def _key(protocol: str) -> str:
    return "ours_" + protocol.replace(" ", "_")


def metric_table(rows: Sequence[Mapping[str, Any]], where: str) -> Table:
    """Table 2, or the supplement's."""
    columns = (
        Column("title", "metric"),
        Column("published", "published", "share"),
        Column("published_sd", "SD", "number"),
        Column("ours_by_image", "ours, folds by image", "share"),
        Column("ours_by_image_sd", "SD", "number"),
        Column("ours_by_specimen", "ours, specimens whole", "share"),
        Column("ours_by_specimen_sd", "SD", "number"),
        Column("flag", "comparable?", "flag"),
    )
    chosen = [row for row in rows if row["where"] == where]
    return Table(
        f"{where}: mean over folds, with the 95 % interval by t over folds, which share training images and so are not"
        " independent.",
        columns,
        chosen,
    )


def class_rows(bench: Bench, protocols: Mapping[str, Protocol], flagged: str) -> list[dict[str, Any]]:
    """Rows of Table 3: all judged images together, intervals by specimen."""
    scored = {
        name: score(bench.labels, protocol.called, len(bench.classes), bench.specimens, bench.recipe.seed)
        for name, protocol in protocols.items()
    }
    rows = []
    for code, name in enumerate(bench.classes):
        for metric in ("recall", "precision", "f1"):
            found = {_key(p): scores["per_class"][code][metric].as_dict() for p, scores in scored.items()}
            rows.append({
                "class": s4.TITLES.get(name, name), "metric": {"f1": "F1"}.get(metric, metric),
                "published": s4.TABLE_3.get(name, {}).get(metric), **found,
                "n": scored[BY_SPECIMEN]["per_class"][code]["support"],
                "flag": flagged if name in s4.TABLE_3 else NOT_COMPARABLE,
            })  # fmt: skip
    return rows


def class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Table 3."""
    columns = (
        Column("class", "class"),
        Column("metric", "metric"),
        Column("published", "published", "share"),
        Column("ours_by_image", "ours, folds by image", "share"),
        Column("ours_by_specimen", "ours, specimens whole", "share"),
        Column("n", "our images", "count"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Table 3: each class, all judged images together; our intervals resample specimens.", columns, rows)


def confusion_rows(bench: Bench, protocols: Mapping[str, Protocol]) -> list[dict[str, Any]]:
    """Return the cells of Fig. 3, published where the text states them."""
    shares = {name: s4.weighted_row_shares(protocol.confusions) for name, protocol in protocols.items()}
    return [
        {"truth": s4.TITLES.get(truth, truth), "verdict": s4.TITLES.get(verdict, verdict),
         "published": s4.CONFUSION.get((truth, verdict)),
         **{_key(p): float(each[i, j]) for p, each in shares.items()}}
        for i, truth in enumerate(bench.classes)
        for j, verdict in enumerate(bench.classes)
    ]  # fmt: skip


def confusion_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Fig. 3 in numbers."""
    columns = (
        Column("truth", "truth"),
        Column("verdict", "verdict"),
        Column("published", "published, as far as the text states", "share"),
        Column("ours_by_image", "ours, folds by image", "share"),
        Column("ours_by_specimen", "ours, specimens whole", "share"),
    )
    return Table("Fig. 3: share of each true class, averaged over folds weighted by their size.", columns, rows)


def magnification_rows(bench: Bench, protocols: Mapping[str, Protocol], powers: Any) -> list[dict[str, Any]]:
    """Rows of Fig. 4: macro-F1 at each magnification, mean and SD over folds.

    A fold without a class at a magnification is left out there: its macro-F1 would be of other classes.
    """
    rows = []
    n_classes = len(bench.classes)
    for level in np.unique(powers):
        row: dict[str, Any] = {"magnification": float(level), "name": f"{level:g}x", "n": int((powers == level).sum())}
        for name, protocol in protocols.items():
            values = []
            for fold in range(len(protocol.per_fold)):
                here = (powers == level) & (protocol.fold == fold)
                if len(np.unique(bench.labels[here])) == n_classes:
                    values.append(score(bench.labels[here], protocol.called[here], n_classes)["macro_f1"].value)
            mean = float(np.mean(values)) if values else None
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
            row[_key(name)] = {"value": mean, "sd": sd, "folds": len(values)}
        rows.append(row)
    return rows


def inflation_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return by how much folds drawn by image flatter, from `fracture_protocols.inflation`."""
    columns = (
        Column("title", "metric"),
        Column("by_image", "folds by image", "share"),
        Column("by_specimen", "specimens whole", "share"),
        Column("difference", "inflation, points", "points"),
        Column("n", "images", "count"),
        Column("n_specimens", "specimens", "count"),
    )
    rows = [{"title": METRICS[name], **entry} for name, entry in found.items()]
    return Table("Inflation: the same recipe under both protocols; the interval resamples specimens.", columns, rows)

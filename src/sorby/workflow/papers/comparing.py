"""Published cells beside ours, each with what keeps them from being compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.evidence import share, wilson
from sorby.report.experiment_page import Column, Table
from sorby.workflow.experiments.bench import Bench
from sorby.workflow.papers import durmaz2023 as s1

NOT_COMPARABLE = "not comparable"


def flag(phantoms: bool) -> str:
    """Say in two words why our cells may not be held against the published ones."""
    return f"{NOT_COMPARABLE} ({'phantoms' if phantoms else 'other images'})"


def differences(bench: Bench, phantoms: bool) -> list[str]:
    """Name everything in which our figures differ from the published ones, one sentence each."""
    return [
        "Images: " + ("phantoms, whose truth is known" if phantoms else "not those of the paper") + ".",
        f"Network: {bench.recipe.backbone.name}, {bench.recipe.regime}; published: ResNet-18 and ResNet-50.",
        "Protocol: cross-validated, every image tested once"
        + (", specimens kept whole" if bench.plan.grouped else "")
        + "; published: one split of single images, 64:16:20.",
    ]


def counts_table(labels: Sequence[str], flagged: str) -> Table:
    """Table 1 and Suppl. Table 1: micrographs of each structure code, and its morphology by both criteria."""
    ours = {name: int(n) for name, n in zip(*np.unique(np.asarray(labels, str), return_counts=True), strict=True)}
    rows = []
    for code, n in s1.CLASS_COUNTS.items():
        by_mean, by_maximum = s1.MORPHOLOGY[code[1:]]
        rows.append({"code": code, "published": n, "ours": ours.pop(code, 0), "mean": by_mean, "maximum": by_maximum,
                     "kept": "left out" if code in s1.LEFT_OUT else "", "flag": flagged})  # fmt: skip
    rows += [{"code": code, "published": 0, "ours": n, "flag": flagged} for code, n in ours.items()]
    rows.append({"code": "all", "published": s1.IMAGES, "ours": len(labels), "flag": flagged})
    columns = (
        Column("code", "structure code"),
        Column("mean", "morphology, mean criterion"),
        Column("maximum", "morphology, maximum criterion"),
        Column("published", "published, images", "count"),
        Column("ours", "ours, images", "count"),
        Column("kept", "in Figs. 3 and 4"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Table 1 and Suppl. Table 1: class counts and morphology.", columns, rows)


def shares_table(values: Sequence[str], published: Mapping[str, float], what: str, least: int, flagged: str) -> Table:
    """Return shares of alloys or magnifications, levels with fewer than *least* images put together (S1-10)."""
    names, counts = np.unique(np.asarray(values, str), return_counts=True)
    ours: dict[str, int] = {}
    for name, n in zip(names, counts, strict=True):
        level = str(name) if n >= least else "miscellaneous"
        ours[level] = ours.get(level, 0) + int(n)
    rows = [
        {"level": name, "published": published.get(name), "ours": ours.get(name, 0) / max(len(values), 1),
         "n": ours.get(name, 0), "flag": flagged}
        for name in dict.fromkeys([*published, *sorted(ours, key=lambda level: -ours[level])])
    ]  # fmt: skip
    columns = (
        Column("level", what),
        Column("published", "published share", "share"),
        Column("ours", "our share", "share"),
        Column("n", "our images", "count"),
        Column("flag", "comparable?", "flag"),
    )
    return Table(f"Shares of {what}s; fewer than {least} images are miscellaneous.", columns, rows)


def accuracy_rows(ours: Mapping[tuple[str, str], Mapping[str, Any]], flagged: str) -> list[dict[str, Any]]:
    """Rows of Table 2: each published accuracy with its Wilson interval, and ours of the same head and regime."""
    rows = []
    for (network, head, regime), percent in s1.TABLE_2.items():
        hits = s1.TABLE_2_HITS[network, head, regime]
        mine = ours.get((head, regime)) if network == "ResNet-18" else None
        rows.append({"network": network, "head": head, "regime": regime,
                     "published": {"value": percent / 100, "ci95": list(wilson(hits, 326))}, "n_published": 326,
                     "ours": mine, "n": None if mine is None else mine["n"],
                     "flag": flagged if mine is not None else "not run here"})  # fmt: skip
    return rows


def accuracy_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Table 2."""
    columns = (
        Column("network", "published network"),
        Column("head", "model"),
        Column("regime", "regime"),
        Column("published", "published accuracy", "share"),
        Column("n_published", "published n", "count"),
        Column("ours", "our accuracy", "share"),
        Column("n", "our n", "count"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Table 2: overall test accuracy. Published intervals: Wilson, ours added.", columns, rows)


def stage_rows(bench: Bench, soft: npt.NDArray[np.float64], flagged: str) -> list[dict[str, Any]]:
    """Rows of Table 3: the subtype stage on all images, each size stage on the images of its subtype.

    Parameters
    ----------
    bench : Bench
    soft : ndarray, shape (n, C)
        Probabilities of a staged head with soft routing: within one subtype their order is that of the size stage.
    flagged : str
    """
    subtype = np.array([name[0] for name in bench.classes])
    truth = subtype[bench.labels]
    by_subtype = np.stack([soft[:, subtype == s].sum(axis=1) for s in s1.SUBTYPES], axis=1)
    stages = {"subtype": (np.array(s1.SUBTYPES)[by_subtype.argmax(axis=1)] == truth, np.ones(bench.n, bool))}
    for s in s1.SUBTYPES:
        within = np.where(subtype[None, :] == s, soft, -1.0).argmax(axis=1)
        stages[s] = (within == bench.labels, truth == s)
    rows = []
    for name, (right, mine) in stages.items():
        hits, n = s1.TABLE_3_HITS["ResNet-18", name]
        groups = None if bench.specimens is None else bench.specimens[mine]
        ours = share(right[mine], groups, bench.recipe.seed).as_dict() if mine.any() else None
        rows.append({"stage": name, "published": {"value": hits / n, "ci95": list(wilson(hits, n))}, "n_published": n,
                     "published_50": s1.TABLE_3["ResNet-50", name] / 100, "ours": ours, "n": int(mine.sum()),
                     "flag": flagged})  # fmt: skip
    return rows


def stage_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Table 3."""
    columns = (
        Column("stage", "stage"),
        Column("published", "published, ResNet-18", "share"),
        Column("published_50", "published, ResNet-50", "share"),
        Column("n_published", "published n", "count"),
        Column("ours", "ours", "share"),
        Column("n", "our n", "count"),
        Column("flag", "comparable?", "flag"),
    )
    return Table("Table 3: accuracy of each stage; size stages on the images of their own subtype.", columns, rows)

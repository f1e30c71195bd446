"""S3's tables: each published cell beside ours, rounded as printed and in full, with what keeps them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sorby.report.experiment_page import Column, Table
from sorby.report.wording import count
from sorby.workflow.anomaly.protocol_command import described_arm
from sorby.workflow.anomaly.protocol_figures import TITLES, printed_as
from sorby.workflow.anomaly.protocols import ArmResult, ProtocolResult
from sorby.workflow.papers import yan2023 as s3

_BEYOND = (
    "threshold_pro_by_image",
    "threshold",
    "false_regions",
    "false_regions_per_image",
    "image_specificity",
    "pixel_specificity",
    "pixel_f1",
)
_TIMES = ("inference_s", "total_s")


@dataclass(frozen=True)
class Setting:
    """What all cells of a run of the paper share.

    Attributes
    ----------
    phantoms : bool
    network : str
        Name of the backbone.
    """

    phantoms: bool
    network: str

    def flag(self, key: str, arm: ArmResult, published_features: int, runs: int, published_runs: int) -> str:
        """Say why a cell may not be held against the published one."""
        reasons = ["phantoms" if self.phantoms else "other sheets"]
        if self.network != "efficientnet_b4":
            reasons.append("other network")
        elif arm.length != published_features:
            reasons.append("other features")
        if key in _TIMES:
            reasons.append("other machine")
        elif runs != published_runs:
            reasons.append(f"{runs} of {count(published_runs, 'run')}")
        return f"not comparable ({', '.join(reasons)})"


def published_arms(result: ProtocolResult) -> list[tuple[int, ArmResult]]:
    """Pair arms with the published numbers of features: 100, and all, which were 248 there."""
    return [(248 if arm.features is None else arm.features, arm) for arm in result.arms]


def standard_rows(table: str, result: ProtocolResult, setting: Setting) -> list[dict[str, Any]]:
    """Rows of Table 1 or 2: one a figure and number of features."""
    published_runs = s3.RUNS["scratches" if result.c == 1 else result.name]
    rows = []
    for features, arm in published_arms(result):
        ours = described_arm(result, arm)
        printed = s3.TABLE_2 if result.c is None else {d: row for (c, d), row in s3.TABLE_1.items() if c == result.c}
        rows += _cells(table, result.name, features, arm, printed.get(features, {}), ours["standard"], ours, setting,
                       published_runs)  # fmt: skip
    return rows


def loocv_rows(table: str, result: ProtocolResult, setting: Setting) -> list[dict[str, Any]]:
    """Rows of Table 3 or 4: the inner loop's figures, then the outer threshold PRO."""
    printed = s3.TABLE_4 if result.c is None else s3.TABLE_3
    published_runs = s3.TILES_WITH_PINHOLE if result.c is None else s3.TEST_BAD
    rows = []
    for features, arm in published_arms(result):
        if not arm.inner:
            continue
        ours = described_arm(result, arm)
        both = {**ours["inner"], **ours["outer"]}
        rows += _cells(table, result.name, features, arm, printed.get(features, {}), both, {}, setting, published_runs)
    return rows


def _cells(
    table: str,
    name: str,
    features: int,
    arm: ArmResult,
    printed: Mapping[str, s3.Cell],
    ours: Mapping[str, Mapping[str, Any]],
    more: Mapping[str, Any],
    setting: Setting,
    published_runs: int,
) -> list[dict[str, Any]]:
    label = str(features) if arm.length == features else f"{features} (ours: all {arm.length})"
    resampled = more.get("resampled", {})
    rows = []
    for key, cell in printed.items():
        found = ours.get(key)
        if found is None:
            continue
        rows.append({
            "table": table,
            "protocol": name,
            "features": label,
            "key": key,
            "figure": TITLES[key][0],
            "published": {"value": cell[0], "margin": cell[1], "printed": printed_as(*cell)},
            "ours": dict(found),
            "resampled": resampled.get(key),
            "flag": setting.flag(key, arm, features, int(found["n"]), published_runs),
        })  # fmt: skip
    return rows


def cells_table(caption: str, rows: Sequence[Mapping[str, Any]], *, resampled: bool) -> Table:
    """Return published cells beside ours for the page."""
    columns = [
        Column("features", "features"),
        Column("figure", "figure"),
        Column("published.printed", "published"),
        Column("ours.printed", "ours, rounded as theirs"),
        Column("ours", "ours in full", "number"),
        Column("ours.n", "our runs", "count"),
        *([Column("resampled", "first run, defects resampled", "number")] if resampled else []),
        Column("flag", "comparable?", "flag"),
    ]
    if any(row["protocol"] != rows[0]["protocol"] for row in rows):
        columns.insert(0, Column("protocol", "protocol"))
    return Table(caption, columns, rows)


def beyond_rows(results: Sequence[ProtocolResult]) -> list[dict[str, Any]]:
    """Rows of what the paper does not print: false positives, specificity, threshold, overlap by image."""
    rows = []
    for result in results:
        for features, arm in published_arms(result):
            standard = described_arm(result, arm)["standard"]
            rows.append({
                "protocol": result.name,
                "features": str(features) if arm.length == features else f"all {arm.length}",
                **{key: standard[key] for key in _BEYOND},
            })  # fmt: skip
    return rows


def beyond_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return them for the page."""
    columns = [Column("protocol", "protocol"), Column("features", "features")]
    # Totals grow with the test set and stand in the JSON; an image's share can be read across protocols.
    columns += [Column(key, TITLES[key][0], "number") for key in _BEYOND if key != "false_regions"]
    return Table(
        "Means over the standard runs, at the threshold of best pixel F1 of each run, good images counted once. The"
        " threshold's interval shows how far it moves with the split.",
        columns,
        rows,
    )


def meanings_table() -> Table:
    """Say what each score means and what counts as high."""
    rows = [{"score": score, "means": means, "high": high} for score, means, high in s3.MEANINGS]
    columns = (Column("score", "score"), Column("means", "what it means"), Column("high", "what counts as high"))
    return Table("All scores of pixels and images are of raw distances; 0 to 1 unless a unit is named.", columns, rows)


def caption(result: ProtocolResult, baseline: Mapping[str, Any], procedure: str) -> str:
    """Caption a table: who learnt, who was tested, how often, and how uniform the baseline is."""
    split, bad = result.split, result.subs.bad
    good = int((~bad[split.test]).sum())
    weight = float(split.weights[-1])
    runs = len(result.arms[0].inner if procedure == "leave-one-out" else result.arms[0].standard)
    words = [
        f"{result.name}, {procedure}: {count(len(split.train), 'good sub-image')} learnt,"
        f" {good} good{f' (weight {weight:.2g})' if weight != 1 else ''} and {int(bad[split.test].sum())} defective"
        f" ones tested, {count(runs, 'run')}."
    ]
    if procedure == "leave-one-out":
        words.append(
            "Inner figures are measured without the image held out; the outer threshold PRO is of that image alone,"
            " with raw distances, at the inner threshold; its interval is over images."
        )
    elif runs > 1:
        words.append("Margins: t over runs that share images, so too narrow for other sheets.")
    else:
        words.append("One run: no margin over runs; read the resampled interval.")
    words.append(
        f"Baseline: grey deviates by {baseline['texture']:.2g} levels about its surroundings,"
        f" {baseline['spots_per_mpx']:.3g} bright spots a megapixel."
    )
    return " ".join(words)

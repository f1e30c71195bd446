"""The tables of a round robin's page, made of its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sorby.report.experiment_page import Column, Table
from sorby.report.wording import percent
from sorby.study.panel import TITLES

Results = Mapping[str, Any]

COEFFICIENTS = {
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac1": "Gwet's AC1",
    "krippendorff_alpha": "Krippendorff's alpha",
    "conger_kappa": "Conger's kappa",
    "brennan_prediger": "Brennan-Prediger",
    "gwet_ac2": "Gwet's AC2, ordinal",
    "krippendorff_alpha_ordinal": "Krippendorff's alpha, ordinal",
    "kendall_w": "Kendall's W",
}
_ACCURACY = {
    "class": "class",
    "size_given_class": "code, where the class is right",
    "code": "full code",
    "reduced": "reduced classes",
    "verdict": "accept or reject",
}


def _rounded(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a coefficient to two decimals; more are noise at these numbers of images."""
    if entry is None or entry["value"] is None:
        return None
    bounds = entry["ci95"]
    return {"value": round(entry["value"], 2), "ci95": bounds and [round(bound, 2) for bound in bounds]}


def level_title(results: Results, level: str) -> str:
    """Return the name of a level; where there is only one, a code is a class."""
    return "classes" if level == "code" and "class" not in results["agreement"] else TITLES[level]


def accuracy_table(results: Results) -> Table:
    """Return shares of right ratings with hits, numbers and intervals."""
    found = results["accuracy"]
    rows = [{"what": title, "share": found[key], "hits": f"{found[key]['hits']} of {found[key]['n']}",
             "note": found[key].get("note", "")} for key, title in _ACCURACY.items() if key in found]  # fmt: skip
    columns = [Column("what", "What must be right"), Column("share", "share", "share"),
               Column("hits", "ratings", "count")]  # fmt: skip
    columns += [Column("note", "note")] * any(row["note"] for row in rows)
    return Table(
        "Ratings that are right, first showings. Intervals hold for other images and other raters.", columns, rows
    )


def class_table(results: Results) -> Table | None:
    """Return accuracies by the class of the label; None where there is one step only."""
    found = results["accuracy"].get("by_class")
    if not found:
        return None
    rows = [{**entry, "name": name} for name, entry in found.items()]
    return Table(
        "By the class of the label: share of all ratings of these images.",
        (Column("name", "Class"), Column("images", "images", "count"), Column("class", "class right", "share"),
         Column("code", "code right", "share"), Column("size_given_class", "code, class right", "share")),
        rows,
    )  # fmt: skip


def agreement_table(results: Results) -> Table:
    """Return every coefficient at every level."""
    levels = [level for level in results["agreement"] if "fleiss_kappa" in results["agreement"][level]]
    rows = [{"name": title, **{level: _rounded(results["agreement"][level].get(key)) for level in levels}}
            for key, title in COEFFICIENTS.items()
            if any(key in results["agreement"][level] for level in levels)]  # fmt: skip
    columns = (
        Column("name", "Coefficient"),
        *(Column(level, level_title(results, level), "number") for level in levels),
    )
    return Table("Agreement beyond chance among raters; 1 is perfect, 0 is what guessing would give.", columns, rows)


def group_table(results: Results) -> Table | None:
    """Return Fleiss' kappa within groups of raters; None without groups."""
    if not results["groups"]:
        return None
    levels = [level for level in results["agreement"] if "fleiss_kappa" in results["agreement"][level]]
    rows = [
        {"group": name, "raters": len(found["raters"]),
         **{level: _rounded(found.get(level, {}).get("fleiss_kappa")) for level in levels}}
        for name, found in results["groups"].items()
    ]  # fmt: skip
    columns = (
        Column("group", "Who rate"),
        Column("raters", "raters", "count"),
        *(Column(level, level_title(results, level), "number") for level in levels),
    )
    return Table("Fleiss' kappa among raters who do this equally often.", columns, rows)


def majority_table(results: Results) -> Table:
    """Return how the majority's choice compares with the label."""
    rows = [{"what": level_title(results, level), **found} for level, found in results["majority"].items()
            if found["of"]]  # fmt: skip
    names = {"equal": "equal", "adjacent": "one step beside", "same_class": "further, same class",
             "other_class": "other class", "tied": "tied", "tied_with_label": "tied, label among them"}  # fmt: skip
    return Table(
        "Images by what most raters said against the label; a tie is no majority and is counted as tied.",
        (Column("what", "Level"), Column("of", "images", "count"),
         *(Column(key, title, "count") for key, title in names.items())),
        rows,
    )  # fmt: skip


def rater_table(results: Results) -> Table:
    """Return one row a rater."""
    reduced = any(entry.get("reduced") for entry in results["raters"])
    steps = any(entry["mean_steps"] is not None for entry in results["raters"])
    classes = any(entry.get("class") for entry in results["raters"])
    repeats = (results["repeatability"] or {}).get("code", {}).get("raters", {})
    rows = []
    for entry in results["raters"]:
        said = repeats.get(entry["rater"])
        again = "" if not said or not said["n"] else f"{round(said['value'] * said['n'])} of {said['n']}"
        often = str(entry["profile"].get("frequency", ""))
        rows.append(
            {
                "rater": entry["rater"] + (" (simulated)" if entry["simulated"] else ""),
                "frequency": often or None,
                "n": entry["ratings"],
                **{key: _hits(entry.get(key)) for key in ("class", "code", "reduced")},
                "steps": None if entry["mean_steps"] is None else f"{entry['mean_steps']:+.2f}",
                "again": again or None,
                "criteria": _majority_of(entry["criteria"]),
                "flags": ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in entry["flags"].items())
                or None,
                "seconds": None if entry["median_seconds"] is None else f"{entry['median_seconds']:.0f}",
            }
        )
    columns = [Column("rater", "Rater"), Column("frequency", "rates"), Column("n", "ratings", "count")]
    columns += [Column("class", "class right", "count")] * classes
    columns += [Column("code", "code right", "count")]
    columns += [Column("reduced", "reduced right", "count")] * reduced
    columns += [Column("steps", "mean steps off", "count")] * steps
    columns += [Column("again", "said again", "count")] * bool(repeats)
    columns += [Column("criteria", "criterion")] * any(entry["criteria"] for entry in results["raters"])
    columns += [Column("flags", "flags")] * any(entry["flags"] for entry in results["raters"])
    columns += [Column("seconds", "seconds", "count")] * any(e["median_seconds"] for e in results["raters"])
    return Table(
        "Each rater. Steps: towards the end of the range where positive, class right. Seconds: median an image.",
        columns,
        rows,
    )


def _hits(entry: Mapping[str, Any] | None) -> str | None:
    return None if not entry or not entry["n"] else f"{entry['hits']} of {entry['n']}"


def _majority_of(counts: Mapping[str, int]) -> str | None:
    if not counts:
        return None
    name, count = next(iter(counts.items()))
    return f"{name} {percent(count / sum(counts.values())).replace('.0 %', ' %')}"


def appraiser_table(found: Mapping[str, Any], caption: str) -> Table:
    """Return the appraisers of one attribute agreement study."""
    two_valued = any(entry["miss_rate"] for entry in found["appraisers"])
    again = found["trials"] > 1
    rows = [
        {
            "name": entry["name"],
            "within": entry["within"],
            "mixed": entry["mixed"],
            "with_standard": entry["with_standard"],
            "band": entry["with_standard"]["band"],
            "kappa": _rounded(entry["kappa"]),
            "miss": entry["miss_rate"],
            "alarm": entry["false_alarm_rate"],
        }
        for entry in found["appraisers"]
    ]
    columns = [Column("name", "Appraiser")]
    columns += [Column("within", "within", "share"), Column("mixed", "mixed", "share")] * again
    columns += [Column("with_standard", "with the standard", "share"), Column("band", "rule of thumb", "flag"),
                Column("kappa", "kappa with the standard", "number")]  # fmt: skip
    columns += [Column("miss", "miss rate", "share"), Column("alarm", "false alarm rate", "share")] * two_valued
    return Table(caption, columns, rows)


def truth_rows(results: Results, thumbnails: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return one entry an image: label, majority and posterior, the doubtful ones first."""
    voted = {entry["item"]: entry for entry in results["majority"]["code"]["items"]}
    said = (results["model"] or {}).get("verdicts", {})
    labels = dict(zip(results["chosen"]["items"], results["chosen"]["labels"], strict=True))
    rows = [
        {
            **entry,
            "on_record": labels.get(entry["item"]),
            "majority": voted.get(entry["item"]),
            "picture": thumbnails.get(entry["item"]),
            "model": said.get(entry["item"]),
        }
        for entry in results["truth"]["items"]
    ]
    return sorted(rows, key=lambda row: (not row["doubtful"], 1.0 if row["p_label"] is None else row["p_label"]))

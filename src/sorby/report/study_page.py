"""The page of a round robin: who was right how often, how far raters agree, and the model beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sorby.report.experiment_page import written
from sorby.report.page import drawing, render
from sorby.report.study_figures import bubbles, forest, rater_dots
from sorby.report.study_tables import (
    COEFFICIENTS,
    Results,
    accuracy_table,
    agreement_table,
    appraiser_table,
    class_table,
    group_table,
    level_title,
    majority_table,
    rater_table,
    truth_rows,
)
from sorby.report.thumbnails import Picture
from sorby.report.wording import count, estimate, percent
from sorby.study.design import Design

#: Coefficients that the figure shows; the table has all.
_DRAWN = ("fleiss_kappa", "gwet_ac1", "krippendorff_alpha")
#: Below this the page shows no figure of single raters, which would be a wall of dots.
_MOST_DRAWN = 40


def study_page(
    design: Design, results: Results, provenance: Mapping[str, Any], thumbnails: Mapping[str, Picture] | None = None
) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    design : Design
    results : mapping
        From `sorby.study.results.results`, ready for JSON.
    provenance : mapping
        From `sorby.provenance.describe`.
    thumbnails : mapping of str to Picture, optional
        Small pictures by item.
    """
    labelled = any(design.labels)
    tables = {
        "accuracy": accuracy_table(results) if labelled else None,
        "classes": class_table(results) if labelled else None,
        "majority": majority_table(results) if labelled else None,
        "agreement": agreement_table(results),
        "groups": group_table(results),
        "raters": rater_table(results),
    }
    return render(
        "study.html",
        title=f"Round robin {design.study}",
        sorby_version=provenance["versions"]["sorby"],
        created=str(provenance["created"])[:16].replace("T", " ") + " UTC",
        design=design,
        results=results,
        sentences=_sentences(design, results),
        cards=_cards(results),
        figures=_figures(design, results),
        tables={key: None if table is None else written(table) for key, table in tables.items()},
        appraisal=_appraisal(results),
        within=_within(results),
        truth=truth_rows(results, thumbnails or {}),
        truth_level=level_title(results, results["truth"]["level"]) if results["truth"]["level"] else None,
        model=_model(results),
        provenance=provenance,
    )


def _sentences(design: Design, results: Results) -> list[str]:
    done = results["progress"]
    said = [
        f"{count(done['started'], 'rater')} rated {count(len(design.items), 'image')}"
        f"{f', {len(design.repeated)} of them twice' if design.repeated else ''}: {done['ratings']} of"
        f" {done['expected']} ratings are in."
    ]
    found = results["accuracy"]
    if "class" in found:
        said.append(
            f"They named the class right in {estimate(found['class'])} and the full code in {estimate(found['code'])}."
        )
    elif "code" in found:
        said.append(f"They named the class right in {estimate(found['code'])}.")
    kappa = next((entry["fleiss_kappa"] for entry in results["agreement"].values() if "fleiss_kappa" in entry), None)
    if kappa is not None:
        said.append(f"Agreement on full codes beyond chance, Fleiss' kappa: {_kappa(kappa)}.")
    return said


def _kappa(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "not defined"
    bounds = entry["ci95"]
    sure = "no interval" if bounds is None else f"95 % interval {bounds[0]:.2f} to {bounds[1]:.2f}"
    return f"{entry['value']:.2f} ({sure}, {count(entry['n'], 'image')})"


def _cards(results: Results) -> list[dict[str, str]]:
    found, cards = results["accuracy"], []
    for key, title in (("class", "Class right"), ("code", "Full code right"), ("reduced", "Reduced classes right")):
        if key in found and found[key]["n"]:
            entry = found[key]
            cards.append(_card(title, percent(entry["value"]), entry, f"{entry['hits']} of {entry['n']} ratings"))
    model = results["model"]
    if model is not None:
        for key in ("reduced", "merged", "code", "class"):
            if key in model:
                entry = model[key]["accuracy"]
                words = f"{entry['hits']} of {entry['n']} images, {level_title(results, key)}"
                cards.append(_card("Model right", percent(entry["value"]), entry, words))
                break
    return cards


def _card(title: str, value: str, entry: Mapping[str, Any], words: str) -> dict[str, str]:
    bounds = entry["ci95"]
    sure = "no interval" if bounds is None else f"95 % interval {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"
    return {"title": title, "value": value, "sure": sure, "words": words}


def _figures(design: Design, results: Results) -> dict[str, Any]:
    classes = [str(design.scheme.class_of(code)) for code in results["chosen"]["codes"]]
    drawn: dict[str, Any] = {"agreement": None, "raters": None}
    drawn["chosen"] = drawing(bubbles(results["chosen"], classes, [item.difficult for item in design.items]))
    rows = [
        (level_title(results, level), {COEFFICIENTS[key]: found[key] for key in _DRAWN if key in found})
        for level, found in results["agreement"].items()
        if "fleiss_kappa" in found
    ]
    for name, group in results["groups"].items():
        rows += [(f"{level_title(results, level)}, {name}", {COEFFICIENTS[key]: group[level][key] for key in _DRAWN})
                 for level in ("class", "reduced") if "fleiss_kappa" in group.get(level, {})]  # fmt: skip
    if rows:
        drawn["agreement"] = drawing(forest(rows))
    people = _rater_rows(results)
    if people:
        drawn["raters"] = drawing(rater_dots(people))
    return drawn


def _rater_rows(results: Results) -> list[tuple[str, dict[str, Any]]]:
    """Return rows of the figure of raters, the best first, then the panel and the model."""
    finest = "reduced" if any(entry.get("reduced") for entry in results["raters"]) else "code"
    series = {"class": "class", finest: "reduced classes" if finest == "reduced" else "code"}
    people = [entry for entry in results["raters"] if entry.get(finest)]
    if not people or len(people) > _MOST_DRAWN:
        return []
    people.sort(key=lambda entry: -(entry.get("class") or entry[finest])["value"])
    rows = [(e["rater"], {title: e[key] for key, title in series.items() if e.get(key)}) for e in people]
    panel = {title: results["accuracy"][key] for key, title in series.items() if key in results["accuracy"]}
    rows.append(("all raters", panel))
    model = results["model"]
    if model is not None:
        rows.append((model["name"], {title: model[key]["accuracy"] for key, title in series.items() if key in model}))
    return rows


def _appraisal(results: Results) -> list[dict[str, Any]]:
    """Return the attribute agreement studies, one a level."""
    parts = []
    for level, found in results["attribute_agreement"].items():
        once = found["once"]
        entry = {
            "title": level_title(results, level),
            "table": written(appraiser_table(once, "All images, first showings; an image counts where it was rated.")),
            "between": estimate(once["between"]),
            "all": estimate(once["all_with_standard"]),
            "again": None,
        }
        if "twice" in found:
            caption = "Images shown twice, both showings."
            entry["again"] = written(appraiser_table(found["twice"], caption))
        parts.append(entry)
    return parts


def _within(results: Results) -> list[tuple[str, str, str]]:
    found = results["repeatability"] or {}
    return [
        (level_title(results, level), estimate(entry["pooled"]),
         "not defined" if entry["kappa"] is None else f"{entry['kappa']:.2f}")
        for level, entry in found.items()
        if isinstance(entry, Mapping)
    ]  # fmt: skip


def _model(results: Results) -> dict[str, Any] | None:
    """Return what the page says of the model."""
    model = results["model"]
    if model is None:
        return None
    rows = [
        {"level": level_title(results, level), "accuracy": estimate(model[level]["accuracy"]),
         "over": _over(model[level]["over_panel"]), "better": model[level]["better_than"],
         "worse": model[level]["worse_than"], "raters": model[level]["raters"]}
        for level in ("class", "merged", "code", "reduced", "verdict")
        if level in model
    ]  # fmt: skip
    return {"name": model["name"], "sha256": model["bundle_sha256"], "rows": rows, "warnings": model["warnings"]}


def _over(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "not defined"
    bounds = entry["ci95"]
    sure = "no interval" if bounds is None else f"95 % interval {100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}"
    return f"{100 * entry['value']:+.1f} points ({sure})"

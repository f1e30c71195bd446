"""Everything that follows from a design and its ratings, as plain values: for a page, for JSON, for a record."""

from __future__ import annotations

from typing import Any

from sorby.study.accuracy import accuracies, chosen_counts, criterion_shares, majority, rater_reports
from sorby.study.better_truth import label_posteriors
from sorby.study.concordance import agreements, attribute_reports, by_group, within_raters
from sorby.study.design import Design
from sorby.study.model_appraiser import ModelRatings, model_report
from sorby.study.panel import Panel
from sorby.study.ratings import Ratings


def results(design: Design, ratings: Ratings, model: ModelRatings | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Return the results of a round robin.

    Parameters
    ----------
    design : Design
    ratings : Ratings
        Gaps and unequal numbers of ratings an image are allowed, raters who have not finished too.
    model : ModelRatings, optional
        A model as one more appraiser.
    seed : int
        Of the bootstraps.

    Returns
    -------
    dict
        ``study``, ``design_sha256``, ``progress``, ``accuracy``, ``agreement``, ``groups``, ``majority``, ``raters``,
        ``repeatability`` (None without repeats), ``attribute_agreement``, ``truth``, ``model`` (None without one),
        ``criteria``, ``chosen``, ``simulated``, ``warnings``.

    Raises
    ------
    InputError
        There is no rating.
    """
    panel = Panel.of(design, ratings)
    votes = [level for level in panel.levels if level in ("code", "class", "reduced")]
    return {
        "study": design.study,
        "scheme": design.scheme.name,
        "design_sha256": design.digest,
        "progress": progress(design, ratings),
        "accuracy": accuracies(panel, seed),
        "agreement": agreements(panel),
        "groups": by_group(panel),
        "majority": {level: majority(panel, level) for level in votes},
        "raters": rater_reports(panel),
        "repeatability": within_raters(panel),
        "attribute_agreement": attribute_reports(panel, model),
        "truth": label_posteriors(panel),
        "model": None if model is None else model_report(panel, model, seed),
        "criteria": criterion_shares(panel),
        "chosen": chosen_counts(panel),
        "simulated": list(ratings.simulated),
        "warnings": _warnings(design, ratings, panel),
    }


def progress(design: Design, ratings: Ratings) -> dict[str, Any]:
    """Return how far a study is: what an organiser watches while it runs.

    Returns
    -------
    dict
        ``items``, ``showings`` (each rater's), ``raters``, ``started``, ``finished``, ``ratings``, ``expected``, and
        ``by_rater``: ratings each.
    """
    given = ratings.table.groupby("rater").size().to_dict() if len(ratings.table) else {}
    by_rater = {rater: int(given.get(rater, 0)) for rater in design.raters}
    each = len(design.showings)
    return {
        "items": len(design.items),
        "showings": each,
        "raters": len(design.raters),
        "started": sum(count > 0 for count in by_rater.values()),
        "finished": sum(count >= each for count in by_rater.values()),
        "ratings": sum(by_rater.values()),
        "expected": each * len(design.raters),
        "by_rater": by_rater,
    }


def _warnings(design: Design, ratings: Ratings, panel: Panel) -> list[str]:
    said = [*design.warnings, *ratings.warnings]
    if silent := [rater for rater in design.raters if rater not in panel.raters]:
        said.append(f"raters without a rating, left out: {', '.join(silent)}")
    if ratings.quarantined:
        said.append(f"{len(ratings.quarantined)} ratings could not be read and do not count")
    if ratings.simulated:
        said.append(f"{len(ratings.simulated)} of {len(panel.raters)} raters are simulated: no person said this")
    if design.facts.get("difficult") is not None:
        said.append(
            f"{design.facts['difficult']} of {len(design.items)} images were chosen because a model got them wrong:"
            " neither raters nor that model are judged on a fair sample"
        )
    if not any(design.labels):
        said.append("no image has a label: nothing can be said of right and wrong")
    return said

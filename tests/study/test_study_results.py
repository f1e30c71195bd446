"""Results of a round robin: raters who tell the truth, identities between figures, gaps, a model, a weighed truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from round_robins import CREATED, designed, measures, rated
from sorby.errors import InputError
from sorby.evidence.agreement import fleiss_kappa
from sorby.study import Design, Item, ModelRatings, Panel, Ratings, plan, progress, rating_rows, read_scheme, results
from sorby.study.better_truth import label_posteriors

TABLE = measures(24, seed=3)
DESIGN = designed(TABLE, raters=8, repeats=4)
RATINGS = rated(DESIGN, TABLE, seed=1)
MODEL = ModelRatings("model", {item.name: item.label for item in DESIGN.items}, chose_the_images=True)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return results(DESIGN, RATINGS, MODEL)


def test_raters_who_tell_the_truth_are_right_agree_and_repeat_themselves() -> None:
    truth = results(DESIGN, rated(DESIGN, TABLE, noise=0.0))
    assert all(truth["accuracy"][level]["value"] == 1 for level in ("class", "code", "reduced"))
    assert truth["agreement"]["class"]["fleiss_kappa"]["value"] == pytest.approx(1)
    assert truth["majority"]["class"]["equal"] == truth["majority"]["class"]["of"] == 24
    assert truth["repeatability"]["class"]["pooled"]["value"] == 1
    assert all(entry["within"]["value"] == 1 for entry in truth["attribute_agreement"]["class"]["twice"]["appraisers"])
    assert truth["truth"]["doubtful"] == 0


def test_shares_multiply_and_classes_add_up(found: dict[str, Any]) -> None:
    accuracy = found["accuracy"]
    assert accuracy["code"]["value"] == pytest.approx(
        accuracy["class"]["value"] * accuracy["size_given_class"]["value"]
    )
    assert sum(entry["code"]["hits"] for entry in accuracy["by_class"].values()) == accuracy["code"]["hits"]
    assert sum(entry["images"] for entry in accuracy["by_class"].values()) == 24
    assert accuracy["code"]["n"] == 24 * 8
    by_rater = sum(entry["code"]["hits"] for entry in found["raters"])
    assert by_rater == accuracy["code"]["hits"]
    chosen = found["chosen"]
    assert np.sum(chosen["counts"]) == 24 * 8
    assert np.sum(np.array(chosen["counts"]) * np.array(chosen["right"])) == accuracy["code"]["hits"]


def test_majorities_count_every_image_once(found: dict[str, Any]) -> None:
    for level, vote in found["majority"].items():
        parts = sum(vote[name] for name in ("equal", "adjacent", "same_class", "other_class", "tied"))
        assert parts == vote["of"] == len(vote["items"]), level
        assert vote["tied_with_label"] <= vote["tied"]


def test_agreement_is_that_of_the_table(found: dict[str, Any]) -> None:
    said = Panel.of(DESIGN, RATINGS).said("code")
    assert found["agreement"]["code"]["fleiss_kappa"]["value"] == pytest.approx(fleiss_kappa(said).value)
    assert {"gwet_ac2", "kendall_w"} <= set(found["agreement"]["size"])
    assert "kendall_w" not in found["agreement"]["code"]
    assert set(found["groups"]) == {"daily", "weekly"}


def test_reduced_classes_leave_out_images_and_ratings(found: dict[str, Any]) -> None:
    scheme = DESIGN.scheme
    kept = [scheme.reduce(label) is not None for label in DESIGN.labels]
    assert found["agreement"]["reduced"]["items"] == sum(kept) < 24
    assert found["accuracy"]["reduced"]["n"] < 8 * sum(kept)


def test_gaps_and_unfinished_raters_change_what_they_touch_and_nothing_else() -> None:
    table = RATINGS.table
    some = table[~((table["rater"] == "R02") & (table["item"] > "I12")) & (table["rater"] != "R07")]
    part = results(DESIGN, Ratings(some.reset_index(drop=True), RATINGS.profiles))
    assert part["progress"]["started"] == 7
    assert part["progress"]["finished"] == 6
    assert len(part["raters"]) == 7
    assert any("R07" in line for line in part["warnings"])
    full = {entry["rater"]: entry for entry in results(DESIGN, RATINGS)["raters"]}
    assert all(entry["code"] == full[entry["rater"]]["code"] for entry in part["raters"] if entry["rater"] != "R02")


def test_a_model_that_is_always_right_is_better_than_everybody_and_said_to_be_no_fair_sample(
    found: dict[str, Any],
) -> None:
    model = found["model"]
    assert model["merged"]["accuracy"]["value"] == 1
    assert model["merged"]["better_than"] == 8
    assert model["merged"]["over_panel"]["value"] == pytest.approx(1 - found["accuracy"]["code"]["value"])
    assert "fair sample" in model["warnings"][0]
    assert found["attribute_agreement"]["merged"]["once"]["appraisers"][-1]["name"] == "model"


def test_simulated_raters_are_called_simulated(found: dict[str, Any]) -> None:
    assert len(found["simulated"]) == 8
    assert any("simulated: no person said this" in line for line in found["warnings"])


def test_results_are_plain_values(found: dict[str, Any]) -> None:
    text = json.dumps(found)
    assert json.loads(text)["design_sha256"] == DESIGN.digest


def test_a_study_without_labels_tells_agreement_and_no_accuracy() -> None:
    items = [Item(f"I{k}", f"{k:064x}", f"{k}.png", "", "") for k in range(6)]
    design = plan("bare", read_scheme("steel"), items, ["A", "B"], created=CREATED)
    rows = [{"rater": rater, "item": item.name, "class": "G", "code": f"G{6 + k % 3}"}
            for rater in "AB" for k, item in enumerate(items)]  # fmt: skip
    bare = results(design, rating_rows(design, rows))
    assert bare["accuracy"] == {}
    assert bare["agreement"]["code"]["fleiss_kappa"]["value"] == pytest.approx(1)
    assert any("no image has a label" in line for line in bare["warnings"])


def test_no_rating_is_no_result() -> None:
    empty = rating_rows(DESIGN, [])
    with pytest.raises(InputError, match="no rating yet"):
        results(DESIGN, empty)
    assert progress(DESIGN, empty)["ratings"] == 0


def _inspected(skills: list[float], n: int, rng: np.random.Generator) -> tuple[Design, Ratings, np.ndarray]:
    """A part good or bad, named by inspectors of known skill who err independently."""
    truth = np.where(rng.random(n) < 0.4, "reject", "accept")
    items = [Item(f"I{k:03d}", f"{k:064x}", f"{k}.png", str(truth[k]), str(truth[k])) for k in range(n)]
    names = [f"R{k}" for k in range(len(skills))]
    design = plan("parts", read_scheme("accept-reject"), items, names, created=CREATED)
    other = np.where(truth == "accept", "reject", "accept")
    rows = [
        {"rater": name, "item": item.name, "class": str(truth[k] if rng.random() < skill else other[k])}
        for name, skill in zip(names, skills, strict=True)
        for k, item in enumerate(items)
    ]
    return design, rating_rows(design, rows), truth


def test_weighing_raters_beats_the_vote_where_one_knows_and_four_guess() -> None:
    rng = np.random.default_rng(7)
    design, ratings, truth = _inspected([0.97, 0.93, 0.55, 0.55, 0.55], 300, rng)
    panel = Panel.of(design, ratings)
    weighed = label_posteriors(panel)
    best = np.array([entry["best"] for entry in weighed["items"]])
    votes = (panel.said("code") == "reject").mean(axis=1) > 0.5
    assert (best == truth).mean() > (np.where(votes, "reject", "accept") == truth).mean() + 0.05
    skill = weighed["raters"]
    assert skill["R0"] > skill["R1"] > max(skill["R2"], skill["R3"], skill["R4"])
    # Independent raters are what the model assumes: hardly anything to temper.
    assert weighed["temperature"] < 1.5


def test_what_misleads_all_raters_at_once_is_tempered() -> None:
    rng = np.random.default_rng(8)
    design, ratings, _ = _inspected([0.97] * 6, 120, rng)
    table = ratings.table.copy()
    misled = {item.name for item in design.items[:24]}
    swap = {"accept": "reject", "reject": "accept"}
    wrong = table["item"].isin(misled)
    for column in ("class", "code"):
        table.loc[wrong, column] = table.loc[wrong, column].map(swap)
    weighed = label_posteriors(Panel.of(design, Ratings(table)))
    assert weighed["temperature"] > 3
    # A fifth of the labels contradict six unanimous raters: certainty must come out near four fifths.
    sure = np.mean([entry["p_best"] for entry in weighed["items"]])
    assert 0.7 < sure < 0.9


def test_too_few_images_give_no_posterior_rather_than_a_sure_one() -> None:
    few = designed(measures(8), raters=3, repeats=0)
    weighed = label_posteriors(Panel.of(few, rated(few, measures(8))))
    assert weighed["level"] is None
    assert all(entry["p_best"] is None for entry in weighed["items"])
    assert "too few" in weighed["notes"][0]


def test_an_inspection_has_misses_and_false_alarms() -> None:
    rng = np.random.default_rng(9)
    design, ratings, _ = _inspected([0.9, 0.8], 200, rng)
    told = results(design, ratings)
    appraisers = told["attribute_agreement"]["code"]["once"]["appraisers"]
    # 80 bad and 120 good parts: three standard errors of the rates.
    assert appraisers[0]["miss_rate"]["value"] == pytest.approx(0.1, abs=0.1)
    assert appraisers[1]["false_alarm_rate"]["value"] == pytest.approx(0.2, abs=0.11)
    assert set(told["agreement"]) == {"code"}


def test_one_rater_is_judged_and_agrees_with_nobody() -> None:
    table = RATINGS.table[RATINGS.table["rater"] == "R01"].reset_index(drop=True)
    alone = results(DESIGN, Ratings(table, pd.DataFrame(columns=RATINGS.profiles.columns)))
    assert alone["agreement"]["code"]["not_defined"]["value"] is None
    assert alone["accuracy"]["class"]["method"].startswith("bootstrap over images,")

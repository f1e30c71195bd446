"""Experiments: the same folds for every arm, whole specimens, honest differences, plain errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.classify.recipe import load
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.evidence import holm
from sorby.workflow.experiments import experiments, run_experiment
from sorby.workflow.experiments.arms import Arm, cross_predict
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.ceiling import _relabelled, codes_of, majority, right
from sorby.workflow.experiments.comparing import compare_arms, compared_rows
from sorby.workflow.experiments.generalisation import LEAST_IMAGES, TOGETHER, merged_levels
from sorby.workflow.experiments.registry import Request
from sorby.workflow.experiments.strangers import auroc_over_folds, find_kinds
from sorby.workflow.experiments.texture import LENGTHS, SIDE_PX, describe_texture, gabor_energies
from sorby.workflow.experiments.tiles import averaged_tiles, voted_tiles
from sorby.workflow.planning import _parts
from sorby.workflow.ratings import ratings_of
from textures import SMALL, texture, write_table

RECIPE = load(None, SMALL)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three textures, ten specimens each, two images a specimen, with the columns that experiments ask for."""
    place = tmp_path_factory.mktemp("experiments")
    table = pd.read_csv(write_table(place, specimens=10))
    table["plant"] = np.where(np.arange(len(table)) // 2 % 2 == 0, "north", "south")
    table["truth"] = table["structure"]
    rng = np.random.default_rng(14)
    for rater in range(14):
        wrong = rng.random(len(table)) < 0.5
        guess = rng.choice(table["structure"].unique(), len(table))
        table[f"rating_R{rater + 1:02d}"] = np.where(wrong, guess, table["structure"])
    table.to_csv(place / "labels.csv", index=False)
    return build([place / "labels.csv"], image="picture", label="structure", group="piece").corpus


def bench_of(corpus: Corpus, place: Path) -> Bench:
    options = {"folds": 3, "min_count": 2}
    return open_bench(Request(corpus, place, RECIPE, "cpu", dict.fromkeys(("label", "group", "image")), options))


class Remembering:
    """A learner that keeps what it was taught and tested on, and always names class 0."""

    def __init__(self, bench, recipe):
        self.bench, self.seen = bench, bench.learners.setdefault("seen", [])

    def predict(self, train, test, name):
        self.seen.append((name, train, test))
        return np.eye(len(self.bench.classes))[np.zeros(len(test), int)]


def test_identical_arms_differ_by_zero_and_the_interval_holds_it(corpus, tmp_path):
    bench = bench_of(corpus, tmp_path)
    compared = compare_arms(bench, [Arm("one", ""), Arm("same", "")], bench.folds(3))
    row = compared.rows[1]
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        gap = row["difference"][name]
        assert gap["value"] == 0
        # Two sets of equal verdicts leave nothing to resample: no interval, or one that holds zero.
        assert gap["ci95"] is None or gap["ci95"][0] <= 0 <= gap["ci95"][1]
    assert row["mcnemar"]["p"] == row["mcnemar"]["p_holm"] == 1
    assert row["mcnemar"]["only_this"] == row["mcnemar"]["only_reference"] == 0


def test_every_arm_is_taught_and_tested_on_the_same_folds_and_no_specimen_straddles(corpus, tmp_path):
    bench = bench_of(corpus, tmp_path)
    arms = [Arm("a", "", make=Remembering), Arm("b", "", make=Remembering)]
    compare_arms(bench, arms, bench.folds(3))
    seen = bench.learners["seen"]
    assert [name for name, _, _ in seen] == ["a-0", "a-1", "a-2", "b-0", "b-1", "b-2"]
    for (_, train_a, test_a), (_, train_b, test_b) in zip(seen[:3], seen[3:], strict=True):
        assert train_a.tolist() == train_b.tolist()
        assert test_a.tolist() == test_b.tolist()
    groups = bench.plan.groups
    for _, train, test in seen:
        assert not set(groups[train]) & set(groups[test])
    assert sorted(np.concatenate([test for _, _, test in seen[:3]])) == list(range(bench.n))


def test_an_arm_is_a_setting_and_an_unknown_setting_is_named(corpus, tmp_path):
    bench = bench_of(corpus, tmp_path)
    with pytest.raises(InputError, match=r"head\.veiws"):
        Arm("typo", "", {"head.veiws": 4}).learner(bench)
    recipe = Arm("flips", "", {"head.views": 4}).recipe(bench.recipe)
    assert recipe.head.views == 4
    assert recipe.image == bench.recipe.image


def test_a_better_arm_is_shown_to_be_better():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    good = np.where(rng.random(300) < 0.95, truth, (truth + 1) % 3)
    poor = np.where(rng.random(300) < 0.70, truth, (truth + 1) % 3)
    rows = compared_rows(truth, {"poor": poor, "good": good, "poor again": poor}, 3, np.arange(300) // 2, "poor", 0)
    gap = rows[1]["difference"]["accuracy"]
    assert gap["value"] == pytest.approx((good == truth).mean() - (poor == truth).mean())
    assert gap["ci95"][0] > 0
    # Two comparisons: Holm doubles the smaller p and leaves the larger, which is 1.
    assert rows[1]["mcnemar"]["p_holm"] == pytest.approx(2 * rows[1]["mcnemar"]["p"])
    assert rows[2]["mcnemar"]["p_holm"] == 1


def test_holm_gives_the_worked_example_of_the_literature():
    # p = .01, .04, .03, .005 times 3, 1, 2, 4 in rising order, made monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []
    assert holm([0.9, 0.8]).tolist() == [1, 1]


def test_a_missing_or_empty_column_is_named(corpus, tmp_path):
    with pytest.raises(InputError, match="'alloy'"):
        run_experiment("leave-one-out-group", corpus, tmp_path, recipe=RECIPE, by="alloy")
    empty = replace(corpus, table=corpus.table.assign(alloy=None))
    with pytest.raises(InputError, match="'alloy' is empty"):
        run_experiment("leave-one-out-group", empty, tmp_path, recipe=RECIPE, by="alloy")
    with pytest.raises(InputError, match="'subtype'"):
        run_experiment("repeatability", corpus, tmp_path, recipe=RECIPE)
    assert not (tmp_path / "experiment.json").exists()


def test_an_unknown_experiment_or_option_is_named_with_those_that_exist(corpus, tmp_path):
    with pytest.raises(InputError) as caught:
        run_experiment("imbalence", corpus, tmp_path)
    assert "did you mean imbalance?" in caught.value.hint
    with pytest.raises(InputError, match="no option 'by'"):
        run_experiment("imbalance", corpus, tmp_path, by="plant")


def test_every_experiment_asks_a_question_and_names_its_source():
    known = experiments()
    assert {"size-strategy", "imbalance", "repeatability", "leave-one-out-group", "hand-crafted", "heads", "regime",
            "noise-ceiling", "fifteenth-rater", "novelty", "conformal-coverage"} <= set(known)  # fmt: skip
    for each in known.values():
        assert each.question.endswith(("?", "."))
        assert each.source


def test_scarce_classes_are_left_out_and_named(corpus, tmp_path):
    thin = corpus.take(np.flatnonzero((corpus.table["label"] != "blobs") | (np.arange(len(corpus)) < 4)))
    options = {"folds": 3, "min_count": 5}
    bench = open_bench(Request(thin, tmp_path, RECIPE, "cpu", dict.fromkeys(("label", "group", "image")), options))
    assert bench.classes == ("checks", "stripes")
    assert any("blobs (4)" in line for line in bench.warnings)


def test_an_experiment_leaves_a_page_and_its_numbers(corpus, tmp_path, capsys):
    path = corpus.save(tmp_path / "corpus.parquet")
    sizes = ["--set", "image.height=64", "--set", "image.width=64"]
    arguments = ["experiment", "imbalance", str(path), "--folds", "3", "--min-count", "2", "--out", str(tmp_path / "x")]
    assert run(cli, [*arguments, *sizes, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["arm"] for row in result["table"]] == ["none", "oversample", "class weights"]
    assert all(row["n"] == 60 and row["n_specimens"] == 30 for row in result["table"])
    page = Path(result["report"]).read_text("utf-8")
    assert "what may not" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    stored = json.loads((tmp_path / "x" / "experiment.json").read_text("utf-8"))
    assert stored["table"] == result["table"]
    assert stored["provenance"]["seed"] == 0


def test_the_list_names_every_experiment(capsys):
    assert run(cli, ["experiment", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["experiments"]
    assert {entry["name"] for entry in listed} == set(experiments())
    assert run(cli, ["experiment", "imbalance"]) == 2


def test_leaving_a_group_out_tests_every_image_once_without_its_specimen(corpus, tmp_path):
    result = run_experiment("leave-one-out-group", corpus, tmp_path, recipe=RECIPE, by="plant", folds=3, min_count=2)
    by_level = {row["arm"]: row for row in result["table"]}
    assert by_level["north"]["n"] + by_level["south"]["n"] == by_level["all levels"]["n"] == 60
    assert by_level["north"]["n_taught"] == by_level["south"]["n"]


def test_small_levels_are_put_together():
    values = np.array(["a"] * 12 + ["b"] * (LEAST_IMAGES - 1) + ["c"] + [""] * 3)
    merged = merged_levels(values)
    assert set(merged) == {"a", TOGETHER}
    assert (merged == TOGETHER).sum() == LEAST_IMAGES - 1 + 1 + 3


def test_the_model_stands_among_the_raters_where_its_answers_put_it(corpus, tmp_path):
    result = run_experiment("fifteenth-rater", corpus, tmp_path, recipe=RECIPE, folds=3, min_count=2, taught="truth",
                            report=False)  # fmt: skip
    people = [row for row in result["table"] if row["person"] and row["arm"] != "majority of raters"]
    assert len(people) == 14
    # Half of the ratings are guesses among three classes: 1 - .5 * 2/3.
    assert np.mean([row["truth"]["value"] for row in people]) == pytest.approx(2 / 3, abs=0.05)
    margin = result["margins"][0]
    assert margin["margin"]["value"] == pytest.approx(margin["accuracy"] - margin["median_rater"])
    assert margin["margin"]["ci95"][0] > 0, "these textures are easy, and half of the ratings are guesses"


def test_majorities_and_codes():
    ratings = np.array([[0, 1, 1], [2, 2, 0], [-1, -1, -1], [-1, -1, 1]])
    assert majority(ratings, 3).tolist() == [1, 2, -1, 1]
    assert codes_of(np.array(["G10", "G9", "M5", "B8"], object), ("B8", "G9-10")).tolist() == [1, 1, -1, 0]


def test_auroc_over_folds_is_that_of_one_fold_when_detectors_agree():
    rng = np.random.default_rng(1)
    ordinary, strange = rng.normal(0, 1, 400), rng.normal(1, 1, 60)
    folds = np.arange(400) % 4
    found = auroc_over_folds(ordinary, np.tile(strange, (4, 1)), folds, None)
    pairs = (strange[:, None] > ordinary).mean()
    assert found["value"] == pytest.approx(pairs)
    # DeLong's variance, from every pair.
    wins = strange[:, None] > ordinary
    error = np.sqrt(wins.mean(axis=0).var(ddof=1) / 400 + wins.mean(axis=1).var(ddof=1) / 60)
    low, high = (np.log(bound / (1 - bound)) for bound in found["ci95"])
    assert (high - low) / 2 == pytest.approx(1.95996 * error / (pairs * (1 - pairs)), rel=1e-4)


def test_auroc_intervals_hold_the_truth_as_often_as_stated():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        found = auroc_over_folds(rng.normal(0, 1, 100), rng.normal(1, 1, (1, 60)), np.zeros(100, int), None)
        hits += found["ci95"][0] < 0.7602 < found["ci95"][1]  # Phi(1 / sqrt 2): two normals one SD apart
    # 95 % of 200 is 190; four standard deviations below is 178.
    assert hits >= 178


def test_things_never_taught_are_told_from_known_ones(corpus, tmp_path):
    rng = np.random.default_rng(5)
    for place in ("near/rings", "far/noise"):
        (tmp_path / "ood" / place).mkdir(parents=True)
    for k in range(8):
        Image.fromarray(texture("rings", rng)).save(tmp_path / "ood" / "near" / "rings" / f"{k}.png")
        noise = rng.integers(0, 256, (72, 72)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "ood" / "far" / "noise" / f"{k}.png")
    result = run_experiment("novelty", corpus, tmp_path / "out", recipe=RECIPE, folds=3, min_count=2,
                            ood=tmp_path / "ood")  # fmt: skip
    means = {(row["detector"], row["distance"]): row["auroc"] for row in result["mean_over_kinds"]}
    assert means["combination", "near"] > 0.9
    assert means["combination", "far"] > 0.9
    assert {row["kind"] for row in result["gate"]} == {"ordinary images", "rings", "noise"}
    with pytest.raises(InputError, match="never taught"):
        run_experiment("novelty", corpus, tmp_path / "no", recipe=RECIPE)
    with pytest.raises(InputError, match="no folders of images"):
        find_kinds(tmp_path / "ood" / "far" / "noise")


def test_coverage_over_splits_lies_near_the_promise(corpus, tmp_path):
    recipe = load(None, {**SMALL, "verdict.alpha": 0.2})
    result = run_experiment("conformal-coverage", corpus, tmp_path, recipe=recipe, repeats=20, min_count=2,
                            report=False)  # fmt: skip
    for row in result["table"]:
        assert row["splits"] == 20
        # Split and CV+ promise at least .8 and about .8 on average; 20 splits of 12 images are good to about .05.
        assert row["coverage"]["value"] > 0.75
        assert row["least"] <= row["coverage"]["value"] <= row["most"]


def test_noise_has_finite_texture_measures_of_the_stated_number():
    rng = np.random.default_rng(3)
    grey = rng.integers(0, 256, (SIDE_PX, SIDE_PX)).astype(np.uint8)
    found = describe_texture(grey)
    assert found.shape == (sum(LENGTHS.values()),)
    assert np.isfinite(found).all()


def test_gabor_energy_peaks_at_the_period_of_a_grating():
    x = np.arange(SIDE_PX)
    for place, period in enumerate((4, 8, 16, 32)):
        grey = np.tile(128 + 100 * np.sin(2 * np.pi * x / period), (SIDE_PX, 1)).astype(np.uint8)
        largest = gabor_energies(grey).reshape(4, 4)[2]  # largest over directions, by period
        assert largest.argmax() == place


def test_tiles_are_an_arm_like_any_other(corpus, tmp_path):
    bench = bench_of(corpus, tmp_path)
    for make in (voted_tiles, averaged_tiles):
        found = cross_predict(bench, Arm("tiles", "", make=make), bench.folds(3))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
        assert (found.argmax(axis=1) == bench.labels).mean() > 0.8, "these textures are easy in any quarter"


def test_an_image_without_the_label_that_is_asked_for_makes_no_class_of_its_own(corpus, tmp_path):
    table = corpus.table.assign(truth=corpus.table["truth"].astype(object))
    table.loc[table.index[:4], "truth"] = None
    columns = dict.fromkeys(("label", "group", "image"))
    request = Request(replace(corpus, table=table), tmp_path, RECIPE, "cpu", columns, {"min_count": 2})
    bench = open_bench(request, ("truth",), label="truth")
    assert bench.n == len(table) - 4
    assert set(bench.classes) == set(corpus.table["truth"])
    assert any("4 images have no truth" in line for line in bench.warnings)


def test_a_class_that_noise_emptied_keeps_its_place_among_the_others(corpus, tmp_path):
    bench = bench_of(corpus, tmp_path)
    emptied = _relabelled(bench, np.where(bench.labels == 0, 1, bench.labels))
    probabilities = cross_predict(emptied, Arm("one", ""), bench.folds(3))
    assert probabilities.shape == (bench.n, 3)
    assert not probabilities[:, 0].any()
    last = bench.labels == 2
    assert (probabilities[last].argmax(axis=1) == 2).mean() > 0.5


def test_a_rater_who_also_gave_the_labels_is_one_witness(corpus):
    table = corpus.table.assign(rater="R01", rating_R01=corpus.table["rating_R01"].where(corpus.table.index > 5))
    found = ratings_of(replace(corpus, table=table), tuple(corpus.classes))
    assert found.raters.count("R01") == 1
    labels = [corpus.classes.index(name) for name in corpus.labels[:6]]
    assert found.codes[:6, found.raters.index("R01")].tolist() == labels


def test_subtype_columns_with_gaps_state_no_parts(corpus):
    table = corpus.table.assign(subtype=corpus.table["label"], size_class="8").astype({"subtype": object})
    assert _parts(replace(corpus, table=table)) is not None
    table.loc[table["label"] == corpus.classes[0], "subtype"] = None
    assert _parts(replace(corpus, table=table)) is None


def test_two_codes_that_are_no_class_here_do_not_agree_on_the_truth():
    assert right(np.array([0, -1, 1]), np.array([0, -1, 2])).tolist() == [True, False, False]

"""Triage, pooling and magnification: what is taught, chosen and counted on whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fractures import MAGNIFICATIONS, RECIPE, Fractures
from sorby.classify.recipe import load
from sorby.classify.specimens import METHODS, RULES, Bags, fit_specimens, pooled_otherwise
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus, build, splits
from sorby.errors import InputError
from sorby.evidence import holm
from sorby.workflow.experiments.cue_looking import preference
from sorby.workflow.experiments.registry import Findings, Request, find
from sorby.workflow.specimens.triage import Protocol, fixed_rows, stop_rows, triage, triage_row

WORDS = {"equivalent", "worse", "better", "not shown"}


@pytest.fixture(scope="module")
def corpus(fractures: Fractures) -> Corpus:
    return build([fractures.labels]).corpus


def ask(name: str, corpus: Corpus, out, **options) -> Findings:
    experiment = find(name)
    columns = dict.fromkeys(("label", "group", "image"))
    return experiment.run(Request(corpus, out, load(None, RECIPE), "cpu", columns, {**experiment.options, **options}))


@pytest.fixture(scope="module")
def studied(corpus: Corpus, tmp_path_factory) -> Findings:
    return ask("magnification", corpus, tmp_path_factory.mktemp("m"), folds=3, maps=6, least=10)


@pytest.fixture(scope="module")
def series() -> tuple[Bags, np.ndarray, np.ndarray]:
    """Specimens of two classes, three looks each; the closer the look, the plainer the class."""
    rng = np.random.default_rng(5)
    n = 60
    index, level = np.repeat(np.arange(n), 3), np.tile([50.0, 500.0, 5000.0], n)
    labels = rng.integers(0, 2, n)
    plain = np.tile([0.8, 1.6, 3.0], n) * np.where(labels[index] == 1, 1.0, -1.0)
    features = rng.normal(0.0, 1.0, (3 * n, 5)).astype(np.float32)
    features[:, 0] += plain
    return Bags(features, index, labels), level, splits.kfold(labels, 3, seed=1)


def test_labels_of_tested_specimens_change_nothing_but_the_count_of_errors(series) -> None:
    bags, level, folds = series
    protocol = Protocol(folds=3)
    first = triage(bags, level, 2, folds, protocol)
    tested = folds == 0
    swapped = replace(bags, labels=np.where(tested, 1 - bags.labels, bags.labels))
    second = triage(swapped, level, 2, folds, protocol)
    assert (second.sets[tested] == first.sets[tested]).all()
    assert (second.stops.look[tested] == first.stops.look[tested]).all()
    assert (second.called[tested] == first.called[tested]).all()
    decided = first.stops.decided & tested
    assert (second.wrong[decided] == ~first.wrong[decided]).all()


def test_triage_saves_time_and_keeps_its_level_on_specimens_it_was_made_for(series) -> None:
    bags, level, folds = series
    found = triage(bags, level, 2, folds, Protocol(alpha=0.1, folds=3))
    row = triage_row(found, "triage")
    # 60 specimens at a level of 10 %: more than 12 errors have a chance of 1 in 100.
    assert found.wrong.sum() <= 12
    assert 0 < row["time_saved"]["value"] < 1
    assert row["time_saved"]["ci95"][0] <= row["time_saved"]["value"] <= row["time_saved"]["ci95"][1]
    ends = stop_rows(found)
    assert sum(end["n_stopped"] for end in ends) == int(found.stops.decided.sum())
    assert [end["n_reached"] for end in ends] == sorted((end["n_reached"] for end in ends), reverse=True)
    whole = fixed_rows(found)[-1]
    assert whole["time_saved"]["value"] == pytest.approx(0.0)
    # Three images at 90 s with two changes of 30 s.
    assert (found.whole == 330.0).all()
    assert set(np.unique(found.spent)) <= {90.0, 210.0, 330.0}


def test_a_stricter_level_stops_later(series) -> None:
    bags, level, folds = series
    loose = triage(bags, level, 2, folds, Protocol(alpha=0.3, folds=3))
    strict = triage(bags, level, 2, folds, Protocol(alpha=0.05, folds=3))
    assert strict.spent.sum() > loose.spent.sum()
    assert (strict.sets >= loose.sets).all(), "sets only grow"


def test_triage_needs_looks_in_an_order(series) -> None:
    bags, level, folds = series
    with pytest.raises(InputError, match="no order of looks"):
        triage(bags, np.full_like(level, 50.0), 2, folds, Protocol())
    with pytest.raises(InputError, match="needs the magnification of every image"):
        triage(bags, np.where(np.arange(len(level)) == 4, np.nan, level), 2, folds, Protocol())


def test_triage_reports_every_protocol_and_every_stop(corpus: Corpus, tmp_path) -> None:
    found = ask("triage", corpus, tmp_path, folds=3)
    assert [row["protocol"] for row in found.table] == ["triage", *(f"up to {level}x" for level in MAGNIFICATIONS)]
    assert [row["name"] for row in found.extra["stops"]] == [f"{level}x" for level in MAGNIFICATIONS]
    assert len(found.extra["specimens"]) == 24
    assert all(row["error"]["ci95"] is not None for row in found.table)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "mean-probability"])
def test_another_rule_over_the_same_head_is_what_teaching_it_gives(series, rule: str) -> None:
    bags, _, _ = series
    taught = fit_specimens(bags, 2, rule, folds=3)  # type: ignore[arg-type]
    derived = pooled_otherwise(fit_specimens(bags, 2, "mean-probability", folds=3), rule, bags)
    assert derived.method == rule
    assert derived.temperature == pytest.approx(taught.temperature)
    mine, theirs = derived.verdicts(bags), taught.verdicts(bags)
    assert mine.probabilities == pytest.approx(theirs.probabilities)
    assert (mine.sets == theirs.sets).all()


def test_attention_has_no_head_to_pool_by_a_rule(series) -> None:
    bags, _, _ = series
    with pytest.raises(InputError, match="cannot pool by max"):
        pooled_otherwise(fit_specimens(bags, 2, "feature-mean", folds=3), "max", bags)


def test_pooling_compares_every_way_on_the_same_specimens(corpus: Corpus, tmp_path) -> None:
    found = ask("specimen-pooling", corpus, tmp_path, folds=3, only="max;majority;feature-mean")
    assert [row["arm"] for row in found.table] == ["mean-probability", "max", "majority", "feature-mean"]
    for row in found.table:
        assert row["n"] == 24
        assert 1 / 24 <= row["carried_by"] <= 1
        assert 0 <= row["coverage"]["value"] <= 1
        assert row["set_size"] <= 3
    with pytest.raises(InputError, match="no arm 'median'"):
        ask("specimen-pooling", corpus, tmp_path, only="median")
    assert set(METHODS) >= {row["arm"] for row in found.table}


def test_every_magnification_has_its_interval_and_is_held_against_the_highest(studied: Findings) -> None:
    rows = studied.table
    assert [row["magnification"] for row in rows] == list(MAGNIFICATIONS)
    for row in rows:
        low, high = row["macro_f1"]["ci95"]
        assert low <= row["macro_f1"]["value"] <= high
        assert row["n_specimens"] == 24
    assert "macro_f1_difference" not in rows[-1], "the highest is the reference"
    for row in rows[:-1]:
        for name in ("macro_f1_difference", "paired"):
            assert row[name]["conclusion"] in WORDS
            assert row[name]["n"] == 24
        gap = row["macro_f1_difference"]
        assert gap["value"] == pytest.approx(row["macro_f1"]["value"] - rows[-1]["macro_f1"]["value"])


def test_conclusions_follow_from_p_values_corrected_for_all_magnifications(studied: Findings) -> None:
    for name in ("macro_f1_difference", "paired"):
        for kind in ("equivalence", "difference"):
            raw = [row[name][f"p_{kind}"] for row in studied.table[:-1]]
            corrected = [row[name][f"p_{kind}_holm"] for row in studied.table[:-1]]
            assert corrected == pytest.approx(list(holm(raw)))
    for row in studied.table[:-1]:
        gap = row["macro_f1_difference"]
        assert (gap["conclusion"] == "equivalent") == (gap["p_equivalence_holm"] <= 0.05)
    assert {row["class"] for row in studied.extra["per_class"]} == {"green_body", "hard_machining", "material"}
    said = " ".join(studied.answers)
    assert "equivalent" in said or "worse" in said or "better" in said


def test_mass_of_maps_on_cues_is_a_share_held_against_the_area(studied: Findings) -> None:
    looked = [row for row in studied.extra["cues"] if row["class"] == "all"]
    assert {row["magnification"] for row in looked} <= set(MAGNIFICATIONS)
    assert looked
    for row in looked:
        assert 0 < row["n_right"] <= 6
        assert 0 <= row["inside"] <= 1
        assert 0 <= row["area"] <= 1
    close, far = looked[-1], looked[0]
    assert close["area"] > far["area"], "a flaw fills more of the picture the closer one looks"
    said = [line for line in studied.answers if "the map" in line]
    assert all(f"the map {preference(row['inside'], row['area'])} it" in line
               for row, line in zip(looked, said, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "area", "said"),
    [
        (0.10, 0.03, "prefers"),
        (0.031, 0.03, "does not prefer"),
        (0.01, 0.03, "does not prefer"),
        (0.64, 0.53, "prefers"),
        (0.99, 0.80, "can hardly miss"),
    ],
)
def test_a_map_prefers_a_place_that_holds_more_of_it_than_of_an_even_one(inside: float, area: float, said: str) -> None:
    assert preference(inside, area) == said


def test_without_cues_nothing_is_said_of_looking(corpus: Corpus, tmp_path) -> None:
    bare = replace(corpus, table=corpus.table.drop(columns="cues"))
    found = ask("magnification", bare, tmp_path, folds=3, least=10)
    assert found.extra["cues"] == []
    assert any("no cue masks" in line for line in found.warnings)


@pytest.mark.parametrize("of_each", [3, 4])
def test_few_specimens_show_nothing_and_some_more_are_said_to_be_too_few_to_trust(
    corpus: Corpus, tmp_path, of_each: int
) -> None:
    """Nine specimens are below the ten that a conclusion needs, twelve below the twenty that its level needs."""
    groups, labels = corpus.groups.astype(str), np.asarray(corpus.labels).astype(str)
    kept = np.concatenate([np.unique(groups[labels == name])[:of_each] for name in np.unique(labels)])
    bare = replace(corpus, table=corpus.table.drop(columns="cues")).take(np.isin(groups, kept))
    found = ask("magnification", bare, tmp_path, folds=3, least=3)
    shown = {row[name]["conclusion"] for row in found.table[:-1] for name in ("macro_f1_difference", "paired")}
    shown |= {row["difference"]["conclusion"] for row in found.extra["per_class"] if "difference" in row}
    liberal = [line for line in found.warnings if "the test of macro-F1 is liberal" in line]
    assert (shown == {"too few specimens"}) == (of_each == 3)
    assert len(liberal) == (of_each == 4)
    assert all(row["macro_f1_difference"]["value"] is not None for row in found.table[:-1]), "the numbers stay"
    assert ("9 specimens at both, 10 are needed" in found.answers[1]) == (of_each == 3)


def test_one_magnification_cannot_be_compared(corpus: Corpus, tmp_path) -> None:
    with pytest.raises(InputError, match="nothing can be compared"):
        ask("magnification", corpus, tmp_path, least=1000)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"image_s": -1.0}, "image_s=-1.0"),
        ({"change_s": float("nan")}, "change_s=nan"),
        ({"change_s": float("inf")}, "change_s=inf"),
        ({"image_s": 0.0, "change_s": 0.0}, "both 0"),
    ],
)
def test_microscope_times_that_cannot_be_are_refused_with_the_option(corpus: Corpus, tmp_path, options, named) -> None:
    with pytest.raises(InputError, match=named) as caught:
        ask("triage", corpus, tmp_path, **options)
    assert f"{next(iter(options))}=" in caught.value.hint


def test_an_option_that_an_experiment_does_not_have_is_refused_with_those_it_has(capsys, fractures: Fractures) -> None:
    code = run(cli, ["experiment", "triage", str(fractures.labels), "--option", "alfa=0.1"])
    assert code == 2
    assert "no option 'alfa'" in (said := capsys.readouterr().err)
    assert "spending" in said


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("magnification", "margin=abc"),
        ("magnification", "margin=nan"),
        ("magnification", "least=1.5"),
        ("magnification", "folds=1"),
        ("magnification", "margin"),
        ("triage", "alpha=abc"),
        ("fuzzy-matches", "min_count=few"),
    ],
)
def test_an_option_that_is_no_number_is_refused_in_one_line(
    capsys, fractures: Fractures, name: str, option: str
) -> None:
    assert run(cli, ["experiment", name, str(fractures.labels), "--option", option]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {'--' if '=' not in option else ''}option {option}")
    assert hint.startswith("hint: ")

"""Learning from images without a label: what joins, what is kept away, and what the experiment says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sorby.classify.recipe import load
from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.workflow.experiments import run_experiment
from sorby.workflow.experiments.bench import open_bench
from sorby.workflow.experiments.linear import fit_flat
from sorby.workflow.experiments.registry import Request
from sorby.workflow.experiments.self_training import Axes, Rule, confidence_limit, self_train, surest
from sorby.workflow.experiments.unlabelled_pool import open_pool, specimen_codes
from sorby.workflow.experiments.unmatched import labelled_specimens
from textures import SMALL, write_table

RECIPE = load(None, {**SMALL, "head.folds": 2})


def sure(*confidence: float) -> np.ndarray:
    """Probabilities of two classes, the first called."""
    return np.stack([np.array(confidence), 1 - np.array(confidence)], axis=1)


def test_the_limit_is_the_lowest_confidence_above_which_enough_verdicts_are_right():
    said, truth = sure(0.95, 0.9, 0.8, 0.7, 0.6), np.array([0, 0, 1, 0, 1])
    assert confidence_limit(said, truth, 1.0, 1) == 0.9
    assert confidence_limit(said, truth, 0.75, 1) == 0.7  # three of four
    assert confidence_limit(said, truth, 0.6, 1) == 0.6
    assert confidence_limit(said, truth, 1.0, 3) is None, "two right verdicts are too few to go by"
    equal = sure(0.9, 0.9, 0.8)
    assert confidence_limit(equal, np.array([0, 1, 0]), 0.9, 1) is None, "equal confidences stand or fall together"


def test_of_each_class_the_same_share_joins_and_none_below_the_limit():
    often = [(p, 1 - p) for p in (0.99, 0.98, 0.97, 0.96)]
    seldom = [(1 - p, p) for p in (0.7, 0.55)]
    both = np.array([*often, *seldom])
    assert surest(both, 0.5, 0.5).tolist() == [0, 1, 4]
    assert surest(both, 0.6, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert surest(np.empty((0, 2)), 0.5, 1.0).tolist() == []


def two_clouds(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    return (rng.normal(size=(n, 6)) + 5.0 * labels[:, None]).astype(np.float32), labels


def test_clouds_that_lie_apart_are_told_rightly_and_join():
    rng = np.random.default_rng(3)
    (few, labels), (many, hidden) = two_clouds(24, rng), two_clouds(200, rng)
    base = fit_flat(few, labels, 2, None, RECIPE)
    found = self_train(base, few, labels, many, 2, RECIPE, Rule())
    assert len(found.joined) > 100, "clouds far apart: most verdicts are sure"
    assert (found.said == hidden[found.joined]).mean() > 0.99
    assert (found.model(many).argmax(axis=1) == hidden).mean() > 0.99


def test_nothing_joins_where_verdicts_on_labelled_images_are_chance():
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(60, 20)).astype(np.float32), np.arange(60) % 2
    base = fit_flat(features, labels, 2, None, RECIPE)
    found = self_train(base, features, labels, features, 2, RECIPE, Rule(precision=0.95, least=20))
    assert (found.limit, len(found.joined)) == (None, 0)
    assert found.model is base.model


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"weight": 1.0}, {"precision": 1.5}])
def test_an_own_verdict_counts_less_than_a_label(wrong):
    with pytest.raises(InputError, match="self-training in"):
        Rule(**wrong)


def test_on_principal_axes_the_images_seen_have_unit_variance_and_no_correlation():
    rng = np.random.default_rng(5)
    features = (rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))).astype(np.float32)
    seen = Axes.of(features, 8)(features)
    np.testing.assert_allclose(np.cov(seen.T, ddof=0), np.eye(8), atol=1e-3)  # single precision
    assert Axes.of(features[:5], 8)(features).shape == (300, 4), "five images span four axes"


def test_larger_shares_hold_the_specimens_of_smaller_ones_and_two_of_each_class():
    codes = np.repeat(np.arange(30), 3)
    labels = (codes >= 27).astype(np.intp)  # three specimens of the second class
    few, more, every = (labelled_specimens(codes, labels, share, [0, 1]) for share in (0.1, 0.5, 1.0))
    assert set(few) <= set(more) <= set(every)
    assert (len(few), len(more), len(every)) == (3 + 2, 14 + 2, 30)
    assert labelled_specimens(codes, labels, 0.1, [0, 2]).tolist() != few.tolist()


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Corpus:
    """Textures as an archive leaves them: specimen 09 of each class unmatched, 08 of unknown cause."""
    table = write_table(tmp_path_factory.mktemp("unmatched") / "data", specimens=10)
    found = build([table], image="picture", label="structure", group="piece").corpus
    rows = found.table
    number = rows["specimen"].str[-1]
    none, aside = (number == "9").to_numpy(), (number == "8").to_numpy()
    why = np.select([none, aside], ["no report matched: no report has a FOAN like it", "set aside: unknown"], "")
    rows = rows.assign(
        foan=rows["specimen"].str.replace("-", "").str.upper(),
        exclusion=pd.Series(why, dtype=object).replace("", None),
        label=rows["label"].astype(object).where(~none, None),
        specimen=rows["specimen"].astype(object).where(~none, None),
        match_candidates=None,
    )
    return replace(found, table=rows)


def bench_of(corpus: Corpus, out: Path):
    columns = {"label": None, "group": None, "image": None}
    return open_bench(Request(corpus, out, RECIPE, "cpu", columns, {"min_count": 2}))


def test_the_corpus_of_an_archive_is_taken_as_it_is(archive, tmp_path):
    stored = archive.save(tmp_path / "c.parquet")
    bench = bench_of(archive, tmp_path)
    pool = open_pool(stored, bench)
    assert (bench.n, len(pool), len(pool.kin)) == (48, 12, 0)
    assert pool.said == ["unlabelled: 12 images of c.parquet (6 no report matched, 6 set aside)"]
    assert pool.apart_from(np.unique(specimen_codes(bench))).all()


def test_images_that_may_show_a_specimen_are_its_kin_with_all_of_their_own_specimen(archive, tmp_path):
    bench = bench_of(archive, tmp_path)
    codes, names = specimen_codes(bench), bench.column("specimen")
    code = {name: int(codes[names == name][0]) for name in np.unique(names)}
    rows = archive.table.reset_index(drop=True)
    of = {kind: np.flatnonzero(rows["foan"] == f"{kind}9") for kind in ("BLOBS", "CHECKS", "STRIPES")}
    rows.loc[of["BLOBS"], "foan"] = "BLOBS3"  # named like a report after all
    rows.loc[of["CHECKS"][:1], "match_candidates"] = "checks-1 checks 0.880; checks-2 checks 0.870"
    rows.loc[of["STRIPES"], "foan"] = None  # names nothing
    seen = rows["specimen"] == "blobs-8"  # looks like an image of another specimen
    rows.loc[seen, "phash"] = rows.loc[rows["specimen"] == "stripes-4", "phash"].iloc[0]
    pool = open_pool(replace(archive, table=rows).save(tmp_path / "c.parquet"), bench)
    assert "2 of them name neither specimen nor FOAN" in pool.said[1]
    kin = {(str(pool.corpus.table["foan"].iloc[image]), specimen) for image, specimen in pool.kin}
    found = {(foan, name) for foan, specimen in kin for name in code if code[name] == specimen}
    assert found >= {("BLOBS3", "blobs-3"), ("CHECKS9", "checks-1"), ("CHECKS9", "checks-2"), ("BLOBS8", "stripes-4")}
    assert (pool.kin[:, 1] == code["checks-1"]).sum() == 2, "the other image of that FOAN too"
    assert not pool.apart_from(np.array([code["blobs-3"]]))[pool.corpus.table["foan"] == "BLOBS3"].any()


def test_copies_of_labelled_images_in_a_folder_are_left_out(archive, tmp_path):
    bench = bench_of(archive, tmp_path)
    folder = tmp_path / "loose"
    folder.mkdir()
    every = archive.paths()
    for k in (0, 1, len(every) - 1):  # the last one is unmatched
        shutil.copy(every[k], folder / f"{k}.png")
    pool = open_pool(folder, bench)
    assert len(pool) == 1
    assert "2 of them repeat another image" in pool.said[1]
    assert "checked by likeness only" in pool.said[2]
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(every[0], folder / "only.png")
    with pytest.raises(InputError, match="no image that can be used"):
        open_pool(folder, bench)
    with pytest.raises(InputError, match="neither a corpus nor a folder"):
        open_pool(tmp_path / "nowhere.parquet", bench)


def test_the_experiment_says_in_words_whether_hidden_labels_were_needed(archive, tmp_path):
    found = run_experiment("unmatched", archive, tmp_path, recipe=RECIPE, folds=2, draws=1, shares="0.3,1", axes=6)
    arms = ["labelled only", "self-training", "axes of labelled", "axes of all"]
    assert [row["arm"] for row in found["table"]] == arms, "with all labelled nothing is left to hide"
    assert found["answers"][0].startswith("Of 2 comparisons")
    (joining,) = found["joining"]
    assert joining["unlabelled"] == 12, "of four training specimens a class two are labelled"
    assert joining["right"] is None or joining["right"] > 0.9, "textures are easy"
    assert "mcnemar" not in found["table"][1]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") == 1


def test_with_unmatched_images_all_labels_may_be_known(archive, tmp_path):
    stored = archive.save(tmp_path / "c.parquet")
    options = {"folds": "2", "draws": "2", "shares": "0.4,1", "unlabelled": str(stored)}
    found = run_experiment("unmatched", archive, tmp_path / "out", recipe=RECIPE, **options)
    assert [row["share"] for row in found["table"]] == [0.4] * 4 + [1.0] * 4
    assert [row["draws"] for row in found["table"]] == [2] * 4 + [1] * 4
    assert all(row["n"] == 48 for row in found["table"])
    assert [entry["unlabelled"] for entry in found["joining"]] == [12, 12]
    assert [entry["right"] for entry in found["joining"]] == [None, None]


def test_options_that_are_no_numbers_are_named(archive, tmp_path):
    with pytest.raises(InputError, match="option rounds=many of unmatched is no whole number"):
        run_experiment("unmatched", archive, tmp_path, recipe=RECIPE, rounds="many")
    with pytest.raises(InputError, match="an option is no number"):
        run_experiment("unmatched", archive, tmp_path, recipe=RECIPE, shares="half")
    with pytest.raises(InputError, match="shares 0,2") as caught:
        run_experiment("unmatched", archive, tmp_path, recipe=RECIPE, shares="0,2")
    assert "up to 1" in caught.value.hint

"""Splits: sizes, stratification, specimens kept whole."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

from sorby.corpus import Corpus, build, split_corpus, splits
from sorby.errors import InputError, SorbyWarning


def skewed(n: int, classes: int, seed: int = 0) -> np.ndarray:
    """Labels whose class sizes fall off geometrically."""
    share = 0.6 ** np.arange(classes)
    return np.random.default_rng(seed).choice([f"c{k}" for k in range(classes)], n, p=share / share.sum())


@pytest.mark.parametrize(("n", "test"), [(1229, 246), (326, 66), (70, 14), (1641, 329)])
def test_the_bearing_steel_test_sizes_are_reproduced(n, test):
    parts = splits.holdout(skewed(n, 3), seed=3)
    assert np.sum(parts == "test") == test


@pytest.mark.parametrize("fractions", [(0.64, 0.16, 0.2), (0.7, 0.15, 0.15), (0.8, 0.0, 0.2)])
def test_every_class_is_divided_in_the_asked_shares_to_within_rounding(fractions):
    labels = skewed(900, 6)
    parts = splits.holdout(labels, fractions)
    for label, count in Counter(labels).items():
        for name, share in zip(("train", "val", "test"), fractions, strict=True):
            rounded = 2 if name == "train" else 1  # training takes what rounding the two others leaves
            assert abs(np.sum((parts == name) & (labels == label)) - share * count) <= rounded


def test_a_split_depends_on_the_seed_alone():
    labels = skewed(300, 4)
    assert np.array_equal(splits.holdout(labels, seed=5), splits.holdout(labels, seed=5))
    assert not np.array_equal(splits.holdout(labels, seed=5), splits.holdout(labels, seed=6))


def test_a_class_of_three_images_stands_in_every_part():
    labels = np.array(["common"] * 200 + ["rare"] * 3)
    parts = splits.holdout(labels)
    assert set(parts[labels == "rare"]) == {"train", "val", "test"}


def test_a_class_with_one_image_stays_in_training_and_is_named():
    labels = np.array(["common"] * 20 + ["lone"])
    with pytest.warns(SorbyWarning, match="class 'lone' has 1 image and is missing from val, test"):
        parts = splits.holdout(labels)
    assert parts[-1] == "train"


def test_folds_hold_every_image_once_and_differ_by_one_at_most():
    labels = skewed(203, 4)
    folds = splits.kfold(labels, 5)
    assert np.ptp(np.bincount(folds, minlength=5)) <= 1
    for label in np.unique(labels):
        assert np.ptp(np.bincount(folds[labels == label], minlength=5)) <= 1


def test_more_folds_than_specimens_are_cut_down_and_said():
    with pytest.warns(SorbyWarning, match="5 folds asked, 3 specimens"):
        folds = splits.kfold(["a", "b"] * 6, 5, groups=["s0", "s0", "s1", "s1", "s2", "s2"] * 2)
    assert set(folds) == {0, 1, 2}


def test_a_class_of_one_specimen_is_named_because_its_fold_has_never_seen_it():
    labels, groups = ["a"] * 6 + ["b"] * 2, ["0", "1", "2", "3", "4", "5", "6", "6"]
    with pytest.warns(SorbyWarning, match="class 'b' lies in one fold only"):
        splits.kfold(labels, 3, groups=groups)


def test_folds_within_a_training_part_say_what_they_are_for():
    """Their warnings stand in a result beside those of the judged folds."""
    labels, groups = ["a"] * 6 + ["b"] * 2, ["0", "1", "2", "3", "4", "5", "6", "6"]
    with pytest.warns(SorbyWarning) as heard:
        splits.kfold(labels, 9, groups=groups, purpose="calibrating")
    assert [str(each.message).split(": ")[0] for each in heard] == ["while calibrating"] * 2


def heats(rng: np.random.Generator, n_groups: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Specimens of 1 to 15 images; most of one class, some mixed."""
    sizes = rng.integers(1, 16, n_groups)
    groups = np.repeat(np.arange(n_groups), sizes)
    main = rng.integers(0, classes, n_groups)
    labels = np.where(rng.random(len(groups)) < 0.9, main[groups], rng.integers(0, classes, len(groups)))
    order = rng.permutation(len(groups))
    return labels[order], groups[order]


@pytest.mark.parametrize("seed", range(5))
def test_no_specimen_straddles_parts_or_folds(rng, seed):
    labels, groups = heats(rng)
    for parts in (splits.holdout(labels, groups=groups, seed=seed), splits.kfold(labels, 5, groups=groups, seed=seed)):
        assert all(len(set(parts[groups == group])) == 1 for group in np.unique(groups))


@pytest.mark.parametrize("seed", range(5))
def test_whole_specimens_still_come_close_to_the_asked_shares(rng, seed):
    labels, groups = heats(rng)
    parts = splits.holdout(labels, groups=groups, seed=seed)
    folds = splits.kfold(labels, 5, groups=groups, seed=seed)
    # A specimen has at most 15 of some 480 images (3 %), so the parts should be met to within one of them.
    assert abs(np.mean(parts == "test") - 0.2) < 0.03
    assert abs(np.mean(parts == "val") - 0.16) < 0.03
    for label in np.unique(labels):
        of_class = labels == label
        assert abs(np.mean(parts[of_class] == "test") - 0.2) < 0.1
        assert np.all(np.abs(np.bincount(folds[of_class], minlength=5) / of_class.sum() - 0.2) < 0.1)


def test_a_class_of_three_specimens_reaches_all_three_parts(rng):
    labels = np.array(["common"] * 300 + ["rare"] * 9)
    groups = np.array([f"a{k // 3}" for k in range(300)] + ["r0"] * 5 + ["r1"] * 3 + ["r2"])
    parts = splits.holdout(labels, groups=groups)
    assert set(parts[labels == "rare"]) == {"train", "val", "test"}


def test_lone_specimens_are_split_as_images_are():
    labels = skewed(326, 4)
    assert np.array_equal(splits.holdout(labels, seed=2), splits.holdout(labels, groups=np.arange(326), seed=2))


def test_leaving_one_out_makes_a_fold_of_every_image_or_specimen():
    assert len(set(splits.leave_one_out(["a"] * 7))) == 7
    folds = splits.leave_one_out(["a"] * 4, groups=["x", "y", "x", "z"])
    assert folds[0] == folds[2]
    assert len(set(folds)) == 3
    with pytest.raises(InputError):
        splits.leave_one_out(["a", "a"], groups=["x", "x"])


def test_repeats_differ_from_each_other():
    drawn = list(splits.repeated_holdout(skewed(100, 3), 3))
    assert len({tuple(parts) for parts in drawn}) == 3
    assert len(list(splits.repeated_kfold(skewed(100, 3), 4))) == 4


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (0.8, 0.3, -0.1)])
def test_shares_that_are_none_are_refused(fractions):
    with pytest.raises(InputError, match="shares of 1"):
        splits.holdout(["a", "b"], fractions)


def test_three_thousand_specimens_stay_whole(rng):
    # Whole specimens need a search; one that grows with the square of their number would not end here.
    labels, groups = heats(rng, 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fold = splits.kfold(labels, 5, groups=groups)
    pairs = {(group, int(part)) for group, part in zip(groups, fold, strict=True)}
    assert len(pairs) == len(set(groups))


@pytest.fixture
def specimens(two_classes) -> Corpus:
    corpus = build([two_classes]).corpus
    ids = ["b0", "b0", "b1", "b2", "p0", "p0", "p1", "p1", "p2"]
    exclusion = [None] * 8 + ["blurred"]
    table = corpus.table.assign(specimen=ids, exclusion=exclusion, plant=["n", "s", "n"] * 3)
    return Corpus(table, corpus.root)


def test_a_stored_split_keeps_specimens_whole_by_default_and_leaves_out_the_excluded(specimens, tmp_path):
    specimens.save(tmp_path / "c.parquet")
    corpus = split_corpus(Corpus.load(tmp_path / "c.parquet"), "kfold", folds=2, seed=4)
    corpus.save(tmp_path / "c.parquet")
    again = Corpus.load(tmp_path / "c.parquet")
    assert list(again.table["fold"])[-1] == -1
    assert (again.usable().table.groupby("specimen")["fold"].nunique() == 1).all()
    facts = again.splits[-1]
    assert (facts["scheme"], facts["seed"], facts["grouped"], facts["folds"]) == ("kfold", 4, "specimen", 2)


def test_a_split_by_image_says_what_it_risks(specimens):
    corpus = split_corpus(specimens, "kfold", folds=2, by="image")
    assert any("both sides" in line for line in corpus.splits[-1]["warnings"])


def test_repeats_are_stored_side_by_side(specimens):
    corpus = split_corpus(specimens, "repeated-kfold", folds=2, repeats=2)
    assert {"fold_0", "fold_1"} <= set(corpus.table.columns)


def test_a_split_within_subsets_divides_each_by_itself(two_classes):
    corpus = build([two_classes]).corpus
    table = corpus.table.assign(subtype=["G", "B", "G", "B", "G", "B", "G", "B", "G"])
    split = split_corpus(Corpus(table, corpus.root), fractions=(0.6, 0.0, 0.4), within="subtype")
    tested = split.table[split.table["split"] == "test"]["subtype"].value_counts().to_dict()
    assert tested == {"G": 2, "B": 2}  # ceil(.4 x 5), ceil(.4 x 4)


def test_a_column_that_is_not_there_is_named(specimens):
    with pytest.raises(InputError, match="no column 'heat'"):
        split_corpus(specimens, by="heat")

"""Folds audited as in the published table: what leaks, out of how many, and what the table cannot see."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from sorby.corpus import Corpus, audit, build
from sorby.corpus.embedding_neighbours import Direction, EmbeddingNeighbours, cosine_pairs
from sorby.corpus.leakage_table import THRESHOLDS


def texture(rng: np.random.Generator, sigma: float = 5) -> np.ndarray:
    field = ndimage.gaussian_filter(rng.standard_normal((80, 80)), sigma)
    return ((field - field.min()) / np.ptp(field) * 255).astype(np.uint8)


@pytest.fixture
def retaken(tmp_path, rng) -> Corpus:
    """Twenty specimens; each was taken twice in almost one picture, and once at another magnification."""
    rows = []
    for k in range(20):
        near = texture(rng)
        again = np.clip(near + rng.normal(0, 2, near.shape), 0, 255).astype(np.uint8)
        far = texture(rng, 2)  # another magnification: another picture
        for name, pixels, magnification in (("a", near, 500), ("b", again, 500), ("c", far, 50)):
            Image.fromarray(pixels).save(tmp_path / f"{k}{name}.png")
            rows.append((f"{k}{name}.png", ("x", "y")[k % 2], f"s{k}", magnification))
    table = pd.DataFrame(rows, columns=["path", "label", "specimen", "magnification"])
    table.to_csv(tmp_path / "t.csv", index=False)
    return build([tmp_path / "t.csv"]).corpus


def test_pictures_taken_twice_leak_by_image_and_not_by_specimen(retaken):
    found = audit(retaken)
    by_image, by_specimen = found["table1"], found["table1_by_specimen"]
    fold = {}
    for row in by_image["folds"]:
        assert row["percent"] == pytest.approx([100 * c / row["n"] for c in row["counts"]])
        assert row["n"] + row["n_train"] == 60
        fold[row["fold"]] = row
    torn = sum(row["counts"][3] for row in by_image["folds"])
    assert torn == 2 * len({tuple(pair["images"]) for pair in by_image["pairs"]}), "each torn pair leaks twice"
    assert torn > 20, "a pair stays together in one of five drawings only"
    assert all(row["counts"] == [0] * 7 for row in by_specimen["folds"])


def test_another_magnification_of_a_specimen_is_no_near_duplicate_but_a_shared_specimen(retaken):
    far_apart = (retaken.table["magnification"] == 50).to_numpy()
    folds = np.where(far_apart, 1, 0)
    found = audit(retaken.with_folds(folds, "by magnification"))["table1"]
    assert found["source"] == "stored folds"
    for row in found["folds"]:
        assert row["counts"] == [0] * 7
        assert (row["specimens_shared"], row["images_of_shared_specimens"]) == (20, row["n"])
    assert "not a near-duplicate" in found["note"]


def test_shares_fall_with_the_threshold_and_means_are_over_folds(retaken):
    table = audit(retaken)["table1"]
    counts = np.array([row["counts"] for row in table["folds"]])
    assert (np.diff(counts, axis=1) <= 0).all()
    percent = np.array([row["percent"] for row in table["folds"]])
    assert np.allclose(table["mean"], percent.mean(axis=0))
    assert np.allclose(table["sd"], percent.std(axis=0, ddof=1))
    assert table["thresholds"] == list(THRESHOLDS)


def test_the_table_says_how_much_hangs_on_radius_and_neighbours(retaken):
    rows = audit(retaken, hamming=10, neighbours=10)["table1"]["sensitivity"]
    chosen = [row for row in rows if (row["hamming"], row["neighbours"]) == (10, 10)]
    assert len(chosen) == 1
    by_radius = sorted((row["hamming"], row["mean"][0]) for row in rows if row["neighbours"] == 10)
    assert [radius for radius, _ in by_radius][:4] == [4, 6, 8, 10]
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(by_radius)), "a wider radius finds no less"
    assert {row["neighbours"] for row in rows} == {1, 5, 10, None}


def test_folds_that_are_asked_for_stand_among_the_leaks(retaken):
    found = audit(retaken, folds=4, by="specimen", seed=3)
    assert list(found["leakage"]) == [f"4 folds drawn by specimen, seed 3, fold {k}" for k in range(1, 5)]
    assert found["table1_by_specimen"] is None
    assert len(found["table1"]["folds"]) == 4
    assert [entry["leaking"] for entry in found["leakage"].values()] == [0] * 4
    torn = audit(retaken, folds=4, by="image", seed=3)["leakage"]
    assert all(entry["specimens_shared"] > 0 for entry in torn.values())


def test_unknown_specimens_are_said_to_be_unknown(retaken):
    nameless = Corpus(retaken.table.drop(columns="specimen"), retaken.root)
    found = audit(nameless)
    assert found["table1_by_specimen"] is None
    assert all(row["specimens_shared"] is None for row in found["table1"]["folds"])
    assert any("specimens are unknown" in line for line in found["warnings"])


def test_features_that_point_the_same_way_are_found_whatever_their_length(rng):
    features = rng.normal(3, 1, (200, 40)).astype(np.float32) * rng.uniform(0.1, 50, 40).astype(np.float32)
    direction = Direction.of(features)
    copy = direction.mean + 0.5 * (features[:20] - direction.mean)
    unit = direction.unit(np.concatenate([features, copy]))
    pairs, cosine = cosine_pairs(unit, 0.99)
    assert pairs.tolist() == [[k, 200 + k] for k in range(20)]
    assert np.allclose(cosine, 1, atol=1e-5)
    every = (unit @ unit.T)[np.triu_indices(220, 1)]
    assert len(cosine_pairs(unit, 0.2)[0]) == (every >= 0.2).sum()


def test_network_neighbours_are_counted_for_each_fold():
    near = EmbeddingNeighbours(np.array([[0, 1], [2, 3]]), np.ones(2, np.float32), 0.9, "by hand")
    assert near.judged_with_neighbour(np.array([1, 2, 3]), np.array([0, 4]), 5) == 1
    assert near.judged_with_neighbour(np.array([0, 1]), np.array([2, 3]), 5) == 0
    assert near.as_dict(np.array(["a", "b", "a", "a", "a"]))["pairs_of_two_classes"] == 1

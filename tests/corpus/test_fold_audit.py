"""Folds audited as in the published table: what leaks, out of how many, and what the table cannot see."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from sorby.corpus import Corpus, audit, build
from sorby.corpus.embedding_neighbours import EmbeddingNeighbours, Whitening, chance_level, cosine_pairs
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


def features_of(rng: np.random.Generator, n: int) -> np.ndarray:
    """All positive, of scales fifty to one, with two directions that hold most of the variation."""
    common = rng.normal(0, 1, (n, 2)) @ rng.normal(0, 8, (2, 40))
    return ((common + rng.normal(60, 1, (n, 40))) * rng.uniform(0.1, 5, 40)).astype(np.float32)


def test_copies_are_found_among_images_that_differ_in_small_ways_only(rng):
    features = features_of(rng, 400)
    whitening = Whitening.of(features)
    copies = features[:20] + rng.normal(0, 0.1, (20, 40)).astype(np.float32) * features.std(axis=0) / 8
    unit = whitening.unit(np.concatenate([features, copies]))
    labels = np.arange(420) % 2
    threshold = chance_level(unit[:400], labels[:400], 1e-4)
    pairs, _ = cosine_pairs(unit, threshold)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert {(k, 400 + k) for k in range(20)} <= found
    # Of 80,000 pairs one in ten thousand lies above by chance; as many again of one class.
    assert len(found) < 20 + 60
    raw = features - features.mean(axis=0)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    assert len(cosine_pairs(raw.astype(np.float32), 0.99)[0]) > 500, "without whitening strangers are near"


def test_whitened_features_of_the_corpus_have_unit_variance_and_no_correlation(rng):
    features = features_of(rng, 2000)
    features[:, 7] = 3  # never varies
    whitening = Whitening.of(features)
    turned = (features - whitening.mean) @ whitening.axes
    covariance = turned.T @ turned / len(turned)
    # Single precision, over features whose scales differ by a thousand.
    assert np.allclose(covariance, np.eye(len(covariance)), atol=0.02)
    assert np.isfinite(whitening.axes).all()


def test_all_pairs_above_a_cosine_are_found(rng):
    unit = rng.normal(0, 1, (1500, 6)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    every = (unit @ unit.T)[np.triu_indices(1500, 1)]
    pairs, cosine = cosine_pairs(unit, 0.9)
    assert len(pairs) == (every >= 0.9).sum()
    assert np.allclose((unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1), cosine, atol=1e-6)


def test_the_chance_level_is_the_quantile_of_pairs_of_two_classes(rng):
    unit = rng.normal(0, 1, (300, 5)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    labels = np.arange(300) % 3
    first, second = np.triu_indices(300, 1)
    apart = labels[first] != labels[second]
    cosines = np.sort((unit @ unit.T)[first, second][apart])
    assert chance_level(unit, labels, 1e-3) == pytest.approx(cosines[-1 - int(1e-3 * len(cosines))], abs=1e-6)
    assert chance_level(unit, np.zeros(300), 1e-3) is None


def test_network_neighbours_are_counted_for_each_fold():
    near = EmbeddingNeighbours(np.array([[0, 1], [2, 3]]), np.ones(2, np.float32), 0.9, "by hand")
    assert near.judged_with_neighbour(np.array([1, 2, 3]), np.array([0, 4]), 5) == 1
    assert near.judged_with_neighbour(np.array([0, 1]), np.array([2, 3]), 5) == 0
    assert near.as_dict(np.array(["a", "b", "a", "a", "a"]))["pairs_of_two_classes"] == 1

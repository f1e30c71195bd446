"""A split by image flatters where specimens have fingerprints, and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from sorby.classify.recipe import load
from sorby.workflow import crossval
from sorby.workflow.leakage.inflation import linear_predictor, measure_inflation
from textures import SMALL

SPECIMENS, EACH = 60, 4


def features_of(rng: np.random.Generator, fingerprint: float, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Class in one direction, specimen in thirty others, noise in all."""
    labels = np.repeat(np.arange(SPECIMENS) % 2, EACH)
    features = rng.normal(0, 1, (SPECIMENS * EACH, 31))
    features[:, 0] += signal * (labels - 0.5)
    features[:, 1:] += np.repeat(fingerprint * rng.normal(0, 1, (SPECIMENS, 30)), EACH, axis=0)
    return features.astype(np.float32), labels


def inflation_of(features: np.ndarray, labels: np.ndarray, **settings: int):
    specimens = np.repeat([f"s{k}" for k in range(SPECIMENS)], EACH)
    names = np.array(["a", "b"])[labels]
    predict = linear_predictor(features, names, labels, specimens)
    return measure_inflation(names, labels, specimens, predict, **settings)


def test_fingerprints_flatter_a_split_by_image(rng):
    found = inflation_of(*features_of(rng, fingerprint=3, signal=0.7)).as_dict()
    for name in ("macro_f1", "accuracy"):
        entry = found[name]
        assert entry["difference"] == pytest.approx(entry["image_level"] - entry["specimen_level"])
        assert entry["difference"] > 0.1
        assert entry["ci95"][0] > 0, "zero lies outside the interval"
    assert (found["n"], found["n_specimens"], found["folds"], found["repeats"]) == (240, 60, 5, 3)


def test_without_fingerprints_the_two_protocols_agree(rng):
    entry = inflation_of(*features_of(rng, fingerprint=0, signal=1.5)).as_dict()["accuracy"]
    low, high = entry["ci95"]
    assert low <= 0 <= high
    # Two estimates from 240 independent images differ by a few of them.
    assert abs(entry["difference"]) < 0.04


def test_the_figures_are_those_of_the_folds_themselves():
    # A model that only knows specimens: right where another image of the specimen was taught, else always wrong.
    specimens = np.repeat(np.arange(12), 2).astype(str)
    labels = np.repeat(np.arange(12) % 2, 2)

    def recall(fold: np.ndarray) -> np.ndarray:
        taught = [np.isin(specimens[k], specimens[fold != fold[k]]) for k in range(len(fold))]
        return np.where(taught, labels, 1 - labels)

    found = measure_inflation(np.array(["a", "b"])[labels], labels, specimens, recall, folds=4, repeats=2)
    assert found is not None
    assert found.specimen_level["accuracy"] == 0
    # Of two images of a specimen both are right unless they fell into one fold.
    assert 0.5 < found.image_level["accuracy"] <= 1
    assert found.difference["accuracy"].value == found.image_level["accuracy"]


def test_one_image_a_specimen_leaves_nothing_to_inflate():
    labels = np.arange(20) % 2
    names = np.array(["a", "b"])[labels]
    assert measure_inflation(names, labels, np.arange(20).astype(str), lambda fold: labels) is None


@pytest.fixture(scope="module")
def fingerprinted(tmp_path_factory):
    """Specimens with a pattern of their own and a class that nothing shows, four images each; some matched fuzzily."""
    folder, rng = tmp_path_factory.mktemp("fingerprinted"), np.random.default_rng(5)
    rows = []
    for k in range(16):
        pattern = ndimage.gaussian_filter(rng.standard_normal((72, 72)), rng.uniform(1, 5))
        pattern = pattern / np.abs(pattern).max()
        for shot in range(4):
            image = 128 + 60 * pattern + rng.normal(0, 4, pattern.shape)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"{k}-{shot}.png")
            match = "fuzzy" if k == 0 else "tie" if k == 1 and shot == 0 else "exact"
            rows.append((f"{k}-{shot}.png", "ab"[k % 2], f"s{k}", match))
    pd.DataFrame(rows, columns=["image", "label", "specimen", "match"]).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def test_crossval_prints_the_inflation_beside_the_grouped_figure(fingerprinted, tmp_path):
    result = crossval(fingerprinted, tmp_path / "cv", load(None, SMALL), folds=4, report=False)
    told = result["inflation"]
    assert result["grouped"]
    assert told["accuracy"]["image_level"] > 0.8, "specimens are recognised"
    assert told["accuracy"]["specimen_level"] < 0.7, "their class is not to be seen"
    assert told["accuracy"]["ci95"][0] > 0
    assert "efficientnet_lite0" in told["model"]


def test_metrics_are_told_without_fuzzily_matched_images(fingerprinted, tmp_path):
    result = crossval(fingerprinted, tmp_path / "cv", load(None, SMALL), folds=4, report=True, inflation=False)
    told = result["without_fuzzy"]
    assert (told["n"], told["left_out"]) == (59, {"fuzzy": 4, "tie": 1})
    assert told["accuracy"]["n"] == 59
    assert result["inflation"] is None
    page = (tmp_path / "cv" / "report.html").read_text("utf-8")
    assert "Without images whose report was not matched exactly" in page
    assert "What a split by image would have claimed" not in page


def test_a_corpus_without_matches_or_specimens_says_nothing_of_them(fingerprinted, tmp_path):
    table = pd.read_csv(fingerprinted).drop(columns=["specimen", "match"])
    table.to_csv(fingerprinted.parent / "bare.csv", index=False)
    result = crossval(fingerprinted.parent / "bare.csv", tmp_path / "cv", load(None, SMALL), folds=3, report=False)
    assert result["inflation"] is result["without_fuzzy"] is None

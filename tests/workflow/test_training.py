"""Train and crossval: what a run leaves, what it keeps apart, and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sorby
from sorby.bundle import open_bundle
from sorby.classify import Recipe
from sorby.classify.recipe import load
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.workflow import crossval, inspect, train
from sorby.workflow.data import open_data
from sorby.workflow.planning import make_plan
from sorby.workflow.runs import read_run
from textures import CLASSES, SMALL, Trained, write_folder, write_table


def small(**changes: Any) -> Recipe:
    return load(None, {**SMALL, **changes})


def test_a_run_folder_explains_itself(trained: Trained) -> None:
    assert {entry.name for entry in trained.run.iterdir()} == {
        "bundle.sorby", "recipe.yaml", "corpus.parquet", "verdicts.parquet", "run.json",
    }  # fmt: skip
    run = read_run(trained.run)
    assert run["classes"] == list(CLASSES)
    assert run["grouped"] is True
    assert run["provenance"]["seed"] == 0
    assert run["provenance"]["versions"]["sorby"] == sorby.__version__
    assert any("specimens kept whole" in line for line in run["decisions"])
    assert any("colour grey" in line for line in run["decisions"])
    assert load(trained.run / "recipe.yaml").model_dump(mode="json") == run["recipe"]
    corpus = Corpus.load(trained.run / "corpus.parquet")
    assert corpus.fingerprint() == run["corpus"]["fingerprint"]
    assert all(path.is_file() for path in corpus.paths())


def test_the_headline_is_plain_numbers_with_intervals_beside_them(trained: Trained) -> None:
    test = trained.result["test"]
    assert test["accuracy"] >= 0.9, "these textures are easy"
    assert test["n"] == trained.result["split"]["test"]
    low, high = test["ci95"]["accuracy"]
    assert 0 <= low <= test["accuracy"] <= high <= 1
    assert set(test["ci95"]) >= {"accuracy", "macro_f1", "balanced_accuracy"}
    json.dumps(trained.result, allow_nan=False)


def test_specimens_stay_on_one_side_and_every_part_has_every_class(trained: Trained) -> None:
    table = Corpus.load(trained.run / "corpus.parquet").table
    assert (table.groupby("specimen")["split"].nunique() == 1).all()
    assert table.groupby("split")["label"].nunique().to_dict() == {"test": 3, "train": 3, "val": 3}


def test_only_test_images_have_verdicts_and_calibration_never_saw_them(trained: Trained) -> None:
    run = read_run(trained.run)
    verdicts = pd.read_parquet(trained.run / "verdicts.parquet")
    table = Corpus.load(trained.run / "corpus.parquet").table
    assert set(verdicts["path"]) == set(table.loc[table["split"] == "test", "path"])
    with open_bundle(trained.bundle) as bundle:
        calibrated = bundle.description.conformal["n"]
        assert calibrated == (table["split"] != "test").sum()
        assert bundle.description.training_data is not None
        assert bundle.description.training_data.fingerprint == run["corpus"]["fingerprint"]
        assert bundle.description.training_data.n_specimens == 144


def test_the_bundle_says_what_the_trainer_said_of_the_test_images(trained: Trained, tmp_path: Path) -> None:
    told = pd.read_parquet(trained.run / "verdicts.parquet").set_index("path")
    corpus = Corpus.load(trained.run / "corpus.parquet")
    test = corpus.take(np.flatnonzero(corpus.table["split"] == "test"))
    inspect(trained.bundle, test.paths(), tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / "verdicts.csv", keep_default_na=False)
    told = told.loc[list(test.table["path"])]
    assert list(found["label"]) == list(told["predicted"])
    # Same graph, same precision; probabilities are written with four digits and batches fill differently.
    for name in CLASSES:
        np.testing.assert_allclose(found[f"p_{name}"], told[f"p_{name}"], atol=2e-3)
    np.testing.assert_allclose(found["novelty"], told["novelty"], atol=2e-2)
    assert (found["set"].to_numpy() == told["set"].to_numpy()).mean() > 0.95


def test_the_public_surface_loads_and_inspects(trained: Trained) -> None:
    classifier = sorby.load(trained.bundle)
    image = next((trained.data.parent / "images").glob("stripes*"))
    first, again = classifier.inspect([image, image], pixel_size_um=0.5)
    assert first.label == "stripes"
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert first.pixel_size_um == again.pixel_size_um == 0.5, "a file given twice keeps its scale twice"
    assert first == again


def test_a_frozen_training_is_the_same_for_the_same_seed(class_folders: Path, tmp_path: Path) -> None:
    results = [train(class_folders, tmp_path / name, small(seed=3), report=False) for name in "ab"]
    tables = [pd.read_parquet(tmp_path / name / "verdicts.parquet") for name in "ab"]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert results[0]["test"] == results[1]["test"]
    with open_bundle(results[0]["bundle"]) as first, open_bundle(results[1]["bundle"]) as second:
        assert first.checksums.members["weights.safetensors"] == second.checksums.members["weights.safetensors"]


def test_a_finished_run_is_never_overwritten(trained: Trained, class_folders: Path, tmp_path: Path) -> None:
    before = (trained.run / "run.json").read_bytes()
    for verb in (train, crossval):
        with pytest.raises(InputError, match="holds a finished run"):
            verb(class_folders, trained.run, small(), report=False)
    assert (trained.run / "run.json").read_bytes() == before
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError):
            train(class_folders, out, small(), report=False)


def test_unknown_specimens_and_uncorrected_imbalance_are_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", per_class=6, kinds=["blobs"])
    write_folder(folder, per_class=60, kinds=["stripes"], size=32)
    result = train(folder, tmp_path / "run", small(), report=False)
    assert any("specimens are unknown" in line for line in result["warnings"])
    assert any("unequal 10:1" in line for line in result["warnings"])
    assert result["grouped"] is False
    # Two classes have one curve.
    assert 0 <= result["test"]["auroc"] <= 1
    assert "average_precision" in result["test"]


def test_what_a_split_warns_of_reaches_the_result(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", specimens=6, per_specimen=1)
    rows = pd.read_csv(table)
    rows.loc[rows["structure"] == "checks", "piece"] = "one piece"
    rows.to_csv(table, index=False)
    result = train(table, tmp_path / "run", small(), image="picture", label="structure", group="piece", report=False)
    assert any("checks" in line for line in result["warnings"])
    assert result["warnings"] == [*read_run(tmp_path / "run")["warnings"], *read_run(tmp_path / "run")["limits"]]


NAMES = {"blobs": "Bainit, oben; 5 %", "checks": "../x/µ-Übergang", "stripes": 'with "quotes" and spaces'}


def test_class_names_may_hold_almost_anything(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", specimens=8, per_specimen=1, names=NAMES)
    result = train(table, tmp_path / "deep" / "run", small(), image="picture", label="structure", report=False)
    out = tmp_path / "verdicts"
    inspected = inspect(result["bundle"], [tmp_path / "data" / "images"], out)
    assert set(inspected["labels"]) == set(NAMES.values())
    found = pd.read_csv(out / "verdicts.csv", keep_default_na=False)
    assert {f"p_{name}" for name in NAMES.values()} <= set(found.columns)
    assert {part for each in found["set"] for part in each.split("|") if part} <= set(NAMES.values())
    outside = [path for path in tmp_path.rglob("*") if path.name.startswith("x")]
    assert not outside, "a class name is no path"


def test_a_bar_in_a_class_name_is_refused_because_sets_are_joined_with_it(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", specimens=3, per_specimen=1, names={"blobs": "a|b"})
    with pytest.raises(InputError, match=r"'a\|b'"):
        train(table, tmp_path / "run", small(), image="picture", label="structure", report=False)


def test_cross_validation_tests_every_image_once(trained: Trained, tmp_path: Path) -> None:
    corpus = trained.run / "corpus.parquet"
    told: list[int] = []
    result = crossval(corpus, tmp_path / "cv", small(), folds=3, report=False, on_fold=lambda k, _: told.append(k))
    assert told == [0, 1, 2]
    assert (result["folds"], result["grouped"], result["n"]) == (3, True, 288)
    for name in ("accuracy", "macro_f1"):
        assert set(result[name]) >= {"mean", "sd", "ci95"}
    verdicts = pd.read_parquet(tmp_path / "cv" / "verdicts.parquet")
    assert len(verdicts) == verdicts["path"].nunique() == 288
    table = Corpus.load(tmp_path / "cv" / "corpus.parquet").table
    assert (table.groupby("specimen")["fold"].nunique() == 1).all()
    run = read_run(tmp_path / "cv")
    accuracies = [fold["accuracy"] for fold in run["folds"]]
    assert result["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    # t(.975, 2) = 4.303 (Student's table), half-width t SD / sqrt(3)
    low, high = result["accuracy"]["ci95"]
    assert high - low == pytest.approx(min(2 * 4.3027 * np.std(accuracies, ddof=1) / np.sqrt(3), high - low), rel=1e-3)
    assert result["coverage"]["value"] >= 0.8, "CV+ at alpha = .1 promises 1 - 2 alpha"


@pytest.mark.parametrize(("of_rare", "outer"), [(2, False), (1, True)])
def test_a_class_that_inner_folds_hold_alone_is_no_note_on_the_judged_folds(
    tmp_path: Path, of_rare: int, outer: bool
) -> None:
    """Two specimens lie in two folds, and the one left to learn from lies in one inner fold; one lies in one fold."""
    table = write_table(tmp_path, specimens=4, kinds=("blobs", "checks", "stripes"))
    rows = pd.read_csv(table)
    rare = rows["structure"] == "stripes"
    rows[~rare | (rows["piece"].str.extract(r"(\d+)$")[0].astype(int) < of_rare)].to_csv(table, index=False)
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    result = crossval(
        table, tmp_path / "cv", small(**{"head.folds": 2}), folds=2, report=False, inflation=False, **columns
    )
    alone = [line for line in result["warnings"] if "'stripes' lies in one fold only" in line]
    assert any(line.startswith("class 'stripes'") for line in alone) == outer
    assert sum(line.startswith("while calibrating: class 'stripes'") for line in alone) == 1


@pytest.mark.parametrize(
    ("sizing", "shape"), [("mode", (72, 72)), ("mean", (61, 88)), ("mirror", (64, 64)), ("resize", (64, 64))]
)
def test_sizes_are_decided_from_the_corpus(tmp_path: Path, sizing: str, shape: tuple[int, int]) -> None:
    from PIL import Image

    folder = write_folder(tmp_path / "data", per_class=3, kinds=["blobs", "stripes"])
    wide = np.random.default_rng(0).integers(0, 255, (50, 104), dtype=np.uint8)
    for kind in ("blobs", "stripes"):
        for k in range(3 if sizing == "mean" else 2):
            Image.fromarray(np.roll(wide, k, axis=1)).save(folder / kind / f"wide-{kind}-{k}.png")
            wide = np.roll(wide, 7, axis=0)
    plan = make_plan(open_data(folder).corpus, small(**{"image.sizing": sizing}))
    assert (plan.preprocessing.height, plan.preprocessing.width) == shape
    assert plan.preprocessing.sizing == ("mirror" if sizing in ("mode", "mirror") else "resize")


def test_images_changed_since_the_corpus_was_built_are_set_aside(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", per_class=6, kinds=["blobs", "stripes"])
    corpus = sorby.build([folder]).corpus
    corpus.save(tmp_path / "corpus.parquet")
    changed, gone = folder / "blobs" / "blobs-000.png", folder / "stripes" / "stripes-001.png"
    changed.write_bytes((folder / "stripes" / "stripes-002.png").read_bytes())
    gone.unlink()
    result = train(tmp_path / "corpus.parquet", tmp_path / "run", small(), report=False)
    assert {Path(entry["file"]).name for entry in result["quarantined"]} == {changed.name, gone.name}
    assert sum(result["split"].values()) == 10


def test_a_finetuned_run_leaves_the_same_things_and_no_state(class_folders: Path, tmp_path: Path) -> None:
    changes = {"finetune.epochs": 1, "finetune.precision": "fp32", "backbone.pretrained": False}
    recipe = small(
        regime="finetune", **{"image.height": 32, "image.width": 32, "backbone.name": "resnet10t", **changes}
    )
    result = train(class_folders, tmp_path / "run", recipe, report=False)
    assert not (tmp_path / "run" / "state").exists()
    run = read_run(tmp_path / "run")
    assert run["networks"][0]["source"]["kind"] == "random"
    assert len(run["fit"]["history"]) == 1
    assert "neither training nor early stopping saw" in run["fit"]["calibrated_on"]
    told = pd.read_parquet(tmp_path / "run" / "verdicts.parquet")
    corpus = Corpus.load(tmp_path / "run" / "corpus.parquet")
    test = corpus.take(np.flatnonzero(corpus.table["split"] == "test"))
    found = [verdict.label for verdict in sorby.load(result["bundle"]).inspect(test.paths())]
    assert found == list(told["predicted"])


def test_prepared_pixels_of_an_interrupted_run_are_used_only_for_the_same_images(
    class_folders: Path, tmp_path: Path
) -> None:
    from sorby.workflow.fitting import FinetuneTrainer

    recipe = small(regime="finetune")
    plan = make_plan(open_data(class_folders).corpus, recipe)
    paths, hashes = plan.corpus.paths(), list(plan.corpus.table["sha256"])

    def pixels(files: list[Path], names: list[str]) -> np.ndarray[Any, Any]:
        trainer = FinetuneTrainer(plan, recipe, tmp_path / "state", "cpu")
        trainer.read_images(files, names)
        return np.array(trainer._pixels)

    first = pixels(paths, hashes)
    marker = (tmp_path / "state" / "pixels.json").read_bytes()
    # Killed while other images were being written over the first ones: the marker must not vouch for them.
    other = FinetuneTrainer(plan, recipe, tmp_path / "state", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sorby.workflow.fitting.write_json", lambda *_: None)
        other.read_images(paths[::-1], hashes[::-1])
    assert not (tmp_path / "state" / "pixels.json").exists()
    assert np.array_equal(pixels(paths, hashes), first)
    assert (tmp_path / "state" / "pixels.json").read_bytes() == marker

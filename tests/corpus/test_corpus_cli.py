"""``sorby corpus``: the JSON, exit codes and lines that other programs rely on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from sorby.cli.corpus import corpus
from sorby.corpus import Corpus, split_corpus
from sorby.errors import InputError
from sorby.workflow import corpora
from textures import write_table


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(corpus, [str(argument) for argument in arguments])


def test_building_writes_the_corpus_and_counts_its_classes(two_classes, tmp_path):
    result = ask("build", two_classes, "--out", tmp_path / "c.parquet", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["rows"], found["usable"], found["quarantined"], found["matched"]) == (9, 9, [], 0)
    assert found["classes"] == {"bainite": 4, "pearlite": 5}
    assert len(Corpus.load(found["corpus"])) == 9


def test_a_damaged_file_is_named_and_makes_the_exit_code_3(two_classes, tmp_path):
    (two_classes / "pearlite" / "empty.png").write_bytes(b"")
    result = ask("build", two_classes, "--out", tmp_path / "c.parquet", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    assert found["rows"] == 9
    assert found["quarantined"][0]["file"].endswith("empty.png")
    assert "empty" in found["quarantined"][0]["reason"]
    assert "quarantined:" in result.stderr


def test_one_class_can_be_stored_and_the_result_says_so(two_classes, tmp_path):
    shutil.rmtree(two_classes / "bainite")
    result = ask("build", two_classes, "--out", tmp_path / "c.parquet")
    assert result.exit_code == 0
    assert "only one class, 'pearlite'" in result.stdout


def test_a_corpus_of_another_ending_is_refused_before_images_are_read(two_classes, tmp_path):
    result = ask("build", two_classes, "--out", tmp_path / "c.csv")
    assert isinstance(result.exception, InputError)
    assert "c.parquet" in result.exception.hint


def test_scale_states_an_unknown_pixel_size_as_null_and_sets_bad_files_aside(tmp_path, draw):
    draw(tmp_path / "0.png")
    (tmp_path / "note.png").write_text("not an image")
    result = ask("scale", tmp_path / "0.png", tmp_path / "note.png", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    (entry,) = found["images"]
    assert {"file", "magnification", "pixel_size_um", "source", "confidence", "info_bar"} <= set(entry)
    assert (entry["pixel_size_um"], entry["source"]) == (None, "none")
    assert Path(found["quarantined"][0]["file"]).name == "note.png"


def test_scale_reads_the_resolution_of_a_tiff(tmp_path):
    Image.new("L", (20, 20)).save(tmp_path / "a.tif", resolution=100_000, resolution_unit=3)  # per centimetre
    (entry,) = json.loads(ask("scale", tmp_path / "a.tif", "--json").stdout)["images"]
    assert entry["pixel_size_um"] == pytest.approx(0.1)


def test_the_audit_finds_a_planted_copy_across_a_stored_split(two_classes, tmp_path):
    with Image.open(two_classes / "pearlite" / "0.png") as picture:
        picture.save(two_classes / "pearlite" / "again.png", compress_level=0)  # other bytes, the same picture
    ask("build", two_classes, "--out", tmp_path / "c.parquet")
    whole = Corpus.load(tmp_path / "c.parquet")
    again = (whole.table["path"].str.endswith("again.png")).to_numpy()
    whole.with_split(np.where(again, "test", "train"), "by hand").save(tmp_path / "torn.parquet")
    result = ask("audit", tmp_path / "torn.parquet", "--no-embedding", "--json")
    entry = json.loads(result.stdout)["leakage"]["split: train | test"]
    assert (result.exit_code, entry["leaking"], entry["n"], entry["byte_duplicates"]) == (0, 1, 1, 0)
    assert "1 of 1 images leak" in ask("audit", tmp_path / "torn.parquet", "--no-embedding").stdout


def test_an_image_changed_since_the_build_is_set_aside_by_the_audit(two_classes, tmp_path, draw):
    ask("build", two_classes, "--out", tmp_path / "c.parquet")
    draw(two_classes / "pearlite" / "0.png")
    result = ask("audit", tmp_path / "c.parquet", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["n"] == 8


def test_the_audit_of_a_clean_grouped_split_finds_nothing(two_classes, tmp_path):
    ask("build", two_classes, "--out", tmp_path / "c.parquet")
    split_corpus(Corpus.load(tmp_path / "c.parquet"), "kfold", folds=3).save(tmp_path / "s.parquet")
    found = json.loads(ask("audit", tmp_path / "s.parquet", "--no-embedding", "--json").stdout)
    assert [entry["leaking"] for entry in found["leakage"].values()] == [0, 0, 0]
    assert found["duplicates"] == []


def test_an_audit_without_a_stored_split_says_so(two_classes):
    result = ask("audit", two_classes, "--no-embedding")
    assert result.exit_code == 0
    assert "no split is stored" in result.stdout


def test_the_audit_draws_folds_and_writes_its_page(two_classes, tmp_path):
    options = ("--folds", 3, "--split", "image", "--k", 3, "--hamming", 8, "--ssim", 0.5, "--ssim", 0.9)
    result = ask("audit", two_classes, *options, "--out", tmp_path / "audit", "--json")
    found = json.loads(result.stdout)
    table = found["table1"]
    assert result.exit_code == 0
    assert (table["thresholds"], table["hamming"], table["neighbours"]) == ([0.5, 0.9], 8, 3)
    assert [row["n"] for row in table["folds"]] == [3, 3, 3]
    assert [row["counts"] for row in table["folds"]] == [[0, 0]] * 3, "nine images of noise"
    assert list(found["leakage"]) == [f"3 folds drawn by image, seed 0, fold {k}" for k in (1, 2, 3)]
    assert found["embedding"] is None
    assert any("takes 64 images" in line for line in found["warnings"])
    assert Path(found["report"]).is_file()
    stored = json.loads((tmp_path / "audit" / "audit.json").read_text("utf-8"))
    assert stored["table1"] == table


def test_the_audit_says_what_its_table_cannot_see(two_classes):
    result = ask("audit", two_classes, "--no-embedding")
    assert "not a near-duplicate" in result.stdout
    assert "specimens unknown" in result.stdout


def test_folds_by_specimen_need_specimens(two_classes):
    result = ask("audit", two_classes, "--split", "specimen", "--no-embedding")
    assert isinstance(result.exception, InputError)
    assert "--group" in result.exception.hint


def test_split_is_stored_by_specimen_and_refuses_generated_images(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", specimens=6)
    columns = {"image": "picture", "label": "structure", "group": "piece"}
    result = corpora.split(table, tmp_path / "split.parquet", fractions=(0.5, 0, 0.5), seed=1, **columns)
    assert result["parts"] == {"train": 18, "test": 18}
    assert result["specimens"] == {"train": 9, "test": 9}
    stored = Corpus.load(tmp_path / "split.parquet")
    assert stored.table.groupby("specimen")["split"].nunique().max() == 1
    made = replace(stored, table=stored.table.assign(synthetic=[True] + [False] * (len(stored) - 1)))
    with pytest.raises(InputError, match="generated images are among them"):
        corpora.split(made, tmp_path / "again.parquet")

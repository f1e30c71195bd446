"""``sorby synthesize``: what the commands leave, what they say, and what they refuse."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from small_generators import SMALL
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus, build
from sorby.corpus.ancestry import MANIFEST, ancestors_of, synthetic_rows
from sorby.corpus.splitting import split_corpus
from sorby.errors import InputError
from sorby.synthesize import load_recipe
from sorby.workflow.synthesis import check, sample, train
from textures import write_table

KINDS = ("blobs", "stripes")
EDGE = 40


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve specimens of two textures, 72 px, with a stored split."""
    place = tmp_path_factory.mktemp("originals")
    table = write_table(place, specimens=6, per_specimen=1, kinds=KINDS)
    built = build([table], image="picture", label="structure", group="piece").corpus
    return split_corpus(built, "holdout", fractions=(0.67, 0, 0.33), seed=0).save(place / "originals.parquet")


@pytest.fixture(scope="module")
def taught(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    recipe = load_recipe("small-data", SMALL)
    return train(originals, tmp_path_factory.mktemp("taught") / "gan", recipe, seed=1)


@pytest.fixture(scope="module")
def made(taught: dict[str, Any], originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sampled") / "made"
    sample(Path(taught["generator"]).parent, folder, n=3, originals=originals, seed=2)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy of the sampled folder that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "made"))


def _training_names(originals: Path) -> set[str]:
    table = Corpus.load(originals).table
    return set(table["specimen"][table["split"] == "train"])


def test_training_takes_the_training_part_alone_and_says_so(taught: dict[str, Any], originals: Path) -> None:
    model = json.loads((Path(taught["generator"]).parent / "run.json").read_text("utf-8"))
    assert sum(taught["taught"].values()) == len(_training_names(originals))
    assert any("the training part of the stored split" in line for line in taught["warnings"])
    assert {"kid", "accepted", "rejected"} <= set(model)
    history = pd.read_csv(Path(taught["generator"]).parent / "history.csv")
    assert {"real_accuracy", "generated_accuracy"} <= set(history)
    with pytest.raises(InputError, match="finished run"):
        train(originals, Path(taught["generator"]).parent, load_recipe("small-data", SMALL))


def test_every_sample_names_what_it_descends_from(made: Path, originals: Path, taught: dict[str, Any]) -> None:
    table = pd.read_csv(made / MANIFEST, dtype=str, keep_default_na=False)
    assert len(table) == 6
    named = set("|".join(table["ancestors"]).split("|"))
    assert named == _training_names(originals)
    assert set(table["generator"]) == {taught["generator_sha256"]}
    assert all((made / path).is_file() for path in table["path"])
    assert set(table["accepted"]) <= {"true", "false"}
    page = (made / "report.html").read_text("utf-8")
    assert "What they are worth" in page
    assert not re.search(r'(?:src|href)="https?:', page)


def test_a_sample_is_the_same_for_a_seed(taught: dict[str, Any], made: Path, tmp_path: Path) -> None:
    alone = shutil.copyfile(taught["generator"], tmp_path / "alone.sorby")  # nothing beside it says what taught
    result = sample(alone, tmp_path / "again", n=3, seed=2)
    first, again = (pd.read_csv(folder / MANIFEST, dtype=str) for folder in (made, tmp_path / "again"))
    assert first["sha256"].tolist() == again["sha256"].tolist()
    assert result["kid"] is None
    assert result["accepted"] == 0  # nobody has looked at them
    assert result["unchecked"] == 6
    assert any("not checked" in line for line in result["warnings"])


def test_originals_that_taught_are_found_again(taught: dict[str, Any], originals: Path, tmp_path: Path) -> None:
    result = sample(Path(taught["generator"]).parent, tmp_path / "drawn", n=2, seed=2, report=False)
    assert result["kid"] is not None
    assert result["unchecked"] == 0
    assert any(str(originals) in line for line in result["warnings"])


def test_a_check_keeps_what_a_person_decided(own: Path, originals: Path, tmp_path: Path) -> None:
    first = check(originals, own, tmp_path / "out", report=False)
    assert {"kid", "ci95", "floor", "ceiling", "fid", "precision", "recall", "copies"} <= set(first)
    assert first["ceiling"] is not None  # the folder names its generator
    gate = pd.read_csv(tmp_path / "out" / "gate.csv", dtype=str, keep_default_na=False)
    gate.loc[0, "decision"], gate.loc[1, "decision"] = "accept", "reject"
    gate.to_csv(tmp_path / "out" / "gate.csv", index=False)
    second = check(originals, own, tmp_path / "out", report=False)
    assert second["decided"] == 2
    manifest = pd.read_csv(own / MANIFEST, dtype=str, keep_default_na=False).set_index("sha256")
    assert manifest.loc[gate.loc[0, "sha256"], ["accepted", "decision"]].tolist() == ["true", "accept"]
    assert manifest.loc[gate.loc[1, "sha256"], ["accepted", "decision"]].tolist() == ["false", "reject"]
    third = check(originals, own, tmp_path / "elsewhere", report=False)  # the manifest remembers, too
    assert third["decided"] == 2


def test_accepted_images_join_the_corpus_in_the_training_part(own: Path, originals: Path, tmp_path: Path) -> None:
    table = pd.read_csv(own / MANIFEST, dtype=str, keep_default_na=False)
    table["accepted"] = ["true"] * 4 + ["false"] * 2
    table.to_csv(own / MANIFEST, index=False)
    out = tmp_path / "both.parquet"
    assert run(cli, ["corpus", "build", str(originals), "--synthetic", str(own), "--out", str(out)]) == 0
    corpus = Corpus.load(out)
    synthetic = synthetic_rows(corpus)
    assert synthetic.sum() == 6
    assert synthetic_rows(corpus.usable()).sum() == 4
    assert set(corpus.table["split"][synthetic]) == {"train"}
    assert set().union(*ancestors_of(corpus)) == _training_names(originals)


def test_copies_are_found_and_named(originals: Path, tmp_path: Path) -> None:
    corpus = Corpus.load(originals)
    for label in KINDS:
        (tmp_path / "fakes" / label).mkdir(parents=True)
    for path, label in zip(corpus.paths(), corpus.labels, strict=True):
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "fakes" / label / path.name)
    result = check(originals, tmp_path / "fakes", tmp_path / "out")
    assert result["copies"] >= 11  # the search may take a stripe for another; blobs are unmistakable
    assert result["classes"]["blobs"]["memorisation"]["copies"] == 6
    assert result["kid"] < result["floor"]["ci95"][1]  # copies are as near as can be: the distance does not tell
    assert any("unknown" in line for line in result["warnings"])


def test_a_damaged_picture_among_good_ones_is_set_aside(own: Path, originals: Path, tmp_path: Path) -> None:
    first = own / pd.read_csv(own / MANIFEST)["path"][0]
    first.write_bytes(b"no picture")
    code = run(cli, ["synthesize", "check", str(originals), str(own), "--out", str(tmp_path / "out"), "--json"])
    assert code == 3
    found = json.loads((tmp_path / "out" / "check.json").read_text("utf-8"))
    assert [Path(entry["file"]).name for entry in found["quarantined"]] == [first.name]
    assert found["accepted"] + found["rejected"] == 5


def _pictures(folder: Path, *sizes: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k, size in enumerate(sizes):
        Image.fromarray(rng.integers(0, 256, (size, size), dtype=np.uint8)).save(folder / f"{k}.png")
    return folder


@pytest.mark.parametrize(
    ("build_folder", "said"),
    [
        (lambda at: at.mkdir(parents=True), "holds no images"),
        (lambda at: _pictures(at / "blobs", 40, 48), "images of several sizes, 40 x 40"),
        (lambda at: _pictures(at / "rings", 40, 40), "no originals of class 'rings'"),
        (lambda at: _pictures(at, 40, 40), "no class"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(
    build_folder: Any, said: str, originals: Path, tmp_path: Path
) -> None:
    build_folder(tmp_path / "fakes")
    with pytest.raises(InputError, match=said):
        check(originals, tmp_path / "fakes", tmp_path / "out")


def test_a_single_image_has_a_gate_and_no_distance(originals: Path, tmp_path: Path) -> None:
    _pictures(tmp_path / "fakes" / "blobs", 40)
    result = check(originals, tmp_path / "fakes", tmp_path / "out")
    assert result["kid"] is None
    assert result["accepted"] + result["rejected"] == 1
    assert any("no distance" in line for line in result["warnings"])


def test_a_generator_of_other_classes_is_refused(taught: dict[str, Any], tmp_path: Path) -> None:
    table = write_table(tmp_path / "others", specimens=3, per_specimen=1, kinds=("checks",))
    kinds = build([table], image="picture", label="structure", group="piece", min_classes=1).corpus
    with pytest.raises(InputError, match="no originals of class 'blobs', which was generated"):
        sample(taught["generator"], tmp_path / "made", n=2, originals=kinds)
    _pictures(tmp_path / "fakes" / "checks", 40, 40)
    with pytest.raises(InputError, match="knows no class 'checks'"):
        check(kinds, tmp_path / "fakes", tmp_path / "out", generator=taught["generator"])
    with pytest.raises(InputError, match="knows no class 'rings'"):
        sample(taught["generator"], tmp_path / "made", n=2, classes=["rings"])


def test_a_recipe_of_sequences_refuses_stills(originals: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stills, and the recipe generates frames of sequences"):
        train(originals, tmp_path / "gan", load_recipe("gan-frames", SMALL))


def test_two_tables_that_contradict_each_other_are_refused(own: Path, originals: Path, tmp_path: Path) -> None:
    check(originals, own, tmp_path / "out", report=False)
    for place, word in ((own / MANIFEST, "accept"), (tmp_path / "out" / "gate.csv", "reject")):
        table = pd.read_csv(place, dtype=str, keep_default_na=False)
        table.loc[0, "decision"] = word
        table.to_csv(place, index=False)
    with pytest.raises(InputError, match="reject, but"):
        check(originals, own, tmp_path / "out", report=False)


def test_of_two_equal_images_the_first_may_be_used(own: Path, originals: Path, tmp_path: Path) -> None:
    table = pd.read_csv(own / MANIFEST, dtype=str, keep_default_na=False)
    shutil.copy(own / table["path"][0], own / table["path"][1])
    table.loc[1, "sha256"] = table["sha256"][0]
    table.to_csv(own / MANIFEST, index=False)
    found = check(originals, own, tmp_path / "out", report=False)
    after = pd.read_csv(own / MANIFEST, dtype=str, keep_default_na=False)
    gate = pd.read_csv(tmp_path / "out" / "gate.csv", dtype=str, keep_default_na=False)
    assert "repeat" not in after["reason"][0]
    assert "repeat" in after["reason"][1]
    assert after["accepted"].tolist() == gate["accepted"].tolist()
    assert (after["accepted"] == "true").sum() == found["accepted"]


@pytest.mark.parametrize("facts", ["[]", '{"generator": 7}', '{"recipe": {"method": "magic"}}', "no json"])
def test_facts_that_are_none_are_refused_in_a_line(own: Path, originals: Path, tmp_path: Path, facts: str) -> None:
    (own / "sample.json").write_text(facts, "utf-8")
    with pytest.raises(InputError, match=r"sample\.json"):
        check(originals, own, tmp_path / "out", report=False)


def test_a_folder_that_holds_something_is_refused_before_the_generator_is_opened(own: Path) -> None:
    with pytest.raises(InputError, match="exists and is not empty"):
        sample(own / "no generator", own, n=2)


def test_one_picture_under_two_names_is_said_to_blind_the_search_for_copies(originals: Path, tmp_path: Path) -> None:
    corpus = Corpus.load(originals)
    blobs = [path for path, label in zip(corpus.paths(), corpus.labels, strict=True) if label == "blobs"]
    for k, path in enumerate([*blobs, blobs[0]]):  # without names of specimens each picture is its own
        (tmp_path / "real" / "blobs").mkdir(parents=True, exist_ok=True)
        pixels = np.array(Image.open(path))
        pixels[0, 0] = k  # another file
        Image.fromarray(pixels).save(tmp_path / "real" / "blobs" / f"{k}.png")
    (tmp_path / "fakes" / "blobs").mkdir(parents=True)
    Image.open(blobs[1]).save(tmp_path / "fakes" / "blobs" / "0.png")
    found = check(tmp_path / "real", tmp_path / "fakes", tmp_path / "out", report=False)
    assert any("perhaps pictures of one place" in line for line in found["warnings"])

"""Refinement: the test part stays closed until the end, is opened once, and the record shows what was changed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from sorby.classify.recipe import load
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.workflow import refinement, refinement_closing
from sorby.workflow.refinement_round import train_round
from textures import SMALL, write_table

PARTS = {"split.fractions": "[.5, .25, .25]"}
COLUMNS = {"image": "picture", "label": "structure", "group": "piece"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Textures, two images a specimen; every seventh specimen has the label of another class."""
    path = write_table(tmp_path_factory.mktemp("data"), specimens=16)
    rows = pd.read_csv(path)
    pieces = sorted(rows["piece"].unique())
    wrong = rows["piece"].isin(pieces[::7])
    rows.loc[wrong, "structure"] = rows.loc[wrong, "structure"].map(
        {"blobs": "checks", "checks": "stripes", "stripes": "blobs"}
    )
    rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def two_rounds(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A refinement with two rounds; nobody may change it. Its copies must lie beside it."""
    folder = tmp_path_factory.mktemp("refinements") / "first"
    refinement.start(table, folder, load(None, {**SMALL, **PARTS}), **COLUMNS)
    train_round(folder, {}, "as it stands", device="cpu")
    train_round(folder, {"head.c_grid": "[1e-6]"}, "less certain of noise", device="cpu")
    return folder


@pytest.fixture
def copy(two_rounds: Path, request: pytest.FixtureRequest) -> Path:
    """A copy to change, at the same depth, for paths are relative."""
    place = two_rounds.with_name(request.node.name[:60].replace("[", "-").replace("]", ""))
    shutil.copytree(two_rounds, place)
    return place


def test_no_specimen_lies_in_two_parts(two_rounds: Path) -> None:
    corpus = Corpus.load(two_rounds / "corpus.parquet")
    assert corpus.table.groupby("specimen")["split"].nunique().max() == 1
    assert set(corpus.table["split"]) == {"train", "val", "test"}


def test_rounds_never_open_a_test_image(table: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(table.parent, data)
    refinement.start(data / table.name, tmp_path / "out", load(None, {**SMALL, **PARTS}), **COLUMNS)
    corpus = Corpus.load(tmp_path / "out" / "corpus.parquet")
    for path, part in zip(corpus.paths(), corpus.table["split"], strict=True):
        if part == "test":
            path.unlink()
    result = train_round(tmp_path / "out", {}, "the test images are gone", device="cpu")
    assert result["validation"]["accuracy"]["n"] == int((corpus.table["split"] == "val").sum())
    assert not result["quarantined"]
    with pytest.raises(InputError, match="cannot be read"):
        refinement_closing.close(tmp_path / "out", device="cpu")


def test_a_round_lists_what_it_got_wrong_with_maps(copy: Path) -> None:
    result = train_round(copy, {"head.c_grid": "[1e-3]"}, "a little more certain", device="cpu")
    assert (result["round"], result["after"]) == (3, 2)
    with open(copy / "rounds" / "03" / "validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["label"] != row["predicted"]]
    assert len(wrong) == len(result["misclassified"]) > 0
    n = result["validation"]["accuracy"]["n"]
    assert result["validation"]["accuracy"]["value"] == pytest.approx(1 - len(wrong) / n)
    assert all(Path(row["map"]).is_file() for row in result["misclassified"])
    sure = [row["confidence"] for row in result["misclassified"]]
    assert sure == sorted(sure, reverse=True)
    told = refinement.show(copy)["rounds"][2]
    assert (told["why"], told["settings"]) == ("a little more certain", {"head.c_grid": "[1e-3]"})
    assert not (copy / "state").exists()


def test_a_round_builds_on_the_one_it_names(copy: Path) -> None:
    result = train_round(copy, {"balance.sampling": "oversample"}, "on the first one", after=1, device="cpu")
    entries = refinement.open_refinement(copy).rounds
    assert result["after"] == 1
    assert entries[2]["recipe"]["head"]["c_grid"] == entries[0]["recipe"]["head"]["c_grid"]
    assert entries[1]["recipe"]["head"]["c_grid"] == [1e-6]


def test_the_test_part_is_opened_once_for_the_first_and_the_chosen_round(copy: Path) -> None:
    closed = refinement_closing.close(copy, 2, device="cpu")
    assert (closed["chosen"], closed["rounds_on_validation"]) == (2, 2)
    test = int((Corpus.load(copy / "corpus.parquet").table["split"] == "test").sum())
    for name in ("first", "chosen_test"):
        assert closed[name]["accuracy"]["n"] == test
        assert closed[name]["accuracy"]["ci95"] is not None
    gap = closed["chosen_test"]["accuracy"]["value"] - closed["first"]["accuracy"]["value"]
    assert closed["difference"]["accuracy"]["value"] == pytest.approx(gap)
    assert "2 rounds chose on the validation part" in closed["sentence"]
    with pytest.raises(InputError, match="has been opened"):
        train_round(copy, {"head.c_grid": "[1e-3]"}, "one more", device="cpu")
    with pytest.raises(InputError, match="is closed"):
        refinement_closing.close(copy, device="cpu")
    assert refinement.show(copy)["closed"]["sentence"] == closed["sentence"]


def test_the_best_on_validation_is_chosen_and_the_earlier_of_equals(copy: Path) -> None:
    values = [each["validation"]["macro_f1"]["value"] for each in refinement.open_refinement(copy).rounds]
    assert refinement_closing.close(copy, device="cpu")["chosen"] == values.index(max(values)) + 1


def test_a_first_round_that_a_person_takes_is_not_said_to_be_unbeaten() -> None:
    assert "none beat the first" in refinement_closing._sentence(1, [0.8, 0.8, 0.7], None)
    taken = refinement_closing._sentence(1, [0.8, 0.9], None)
    assert "none beat" not in taken
    assert "+10.0 points" in taken


def test_an_interrupted_opening_counts_as_one(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refinement_closing, "_tested", interrupted)
        with pytest.raises(KeyboardInterrupt):
            refinement_closing.close(copy, 2, device="cpu")
    with pytest.raises(InputError, match="has been opened"):
        train_round(copy, {"head.c_grid": "[1e-3]"}, "seen nothing yet", device="cpu")
    with pytest.raises(InputError, match="opened for round 2"):
        refinement_closing.close(copy, 1, device="cpu")
    assert refinement_closing.close(copy, device="cpu")["chosen"] == 2


def moved_to_test(folder: Path) -> None:
    corpus = Corpus.load(folder / "corpus.parquet")
    corpus.table.loc[corpus.table["split"].eq("val").idxmax(), "split"] = "test"
    corpus.save(folder / "corpus.parquet")


def relabelled(folder: Path) -> None:
    corpus = Corpus.load(folder / "corpus.parquet")
    row = corpus.table["split"].eq("test").idxmax()
    corpus.table.loc[row, "label"] = "blobs" if corpus.table.loc[row, "label"] != "blobs" else "checks"
    corpus.save(folder / "corpus.parquet")


def forgotten(folder: Path) -> None:
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    (folder / "log.jsonl").write_text("\n".join(lines[:-1]) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [(moved_to_test, "not what was locked"), (relabelled, "not what was locked"), (forgotten, "2 rounds lie here")],
)
def test_tampering_is_noticed(copy: Path, tamper, said: str) -> None:  # type: ignore[no-untyped-def]
    tamper(copy)
    for action in (refinement.show, refinement_closing.close):
        with pytest.raises(InputError, match=said):
            action(copy)


def test_another_bundle_in_a_round_s_place_is_noticed(copy: Path) -> None:
    shutil.copyfile(copy / "rounds" / "01" / "bundle.sorby", copy / "rounds" / "02" / "bundle.sorby")
    with pytest.raises(InputError, match="not the bundle that round 2 wrote"):
        refinement_closing.close(copy, 2, device="cpu")


def test_changed_verdicts_of_the_round_before_are_noticed(copy: Path) -> None:
    with open(copy / "rounds" / "02" / "validation.csv", "a") as file:
        file.write("more\n")
    with pytest.raises(InputError, match="not what round 2 wrote"):
        train_round(copy, {"head.c_grid": "[1e-3]"}, "why not", device="cpu")


@pytest.mark.parametrize(
    ("settings", "why", "after", "said"),
    [
        ({"split.fractions": "[.8, .1, .1]"}, "more to learn from", None, "split is locked"),
        ({"labels.merge": "{blobs: checks}"}, "alike", None, "same classes"),
        ({"labels": "{merge: {blobs: checks}}"}, "alike, in one piece", None, "same classes"),
        ({"split": "{fractions: [.8, .1, .1]}"}, "more, in one piece", None, "split is locked"),
        ({"head.c_grid": "[1e-3]"}, "  ", None, "needs its reason"),
        ({}, "again", None, "nothing changed"),
        ({"head.c_grid": "[1e-3]"}, "from nowhere", 7, "no round 7"),
        ({"head.view": "4"}, "misspelt", None, "head.view"),
    ],
)
def test_what_a_round_may_not_be(
    two_rounds: Path, settings: dict[str, str], why: str, after: int | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        train_round(two_rounds, settings, why, after=after, device="cpu")
    assert len(refinement.show(two_rounds)["rounds"]) == 2


def test_the_published_network_takes_rounds_too(table: Path, tmp_path: Path) -> None:
    settings = {"image.height": 62, "image.width": 62, "finetune.epochs": 1, "labels.min_count": 1, **PARTS}
    recipe = load("corrosion-table6", {**settings, "head.output": "softmax", "finetune.precision": "fp32"})
    refinement.start(table, tmp_path / "out", recipe, **COLUMNS)
    first = train_round(tmp_path / "out", {}, "as published, one epoch", device="cpu")
    assert first["difference"] is None
    assert Path(first["bundle"]).is_file()
    assert not (tmp_path / "out" / "state").exists()


def test_commands_speak_json_and_end_as_agreed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["refine", "show", str(copy), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["rounds"]) == 2
    assert run(cli, ["refine", "close", str(copy), "--round", "2", "--device", "cpu"]) == 0
    assert "chose on the validation part" in capsys.readouterr().out
    assert run(cli, ["refine", "round", str(copy), "--set", "head.c_grid=[1e-3]", "--why", "late"]) == 2
    assert "has been opened" in capsys.readouterr().err
    assert run(cli, ["refine", "start", str(copy / "nothing"), "--out", str(copy / "new")]) == 2
    assert "no such file" in capsys.readouterr().err

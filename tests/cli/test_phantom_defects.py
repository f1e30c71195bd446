"""``sorby phantom defects`` and the published crops as a script sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus
from sorby.corpus.boxes import box_classes, corpus_boxes
from sorby.phantom.defects import KINDS


def test_pictures_of_defects_come_as_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--n", "14", "--size", "80", "--seed", "1"]
    assert run(cli, ["phantom", "defects", *options, "--out", str(tmp_path / "p"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    corpus = Corpus.load(found["corpus"])
    assert found["rows"] == len(corpus) == len(corpus.annotated()) == sum(found["classes"].values()) == 14
    assert set(box_classes(corpus)) == set(found["defects"]) <= set(KINDS)
    assert sum(len(boxes or ()) for boxes in corpus_boxes(corpus)) == sum(found["defects"].values())
    assert len(pd.read_csv(found["truth"])) == sum(found["defects"].values())
    # The COCO file builds the same boxes.
    assert run(cli, ["corpus", "build", found["boxes"], "--out", str(tmp_path / "c.parquet"), "--json"]) == 0
    capsys.readouterr()
    assert corpus_boxes(Corpus.load(tmp_path / "c.parquet")) == corpus_boxes(corpus)


def test_published_crops_come_as_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--detection", "scratches", "--scale", "0.09"]
    assert run(cli, ["phantom", "membrane", *options, "--out", str(tmp_path / "p"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"defect": 36, "good": 18}
    assert found["defects"]["scuff"] == 12
    assert len(list(Path(found["images"]).iterdir())) == 54


@pytest.mark.parametrize(
    "options",
    [
        ["defects", "--size", "small"],
        ["defects", "--size", "20"],
        ["defects", "--tiles", "64"],
        ["defects", "--detection", "pinholes"],
        ["membrane", "--family", "steel"],
        ["membrane", "--off-centre"],
        ["membrane", "--detection", "scratches", "--off-centre"],
        ["membrane", "--detection", "pinholes", "--set", "pinholes"],
        ["membrane", "--detection", "pinholes", "--n", "4"],
    ],
)
def test_options_that_contradict_are_refused_in_one_line(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["phantom", *options, "--out", str(tmp_path / "never"), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint"]
    assert not (tmp_path / "never").exists()

"""A corpus with boxes goes where every corpus goes: stored, split, audited, on the command line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotated_sets import write_coco, write_image
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.corpus import Corpus, audit, build, split_corpus
from sorby.corpus.boxes import Box, corpus_boxes, encode
from sorby.corpus.strata import NOTHING, stratified
from sorby.errors import InputError
from sorby.workflow.data import open_data


def _set(folder: Path, images: int = 30) -> Path:
    """A third shows scratches, a third nothing, a third both scratches and scuffs."""
    scratch, scuff = ("scratch", 1, 1, 5, 5), ("scuff", 20, 20, 9, 9)
    kinds = ([scratch], [], [scratch, scuff])
    return write_coco(folder, {f"{k}.png": kinds[k % 3] for k in range(images)})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return build([_set(tmp_path)], min_classes=1).corpus.save(tmp_path / "corpus.parquet")


def test_the_label_is_the_only_class_of_the_boxes(stored: Path) -> None:
    corpus = Corpus.load(stored)
    assert corpus.table["label"].tolist()[:3] == ["scratch", None, None]
    assert set(corpus.table["label_source"]) == {"boxes"}
    assert corpus.excluded() == {}
    assert len(corpus.annotated()) == 30


def test_storing_changes_no_box(stored: Path, tmp_path: Path) -> None:
    assert corpus_boxes(Corpus.load(stored)) == corpus_boxes(build([tmp_path / "boxes.json"], min_classes=1).corpus)
    again = build([stored], min_classes=1).corpus
    assert corpus_boxes(again) == corpus_boxes(Corpus.load(stored))
    assert again.excluded() == {}


def test_strata_are_the_classes_on_an_image(stored: Path) -> None:
    counts = Counter(stratified(Corpus.load(stored)).labels)
    assert counts == {"scratch": 10, NOTHING: 10, "scratch + scuff": 10}


def test_a_rare_combination_counts_for_its_rarest_class(tmp_path: Path) -> None:
    one, other = Box("common", 0, 0, 1, 1), Box("rare", 0, 0, 2, 2)
    texts = [encode([one])] * 20 + [encode([other])] * 5 + [encode([one, other])] * 2
    table = pd.DataFrame({"path": [str(k) for k in range(27)], "label": None, "boxes": texts, "exclusion": None})
    assert Counter(stratified(Corpus(table, tmp_path)).labels) == {"common": 20, "rare": 7}


def test_a_split_divides_every_combination_and_the_negatives(stored: Path) -> None:
    corpus = split_corpus(Corpus.load(stored), fractions=(0.6, 0.2, 0.2), seed=3)
    counted = Counter(zip(stratified(corpus).labels, corpus.table["split"], strict=True))
    assert len(counted) == 9
    assert set(counted.values()) == {2, 6}
    folds = split_corpus(Corpus.load(stored), "kfold", folds=5).table["fold"]
    assert Counter(folds) == dict.fromkeys(range(5), 6)


def test_a_split_keeps_specimens_whole(stored: Path) -> None:
    corpus = Corpus.load(stored)
    specimens = [f"sheet {k // 3}" for k in range(30)]
    corpus = split_corpus(Corpus(corpus.table.assign(specimen=specimens), corpus.root), "kfold", folds=5)
    assert pd.Series(corpus.table["fold"]).groupby(specimens).nunique().eq(1).all()


def test_an_audit_looks_at_images_of_several_classes_and_of_none(stored: Path) -> None:
    found = audit(split_corpus(Corpus.load(stored)), ssim=0.8, seed=1)
    assert found["n"] == 30
    assert found["conflicts"] == []


def test_a_classifier_is_told_which_images_have_no_class(stored: Path) -> None:
    assert open_data(stored, min_classes=1).warnings == []
    [line] = open_data(stored).warnings
    assert line.startswith("20 images have boxes of several classes, or none")


def test_boxes_that_a_table_brings_along_are_checked(tmp_path: Path) -> None:
    rows = []
    for k, text in enumerate([encode([Box("x", 1, 1, 5, 5)]), "[]", "", "x at 1, 1"]):
        write_image(tmp_path / f"{k}.png", seed=k)
        rows.append({"path": f"{k}.png", "label": "web", "boxes": text})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    built = build([tmp_path / "table.csv"], min_classes=1)
    assert [None if found is None else len(found) for found in corpus_boxes(built.corpus)] == [1, 0, None, None]
    assert [Path(entry.file).name for entry in built.quarantined] == ["3.png"]
    assert built.corpus.excluded() == {"its boxes cannot be read": 1}


def test_negatives_alone_need_somebody_who_asks_for_no_class(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {"a.png": [], "b.png": []})
    with pytest.raises(InputError, match="no labelled box"):
        build([path], min_classes=1)
    assert len(build([path], min_classes=0).corpus.annotated()) == 2


def test_the_phantom_membrane_is_a_set_with_boxes(tmp_path: Path) -> None:
    from sorby.phantom.membrane.writing import write_membrane

    write_membrane(tmp_path / "web", seed=2, set="pinholes", n=2, scale=0.1)
    truth = json.loads((tmp_path / "web" / "boxes.json").read_text())
    for source in (tmp_path / "web" / "boxes.json", tmp_path / "web"):
        built = build([source], min_classes=0)
        found = [box for boxes in corpus_boxes(built.corpus) for box in boxes or ()]
        assert len(built.corpus) == 2
        assert len(found) == len(truth["annotations"]) > 0
        assert {box.label for box in found} == {entry["category"] for entry in truth["annotations"]}


def _json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    code = run(cli, [*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_build_split_and_export_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _set(tmp_path / "set")
    code, built = _json(capsys, "corpus", "build", tmp_path / "set", "--out", tmp_path / "c.parquet")
    assert code == 0
    assert built["classes"] == {"scratch": 20, "scuff": 10}
    assert (built["rows"], built["usable"]) == (30, 30)
    assert built["annotations"]["per_class"] == {"scratch": 20, "scuff": 10}
    assert built["annotations"]["negatives"] == 10
    code, split = _json(capsys, "corpus", "split", tmp_path / "c.parquet", "--out", tmp_path / "s.parquet")
    assert (code, sum(split["parts"].values())) == (0, 30)
    arguments = ("corpus", "export", tmp_path / "s.parquet", "--format", "yolo", "--out", tmp_path / "yolo")
    code, written = _json(capsys, *arguments)
    assert (code, written["images"], written["boxes"]) == (0, 30, 30)
    code, again = _json(capsys, "corpus", "build", tmp_path / "yolo", "--out", tmp_path / "y.parquet")
    assert (code, again["classes"]) == (0, built["classes"])
    assert Corpus.load(tmp_path / "y.parquet").table["split"].value_counts().to_dict() == split["parts"]


def test_a_damaged_annotation_among_good_ones_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from annotated_sets import write_voc

    folder = write_voc(tmp_path / "voc", {"a": [("pit", 1, 1, 9, 9)], "b": "<annotation>"})
    code, built = _json(capsys, "corpus", "build", folder, "--out", tmp_path / "c.parquet")
    assert code == 3
    assert len(built["quarantined"]) == 1


def test_people_read_how_many_boxes_of_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _set(tmp_path / "set", 3)
    assert run(cli, ["corpus", "build", str(tmp_path / "set"), "--out", str(tmp_path / "c.parquet")]) == 0
    shown = capsys.readouterr().out
    assert "3 boxes on 3 annotated, 1 of them with nothing on them" in shown
    assert "2 boxes of scratch" in shown
    assert run(cli, ["corpus", "build", str(tmp_path / "set"), "--mask-value", "one", "--out", "x.parquet"]) == 2
    assert run(cli, ["corpus", "build", str(tmp_path / "set"), "--mask-value", "²=pit", "--out", "x.parquet"]) == 2


@pytest.mark.realdata
def test_the_strip_set_has_the_boxes_that_are_known_of_it(real_data: Path) -> None:
    """NEU-DET, He et al. 2020: 4,189 boxes, of which three repeat another and 188 contradict their file's name."""
    folder = real_data / "neu-det"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    from sorby.corpus.interchange import read_voc

    reading = read_voc(folder)
    labels = Counter(str(label) for each in reading.images for label in each.labels)
    assert labels == {
        "inclusion": 1011, "patches": 881, "crazing": 689, "rolled-in_scale": 628, "scratches": 548,
        "pitted_surface": 432,
    }  # fmt: skip
    rectangles = np.concatenate([each.rectangles for each in reading.images if each.rectangles is not None])
    # The set counts from 1 to 200: in pixels of the image its boxes span 0 to 200.
    assert rectangles[:, :2].min() == 0
    assert (rectangles[:, :2] + rectangles[:, 2:]).max() == 200
    built = build([folder], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"duplicate": 3, "other class": 188, "difficult": 81}
    assert built.annotations["boxes"] + built.annotations["ignored"] == 4189 - 3
    # patches_101 and patches_105 are one picture, annotated twice and differently.
    assert built.conflicts == [["images/patches_101.jpg", "images/patches_105.jpg"]]
    assert len(built.corpus) == 1800

"""Sources as laboratories leave them: clashing columns, odd labels, links, nested and hidden files."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from sorby.corpus import build, splits
from sorby.errors import InputError


def table_of(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_of_the_users_own_that_clash_with_ours_are_kept_or_give_way_to_the_file(tmp_path, draw):
    for k in range(2):
        draw(tmp_path / f"{k}.png", size=(24, 20))
    rows = "0.png,a,99,train,beef,4,cold\n1.png,b,99,test,beef,4,warm\n"
    built = build([table_of(tmp_path, "image,label,width,split,sha256,bytes,furnace\n" + rows)])
    table = built.corpus.table
    assert list(table.columns).count("width") == list(table.columns).count("sha256") == 1
    assert set(table["width"]) == {20}, "the file rules on its own size"
    assert all(len(digest) == 64 for digest in table["sha256"])
    assert list(table["split"]) == ["train", "test"], "a split is the user's to state"
    assert list(table["furnace"]) == ["cold", "warm"]
    assert any("SHA-256" in line for line in built.warnings)


def test_a_label_column_by_another_name_leaves_the_column_called_label_in_place(tmp_path, draw):
    for k in range(2):
        draw(tmp_path / f"{k}.png")
    built = build([table_of(tmp_path, "image,label,grade\n0.png,old,a\n1.png,old,b\n")], label="grade")
    assert built.corpus.classes == ["a", "b"]
    assert set(built.corpus.table["label_original"]) == {"old"}


def test_labels_that_look_like_numbers_stay_the_text_that_was_given(tmp_path, draw):
    for k in range(5):
        draw(tmp_path / f"{k}.png")
    text = "image,label\n0.png,0.3333\n1.png,1.0\n2.png,1\n3.png, 007 \n4.png,1e3\n"
    assert list(build([table_of(tmp_path, text)]).corpus.labels) == ["0.3333", "1.0", "1", "007", "1e3"]


def test_labels_with_the_separator_or_spaces_in_them_survive(tmp_path, draw):
    for k in range(3):
        draw(tmp_path / f"{k}.png")
    text = '\ufeffimage,label\n0.png,"pearlite, fine"\n1.png,  bainite \n2.png,"bainite"\n'
    assert build([table_of(tmp_path, text)]).corpus.classes == ["bainite", "pearlite, fine"]


def test_a_table_of_german_excel_is_read(tmp_path, draw):
    for k in range(2):
        draw(tmp_path / "Bilder" / f"{k}.png")
    text = "Bild;Klasse;Anteil\r\nBilder\\0.png;weich;0,5\r\nBilder\\1.png;hart;1,25\r\n"
    built = build([table_of(tmp_path, text, "utf-8-sig")], image="Bild", label="Klasse")
    assert built.corpus.classes == ["hart", "weich"]
    assert list(built.corpus.table["Anteil"]) == ["0,5", "1,25"]


def test_hidden_files_are_passed_over_and_capital_endings_are_not(two_classes, draw):
    (two_classes / "pearlite" / "._0.png").write_bytes(b"resource fork")
    draw(two_classes / "pearlite" / "LOUD.PNG")
    built = build([two_classes])
    assert not built.quarantined
    assert sum(path.name == "LOUD.PNG" for path in built.corpus.paths()) == 1
    assert len(built.corpus) == 10


def test_the_class_is_the_first_folder_however_deep_the_image_lies(tmp_path, draw):
    draw(tmp_path / "pearlite" / "heat 1" / "day 2" / "0.png")
    draw(tmp_path / "bainite" / "0.png")
    assert build([tmp_path]).corpus.classes == ["bainite", "pearlite"]


@pytest.mark.skipif(os.name == "nt", reason="making links needs a privilege on Windows")
def test_a_linked_source_folder_is_read_and_its_files_are_found_again(two_classes, tmp_path):
    (tmp_path / "link").symlink_to(two_classes, target_is_directory=True)
    corpus = build([tmp_path / "link"]).corpus
    assert len(corpus) == 9
    assert all(path.is_file() for path in corpus.paths())


def test_masks_beside_images_are_said_to_be_taken_for_masks(tmp_path, rng):
    for k in range(6):
        folder = tmp_path / ("crack" if k % 2 else "free")
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{k}.JPG")
        Image.new("L", (16, 16)).save(folder / f"{k}.png")
    built = build([tmp_path])
    assert len(built.corpus) == 6
    assert any("6 " in line and "mask" in line for line in built.warnings)


def test_a_row_with_too_many_fields_is_refused_in_one_line(tmp_path, draw):
    draw(tmp_path / "0.png")
    with pytest.raises(InputError) as caught:
        build([table_of(tmp_path, "image,label\n0.png,a,b,c,d\n")])
    assert "\n" not in caught.value.message


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 14)), min_size=2, max_size=80),
    st.integers(2, 6),
    st.integers(0, 2**31),
)
@pytest.mark.filterwarnings("ignore::sorby.errors.SorbyWarning")
def test_no_group_is_ever_divided_whatever_the_labels(rows, k, seed):
    labels, groups = np.array(rows).T
    drawn = [splits.holdout(labels, groups=groups, seed=seed)]
    if len(set(groups)) > 1:
        drawn += [splits.kfold(labels, k, groups=groups, seed=seed), splits.leave_one_out(labels, groups=groups)]
    for parts in drawn:
        assert len(parts) == len(rows)
        assert all(len(set(parts[groups == group])) == 1 for group in set(groups))
    for parts in drawn[1:]:
        assert len(set(parts)) > 1, "every fold is tested by a model that has learnt from others"

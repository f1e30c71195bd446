"""Corpora from folders and tables, and what happens to bad ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.corpus import Corpus, build
from sorby.errors import InputError
from sorby.files import sha256_file


def write_table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_folder_per_class_gives_its_names_as_labels(two_classes):
    built = build([two_classes])
    assert built.corpus.classes == ["bainite", "pearlite"]
    assert (built.matched, len(built.corpus), built.quarantined) == (9, 9, [])
    table = built.corpus.table
    assert set(table["width"]) == {20}
    assert set(table["height"]) == {24}
    assert list(table["sha256"]) == [sha256_file(path) for path in built.corpus.paths()]


def test_stored_paths_are_relative_with_forward_slashes(two_classes):
    assert build([two_classes]).corpus.table["path"].iloc[0] == "bainite/0.png"


def test_the_same_images_have_the_same_fingerprint_wherever_they_lie(two_classes, tmp_path):
    shutil.copytree(two_classes, tmp_path / "elsewhere")
    here, there = build([two_classes]).corpus, build([tmp_path / "elsewhere"]).corpus
    assert here.fingerprint() == there.fingerprint()


def test_a_relabelled_image_changes_the_fingerprint(two_classes):
    before = build([two_classes]).corpus.fingerprint()
    (two_classes / "pearlite" / "0.png").rename(two_classes / "bainite" / "moved.png")
    assert build([two_classes]).corpus.fingerprint() != before


def test_parquet_keeps_every_row_column_and_split(two_classes, tmp_path):
    corpus = build([two_classes]).corpus
    corpus = Corpus(corpus.table.assign(furnace=np.arange(9)), corpus.root, corpus.history)
    corpus.save(two_classes / "corpus.parquet")
    shutil.move(two_classes, tmp_path / "moved")
    again = Corpus.load(tmp_path / "moved" / "corpus.parquet")
    assert again.fingerprint() == corpus.fingerprint()
    assert list(again.table["furnace"]) == list(range(9))
    assert all(path.is_file() for path in again.paths()), "a corpus stored beside its images moves with them"


def test_a_changed_or_lost_image_is_noticed(two_classes, draw):
    corpus = build([two_classes]).corpus
    draw(two_classes / "bainite" / "0.png")
    (two_classes / "bainite" / "1.png").unlink()
    assert [Path(entry.file).name for entry in corpus.changed_files()] == ["0.png", "1.png"]


def test_damaged_files_are_quarantined_and_the_rest_go_on(two_classes):
    good = (two_classes / "pearlite" / "0.png").read_bytes()
    (two_classes / "pearlite" / "truncated.png").write_bytes(good[: len(good) // 2])
    (two_classes / "pearlite" / "empty.png").write_bytes(b"")
    (two_classes / "pearlite" / "letter.png").write_text("not an image")
    built = build([two_classes])
    assert len(built.corpus) == 9
    assert {Path(entry.file).name for entry in built.quarantined} == {"truncated.png", "empty.png", "letter.png"}
    assert all(entry.reason and "\n" not in entry.reason for entry in built.quarantined)


def test_an_image_with_the_ending_of_another_format_is_kept_and_said(two_classes):
    Image.new("L", (9, 9), 7).save(two_classes / "pearlite" / "jpeg.png", format="JPEG")
    built = build([two_classes])
    assert len(built.corpus) == 10
    assert any("jpeg.png" in line for line in built.warnings)


def test_an_empty_folder_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no images") as caught:
        build([tmp_path])
    assert caught.value.hint


def test_a_single_class_is_refused_and_named_unless_allowed(two_classes):
    shutil.rmtree(two_classes / "bainite")
    with pytest.raises(InputError, match="only one class, 'pearlite'"):
        build([two_classes])
    assert len(build([two_classes], min_classes=1).corpus) == 5


def test_a_specimen_in_two_classes_is_named_and_takes_part(two_classes):
    rows = ["image,label,specimen", *(f"bainite/{k}.png,bainite,S{k}" for k in range(3))]
    rows += ["pearlite/0.png,pearlite,S0", "pearlite/1.png,pearlite,S8"]
    built = build([write_table(two_classes / "t.csv", "\n".join(rows))])
    (said,) = [line for line in built.warnings if "several classes" in line]
    assert said.startswith("specimens with images of several classes: 1, e.g. S0 (bainite, pearlite)")
    assert "mend the labels" in said
    assert len(built.corpus.usable()) == 5


def test_a_class_with_one_image_is_named(two_classes, draw):
    draw(two_classes / "martensite" / "only.png")
    assert any("martensite" in line and "single image" in line for line in build([two_classes]).warnings)


def test_a_repeated_image_takes_part_once(two_classes):
    shutil.copy(two_classes / "pearlite" / "0.png", two_classes / "pearlite" / "copy.png")
    built = build([two_classes])
    assert built.duplicates == [["pearlite/0.png", "pearlite/copy.png"]]
    assert (len(built.corpus), len(built.corpus.usable())) == (10, 9)
    assert built.corpus.excluded() == {"duplicate": 1}


def test_an_image_under_two_labels_takes_no_part_under_either(two_classes):
    shutil.copy(two_classes / "pearlite" / "0.png", two_classes / "bainite" / "copy.png")
    built = build([two_classes])
    assert built.conflicts == [["bainite/copy.png", "pearlite/0.png"]]
    assert len(built.corpus.usable()) == 8
    reason = built.corpus.table.loc[lambda t: t["path"] == "bainite/copy.png", "exclusion"].item()
    assert "bainite and pearlite" in reason


def test_numbered_names_in_one_folder_give_the_class_and_say_so(tmp_path, draw):
    for name in ("rolled-in_scale_1", "rolled-in_scale_12", "patches_1", "patches_2"):
        draw(tmp_path / f"{name}.png")
    built = build([tmp_path])
    assert built.corpus.classes == ["patches", "rolled-in_scale"]
    assert any("file name" in line for line in built.warnings)


def test_images_that_lie_flat_without_a_class_are_refused(tmp_path, draw):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    with pytest.raises(InputError, match="no class"):
        build([tmp_path])


def test_several_flat_folders_are_one_class_each(two_classes):
    built = build([two_classes / "pearlite", two_classes / "bainite"])
    assert built.corpus.classes == ["bainite", "pearlite"]


def test_train_and_test_folders_are_a_split_not_classes(two_classes, tmp_path):
    shutil.copytree(two_classes, tmp_path / "set" / "train")
    (tmp_path / "set" / "test").mkdir()
    for name in ("pearlite", "bainite"):
        target = tmp_path / "set" / "test" / name
        target.mkdir()
        shutil.move(tmp_path / "set" / "train" / name / "0.png", target / "0.png")
    corpus = build([tmp_path / "set"]).corpus
    assert corpus.classes == ["bainite", "pearlite"]
    assert corpus.table["split"].value_counts().to_dict() == {"train": 7, "test": 2}


def test_a_mask_beside_its_image_is_no_image(tmp_path, rng):
    for k in range(4):
        folder = tmp_path / ("crack" if k % 2 else "free")
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{k}.jpg")
        Image.new("L", (16, 16)).save(folder / f"{k}.png")
    corpus = build([tmp_path]).corpus
    assert len(corpus) == 4
    assert [mask.name for mask in corpus.masks()] == ["1.png", "3.png", "0.png", "2.png"]


def test_a_mask_folder_is_no_class(two_classes):
    (two_classes / "masks").mkdir()
    Image.new("L", (20, 24)).save(two_classes / "masks" / "4.png")
    corpus = build([two_classes]).corpus
    assert corpus.classes == ["bainite", "pearlite"]
    assert [path.name for path in corpus.masks() if path] == ["4.png"]


def test_a_table_keeps_all_columns_and_labels_as_written(tmp_path, draw):
    for k in range(4):
        draw(tmp_path / "images" / f"{k}.png")
    table = write_table(
        tmp_path / "grades.csv",
        "Picture,Grade,Heat,furnace\n"
        "images/0.png,0.333,007,A\nimages\\1.png,0.333,007,B\nimages/2.png,0.500,008,\nimages/3.png,1,008,C\n",
    )
    corpus = build([table], image="Picture", label="Grade", group="Heat").corpus
    assert list(corpus.labels) == ["0.333", "0.333", "0.500", "1"]
    assert list(corpus.groups) == ["007", "007", "008", "008"]
    assert list(corpus.table["furnace"].fillna("-")) == ["A", "B", "-", "C"]
    assert set(corpus.table["label_source"]) == {"grades.csv, column Grade"}


def test_the_fracture_studys_column_names_are_understood(tmp_path, draw):
    for k in range(2):
        draw(tmp_path / f"{k}.png")
    table = write_table(
        tmp_path / "data.csv", 'filename,fractureType,magnification_value\n0.png,pore,500x\n1.png,crack,"1,500"\n'
    )
    corpus = build([table]).corpus
    assert list(corpus.table["magnification"]) == [500.0, 1500.0]
    assert corpus.classes == ["crack", "pore"]


def test_a_magnification_or_pixel_size_of_nothing_counts_as_unknown_and_is_said(tmp_path, draw):
    for k in range(4):
        draw(tmp_path / f"{k}.png")
    table = write_table(
        tmp_path / "data.csv",
        "file,label,magnification,pixel_size_um\n0.png,a,0,0\n1.png,b,500x,0.5\n2.png,a,0x,1\n3.png,b,1e400,2\n",
    )
    built = build([table])
    assert built.corpus.table["magnification"].fillna(-1).tolist() == [-1, 500, -1, -1]
    assert built.corpus.table["pixel_size_um"].fillna(-1).tolist() == [-1, 0.5, 1, 2]
    said = " ".join(built.warnings)
    assert "2 values of magnification are 0, which none can be; they count as unknown" in said
    assert "1 values of pixel_size_um are 0" in said
    assert "1 values of magnification are no numbers, e.g. '1e400'" in said


def test_a_missing_column_names_those_there_are_and_the_nearest(tmp_path, draw):
    draw(tmp_path / "0.png")
    table = write_table(tmp_path / "t.csv", "file,structure\n0.png,pearlite\n")
    with pytest.raises(InputError, match="no column 'Structur'") as caught:
        build([table], label="Structur")
    assert "did you mean structure?" in caught.value.hint
    assert "file, structure" in caught.value.hint


def test_a_table_whose_label_column_is_unknown_asks_for_it(tmp_path, draw):
    draw(tmp_path / "0.png")
    table = write_table(tmp_path / "t.csv", "file,phase\n0.png,pearlite\n")
    with pytest.raises(InputError, match="label") as caught:
        build([table])
    assert "--label" in caught.value.hint
    assert "phase" in caught.value.hint


def test_files_that_a_table_names_and_nobody_has_are_quarantined(tmp_path, draw):
    draw(tmp_path / "0.png")
    draw(tmp_path / "1.png")
    table = write_table(tmp_path / "t.csv", "file,label\n0.png,a\n1.png,b\ngone.png,a\n,b\n")
    built = build([table])
    assert built.matched == 2
    assert ["no such file" in entry.reason for entry in built.quarantined] == [True, False]


def test_a_table_none_of_whose_files_exist_is_refused(tmp_path):
    table = write_table(tmp_path / "t.csv", "file,label\nx.png,a\ny.png,b\n")
    with pytest.raises(InputError, match="none of 2 images could be read"):
        build([table])


def test_rows_that_name_one_file_with_two_labels_are_a_conflict(tmp_path, draw):
    for k in range(3):
        draw(tmp_path / f"{k}.png")
    table = write_table(tmp_path / "t.csv", "file,label\n0.png,a\n0.png,b\n1.png,a\n1.png,a\n2.png,b\n")
    built = build([table])
    assert built.conflicts == [["0.png", "0.png"]]
    assert built.corpus.excluded() == {"label conflict": 2, "repeated row": 1}
    assert sorted(built.corpus.usable().labels) == ["a", "b"]


def test_rows_without_a_label_are_excluded_and_counted(tmp_path, draw):
    for k in range(5):
        draw(tmp_path / f"{k}.png")
    table = write_table(tmp_path / "t.csv", "file,label\n0.png,a\n1.png,b\n2.png,nan\n3.png,\n4.png,None\n")
    built = build([table])
    assert built.corpus.excluded() == {"no label": 2}
    assert built.corpus.usable().classes == ["None", "a", "b"], "None may be a class: no defect"


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", True), ("utf-16", False), ("utf-8-sig", False)])
def test_tables_from_other_programs_are_read_and_a_guess_is_said(tmp_path, draw, encoding, said):
    draw(tmp_path / "Gefüge.png")
    draw(tmp_path / "1.png")
    table = write_table(tmp_path / "t.csv", "file;label\nGefüge.png;Härte\n1.png;weich\n", encoding)
    built = build([table])
    assert built.corpus.classes == ["Härte", "weich"]
    assert any("Windows-1252" in line for line in built.warnings) == said


def test_a_file_of_neither_encoding_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"file,label\n\x81\x8d.png,a\n")
    with pytest.raises(InputError, match="neither UTF-8"):
        build([tmp_path / "t.csv"])


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(InputError, match="not a readable table"):
        build([tmp_path / "t.csv"])
    (tmp_path / "h.csv").write_bytes(b"file,label\n")
    with pytest.raises(InputError, match="without rows"):
        build([tmp_path / "h.csv"])


def test_a_parquet_table_with_integer_labels_is_read(tmp_path, draw):
    for k in range(3):
        draw(tmp_path / f"{k}.png")
    pd.DataFrame({"path": ["0.png", "1.png", "2.png"], "label": [1.0, 2.0, None], "specimen": [7, 8, 8]}).to_parquet(
        tmp_path / "t.parquet"
    )
    corpus = build([tmp_path / "t.parquet"]).corpus
    assert corpus.usable().classes == ["1", "2"]
    assert list(corpus.groups) == ["7", "8", "8"]


def test_a_file_that_is_no_corpus_or_a_newer_one_is_refused(tmp_path, two_classes):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="not a corpus"):
        Corpus.load(tmp_path / "t.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(InputError, match="Parquet"):
        Corpus.load(tmp_path / "x.parquet")


@pytest.mark.realdata
def test_neu_has_six_classes_of_300_and_one_byte_duplicate(real_data):
    built = build([real_data / "neu-det" / "images"])
    assert len(built.corpus) == 1800
    assert len(built.corpus.classes) == 6
    assert built.duplicates == [["patches_101.jpg", "patches_105.jpg"]]
    assert not built.quarantined


@pytest.mark.realdata
def test_magnetic_tiles_are_1344_images_with_as_many_masks(real_data):
    corpus = build([real_data / "magnetic-tile"]).corpus
    assert len(corpus) == 1344
    assert all(mask is not None and mask.suffix == ".png" for mask in corpus.masks())

"""YOLO: class number, centre and size as shares of the image; no text means nothing there."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotated_sets import write_image, write_yolo
from sorby.corpus import build
from sorby.corpus.boxes import Box, box_classes, corpus_boxes
from sorby.corpus.interchange import BoxOptions
from sorby.errors import InputError


def test_shares_become_pixels_from_the_corner(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1\n1 0.25 0.5 0.25 0.5\n"})
    [boxes] = corpus_boxes(build([folder], min_classes=1).corpus)
    assert boxes == (Box("scratch", 0, 0, 60, 40), Box("scuff", 7.5, 10, 15, 20))


def test_no_text_is_a_negative_by_custom_and_that_is_said(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1", "empty": "", "none": None})
    built = build([folder], min_classes=1)
    assert [len(boxes or ()) for boxes in corpus_boxes(built.corpus)] == [1, 0, 0]
    assert any("taken for negatives" in line for line in built.warnings)
    other = build([folder], boxes=BoxOptions(unlisted="unannotated"), min_classes=1)
    assert corpus_boxes(other.corpus)[1:] == [(), None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.yaml", "names: [dent, burr]"),
        ("data.yaml", "names:\n  0: dent\n  1: burr\n"),
        ("classes.txt", "dent\nburr\n\n"),
        ("labels/classes.txt", "dent\nburr\n"),
        ("obj.names", "dent\r\nburr\r\n"),
        ("coils.names", "dent\nburr"),
    ],
)
def test_names_are_where_programs_put_them(tmp_path: Path, name: str, content: str) -> None:
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1\n1 .2 .2 .1 .1"}, names=None)
    (folder / name).write_text(content)
    assert box_classes(build([folder], min_classes=1).corpus) == ["burr", "dent"]


def test_without_names_the_numbers_serve(tmp_path: Path) -> None:
    built = build([write_yolo(tmp_path, {"a": "3 .5 .5 .1 .1"}, names=None)], min_classes=1)
    assert box_classes(built.corpus) == ["3"]
    assert "no list of class names; their numbers serve" in built.warnings


def test_a_number_that_the_list_does_not_name_is_a_region_to_ignore(tmp_path: Path) -> None:
    built = build([write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1\n7 .2 .2 .1 .1"})], min_classes=1)
    [boxes] = corpus_boxes(built.corpus)
    assert boxes is not None
    assert [(box.label, box.ignored) for box in boxes] == [("scratch", False), ("unknown", True)]
    assert built.annotations is not None
    assert built.annotations["findings"] == {"unknown class": 1}


def test_outlines_give_the_box_around_them_and_confidences_are_passed_over(tmp_path: Path) -> None:
    text = "0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n1 0.5 0.5 0.5 0.5 0.93\n"
    built = build([write_yolo(tmp_path, {"a": text}, image_size=(100, 50))], min_classes=1)
    [boxes] = corpus_boxes(built.corpus)
    assert boxes is not None
    # Centre and half width are sums of decimal fractions, exact to a few ulps.
    assert [round(value, 9) for value in (boxes[0].x, boxes[0].y, boxes[0].w, boxes[0].h)] == [10, 10, 40, 20]
    assert boxes[1] == Box("scuff", 25, 12.5, 50, 25)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"polygon": 1}


def test_lines_that_are_no_boxes_are_counted_and_the_others_kept(tmp_path: Path) -> None:
    text = "0 .5 .5 .1 .1\nscratch .5 .5 .1 .1\n0 .5 .5\n-1 .5 .5 .1 .1\n0.5 .5 .5 .1 .1\n1e30 .5 .5 .1 .1\n"
    built = build([write_yolo(tmp_path, {"a": text, "b": "0 nan .5 .1 .1"})], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["boxes"] == 1
    assert built.annotations["findings"] == {"degenerate": 1, "malformed": 5}


def test_a_text_that_is_none_is_set_aside(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1", "odd": ""})
    (folder / "labels" / "odd.txt").write_bytes(b"\xff\xfe\x00\xd8 0 .5")
    built = build([folder], min_classes=1)
    assert [entry.reason for entry in built.quarantined] == ["not text in UTF-8"]
    assert built.corpus.excluded() == {"its annotation cannot be read": 1}


def test_texts_beside_images_and_folders_of_parts(tmp_path: Path) -> None:
    write_image(tmp_path / "beside" / "a.png")
    (tmp_path / "beside" / "a.txt").write_text("0 .5 .5 .1 .1")
    assert len(build([tmp_path / "beside"], min_classes=1).corpus.annotated()) == 1
    for part in ("train", "valid"):
        write_image(tmp_path / "parts" / part / "images" / "a.png", seed=len(part))
        (tmp_path / "parts" / part / "labels").mkdir()
        (tmp_path / "parts" / part / "labels" / "a.txt").write_text("0 .5 .5 .1 .1")
    table = build([tmp_path / "parts"], min_classes=1).corpus.table
    assert dict(zip(table["split"], table["label"], strict=True)) == {"train": "0", "val": "0"}


def test_paths_in_the_description_are_not_followed(tmp_path: Path) -> None:
    write_image(tmp_path / "outside" / "images" / "b.png")
    folder = write_yolo(tmp_path / "set", {"a": "0 .5 .5 .1 .1"})
    (folder / "data.yaml").write_text("path: ../outside\ntrain: /etc\nnames: [x]")
    assert [Path(path).name for path in build([folder], min_classes=1).corpus.table["path"]] == ["a.png"]


@pytest.mark.parametrize("content", ["names: [a, b", "!!python/object/apply:os.system ['true']"])
def test_a_damaged_or_active_description_is_refused(tmp_path: Path, content: str) -> None:
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1"})
    (folder / "data.yaml").write_text(content)
    with pytest.raises(InputError, match="YAML"):
        build([folder], min_classes=1)


def test_notes_beside_images_do_not_make_a_folder_annotated(two_classes: Path) -> None:
    (two_classes / "bainite" / "0.txt").write_text("etched 5 s in Nital\n")
    (two_classes / "readme.txt").write_text("0 .5 .5 .1 .1\n")
    assert build([two_classes]).annotations is None


def test_names_of_nested_aliases_are_refused_before_they_become_text(tmp_path: Path) -> None:
    """Twelve levels of ten would be a million million words."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1"}, names=None)
    (folder / "data.yaml").write_text("\n".join([*lines, "names: *a11"]))
    with pytest.raises(InputError, match="no name"):
        build([folder], min_classes=1)


def test_a_key_that_is_no_decimal_number_names_no_class(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, {"a": "0 .5 .5 .1 .1"}, names=None)
    (folder / "data.yaml").write_text('names: {"²": dent}', "utf-8")
    assert box_classes(build([folder], min_classes=1).corpus) == ["0"]

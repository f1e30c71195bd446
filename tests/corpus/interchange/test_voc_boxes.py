"""Pascal VOC: xmin and xmax are the first and the last pixel, counted from 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotated_sets import voc_xml, write_image, write_voc
from sorby.corpus import build
from sorby.corpus.boxes import Box, corpus_boxes
from sorby.corpus.interchange import BoxOptions, read_voc
from sorby.errors import InputError


def _boxes(folder: Path, **options: object) -> list[tuple[Box, ...] | None]:
    return corpus_boxes(build([folder], boxes=BoxOptions(**options), min_classes=1).corpus)  # type: ignore[arg-type]


def test_the_whole_image_is_from_one_to_its_size(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": [("scratch", 1, 1, 60, 40), ("scratch", 10, 5, 10, 5)]})
    assert _boxes(folder) == [(Box("scratch", 0, 0, 60, 40), Box("scratch", 9, 4, 1, 1))]


def test_edges_counted_from_zero_have_to_be_said(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": [("scratch", 0, 0, 60, 40), ("scratch", 10, 5, 12, 8)]})
    assert _boxes(folder, voc_corners="edges") == [(Box("scratch", 0, 0, 60, 40), Box("scratch", 10, 5, 2, 3))]
    built = build([folder], min_classes=1)
    assert corpus_boxes(built.corpus) == [(Box("scratch", 0, 0, 60, 40), Box("scratch", 9, 4, 3, 4))]
    assert any("begin at 0" in line and "--voc-corners edges" in line for line in built.warnings)


def test_difficult_objects_are_ignored_unless_they_are_to_count(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": voc_xml([("pit", 3, 3, 8, 8)], difficult=1), "b": [("pit", 3, 3, 8, 8)]})
    assert _boxes(folder) == [(Box("pit", 2, 2, 6, 6, ignored=True),), (Box("pit", 2, 2, 6, 6),)]
    assert _boxes(folder, difficult="kept")[0] == (Box("pit", 2, 2, 6, 6),)


def test_parts_of_an_object_are_no_objects(tmp_path: Path) -> None:
    """In the layout task of the challenge, persons have heads with boxes of their own."""
    inner = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    text = voc_xml([("person", 3, 4, 8, 9)]).replace("<difficult>", f"{inner}<difficult>")
    assert _boxes(write_voc(tmp_path, {"a": text})) == [(Box("person", 2, 3, 6, 6),)]


def test_no_file_is_not_annotated_an_empty_one_is_a_negative(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": [("pit", 3, 3, 8, 8)], "bare": None, "empty": voc_xml([])})
    built = build([folder], min_classes=1)
    assert [None if boxes is None else len(boxes) for boxes in corpus_boxes(built.corpus)] == [1, None, 0]
    assert built.corpus.excluded() == {"not annotated": 1}
    assert built.annotations is not None
    assert built.annotations["findings"] == {"image without annotation": 1}
    assert _boxes(folder, unlisted="negative")[1] == ()


@pytest.mark.parametrize("rooms", [("", ""), ("images", "annotations"), ("JPEGImages", "Annotations"), ("img", "xml")])
def test_images_may_lie_beside_or_apart(tmp_path: Path, rooms: tuple[str, str]) -> None:
    image = write_image(tmp_path / rooms[0] / "a.jpg")
    (tmp_path / rooms[1]).mkdir(exist_ok=True)
    (tmp_path / rooms[1] / "a.xml").write_text(voc_xml([("pit", 1, 1, 2, 2)]))
    assert [each.file for each in read_voc(tmp_path).images] == [image]
    if rooms[1]:
        assert len(read_voc(tmp_path / rooms[1]).images) == 1


def test_equal_names_in_parts_of_a_split_are_told_apart(tmp_path: Path) -> None:
    for part, label in (("train", "pit"), ("test", "burr")):
        write_image(tmp_path / part / "images" / "a.png", seed=len(part))
        (tmp_path / part / "annotations").mkdir()
        (tmp_path / part / "annotations" / "a.xml").write_text(voc_xml([(label, 1, 1, 2, 2)]))
    table = build([tmp_path], min_classes=1).corpus.table
    assert dict(zip(table["split"], table["label"], strict=True)) == {"train": "pit", "test": "burr"}


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE annotation [<!ENTITY file SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE annotation SYSTEM "http://localhost/annotation.dtd">',
    ],
)
def test_documents_that_declare_entities_are_set_aside(tmp_path: Path, head: str) -> None:
    bomb = head + voc_xml([("&b;" if "ENTITY b" in head else "pit", 1, 1, 2, 2)])
    built = build([write_voc(tmp_path, {"a": [("pit", 3, 3, 8, 8)], "bomb": bomb})], min_classes=1)
    [entry] = built.quarantined
    assert entry.file.endswith("bomb.xml")
    assert "entities" in entry.reason
    assert corpus_boxes(built.corpus) == [(Box("pit", 2, 2, 6, 6),), None]
    assert built.corpus.excluded() == {"its annotation cannot be read": 1}


@pytest.mark.parametrize(
    "text", ["<annotation>", "<annotation><object>&nbsp;</object></annotation>", "<annotation>" + "<a>" * 100_000]
)
def test_damaged_files_are_set_aside_and_the_rest_kept(tmp_path: Path, text: str) -> None:
    built = build([write_voc(tmp_path, {"a": [("pit", 3, 3, 8, 8)], "broken": text})], min_classes=1)
    assert [Path(entry.file).name for entry in built.quarantined] == ["broken.xml"]
    assert len(built.corpus.annotated()) == 1


def test_objects_without_name_or_box_are_counted(tmp_path: Path) -> None:
    text = voc_xml([("pit", 3, 3, 8, 8), ("pit", "left", 3, 8, 8)]).replace(  # type: ignore[list-item]
        "</annotation>", "<object><name>pit</name></object><object><bndbox/></object></annotation>"
    )
    built = build([write_voc(tmp_path, {"a": text})], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["boxes"] == 1
    assert built.annotations["findings"] == {"degenerate": 1, "malformed": 2}


def test_an_annotation_without_image_is_said(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": [("pit", 3, 3, 8, 8)]})
    (folder / "Annotations" / "gone.xml").write_text(voc_xml([("pit", 3, 3, 8, 8)], filename="../../gone.png"))
    built = build([folder], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"annotation without image": 1}
    assert len(built.corpus) == 1


def test_the_file_name_within_serves_where_the_stem_is_another(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": None})
    (folder / "Annotations" / "0001.xml").write_text(voc_xml([("pit", 3, 3, 8, 8)], filename="C:\\scans\\a.png"))
    assert _boxes(folder) == [(Box("pit", 2, 2, 6, 6),)]


def test_xml_of_a_microscope_does_not_make_a_folder_annotated(two_classes: Path) -> None:
    (two_classes / "bainite" / "0.xml").write_text("<ImageMetadata><Scale>1</Scale></ImageMetadata>")
    built = build([two_classes])
    assert built.annotations is None
    assert built.corpus.classes == ["bainite", "pearlite"]


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="no VOC annotations"):
        build([tmp_path], boxes=BoxOptions(format="voc"))
    (tmp_path / "other.xml").write_text(voc_xml([]))
    with pytest.raises(InputError, match="no image belongs"):
        build([tmp_path], boxes=BoxOptions(format="voc"))


def test_an_infinite_size_is_none(tmp_path: Path) -> None:
    text = voc_xml([("pit", 3, 3, 8, 8)]).replace("<width>60</width>", "<width>1e999</width>")
    assert _boxes(write_voc(tmp_path, {"a": text})) == [(Box("pit", 2, 2, 6, 6),)]


@pytest.mark.parametrize("encoding", ["utf-7", "shift_jis", "hex", "idna", "nonsense"])
def test_an_encoding_that_cannot_be_read_sets_one_file_aside(tmp_path: Path, encoding: str) -> None:
    stated = f'<?xml version="1.0" encoding="{encoding}"?>' + voc_xml([("pit", 3, 3, 8, 8)])
    reading = read_voc(write_voc(tmp_path, {"a": stated, "b": [("pit", 3, 3, 8, 8)]}))
    assert [Path(entry.file).name for entry in reading.quarantined] == ["a.xml"]
    assert [None if each.rectangles is None else len(each.rectangles) for each in reading.images] == [None, 1]

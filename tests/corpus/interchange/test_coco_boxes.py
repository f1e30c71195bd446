"""COCO files: left, top, width, height counted from 0; what names no image or no box is said and the rest kept."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotated_sets import coco, write_coco, write_image
from sorby.corpus import build
from sorby.corpus.boxes import Box, corpus_boxes
from sorby.corpus.interchange import BoxOptions, read_coco
from sorby.errors import InputError


def _written(folder: Path, content: Any) -> Path:
    path = folder / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_boxes_are_taken_as_they_stand_and_an_image_without_is_a_negative(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {"a.png": [("scratch", 1.25, 2, 10.5, 4), ("scuff", 0, 0, 60, 40)], "b.png": []})
    built = build([path], min_classes=1)
    assert corpus_boxes(built.corpus) == [
        (Box("scratch", 1.25, 2, 10.5, 4), Box("scuff", 0, 0, 60, 40)),
        (),
    ]
    assert built.annotations is not None
    assert built.annotations["negatives"] == 1
    assert built.annotations["findings"] == {}


def test_crowds_are_regions_to_ignore(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {"a.png": [("lint", 1, 1, 5, 5), ("lint", 20, 20, 9, 9)]}, crowd=[1])
    [boxes] = corpus_boxes(build([path], min_classes=1).corpus)
    assert boxes is not None
    assert [box.ignored for box in boxes] == [False, True]


def test_the_images_are_found_beside_in_images_above_annotations_and_where_they_are_said_to_be(tmp_path: Path) -> None:
    content = coco({"a.png": [("x", 1, 1, 5, 5)]})
    for place, image in (
        ("beside", "beside/a.png"),
        ("under", "under/images/a.png"),
        ("deep", "deep/somewhere/below/a.png"),
        ("above/annotations", "above/images/a.png"),
        ("named/annotations", "named/train2017/a.png"),
        ("apart", "elsewhere/a.png"),
    ):
        (tmp_path / place).mkdir(parents=True)
        file = write_image(tmp_path / image)
        options = tmp_path / "elsewhere" if place == "apart" else None
        reading = read_coco(_written(tmp_path / place, content), options)
        assert [each.file for each in reading.images] == [file]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname.png", "images/../../secret.png", "..\\secret.png"])
def test_a_name_that_leaves_the_folder_is_refused_though_the_file_is_there(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "secret.png")
    folder = tmp_path / "set"
    write_image(folder / "a.png")
    reading = read_coco(_written(folder, coco({"a.png": [("x", 1, 1, 5, 5)], name: [("x", 1, 1, 5, 5)]})))
    assert [each.file.name for each in reading.images] == ["a.png"]
    assert reading.findings.counts == {"refused path": 1}


def test_a_path_through_another_folder_that_stays_inside_is_none_of_these(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    reading = read_coco(_written(tmp_path, coco({"sub/../a.png": []})))
    assert len(reading.images) == 1


def test_images_of_one_name_in_two_folders_are_not_guessed_at(tmp_path: Path) -> None:
    for place in ("one/a.png", "two/a.png", "b.png"):
        write_image(tmp_path / place)
    reading = read_coco(_written(tmp_path, coco({"a.png": [("x", 1, 1, 5, 5)], "b.png": []})))
    assert [each.file.name for each in reading.images] == ["b.png"]
    assert reading.findings.counts["annotation without image"] == 1


def test_what_is_no_annotation_is_counted_and_the_rest_kept(tmp_path: Path) -> None:
    content = coco({"a.png": [("x", 1, 1, 5, 5)]})
    content["annotations"] += [
        {"image_id": 1, "category_id": 1},
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3]},
        {"image_id": 1, "category_id": 1, "bbox": ["left", 2, 3, 4]},
        {"image_id": 1, "category_id": 1, "bbox": None},
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": 1, "category_id": 42, "bbox": [30, 2, 3, 4]},
        {"image_id": 1, "category_id": 1, "bbox": [9, 9, 3, 4], "segmentation": [[9, 9, 12, 9, 12, 13]]},
        "scratch",
    ]
    content["images"].append({"id": 9})
    write_image(tmp_path / "a.png")
    built = build([_written(tmp_path, content)], min_classes=1)
    assert corpus_boxes(built.corpus) == [
        (Box("x", 1, 1, 5, 5), Box("unknown", 30, 2, 3, 4, ignored=True), Box("x", 9, 9, 3, 4))
    ]
    assert built.annotations is not None
    assert built.annotations["findings"] == {
        "unknown class": 1,
        "malformed": 6,
        "annotation without image": 1,
        "segmentation": 1,
    }


def test_without_categories_their_numbers_are_the_names(tmp_path: Path) -> None:
    content = coco({"a.png": [("x", 1, 1, 5, 5)]})
    del content["categories"]
    write_image(tmp_path / "a.png")
    built = build([_written(tmp_path, content)], min_classes=1)
    assert corpus_boxes(built.corpus) == [(Box("1", 1, 1, 5, 5),)]
    assert any("categories" in line for line in built.warnings)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1, 2]",
        '{"images": [], "annotations": []}',
        '{"images": {}, "annotations": []}',
        '{"images": [{"id": 1, "file_name": "absent.png"}], "annotations": []}',
        '{"images": ' + "[" * 100_000,
        "\xff\xfe\xfa",
    ],
)
def test_what_is_no_coco_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read_coco(path)
    assert "\n" not in caught.value.message


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_coco(tmp_path, {"a.png": []})
    monkeypatch.setattr("sorby.corpus.interchange.annotations.MAX_BYTES", 10)
    with pytest.raises(InputError, match="limit"):
        read_coco(path)


def test_files_of_a_folder_are_parts_of_one_set(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_image(tmp_path / "images" / f"{part}.png")
        (tmp_path / "annotations").mkdir(exist_ok=True)
        content = json.dumps(coco({f"{part}.png": [("x", 1, 1, 5, 5)]}))
        (tmp_path / "annotations" / f"instances_{part}2017.json").write_text(content)
    built = build([tmp_path], min_classes=1)
    assert dict(zip(built.corpus.table["path"], built.corpus.table["split"], strict=True)) == {
        "images/train.png": "train",
        "images/val.png": "val",
    }


def test_an_image_may_name_its_specimen(tmp_path: Path) -> None:
    content = coco({"a.png": [("x", 1, 1, 5, 5)], "b.png": []})
    content["images"][0]["specimen"] = "sheet 4"
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    corpus = build([_written(tmp_path, content)], min_classes=1).corpus
    assert corpus.groups is not None
    assert corpus.groups.tolist() == ["sheet 4", "image:b.png"]


def _crowded(folder: Path, count: int) -> tuple[Path, int]:
    """Write one image with so many boxes; return the file and how many of them are distinct."""
    rng = np.random.default_rng(5)
    corners = np.column_stack([np.arange(count) // 450, np.arange(count) % 450]) * 4  # no two alike
    numbers = np.column_stack([corners, rng.integers(4, 60, (count, 2)), rng.integers(1, 4, count)])
    numbers[-1000:] = numbers[:1000]
    entries = ",".join(
        f'{{"id":{k},"image_id":1,"category_id":{label},"bbox":[{x},{y},{w},{h}],"iscrowd":0,"area":{w * h}}}'
        for k, (x, y, w, h, label) in enumerate(numbers.tolist())
    )
    categories = ",".join(f'{{"id":{k},"name":"kind {k}"}}' for k in (1, 2, 3))
    image = '{"id":1,"file_name":"crowded.png","width":2000,"height":2000}'
    write_image(folder / "crowded.png", 2000, 2000)
    path = _written(folder, f'{{"images":[{image}],"categories":[{categories}],"annotations":[{entries}]}}')
    return path, count - 1000


def test_two_hundred_thousand_boxes_on_one_image(tmp_path: Path) -> None:
    path, distinct = _crowded(tmp_path, 200_000)
    built = build([path], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["boxes"] == distinct
    assert built.annotations["findings"]["duplicate"] == 200_000 - distinct


def test_reading_holds_not_much_more_than_the_file(tmp_path: Path) -> None:
    """Annotations are taken apart while they are parsed: an object for each would take ten times the file."""
    path, _ = _crowded(tmp_path, 20_000)
    tracemalloc.start()
    reading = read_coco(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reading.images[0].rectangles is not None
    assert len(reading.images[0].rectangles) == 20_000
    # The text as bytes and as characters, four numbers a box, and a few lists of references.
    assert peak < 4 * path.stat().st_size


def test_classes_that_were_not_asked_for_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {"a.png": [("x", 1, 1, 5, 5), ("y", 20, 20, 5, 5)]})
    built = build([path], boxes=BoxOptions(classes=("y", "z")), min_classes=1)
    assert corpus_boxes(built.corpus) == [(Box("y", 20, 20, 5, 5),)]
    assert built.annotations is not None
    assert built.annotations["findings"] == {"class not asked for": 1}
    assert "class 'z' was asked for and no box has it" in built.warnings
    with pytest.raises(InputError, match="no box is of class 'z'"):
        build([path], boxes=BoxOptions(classes=("z",)), min_classes=1)


@pytest.mark.parametrize("categories", [5, "scratch", {"id": 1}])
def test_categories_that_are_no_list_name_nothing(tmp_path: Path, categories: object) -> None:
    write_image(tmp_path / "a.png")
    reading = read_coco(_written(tmp_path, {**coco({"a.png": [("scratch", 1, 1, 5, 5)]}), "categories": categories}))
    assert [label for each in reading.images for label in each.labels] == ["1"]

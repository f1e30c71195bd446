"""What is written is read again: exactly, up to what each format can hold."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from annotated_sets import write_coco, write_image
from sorby.corpus import Corpus, build
from sorby.corpus.boxes import Box, corpus_boxes
from sorby.corpus.interchange.writing import EXPORTS, ExportFormat, export_boxes
from sorby.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path, rng: np.random.Generator) -> Corpus:
    """Three images with boxes of uneven numbers and of names that need care, one without."""
    names = ["scratch", "rolled-in scale", "a & b <c>"]
    boxes = {
        f"{k}.png": [
            (str(rng.choice(names)), *np.round(rng.uniform(0, (40, 25), 2), 3), *np.round(rng.uniform(2, 15, 2), 3))
            for _ in range(6)
        ]
        for k in range(3)
    }
    path = write_coco(tmp_path / "source", {**boxes, "empty.png": []}, crowd=[2])
    return build([path], min_classes=1).corpus


def _again(folder: Path) -> list[tuple[Box, ...] | None]:
    built = build([folder], min_classes=1)
    assert not built.quarantined
    return corpus_boxes(built.corpus)


def test_coco_comes_back_exactly(tmp_path: Path, corpus: Corpus) -> None:
    done = export_boxes(corpus, tmp_path / "out", "coco")
    assert (done.images, done.boxes, done.ignored, done.negatives) == (4, 17, 1, 1)
    assert _again(tmp_path / "out") == corpus_boxes(corpus)


def test_yolo_comes_back_to_ten_decimals_of_the_side_without_regions_to_ignore(tmp_path: Path, corpus: Corpus) -> None:
    done = export_boxes(corpus, tmp_path / "out", "yolo")
    assert any("regions to ignore" in line for line in done.warnings)
    for mine, theirs in zip(corpus_boxes(corpus), _again(tmp_path / "out"), strict=True):
        kept = [box for box in mine or () if not box.ignored]
        assert [box.label for box in theirs or ()] == [box.label for box in kept]
        for box, other in zip(kept, theirs or (), strict=True):
            # A centre and half a width, each rounded to 1e-10 of at most 60 px.
            numbers = [(other.x, box.x), (other.y, box.y), (other.w, box.w), (other.h, box.h)]
            assert all(abs(a - b) <= 60 * 1.1e-10 for a, b in numbers)


def test_voc_comes_back_in_whole_pixels(tmp_path: Path, corpus: Corpus) -> None:
    done = export_boxes(corpus, tmp_path / "out", "voc")
    assert any("whole pixels" in line for line in done.warnings)
    for mine, theirs in zip(corpus_boxes(corpus), _again(tmp_path / "out"), strict=True):
        for box, other in zip(mine or (), theirs or (), strict=True):
            assert (other.label, other.ignored) == (box.label, box.ignored)
            assert (other.x, other.x + other.w) == (round(box.x), round(box.x + box.w))
            assert (other.y, other.y + other.h) == (round(box.y), round(box.y + box.h))


def test_voc_of_a_box_over_the_whole_image_is_one_to_its_size(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "source", {"a.png": [("x", 0, 0, 60, 40), ("x", 59.7, 39.8, 0.2, 0.1)]})
    export_boxes(build([path], min_classes=1).corpus, tmp_path / "out", "voc")
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / "a.xml").getroot()
    numbers = [[int(side.text or "") for side in box] for box in root.iter("bndbox")]
    assert numbers == [[1, 1, 60, 40], [60, 40, 60, 40]]


def test_whole_pixels_survive_all_three(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "source", {"a.png": [("x", 1, 2, 30, 8), ("y", 0, 0, 60, 40)], "b.png": []})
    corpus = build([path], min_classes=1).corpus
    for kind in EXPORTS:
        again = _again(_exported(corpus, tmp_path, kind))
        rounded = [tuple(Box(b.label, *(round(n, 8) for n in (b.x, b.y, b.w, b.h))) for b in found or ())
                   for found in again]  # fmt: skip
        assert rounded == corpus_boxes(corpus)


def _exported(corpus: Corpus, tmp_path: Path, kind: ExportFormat) -> Path:
    out = tmp_path / kind
    export_boxes(corpus, out, kind)
    return out


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_parts_of_a_split_are_written_and_read(tmp_path: Path, corpus: Corpus, kind: ExportFormat) -> None:
    parts = np.array(["train", "test", "val", "train"], object)
    out = _exported(corpus.with_split(parts, "by hand"), tmp_path, kind)
    if kind == "voc":
        listed = (out / "ImageSets" / "Main" / "train.txt").read_text().split()
        assert listed == ["0", "empty"]
        return
    table = build([out], min_classes=1).corpus.table
    found = {Path(path).stem: part for path, part in zip(table["path"], table["split"], strict=True)}
    assert found == dict(zip(["0", "1", "2", "empty"], parts, strict=True))


@pytest.mark.parametrize("kind", EXPORTS)
def test_images_of_one_name_in_two_folders_stay_two(tmp_path: Path, kind: ExportFormat) -> None:
    path = write_coco(
        tmp_path / "source",
        {"one/a.png": [("x", 1, 1, 5, 5)], "two/a.png": [("y", 1, 1, 5, 5)], "two/A.jpg": [("z", 1, 1, 5, 5)]},
    )
    corpus = build([path], min_classes=1).corpus
    again = [found[0].label for found in _again(_exported(corpus, tmp_path, kind)) if found]
    assert sorted(again) == ["x", "y", "z"]


def test_specimens_and_orientation_tags_travel_with_coco(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_image(source / "a.jpg", orientation=6)
    (source / "boxes.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 60, "specimen": "coil 3"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 50]}],
                "categories": [{"id": 1, "name": "x"}],
            }
        )
    )
    corpus = build([source], min_classes=1).corpus
    done = export_boxes(corpus, tmp_path / "out", "coco")
    assert any("orientation tag" in line for line in done.warnings)
    again = build([tmp_path / "out"], min_classes=1)
    assert again.corpus.table["specimen"].tolist() == ["coil 3"]
    assert corpus_boxes(again.corpus) == [(Box("x", 1, 2, 3, 50),)]


def test_what_is_not_annotated_is_left_out_and_said(tmp_path: Path, corpus: Corpus) -> None:
    bare = Corpus(corpus.table.assign(boxes=[None, "[]", None, "[]"]), corpus.root)
    done = export_boxes(bare, tmp_path / "out", "coco")
    assert (done.images, done.negatives) == (2, 2)
    assert done.warnings[0].startswith("2 images are excluded or not annotated")
    with pytest.raises(InputError, match="no image of the corpus has boxes"):
        export_boxes(Corpus(corpus.table.assign(boxes=None), corpus.root), tmp_path / "none", "coco")


def test_a_folder_in_use_and_a_name_that_no_file_can_hold_are_refused(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(InputError, match="not empty"):
        export_boxes(corpus, tmp_path / "source", "coco")
    odd = '[{"label":"a\\u0000b","x":0,"y":0,"w":1,"h":1}]'
    with pytest.raises(InputError, match="control"):
        export_boxes(Corpus(corpus.table.assign(boxes=odd), corpus.root), tmp_path / "out", "voc")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", EXPORTS)
def test_a_part_cannot_lead_out_of_the_folder(tmp_path: Path, corpus: Corpus, form: ExportFormat) -> None:
    strange = Corpus(corpus.table.assign(split="../../elsewhere"), corpus.root)
    with pytest.raises(InputError, match="no part of a split"):
        export_boxes(strange, tmp_path / "deep" / "out", form)
    assert not list(tmp_path.rglob("elsewhere*"))

"""What is wrong with annotations: cut, dropped or kept, and always counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotated_sets import voc_xml, write_coco, write_image, write_voc
from sorby.corpus import build
from sorby.corpus.boxes import Box, corpus_boxes
from sorby.corpus.interchange import BoxOptions
from sorby.corpus.interchange.annotations import NAMED, Annotated, Findings
from sorby.corpus.interchange.checking import Checked, check, conflicting
from sorby.evidence.boxes import box_iou
from sorby.micrograph import Header, read
from sorby.micrograph.orientation import upright, upright_boxes

W, H = 60, 40


def _check(
    *boxes: tuple[str, float, float, float, float], file: str = "a.png", **how: object
) -> tuple[Checked, Findings]:
    findings = Findings()
    labels = np.array([label for label, *_ in boxes], object)
    rectangles = np.array([numbers for _, *numbers in boxes], np.float64).reshape(-1, 4)
    annotated = Annotated(Path(file), rectangles, labels, np.zeros(len(boxes), bool))
    header = Header("png", W, H, 1, "uint8")
    return check(annotated, header, findings, **how), findings  # type: ignore[arg-type]


def _boxes(checked: Checked) -> list[list[float]]:
    import json

    return [[entry[name] for name in "xywh"] for entry in json.loads(checked.text)]


def test_a_box_within_is_left_as_it_is() -> None:
    checked, findings = _check(("x", 0.1, 0.2, 0.3, 0.4), ("x", 0, 0, W, H), ("x", W - 0.3, H - 0.7, 0.3, 0.7))
    assert _boxes(checked) == [[0.1, 0.2, 0.3, 0.4], [0, 0, W, H], [W - 0.3, H - 0.7, 0.3, 0.7]]
    assert not findings.counts


def test_a_box_that_reaches_beyond_is_cut() -> None:
    checked, findings = _check(("x", -5, 10, 15, 10), ("x", 50, 35, 100, 100))
    assert _boxes(checked) == [[0, 10, 10, 10], [50, 35, 10, 5]]
    assert findings.counts == {"cut": 2}


def test_a_box_wholly_outside_is_dropped() -> None:
    checked, findings = _check(("x", -20, 0, 20, 10), ("x", W, 0, 5, 5), ("x", 0, H + 3, 5, 5), ("x", 1, 1, 2, 2))
    assert _boxes(checked) == [[1, 1, 2, 2]]
    assert findings.counts == {"outside": 3}


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (-3, 5), (float("nan"), 5), (float("inf"), 5), (5, float("-inf"))])
def test_a_box_without_extent_is_dropped(sides: tuple[float, float]) -> None:
    checked, findings = _check(("x", 3, 3, *sides), ("x", 1, 1, 2, 2))
    assert _boxes(checked) == [[1, 1, 2, 2]]
    assert findings.counts == {"degenerate": 1}


def test_repeats_of_a_class_are_dropped_and_those_of_another_are_a_conflict() -> None:
    checked, findings = _check(("x", 3, 3, 9, 9), ("y", 3, 3, 9, 9), ("x", 3, 3, 9, 9), ("x", 3, 3, 9, 10))
    assert _boxes(checked) == [[3, 3, 9, 9], [3, 3, 9, 9], [3, 3, 9, 10]]
    # y lies on x exactly; with the taller x it shares 81 of 90 square pixels, which is not above .9.
    assert findings.counts == {"duplicate": 1, "conflict": 1}
    assert findings.named["conflict"] == ["a.png: x and y"]


def test_of_a_repeat_the_box_that_counts_stays() -> None:
    findings = Findings()
    twice = np.array([[3, 3, 9, 9], [3, 3, 9, 9]], np.float64)
    annotated = Annotated(Path("a.png"), twice, np.array(["x", "x"], object), np.array([True, False]))
    checked = check(annotated, Header("png", W, H, 1, "uint8"), findings)
    assert (checked.per_class, checked.n_ignored) == ({"x": 1}, 0)


def test_a_class_that_the_name_of_the_file_or_its_folder_denies_is_said() -> None:
    known = frozenset({"scratches", "inclusion"})
    for file in ("scratches_7.jpg", "set/scratches/7.jpg"):
        checked, findings = _check(("inclusion", 1, 1, 5, 5), ("scratches", 20, 1, 5, 5), file=file, known=known)
        assert checked.per_class == {"inclusion": 1, "scratches": 1}
        assert findings.counts == {"other class": 1}
    assert not _check(("inclusion", 1, 1, 5, 5), file="coil_7.jpg", known=known)[1].counts


def test_conflicts_among_many_boxes_are_those_of_all_pairs(rng: np.random.Generator) -> None:
    count = 3_000
    rectangles = np.column_stack([rng.uniform(0, 4_000, (count, 2)), 2 ** rng.uniform(1, 9, (count, 2))])
    shaken = rectangles[:400] + rng.uniform(-0.04, 0.04, (400, 4)) * np.tile(rectangles[:400, 2:], 2)
    rectangles = np.concatenate([rectangles, shaken])
    labels = np.array([*rng.choice(["x", "y"], count), *["y"] * 400], object)
    corners = np.concatenate([rectangles[:, :2], rectangles[:, :2] + rectangles[:, 2:]], axis=1)
    overlaps = np.triu(box_iou(corners.astype(np.float32), corners.astype(np.float32)), 1)
    expected = [(a, b) for a, b in np.argwhere(overlaps > 0.9).tolist() if labels[a] != labels[b]]
    assert len(expected) > 30
    assert conflicting(rectangles, labels) == expected


def test_findings_name_the_first_places_and_count_all() -> None:
    findings = Findings()
    for k in range(100):
        findings.add("cut", f"{k}.png", 2)
    assert findings.counts["cut"] == 200
    assert findings.as_dict()["named"]["cut"] == [f"{k}.png (2)" for k in range(NAMED)]
    [line] = findings.lines()
    assert line.startswith("200 boxes reached beyond")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation: int) -> None:
    pixels = np.zeros((H, W), np.uint8)
    pixels[5:9, 12:30] = 1
    turned = upright_boxes(np.array([[12.0, 5, 18, 4]]), orientation, W, H)
    rows, columns = np.nonzero(upright(pixels, orientation))
    left, top = columns.min(), rows.min()
    assert turned[0].tolist() == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]


def _dark_patch(path: Path, orientation: int, size: tuple[int, int] = (W, H)) -> tuple[float, float, float, float]:
    """Write a bright image with a dark patch and return the patch on the stored pixels."""
    stored = Image.new("L", size, 200)
    stored.paste(10, (12, 5, 30, 9))
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    return 12, 5, 18, 4


def _covers_patch(path: Path, box: Box) -> bool:
    pixels = read(path).pixels
    rows, columns = np.nonzero(pixels < 100)
    return (box.x, box.y, box.x + box.w, box.y + box.h) == (
        columns.min(),
        rows.min(),
        columns.max() + 1,
        rows.max() + 1,
    )


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_whose_stated_size_is_that_of_the_stored_pixels_are_turned(tmp_path: Path, orientation: int) -> None:
    path = write_coco(tmp_path, {"a.png": [("x", 12, 5, 18, 4)]}, size=(W, H))
    _dark_patch(tmp_path / "a.png", orientation)
    built = build([path], min_classes=1)
    [[box]] = corpus_boxes(built.corpus)  # type: ignore[misc]
    assert _covers_patch(tmp_path / "a.png", box)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"turned": 1}


def test_boxes_whose_stated_size_is_that_of_the_upright_image_stay(tmp_path: Path) -> None:
    x, y, w, h = upright_boxes(np.array([[12.0, 5, 18, 4]]), 6, W, H)[0].tolist()
    path = write_coco(tmp_path, {"a.png": [("x", x, y, w, h)]}, size=(H, W))
    _dark_patch(tmp_path / "a.png", 6)
    built = build([path], min_classes=1)
    [[box]] = corpus_boxes(built.corpus)  # type: ignore[misc]
    assert _covers_patch(tmp_path / "a.png", box)
    assert built.annotations is not None
    assert built.annotations["findings"] == {}


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_mirrored_and_half_turned_images_are_taken_as_upright_unless_it_is_said(
    tmp_path: Path, orientation: int
) -> None:
    """Their size is the same either way, so nothing in the annotation tells."""
    path = write_coco(tmp_path, {"a.png": [("x", 12, 5, 18, 4)]}, size=(W, H))
    _dark_patch(tmp_path / "a.png", orientation)
    built = build([path], min_classes=1)
    assert corpus_boxes(built.corpus) == [(Box("x", 12, 5, 18, 4),)]
    assert built.annotations is not None
    assert built.annotations["findings"] == {"frame unclear": 1}
    [[box]] = corpus_boxes(build([path], boxes=BoxOptions(frame="stored"), min_classes=1).corpus)  # type: ignore[misc]
    assert _covers_patch(tmp_path / "a.png", box)


@pytest.mark.parametrize("orientation", [5, 7])
def test_of_a_square_image_and_of_shares_nothing_tells_either(tmp_path: Path, orientation: int) -> None:
    square = write_coco(tmp_path / "square", {"a.png": [("x", 12, 5, 18, 4)]}, size=(W, W))
    _dark_patch(tmp_path / "square" / "a.png", orientation, (W, W))
    built = build([square], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"frame unclear": 1}
    shares = tmp_path / "shares"
    shares.mkdir()
    _dark_patch(shares / "a.png", orientation)
    (shares / "a.txt").write_text(f"0 {21 / W} {7 / H} {18 / W} {4 / H}")
    built = build([shares], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["findings"] == {"frame unclear": 1}
    [[box]] = corpus_boxes(build([shares], boxes=BoxOptions(frame="stored"), min_classes=1).corpus)  # type: ignore[misc]
    rounded = Box(box.label, round(box.x, 9), round(box.y, 9), round(box.w, 9), round(box.h, 9))
    assert _covers_patch(shares / "a.png", rounded)


def test_another_size_than_the_image_has_is_said(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, {"a": voc_xml([("x", 1, 1, 5, 5)], size=(640, 480))})
    built = build([folder], min_classes=1)
    assert built.annotations is not None
    assert built.annotations["named"] == {"size": ["a.png: 640 x 480 stated, 60 x 40 found"]}


def test_eight_and_sixteen_bits_in_one_set(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_coco(tmp_path, {"a.png": [("x", 1, 1, 5, 5)], "deep.tif": [("x", 2, 2, 5, 5)], "colour.bmp": []})
    Image.fromarray(rng.integers(0, 65_536, (H, W), dtype=np.uint16)).save(tmp_path / "deep.tif")
    Image.fromarray(rng.integers(0, 256, (H, W, 3), dtype=np.uint8)).save(tmp_path / "colour.bmp")
    built = build([path], min_classes=1)
    assert built.corpus.table["mode"].tolist() == ["grey8", "grey16", "rgb8"]
    assert [len(boxes or ()) for boxes in corpus_boxes(built.corpus)] == [1, 1, 0]
    assert not built.quarantined


def test_an_image_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {"a.png": [("x", 1, 1, 5, 5)], "b.png": [("x", 1, 1, 5, 5)]})
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    built = build([path], min_classes=1)
    assert [Path(entry.file).name for entry in built.quarantined] == ["b.png"]
    assert len(built.corpus) == 1


def test_equal_images_with_different_boxes_take_no_part(tmp_path: Path) -> None:
    path = write_coco(
        tmp_path, {"a.png": [("x", 1, 1, 5, 5)], "b.png": [("x", 1, 1, 6, 5)], "c.png": [("x", 1, 1, 5, 5)]}
    )
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
    write_image(tmp_path / "d.png")
    built = build([path], min_classes=0)
    assert built.corpus.excluded() == {"label conflict": 3}
    assert any("different boxes" in line for line in built.warnings)

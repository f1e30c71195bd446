"""Boxes around what masks mark: 8-connected pieces, small ones passed over, close ones joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotated_sets import write_image
from sorby.corpus import build
from sorby.corpus.boxes import Box, corpus_boxes
from sorby.corpus.interchange import BoxOptions, boxes_of_mask
from sorby.corpus.interchange.from_masks import read_masks
from sorby.errors import InputError


def _mask(*patches: tuple[int, int, int, int], shape: tuple[int, int] = (40, 60), value: int = 255) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for x, y, w, h in patches:
        mask[y : y + h, x : x + w] = value
    return mask


def test_every_piece_has_the_smallest_box_around_it() -> None:
    patches = [(3, 2, 5, 4), (20, 10, 1, 1), (0, 39, 60, 1)]
    assert boxes_of_mask(_mask(*patches) > 0).tolist() == [list(patch) for patch in patches]
    assert boxes_of_mask(np.zeros((4, 5), bool)).shape == (0, 4)


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    assert boxes_of_mask(_mask((3, 3, 2, 2), (5, 5, 2, 2)) > 0).tolist() == [[3, 3, 4, 4]]


def test_small_pieces_are_passed_over_by_area_not_by_box() -> None:
    diagonal = np.eye(40, 60, dtype=bool)  # 40 pixels in a box of 1600
    assert len(boxes_of_mask(diagonal, min_area_px=40)) == 1
    assert len(boxes_of_mask(diagonal, min_area_px=41)) == 0


@pytest.mark.parametrize(
    ("gap", "reach", "pieces"), [(3, 2.9, 2), (3, 3, 1), (1, 1, 1), (8, 0, 2), (8, 8, 1), (8, 7, 2)]
)
def test_pieces_are_joined_up_to_the_distance_between_them(gap: int, reach: float, pieces: int) -> None:
    mask = _mask((2, 5, 10, 6), (12 + gap, 5, 10, 6)) > 0
    assert len(boxes_of_mask(mask, merge_px=reach)) == pieces
    assert len(boxes_of_mask(mask.T, merge_px=reach)) == pieces


def test_joined_boxes_hold_the_marked_pixels_and_no_more() -> None:
    assert boxes_of_mask(_mask((2, 5, 3, 3), (8, 6, 4, 9)) > 0, merge_px=5).tolist() == [[2, 5, 10, 10]]


def _images(folder: Path, *names: str) -> Path:
    for k, name in enumerate(names):
        write_image(folder / "images" / f"{name}.png", seed=k)
    (folder / "masks").mkdir()
    return folder


def _save(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask).save(path)


def test_masks_of_a_folder_become_boxes_an_empty_one_a_negative(tmp_path: Path) -> None:
    folder = _images(tmp_path, "a", "clean", "unmasked")
    _save(_mask((3, 2, 5, 4)), folder / "masks" / "a.png")
    _save(_mask(), folder / "masks" / "clean_mask.png")
    options = BoxOptions(masks=folder / "masks", mask_label="pinhole")
    built = build([folder], boxes=options, min_classes=1)
    assert corpus_boxes(built.corpus) == [(Box("pinhole", 3, 2, 5, 4),), (), None]
    assert built.corpus.excluded() == {"not annotated": 1}
    same = build([folder / "images"], boxes=options, min_classes=1)
    assert same.corpus.table["boxes"].tolist() == built.corpus.table["boxes"].tolist()


def test_values_of_a_mask_may_be_classes(tmp_path: Path) -> None:
    folder = _images(tmp_path, "a")
    mask = np.maximum(_mask((3, 2, 5, 4), value=1), _mask((30, 20, 2, 2), value=2))
    _save(np.maximum(mask, _mask((50, 30, 3, 3), value=9)), folder / "masks" / "a.png")
    options = BoxOptions(masks=folder / "masks", mask_values={1: "scratch", 2: "scuff"})
    [boxes] = corpus_boxes(build([folder], boxes=options, min_classes=1).corpus)
    assert boxes == (Box("scratch", 3, 2, 5, 4), Box("scuff", 30, 20, 2, 2))


def test_a_mask_of_another_size_is_set_aside(tmp_path: Path) -> None:
    folder = _images(tmp_path, "a", "b")
    _save(_mask((3, 2, 5, 4)), folder / "masks" / "a.png")
    _save(_mask((3, 2, 5, 4), shape=(41, 60)), folder / "masks" / "b.png")
    built = build([folder], boxes=BoxOptions(masks=folder / "masks"), min_classes=1)
    assert [entry.reason for entry in built.quarantined] == ["60 x 41 pixels, its image 60 x 40"]
    assert len(built.corpus.annotated()) == 1


def test_masks_of_other_images_are_refused(tmp_path: Path) -> None:
    folder = _images(tmp_path, "a")
    _save(_mask(), folder / "masks" / "b.png")
    with pytest.raises(InputError, match="no mask belongs"):
        build([folder], boxes=BoxOptions(masks=folder / "masks"), min_classes=1)


def test_masks_beside_classes_are_not_made_boxes_unasked(tmp_path: Path) -> None:
    for label in ("crack", "free"):
        for k in range(2):
            write_image(tmp_path / label / f"{k}.jpg", seed=k + len(label))
            _save(_mask((3, 2, 5, 4)), tmp_path / label / f"{k}.png")
    built = build([tmp_path])
    assert built.annotations is None
    made = build([tmp_path], boxes=BoxOptions(format="masks"), min_classes=1)
    assert made.annotations is not None
    assert made.annotations["boxes"] == 4


def test_a_mask_in_colours_has_no_class_values(tmp_path: Path) -> None:
    """Drawing programs store class numbers as places in a palette; decoded, the numbers are gone."""
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    mask = Image.frombytes("P", (60, 40), _mask((3, 2, 5, 4), value=1).tobytes())
    mask.putpalette([0, 0, 0, 128, 0, 0, *[0] * (254 * 3)])
    mask.save(tmp_path / "masks" / "a.png")
    reading = read_masks(tmp_path / "images", tmp_path / "masks", values={1: "pit"})
    assert [entry.reason for entry in reading.quarantined if "in colour" in entry.reason]
    assert reading.images[0].rectangles is None
    [plain] = read_masks(tmp_path / "images", tmp_path / "masks").images
    assert plain.rectangles is not None
    assert plain.rectangles.tolist() == [[3, 2, 5, 4]]

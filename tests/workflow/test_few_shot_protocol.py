"""The few-shot protocol: all ways of teaching see the same draws, and what is measured is what was drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sorby.detect.described import Lessons
from sorby.detect.detector import Detector, build
from sorby.detect.recipe import DetectRecipe
from sorby.errors import InputError
from sorby.evidence.boxes import FoundBoxes
from sorby.workflow.detection.labelled import LabelledImages, labelled_images
from sorby.workflow.detection.protocol import FewShotResult, FewShotSettings, read_all, run_few_shot
from sorby.workflow.detection.protocol_arms import (
    ALL_CLASSES,
    AS_ONE,
    NO_BASE,
    NO_EXAMPLE,
    PUBLISHED_FORM,
    REFERENCE,
    Arm,
    Shelf,
    behind_without,
    only_of,
    published_arms,
)
from sorby.workflow.detection.protocol_speed import LineLoad, detection_times
from sorby.workflow.detection.published_crops import write_published_crops

TINY = {
    "image": {"short_side": 64, "long_side": 64},  # all images fill one shape: graphs are compiled once
    "backbone": {"weights": "random"},
    "pyramid": {"channels": 16},
    "anchors": {"sizes": [8, 16, 32, 48, 64]},
    "proposals": {"train": 40, "test": 20, "before": 40},
    "box": {"width": 32},
    "few_shot": {"steps": 8, "views": 1, "jitter": 4},
}


def tiny(**teaching) -> DetectRecipe:
    return DetectRecipe.model_validate(TINY | {"teaching": teaching})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> LabelledImages:
    out = tmp_path_factory.mktemp("scratches")
    return labelled_images(write_published_crops(out, "scratches", scale=0.125, size_px=100)["corpus"])


@pytest.fixture(scope="module")
def base() -> Detector:
    """A base that knows scratch and scuff, and a third kind, with examples of each."""
    found = build(tiny(), ["scratch", "crack", "scuff"], seed=3)
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(5)
    length = found.stages.description_length
    shots = Lessons(torch.randn(20, length, generator=rng).half(), labels, torch.zeros(20, 4))
    return replace(found, shots=shots)


@pytest.fixture(scope="module")
def shelf(images: LabelledImages) -> Shelf:
    return Shelf(read_all(images), images.truth, "cpu")


@pytest.fixture(scope="module")
def result(images: LabelledImages, base: Detector, shelf: Shelf) -> FewShotResult:
    gradients = tiny(freeze=("backbone",), steps=2, batch=2)
    arms = published_arms(tiny(), base, images.classes, gradients=gradients, gradient_repeats=1)
    return run_few_shot("scratches, 5-shot", images, 5, arms, FewShotSettings(3, 0, 50), device="cpu", shelf=shelf)


def test_a_draw_leaves_the_published_number_of_images(result: FewShotResult) -> None:
    """36 images with a defect less the 5 to 10 that teach, and 18 without: published."""
    counts = result.counts()
    assert 5 <= counts["taught"][0] <= counts["taught"][-1] <= 10
    assert counts["tested without a defect"] == [18]
    for each in result.arms[0].repeats:
        assert len(each.teaching) + len(each.testing) == 54
        assert not set(each.teaching) & set(each.testing)
        assert len(each.found) == len(each.testing)


def test_all_ways_of_teaching_see_the_same_draws(result: FewShotResult) -> None:
    names = [each.arm.name for each in result.arms]
    assert names == [REFERENCE, ALL_CLASSES, PUBLISHED_FORM, AS_ONE, NO_EXAMPLE, NO_BASE]
    draws = [each.testing.tolist() for each in result.arms[0].repeats]
    assert len({tuple(draw) for draw in draws}) == 3
    for arm in result.arms:
        few = 1 if arm.arm.name == NO_BASE else 3
        assert [each.testing.tolist() for each in arm.repeats] == draws[:few]


def test_a_paired_difference_is_the_difference_of_the_means(result: FewShotResult) -> None:
    first, other = result.arms[0], result.arms[2]
    found = result.paired[PUBLISHED_FORM]["ap"]
    assert found.n == 3
    assert found.mean == pytest.approx(other.over["ap"].mean - first.over["ap"].mean, abs=1e-12)
    assert set(result.paired[AS_ONE]) == {"merged_ap50"}  # other figures mean another thing there


def test_of_one_class_the_merged_figures_are_its_own(result: FewShotResult) -> None:
    one = next(each for each in result.arms if each.arm.name == AS_ONE)
    assert one.classes == ("scratch/scuff",)
    for each in one.repeats:
        assert each.figures["merged_ap50"] == each.figures["ap50"]


def test_the_same_seed_gives_the_same_figures(result: FewShotResult, images: LabelledImages, base: Detector) -> None:
    again = run_few_shot("again", images, 5, [result.arms[0].arm], FewShotSettings(1, 1, 0), device="cpu")
    here, there = again.arms[0].repeats[0], result.arms[0].repeats[1]
    assert here.seed == there.seed == 1
    assert here.figures == pytest.approx(there.figures, nan_ok=True)


def test_images_are_described_once_for_all_arms_that_agree(
    images: LabelledImages, base: Detector, shelf: Shelf
) -> None:
    arms = {each.name: each for each in published_arms(tiny(), base, images.classes)}
    first, form = shelf.frozen(arms[REFERENCE], images.classes), shelf.frozen(arms[PUBLISHED_FORM], images.classes)
    assert form.described is first.described
    assert form.lessons is first.lessons
    one = shelf.frozen(arms[AS_ONE], images.classes)
    assert one.described is first.described
    assert one.lessons is not first.lessons  # the same boxes under another name


def test_a_base_forgets_the_classes_that_are_taught_anew(base: Detector) -> None:
    kept = behind_without(base, ["scuff", "scratch"])
    assert kept.classes == ("crack",)
    assert kept.shots is not None
    # Five of its own and five of the background, which stays behind the last class.
    assert kept.shots.labels.tolist() == [0] * 5 + [1] * 5
    assert base.shots is not None
    assert torch.equal(kept.shots.described, torch.cat([base.shots.described[5:10], base.shots.described[15:]]))
    assert behind_without(base, ["pinhole"]) is base


def test_findings_of_other_classes_are_left_out_and_the_rest_renamed() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = FoundBoxes(boxes, np.array([2, 1, 0]), np.array([0.9, 0.8, 0.7], np.float32))
    kept = only_of(found, ["scratch", "crack", "scuff"], ["scuff", "scratch"])
    assert kept.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(kept.boxes, boxes[[0, 2]])
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7])


def test_a_missing_image_stops_the_protocol(tmp_path: Path, base: Detector) -> None:
    corpus = write_published_crops(tmp_path, "scratches", scale=0.125, size_px=64)["corpus"]
    images = labelled_images(corpus)
    images.corpus.paths()[3].unlink()
    with pytest.raises(InputError, match="scratch"):
        read_all(images)


def test_recipes_that_cut_images_are_refused(images: LabelledImages, base: Detector) -> None:
    cut = DetectRecipe.model_validate(
        TINY | {"image": {"short_side": 64, "tile_px": 64, "overlap_px": 16},
                "teaching": {"freeze": ("backbone", "pyramid", "rpn", "box_head")}})  # fmt: skip
    with pytest.raises(InputError, match="looked at whole"):
        run_few_shot("cut", images, 5, [Arm("cut", "", cut, base)], FewShotSettings(1, 0, 0), device="cpu")
    whole = cut.model_copy(update={"image": tiny().image})
    with pytest.raises(InputError, match="no base"):
        run_few_shot("bare", images, 5, [Arm("bare", "", whole)], FewShotSettings(1, 0, 0), device="cpu")


def test_times_are_of_every_trial_and_a_line_needs_whole_computers(base: Detector) -> None:
    pixels = [np.full((64, 64), 90, np.uint8)] * 4
    times = detection_times(base, pixels, 5, lots=2, device="cpu")
    assert times.each_ms.n == 5
    assert times.images_per_s > 0
    # Published: 46,219 crops at 39.8 ms take 30.7 minutes; in 22 s that is 84 computers' work.
    load = LineLoad("pinholes", "published", 46_219, 39.8, 22.0)
    assert load.seconds / 60 == pytest.approx(30.66, abs=0.01)
    assert load.lanes == 84
    assert LineLoad("scratches", "published", 72, 39.8, 22.0).lanes == 1

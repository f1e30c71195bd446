"""Teaching leaves frozen stages as they were, resumes where it was killed, and finds what it was shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sorby.bundle import open_bundle
from sorby.detect import openvino_stages
from sorby.detect.described import DescribedImage, TorchRunner, describe_images
from sorby.detect.detector import Detector, build
from sorby.detect.detector_bundle import from_bundle, save
from sorby.detect.openvino_stages import FrozenMaps, OpenVINORunner
from sorby.detect.pictures import Example, fit, viewed_boxes
from sorby.detect.recipe import STAGES, DetectRecipe
from sorby.detect.teaching import behind, examples_of, teach
from sorby.detect.training import rate_factor
from sorby.errors import BundleError, InputError
from sorby.evidence.boxes import TrueBoxes, box_iou

SMALL = {
    "image": {"short_side": 64, "long_side": 128},
    "backbone": {"weights": "random"},
    "pyramid": {"channels": 16},
    "anchors": {"sizes": [8, 16, 32, 48, 64]},
    "proposals": {"train": 40, "test": 30, "before": 50},
    "box": {"width": 32},
}


def recipe(**changes) -> DetectRecipe:
    sections = {key: dict(value) for key, value in SMALL.items()}
    for key, value in changes.items():
        sections[key] = {**sections.get(key, {}), **value}
    return DetectRecipe(**sections)


def examples(count: int = 6, seed: int = 0) -> list[Example]:
    """Bright and dark squares on noise."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        pixels = rng.normal(120, 8, (64, 64, 1))
        corners = rng.integers(2, 40, (2, 2))
        for label, (x, y) in enumerate(corners):
            pixels[y : y + 16, x : x + 16] = 230 if label else 15
        boxes = np.concatenate([corners, corners + 16], axis=1).astype(np.float32)
        made.append(Example(pixels.clip(0, 255).astype(np.uint8), TrueBoxes(boxes, np.array([0, 1]))))
    return made


def state(detector: Detector) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in detector.stages.state_dict().items()}


@pytest.fixture(scope="module")
def base() -> Detector:
    return build(recipe(), ["mark", "dent"])


def test_few_shot_teaching_touches_no_stage(base):
    before = state(base)
    taught = teach(recipe(teaching={"freeze": STAGES}), ["dark", "bright"], examples(), base=base)
    assert all(torch.equal(value, before[key]) for key, value in taught.stages.state_dict().items())
    assert taught.classes == ("dark", "bright")


def test_all_classes_keeps_those_of_the_base_and_novel_does_not(base):
    kept = teach(recipe(teaching={"freeze": STAGES}), ["dark", "bright"], examples(), base=base)
    both = teach(
        recipe(teaching={"freeze": STAGES}, few_shot={"classes": "all"}), ["hole", "spot"], examples(seed=1), base=kept
    )
    assert both.classes == ("hole", "spot", "dark", "bright")
    with pytest.raises(InputError, match="stores no examples"):
        teach(recipe(teaching={"freeze": STAGES}, few_shot={"classes": "all"}), ["hole", "spot"], examples(), base=base)
    with pytest.raises(InputError, match="class dark is one of the base"):
        teach(recipe(teaching={"freeze": STAGES}, few_shot={"classes": "all"}), ["dark", "spot"], examples(), base=kept)


def test_a_base_of_another_shape_is_refused_by_name(base):
    with pytest.raises(InputError, match="base detector has pyramid 16, the recipe 24"):
        behind(base, recipe(pyramid={"channels": 24}))
    with pytest.raises(InputError, match="no base detector"):
        teach(recipe(teaching={"freeze": STAGES}), ["dark", "bright"], examples())


@pytest.mark.parametrize("frozen", [["backbone"], ["backbone", "pyramid", "rpn"], []])
def test_gradients_change_what_is_not_frozen_and_nothing_else(frozen):
    start = build(recipe(), ["dark", "bright"])
    before = state(start)
    taught = teach(
        recipe(teaching={"freeze": frozen, "steps": 3, "batch": 2, "warmup": 0}), ["dark", "bright"], examples()
    )
    parts = {"backbone": "body.", "pyramid": "pyramid.", "rpn": "rpn.", "box_head": "box_head."}
    for name, prefix in parts.items():
        same = all(torch.equal(v, before[k]) for k, v in taught.stages.state_dict().items() if k.startswith(prefix))
        assert same == (name in frozen)
    assert taught.shots is not None


class Killed(Exception):
    pass


def test_killed_and_started_again_it_ends_with_the_same_network(tmp_path, monkeypatch):
    wanted = recipe(teaching={"freeze": ["backbone"], "steps": 6, "batch": 2, "warmup": 2})
    whole = teach(wanted, ["dark", "bright"], examples(), state_folder=tmp_path / "whole")
    monkeypatch.setattr("sorby.detect.training._CHECKPOINT_EVERY", 2)
    calls = []

    def dies(*arguments, **options):
        calls.append(1)
        if len(calls) == 5:
            raise Killed
        return rate_factor(*arguments, **options)

    monkeypatch.setattr("sorby.detect.training.rate_factor", dies)
    with pytest.raises(Killed):
        teach(wanted, ["dark", "bright"], examples(), state_folder=tmp_path / "killed")
    monkeypatch.undo()
    resumed = teach(wanted, ["dark", "bright"], examples(), state_folder=tmp_path / "killed")
    for (key, one), (_, other) in zip(state(whole).items(), state(resumed).items(), strict=True):
        assert torch.equal(one, other), key
    with pytest.raises(InputError, match="a training of other data"):
        teach(wanted, ["dark", "bright"], examples(seed=5), state_folder=tmp_path / "killed")


def test_without_any_box_there_is_nothing_to_teach():
    empty = [Example(each.pixels, TrueBoxes()) for each in examples()]
    with pytest.raises(InputError, match="no image has a box"):
        teach(recipe(), ["dark", "bright"], empty)


def test_openvino_in_float32_sees_what_torch_sees(base):
    images = [each.pixels for each in examples(3)]
    for describe in ("head", "context"):
        ready = behind(base, recipe(box={"describe": describe}))
        ours = list(describe_images(OpenVINORunner(ready.stages, "fp32"), images))
        theirs = list(describe_images(TorchRunner(ready.stages), images))
        for one, other in zip(ours, theirs, strict=True):
            # Equal objectness may be ordered either way, so boxes are matched before they are compared.
            iou = box_iou(one.proposals.numpy(), other.proposals.numpy())
            assert (iou.max(axis=1) > 0.99).mean() > 0.95
            pairs = iou.argmax(axis=1)
            near = iou.max(axis=1) > 0.999
            difference = one.described.float()[near] - other.described.float()[pairs][near]
            assert float(difference.abs().max()) < 0.05 * float(other.described.float().abs().max())


def test_lanes_find_what_one_runner_finds_in_the_same_order(base):
    ready = behind(base, recipe())
    images = [each.pixels for each in examples(5)]
    runner = OpenVINORunner(ready.stages, "fp32")
    one = list(describe_images(runner, images, batch=8))
    several = list(describe_images(runner, images, batch=1))
    assert len(one) == len(several) == 5
    for single, laned in zip(one, several, strict=True):
        iou = box_iou(single.proposals.numpy(), laned.proposals.numpy())
        assert (iou.max(axis=1) > 0.99).mean() > 0.95


def test_compiling_does_not_change_the_mode_of_the_stages(base):
    ready = behind(base, recipe())
    runner = OpenVINORunner(ready.stages, "fp32")
    runner.look(np.stack([examples(1)[0].pixels]))
    assert not any(part.training for part in ready.stages.modules())


def test_frozen_maps_are_those_of_torch(base):
    images = torch.from_numpy(np.stack([each.pixels for each in examples(2)]))
    with torch.inference_mode():
        wanted = base.stages.eval().maps(images)
    for ours, theirs in zip(FrozenMaps(base.stages, "fp32")(images), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_a_bundle_brings_back_the_same_detector(tmp_path, base):
    taught = teach(recipe(teaching={"freeze": STAGES}), ["dark", "bright"], examples(), base=base)
    save(tmp_path / "a.sorby", taught, images=["0" * 64], n_boxes=12)
    back = from_bundle(open_bundle(tmp_path / "a.sorby"))
    images = [each.pixels[..., 0] for each in examples(2, seed=9)]
    for one, other in zip(taught.detect(images, score=0.0), back.detect(images, score=0.0), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
    limits = open_bundle(tmp_path / "a.sorby").description.limits
    assert any("few examples" in line for line in limits)
    assert any("random weights" in line for line in limits)


def test_a_bundle_of_another_kind_is_refused(tmp_path):
    from sorby.bundle import Description, write

    write(tmp_path / "b.sorby", Description(kind="other", name="b", licence="none"))
    with pytest.raises(BundleError, match="not a box detector"):
        from_bundle(open_bundle(tmp_path / "b.sorby"))


def test_large_images_teach_by_their_tiles():
    cut = recipe(image={"tile_px": 64, "overlap_px": 16})
    image = np.full((200, 200), 120, np.uint8)
    truth = TrueBoxes(np.array([[70, 70, 90, 90]], np.float32), np.array([0]))
    tiles = next(iter(examples_of([image], [truth], cut)))
    shown = [each for each in tiles if len(each.truth) and not each.truth.flags.all()]
    assert shown
    assert any(not len(each.truth) for each in tiles)
    assert all(each.truth.boxes.min() >= 0 and each.truth.boxes.max() <= 64 for each in tiles if len(each.truth))


def test_looking_at_mirrored_images_finds_mirrored_boxes(base):
    taught = teach(recipe(teaching={"freeze": STAGES}), ["dark", "bright"], examples(), base=base)
    many = taught.with_predictor(recipe(output={"views": 4}), taught.classes, taught.predictor)
    image = examples(1, seed=3)[0].pixels[..., 0]
    one = next(many.detect([image], score=0.0))
    turned = next(many.detect([image[:, ::-1]], score=0.0))
    assert len(one)
    # The same four views are looked at, so the findings are the mirrored ones up to rounding and ties.
    mirrored = viewed_boxes(turned.boxes, 1, (64, 64))
    assert (box_iou(one.boxes, mirrored).max(axis=1) > 0.95).mean() > 0.9


def test_findings_in_the_filling_are_no_findings_in_any_view(base):
    """Mirrored, the filling lies on the other side: cut to the image, a box in it would have no extent."""
    looking = base.with_predictor(recipe(output={"views": 4, "score": 0.0}), base.classes, base.predictor)
    fitted = fit(np.zeros((40, 47), np.uint8), looking.recipe.image)
    height, width = fitted.pixels.shape[:2]
    assert width - fitted.size[1] > 12
    beside = torch.tensor([[width - 10.0, 8, width - 1, 40], [4, 4, 30, 30]])
    described = []
    for view in range(4):
        there = torch.from_numpy(viewed_boxes(beside.numpy(), view, (height, width)))
        described.append(DescribedImage(there, torch.zeros(2, base.stages.description_length).half(), (height, width)))
    found = looking.found_in_views(described, fitted)
    assert len(found)
    assert ((found.boxes[:, 2:] - found.boxes[:, :2]) > 0).all()
    assert (found.boxes[:, 2:] <= [47, 40]).all()


@pytest.mark.parametrize(
    ("facts", "threshold"),
    [
        ({"largest_px": "wide", "largest_box_px": 9.0}, 0.5),
        ({"largest_px": 0, "largest_box_px": 9.0}, 0.5),
        ({"largest_px": 64.0}, 0.5),
        ({"largest_px": 64.0, "largest_box_px": -1.0}, 0.5),
        ({"pixel_sizes_um": ["a", "b"]}, 0.5),
        ({"pixel_sizes_um": 3}, 0.5),
        ({}, 1.5),
    ],
)
def test_a_bundle_with_sizes_or_a_threshold_that_cannot_be_is_refused(tmp_path, base, facts, threshold):
    save(tmp_path / "odd.sorby", replace(base, facts=facts, threshold=threshold))
    with pytest.raises(BundleError, match="do not fit together"):
        from_bundle(open_bundle(tmp_path / "odd.sorby"))


def test_few_large_images_are_held_at_a_time(base):
    """Whoever reads files holds what was taken until its findings come."""
    taken = []

    def large():
        for number in range(12):
            taken.append(number)
            yield np.zeros((4000, 5000), np.uint8)

    next(base.detect(large(), device="cpu"))
    assert len(taken) == 3  # of 20 million values each


def test_graphs_of_frozen_maps_are_kept_while_sizes_take_turns(base, monkeypatch):
    made = []
    real = openvino_stages.compiled
    monkeypatch.setattr(openvino_stages, "compiled", lambda *given: made.append(given[4]) or real(*given))
    maps = FrozenMaps(base.stages, "fp32")
    for side in (32, 64, 32, 64):
        maps(torch.zeros(1, side, 32, 1, dtype=torch.uint8))
    assert made == [(1, 32, 32, 1), (1, 64, 32, 1)]

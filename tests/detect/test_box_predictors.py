"""The cosine classifier knows directions only, few-shot fitting finds them, and losses are what they are defined as."""

import numpy as np
import pytest
import torch

from sorby.detect.described import Lessons
from sorby.detect.detector import build
from sorby.detect.few_shot import fit_predictor
from sorby.detect.losses import CODER, assign, sampled, second_stage_losses
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import BoxSection, DetectRecipe, FewShotSection
from sorby.errors import InputError


def test_cosine_scores_do_not_depend_on_length_and_stay_within_the_scale():
    predictor = Predictor(8, 8, 3, BoxSection())
    values = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    scores = predictor.class_scores(values)
    torch.testing.assert_close(predictor.class_scores(7 * values), scores, atol=1e-3, rtol=1e-4)
    assert float(scores.detach().abs().max()) <= 20


def test_a_description_along_a_class_vector_has_the_full_scale():
    torch.manual_seed(0)
    predictor = Predictor(4, 4, 2, BoxSection(scale=12))
    along = predictor.classes.weight.detach()[1:2] * 500
    # Norms are kept above 1e-5, so the cosine of a perfect match falls a little short of 1.
    assert float(predictor.class_scores(along).detach()[0, 1]) == pytest.approx(12, abs=0.02)


def test_the_cosine_form_has_no_bias_and_its_start_is_small():
    predictor = Predictor(300, 300, 20, BoxSection())
    assert predictor.classes.bias is None
    assert float(predictor.classes.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(predictor.boxes.weight.detach().std()) == pytest.approx(0.001, rel=0.1)


@pytest.mark.parametrize(("regression", "outputs"), [("agnostic", 4), ("per-class", 12)])
def test_box_regression_has_one_box_or_one_a_class(regression, outputs):
    predictor = Predictor(6, 6, 3, BoxSection(regression=regression))
    assert predictor(torch.zeros(2, 6))[1].shape == (2, outputs)


def _target(boxes, labels, ignored=None):
    flags = torch.tensor(ignored or [False] * len(labels), dtype=torch.bool)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels),
        "ignored": flags,
    }


def test_a_proposal_shows_the_box_it_overlaps_by_half_and_background_otherwise():
    target = _target([[0, 0, 10, 10], [20, 20, 40, 40]], [1, 0])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 21], [21, 20, 41, 40], [60, 60, 70, 70]])
    labels, offsets, counts = assign(boxes, target, 2)
    assert labels.tolist() == [1, 2, 0, 2]
    assert counts.all()
    assert torch.equal(offsets[0], torch.zeros(4))
    assert float(offsets[2, 0]) == pytest.approx(10 * -1 / 20)


def test_boxes_inside_an_ignored_region_do_not_count():
    target = _target([[0, 0, 50, 50], [80, 80, 90, 90]], [0, 0], [True, False])
    labels, _, counts = assign(torch.tensor([[5.0, 5, 20, 20], [60, 60, 70, 70], [80, 80, 90, 90]]), target, 1)
    assert counts.tolist() == [False, True, True]
    assert labels.tolist() == [1, 1, 0]


def test_an_image_without_boxes_teaches_background_only():
    chosen = sampled([torch.rand(30, 4) + torch.tensor([0, 0, 5, 5])], [_target([], [])], 3,
                     torch.Generator().manual_seed(0))  # fmt: skip
    assert set(chosen.labels.tolist()) == {3}


def test_offsets_decode_to_the_box_they_were_encoded_from():
    box, proposal = torch.tensor([[3.0, 4, 30, 60]]), torch.tensor([[5.0, 5, 25, 50]])
    torch.testing.assert_close(CODER.decode(CODER.encode_single(box, proposal), [proposal])[:, 0], box)


def test_the_box_loss_counts_only_what_shows_something():
    predictor = Predictor(6, 6, 2, BoxSection())
    described, offsets = torch.randn(4, 6), torch.ones(4, 4)
    background = second_stage_losses(predictor, described, torch.full((4,), 2), offsets)
    assert float(background["box"]) == 0.0


def _clouds(n: int, seed: int = 0) -> Lessons:
    """Two classes and background as clouds about three directions; offsets a linear function of the first numbers."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).normal(size=(3, 20)) * 4
    labels = np.repeat([0, 1, 2], n)
    described = centres[labels] + rng.normal(size=(3 * n, 20))
    offsets = np.where(labels[:, None] < 2, described[:, :4] * 0.2, 0)
    return Lessons(torch.tensor(described).half(), torch.tensor(labels), torch.tensor(offsets, dtype=torch.float32))


def test_few_lessons_teach_classes_and_boxes():
    predictor = fit_predictor(_clouds(10), 2, 20, BoxSection(), FewShotSection(), seed=0)
    unseen = _clouds(100, seed=1)
    logits, moves = predictor(unseen.described.float())
    assert float((logits.argmax(1) == unseen.labels).float().mean()) > 0.98
    shows = unseen.labels < 2
    error = (moves[shows] - unseen.offsets[shows]).abs().mean().detach()
    assert float(error) < 0.5 * float(unseen.offsets[shows].abs().mean())


def test_teaching_is_the_same_for_a_seed():
    first, second = (
        fit_predictor(_clouds(10), 2, 20, BoxSection(), FewShotSection(steps=20), seed=4) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_class_without_a_lesson_is_refused():
    with pytest.raises(InputError, match="1 of 4 classes have no box"):
        fit_predictor(_clouds(5), 4, 20, BoxSection(), FewShotSection(), seed=0)


def test_the_proposal_network_is_not_blamed_for_what_nobody_labelled():
    network = build(DetectRecipe(backbone={"weights": "random"}, pyramid={"channels": 8}, box={"width": 16}), ["a"])
    anchors = [torch.tensor([[0.0, 0, 20, 20], [30, 30, 50, 50], [33, 33, 43, 43], [70, 70, 90, 90]])]
    labels, _ = network.stages.rpn.assign_targets_to_anchors(
        anchors, [_target([[0, 0, 20, 20], [30, 30, 51, 51]], [0, 0], [False, True])]
    )
    assert labels[0].tolist() == [1.0, -1.0, -1.0, 0.0]


def test_a_regression_for_each_class_never_starts_from_the_base_unsaid():
    base = Predictor(20, 20, 5, BoxSection())
    with pytest.raises(InputError, match="cannot start from another detector"):
        fit_predictor(_clouds(5), 2, 20, BoxSection(regression="per-class"), FewShotSection(), seed=0, base=base)
    free = FewShotSection(regressor="random", steps=2)
    assert not fit_predictor(_clouds(5), 2, 20, BoxSection(regression="per-class"), free, seed=0, base=base).agnostic

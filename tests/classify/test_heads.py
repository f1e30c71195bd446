"""Heads that take structure codes apart: what each says, and that their numbers are those of the field."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sorby.backbone.architecture import to_onnx
from sorby.backbone.runtime import OpenVINORuntime, run
from sorby.classify.heads import (
    Examples,
    FittedHead,
    Head,
    HeadSpec,
    Targets,
    fit_head,
    head_arrays,
    head_from_arrays,
    spec_for,
    structure_of,
)
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.corpus import HOUSE_SCALE
from sorby.errors import InputError
from sorby.evidence import softmax

CODES = ("B7", "B8", "B9-10", "G7", "G8", "G9-10", "M8", "M9-10")
KINDS = ("flat", "staged", "multitask", "ordinal", "length")
Features = npt.NDArray[np.float32]


def specimens(n: int, seed: int, noise: float = 0.3) -> tuple[Features, Targets]:
    """Features that tell subtype by direction and needle length by one more axis, with the lengths as truth."""
    rng = np.random.default_rng(seed)
    structure = structure_of(CODES)
    labels = np.arange(n) % len(CODES)
    subtype, size = structure.subtype_of[labels], np.array([CODES[k][1:] for k in labels])
    limits = [HOUSE_SCALE.bounds(CODES[k][0], size[i]) for i, k in enumerate(labels)]
    low = np.array([max(a, 0.6 * min(b, 40)) for a, b in limits])
    high = np.array([min(b, 1.5 * a if a else b) for a, b in limits])
    mean = low * (high / low) ** rng.uniform(0.1, 0.9, n)
    features = np.concatenate([4 * np.eye(3)[subtype], 3 * np.log(mean)[:, None], np.zeros((n, 3))], axis=1)
    features = (features + noise * rng.normal(size=features.shape)).astype(np.float32)
    log_lengths = np.log(np.stack([mean, 2.6 * mean], axis=1))
    return features, Targets(labels, log_lengths, np.zeros(n, np.intp))


def fit(kind: str, features: Features, targets: Targets, frozen: bool = True, **section: object) -> FittedHead:
    chosen = HeadSection.model_validate({"kind": kind, "hidden": 16, **section})
    spec = spec_for(chosen, CODES, inputs=features.shape[1], parts=None, lengths=("mean", "largest"), frozen=frozen)
    folds = np.random.default_rng(1).permutation(len(features)) % 4
    return fit_head(features, targets, spec, folds, chosen, BalanceSection())


# -- codes ------------------------------------------------------------------------------------------------


def test_codes_fall_into_subtypes_and_sizes_from_coarse_to_fine() -> None:
    structure = structure_of(("G9-10", "B7", "G10", "G8", "B6"))
    assert structure.subtypes == ("B", "G")
    assert structure.sizes == (("6", "7"), ("8", "9-10", "10"))
    assert [structure.subtypes[s] for s in structure.subtype] == ["G", "B", "G", "G", "B"]
    assert [structure.classes[k] for k in structure.members(1)] == ["G8", "G9-10", "G10"]


def test_a_class_that_is_no_structure_code_is_named() -> None:
    with pytest.raises(InputError, match="'scratch' is no structure code"):
        structure_of(("B7", "scratch"))


def test_codes_that_mean_the_same_are_refused() -> None:
    with pytest.raises(InputError, match="same subtype and size"):
        structure_of(("a", "b"), {"a": ("G", "8"), "b": ("G", "8")})


# -- what every head keeps --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_learns_codes_that_can_be_told(kind: str) -> None:
    features, targets = specimens(240, 0, noise=0.15)
    fresh, truth = specimens(400, 1, noise=0.15)
    fitted = fit(kind, features, targets)
    right = (fitted.head.scores(fresh).argmax(1) == truth.labels).mean()
    assert right > 0.85, "a quarter would be chance within a subtype, an eighth over all"


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_comes_back_from_its_arrays(kind: str) -> None:
    features, targets = specimens(120, 0)
    head = fit(kind, features, targets).head
    again = head_from_arrays(HeadSpec.model_validate(head.spec.model_dump(mode="json")), head_arrays(head, "x."), "x.")
    np.testing.assert_array_equal(again.scores(features), head.scores(features))
    np.testing.assert_array_equal(again.log_lengths(features), head.log_lengths(features))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fold_head_knows_nothing_of_its_fold(kind: str) -> None:
    features, targets = specimens(160, 0)
    section = {"c_grid": (0.1,)}
    plain = fit(kind, features, targets, **section)
    spoilt = features.copy()
    spoilt[plain.folds == 2] += 100
    other = fit(kind, spoilt, targets, **section)
    # The length head's error spread comes from all held-out residuals, so the raw numbers are compared.
    raw = [each.fold_heads[2].readout(torch.from_numpy(features)).detach().numpy() for each in (plain, other)]
    np.testing.assert_allclose(raw[0], raw[1], rtol=1e-4, atol=1e-4)
    changed = [each.fold_heads[1].readout(torch.from_numpy(features)).detach().numpy() for each in (plain, other)]
    assert not np.allclose(changed[0], changed[1], atol=1e-2)


@pytest.mark.parametrize("kind", ["multitask", "ordinal", "length"])
def test_a_head_is_the_same_for_features_of_any_scale(kind: str) -> None:
    features, targets = specimens(160, 0)
    scale = np.array([1, 10, 100, 0.01, 1, 1, 1], np.float32)
    plain, stretched = fit(kind, features, targets), fit(kind, features * scale + 5, targets)
    # Float32 rounding of the stretched features moves the optimiser's path a little.
    agree = (plain.head.scores(features).argmax(1) == stretched.head.scores(features * scale + 5).argmax(1)).mean()
    assert agree > 0.98


class _Graph(torch.nn.Module):
    """A head behind the least that turns images into features."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = images.float().flatten(1)
        return self.head(pooled), pooled


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", [CODES, ("B8", "G7", "G8", "M6", "M7", "M8", "M9-10"), ("G8", "G9-10")])
def test_the_exported_graph_scores_as_the_head_does(kind: str, codes: tuple[str, ...]) -> None:
    chosen = HeadSection.model_validate({"kind": kind})
    spec = spec_for(chosen, codes, inputs=12, parts=None, lengths=("mean", "largest"), frozen=True)
    head = Head(spec, seed=1).eval()
    for weight in head.readout.weights():
        torch.nn.init.normal_(weight, std=0.01, generator=torch.Generator().manual_seed(2))
    images = np.random.default_rng(0).integers(0, 255, (5, 2, 2, 3), np.uint8)
    runtime = OpenVINORuntime(to_onnx(_Graph(head), 2, 2, 3, ("logits", "features")), (2, 2, 3), precision="fp32")
    np.testing.assert_allclose(run(runtime, images)[0], head.scores(images.reshape(5, 12)), rtol=1e-3, atol=1e-4)


# -- stages -----------------------------------------------------------------------------------------------


def test_hard_routing_is_the_published_rule() -> None:
    # Accuracy of the two-stage model: subtype right and the size model of the predicted subtype right.
    features, targets = specimens(240, 0, noise=1.5)
    head = fit("staged", features, targets).head
    stages = head.stages(features)
    structure = head.spec.structure
    chosen = stages["subtype"].argmax(1)
    routed = [
        f"{structure.subtypes[s]}{structure.sizes[s][stages[structure.subtypes[s]][k].argmax()]}"
        for k, s in enumerate(chosen)
    ]
    assert routed == [CODES[k] for k in head.scores(features).argmax(1)]


def test_soft_routing_multiplies_probabilities() -> None:
    features, targets = specimens(160, 0, noise=1.0)
    head = fit("staged", features, targets, routing="soft").head
    stages, p = head.stages(features), softmax(head.scores(features))
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(p[:, 5], stages["subtype"][:, 1] * stages["G"][:, 2], rtol=1e-4)
    np.testing.assert_allclose(p[:, :3].sum(1), stages["subtype"][:, 0], rtol=1e-4)


def test_a_stage_is_taught_by_its_own_images_only() -> None:
    features, targets = specimens(240, 0)
    plain = fit("staged", features, targets, c_grid=(0.1,)).head
    others = targets.labels < 3  # bainite
    swapped = targets.labels.copy()
    swapped[others] = (swapped[others] + 1) % 3
    changed = fit("staged", features, targets.relabelled(swapped), c_grid=(0.1,)).head
    np.testing.assert_array_equal(plain.stages(features)["G"], changed.stages(features)["G"])
    assert not np.allclose(plain.stages(features)["B"], changed.stages(features)["B"], atol=0.05)


def test_each_stage_of_mixed_architectures_reads_its_own_network() -> None:
    features, targets = specimens(200, 0)
    chosen = HeadSection(kind="staged")
    spec = spec_for(chosen, CODES, inputs=14, parts=None, lengths=(), frozen=True)
    both = np.concatenate([features, features[:, ::-1]], axis=1)
    folds = np.arange(200) % 4
    fitted = fit_head(both, Targets.plain(targets.labels), spec, folds, chosen, BalanceSection(), parts=(7, 7))
    weight = fitted.head.readout.linear.weight.detach().numpy()
    assert not weight[:3, 7:].any(), "the subtype stage reads the first network"
    assert not weight[3:, :7].any(), "the size stages read the second"
    assert weight[:3, :7].any()
    assert weight[3:, 7:].any()


# -- order ------------------------------------------------------------------------------------------------


def test_ordinal_probabilities_are_those_of_cumulative_logits() -> None:
    spec = HeadSpec(kind="ordinal", classes=("G7", "G8", "G9-10", "M8"), inputs=1, parts=None, routing="soft")
    head = Head(spec)
    with torch.no_grad():
        head.composition.first[0] = -0.5
        head.composition.gaps[0, 0] = math.log(math.e - 1)  # softplus of it is 1: thresholds -.5 and .5
        head.readout.linear.bias[2] = 0.2  # fineness of G
    got = head.stages(np.zeros((1, 1), np.float32))["G"][0]
    low, high = 1 / (1 + math.exp(0.7)), 1 / (1 + math.exp(-0.3))
    np.testing.assert_allclose(got, [low, high - low, 1 - high], rtol=1e-5)


def test_a_distance_cost_makes_far_errors_rarer() -> None:
    features, targets = specimens(320, 0, noise=1.2)
    fresh, truth = specimens(800, 1, noise=1.2)
    structure = structure_of(CODES)

    def far(cost: float) -> float:
        p = softmax(fit("ordinal", features, targets, routing="soft", distance_cost=cost).head.scores(fresh))
        apart = np.abs(structure.grade_of[None, :] - structure.grade_of[truth.labels][:, None])
        same = structure.subtype_of[None, :] == structure.subtype_of[truth.labels][:, None]
        return float((p * np.where(same, apart, 0)).sum(1).mean())

    assert far(3.0) < far(0.0)


# -- lengths ----------------------------------------------------------------------------------------------


def test_lengths_are_predicted_with_intervals_that_cover() -> None:
    features, targets = specimens(320, 0)
    fresh, truth = specimens(2000, 1)
    head = fit("length", features, targets).head
    missed = np.abs(truth.log_lengths[:, 0] - head.log_lengths(fresh)[:, 0])
    covered = (missed <= float(head.length_margin[0])).mean()
    # .95 asked of 320 residuals, whose standard deviation is .012; the head of all images misses a little less than
    # the fold heads that set the margin.
    assert 0.92 < covered < 0.99
    assert np.median(missed) < 0.12


def test_a_length_head_grades_by_the_table() -> None:
    table = HOUSE_SCALE.as_dict() | {"mean_um": [30.0, 20.0, 12.0]}
    features, targets = specimens(240, 0, noise=0.05)
    section = {"routing": "soft", "sharing": "none", "c_grid": (1.0,)}
    other = fit("length", features, targets, table=table, **section).head
    means = np.exp(other.log_lengths(features)[:, 0])
    named = [CODES[k] for k in other.scores(features).argmax(1)]
    bainite = [(mean, code) for mean, code in zip(means, named, strict=True) if code[0] == "B"]
    assert {code for mean, code in bainite if mean < 11} == {"B9-10"}
    assert "B8" in {code for mean, code in bainite if 13 < mean < 19}


def test_quantiles_never_cross() -> None:
    spec = HeadSpec(classes=CODES, inputs=3, lengths=("mean", "q05", "q50", "q95"))
    head = Head(spec)
    torch.nn.init.normal_(head.readout.linear.weight, generator=torch.Generator().manual_seed(0))
    found = head.log_lengths(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    assert (np.diff(found[:, 1:], axis=1) >= 0).all()


def test_a_length_that_few_images_state_is_learnt_from_those() -> None:
    features, targets = specimens(240, 0)
    holes = targets.log_lengths.copy()
    holes[::3] = np.nan
    head = fit("multitask", features, Targets(targets.labels, holes, targets.criterion), auxiliary="length").head
    missed = np.abs(targets.log_lengths[::3, 0] - head.log_lengths(features[::3])[:, 0])
    assert np.median(missed) < 0.15


def test_a_corpus_without_lengths_is_told_which_columns_it_lacks() -> None:
    with pytest.raises(InputError, match="mean_needle_length_um and largest_needle_length_um"):
        spec_for(HeadSection(kind="length"), CODES, inputs=3, parts=None, lengths=(), frozen=True)


# -- examples ---------------------------------------------------------------------------------------------


def test_an_image_shared_out_to_two_classes_counts_for_both() -> None:
    features, targets = specimens(160, 0)
    spec = spec_for(HeadSection(), CODES, inputs=7, parts=None, lengths=(), frozen=True)
    folds = np.arange(160) % 4
    whole = fit_head(features, targets, spec, folds, HeadSection(c_grid=(0.1,)), BalanceSection())
    twice = np.repeat(np.arange(160), 2)
    halves = Examples(twice, targets.labels[twice], np.full(320, 0.5))
    same = fit_head(features, targets, spec, folds, HeadSection(c_grid=(0.1,)), BalanceSection(), examples=halves)
    np.testing.assert_allclose(whole.head.scores(features), same.head.scores(features), atol=0.05)


@pytest.mark.parametrize(("kind", "auxiliary"), [("length", "none"), ("multitask", "length")])
def test_a_length_that_no_image_states_is_refused_by_name(kind: str, auxiliary: str) -> None:
    features, targets = specimens(160, 0)
    unknown = targets.log_lengths.copy()
    unknown[:, 1] = np.nan
    with pytest.raises(InputError, match="largest_needle_length_um"):
        fit(kind, features, Targets(targets.labels, unknown, targets.criterion), auxiliary=auxiliary)


def test_a_raised_digit_is_no_size() -> None:
    assert structure_of(("B²", "B7", "G8")).sizes[0] == ("7", "²")

"""Verdicts on specimens: what every way of pooling must keep, and where attention is needed."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.classify.specimens import METHODS, RULES, Bags, SpecimenModel, carried, fit_specimens, pooled, vote_of_sets
from sorby.classify.specimens.carriers import leave_one_out_change
from sorby.errors import InputError


def _drawn(n: int, seed: int, telling: float = 1.0, images: int = 6) -> Bags:
    """Specimens of two classes whose images tell the class with some probability, else nothing."""
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(n), images)
    labels = rng.integers(0, 2, n)
    features = rng.normal(0.0, 1.0, (n * images, 8)).astype(np.float32)
    tells = rng.random(n * images) < telling
    tells[::images] = True  # at least one image of each specimen
    features[tells, 0] = 4.0  # marks an image that tells
    features[~tells, 0] = 0.0
    features[tells, 1] += np.where(labels[index[tells]] == 1, 3.0, -3.0)
    return Bags(features, index, labels)


@pytest.mark.parametrize("rule", RULES)
def test_one_image_pools_to_itself_in_order(rule: str) -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    found = pooled(p, np.array([0, 1]), 2, rule)
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert found.argmax(axis=1).tolist() == [0, 2]


@pytest.mark.parametrize("rule", RULES)
def test_pooling_does_not_depend_on_the_order_of_images(rule: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 12)
    index = np.repeat(np.arange(3), 4)
    order = rng.permutation(12)
    assert pooled(p[order], index[order], 3, rule) == pytest.approx(pooled(p, index, 3, rule))


def test_rules_differ_as_their_names_say() -> None:
    p, index = np.array([[0.98, 0.02], [0.4, 0.6], [0.4, 0.6]]), np.zeros(3, np.intp)
    assert pooled(p, index, 1, "majority").argmax() == 1
    assert pooled(p, index, 1, "max").argmax() == 0
    assert pooled(p, index, 1, "mean-probability").argmax() == 0
    assert pooled(p, index, 1, "log-odds")[0, 0] == pytest.approx(0.98 * 0.16 / (0.98 * 0.16 + 0.02 * 0.36))


def test_a_class_that_half_of_the_sets_hold_is_voted_out() -> None:
    sets = np.array([[1, 1], [1, 0], [1, 0], [0, 1]], bool)
    assert vote_of_sets(sets, np.zeros(4, np.intp), 1).tolist() == [[True, False]]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_and_survives_a_bundle(method: str) -> None:
    bags = _drawn(40, 1)
    model = fit_specimens(bags, 2, method, folds=3)  # type: ignore[arg-type]
    fresh = _drawn(30, 2)
    found = model.verdicts(fresh)
    assert (found.labels == fresh.labels).mean() > 0.9
    again = SpecimenModel.from_arrays(model.method, model.temperature, model.as_arrays()).verdicts(fresh)
    assert again.probabilities == pytest.approx(found.probabilities, abs=1e-6)
    assert (again.sets == found.sets).all()


def test_the_promise_is_about_specimens_also_in_judges_that_do_not_say_so() -> None:
    model = fit_specimens(_drawn(30, 1), 2, "mean-probability", folds=3)
    arrays = model.as_arrays()
    older = {key: value for key, value in arrays.items() if key != "conformal.unit"}
    assert len(older) < len(arrays)
    for stored in (arrays, older):
        said = SpecimenModel.from_arrays(model.method, model.temperature, stored).conformal.guarantee
        assert said == model.conformal.guarantee
        assert "over all specimens" in said
        assert "images" not in said


def test_attention_weights_add_up_to_one_and_find_the_images_that_tell() -> None:
    bags = _drawn(60, 3, telling=0.0)  # one telling image of six
    model = fit_specimens(bags, 2, "attention", folds=3)
    fresh = _drawn(40, 4, telling=0.0)
    found = model.verdicts(fresh)
    weights = found.weights.reshape(40, 6)
    assert weights.sum(axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert (weights.argmax(axis=1) == 0).mean() > 0.9
    assert found.carried.reshape(40, 6)[:, 0].mean() > 0.9


def test_calibration_never_sees_the_specimen_it_scores() -> None:
    """Labels without any relation to the images are not learnt: cross-fitted scores are at chance."""
    bags = _drawn(80, 5)
    shuffled = Bags(bags.features, bags.index, np.random.default_rng(6).permutation(bags.labels))
    model = fit_specimens(shuffled, 2, "mean-probability", folds=4)
    # 80 specimens at chance: .5 +- .056; four standard errors.
    assert abs((model.cross_scores.argmax(axis=1) == shuffled.labels).mean() - 0.5) < 0.23


def test_leaving_out_the_only_telling_image_changes_the_verdict_most() -> None:
    p = {0: 0.9, 1: 0.2, 2: 0.3}

    def probabilities(bags: Bags) -> np.ndarray:
        values = np.array([p[int(v)] for v in bags.features[:, 0]])
        mean = np.bincount(bags.index, weights=values) / np.bincount(bags.index)
        return np.stack([mean, 1 - mean], axis=1)

    bags = Bags(np.array([[0], [1], [2], [0]], np.float32), np.array([0, 0, 0, 1]), np.zeros(2, np.intp))
    change = leave_one_out_change(bags, probabilities, np.zeros(2, np.intp))
    mean = (0.9 + 0.2 + 0.3) / 3
    assert change == pytest.approx([mean - 0.25, mean - 0.6, mean - 0.55, 0.9])


def test_the_fewest_images_that_hold_half_of_the_weight_carry() -> None:
    marked = carried([0.1, 0.6, 0.3, 0.4, 0.35, 0.25, -1.0], np.array([0, 0, 0, 1, 1, 1, 2]), 3)
    assert marked.tolist() == [False, True, False, True, True, False, True]


def test_a_specimen_of_two_classes_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="specimen b"):
        Bags.of(np.zeros((3, 2), np.float32), np.array(["a", "b", "b"]), [0, 0, 1])


def test_bags_without_an_image_keep_their_other_images() -> None:
    bags = Bags(np.arange(5, dtype=np.float32)[:, None], np.array([0, 1, 0, 1, 2]), np.zeros(3, np.intp))
    reduced, left_out = bags.without_each_image()
    assert left_out.tolist() == [0, 1, 2, 3]
    kept = [sorted(reduced.features[reduced.index == k, 0].tolist()) for k in range(4)]
    assert kept == [[2.0], [3.0], [0.0], [1.0]]

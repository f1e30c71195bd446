import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from sorby.errors import InputError
from sorby.evidence import (
    RMDS,
    NearestNeighbours,
    NoveltyCalibration,
    combined_p,
    conformal_p,
    cross_conformal_p,
    cross_fit_neighbours,
    cross_fit_rmds,
    energy,
    gen_score,
    msp_score,
    roc_auc,
)
from sorby.evidence.mahalanobis import ledoit_wolf_shrinkage


def taught_images(rng, n, dimensions, n_classes=4):
    """Correlated features of unequal scale whose class means differ; one population for all seeds."""
    labels = np.arange(n) % n_classes
    world = np.random.default_rng(0)
    mixing = world.normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    means = 2.0 * world.normal(size=(n_classes, dimensions))
    scale = np.exp(world.normal(size=dimensions))
    return ((means[labels] + rng.normal(size=(n, dimensions)) @ mixing) * scale + 3.0), labels


def rmds_from_first_principles(x, labels, new):
    """Dense inverses; scikit-learn's Ledoit-Wolf covariance within classes."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    y, z = (x - mean) / scale, (new - mean) / scale
    names = np.unique(labels)
    means = np.stack([y[labels == c].mean(axis=0) for c in names])
    n, dimensions = y.shape
    fit = LedoitWolf(assume_centered=True).fit(y - means[np.searchsorted(names, labels)])
    within = fit.covariance_ * n / (n - len(names))
    share = np.bincount(labels) / n
    between = (means * share[:, None]).T @ means
    lift = 0.1 * fit.shrinkage_ * np.trace(between) / dimensions
    background = within + between + lift * np.eye(dimensions)
    to_class = [((z - m) @ np.linalg.inv(within) * (z - m)).sum(axis=1) for m in means]
    return np.min(to_class, axis=0) - (z @ np.linalg.inv(background) * z).sum(axis=1)


@pytest.mark.parametrize(("n", "dimensions"), [(400, 30), (40, 90), (31, 30), (60, 60)])
def test_rmds_is_the_difference_of_two_dense_mahalanobis_distances(rng, n, dimensions):
    x, labels = taught_images(rng, n, dimensions)
    new = np.concatenate([taught_images(rng, 20, dimensions)[0], rng.normal(0, 5, (20, dimensions))])
    expected = rmds_from_first_principles(x, labels, new)
    # Parameters are stored as float32.
    np.testing.assert_allclose(RMDS.fit(x, labels).score(new), expected, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize(("n", "max_axes"), [(30, 512), (100, 512), (100, 20), (400, 20), (400, 512)])
def test_the_further_from_everything_taught_the_stranger(rng, n, max_axes):
    x, labels = taught_images(rng, n, 60)
    direction = rng.normal(size=(200, 60)) * x.std(axis=0)
    detector = RMDS.fit(x, labels, max_axes)
    far, further = (detector.score(x.mean(axis=0) + t * direction) for t in (100.0, 200.0))
    # Independently shrunk covariances fail here: their scores fall without bound.
    assert np.all(far > detector.score(x).max())
    assert np.all(further > 2 * far)


def test_the_shrinkage_is_that_of_ledoit_and_wolf(rng):
    x = rng.normal(size=(50, 20)) * np.arange(1, 21)
    x -= x.mean(axis=0)
    s = x.T @ x / 50
    found = ledoit_wolf_shrinkage(np.trace(s), (s**2).sum(), ((x**2).sum(axis=1) ** 2).sum(), 50, 20)
    assert found == pytest.approx(LedoitWolf(assume_centered=True).fit(x).shrinkage_)


def test_rmds_does_not_care_about_the_units_or_the_order_of_features(rng):
    x, labels = taught_images(rng, 80, 25)
    new, _ = taught_images(rng, 20, 25)
    order = rng.permutation(25)
    change = lambda f: f[:, order] * 1000.0 - 7.0  # noqa: E731
    np.testing.assert_allclose(
        RMDS.fit(change(x), labels).score(change(new)), RMDS.fit(x, labels).score(new), rtol=1e-3, atol=1e-2
    )


@pytest.mark.parametrize("n", [24, 200, 1500])
def test_images_of_an_untaught_class_are_stranger_than_taught_ones(rng, n):
    x, labels = taught_images(rng, n, 200)
    same, _ = taught_images(np.random.default_rng(5), 100, 200)
    other = same + 1.5 * x.std(axis=0) * rng.normal(size=200)
    detector = RMDS.fit(x, labels)
    scores = detector.score(np.concatenate([same, other]))
    assert roc_auc(np.repeat([0, 1], 100), scores) > 0.9


def test_few_principal_axes_are_small_and_nearly_as_good(rng):
    n, dimensions = 1500, 300
    basis = rng.normal(size=(20, dimensions))
    labels = np.arange(n) % 3
    make = lambda m, y: (  # noqa: E731
        (np.eye(20)[y] * 4 + rng.normal(size=(m, 20))) @ basis + 0.3 * rng.normal(size=(m, dimensions))
    )
    x = make(n, labels)
    small, full = RMDS.fit(x, labels, max_axes=32), RMDS.fit(x, labels)
    assert small.axes.shape == (dimensions, 32)
    assert small.explained > 0.98
    new = np.concatenate([make(150, np.arange(150) % 3), make(150, np.full(150, 9))])
    is_new = np.repeat([0, 1], 150)
    areas = [roc_auc(is_new, detector.score(new)) for detector in (small, full)]
    assert min(areas) > 0.9
    assert areas[0] == pytest.approx(areas[1], abs=0.02)


def test_stored_rmds_scores_bit_for_bit_the_same(rng):
    x, labels = taught_images(rng, 100, 40)
    detector = RMDS.fit(x.astype(np.float32), labels)
    arrays = detector.as_arrays()
    assert all(a.ndim > 0 and a.dtype in (np.float32, np.int64) for a in arrays.values())
    np.testing.assert_array_equal(RMDS.from_arrays(arrays).score(x), detector.score(x))
    with pytest.raises(InputError, match="incomplete"):
        RMDS.from_arrays({"mean": arrays["mean"]})


def test_dead_duplicated_and_constant_features_do_no_harm(rng):
    x, labels = taught_images(rng, 120, 20)
    awkward = np.concatenate([x, x[:, :5], np.zeros((120, 3)), np.full((120, 2), 1e6)], axis=1)
    scores = RMDS.fit(awkward, labels).score(awkward)
    assert np.all(np.isfinite(scores))
    assert np.abs(scores).max() < 1e3


def test_a_single_class_falls_back_to_the_plain_distance_and_says_so(rng):
    x = rng.normal(size=(200, 10))
    detector = RMDS.fit(x, np.zeros(200))
    assert not detector.relative
    far = detector.score(np.full((1, 10), 8.0))
    assert far[0] > detector.score(x).max()


def test_too_little_to_learn_from_is_refused(rng):
    with pytest.raises(InputError, match="several images"):
        RMDS.fit(rng.normal(size=(3, 5)), [0, 1, 2])
    with pytest.raises(InputError, match="identical"):
        RMDS.fit(np.ones((9, 5)), np.arange(9) % 3)
    with pytest.raises(InputError, match="not finite"):
        RMDS.fit(np.array([[1.0, np.nan], [0.0, 1.0], [2.0, 1.0]]), [0, 0, 0])


def test_a_detector_of_a_thousand_dimensions_stays_small(rng):
    x = rng.normal(size=(1200, 1000)).astype(np.float32)
    detector = RMDS.fit(x, np.arange(1200) % 6)
    # Two float32 covariances would be 8 MB; half of one is kept.
    assert sum(a.nbytes for a in detector.as_arrays().values()) < 4e6


def test_cross_fitted_scores_are_those_of_unseen_images(rng):
    x, labels = taught_images(rng, 60, 80)
    fold = np.arange(60) % 5
    cross, detectors = cross_fit_rmds(x, labels, fold)
    fresh = RMDS.fit(x, labels).score(taught_images(np.random.default_rng(9), 400, 80)[0])
    in_sample = RMDS.fit(x, labels).score(x)
    np.testing.assert_array_equal(cross[fold == 2], detectors[2].score(x[fold == 2]))
    assert in_sample.mean() < cross.mean()
    assert fresh.mean() > in_sample.mean()


def test_generalised_entropy_of_worked_examples():
    assert gen_score([[0.5, 0.5]], 0.5)[0] == pytest.approx(1.0)
    assert gen_score([[1.0, 0.0, 0.0]])[0] == 0.0
    assert gen_score([[0.7, 0.2, 0.1]], top=1)[0] == pytest.approx(0.21**0.1)
    uniform = np.full((1, 5), 0.2)
    assert gen_score(uniform) > gen_score([[0.6, 0.1, 0.1, 0.1, 0.1]])


def test_energy_and_maximum_probability_of_worked_examples():
    assert energy([[0.0, 0.0]])[0] == pytest.approx(-np.log(2.0))
    assert energy([[1e4, 0.0]])[0] == -1e4
    assert msp_score([[0.7, 0.3]])[0] == pytest.approx(0.3)


def test_neighbour_distances_agree_with_scikit_learn(rng):
    x, new = rng.normal(size=(300, 16)), rng.normal(size=(40, 16))
    unit = lambda f: f / np.linalg.norm(f, axis=1, keepdims=True)  # noqa: E731
    expected = NearestNeighbors(n_neighbors=10).fit(unit(x)).kneighbors(unit(new))[0][:, -1]
    detector = NearestNeighbours.fit(x)
    # Cosines in float32.
    np.testing.assert_allclose(detector.score(new), expected, atol=1e-5)
    again = NearestNeighbours.from_arrays(detector.as_arrays())
    np.testing.assert_array_equal(again.score(new), detector.score(new))
    assert NearestNeighbours.fit(x, max_bank=50).bank.shape == (50, 16)


def test_conformal_p_values_of_like_images_are_uniform(rng):
    p = np.concatenate([conformal_p(rng.normal(size=199), rng.normal(size=20)) for _ in range(100)])
    assert set(np.unique(np.round(p * 200))) <= set(range(1, 201))
    # Kolmogorov-Smirnov of 2,000 values on a grid of 1/200; dependent within a calibration.
    assert kstest(p, "uniform").statistic < 0.05
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_ties_count_against_novelty_and_what_is_not_a_number_counts_as_strangest():
    p = conformal_p([1.0, 2.0, 2.0, 3.0], [2.0, 4.0, np.nan])
    assert p == pytest.approx([4 / 5, 1 / 5, 1 / 5])


def test_cross_conformal_p_pools_each_folds_own_comparison():
    p = cross_conformal_p([1.0, 5.0, 10.0, 50.0], [0, 0, 1, 1], [[3.0, 9.0], [20.0, 60.0]])
    assert p == pytest.approx([3 / 5, 1 / 5])
    with pytest.raises(InputError):
        cross_conformal_p([1.0, 2.0], [0, 1], [[1.0]])


def test_two_dependent_tests_together_keep_the_level(rng):
    alarms = []
    for _ in range(200):
        shared = rng.normal(size=120)
        a, b = shared + rng.normal(size=120), shared + rng.normal(size=120)
        calibration = NoveltyCalibration.fit(a[:99], b[:99])
        alarms.append(calibration.novelty(a[99:], b[99:]) <= 0.1)
    assert 0.06 < np.mean(alarms) <= 0.105
    assert combined_p([0.01, 0.9], [0.5, 0.8]) == pytest.approx([0.02, 1.0])


def test_novelty_says_when_no_image_can_be_called_novel():
    short = NoveltyCalibration.fit(np.arange(38.0), np.arange(38.0))
    assert "needs 39" in short.shortage(0.05)
    assert short.novelty([99.0], [99.0])[0] > 0.05
    enough = NoveltyCalibration.fit(np.arange(39.0), np.arange(39.0), cross_fitted=True)
    assert enough.shortage(0.05) == ""
    again = NoveltyCalibration.from_arrays(enough.as_arrays())
    assert again.novelty([99.0], [0.0])[0] == pytest.approx(0.05)
    assert again.cross_fitted


def test_three_scores_together_keep_the_level_and_neighbours_find_what_the_others_miss():
    rng = np.random.default_rng(11)
    refused = []
    for _ in range(200):
        calibrated = NoveltyCalibration.fit(*rng.normal(size=(2, 500)), neighbours=rng.normal(size=500))
        refused.append((calibrated.novelty(*rng.normal(size=(2, 50)), rng.normal(size=50)) <= 0.05).mean())
    # 10,000 judgements, clustered in 200 calibrations: at most .05 by Bonferroni, .004 for chance.
    assert np.mean(refused) <= 0.054
    assert calibrated.novelty([0.0], [0.0], [9.0])[0] == pytest.approx(1 / (0.45 * 501))
    assert calibrated.novelty([0.0], [0.0], [0.0])[0] > 0.5
    again = NoveltyCalibration.from_arrays(calibrated.as_arrays())
    np.testing.assert_array_equal(again.novelty([1.0], [2.0], [3.0]), calibrated.novelty([1.0], [2.0], [3.0]))
    with pytest.raises(InputError, match="other scores"):
        calibrated.novelty([0.0], [0.0])


def test_cross_fitted_neighbours_never_find_the_image_itself():
    x = np.repeat(np.eye(6), 2, axis=0)  # pairs of equal images; a pair is a specimen
    scores = cross_fit_neighbours(x, np.repeat(np.arange(3), 4), k=1)
    # The nearest image of another fold is orthogonal: sqrt 2 on the unit sphere. An image finding its twin scores 0.
    np.testing.assert_allclose(scores, np.sqrt(2), atol=1e-6)

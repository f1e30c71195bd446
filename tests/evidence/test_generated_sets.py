"""Distances between sets of features: known Gaussians, brute force, and sets that are one kind."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.evidence.generated_sets import (
    Standard,
    frechet_distance,
    halves_distance,
    kernel_distance,
    precision_recall,
)


def test_frechet_distance_of_known_gaussians(rng: np.random.Generator) -> None:
    # N(0, diag s^2) and N(m, diag t^2): |m|^2 + sum (s - t)^2. 200 000 draws leave an error below 1 %.
    s, t, m = np.array([1.0, 2.0, 0.5]), np.array([1.5, 1.0, 0.5]), np.array([1.0, 0.0, -2.0])
    first, second = rng.normal(size=(20_000, 3)) * s, rng.normal(size=(20_000, 3)) * t + m
    blocks = [frechet_distance(first[k::20], second[k::20]) for k in range(20)]
    assert np.mean(blocks) == pytest.approx((m**2).sum() + ((s - t) ** 2).sum(), rel=0.03)


def test_frechet_distance_equals_the_textbook_formula(rng: np.random.Generator) -> None:
    from scipy.linalg import sqrtm

    first, second = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(40, 5)) + 0.3
    s, t = np.cov(first.T), np.cov(second.T)
    shift = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum()
    assert frechet_distance(first, second) == pytest.approx(shift + np.trace(s + t - 2 * sqrtm(s @ t).real), rel=1e-8)


def test_frechet_distance_of_few_images_is_too_large_and_the_kernel_distance_is_not(rng: np.random.Generator) -> None:
    pairs = [(rng.normal(size=(12, 40)), rng.normal(size=(12, 40))) for _ in range(200)]
    frechet = np.mean([frechet_distance(*pair) for pair in pairs])
    kernel = np.array([kernel_distance(*pair).value for pair in pairs])
    assert frechet > 10  # the truth is 0
    assert abs(kernel.mean()) < 3 * kernel.std() / np.sqrt(len(kernel))  # three standard errors
    assert (kernel < 0).any()


def test_kernel_distance_equals_the_sums_over_pairs(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    specimens, parents = [0, 0, 1, 1, 2, 2, 3, 4, 5], [0, 0, 1, 2, 3, 3, 4]

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 + 1) ** 3)

    def apart(values: np.ndarray, groups: list[int]) -> float:
        found = [kernel(values[i], values[j]) for i in range(len(values)) for j in range(len(values))
                 if groups[i] != groups[j]]  # fmt: skip
        return float(np.mean(found))

    across = np.mean([kernel(a, b) for a in x for b in y])
    expected = apart(x, specimens) + apart(y, parents) - 2 * across
    assert kernel_distance(x, y, specimens, parents).value == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_grows_with_the_shift_and_its_interval_covers(rng: np.random.Generator) -> None:
    reals = rng.normal(size=(60, 16))
    values = [kernel_distance(reals, rng.normal(size=(60, 16)) + shift).value for shift in (0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    # The truth from 1 500 draws a side; 19 of 20 intervals from 40 a side should hold it. At least 33 of 40 has a
    # chance of 99.6 % under 95 % coverage.
    truth = kernel_distance(rng.normal(size=(1500, 6)), rng.normal(size=(1500, 6)) + 0.4).value
    held = 0
    for _ in range(40):
        found = kernel_distance(rng.normal(size=(40, 6)), rng.normal(size=(40, 6)) + 0.4)
        assert found.ci95 is not None
        held += found.ci95[0] <= truth <= found.ci95[1]
    assert held >= 33


def test_images_of_one_specimen_do_not_count_as_a_distance(rng: np.random.Generator) -> None:
    # Ten specimens with six nearly equal images each: taken for independent, two sets of one kind look different.
    def drawn() -> tuple[np.ndarray, np.ndarray]:
        groups = np.repeat(np.arange(10), 6)
        return rng.normal(size=(10, 20))[groups] + 0.1 * rng.normal(size=(60, 20)), groups

    naive, careful = [], []
    for _ in range(60):
        (x, a), (y, b) = drawn(), drawn()
        naive.append(kernel_distance(x, y).value)
        careful.append(kernel_distance(x, y, a, b).value)
    assert np.mean(naive) > 3 * np.std(naive) / np.sqrt(60)
    assert abs(np.mean(careful)) < 3 * np.std(careful) / np.sqrt(60)


def test_halves_of_one_set_have_no_kernel_distance(rng: np.random.Generator) -> None:
    floor = halves_distance(rng.normal(size=(40, 12)), seed=1)
    assert floor is not None
    kernel, frechet = floor
    assert kernel.ci95 is not None
    assert kernel.ci95[0] < 0 < kernel.ci95[1]
    assert frechet > 1
    assert halves_distance(rng.normal(size=(12, 4)), np.repeat([0, 1, 2], 4)) is None


def test_precision_falls_with_strangers_and_recall_with_repetition(rng: np.random.Generator) -> None:
    reals = rng.normal(size=(200, 2))
    same = precision_recall(reals, rng.normal(size=(200, 2)))
    far = precision_recall(reals, rng.normal(size=(200, 2)) + 20)
    narrow = precision_recall(reals, reals[:5].repeat(40, axis=0) + 0.01 * rng.normal(size=(200, 2)))
    assert same is not None
    assert far is not None
    assert narrow is not None
    assert min(same["precision"], same["recall"], same["coverage"]) > 0.8
    assert far["precision"] == far["recall"] == far["coverage"] == 0
    assert narrow["precision"] > 0.95
    assert narrow["recall"] < 0.2
    assert precision_recall(reals[:3], reals) is None


def test_the_scale_of_the_real_set_leaves_them_standard(rng: np.random.Generator) -> None:
    reals = rng.normal(size=(50, 3)) * [1.0, 40.0, 1e-9] + 7
    scaled = Standard.of(reals)(reals)
    assert scaled[:, :2].std(axis=0) == pytest.approx(1)
    assert scaled[:, 2].std() < 1e-6  # what hardly varies stays small


def test_new_images_of_a_kind_are_no_further_from_few_old_ones_than_these_are_from_each_other(
    rng: np.random.Generator,
) -> None:
    # Twelve originals and 48 new images of the same kind: on the scale of both neither they nor the originals' halves
    # are apart in the mean. On the originals' own scale the new ones seem to be, though nothing tells them apart.
    new, halves, alone = [], [], []
    for _ in range(60):
        old, others = rng.normal(size=(12, 30)), rng.normal(size=(48, 30))
        scale = Standard.between(old, others)
        new.append(kernel_distance(scale(old), scale(others)).value)
        floor = halves_distance(old, repeats=10)
        assert floor is not None
        halves.append(floor[0].value)
        own = Standard.of(old)
        alone.append(kernel_distance(own(old), own(others)).value)
    for found in (new, halves):
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(60) + 0.01  # both sets weigh alike, not every image
    assert np.mean(alone) > 5 * abs(np.mean(new))


def test_sets_far_apart_have_one_distance_however_many_images(rng: np.random.Generator) -> None:
    # Each lies one spread from the middle: (1 + 1)^3 within either set, (1 - 1)^3 across.
    for n in (12, 48, 200):
        first, second = rng.normal(size=(12, 30)), rng.normal(size=(n, 30)) + 1e3
        scale = Standard.between(first, second)
        assert kernel_distance(scale(first), scale(second)).value == pytest.approx(16, rel=0.01)

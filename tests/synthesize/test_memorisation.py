"""Copies are found however they were turned, and other surfaces are not called copies."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.micrograph import resize, to_grey, to_uint8
from sorby.phantom.corrosion import corrosion_set, render
from sorby.synthesize.memorisation import Memorisation, memorised

SIZE = 96


@pytest.fixture(scope="module")
def surfaces() -> list[np.ndarray]:
    """Sixteen coupons of one alloy, 192 px."""
    specimens = [each for each in corrosion_set(32, seed=5, severities=(2, 3, 4)) if each.alloy == "316L"][:16]
    return [resize(to_grey(to_uint8(render(each).pixels)), (2 * SIZE, 2 * SIZE)) for each in specimens]


@pytest.fixture(scope="module")
def originals(surfaces: list[np.ndarray]) -> list[np.ndarray]:
    return surfaces[:8]


def _found(images: list[np.ndarray], originals: list[np.ndarray]) -> Memorisation:
    return memorised(np.stack(images), originals, [str(k) for k in range(len(originals))])


def test_another_specimen_is_no_copy(surfaces: list[np.ndarray], originals: list[np.ndarray]) -> None:
    windows = [each[k : k + SIZE, k : k + SIZE] for each in surfaces[8:] for k in (0, SIZE)]
    assert not _found([*windows, *(resize(each, (SIZE, SIZE)) for each in surfaces[8:])], originals).copies.any()


def test_a_whole_copy_is_found_flipped_and_turned_and_named(originals: list[np.ndarray]) -> None:
    small = [resize(each, (SIZE, SIZE)) for each in originals]
    for changed in (small, [each[:, ::-1] for each in small], [np.rot90(each) for each in small]):
        found = _found(changed, originals)
        assert found.copies.all()
        assert found.original.tolist() == list(range(8))


def test_a_window_is_found_at_any_place_with_other_contrast_and_noise(
    originals: list[np.ndarray], rng: np.random.Generator
) -> None:
    cuts = [each[17 : 17 + SIZE, 83 : 83 + SIZE] for each in originals]
    changed = [np.clip(0.7 * cut + 40 + rng.normal(0, 4, cut.shape), 0, 255).astype(np.uint8) for cut in cuts]
    found = _found(changed, originals)
    assert found.copies.all()
    assert found.original.tolist() == list(range(8))


def test_a_shifted_copy_whose_rest_is_another_surface_is_found(
    surfaces: list[np.ndarray], originals: list[np.ndarray]
) -> None:
    small = [resize(each, (SIZE, SIZE)) for each in surfaces]
    half = SIZE // 2
    mixed = [np.concatenate([a[:, half:], b[:, :half]], axis=1) for a, b in zip(small[:8], small[8:], strict=True)]
    assert _found(mixed, originals).copies.mean() >= 0.9


def test_the_threshold_lies_between_the_most_alike_originals_and_identity(originals: list[np.ndarray]) -> None:
    found = _found([resize(originals[0], (SIZE, SIZE))], originals)
    assert found.among_originals < found.threshold < 1
    alone = memorised(np.stack([originals[0][:SIZE, :SIZE]]), originals[:1], ["a"])
    assert np.isnan(alone.among_originals)
    assert alone.copies.all()


def test_only_the_candidates_are_searched(originals: list[np.ndarray]) -> None:
    images = np.stack([resize(each, (SIZE, SIZE)) for each in originals[:2]])
    names = [str(k) for k in range(len(originals))]
    found = memorised(images, originals, names, np.array([[0, 3], [4, 5]]), np.tile(np.arange(4), (8, 1)))
    assert found.copies.tolist() == [True, False]
    assert found.original[0] == 0
    assert found.original[1] in (4, 5)

"""Hashes and structural similarity of many images at once agree with the programs that define them."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.metrics import structural_similarity

from sorby.corpus.likeness import Likeness
from sorby.corpus.near_duplicates import look_at, ssim_of_pairs
from sorby.corpus.perceptual_hash import hashes_of_reduced, phash, reduced, to_hex
from sorby.corpus.structural_similarity import mean_ssim, similarities, similarity, thumbnail


def fields(rng: np.random.Generator, n: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """Smooth noise of different coarseness."""
    stack = []
    for k in range(n):
        field = ndimage.gaussian_filter(rng.standard_normal(size), 1 + k % 7)
        stack.append((field - field.min()) / np.ptp(field) * 255)
    return np.stack(stack).astype(np.uint8)


def test_hashes_of_many_images_are_imagehash_bit_by_bit(rng):
    images = fields(rng, 60, (70, 90))
    together = hashes_of_reduced(np.stack([reduced(image) for image in images]))
    alone = [str(imagehash.phash(Image.fromarray(image))) for image in images]
    assert [to_hex(value) for value in together] == alone


def test_a_blank_image_has_the_hash_that_imagehash_gives_it():
    for level in (0, 1, 128, 255):
        blank = np.full((50, 50), level, np.uint8)
        assert to_hex(phash(blank)) == str(imagehash.phash(Image.fromarray(blank)))


def test_similarity_is_that_of_scikit_image(rng):
    first, second = fields(rng, 12), fields(rng, 12)
    second[::2] = np.clip(first[::2].astype(int) + rng.integers(-20, 20, first[::2].shape), 0, 255)
    expected = [structural_similarity(a, b, data_range=255) for a, b in zip(first, second, strict=True)]
    # Single precision after exact integer sums: seven digits.
    assert np.allclose(mean_ssim(first, second), expected, atol=2e-7)
    assert min(expected) < 0.3 < 0.6 < max(expected)


def test_no_digits_are_lost_in_bright_flat_images():
    flat = np.full((40, 40), 255, np.uint8)
    striped = flat.copy()
    striped[::2] = 254
    assert similarity(flat, striped) == pytest.approx(structural_similarity(flat, striped, data_range=255), abs=1e-7)


def test_an_image_is_exactly_as_similar_to_itself_as_can_be(rng):
    images = fields(rng, 20)
    assert (mean_ssim(images, images) == 1).all(), "a threshold of 1 must let a copy pass"


def test_similarity_does_not_depend_on_the_order_of_two_images(rng):
    first, second = fields(rng, 8), fields(rng, 8)
    assert np.array_equal(mean_ssim(first, second), mean_ssim(second, first))


def test_images_of_several_sizes_are_compared_at_the_size_of_the_first(rng):
    small, large = [thumbnail(image) for image in (fields(rng, 1, (60, 100))[0], fields(rng, 1, (300, 500))[0])]
    assert (small.shape, large.shape) == ((60, 100), (77, 128))
    pairs = np.array([[0, 1], [1, 0], [0, 0]])
    there, back, itself = similarities([small, large], pairs)
    resized = np.asarray(Image.fromarray(large).resize((100, 60), Image.Resampling.BOX))
    assert there == pytest.approx(structural_similarity(small, resized, data_range=255), abs=2e-7)
    assert back != there
    assert itself == 1


def test_tiny_images_are_equal_or_not():
    tiny = np.arange(25, dtype=np.uint8).reshape(5, 5)
    assert similarity(tiny, tiny) == 1
    assert similarity(tiny, tiny[::-1].copy()) == 0


@pytest.fixture
def series(tmp_path, rng):
    """Six different images, each stored three times: as it is, as JPEG, and a little brighter."""
    paths = []
    for k, image in enumerate(fields(rng, 6, (90, 90))):
        smooth = ndimage.gaussian_filter(image, 2)
        for name, pixels in (("a.png", smooth), ("b.jpg", smooth), ("c.png", np.clip(smooth * 1.05, 0, 255))):
            paths.append(tmp_path / f"{k}{name}")
            Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


def test_images_decoded_once_are_compared_as_if_read_again(series):
    hashes, thumbnails = look_at(series)
    pairs = np.array([[0, 1], [3, 5], [0, 3]])
    assert np.array_equal(ssim_of_pairs(series, pairs, thumbnails), ssim_of_pairs(series, pairs))
    assert len(thumbnails) == len(hashes) == 18


def test_the_best_neighbour_is_sought_among_the_nearest_of_the_other_side(series):
    hashes, thumbnails = look_at(series)
    likeness = Likeness.find(series, hashes, 12, thumbnails=thumbnails)
    originals, copies = np.arange(0, 18, 3), np.sort(np.concatenate([np.arange(1, 18, 3), np.arange(2, 18, 3)]))
    best = likeness.best(copies, originals, 10)
    truth = [max(ssim_of_pairs(series, np.array([[k, k + 1], [k, k + 2]]))) for k in originals]
    assert np.allclose(best, truth)
    assert (likeness.best(copies, originals, 1) <= best).all()
    assert np.array_equal(likeness.best(originals, originals[:0], 10), [])
    of_other_images = likeness.best(originals[1:], originals[:1], None)
    assert of_other_images[0] < 0.5, "without its copies an image has no near-duplicate"


def test_a_smaller_radius_keeps_the_nearer_candidates(series):
    hashes, thumbnails = look_at(series)
    wide = Likeness.find(series, hashes, 12, thumbnails=thumbnails)
    narrow = Likeness.find(series, hashes, 2, thumbnails=thumbnails)
    assert np.array_equal(wide.within(2).pairs, narrow.pairs)
    assert np.array_equal(wide.within(2).ssim, narrow.ssim)

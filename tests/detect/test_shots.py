"""K examples of each class: exactly K, other draws for other seeds, and the rest of a drawn image is nobody's fault."""

import numpy as np
import pytest

from sorby.detect.shots import k_shot
from sorby.errors import InputError
from sorby.evidence.boxes import TrueBoxes

CLASSES = ["scratch", "scuff", "pinhole"]


def _images(count: int = 40, seed: int = 0) -> list[TrueBoxes]:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        n = int(rng.integers(0, 5))
        corner = rng.uniform(0, 50, (n, 2))
        images.append(TrueBoxes(np.hstack([corner, corner + 5]).astype(np.float32), rng.integers(0, 3, n)))
    return images


@pytest.mark.parametrize("shots", [1, 5, 10])
def test_each_class_has_exactly_k_boxes(shots):
    drawn = k_shot(_images(), CLASSES, shots, seed=3)
    labels = np.concatenate([each.labels[~each.flags] for each in drawn.values()])
    assert np.bincount(labels, minlength=3).tolist() == [shots] * 3


def test_boxes_beyond_the_draw_are_ignored_and_not_lost():
    images = _images()
    for image, truth in k_shot(images, CLASSES, 2, seed=1).items():
        assert len(truth) == len(images[image])
        assert (truth.boxes == images[image].boxes).all()


def test_a_seed_draws_the_same_and_another_seed_others():
    images = _images()
    assert set(k_shot(images, CLASSES, 3, seed=1)) == set(k_shot(images, CLASSES, 3, seed=1))
    assert len({tuple(k_shot(images, CLASSES, 3, seed=s)) for s in range(6)}) == 6


def test_counting_images_takes_k_images_of_each_class_with_all_their_boxes():
    images = _images()
    drawn = k_shot(images, CLASSES, 4, seed=2, by="images")
    assert all(not each.flags.any() for each in drawn.values())
    assert all(sum(number in each.labels for each in drawn.values()) >= 4 for number in range(3))


def test_too_few_examples_are_refused_by_name_and_count():
    with pytest.raises(InputError, match=r"class pinhole has 1 boxes, fewer than 2"):
        k_shot([TrueBoxes(np.array([[0, 0, 4, 4]] * 4, np.float32), np.array([0, 0, 1, 1])),
                TrueBoxes(np.array([[0, 0, 4, 4]], np.float32), np.array([2]))], CLASSES, 2, seed=0)  # fmt: skip


def test_ignored_boxes_are_never_drawn():
    one = TrueBoxes(np.array([[0, 0, 4, 4], [5, 5, 9, 9]], np.float32), np.array([0, 0]), np.array([True, False]))
    drawn = k_shot([one], ["scratch"], 1, seed=0)
    assert drawn[0].flags.tolist() == [True, False]

"""What is cut from originals, and what their sketches keep of them."""

import numpy as np
import torch

from small_generators import sequences, small, surfaces
from sorby.synthesize import as_original, windows
from sorby.synthesize.methods import condition_from, teaching_batch
from sorby.synthesize.sketches import new_layout, sketch
from sorby.synthesize.windows import changed_alike, to_grey_levels, to_signed, window


def test_grey_levels_come_back_from_the_signed_range() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_grey_levels(to_signed(levels)), levels)
    assert to_signed(levels).min() == -1
    assert to_signed(levels).max() == 1


def test_frames_of_a_clip_are_cut_and_turned_alike() -> None:
    frames = np.stack([np.arange(64, dtype=np.uint8).reshape(8, 8)] * 3)
    rng = np.random.default_rng(0)
    for _ in range(10):
        cut = window(frames, 5, rng, flips=True, turns=True)
        assert np.array_equal(cut[0], cut[1])
        assert np.array_equal(cut[0], cut[2])


def test_clips_are_consecutive_and_never_cross_sequences() -> None:
    """Frame t of sequence s has the grey level 10 s + t throughout."""
    levels = 10 * np.arange(1, 5)[:, None] + np.arange(8)
    originals = np.broadcast_to(levels[:, :, None, None], (4, 8, 36, 36)).astype(np.uint8)
    recipe = small("gan-frames", training__batch_size=64)
    batch = teaching_batch(recipe, list(originals), np.random.default_rng(0))
    assert batch.condition is not None
    assert batch.before is not None
    found = to_grey_levels(torch.cat([batch.condition, batch.real], 1))[:, :, 0, 0].astype(int)
    assert found.shape == (64, 5)
    assert (np.diff(found, axis=1) == 1).all()
    assert (found // 10 == found[:, :1] // 10).all()
    assert set(found[:, 0] // 10) == {1, 2, 3, 4}
    assert np.array_equal(to_grey_levels(batch.before)[:, 0, 0, 0], found[:, 3])


def test_windows_visit_every_original_equally_often() -> None:
    pixels, source = windows(list(surfaces(3)), 32, 9, seed=0)
    assert pixels.shape == (9, 32, 32)
    assert np.bincount(source).tolist() == [3, 3, 3]
    assert np.array_equal(pixels, windows(list(surfaces(3)), 32, 9, seed=0)[0])


def test_an_original_keeps_its_proportions() -> None:
    recipe = small("small-data")
    assert as_original(surfaces(1, 80)[0], recipe).shape == (40, 40)
    assert as_original(np.zeros((60, 90, 3), np.uint8), recipe).shape == (40, 60)
    untouched = surfaces(1)[0]
    assert np.array_equal(as_original(untouched, recipe), untouched)


def test_a_sketch_keeps_cell_means_and_no_detail() -> None:
    fine = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 64, 64)).astype(np.float32))
    assert sketch(fine, 16).std() < 0.1 * fine.std()
    assert torch.allclose(sketch(torch.full((1, 1, 64, 64), 0.3), 16), torch.tensor(0.3), atol=1e-6)


def test_a_new_layout_is_of_the_parents_greys_but_lies_nowhere_in_it() -> None:
    rng = np.random.default_rng(0)
    views = to_signed(surfaces(2, 64))
    layouts = torch.stack([new_layout(views, 8, 1.5, rng) for _ in range(4)])
    own = sketch(views[:, None], 8)
    assert layouts.shape == (4, 1, 64, 64)
    assert all((layout - known).abs().mean() > 0.02 for layout in layouts for known in own)
    assert layouts.min() >= own.min() - 0.5  # bicubic spreading overshoots a little
    assert layouts.max() <= own.max() + 0.5


def test_conditions_of_one_parent_differ() -> None:
    rng = np.random.default_rng(0)
    first, second = (condition_from(small("gan-stills"), surfaces(1)[0], rng) for _ in range(2))
    assert first.shape == second.shape == (1, 32, 32)
    assert not torch.equal(first, second)
    assert condition_from(small("gan-frames"), sequences(1)[0], rng).shape == (4, 32, 32)


def test_gradients_pass_through_what_is_changed_alike() -> None:
    images = torch.rand(3, 1, 32, 32, requires_grad=True)
    changed = changed_alike(images, torch.Generator().manual_seed(0))
    changed.sum().backward()
    assert changed.shape == images.shape
    assert images.grad is not None
    assert (images.grad.abs() > 0).float().mean() > 0.5

"""A texture moved by a known distance is found to have moved by it, and gradients pass."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from sorby.synthesize.optical_flow import drawn_back, optical_flow, temporal_consistency

INNER = (slice(None), slice(12, -12), slice(12, -12))  # what moved in from outside cannot be known


def texture(edge: int = 96, seed: int = 0) -> np.ndarray:
    """Return smooth noise of unit spread, grain about 6 px."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((edge, edge)), 3.0, mode="wrap")
    return (field / field.std() * 0.4).astype(np.float32)


def moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return the picture after its content moved by (x, y) px."""
    return ndimage.shift(picture, (y, x), order=3, mode="wrap").astype(np.float32)


def batch(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures))[:, None]


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, 0.0), (0.0, -2.0), (2.5, 1.25), (-4.0, 3.0)])
def test_flow_recovers_a_known_translation(x: float, y: float) -> None:
    picture = texture()
    flow = optical_flow(batch(picture), batch(moved(picture, x, y)))[0].numpy()
    # A tenth of a pixel: what cubic shifting and a window of 9 px leave on a texture of 6 px grain.
    assert np.abs(np.median(flow[0][INNER[1:]]) - x) < 0.1
    assert np.abs(np.median(flow[1][INNER[1:]]) - y) < 0.1


def test_an_image_drawn_back_by_its_flow_is_the_first_one() -> None:
    picture = texture()
    second = batch(moved(picture, 2.0, -1.0))
    back = drawn_back(second, optical_flow(batch(picture), second))[0, 0].numpy()
    assert np.abs(back - picture)[INNER[1:]].mean() < 0.1 * np.abs(second[0, 0].numpy() - picture)[INNER[1:]].mean()


def test_flat_images_do_not_move() -> None:
    flat = torch.zeros(1, 1, 48, 48)
    assert optical_flow(flat, flat + 0.3).abs().max() < 1e-5  # rounding of the blur


def test_gradients_of_the_flow_reach_the_second_image() -> None:
    first, second = batch(texture()), batch(moved(texture(), 1.0, 0.0)).requires_grad_(True)
    optical_flow(first, second).square().mean().backward()
    assert second.grad is not None
    assert torch.isfinite(second.grad).all()
    assert second.grad.abs().sum() > 0


def test_frames_that_move_as_the_real_ones_are_consistent_and_frozen_ones_are_not() -> None:
    before = texture()
    after = moved(before, 2.0, 0.0)
    grey = [np.clip(127.5 + 127.5 * each, 0, 255).astype(np.uint8)[None] for each in (before, after)]
    alike = temporal_consistency(grey[0], grey[1], grey[1])
    assert alike.flow_difference_px[0] == 0
    frozen = temporal_consistency(grey[0], grey[1], grey[0])
    assert frozen.generated_motion_px[0] < 0.01
    assert frozen.flow_difference_px[0] == pytest.approx(frozen.real_motion_px[0], abs=0.02)
    assert frozen.real_motion_px[0] == pytest.approx(2.0, abs=0.3)  # the edges, where content left, are counted too

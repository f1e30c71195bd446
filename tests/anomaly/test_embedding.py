"""Which features, on which grid, and where they lie."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sorby.anomaly.embedding import Embedding, FeatureChoice, GridChoice, upsample
from sorby.anomaly.smoothing import at_pixels, smooth_grid, smooth_pixels
from sorby.backbone.architecture import load
from sorby.backbone.patch_maps import PatchMaps
from sorby.errors import InputError


@pytest.fixture(scope="module")
def lite0() -> PatchMaps:
    return PatchMaps(load("efficientnet_lite0"), stages=(1, 2, 3))


def test_b4_blocks_counted_from_one_give_the_published_248_channels() -> None:
    maps = PatchMaps(load("efficientnet_b4", pretrained=False), blocks=(3, 7, 17))
    assert maps.channels == (32, 56, 160)
    assert sum(maps.channels) == 248
    assert maps.strides == (4, 8, 16)  # 56 x 56 places at 224 px


def test_places_that_a_network_lacks_are_refused_with_those_it_has() -> None:
    backbone = load("efficientnet_lite0")
    with pytest.raises(InputError, match="stages 0 to 4"):
        PatchMaps(backbone, stages=(2, 9))
    with pytest.raises(InputError, match="rising"):
        PatchMaps(backbone, stages=(3, 1))
    with pytest.raises(InputError, match="no numbered blocks"):
        PatchMaps(load("resnet18", pretrained=False), blocks=(1,))
    with pytest.raises(InputError, match="either stages or blocks"):
        PatchMaps(backbone)


def test_a_grey_channel_gives_what_three_equal_ones_give() -> None:
    maps = PatchMaps(load("efficientnet_lite0"), stages=(1, 2))
    assert maps.grey_stem
    grey = torch.randint(0, 255, (2, 64, 64, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for one, three in zip(maps(grey), maps(grey.expand(-1, -1, -1, 3)), strict=True):
            torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-4)


def test_random_features_are_chosen_by_their_seed() -> None:
    chosen = FeatureChoice(count=100, seed=3).indices(176)
    assert len(set(chosen.tolist())) == 100
    assert chosen.max() < 176
    assert (chosen == FeatureChoice(count=100, seed=3).indices(176)).all()
    assert (chosen != FeatureChoice(count=100, seed=4).indices(176)).any()
    with pytest.raises(InputError, match="177 of 176"):
        FeatureChoice(count=177).indices(176)


@given(st.integers(1, 20), st.integers(0, 5))
def test_mixtures_are_orthonormal(count: int, seed: int) -> None:
    q = FeatureChoice(kind="orthogonal", count=count, seed=seed).projection(20)
    np.testing.assert_allclose(q @ q.T, np.eye(count), atol=1e-5)


def test_repeated_cells_stay_centred(lite0: PatchMaps) -> None:
    embedding = Embedding(lite0, FeatureChoice(kind="all"), GridChoice())
    coarse = torch.zeros(1, 1, 8, 8)
    coarse[0, 0, 5, 5] = 1
    rows = embedding.to_finest(coarse, 2)[0, 0].sum(1).nonzero().flatten()
    # Cells of lite0's coarsest map look about 6 px up and left of pixel 16 * i, a cell and a half of the finest grid.
    assert rows.tolist() == [17, 18, 19, 20]
    corner = Embedding(lite0, FeatureChoice(kind="all"), GridChoice(alignment="corner"))
    torch.testing.assert_close(corner.to_finest(coarse, 2), upsample(coarse, 4))


def test_a_dot_is_brightest_where_it_is(lite0: PatchMaps) -> None:
    embedding = Embedding(lite0, FeatureChoice(kind="all"), GridChoice())
    blank = torch.full((1, 192, 192, 1), 128, dtype=torch.uint8)
    offsets = []
    for y, x in ((80, 96), (101, 90), (91, 113)):
        dotted = blank.clone()
        dotted[0, y - 2 : y + 3, x - 2 : x + 3] = 255
        with torch.inference_mode():
            moved = embedding.assemble(embedding(dotted)) - embedding.assemble(embedding(blank))
        heat = smooth_grid(moved.square().sum(1).sqrt().numpy(), 1.0)
        spread = at_pixels(heat, (192, 192), centred=embedding.centred)[0]
        weights = np.where(spread > 0.5 * spread.max(), spread, 0)
        centre = [float((np.indices(spread.shape)[k] * weights).sum() / weights.sum()) for k in (0, 1)]
        offsets.append((centre[0] - y, centre[1] - x))
    # Less than a cell of the fine grid; repeated from their corners, cells lie 10 px off.
    assert np.abs(np.mean(offsets, axis=0)).max() < 2.5


def test_the_grid_may_be_coarser_than_the_finest_map(lite0: PatchMaps) -> None:
    embedding = Embedding(lite0, FeatureChoice(kind="all"), GridChoice(stride=8))
    images = torch.zeros(1, 64, 64, 1, dtype=torch.uint8)
    with torch.inference_mode():
        assert embedding.assemble(embedding(images)).shape == (1, 176, 8, 8)
    with pytest.raises(InputError, match="do not fit a grid"):
        Embedding(lite0, FeatureChoice(kind="all"), GridChoice(stride=6))


def test_smoothing_keeps_the_sum_and_the_published_order_is_interpolate_then_smooth() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((2, 16, 16), dtype=np.float32)
    np.testing.assert_allclose(smooth_grid(maps, 1.0).mean((1, 2)), maps.mean((1, 2)), rtol=0.02)
    assert smooth_grid(maps, 0.0) is maps
    exact = smooth_pixels(maps, (64, 64), 4.0)
    assert exact.shape == (2, 64, 64)
    # The quick form is the same picture: smoothed on the grid, then interpolated.
    quick = at_pixels(smooth_grid(maps, 1.0), (64, 64))
    assert np.corrcoef(exact.ravel(), quick.ravel())[0, 1] > 0.99

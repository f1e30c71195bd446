"""Sums, whitening and distances against what NumPy says of the vectors themselves."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from sorby.anomaly.embedding import Embedding, FeatureChoice, GridChoice
from sorby.anomaly.gaussian_sums import GaussianSums, whitening
from sorby.anomaly.leave_one_out import ExactLeaveOneOut
from sorby.anomaly.mahalanobis_maps import PooledGaussian, PositionGaussians
from sorby.anomaly.memory import GaussianMemory
from sorby.backbone.architecture import load
from sorby.backbone.patch_maps import PatchMaps
from sorby.errors import InputError


def vectors(places: int, count: int, length: int, seed: int = 0, offset: float = 50.0) -> torch.Tensor:
    """Correlated vectors far from zero, where sums of squares lose digits."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(length, length, generator=generator)
    return torch.randn(places, count, length, generator=generator) @ mix + offset


def test_sums_give_the_covariance_of_the_vectors_whatever_the_batches() -> None:
    x = vectors(3, 40, 6)
    sums = GaussianSums.about(x[:, :7])
    for part in torch.split(x, 7, dim=1):
        sums.add(part)
    for place in range(3):
        np.testing.assert_allclose(sums.mean()[place], x[place].mean(0), rtol=1e-5)
        # float32 sums about a point near the mean keep five digits of the covariance
        np.testing.assert_allclose(sums.covariance()[place], np.cov(x[place].numpy().T), rtol=2e-4, atol=2e-4)


def test_removing_what_was_added_leaves_the_sums_of_the_rest() -> None:
    x = vectors(2, 30, 5)
    both, rest = GaussianSums.about(x), GaussianSums.about(x)
    both.add(x)
    both.remove(x[:, :12])
    rest.add(x[:, 12:])
    assert both.count == rest.count == 18
    torch.testing.assert_close(both.covariance(), rest.covariance(), rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="two vectors"):
        both.remove(x[:, 12:29])


def test_pooled_sums_hold_a_million_vectors_to_ten_digits() -> None:
    x = vectors(1, 1_000_000, 3, offset=1000.0).double()
    sums = GaussianSums.about(x[:, :1000])
    for part in torch.split(x, 100_000, dim=1):
        sums.add(part)
    np.testing.assert_allclose(sums.covariance()[0], np.cov(x[0].numpy().T), rtol=1e-10)


def test_sums_survive_being_stored() -> None:
    x = vectors(4, 9, 5)
    sums = GaussianSums.about(x)
    sums.add(x)
    again = GaussianSums.from_arrays(sums.arrays())
    assert again.count == 9
    torch.testing.assert_close(again.covariance(), sums.covariance())
    broken = sums.arrays() | {"second": sums.arrays()["second"][:, :-1]}
    with pytest.raises(ValueError, match="shape"):
        GaussianSums.from_arrays(broken)


def test_whitening_makes_the_lifted_covariance_the_identity_even_from_two_vectors() -> None:
    x = vectors(1, 2, 6)
    sums = GaussianSums.about(x)
    sums.add(x)
    w = whitening(sums.covariance(), 0.01)
    lifted = sums.covariance().double() + 0.01 * torch.eye(6)
    torch.testing.assert_close(w @ lifted @ w.transpose(1, 2), torch.eye(6).double()[None], rtol=0, atol=1e-6)
    one = GaussianSums.about(x)
    one.add(x[:, :1])
    with pytest.raises(InputError, match="no covariance"):
        one.covariance()


@pytest.fixture(scope="module")
def lite0() -> PatchMaps:
    return PatchMaps(load("efficientnet_lite0"), stages=(1, 2, 3))


@pytest.mark.parametrize(
    ("kind", "stride", "alignment"),
    [("random", None, "centred"), ("random", None, "corner"), ("all", 8, "centred"), ("orthogonal", None, "centred")],
)
def test_the_distance_split_by_depth_is_the_mahalanobis_distance(
    lite0: PatchMaps, kind: str, stride: int | None, alignment: str
) -> None:
    features = FeatureChoice(kind=kind, count=40)  # type: ignore[arg-type]
    embedding = Embedding(lite0, features, GridChoice(stride=stride, alignment=alignment))  # type: ignore[arg-type]
    images = torch.randint(0, 255, (3, 64, 96, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        levels = embedding(images)
        assembled = embedding.assemble(levels)
        rows = assembled.permute(0, 2, 3, 1).reshape(1, -1, embedding.length)
        sums = GaussianSums.about(rows)
        sums.add(rows)
        found = PooledGaussian(embedding, sums, 0.01)(levels)
    covariance = np.cov(rows[0].numpy().T.astype(np.float64)) + 0.01 * np.eye(embedding.length)
    inverse, mean = np.linalg.inv(covariance), rows[0].numpy().mean(0)
    for place in ((0, 0, 0), (1, 3, 5), (2, -1, -1)):
        vector = assembled[place[0], :, place[1], place[2]].numpy()
        assert found[place].item() == pytest.approx(mahalanobis(vector, mean, inverse), rel=1e-3)


def test_position_gaussians_compare_each_place_with_itself(lite0: PatchMaps) -> None:
    embedding = Embedding(lite0, FeatureChoice(count=20), GridChoice(stride=16))
    images = torch.randint(0, 255, (12, 64, 64, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assembled = embedding.assemble(embedding(images))
        memory = GaussianMemory((4, 4), pooled=False, epsilon=0.01)
        for k in range(12):
            memory.add(assembled[k : k + 1], k)
        found = PositionGaussians(embedding, memory.filled(), (4, 4), 0.01).of_vectors(assembled)
    at = assembled[:, :, 2, 3].numpy().astype(np.float64)
    inverse = np.linalg.inv(np.cov(at.T) + 0.01 * np.eye(20))
    for k in (0, 7):
        assert found[k, 2, 3].item() == pytest.approx(mahalanobis(at[k], at.mean(0), inverse), rel=1e-3)


@pytest.mark.parametrize("n", [5, 30])
def test_leave_one_out_is_a_refit_without_the_image(n: int) -> None:
    x = vectors(4, n, 8, seed=n, offset=3.0)  # 2 x 2 places; with n = 5 covariances are rank-deficient
    memory = GaussianMemory((2, 2), pooled=False, epsilon=0.01)
    for k in range(n):
        memory.add(x[:, k].T.reshape(1, 8, 2, 2), k)
    exact = ExactLeaveOneOut(memory)
    for k in (0, n - 1):
        found = exact.distances(x[:, k].T.reshape(1, 8, 2, 2))[0].flatten()
        for place in range(4):
            others = np.delete(x[place].numpy().astype(np.float64), k, axis=0)
            inverse = np.linalg.inv(np.cov(others.T) + 0.01 * np.eye(8))
            assert found[place].item() == pytest.approx(
                mahalanobis(x[place, k].numpy(), others.mean(0), inverse), rel=5e-3
            )


def test_a_position_wise_memory_refuses_images_of_another_size() -> None:
    memory = GaussianMemory((2, 2), pooled=False, epsilon=0.01)
    with pytest.raises(InputError, match="feature maps of"):
        memory.add(torch.zeros(1, 8, 3, 2), 0)

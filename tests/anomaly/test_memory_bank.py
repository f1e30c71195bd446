"""Remembered patches: a fair sample, a coreset that covers, nearest distances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from sorby.anomaly.embedding import Embedding, FeatureChoice, GridChoice
from sorby.anomaly.memory_bank import NearestPatches, PatchReservoir, coreset
from sorby.backbone.architecture import load
from sorby.backbone.patch_maps import PatchMaps


def test_the_sample_is_uniform_over_all_patches_seen() -> None:
    hits = np.zeros(100)
    for seed in range(400):
        reservoir = PatchReservoir(20, seed)
        for begin in range(0, 100, 25):
            patches = np.arange(begin, begin + 25, dtype=np.float32)[:, None]
            reservoir.add(patches, np.arange(begin, begin + 25))
        hits[reservoir.sample()[0].astype(int).ravel()] += 1
    # Each patch is kept in 80 of 400 draws on average, deviation 8; early and late ones alike.
    assert abs(hits[:25].mean() - 80) < 6
    assert abs(hits[75:].mean() - 80) < 6


def test_forgetting_an_image_takes_its_patches_only() -> None:
    reservoir = PatchReservoir(30, 0)
    for image in range(3):
        reservoir.add(np.full((10, 2), image, np.float32), np.full(10, image))
    reservoir.forget(1)
    patches, owners = reservoir.sample()
    assert sorted(set(owners.tolist())) == [0, 2]
    assert len(patches) == 20
    other = PatchReservoir(30, 0)
    other.restore(patches, owners, reservoir.seen)
    np.testing.assert_array_equal(other.sample()[0], patches)


def test_a_coreset_covers_better_than_a_random_choice() -> None:
    rng = np.random.default_rng(0)
    # A crowd, and a few patches far from it: only farthest-point selection is sure to keep the few.
    patches = np.concatenate([rng.normal(size=(1000, 8)), rng.normal(8, 1, size=(10, 8))]).astype(np.float32)
    chosen = coreset(patches, 40, seed=0)
    assert len(set(chosen.tolist())) == 40
    reach = cdist(patches, patches[chosen]).min(1).max()
    by_chance = cdist(patches, patches[rng.choice(1010, 40, replace=False)]).min(1).max()
    assert reach < 0.8 * by_chance
    assert len(coreset(patches[:5], 40, seed=0)) == 5


@pytest.mark.parametrize("neighbours", [1, 3])
def test_distances_are_those_to_the_nearest_patches(neighbours: int) -> None:
    maps = PatchMaps(load("efficientnet_lite0"), stages=(2,))
    embedding = Embedding(maps, FeatureChoice(kind="all"), GridChoice(neighbourhood=3))
    rng = np.random.default_rng(1)
    bank = rng.normal(100, 1, size=(50, 40)).astype(np.float32)  # far from zero, where squares lose digits
    vectors = rng.normal(100, 1, size=(1, 40, 2, 3)).astype(np.float32)
    found = NearestPatches(embedding, bank, neighbours).of_vectors(torch.from_numpy(vectors))[0].numpy()
    rows = vectors[0].reshape(40, 6).T
    expected = np.sort(cdist(rows, bank), axis=1)[:, :neighbours].mean(1).reshape(2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)

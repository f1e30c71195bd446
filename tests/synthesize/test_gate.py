"""The gate: each reason on an image made for it, and a person's word above it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sorby.errors import InputError
from sorby.evidence.generated_sets import Standard
from sorby.synthesize.feature_distances import SurfaceFeatures, distances
from sorby.synthesize.gate import Gated, checked_decision, gate


def _surfaces(rng: np.random.Generator, count: int) -> np.ndarray:
    smooth = ndimage.gaussian_filter(rng.normal(size=(count, 64, 64)), (0, 2, 2), mode="wrap")
    return np.clip(128 + 30 * smooth / smooth.std(axis=(1, 2), keepdims=True), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def features() -> SurfaceFeatures:
    return SurfaceFeatures("cpu")


@pytest.fixture(scope="module")
def checked(features: SurfaceFeatures) -> Gated:
    rng = np.random.default_rng(3)
    real = _surfaces(rng, 16)
    good = _surfaces(rng, 3)
    row = np.arange(64)
    striped = (128 + 40 * np.sin(2 * np.pi * (row[:, None] + row[None]) / 8)).astype(np.uint8)
    strange = np.where(rng.random((64, 64)) < 0.5, 0, 255).astype(np.uint8)
    images = np.stack([*good, good[1], real[4][:, ::-1], np.full((64, 64), 90, np.uint8), striped, strange])
    scale = Standard.of(features(real))
    return gate(images, scale(features(images)), real, scale(features(real)), list(real), [str(k) for k in range(16)])


def test_surfaces_of_the_same_kind_pass(checked: Gated) -> None:
    assert checked.reasons[:3] == [(), (), ()]
    assert checked.accepted[:3].all()


def test_each_fault_has_its_code(checked: Gated) -> None:
    for code, codes in zip(("repeat", "copy", "flat", "striped", "strange"), checked.reasons[3:], strict=True):
        assert code in codes
    assert not checked.accepted[3:].any()
    assert checked.memory.original[4] == 4


def test_a_person_is_believed_either_way(checked: Gated) -> None:
    decided = checked.decided(["reject", "", "", "accept", "", "", "", ""])
    assert decided.accepted.tolist() == [False, True, True, True, False, False, False, False]
    assert decided.reasons == checked.reasons  # what the gate said stays


def test_only_two_words_are_decisions() -> None:
    assert [checked_decision(each, "a") for each in (" Accept", "reject", "", None, float("nan"))] == [
        "accept", "reject", "", "", "",
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"synthetic\.csv, line 3: decision 'yes'"):
        checked_decision("yes", "synthetic.csv, line 3")


def test_distances_stand_between_floor_and_ceiling(features: SurfaceFeatures) -> None:
    rng = np.random.default_rng(4)
    real, same = _surfaces(rng, 24), _surfaces(rng, 24)
    noise = rng.integers(0, 256, (24, 64, 64)).astype(np.uint8)
    found = distances(features(real), features(same), [str(k // 2) for k in range(24)], untaught=features(noise))
    assert found["kid"]["ci95"][0] < 0.05 * found["ceiling"]["value"]
    assert abs(found["place"]) < 0.1
    assert found["floor"]["ci95"][0] < found["floor"]["ci95"][1] < found["ceiling"]["value"]
    assert found["fid"] > 0  # and so is that of halves of the real images: the bias of few
    assert found["fid_floor"] > 0
    assert found["precision"] > 0.5
    assert any("24 images on one side" in line for line in found["warnings"])


def test_too_few_images_have_no_distance_and_it_is_said(features: SurfaceFeatures) -> None:
    rng = np.random.default_rng(5)
    found = distances(features(_surfaces(rng, 4)), features(_surfaces(rng, 1)), ["a", "a", "b", "b"])
    assert found["kid"] is found["floor"] is found["precision"] is found["fid"] is None
    assert len(found["warnings"]) == 3

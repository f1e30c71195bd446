"""The sanity check passes maps that depend on the weights and fails those that do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from attribution_networks import ChannelMean, PooledStages, Trained

from sorby.attribution import Attribution, grad_cam, linear_contribution, randomisation_check
from sorby.errors import InputError

STAGES = ["stages.0", "stages.1", "stages.2"]


def edges(model, images, targets):
    """Draw the horizontal gradient of the image, whatever the model."""
    signed = np.abs(np.gradient(images[:, 0], axis=2)).astype(np.float32)
    n = len(images)
    return Attribution.from_signed(signed, np.zeros(n, np.int64), np.zeros(n), "edges")


def test_grad_cam_depends_on_the_weights(images):
    result = randomisation_check(Trained(), images, seed=1)
    assert result["passed"]
    assert result["classifier"]["spearman"] < 0.5
    assert result["network"]["spearman"] < 0.5
    assert result["classifier_name"] == "head"


def test_the_contributions_of_frozen_stages_depend_on_the_weights(images):
    result = randomisation_check(
        PooledStages(), images, explain=lambda m, x, t: linear_contribution(m, x, t, STAGES).positive()
    )
    assert result["passed"]
    assert result["method"] == "linear contribution"


def test_an_edge_map_survives_the_shuffling_and_fails(images):
    result = randomisation_check(Trained(), images, explain=edges)
    assert not result["passed"]
    assert result["network"] == {"spearman": pytest.approx(1.0), "ssim": pytest.approx(1.0), "blank": 0.0}


def test_the_same_seed_gives_the_same_answer_and_the_model_keeps_its_weights(images):
    model = Trained().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = randomisation_check(model, images, seed=7, repeats=2)
    assert randomisation_check(model, images, seed=7, repeats=2) == first
    assert randomisation_check(model, images, seed=8, repeats=2) != first
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


def test_shuffling_keeps_the_values_and_reaches_only_what_it_should(images):
    model, copies = Trained(), []

    def spy(network, pictures, targets):
        copies.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return grad_cam(network, pictures, targets)

    randomisation_check(model, images, explain=spy, repeats=1)
    plain, classifier, network = copies
    for name, tensor in plain.items():
        for other in (classifier, network):
            assert torch.equal(other[name].flatten().sort().values, tensor.flatten().sort().values)
    assert torch.equal(classifier["body.0.weight"], plain["body.0.weight"])
    assert not torch.equal(classifier["head.weight"], plain["head.weight"])
    assert not torch.equal(network["body.0.weight"], plain["body.0.weight"])


def test_the_classes_stay_those_of_the_unshuffled_model(images):
    asked = []

    def spy(network, pictures, targets):
        asked.append(targets)
        return grad_cam(network, pictures, targets)

    randomisation_check(Trained(), images, explain=spy, repeats=1)
    assert asked[0] is None
    expected = grad_cam(Trained(), images).targets
    for targets in asked[1:]:
        np.testing.assert_array_equal(targets, expected)


def test_the_result_is_plain_json(images):
    result = randomisation_check(Trained(), images, 0, "body.3", repeats=1)
    assert json.loads(json.dumps(result)) == result
    assert result["layers"] == ["body.3"]


def test_blank_maps_cannot_be_tested(images):
    model = ChannelMean()
    with torch.no_grad():
        model.head.weight.fill_(-1)
    with pytest.raises(InputError, match="blank before shuffling"):
        randomisation_check(model, images, 0, "act")


def test_a_network_without_a_linear_layer_needs_a_name(images):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(InputError, match="no linear layer"):
        randomisation_check(model, images)
    assert "network" in randomisation_check(model, images, layers="0", classifier="0", targets=[0, 1, 0, 1, 0])

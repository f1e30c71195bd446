"""Known answers of the published terms."""

import math

import pytest
import torch
from torch import nn

from sorby.synthesize import losses


def edge(column: int, rows: int = 8, columns: int = 8) -> torch.Tensor:
    """Return an upright edge from 0 to 1 at *column*."""
    return (torch.arange(columns) >= column).float().expand(1, 1, rows, columns).clone()


def test_intensity_is_the_mean_squared_difference() -> None:
    assert float(losses.intensity(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5))) == pytest.approx(0.25)


def test_gradient_of_a_shifted_edge_counts_both_places() -> None:
    # Of 7 differences in a row one is 1 in each image, at different places: 2 of 7 are missed.
    assert float(losses.gradient_difference(edge(3), edge(5))) == pytest.approx(2 / 7)


def test_gradient_knows_no_sign_and_no_brightness() -> None:
    assert float(losses.gradient_difference(1 - edge(3), edge(3))) == 0
    assert float(losses.gradient_difference(edge(3) + 0.4, edge(3))) == pytest.approx(0, abs=1e-6)


def test_each_direction_is_compared_with_itself() -> None:
    """As printed, equation 2 compares horizontal differences with vertical ones: of equal images it would not be 0."""
    upright = edge(3)
    assert float(losses.gradient_difference(upright, upright)) == 0
    as_printed = (upright.diff(dim=-1).abs() - upright.diff(dim=-2).abs().transpose(-1, -2)).abs().mean()
    assert float(as_printed) > 0
    assert float(losses.gradient_difference(upright.transpose(-1, -2), upright)) == pytest.approx(2 / 7)


def test_least_squares_targets_are_one_and_zero() -> None:
    one, zero = torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    assert float(losses.least_squares_discriminator(one, zero)) == 0
    assert float(losses.least_squares_discriminator(zero, one)) == 1
    assert float(losses.least_squares_generator(one)) == 0
    assert float(losses.least_squares_generator(zero)) == 0.5


def test_logistic_losses_are_those_of_a_fair_coin_where_nothing_is_told_apart() -> None:
    zero = torch.zeros(3, 2)
    assert float(losses.logistic_discriminator(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(losses.logistic_generator(zero)) == pytest.approx(math.log(2))
    assert float(losses.logistic_discriminator(zero + 50, zero - 50)) == pytest.approx(0, abs=1e-6)


def test_slope_penalty_of_a_linear_score_is_half_its_squared_weights() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    found = losses.slope_penalty(linear, torch.rand(5, 1, 2, 2))
    assert float(found.detach()) == pytest.approx(float(linear[1].weight.detach().square().sum()) / 2)


def test_flow_of_the_true_frame_costs_nothing() -> None:
    chance = torch.Generator().manual_seed(0)
    before, after = torch.rand(2, 1, 48, 48, generator=chance).split(1)
    assert float(losses.flow_difference(before, after, after)) == 0
    assert float(losses.flow_difference(before, before, after)) > 0

"""The terms of the published objective, equations 1 to 8 of Bhat et al. (2023), as means, so that sizes compare.

The objective is that of W. Liu et al., "Future frame prediction for anomaly detection", CVPR 2018 (arXiv 1712.09867).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sorby.synthesize.optical_flow import optical_flow


def intensity(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of grey, equation 1; printed without the square that Liu et al. have."""
    return functional.mse_loss(generated, real)


def gradient_difference(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return how far absolute grey differences between neighbours are apart, equation 2, images (N, C, H, W).

    The equation as printed calls itself temporal, and its second term subtracts the neighbour above where that to the
    left is meant: ``I[i, j] - I[i-1, j]`` for ``I[i, j] - I[i, j-1]``. Here each direction is compared with itself.
    """
    down = (generated.diff(dim=-2).abs() - real.diff(dim=-2).abs()).abs().mean()
    across = (generated.diff(dim=-1).abs() - real.diff(dim=-1).abs()).abs().mean()
    return down + across


def flow_difference(before: torch.Tensor, generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference of two motions out of the last frame, equation 3, in pixels.

    Flow is ours (`sorby.synthesize.optical_flow`); Liu et al. took it from a pretrained network.
    """
    with torch.no_grad():
        truth = optical_flow(before, real)
    return functional.l1_loss(optical_flow(before, generated), truth)


def least_squares_discriminator(on_real: torch.Tensor, on_generated: torch.Tensor) -> torch.Tensor:
    """Return the discriminator's loss with targets 1 and 0, equations 4, 5 and 8."""
    return 0.5 * (on_real - 1.0).square().mean() + 0.5 * on_generated.square().mean()


def least_squares_generator(on_generated: torch.Tensor) -> torch.Tensor:
    """Return the generator's adversarial loss with target 1, equation 6."""
    return 0.5 * (on_generated - 1.0).square().mean()


def logistic_discriminator(on_real: torch.Tensor, on_generated: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of telling originals from generated images (I. Goodfellow et al., NeurIPS 2014)."""
    return functional.softplus(-on_real).mean() + functional.softplus(on_generated).mean()


def logistic_generator(on_generated: torch.Tensor) -> torch.Tensor:
    """Return the generator's loss beside `logistic_discriminator`, the form whose slope does not vanish."""
    return functional.softplus(-on_generated).mean()


def slope_penalty(discriminator: nn.Module, real: torch.Tensor) -> torch.Tensor:
    """Return the mean squared slope of the discriminator's score at originals, over 2.

    It keeps a discriminator from growing sure of a dozen originals, and the game from circling.

    References
    ----------
    L. Mescheder, A. Geiger, S. Nowozin, ICML 2018 (arXiv 1801.04406), the penalty R1.
    """
    real = real.detach().requires_grad_(True)
    score = discriminator(real).flatten(1).mean(1).sum()
    (slope,) = torch.autograd.grad(score, real, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3)).mean() / 2

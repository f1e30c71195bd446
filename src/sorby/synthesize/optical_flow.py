"""Optical flow that gradients pass through, after Lucas and Kanade; whether generated frames move as real ones do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from sorby.synthesize.windows import to_signed

_WINDOW_PX = 9
_STIFFNESS = (
    1e-3  # of squared grey (range 2) a squared pixel: places without contrast stay where the level above put them
)
_LEAST_EDGE_PX = 16  # no coarser level than this
_LARGEST_STEP_PX = 1.0  # a linear model of grey is not believed further


def optical_flow(first: torch.Tensor, second: torch.Tensor, *, levels: int = 3, rounds: int = 3) -> torch.Tensor:
    """Return where each pixel of *first* lies in *second*.

    At each level of the pyramid *second* is drawn back by the flow so far and the rest is solved for by least squares
    over a window. No network is needed; gradients of the flow reach both images.

    Parameters
    ----------
    first, second : Tensor, shape (N, 1, H, W)
        Values in [-1, 1].
    levels : int
        Halvings and the full size; motions up to about ``2 ** levels`` px are found.
    rounds : int
        Least-squares solutions a level.

    Returns
    -------
    Tensor, shape (N, 2, H, W)
        Motion along x and along y, pixels.

    References
    ----------
    B. D. Lucas, T. Kanade, IJCAI 1981; J.-Y. Bouguet, Intel Corporation 2000 (the pyramid).
    """
    pyramid = [(_smooth(first), _smooth(second))]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[-2:]) >= 2 * _LEAST_EDGE_PX:
        pyramid.append((_halved(pyramid[-1][0]), _halved(pyramid[-1][1])))
    coarsest = pyramid[-1][0]
    flow = coarsest.new_zeros(len(coarsest), 2, *coarsest.shape[-2:])
    for here, there in reversed(pyramid):
        size = here.shape[-2:]
        if flow.shape[-2:] != size:
            grown = size[1] / flow.shape[-1]
            flow = functional.interpolate(flow, size=size, mode="bilinear", align_corners=False) * grown
        for _ in range(rounds):
            flow = flow + _rest(here, drawn_back(there, flow))
    return flow


def drawn_back(images: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Return images (N, C, H, W) read at each pixel's place plus *flow* (N, 2, H, W); edges are repeated."""
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device, dtype=images.dtype).view(1, -1, 1)
    columns = torch.arange(width, device=images.device, dtype=images.dtype).view(1, 1, -1)
    x = (columns + flow[:, 0] + 0.5) * 2 / width - 1
    y = (rows + flow[:, 1] + 0.5) * 2 / height - 1
    grid = torch.stack([x, y], dim=-1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _rest(here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return the motion left between two images by least squares over a window."""
    mean = (here + there) / 2
    padded = functional.pad(mean, (1, 1, 1, 1), mode="replicate")
    along_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    along_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    change = there - here
    xx, yy, xy, xt, yt = _windowed(
        torch.cat([along_x**2, along_y**2, along_x * along_y, along_x * change, along_y * change], 1)
    ).chunk(5, dim=1)
    xx, yy = xx + _STIFFNESS, yy + _STIFFNESS
    determinant = xx * yy - xy**2
    step = torch.cat([xy * yt - yy * xt, xy * xt - xx * yt], 1) / determinant
    return step.clamp(-_LARGEST_STEP_PX, _LARGEST_STEP_PX)


def _windowed(maps: torch.Tensor) -> torch.Tensor:
    means: torch.Tensor = functional.avg_pool2d(
        maps, _WINDOW_PX, stride=1, padding=_WINDOW_PX // 2, count_include_pad=False
    )
    return means


def _smooth(images: torch.Tensor) -> torch.Tensor:
    """Blur a little, so that shot noise moves nothing."""
    weights = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1))
    return functional.conv2d(across, weights.view(1, 1, -1, 1))


def _halved(images: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(images, 2)


@dataclass(frozen=True)
class TemporalConsistency:
    """How generated frames move, beside the real ones.

    Attributes
    ----------
    flow_difference_px : ndarray, shape (n,)
        Mean distance between the motion from the last given frame to the generated one and that to the real one.
    real_motion_px, generated_motion_px : ndarray, shape (n,)
        Mean length of either motion: a difference as long as the real motion is no better than a frozen picture.
    """

    flow_difference_px: npt.NDArray[np.float64]
    real_motion_px: npt.NDArray[np.float64]
    generated_motion_px: npt.NDArray[np.float64]


def temporal_consistency(
    before: npt.NDArray[np.uint8], real: npt.NDArray[np.uint8], generated: npt.NDArray[np.uint8]
) -> TemporalConsistency:
    """Compare the motion into generated frames with that into real ones (equation 3 of Bhat et al. 2023, as a measure).

    Parameters
    ----------
    before, real, generated : ndarray of uint8, shape (n, H, W)
        The last frame that was given, and what followed it: truly, and as generated.
    """
    with torch.inference_mode():
        last, truth, made = (to_signed(frames)[:, None] for frames in (before, real, generated))
        real_flow, made_flow = optical_flow(last, truth), optical_flow(last, made)
        lengths = [flow.norm(dim=1).mean(dim=(1, 2)) for flow in (made_flow - real_flow, real_flow, made_flow)]
    difference, real_length, made_length = (length.double().numpy() for length in lengths)
    return TemporalConsistency(difference, real_length, made_length)

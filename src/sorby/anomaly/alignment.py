"""Where a network's cells look: measured with dots, since padding and training move it by half a cell and more."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from sorby.backbone.patch_maps import PatchMaps

_SIZE_PX = 256
_DOT_PX = 5
_DOTS = ((104, 104), (113, 126), (122, 148), (131, 109), (140, 131), (149, 144), (118, 135), (137, 117))
"""Rows and columns: away from the border, and at different places within the coarsest cell."""


def cell_centres(maps: PatchMaps) -> tuple[float, ...]:
    """Return, for each map, at which pixel its cell 0 is centred: cell i is at that pixel plus stride times i.

    White dots on grey change the maps around them; the change is centred where the cells look. An
    untrained network with equal padding would give 0. A network that was trained with more padding at one side, as
    EfficientNets are, still looks to that side: its coarse maps are off by 4 to 6 pixels of 16.

    Parameters
    ----------
    maps : PatchMaps
        Of a convolutional network.

    Returns
    -------
    tuple of float
        In pixels, the mean of both axes.
    """
    device = next(maps.parameters()).device
    images = torch.full((len(_DOTS) + 1, _SIZE_PX, _SIZE_PX, 1), 128, dtype=torch.uint8, device=device)
    reach = _DOT_PX // 2
    for image, (y, x) in zip(images, _DOTS, strict=False):
        image[y - reach : y + reach + 1, x - reach : x + reach + 1] = 255
    was = maps.training
    with torch.inference_mode():
        found = maps.eval()(images)
    maps.train(was)
    at = torch.tensor(_DOTS, dtype=torch.float32, device=device)
    return tuple(
        float((at - stride * _centroids(level)).mean()) for level, stride in zip(found, maps.strides, strict=True)
    )


def _centroids(level: torch.Tensor) -> torch.Tensor:
    """Return the centre (dots, 2), in cells, of what each dot changed against the blank image, which is the last."""
    change = (level[:-1] - level[-1:]).square().sum(1).sqrt()
    peak = change.flatten(1).amax(1)[:, None, None]
    weight = torch.where(change > 0.3 * peak, change, 0)  # the tails of a wide response are noise
    rows = torch.arange(change.shape[1], device=change.device, dtype=change.dtype)[None, :, None]
    columns = torch.arange(change.shape[2], device=change.device, dtype=change.dtype)[None, None, :]
    total = weight.sum((1, 2))
    return torch.stack([(weight * rows).sum((1, 2)) / total, (weight * columns).sum((1, 2)) / total], 1)


def centring_shifts(strides: Sequence[int], centres: Sequence[float]) -> tuple[int, ...]:
    """Return by how many cells each level is moved up and left when it is repeated on the next finer grid.

    Parameters
    ----------
    strides : sequence of int
        Of the levels, finest first.
    centres : sequence of float
        Pixel of each level's cell 0, see `cell_centres`.

    Examples
    --------
    Cells centred at multiples of the stride, and those of a network that looks up and to the left:

    >>> centring_shifts((4, 8, 16), (0, 0, 0)), centring_shifts((4, 8, 16), (-0.7, -4.0, -5.4))
    ((0, 1), (1, 1))
    """
    finest = strides[0]
    shifts: list[int] = []
    moved = 0  # of the level reached so far, in cells of the finest grid
    for (fine, coarse), centre in zip(itertools.pairwise(strides), centres[1:], strict=True):
        unit = fine // finest
        ideal = (coarse / finest - 1) / 2 - (centre - centres[0]) / finest
        steps = [abs(moved + step * unit - ideal) for step in range(coarse // fine + 1)]
        step = min(range(len(steps)), key=steps.__getitem__)
        shifts.append(step)
        moved += step * unit
    return tuple(shifts)

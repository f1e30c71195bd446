"""RoIAlign over a pyramid as one weighted sum of table rows, which a CPU does many times faster than cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

_CANONICAL_SCALE, _CANONICAL_LEVEL = 224.0, 4
_EPSILON = 1e-6


def level_of(boxes: torch.Tensor, levels: int) -> torch.Tensor:
    """Return which level of a pyramid, 0 for stride 4, each box (n, 4) is pooled from: Lin et al. (2017), eq. 1."""
    side = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=0).sqrt()
    level = torch.floor(_CANONICAL_LEVEL + torch.log2(side / _CANONICAL_SCALE + _EPSILON))
    return level.clamp(2, levels + 1).to(torch.int64) - 2


def pool_boxes(
    maps: Sequence[torch.Tensor],
    strides: Sequence[int],
    boxes: torch.Tensor,
    image: torch.Tensor,
    level: torch.Tensor,
    cells: int,
    samples: int = 2,
    *,
    aligned: bool = False,
) -> torch.Tensor:
    """Pool boxes from the maps of several strides.

    Parameters
    ----------
    maps : sequence of Tensor, each (N, C, h, w)
        Of equal channels.
    strides : sequence of int
        Of each map, pixels.
    boxes : Tensor, shape (n, 4)
        Left, top, right, bottom in pixels.
    image, level : Tensor of int64, shape (n,)
        Which image and which map each is pooled from.
    cells, samples : int
        Cells across a box; samples across a cell, bilinear between the map's cells.
    aligned : bool
        Shift by half a cell (He et al. 2017 as corrected later), so that a cell's value stands for its centre.

    Returns
    -------
    Tensor, shape (n, cells * cells, C)
        Cells row by row. With the same arguments as torchvision's ``roi_align``, up to rounding.
    """
    table = torch.cat([each.permute(0, 2, 3, 1).reshape(-1, each.shape[1]) for each in maps])
    heights = boxes.new_tensor([each.shape[2] for each in maps])[level]
    widths = boxes.new_tensor([each.shape[3] for each in maps])[level]
    begin, total = [], 0
    for each in maps:
        begin.append(total)
        total += each.shape[0] * each.shape[2] * each.shape[3]
    first = torch.tensor(begin, device=boxes.device)[level] + image * (heights * widths).to(torch.int64)
    scale = 1.0 / boxes.new_tensor([float(s) for s in strides])[level]
    shift = 0.5 if aligned else 0.0
    corners = boxes * scale[:, None] - shift
    size = corners[:, 2:] - corners[:, :2]
    if not aligned:
        size = size.clamp(min=1.0)
    places = (torch.arange(cells * samples, device=boxes.device, dtype=boxes.dtype) + 0.5) / (cells * samples)
    across, u = _between(corners[:, :1] + places * size[:, :1], widths[:, None])
    down, v = _between(corners[:, 1:2] + places * size[:, 1:], heights[:, None])
    rows = first.to(torch.int32)[:, None, None] + down * widths.to(torch.int32)[:, None, None]  # (n, places, 2)
    count = len(boxes)

    def vertical(values: torch.Tensor) -> torch.Tensor:
        return values.reshape(count, cells, 1, samples, 1, 2, 1)

    def horizontal(values: torch.Tensor) -> torch.Tensor:
        return values.reshape(count, 1, cells, 1, samples, 1, 2)

    # Of each cell, in the order in which the sum reads them: samples down and across, then the neighbours of each.
    flat = (count * cells * cells, samples * samples * 4)
    index = (vertical(rows) + horizontal(across)).reshape(flat)
    weight = (vertical(v / samples**2) * horizontal(u)).reshape(flat)
    pooled = functional.embedding_bag(index, table, per_sample_weights=weight.to(table.dtype), mode="sum")
    return pooled.reshape(count, cells * cells, -1)


def _between(places: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two neighbours (n, places, 2) of each place on an axis, and their weights.

    Places more than a cell outside weigh nothing; those less far take the value of the border.
    """
    inside = (places >= -1.0) & (places <= length)
    held = places.clamp(min=0.0)
    held = torch.minimum(held, length - 1)
    low = held.floor().to(torch.int32)
    high = torch.minimum(low + 1, (length - 1).to(torch.int32))
    share = held - low
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None]
    return torch.stack([low, high], dim=-1), weights

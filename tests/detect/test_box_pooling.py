"""RoIAlign as a weighted sum of rows is torchvision's, values and gradients, on every level and at every border."""

from collections import OrderedDict

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign, roi_align

from sorby.detect.pooling import level_of, pool_boxes

STRIDES = (4, 8, 16, 32)


def _boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 120 - 4
    size = torch.rand(count, 2, generator=generator) ** 3 * 150 + 0.3
    return torch.cat([corner, corner + size], dim=1)  # some lie partly outside, some are thinner than a cell


def _maps(count: int, channels: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(count, channels, 128 // stride, 160 // stride, generator=generator).requires_grad_()
        for stride in STRIDES
    ]


def test_pyramid_pooling_is_torchvisions_in_value_and_gradient():
    maps, boxes = _maps(2, 5), _boxes(60, 1)
    reference = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    wanted = reference(OrderedDict((str(k), m) for k, m in enumerate(maps)), list(boxes.split(30)), [(128, 160)] * 2)
    weights = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2))
    (wanted * weights).sum().backward()
    gradients = [m.grad.clone() for m in maps]
    for m in maps:
        m.grad = None
    image = torch.arange(2).repeat_interleave(30)
    rows = pool_boxes(maps, STRIDES, boxes, image, level_of(boxes, 4), 7)
    ours = rows.transpose(1, 2).reshape(wanted.shape)
    (ours * weights).sum().backward()
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)  # coordinates are rounded in another order
    for mine, theirs in zip(maps, gradients, strict=True):
        torch.testing.assert_close(mine.grad, theirs, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("aligned", [True, False])
def test_one_map_pooling_is_torchvisions(aligned):
    maps, boxes = _maps(1, 3), _boxes(40, 3)
    wanted = roi_align(maps[1], [boxes], 4, 1 / 8, 2, aligned)
    level = torch.zeros(40, dtype=torch.int64)
    ours = pool_boxes([maps[1]], [8], boxes, level, level, 4, aligned=aligned)
    torch.testing.assert_close(ours.transpose(1, 2).reshape(wanted.shape), wanted, atol=1e-4, rtol=1e-4)


def test_a_box_of_224_px_belongs_to_the_level_of_stride_16_and_half_of_it_one_finer():
    boxes = torch.tensor([[0.0, 0, 224, 224], [0, 0, 112, 112], [0, 0, 3, 3], [0, 0, 2000, 2000]])
    assert level_of(boxes, 4).tolist() == [2, 1, 0, 3]


def test_a_constant_map_gives_the_constant_inside_the_image():
    maps = [torch.full((1, 2, 32, 32), 3.5)]
    box = torch.tensor([[8.0, 8, 100, 60]])
    zero = torch.zeros(1, dtype=torch.int64)
    assert torch.allclose(pool_boxes(maps, [4], box, zero, zero, 5), torch.tensor(3.5))

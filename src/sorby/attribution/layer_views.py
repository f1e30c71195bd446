"""What a network makes of an image on its way: the maps after each convolution and pool, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from sorby.attribution.colour_maps import coloured, map_for_layer
from sorby.attribution.maps import FloatArray
from sorby.attribution.taps import Images, LayerInfo, as_batch, borrowed, layers, tapped, to_model
from sorby.errors import InputError

Uint8Image = npt.NDArray[np.uint8]

_LAYERS = (nn.Conv2d, nn.MaxPool2d)
_CHANNELS, _ACROSS = 16, 8
_CELL_PX, _GAP_PX = 112, 4
_LOW, _HIGH = 1.0, 99.0  # percentiles that a channel is stretched between
_FLAT = 1e-6  # of the strongest channel's spread: nothing to see


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer's strongest channels for one image.

    Attributes
    ----------
    number : int
        Of the layer, convolutions and pools counted from 1 in the order in which they run.
    name, kind : str
        Of the module.
    shape : tuple of int
        Channels, height and width of its maps.
    channels : tuple of int
        Those shown, strongest first: the largest standard deviation over positions, for what is the same everywhere
        is not seen. The outer eighth does not count, where padding is often all there is to see.
    flat : int
        Channels that are the same everywhere.
    colour_map : str
    picture : ndarray of uint8, shape (H, W, 3)
        The channels as a grid, each stretched between percentiles 1 and 99 of its own inner part.
    """

    number: int
    name: str
    kind: str
    shape: tuple[int, int, int]
    channels: tuple[int, ...]
    flat: int
    colour_map: str
    picture: Uint8Image


def visible_layers(model: nn.Module, images: Images) -> list[LayerInfo]:
    """List convolutions and pools that return maps, in the order in which they run.

    Counted like this, the eight layers of which Bhat et al. (2023) write are those of their Table 6, and the layers
    1, 3, 4, 5, 7, 8 of their Fig. 9 are its four convolutions and its second and fourth pool.

    Raises
    ------
    InputError
        There is none.
    """
    found = [layer for layer in layers(model, images) if isinstance(model.get_submodule(layer.name), _LAYERS)]
    if not found:
        raise InputError("the network has no convolution with a map", "a vision transformer has none to show")
    return found


def chosen_layers(count: int, wanted: Sequence[int], most: int) -> list[int]:
    """Return the numbers, from 1, of the layers to show.

    Parameters
    ----------
    count : int
        Layers of the network.
    wanted : sequence of int
        Asked for by number; where empty, all, or *most* evenly spaced ones, the first and the last among them.
    most : int

    Raises
    ------
    InputError
        There is no layer of such a number.
    """
    outside = [number for number in wanted if not 1 <= number <= count]
    if outside:
        raise InputError(f"the network has no layer {outside[0]}", f"its convolutions and pools are 1 to {count}")
    if wanted:
        return sorted(set(wanted))
    if count <= most:
        return list(range(1, count + 1))
    return sorted({int(number) for number in np.linspace(1, count, most).round()})


def layer_maps(model: nn.Module, image: Images, names: Sequence[str]) -> list[FloatArray]:
    """Return the maps (C, h, w) of some layers for one image, from a single pass."""
    batch = as_batch(image)[:1]
    with borrowed(model), tapped(model, names) as leaves, torch.no_grad():
        model(to_model(batch, model))
    return [leaves[name].detach()[0].float().cpu().numpy() for name in names]


def view_layers(
    model: nn.Module, image: Images, shown: Sequence[tuple[int, LayerInfo]], colour_map: str | None = None
) -> list[LayerView]:
    """Return pictures of some layers for one image.

    Parameters
    ----------
    model : torch.nn.Module
    image : ndarray of uint8, shape (1, H, W, C)
    shown : sequence of (int, LayerInfo)
        Number and layer.
    colour_map : str, optional
        For all; as `sorby.attribution.colour_maps.map_for_layer` says where absent.
    """
    maps = layer_maps(model, image, [layer.name for _, layer in shown])
    return [
        _view(number, layer, found, colour_map or map_for_layer(number))
        for (number, layer), found in zip(shown, maps, strict=True)
    ]


def _view(number: int, layer: LayerInfo, maps: FloatArray, colour_map: str) -> LayerView:
    spread = _inside(maps).std(axis=(1, 2))
    strongest = np.argsort(-spread, kind="stable")[:_CHANNELS]
    flat = int((spread <= _FLAT * spread.max()).sum())
    channels, height, width = maps.shape
    return LayerView(
        number,
        layer.name,
        layer.kind,
        (channels, height, width),
        tuple(int(channel) for channel in strongest),
        flat,
        colour_map,
        grid(maps[strongest], colour_map),
    )


def _inside(maps: FloatArray) -> FloatArray:
    """Leave an eighth of each side out, where many networks see their own padding rather than the image."""
    rows, columns = (max(1, side // 8) if side > 4 else 0 for side in maps.shape[1:])
    return maps[:, rows : maps.shape[1] - rows, columns : maps.shape[2] - columns]


def grid(maps: FloatArray, colour_map: str) -> Uint8Image:
    """Return maps (n, h, w) side by side in rows of eight on white, each stretched by itself, shape (H, W, 3)."""
    low, high = np.percentile(_inside(maps), (_LOW, _HIGH), axis=(1, 2), keepdims=True)
    level = (maps - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    colour = coloured(level, colour_map)
    count, height, width = maps.shape
    factor = _CELL_PX / max(height, width)
    cell = max(1, round(factor * height)), max(1, round(factor * width))
    # A cell of a coarse map is a fact of the network and is not smoothed away; a fine map is averaged down.
    rule = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    across = min(_ACROSS, count)
    down = -(-count // across)
    page = np.full((down * (cell[0] + _GAP_PX) - _GAP_PX, across * (cell[1] + _GAP_PX) - _GAP_PX, 3), 255, np.uint8)
    for k, picture in enumerate(colour):
        row, column = divmod(k, across)
        top, left = row * (cell[0] + _GAP_PX), column * (cell[1] + _GAP_PX)
        page[top : top + cell[0], left : left + cell[1]] = Image.fromarray(picture).resize((cell[1], cell[0]), rule)
    return page

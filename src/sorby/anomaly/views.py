"""The parts of an image that a detector looks at one by one: the whole, a grid, or tiles at native scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sorby.backbone.pipeline import prepared
from sorby.backbone.preprocessing import Preprocessing, Uint8Image
from sorby.errors import ImageError, SorbyError
from sorby.micrograph import Tiler, read, to_grey, to_rgb, to_uint8

Boxes = npt.NDArray[np.int64]
_LOOK_AHEAD = 4  # images that may wait decoded; sheets are large


class Views(BaseModel):
    """How an image is divided before it is looked at.

    Attributes
    ----------
    kind : {"whole", "grid", "tiles"}
        ``whole``: the image is one view. ``grid``: *rows* x *columns* parts of equal size. ``tiles``: squares of
        *tile_px* pixels at the image's own scale, *overlap_px* shared by neighbours so that no defect is cut; the
        last ones are shifted inwards to cover the border.
    rows, columns : int
        Of the grid; 6c x 3c in Yan et al. (2023), c = 1, 3, 5.
    tile_px, overlap_px : int
        Of the tiles.
    margin_px : int
        Of ``tiles``: a frame of this width around every tile is looked at but not judged, since features there lean
        on the network's padding. Tiles then overlap by two frames more, and the image is mirrored outwards by one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["whole", "grid", "tiles"] = "whole"
    rows: int = Field(6, ge=1, le=1000)
    columns: int = Field(3, ge=1, le=1000)
    tile_px: int = Field(224, ge=16, le=4096)
    overlap_px: int = Field(0, ge=0, le=2048)
    margin_px: int = Field(0, ge=0, le=1024)

    @model_validator(mode="after")
    def _overlap(self) -> Views:
        if 2 * self.overlap_px > self.tile_px - 2 * self.margin_px:
            raise ValueError("overlap_px may be half of tile_px without its margins at most")
        if self.margin_px and self.kind != "tiles":
            raise ValueError("margin_px belongs to kind=tiles")
        return self

    @property
    def inner_px(self) -> int:
        """Edge of what is judged of a tile."""
        return self.tile_px - 2 * self.margin_px

    def boxes(self, height: int, width: int) -> Boxes:
        """Return ``top, left, bottom, right`` (V, 4) of the views of an image, without their margins.

        Raises
        ------
        ImageError
            The image is smaller than a tile, or than the grid.
        """
        if self.kind == "whole":
            return np.array([[0, 0, height, width]])
        if self.kind == "grid":
            if height < self.rows or width < self.columns:
                raise ImageError(f"an image of {height} x {width} px has no grid of {self.rows} x {self.columns}")
            return Tiler.fixed_grid(self.rows, self.columns).plan(height, width).boxes
        if min(height, width) < max(self.inner_px, self.margin_px + 1):
            raise ImageError(
                f"an image of {height} x {width} px holds no tile of {self.inner_px} px", "use views.kind=whole"
            )
        return Tiler.fixed_pixels(self.inner_px, self.inner_px, overlap=self.overlap_px).plan(height, width).boxes


@dataclass(frozen=True)
class ViewStack:
    """The views of one image, prepared.

    Attributes
    ----------
    pixels : ndarray of uint8, (V, H, W, C)
    boxes : ndarray of int, (V, 4)
        ``top, left, bottom, right`` of what is judged, in pixels of the image.
    size : (int, int)
        Height and width of the image.
    pixel_size_um : float or None
        Scale of the image, where it says so.
    depth : str
        Type of its pixels as they were read: ``uint8``, ``uint16``, ``float32``.
    """

    pixels: Uint8Image
    boxes: Boxes
    size: tuple[int, int]
    pixel_size_um: float | None
    depth: str = "uint8"


def read_views(path: Path | str, preprocessing: Preprocessing, views: Views) -> ViewStack:
    """Read an image and prepare its views.

    Raises
    ------
    ImageError
        It cannot be read, or is too small.
    """
    micrograph = read(path)
    size = micrograph.pixels.shape[0], micrograph.pixels.shape[1]
    scale, depth = micrograph.scale.pixel_size_um, str(micrograph.pixels.dtype)
    if views.kind == "whole":
        top, left, height, width = preprocessing.crop(micrograph)
        box = np.array([[top, left, top + height, left + width]])
        return ViewStack(preprocessing.prepare(micrograph)[None], box, size, scale, depth)
    try:
        boxes = views.boxes(*size)
    except ImageError as error:
        raise ImageError(f"{path}: {error.message}", error.hint) from error
    # Depth is decided on the whole image: parts stretched one by one could not be compared.
    byte = to_uint8(micrograph.pixels, rule=preprocessing.intensity, low=preprocessing.low, high=preprocessing.high)
    byte = to_grey(byte) if preprocessing.colour == "grey" else to_rgb(byte)
    margin = views.margin_px
    if margin:
        byte = np.pad(byte, [(margin, margin), (margin, margin)] + [(0, 0)] * (byte.ndim - 2), mode="reflect")
    stack = np.empty((len(boxes), preprocessing.height, preprocessing.width, preprocessing.channels), np.uint8)
    for k, (top, left, bottom, right) in enumerate(boxes.tolist()):
        stack[k] = preprocessing.prepare(byte[top : bottom + 2 * margin, left : right + 2 * margin])
    return ViewStack(stack, boxes, size, scale, depth)


@dataclass(frozen=True)
class View:
    """One view on its way through the graph.

    Attributes
    ----------
    image : int
        Position of its image among the files.
    number, count : int
        Which view of how many.
    stack : ViewStack or SorbyError
        Where it comes from, or why there is none.
    """

    image: int
    number: int
    count: int
    stack: ViewStack | SorbyError

    def pixels(self) -> Uint8Image:
        """Return its pixels (H, W, C), or raise what stopped its image."""
        if isinstance(self.stack, SorbyError):
            raise self.stack
        return np.asarray(self.stack.pixels[self.number])


def each_view(paths: Iterable[Path], preprocessing: Preprocessing, views: Views) -> Iterator[View]:
    """Read files a few ahead and hand out their views one by one; an unreadable file is one view with its error."""
    numbered = enumerate(paths)
    for (k, _), stack in prepared(numbered, lambda item: read_views(item[1], preprocessing, views), _LOOK_AHEAD):
        if isinstance(stack, SorbyError):
            yield View(k, 0, 1, stack)
            continue
        for number in range(len(stack.boxes)):
            yield View(k, number, len(stack.boxes), stack)

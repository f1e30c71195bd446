"""From a micrograph to the network's pixels: one rule, written into the bundle, used in training and deployment."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import gaussian_filter

from sorby.errors import ImageError
from sorby.files import sha256_file
from sorby.micrograph import Micrograph, mirror_pad_or_crop, read, resize, to_grey, to_rgb, to_uint8
from sorby.micrograph.info_bar import FIXED_SHARE, find_info_bar
from sorby.micrograph.region import NO_SURFACE, find_region, inscribed_rectangle, propose_region, read_region

Uint8Image = npt.NDArray[np.uint8]
Window = tuple[int, int, int, int]
"""Top, left, height and width in pixels of the micrograph."""

_LEAST_SIDE_PX = 32
_MIDDLE_GREY, _DARKEST = 110.0, 4.0  # grey levels; the second keeps black from being divided by nothing


class Preprocessing(BaseModel):
    """What happens to an image before the graph sees it.

    Channel normalisation is part of the graph, so these steps end in uint8 pixels.

    Attributes
    ----------
    height, width : int
        Size of the network's input in pixels.
    colour : {"grey", "rgb"}
        One channel (Rec. 601 luma) or three.
    sizing : {"resize", "mirror"}
        ``resize`` scales to the size, aspect not kept; ``mirror`` pads by reflection or crops about the centre,
        scale kept (strategy 3 of Durmaz et al. 2023).
    intensity : {"full-range", "percentile"}
        How 16-bit and float pixels become 8-bit: division of the type's range, or a stretch between percentiles
        of the image. 8-bit pixels are never changed.
    low, high : float
        Percentiles of the stretch, in percent.
    shading : {"none", "flat"}
        ``flat`` divides the sized image by its own brightness on a scale of an eighth of its height, so that light
        that falls off to one side and exposures that differ are alike. A defect as large as that fades as well.
    region : {"whole", "auto"}
        ``auto`` crops to the largest rectangle of the region of interest before sizing: of the region file beside
        the image where there is one, of a proposal otherwise; see `sorby.micrograph.region`.
    info_bar : {"keep", "found", "fixed"}
        ``found`` takes the instrument's info bar off where there is one, ``fixed`` 9 % of the rows at the bottom of
        every image, as published. A bar that stays tells the network magnification, instrument and date.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(224, ge=16, le=4096)
    width: int = Field(224, ge=16, le=4096)
    colour: Literal["grey", "rgb"] = "grey"
    sizing: Literal["resize", "mirror"] = "resize"
    intensity: Literal["full-range", "percentile"] = "percentile"
    low: float = Field(0.1, ge=0, lt=50)
    high: float = Field(99.9, gt=50, le=100)
    region: Literal["whole", "auto"] = "whole"
    shading: Literal["none", "flat"] = "none"
    info_bar: Literal["keep", "found", "fixed"] = "keep"

    @property
    def channels(self) -> int:
        """Channels of the prepared image, 1 or 3."""
        return 1 if self.colour == "grey" else 3

    @property
    def key(self) -> str:
        """Short hash that changes whenever any of the settings does."""
        # Left out where they change nothing: what was stored before there were these settings keeps its key.
        plain = {"region": "whole", "shading": "none", "info_bar": "keep"}
        idle = {name for name, value in plain.items() if getattr(self, name) == value}
        return hashlib.sha256(self.model_dump_json(exclude=idle).encode()).hexdigest()[:16]

    @property
    def crops(self) -> bool:
        """Whether less than the whole image may be taken before sizing."""
        return self.region != "whole" or self.info_bar != "keep"

    def content_key(self, path: Path | str, sha256: str) -> str:
        """Return what names the prepared pixels of a file: its hash, and that of its region file where that counts."""
        mask = find_region(path) if self.region == "auto" else None
        return sha256 if mask is None else hashlib.sha256(f"{sha256}|{sha256_file(mask)}".encode()).hexdigest()

    def crop(self, micrograph: Micrograph | npt.NDArray[np.generic]) -> Window:
        """Return the part of a micrograph that is taken before sizing.

        Raises
        ------
        ImageError
            The region of interest is empty or too small to be looked at.
        InputError
            The region file is damaged or of another size.
        """
        pixels = micrograph.pixels if isinstance(micrograph, Micrograph) else micrograph
        first, last = self._rows(pixels)
        if self.region == "whole":
            return first, 0, last - first, pixels.shape[1]
        path = micrograph.path if isinstance(micrograph, Micrograph) else None
        file = None if path is None else find_region(path)
        if file is not None:
            mask = read_region(file, pixels.shape)[first:last]
        else:
            scale = micrograph.scale.pixel_size_um if isinstance(micrograph, Micrograph) else None
            mask = propose_region(pixels[first:last], scale).mask
        if not mask.any():
            raise ImageError(f"{path or 'micrograph'}: {NO_SURFACE}", "draw a region file if it does show the specimen")
        top, left, height, width = inscribed_rectangle(mask)
        least = min(_LEAST_SIDE_PX, *pixels.shape[:2])
        if min(height, width) < least:
            raise ImageError(
                f"{path or 'micrograph'}: the region of interest holds no rectangle of {least} px a side",
                "draw a larger region, or use the whole image",
            )
        return first + top, left, height, width

    def _rows(self, pixels: npt.NDArray[np.generic]) -> tuple[int, int]:
        """Return the rows, first and after the last, that are left without the info bar."""
        height = pixels.shape[0]
        if self.info_bar == "fixed":
            return 0, max(1, height - round(FIXED_SHARE * height))
        bar = find_info_bar(pixels) if self.info_bar == "found" else None
        if bar is None:
            return 0, height
        return (0, bar.top) if bar.edge == "bottom" else (bar.bottom, height)

    def window(self, micrograph: Micrograph | npt.NDArray[np.generic]) -> Window:
        """Return the part of a micrograph that the network sees; it reaches beyond the crop where that was mirrored."""
        top, left, height, width = self.crop(micrograph)
        if self.sizing == "resize":
            return top, left, height, width
        return top + (height - self.height) // 2, left + (width - self.width) // 2, self.height, self.width

    def prepare(self, micrograph: Micrograph | npt.NDArray[np.generic]) -> Uint8Image:
        """Return the network's pixels for one micrograph.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width, channels)

        Raises
        ------
        InputError
            There is no usable region of interest, see `crop`.
        """
        pixels = micrograph.pixels if isinstance(micrograph, Micrograph) else micrograph
        if self.crops:
            top, left, height, width = self.crop(micrograph)
            pixels = pixels[top : top + height, left : left + width]
        byte = to_uint8(pixels, rule=self.intensity, low=self.low, high=self.high)
        byte = to_grey(byte) if self.colour == "grey" else to_rgb(byte)
        fit = resize if self.sizing == "resize" else mirror_pad_or_crop
        sized = fit(byte, (self.height, self.width))
        if self.shading == "flat":
            sized = flat_field(sized)
        return np.ascontiguousarray(sized.reshape(self.height, self.width, self.channels), dtype=np.uint8)

    def read(self, path: Path | str) -> Uint8Image:
        """Read a file and prepare it, see `prepare`."""
        return self.prepare(read(path))


def flat_field(pixels: Uint8Image) -> Uint8Image:
    """Return 8-bit pixels (H, W) or (H, W, C) divided by their own smooth brightness, which becomes middle grey.

    The brightness is a Gaussian mean with a standard deviation of an eighth of the height.
    """
    values = pixels.astype(np.float32)
    light = values if values.ndim == 2 else values.mean(2)
    light = gaussian_filter(light, light.shape[0] / 8) + _DARKEST
    level = light if values.ndim == 2 else light[:, :, None]
    return np.asarray(np.clip(_MIDDLE_GREY * values / level, 0, 255), np.uint8)

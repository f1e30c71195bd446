"""From a micrograph to the network's pixels: one rule, written into the bundle, used in training and deployment."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sorby.micrograph import Micrograph, mirror_pad_or_crop, read, resize, to_grey, to_rgb, to_uint8

Uint8Image = npt.NDArray[np.uint8]


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(224, ge=16, le=4096)
    width: int = Field(224, ge=16, le=4096)
    colour: Literal["grey", "rgb"] = "grey"
    sizing: Literal["resize", "mirror"] = "resize"
    intensity: Literal["full-range", "percentile"] = "percentile"
    low: float = Field(0.1, ge=0, lt=50)
    high: float = Field(99.9, gt=50, le=100)

    @property
    def channels(self) -> int:
        """Channels of the prepared image, 1 or 3."""
        return 1 if self.colour == "grey" else 3

    @property
    def key(self) -> str:
        """Short hash that changes whenever any of the settings does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def prepare(self, micrograph: Micrograph | npt.NDArray[np.generic]) -> Uint8Image:
        """Return the network's pixels for one micrograph.

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width, channels)
        """
        pixels = micrograph.pixels if isinstance(micrograph, Micrograph) else micrograph
        byte = to_uint8(pixels, rule=self.intensity, low=self.low, high=self.high)
        byte = to_grey(byte) if self.colour == "grey" else to_rgb(byte)
        fit = resize if self.sizing == "resize" else mirror_pad_or_crop
        sized = fit(byte, (self.height, self.width))
        return np.ascontiguousarray(sized.reshape(self.height, self.width, self.channels), dtype=np.uint8)

    def read(self, path: Path | str) -> Uint8Image:
        """Read a file and prepare it, see `prepare`."""
        return self.prepare(read(path))

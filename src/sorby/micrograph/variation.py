"""One micrograph in random variants: turned, shifted, flipped, enlarged, lit differently.

The changes are those of the image generator of Bhat et al. (2023): rotation by 0 to 360 degrees, horizontal and
vertical shift, flips, brightness, zoom in and out. The paper gives no ranges but the rotation's; the others are ours.

What comes into view from outside the picture is reflected. Black corners, or the edge's pixels drawn out to streaks,
would be a cue of their own, found in changed pictures only; a reflected surface is a surface.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

UInt8 = npt.NDArray[np.uint8]

DRAWS = 7
"""Random numbers that one variation takes."""


@dataclass(frozen=True)
class Ranges:
    """How far pictures are changed.

    Attributes
    ----------
    rotation_deg : float
        Either way; 180 is every direction.
    shift : float
        Share of height and width, either way.
    zoom : float
        Largest enlargement and, as its inverse, reduction.
    brightness : float
        Largest change of all grey values, as a share, either way.
    flips : bool
        Whether half of the pictures are flipped, along each axis.
    """

    rotation_deg: float = 180.0
    shift: float = 0.1
    zoom: float = 1.25
    brightness: float = 0.2
    flips: bool = True


PUBLISHED = Ranges()
"""The published kinds of change, with our ranges."""


@dataclass(frozen=True)
class Variation:
    """One way to change a picture.

    Attributes
    ----------
    rotation_deg : float
    shift : tuple of float
        Down and right, shares of height and width.
    flip : tuple of bool
        Up-down and left-right.
    zoom : float
        Above 1 enlarges.
    gain : float
        Factor of all grey values.
    """

    rotation_deg: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: tuple[bool, bool] = (False, False)
    zoom: float = 1.0
    gain: float = 1.0

    @classmethod
    def drawn(cls, uniforms: Sequence[float], ranges: Ranges = PUBLISHED) -> Variation:
        """Return the variation that `DRAWS` numbers between 0 and 1 stand for."""
        signed = [2 * float(each) - 1 for each in uniforms]
        return cls(
            signed[0] * ranges.rotation_deg,
            (signed[1] * ranges.shift, signed[2] * ranges.shift),
            (ranges.flips and signed[3] > 0, ranges.flips and signed[4] > 0),
            ranges.zoom ** signed[5],
            1 + signed[6] * ranges.brightness,
        )

    def apply(self, pixels: UInt8) -> UInt8:
        """Return the changed picture.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (H, W) or (H, W, C)

        Returns
        -------
        ndarray of uint8, of the same shape
        """
        height, width = pixels.shape[:2]
        angle = math.radians(self.rotation_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        mirror = np.diag([-1.0 if flipped else 1.0 for flipped in self.flip])
        matrix = turn @ mirror / self.zoom  # from a place of the result to one of the picture
        centre = np.array([(height - 1) / 2, (width - 1) / 2])
        offset = centre - matrix @ (centre + np.array(self.shift) * (height, width))
        channels = pixels[..., None] if pixels.ndim == 2 else pixels
        moved = np.stack(
            [
                ndimage.affine_transform(channels[..., k], matrix, offset, order=1, mode="reflect", output=np.float32)
                for k in range(channels.shape[2])
            ],
            axis=-1,
        )
        changed = np.clip(np.rint(moved * self.gain), 0, 255).astype(np.uint8)
        return changed.reshape(pixels.shape)

"""Needles: how long they are, where they lie, and which pixel belongs to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.special import ndtr

from sorby.phantom.fields import Float64


@dataclass(frozen=True)
class Lognormal:
    """A lognormal distribution of needle lengths.

    Attributes
    ----------
    median_um : float
        Median length in micrometres.
    sigma : float
        Standard deviation of the natural logarithm of the length.
    """

    median_um: float
    sigma: float

    @classmethod
    def from_mean(cls, mean_um: float, sigma: float) -> Lognormal:
        """Return the distribution of a given mean length in micrometres."""
        return cls(mean_um / float(np.exp(sigma**2 / 2)), sigma)

    @property
    def mean_um(self) -> float:
        """Expected length in micrometres."""
        return self.median_um * float(np.exp(self.sigma**2 / 2))

    def moment(self, power: float) -> float:
        """Return E[L ** power], lengths in micrometres."""
        return float(self.median_um**power * np.exp(power**2 * self.sigma**2 / 2))

    def draw(self, count: int, rng: np.random.Generator) -> Float64:
        """Return *count* lengths in micrometres."""
        return self.median_um * np.exp(self.sigma * rng.standard_normal(count))

    def survival(self, length_um: float) -> float:
        """Return the probability of a longer needle."""
        return float(ndtr(-np.log(length_um / self.median_um) / self.sigma))

    def tail_sum_um(self, length_um: float) -> float:
        """Return E[L; L > length], the part of the mean that longer needles carry, in micrometres."""
        z = np.log(length_um / self.median_um) / self.sigma
        return self.mean_um * float(ndtr(self.sigma - z))


#: Long needles are slenderer: width grows with this power of length within a population.
WIDTH_POWER = 0.7
#: A lens or lath fills about this much of length times greatest width.
FILLING = 0.7


def typical_width_um(length_um: Float64, lengths: Lognormal, aspect: float) -> Float64:
    """Return the usual width in micrometres of needles of these lengths; *aspect* holds for the mean one."""
    return lengths.mean_um / aspect * (length_um / lengths.mean_um) ** WIDTH_POWER


def mean_area_um2(lengths: Lognormal, aspect: float) -> float:
    """Return the area in square micrometres of the mean needle of a population."""
    slenderness = lengths.mean_um ** (1 - WIDTH_POWER) * lengths.moment(1 + WIDTH_POWER)
    return float(FILLING * slenderness / aspect)


def largest_mean_um(parts: list[tuple[float, Lognormal]], share: float) -> float:
    """Return the expected mean length of the longest *share* of needles of a mixture.

    Parameters
    ----------
    parts : list of (float, Lognormal)
        Number weights (summing to 1) and distributions.
    share : float
        Share by number, in 0..1.

    Returns
    -------
    float
        Micrometres.
    """
    low, high = 1e-3, 1e4
    for _ in range(60):  # bisection on the quantile, in the logarithm
        middle = float(np.sqrt(low * high))
        if sum(w * d.survival(middle) for w, d in parts) > share:
            low = middle
        else:
            high = middle
    return sum(w * d.tail_sum_um(low) for w, d in parts) / share


@dataclass(frozen=True, eq=False)
class NeedleTable:
    """The needles of a phantom, one entry each; those centred outside the frame reach into it.

    Attributes
    ----------
    x_px, y_px : ndarray of float64, shape (n,)
        Centres in pixels, x to the right, y down.
    length_um, width_um : ndarray of float64, shape (n,)
        Length and greatest width in micrometres, as drawn.
    angle : ndarray of float64, shape (n,)
        Direction in radians from the x axis towards y, modulo pi.
    population : ndarray of int64, shape (n,)
        0 fine or only population, 1 coarse population.
    group : ndarray of int64, shape (n,)
        Grain, packet or sheaf in which the needle lies.
    """

    x_px: Float64
    y_px: Float64
    length_um: Float64
    width_um: Float64
    angle: Float64
    population: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x_px)

    def take(self, index: npt.NDArray[Any]) -> NeedleTable:
        """Return the needles that *index* (positions or a mask) names, in that order."""
        return NeedleTable(**{name: values[index] for name, values in self.columns().items()})

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name."""
        return dict(vars(self))

    def centred_in(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which needles have their centre on a true pixel of *mask* (height, width), shape (n,)."""
        height, width = mask.shape
        column, row = np.floor(self.x_px).astype(np.int64), np.floor(self.y_px).astype(np.int64)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        inside[inside] = mask[row[inside], column[inside]]
        return np.asarray(inside, dtype=bool)


def outlines(needles: NeedleTable, pixel_size_um: float, bluntness: float) -> Float64:
    """Return the outlines of needles, shape (n, 8, 2), x and y in pixels.

    Parameters
    ----------
    needles : NeedleTable
        What to outline.
    pixel_size_um : float
        Pixel size in micrometres.
    bluntness : float
        Width at two thirds of the half length over the greatest width: about .55 for lenticular plates,
        .9 for parallel-sided laths.
    """
    along = np.array([-1.0, -0.66, 0.0, 0.66, 1.0, 0.66, 0.0, -0.66])
    across = np.array([0.0, bluntness, 1.0, bluntness, 0.0, -bluntness, -1.0, -bluntness])
    u = along * (needles.length_um / (2 * pixel_size_um))[:, None]
    v = across * (needles.width_um / (2 * pixel_size_um))[:, None]
    cosine, sine = np.cos(needles.angle)[:, None], np.sin(needles.angle)[:, None]
    x = needles.x_px[:, None] + u * cosine - v * sine
    y = needles.y_px[:, None] + u * sine + v * cosine
    return np.stack([x, y], axis=-1)


def ownership(
    needles: NeedleTable, shape: tuple[int, int], pixel_size_um: float, *, bluntness: float = 0.55
) -> npt.NDArray[np.int32]:
    """Return which needle each pixel shows, later ones lying over earlier ones.

    Returns
    -------
    ndarray of int32, shape (height, width)
        Position in the table plus 1; 0 where no needle covers the pixel.
    """
    canvas = Image.new("I", (shape[1], shape[0]), 0)
    polygon = ImageDraw.Draw(canvas).polygon
    # The half pixel turns pixel-edge coordinates into PIL's pixel-centre ones.
    corners = (outlines(needles, pixel_size_um, bluntness) - 0.5).reshape(len(needles), 16).tolist()
    for number, corner in enumerate(corners, start=1):
        polygon(corner, fill=number)
    return np.asarray(canvas, dtype=np.int32)


def local_coordinates(
    owner: npt.NDArray[np.int32], needles: NeedleTable, pixel_size_um: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return where each covered pixel lies in its needle.

    Parameters
    ----------
    owner : ndarray of int32, shape (height, width)
        From :func:`ownership`.
    needles : NeedleTable
        The needles.
    pixel_size_um : float
        Pixel size in micrometres.

    Returns
    -------
    along, across : ndarray of float32, shape (covered,)
        Position in half lengths and half widths from the centre, both about -1..1, for ``owner > 0``.
    """
    row, column = np.nonzero(owner)
    which = owner[row, column] - 1
    cosine, sine = np.cos(needles.angle).astype(np.float32), np.sin(needles.angle).astype(np.float32)
    dx = (column + np.float32(0.5)) - needles.x_px.astype(np.float32)[which]
    dy = (row + np.float32(0.5)) - needles.y_px.astype(np.float32)[which]
    half = 2 * pixel_size_um
    per_length = (half / needles.length_um).astype(np.float32)
    per_width = (half / needles.width_um).astype(np.float32)
    c, s = cosine[which], sine[which]
    along = (dx * c + dy * s) * per_length[which]
    across = (dy * c - dx * s) * per_width[which]
    return along.astype(np.float32), across.astype(np.float32)

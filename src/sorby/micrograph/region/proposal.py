"""What of a light micrograph shows the specimen: a proposal that a person may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import distance_transform_edt, find_objects, label

from sorby.micrograph.image import Pixels
from sorby.micrograph.intensity import to_grey, to_uint8
from sorby.micrograph.region.bar import find_bar
from sorby.micrograph.region.bleeding import find_bleeding
from sorby.micrograph.region.surface import Background, find_background, measure_surface, shows_nothing

Mask = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]

KINDS = ("bar", "resin", "defocus", "bleeding")
"""Why a pixel is left out; each pixel has one reason, the first that holds."""

NO_SURFACE = "no specimen surface found (resin or background only)"
"""What is said of a micrograph of which nothing is left."""

_LONGEST_PX = 1024  # textures are measured on a picture no larger
_OUTLINE_PX = 512  # outlines are drawn on one of about this size
_SMALLEST_PX = 256  # and not made smaller than this for the sake of its scale
_RESOLVED_UM = 0.1  # half the finest detail that light resolves: smaller pixels hold no more
_EDGE_SHIFT = 0.9  # windows by which a smooth patch ends before the edge that bounds it
_LEAST_LEFT = 0.03  # of the picture: less specimen than this is none
_ISLAND = 0.005  # of the picture: smaller pieces of specimen beyond its edge are particles in the resin


@dataclass(frozen=True, eq=False)
class Region:
    """Which pixels of a micrograph show the specimen's surface, and why others do not.

    Attributes
    ----------
    mask : ndarray of bool, shape (H, W)
        True where the picture may be used.
    excluded : mapping of str to ndarray of bool, shape (H, W)
        For each of ``KINDS`` the pixels left out for it. They do not overlap, and together they are all that the
        mask leaves out.
    notes : tuple of str
        What was found, one line each.
    """

    mask: Mask
    excluded: Mapping[str, Mask]
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> float:
        """Share of the picture that may be used."""
        return float(self.mask.mean())

    @property
    def shares(self) -> dict[str, float]:
        """Share of the picture left out, by kind."""
        return {kind: float(mask.mean()) for kind, mask in self.excluded.items()}

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.mask.any()


def propose_region(pixels: Pixels, pixel_size_um: float | None = None) -> Region:
    """Find the micron bar, resin, defocused background and bleeding zones of a light micrograph.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3), uint8, uint16 or float32
        A micrograph of an etched section.
    pixel_size_um : float, optional
        Edge of a pixel in micrometres. Where it is known, pixels smaller than light resolves are joined before the
        texture is measured.

    Returns
    -------
    Region
        With an empty mask and a note where the picture shows resin or background only.

    Notes
    -----
    Nothing is learnt and nothing depends on which of specimen and resin is brighter. Resin and background are smooth
    beside the specimen's structure (`surface`), bars are drawn (`bar`), bleeding is a change of brightness along
    the edge (`bleeding`). Steps S1-16 and S1-17 of the published system, there done by hand.

    References
    ----------
    Durmaz et al. 2023, Front. Mater. 10, 1222456, section 2.3 and supplementary figure 1.
    """
    grey = to_grey(to_uint8(pixels))
    bar = find_bar(grey)
    factor = _reduction(grey.shape, pixel_size_um)
    small = _shrunk(grey, factor)
    ignored = _mask_to(bar, (small.shape[0], small.shape[1]))
    level = small.astype(np.float32) / np.float32(255)
    surface = measure_surface(level, ignored)
    if shows_nothing(surface, ignored):
        return _compose(bar, {"resin": np.ones(bar.shape, bool)}, [NO_SURFACE])
    step = max(1, round(max(level.shape) / _OUTLINE_PX))
    surface, ignored, level = surface.thinned(step), ignored[::step, ::step], level[::step, ::step]
    found = find_background(surface, ignored)
    if not found.any:
        return _compose(bar, {}, [])
    found = _to_the_edge(found, ignored, _EDGE_SHIFT * surface.window_px)
    outside = found.resin | found.defocus
    bleeding = find_bleeding(level, outside, ignored, found.resin_tone)
    parts = {"resin": found.resin, "defocus": found.defocus, "bleeding": bleeding}
    return _compose(bar, {kind: _mask_to(mask, bar.shape) for kind, mask in parts.items()}, [])


def _reduction(shape: tuple[int, ...], pixel_size_um: float | None) -> float:
    """Return by which factor, at least 1, the picture is reduced before textures are measured."""
    factor = max(shape) / _LONGEST_PX
    if pixel_size_um is not None:
        factor = max(factor, min(_RESOLVED_UM / pixel_size_um, min(shape) / _SMALLEST_PX))
    return max(1.0, factor)


def _shrunk(grey: UInt8, factor: float) -> UInt8:
    if factor < 1.1:  # not worth the blur
        return grey
    size = max(1, round(grey.shape[1] / factor)), max(1, round(grey.shape[0] / factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX), dtype=np.uint8)


def _mask_to(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Return a mask in another size, nearest neighbours."""
    if mask.shape == tuple(shape):
        return mask
    size = (shape[1], shape[0])
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)) > 0


def _to_the_edge(found: Background, ignored: Mask, shift_px: float) -> Background:
    """Return the background grown to the specimen's edge, with the particles inside it and the bar before it."""
    outside = found.resin | found.defocus
    nearest = distance_transform_edt(~outside, return_distances=True, return_indices=True)
    distance, (row, column) = nearest
    grown = distance <= shift_px
    left = ~grown & ~ignored
    pieces, _ = label(left)
    for number, place in enumerate(find_objects(pieces), start=1):
        if place is None:
            continue
        piece = pieces[place] == number
        if piece.sum() < _ISLAND * left.size:
            grown[place] |= piece
    is_resin = found.resin[row, column]
    return Background(grown & is_resin, grown & ~is_resin, found.resin_tone, found.specimen_tone)


def _compose(bar: Mask, parts: Mapping[str, Mask], notes: list[str]) -> Region:
    """Give each pixel one reason, and empty a mask of which next to nothing is left."""
    excluded: dict[str, Mask] = {}
    taken = np.zeros(bar.shape, dtype=bool)
    for kind in KINDS:
        mask = bar if kind == "bar" else parts.get(kind)
        excluded[kind] = np.zeros(bar.shape, bool) if mask is None else mask & ~taken
        taken |= excluded[kind]
    if taken.mean() > 1 - _LEAST_LEFT and not taken.all():
        excluded["resin"] = excluded["resin"] | ~taken
        taken[:] = True
    if taken.all() and NO_SURFACE not in notes:
        notes = [NO_SURFACE]
    found = [f"{kind} {mask.mean():.1%}" for kind, mask in excluded.items() if mask.any()]
    if found and not taken.all():
        notes = [*notes, f"left out: {', '.join(found)}"]
    return Region(~taken, MappingProxyType(excluded), tuple(notes))

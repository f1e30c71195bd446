"""Maps against cues that are known: does the classifier look at the mirror, the hackle, the flaw?

Cue images hold a code a pixel (nothing, origin, mirror, ...), as the truth of phantoms does. Each cue is compared by
itself with `sorby.attribution.coverage`: the pointing game and the map's mass inside the cue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.attribution.extent import coverage
from sorby.errors import InputError

FRACTURE_CUES: Mapping[str, tuple[int, ...]] = {
    "origin": (1,),
    "mirror": (2,),
    "mist": (3,),
    "hackle": (4,),
    "class cue": (5,),
    "contamination": (6,),
    "origin or class cue": (1, 5),
    "mirror to hackle": (1, 2, 3, 4, 5),
}
"""Codes of the cue images of fracture phantoms, singly and in the groups that a fractographer would name."""


@dataclass(frozen=True, eq=False)
class CueMatch:
    """How N maps and one cue agree.

    Attributes
    ----------
    cue : str
    shown : ndarray of bool (N,)
        Whether the image shows the cue at all; the values below mean nothing where it does not.
    hit : ndarray of bool (N,)
        Pointing game: the map's peak lies on the cue or within the tolerance.
    inside : ndarray of float64 (N,)
        Share of the map's mass inside the cue; NaN for a blank map.
    area : ndarray of float64 (N,)
        Share of the image that the cue covers: what `hit` and `inside` would be for an even map.
    """

    cue: str
    shown: npt.NDArray[np.bool_]
    hit: npt.NDArray[np.bool_]
    inside: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]

    @property
    def lift(self) -> npt.NDArray[np.float64]:
        """Mass inside over area, shape (N,); above 1 the map prefers the cue; NaN where it is not shown."""
        found = np.full(len(self.area), np.nan)
        np.divide(self.inside, self.area, out=found, where=self.area > 0)
        return found


def cue_masks(cues: npt.NDArray[np.integer[Any]], codes: Sequence[int], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return where cue images show any of some codes, at another resolution.

    Each pixel of the result takes the code at its centre, so a cue keeps its place and, up to a pixel, its area. A cue
    smaller than a pixel of the result may be lost, which would count against a map that found it; then the pixel
    that holds its centre is marked.

    Parameters
    ----------
    cues : ndarray of int, shape (N, h, w)
    codes : sequence of int
    size : (int, int)
        Height and width of the maps.

    Returns
    -------
    ndarray of bool, shape (N, H, W)
    """
    marked = np.isin(cues, codes)
    rows = ((np.arange(size[0]) + 0.5) * cues.shape[1] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * cues.shape[2] / size[1]).astype(np.intp)
    found: npt.NDArray[np.bool_] = marked[:, rows[:, None], columns[None, :]]
    lost = np.flatnonzero(marked.any((1, 2)) & ~found.any((1, 2)))
    for k in lost:  # few, and only where a cue is tiny
        y, x = np.argwhere(marked[k]).mean(0)
        found[k, int(y * size[0] / cues.shape[1]), int(x * size[1] / cues.shape[2])] = True
    return found


def cue_match(
    maps: npt.NDArray[Any],
    cues: npt.NDArray[np.integer[Any]],
    codes: Mapping[str, Sequence[int]] = FRACTURE_CUES,
    *,
    tolerance_px: float = 0.0,
) -> list[CueMatch]:
    """Compare maps with every cue.

    Parameters
    ----------
    maps : ndarray of float, shape (N, H, W)
        Non-negative, as in ``Attribution.maps``.
    cues : ndarray of int, shape (N, h, w)
        Cue images of the same views at any resolution.
    codes : mapping of str to sequence of int
        Cues by name.
    tolerance_px : float
        The pointing game accepts a peak this near to the cue, in map pixels.

    Returns
    -------
    list of CueMatch
        One a cue, in the order of *codes*.

    Raises
    ------
    InputError
        The number of maps and cue images differs, or a map is negative or not finite.
    """
    maps, cues = np.asarray(maps), np.asarray(cues)
    if maps.ndim != 3 or cues.ndim != 3 or len(maps) != len(cues):
        raise InputError(f"{len(maps)} maps and {len(cues)} cue images do not belong together", "give one for each")
    size = (maps.shape[1], maps.shape[2])
    found = []
    for name, wanted in codes.items():
        masks = cue_masks(cues, wanted, size)
        measured = coverage(maps, masks, tolerance_px=tolerance_px)
        assert measured.hit is not None
        assert measured.inside is not None
        assert measured.mask_area is not None
        shown = np.asarray(measured.mask_area > 0)
        found.append(CueMatch(name, shown, measured.hit, measured.inside, measured.mask_area))
    return found

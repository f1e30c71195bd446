"""Is a generated image a copy of an original, whole or in part, shifted, flipped or turned?

A generator taught by a dozen pictures may learn them by heart, and a set of copies has the best possible distances to
the originals. So every generated image is searched for in every original: a window from its middle and one from each
quarter, in all eight flips and quarter turns, at every place of the original. The normalised cross-correlation at the
best place is 1 for a copy, whatever was done to brightness and contrast. Both are band-passed first, so that neither
shading nor noise decides.

How much two different surfaces resemble each other so is not known beforehand: grooves resemble grooves. The originals
say it: each is searched for in those of other specimens, and what is called a copy lies beyond the most alike of these,
halfway to identity.

What this cannot find: a surface that was stretched, turned by other angles, or mixed from several originals in pieces
smaller than a quarter of the image. The distance in features, given beside, falls for these too, and proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from sorby.micrograph import resize

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Spectra = npt.NDArray[np.complex64]

SIDE_PX = 48
"""Edge to which generated images are brought for the search."""

_WINDOW = SIDE_PX // 2
_STARTS = ((_WINDOW // 2, _WINDOW // 2), (0, 0), (0, _WINDOW), (_WINDOW, 0), (_WINDOW, _WINDOW))
_FINE_PX, _COARSE_PX = 0.7, 5.0  # of the band between noise and shading
_LEAST = 0.8  # where originals resemble each other very little, half of what is left would call a mere likeness a copy
_EMPTY = 0.05  # grey levels of deviation: an image with less shows nothing at all
_FLAT = 1e-3  # windows with less than this share of the mean variance hold nothing to recognise


@dataclass(frozen=True, eq=False)
class Memorisation:
    """What of a set of images was found in originals.

    Attributes
    ----------
    likeness : ndarray, shape (n,)
        Highest correlation of each image's windows with any original; 1 is a copy.
    original : ndarray of int, shape (n,)
        Which original that was.
    threshold : float
        From which an image counts as a copy.
    among_originals : float
        Highest correlation of an original with one of another specimen; NaN where there is no other.
    """

    likeness: npt.NDArray[np.float64]
    original: Rows
    threshold: float
    among_originals: float

    @property
    def copies(self) -> npt.NDArray[np.bool_]:
        """Which images are copies, shape (n,)."""
        flagged: npt.NDArray[np.bool_] = self.likeness >= self.threshold
        return flagged

    def as_dict(self) -> dict[str, Any]:
        """Return the findings for JSON."""
        return {
            "copies": int(self.copies.sum()),
            "n": len(self.likeness),
            "most_alike": float(self.likeness.max()) if len(self.likeness) else None,
            "median_likeness": float(np.median(self.likeness)) if len(self.likeness) else None,
            "among_originals": None if np.isnan(self.among_originals) else self.among_originals,
            "threshold": self.threshold,
        }


def memorised(
    generated: Grey,
    originals: list[Grey],
    specimens: list[str],
    candidates: Rows | None = None,
    own_candidates: Rows | None = None,
) -> Memorisation:
    """Search generated images for pieces of originals.

    Parameters
    ----------
    generated : ndarray of uint8, shape (n, H, H)
    originals : list of ndarray of uint8, shape (h, w)
        At the scale of the generated images; larger where these were taught as windows. Each is also searched as a
        whole picture of the generated size.
    specimens : list of str
        Of each original; those of one specimen do not tell how alike different surfaces are.
    candidates, own_candidates : ndarray of int, optional
        Originals that each image, and each original, is searched for in, shapes (n, k) and (m, k); all where absent.

    Returns
    -------
    Memorisation
    """
    library = _Library.of(originals, generated.shape[1])
    likeness, original = library.best(generated, candidates)
    threshold, among = library.threshold(specimens, own_candidates)
    return Memorisation(likeness, original, threshold, among)


def repeated(images: Grey, candidates: Rows, threshold: float) -> npt.NDArray[np.bool_]:
    """Return whether image k is a copy of one of its *candidates* (n, c), each an index below k or -1, shape (n,)."""
    found = np.zeros(len(images), bool)
    for k, others in enumerate(candidates):
        earlier = others[others >= 0]
        if len(earlier):
            library = _Library.of([images[other] for other in earlier], images.shape[1])
            found[k] = library.best(images[k : k + 1])[0][0] >= threshold
    return found


@dataclass(frozen=True, eq=False)
class _Library:
    """Originals ready to be searched: by size their spectra, band-passed, and the deviations at every place."""

    pictures: list[Grey]
    stacks: list[tuple[Rows, tuple[int, int], Spectra, Floats]]

    @classmethod
    def of(cls, originals: list[Grey], size_px: int) -> _Library:
        factor = SIDE_PX / size_px
        wholes = [resize(each, (SIDE_PX, SIDE_PX)) for each in originals]
        pictures = [(k, each) for k, each in enumerate(wholes)]
        for k, original in enumerate(originals):
            shape = tuple(max(SIDE_PX, round(length * factor)) for length in original.shape)
            if max(shape) > SIDE_PX:
                pictures.append((k, resize(original, shape)))
        stacks = []
        for shape in sorted({each.shape for _, each in pictures}):
            members = [(k, each) for k, each in pictures if each.shape == shape]
            band = np.stack([_band(each) for _, each in members])
            rows = np.array([k for k, _ in members], np.intp)
            stacks.append((rows, (shape[0], shape[1]), fft.rfft2(band), _deviation(band)))
        return cls(wholes, stacks)

    def best(
        self, images: Grey, candidates: Rows | None = None, left_out: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float64], Rows]:
        """Return the highest correlation of each image and with which original; *left_out* (n, originals)."""
        wanted = np.ones((len(images), len(self.pictures)), bool)
        if candidates is not None:
            wanted[:] = False
            np.put_along_axis(wanted, candidates, True, axis=1)
        if left_out is not None:
            wanted &= ~left_out
        scores = np.stack([self._scores(image, rows) for image, rows in zip(images, wanted, strict=True)])
        return scores.max(axis=1), scores.argmax(axis=1)

    def threshold(self, specimens: list[str], candidates: Rows | None = None) -> tuple[float, float]:
        """Return from what correlation an image is a copy, and the highest between two specimens."""
        names = np.array(specimens)
        if len(set(specimens)) < 2:
            return max(_LEAST, 0.9), float("nan")
        alike = self.best(np.stack(self.pictures), candidates, names[:, None] == names[None])[0]
        among = float(alike.max())
        return max(_LEAST, (1 + among) / 2), among

    def _scores(self, image: Grey, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return the highest correlation of one image with each original, -1 for those not *wanted*."""
        small = _band(image if image.shape == (SIDE_PX, SIDE_PX) else resize(image, (SIDE_PX, SIDE_PX)))
        cuts = np.stack([small[top : top + _WINDOW, left : left + _WINDOW] for top, left in _STARTS])
        cuts = cuts - cuts.mean(axis=(1, 2), keepdims=True)
        norms = np.sqrt((cuts**2).sum(axis=(1, 2)))
        cuts = cuts[norms > max(np.sqrt(_FLAT) * float(norms.max()), _EMPTY * _WINDOW)]
        if not len(cuts):
            return np.zeros(len(self.pictures))
        turned = np.concatenate([np.rot90(each, k, axes=(1, 2)) for each in (cuts, cuts[:, :, ::-1]) for k in range(4)])
        turned = turned / np.sqrt((turned**2).sum(axis=(1, 2), keepdims=True) + 1e-12)
        found = np.full(len(self.pictures), -1.0)
        for rows, shape, pictures, deviation in self.stacks:
            spectra = np.conj(fft.rfft2(turned, s=shape))
            for row, picture, spread in zip(rows.tolist(), pictures, deviation, strict=True):
                if not wanted[row]:
                    continue
                places = fft.irfft2(spectra * picture, s=shape)[:, : spread.shape[0], : spread.shape[1]]
                found[row] = max(found[row], float((places / spread).max()))
        return found


def _band(image: npt.NDArray[Any]) -> Floats:
    """Return the image without shading and without noise."""
    values = image.astype(np.float32)
    band: Floats = ndimage.gaussian_filter(values, _FINE_PX) - ndimage.gaussian_filter(values, _COARSE_PX)
    return band


def _deviation(band: Floats) -> Floats:
    """Return the norm of the deviations within the window at every place where it fits, shape (n, h', w')."""
    sums = [_window_sums(each.astype(np.float64)) for each in (band, band**2)]
    energy = sums[1] - sums[0] ** 2 / _WINDOW**2
    floor = _FLAT * max(float(energy.mean()), 1e-6)
    deviation: Floats = np.sqrt(np.maximum(energy, floor)).astype(np.float32)
    return deviation


def _window_sums(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    padded = np.pad(values, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    rows = padded[:, _WINDOW:] - padded[:, :-_WINDOW]
    sums: npt.NDArray[np.float64] = rows[:, :, _WINDOW:] - rows[:, :, :-_WINDOW]
    return sums

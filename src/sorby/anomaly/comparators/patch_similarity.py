"""Likeness of each field of a rectangular grid to one patch of good material: luminance, contrast, structure.

One small patch has to stand for all good material, so the figure depends on which was taken; `each_baseline` lets that
be measured instead of feared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from sorby.anomaly.comparators.grey_levels import good_images, grey
from sorby.errors import InputError
from sorby.evidence._types import Arrays

# Constants of the structural similarity index for 8-bit pixels: (.01 x 255)^2 and (.03 x 255)^2.
_C1, _C2 = 6.5025, 58.5225
_SCORED_AT_ONCE = 2**24  # pixels

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Learned:
    """Patches of good material drawn by chance, which of them is the baseline, and the unit of the score."""

    candidates: npt.NDArray[np.uint8]
    chosen: int
    units: npt.NDArray[np.float64]


class PatchSimilarity:
    """Unlikeness of each field of a grid to a baseline patch.

    With the mean m, the spread s and the covariance c of field and baseline b, as in the structural similarity index,

        luminance = (2 m m_b + C1) / (m^2 + m_b^2 + C1)
        contrast  = (2 s s_b + C2) / (s^2 + s_b^2 + C2)
        structure = (c + C2 / 2) / (s s_b + C2 / 2), brought from -1 .. 1 to 0 .. 1,

    and unlikeness is 1 less their product. Structure is brought to 0 .. 1 because textures that are alike yet not
    aligned do not correlate, and a product with zero would forget the other two. A score of 1 is the unlikeness
    that the share `tail` of good fields reaches. All pixels of a field have one score.

    Parameters
    ----------
    patch_px : (height, width)
        Field of the grid. Where the image ends within a field, the field is filled up by mirroring.
    n_candidates : int
        Good patches drawn by chance; the most ordinary in mean and spread becomes the baseline.
    tail : float
        Share of good fields beyond 1, estimated on the candidates and so no finer than one of these.
    seed : int
        Of the draw.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, IEEE Trans. Image Process. 13(4) 600 (2004), equation 12.
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), introduction, on Tolba's use of it for films, and on how
    it depends on the baseline.
    """

    name: ClassVar[str] = "patch-similarity"

    def __init__(
        self, patch_px: tuple[int, int] = (16, 16), n_candidates: int = 64, tail: float = 0.05, seed: int = 0
    ) -> None:
        if min(patch_px) < 2:
            raise InputError(f"a patch needs two pixels or more each way, not {patch_px[0]} x {patch_px[1]}")
        if n_candidates < 2:
            raise InputError(f"a baseline is chosen from two patches or more, not {n_candidates}")
        if not 0 < tail < 1:
            raise InputError(f"the share of good fields beyond 1 must lie between 0 and 1, not {tail}")
        self.patch_px = (int(patch_px[0]), int(patch_px[1]))
        self.n_candidates, self.tail, self.seed = int(n_candidates), float(tail), int(seed)
        self._learned: _Learned | None = None

    @property
    def n_baselines(self) -> int:
        """Candidates that were found; fewer than asked for where good images have fewer fields."""
        return len(self._known().candidates)

    def fit(self, images: Iterable[npt.NDArray[np.uint8]]) -> Self:
        """Draw good patches and choose the most ordinary as the baseline.

        Parameters
        ----------
        images : iterable of ndarray of uint8, each shape (H, W)
            Taken one at a time; memory does not grow with their number.

        Raises
        ------
        InputError
            If there is no image, one is not 8-bit grey, or fewer than two whole fields were found.
        """
        rng = np.random.default_rng(self.seed)
        high, wide = self.patch_px
        kept, keys = np.zeros((0, high, wide), np.uint8), np.zeros(0)
        count, total, squares = 0, np.zeros(2), np.zeros(2)
        for image in good_images(images):
            rows, columns = image.shape[0] // high, image.shape[1] // wide
            if not rows * columns:
                continue
            fields = _fields(image[None, : rows * high, : columns * wide], self.patch_px)
            fields = fields.reshape(-1, high, wide)
            look = _look(fields)
            count, total, squares = count + len(look), total + look.sum(axis=0), squares + (look**2).sum(axis=0)
            # The smallest of as many chance numbers as there are fields: every field is as likely to be drawn.
            keys = np.concatenate([keys, rng.random(len(fields))])
            kept = np.concatenate([kept, fields])
            smallest = np.sort(np.argsort(keys, kind="stable")[: self.n_candidates])
            kept, keys = kept[smallest], keys[smallest]
        if count < 2:
            raise InputError(
                f"the good images hold {count} whole patches of {high} x {wide} px, two are needed",
                "take smaller patches or more images",
            )
        mean = total / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 1e-12))
        chosen = int(np.argmin((((_look(kept) - mean) / spread) ** 2).sum(axis=1)))
        units = np.array([self._unit(kept, k) for k in range(len(kept))])
        self._learned = _Learned(kept, chosen, units)
        return self

    def _unit(self, candidates: npt.NDArray[np.uint8], k: int) -> float:
        """Unlikeness to candidate *k* that only the share `tail` of the others reaches."""
        others = np.delete(_unlikeness(candidates[:, None, None], candidates[k])[:, 0, 0], k)
        return max(float(np.quantile(others, 1.0 - self.tail)), 1e-6)

    def maps(self, images: npt.NDArray[np.uint8]) -> Float32:
        """Map images to scores, one a field.

        Parameters
        ----------
        images : ndarray of uint8, shape (N, H, W)

        Returns
        -------
        ndarray of float32, shape (N, H, W)

        Raises
        ------
        InputError
            If not fitted, or the images are not 8-bit grey.
        """
        learned = self._known()
        pixels = grey(images, 3, "images")
        height, width = pixels.shape[1:]
        baseline, unit = learned.candidates[learned.chosen], learned.units[learned.chosen]
        scored = np.empty(pixels.shape, np.float32)
        block = max(1, _SCORED_AT_ONCE // (height * width))
        for begin in range(0, len(pixels), block):
            fields = _fields(_filled(pixels[begin : begin + block], self.patch_px), self.patch_px)
            grid = _unlikeness(fields, baseline) / unit
            whole = grid.repeat(self.patch_px[0], axis=1).repeat(self.patch_px[1], axis=2)
            scored[begin : begin + block] = whole[:, :height, :width]
        return scored

    def with_baseline(self, k: int) -> Self:
        """Return a copy whose baseline is candidate *k*, 0 .. `n_baselines` - 1."""
        learned = self._known()
        if not 0 <= k < len(learned.candidates):
            raise InputError(f"there is no candidate {k}: {len(learned.candidates)} patches were drawn")
        other = type(self)(self.patch_px, self.n_candidates, self.tail, self.seed)
        other._learned = _Learned(learned.candidates, int(k), learned.units)
        return other

    def each_baseline(self) -> Iterator[Self]:
        """Yield a copy for each candidate: the spread of a figure over these is what the choice of baseline costs."""
        for k in range(self.n_baselines):
            yield self.with_baseline(k)

    def arrays(self) -> Arrays:
        """Return what was set and learned; the candidates are 8-bit patches, shape (K, height, width)."""
        learned = self._known()
        return {
            "n_candidates": np.array(self.n_candidates),
            "tail": np.array(self.tail),
            "seed": np.array(self.seed),
            "candidates": learned.candidates,
            "chosen": np.array(learned.chosen),
            "units": learned.units,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Return the comparator that `arrays` describes."""
        candidates = np.asarray(arrays["candidates"], dtype=np.uint8)
        patch_px = (int(candidates.shape[1]), int(candidates.shape[2]))
        stored = cls(patch_px, int(arrays["n_candidates"]), float(arrays["tail"]), int(arrays["seed"]))
        stored._learned = _Learned(candidates, int(arrays["chosen"]), np.asarray(arrays["units"], np.float64))
        return stored

    def _known(self) -> _Learned:
        if self._learned is None:
            raise InputError("the patch similarity has not learned from good images yet")
        return self._learned


def _filled(images: npt.NDArray[np.uint8], patch_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Mirror images (N, H, W) at their lower and right ends until whole fields cover them."""
    missing = [-images.shape[axis + 1] % patch_px[axis] for axis in (0, 1)]
    if not any(missing):
        return images
    return np.pad(images, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")


def _fields(images: npt.NDArray[np.uint8], patch_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut images (N, H, W) of whole fields into fields (N, rows, columns, height, width)."""
    n, height, width = images.shape
    high, wide = patch_px
    return images.reshape(n, height // high, high, width // wide, wide).swapaxes(2, 3)


def _look(fields: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean and spread of patches (K, height, width), shape (K, 2)."""
    return np.stack([fields.mean(axis=(1, 2)), fields.std(axis=(1, 2))], axis=1)


def _unlikeness(fields: npt.NDArray[np.uint8], baseline: npt.NDArray[Any]) -> Float32:
    """1 less the similarity of fields (N, rows, columns, height, width) to the baseline (height, width)."""
    base = baseline.astype(np.float32)
    base_mean, base_spread = float(base.mean()), float(base.std())
    values = fields.astype(np.float32)
    mean = values.mean(axis=(3, 4))
    values -= mean[..., None, None]
    spread = np.sqrt(np.einsum("nrchw,nrchw->nrc", values, values) / base.size)
    together = np.einsum("nrchw,hw->nrc", values, base - base_mean) / base.size
    luminance = (2 * mean * base_mean + _C1) / (mean**2 + base_mean**2 + _C1)
    contrast = (2 * spread * base_spread + _C2) / (spread**2 + base_spread**2 + _C2)
    structure = (together + _C2 / 2) / (spread * base_spread + _C2 / 2)
    return np.asarray(1.0 - luminance * contrast * (1.0 + structure) / 2.0, dtype=np.float32)

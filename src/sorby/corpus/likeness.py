"""How alike the images of a corpus are: every unordered pair looked at once, then asked for any split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.corpus.hash_search import Hashes, Pairs, pairs_within, rank_in_run
from sorby.corpus.near_duplicates import ssim_of_pairs
from sorby.corpus.structural_similarity import UInt8

Rows = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Likeness:
    """Candidates by perceptual hash among all images, with their structural similarity.

    Attributes
    ----------
    n : int
        Images.
    pairs : ndarray of int, shape (p, 2)
        First index below the second.
    distance : ndarray of uint8, shape (p,)
        Bits in which the hashes differ.
    ssim : ndarray of float, shape (p,)
        1 throughout where pixels were not compared.
    """

    n: int
    pairs: Pairs
    distance: npt.NDArray[np.uint8]
    ssim: Values

    @classmethod
    def find(
        cls,
        paths: Sequence[Path],
        hashes: Hashes,
        radius: int,
        *,
        compare: bool = True,
        thumbnails: dict[int, UInt8] | None = None,
    ) -> Likeness:
        """Find the pairs within a radius and compare their pixels.

        Parameters
        ----------
        paths : sequence of Path
        hashes : ndarray of uint64, shape (n,)
        radius : int
            Bits of 64.
        compare : bool
            Whether pixels are compared; without, no image is read.
        thumbnails : dict, optional
            From `sorby.corpus.near_duplicates.look_at`, so that no image is read twice.

        Raises
        ------
        ImageError
            A file cannot be read.
        InputError
            The radius is too wide for these images.
        """
        pairs = pairs_within(hashes, radius)
        distance = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
        ssim = ssim_of_pairs(paths, pairs, thumbnails) if compare else np.ones(len(pairs))
        return cls(len(hashes), pairs, distance, ssim)

    def within(self, radius: int) -> Likeness:
        """Return the candidates of a smaller radius."""
        kept = self.distance <= radius
        return Likeness(self.n, self.pairs[kept], self.distance[kept], self.ssim[kept])

    def confirmed(self, at_least: float) -> Pairs:
        """Return the pairs whose similarity is *at_least* that, shape (p, 2)."""
        return self.pairs[self.ssim >= at_least]

    def best(self, train: Rows, judged: Rows, neighbours: int | None) -> Values:
        """Return for every judged image the largest SSIM among its nearest training images; -1 without any.

        Parameters
        ----------
        train, judged : ndarray of int
            Rows learnt from and rows judged.
        neighbours : int, optional
            Training images looked at, nearest by hash first, of equally near ones the most similar; all where None.

        Returns
        -------
        ndarray of float, shape (len(judged),)
        """
        # Both directions, so that a judged image finds its training images whichever comes first.
        of, to = self.pairs.T.reshape(-1), self.pairs[:, ::-1].T.reshape(-1)
        ssim, distance = np.tile(self.ssim, 2), np.tile(self.distance, 2)
        is_train, is_judged = np.zeros(self.n, bool), np.zeros(self.n, bool)
        is_train[train], is_judged[judged] = True, True
        rows = np.flatnonzero(is_judged[of] & is_train[to])
        if neighbours is not None:
            rows = rows[np.lexsort((-ssim[rows], distance[rows], of[rows]))]
            rows = rows[rank_in_run(of[rows]) < neighbours]
        best = np.full(self.n, -1.0)
        np.maximum.at(best, of[rows], ssim[rows])
        return best[judged]

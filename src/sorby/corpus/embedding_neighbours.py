"""Near-duplicates by what a network sees: pairs whose features point the same way.

A hash sees coarse brightness only; a crop, a shift by a tenth or another contrast may escape it and still be the same
picture to a network. Features are centred and scaled by the corpus first: raw ones are all positive and much alike,
so that their cosine hardly tells images apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus.hash_search import MOST_PAIRS, Pairs
from sorby.errors import InputError

Floats = npt.NDArray[np.float32]

_BLOCK = 1024
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False)
class Direction:
    """The standardisation that cosines are taken after.

    Attributes
    ----------
    mean, spread : ndarray of float32, shape (D,)
        Of the corpus.
    """

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, features: Floats) -> Direction:
        """Take mean and standard deviation from the features of a corpus, shape (n, D)."""
        spread = features.std(axis=0, dtype=np.float64)
        flat = spread <= _LEAST_SPREAD * max(1e-12, float(spread.max(initial=0.0)))
        return cls(
            features.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.where(flat, np.inf, spread).astype(np.float32),
        )

    def unit(self, features: Floats) -> Floats:
        """Return standardised features of length 1, shape (n, D); a feature that never varies counts nothing."""
        standard = (features - self.mean) / self.spread
        length = np.linalg.norm(standard, axis=1, keepdims=True)
        return np.asarray(standard / np.maximum(length, 1e-12), np.float32)


@dataclass(frozen=True, eq=False)
class EmbeddingNeighbours:
    """Pairs of images that are near-duplicates to a network.

    Attributes
    ----------
    pairs : ndarray of int, shape (p, 2)
        First index below the second.
    cosine : ndarray of float32, shape (p,)
    threshold : float
    how : str
        Which features, and where the threshold comes from.
    """

    pairs: Pairs
    cosine: Floats
    threshold: float
    how: str

    def judged_with_neighbour(self, train: npt.NDArray[np.intp], judged: npt.NDArray[np.intp], n: int) -> int:
        """Count the judged images with a neighbour in the training part."""
        is_train, is_judged = np.zeros(n, bool), np.zeros(n, bool)
        is_train[train], is_judged[judged] = True, True
        first, second = self.pairs.T
        found = np.concatenate(
            [first[is_judged[first] & is_train[second]], second[is_judged[second] & is_train[first]]]
        )
        return len(np.unique(found))

    def as_dict(self, labels: npt.NDArray[Any]) -> dict[str, Any]:
        """Return counts for JSON; pairs of different labels are no duplicates and show how often chance strikes."""
        crossing = int((labels[self.pairs[:, 0]] != labels[self.pairs[:, 1]]).sum())
        return {
            "pairs": len(self.pairs),
            "images": len(np.unique(self.pairs)),
            "pairs_of_two_classes": crossing,
            "threshold": self.threshold,
            "how": self.how,
        }


def cosine_pairs(unit: Floats, threshold: float) -> tuple[Pairs, Floats]:
    """Find all pairs of unit vectors whose cosine is *threshold* or more; exact.

    Parameters
    ----------
    unit : ndarray of float32, shape (n, D)
    threshold : float

    Returns
    -------
    pairs : ndarray of int, shape (p, 2)
        First index below the second, in lexicographic order.
    cosine : ndarray of float32, shape (p,)

    Raises
    ------
    InputError
        More than twenty million pairs.
    """
    pairs: list[Pairs] = [np.empty((0, 2), np.intp)]
    values: list[Floats] = [np.empty(0, np.float32)]
    total = 0
    for start in range(0, len(unit), _BLOCK):
        cosine = unit[start : start + _BLOCK] @ unit[start:].T
        first, second = np.nonzero(np.triu(cosine >= threshold, 1))
        pairs.append(np.stack([first + start, second + start], axis=1))
        values.append(cosine[first, second])
        total += len(first)
        if total > MOST_PAIRS:
            raise InputError(f"more than {MOST_PAIRS:,} pairs of images are near in features", "audit without them")
    return np.concatenate(pairs), np.concatenate(values)

"""Means and covariances of patch vectors from sums, so that images can be added and removed in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sorby.errors import InputError


class GaussianSums:
    """Counts, sums and sums of squares of vectors, for each place of a grid or for all places together.

    Sums are taken about a reference (the mean of the first batch), since the difference of two large sums of squares
    would have no digits left.

    Parameters
    ----------
    reference : torch.Tensor, (P, D)
        P places, or 1 where all are pooled.
    dtype : torch.dtype
        Of the sums: float64 where pooled (millions of vectors), float32 otherwise (as many as there are images).

    Attributes
    ----------
    count : int
        Vectors a place.
    """

    def __init__(self, reference: torch.Tensor, dtype: torch.dtype) -> None:
        places, length = reference.shape
        self.count = 0
        self._reference = reference.to(dtype)
        self._first = torch.zeros(places, length, dtype=dtype)
        self._second = torch.zeros(places, length, length, dtype=dtype)

    @classmethod
    def about(cls, vectors: torch.Tensor) -> GaussianSums:
        """Return empty sums with the mean of *vectors* (P, M, D) as reference."""
        dtype = torch.float64 if len(vectors) == 1 else torch.float32
        return cls(vectors.to(dtype).mean(1), dtype)

    @property
    def places(self) -> int:
        """P; 1 where pooled."""
        return len(self._first)

    @property
    def length(self) -> int:
        """D."""
        return self._first.shape[1]

    def add(self, vectors: torch.Tensor) -> None:
        """Add vectors (P, M, D)."""
        self._move(vectors, 1)

    def remove(self, vectors: torch.Tensor) -> None:
        """Take vectors (P, M, D) out that were added before.

        Raises
        ------
        InputError
            Fewer would be left than a covariance needs.
        """
        if self.count - vectors.shape[1] < 2:
            raise InputError(
                "too few good images would be left: a covariance needs two vectors at each place", "add some first"
            )
        self._move(vectors, -1)

    def _move(self, vectors: torch.Tensor, sign: int) -> None:
        centred = vectors.to(self._first.dtype) - self._reference[:, None]
        self._first += sign * centred.sum(1)
        self._second.baddbmm_(centred.transpose(1, 2), centred, alpha=sign)
        self.count += sign * vectors.shape[1]

    def without(self, vectors: torch.Tensor) -> GaussianSums:
        """Return the sums as they were without *vectors*."""
        other = GaussianSums.__new__(GaussianSums)
        other.count = self.count
        other._reference = self._reference
        other._first, other._second = self._first.clone(), self._second.clone()
        other.remove(vectors)
        return other

    def mean(self) -> torch.Tensor:
        """Return the means (P, D), float64."""
        return (self._reference + self._first / self.count).double()

    def covariance(self, rows: slice = slice(None)) -> torch.Tensor:
        """Return the covariances (P, D, D) with denominator n - 1, of some places or all.

        Raises
        ------
        InputError
            There are fewer than two vectors.
        """
        if self.count < 2:
            raise InputError(
                f"{self.count} vectors at a place have no covariance", "give at least two good images, better thirty"
            )
        first = self._first[rows]
        outer = torch.einsum("pi,pj->pij", first, first) / self.count
        return (self._second[rows] - outer) / (self.count - 1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `from_arrays` needs; of the symmetric sums the lower triangle only."""
        low = torch.tril_indices(self.length, self.length)
        return {
            "count": np.array([self.count], np.int64),
            "reference": self._reference.numpy(),
            "first": self._first.numpy(),
            "second": self._second[:, low[0], low[1]].numpy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> GaussianSums:
        """Rebuild sums from `arrays`.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        reference = torch.from_numpy(np.array(arrays["reference"]))
        places, length = reference.shape
        packed = torch.from_numpy(np.array(arrays["second"]))
        if packed.shape != (places, length * (length + 1) // 2) or arrays["first"].shape != (places, length):
            raise ValueError("sums of another shape than their reference")
        sums = cls(reference, reference.dtype)
        sums.count = int(arrays["count"][0])
        sums._first = torch.from_numpy(np.array(arrays["first"]))
        low = torch.tril_indices(length, length)
        sums._second[:, low[0], low[1]] = packed
        sums._second[:, low[1], low[0]] = packed
        return sums


def whitening(covariance: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return W (P, D, D), lower triangular, with W (S + epsilon I) W' = I.

    The Mahalanobis distance is then the length of W (x - mean) (PaDiM, Defard et al. 2021, with their epsilon .01).

    Parameters
    ----------
    covariance : torch.Tensor, (P, D, D)
    epsilon : float
        Added to the diagonal: with fewer images than features it alone makes the matrix invertible, and then drives
        the distance.

    Raises
    ------
    InputError
        A covariance is not finite or not positive.
    """
    length = covariance.shape[-1]
    lifted = covariance.double() + epsilon * torch.eye(length, dtype=torch.float64)
    factor, failed = torch.linalg.cholesky_ex(lifted)
    if bool(failed.any()) or not bool(torch.isfinite(factor).all()):
        raise InputError(
            "the covariance of the good images cannot be inverted", "raise density.epsilon, or add good images"
        )
    identity = torch.eye(length, dtype=torch.float64).expand_as(lifted)
    inverse: torch.Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse

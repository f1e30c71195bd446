"""What a detector remembers of good images, in a form that images can be added to and taken out of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.embedding import Embedding
from sorby.anomaly.gaussian_sums import GaussianSums
from sorby.anomaly.mahalanobis_maps import PooledGaussian, PositionGaussians
from sorby.anomaly.memory_bank import NearestPatches, PatchReservoir, bank_from_arrays, coreset
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.errors import InputError

Arrays = dict[str, npt.NDArray[Any]]
_TOGETHER = 16  # vectors a place that are added to the sums at once
Size = tuple[int, int]


class Memory(Protocol):
    """What is remembered.

    Attributes
    ----------
    size : (int, int)
        Places of the feature grid, down and across.
    """

    size: Size

    def add(self, vectors: torch.Tensor, image: int) -> None:
        """Remember an image's vectors (V, D, h, w); *image* is its number."""

    def remove(self, vectors: torch.Tensor, image: int) -> None:
        """Forget it again."""

    def finish(self) -> None:
        """All images have been added."""

    def density(self, embedding: Embedding) -> nn.Module:
        """Return the graph from levels to distances (N, h, w)."""

    def without(self, vectors: torch.Tensor, image: int, embedding: Embedding) -> nn.Module:
        """Return that graph as it were without one image."""

    def arrays(self) -> Arrays:
        """Return what `memory_from_arrays` needs."""


class GaussianMemory:
    """Sums of the vectors of each place, or of all places.

    Parameters
    ----------
    size : (int, int)
    pooled : bool
    epsilon : float
    """

    def __init__(self, size: Size, *, pooled: bool, epsilon: float, sums: GaussianSums | None = None) -> None:
        self.size = size
        self.pooled = pooled
        self.epsilon = epsilon
        self.sums = sums
        self._waiting: list[torch.Tensor] = []

    def _rows(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return vectors (V, D, h, w) as (P, M, D)."""
        if not self.pooled and tuple(vectors.shape[2:]) != self.size:
            raise InputError(
                f"feature maps of {tuple(vectors.shape[2:])} places, the detector has {self.size}",
                "a position-wise detector takes images of one size; see image.height and image.width",
            )
        by_place = vectors.flatten(2).permute(2, 0, 1)
        # Laid out place by place: sums and products over strided memory take several times as long.
        return by_place.reshape(1, -1, by_place.shape[2]) if self.pooled else by_place.contiguous()

    def add(self, vectors: torch.Tensor, image: int) -> None:
        """Add an image's vectors to the sums.

        Vectors wait until there are a few at each place: each addition passes over all covariances, and these are
        a hundred times as large as an image's vectors.
        """
        del image
        self._waiting.append(self._rows(vectors))
        if self.pooled or sum(rows.shape[1] for rows in self._waiting) >= _TOGETHER:
            self._add_waiting()

    def _add_waiting(self) -> None:
        if not self._waiting:
            return
        rows = torch.cat(self._waiting, 1)
        self._waiting.clear()
        if self.sums is None:
            self.sums = GaussianSums.about(rows)
        self.sums.add(rows)

    def remove(self, vectors: torch.Tensor, image: int) -> None:
        """Take an image's vectors out of the sums."""
        del image
        self.filled().remove(self._rows(vectors))

    def finish(self) -> None:
        """Check that a covariance can be made."""
        self.filled().covariance(slice(0, 1))

    def filled(self) -> GaussianSums:
        """Return the sums.

        Raises
        ------
        InputError
            Nothing was added.
        """
        self._add_waiting()
        if self.sums is None:
            raise InputError("no good image could be read", "give at least two good images, better thirty")
        return self.sums

    def density(self, embedding: Embedding) -> nn.Module:
        """Return the graph of Mahalanobis distances."""
        return self._graph(embedding, self.filled())

    def without(self, vectors: torch.Tensor, image: int, embedding: Embedding) -> nn.Module:
        """Return the graph without one image, its vectors subtracted from the sums."""
        del image
        return self._graph(embedding, self.filled().without(self._rows(vectors)))

    def _graph(self, embedding: Embedding, sums: GaussianSums) -> nn.Module:
        if self.pooled:
            return PooledGaussian(embedding, sums, self.epsilon)
        return PositionGaussians(embedding, sums, self.size, self.epsilon)

    def arrays(self) -> Arrays:
        """Return the sums as arrays."""
        return {"size": np.array(self.size), **self.filled().arrays()}


class PatchMemory:
    """Patches of the good images: a bounded uniform sample, and the coreset chosen from it.

    The sample is kept so that images can be added and forgotten; the coreset is chosen anew then.

    Parameters
    ----------
    size : (int, int)
    capacity, patches, neighbours, seed : int
        See `sorby.anomaly.recipe.DensitySection`.
    """

    def __init__(self, size: Size, capacity: int, patches: int, neighbours: int, seed: int) -> None:
        self.size = size
        self._patches, self._neighbours, self._seed = patches, neighbours, seed
        self._reservoir = PatchReservoir(capacity, seed)
        self._bank: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]] | None = None

    def add(self, vectors: torch.Tensor, image: int) -> None:
        """Show an image's patches to the sample."""
        rows = vectors.flatten(2).transpose(1, 2).reshape(-1, vectors.shape[1]).numpy()
        self._reservoir.add(rows, np.full(len(rows), image, np.int64))

    def remove(self, vectors: torch.Tensor, image: int) -> None:
        """Forget an image's patches."""
        del vectors
        self._reservoir.forget(image)

    def finish(self) -> None:
        """Choose the coreset."""
        sample, owners = self._reservoir.sample()
        if not len(sample):
            raise InputError("no good image could be read", "give good images")
        chosen = coreset(sample, self._patches, self._seed)
        self._bank = sample[chosen], owners[chosen]

    def density(self, embedding: Embedding) -> nn.Module:
        """Return the graph of distances to the nearest patches."""
        assert self._bank is not None, "finish comes first"
        return NearestPatches(embedding, self._bank[0], self._neighbours)

    def without(self, vectors: torch.Tensor, image: int, embedding: Embedding) -> nn.Module:
        """Return the graph without one image's patches; the coreset is not chosen anew."""
        del vectors
        assert self._bank is not None, "finish comes first"
        others = self._bank[1] != image
        if others.sum() < self._neighbours:
            raise InputError("too few patches of other images remain", "give more good images, or density.patches")
        return NearestPatches(embedding, self._bank[0][others], self._neighbours)

    def arrays(self) -> Arrays:
        """Return sample and coreset as arrays."""
        assert self._bank is not None, "finish comes first"
        sample, owners = self._reservoir.sample()
        return {
            "size": np.array(self.size),
            "sample": sample, "sample_owners": owners, "seen": np.array([self._reservoir.seen]),
            "patches": self._bank[0], "owners": self._bank[1],
        }  # fmt: skip

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the state of `arrays`."""
        self._bank = bank_from_arrays(arrays)
        self._reservoir.restore(arrays["sample"], arrays["sample_owners"], int(arrays["seen"][0]))


def new_memory(recipe: AnomalyRecipe, size: Size) -> GaussianMemory | PatchMemory:
    """Return an empty memory of the recipe's kind."""
    density = recipe.density
    if density.kind == "nearest":
        return PatchMemory(size, density.capacity, density.patches, density.neighbours, recipe.seed)
    return GaussianMemory(size, pooled=density.kind == "pooled", epsilon=density.epsilon)


def memory_from_arrays(recipe: AnomalyRecipe, arrays: Mapping[str, npt.NDArray[Any]]) -> GaussianMemory | PatchMemory:
    """Rebuild a memory.

    Raises
    ------
    ValueError, KeyError
        The arrays do not fit together.
    """
    down, across = (int(side) for side in arrays["size"])
    memory = new_memory(recipe, (down, across))
    if isinstance(memory, PatchMemory):
        memory.restore(arrays)
    else:
        memory.sums = GaussianSums.from_arrays(arrays)
        if memory.sums.places != (1 if memory.pooled else down * across):
            raise ValueError("sums of another number of places than the grid has")
    return memory

"""Distance to the nearest remembered patches: PatchCore (Roth et al. 2022), and the same on a transformer's patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sorby.anomaly.embedding import Embedding, Levels

Floats = npt.NDArray[np.float32]
_SKETCH = 64  # dimensions in which the coreset is searched; Johnson and Lindenstrauss keep distances well enough


class PatchReservoir:
    """A uniform sample of all patches seen, in bounded memory (Vitter's algorithm R).

    Parameters
    ----------
    capacity : int
        Patches kept at most.
    seed : int

    Attributes
    ----------
    seen : int
        Patches shown so far.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._capacity = capacity
        self._kept: Floats | None = None
        self._owners = np.full(capacity, -1, np.int64)
        self.seen = 0

    def add(self, patches: Floats, owners: npt.NDArray[np.int64]) -> None:
        """Show patches (n, D); *owners* (n,) says of which image each is."""
        if self._kept is None:
            self._kept = np.empty((self._capacity, patches.shape[1]), np.float32)
        room = max(0, min(len(patches), self._capacity - self.seen))
        self._kept[self.seen : self.seen + room] = patches[:room]
        self._owners[self.seen : self.seen + room] = owners[:room]
        late = np.arange(room, len(patches))
        if len(late):
            place = self._rng.integers(0, self.seen + late + 1)
            hit = place < self._capacity
            self._kept[place[hit]] = patches[late[hit]]  # of two for one place the later stays, as one by one
            self._owners[place[hit]] = owners[late[hit]]
        self.seen += len(patches)

    def forget(self, owner: int) -> None:
        """Drop the kept patches of one image; the others stay a uniform sample of the others."""
        if self._kept is None:
            return
        count = min(self.seen, self._capacity)
        stay = np.flatnonzero(self._owners[:count] != owner)
        share = len(stay) / max(1, count)
        self._kept[: len(stay)] = self._kept[stay]
        self._owners[: len(stay)] = self._owners[stay]
        self._owners[len(stay) :] = -1
        # A sample that is no longer full stands for as many patches as it holds from now on.
        self.seen = len(stay) if len(stay) < self._capacity else round(self.seen * share)

    def restore(self, kept: Floats, owners: npt.NDArray[np.int64], seen: int) -> None:
        """Take a stored sample; what is drawn later depends on the seed and on how many were seen."""
        count = len(kept)
        if count > self._capacity or owners.shape != (count,) or seen < count:
            raise ValueError("a sample that does not fit its capacity")
        self._kept = np.empty((self._capacity, kept.shape[1]), np.float32)
        self._kept[:count], self._owners[:count] = kept, owners
        self.seen = seen

    def sample(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return the kept patches and their owners."""
        if self._kept is None:
            return np.empty((0, 0), np.float32), np.empty(0, np.int64)
        count = min(self.seen, self._capacity)
        return self._kept[:count], self._owners[:count]


def coreset(patches: Floats, size: int, seed: int) -> npt.NDArray[np.intp]:
    """Return which *size* patches cover all others best: greedy farthest-point selection.

    The search runs on a random projection; each step costs one pass over the patches.

    Parameters
    ----------
    patches : ndarray of float32, (n, D)
    size : int
    seed : int

    Returns
    -------
    ndarray of int, (min(size, n),)
        In the order of selection.
    """
    n, length = patches.shape
    if size >= n:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    sketch = patches
    if length > _SKETCH:
        sketch = patches @ (rng.standard_normal((length, _SKETCH)) / np.sqrt(_SKETCH)).astype(np.float32)
    squares = np.einsum("nd,nd->n", sketch, sketch)
    chosen = np.empty(size, np.intp)
    chosen[0] = rng.integers(n)
    distance = np.full(n, np.inf, np.float32)
    for k in range(size):
        last = chosen[k]
        np.minimum(distance, squares - 2 * (sketch @ sketch[last]) + squares[last], out=distance)
        distance[last] = -np.inf
        if k + 1 < size:
            chosen[k + 1] = int(np.argmax(distance))
    return chosen


class NearestPatches(nn.Module):
    """Levels (N, C, h, w) to distances (N, h, w): the mean distance to the nearest remembered patches.

    Parameters
    ----------
    embedding : Embedding
    bank : ndarray of float32, (M, D)
    neighbours : int
        How many of the nearest are averaged.
    """

    def __init__(self, embedding: Embedding, bank: Floats, neighbours: int) -> None:
        super().__init__()
        self.assemble = embedding.assemble
        self.neighbours = neighbours
        centre = bank.mean(0)
        patches = torch.from_numpy(bank - centre)  # about the middle, so that squares do not swallow differences
        self.register_buffer("centre", torch.from_numpy(centre).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("patches", patches.T.contiguous(), persistent=False)
        self.register_buffer("squares", patches.square().sum(1), persistent=False)
        self.centre: torch.Tensor
        self.patches: torch.Tensor
        self.squares: torch.Tensor

    def forward(self, levels: Levels) -> torch.Tensor:
        """Return the distances."""
        return self.of_vectors(self.assemble(levels))

    def of_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the distances of assembled vectors (N, D, h, w)."""
        centred = vectors - self.centre
        count, _, height, width = centred.shape
        rows = centred.flatten(2).transpose(1, 2)
        own = rows.square().sum(2, keepdim=True)
        squared = own + self.squares - 2 * torch.matmul(rows, self.patches)
        if self.neighbours == 1:
            nearest = squared.amin(2).clamp(min=0).sqrt()
        else:
            nearest = squared.topk(self.neighbours, dim=2, largest=False).values.clamp(min=0).sqrt().mean(2)
        return nearest.reshape(count, height, width)


def bank_from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Rebuild a memory bank.

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """
    patches, owners = np.asarray(arrays["patches"], np.float32), np.asarray(arrays["owners"], np.int64)
    if patches.ndim != 2 or owners.shape != (len(patches),):
        raise ValueError("a memory bank is patches (M, D) and owners (M,)")
    return patches, owners

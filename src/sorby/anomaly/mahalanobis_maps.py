"""Mahalanobis distance maps as graphs: one Gaussian for each place, or one for all of them (PaDiM, Defard et al. 2021).

Both graphs centre the features before they whiten them. In bfloat16 the order counts: whitened features lie far from
zero, and their rounding would be as large as the distances. The subtracted mean is rounded to bfloat16 first, so that
subtracting it is exact there, and what was rounded off is added again after whitening.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from sorby.anomaly.embedding import Embedding, Levels
from sorby.anomaly.gaussian_sums import GaussianSums, whitening

_PLACES_AT_ONCE = 256


def _in_bfloat16(mean: torch.Tensor) -> torch.Tensor:
    return mean.to(torch.bfloat16).double()


class PositionGaussians(nn.Module):
    """Levels (N, C, h, w) to distances (N, h, w), each place against its own Gaussian.

    For parts that lie the same way in every image. Images must have the size it was fitted on.

    All places under one coarse cell see the same coarse features, and so have the same Gaussian of them. Split by
    depth as in `PooledGaussian`, the coarse term is computed once a coarse cell, the next once a cell of the next
    grid, and only the finest features, given the others, at every place: the same distance with a fifth of the numbers.

    Parameters
    ----------
    embedding : Embedding
    sums : GaussianSums
        Of h * w places.
    size : (int, int)
        h and w.
    epsilon : float
    """

    def __init__(self, embedding: Embedding, sums: GaussianSums, size: tuple[int, int], epsilon: float) -> None:
        super().__init__()
        self.assemble = embedding.assemble
        self.size = size
        channels = [sums.length] if embedding.summed else list(embedding.channels)
        self.depth = len(channels)
        own, order = _coarsest_first(channels)
        mean = sums.mean()
        rounded = _in_bfloat16(mean)
        parts = []
        for begin in range(0, sums.places, _PLACES_AT_ONCE):
            covariance = sums.covariance(slice(begin, begin + _PLACES_AT_ONCE))
            parts.append(whitening(covariance[:, order][:, :, order], epsilon).float())
        whiten = torch.empty(sums.places, sums.length, sums.length)
        whiten[:, :, order] = torch.cat(parts)  # columns as vectors are assembled, rows coarsest first
        rest = torch.einsum("pij,pj->pi", whiten, (rounded - mean).float())
        self.register_buffer("mean", rounded.float().T.reshape(1, sums.length, *size), persistent=False)
        # Rows of vectors times the transposed matrix: places lead, so that each place is one small matrix product.
        self.register_buffer("whiten", whiten.transpose(1, 2), persistent=False)
        self.register_buffer("rest", rest[:, None], persistent=False)
        self.mean: torch.Tensor
        self.whiten: torch.Tensor
        self.rest: torch.Tensor
        if self.depth > 1:
            self._fold_chain(embedding, own, channels)

    def _fold_chain(self, embedding: Embedding, own: Sequence[torch.Tensor], channels: Sequence[int]) -> None:
        """Keep of each level's cells the rows that are theirs, from one place under each cell.

        What the coarser levels say of a cell is kept with the coarse cell above it, for all cells below at once: their
        vectors are the same and need not be repeated on the finer grid.
        """
        self.step = embedding.step
        self.steps = [
            (coarse // fine, shift)
            for (fine, coarse), shift in zip(itertools.pairwise(embedding.strides), embedding.shifts, strict=True)
        ]
        begin = 0
        for k, stride in enumerate(embedding.strides):
            times = stride // embedding.strides[0]
            high, wide = self.size[0] // times, self.size[1] // times
            cells = torch.arange(high * wide, dtype=torch.float64).reshape(1, 1, high, wide)
            under = embedding.to_finest(cells, k).flatten().long()
            place = torch.zeros(high * wide, dtype=torch.long)
            place[under.flip(0)] = torch.arange(len(under)).flip(0)  # of several places the first; all are alike
            rows = self.whiten[place][:, begin:, own[k]]
            mean = self.mean.flatten(2)[0, begin:, place].reshape(1, -1, high, wide)
            self.register_buffer(f"own_{k}", rows[:, : channels[k]].contiguous(), persistent=False)
            self.register_buffer(f"cell_rest_{k}", self.rest[place][:, :, own[k]].contiguous(), persistent=False)
            self.register_buffer(f"cell_mean_{k}", mean.contiguous(), persistent=False)
            if k < self.depth - 1:
                said = _above(rows[:, channels[k] :].reshape(high, wide, -1, channels[k]), *self.steps[k])
                self.register_buffer(f"said_{k}", said, persistent=False)
            begin += channels[k]

    def forward(self, levels: Levels) -> torch.Tensor:
        """Return the distances."""
        if self.depth == 1:
            return self.of_vectors(self.assemble(levels))
        total: torch.Tensor | None = None
        above: torch.Tensor | None = None  # centred vectors (N, C, h, w) of all levels from the next coarser one on
        for k in reversed(range(self.depth)):
            mean = getattr(self, f"cell_mean_{k}")
            width = levels[k].shape[1]
            centred = levels[k] - mean[:, :width]
            whitened = torch.matmul(_by_place(centred), getattr(self, f"own_{k}")) + getattr(self, f"cell_rest_{k}")
            if above is not None:
                whitened = whitened + self._said(above, k, levels[k].shape[2:])
            squared = whitened.square().sum(2).transpose(0, 1).reshape(-1, 1, *levels[k].shape[2:])
            total = squared if total is None else squared + self.step(total, k + 1)
            if k:
                above = centred if above is None else torch.cat([centred, self.step(above, k + 1)], 1)
        assert total is not None
        return total[:, 0].sqrt()

    def _said(self, above: torch.Tensor, k: int, size: Sequence[int]) -> torch.Tensor:
        """Return what the coarser levels add to each cell of level *k*, (cells, N, own channels)."""
        times, shift = self.steps[k]
        padded = functional.pad(above, (0, 1, 0, 1), mode="replicate")
        high, wide = int(padded.shape[2]), int(padded.shape[3])
        product = torch.matmul(_by_place(padded), getattr(self, f"said_{k}"))
        spread = product.reshape(high, wide, -1, times, times, product.shape[2] // times**2).permute(0, 3, 1, 4, 2, 5)
        whole = spread.reshape(high * times, wide * times, -1, product.shape[2] // times**2)
        part = whole[shift : shift + int(size[0]), shift : shift + int(size[1])]
        return part.reshape(int(size[0]) * int(size[1]), -1, product.shape[2] // times**2)

    def of_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the distances of assembled vectors (N, D, h, w), of any vectors at all."""
        centred = vectors - self.mean
        whitened = torch.matmul(centred.flatten(2).permute(2, 0, 1), self.whiten) + self.rest
        squared = whitened.square().sum(2)
        return squared.sqrt().transpose(0, 1).reshape(-1, *self.size)


def _by_place(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors (N, C, h, w) as (h * w, N, C)."""
    return vectors.flatten(2).permute(2, 0, 1)


def _above(rows: torch.Tensor, times: int, shift: int) -> torch.Tensor:
    """Collect matrices (h, w, C, c) of fine cells under the coarse cell above each.

    Coarse cell j stands over the fine cells times * j - shift and the times - 1 after it; one more coarse cell at the
    end repeats the last.

    Returns
    -------
    torch.Tensor, ((h / times + 1) * (w / times + 1), C, times * times * c)
    """
    high, wide = rows.shape[0] // times + 1, rows.shape[1] // times + 1
    padded = rows.new_zeros(high * times, wide * times, *rows.shape[2:])
    padded[shift : shift + rows.shape[0], shift : shift + rows.shape[1]] = rows
    blocks = padded.reshape(high, times, wide, times, *rows.shape[2:]).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(high * wide, rows.shape[2], -1).contiguous()


def _coarsest_first(channels: Sequence[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Order assembled features with the coarsest level first.

    Returns
    -------
    own : list of torch.Tensor
        Where each level's features stand in the new order.
    order : torch.Tensor
        Old positions in the new order.
    """
    places = torch.split(torch.arange(sum(channels)), list(channels))
    blocks = torch.split(torch.arange(sum(channels)), list(reversed(channels)))
    return list(reversed(blocks)), torch.cat(list(reversed(places)))


class PooledGaussian(nn.Module):
    """Levels (N, C, h, w) to distances (N, h, w), every place against the one Gaussian of all places.

    For webs and textures, and fully convolutional: images may have any size.

    The distance is split by depth. With the levels ordered coarsest first, the whitening is lower triangular, so

    d2(x) = d2(coarsest) + d2(next | coarsest) + ... + d2(finest | all coarser),

    and each term has only as many components as its level has channels and is computed on that level's grid: on the
    fine grid a quarter of the work of whitening the assembled vector there, with the same result.

    Parameters
    ----------
    embedding : Embedding
    sums : GaussianSums
        Of one place.
    epsilon : float
    """

    def __init__(self, embedding: Embedding, sums: GaussianSums, epsilon: float) -> None:
        super().__init__()
        self.step = embedding.step
        self.summed = embedding.summed
        self.assemble = embedding.assemble
        mean, covariance = sums.mean()[0], sums.covariance()
        self._fold_whole(mean, whitening(covariance, epsilon)[0])
        if not self.summed:
            self._fold_chain(embedding.channels, mean, covariance, epsilon)

    def _fold_chain(
        self, channels: Sequence[int], mean: torch.Tensor, covariance: torch.Tensor, epsilon: float
    ) -> None:
        """Lay the blocks of the whitening down as 1 x 1 convolutions."""
        places = torch.split(torch.arange(sum(channels)), list(channels))
        at, order = _coarsest_first(channels)
        whiten = whitening(covariance[:, order][:, :, order], epsilon)[0]
        rounded = _in_bfloat16(mean)
        rest = whiten @ (rounded - mean)[order]
        for k in range(len(channels)):
            self.register_buffer(f"mean_{k}", rounded[places[k]].float().view(1, -1, 1, 1), persistent=False)
            self.register_buffer(f"rest_{k}", rest[at[k]].float(), persistent=False)
            for j in range(k, len(channels)):
                block = whiten[at[k]][:, at[j]].float()
                self.register_buffer(f"whiten_{k}_{j}", block[:, :, None, None].contiguous(), persistent=False)

    def _fold_whole(self, mean: torch.Tensor, whiten: torch.Tensor) -> None:
        """Lay the whitening of assembled vectors down as one 1 x 1 convolution."""
        rounded = _in_bfloat16(mean)
        self.register_buffer("mean", rounded.float().view(1, -1, 1, 1), persistent=False)
        self.register_buffer("rest", (whiten @ (rounded - mean)).float(), persistent=False)
        self.register_buffer("whiten", whiten.float()[:, :, None, None].contiguous(), persistent=False)
        self.mean: torch.Tensor
        self.rest: torch.Tensor
        self.whiten: torch.Tensor

    def forward(self, levels: Levels) -> torch.Tensor:
        """Return the distances."""
        if self.summed:  # mixtures of all levels have no coarser part to begin with
            return self.of_vectors(self.assemble(levels))
        return self._of_chain(levels).sqrt()[:, 0]

    def of_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the distances of assembled vectors (N, D, h, w), whitened on the fine grid."""
        centred = vectors - self.mean
        return functional.conv2d(centred, self.whiten, self.rest).square().sum(1).sqrt()

    def _of_chain(self, levels: Levels) -> torch.Tensor:
        depth = len(levels)
        centred = [level - getattr(self, f"mean_{k}") for k, level in enumerate(levels)]
        total: torch.Tensor | None = None
        for k in reversed(range(depth)):
            # What the coarser levels say of this one comes down grid by grid.
            said: torch.Tensor | None = None
            for j in reversed(range(k, depth)):
                bias = getattr(self, f"rest_{k}") if j == k else None
                term = functional.conv2d(centred[j], getattr(self, f"whiten_{k}_{j}"), bias)
                said = term if said is None else term + self.step(said, j + 1)
            assert said is not None
            own = said.square().sum(1, keepdim=True)
            total = own if total is None else own + self.step(total, k + 1)
        assert total is not None
        return total

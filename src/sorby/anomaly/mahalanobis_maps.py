"""Mahalanobis distance maps as graphs: one Gaussian for each place, or one for all of them (PaDiM, Defard et al. 2021).

Both graphs centre the features before they whiten them. In bfloat16 the order counts: whitened features lie far from
zero, and their rounding would be as large as the distances. The subtracted mean is rounded to bfloat16 first, so that
subtracting it is exact there, and what was rounded off is added again after whitening.
"""

from __future__ import annotations

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
        mean = sums.mean()
        rounded = _in_bfloat16(mean)
        parts = []
        for begin in range(0, sums.places, _PLACES_AT_ONCE):
            covariance = sums.covariance(slice(begin, begin + _PLACES_AT_ONCE))
            parts.append(whitening(covariance, epsilon).float())
        whiten = torch.cat(parts)
        rest = torch.einsum("pij,pj->pi", whiten, (rounded - mean).float())
        self.register_buffer("mean", rounded.float().T.reshape(1, sums.length, *size), persistent=False)
        # Rows of vectors times the transposed matrix: places lead, so that each place is one small matrix product.
        self.register_buffer("whiten", whiten.transpose(1, 2).contiguous(), persistent=False)
        self.register_buffer("rest", rest[:, None], persistent=False)
        self.mean: torch.Tensor
        self.whiten: torch.Tensor
        self.rest: torch.Tensor

    def forward(self, levels: Levels) -> torch.Tensor:
        """Return the distances."""
        return self.of_vectors(self.assemble(levels))

    def of_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the distances of assembled vectors (N, D, h, w)."""
        centred = vectors - self.mean
        whitened = torch.matmul(centred.flatten(2).permute(2, 0, 1), self.whiten) + self.rest
        squared = whitened.square().sum(2)
        return squared.sqrt().transpose(0, 1).reshape(-1, *self.size)


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
        coarsest_first = torch.cat(list(reversed(places)))
        whiten = whitening(covariance[:, coarsest_first][:, :, coarsest_first], epsilon)[0]
        rounded = _in_bfloat16(mean)
        rest = whiten @ (rounded - mean)[coarsest_first]
        blocks = torch.split(torch.arange(len(whiten)), list(reversed(channels)))
        at = dict(zip(reversed(range(len(channels))), blocks, strict=True))
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

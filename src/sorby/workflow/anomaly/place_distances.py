"""Distances of a few images from many place-wise Gaussians that are used once.

A detector that will judge many images lays its whitening matrices down first. Where every run of a protocol fits
anew and judges some fifty images, that is most of the work, so here the Gaussians of one strip of places at a time are
made, asked and forgotten: a triangular system is solved for the images instead of a matrix inverted. The distances
are those of `sorby.anomaly.mahalanobis_maps.PositionGaussians`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sorby.anomaly.embedding import Embedding, Levels
from sorby.anomaly.gaussian_sums import GaussianSums
from sorby.errors import InputError

_ROWS_AT_ONCE = 4  # of places; a few hundred covariances stay in the caches


def distances_once(embedding: Embedding, train: Levels, test: Levels, epsilon: float) -> torch.Tensor:
    """Return the distances (m, h, w) of test images from the Gaussians of training images.

    Parameters
    ----------
    embedding : Embedding
    train, test : Levels
        Chosen features of n and m images, from `Embedding.levels`.
    epsilon : float
        Added to the diagonal of the covariances.

    Raises
    ------
    InputError
        A covariance cannot be inverted.
    """
    parts = []
    for learnt, asked in zip(_strips(embedding, train), _strips(embedding, test), strict=True):
        sums = GaussianSums.about(learnt)
        sums.add(learnt)
        parts.append(_from_gaussians(sums, slice(None), asked, epsilon))
    return _as_maps(parts, test)


def distances_from(embedding: Embedding, sums: GaussianSums, test: Levels, epsilon: float) -> torch.Tensor:
    """Return the distances (m, h, w) of test images from Gaussians whose sums are there.

    Parameters
    ----------
    embedding : Embedding
    sums : GaussianSums
        Of h * w places.
    test : Levels
        Chosen features of m images.
    epsilon : float

    Raises
    ------
    InputError
        A covariance cannot be inverted.
    """
    parts, begin = [], 0
    for asked in _strips(embedding, test):
        parts.append(_from_gaussians(sums, slice(begin, begin + len(asked)), asked, epsilon))
        begin += len(asked)
    return _as_maps(parts, test)


def place_rows(vectors: torch.Tensor) -> torch.Tensor:
    """Return assembled vectors (n, D, h, w) place by place, (h * w, n, D)."""
    return vectors.flatten(2).permute(2, 0, 1).contiguous()


def _strips(embedding: Embedding, levels: Levels) -> Iterator[torch.Tensor]:
    """Yield the vectors (P, n, D) of a few rows of places at a time."""
    vectors = embedding.assemble(levels)
    for top in range(0, vectors.shape[2], _ROWS_AT_ONCE):
        yield place_rows(vectors[:, :, top : top + _ROWS_AT_ONCE])


def _from_gaussians(sums: GaussianSums, places: slice, asked: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return distances (P, m) of vectors (P, m, D)."""
    covariance = sums.covariance(places).double()
    covariance.diagonal(dim1=1, dim2=2).add_(epsilon)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if bool(failed.any()):
        raise InputError(
            "the covariance of the good images cannot be inverted", "raise density.epsilon, or add good images"
        )
    centred = (asked - sums.mean()[places, None]).float().transpose(1, 2)
    solved: torch.Tensor = torch.linalg.solve_triangular(factor.float(), centred, upper=False)
    return solved.square().sum(1).sqrt()


def _as_maps(parts: list[torch.Tensor], levels: Levels) -> torch.Tensor:
    return torch.cat(parts).T.reshape(-1, *levels[0].shape[2:])

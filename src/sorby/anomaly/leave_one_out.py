"""Each good image scored by a detector that has not seen it: the data-efficient way to a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sorby.anomaly.detector import Detector
from sorby.anomaly.gaussian_sums import GaussianSums, whitening
from sorby.anomaly.memory import GaussianMemory
from sorby.backbone.runtime import Device
from sorby.errors import InputError, SorbyError

Floats = npt.NDArray[np.float64]
_MOST_REFITS = 200  # position-wise refits cost about a second each
_PLACES_AT_ONCE = 256
_TOGETHER = 16  # images whose distances are computed at once


def leave_one_out_scores(
    detector: Detector,
    paths: Sequence[Path],
    numbers: Sequence[int],
    *,
    device: Device = "auto",
    progress: Callable[[int], None] | None = None,
) -> Iterator[Floats]:
    """Yield each image's view scores under the detector as it were without that image.

    A position-wise detector that was shown each image once needs no refit: the distance without one vector follows
    from the distance with it. A pooled one is refitted from its sums. Nearest patches leave the image's own out.

    Parameters
    ----------
    detector : Detector
        Fitted.
    paths : sequence of Path
        Images that it remembers.
    numbers : sequence of int
        Their numbers in the memory.

    Yields
    ------
    ndarray of float64, (V,)

    Raises
    ------
    InputError
        Too few or, position-wise with augmented views, too many images; or one can no longer be read.
    """
    memory = detector.filled()
    once = detector.turns == 1 and detector.recipe.views.kind == "whole"
    exact: ExactLeaveOneOut | None = None
    if isinstance(memory, GaussianMemory) and not memory.pooled:
        if once:
            exact = ExactLeaveOneOut(memory)
        elif len(paths) > _MOST_REFITS:
            raise InputError(
                f"leaving out each of {len(paths)} images that were shown in several views takes too long",
                "use threshold.rule=split",
            )
    waiting: list[torch.Tensor] = []
    for k, vectors in detector.vectors(paths, device=device):
        if isinstance(vectors, SorbyError):
            raise InputError(f"{paths[k]}: {vectors.message}", "it was good a moment ago; check the drive")
        if progress is not None:
            progress(1)
        # The first of an image's turns is the image as it is.
        own = vectors.reshape(-1, detector.turns, *vectors.shape[1:])[:, 0]
        if exact is None:
            yield _highest(detector, _refitted(detector, vectors, own, numbers[k]))
            continue
        waiting.append(own)
        if len(waiting) == _TOGETHER or k == len(paths) - 1:
            # Each image is one view here; together they pass over the covariances once.
            for score in _highest(detector, exact.distances(torch.cat(waiting))):
                yield np.array([score])
            waiting.clear()


def _highest(detector: Detector, distances: torch.Tensor) -> Floats:
    """Return the largest value of each smoothed map; vectors came without margins."""
    maps = detector.finished(distances.numpy())
    return np.asarray(maps.reshape(len(maps), -1).max(1), np.float64)


def _refitted(detector: Detector, vectors: torch.Tensor, own: torch.Tensor, number: int) -> torch.Tensor:
    density = detector.filled().without(vectors, number, detector.embedding)
    with torch.inference_mode():
        found: torch.Tensor = density.of_vectors(own)  # type: ignore[operator]
    return found


class ExactLeaveOneOut:
    """Mahalanobis distances of remembered vectors under the Gaussians without them.

    With d = x - mean, S the covariance of all N (denominator N - 1), A = (N-1)/(N-2) S + epsilon I, q = d' A^-1 d and
    c = N / ((N-1)(N-2)), the squared distance without x is (N/(N-1))^2 q / (1 - c q): leaving x out takes a multiple
    of dd' from the scatter, and Sherman and Morrison's formula inverts what is left.

    Parameters
    ----------
    memory : GaussianMemory
        Position-wise; every image was added once.
    """

    def __init__(self, memory: GaussianMemory) -> None:
        sums: GaussianSums = memory.filled()
        n = sums.count
        if n < 4:
            raise InputError(f"{n} good images are too few to leave one out", "give at least 20, or a split threshold")
        self._size = memory.size
        self._n = n
        self._mean = sums.mean().float()
        inflate = (n - 1) / (n - 2)
        self._whiten = torch.cat(
            [
                whitening(sums.covariance(slice(begin, begin + _PLACES_AT_ONCE)) * inflate, memory.epsilon).float()
                for begin in range(0, sums.places, _PLACES_AT_ONCE)
            ]
        )

    def distances(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return distances (V, h, w) of vectors (V, D, h, w), each without itself."""
        rows = vectors.flatten(2).permute(2, 1, 0) - self._mean[:, :, None]
        q = torch.bmm(self._whiten, rows).square().sum(1)
        n = self._n
        c = n / ((n - 1) * (n - 2))
        squared = (n / (n - 1)) ** 2 * q / (1 - c * q).clamp(min=1e-6)
        return squared.sqrt().T.reshape(-1, *self._size)

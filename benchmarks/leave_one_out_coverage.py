"""False alarms of thresholds from good images alone, by simulation: split-conformal against leave-one-out.

Vectors of good images are drawn from a known distribution at each place, heavy-tailed as features are; a detector is
fitted on n of them, its threshold taken by either rule, and its false-alarm rate measured on a thousand new ones. What
counts is the mean over many repetitions against the rate that was asked for.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from common import finish
from sorby.anomaly.leave_one_out import ExactLeaveOneOut
from sorby.anomaly.mahalanobis_maps import PositionGaussians
from sorby.anomaly.memory import GaussianMemory
from sorby.anomaly.thresholds import conformal_threshold
from sorby.evidence import t_interval

SIDE, LENGTH, FRESH = 4, 30, 1000


class Source:
    """Good images: correlated features with Student tails (5 degrees of freedom), other at each place."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.mix = torch.randn(SIDE * SIDE, LENGTH, LENGTH, generator=self.generator) / LENGTH**0.5

    def draw(self, n: int) -> torch.Tensor:
        """Return n images (n, D, h, w)."""
        normal = torch.randn(SIDE * SIDE, n, LENGTH, generator=self.generator)
        chi = torch.randn(1, n, 5, generator=self.generator).square().mean(2)  # one factor an image: exposure, grain
        vectors = torch.bmm(normal / chi.sqrt()[:, :, None], self.mix)
        return vectors.permute(1, 2, 0).reshape(n, LENGTH, SIDE, SIDE)


def remembered(images: torch.Tensor) -> GaussianMemory:
    memory = GaussianMemory((SIDE, SIDE), pooled=False, epsilon=0.01)
    memory.add(images, 0)
    return memory


def scores(memory: GaussianMemory, images: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    graph = PositionGaussians(_Stacked(), memory.filled(), memory.size, memory.epsilon)  # type: ignore[arg-type]
    return np.asarray(graph.of_vectors(images).flatten(1).amax(1), np.float64)


class _Stacked:
    summed = True
    """In place of an embedding: vectors come assembled."""

    @staticmethod
    def assemble(levels: list[torch.Tensor]) -> torch.Tensor:
        return levels[0]


def once(n: int, rate: float, seed: int) -> tuple[float, float]:
    """Return the false-alarm rates of both rules with n good images in all."""
    source = Source(seed)
    good, fresh = source.draw(n), source.draw(FRESH)
    held = max(round(0.25 * n), int(np.ceil(1 / rate - 1)))
    memory = remembered(good[held:])
    split = conformal_threshold(scores(memory, good[:held]), rate, "split", "image").value
    memory_all = remembered(good)
    left_out = ExactLeaveOneOut(memory_all).distances(good).flatten(1).amax(1)
    one_out = conformal_threshold(left_out.numpy(), rate, "leave-one-out", "image").value
    return float((scores(memory, fresh) >= split).mean()), float((scores(memory_all, fresh) >= one_out).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    rows = []
    for n, rate in ((40, 0.1), (60, 0.05), (100, 0.05), (300, 0.05), (300, 0.01)):
        found = np.array([once(n, rate, seed) for seed in range(repeats)])
        rows.append(
            {
                "n": n,
                "asked": rate,
                "split": t_interval(found[:, 0]).as_dict() | {"folds": None},
                "leave_one_out": t_interval(found[:, 1]).as_dict() | {"folds": None},
                "sd_split": float(found[:, 0].std(ddof=1)),
                "sd_leave_one_out": float(found[:, 1].std(ddof=1)),
            }
        )
    finish("leave_one_out_coverage", {"repeats": repeats, "features": LENGTH, "places": SIDE * SIDE, "rows": rows})


if __name__ == "__main__":
    main()

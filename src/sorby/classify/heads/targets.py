"""What a head is taught: classes, and where the corpus states them, needle lengths and criteria."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Codes = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

#: Columns of lengths in micrometres that a corpus may hold; a head learns those that are there.
LENGTH_COLUMNS: dict[str, str] = {
    "mean": "mean_needle_length_um",
    "largest": "largest_needle_length_um",
    "q05": "needle_length_q05_um",
    "q25": "needle_length_q25_um",
    "q50": "needle_length_q50_um",
    "q75": "needle_length_q75_um",
    "q95": "needle_length_q95_um",
}
CRITERIA = ("mean", "maximum")


@dataclass(frozen=True, eq=False)
class Targets:
    """Answers for some images; an example may stand for a share of an image.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
        Classes.
    log_lengths : ndarray, shape (n, L)
        Natural logarithms of lengths in micrometres, NaN where unknown; L may be 0.
    criterion : ndarray of int, shape (n,)
        Place in ``CRITERIA``; -1 where unknown.
    """

    labels: Codes
    log_lengths: Floats
    criterion: Codes

    @classmethod
    def plain(cls, labels: Codes) -> Targets:
        """Return targets that know classes only."""
        return cls(labels, np.empty((len(labels), 0)), np.full(len(labels), -1, np.intp))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Targets:
        """Return the targets of some images."""
        return Targets(self.labels[rows], self.log_lengths[rows], self.criterion[rows])

    def relabelled(self, labels: Codes) -> Targets:
        """Return the same targets with other classes."""
        return Targets(labels, self.log_lengths, self.criterion)

    def tensors(self, device: torch.device | None = None) -> TargetTensors:
        """Return the targets as tensors."""
        return TargetTensors(
            torch.from_numpy(self.labels.astype(np.int64)).to(device),
            torch.from_numpy(self.log_lengths.astype(np.float32)).to(device),
            torch.from_numpy(self.criterion.astype(np.int64)).to(device),
        )


@dataclass(frozen=True, eq=False)
class TargetTensors:
    """`Targets` as tensors, for losses."""

    labels: torch.Tensor
    log_lengths: torch.Tensor
    criterion: torch.Tensor

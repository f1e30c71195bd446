"""Compositions: how raw numbers become one score for each class, and what they are taught by.

Scores are logarithms of unnormalised probabilities: softmax turns them into probabilities of the classes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sorby.classify.heads.structure import CodeStructure
from sorby.classify.heads.targets import TargetTensors

_LEAST = 1e-6  # of a probability before its logarithm is taken, in float32


class Flat(nn.Module):
    """A raw number is a class score: the global model."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.width = n_classes

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return scores (N, C)."""
        return raw[:, : self.width]

    def stages(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return nothing: there is one stage."""
        del raw
        return {}

    def losses(self, raw: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        """Return the cross-entropy of each example, shape (N,)."""
        return functional.cross_entropy(raw[:, : self.width], targets.labels, reduction="none")


class Binary(nn.Module):
    """One raw number for two classes: the sigmoid output of a network for yes and no.

    Scores are (0, z), so that softmax gives the second class the sigmoid of z, and cross-entropy is binary
    cross-entropy.
    """

    width = 1

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return scores (N, 2)."""
        z = raw[:, :1]
        return torch.cat([torch.zeros_like(z), z], dim=1)

    def stages(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return nothing: there is one stage."""
        del raw
        return {}

    def losses(self, raw: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        """Return the binary cross-entropy of each example, shape (N,)."""
        wanted = targets.labels.to(raw.dtype)
        return functional.binary_cross_entropy_with_logits(raw[:, 0], wanted, reduction="none")


class Staged(nn.Module):
    """Subtype first, then a size of that subtype (Durmaz et al. 2023, Fig. 2b).

    Raw numbers: one logit a subtype, then one logit a class, grouped by subtype, coarse to fine.

    Parameters
    ----------
    structure : CodeStructure
    hard : bool
        Route as published: the most probable subtype decides, then its most probable size. Otherwise a class scores
        the product of both probabilities, and a doubtful subtype leaves the decision to the sizes.
    """

    def __init__(self, structure: CodeStructure, hard: bool) -> None:
        super().__init__()
        self.structure, self.hard = structure, hard
        grouped = [k for s in range(len(structure.subtypes)) for k in structure.members(s)]
        place = {k: position for position, k in enumerate(grouped)}
        self.register_buffer("order", torch.tensor([place[k] for k in range(len(grouped))]), persistent=False)
        self.register_buffer("subtype_of", torch.tensor(structure.subtype), persistent=False)
        self.order: torch.Tensor
        self.subtype_of: torch.Tensor
        self.width = len(structure.subtypes) + self._size_width()

    def _size_width(self) -> int:
        return len(self.structure.classes)

    def _blocks(self, raw: torch.Tensor) -> list[torch.Tensor]:
        """Return the logarithm of P(size given subtype) for each subtype, each (N, sizes)."""
        counts = [len(sizes) for sizes in self.structure.sizes]
        parts = torch.split(raw[:, len(self.structure.subtypes) : self.width], counts, dim=1)
        return [functional.log_softmax(part, dim=1) for part in parts]

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return scores (N, C)."""
        subtype = functional.log_softmax(raw[:, : len(self.structure.subtypes)], dim=1)
        blocks = self._blocks(raw)
        if self.hard:  # the best size of each subtype scores the subtype's own probability
            blocks = [block - block.max(dim=1, keepdim=True).values for block in blocks]
        size = torch.cat(blocks, dim=1).index_select(1, self.order)
        return size + subtype.index_select(1, self.subtype_of)

    def stages(self, raw: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the probabilities of every stage: ``subtype`` (N, S), then the sizes of each subtype."""
        found = {"subtype": functional.softmax(raw[:, : len(self.structure.subtypes)], dim=1)}
        for name, block in zip(self.structure.subtypes, self._blocks(raw), strict=True):
            found[name] = block.exp()
        return found

    def losses(self, raw: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        """Return cross-entropy of the subtype plus that of the size given the true subtype, shape (N,)."""
        subtypes = len(self.structure.subtypes)
        of_subtype = functional.cross_entropy(raw[:, :subtypes], self.subtype_of[targets.labels], reduction="none")
        size = torch.cat(self._blocks(raw), dim=1).index_select(1, self.order)
        return of_subtype + self._size_losses(size, targets)

    def _size_losses(self, size: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        return -size.gather(1, targets.labels.unsqueeze(1)).squeeze(1)


class Ordinal(Staged):
    """Sizes as an order: one latent coarseness a subtype, cut by rising thresholds (McCullagh 1980).

    Raw numbers: one logit a subtype, one latent fineness a subtype. P(size <= k) is the logistic function of
    ``threshold_k - fineness``. The loss adds the expected distance, in grades, between predicted and true size.

    Parameters
    ----------
    structure : CodeStructure
    hard : bool
        See `Staged`.
    distance_cost : float
        Weight of the expected distance; 0 leaves the likelihood alone.
    """

    def __init__(self, structure: CodeStructure, hard: bool, distance_cost: float) -> None:
        super().__init__(structure, hard)
        self.distance_cost = distance_cost
        longest = max(len(sizes) for sizes in structure.sizes)
        self.first = nn.Parameter(torch.full((len(structure.subtypes),), -0.5 * (longest - 2)))
        self.gaps = nn.Parameter(torch.full((len(structure.subtypes), max(1, longest - 2)), 0.54))  # softplus: 1
        grade = torch.tensor(structure.grade, dtype=torch.float32)
        apart = (grade[:, None] - grade[None, :]).abs()
        same = torch.tensor(structure.subtype)[:, None] == torch.tensor(structure.subtype)[None, :]
        self.register_buffer("distance", torch.where(same, apart, torch.zeros(())), persistent=False)
        self.distance: torch.Tensor

    def _size_width(self) -> int:
        return len(self.structure.subtypes)

    def _blocks(self, raw: torch.Tensor) -> list[torch.Tensor]:
        subtypes = len(self.structure.subtypes)
        found = []
        for s, sizes in enumerate(self.structure.sizes):
            if len(sizes) == 1:
                found.append(torch.zeros_like(raw[:, :1]))
                continue
            thresholds = self.first[s : s + 1]
            if len(sizes) > 2:  # an exported graph cannot hold an empty list of further thresholds
                steps = functional.softplus(self.gaps[s, : len(sizes) - 2])
                thresholds = torch.cat([thresholds, thresholds + torch.cumsum(steps, 0)])
            below = torch.sigmoid(thresholds.unsqueeze(0) - raw[:, subtypes + s : subtypes + s + 1])
            edges = torch.cat([torch.zeros_like(below[:, :1]), below, torch.ones_like(below[:, :1])], dim=1)
            share = (edges[:, 1:] - edges[:, :-1]).clamp_min(_LEAST)
            found.append(torch.log(share / share.sum(dim=1, keepdim=True)))
        return found

    def _size_losses(self, size: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        plain = super()._size_losses(size, targets)
        return plain + self.distance_cost * (size.exp() * self.distance[targets.labels]).sum(dim=1)


class ByLength(Staged):
    """Sizes from predicted needle lengths through the grade table: graded as a person grades, by measuring.

    Raw numbers: one logit a subtype, one logit for the maximum criterion, then the standardised logarithms of mean
    length and of the length of the largest needles (the first two of the head's lengths). P(size) is the normal
    probability that the length lies within the class's limits, weighted over both criteria.

    Parameters
    ----------
    structure : CodeStructure
    hard : bool
        See `Staged`.
    log_limits : torch.Tensor, shape (2, C, 2)
        Logarithms of the limits (lower, upper) of each class in micrometres, by mean and by maximum criterion.
    """

    def __init__(self, structure: CodeStructure, hard: bool, log_limits: torch.Tensor) -> None:
        super().__init__(structure, hard)
        # The classes' limits and how far predictions miss are numbers of the model, kept with its weights.
        self.register_buffer("log_limits", log_limits.float())
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("spread", torch.full((2,), 0.2))
        self.log_limits: torch.Tensor
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.spread: torch.Tensor

    def _size_width(self) -> int:
        return 1

    def _blocks(self, raw: torch.Tensor) -> list[torch.Tensor]:
        subtypes = len(self.structure.subtypes)
        maximum = torch.sigmoid(raw[:, subtypes : subtypes + 1])
        lengths = self.centre + self.scale * raw[:, self.width : self.width + 2]
        inside = []
        for criterion in range(2):
            low, high = self.log_limits[criterion, :, 0], self.log_limits[criterion, :, 1]
            at = lengths[:, criterion : criterion + 1]
            inside.append(_below((high - at) / self.spread[criterion]) - _below((low - at) / self.spread[criterion]))
        share = ((1 - maximum) * inside[0] + maximum * inside[1]).clamp_min(_LEAST)
        found = []
        for s in range(subtypes):
            block = share.index_select(1, torch.tensor(self.structure.members(s), device=share.device))
            found.append(torch.log(block / block.sum(dim=1, keepdim=True)))
        return found

    def losses(self, raw: torch.Tensor, targets: TargetTensors) -> torch.Tensor:
        """Return cross-entropy of subtype and, where known, of the criterion; lengths are the head's own loss."""
        subtypes = len(self.structure.subtypes)
        of_subtype = functional.cross_entropy(raw[:, :subtypes], self.subtype_of[targets.labels], reduction="none")
        known = targets.criterion >= 0
        of_criterion = functional.binary_cross_entropy_with_logits(
            raw[:, subtypes], targets.criterion.clamp_min(0).float(), reduction="none"
        )
        return of_subtype + torch.where(known, of_criterion, torch.zeros_like(of_criterion))


def _below(z: torch.Tensor) -> torch.Tensor:
    """Return the standard normal distribution function."""
    return 0.5 * (1 + torch.erf(z.clamp(-6.0, 6.0) / 2**0.5))

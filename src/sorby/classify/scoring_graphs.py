"""A trained classifier as one graph: uint8 images to class scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from sorby.backbone.architecture import StageFeatures
from sorby.classify.heads import Head
from sorby.classify.network import ClassifierNetwork


class HeadOnStages(nn.Module):
    """The frozen regime as one graph: uint8 images to class scores and pooled stage features.

    Scores are NaN where the head reads the magnification too: it is given to the head outside of the graph.

    Parameters
    ----------
    networks : sequence of StageFeatures
        One; or two where one tells subtypes and the other sizes. Their features stand one after the other.
    head : Head
    """

    def __init__(self, networks: Sequence[StageFeatures], head: Head) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.head = head

    @property
    def features(self) -> StageFeatures:
        """The first network."""
        return cast(StageFeatures, self.networks[0])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (N, C) and features (N, D)."""
        pooled = torch.cat([network(images) for network in self.networks], dim=1)
        if self.head.spec.magnification is not None:  # which the images alone do not tell
            return (pooled[:, :1] * torch.nan).expand(-1, len(self.head.spec.classes)), pooled
        return self.head(pooled), pooled


class ScoresOnly(nn.Module):
    """The graph as attribution wants it: scores only, and of the image as it stands where views are averaged.

    Parameters
    ----------
    graph : HeadOnStages or ClassifierNetwork
    stage : str, optional
        Logarithms of the probabilities of one stage (``subtype``, or the sizes of the subtype of that name) in
        place of the class scores.
    magnification : float, optional
        Of all images, where the head reads it; the mean of the taught ones where absent.
    """

    def __init__(
        self, graph: HeadOnStages | ClassifierNetwork, stage: str | None = None, magnification: float | None = None
    ) -> None:
        super().__init__()
        self.graph, self.stage = graph, stage
        self.magnification = torch.nan if magnification is None else magnification

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (N, C)."""
        if isinstance(self.graph, HeadOnStages):
            pooled = torch.cat([cast(StageFeatures, network).pooled(images) for network in self.graph.networks], dim=1)
        else:
            pooled = self.graph.embed(images)
        head = self.graph.head
        if head.spec.magnification is not None:
            pooled = torch.cat([pooled, pooled.new_full((len(pooled), 1), self.magnification)], dim=1)
        if self.stage is None:
            return cast(torch.Tensor, head(pooled))
        return head.composition.stages(head.readout(pooled))[self.stage].clamp_min(1e-9).log()

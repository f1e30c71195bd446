"""From feature maps at several depths to one vector a place: which features, on which grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.nn import functional

from sorby.anomaly.alignment import cell_centres, centring_shifts
from sorby.backbone.patch_maps import PatchMaps
from sorby.errors import InputError

Levels = list[torch.Tensor]
"""Maps (N, C, h, w) of an embedding, finest first; each next one's cells hold whole cells of the one before."""


class FeatureChoice(BaseModel):
    """Which of the channels make the vector of a place.

    Attributes
    ----------
    kind : {"all", "random", "orthogonal"}
        All channels; *count* of them at random (Defard et al. 2021); or *count* mixtures of all, by a random
        semi-orthogonal matrix, which keeps more of the information for the same length.
    count : int
        Length of the vector unless all channels are taken.
    seed : int
        Which ones; stored with the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["all", "random", "orthogonal"] = "random"
    count: int = Field(100, ge=1, le=4096)
    seed: int = Field(0, ge=0)

    def length(self, channels: int) -> int:
        """Return the length of the vector of a place.

        Raises
        ------
        InputError
            More features are asked for than there are channels.
        """
        if self.kind == "all":
            return channels
        if self.count > channels:
            raise InputError(
                f"features.count: {self.count} of {channels} channels cannot be chosen",
                f"at most {channels}, or features.kind=all",
            )
        return self.count

    def indices(self, channels: int) -> npt.NDArray[np.intp]:
        """Return the chosen channels, rising; of ``all`` and ``random``."""
        if self.kind == "all":
            return np.arange(channels)
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(channels, self.length(channels), replace=False))

    def projection(self, channels: int) -> npt.NDArray[np.float32]:
        """Return the semi-orthogonal matrix (count, channels): its rows are orthonormal."""
        rng = np.random.default_rng(self.seed)
        square = rng.standard_normal((channels, self.length(channels)))
        q, r = np.linalg.qr(square)
        return np.ascontiguousarray((q * np.sign(np.diag(r))).T, dtype=np.float32)


class GridChoice(BaseModel):
    """Where the vectors lie.

    Attributes
    ----------
    stride : int or None
        Pixels between places; maps finer than it are averaged to it. The finest map's own stride where None.
    alignment : {"centred", "corner"}
        Which cells of a coarse map lie above a place. ``centred`` repeats cells about the pixel they look at, see
        `sorby.anomaly.alignment`. ``corner`` repeats them from their upper left corner as the published code does:
        what is found then lies about 10 px too far down and right.
    neighbourhood : int
        Edge, in cells of each map, of the window that is averaged around a place: 1 for none, 3 as in PatchCore
        (Roth et al. 2022).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stride: int | None = Field(None, ge=1, le=64)
    alignment: Literal["centred", "corner"] = "centred"
    neighbourhood: int = Field(1, ge=1, le=9)

    @model_validator(mode="after")
    def _odd(self) -> GridChoice:
        if self.neighbourhood % 2 == 0:
            raise ValueError("neighbourhood must be odd")
        return self


class Embedding(nn.Module):
    """uint8 images (N, H, W, 1 or 3) to levels: the chosen channels of each depth on its own grid.

    A vector of the finest grid is what lies above its place in every level (nearest replication, Defard et al. 2021);
    `assemble` builds it. It is not built where it can be avoided: a linear map of the whole vector is the
    sum of linear maps of its levels, each computed on its own, coarser, grid.

    Parameters
    ----------
    maps : PatchMaps
    features : FeatureChoice
    grid : GridChoice

    Attributes
    ----------
    strides : tuple of int
        Pixels between the places of each level, finest first.
    channels : tuple of int
        Channels of each level.
    centred : bool
        Whether cell i of the finest map is taken to be centred at pixel stride * i; always False for transformers,
        whose patches are centred between pixels.
    shifts : tuple of int
        For each level but the finest: by how many cells of the next finer grid it is moved up and left when it is
        repeated there.
    summed : bool
        Whether levels are added (orthogonal projection) rather than stacked.
    length : int
        D, length of an assembled vector.
    """

    def __init__(self, maps: PatchMaps, features: FeatureChoice, grid: GridChoice) -> None:
        super().__init__()
        self.maps = maps
        self.features = features
        self.neighbourhood = grid.neighbourhood
        finest = grid.stride or maps.strides[0]
        if finest % maps.strides[0] or any(finest % s and s % finest for s in maps.strides):
            raise InputError(
                f"grid.stride: maps at strides {list(maps.strides)} do not fit a grid of {finest}",
                f"choose one of {sorted({s for s in maps.strides})}",
            )
        on_level = [max(finest, stride) for stride in maps.strides]
        self.strides = tuple(sorted(set(on_level)))
        self._members = [[k for k, stride in enumerate(on_level) if stride == level] for level in self.strides]
        self._pools = [max(1, finest // stride) for stride in maps.strides]
        self.centred = grid.alignment == "centred" and not hasattr(maps.module, "patch_embed")
        self.shifts = self._shifts() if self.centred else (0,) * (len(self.strides) - 1)
        self.summed = features.kind == "orthogonal"
        total = sum(maps.channels)
        self.length = features.length(total)
        self.channels = self._choose(total)

    def _shifts(self) -> tuple[int, ...]:
        """Return by how much each level is moved when it is repeated."""
        found = cell_centres(self.maps)
        own = [float(np.mean([found[m] for m in members if self._pools[m] == 1] or [0.0])) for members in self._members]
        return centring_shifts(self.strides, own)

    def _choose(self, total: int) -> tuple[int, ...]:
        """Lay down what is taken of each level; return the channels of the levels."""
        ends = np.cumsum([0, *self.maps.channels])
        projection = torch.from_numpy(self.features.projection(total)) if self.summed else None
        chosen = None if self.summed else self.features.indices(total)
        widths = []
        for k, members in enumerate(self._members):
            own = np.concatenate([np.arange(ends[m], ends[m + 1]) for m in members])
            if projection is not None:
                self.register_buffer(f"mix_{k}", projection[:, own].reshape(self.length, len(own), 1, 1))
                widths.append(self.length)
                continue
            assert chosen is not None
            kept = np.flatnonzero(np.isin(own, chosen))
            self.register_buffer(f"kept_{k}", torch.from_numpy(kept))
            widths.append(len(kept))
        return tuple(widths)

    def forward(self, images: torch.Tensor) -> Levels:
        """Return the levels of a batch."""
        return self.levels(self.maps(images))

    def levels(self, maps: Sequence[torch.Tensor]) -> Levels:
        """Return the levels of the backbone's maps."""
        found = []
        for k, members in enumerate(self._members):
            parts = [self._at_place(maps[m], self._pools[m]) for m in members]
            level = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
            if self.summed:
                found.append(functional.conv2d(level, getattr(self, f"mix_{k}")))
            else:
                kept: torch.Tensor = getattr(self, f"kept_{k}")
                found.append(level if len(kept) == level.shape[1] else level[:, kept])
        return found

    def _at_place(self, level: torch.Tensor, pool: int) -> torch.Tensor:
        """Average around each place, and down to the grid."""
        if self.neighbourhood > 1:
            level = functional.avg_pool2d(
                level, self.neighbourhood, stride=1, padding=self.neighbourhood // 2, count_include_pad=False
            )
        if pool > 1 and self.centred:  # averaged about the cell's centre, not to its lower right
            half = pool // 2
            level = functional.pad(level, (half, 0, half, 0), mode="replicate")[..., :-half, :-half]
        return functional.avg_pool2d(level, pool) if pool > 1 else level

    def step(self, level: torch.Tensor, k: int) -> torch.Tensor:
        """Bring a map on the grid of level *k* to the grid of level *k* - 1."""
        return upsample(level, self.strides[k] // self.strides[k - 1], self.shifts[k - 1])

    def to_finest(self, level: torch.Tensor, k: int) -> torch.Tensor:
        """Bring a map on the grid of level *k* to the finest grid."""
        for down in range(k, 0, -1):
            level = self.step(level, down)
        return level

    def assemble(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the vectors (N, D, h, w) of the finest grid."""
        spread = [self.to_finest(level, k) for k, level in enumerate(levels)]
        if self.summed:
            return torch.stack(spread).sum(0)
        return spread[0] if len(spread) == 1 else torch.cat(spread, 1)


def upsample(level: torch.Tensor, times: int, shift: int = 0) -> torch.Tensor:
    """Repeat every cell of a map *times* in both directions, then move it up and left by *shift* of the new cells."""
    if times > 1:
        level = functional.interpolate(level, scale_factor=times, mode="nearest")
    if shift:
        level = functional.pad(level[..., shift:, shift:], (0, shift, 0, shift), mode="replicate")
    return level

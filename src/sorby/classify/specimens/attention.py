"""Gated attention pooling: the bag decides which of its images to listen to.

A. Ilse, J. M. Tomczak and M. Welling, "Attention-based deep multiple instance learning", ICML 2018: an image's
embedding h gets the score ``w (tanh(V h) * sigmoid(U h))``; a softmax over the bag makes weights of the scores, and the
bag is classified by the weighted mean of its embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from sorby.classify.heads.logistic import standardisation
from sorby.classify.specimens.bags import Bags

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class AttentionSettings:
    """How the pooling is taught.

    Attributes
    ----------
    axes : int
        Principal axes of the standardised features that the pooling sees; few specimens fix no more, and teaching
        takes a quarter of the time.
    width : int
        Of an image's embedding.
    gates : int
        Hidden units of the attention.
    epochs : int
        Passes over all specimens; each is one step.
    learning_rate, weight_decay, dropout : float
        Of AdamW and before the embedding.
    image_dropout : float
        Share of images left out of every step, so that no single one is relied upon.
    """

    axes: int = 256
    width: int = 64
    gates: int = 32
    epochs: int = 150
    learning_rate: float = 2e-3
    weight_decay: float = 5e-2
    dropout: float = 0.3
    image_dropout: float = 0.2


class GatedAttention(nn.Module):
    """Bags of features to class scores.

    Parameters
    ----------
    inputs, axes, n_classes : int
        Features of an image, principal axes that are kept of them, classes.
    settings : AttentionSettings
    """

    mean: torch.Tensor
    axes: torch.Tensor

    def __init__(self, inputs: int, axes: int, n_classes: int, settings: AttentionSettings) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("axes", torch.zeros(inputs, axes))
        self.embed = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(axes, settings.width), nn.ReLU())
        self.value = nn.Linear(settings.width, settings.gates)
        self.gate = nn.Linear(settings.width, settings.gates)
        self.score = nn.Linear(settings.gates, 1, bias=False)
        self.classify = nn.Linear(settings.width, n_classes)

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (N, D) on the kept axes, shape (N, A)."""
        return (features - self.mean) @ self.axes

    def forward(self, projected: torch.Tensor, index: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (n, C) and the weight of every image (N,), which add up to one within each bag.

        Parameters
        ----------
        projected : Tensor, shape (N, A)
            From `project`.
        index : Tensor of int64, shape (N,)
            Bag of each image.
        n : int
            Bags.
        """
        embedded = self.embed(projected)
        raw = self.score(torch.tanh(self.value(embedded)) * torch.sigmoid(self.gate(embedded)))[:, 0]
        weights = bag_softmax(raw, index, n)
        bag = embedded.new_zeros(n, embedded.shape[1]).index_add(0, index, weights[:, None] * embedded)
        return cast(torch.Tensor, self.classify(bag)), weights


def bag_softmax(scores: torch.Tensor, index: torch.Tensor, n: int) -> torch.Tensor:
    """Return the softmax of scores (N,) within each of n bags."""
    top = scores.new_full((n,), -torch.inf).scatter_reduce(0, index, scores.detach(), "amax")
    raised = torch.exp(scores - top[index])
    total = scores.new_zeros(n).index_add(0, index, raised)
    return raised / total[index]


def fit_attention(bags: Bags, n_classes: int, seed: int, settings: AttentionSettings | None = None) -> GatedAttention:
    """Teach attention pooling on all specimens at once, classes weighing alike.

    Parameters
    ----------
    bags : Bags
        With labels.
    n_classes : int
    seed : int
    settings : AttentionSettings, optional

    Returns
    -------
    GatedAttention
        In evaluation mode. The same seed gives the same module on one machine.
    """
    chosen = settings or AttentionSettings()
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        mean, axes = principal_axes(bags.features, chosen.axes)
        module = GatedAttention(axes.shape[0], axes.shape[1], n_classes, chosen)
        module.mean.copy_(torch.from_numpy(mean))
        module.axes.copy_(torch.from_numpy(axes))
        features = module.project(torch.from_numpy(np.ascontiguousarray(bags.features)))
        index = torch.from_numpy(bags.index.astype(np.int64))
        labels = torch.from_numpy(bags.labels.astype(np.int64))
        counts = torch.bincount(labels, minlength=n_classes).clamp_min(1).float()
        optimiser = torch.optim.AdamW(
            module.parameters(), lr=chosen.learning_rate, weight_decay=chosen.weight_decay, foreach=False
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, chosen.epochs)
        module.train()
        for _ in range(chosen.epochs):
            kept = _some_images(index, bags.n, chosen.image_dropout)
            scores, _ = module(features[kept], index[kept], bags.n)
            loss = functional.cross_entropy(scores, labels, weight=counts.sum() / (n_classes * counts))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return module.eval()


def principal_axes(features: npt.NDArray[np.float32], most: int) -> tuple[Singles, Singles]:
    """Return the mean, and the leading principal axes of the standardised features with the standardisation in them.

    The common factor makes the projections' mean square one, so that the learning rate means the same for every
    network; the axes' own spreads stay.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
    most : int
        Axes at most; never more than N or D.

    Returns
    -------
    mean : ndarray of float32, shape (D,)
    axes : ndarray of float32, shape (D, A)
    """
    mean, spread = standardisation(features)
    plain = ((features - mean) / spread).astype(np.float64)
    n, d = plain.shape
    # The smaller of the two products has all the axes that there are.
    squares, vectors = np.linalg.eigh(plain @ plain.T if n < d else plain.T @ plain)
    kept = slice(None, -1 - min(most, n, d), -1)  # eigenvalues rise
    squares, vectors = squares[kept], vectors[:, kept]
    axes = plain.T @ vectors / np.sqrt(np.maximum(squares, 1e-12 * squares[0])) if n < d else vectors
    # An eigenvector's sign is the library's choice: the largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    scale = np.sqrt(max(float(squares.mean()) / n, np.finfo(np.float64).tiny))
    return mean.astype(np.float32), (axes / spread[:, None] / scale).astype(np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep small products on one core: handing them out costs more than they do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _some_images(index: torch.Tensor, n: int, share: float) -> torch.Tensor:
    """Leave images out at random, never a specimen's last one."""
    draw = torch.rand(len(index))
    highest = torch.zeros(n).scatter_reduce(0, index, draw, "amax")
    return torch.nonzero((draw >= share) | (draw == highest[index]))[:, 0]


@torch.inference_mode()
def run_attention(module: GatedAttention, bags: Bags) -> tuple[Floats, Floats]:
    """Return scores (G, C) and the weight of every image (N,)."""
    index = torch.from_numpy(bags.index.astype(np.int64))
    scores, weights = module(module.project(torch.from_numpy(np.ascontiguousarray(bags.features))), index, bags.n)
    return scores.double().numpy(), weights.double().numpy()


def attention_arrays(module: GatedAttention) -> Arrays:
    """Return the module's tensors as plain arrays."""
    return {key: value.detach().cpu().numpy() for key, value in module.state_dict().items()}


def attention_from_arrays(arrays: Mapping[str, npt.NDArray[Any]], settings: AttentionSettings) -> GatedAttention:
    """Rebuild a module from what `attention_arrays` returned."""
    inputs, axes = arrays["axes"].shape
    module = GatedAttention(inputs, axes, len(arrays["classify.bias"]), settings)
    module.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in arrays.items()})
    return module.eval()

"""Few-shot fine-tuning behind frozen stages: a predictor taught on cached descriptions, in seconds."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from sorby.detect.described import Lessons
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import BoxSection, FewShotSection
from sorby.errors import InputError

_BATCH = 1024
_LEAST_SPREAD = 1e-3
_BETA = 1 / 9


def fit_predictor(
    lessons: Lessons,
    n_classes: int,
    hidden: int,
    box: BoxSection,
    section: FewShotSection,
    *,
    seed: int,
    base: Predictor | None = None,
) -> Predictor:
    """Teach a predictor.

    Parameters
    ----------
    lessons : Lessons
    n_classes : int
        Without background.
    hidden : int
        Length of the part that the box regression reads.
    box : BoxSection
    section : FewShotSection
    seed : int
    base : Predictor, optional
        Where the box regression starts, as far as the recipe keeps it.

    Notes
    -----
    Class vectors start as the means of what they shall find (imprinting, Qi et al. 2018), so that even one example
    gives a direction. Classes weigh the same however many boxes each has; the box regression is held to its start
    by the weight decay, the class vectors to zero.

    Raises
    ------
    InputError
        A class has nothing to learn from, or the box regression cannot start from the base's.
    """
    counts = torch.bincount(lessons.labels, minlength=n_classes + 1)
    empty = int((counts[:n_classes] == 0).sum())
    if empty:
        raise InputError(f"{empty} of {n_classes} classes have no box to learn from", "label some, or leave them out")
    torch.manual_seed(seed)
    predictor = Predictor(lessons.described.shape[1], hidden, n_classes, box)
    if base is not None and section.regressor == "kept":
        if not (base.agnostic and predictor.agnostic):
            raise InputError(
                "a box regression for each class cannot start from another detector's",
                "few_shot.regressor=random, or box.regression=agnostic as in the base",
            )
        predictor.boxes.load_state_dict(base.boxes.state_dict())
    weights = _weights(lessons.labels, counts, section.background)
    described = lessons.described.float()
    _standardise(predictor, described, weights)
    ready = predictor.standardised(described)
    _imprint(predictor, ready, lessons.labels)
    start = {name: value.detach().clone() for name, value in predictor.boxes.named_parameters()}
    optimiser = torch.optim.Adam(predictor.parameters(), lr=section.learning_rate)
    generator = np.random.default_rng([seed, 11])
    hidden_part, everything = described[:, :hidden].contiguous(), torch.arange(len(lessons))
    for step in range(section.steps):
        for group in optimiser.param_groups:
            group["lr"] = section.learning_rate * 0.5 * (1 + np.cos(np.pi * step / section.steps))
        if len(lessons) <= _BATCH:
            rows, values = everything, ready
        else:
            rows = torch.from_numpy(np.sort(generator.choice(len(lessons), _BATCH, replace=False)))
            values = ready[rows]
        loss = _class_loss(predictor, values, lessons.labels[rows], weights[rows])
        shows = rows[lessons.labels[rows] < n_classes]
        if len(shows):
            moves = predictor.boxes(hidden_part[shows])
            loss = loss + _box_loss(predictor, moves, lessons.labels[shows], lessons.offsets[shows], weights[shows])
        for name, value in predictor.boxes.named_parameters():
            loss = loss + section.weight_decay * (value - start[name]).square().sum()
        if not predictor.cosine:
            loss = loss + section.weight_decay * predictor.classes.weight.square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return predictor.eval()


def _weights(labels: torch.Tensor, counts: torch.Tensor, background: float) -> torch.Tensor:
    """Return the weight of each lesson: classes the same in sum, background *background* times all classes; mean 1."""
    n = len(counts) - 1
    share = torch.full((n + 1,), 1.0 / n)
    share[n] = background if counts[n] else 0.0
    share = share / share.sum() * len(labels)
    return (share / counts.clamp(min=1))[labels]


def _standardise(predictor: Predictor, described: torch.Tensor, weights: torch.Tensor) -> None:
    """Set centre and spread from the lessons."""
    share = (weights / weights.sum())[:, None]
    mean = (described * share).sum(0)
    deviation = ((described - mean).square() * share).sum(0).sqrt()
    predictor.centre.copy_(mean)
    predictor.spread.copy_(deviation.clamp(min=_LEAST_SPREAD))


@torch.no_grad()
def _imprint(predictor: Predictor, ready: torch.Tensor, labels: torch.Tensor) -> None:
    """Start each class vector as the mean direction of its lessons."""
    sums = torch.zeros(predictor.n_classes + 1, ready.shape[1])
    sums.index_add_(0, labels, functional.normalize(ready, dim=1))
    predictor.classes.weight.copy_(functional.normalize(sums, dim=1))


def _class_loss(predictor: Predictor, ready: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    each = functional.cross_entropy(predictor.similarities(ready), labels, reduction="none")
    return (each * weights).sum() / weights.sum()


def _box_loss(
    predictor: Predictor, moves: torch.Tensor, labels: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    if not predictor.agnostic:
        moves = moves.view(-1, predictor.n_classes, 4)[torch.arange(len(labels)), labels]
    each = functional.smooth_l1_loss(moves, offsets, beta=_BETA, reduction="none").sum(1)
    return (each * weights).sum() / weights.sum()

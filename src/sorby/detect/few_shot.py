"""Few-shot fine-tuning behind frozen stages: a predictor taught on cached descriptions, in seconds."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from sorby.detect.described import Lessons
from sorby.detect.predictors import Predictor
from sorby.detect.recipe import BoxSection, FewShotSection
from sorby.errors import InputError

_BATCH = 4096
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
        A class has nothing to learn from.
    """
    counts = torch.bincount(lessons.labels, minlength=n_classes + 1)
    empty = int((counts[:n_classes] == 0).sum())
    if empty:
        raise InputError(f"{empty} of {n_classes} classes have no box to learn from", "label some, or leave them out")
    torch.manual_seed(seed)
    predictor = Predictor(lessons.described.shape[1], hidden, n_classes, box)
    if base is not None and section.regressor == "kept" and base.agnostic and predictor.agnostic:
        predictor.boxes.load_state_dict(base.boxes.state_dict())
    weights = _weights(lessons.labels, counts, section.background)
    _standardise(predictor, lessons, weights)
    _imprint(predictor, lessons)
    start = {name: value.detach().clone() for name, value in predictor.boxes.named_parameters()}
    optimiser = torch.optim.Adam(
        [each for each in predictor.parameters() if each.requires_grad], lr=section.learning_rate
    )
    generator = np.random.default_rng([seed, 11])
    steps = section.steps
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = section.learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        rows = _rows(len(lessons), generator)
        loss = _loss(predictor, lessons, weights, rows)
        for name, value in predictor.boxes.named_parameters():
            loss = loss + section.weight_decay * (value - start[name]).square().sum()
        if not predictor.cosine:
            loss = loss + section.weight_decay * predictor.classes.weight.square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return predictor.eval()


def _rows(count: int, generator: np.random.Generator) -> torch.Tensor:
    if count <= _BATCH:
        return torch.arange(count)
    return torch.from_numpy(np.sort(generator.choice(count, _BATCH, replace=False)))


def _weights(labels: torch.Tensor, counts: torch.Tensor, background: float) -> torch.Tensor:
    """Return the weight of each lesson: classes the same in sum, background *background* times all classes; mean 1."""
    n = len(counts) - 1
    share = torch.full((n + 1,), 1.0 / n)
    share[n] = background if counts[n] else 0.0
    share = share / share.sum() * len(labels)
    return (share / counts.clamp(min=1))[labels]


def _standardise(predictor: Predictor, lessons: Lessons, weights: torch.Tensor) -> None:
    """Set centre and spread from the lessons."""
    values = lessons.described.float()
    mean = (values * weights[:, None]).sum(0) / weights.sum()
    deviation = (((values - mean).square() * weights[:, None]).sum(0) / weights.sum()).sqrt()
    predictor.centre.copy_(mean)
    predictor.spread.copy_(deviation.clamp(min=_LEAST_SPREAD))


@torch.no_grad()
def _imprint(predictor: Predictor, lessons: Lessons) -> None:
    """Start each class vector as the mean direction of its lessons."""
    values = (lessons.described.float() - predictor.centre) / predictor.spread
    values = functional.normalize(values, dim=1)
    n = predictor.n_classes + 1
    sums = torch.zeros(n, values.shape[1]).index_add_(0, lessons.labels, values)
    predictor.classes.weight.copy_(functional.normalize(sums, dim=1))


def _loss(predictor: Predictor, lessons: Lessons, weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    described, labels, weight = lessons.described[rows].float(), lessons.labels[rows], weights[rows]
    logits, moves = predictor(described)
    loss = (functional.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    positive = torch.where(labels < predictor.n_classes)[0]
    if not len(positive):
        return loss
    chosen = moves[positive]
    if not predictor.agnostic:
        chosen = chosen.view(-1, predictor.n_classes, 4)[torch.arange(len(positive)), labels[positive]]
    each = functional.smooth_l1_loss(chosen, lessons.offsets[rows][positive], beta=_BETA, reduction="none").sum(1)
    return loss + (each * weight[positive]).sum() / weight[positive].sum()

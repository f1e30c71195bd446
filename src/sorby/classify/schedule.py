"""Learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math

from sorby.classify.recipe import FinetuneSection


def rate_factor(section: FinetuneSection, step: int, steps_per_epoch: int) -> float:
    """Return what the base learning rate is multiplied with at a step.

    Parameters
    ----------
    section : FinetuneSection
    step : int
        Steps done, from 0; or micro-batches, where ``schedule_unit`` counts these.
    steps_per_epoch : int
        In the same unit.

    Notes
    -----
    The warm-up rises linearly from .1 to 1 over ``warmup_steps`` (never more than half of the training). ``cosine``
    falls to 0 at the last step; ``step`` multiplies by ``step_gamma`` every ``step_epochs`` epochs.
    """
    total = section.epochs * steps_per_epoch
    warmup = min(section.warmup_steps, total // 2)
    if step < warmup:
        return 0.1 + 0.9 * step / warmup
    if section.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    if section.schedule == "step":
        return section.step_gamma ** (step // steps_per_epoch // section.step_epochs)
    return 1.0

"""A class of one specimen lies in one inner fold; what the other folds calibrate must not suffer from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sorby.classify.heads import HeadSpec, Targets, fit_head
from sorby.classify.judge import Judge, cross_fitted_judge
from sorby.classify.recipe import BalanceSection, HeadSection, VerdictSection
from sorby.evidence.novelty import SHARES_OF_LEVEL


def judged(lone_images: int) -> Judge:
    """Two classes spread over five folds, and a third whose images all lie in fold 0."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(200) % 2, np.full(lone_images, 2)])
    folds = np.concatenate([rng.permutation(200) % 5, np.zeros(lone_images, np.intp)])
    centres = 2.5 * np.eye(3, 6)
    features = (centres[labels] + rng.normal(size=(len(labels), 6))).astype(np.float32)
    spec = HeadSpec(classes=("a", "b", "c"), inputs=6)
    fitted = fit_head(features, Targets.plain(labels), spec, folds, HeadSection(), BalanceSection())
    return cross_fitted_judge(fitted, features, labels, None, VerdictSection(novelty_rate=0.02), None)


def test_images_of_a_class_that_their_fold_was_not_taught_set_no_temperature_and_no_novelty() -> None:
    without, beside = judged(0), judged(12)
    # Twelve images to which their head gives no probability at all would ask for a temperature in the tens.
    assert abs(np.log(beside.temperature / without.temperature)) < 0.7
    assert without.novelty.n == beside.novelty.n == 200
    assert beside.conformal.n == 212, "the sets are held to cover them too"


def test_a_novelty_p_value_of_the_rate_itself_has_that_level_and_refers() -> None:
    judge = judged(0)  # 200 images: the least p-value is 1 / 201, of .45 of the level
    strange = np.array([[0, 0, 0, 80, -80, 80]], np.float32)
    head = np.zeros((1, 3))
    rate = 1 / 201 / SHARES_OF_LEVEL[0]
    at_the_rate = replace(judge, novelty_rate=rate)
    assert not at_the_rate.novelty.shortage(rate * (1 + 1e-9))
    verdicts = at_the_rate.judge(head, np.zeros((5, 1, 3)), strange, np.array([np.nan]))
    assert "novel" in verdicts.reasons[0]

"""Classes that are plain numbers: grades of one scale for the heads that know an order."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.classify.classifier import Asides
from sorby.classify.heads import GRADE, Targets, fit_head, spec_for, structure_of
from sorby.classify.recipe import BalanceSection, HeadSection
from sorby.errors import InputError

CLASSES = ("0", "1", "10", "2", "3")  # as text they sort otherwise than as numbers


def test_numbers_are_one_scale_in_numerical_order() -> None:
    structure = structure_of(CLASSES)
    assert structure.subtypes == (GRADE,)
    assert structure.sizes == (("0", "1", "2", "3", "10"),)
    assert structure.grade == (0, 1, 4, 2, 3)


def test_words_beside_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="'severe' is no structure code"):
        structure_of(("0", "1", "severe"))


def _taught(kind: str) -> tuple[np.ndarray, np.ndarray, object]:
    rng = np.random.default_rng(5)
    severity = rng.uniform(0, 5, 250)
    labels = np.array([0, 1, 3, 4, 2])[severity.astype(int)]  # code of the class of each rank
    features = np.stack([severity, *rng.normal(0, 1, (3, 250))], axis=1).astype(np.float32)
    section = HeadSection(kind=kind, routing="soft", sharing="none", c_grid=(0.1, 1.0, 10.0))
    spec = spec_for(section, CLASSES, inputs=4, parts=None, lengths=(), frozen=True)
    return features, labels, fit_head(
        features, Targets.plain(labels), spec, np.arange(250) % 5, section, BalanceSection()
    )  # fmt: skip


def test_an_ordinal_head_learns_a_latent_severity() -> None:
    _, labels, fitted = _taught("ordinal")
    called = fitted.cross_logits.argmax(axis=1)
    assert (called == labels).mean() > 0.9
    # Along the latent axis the called grade never falls.
    ladder = np.zeros((60, 4), np.float32)
    ladder[:, 0] = np.linspace(-1, 6, 60)
    rank = np.array(structure_of(CLASSES).grade)[fitted.head.scores(ladder).argmax(axis=1)]
    assert (np.diff(rank) >= 0).all()
    assert rank[0] == 0
    assert rank[-1] == 4


def test_there_is_no_subtype_to_tell_of() -> None:
    features, _, fitted = _taught("ordinal")
    told = Asides.of(fitted.head, features[:1]).stages_of(0, 0)
    assert list(told) == [GRADE]
    assert set(told[GRADE]) == set(CLASSES)
    assert sum(told[GRADE].values()) == pytest.approx(1, abs=1e-5)


def test_a_staged_head_on_one_scale_has_nothing_to_route() -> None:
    features, labels, fitted = _taught("staged")
    assert fitted.head.stages(features)["subtype"].tolist() == [[1.0]] * len(features)
    assert (fitted.cross_logits.argmax(axis=1) == labels).mean() > 0.8

"""Networks taught by many generated images beside few originals: which of them they see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sorby.classify.recipe import load
from sorby.workflow.experiments import synthetic_teaching
from sorby.workflow.experiments.synthetic_teaching import Images, network_calls


class Seen(Exception):
    """What a teaching would have been shown; it goes no further."""


def shown(monkeypatch: pytest.MonkeyPatch, labels: np.ndarray, exposures: int) -> tuple[np.ndarray, int]:
    """Return how often a network is shown each image, and in how many epochs."""

    def told(recipe: Any, spec: Any, part: Any, *rest: Any, **kinds: Any) -> None:
        raise Seen(part.rows, recipe.finetune.epochs)

    monkeypatch.setattr(synthetic_teaching, "finetune", told)
    n = len(labels)
    images = Images(np.zeros((n, 8, 8), np.uint8), np.zeros((n, 8, 8, 1), np.uint8), np.zeros((n, 2), "f4"), labels)
    with pytest.raises(Seen) as found:
        network_calls(
            images, images.network, ("a", "b"), load("corrosion-table6"), exposures, augmented=False, seed=0,
            device="cpu",
        )  # fmt: skip
    rows, epochs = found.value.args
    return np.bincount(rows, minlength=n) * epochs, epochs


@pytest.mark.parametrize("originals", [20, 48, 100])
def test_generated_images_of_the_last_class_teach_as_often_as_those_of_the_first(
    monkeypatch: pytest.MonkeyPatch, originals: int
):
    # Originals first, then what was generated of one class and of the other, as a study puts them together.
    half, made = originals // 2, round(7.4 * originals / 2)
    labels = np.repeat([0, 1, 0, 1], [half, half, made, made])
    counts, epochs = shown(monkeypatch, labels, 1000)
    assert abs(int(counts.sum()) - 1000) < epochs
    assert counts.min() > 0, "every image is seen, since there are fewer than looks"
    assert counts.max() - counts.min() <= epochs
    assert counts[-made:].sum() == pytest.approx(counts[-2 * made : -made].sum(), rel=0.02)  # whole looks alone


def test_more_images_than_looks_lose_no_class(monkeypatch: pytest.MonkeyPatch):
    counts, epochs = shown(monkeypatch, np.repeat([0, 1], 900), 600)
    assert epochs == 1
    assert counts.max() == 1
    assert abs(int(counts[:900].sum()) - 300) <= 1

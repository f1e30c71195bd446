"""The page of generated images: nothing fetched, names escaped, and figures that say where zero is."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from sorby.provenance import describe
from sorby.report import synthesis_figures as figures
from sorby.report.synthesis_page import Beside, SynthesisFacts, synthesis_page
from sorby.report.thumbnails import embed
from sorby.synthesize.gate import REASONS

NASTY = "<b>AZ31B & Co"


def _estimate(value: float) -> dict[str, Any]:
    return {"value": value, "ci95": [value - 0.1, value + 0.1]}


@pytest.fixture
def facts() -> SynthesisFacts:
    picture = embed(np.full((8, 8, 3), 90, np.uint8), "a picture")
    of_class = {
        "kid": _estimate(0.3), "floor": _estimate(-0.01), "ceiling": _estimate(5.0), "unseen": None, "fid": 40.0,
        "fid_floor": 30.0, "precision": 0.7, "recall": 0.4, "coverage": 0.6, "n_real": 24, "n_generated": 48,
        "memorisation": {"copies": 1, "n": 48, "median_likeness": 0.6, "most_alike": 0.97, "among_originals": 0.7,
                         "threshold": 0.85},
        "reasons": dict.fromkeys(REASONS, 1), "nearest_distance": 1.1,
        "likeness": {name: {"generated": 0.2, "real": None} for name in ("ssim", "intensity", "gradient")},
        "spectrum": {"difference": 0.1, "between_real": None, "real": [3.0, 1.0], "generated": [2.9, 1.2]},
    }  # fmt: skip
    result = {
        **{name: of_class[name] for name in ("floor", "ceiling", "fid", "fid_floor", "precision", "recall", "coverage",
                                             "n_real", "n_generated")},
        "kid": 0.3, "ci95": {"kid": [0.2, 0.4]}, "place": 0.06, "accepted": 43, "rejected": 5, "copies": 1,
        "features": "a network", "classes": {NASTY: of_class}, "warnings": ["few"], "quarantined": [],
    }  # fmt: skip
    shown = {NASTY: [Beside(picture, picture, 0.97, NASTY, False, ("copy",)), Beside(picture, picture, 0.5, "b", True)]}
    history = [
        {"label": NASTY, "step": 50 * k, "real_accuracy": 0.6, "generated_accuracy": 0.5, "generator_loss": 1.0,
         "discriminator_loss": 0.7} for k in (1, 2)
    ]  # fmt: skip
    lineage = [{"label": NASTY, "n": 48, "parents": None, "ancestors": 6, "names": NASTY}]
    return SynthesisFacts("A page", "somewhere", result, shown, REASONS, lineage, history, describe(0))


def test_the_page_needs_nothing_from_outside_and_escapes_names(facts: SynthesisFacts) -> None:
    page = synthesis_page(facts)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<b>AZ31B" not in page
    assert "&lt;b&gt;AZ31B" in page


def test_it_says_what_may_be_used_and_between_what_the_distance_stands(facts: SynthesisFacts) -> None:
    page = synthesis_page(facts)
    assert "43 of 48 images may be used, 5 are refused." in page
    assert "In 1 of them a piece of an original was found." in page
    assert "halves of the real images are -0.01 apart" in page
    assert "before it was taught 5" in page
    for meaning in REASONS.values():
        assert meaning in page


def test_without_a_generator_there_is_no_ceiling_and_no_history(facts: SynthesisFacts) -> None:
    of_class = {**facts.result["classes"][NASTY], "ceiling": None}
    result = {**facts.result, "ceiling": None, "place": None, "classes": {NASTY: of_class}}
    page = synthesis_page(SynthesisFacts("A page", "somewhere", result, facts.shown, REASONS, facts.lineage, (),
                                         describe(0)))  # fmt: skip
    assert "before it was taught" not in page
    assert "told right" not in page


def test_the_figure_marks_every_estimate_and_leaves_absent_ones_out() -> None:
    both = figures.between([("a", _estimate(0.0), _estimate(1.0), _estimate(4.0))], "x")
    alone = figures.between([("a", None, _estimate(1.0), None)], "x")
    assert both.count("<path") > alone.count("<path")
    assert "$" not in both  # ticks are numbers, not unparsed formulas

"""The page of a round robin: one file, everything escaped, every figure with its number of ratings."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from round_robins import CREATED, designed, measures, rated
from sorby import provenance
from sorby.report.micron_bar import length_words, round_length_um, strip_height, with_micron_bar
from sorby.report.study_figures import bubbles
from sorby.report.study_page import study_page
from sorby.study import Item, ModelRatings, plan, rating_rows, read_scheme, results

TABLE = measures(20, seed=3)
DESIGN = designed(TABLE, raters=6, repeats=3)
RATINGS = rated(DESIGN, TABLE)
MADE = provenance.describe(0)


def plain(value: Any) -> Any:
    """Results as they come back from JSON: what is not defined is None."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]


def _read(page: str) -> _Outline:
    outline = _Outline()
    outline.feed(page)
    return outline


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    verdicts = {item.name: item.label for item in DESIGN.items}
    return results(DESIGN, RATINGS, ModelRatings("model <b>x</b>", verdicts))


def test_the_page_stands_alone_and_says_who_rated(found: dict[str, Any]) -> None:
    page = study_page(DESIGN, found, MADE)
    outline = _read(page)
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)
    assert "script" not in outline.tags
    accuracy = found["accuracy"]["code"]
    assert f"{accuracy['hits']} of {accuracy['n']}" in page
    assert "6 of 6 raters are simulated: no person said this" in page
    assert "rules of thumb" in page
    assert found["design_sha256"] in page


def test_names_from_outside_are_text_and_never_markup(found: dict[str, Any]) -> None:
    page = study_page(replace(DESIGN, study="<script>alert(1)</script>"), found, MADE)
    assert "<script" not in page
    assert "model <b>" not in page
    assert "model &lt;b&gt;x&lt;/b&gt;" in page


def test_a_study_of_two_verdicts_without_labels_model_or_repeats_has_a_page_too() -> None:
    items = [Item(f"I{k}", f"{k:064x}", f"{k}.png", "", "") for k in range(4)]
    design = plan("bare", read_scheme("accept-reject"), items, ["A", "B"], created=CREATED)
    rows = [{"rater": rater, "item": item.name, "class": "accept" if k else "reject"}
            for rater in "AB" for k, item in enumerate(items)]  # fmt: skip
    page = study_page(design, results(design, rating_rows(design, rows)), MADE)
    assert "Right and wrong" not in page
    assert "Fleiss" in page


def test_bubbles_say_how_many_ratings_they_stand_for(found: dict[str, Any]) -> None:
    classes = [code[0] for code in found["chosen"]["codes"]]
    svg = bubbles(found["chosen"], classes, [None] * 20)
    assert svg.startswith("<svg")
    hits = found["accuracy"]["code"]["hits"]
    assert f"120 ratings of 20 images, {hits} of them right" in svg
    numbers = re.findall(r">(\d+)</text>", svg)
    assert len(numbers) >= int(np.count_nonzero(found["chosen"]["counts"]))


@pytest.mark.parametrize(("most", "length", "words"), [(23.0, 20, "20 µm"), (0.7, 0.5, "500 nm"), (1999, 1000, "1 mm"),
                                                       (50, 50, "50 µm"), (9.99, 5, "5 µm")])  # fmt: skip
def test_a_micron_bar_has_a_round_length(most: float, length: float, words: str) -> None:
    assert round_length_um(most) == pytest.approx(length)
    assert length_words(round_length_um(most)) == words


def test_the_bar_is_as_long_as_it_says_and_hides_nothing() -> None:
    pixels = np.full((300, 400), 90, np.uint8)
    drawn = with_micron_bar(pixels, 0.25)
    assert drawn.shape == (300 + strip_height(400), 400)
    assert (drawn[:300] == 90).all()
    # 20 % of 400 px at .25 um are 20 um, which are 80 px.
    strip = strip_height(400)
    before_the_words = drawn[300:, : strip // 4 + 80 + strip // 8]
    assert (before_the_words == 0).sum(axis=1).max() == 80
    assert with_micron_bar(pixels, None).shape == (300, 400)
    assert with_micron_bar(np.stack([pixels] * 3, axis=2), 0.25).shape == (*drawn.shape, 3)


@pytest.mark.parametrize("seed", range(10))
def test_a_study_has_results_and_a_page_at_any_moment(seed: int) -> None:
    """Few images, few raters, labels of any kind or none, gaps, images that nobody could rate."""
    rng = np.random.default_rng(seed)
    scheme = read_scheme("steel" if seed % 3 else "accept-reject")
    labels = [*scheme.codes, *scheme.reduced_codes, *scheme.class_names, ""]
    items = []
    for k in range(int(rng.integers(1, 8))):
        label = str(rng.choice(labels))
        items.append(Item(f"I{k}", f"{k:064x}", f"{k}.png", label, scheme.class_of(label) or ""))
    raters = [f"R{k}" for k in range(int(rng.integers(1, 5)))]
    design = plan("running", scheme, items, raters, repeats=1 if len(items) > 2 else 0, seed=seed, created=CREATED)
    rows: list[dict[str, Any]] = [{"rater": "R0", "image": design.orders["R0"][0], "flags": "cannot_rate"}]
    for rater in design.raters:
        for showing in design.order_of(rater)[1:]:
            code = str(rng.choice(scheme.codes))
            rows.append({"rater": rater, "image": showing.code, "code": code if rng.random() < 0.7 else ""})
    model = ModelRatings("m", {item.name: str(rng.choice(scheme.reduced_codes)) for item in items[::2]})
    found = plain(results(design, rating_rows(design, rows), model if seed % 2 else None))
    json.dumps(found, allow_nan=False)
    assert "<h2>Agreement</h2>" in study_page(design, found, MADE)

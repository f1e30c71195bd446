"""S1's round robin beside a corpus's ratings: the published counts, laid out as ratings, give the published shares."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.workflow.papers import durmaz2023 as s1
from sorby.workflow.papers.steel_raters import rater_rows, rater_table

#: Images of each subtype, and ratings among theirs that name the code: the counts behind .21, .23 and .16.
RIGHT = {"G": 32, "B": 16, "M": 9}


def _as_published() -> tuple[np.ndarray, list[str]]:
    """Twenty images, fourteen raters, as many right codes for each subtype as the paper's shares imply."""
    labels = [name + "8" for name, n in s1.ROUND_ROBIN_IMAGES.items() for _ in range(n)]
    ratings = np.empty((20, 14), dtype=object)
    start = 0
    for name, images in s1.ROUND_ROBIN_IMAGES.items():
        cells = np.full(images * 14, name + "7", dtype=object)
        cells[: RIGHT[name]] = name + "8"
        ratings[start : start + images] = cells.reshape(images, 14)
        start += images
    return ratings, labels


def test_the_published_counts_give_the_published_shares() -> None:
    rows = {row["what"]: row for row in rater_rows(*_as_published(), "same")}
    for name, share in s1.SIZE_ACCURACY.items():
        row = rows[f"structure code right, images of {name}"]
        assert row["published"] == share
        # Printed to two digits.
        assert row["ours"]["value"] == pytest.approx(share, abs=0.005)
    # 32 + 16 + 9 are 57 right codes where the paper says 56: both round to 20 %.
    assert rows["structure code right"]["ours"]["value"] == pytest.approx(57 / 280)
    assert rows["structure code right"]["published"] == pytest.approx(56 / 280)
    assert len(rater_table(list(rows.values())).rows) == 8


def test_what_is_no_code_is_a_gap() -> None:
    ratings, labels = _as_published()
    ratings[:, 0] = "nan"
    row = {row["what"]: row for row in rater_rows(ratings, labels, "")}["structure code right"]
    assert row["n"] == 20 * 13

"""The series figure: rows are specimens, columns magnifications, wrong verdicts say so."""

from __future__ import annotations

import numpy as np

from sorby.attribution import overlay
from sorby.report.cam_series import SeriesView, cam_series, named


def _view(row: str, magnification: float, predicted: str, true: str = "material", **more: object) -> SeriesView:
    rng = np.random.default_rng(int(magnification))
    image = rng.integers(0, 255, (60, 80), dtype=np.uint8)
    cam = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    return SeriesView(row, magnification, image, overlay(image, cam), predicted, 0.87, true, **more)  # type: ignore[arg-type]


def test_rows_and_columns_stand_in_order_and_gaps_are_left() -> None:
    views = [
        _view("F-12", 10000, "material"),
        _view("F-12", 50, "hard_machining", flags=("origin not in view",)),
        _view("F-7", 1000, "material"),
    ]
    svg = cam_series(views)
    assert svg.index(">50x<") < svg.index(">1k x<") < svg.index(">10k x<")
    assert svg.index("F-12: material") < svg.index("F-7: material")
    assert svg.count("hard_machining 0.87 (wrong)") == 1
    assert svg.count("origin not in view") == 1
    assert svg.count(">no image<") == 3
    assert svg.count("<image") == 2 * 2 * 3


def test_nothing_gives_words_and_labels_are_escaped() -> None:
    assert "no images" in cam_series([])
    assert "<b>" not in cam_series([_view("<b>", 50, "a<b", true="")])


def test_magnifications_are_written_as_instruments_do() -> None:
    assert [named(each) for each in (50, 250, 1000, 2500, 10000)] == ["50x", "250x", "1k x", "2.5k x", "10k x"]

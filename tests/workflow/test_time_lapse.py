"""Courses of severity: trends, when they reach a grade, and a band that holds what it promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sorby.errors import InputError
from sorby.workflow.experiments import run_experiment, time_lapse
from sorby.workflow.experiments.time_lapse import Series, band
from textures import write_folder


def series(trend: list[float], truth: list[float] | None = None, hours: list[float] | None = None) -> Series:
    values = np.array(trend)
    when = np.arange(len(trend), dtype=float) * 10 if hours is None else np.array(hours)
    noted = values if truth is None else np.array(truth)
    return Series("s", "p", np.arange(len(trend)), when, values, values, noted)


def test_a_grade_is_reached_between_frames() -> None:
    assert series([0.0, 1.0, 3.0]).hours_until(0.5) == 5
    assert series([0.0, 1.0, 3.0]).hours_until(2.0) == 15
    assert series([0.7, 1.0]).hours_until(0.5) == 0  # already there when watching began
    assert np.isnan(series([0.0, 0.2]).hours_until(0.5))
    assert series([0.0, 0.0, 1.0], hours=[0, 4, 8]).hours_until(0.5) == 6


def test_the_band_holds_the_promised_share_of_new_sequences() -> None:
    rng = np.random.default_rng(9)
    held = []
    for _ in range(400):
        misses = rng.exponential(1.0, 21)
        known = [series([0.0, 1.0, 2.0], [0.0, 1.0 + miss, 2.0]) for miss in misses[:20]]
        held.append(misses[20] <= band(known, 0.9))
    # 1 - alpha to 1 - alpha + 1 / (n + 1), and three deviations of 400 draws
    assert 0.9 - 0.045 < np.mean(held) < 0.9 + 0.048 + 0.045


def test_too_few_sequences_make_no_promise() -> None:
    assert band([series([0.0, 1.0])] * 5, 0.9) is None


def test_frames_without_sequences_or_hours_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", per_class=6, seed=3)
    files = sorted(folder.rglob("*.png"))
    table = pd.DataFrame({
        "image": [str(file) for file in files],
        "label": [("316L", "AZ31B")[k % 2] for k in range(len(files))],
        "severity": np.arange(len(files)) % 3,
        "specimen": [f"c{k // 3}" for k in range(len(files))],
        "sequence": [f"s{k // 3}" for k in range(len(files))],
        "hours": np.nan,
    })  # fmt: skip
    table.loc[0, "hours"] = 1.0
    table.to_csv(tmp_path / "frames.csv", index=False)
    with pytest.raises(InputError, match="state no hours"):
        run_experiment("time-lapse", tmp_path / "frames.csv", tmp_path / "out", group="specimen")
    with pytest.raises(InputError, match="is no promise"):
        run_experiment("time-lapse", tmp_path / "frames.csv", tmp_path / "out", label="severity", coverage=1.0)


def test_what_has_the_grade_from_the_beginning_is_not_said_never_to_reach_it() -> None:
    trends = [[0.9, 1.0], [0.0, 1.0], [0.0, 0.8], [0.0, 0.1], [0.0, 1.0], [0.0, 0.9]]
    temperatures = ["300", "300", "300", "320", "320", "320"]
    found = [replace(series(trend), rows=np.array([k, k])) for k, trend in enumerate(trends)]
    table = pd.DataFrame({"temperature": temperatures})
    bench = SimpleNamespace(corpus=SimpleNamespace(table=table), column=lambda name: table[name].to_numpy(str),
                            warnings=[], recipe=SimpleNamespace(seed=0))  # fmt: skip
    row = time_lapse._paces(bench, found, 0.5, "temperature", "none")[0]  # type: ignore[arg-type]
    assert (row["n"], row["never"], row["at_once"]) == ([2, 2], [0, 1], [1, 0])
    said = time_lapse._pace_answer(row, 1)
    assert "1 sequences never reach it, 1 have it from the beginning" in said

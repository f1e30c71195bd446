"""The pass over a roll: constant memory, bounded queues, latency that is stated."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sorby.line.defects import Scale
from sorby.line.journal import Journal
from sorby.line.latency import Latencies
from sorby.line.lines import LineBlock, one_lane
from sorby.line.pipeline import Pipeline
from sorby.line.recorder import RollRecorder, RollSettings
from sorby.line.strips import StripMaker
from webs import Brightest, web


def _pass(place: Path, frames: int) -> tuple[RollRecorder, int]:
    """Inspect a roll with a streak as long as itself; return the recorder and the largest memory."""
    frame = web(128, 256)
    frame[:, 100:104] = 250

    def items() -> Iterator[LineBlock]:
        for k in range(frames):
            yield LineBlock(np.roll(frame, k, axis=0), one_lane(256), "web", k)

    journal = Journal(place / f"{frames}.jsonl", {})
    scorer = Brightest(width=256)
    settings = RollSettings(Scale(50, 50), piece_mm=20, crops=0, checkpoint_strips=4)
    recorder = RollRecorder(journal, settings, stride=8, threshold=200, crops=place / "crops")
    tracemalloc.start()
    Pipeline(scorer, recorder, live=False).run(items(), StripMaker(96, 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    journal.close()
    return recorder, peak


def test_memory_does_not_grow_with_the_length_of_the_roll(tmp_path: Path) -> None:
    _pass(tmp_path, 3)  # what is imported and cached once
    short, at_short = _pass(tmp_path, 20)
    long, at_long = _pass(tmp_path, 100)
    assert long.counts.row == 5 * short.counts.row
    # 80 more frames are 2.6 MB; what grows in fact is nothing, but allocation by three threads varies a little.
    assert at_long - at_short < 300_000
    assert long.kept_rows <= 400 + 512 + 2 * 64  # a piece, its surroundings, and a strip that reaches in at either end
    assert long.open_regions == 0


def test_quantiles_are_within_two_percent_and_the_maximum_exact(rng: np.random.Generator) -> None:
    times = rng.lognormal(3, 1, 20_000)
    latencies = Latencies()
    for ms in times:
        latencies.add(float(ms))
    found = latencies.as_dict()
    assert found["p50"] == pytest.approx(np.quantile(times, 0.5), rel=0.02)
    assert found["p99"] == pytest.approx(np.quantile(times, 0.99), rel=0.02)
    assert found["max"] == times.max()
    assert Latencies().as_dict() == {"p50": None, "p99": None, "max": None, "n": 0}

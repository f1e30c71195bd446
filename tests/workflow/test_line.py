"""From lines to a roll map: positions are right, nothing is lost or doubled, and what went wrong is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby.errors import InputError
from sorby.line import ArraySource, LineBlock, LostLines, one_lane
from sorby.line.lines import Item
from sorby.workflow.line import LineRequest, run_line
from sorby.workflow.line_budget import line_budget
from webs import Brightest, Contrast, Pixels, dot, web

UM = 50.0  # a pixel; a cell of 8 pixels is 0.4 mm
REQUEST = LineRequest(pixel_size_um=UM, rows=96, checkpoint_strips=2)


def _scorer(width: int, **options: Any) -> Brightest:
    return Brightest(width=width, **options)


def _blocks(pixels: Pixels, rows: int = 50) -> ArraySource:
    return ArraySource(lambda: (pixels[a : a + rows] for a in range(0, len(pixels), rows)), rows_total=len(pixels))


def _write_folder(place: Path, pixels: Pixels, rows: int = 50) -> list[Path]:
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for k, a in enumerate(range(0, len(pixels), rows)):
        files.append(place / f"strip_{k:04d}.png")
        Image.fromarray(pixels[a : a + rows]).save(files[-1], compress_level=1)
    return files


def _table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "roll_map.csv", keep_default_na=False)


def _kinds(result: dict[str, Any]) -> set[str]:
    return set(result["alarms"])


# -- the map ----------------------------------------------------------------------------------------------------


def test_defects_are_where_they_are_and_as_large_as_they_are(tmp_path: Path) -> None:
    pixels = web(2000, 256)
    dot(pixels, 800, 96, 16)  # on the grid of cells: exact
    pixels[1200:1208, 40:200] = 250
    result = run_line(_scorer, [_blocks(pixels)], tmp_path / "roll", REQUEST)
    found = _table(tmp_path / "roll").sort_values("along_mm")
    assert result["defects"] == 2
    square, bar = found.iloc[0], found.iloc[1]
    assert (square.along_mm, square.across_mm) == pytest.approx((808 * UM / 1000, 104 * UM / 1000))
    assert (square.length_mm, square.width_mm, square.area_mm2) == pytest.approx((0.8, 0.8, 0.64))
    assert (bar.length_mm, bar.width_mm, bar.orientation_deg) == pytest.approx((8.0, 0.4, 90))
    assert (bar.across_from_mm, bar.across_to_mm) == pytest.approx((2.0, 10.0))
    assert result["metres"] == pytest.approx(0.1)
    assert result["inspected_m"] == pytest.approx(0.1)
    assert result["dropped"] == 0


@pytest.mark.parametrize(("rows", "block"), [(96, 13), (160, 700), (512, 50)])
def test_strips_and_blocks_of_any_height_give_the_same_defects(tmp_path: Path, rows: int, block: int) -> None:
    pixels = web(1500, 256, 3)
    rng = np.random.default_rng(4)
    for _ in range(30):
        dot(pixels, int(rng.integers(0, 1480)), int(rng.integers(0, 240)), int(rng.integers(4, 40)))
    request = LineRequest(pixel_size_um=UM, rows=rows)
    reference = run_line(lambda w: Brightest(width=w, rows=1536), [_blocks(pixels)], tmp_path / "whole", request)
    result = run_line(lambda w: Brightest(width=w, rows=rows), [_blocks(pixels, block)], tmp_path / "roll", request)
    assert result["defects"] == reference["defects"]
    same = ["along_mm", "across_mm", "length_mm", "width_mm", "area_mm2", "score", "orientation_deg"]
    one, other = (
        _table(tmp_path / name).sort_values(["along_from_mm", "across_from_mm"])[same] for name in ("whole", "roll")
    )
    assert np.allclose(one.to_numpy(), other.to_numpy())


def test_margins_make_a_detector_that_looks_around_independent_of_the_cuts(tmp_path: Path) -> None:
    pixels = web(900, 256)
    for k in range(12):
        dot(pixels, 40 + 70 * k, 20 * k + 8, 16, 180)
    tables = []
    for rows in (96, 928):
        request = LineRequest(pixel_size_um=UM, rows=rows)
        out = tmp_path / str(rows)
        run_line(lambda w, rows=rows: Contrast(width=w, rows=rows, threshold=25), [_blocks(pixels)], out, request)
        tables.append(_table(out)[["along_mm", "across_mm", "score", "cells"]].sort_values("along_mm").to_numpy())
    assert len(tables[0]) == 12
    assert np.allclose(*tables)


@pytest.mark.parametrize("lanes", [2, 3])
def test_a_web_split_into_lanes_has_the_same_defects(tmp_path: Path, lanes: int) -> None:
    pixels = web(600, 1000)
    pixels[100:108, 50:950] = 250  # across every seam
    dot(pixels, 300, 490, 30)
    for name, split in (("one", 1), ("many", lanes)):
        run_line(_scorer, [_blocks(pixels)], tmp_path / name, LineRequest(pixel_size_um=UM, rows=96, lanes=split))
    assert (tmp_path / "one/roll_map.csv").read_text() == (tmp_path / "many/roll_map.csv").read_text()


def test_two_cameras_with_an_overlap_see_a_defect_on_the_seam_once(tmp_path: Path) -> None:
    pixels = web(600, 512)
    pixels[200:216, 240:320] = 250
    dot(pixels, 400, 400, 16)
    left, right = pixels[:, :288], pixels[:, 256:]
    request = LineRequest(pixel_size_um=UM, rows=96, offsets_mm=(0, 256 * UM / 1000))
    result = run_line(_scorer, [_blocks(left), _blocks(right, 70)], tmp_path / "roll", request)
    found = _table(tmp_path / "roll").sort_values("along_mm")
    assert result["defects"] == 2
    assert found.lanes.tolist() == ["0|1", "1"]
    assert found.iloc[0].across_from_mm == pytest.approx(240 * UM / 1000)
    assert found.iloc[0].across_to_mm == pytest.approx(320 * UM / 1000)
    assert result["width_mm"] == pytest.approx(512 * UM / 1000)


def test_a_streak_is_recorded_in_pieces_that_do_not_count_as_a_repeat(tmp_path: Path) -> None:
    pixels = web(6000, 128)
    pixels[500:5500, 64:72] = 250
    result = run_line(
        _scorer, [_blocks(pixels, 200)], tmp_path / "roll", LineRequest(pixel_size_um=UM, rows=96, piece_mm=40)
    )
    pieces = _table(tmp_path / "roll")
    assert len(pieces) > 4
    assert set(pieces.streak) == {1}
    assert pieces.continues.tolist() == [True] * (len(pieces) - 1) + [False]
    assert (pieces.along_to_mm - pieces.along_from_mm).sum() == pytest.approx(250, abs=1)
    assert result["repeats"] == []


def test_a_roller_is_named_by_its_marks_and_alarms(tmp_path: Path) -> None:
    pixels = web(24000, 128)
    for k in range(15):
        dot(pixels, 100 + 1571 * k, 56, 10)  # 78.55 mm: a roller of 25 mm
    result = run_line(_scorer, [_blocks(pixels, 400)], tmp_path / "roll", LineRequest(pixel_size_um=UM, rows=512))
    (repeat,) = result["repeats"]
    assert repeat["diameter_mm"] == pytest.approx(25.0, abs=0.02)
    assert repeat["ci95"]["period_mm"][0] <= 78.55 <= repeat["ci95"]["period_mm"][1]
    assert "repeat" in _kinds(result)
    assert set(_table(tmp_path / "roll")["repeat"]) == {1}


def test_severe_and_dense_defects_alarm(tmp_path: Path) -> None:
    pixels = web(4000, 256)
    for k in range(25):
        dot(pixels, 1000 + 40 * k, 16 * (k % 10) + 20, 10)
    pixels[100:600, 8:16] = 250  # 25 mm
    result = run_line(_scorer, [_blocks(pixels)], tmp_path / "roll", REQUEST)
    assert result["alarms"] == {"severe": 1, "density": 1}
    alarms = pd.read_csv(tmp_path / "roll/alarms.csv")
    assert alarms[alarms.kind == "severe"].defect.tolist() == [1]


def test_what_it_writes_can_be_read_by_others(tmp_path: Path) -> None:
    pixels = web(700, 256)
    dot(pixels, 200, 96, 16)
    overlay = tmp_path / "thickness.csv"
    overlay.write_text("along_mm,across_mm,value\n5,3,12.5\n20,7,14.0\n")
    result = run_line(_scorer, [_blocks(pixels)], tmp_path / "roll", REQUEST, overlay=overlay)
    shapes = json.loads((tmp_path / "roll/roll_map.geojson").read_text())
    assert "no geographic coordinates" in shapes["coordinates"]
    (feature,) = shapes["features"]
    corners = np.array(feature["geometry"]["coordinates"][0])
    assert corners.min(axis=0).tolist() == pytest.approx([4.8, 10.0])
    assert corners.max(axis=0).tolist() == pytest.approx([5.6, 10.8])
    page = (tmp_path / "roll/roll_map.html").read_text()
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)|url\((?!#|&)|<script|@import", page)
    assert "thickness" in page.lower()
    assert "another sensor" in page
    with Image.open(tmp_path / "roll" / str(_table(tmp_path / "roll").crop[0])) as crop:
        assert np.asarray(crop).max() == 250
    assert json.loads((tmp_path / "roll/line.json").read_text())["defects"] == result["defects"]


# -- bad input --------------------------------------------------------------------------------------------------


def test_a_change_of_width_alarms_and_the_new_width_is_inspected_whole(tmp_path: Path) -> None:
    narrow, wide = web(300, 256), web(300, 700)
    dot(wide, 100, 640, 16)
    dot(narrow, 290, 32, 10)
    wide[0:20, 32:42] = 250  # goes on across the change
    result = run_line(
        lambda w: Brightest(width=384), [ArraySource(lambda: [narrow, wide, narrow])], tmp_path / "roll", REQUEST
    )
    assert result["alarms"]["width-change"] == 2
    found = _table(tmp_path / "roll")
    assert sorted(found.across_mm.round(1)) == pytest.approx([32.4 - 30.5, 1.9, 32.4], abs=0.3)
    assert len(found) == 3


def test_missing_and_unreadable_strips_are_gaps_in_their_place(tmp_path: Path) -> None:
    pixels = web(1000, 256)
    for row in (110, 610, 910):
        dot(pixels, row, 96, 16)
    files = _write_folder(tmp_path / "web", pixels)
    files[6].unlink()
    files[14].write_bytes(files[14].read_bytes()[:300])
    result = run_line(_scorer, [tmp_path / "web"], tmp_path / "roll", REQUEST)
    assert [entry["file"].endswith("strip_0014.png") for entry in result["quarantined"]] == [True]
    assert [(gap["along_mm"], gap["length_mm"]) for gap in result["gaps"]] == [(15.0, 2.5), (35.0, 2.5)]
    assert result["inspected_m"] == pytest.approx(0.045)
    assert result["metres"] == pytest.approx(0.05)
    assert _table(tmp_path / "roll").along_mm.tolist() == pytest.approx([118 * 0.05, 618 * 0.05, 918 * 0.05], abs=0.2)
    assert "/roll_map.html" in result["roll_map"]


def test_a_defect_at_a_gap_is_not_joined_across_it(tmp_path: Path) -> None:
    bar = web(100, 128)
    bar[:, 40:48] = 250
    source = ArraySource(lambda: [bar, LostLines(50, "frames lost", "camera"), bar])
    assert run_line(_scorer, [source], tmp_path / "roll", REQUEST)["defects"] == 2


def test_stuck_saturated_and_flipped_frames_alarm_where_they_are(tmp_path: Path) -> None:
    frames = [web(50, 256, seed) for seed in range(12)]
    frames[3] = frames[4] = frames[2]
    frames[6] = np.full((50, 256), 255, np.uint8)
    frames[9] = frames[9][:, ::-1]
    result = run_line(_scorer, [ArraySource(lambda: frames)], tmp_path / "roll", REQUEST)
    alarms = pd.read_csv(tmp_path / "roll/alarms.csv")
    places = {kind: (part.along_mm.min() / 2.5, part.length_mm.sum() / 2.5) for kind, part in alarms.groupby("kind")}
    assert places["stuck-camera"] == pytest.approx((3, 3))  # the two copies, and the frame that is all white
    assert places["saturation"] == pytest.approx((6, 1))
    assert places["flipped"] == pytest.approx((9, 1))
    assert result["alarms"]["flipped"] == 1


def test_a_detector_slower_than_a_live_line_drops_strips_and_keeps_their_place(tmp_path: Path) -> None:
    pixels = web(3000, 128)
    dot(pixels, 2980, 40, 16)
    last_in = threading.Event()

    def live() -> Iterator[Pixels]:
        for a in range(0, 3000, 50):
            if a >= 2700:
                last_in.wait(0.2)  # the line pauses, the detector catches up
            yield pixels[a : a + 50]

    request = LineRequest(pixel_size_um=UM, rows=96, live=True, queue_strips=2)
    result = run_line(lambda w: _scorer(w, seconds=0.05), [ArraySource(live)], tmp_path / "roll", request)
    assert result["dropped"] > 5
    gaps = sum(gap["length_mm"] for gap in result["gaps"])
    assert result["inspected_m"] * 1000 + gaps == pytest.approx(150)
    assert result["metres"] == pytest.approx(0.15)
    assert _table(tmp_path / "roll").along_mm.tolist() == pytest.approx([2988 * 0.05], abs=0.2)
    assert "lost-lines" in _kinds(result)
    assert any("dropped" in line for line in result["warnings"])
    assert result["latency_ms"]["p50"] <= result["latency_ms"]["p99"] <= result["latency_ms"]["max"]


def test_a_slow_detector_makes_a_recording_wait_and_loses_nothing(tmp_path: Path) -> None:
    pixels = web(1000, 128)
    request = LineRequest(pixel_size_um=UM, rows=96, queue_strips=2)
    result = run_line(lambda w: _scorer(w, seconds=0.01), [_blocks(pixels)], tmp_path / "roll", request)
    assert result["dropped"] == 0
    assert result["inspected_m"] == result["metres"]


def test_errors_of_source_and_detector_come_through_and_leave_a_state_to_go_on_from(tmp_path: Path) -> None:
    pixels = web(2000, 128)
    dot(pixels, 100, 40, 16)
    dot(pixels, 1500, 40, 16)
    broken = [True]

    def make() -> Iterator[Pixels]:
        for a in range(0, 2000, 50):
            if a == 1200 and broken[0]:
                raise OSError("the network drive is gone")
            yield pixels[a : a + 50]

    with pytest.raises(OSError, match="network drive"):
        run_line(_scorer, [ArraySource(make)], tmp_path / "roll", REQUEST)
    broken[0] = False
    result = run_line(_scorer, [ArraySource(make)], tmp_path / "roll", REQUEST)
    assert result["resumed"]
    assert result["defects"] == 2
    with pytest.raises(InputError, match="exists"):
        run_line(_scorer, [ArraySource(make)], tmp_path / "roll", REQUEST)


def test_scores_that_are_no_numbers_are_not_passed_over(tmp_path: Path) -> None:
    class Sick(Brightest):
        def finish(self, slot: int) -> Any:
            return super().finish(slot) * np.float32(np.nan)

    with pytest.raises(Exception, match="not finite"):
        run_line(lambda w: Sick(width=w), [_blocks(web(500, 128))], tmp_path / "roll", REQUEST)


def test_a_stream_that_cannot_go_back_resumes_with_a_gap_of_unknown_length(tmp_path: Path) -> None:
    first, second = web(600, 128, 1), web(600, 128, 2)
    dot(first, 100, 40, 16)
    dot(second, 300, 80, 16)

    class Camera:
        width, rows_total = 128, None

        def __init__(self, pixels: Pixels, fails: bool) -> None:
            self.pixels, self.fails = pixels, fails

        def identity(self) -> dict[str, Any]:
            return {"camera": 1}

        def items(self, cursor: Any = None) -> Iterator[Item]:
            assert cursor is None
            for a in range(0, 600, 50):
                yield LineBlock(self.pixels[a : a + 50], one_lane(128), "camera")
            if self.fails:
                raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        run_line(_scorer, [Camera(first, True)], tmp_path / "roll", REQUEST)
    result = run_line(_scorer, [Camera(second, False)], tmp_path / "roll", REQUEST)
    assert result["defects"] == 2
    assert [gap["length_mm"] for gap in result["gaps"]] == [None]
    assert any("unknown length" in line for line in result["warnings"])


@pytest.mark.parametrize(
    ("sources", "request_", "message"),
    [
        (["absent"], REQUEST, "no such file"),
        ([], REQUEST, "no source"),
        (["-"], REQUEST, "how wide"),
        (["absent"], LineRequest(pixel_size_um=UM, offsets_mm=(1.0, 2.0)), "2 values of --offset-mm for 1"),
        (["a", "b"], LineRequest(pixel_size_um=UM, lanes=2), "--lanes splits"),
    ],
)
def test_requests_that_make_no_sense(tmp_path: Path, sources: list[str], request_: LineRequest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_line(_scorer, sources, tmp_path / "roll", request_)


def test_an_empty_folder_a_bad_overlay_and_another_command_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        run_line(_scorer, [tmp_path / "empty"], tmp_path / "roll", REQUEST)
    overlay = tmp_path / "o.csv"
    overlay.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="no column along_mm"):
        run_line(_scorer, [_blocks(web(100, 128))], tmp_path / "roll", REQUEST, overlay=overlay)
    run_line(_scorer, [_blocks(web(500, 128))], tmp_path / "roll", REQUEST)
    (tmp_path / "roll/line.json").unlink()
    with pytest.raises(InputError, match="other request"):
        run_line(_scorer, [_blocks(web(500, 128))], tmp_path / "roll", LineRequest(pixel_size_um=2 * UM, rows=96))


# -- a process that is killed ----------------------------------------------------------------


SCRIPT = """
import sys
sys.path[:0] = [{tests!r}]
from webs import Brightest
from sorby.workflow.line import LineRequest, run_line
request = LineRequest(pixel_size_um=50.0, rows=96, checkpoint_strips=2, piece_mm=20)
run_line(lambda w: Brightest(width=w, seconds={seconds}), [{folder!r}], {out!r}, request)
"""


def _eventful_folder(place: Path) -> Path:
    """A web with everything that has to survive: streaks, open defects, gaps, odd frames, unreadable files."""
    pixels = web(4500, 256, 5)
    rng = np.random.default_rng(6)
    for _ in range(60):
        dot(pixels, int(rng.integers(0, 4450)), int(rng.integers(0, 220)), int(rng.integers(4, 36)))
    pixels[700:4000, 200:208] = 250
    pixels[1000:2000, 30:38] = pixels[1000:2000, 90:98] = 250
    pixels[1990:1998, 30:98] = 250
    files = _write_folder(place, pixels)
    files[30].unlink()
    files[55].write_bytes(b"torn")
    files[70].write_bytes(files[69].read_bytes())
    flipped = np.asarray(Image.open(files[80]))[:, ::-1]
    Image.fromarray(np.ascontiguousarray(flipped)).save(files[80])
    return place


def test_killed_twice_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    folder, out = _eventful_folder(tmp_path / "web"), tmp_path / "killed"
    request = LineRequest(pixel_size_um=UM, rows=96, checkpoint_strips=2, piece_mm=20)
    undisturbed = run_line(_scorer, [folder], tmp_path / "undisturbed", request)
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), seconds=0.015, folder=str(folder), out=str(out))
    journal = out / "journal.jsonl"
    for progress in (0.3, 0.6):
        process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"})
        while _recorded_rows(journal) < progress * 4500:
            assert process.poll() is None, "it must not end by itself"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (out / "line.json").exists()
    before = _recorded_rows(journal)
    assert 2700 <= before < 4500
    result = run_line(_scorer, [folder], out, request)
    assert result["resumed"]
    for name in ("roll_map.csv", "alarms.csv", "roll_map.geojson"):
        assert (out / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), name
    crops = sorted(path.name for path in (out / "crops").iterdir())
    assert crops == sorted(path.name for path in (tmp_path / "undisturbed/crops").iterdir())
    assert all(
        (out / "crops" / name).read_bytes() == (tmp_path / "undisturbed/crops" / name).read_bytes() for name in crops
    )
    assert result["quarantined"] == undisturbed["quarantined"]
    assert result["defects"] == undisturbed["defects"] > 40


def _recorded_rows(journal: Path) -> int:
    if not journal.exists():
        return 0
    checkpoints = re.findall(rb'"checkpoint",\{"counts":\{"row":(\d+)', journal.read_bytes())
    return int(checkpoints[-1]) if checkpoints else 0


# -- the budget -------------------------------------------------------------------------------------------------


def test_the_budget_of_the_paper() -> None:
    result = line_budget(
        across_mm=203.2, along_mm=279.4, pixel_size_um=34, m_per_min=3.048, sheets=4, tiles=4181,
        measured_n=(72, 324, 900), measured_s=(1.09, 3.99, 10.78),
    )  # fmt: skip
    assert result["need"]["ms_per_tile"] == pytest.approx(5.26, abs=0.005)
    assert result["model"]["seconds"] == pytest.approx(49, abs=1)
    assert result["paper"]["seconds"] == pytest.approx(63.3, abs=0.05)
    assert result["model"]["ci95"]["seconds"][0] < result["model"]["seconds"] < result["model"]["ci95"]["seconds"][1]
    assert any("do not grow" in note for note in result["notes"])
    assert result["machine"] is None


def test_the_budget_of_this_machine_counts_the_web_and_not_the_overlap() -> None:
    result = line_budget(
        across_mm=12.8, along_mm=100, pixel_size_um=UM, m_per_min=0.5,
        bundle=lambda w: Brightest(width=w, seconds=0.004), rows=96,
    )  # fmt: skip
    machine = result["machine"]
    # 64 of 96 lines of 256 columns are new web in each strip, and a strip takes at least 4 ms.
    assert machine["mpix_per_s"] <= 64 * 256 / 0.004 / 1e6
    assert machine["mpix_per_s"] > 0.5 * 64 * 256 / 0.004 / 1e6
    assert machine["m_per_min"] == pytest.approx(0.5 * machine["times_needed"])
    assert result["holds"] == (machine["times_needed"] >= 1)


def test_one_measurement_gives_the_proportion_only() -> None:
    result = line_budget(
        across_mm=203.2, along_mm=279.4, pixel_size_um=34, m_per_min=3.048, sheets=4, tiles=4181,
        measured_n=(75,), measured_s=(1.6,),
    )  # fmt: skip
    assert result["paper"]["seconds"] == pytest.approx(89.19, abs=0.005)
    assert result["model"] is None
    with pytest.raises(InputError, match="1 values of --measured-n"):
        line_budget(across_mm=1, along_mm=1, pixel_size_um=1, m_per_min=1, measured_n=(1,))

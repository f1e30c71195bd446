"""The membrane paper drawn again: printed numbers as printed, every cell beside ours, none passed off as comparable."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from scipy.special import stdtrit

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.phantom.membrane import write_membrane
from sorby.workflow.anomaly.protocols import ProtocolSettings
from sorby.workflow.papers import run_membrane_paper
from sorby.workflow.papers import yan2023 as s3
from sorby.workflow.papers.membrane import MembraneRequest


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight published sheets at a tenth of their size."""
    place = tmp_path_factory.mktemp("sheets") / "membrane"
    write_membrane(place, scale=0.1)
    return place


@pytest.fixture(scope="module")
def drawn(sheets: Path, tmp_path_factory: pytest.TempPathFactory):
    """The paper on them, by a small network input."""
    request = MembraneRequest(
        data="",
        settings=ProtocolSettings(features=(100,), repeats=2, held_out=2, timings=1, resamples=20),
        changes={"image.height": 64, "image.width": 64, "views.tile_px": 64},
        grids=(1, 3),
        device="cpu",
    )
    return run_membrane_paper(tmp_path_factory.mktemp("S3"), sheets, request=request)


# -- the printed numbers -----------------------------------------------------------------------------------


def test_grids_and_line_speed_follow_from_the_printed_numbers():
    assert [6 * c * 3 * c for c in s3.SUB_IMAGES_A_SHEET] == list(s3.SUB_IMAGES_A_SHEET.values())
    assert sum(s3.CHANNELS) == 248
    assert s3.seconds_for(4181, 75, 1.6) == pytest.approx(89.19, abs=0.005)
    assert s3.seconds_for(4181, 75, 1.37) == pytest.approx(76.37, abs=0.005)
    allowed = s3.seconds_allowed(s3.LINE["sheets"], s3.LINE["sheet_length_in"], s3.LINE["speed_ft_min"])
    assert 1e3 * allowed / s3.TILES_WITH_BORDER == pytest.approx(5.26, abs=0.005)


def test_milliseconds_an_image_fall_with_the_number_of_images():
    """The fixed part of the time, which the linear estimate overlooks (72, 324 and 900 images)."""
    each = [1e3 * s3.TABLE_1[c, 100]["total_s"][0] / n for c, n in ((1, 72), (3, 324), (5, 900))]
    assert [round(ms, 1) for ms in each] == [15.1, 12.3, 12.0]


def test_spread_of_the_outer_loop_that_the_margins_imply():
    def implied(margin: float, n: int) -> float:
        return margin * math.sqrt(n) / float(stdtrit(n - 1, 0.975))

    outer = [table[d]["outer_pro"][1] for table in (s3.TABLE_3, s3.TABLE_4) for d in (100, 248)]
    found = [implied(margin, n) for margin, n in zip(outer, (36, 36, 39, 39), strict=True)]
    assert found == pytest.approx([0.355, 0.325, 0.278, 0.247], abs=0.001)


def test_only_repeated_runs_have_margins():
    for (c, _), row in s3.TABLE_1.items():
        assert all((margin is None) == (c > 1) for _, margin in row.values())


# -- ours beside them --------------------------------------------------------------------------------------


def test_every_cell_stands_beside_the_published_one_and_none_is_called_comparable(drawn):
    tables = {row["table"] for row in drawn["table"]}
    assert tables == {"Table 1", "Table 2", "Table 3", "Table 4"}
    for row in drawn["table"]:
        assert row["flag"].startswith("not comparable (phantoms")
        assert row["ours"]["printed"]
    ones = [row for row in drawn["cells"]["table_1"] if row["protocol"] == "scratches, c = 1"]
    assert [row["published"]["printed"] for row in ones if row["key"] == "image_auroc"] == ["0.90 ± 0.02"]


def test_repeated_runs_have_margins_and_single_ones_an_interval_by_defect(drawn):
    for row in drawn["cells"]["table_1"]:
        if row["key"].endswith("_s"):
            continue
        assert (row["ours"]["ci95"] is None) == (row["protocol"] == "scratches, c = 3")
        low, high = row["resampled"]["ci95"]
        assert low <= high


def test_the_page_has_every_figure_and_says_what_is_known(drawn):
    page = Path(drawn["report"]).read_text("utf-8")
    for words in ("Fig. 1", "Fig. 2", "Fig. 3", "Fig. 4", "Figs. 5 and 6", "Fig. 7", "Fig. 9", "How to read",
                  "Other training shares", "Contrast and smoothing", "not comparable"):  # fmt: skip
        assert words in page
    for flaw in s3.FLAWS:
        assert flaw.split("'")[0].split("&")[0][:40] in page
    stored = json.loads((Path(drawn["report"]).parent / "paper.json").read_text("utf-8"))
    assert len(stored["table"]) == len(drawn["table"])


def test_reviewers_are_answered(drawn):
    assert [row["share"] for row in drawn["cells"]["shares"]] == ["50 : 50", "60 : 40", "70 : 30", "80 : 20"]
    assert [row["treatment"] for row in drawn["cells"]["treatments"]] == ["none", "contrast", "smooth"]
    assert drawn["cells"]["treatments"][0]["hidden"] == 0
    assert all(row["threshold"]["value"] > 0 for row in drawn["cells"]["beyond"])


# -- the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["S1", "--scale", "0.5"], ["S3", "--folds", "3"], ["S3", "x.csv", "--scale", "0.5"]]
)
def test_options_of_another_paper_are_refused(arguments, tmp_path, capsys):
    assert run(cli, ["paper", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: --")


def test_the_published_network_without_its_weights_is_an_error(sheets, tmp_path, capsys):
    assert run(cli, ["paper", "S3", str(sheets), "--b4", "--out", str(tmp_path / "out")]) == 2
    assert "efficientnet_b4" in capsys.readouterr().err


def test_a_protocol_is_one_command(sheets, tmp_path, capsys):
    small = ["--set", "image.height=64", "--set", "image.width=64", "--set", "views.tile_px=64"]
    counts = ["--features", "20", "--repeats", "1", "--held-out", "1"]
    command = ["anomaly", "protocol", str(sheets), "--recipe", "membrane-pinholes", "--json", *small, *counts]
    assert run(cli, [*command, "--out", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["protocol"] == "pinholes"
    assert told["counts"]["defects"] == 36
    assert set(told["arms"][0]["outer"]) == {"outer_pro"}
    assert Path(told["report"]).is_file()


def test_help_has_an_example():
    assert "Example: sorby paper" in CliRunner().invoke(cli, ["paper", "--help"]).output

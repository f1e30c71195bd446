"""``sorby measure needles`` as scripts see it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.phantom import draw_specimen, render_steel


@pytest.fixture(scope="module")
def micrographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("needles")
    specimen = draw_specimen("M8", 920_001, images=1, size_px=(320, 320), resin_share=0.0)
    phantom = render_steel(specimen.specs[0], specimen.seeds[0])
    Image.fromarray(phantom.pixels).save(folder / "good.png")
    noise = np.random.default_rng(0).normal(60, 4, (300, 300))
    Image.fromarray(noise.astype(np.uint8)).save(folder / "void.png")
    return folder


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(cli, ["measure", "needles", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_an_image_without_a_pixel_size_is_refused_in_two_lines(
    micrographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _run(capsys, micrographs / "good.png")
    assert code == 2
    assert out == ""
    assert "no pixel size" in err
    assert "--pixel-size-um" in err


def test_files_that_cannot_be_measured_are_set_aside_and_the_others_go_on(
    micrographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, text, err = _run(
        capsys,
        *(micrographs / "good.png", micrographs / "void.png", micrographs / "absent.png"),
        *("--pixel-size-um", 0.2, "--subtype", "M", "--out", out, "--json"),
    )
    assert code == 3, err
    result = json.loads(text)
    (entry,) = result["images"]
    assert len(result["quarantined"]) == 2
    assert entry["pixel_size_um"] == 0.2
    assert entry["pixel_size_source"] == "user"
    assert entry["grade"].startswith("M")
    assert set(entry["grades"]) == {"M"}
    for name in ("mean_um", "largest_um"):
        low, high = entry["ci95"][name]
        assert low <= entry[name] <= high
    assert "ISO 643" in entry["scale"]
    assert "house scale" in entry["scale"]
    assert any("not been verified" in line for line in entry["warnings"])
    rows = list(csv.DictReader((out / "needles.csv").open()))
    assert float(rows[0]["mean_um"]) == pytest.approx(entry["mean_um"], rel=1e-5)
    shares = list(csv.DictReader((out / "distributions" / "00000-good.csv").open()))
    assert sum(float(row["estimated_share"]) for row in shares) == pytest.approx(1, abs=1e-4)
    assert Image.open(out / "overlays" / "00000-good.png").size[0] >= 1000


def test_the_text_names_the_scale_and_that_it_is_no_iso_result(
    micrographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = _run(capsys, micrographs / "good.png", "--pixel-size-um", 0.2)
    assert code == 0
    assert "house scale" in out
    assert "no ISO 643 result" in out
    assert "no subtype given" in out


def test_a_wrong_table_stops_before_anything_is_measured_or_written(
    micrographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.yaml").write_text("mean_um: [6, 10, 16]")
    code, out, err = _run(
        capsys, micrographs, "--pixel-size-um", 0.2, "--table", tmp_path / "t.yaml", "--out", tmp_path / "o"
    )
    assert code == 2
    assert out == ""
    assert "t.yaml" in err
    assert not (tmp_path / "o").exists()


def test_a_region_drawn_beside_the_image_takes_the_proposals_place(
    micrographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.asarray(Image.open(micrographs / "good.png"))
    Image.fromarray(pixels).save(tmp_path / "half.png")
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[:160] = 255
    Image.fromarray(mask).save(tmp_path / "half.region.png")
    code, text, err = _run(capsys, tmp_path / "half.png", "--pixel-size-um", 0.2, "--json")
    assert code == 0, err
    (entry,) = json.loads(text)["images"]
    assert entry["region_share"] == pytest.approx(0.5)
    assert entry["field_um2"] == pytest.approx(320 * 160 * 0.04)
    Image.fromarray(mask[:100]).save(tmp_path / "half.region.png")
    code, _, err = _run(capsys, tmp_path / "half.png", "--pixel-size-um", 0.2)
    assert code == 2
    assert "region" in err

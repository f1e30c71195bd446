"""``sorby measure grains`` and ``inclusions`` as a script sees them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.phantom.grains import render_grains


@pytest.fixture(scope="module")
def etched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("etched")
    for seed in range(2):
        Image.fromarray(render_grains(8.0, seed, size_px=320, pixel_size_um=0.7).pixels).save(folder / f"f{seed}.png")
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    code = run(cli, ["measure", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def test_fields_become_one_specimen_with_interval_and_files(
    etched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, _ = ask(capsys, "grains", etched, "--pixel-size-um", 0.7, "--out", tmp_path / "g")
    assert code == 0
    assert len(found["images"]) == 2
    assert found["specimen"]["n_fields"] == 2
    assert found["specimen"]["planimetric"]["g"]["value"] == pytest.approx(8.0, abs=0.25)
    assert found["standard"].startswith("ASTM E112-")
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"grains.csv", "f0.png", "f1.png"}
    with open(tmp_path / "g" / "grains.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["intercept_g"]) == pytest.approx(found["images"][0]["intercept"]["g"], abs=1e-3)


def test_without_a_pixel_size_a_single_image_is_refused(etched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, err = ask(capsys, "grains", etched / "f0.png")
    assert (code, found) == (2, {})
    assert "no pixel size" in err
    assert "hint: " in err


def test_an_image_without_boundaries_is_set_aside_and_the_others_go_on(
    etched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (200, 200), 0).save(tmp_path / "black.png")
    code, found, _ = ask(capsys, "grains", etched / "f0.png", tmp_path / "black.png", "--pixel-size-um", 0.7)
    assert code == 3
    assert [Path(entry["file"]).name for entry in found["quarantined"]] == ["black.png"]
    assert len(found["images"]) == 1


def test_an_all_black_image_alone_gives_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (200, 200), 0).save(tmp_path / "black.png")
    for extra in ([], ["--mask"]):
        code, found, err = ask(capsys, "grains", tmp_path / "black.png", "--pixel-size-um", 1, *extra)
        assert (code, found) == (2, {})
        assert "black.png" in err


def test_drawn_masks_dark_on_bright_or_bright_on_dark_are_the_same_grains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((210, 210), np.uint8)
    mask[20::30] = mask[:, 20::30] = 255
    for name, values in (("bright", mask), ("dark", 255 - mask)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    both = [
        ask(capsys, "grains", tmp_path / f"{name}.png", "--mask", "--pixel-size-um", 1)[1]["images"][0]
        for name in ("bright", "dark")
    ]
    # Eight by eight fields: 36 inside, 24 on the sides, 4 corners, the drawn lines shared out among them.
    assert both[0]["planimetric"]["grains"] == 36 + 24 / 2 + 1
    assert both[0]["planimetric"] == both[1]["planimetric"]
    assert any("dark boundaries" in line for line in both[1]["warnings"])


def test_a_photograph_is_not_a_mask(etched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = ask(capsys, "grains", etched / "f0.png", "--mask", "--pixel-size-um", 1)
    assert code == 2
    assert "not a mask" in err


def test_a_label_image_of_sixteen_bits_is_counted_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = render_grains(8.0, 3, size_px=300)
    Image.fromarray(truth.labels.astype(np.uint16)).save(tmp_path / "labels.png")
    size = truth.pixel_size_um
    _, found, _ = ask(capsys, "grains", tmp_path / "labels.png", "--labels", "--pixel-size-um", size)
    assert found["images"][0]["planimetric"]["g"] == pytest.approx(truth.grain_size_g)


def test_iso_643_is_planimetric_and_names_its_edition(etched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found, _ = ask(capsys, "grains", etched, "--pixel-size-um", 0.7, "--standard", "iso-643")
    assert found["standard"].startswith("ISO 643:")
    assert "intercept" not in found["images"][0]
    code, _, err = ask(
        capsys, "grains", etched, "--pixel-size-um", 0.7, "--standard", "iso-643", "--method", "intercept"
    )
    assert code == 2
    assert "planimetric" in err


def test_sub_fields_of_one_image_have_an_interval_and_a_caveat(
    etched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, _ = ask(capsys, "grains", etched / "f0.png", "--pixel-size-um", 0.7, "--fields", 2)
    assert found["specimen"]["intercept"]["mean_intercept_um"]["n"] == 4
    assert any("not independent" in line for line in found["images"][0]["warnings"])


def test_inclusions_are_measured_and_refused_without_a_scale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    picture = np.clip(rng.normal(200, 4, (200, 200)), 0, 255).astype(np.uint8)
    picture[50:60, 50:60] = 20
    Image.fromarray(picture).save(tmp_path / "polished.png")
    code, found, _ = ask(capsys, "inclusions", tmp_path / "polished.png", "--pixel-size-um", 2, "--out", tmp_path / "i")
    assert code == 0
    # A hundred dark pixels, and up to half a pixel of rim.
    assert found["images"][0]["area_fraction"] == pytest.approx(0.0025, rel=0.1)
    assert (tmp_path / "i" / "inclusions.csv").is_file()
    code, _, err = ask(capsys, "inclusions", tmp_path / "polished.png")
    assert code == 2
    assert "no pixel size" in err

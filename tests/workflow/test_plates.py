"""Plates of phantoms, whose map is known, judged by a classifier that was taught on coupons of the same kind."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest

from sorby.classify import recipe as recipes
from sorby.cli import cli
from sorby.cli._frame import run
from sorby.errors import ImageError, InputError
from sorby.evidence import from_grades
from sorby.phantom.corrosion import corrosion_set, draw_plate, grade, render_plate, write_plate, write_views
from sorby.workflow import evaluate, train
from sorby.workflow.measuring.plate_judging import PlateOptions
from sorby.workflow.measuring.plates import measure_plates

SIZE, FIELD_UM = 224, 254.0
PIXEL_UM = FIELD_UM / SIZE


@pytest.fixture(scope="module")
def coupons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("coupons") / "set"
    write_views(place, corrosion_set(40, 3, images=2), size=(SIZE, SIZE), jobs=1)
    return place / "labels.csv"


@pytest.fixture(scope="module")
def bundle(coupons: Path) -> Path:
    recipe = recipes.load(
        "corrosion-severity",
        {
            "split.fractions": [0.7, 0.0, 0.3],
            # So few pictures leave sets wide and cannot tell a stranger at the usual levels.
            "verdict.alpha": 0.2,
            "verdict.novelty_rate": 0.06,
        },
    )
    out = coupons.parent.parent / "run"
    found = train(coupons, out, recipe, label="severity", group="specimen", image="image", report=False)
    assert found["test"]["weighted_kappa"] > 0.7
    assert found["test"]["ci95"]["mean_absolute_error"] is not None
    return Path(found["bundle"])


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates") / "plate-1"
    return write_plate(folder, render_plate(draw_plate(7, "316L"), (1130, 900)))


@pytest.fixture(scope="module")
def measured(bundle: Path, plate: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("measured") / "out"
    return measure_plates(bundle, [plate / "plate.tif"], out), out


def test_the_map_agrees_with_the_plate_s_truth(measured: tuple[dict, Path], plate: Path) -> None:
    result, out = measured
    table = pd.read_csv(out / result["plates"][0]["table"])
    share = np.load(plate / "expected_share.npy")
    confusion = np.zeros((5, 5))
    for row in table[table["judged"]].itertuples():
        top, left, size = (round(um / 1.13) for um in (row.y_um, row.x_um, row.h_um))
        true = int(grade(share[top : top + size, left : left + size].mean()))
        confusion[true, int(row.severity)] += 1
    found = from_grades(confusion, np.arange(5))
    # 56 small pictures taught it; 228 large ones reach .28 grades on plates.
    assert found.within_one > 0.9
    assert found.mean_absolute_error < 0.6


def test_fractions_add_up_and_lie_near_the_truth(measured: tuple[dict, Path], plate: Path) -> None:
    entry = measured[0]["plates"][0]
    truth = json.loads((plate / "plate.json").read_text())["area_by_severity"]
    values = {name: one["value"] for name, one in entry["fractions"].items()}
    assert sum(values.values()) == pytest.approx(1)
    assert sum(one["corrected"]["value"] for one in entry["fractions"].values()) == pytest.approx(1)
    assert np.mean([abs(values[name] - truth[name]) for name in truth]) < 0.15
    mean = sum(int(name) * share for name, share in truth.items())
    assert entry["mean_severity"]["value"] == pytest.approx(mean, abs=0.6)
    for one in entry["fractions"].values():
        low, high = one["bounds"]
        assert low <= one["value"] * entry["judged_area"] + 1e-9
        assert high - low == pytest.approx(1 - entry["judged_area"])


def test_area_is_that_of_the_plate_and_the_cue_that_of_its_grinding(measured: tuple[dict, Path], plate: Path) -> None:
    entry = measured[0]["plates"][0]
    facts = json.loads((plate / "plate.json").read_text())
    assert entry["area_mm2"] == pytest.approx(1130 * 900 * 1.13**2 / 1e6, rel=1e-3)
    assert entry["texture"]["cue"] == "linear"
    gap = abs(entry["texture"]["direction_deg"] - facts["grind_angle_deg"]) % 180
    assert min(gap, 180 - gap) < 10


def test_everything_is_written(measured: tuple[dict, Path]) -> None:
    result, out = measured
    assert {file.name for file in out.iterdir()} == {"plate-map.png", "plate-tiles.csv", "plates.json", "plates.html"}
    assert imagecodecs.png_decode((out / "plate-map.png").read_bytes()).shape[1] > 1000
    assert json.loads((out / "plates.json").read_text())["plates"][0]["fractions"] == result["plates"][0]["fractions"]
    page = (out / "plates.html").read_text()
    assert "Severity by cell" in page
    assert "<script" not in page


def test_sixteen_bits_and_a_holder_change_little(bundle: Path, plate: Path, measured: tuple, tmp_path: Path) -> None:
    import tifffile

    pixels = tifffile.imread(plate / "plate.tif")
    deep = np.zeros((pixels.shape[0], pixels.shape[1] + 300), np.uint16)
    deep[:, : pixels.shape[1]] = pixels.astype(np.uint16) * 200 + 3000  # lighter than the chamber
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    entry = measure_plates(bundle, [tmp_path / "deep.tif"], pixel_size_um=1.13)["plates"][0]
    assert "stretched to 8 bits" in " ".join(entry["warnings"])
    assert "dark at the border" in entry["outline"]
    assert entry["area_mm2"] == pytest.approx(measured[0]["plates"][0]["area_mm2"], rel=0.03)
    assert entry["tiles_beyond_plate"] > 0
    before = measured[0]["plates"][0]["mean_severity"]["value"]
    assert entry["mean_severity"]["value"] == pytest.approx(before, abs=0.4)  # contrast is stretched anew


def test_a_strange_plate_is_not_judged_and_not_counted(bundle: Path, tmp_path: Path) -> None:
    import tifffile

    y, x = np.mgrid[:600, :900]
    checks = (((x // 9 + y // 9) % 2) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "checks.tif", checks)
    entry = measure_plates(bundle, [tmp_path / "checks.tif"], tmp_path / "out", pixel_size_um=1.13,
                           options=PlateOptions(whole=True))["plates"][0]  # fmt: skip
    assert entry["not_judged"].get("novel", 0) == entry["tiles"]
    assert entry["judged_area"] == 0
    assert entry["fractions"] == {}
    assert entry["mean_severity"]["value"] is None
    assert "no tile could be judged" in " ".join(entry["warnings"])


def test_plates_that_cannot_be_measured_are_refused_in_one_line(bundle: Path, plate: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plate.png"
    picture.write_bytes(imagecodecs.png_encode(np.full((300, 300), 120, np.uint8)))
    with pytest.raises(ImageError, match="no pixel size"):
        measure_plates(bundle, [picture])
    with pytest.raises(ImageError, match="a tile 254 x 254 um"):
        measure_plates(bundle, [picture], pixel_size_um=0.5)
    with pytest.raises(ImageError, match="times those the network was taught on"):
        measure_plates(bundle, [picture], pixel_size_um=3.0)
    with pytest.raises(ImageError, match="times finer"):
        measure_plates(bundle, [picture], pixel_size_um=0.01)
    with pytest.raises(InputError, match="too large or too small"):
        measure_plates(bundle, [picture], pixel_size_um=1.13, options=PlateOptions(tile_um=600))
    with pytest.raises(InputError, match="an overlap of 1"):
        measure_plates(bundle, [picture], pixel_size_um=1.13, options=PlateOptions(overlap=1.0))


def test_evaluation_tells_distances_by_alloy(bundle: Path, coupons: Path) -> None:
    found = evaluate(bundle, coupons, label="severity", group="specimen", image="image")
    assert found["mean_absolute_error"]["ci95"] is not None
    assert found["within_one"]["n"] == 80
    by_alloy = found["per_group"]["alloy"]
    assert set(by_alloy) == {"316L", "AZ31B"}
    parts = [by_alloy[name]["ordinal"]["mean_absolute_error"] for name in by_alloy]
    # Both alloys have as many pictures, so the whole is the mean of the parts.
    assert np.mean([part["value"] for part in parts]) == pytest.approx(found["mean_absolute_error"]["value"])
    assert all(by_alloy[name]["n"] == 40 for name in by_alloy)


def test_a_bundle_without_grades_is_refused(trained, plate: Path) -> None:
    with pytest.raises(InputError, match="are no grades"):
        measure_plates(trained.bundle, [plate / "plate.tif"])


def test_the_command_sets_aside_what_is_no_plate(
    bundle: Path, plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "small.png"
    picture.write_bytes(imagecodecs.png_encode(np.full((40, 40), 120, np.uint8)))
    code = run(cli, ["measure", "plate", str(bundle), str(plate / "plate.tif"), str(picture), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 3
    assert len(found["plates"]) == 1
    assert "no pixel size" in found["quarantined"][0]["reason"]

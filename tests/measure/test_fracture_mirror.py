"""Mirrors of known radius, and what must not change what is measured."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.errors import ImageError, InputError
from sorby.measure.fracture_mirror import NOT_WHOLE, FractureMirror, measure_mirror
from sorby.measure.mirror_constant import bending_stress_mpa, mirror_constant
from sorby.measure.mirror_overlay import draw_mirror
from sorby.phantom.fracture import MAGNIFICATIONS, FractureSpecimen, field_width_um, fracture_set, render
from sorby.workflow.measuring.mirrors import Loading, measure_mirrors


def _surface(
    radius: float,
    centre: tuple[float, float],
    size: tuple[int, int] = (384, 512),
    seed: int = 0,
    edge: float | None = None,
) -> np.ndarray:
    """A smooth disc in ground that gets rougher from one radius and ridged outwards from 1.1; dark below an edge."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(float)
    away, angle = np.hypot(x - centre[0], y - centre[1]), np.arctan2(y - centre[1], x - centre[0])
    rough = 0.3 + 0.7 * np.clip((away / radius - 0.95) / 0.85, 0.0, 1.0)
    onset = np.clip((away / radius - 1.1) / 0.8, 0.0, 1.0)
    ridged = onset * onset * (3 - 2 * onset)
    relief = gaussian_filter(rng.standard_normal(size), 1.2)
    lines = gaussian_filter(rng.standard_normal((720, 12)), (2.0, 1.0), mode="wrap")
    turn = (angle / (2 * np.pi) % 1.0 * 720).astype(int) % 720
    hackle = lines[turn, np.clip((np.log(np.maximum(away, 1) / 20) * 3).astype(int), 0, 11)]
    grey = 0.5 + 0.04 * rough * relief / relief.std() + 0.10 * ridged * hackle / lines.std()
    grey = gaussian_filter(grey, 0.8) + 0.01 * rng.standard_normal(size)
    if edge is not None:
        grey[y > edge] = 0.04
    drawn: np.ndarray = (np.clip(grey, 0, 1) * 255).astype(np.uint8)
    return drawn


@pytest.mark.parametrize("radius", [45.0, 60.0, 80.0])
def test_the_radius_of_a_drawn_mirror_is_found(radius: float) -> None:
    found = measure_mirror(_surface(radius, (255, 190)), 0.5, origin=(255, 190))
    # How soon ridges outweigh the relief differs from the model's by some per cent; the rest is chance.
    assert found.radius_px == pytest.approx(radius, rel=0.10)
    assert found.ci95_um[0] < found.radius_um < found.ci95_um[1]
    assert found.mist_hackle_px > found.radius_px


def test_the_boundary_is_seen_all_around_a_whole_mirror() -> None:
    found = measure_mirror(_surface(60.0, (255, 190), seed=3), 1.0, origin=(255, 190))
    quarters = np.isfinite(found.by_direction_px).reshape(4, 9)
    assert quarters.any(axis=1).all()
    assert np.nanmedian(found.by_direction_px) == pytest.approx(60.0, rel=0.12)


def test_the_measure_turns_and_scales_with_the_picture() -> None:
    picture = _surface(60.0, (240, 180), seed=4)
    upright = measure_mirror(picture, 0.5, origin=(240, 180))
    turned = measure_mirror(np.rot90(picture).copy(), 0.5, origin=(180, 511 - 240))
    # The sectors are the same after a quarter turn.
    assert turned.radius_um == pytest.approx(upright.radius_um, rel=0.01)
    coarse = measure_mirror(picture, 2.0, origin=(240, 180))
    assert coarse.radius_um == pytest.approx(4 * upright.radius_um)


def test_contrast_and_brightness_do_not_matter() -> None:
    picture = _surface(60.0, (240, 180), seed=5)
    dull = (60 + 0.5 * picture).astype(np.uint8)
    a, b = (measure_mirror(each, 1.0, origin=(240, 180)).radius_px for each in (picture, dull))
    assert b == pytest.approx(a, rel=0.03)


def test_beyond_the_edge_of_the_part_nothing_is_measured() -> None:
    found = measure_mirror(_surface(60.0, (240, 290), seed=6, edge=302), 1.0, origin=(240, 290))
    below = np.sin(found.angles) > 0.6
    assert np.isnan(found.by_direction_px[below]).all()
    assert found.radius_px == pytest.approx(60.0, rel=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_even_roughness_is_no_mirror(seed: int) -> None:
    relief = gaussian_filter(np.random.default_rng(seed).standard_normal((384, 512)), 1.0)
    picture = (128 + 20 * relief).clip(0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="no mirror"):
        measure_mirror(picture, 1.0, origin=(240, 180))


def test_hackle_all_over_is_no_mirror() -> None:
    with pytest.raises(ImageError, match="no mirror"):
        measure_mirror(_surface(5.0, (255, 190)), 1.0, origin=(255, 190))


def test_a_mirror_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="no mirror"):
        measure_mirror(_surface(300.0, (255, 190)), 1.0, origin=(255, 190))


def test_a_mirror_that_all_but_fills_the_picture_is_said_to() -> None:
    found = measure_mirror(_surface(140.0, (255, 190)), 1.0, origin=(255, 190))
    assert NOT_WHOLE in found.warnings
    assert not found.fair_view


def _phantom(specimen: FractureSpecimen) -> FractureMirror | None:
    shares = np.array([specimen.mirror_radius_um / field_width_um(power) for power in MAGNIFICATIONS])
    power = MAGNIFICATIONS[int(np.abs(np.log(shares / 0.13)).argmin())]
    view = render(specimen, power, (640, 480))
    try:
        return measure_mirror(view.pixels, view.pixel_size_um, origin=(319.5, 239.5))
    except ImageError:
        return None


def test_rendered_fractures_of_known_mirror_radius_are_measured_within_ten_per_cent() -> None:
    specimens = fracture_set(14, 77, unknown=0.0)
    found = [(specimen, _phantom(specimen)) for specimen in specimens]
    pairs = [(specimen, mirror) for specimen, mirror in found if mirror is not None and mirror.fair_view]
    assert len(pairs) >= 8  # faint hackle and views that do not serve are refused
    ratios = np.array([mirror.radius_um / specimen.mirror_radius_um for specimen, mirror in pairs])
    # 85 % were within a tenth over fresh specimens (benchmarks/fracture_mirror.py); chance leaves some room at ten.
    assert abs(float(np.median(ratios)) - 1) < 0.10
    assert float(np.median(np.abs(ratios - 1))) < 0.10
    assert (np.abs(ratios - 1) <= 0.10).mean() >= 0.6
    held = [mirror.ci95_um[0] <= specimen.mirror_radius_um <= mirror.ci95_um[1] for specimen, mirror in pairs]
    assert np.mean(held) >= 0.7


def test_an_origin_outside_the_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="outside"):
        measure_mirror(_surface(60.0, (240, 180)), 1.0, origin=(600, 10))


def test_the_mirror_constant_follows_from_stress_and_radius() -> None:
    mirror = measure_mirror(_surface(60.0, (240, 180)), 5.0, origin=(240, 180))
    found = mirror_constant(mirror, 500.0, 0.02)
    assert found.value == pytest.approx(500.0 * math.sqrt(mirror.radius_um * 1e-6))
    # Half of the radius' relative error and the stress' own add in squares.
    half = math.log(found.ci95[1] / found.ci95[0]) / 2
    assert half == pytest.approx(1.96 * math.hypot(0.02, mirror.relative_error / 2))


def test_bending_stress_of_a_standard_bar() -> None:
    # EN 843-1, B bar: 3 x 4 mm on 40/20 mm; 640 N give 3 * 640 * 20 / (2 * 3 * 16) = 400 MPa.
    assert bending_stress_mpa(640, 3, 4, 40, 20) == pytest.approx(400.0)


def test_a_load_needs_a_bar_and_a_deep_origin_sees_less_stress() -> None:
    with pytest.raises(InputError, match="no stress"):
        Loading(load_n=640).at_origin_mpa()
    with pytest.raises(InputError, match="both"):
        Loading(stress_mpa=1, load_n=2).at_origin_mpa()
    surface = Loading(load_n=640, bar_mm=(3, 4, 40, 20)).at_origin_mpa()
    deep = Loading(load_n=640, bar_mm=(3, 4, 40, 20), depth_um=400).at_origin_mpa()
    assert surface == pytest.approx(400.0)
    assert deep == pytest.approx(320.0)


@pytest.mark.parametrize(
    ("loading", "option"),
    [
        (Loading(stress_mpa=math.inf), "--stress-mpa inf"),
        (Loading(stress_mpa=math.nan), "--stress-mpa nan"),
        (Loading(load_n=math.inf, bar_mm=(3, 4, 40, 20)), "--load-n inf"),
        (Loading(load_n=640, bar_mm=(3, math.nan, 40, 20)), "--bar-mm nan"),
        (Loading(load_n=640, bar_mm=(3, 4, 40, 20), depth_um=math.nan), "--depth-um nan"),
        (Loading(stress_mpa=400, error=math.inf), "--stress-error-percent inf"),
    ],
)
def test_a_loading_without_end_is_refused_by_its_option(loading: Loading, option: str) -> None:
    with pytest.raises(InputError, match=f"{option} cannot be"):
        loading.at_origin_mpa()


def test_an_image_without_pixel_size_is_refused_and_a_folder_is_written(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(_surface(60.0, (255, 190))).save(file)
    with pytest.raises(ImageError, match="no pixel size"):
        measure_mirrors([file], origin=(255, 190))
    found = measure_mirrors(
        [file], tmp_path / "out", pixel_size_um=0.5, origin=(255, 190), loading=Loading(stress_mpa=600)
    )
    assert found["images"][0]["mirror_constant_mpa_sqrt_m"] > 0
    assert (tmp_path / "out" / "mirrors.csv").is_file()
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_one_origin_is_not_that_of_several_images(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(_surface(60.0, (255, 190))).save(tmp_path / name)
    with pytest.raises(InputError, match="one origin"):
        measure_mirrors([tmp_path], pixel_size_um=0.5, origin=(255, 190))


def test_images_are_of_one_specimen_only_where_that_is_said(tmp_path: Path) -> None:
    for name, radius in (("a.png", 60.0), ("b.png", 48.0)):
        Image.fromarray(_surface(radius, (255, 190))).save(tmp_path / name)
    apart = measure_mirrors([tmp_path], pixel_size_um=0.5)
    assert apart["specimen"] is None
    together = measure_mirrors([tmp_path], pixel_size_um=0.5, one_specimen=True)
    assert together["specimen"]["n_images"] == 2
    assert together["specimen"]["radius_um"] in [entry["radius_um"] for entry in together["images"]]


def test_the_overlay_shows_the_picture_enlarged_with_coloured_lines() -> None:
    picture = _surface(60.0, (255, 190))
    drawn = draw_mirror(picture, measure_mirror(picture, 1.0, origin=(255, 190)))
    assert drawn.shape == (768, 1024, 3)
    coloured = (drawn.max(axis=2).astype(int) - drawn.min(axis=2)) > 60
    # The boundary's circumference, 2 px wide and twice enlarged, and more lines.
    assert coloured.sum() > 2 * np.pi * 120 * 2


def test_the_command_prints_radius_and_constant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(_surface(60.0, (255, 190))).save(file)
    told = ["measure", "mirror", str(file), "--pixel-size-um", "2", "--origin", "255,190", "--load-n", "640", "--json"]
    assert run(cli, [*told, "--bar-mm", "3,4,40,20"]) == 0
    entry = json.loads(capsys.readouterr().out)["images"][0]
    assert entry["stress_mpa"] == pytest.approx(400.0)
    assert entry["mirror_constant_mpa_sqrt_m"] == pytest.approx(400 * math.sqrt(entry["radius_um"] * 1e-6))
    assert entry["origin"] == {"x_px": 255.0, "y_px": 190.0, "source": "given"}
    assert run(cli, told) != 0  # a load without a bar is no stress

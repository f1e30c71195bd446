"""Noise, cells, optics and what frames a picture, for every material."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.phantom.fields import Cells, cloudy_noise, sample_field, smooth_noise
from sorby.phantom.frame import Border, add_border, add_micron_bar, bar_length_um, scratch_layer
from sorby.phantom.optics import expose, instrument_catalogue


@pytest.mark.parametrize("scale", [1.0, 4.0, 17.5])
def test_noise_has_about_unit_deviation_at_every_scale(scale: float, rng: np.random.Generator) -> None:
    field = smooth_noise((500, 400), scale, rng)
    assert field.shape == (500, 400)
    assert field.std() == pytest.approx(1.0, abs=0.15)  # about 600 independent cells at the coarsest
    neighbour = np.corrcoef(field[:, :-1].ravel(), field[:, 1:].ravel())[0, 1]
    assert neighbour > 0.75 if scale > 3 else abs(neighbour) < 0.02


def test_clouds_of_two_scales_keep_unit_deviation(rng: np.random.Generator) -> None:
    assert cloudy_noise((400, 400), (9.0, 3.0), rng, (1.0, 0.5)).std() == pytest.approx(1.0, abs=0.15)


def test_cells_have_the_diameter_asked_for(rng: np.random.Generator) -> None:
    cell, distance = Cells((600, 600), 40.0, rng).map(rng)
    inner = np.unique(cell[100:500, 100:500])
    diameter = np.sqrt(4 / np.pi * 400 * 400 / len(inner))
    # Cells cut by the border of the window are counted whole, so the estimate is low.
    assert diameter == pytest.approx(40.0, rel=0.2)
    assert distance.min() < 1.0


def test_cells_found_at_points_are_those_of_the_map(rng: np.random.Generator) -> None:
    cells = Cells((80, 80), 20.0, rng)
    mapped, _ = cells.map(rng, coarsen=1)
    y, x = np.mgrid[0:80, 0:80].astype(float)
    assert np.array_equal(cells.at(x.ravel(), y.ravel()).reshape(80, 80), mapped)


def test_fields_are_read_between_and_beyond_their_pixels() -> None:
    ramp = np.tile(np.arange(10, dtype=np.float32), (10, 1))
    read = sample_field(ramp, np.array([2.5, -4.0, 30.0]), np.array([5.0, 5.0, 5.0]))
    assert np.allclose(read, [2.5, 0.0, 9.0])


@pytest.mark.parametrize(("field_um", "bar_um"), [(90, 20), (45, 10), (400, 100), (260, 50), (1500, 500)])
def test_micron_bars_have_round_lengths_near_a_fifth_of_the_field(field_um: float, bar_um: int) -> None:
    assert bar_length_um(field_um) == bar_um or 0.1 < bar_length_um(field_um) / field_um < 0.4


@pytest.mark.parametrize("style", ["box", "plain"])
def test_the_micron_bar_is_as_long_as_it_says(style: str) -> None:
    grey = np.full((400, 500), 128, dtype=np.uint8)
    picture, covered = add_micron_bar(grey, 0.2, style)  # 100 um wide: a bar of 20 um, 100 pixels
    assert bar_length_um(100.0) == 20
    longest = 0
    for line in picture == 0:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
        longest = max([longest, *(edges[1::2] - edges[::2]).tolist()])
    assert longest == 100
    assert np.array_equal(picture[~covered], grey[~covered])
    assert covered[: 400 // 2].sum() == 0


def test_no_border_changes_nothing_and_resin_is_excluded(rng: np.random.Generator) -> None:
    surface = np.full((300, 300), 0.6, dtype=np.float32)
    same, excluded = add_border(surface, Border(), rng)
    assert np.array_equal(same, surface)
    assert not excluded.any()
    framed, excluded = add_border(surface, Border(0.2, 0.0, 0.1), rng)
    assert excluded.mean() == pytest.approx(0.22, abs=0.05)
    assert framed[excluded].mean() < 0.3
    assert framed[-50:].mean() == pytest.approx(0.6, abs=0.02)


def test_scratches_are_thin(rng: np.random.Generator) -> None:
    assert not scratch_layer((50, 50), 0, rng).any()
    layer = scratch_layer((300, 300), 5, rng)
    assert 0 < np.mean(np.abs(layer) > 0.01) < 0.08


def test_the_camera_is_neither_dark_nor_saturated_and_noisier_where_bright(rng: np.random.Generator) -> None:
    catalogue = instrument_catalogue()
    assert len({i.name for i in catalogue}) == 10
    assert len({i.plant for i in catalogue}) == 2
    surface = np.full((200, 200), 0.2, dtype=np.float32)
    settings = {"pixel_size_um": 0.2, "magnification": 500, "defocus_px": 0.0, "colour": False}
    dark = expose(surface, catalogue[0], rng=rng, **settings)  # type: ignore[arg-type]
    bright = expose(surface * 3.5, catalogue[0], rng=rng, **settings)  # type: ignore[arg-type]
    assert 30 < dark.mean() < 80
    assert 140 < bright.mean() < 220

    def noise(picture: np.ndarray) -> float:
        return float(np.diff(picture.astype(float), axis=1).std())  # differences leave the illumination out

    assert noise(bright) > 1.4 * noise(dark)

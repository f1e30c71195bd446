"""Residue on a surface: stains are found where they lie, a clean surface has none, phantoms say how often."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from sorby.measure.contamination import find_stains
from sorby.measure.surface_outline import beyond_specimen
from sorby.phantom.fracture import SMALL_SIZE, fracture_set, take, with_planned_views

SHARE = 0.06
"""From which share on `sorby.classify.flags.FlagRules` flags a picture."""


def surface(rng: np.random.Generator, shape: tuple[int, int] = (192, 256)) -> np.ndarray:
    """Grains of a fracture surface, grey about 0.5."""
    fine = gaussian_filter(rng.normal(size=shape), 1.2)
    return 0.5 + 0.10 * fine / fine.std()


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.indices(shape)
    return np.hypot(y - centre[0], x - centre[1]) < radius


def picture(grey: np.ndarray) -> np.ndarray:
    return (np.clip(grey, 0, 1) * 255).astype(np.uint8)


def stained(rng: np.random.Generator, change: float) -> tuple[np.ndarray, np.ndarray]:
    """A surface with a round, smooth stain, and where it is."""
    grey = surface(rng)
    under = disc(grey.shape, (90, 140), 36)
    grey[under] = 0.55 * gaussian_filter(grey, 2)[under] + 0.45 * 0.5 + change
    return picture(grey), under


@pytest.mark.parametrize(("change", "kind"), [(-0.2, "dark"), (0.25, "bright")])
def test_a_smooth_stain_is_found_where_it_lies_and_told_by_its_brightness(rng, change: float, kind: str) -> None:
    pixels, under = stained(rng, change)
    found = find_stains(pixels)
    mask, other = (found.dark, found.bright_share) if kind == "dark" else (found.bright, found.dark_share)
    assert (mask & ~under).sum() < 0.1 * mask.sum(), "outside there is none"
    assert (mask & under).sum() > 0.6 * under.sum(), "most of it is found; its rim is blurred"
    assert other < 0.01


def test_a_clean_surface_has_no_stain_whatever_the_detector_shades(rng) -> None:
    grey = surface(rng)
    tilt = np.linspace(-0.15, 0.15, grey.shape[1])[None, :]
    for clean in (grey, grey + tilt, grey + tilt.T[: grey.shape[0]] * 0.5):
        found = find_stains(picture(clean))
        assert found.dark_share + found.bright_share < 0.02


def test_a_picture_turned_by_a_right_angle_is_as_dirty(rng) -> None:
    pixels, _ = stained(rng, -0.2)
    straight, turned = find_stains(pixels), find_stains(rotate(pixels, 90, order=0))
    assert turned.dark_share == pytest.approx(straight.dark_share, abs=0.01)


def test_darkness_behind_the_specimen_is_no_stain(rng) -> None:
    grey = surface(rng)
    grey[:, :80] = 0.03
    found = find_stains(picture(grey))
    assert not found.surface[:, :70].any()
    assert found.surface[:, 95:].all()
    assert found.dark_share < 0.02
    assert not beyond_specimen(surface(rng)).any(), "nothing dark reaches the border"


def test_clean_phantoms_are_spared_and_dirty_ones_stand_out() -> None:
    # Specimens other than those the thresholds were chosen on.
    views = [
        take(each, plan, SMALL_SIZE, bar=False)
        for each in (with_planned_views(one, magnifications=(50, 500)) for one in fracture_set(48, 77))
        for plan in each.views
    ]
    truth = np.array([view.contamination for view in views])
    shares = np.array([(found.dark_share, found.bright_share) for found in (find_stains(v.pixels) for v in views)])
    dirty, clean = truth >= 0.05, truth < 0.01
    assert min(dirty.sum(), clean.sum()) >= 20
    share = shares.max(axis=1)
    above, even = (share[dirty][:, None] - share[clean][None, :] > 0), share[dirty][:, None] == share[clean][None, :]
    # Area under the ROC curve: .85 and .86 on two sets of 400; here half a tenth either way, with so few specimens.
    assert above.mean() + even.mean() / 2 > 0.7
    # .94 and .97 were spared there; whole specimens of plain pores fall here.
    assert (share[clean] < SHARE).mean() > 0.8

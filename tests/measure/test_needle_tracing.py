"""Traced needles: known lines, the border's share, distributions through quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.special import ndtri

from sorby.measure.length_distribution import border_weights, cumulative, cumulative_inverse, traced_lengths
from sorby.measure.needle_descriptors import describe
from sorby.measure.needle_surface import make_surface
from sorby.measure.ridge_segments import Segments, trace

PIXEL_UM = 0.2


def _centres(size: int = 400) -> np.ndarray:
    """Return the centres of sixteen scattered lines, x and y in pixels."""
    grid = np.stack(np.meshgrid(np.arange(70, size - 50, 90), np.arange(70, size - 50, 90)), axis=-1).reshape(-1, 2)
    return grid + np.random.default_rng(3).uniform(-14, 14, grid.shape)


def _lines(angle: float, length_um: float, *, size: int = 400) -> np.ndarray:
    """Draw scattered bright lines 0.8 um wide, with a little noise."""
    canvas = Image.new("L", (size, size), 110)
    pen = ImageDraw.Draw(canvas)
    half = length_um / PIXEL_UM / 2
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    for x, y in _centres(size).tolist():
        pen.line([(x - dx, y - dy), (x + dx, y + dy)], fill=190, width=4)
    noise = np.random.default_rng(5).normal(0, 2, (size, size))
    return np.asarray(canvas, np.float32) + noise.astype(np.float32)


def _traced(grey: np.ndarray, region: np.ndarray | None = None) -> Segments:
    return trace(make_surface(grey, np.ones(grey.shape, bool) if region is None else region, PIXEL_UM))


def _bodies(found: Segments) -> list[int]:
    """Return the longest bright segment centred within 3 um of each drawn centre, -1 where there is none."""
    chosen = []
    for x, y in _centres():
        near = np.hypot(found.x_px - x, found.y_px - y) < 15
        lengths = np.where(near & ~found.dark, found.length_um, 0)
        chosen.append(int(lengths.argmax()) if lengths.max() > 0 else -1)
    return chosen


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.3])
@pytest.mark.parametrize("length_um", [6.0, 10.0])
def test_a_lone_line_is_traced_with_its_length_and_direction(angle: float, length_um: float) -> None:
    found = _traced(_lines(angle, length_um))
    bodies = [k for k in _bodies(found) if k >= 0]
    assert len(bodies) >= 10  # of 16: in line with another one, two are followed as one
    # The filter is about a wavelength long, 1.85 um for such lines: either end is uncertain by more than half of it.
    assert np.median(found.length_um[bodies]) == pytest.approx(length_um, abs=2.3)
    off = np.abs((found.angle[bodies] - angle + np.pi / 2) % np.pi - np.pi / 2)
    assert np.median(off) < 0.08  # a twelfth of a half turn is .26


def test_dark_needles_are_traced_like_bright_ones() -> None:
    bright, dark = _traced(_lines(0.7, 8.0)), _traced(255 - _lines(0.7, 8.0))
    np.testing.assert_allclose(np.sort(bright.length_um), np.sort(dark.length_um), rtol=1e-3)
    assert bright.dark.sum() == (~dark.dark).sum()


def test_needles_that_reach_the_border_are_told_apart() -> None:
    grey = _lines(0.0, 8.0)
    region = np.ones(grey.shape, bool)
    region[:, :80] = False  # through the first of four columns of lines
    found = _traced(grey, region)
    bright = ~found.dark & (found.length_um > 2)
    assert (bright & found.cut & (found.x_px < 115)).sum() >= 3
    inner = [k for k in _bodies(found) if k >= 0 and 140 < found.x_px[k] < 370]
    assert len(inner) >= 10
    assert not found.cut[inner].any()


def test_weights_of_uncut_needles_undo_the_loss_of_long_ones_at_the_border() -> None:
    rng = np.random.default_rng(2)
    count, side = 200_000, 100.0
    length = 15.0 * np.exp(0.5 * rng.standard_normal(count))
    angle = rng.uniform(0, np.pi, count)
    x, y = rng.uniform(-60, side + 60, (2, count))
    dx, dy = length / 2 * np.abs(np.cos(angle)), length / 2 * np.abs(np.sin(angle))
    whole = (x > dx) & (x < side - dx) & (y > dy) & (y < side - dy)
    weights = border_weights(length[whole], angle[whole], (side, side))
    biased = length[whole].mean() / length.mean()
    mended = np.average(length[whole], weights=weights) / length.mean()
    assert biased < 0.96
    # 67,000 uncut needles: the standard error of the mean is .2 %.
    assert mended == pytest.approx(1.0, abs=0.01)


def test_a_lognormal_distribution_comes_back_from_its_quantiles() -> None:
    score = ndtri(np.array([0.05, 0.25, 0.5, 0.75, 0.95]))
    quantiles = 6.0 * np.exp(0.35 * score)
    share = np.array([0.001, 0.2, 0.6, 0.999])
    length = cumulative_inverse(share, quantiles)
    np.testing.assert_allclose(length, 6.0 * np.exp(0.35 * ndtri(share)), rtol=1e-7)
    np.testing.assert_allclose(cumulative(length, quantiles), share, rtol=1e-7)


def test_the_bootstrap_interval_of_the_traced_mean_holds_its_standard_error() -> None:
    rng = np.random.default_rng(8)
    length = rng.gamma(4.0, 2.0, 400)
    where = np.zeros(400)
    segments = Segments(where, where, length, length, rng.uniform(0, np.pi, 400), where > 1, where > 1)
    mean = traced_lengths(segments, (1e6, 1e6), largest_share=0.005).statistics["mean"]
    half = (mean.ci95[1] - mean.ci95[0]) / 2
    # 1.96 s / sqrt(n); 400 resamples give the ends to about 5 %.
    assert half == pytest.approx(1.96 * length.std() / 20, rel=0.15)
    assert mean.value == pytest.approx(length.mean(), rel=1e-4)  # the frame is large, not infinite


def test_noise_answers_to_all_directions_alike_and_lines_do_not() -> None:
    noise = np.random.default_rng(1).normal(120, 12, (400, 400)).astype(np.float32)
    everywhere = np.ones(noise.shape, bool)
    aimless = describe(make_surface(noise, everywhere, PIXEL_UM))
    directed = describe(make_surface(_lines(0.3, 10.0), everywhere, PIXEL_UM))
    assert aimless is not None
    assert directed is not None
    # Twelve directions of a Gaussian field: the strongest has about three times the mean energy.
    assert aimless.orientedness == pytest.approx(3.0, abs=0.08)
    assert directed.orientedness > 4


def test_a_flat_picture_has_nothing_to_describe() -> None:
    assert describe(make_surface(np.full((300, 300), 77, np.uint8), np.ones((300, 300), bool), PIXEL_UM)) is None

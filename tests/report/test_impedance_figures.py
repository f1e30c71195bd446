"""Figures of impedance spectra show every point and no label that the page cannot set."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sorby.report.impedance_figures import bode, nyquist, residuals

F = np.geomspace(1e5, 1e-2, 41)
Z = 20 + 400 / (1 + 2j * np.pi * F * 8e-3)


def markers(svg: str) -> int:
    return len(re.findall(r"<use ", svg))


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return {
        "nyquist": nyquist([("one <&>", Z, Z), ("two", 2 * Z, None)], "ohm", "n"),
        "bode": bode(F, Z, Z, "ohm cm2", "b"),
        "residuals": residuals(F, 0.01 * Z / abs(Z), F, 0.001 * Z / abs(Z), 0.01, "r"),
    }


def test_every_point_is_drawn(drawn: dict[str, str]) -> None:
    # Ticks are markers as well, so there are at least as many as points.
    assert markers(drawn["nyquist"]) >= 2 * F.size
    assert markers(drawn["bode"]) >= 2 * F.size
    assert markers(drawn["residuals"]) >= 4 * F.size


def test_numbers_of_logarithmic_axes_are_plain(drawn: dict[str, str]) -> None:
    for svg in (drawn["bode"], drawn["residuals"]):
        assert "mathdefault" not in svg
        assert re.search(r">\s*1000\s*<", svg)


def test_labels_are_escaped_and_units_named(drawn: dict[str, str]) -> None:
    assert "one &lt;&amp;&gt;" in drawn["nyquist"]
    assert "ohm cm2" in drawn["bode"]
    for svg in drawn.values():
        assert svg.startswith("<svg")
        assert "aria-label" in svg


def test_scales_of_a_nyquist_plot_are_equal() -> None:
    """A semicircle must look like one: its width on the page is twice its height."""
    svg = nyquist([("cell", Z, Z)], "ohm", "eq")
    paths = re.findall(r' d="(M [^"]+)"[^>]*style="fill: none; stroke: var\(--blue\)', svg)
    numbers = [np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2) for path in paths]
    line = max(numbers, key=len)
    width, height = np.ptp(line[:, 0]), np.ptp(line[:, 1])
    assert width / height == pytest.approx(2, rel=0.05)

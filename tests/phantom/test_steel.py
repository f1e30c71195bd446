"""Steel phantoms: the truth they state is the truth they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from sorby.errors import InputError
from sorby.phantom import (
    DEMO_CLASSES,
    Border,
    GradeTable,
    Lognormal,
    SteelSpec,
    draw_specimen,
    render_steel,
)

PLAIN = {"size_px": (320, 320), "micron_bar": False, "carbide_um": 0.6}


def fine_scale_share(pixels: npt.NDArray[np.uint8]) -> float:
    """Mean spatial frequency of the structure, in cycles a pixel, below the noise."""
    grey = pixels[..., 1].astype(np.float64)
    window = np.hanning(grey.shape[0])[:, None] * np.hanning(grey.shape[1])[None, :]
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.fftfreq(grey.shape[1])[None, :])
    seen = (frequency > 0.01) & (frequency < 0.2)
    return float(np.sum(power[seen] * frequency[seen]) / np.sum(power[seen]))


@pytest.mark.parametrize("subtype", ["B", "G", "M"])
def test_drawn_lengths_follow_the_stated_lognormal(subtype: str) -> None:
    law = Lognormal(5.0, 0.35)
    spec = SteelSpec(subtype, law, retained_austenite=0.1, **PLAIN)  # type: ignore[arg-type]
    lengths = render_steel(spec, 5).needles.length_um
    assert len(lengths) > 800
    # Seeded, so the test is sharp without being flaky: a wrong median by 5 % gives p < 1e-3 here.
    assert stats.kstest(np.log(lengths), "norm", args=(np.log(5.0), 0.35)).pvalue > 0.01


def test_both_populations_of_bimodal_bainite_follow_their_laws_and_keep_to_their_regions() -> None:
    spec = SteelSpec("B", Lognormal(4.0, 0.33), Lognormal(11.0, 0.30), coarse_area=0.35, size_px=(500, 500))
    phantom = render_steel(spec, 2)
    for population, law in ((0, spec.lengths), (1, spec.coarse_lengths)):
        assert law is not None
        lengths = phantom.needles.length_um[phantom.needles.population == population]
        assert len(lengths) > 100
        assert stats.kstest(np.log(lengths), "norm", args=(np.log(law.median_um), law.sigma)).pvalue > 0.01
    coarse = phantom.needles.take(phantom.graded & (phantom.needles.population == 1))
    assert phantom.coarse_region[coarse.y_px.astype(int), coarse.x_px.astype(int)].mean() > 0.97  # rounding
    assert phantom.truth()["coarse_area_fraction"] == pytest.approx(0.35, abs=0.03)


@pytest.mark.parametrize("code", DEMO_CLASSES)
def test_the_grade_is_what_the_table_says_of_the_graded_needles(code: str) -> None:
    specimen = draw_specimen(code, 12, images=1, bimodal=False)
    phantom = render_steel(specimen.specs[0], specimen.seeds[0])
    inside = phantom.needles.length_um[phantom.graded]
    low, high = specimen.specs[0].table.bounds(code[0], code[1:])
    assert low <= inside.mean() < high
    assert phantom.label == phantom.code_by_mean == code
    assert phantom.truth()["mean_needle_length_um"] == pytest.approx(inside.mean())


def test_another_table_grades_the_same_needles_differently() -> None:
    spec = SteelSpec("G", Lognormal(8.0, 0.3), retained_austenite=0.1, **PLAIN)  # type: ignore[arg-type]
    strict = replace(spec, table=GradeTable(mean_um=(7.0, 5.0, 3.0)))
    assert render_steel(spec, 1).label == "G8"
    other = render_steel(strict, 1)
    assert other.label == "G6"
    assert np.array_equal(other.pixels, render_steel(spec, 1).pixels)


def test_bimodal_bainite_is_fine_by_the_mean_and_coarse_by_the_maximum() -> None:
    labels = []
    for seed in range(5):
        specimen = draw_specimen("B7", seed, images=1, bimodal=True, resin_share=0.0)
        phantom = render_steel(specimen.specs[0], specimen.seeds[0])
        assert phantom.spec.criterion == "maximum"
        assert phantom.code_by_mean == "B9-10"
        labels.append(phantom.label)
    assert labels.count("B7") >= 3  # a field holds few coarse needles; write_steel draws again where it misses


def test_the_same_seed_gives_the_same_pixels_and_another_does_not() -> None:
    spec = draw_specimen("B8", 3, images=1, size_px=(160, 160)).specs[0]
    first, again, other = render_steel(spec, 9), render_steel(spec, 9), render_steel(spec, 10)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.needles.length_um, again.needles.length_um)
    assert not np.array_equal(first.pixels, other.pixels)


def test_retained_austenite_is_the_mark_of_g_and_is_seen_bright() -> None:
    law = Lognormal(7.0, 0.35)
    g = render_steel(SteelSpec("G", law, retained_austenite=0.12, **PLAIN), 4)  # type: ignore[arg-type]
    m = render_steel(SteelSpec("M", law, **PLAIN), 4)  # type: ignore[arg-type]
    assert g.fraction("retained_austenite") == pytest.approx(0.12, abs=0.05)  # patches scatter in a field of 64 um
    assert m.fraction("retained_austenite") == 0.0
    bright_g, bright_m = (float(np.mean(p.pixels[..., 1] > 165)) for p in (g, m))
    assert bright_g > 0.03
    assert bright_g > 10 * bright_m
    austenite = g.phases == 2
    assert g.pixels[..., 1][austenite].mean() > g.pixels[..., 1][~austenite].mean() + 40


def test_carbides_are_always_in_bainite_and_never_in_m() -> None:
    for seed in range(6):
        b, m = draw_specimen("B8", seed, images=1).specs[0], draw_specimen("M8", seed, images=1).specs[0]
        assert b.carbides > 0.02
        assert b.retained_austenite == m.retained_austenite == m.carbides == 0
    assert render_steel(replace(b, size_px=(200, 200)), 1).fraction("carbide") > 0.01
    assert render_steel(replace(m, size_px=(200, 200)), 1).fraction("carbide") == 0.0


@pytest.mark.parametrize("subtype", ["B", "G", "M"])
def test_finer_needles_make_a_finer_image(subtype: str) -> None:
    shares = []
    for mean_um in (4.0, 8.0, 14.0):
        spec = SteelSpec(
            subtype, Lognormal.from_mean(mean_um, 0.35), retained_austenite=0.1, grain_um=2.5 * mean_um, **PLAIN
        )  # type: ignore[arg-type]
        shares.append(np.mean([fine_scale_share(render_steel(spec, seed).pixels) for seed in range(3)]))
    assert shares[0] > shares[1] > shares[2]


def test_region_of_interest_leaves_out_resin_bleeding_and_micron_bar() -> None:
    base = SteelSpec("G", Lognormal(5.0, 0.35), retained_austenite=0.1, size_px=(240, 240), micron_bar=False)
    bare = render_steel(base, 1)
    assert bare.region.all()
    framed = render_steel(replace(base, micron_bar=True, border=Border(0.15, 0.08, 0.1)), 1)
    assert not framed.region[:40].any()
    assert not framed.region[-12, -30]
    assert framed.region[120].all()
    assert framed.graded.sum() < bare.graded.sum()
    assert framed.pixels[:15].mean() < 0.6 * framed.pixels[100:140].mean()


def test_micrographs_of_a_specimen_share_what_the_heat_treatment_and_the_etch_decide() -> None:
    specimen = draw_specimen("B8", 21, images=4)
    first = specimen.specs[0]
    for spec in specimen.specs:
        assert (spec.lengths, spec.coarse_lengths, spec.etching) == (first.lengths, first.coarse_lengths, first.etching)
        assert (spec.specimen, spec.alloy, spec.instrument.plant) == (
            specimen.identifier,
            first.alloy,
            first.instrument.plant,
        )
    assert len(set(specimen.seeds)) == 4
    assert draw_specimen("B8", 22).specs[0].etching != first.etching


def test_twice_the_magnification_halves_the_pixel() -> None:
    low, high = (draw_specimen("G8", 5, magnification=m).specs[0] for m in (500, 1000))
    assert high.pixel_size_um == pytest.approx(low.pixel_size_um / 2, abs=1e-5)


def test_impossible_specimens_are_refused() -> None:
    with pytest.raises(InputError, match="bimodal"):
        draw_specimen("G8", 1, bimodal=True)
    with pytest.raises(InputError, match="unknown"):
        draw_specimen("G12", 1)
    with pytest.raises(InputError, match="subtype"):
        SteelSpec("X", Lognormal(5.0, 0.3))  # type: ignore[arg-type]

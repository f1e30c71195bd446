"""Fracture phantoms: mechanics, one surface at all scales, cues where they belong."""

from dataclasses import replace

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.phantom.fracture import CUES, MIST_ENDS, SUBTYPES, FractureSpecimen, ViewPlan, render
from sorby.phantom.fracture.mechanics import COMPONENT, Bar, flaw_depth_um, mirror_radius_um
from sorby.phantom.place_noise import Window, at_points, smooth

SIZE = (160, 120)


def clean(seed=3, label="material", **options):
    """Return a whole specimen without dirt: difficulty 0 leaves contamination to chance, so it is taken off."""
    specimen = FractureSpecimen.draw(seed, label, difficulty=0.0, **options)
    look = replace(specimen.appearance, carbon=0.0, metal=0.0, turns=0, scratches=0)
    return replace(specimen, appearance=look, fragments=specimen.fragments[:2])


def test_a_bar_in_four_point_bending_carries_the_textbook_stress():
    # EN 843-1, 4 mm x 3 mm on 40 and 20 mm: sigma = 3 F (40 - 20) / (2 * 4 * 9).
    bar = Bar(width_mm=4, height_mm=3, outer_span_mm=40, inner_span_mm=20)
    assert bar.stress_mpa(600.0) == pytest.approx(3 * 600 * 20 / (2 * 4 * 9))
    assert bar.load_n(bar.stress_mpa(600.0, 200.0), 200.0) == pytest.approx(600.0)
    assert bar.stress_mpa(600.0, 1500.0) == pytest.approx(0.0)  # the neutral axis


def test_twice_the_stress_is_a_quarter_of_the_mirror_and_of_the_flaw():
    assert mirror_radius_um(600.0) == pytest.approx(225.0)  # (9 / 600)^2 m
    assert mirror_radius_um(300.0) == pytest.approx(4 * mirror_radius_um(600.0))
    assert flaw_depth_um(300.0, at_surface=True) == pytest.approx(4 * flaw_depth_um(600.0, at_surface=True))


@pytest.mark.parametrize("label", list(SUBTYPES))
def test_load_mirror_and_flaw_of_every_specimen_agree(label):
    for seed in range(12):
        specimen = FractureSpecimen.draw(seed, label)
        stress = COMPONENT.stress_mpa(specimen.load_n, specimen.flaw.depth_um)
        constant = stress * np.sqrt(specimen.mirror_radius_um * 1e-6)
        # Loads are kept to a tenth of a newton of some 10 kN.
        assert constant == pytest.approx(specimen.mirror_constant_mpa_sqrt_m, rel=1e-4)
        assert specimen.subtype in SUBTYPES[label]
        assert specimen.flaw.size_um < specimen.mirror_radius_um


def test_noise_belongs_to_the_place_and_not_to_the_picture():
    wide = Window(-100.0, 40.0, 0.5, 200, 160)
    part = wide.part(slice(30, 90), slice(50, 150))
    # PIL keeps the box of a picture in single precision: about 1e-5 of a cell.
    np.testing.assert_allclose(smooth(part, 6.0, 7), smooth(wide, 6.0, 7)[30:90, 50:150], atol=2e-3)
    finer = Window(-100.0, 40.0, 0.25, 400, 320)
    means = smooth(finer, 12.0, 7).reshape(160, 2, 200, 2).mean(axis=(1, 3))
    # The mean over a pixel is its middle's value up to the field's curvature.
    np.testing.assert_allclose(means, smooth(wide, 12.0, 7), atol=0.02)


def test_noise_finer_than_the_pixels_is_left_out():
    assert not smooth(Window(0, 0, 2.0, 64, 64), 1.0, 3).any()


def test_noise_about_the_origin_closes_on_itself():
    v = np.linspace(0, 3, 50, dtype=np.float32)
    here = at_points(np.full_like(v, 0.3), v, 5, period=24)
    np.testing.assert_allclose(at_points(np.full_like(v, 24.3), v, 5, period=24), here, atol=1e-5)


def test_the_same_seed_is_the_same_picture():
    one, two = (render(FractureSpecimen.draw(9, "green_body"), 250, SIZE) for _ in range(2))
    assert np.array_equal(one.pixels, two.pixels)
    assert not np.array_equal(one.pixels, render(FractureSpecimen.draw(10, "green_body"), 250, SIZE).pixels)


@pytest.mark.parametrize("magnification", [100, 500, 2000])
def test_twice_the_magnification_shows_the_middle_of_the_same_surface(magnification):
    specimen = clean(label="green_body")
    outer = render(specimen, magnification, (320, 240))
    inner = render(specimen, 2 * magnification, (320, 240))
    assert outer.pixel_size_um == pytest.approx(2 * inner.pixel_size_um)
    assert inner.pixel_size_um * 320 == pytest.approx(127_000 / (2 * magnification))
    # Cue masks are geometry: they agree but for pixels on borders.
    assert np.mean(outer.cues[60:180, 80:240] == inner.cues[1::2, 1::2]) > 0.93
    middle = outer.pixels[60:180, 80:240].astype(float)
    shrunk = inner.pixels.reshape(120, 2, 160, 2).mean(axis=(1, 3))
    # Contrast and shading are set anew for each picture, so only the pattern is the same.
    assert np.corrcoef(middle.ravel(), shrunk.ravel())[0, 1] > 0.5


def test_matching_halves_are_mirrored():
    specimen = clean(label="hard_machining")
    a, b = (render(specimen, 250, SIZE, fragment=name) for name in ("A", "B"))
    assert np.array_equal(a.cues, np.fliplr(b.cues))
    assert not np.array_equal(a.pixels, b.pixels)


def test_the_mirror_has_its_radius_and_is_smoother_than_the_hackle():
    specimen = clean(5, "material", subtype="pore")
    view = render(specimen, 60, (512, 384))
    on_the_row = view.cues[192:194, :]
    inside = np.isin(on_the_row, [CUES["mirror"], CUES["origin"], CUES["class_cue"]]).mean(axis=0).sum()
    # Along the surface; a mirror's outline wanders by some percent.
    assert inside * view.pixel_size_um / 2 == pytest.approx(specimen.mirror_radius_um, rel=0.12)
    rough = np.abs(np.diff(view.pixels.astype(float), axis=0))[:, 1:]
    cues = view.cues[1:, 1:]
    assert rough[cues == CUES["hackle"]].mean() > 1.3 * rough[cues == CUES["mirror"]].mean()
    assert MIST_ENDS > 1


@pytest.mark.parametrize(("label", "subtype"), [(k, s) for k, v in SUBTYPES.items() if k != "unknown" for s in v])
def test_every_cause_shows_its_cue_at_the_origin(label, subtype):
    specimen = clean(2, label, subtype=subtype)
    view = render(specimen, 500, SIZE)
    rows, columns = np.nonzero(view.cues == CUES["class_cue"])
    assert len(rows) > 20
    assert view.origin_in_view
    assert np.hypot(rows - 60, columns - 80).min() < 12


def test_a_lost_origin_is_nowhere_to_be_seen():
    specimen = clean(4, "unknown")
    for magnification in (100, 500, 2000):
        view = render(specimen, magnification, SIZE)
        assert not view.origin_in_view
        assert not np.isin(view.cues, [CUES["origin"], CUES["class_cue"]]).any()


def test_a_picture_beside_the_origin_says_so():
    specimen = clean(label="material")
    plan = ViewPlan(1, 1000.0, centre_um=(400.0, -400.0))
    assert not render(specimen, plan, SIZE).origin_in_view


@pytest.mark.parametrize(
    "ask",
    [
        lambda: FractureSpecimen.draw(1, "fatigue"),
        lambda: FractureSpecimen.draw(1, "material", subtype="lamination"),
        lambda: FractureSpecimen.draw(1, "material", vendor="leica"),
        lambda: FractureSpecimen.draw(1, "material", difficulty=-1),
        lambda: render(FractureSpecimen.draw(1, "material"), 0, SIZE),
        lambda: render(FractureSpecimen.draw(1, "material"), 50, (8, 8)),
        lambda: render(FractureSpecimen.draw(1, "material"), 50, SIZE, fragment="Z"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(ask):
    with pytest.raises(InputError):
        ask()

"""Corroded coupons: what is known of them is true of their pictures."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sorby import micrograph
from sorby.errors import InputError
from sorby.phantom.corrosion import (
    ALLOYS,
    FORMS,
    KINETICS,
    CorrosionSpecimen,
    FieldPlan,
    corrosion_set,
    draw_plate,
    grade,
    grade_limits,
    plate_window,
    render,
    render_plate,
    with_bar,
    with_fields,
    with_sequence,
    with_survey,
    write_plate,
    write_views,
)
from sorby.phantom.corrosion.imaging import relief

SMALL = (160, 160)
#: Forms of attack that an alloy knows.
OWN = {"316L": {"intergranular", "stride", "pit"}, "AZ31B": {"track", "film", "nodule", "pit"}}
both = pytest.mark.parametrize("alloy", ALLOYS)


def direction(pixels):
    """Return how far one direction outweighs the mean of all (1: not at all), and the direction of its lines.

    Energy of the spectrum by direction, in sectors of 10 degrees, from details of a quarter of the field to those of
    a sixtieth; a detector to one side makes a smooth swell of at most 2, lines make a peak.
    """
    height, width = pixels.shape
    taper = np.hanning(height)[:, None] * np.hanning(width)[None, :]
    energy = np.abs(np.fft.fft2((pixels - pixels.mean()) * taper)) ** 2
    down, across = np.fft.fftfreq(height, 1 / height)[:, None], np.fft.fftfreq(width, 1 / width)[None, :]
    radius, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    band = (radius >= 4) & (radius <= 60)
    sectors = (angle[band] / np.pi * 18).astype(int) % 18
    sums = np.bincount(sectors, energy[band], 18)
    return sums.max() / sums.mean(), (sums.argmax() + 0.5) / 18 * np.pi + np.pi / 2


# -- the law of growth ---------------------------------------------------------------------------------------


def test_grades_begin_at_their_bounds():
    assert grade([0.0, 0.0199, 0.02, 0.0999, 0.10, 0.25, 0.449, 0.45, 1.0]).tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4]
    for severity in range(5):
        low, high = grade_limits(severity)
        assert grade(low) == grade(high - 1e-9) == severity


def test_pace_rises_with_temperature_as_the_published_corrosion_currents_do():
    # Currents at 303 and 323 K in 1e-5 A/cm2; activation energies are given to three digits.
    assert KINETICS["316L"].rate(323.0) == pytest.approx(9.647 / 7.203, rel=2e-3)
    assert KINETICS["AZ31B"].rate(323.0) == pytest.approx(9.611 / 5.420, rel=2e-3)
    assert KINETICS["316L"].rate(303.0) == 1.0


@both
def test_hotter_coupons_reach_a_grade_sooner(alloy):
    cold, hot = (CorrosionSpecimen.draw(5, alloy, severity=3, temperature_k=kelvin) for kelvin in (303.0, 323.0))
    assert cold.hours / hot.hours == pytest.approx(KINETICS[alloy].rate(323.0))
    # Nothing else about them differs: attack has come as far.
    middle = np.zeros((1, 1))
    assert cold.course.share(cold.hours, middle, middle) == pytest.approx(hot.course.share(hot.hours, middle, middle))


# -- the surface ---------------------------------------------------------------------------------------------


@both
def test_a_picture_is_a_function_of_its_seed(alloy):
    specimen = with_fields(CorrosionSpecimen.draw(3, alloy, severity=3), 1)
    first, again = (render(specimen, specimen.views[0], SMALL) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.forms, again.forms)
    other = CorrosionSpecimen.draw(4, alloy, severity=3)
    assert not np.array_equal(first.forms, render(other, size=SMALL).forms)


@both
def test_neighbouring_fields_see_the_same_surface_where_they_overlap(alloy):
    specimen = CorrosionSpecimen.draw(8, alloy, severity=3)
    whole = plate_window((220, 180), 0.8)
    part = whole.part(slice(40, 160), slice(60, 190))
    wide, narrow = (relief(specimen, window, specimen.hours) for window in (whole, part))
    # Coordinates are rounded to single precision, and slopes at a window's border are one-sided: few pixels differ.
    assert (wide.forms[40:160, 60:190] != narrow.forms).mean() < 0.005


@both
def test_attack_takes_the_share_the_law_expects(alloy):
    expected, found = [], []
    for severity in range(5):
        for seed in range(4):
            view = render(CorrosionSpecimen.draw(100 * seed + severity, alloy, severity=severity), size=SMALL)
            expected.append(view.expected_share)
            found.append(view.attacked_fraction)
    assert np.corrcoef(expected, found)[0, 1] > 0.9
    # The law is one of extended areas of forms that overlap at random; clouds are large, so fields scatter.
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.15)
    by_grade = np.reshape(found, (5, 4)).mean(axis=1)
    assert (np.diff(by_grade) > 0).all()


@both
def test_attack_only_grows_in_a_sequence(alloy):
    specimen = with_sequence(CorrosionSpecimen.draw(6, alloy, severity=4), 6)
    views = [render(specimen, plan, SMALL) for plan in specimen.views]
    assert [view.plan.frame for view in views] == [1, 2, 3, 4, 5, 6]
    assert not views[0].attacked.any()
    for before, after in pairwise(views):
        assert not (before.attacked & ~after.attacked).any()
        assert after.attacked_fraction > before.attacked_fraction
        assert after.severity >= before.severity
        assert after.expected_share > before.expected_share
    assert views[-1].severity == 4
    # Noise is another in every frame.
    assert not np.array_equal(views[0].pixels, render(specimen, replace(views[0].plan, frame=2), SMALL).pixels)


@both
def test_an_alloy_has_its_own_forms_of_attack(alloy):
    view = render(CorrosionSpecimen.draw(12, alloy, severity=4), size=SMALL)
    present = {name for name, number in FORMS.items() if number and (view.forms == number).any()}
    assert present <= OWN[alloy]
    assert len(present) >= 3
    assert sum(view.form_fractions.values()) == pytest.approx(view.attacked_fraction)


def test_steel_has_strides_and_magnesium_product():
    directed = {alloy: [] for alloy in ALLOYS}
    for seed in range(6):
        for alloy in ALLOYS:
            specimen = CorrosionSpecimen.draw(seed, alloy, severity=2 + seed % 2, microscope="SEM-B")
            view = render(specimen)
            directed[alloy].append(direction(view.pixels)[0])
            assert (view.product_um > 0.05) == (alloy == "AZ31B")
    assert np.median(directed["316L"]) > 1.5 * np.median(directed["AZ31B"])


def test_strides_run_as_the_coupon_was_ground():
    for seed in range(4):
        specimen = CorrosionSpecimen.draw(seed, "316L", severity=0, microscope="SEM-B")
        specimen = replace(specimen, appearance=replace(specimen.appearance, cross_grind=0.0))
        strength, lines = direction(render(specimen).pixels)
        assert strength > 4
        off = (lines - specimen.appearance.grind_angle + np.pi / 2) % np.pi - np.pi / 2
        assert abs(off) < np.radians(7)  # half a sector, and hands sway


# -- the microscope ------------------------------------------------------------------------------------------


def test_drift_and_stretch_move_picture_and_mask_alike():
    specimen = CorrosionSpecimen.draw(2, "316L", severity=3)
    still, crept = (render(specimen, FieldPlan(1, specimen.hours, drift_px=drift)) for drift in ((0, 0), (12.0, 0)))
    # Drift shears the scan: by half of it to either side, nothing in the middle.
    for row, shift in ((0, -6), (449, 6)):
        inner = slice(20, 430)
        moved = slice(20 + shift, 430 + shift)
        assert np.mean(still.attacked[row, moved] == crept.attacked[row, inner]) > 0.97
    assert np.array_equal(still.attacked[224:226].shape, crept.attacked[224:226].shape)
    assert np.mean(still.attacked[225] == crept.attacked[225]) > 0.97


def test_faults_do_what_their_names_say():
    specimen = CorrosionSpecimen.draw(9, "AZ31B", severity=4, difficulty=0)
    specimen = replace(specimen, appearance=replace(specimen.appearance, charging=0.8))
    plan = FieldPlan(1, specimen.hours, charging=0.0)
    plain = render(specimen, plan)

    def sharpness(view):
        return np.square(np.diff(view.pixels.astype(float), axis=0)).mean()

    assert sharpness(render(specimen, replace(plan, defocus_px=3.0))) < sharpness(plain)
    charged = render(specimen, replace(plan, charging=1.0))
    product = np.isin(plain.forms, (FORMS["film"], FORMS["nodule"]))
    gain = charged.pixels.astype(float) - plain.pixels
    assert gain[product].mean() > gain[~product].mean() + 3  # product glows, metal behind it darkens
    assert np.array_equal(charged.forms, plain.forms)
    darker = render(specimen, replace(plan, exposure=0.8))
    assert darker.pixels.mean() < plain.pixels.mean()


def test_magnification_sets_the_pixel_and_shows_the_same_place_closer():
    specimen = CorrosionSpecimen.draw(7, "316L", severity=3)
    wide, close = (render(specimen, FieldPlan(1, specimen.hours, times), (256, 256)) for times in (500.0, 1000.0))
    assert wide.pixel_size_um == pytest.approx(127_000 / 500 / 256)
    assert close.pixel_size_um == pytest.approx(wide.pixel_size_um / 2)
    enlarged = wide.attacked[64:192, 64:192].repeat(2, 0).repeat(2, 1)
    # Outlines gain detail at the smaller pixel.
    assert np.mean(enlarged == close.attacked) > 0.93


def test_a_bar_hides_nothing_and_tells_the_scale():
    specimen = CorrosionSpecimen.draw(2, "316L", severity=3, microscope="JSM-6380L")
    bare = render(specimen, FieldPlan(1, specimen.hours))
    view = with_bar(bare, specimen)
    assert np.array_equal(view.pixels[: view.bar_top], bare.pixels)
    assert not view.attacked[view.bar_top :].any()
    assert view.pixels.shape == view.forms.shape == (450 + view.bar_rows, 450)
    number, unit = float(view.scale_label[:-2]), view.scale_label[-2:]
    assert unit == "µm"
    assert abs(view.scale_px - number / view.pixel_size_um) <= 0.5


# -- plates --------------------------------------------------------------------------------------------------


@both
def test_a_plate_holds_grades_as_its_map_says(alloy):
    plate = render_plate(draw_plate(4, alloy), (420, 560), pixel_size_um=5.0)
    assert np.array_equal(plate.severity, grade(plate.expected_share))
    assert sum(plate.area_by_severity().values()) == pytest.approx(1.0)
    assert sum(share > 0.02 for share in plate.area_by_severity().values()) >= 4
    shares = list(plate.attacked_by_severity().values())
    assert (np.diff(shares) > 0).all()
    assert plate.attacked.mean() == pytest.approx(plate.expected_share.mean(), rel=0.25)


def test_strips_of_a_plate_leave_no_seam():
    specimen = draw_plate(1, "AZ31B")
    plate = render_plate(specimen, (90, 530), pixel_size_um=2.0)
    whole = relief(specimen, plate_window((90, 530), 2.0), specimen.hours)
    seam = slice(480, 530)  # strips are 512 rows
    assert (plate.forms[seam, 2:-2] != whole.forms[seam, 2:-2]).mean() < 0.01


def test_a_survey_covers_the_plate_with_overlap():
    plate = with_survey(draw_plate(2, "316L"), 3, 2, overlap=0.2, place_error_um=0.0)
    centres = np.array([view.centre_um for view in plate.views])
    field = 254.0
    assert np.allclose(np.diff(centres[:3, 0]), 0.8 * field)
    assert np.allclose(centres.mean(axis=0), 0.0)
    left, right = (render(plate, plate.views[number], (100, 100)) for number in (0, 1))
    assert np.mean(left.attacked[:, 80:] == right.attacked[:, :20]) > 0.95
    moved = with_survey(draw_plate(2, "316L"), 3, 2, place_error_um=5.0)
    assert 1.0 < np.std([view.centre_um[1] for view in moved.views[:3]]) < 20.0


# -- sets and files ------------------------------------------------------------------------------------------


def test_a_set_crosses_alloys_and_grades():
    specimens = corrosion_set(20, 1, images=1)
    table = pd.DataFrame([{"alloy": s.alloy, "severity": s.severity, "kelvin": s.temperature_k} for s in specimens])
    assert (table.groupby(["alloy", "severity"]).size() == 2).all()
    assert table["kelvin"].value_counts().max() - table["kelvin"].value_counts().min() <= 1
    assert len({s.name for s in specimens}) == len({s.seed for s in specimens}) == 20
    assert {s.alloy for s in corrosion_set(3, 1, ("316L",), severities=(2,))} == {"316L"}


def test_written_masks_hold_the_share_of_the_truth(tmp_path):
    done = []
    specimens = corrosion_set(4, 2, images=1, frames=2)
    table = write_views(tmp_path / "set", specimens, size=(96, 80), jobs=1, progress=lambda n, of: done.append((n, of)))
    assert done[-1] == (12, 12)
    truth = pd.read_csv(tmp_path / "set" / "truth.csv").set_index("image")
    assert json.loads((tmp_path / "set" / "forms.json").read_text()) == FORMS
    for row in table.itertuples():
        with Image.open(tmp_path / "set" / row.image) as picture, Image.open(tmp_path / "set" / row.mask) as mask:
            assert picture.size == mask.size == (96, 80)
            values = np.asarray(mask)
        assert set(np.unique(values)) <= {0, 255}
        assert (values > 0).mean() == pytest.approx(truth.loc[row.image, "attacked_fraction"])
    assert set(table["label"]) == set(ALLOYS)
    assert len(pd.read_csv(tmp_path / "set" / "specimens.csv")) == 4
    again = write_views(tmp_path / "again", specimens[:1], size=(96, 80), jobs=1)
    first = (tmp_path / "set" / table["image"][0]).read_bytes()
    assert first == (tmp_path / "again" / again["image"][0]).read_bytes()


def test_a_written_plate_carries_its_scale_and_its_map(tmp_path):
    plate = render_plate(draw_plate(3, "316L"), (128, 96), pixel_size_um=4.0)
    folder = write_plate(tmp_path / "plate", plate)
    image = micrograph.read(folder / "plate.tif")
    assert image.scale.pixel_size_um == pytest.approx(4.0)
    assert np.array_equal(np.asarray(image.pixels), plate.pixels)
    with Image.open(folder / "severity.png") as written:
        assert np.array_equal(np.asarray(written), plate.severity)
    facts = json.loads((folder / "plate.json").read_text())
    assert facts["attacked_fraction"] == pytest.approx(plate.attacked.mean())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CorrosionSpecimen.draw(0, "brass"),
        lambda: CorrosionSpecimen.draw(0, "316L", severity=5),
        lambda: CorrosionSpecimen.draw(0, "316L", temperature_k=37.0),
        lambda: CorrosionSpecimen.draw(0, "316L", microscope="TEM"),
        lambda: CorrosionSpecimen.draw(0, "316L", difficulty=float("nan")),
        lambda: render(CorrosionSpecimen.draw(0, "316L"), size=(8, 8)),
        lambda: render(CorrosionSpecimen.draw(0, "316L"), FieldPlan(1, -1.0)),
        lambda: with_sequence(CorrosionSpecimen.draw(0, "316L"), 1),
        lambda: with_fields(CorrosionSpecimen.draw(0, "316L"), magnifications=()),
        lambda: with_survey(draw_plate(0, "316L"), 2, 2, overlap=1.0),
        lambda: render_plate(draw_plate(0, "316L"), (100_000, 100_000)),
        lambda: corrosion_set(3, images=0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()

"""What instruments write, understood: numbers with points and commas, k and x, units that were read badly."""

from __future__ import annotations

import pytest

from sorby.micrograph.image import Scale
from sorby.micrograph.info_bar import InfoBar, InfoBarReading, Value, cross_check
from sorby.micrograph.info_bar.grammar import number_of, read_fields, read_label, step_confidence


@pytest.mark.parametrize(
    ("text", "magnification"),
    [
        ("Mag = 1.00 K X", 1000), ("Mag = 10.00 KX", 10000), ("x5,000", 5000), ("X 5.00k", 5000), ("5.0kx", 5000),
        ("5 000 x", 5000), ("12 000 x", 12000), ("x10.0k", 10000), ("×350", 350), ("Vergr. = 2,50 K X", 2500),
        ("Mag: 5000x", 5000), ("mag 1 000 ×", 1000), ("Mag = 500 X", 500), ("x1o.ok", 10000),
        ("7.0kV 9.1mm x5.00k SE", 5000),
        ("Vergrößerung: 2.500 x", 2500), ("mag 田 65 000 x", 65000),
    ],
)  # fmt: skip
def test_magnifications_as_instruments_print_them(text, magnification):
    assert {reading.value for reading in read_fields([text])["magnification"]} == {magnification}


@pytest.mark.parametrize(
    "text", ["2/13/2020 6:07:37 PM", "15.00 kV 7.3 mm", "1.000 SE2", "mag 5.00 kV", "CMI-Baylor University", "spot 5.0"]
)
def test_other_fields_are_no_magnification(text):
    assert "magnification" not in read_fields([text])


@pytest.mark.parametrize("text", ["WD = 8.5 mm", "WD8.5mm", "WD 8,5 mm", "AA = 8,5 mm", "15.0kV 8.5mm x5.00k"])
def test_working_distances_with_and_without_their_name(text):
    assert read_fields([text])["working_distance_mm"][0].value == 8.5


@pytest.mark.parametrize(
    ("text", "length_um"),
    [
        ("10 µm", 10), ("10 μm", 10), ("10 um", 10), ("10 pm", 10), ("10 µrn", 10), ("10 jm", 10), ("5.00um", 5),
        ("200nm", 0.2), ("200 nrn", 0.2), ("1,5 mm", 1500), ("1 mm", 1000), ("1o.oum", 10), ("|--- 50 µm ---|", 50),
    ],
)  # fmt: skip
def test_labels_are_lengths_however_the_unit_was_read(text, length_um):
    label = read_label(text)
    assert label is not None
    assert label.value == pytest.approx(length_um)


def test_a_doubtful_unit_costs_confidence_and_is_noted():
    sure, doubtful = read_label("10 µm"), read_label("10 pm")
    assert sure is not None
    assert doubtful is not None
    assert doubtful.confidence < sure.confidence
    assert "pm" in doubtful.note


@pytest.mark.parametrize("text", ["15.00 kV", "SE2", "10", "µm", "x10.0k", "12:24:02 PM", "5.0"])
def test_what_is_no_length_is_no_label(text):
    assert read_label(text) is None


@pytest.mark.parametrize(
    ("text", "whole", "value"),
    [("5,000", True, 5000), ("5,000", False, 5), ("1.5", False, 1.5), ("1,5", False, 1.5), ("12.500,5", False, 12500.5),
     ("12,500.5", False, 12500.5), ("1 000", False, 1000), ("1.2.3,4,5", False, None), ("0", False, None)],
)  # fmt: skip
def test_points_and_commas(text, whole, value):
    assert number_of(text, whole=whole) == value


def test_usual_steps_are_surer_than_rare_ones_and_these_than_others():
    assert step_confidence(0.2) == step_confidence(50) == 1
    assert step_confidence(50) > step_confidence(3) > step_confidence(12.3)


def reading(**values: tuple[float, float]) -> InfoBarReading:
    """Return a reading of an image of 1000 px; values with their confidences."""
    sources = {"bar_length_px": "measured"}
    fields = {
        name: Value(value, sources.get(name, "text"), sure, f"{value:g}") for name, (value, sure) in values.items()
    }
    return InfoBarReading(InfoBar(700, 750, "bottom", 0, 0.9), 1000, fields, ())


def test_witnesses_that_agree_make_a_scale_surer():
    tag = Scale(0.1, 2000, "fei", 0.98)
    said = reading(scale_label_um=(20, 0.9), bar_length_px=(200.4, 0.98), magnification=(2000, 0.9))
    checked = cross_check(said, tag)
    assert checked.scale.pixel_size_um == 0.1
    assert checked.scale.confidence > tag.confidence
    assert not checked.disagreements


def test_a_tag_and_a_bar_that_differ_are_named_and_the_tag_is_doubted():
    checked = cross_check(reading(scale_label_um=(50, 0.9), bar_length_px=(200, 0.98)), Scale(0.1, 2000, "fei", 0.98))
    assert [entry.name for entry in checked.disagreements] == ["tag contradicts drawn scale bar"]
    assert checked.scale.pixel_size_um == 0.1
    assert checked.scale.confidence == pytest.approx(0.49)
    assert checked.pixel_sizes_um == {"tag": 0.1, "bar": 0.25}


def test_magnifications_that_differ_are_named():
    checked = cross_check(reading(magnification=(500, 0.9)), Scale(0.1, 2000, "fei", 0.98))
    assert "tag contradicts magnification" in {entry.name for entry in checked.disagreements}


def test_a_known_display_gives_what_a_drawn_bar_is_too_short_for():
    # 1000x on 127 mm over 1000 px is 0.127 um a pixel; 20 um are 157.48 px, drawn as 157.
    said = reading(scale_label_um=(20, 0.9), bar_length_px=(157, 0.98), magnification=(1000, 0.9))
    checked = cross_check(said)
    assert checked.scale.pixel_size_um == pytest.approx(0.127, rel=1e-9)
    assert "127 mm" in checked.scale.detail


def test_a_field_width_says_the_pixel_size_alone():
    checked = cross_check(reading(field_width_um=(127, 0.9)))
    assert checked.scale.pixel_size_um == pytest.approx(0.127)
    assert checked.scale.source == "info-bar"


def test_an_unusual_label_is_doubted():
    checked = cross_check(reading(scale_label_um=(12.3, 0.4), bar_length_px=(123, 0.98)))
    assert "scale label is no usual length" in {entry.name for entry in checked.disagreements}


def test_without_tag_and_bar_nothing_is_known():
    checked = cross_check(None, width_px=1000)
    assert checked.scale.source == "none"
    assert not checked.disagreements

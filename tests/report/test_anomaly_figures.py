from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from sorby.report.anomaly_figures import loocv_schematic, outer_pro_histogram, pro_curves, roc_curves, score_histogram
from sorby.report.anomaly_pictures import (
    PANELS,
    Case,
    false_alarm_gallery,
    raised,
    resolution_panels,
    result_panels,
)
from sorby.report.panels import ColourScale, Panel, panel_sheet


def words_of(svg):
    """All text of a drawing, which must be well-formed and load nothing from elsewhere."""
    root = ElementTree.fromstring(svg.replace("href=", "data-href="))
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert not re.search(r'(?:src|href)="(?!data:|#)', svg)
    return [element.text for element in root.iter() if element.tag.endswith("text") and element.text]


def pictures_of(svg):
    found = re.findall(r'href="data:image/(\w+);base64,([^"]+)"', svg)
    return [(kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))) for kind, data in found]


def case(rng, shape=(60, 80), defect=(slice(20, 30), slice(40, 60)), label="", factor=1):
    """A dull image with a defect, and a map of 0 to 1 that rises to 2 on it."""
    mask = np.zeros(shape, bool)
    if defect is not None:
        mask[defect] = True
    image = np.kron(rng.integers(30, 50, shape) + 10 * mask, np.ones((factor, factor))).astype(np.uint8)
    return Case(image, (rng.random(shape) + mask).astype(np.float32), mask if defect is not None else None, label)


def test_every_case_has_its_five_panels_under_their_headings(rng):
    svg = result_panels([case(rng, label="one"), case(rng, defect=None, label="two")], 1.5)
    words = words_of(svg)
    assert [word for word in words if word in PANELS] == list(PANELS)
    assert "one" in words
    assert "two" in words
    assert len(pictures_of(svg)) == 2 * (5 + 1)  # five panels and a colour bar
    assert "2 images" in svg


def test_the_heat_map_states_its_scale_and_where_the_threshold_lies(rng):
    shown = case(rng)
    words = words_of(result_panels([shown], 1.5))
    assert f"{shown.scores.max():.3g}" in words
    assert "threshold 1.5" in words
    assert "threshold 7, above" in words_of(result_panels([shown], 7))
    assert "threshold -1, below" in words_of(result_panels([shown], -1))


def test_on_a_common_scale_equal_scores_have_equal_colours_and_otherwise_a_faint_map_has_all_colours(rng):
    faint = Case(np.zeros((40, 40), np.uint8), np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40))
    strong = Case(np.zeros((40, 40), np.uint8), 10 * faint.scores)
    brightest = []
    for common in (True, False):
        pictures = pictures_of(result_panels([faint, strong], 5, common_scale=common))
        brightest.append(pictures[2][1].max())
    assert brightest[0] < 60  # a tenth of the scale is nearly black
    assert brightest[1] > 240


def test_masks_survive_being_shown_smaller_and_a_speck_is_ringed(rng):
    speck = case(rng, shape=(900, 1200), defect=(slice(450, 452), slice(700, 702)))
    svg = result_panels([speck], 1.5)
    truth = pictures_of(svg)[1]
    assert truth[0] == "png"
    assert truth[1].max() == 255
    assert truth[1].shape[1] == 256
    assert svg.count("<circle") == 2  # in the truth and in the prediction
    assert "ringed: small regions" in words_of(svg)
    large = result_panels([case(rng)], 1.0)
    assert "<circle" not in large


def test_the_panels_say_what_was_found_and_what_not(rng):
    found, missed = words_of(result_panels([case(rng)], 0.99)), words_of(result_panels([case(rng)], 3))
    assert "100 % of the defect found" in found
    assert "missed" in missed
    assert "nothing called" in missed
    good = case(rng, defect=None)
    assert "silent" in words_of(result_panels([good], 3))
    good.scores[5, 5] = 9
    assert "1 false alarm" in words_of(result_panels([good], 3))


def test_a_dull_image_is_spread_and_the_grey_levels_are_stated_and_a_rich_one_is_left_as_it_is(rng):
    dull = rng.integers(30, 50, (50, 50)).astype(np.uint8)
    spread, words = raised(dull)
    assert (spread.min(), spread.max()) == (0, 255)
    assert words == "contrast raised: grey 30 to 49"
    rich = rng.integers(0, 256, (50, 50)).astype(np.uint8)
    shown, words = raised(rich)
    np.testing.assert_array_equal(shown[..., 0], rich)
    assert words == "as recorded"
    assert "as recorded" in words_of(result_panels([Case(dull, dull.astype(float))], 99, raise_contrast=False))


def test_a_flat_image_has_no_contrast_to_raise():
    assert raised(np.full((8, 8), 77, np.uint8))[0].shape == (8, 8, 3)
    flat = Case(np.full((8, 8), 77, np.uint8), np.zeros((8, 8), np.float32))
    assert words_of(result_panels([flat], 1))


def test_the_gallery_counts_all_false_alarms_and_shows_the_highest_first(rng):
    cases = [case(rng, label=f"image {k} <b>", defect=None if k else (slice(20, 30), slice(40, 60))) for k in range(5)]
    for k, height in ((1, 5.0), (1, 7.0), (3, 6.0), (0, 4.0)):
        cases[k].scores[10 * int(height) - 35, 7] = height
    svg = false_alarm_gallery(cases, 3.0, most=3)
    words = words_of(svg)
    assert "4 false-positive regions at the threshold 3: 3 on 2 of 4 good images, 1 on 1 defective image" in words[0]
    assert "the 3 highest are shown" in words[0]
    assert [word for word in words if word.startswith("peak")] == ["peak 7, 1 px", "peak 6, 1 px", "peak 5, 1 px"]
    assert len(pictures_of(svg)) == 3
    assert words.count("image 1 <b>") == 2


def test_a_gallery_without_alarms_says_so(rng):
    svg = false_alarm_gallery([case(rng, defect=None)], 9.0)
    assert "0 false-positive regions" in words_of(svg)[0]
    assert not pictures_of(svg)


def test_a_false_alarm_is_cut_from_where_it_is_in_an_image_of_another_resolution():
    image, scores = np.zeros((400, 600), np.uint8), np.zeros((100, 150), np.float32)
    image[360:400, 560:600] = 200
    scores[90:100, 140:150] = 5
    picture = pictures_of(false_alarm_gallery([Case(image, scores)], 1))[0][1].astype(int)
    assert picture[-20, -20, 0] > 150
    assert picture[20, 20].max() < 30


def test_the_same_place_is_shown_once_for_each_resolution_with_what_was_found_there(rng):
    cases = [case(rng, label=f"c = {c}") for c in (1, 3, 5)]
    svg = resolution_panels(cases, [3.0, 0.99, 0.99])
    words = words_of(svg)
    assert "c = 1: missed" in words
    assert "c = 5: 100 % of the defect found" in words
    assert len(pictures_of(svg)) == 3 * 6
    assert "3 resolutions" in svg


def test_lettering_cannot_break_out_of_the_drawing():
    pixels = np.zeros((4, 4, 3), np.uint8)
    svg = panel_sheet([[Panel(pixels, '"><script>', ("<b>&",))]], '"><script>', ["</svg>"])
    assert "<script" not in svg
    assert set(words_of(svg)) == {'"><script>', "<b>&", "</svg>"}


def test_a_scale_of_one_value_draws_one_colour():
    scale = ColourScale(2.0, 2.0, 2.0)
    assert np.unique(scale.colours(np.full((3, 3), 2.0)).reshape(-1, 3), axis=0).shape[0] == 1


def test_the_same_arrays_make_the_same_drawing(rng):
    cases = [case(rng)]
    assert result_panels(cases, 1.5) == result_panels(cases, 1.5)
    assert loocv_schematic() == loocv_schematic()


def test_the_score_histogram_marks_the_threshold_and_counts_the_wrong_side():
    svg = score_histogram([1.0, 2.0, 3.0, 4.0], [3.5, 4.0, 6.0], 4.0)
    words = words_of(svg)
    assert "threshold 4" in words
    assert "1 of 4 good at or above the threshold, 1 of 3 defective below it" in words
    assert "1 false alarms, 1 missed" in svg


def test_the_outer_histogram_sets_missed_images_apart():
    svg = outer_pro_histogram([0.0, 0.0, 0.0, 0.4, 0.9, 1.0], interval=(0.1, 0.7))
    assert "3 missed" in words_of(svg)
    assert "mean 0.38" in words_of(svg)
    assert "6 held-out images" in svg


def test_curves_name_their_maps_the_limit_and_thin_to_what_can_be_seen():
    x = np.linspace(0, 1, 100_000)
    svg = pro_curves({"first": (x, x**0.2), "second": (x, x)}, 0.3)
    assert {"first", "second", "limit 0.3"} <= set(words_of(svg))
    assert len(svg) < 60_000
    roc = roc_curves({"images, AUROC 0.9": (x, np.sqrt(x))})
    assert {"by chance", "images, AUROC 0.9"} <= set(words_of(roc))


@pytest.mark.parametrize(("n_good", "n_train", "n_defective"), [(36, 18, 36), (3885, 3849, 39)])
def test_the_schematic_has_its_three_parts_and_the_numbers_of_the_run(n_good, n_train, n_defective):
    svg = loocv_schematic(n_good, n_train, n_defective)
    words = words_of(svg)
    assert {"(a)", "(b)", "(c)"} <= set(words)
    assert f"one of {n_defective} runs" in words
    assert any(f"{n_train} train" in word for word in words)
    assert any("not all drawn" in word for word in words) == (n_train > 36)
    assert any(f"{n_defective - 1} test, 1 held out" in word for word in words)

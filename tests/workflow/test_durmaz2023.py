"""The published figures of the steel paper hold together, as far as they do."""

from __future__ import annotations

import numpy as np
import pytest

from sorby.evidence import from_confusion, mcnemar_p, merge_classes, wilson
from sorby.workflow.papers import durmaz2023 as s1

BOTH = pytest.mark.parametrize("printed", [s1.FIGURE_3, s1.FIGURE_4], ids=lambda printed: printed.figure)


def scored(predicted_rows):
    """Metrics of matrices whose rows are predicted, as the paper prints them."""
    return from_confusion(np.swapaxes(np.asarray(predicted_rows), -1, -2))


@BOTH
def test_a_printed_matrix_lost_seven_cells_of_its_last_column(printed):
    assert np.argwhere(printed.cells == s1.UNKNOWN).tolist() == [[row, 7] for row in range(7)]


def test_two_images_of_figure_3_and_one_of_figure_4_lie_in_lost_cells():
    assert (s1.FIGURE_3.missing, s1.FIGURE_4.missing) == (2, 1)


@BOTH
def test_every_completion_has_the_326_test_images_of_the_classes_and_the_printed_accuracy(printed):
    completions = list(printed.completions())
    # Two errors among seven cells: 28 ways; one: 7.
    assert len(completions) == {2: 28, 1: 7}[printed.missing]
    for cells in completions:
        assert cells.sum(axis=0).tolist() == list(s1.COLUMN_SUMS)
        assert np.trace(cells) == printed.hits
    assert any(np.array_equal(cells, printed.likely()) for cells in completions)


@pytest.mark.parametrize(
    ("printed", "macro", "weighted", "balanced", "kappa"),
    [(s1.FIGURE_3, 0.8375, 0.9031, 0.8517, 0.8392), (s1.FIGURE_4, 0.8645, 0.9038, 0.8561, 0.8405)],
    ids=["Fig. 3", "Fig. 4"],
)
def test_with_lost_errors_at_m8_the_scores_are_these(printed, macro, weighted, balanced, kappa):
    found = scored(printed.likely())
    # Four digits are stated: half a unit of the last.
    assert float(found.macro_f1) == pytest.approx(macro, abs=5e-5)
    assert float(found.weighted_f1) == pytest.approx(weighted, abs=5e-5)
    assert float(found.balanced_accuracy) == pytest.approx(balanced, abs=5e-5)
    assert float(found.cohen_kappa) == pytest.approx(kappa, abs=5e-5)


@pytest.mark.parametrize(
    ("printed", "macro", "weighted"),
    [(s1.FIGURE_3, (0.8375, 0.8544), (0.9027, 0.9035)), (s1.FIGURE_4, (0.8645, 0.8737), (0.9037, 0.9041))],
    ids=["Fig. 3", "Fig. 4"],
)
def test_wherever_the_lost_errors_lie_the_scores_stay_in_these_ranges(printed, macro, weighted):
    found = scored(list(printed.completions()))
    assert (found.macro_f1.min(), found.macro_f1.max()) == pytest.approx(macro, abs=5e-5)
    assert (found.weighted_f1.min(), found.weighted_f1.max()) == pytest.approx(weighted, abs=5e-5)


@BOTH
def test_accuracy_coincides_with_weighted_but_not_with_macro_f1(printed):
    found = scored(list(printed.completions()))
    assert np.abs(found.weighted_f1 - found.accuracy).max() < 0.002
    assert np.abs(found.macro_f1 - found.accuracy).min() > 0.02


@BOTH
def test_subtypes_are_right_in_320_and_sizes_in_298_of_326(printed):
    likely = printed.likely()
    assert np.trace(merge_classes(likely, s1.SUBTYPE_OF)) == 320
    assert np.trace(merge_classes(likely, s1.SIZE_OF)) == 298


def test_printed_column_percentages_are_recalls():
    likely = s1.FIGURE_3.likely()
    recalls = 100 * np.diag(likely) / likely.sum(axis=0)
    # 87.5 is printed as 88: halves are rounded up.
    assert np.floor(recalls + 0.5).tolist() == [88, 86, 83, 90, 82, 94, 83, 75]


def test_size_errors_within_a_subtype_of_figure_4_are_those_of_the_size_models():
    likely = s1.FIGURE_4.likely()
    for subtype, (hits, n) in {name: s1.TABLE_3_HITS["ResNet-18", name] for name in s1.SUBTYPES}.items():
        mine = np.array(s1.SUBTYPE_OF) == s1.SUBTYPES.index(subtype)
        block = likely[np.ix_(mine, mine)]
        assert block.sum() - np.trace(block) == n - hits


def test_the_split_rule_gives_the_test_sizes_of_the_paper():
    assert {name: s1.test_part(n) for name, n in s1.SUBTYPE_IMAGES.items()} == s1.TEST_IMAGES
    assert sum(s1.TEST_IMAGES.values()) == 326 == sum(s1.COLUMN_SUMS)
    assert s1.test_part(s1.IMAGES) == s1.SUBTYPE_TEST_IMAGES


def test_class_counts_sum_to_the_data_set_and_to_each_subtype():
    assert sum(s1.CLASS_COUNTS.values()) == s1.IMAGES
    for subtype, total in {"G": 1240, "M": 71, "B": 330}.items():
        of_subtype = {name: n for name, n in s1.CLASS_COUNTS.items() if name.startswith(subtype)}
        assert sum(of_subtype.values()) == total
        kept = sum(n for name, n in of_subtype.items() if name not in s1.LEFT_OUT)
        assert kept == s1.SUBTYPE_IMAGES[subtype]
    assert round(100 * 1240 / s1.IMAGES, 1) == 75.6
    assert round(100 * s1.CLASS_COUNTS["G9-10"] / s1.IMAGES, 1) == 60.0


def test_two_accuracies_of_table_2_are_no_whole_number_of_images():
    odd = {
        key
        for key, percent in s1.TABLE_2.items()
        # Printed with two decimals: within half a unit of the last, and the one-unit truncation of some programs.
        if abs(100 * s1.TABLE_2_HITS[key] / 326 - percent) > 0.0051
    }
    assert odd == {("ResNet-18", "global", "frozen"), ("ResNet-50", "two-stage", "full")}
    for key in odd:
        assert min(abs(100 * k / 326 - s1.TABLE_2[key]) for k in range(327)) > 0.0051


@pytest.mark.parametrize("key", list(s1.TABLE_3), ids="-".join)
def test_every_accuracy_of_table_3_is_a_whole_number_of_images(key):
    hits, n = s1.TABLE_3_HITS[key]
    assert 100 * hits / n == pytest.approx(s1.TABLE_3[key], abs=0.0051)


def test_the_headline_on_needle_length_is_an_unweighted_mean():
    stages = [s1.TABLE_3["ResNet-18", name] for name in s1.SUBTYPES]
    assert np.mean(stages) == pytest.approx(91.04, abs=0.005)
    hits = sum(s1.TABLE_3_HITS["ResNet-18", name][0] for name in s1.SUBTYPES)
    assert hits == 301
    assert hits / 326 == pytest.approx(0.923, abs=5e-4)


def test_two_stage_and_global_differ_by_one_image_which_is_no_evidence():
    two, one = (s1.TABLE_2_HITS["ResNet-18", kind, "full"] for kind in ("two-stage", "global"))
    assert two - one == 1
    assert wilson(two, 326) == pytest.approx((0.868, 0.932), abs=5e-4)
    assert wilson(one, 326) == pytest.approx((0.865, 0.930), abs=5e-4)
    assert min(mcnemar_p(k + 1, k)[0] for k in range(31)) > 0.99


def test_subtype_errors_of_table_3_and_figure_4_contradict_each_other():
    hits, n = s1.TABLE_3_HITS["ResNet-18", "subtype"]
    in_figure = 326 - int(np.trace(merge_classes(s1.FIGURE_4.likely(), s1.SUBTYPE_OF)))
    assert (n - hits) - in_figure > n - 326


def test_round_robin_counts_give_the_printed_shares():
    shares = {name: hits / n for name, (hits, n) in s1.ROUND_ROBIN_HITS.items()}
    assert shares == pytest.approx(
        {"subtype": 0.6393, "size, given the subtype": 0.3128, "structure code": 0.2, "reduced classes": 0.2513,
         "final model": 0.7059}, abs=5e-5)  # fmt: skip
    raters = s1.ROUND_ROBIN["raters"]
    assert raters * s1.ROUND_ROBIN["images"] == 280
    assert sum(s1.ROUND_ROBIN_IMAGES.values()) == s1.ROUND_ROBIN["images"]
    # Fewer ratings than raters times images: items have unequal numbers of raters.
    assert s1.ROUND_ROBIN_HITS["reduced classes"][1] < raters * s1.ROUND_ROBIN["images kept"]
    # The printed size accuracies by subtype imply one hit more than the text counts.
    implied = sum(round(s1.SIZE_ACCURACY[name] * raters * n) for name, n in s1.ROUND_ROBIN_IMAGES.items())
    assert implied == 57 == s1.ROUND_ROBIN_HITS["structure code"][0] + 1

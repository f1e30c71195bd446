"""The rounding of Yan et al. (2023): section 3 and Tables 1 to 6."""

import math

import pytest

from sorby.errors import InputError
from sorby.evidence import yan_rounding


@pytest.mark.parametrize(
    ("mean", "margin", "kind", "printed"),
    [
        (0.909, 0.011, "score", (0.90, 0.02)),
        (0.6399, 0.1101, "score", (0.63, 0.12)),
        (0.9999, 0.0, "score", (0.99, 0.0)),
        (1.64499, 0.0901, "time", (1.64, 0.10)),
        (0.425, 0.01, "time", (0.43, 0.01)),
        (65.25, 5.05, "detection", (65.3, 5.1)),
        (8.04, 0.94, "detection", (8.0, 0.9)),
    ],
)
def test_means_of_scores_go_down_margins_up_times_and_detection_to_the_nearest(mean, margin, kind, printed):
    assert yan_rounding(mean, margin, kind) == printed


@pytest.mark.parametrize("hundredths", range(101))
def test_a_printed_figure_stays_what_it_is(hundredths):
    value = hundredths / 100
    assert yan_rounding(value, value, "score") == (value, value)
    assert yan_rounding(value, value, "time") == (value, value)


def test_a_mean_of_binary_numbers_that_misses_a_hundredth_by_a_hair_is_that_hundredth():
    below, above = math.nextafter(0.29, 0), math.nextafter(0.01, 1)
    assert yan_rounding(below, above, "score") == (0.29, 0.01)
    assert yan_rounding(below, above, "time") == (0.29, 0.01)


def test_a_single_run_has_no_margin_and_what_is_undefined_stays_so():
    assert yan_rounding(0.857, None) == (0.85, None)
    assert math.isnan(yan_rounding(math.nan, 0.1)[0])
    with pytest.raises(InputError, match="unknown kind"):
        yan_rounding(1, 1, "speed")

"""False alarms of thresholds that saw good images only."""

import numpy as np
import pytest

from sorby.anomaly.thresholds import Threshold, conformal_threshold, needed
from sorby.errors import InputError


def test_nineteen_images_hold_five_percent_and_eighteen_do_not() -> None:
    assert needed(0.05) == 19
    scores = np.arange(19.0)
    threshold = conformal_threshold(scores, 0.05, "split", "image")
    assert threshold.value == np.nextafter(np.float32(18), np.float32(np.inf))  # above the largest
    with pytest.raises(InputError, match="19 are needed") as refused:
        conformal_threshold(scores[:18], 0.05, "split", "image")
    assert "0.0526" in refused.value.hint


def test_split_thresholds_hold_their_rate_over_calibrations() -> None:
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(2000):
        scores = rng.gamma(3, size=60)
        value = conformal_threshold(scores[:39], 0.1, "split", "image").value
        rates.append(np.mean(scores[39:] >= value))
    # 2,000 calibrations of 21 images: standard error of the mean .0015 to .002
    assert 0.09 < np.mean(rates) <= 0.105


def test_p_values_count_calibration_scores_at_or_above() -> None:
    threshold = conformal_threshold([1.0, 2.0, 3.0, 4.0], 0.2, "split", "image")
    np.testing.assert_allclose(threshold.p_values([0.5, 2.0, 4.0, 9.0]), [1.0, 0.8, 0.4, 0.2])
    again = Threshold.from_parts(threshold.describe(), threshold.scores)
    assert again.value == threshold.value
    assert again.guarantee == threshold.guarantee
    with pytest.raises(ValueError, match="rule"):
        Threshold.from_parts(threshold.describe() | {"rule": "guess"}, threshold.scores)

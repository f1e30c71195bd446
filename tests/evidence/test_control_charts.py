"""Charts agree with the textbook, and raise as many false alarms as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sorby.errors import InputError
from sorby.evidence.control_charts import ewma_chart, individuals_chart, laney_p_chart, p_chart, xbar_chart
from sorby.evidence.control_rules import (
    NELSON,
    RULES,
    WESTERN_ELECTRIC,
    alternating,
    beyond,
    one_side,
    some_beyond,
    trend,
)

# D. C. Montgomery, Introduction to Statistical Quality Control: cans of frozen orange juice, 50 a sample.
CANS = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]
# The same: purchase orders with errors, samples of different size.
ORDERS = [12, 8, 6, 9, 10, 12, 11, 16, 10, 6, 20, 15, 9, 8, 6, 8, 10, 7, 5, 8, 5, 8, 10, 6, 9]
ORDER_SIZES = [
    100, 80, 80, 100, 110, 110, 100, 100, 90, 90, 110, 120, 120, 120, 110, 80, 80, 80, 90, 100, 100, 100, 100, 90, 90
]  # fmt: skip
# The same: cost of processing mortgage loans, one value a week.
LOANS = [310, 288, 297, 298, 307, 303, 294, 297, 308, 306, 294, 299, 297, 299, 314, 295, 293, 306, 301, 304]
# The same: thirty values, the last ten from a mean shifted by one standard deviation; target 10, sigma 1.
SHIFTED = [
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62,
    10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
]  # fmt: skip


def test_a_p_chart_of_the_textbook():
    chart = p_chart(CANS, [50] * 30, 30)
    assert chart.centre == pytest.approx(347 / 1500)
    assert (chart.lower[0], chart.upper[0]) == pytest.approx((0.0524, 0.4102), abs=5e-4)
    assert [alarm.first + 1 for alarm in chart.alarms if alarm.rule == "beyond-3-sigma"] == [15, 23]
    assert all(alarm.n == 50 and alarm.in_baseline for alarm in chart.alarms)
    kept = np.ones(30, bool)
    kept[[14, 22]] = False
    revised = p_chart(CANS, [50] * 30, kept)
    assert revised.centre == pytest.approx(0.2150, abs=5e-5)
    assert (revised.lower[0], revised.upper[0]) == pytest.approx((0.0407, 0.3893), abs=5e-4)


def test_limits_follow_the_size_of_each_period():
    chart = p_chart(ORDERS, ORDER_SIZES, 25)
    assert chart.centre == pytest.approx(234 / 2450)
    for n, upper in ((100, 0.184), (80, 0.194), (120, 0.176)):
        assert chart.upper[ORDER_SIZES.index(n)] == pytest.approx(upper, abs=1e-3)
    assert [alarm.first + 1 for alarm in chart.alarms if alarm.rule == "beyond-3-sigma"] == [11]


def test_a_chart_of_individual_values_of_the_textbook():
    chart = individuals_chart(LOANS, 20)
    assert chart.centre == 300.5
    assert chart.errors[0] * 1.128 == pytest.approx(7.79, abs=5e-3)
    assert (chart.lower[0], chart.upper[0]) == pytest.approx((279.78, 321.22), abs=0.02)
    assert chart.alarms == ()


def test_an_ewma_of_the_textbook():
    chart = ewma_chart([10.0, 10.0, *SHIFTED], 2, errors=np.ones(32), weight=0.1, limit=2.7)
    values, lower, upper = chart.values[2:], chart.lower, chart.upper
    assert values[:4] == pytest.approx([9.945, 9.7495, 9.70355, 9.8992], abs=5e-5)
    assert (lower[0], upper[0]) == pytest.approx((9.73, 10.27), abs=5e-3)
    assert (lower[-1], upper[-1]) == pytest.approx((9.38, 10.62), abs=5e-3)
    assert values[-2:] == pytest.approx([10.6468, 10.6341], abs=5e-5)
    assert [(alarm.first - 1, alarm.last - 1) for alarm in chart.alarms] == [(29, 30)]


def test_an_x_bar_chart_pools_what_varies_within_periods():
    means, sds, sizes = [10.0, 12.0, 11.0], [2.0, 1.0, 3.0], [5, 9, 4]
    chart = xbar_chart(means, sds, sizes, 3)
    pooled = math.sqrt((4 * 4 + 8 * 1 + 3 * 9) / 15)
    assert chart.centre == pytest.approx((50 + 108 + 44) / 18)
    assert chart.errors == pytest.approx([pooled / math.sqrt(n) for n in sizes])
    assert chart.upper - chart.centre == pytest.approx(3 * chart.errors)


def test_laneys_limits_are_the_binomial_ones_times_the_dispersion():
    plain, wide = p_chart(ORDERS, ORDER_SIZES, 25), laney_p_chart(ORDERS, ORDER_SIZES, 25)
    z = (plain.values - plain.centre) / plain.errors
    assert wide.dispersion == pytest.approx(np.abs(np.diff(z)).mean() / (2 / math.sqrt(math.pi)))
    assert wide.upper - wide.centre == pytest.approx(wide.dispersion * (plain.upper - plain.centre))


def test_laney_holds_where_periods_differ_and_binomial_limits_do_not():
    rng = np.random.default_rng(5)
    sizes = np.full(400, 4000)
    steady = rng.binomial(sizes, 0.1)
    restless = rng.binomial(sizes, np.clip(rng.normal(0.1, 0.02, 400), 0.01, 0.5))
    alone = ("beyond-3-sigma",)
    assert laney_p_chart(steady, sizes, 400).dispersion == pytest.approx(1, abs=0.12)  # 3 se of a mean moving range
    assert len(p_chart(restless, sizes, 400, rules=alone).alarms) > 80
    assert len(laney_p_chart(restless, sizes, 400, rules=alone).alarms) <= 5  # 1.1 expected of 400
    means = rng.normal(0.5, 0.02, 400)
    assert len(xbar_chart(means, [0.2] * 400, sizes, 400, rules=alone).alarms) > 80
    assert len(xbar_chart(means, [0.2] * 400, sizes, 400, between=True, rules=alone).alarms) <= 5


@pytest.mark.parametrize(
    ("rules", "published"),
    [
        (WESTERN_ELECTRIC[:1], 370.40),
        (WESTERN_ELECTRIC[:2], 225.44),
        ((WESTERN_ELECTRIC[0], WESTERN_ELECTRIC[2]), 166.05),
        ((WESTERN_ELECTRIC[0], WESTERN_ELECTRIC[3]), 152.73),
        (WESTERN_ELECTRIC, 91.75),
    ],
)
def test_run_lengths_without_a_cause_are_those_of_champ_and_woodall(rules, published):
    """Table 1 of their paper, by simulation: a run's length scatters about as much as it is long."""
    runs = 1500
    z = np.random.default_rng(1987).standard_normal((runs, int(6 * published)))
    met = np.any([RULES[name](z) for name in rules], axis=0)
    lengths = np.where(met.any(-1), met.argmax(-1) + 1, z.shape[-1])
    assert lengths.mean() == pytest.approx(published, abs=3.5 * published / math.sqrt(runs))


@pytest.mark.parametrize(("shift", "published"), [(0.0, 500.0), (1.0, 10.3)])
def test_run_lengths_of_the_default_ewma_are_those_of_lucas_and_saccucci(shift, published):
    """Their limits are those of the long run; ours, narrower at first, end a few undisturbed runs earlier."""
    from scipy.signal import lfilter

    runs, length = 400, 3000 if shift == 0 else 100
    z = np.random.default_rng(1990).normal(shift, 1.0, (runs, length))
    average = lfilter([0.1], [1, -0.9], z, axis=-1)
    met = np.abs(average) > 2.814 * math.sqrt(0.1 / 1.9)
    ours = ewma_chart(np.r_[0.0, 0.0, z[0]], 2, errors=np.ones(length + 2))
    assert ours.values[2:] == pytest.approx(average[0])
    assert ours.upper[-1] == pytest.approx(2.814 * math.sqrt(0.1 / 1.9), rel=1e-3)
    lengths = np.where(met.any(-1), met.argmax(-1) + 1, length)
    assert lengths.mean() == pytest.approx(published, rel=3.5 / math.sqrt(runs))


def test_rules_are_met_at_the_point_that_completes_them():
    flat = np.zeros(20)
    assert not any(rule(flat).any() for rule in RULES.values())
    assert np.flatnonzero(beyond(np.array([0, 3.1, 2.9, -3.1]))).tolist() == [1, 3]
    assert np.flatnonzero(some_beyond(np.array([2.1, 0, 2.1, 0, 0, 2.1, -2.1, -2.1]), 2, 3, 2.0)).tolist() == [2, 7]
    assert np.flatnonzero(some_beyond(np.array([1.1, 1.1, 0, 1.1, 1.1, 1.1, 0]), 4, 5, 1.0)).tolist() == [4, 5]
    assert np.flatnonzero(one_side(np.r_[-1, np.ones(9), -1], 8)).tolist() == [8, 9]
    assert np.flatnonzero(trend(np.r_[0, np.arange(6), 4])).tolist() == [6]
    assert np.flatnonzero(trend(-np.arange(6.0))).tolist() == [5]
    assert np.flatnonzero(alternating(np.tile([0.1, -0.1], 8))).tolist() == [13, 14, 15]
    assert set(NELSON) | set(WESTERN_ELECTRIC) == set(RULES)


@pytest.mark.parametrize("name", list(RULES))
def test_rules_look_alike_at_both_sides_and_never_ahead(name):
    z = np.random.default_rng(3).standard_normal((20, 300))
    z[:, 150:] = np.sort(z[:, 150:], axis=1)  # a drift, so that each rule is met
    z[:, 100:130] = np.abs(z[:, 100:130]) * np.tile([1, -1], 15)
    found = RULES[name](z)
    assert found.any()
    assert (RULES[name](-z) == found).all()
    assert (RULES[name](z[:, :170]) == found[:, :170]).all()


def test_points_in_a_row_are_one_alarm_and_empty_periods_do_not_break_it():
    values = np.r_[np.tile([0.9, 1.1], 15), 9.0, np.nan, 9.5, 1.0, -9.0]
    chart = individuals_chart(values, 30, sizes=[7] * values.size, rules=["beyond-3-sigma"])
    assert [(alarm.first, alarm.last, alarm.high, alarm.value) for alarm in chart.alarms] == [
        (30, 32, True, 9.5), (34, 34, False, -9.0)
    ]  # fmt: skip
    assert chart.alarms[0].n == 7
    assert not chart.alarms[0].in_baseline
    assert "periods 30 to 32" in str(chart.alarms[0])
    assert chart.as_dict()["values"][31] is None


def test_exact_limits_suit_rare_properties():
    """With 1.2 cases expected normal limits raise far more false alarms than three sigma stand for."""
    rng = np.random.default_rng(8)
    sizes = np.full(20_000, 60)
    counts = rng.binomial(60, 0.02, sizes.size)
    alone = ("beyond-3-sigma",)
    normal = p_chart(counts, sizes, sizes.size, rules=alone)
    exact = p_chart(counts, sizes, sizes.size, rules=alone, tails="exact")

    def share(chart):
        return sum(alarm.last - alarm.first + 1 for alarm in chart.alarms) / sizes.size

    assert share(normal) > 0.005
    assert share(exact) < 2 * 0.00135
    assert any("rough" in line for line in normal.warnings)
    assert (exact.values > exact.upper).sum() == round(share(exact) * sizes.size)


def test_what_limits_cannot_promise_is_said():
    assert any("limits rest on 5 periods" in line for line in p_chart(CANS[:10], [50] * 10, 5).warnings)
    assert any("alarms lie in the baseline" in line for line in p_chart(CANS, [50] * 30, 30).warnings)
    none = p_chart([0] * 25 + [30], [100] * 26, 25)
    assert any("alike" in line for line in none.warnings)
    assert none.alarms[-1].first == 25
    assert np.isfinite(none.errors).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: p_chart([5], [4], 1),
        lambda: p_chart([1, 2], [4], 1),
        lambda: p_chart([1.5], [4], 1),
        lambda: p_chart([1, 1], [0, 4], 1),
        lambda: p_chart([1, 1], [4, 4], [1, 0]),
        lambda: p_chart(CANS, [50] * 30, 30, rules=["nine"]),
        lambda: individuals_chart([1.0, 2.0], 1),
        lambda: individuals_chart([1.0, 1.0, 1.0], 3),
        lambda: xbar_chart([1.0], [0.0], [1], 1),
        lambda: ewma_chart([1.0, 2.0], 2, weight=0.0),
        lambda: ewma_chart([], 0),
    ],
)
def test_what_cannot_be_charted_is_told(call):
    with pytest.raises(InputError):
        call()

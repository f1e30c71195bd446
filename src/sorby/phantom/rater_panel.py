"""Who rates: the habits of simulated metallographers, and a panel drawn from them.

A rater has a skill (how much the image's evidence counts), a leaning towards a subtype, a bias and a spread in grades,
and a habit of judging by the extremes. Panels drawn from :class:`RaterHabits` agree as far as the published ones did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorby.phantom.fields import Float64

#: Subtypes a rater can name, in the order of all arrays by subtype.
SUBTYPES = ("B", "G", "M")


@dataclass(frozen=True)
class RaterHabits:
    """The population that panels are drawn from.

    The defaults of the first block are fitted (``benchmarks/rater_panel.py --fit``): Nelder-Mead over its ten
    constants on the truth of the published set, so that the means over 60 seeds meet the published Fleiss kappas
    (full codes .146, subtype .330, reduced codes .152, reduced among five daily raters .318), and, at a seventh of
    the weight, the published accuracies (subtype .639, size given subtype .313, both .200, reduced .251); then
    rounded and checked on other seeds. The four kappas leave a valley, not a point: bias and what misleads everyone
    can be traded for each other, and the accuracies are what asks for raters who grade a class too coarse. The
    second block is set by hand.

    Attributes
    ----------
    skill_daily, skill_occasional : float
        Evidence for the true subtype in units of the chance error (logits), of raters who rate daily, and weekly to
        monthly.
    leaning : float
        Standard deviation between raters of the leaning towards a subtype, logits.
    look : float
        Standard deviation between images of what misleads all raters alike about the subtype, logits.
    mean_bias : float
        What raters without context are off by on average, in grades (one size class is one grade); below 0 they
        grade too coarse.
    bias_daily, bias_occasional : float
        Standard deviation between raters of the bias, in grades.
    spread_daily, spread_occasional : float
        Standard deviation of one rating, in grades.
    shared_spread : float
        Standard deviation between images of what misleads all raters alike about the size, in grades.
    by_extremes : float
        Share of choices made by the extremes instead of the overall impression (S1-57: 13 %).
    cut_9_10 : float
        Where sizes 9 and 10 part on the grade scale; class 9-10 begins at 8.5.
    cut_spread : float
        Standard deviation between raters of that cut.
    etch_effect : float
        Grades by which an over-etched image (depth 2 instead of 1) looks coarser.
    context : float
        What knowing the process leaves of bias and spread in the day-to-day label.
    daily, occasional : int
        Raters of each kind in a panel (S1-51).
    """

    skill_daily: float = 2.8
    skill_occasional: float = 1.45
    leaning: float = 0.3
    look: float = 0.95
    mean_bias: float = -1.3
    bias_daily: float = 0.2
    bias_occasional: float = 0.7
    spread_daily: float = 0.42
    spread_occasional: float = 0.9
    shared_spread: float = 0.64

    by_extremes: float = 0.13
    cut_9_10: float = 9.1
    cut_spread: float = 0.3
    etch_effect: float = 0.5
    context: float = 0.35
    daily: int = 5
    occasional: int = 9


HABITS = RaterHabits()


@dataclass(frozen=True, eq=False)
class Panel:
    """Raters with their own habits; arrays have one entry a rater, the daily ones first.

    Attributes
    ----------
    names : tuple of str
        ``R01`` and so on.
    daily : ndarray of bool, shape (R,)
        Rates daily; the others weekly to monthly.
    skill : ndarray of float64, shape (R,)
        See :class:`RaterHabits`.
    leaning : ndarray of float64, shape (R, 3)
        Towards B, G, M.
    bias, spread : ndarray of float64, shape (R,)
        In grades; a positive bias grades too fine.
    by_extremes : ndarray of float64, shape (R,)
        Probability of judging by the extremes.
    cut_9_10 : ndarray of float64, shape (R,)
        See :class:`RaterHabits`.
    habits : RaterHabits
        What the panel was drawn from.
    """

    names: tuple[str, ...]
    daily: npt.NDArray[np.bool_]
    skill: Float64
    leaning: Float64
    bias: Float64
    spread: Float64
    by_extremes: Float64
    cut_9_10: Float64
    habits: RaterHabits

    def __len__(self) -> int:
        return len(self.names)


def draw_panel(seed: int, habits: RaterHabits = HABITS) -> Panel:
    """Draw a panel of raters.

    Parameters
    ----------
    seed : int
        Same seed, same people.
    habits : RaterHabits
        The population.
    """
    rng = np.random.default_rng([1863, 14, seed])
    count = habits.daily + habits.occasional
    daily = np.arange(count) < habits.daily
    leaning = habits.leaning * rng.standard_normal((count, len(SUBTYPES)))
    # Habits differ: Beta with the mean wanted and as much spread as two past choices leave.
    extremes = rng.beta(2 * habits.by_extremes, 2 * (1 - habits.by_extremes), count)
    return Panel(
        names=tuple(f"R{number:02d}" for number in range(1, count + 1)),
        daily=daily,
        skill=np.where(daily, habits.skill_daily, habits.skill_occasional) * np.exp(0.25 * rng.standard_normal(count)),
        leaning=leaning,
        bias=habits.mean_bias + np.where(daily, habits.bias_daily, habits.bias_occasional) * rng.standard_normal(count),
        spread=np.where(daily, habits.spread_daily, habits.spread_occasional)
        * np.exp(0.15 * rng.standard_normal(count)),
        by_extremes=extremes,
        cut_9_10=habits.cut_9_10 + habits.cut_spread * rng.standard_normal(count),
        habits=habits,
    )

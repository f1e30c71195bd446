"""Simulated metallographers: they look at what an image shows, not at its label, and disagree as people do.

A rater first names the subtype, then a size from the range of the subtype *named* (S1's web form). The subtype is
the one that seems likeliest: its evidence grows with how clearly the image shows it, and is blurred by what misleads
everyone about this image, by the rater's own leaning, and by chance. The size is the structure's place on the house
scale as the rater's criterion sees it, shifted by the image, by the rater's bias and by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.corpus.grades import HOUSE_SCALE, GradeTable
from sorby.errors import InputError
from sorby.phantom.fields import Float64
from sorby.phantom.rater_panel import SUBTYPES, Panel, draw_panel

Table = Mapping[str, Any]
Codes = npt.NDArray[np.object_]

_COLUMNS = (
    "subtype",
    "mean_needle_length_um",
    "largest_needle_length_um",
    "coarse_area_fraction",
    "retained_austenite_fraction",
    "carbide_fraction",
    "etching_depth",
)
#: How unlike two subtypes look, 1 on average: martensites of both kinds and bainite, rows and columns as SUBTYPES.
_UNLIKE = np.array([[0.0, 0.9, 1.1], [0.9, 0.0, 1.0], [1.1, 1.0, 0.0]])
#: Sizes a rater can name; 5 is coarser than the coarsest class, 9 and 10 are one class.
RATED_SIZES = (5, 6, 7, 8, 9, 10)
_SIZE_CLASS = {5: "6", 6: "6", 7: "7", 8: "8", 9: "9-10", 10: "9-10"}


def rating_columns(table: Table) -> dict[str, npt.NDArray[Any]]:
    """Return what an image shows to a rater, by name.

    Raises
    ------
    InputError
        A column is missing, or a subtype unknown.
    """
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise InputError(f"raters need the columns {', '.join(missing)}", "take the labels table of rendered phantoms")
    columns = {name: np.asarray(table[name]) for name in _COLUMNS}
    unknown = sorted(set(columns["subtype"]) - set(SUBTYPES))
    if unknown:
        raise InputError(f"steel subtype {str(unknown[0])!r} is unknown", f"allowed: {', '.join(SUBTYPES)}")
    return columns


def grade_number(value_um: npt.ArrayLike, limits_um: npt.ArrayLike) -> Float64:
    """Return the place of lengths on the grade scale: 6.5, 7.5, 8.5 at the class limits, linear in log length.

    Parameters
    ----------
    value_um : array_like
        Mean or largest needle length in micrometres.
    limits_um : array_like, shape (3,) or (..., 3)
        Lower limits of classes 6, 7 and 8 in micrometres, for the measure at hand.

    Returns
    -------
    ndarray of float64
        Beyond the outer limits it goes on at the slope of the class beside them.
    """
    x = -np.log(np.asarray(value_um, dtype=np.float64))
    a, b, c = (-np.log(np.moveaxis(np.asarray(limits_um, dtype=np.float64), -1, 0))[place] for place in range(3))
    coarse, fine = (x - b) / (b - a), (x - b) / (c - b)
    return np.asarray(7.5 + np.where(x < b, coarse, fine), dtype=np.float64)


def _limits(scale: GradeTable, criterion: str) -> Float64:
    if len(scale.classes) != 4:
        raise InputError("raters know the classes 6, 7, 8 and 9-10", "use a grade table of four classes")
    return np.stack([scale.limits(name, "mean" if criterion == "mean" else "maximum") for name in SUBTYPES])


def _clarity(columns: Mapping[str, npt.NDArray[Any]], grade: Float64) -> Float64:
    """Return how clearly each image shows its subtype, 1 on average (S1, section 3.2.1), shape (n,)."""
    subtype = columns["subtype"]
    clear = np.ones(len(subtype))
    clear += np.where(subtype == "G", 2.0 * (columns["retained_austenite_fraction"] - 0.09), 0.0)
    clear += np.where(subtype == "B", 4.0 * (columns["carbide_fraction"] - 0.06), 0.0)
    clear += np.where((subtype == "B") & (columns["coarse_area_fraction"] > 0.05), 0.3, 0.0)
    clear -= 0.15 * (grade - 8.0)  # the finest are nearly structureless
    clear -= 0.8 * np.abs(columns["etching_depth"].astype(np.float64) - 1.0)
    return np.clip(clear, 0.3, 1.7)


def _choose_subtype(
    subtype: npt.NDArray[Any], clarity: Float64, panel: Panel, noise: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the subtype each rater names, as a number, shape (n, R)."""
    true = np.array([SUBTYPES.index(name) for name in subtype])
    n, raters, kinds = len(true), len(panel), len(SUBTYPES)
    look = panel.habits.look * rng.standard_normal((n, 1, kinds))
    chance = rng.gumbel(size=(n, raters, kinds))
    evidence = -(clarity[:, None] * panel.skill)[:, :, None] * _UNLIKE[true][:, None, :]
    return np.asarray((evidence + noise * (look + panel.leaning + chance)).argmax(axis=2), dtype=np.int64)


def _seen_grade(
    columns: Mapping[str, npt.NDArray[Any]],
    chosen: npt.NDArray[np.int64],
    panel: Panel,
    noise: float,
    scale: GradeTable,
    rng: np.random.Generator,
) -> Float64:
    """Return the grade each rater sees before error, by the own criterion and the scale of the subtype named."""
    n, raters = chosen.shape
    mean = grade_number(columns["mean_needle_length_um"][:, None], _limits(scale, "mean")[chosen])
    largest = grade_number(columns["largest_needle_length_um"][:, None], _limits(scale, "maximum")[chosen])
    coarse = columns["coarse_area_fraction"].astype(np.float64)
    proper = np.array([scale.criterion_for(float(share)) == "maximum" for share in coarse])
    # Truth-tellers apply the table's rule; habit takes over as far as there is noise.
    habit = rng.random((n, raters)) < min(noise, 1.0)
    extremes = np.where(habit, rng.random((n, raters)) < panel.by_extremes, proper[:, None])
    return np.where(extremes, largest, mean)


def _name_size(grade: Float64, cut_9_10: Float64) -> npt.NDArray[np.int64]:
    """Return the size named for a grade, 5 to 10."""
    size = np.clip(np.floor(grade + 0.5), 5, 9)
    return np.where(grade >= np.maximum(cut_9_10, 8.5), 10, np.minimum(size, 9)).astype(np.int64)


def rate(table: Table, panel: Panel, seed: int, *, noise: float = 1.0, scale: GradeTable = HOUSE_SCALE) -> Codes:
    """Let a panel rate images without context, as in the round robin.

    Parameters
    ----------
    table : mapping of columns (a DataFrame, say)
        ``subtype``, ``mean_needle_length_um``, ``largest_needle_length_um``, ``coarse_area_fraction``,
        ``retained_austenite_fraction``, ``carbide_fraction``, ``etching_depth``: what the images show. No label.
    panel : Panel
        The raters.
    seed : int
        Of what misleads them.
    noise : float
        Factor on bias and spread of all raters, and on whatever misleads them about the subtype; at 0 they tell
        the truth.
    scale : GradeTable
        The house scale.

    Returns
    -------
    ndarray of object, shape (n, R)
        Full codes such as ``G7`` or ``B10``.

    Raises
    ------
    InputError
        A column is missing, a subtype unknown, the noise below 0, or the scale has other classes.
    """
    if noise < 0:
        raise InputError(f"noise must not be below 0, not {noise:g}")
    columns, habits = rating_columns(table), panel.habits
    rng = np.random.default_rng([1863, 280, seed])
    n = len(columns["subtype"])
    overall = true_grade(columns, scale)
    chosen = _choose_subtype(columns["subtype"], _clarity(columns, overall), panel, noise, rng)
    seen = _seen_grade(columns, chosen, panel, noise, scale, rng)
    shared = habits.shared_spread * rng.standard_normal((n, 1))
    shared = shared - habits.etch_effect * (columns["etching_depth"].astype(np.float64)[:, None] - 1.0)
    own = panel.bias + panel.spread * rng.standard_normal((n, len(panel)))
    size = _name_size(seen + noise * (shared + own), panel.cut_9_10)
    return _spell(chosen, size)


def day_to_day(
    table: Table, panel: Panel, seed: int, *, noise: float = 1.0, scale: GradeTable = HOUSE_SCALE
) -> tuple[Codes, Codes]:
    """Label images as the house did: one daily rater each, who knows the process.

    The subtype follows from the temperature-time profile and is right; the criterion is the table's; bias and
    spread are what context leaves of them. Where the table has a ``plant`` column, each plant has its own raters.

    Parameters
    ----------
    table, panel, seed, noise, scale
        As for :func:`rate`.

    Returns
    -------
    labels : ndarray of object, shape (n,)
        Structure codes of the classes that the table knows, such as ``G9-10``.
    raters : ndarray of object, shape (n,)
        Who gave them.
    """
    columns = rating_columns(table)
    rng = np.random.default_rng([1863, 1641, seed])
    daily = np.flatnonzero(panel.daily)
    if not daily.size:
        raise InputError("the panel has no daily rater", "day-to-day labels need one")
    n = len(columns["subtype"])
    plants, plant = np.unique(np.asarray(table["plant"], dtype=str) if "plant" in table else np.full(n, ""),
                              return_inverse=True)  # fmt: skip
    teams = [daily[place :: len(plants)] if len(plants) <= daily.size else daily for place in range(len(plants))]
    drawn = rng.random(n)
    who = np.array([teams[p][int(u * len(teams[p]))] for p, u in zip(plant, drawn, strict=True)], dtype=np.int64)
    error = panel.habits.context * (
        panel.bias[who] - panel.habits.mean_bias + panel.spread[who] * rng.standard_normal(n)
    )
    grade = true_grade(columns, scale) + noise * error
    size = _name_size(grade, panel.cut_9_10[who])
    labels = np.array([name + _SIZE_CLASS[int(s)] for name, s in zip(columns["subtype"], size, strict=True)], object)
    return labels, np.array([panel.names[place] for place in who], dtype=object)


def true_grade(columns: Mapping[str, npt.NDArray[Any]], scale: GradeTable) -> Float64:
    """Return the place on the grade scale by subtype and criterion as they are, shape (n,)."""
    kind = np.array([SUBTYPES.index(name) for name in columns["subtype"]])
    mean = grade_number(columns["mean_needle_length_um"], _limits(scale, "mean")[kind])
    largest = grade_number(columns["largest_needle_length_um"], _limits(scale, "maximum")[kind])
    coarse = columns["coarse_area_fraction"].astype(np.float64)
    return np.where([scale.criterion_for(float(share)) == "maximum" for share in coarse], largest, mean)


def _spell(chosen: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> Codes:
    names = np.array(SUBTYPES, dtype=object)[chosen]
    return np.asarray(names + size.astype(str).astype(object), dtype=object)


def structure_class(code: str) -> str:
    """Return the structure code of a rated one: 9 and 10 are one class, 5 belongs to the coarsest.

    Examples
    --------
    >>> structure_class("G10"), structure_class("M5"), structure_class("B8")
    ('G9-10', 'M6', 'B8')
    """
    size = code[1:]
    return code[0] + (_SIZE_CLASS[int(size)] if size.isdecimal() and int(size) in _SIZE_CLASS else size)


def with_ratings(
    rows: Sequence[Mapping[str, Any]], seed: int, *, noise: float = 1.0, scale: GradeTable = HOUSE_SCALE
) -> list[dict[str, Any]]:
    """Return table rows with a day-to-day label and the ratings of one panel.

    Parameters
    ----------
    rows : sequence of mapping
        One an image, with the columns that :func:`rate` needs.
    seed : int
        Of the panel and of its ratings.
    noise, scale
        As for :func:`rate`.

    Returns
    -------
    list of dict
        With ``daily_label``, ``daily_rater`` and ``rating_R01`` to ``rating_R14`` (full codes such as ``B10``).
    """
    wanted = {*_COLUMNS, "plant"} & set(rows[0])
    table = {name: np.array([row[name] for row in rows]) for name in wanted}
    panel = draw_panel(seed)
    ratings = rate(table, panel, seed, noise=noise, scale=scale)
    labels, who = day_to_day(table, panel, seed, noise=noise, scale=scale)
    columns = [f"rating_{name}" for name in panel.names]
    return [
        {**row, "daily_label": label, "daily_rater": rater, **dict(zip(columns, given.tolist(), strict=True))}
        for row, label, rater, given in zip(rows, labels.tolist(), who.tolist(), ratings, strict=True)
    ]

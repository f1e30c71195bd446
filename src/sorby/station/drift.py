"""Drift: does a bundle see the same kind of images, as surely as it used to? Control charts a week or a day.

A bundle does not change; images, instruments and specimens do. Charted are the share of referred images, the share of
each class, and the means of confidence and novelty, by bundle and, where wanted, instrument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from sqlalchemy import select

from sorby.errors import InputError
from sorby.evidence.control_charts import (
    ControlChart,
    ewma_chart,
    individuals_chart,
    laney_p_chart,
    p_chart,
    xbar_chart,
)
from sorby.station import bundles
from sorby.station.database import tables
from sorby.station.desk import Desk
from sorby.station.permissions import Actor, Permission

Period = Literal["week", "day"]
MOST_PERIODS = 1000
_CLASSES = 20  # charted, the most frequent ones
_ENOUGH = 5.0  # cases a period from which Laney's limits are asked


@dataclass(frozen=True)
class Drift:
    """Charts of one bundle.

    Attributes
    ----------
    bundle : str
        SHA-256.
    name : str
    instrument : str or None
        None for all.
    periods : list of str
        ISO weeks (``2026-W07``) or days.
    images : list of int
        Inspected in each.
    charts : dict of str to dict
        ``referred``, ``referred, moving average``, ``class X``, ``confidence``, ``novelty``; see
        `sorby.evidence.control_charts.ControlChart`.
    not_charted : dict of str to str
        What could not be charted, and why.
    alarms : list of dict
        Of all charts: ``chart``, ``period``, ``first_period``, ``rule``, ``meaning``, ``high``, ``value``, ``n``,
        ``in_baseline``; newest first.
    """

    bundle: str
    name: str
    instrument: str | None
    periods: list[str]
    images: list[int]
    charts: dict[str, dict[str, Any]]
    not_charted: dict[str, str]
    alarms: list[dict[str, Any]]


def drift(
    desk: Desk,
    actor: Actor,
    bundle: str,
    *,
    instrument: str | None = None,
    period: Period = "week",
    baseline: int = 12,
) -> Drift:
    """Chart a bundle's verdicts over time.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    bundle : str
        SHA-256.
    instrument : str, optional
        Only its images.
    period : {"week", "day"}
        ISO weeks, or days, in UTC.
    baseline : int
        The first so many periods show the undisturbed process.

    Returns
    -------
    Drift
        What one kind of chart cannot show for lack of images is in ``not_charted``.

    Raises
    ------
    NotFound
        No such bundle.
    InputError
        It has not inspected anything (of that instrument), or for too many periods.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        name = bundles.find(session, bundle).name
        query = (
            select(
                tables.Inspection.at, tables.Inspection.label, tables.Inspection.confidence, tables.Inspection.novelty,
                tables.Inspection.referred,
            )
            .join(tables.Image, tables.Image.sha256 == tables.Inspection.image)
            .where(tables.Inspection.bundle == bundle)
        )  # fmt: skip
        if instrument is not None:
            query = query.where(tables.Image.instrument == instrument)
        seen = pd.DataFrame(session.execute(query).all(), columns=["at", "label", "confidence", "novelty", "referred"])
    if seen.empty:
        raise InputError("no verdicts to chart", "inspect images with this bundle first")
    periods, place = _periods(seen["at"], period)
    n = np.bincount(place, minlength=len(periods))
    charts, not_charted = dict[str, ControlChart](), dict[str, str]()

    def chart(title: str, make: Callable[[], ControlChart]) -> None:
        try:
            charts[title] = make()
        except InputError as error:
            not_charted[title] = error.message

    referred = np.bincount(place[seen["referred"].to_numpy(dtype=bool)], minlength=len(periods))
    chart("referred", partial(_share, referred, n, baseline))
    if "referred" in charts:
        first = charts["referred"]
        average = partial(ewma_chart, first.values, baseline, errors=first.errors, sizes=n)
        chart("referred, moving average", average)
    labels = seen["label"].value_counts().head(_CLASSES).index
    for label in labels:
        count = np.bincount(place[(seen["label"] == label).to_numpy()], minlength=len(periods))
        chart(f"class {label}", partial(_share, count, n, baseline))
    for column in ("confidence", "novelty"):
        chart(column, partial(_mean, seen[column], place, len(periods), baseline))
    alarms = [
        {**vars(alarm), "chart": title, "first_period": periods[alarm.first], "period": periods[alarm.last],
         "meaning": described["meaning"]}
        for title, made in charts.items()
        for alarm, described in zip(made.alarms, made.as_dict()["alarms"], strict=True)
    ]  # fmt: skip
    alarms.sort(key=lambda alarm: (alarm["last"], alarm["first"]), reverse=True)
    return Drift(
        bundle, name, instrument, periods, n.tolist(), {title: made.as_dict() for title, made in charts.items()},
        not_charted, alarms,
    )  # fmt: skip


def instruments(desk: Desk, actor: Actor, bundle: str) -> list[str]:
    """Return the instruments whose images a bundle has inspected."""
    query = (
        select(tables.Image.instrument)
        .join(tables.Inspection, tables.Inspection.image == tables.Image.sha256)
        .where(tables.Inspection.bundle == bundle, tables.Image.instrument != "")
        .distinct()
    )
    with desk.looking(actor, Permission.LOOK) as session:
        return sorted(session.scalars(query))


def _periods(at: pd.Series[str], period: Period) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the names of all periods from the first to the last, and the period of each time."""
    days = pd.to_datetime(at.str.slice(0, 10), format="%Y-%m-%d").dt
    numbers = days.to_period("W-SUN" if period == "week" else "D")
    span = pd.period_range(numbers.min(), numbers.max())
    if len(span) > MOST_PERIODS:
        raise InputError(f"{len(span)} periods", f"at most {MOST_PERIODS} are charted: take weeks")
    names = [each.start_time.strftime("%G-W%V" if period == "week" else "%Y-%m-%d") for each in span]
    return names, np.asarray(span.get_indexer(pd.PeriodIndex(numbers)), dtype=np.int64)


def _share(count: Any, n: Any, baseline: int) -> ControlChart:
    """Chart a share: Laney's limits where there are images enough for them, exact binomial ones elsewhere."""
    there = n[:baseline] > 0
    expected = count[:baseline].sum() / max(1, there.sum())
    if there.sum() >= 2 and expected >= _ENOUGH:
        try:
            laney = laney_p_chart(count, n, baseline)
        except InputError:  # a baseline that does not vary at all: binomial limits have a width
            return p_chart(count, n, baseline, tails="exact")
        # Less spread than the images alone explain is chance; the limits are no narrower than binomial ones.
        if laney.dispersion >= 1:
            return laney
    return p_chart(count, n, baseline, tails="exact")


def _mean(values: pd.Series[float], place: Any, periods: int, baseline: int) -> ControlChart:
    """Chart the mean of each period, its limits widened by how much periods differ."""
    grouped = pd.to_numeric(values, errors="coerce").groupby(place)
    index = range(periods)
    means, sds = grouped.mean().reindex(index).to_numpy(), grouped.std().reindex(index).to_numpy()
    n = grouped.count().reindex(index, fill_value=0).to_numpy()
    if not n.any():
        raise InputError("this bundle gives none", "see its other charts")
    if (n[:baseline] > 0).sum() >= 2:
        try:
            return xbar_chart(means, sds, n, baseline, between=True)
        except InputError:
            return individuals_chart(means, baseline, sizes=n)
    return xbar_chart(means, sds, n, baseline)

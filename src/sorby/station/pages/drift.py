"""Drift: control charts of what a bundle says, over time."""

from __future__ import annotations

from typing import Any

from sorby.station import bundles, drift
from sorby.station.pages.chart import control_chart, show_svg
from sorby.station.pages.elements import box, choice, empty, field, heading, mark, note, table, text
from sorby.station.pages.frame import Visitor, head, page
from sorby.station.pages.wording import figure
from sorby.station.permissions import Permission

_KINDS = {
    "p": "Shares (p chart)", "laney-p": "Shares (Laney\u2019s p\u2032 chart)", "ewma": "Moving average (EWMA)",
    "x-bar": "Means (X-bar chart)", "individuals": "Single values",
}  # fmt: skip
_TITLES = {
    "referred": "Share of referred images", "referred, moving average": "Share of referred images, moving average",
    "confidence": "Mean confidence", "novelty": "Mean novelty p-value",
}  # fmt: skip


async def _build(visitor: Visitor) -> None:
    with head("Drift", "A bundle does not change; images, instruments and specimens do. Points outside their limits "
              "and runs that chance seldom makes are alarms."):  # fmt: skip
        pass
    found = await visitor.ask(bundles.listed)
    if not found:
        empty("No bundle yet, so nothing to chart.")
        return
    with box("filters"):
        bundle = choice("Bundle", {each["sha256"]: f"{each['name']} ({each['state']})" for each in found})
        known = await visitor.ask(drift.instruments, str(bundle.value))
        instrument = choice("Instrument", {"": "All", **{name: name for name in known}})
        period = choice("Period", {"week": "Weeks", "day": "Days"})
        baseline = field("Periods of the baseline", "12", "number", hint="the first ones show the undisturbed process")

    async def look() -> None:
        place.clear()
        told = await visitor.ask(
            drift.drift, str(bundle.value), instrument=str(instrument.value) or None, period=period.value,
            baseline=int(baseline.number or 12),
        )  # fmt: skip
        with place:
            _charts(told)

    for each in (bundle, instrument, period, baseline):
        each.on_value_change(lambda _event: visitor.does(look)())
    place = box("stack wide-gap")
    await look()


def _charts(told: drift.Drift) -> None:
    if not told.alarms:
        note(f"No alarm in {len(told.periods)} periods with {sum(told.images)} images.", "good")
    else:
        table(
            ["Period", "Chart", "Rule", "Value", "Images"],
            [
                [each["period"], _titled(each["chart"]), each["meaning"],
                 figure(each["value"]), each["n"] if each["n"] is not None else ""]
                for each in told.alarms[:30]
            ],
            caption=f"{len(told.alarms)} alarms, the newest first",
            figures=(3, 4),
        )  # fmt: skip
    with box("halves"):
        for name, chart in told.charts.items():
            with box("sheet stack tight", "section"):
                _chart(_titled(name), chart, told.periods)
    for warning in dict.fromkeys(str(each) for chart in told.charts.values() for each in chart["warnings"]):
        note(f"{warning[:1].upper()}{warning[1:]}.")
    for name, reason in told.not_charted.items():
        note(f"{_titled(name)}: not charted, {reason}.")


def _titled(name: str) -> str:
    return _TITLES.get(name) or f"Share of {name.removeprefix('class ')}"


def _chart(title: str, chart: dict[str, Any], periods: list[str]) -> None:
    alarms = ["" for _ in periods]
    for alarm in chart["alarms"]:
        alarms[alarm["last"]] = alarm["meaning"]
    with box("row ends"):
        heading(title, 3)
        count = len(chart["alarms"])
        mark(f"{count} alarms" if count else "in control", "bad" if count else "good")
    words = f"{title}: {len(periods)} periods, {periods[0]} to {periods[-1]}, centre {figure(chart['centre'])}"
    show_svg(
        control_chart(
            periods, chart["values"], [chart["centre"]] * len(periods), chart["lower"], chart["upper"], alarms,
            title=words, baseline=sum(bool(each) for each in chart["baseline"]),
        )
    )  # fmt: skip
    text(f"{_KINDS.get(chart['kind'], chart['kind'])}; grey: the baseline; dashed: limits", "small soft")


def put() -> None:
    """Put the page on the station."""
    page("/drift", "Drift", Permission.LOOK)(_build)

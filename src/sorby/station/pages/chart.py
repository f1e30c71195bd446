"""Charts as inline SVG: drawn here, read out by their tables, without a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from nicegui import ui

_WIDE, _HIGH = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 34


def control_chart(
    labels: Sequence[str],
    values: Sequence[float | None],
    centre: Sequence[float | None],
    lower: Sequence[float | None],
    upper: Sequence[float | None],
    alarms: Sequence[str],
    *,
    title: str,
    baseline: int = 0,
) -> str:
    """Return a control chart as SVG.

    Parameters
    ----------
    labels : sequence of str
        Of the periods.
    values, centre, lower, upper : sequences of float or None
        The statistic, its centre line and its limits, one a period; None leaves a gap.
    alarms : sequence of str
        Names of the rules that a period breaks; empty where it breaks none.
    title : str
        What is charted; read out instead of the picture.
    baseline : int
        How many periods the limits are from; they stand on a grey ground.
    """
    known = [each for line in (values, lower, upper, centre) for each in line if each is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    step = (_WIDE - _LEFT - _RIGHT) / max(1, len(labels))

    def x(k: int) -> float:
        return _LEFT + step * (k + 0.5)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HIGH - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{escape(title, quote=True)}">',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{step * baseline:.1f}" height="{_HIGH - _TOP - _BOTTOM}" fill="#f0eee8"/>'
        if baseline
        else "",
    ]
    parts += _steps(upper, x, y, step, "#9b1c1c", "6 4") + _steps(lower, x, y, step, "#9b1c1c", "6 4")
    parts += _steps(centre, x, y, step, "#4e5b66", "")
    parts.append(_line(values, x, y))
    for k, value in enumerate(values):
        if value is None:
            continue
        where = f"{escape(labels[k])}: {value:.4g}" + (f" \u2013 {escape(alarms[k])}" if alarms[k] else "")
        shape = (
            f'<path d="M{x(k):.1f} {y(value) - 8:.1f}l8 14h-16z" fill="#9b1c1c" stroke="#fff">'
            if alarms[k]
            else f'<circle cx="{x(k):.1f}" cy="{y(value):.1f}" r="4" fill="#17586f" stroke="#fff">'
        )
        parts.append(f"{shape}<title>{where}</title></{'path' if alarms[k] else 'circle'}>")
    parts += [
        f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in _ticks(low, high)
    ]
    every = max(1, -(-len(labels) // 8))
    parts += [
        f'<text x="{x(k):.1f}" y="{_HIGH - 12}" text-anchor="middle">{escape(label)}</text>'
        for k, label in enumerate(labels)
        if k % every == 0
    ]
    return "".join([*parts, "</svg>"])


def show_svg(svg: str) -> None:
    """Show an SVG that was drawn here, every text in it escaped."""
    ui.html(svg, sanitize=False).classes("chart")


def _line(values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    path, broken = "", True
    for k, value in enumerate(values):
        if value is None:
            broken = True
            continue
        path += f"{'M' if broken else 'L'}{x(k):.1f} {y(value):.1f}"
        broken = False
    return f'<path d="{path}" fill="none" stroke="#17586f" stroke-width="2"/>'


def _steps(
    values: Sequence[float | None],
    x: Callable[[int], float],
    y: Callable[[float], float],
    step: float,
    colour: str,
    dashes: str,
) -> list[str]:
    return [
        f'<path d="M{x(k) - step / 2:.1f} {y(value):.1f}h{step:.1f}" stroke="{colour}" stroke-width="1.5"'
        f' stroke-dasharray="{dashes}" fill="none"/>'
        for k, value in enumerate(values)
        if value is not None
    ]


def _ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers between two others."""
    raw = (high - low) / 4
    power = 10.0 ** int(f"{raw:e}".split("e")[1])
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= raw)
    first = -(-low // step)
    return [step * (first + k) for k in range(8) if step * (first + k) <= high]

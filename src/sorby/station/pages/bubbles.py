"""The bubble plot of a round robin: images across, codes up, how often each was chosen."""

from __future__ import annotations

from html import escape
from typing import Any

_CELL, _LEFT, _BOTTOM = 40, 70, 64


def bubble_plot(chosen: dict[str, Any]) -> str:
    """Return the plot as SVG.

    Parameters
    ----------
    chosen : dict
        ``codes``, ``items``, ``labels``, ``counts`` and ``right`` (items by codes) of `sorby.study.results`.
    """
    codes, items = chosen["codes"], chosen["items"]
    wide, high = _LEFT + _CELL * len(items) + 10, 10 + _CELL * len(codes) + _BOTTOM
    most = max((count for row in chosen["counts"] for count in row), default=1) or 1
    words = f"{len(items)} images, {len(codes)} codes; the table of raters gives the figures"
    parts = [
        f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="{escape(words, quote=True)}" '
        f'style="max-width: {wide * 1.3:.0f}px">'
    ]
    for j, code in enumerate(codes):
        y = 10 + _CELL * (len(codes) - j - 0.5)
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 4:.0f}" text-anchor="end">{escape(code)}</text>')
        parts.append(f'<path d="M{_LEFT} {y:.0f}H{wide - 10}" stroke="#eceae4"/>')
    for k, item in enumerate(items):
        x = _LEFT + _CELL * (k + 0.5)
        below = 10 + _CELL * len(codes) + 20
        parts.append(f'<text x="{x:.0f}" y="{below}" text-anchor="middle">{escape(item)}</text>')
        label = escape(str(chosen["labels"][k]) or "\u2013")
        parts.append(f'<text x="{x:.0f}" y="{below + 18}" text-anchor="middle">{label}</text>')
        for j, code in enumerate(codes):
            y = 10 + _CELL * (len(codes) - j - 0.5)
            count, right = chosen["counts"][k][j], chosen["right"][k][j]
            if not count and not right:
                continue
            radius = 7 + (_CELL / 2 - 8) * (count / most) ** 0.5
            said = f"{escape(item)}, {escape(code)}: {count}"
            if not count:
                parts.append(
                    f'<circle cx="{x:.0f}" cy="{y:.0f}" r="8" fill="none" stroke="#1b6238" stroke-width="2" '
                    f'stroke-dasharray="4 3"><title>{said}, the label, chosen by nobody</title></circle>'
                )
                continue
            colour = "#1b6238" if right else "#1d4f91"
            parts.append(
                f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" fill="{colour}"><title>{said}</title></circle>'
            )
            if not right:
                edge = radius * 0.7
                parts.append(
                    f'<path d="M{x - edge:.1f} {y + edge:.1f}L{x + edge:.1f} {y - edge:.1f}" stroke="#8fb3e0"/>'
                )
            parts.append(
                f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" style="fill:#fff;font-weight:600">'
                f"{count}</text>"
            )
    parts.append(f'<text x="{_LEFT - 10}" y="{10 + _CELL * len(codes) + 38}" text-anchor="end">label</text>')
    return "".join([*parts, "</svg>"])

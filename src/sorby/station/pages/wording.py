"""How the pages write times, shares and states."""

from __future__ import annotations

import json
from typing import Any

STATE_TONES = {
    "clear": "good", "waiting": "warn", "accepted": "good", "corrected": "accent", "rejected": "bad",
}  # fmt: skip
"""Tone of each state of an inspection."""


def when(time: str | None) -> str:
    """Write a time of the database for people.

    Examples
    --------
    >>> when("2026-01-31T09:05:12.123456Z")
    '2026-01-31 09:05 UTC'
    """
    return f"{time[:10]} {time[11:16]} UTC" if time else "\u2013"


def percent(share: float | None, digits: int = 0) -> str:
    """Write a share in per cent; a dash where there is none.

    Examples
    --------
    >>> percent(0.934), percent(0.9342, 1)
    ('93 %', '93.4 %')
    """
    return "\u2013" if share is None else f"{100 * share:.{digits}f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number; a dash where there is none."""
    return "\u2013" if value is None else f"{value:.{digits}f}"


def length(um: float | None) -> str:
    """Write a length in the unit that fits.

    Examples
    --------
    >>> length(1234.5), length(12.345), length(0.1857)
    ('1.23 mm', '12.3 \u00b5m', '186 nm')
    """
    if um is None:
        return "\u2013"
    if um >= 1000:
        return f"{um / 1000:.3g} mm"
    return f"{um:.3g} \u00b5m" if um >= 1 else f"{um * 1000:.3g} nm"


def scale_words(pixel_size_um: float | None, source: str) -> str:
    """Say an image's scale and where it is from."""
    if not pixel_size_um:
        return "unknown"
    sources = {
        "user": "stated by a person", "info-bar": "read from the info bar", "file": "from the file",
        "tiff": "from the file's tags",
    }  # fmt: skip
    return f"{length(pixel_size_um)} a pixel, {sources.get(source, source)}"


def plain(value: Any) -> str:
    """Write a value of the record for people: text as it is, the rest as short JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)

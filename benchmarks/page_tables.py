"""Cells and tables of the benchmark page."""

from __future__ import annotations

from typing import Any


def percent(entry: dict[str, Any] | None, key: str = "value") -> str:
    """Return ``99.89 % [99.60, 99.97]``."""
    if entry is None:
        return "-"
    value = entry.get(key, entry.get("mean"))
    bounds = entry["ci95"]
    interval = "" if bounds is None else f" [{100 * bounds[0]:.2f}, {100 * bounds[1]:.2f}]"
    return f"{100 * value:.2f} %{interval}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)

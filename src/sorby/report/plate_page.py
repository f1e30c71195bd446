"""The page of plates: each map, its area fractions, what was not judged, and how the surface looks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.report.experiment_page import Column, Table, written
from sorby.report.page import render

_REASONS = {
    "novel": "unlike the images the model was taught on",
    "set-empty": "no grade fits",
    "set-wide": "may be any of several grades",
}
_COLUMNS = (
    Column("grade", "severity"),
    Column("fraction", "area fraction, as called", "share"),
    Column("corrected", "corrected for the test's confusion", "share"),
    Column("least", "at least", "share"),
    Column("most", "at most", "share"),
)


def plate_page(result: Mapping[str, Any], maps: Sequence[bytes]) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    result : mapping
        From `sorby.workflow.measuring.plates.measure_plates`.
    maps : sequence of bytes
        PNG of each plate.
    """
    made = provenance.describe()
    parts = []
    for entry, picture in zip(result["plates"], maps, strict=True):
        rows = [
            {"grade": name, "fraction": one, "corrected": one["corrected"], "least": one["bounds"][0],
             "most": one["bounds"][1]}
            for name, one in entry["fractions"].items()
        ]  # fmt: skip
        caption = "Area fractions of the judged area; at least and at most: of the whole plate, whatever is not judged."
        parts.append(
            {
                "entry": entry,
                "name": Path(entry["file"]).name,
                "map": "data:image/png;base64," + base64.b64encode(picture).decode("ascii"),
                "table": written(Table(caption, _COLUMNS, rows)),
                "not_judged": [(_REASONS.get(why, why), n) for why, n in entry["not_judged"].items()],
            }
        )
    return render(
        "plate.html",
        title="Severity of plates",
        sorby_version=made["versions"]["sorby"],
        created=str(made["created"])[:16].replace("T", " ") + " UTC",
        parts=parts,
        result=result,
    )

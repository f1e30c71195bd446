"""A published paper's tables and figures, theirs beside ours, as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorby.report.experiment_page import Figure, Table, written
from sorby.report.page import drawing, render
from sorby.report.thumbnails import Picture


@dataclass(frozen=True)
class Part:
    """One table or figure of the paper.

    Attributes
    ----------
    title : str
    text : sequence of str
    tables : sequence of Table
    figures : sequence of Figure
    pictures : sequence of (Picture, str)
        Pictures with their captions.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    pictures: Sequence[tuple[Picture, str]] = field(default_factory=list)


def paper_page(
    title: str, lead: Sequence[str], flaws: Sequence[str], parts: Sequence[Part], provenance: Mapping[str, Any]
) -> str:
    """Return the page.

    Parameters
    ----------
    title : str
    lead : sequence of str
        What the reader must know first.
    flaws : sequence of str
        What must be known to read the published figures.
    parts : sequence of Part
    provenance : mapping
        From `sorby.provenance.describe`.
    """
    shown = [
        {
            "title": part.title,
            "text": part.text,
            "tables": [written(table) for table in part.tables],
            "drawn": [{"svg": drawing(f.svg), "caption": f.caption, "least": f.least_px} for f in part.figures],
            "pictures": part.pictures,
        }
        for part in parts
    ]
    return render(
        "paper.html",
        title=title,
        sorby_version=provenance["versions"]["sorby"],
        created=str(provenance["created"])[:16].replace("T", " ") + " UTC",
        lead=lead,
        flaws=flaws,
        parts=shown,
    )

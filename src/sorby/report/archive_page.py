"""The match report of an archive as one HTML file: what was matched, how surely, and what a person should look at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sorby._version import __version__
from sorby.errors import ImageError
from sorby.micrograph import read
from sorby.report.archive_figures import class_bars, magnification_by_class, match_confidence
from sorby.report.page import drawing, render
from sorby.report.thumbnails import Picture, embed, shrink
from sorby.report.wording import count, listed, percent

_SHOTS, _ROWS, _LINES = 48, 300, 100
_SHOT_PX = 260
_PUBLISHED = {"unmatched": "23 %", "fuzzy": "below 10 %"}
"""Shares of the fracture-surface study's archive: another one, so they say what is usual, not what is right."""


@dataclass(frozen=True, eq=False)
class ArchiveFacts:
    """Everything the page says.

    Attributes
    ----------
    result : mapping
        What building the corpus returned.
    table : DataFrame
        All rows of the corpus.
    review : DataFrame
        The review table.
    root : Path
        Folder that its images lie in.
    limit : float
        Confidence below which matches are reviewed.
    """

    result: Mapping[str, Any]
    table: pd.DataFrame
    review: pd.DataFrame
    root: Path
    limit: float


@dataclass(frozen=True)
class ReviewShot:
    """An image to be looked at."""

    picture: Picture | None
    row: Mapping[str, Any]


def archive_page(facts: ArchiveFacts) -> str:
    """Return the page of an archive.

    Parameters
    ----------
    facts : ArchiveFacts

    Returns
    -------
    str
        HTML without any outside reference.
    """
    table, result = facts.table, facts.result
    matched = table[table["match"] != "unmatched"]
    usable = table[table["exclusion"].isna() & table["label"].notna()]
    open_rows = facts.review.head(_ROWS).to_dict("records")
    return render(
        "archive.html",
        title="From the archive to a corpus",
        sorby_version=__version__,
        result=result,
        sentences=_sentences(facts),
        cards=_cards(result["matched"]),
        confidence_svg=drawing(match_confidence(matched["match_confidence"], list(matched["match"]), facts.limit))
        if len(matched)
        else None,
        classes_svg=drawing(class_bars(result["classes"])) if result["classes"] else None,
        magnification_svg=drawing(magnification_by_class(usable)) if usable["magnification"].notna().any() else None,
        unknown_magnification=int(usable["magnification"].isna().sum()),
        contradicted=int(table["magnification_conflict"].notna().sum()),
        shots=_shots(facts),
        rows=open_rows,
        sure=_sure,
        n_review=len(facts.review),
        limit=facts.limit,
        conflicts=result["conflicts"][:_LINES],
        without_images=listed(result["without_images"], 40),
        report_problems=result["report_problems"][:_LINES],
        quarantined=result["quarantined"][:_LINES],
    )


def _sure(confidence: float | str | None) -> str:
    """Return a confidence with two digits, also one kept as text; above .99 a rule of thumb knows no differences."""
    value = math.nan if confidence is None or confidence == "" else float(confidence)
    if math.isnan(value):
        return "none"
    return "over 0.99" if value > 0.99 else f"{value:.2f}"


def _sentences(facts: ArchiveFacts) -> list[str]:
    result, counts = facts.result, facts.result["matched"]
    total = max(sum(counts.values()), 1)
    found = total - counts["unmatched"]
    lines = [
        f"{found} of {count(total, 'image')} ({percent(found / total)}) belong to a report; "
        f"{counts['unmatched']} are kept aside.",
        f"{result['usable']} take part, in {count(len(result['classes']), 'class', 'classes')} and "
        f"{count(result['specimens'], 'specimen')}.",
    ]
    if result["reviewed"]:
        lines.append(f"{count(result['reviewed'], 'image')} follow a person's correction.")
    return lines


def _cards(counts: Mapping[str, int]) -> list[dict[str, str]]:
    meaning = {
        "exact": "the name's FOAN is a report's",
        "fuzzy": "the nearest FOAN, above the similarity asked for",
        "tie": "several FOANs equally near, the serial number decided",
        "unmatched": "kept aside",
    }
    total = max(sum(counts.values()), 1)
    return [
        {
            "what": kind.capitalize(),
            "n": str(number),
            "share": percent(number / total),
            "small": meaning[kind] + (f"; published archive: {_PUBLISHED[kind]}" if kind in _PUBLISHED else ""),
        }
        for kind, number in counts.items()
    ]


def _shots(facts: ArchiveFacts) -> list[ReviewShot]:
    """Return thumbnails of what is to be reviewed, one of each series; ties and fuzzy matches first."""
    review = facts.review
    order = pd.Categorical(review["match"], ["tie", "fuzzy", "exact", "unmatched"], ordered=True)
    series = review["foan_read"].fillna(review["image"]).astype(str) + review["serial_read"].fillna("").astype(str)
    ranked = review.assign(_order=order, _series=series)
    ranked = ranked.sort_values(["_order", "match_confidence"], kind="stable").drop_duplicates("_series").head(_SHOTS)
    return [
        ReviewShot(_thumbnail(facts.root / str(row["image"])), {str(key): value for key, value in row.items()})
        for row in ranked.to_dict("records")
    ]


def _thumbnail(file: Path) -> Picture | None:
    """Return a small picture; None where the file has gone, which the page says."""
    try:
        return embed(shrink(read(file).pixels, _SHOT_PX), file.name)
    except (ImageError, OSError):
        return None

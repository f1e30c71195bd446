"""The audit's page: read the leaking pairs again, small, and write page and figures into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.corpus import Corpus
from sorby.errors import ImageError
from sorby.files import write_json, write_text
from sorby.micrograph import read
from sorby.report.leakage_page import LeakageFacts, Twins, leakage_page
from sorby.report.thumbnails import Picture, embed, shrink

PAGE, FIGURES = "audit.html", "audit.json"
_LONGEST_PX = 192


def write_leakage_report(out: Path, found: Mapping[str, Any], corpus: Corpus, name: str, seed: int) -> Path:
    """Write ``audit.html`` and ``audit.json``.

    Parameters
    ----------
    out : Path
        Folder.
    found : mapping
        What `sorby.workflow.corpora.audit_corpus` returns.
    corpus : Corpus
        The usable rows that were audited.
    name : str
        What was audited, for the title.
    seed : int

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    table = found.get("table1")
    paths = corpus.paths()
    twins = [
        Twins((_small(paths[pair["rows"][0]]), _small(paths[pair["rows"][1]])), pair)
        for pair in (table["pairs"] if table else ())
    ]
    page = leakage_page(LeakageFacts(found, twins, name, provenance.describe(seed)))
    write_json(out / FIGURES, dict(found))
    write_text(out / PAGE, page)
    return out / PAGE


def _small(path: Path) -> Picture | None:
    """Return a picture for the page, None where the file went since; the page says so."""
    try:
        pixels = read(path).pixels
    except ImageError:
        return None
    return embed(shrink(pixels, _LONGEST_PX), path.name)

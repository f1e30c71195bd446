"""``run_paper``: regenerate a paper's tables and figures as one page and its JSON."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import write_json, write_text
from sorby.report.paper_page import paper_page
from sorby.workflow.experiments.registry import Request
from sorby.workflow.papers import durmaz2023
from sorby.workflow.papers.steel import paper_s1
from sorby.workflow.phantoms import published_steel

PAPERS = {"S1": "Durmaz et al. 2023: microstructure quality control of steels"}
"""Papers whose tables and figures can be drawn again."""

_LEAD = (
    "Published numbers stand beside ours for orientation. A cell marked 'not comparable' was found on other images or"
    " by another protocol: the two must not be ranked against each other.",
)


def run_paper(
    name: str,
    out: Path | str,
    data: Corpus | Path | str | None = None,
    *,
    recipe: Recipe | None = None,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    folds: int | None = None,
    min_count: int = 20,
    maps: bool = True,
) -> dict[str, Any]:
    """Draw a paper's tables and figures again.

    Parameters
    ----------
    name : str
        A key of `PAPERS`.
    out : path
        Gets ``paper.json`` and ``report.html``.
    data : Corpus or path, optional
        A corpus with structure codes as labels and columns ``subtype`` and ``size_class``; phantoms at the published
        counts where absent (rendered once, kept in the cache).
    recipe : Recipe, optional
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    folds : int, optional
    min_count : int
        Fewest images of a class that takes part; 20 leaves the paper's eight on its counts.
    maps : bool
        Whether figures with maps of attention are made.

    Returns
    -------
    dict
        ``paper``, ``table`` (rows of Table 2), ``cells`` (every table), ``report``, ``seconds``, ``warnings``.

    Raises
    ------
    InputError
        No such paper, or the data lack a column.
    """
    started = time.perf_counter()
    if name not in PAPERS:
        raise InputError(f"no paper {name!r}", f"papers: {', '.join(PAPERS)}")
    out, base = Path(out), recipe or Recipe()
    source = published_steel() / "labels.csv" if data is None else data
    columns = {"label": label, "group": group, "image": image}
    options = {"folds": folds, "min_count": min_count, "maps": maps}
    parts, cells, warnings = paper_s1(Request(source, out, base, device, columns, options))
    shutil.rmtree(out / "state", ignore_errors=True)
    facts = provenance.describe(base.seed)
    title = f"{PAPERS[name]}: published beside ours"
    out.mkdir(parents=True, exist_ok=True)
    write_text(
        out / "report.html",
        paper_page(title, [*_LEAD, *cells["differences"], *warnings], durmaz2023.FLAWS, parts, facts),
    )
    result = {
        "paper": name,
        "table": cells["table_2"],
        "cells": cells,
        "warnings": warnings,
        "report": str(out / "report.html"),
        "seconds": time.perf_counter() - started,
    }
    write_json(out / "paper.json", {**result, "provenance": facts})
    return result

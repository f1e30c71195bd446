"""A paper's tables and figures drawn again, as one page and its JSON: the papers of steel, corrosion, membranes and
fractures.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import write_json, write_text
from sorby.report.paper_page import Part, paper_page
from sorby.workflow.experiments.registry import Request
from sorby.workflow.papers import bhat2023, durmaz2023, schmid2026, yan2023
from sorby.workflow.papers.corrosion import CorrosionOptions, paper_s2
from sorby.workflow.papers.corrosion_phantoms import published_corrosion
from sorby.workflow.papers.fracture import FractureOptions, paper_s4
from sorby.workflow.papers.fracture_archive import SPECIMENS, published_fracture
from sorby.workflow.papers.membrane import MembraneRequest, paper_s3
from sorby.workflow.papers.membrane_detection import DetectionRequest, detection_parts
from sorby.workflow.papers.membrane_sheets import published_membrane
from sorby.workflow.papers.steel import paper_s1
from sorby.workflow.phantoms import published_steel

PAPERS = {
    "S1": "Durmaz et al. 2023: microstructure quality control of steels",
    "S2": "Bhat et al. 2023: surfaces of 316L and AZ31B, and their electrochemistry",
    "S3": "Yan et al. 2023: in-line defect detection in fuel-cell membranes",
    "S4": "Schmid et al. 2026: causes of fracture in zirconia-toughened alumina",
}
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
    """Draw the tables and figures of a paper of classification again.

    Parameters
    ----------
    name : str
        ``S1``.
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
    if name != "S1":
        raise InputError(f"no paper {name!r} of classification", "S1; see run_membrane_paper and run_fracture_paper")
    out, base = Path(out), recipe or Recipe()
    source = published_steel() / "labels.csv" if data is None else data
    columns = {"label": label, "group": group, "image": image}
    options = {"folds": folds, "min_count": min_count, "maps": maps}
    parts, cells, warnings = paper_s1(Request(source, out, base, device, columns, options))
    shutil.rmtree(out / "state", ignore_errors=True)
    lead = [*_LEAD, *cells["differences"], *warnings]
    return _finished(name, out, lead, durmaz2023.FLAWS, parts, cells, cells["table_2"], warnings, base.seed, started)


def run_membrane_paper(
    out: Path | str,
    data: Corpus | Path | str | None = None,
    *,
    request: MembraneRequest | None = None,
    scale: float = 1.0,
    detection: DetectionRequest | None = None,
    anomaly: bool = True,
) -> dict[str, Any]:
    """Draw the membrane paper's tables and figures again: anomaly detection, few-shot detection, or both.

    Parameters
    ----------
    out : path
        Gets ``paper.json`` and ``report.html``.
    data : Corpus or path, optional
        Sheets with masks, see `sorby.workflow.anomaly.sheets.read_sheets`; phantoms of the eight published sheets
        where absent (rendered once, kept in the cache).
    request : MembraneRequest, optional
        What to run of anomaly detection; its ``data`` is replaced.
    scale : float
        Of the phantoms' sheets in relation to 8 x 11 inches; smaller ones are quicker and easier.
    detection : DetectionRequest, optional
        What to run of few-shot detection, which has data of its own; left out where None.
    anomaly : bool
        Whether anomaly detection is run.

    Returns
    -------
    dict
        ``paper``, ``table`` (rows of Tables 1 to 7, as far as they were run), ``cells``, ``report``, ``seconds``,
        ``warnings``.

    Raises
    ------
    InputError
        The data hold no set of sheets or crops, or too few.
    MissingPartError
        The network's weights are not at hand.
    """
    started = time.perf_counter()
    if not anomaly and detection is None:
        raise InputError("neither anomaly detection nor few-shot detection is asked for", "ask for one")
    parts: list[Part] = []
    cells: dict[str, Any] = {}
    warnings: list[str] = []
    lead = [*_LEAD]
    asked = request or MembraneRequest(data="")
    seed = asked.settings.seed if anomaly or detection is None else detection.settings.seed
    if anomaly:
        source = published_membrane(scale, seed) if data is None else data
        parts, cells, warnings = paper_s3(replace(asked, data=source))
        if data is None and scale != 1:
            warnings.append(
                f"sheets of {scale:g} of the published size: defects shrink less in sub-images, fewer good tiles"
            )
        lead += cells["differences"]
    if detection is not None:
        further, found, notes = detection_parts(detection, _pinhole_seconds(cells))
        parts, cells, warnings = [*parts, *further], {**cells, **found}, [*warnings, *notes]
        lead.append("Few-shot detection has differences of its own, which stand before its tables.")
    rows = [row for number in range(1, 8) for row in cells.get(f"table_{number}", ())]
    return _finished(
        "S3", Path(out), [*lead, *warnings], yan2023.FLAWS, parts, cells, rows, warnings, seed, started
    )  # fmt: skip


def _pinhole_seconds(cells: dict[str, Any]) -> float | None:
    """Return what our anomaly maps took for one pinhole test, in seconds; None where they were not run."""
    found = [row["ours"]["value"] for row in cells.get("table_2", ()) if row["key"] == "total_s"]
    return float(found[0]) if found else None


def run_fracture_paper(
    out: Path | str,
    data: Corpus | Path | str | None = None,
    *,
    recipe: Recipe | None = None,
    options: FractureOptions | None = None,
    specimens: int = SPECIMENS,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    before: Sequence[Part] = (),
) -> dict[str, Any]:
    """Draw the fracture paper's tables and figures again.

    Parameters
    ----------
    out : path
        Gets ``paper.json`` and ``report.html``.
    data : Corpus or path, optional
        SEM pictures with columns ``specimen`` and ``magnification``, as ``sorby corpus build ARCHIVE --reports DIR``
        makes them; where absent, an archive of phantoms is rendered once, read, and kept in the cache.
    recipe : Recipe, optional
        The packaged recipe ``fracture-frozen`` where absent; ``fracture-vit`` is the published one.
    options : FractureOptions, optional
    specimens : int
        Phantoms, where *data* is absent.
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    before : sequence of Part
        Further parts of the page that stand before the paper's.

    Returns
    -------
    dict
        ``paper``, ``table`` (rows of Table 2 and the supplement), ``cells``, ``report``, ``seconds``, ``warnings``.

    Raises
    ------
    InputError
        The data name no specimens or magnifications, or too few.
    """
    started = time.perf_counter()
    out, base = Path(out), recipe or recipes.load("fracture-frozen")
    source = published_fracture(specimens) if data is None else data
    request = Request(source, out, base, device, {"label": label, "group": group, "image": image}, {})
    parts, cells, warnings = paper_s4(request, options or FractureOptions())
    shutil.rmtree(out / "state", ignore_errors=True)
    if data is None:
        warnings.append(f"{specimens} phantom specimens; the paper had {schmid2026.IMAGES} pictures of some 790")
    lead = [*_LEAD, *cells["differences"], *warnings]
    return _finished(
        "S4", out, lead, schmid2026.FLAWS, [*before, *parts], cells, cells["table_2"], warnings, base.seed, started
    )


def run_corrosion_paper(
    out: Path | str,
    data: Corpus | Path | str | None = None,
    *,
    options: CorrosionOptions | None = None,
    seed: int = 0,
    device: Device = "auto",
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    before: Sequence[Part] = (),
) -> dict[str, Any]:
    """Draw the corrosion paper's tables and figures again.

    Parameters
    ----------
    out : path
        Gets ``paper.json`` and ``report.html``.
    data : Corpus or path, optional
        SEM pictures of two alloys; 12 and 13 phantoms where absent, rendered once and kept in the cache.
    options : CorrosionOptions, optional
    seed : int
    device : {"auto", "cpu", "cuda"}
    label, group, image : str, optional
        Columns of a table.
    before : sequence of Part
        Further parts of the page that stand before the paper's.

    Returns
    -------
    dict
        ``paper``, ``table`` (published accuracies beside ours), ``cells``, ``report``, ``seconds``, ``warnings``.

    Raises
    ------
    InputError
        The data do not hold two classes, or too few originals.
    """
    started = time.perf_counter()
    out, base = Path(out), Recipe(seed=seed)
    source = published_corrosion(seed) if data is None else data
    request = Request(source, out, base, device, {"label": label, "group": group, "image": image}, {})
    parts, cells, warnings = paper_s2(request, options or CorrosionOptions())
    shutil.rmtree(out / "state", ignore_errors=True)
    lead = [*_LEAD, *cells["differences"], *warnings]
    return _finished(
        "S2", out, lead, bhat2023.FLAWS, [*before, *parts], cells, cells["accuracy"], warnings, seed, started
    )


def _finished(
    name: str,
    out: Path,
    lead: Sequence[str],
    flaws: Sequence[str],
    parts: Sequence[Part],
    cells: dict[str, Any],
    table: list[dict[str, Any]],
    warnings: list[str],
    seed: int,
    started: float,
) -> dict[str, Any]:
    """Write the page and its JSON."""
    facts = provenance.describe(seed)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "report.html", paper_page(f"{PAPERS[name]}: published beside ours", lead, flaws, parts, facts))
    result = {
        "paper": name,
        "table": table,
        "cells": cells,
        "warnings": warnings,
        "report": str(out / "report.html"),
        "seconds": time.perf_counter() - started,
    }
    write_json(out / "paper.json", {**result, "provenance": facts})
    return result

"""S1's tables and figures on a corpus of structure codes: theirs beside ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.attribution import overlay
from sorby.evidence import fleiss_kappa, share
from sorby.micrograph import read
from sorby.report import paper_figures
from sorby.report.attention import look
from sorby.report.experiment_page import Column, Figure, Table
from sorby.report.paper_page import Part
from sorby.report.thumbnails import Picture, centre_square, embed, strip
from sorby.report.wording import count, percent
from sorby.workflow.data import open_data
from sorby.workflow.experiments.arms import Arm, cross_predict
from sorby.workflow.experiments.bench import Bench, open_bench
from sorby.workflow.experiments.registry import Request
from sorby.workflow.explaining import stage_layers
from sorby.workflow.fitting import make_trainer
from sorby.workflow.papers import comparing
from sorby.workflow.papers import durmaz2023 as s1
from sorby.workflow.papers.steel_raters import rater_rows, rater_table
from sorby.workflow.runs import noting

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_TILE_PX, _MOSAIC_ROWS, _MOSAIC_COLUMNS = 150, 4, 8
_ARMS = (
    Arm("global", "", {"head.kind": "flat"}),
    Arm("two-stage", "", {"head.kind": "staged", "head.routing": "hard"}),
    Arm("stages", "", {"head.kind": "staged", "head.routing": "soft"}),
)


def paper_s1(request: Request) -> tuple[list[Part], dict[str, Any], list[str]]:
    """Return the parts of the page, every cell for JSON, and warnings.

    Parameters
    ----------
    request : Request
        Options: ``folds``, ``min_count``, ``maps`` (whether pictures with maps are made).
    """
    bench = open_bench(request, ("subtype", "size_class"))
    named = request.columns
    whole = open_data(request.data, label=named["label"], group=named["group"], image=named["image"]).corpus.usable()
    marks = whole.table["phantom"].astype(str).str.lower() if "phantom" in whole.table else pd.Series(dtype=str)
    phantoms = bool(len(marks)) and bool(marks.isin(("true", "1")).all())
    flagged = comparing.flag(phantoms)
    folds = bench.folds(request.options["folds"])
    said = {arm.name: cross_predict(bench, arm, folds) for arm in _ARMS}
    cells: dict[str, Any] = {
        "flag": flagged,
        "differences": comparing.differences(bench, phantoms),
        "n": bench.n,
        "classes": list(bench.classes),
    }
    stages = _kept(cells, "table_3", comparing.stage_rows(bench, said["stages"], flagged))
    parts = [
        _data_part(whole.table, flagged),
        _table_2(bench, said, flagged, cells),
        Part("Table 3: each stage by itself", tables=[comparing.stage_table(stages)]),
        _confusions(bench, said, flagged, cells),
        _round_robin(bench, cells),
    ]
    if request.options["maps"]:
        parts += _map_parts(request, bench, folds, said["global"])
    parts.append(_mosaic(bench))
    return [part for part in parts if part.tables or part.figures or part.pictures or part.text], cells, bench.warnings


def _kept(cells: dict[str, Any], key: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cells[key] = rows
    return rows


def _data_part(table: pd.DataFrame, flagged: str) -> Part:
    tables = [comparing.counts_table([str(label) for label in table["label"]], flagged)]
    if "alloy" in table:
        alloys = [str(value) for value in table["alloy"].fillna("not stated")]
        tables.append(comparing.shares_table(alloys, s1.ALLOY_SHARES, "alloy", 10, flagged))
    if "magnification" in table:
        levels = [f"{float(value):g}" for value in table["magnification"].dropna()]
        tables.append(comparing.shares_table(levels, s1.MAGNIFICATION_SHARES, "magnification", 1, flagged))
    return Part("Table 1, Suppl. Table 1, Suppl. Fig. 4: the data", tables=tables)


def _table_2(bench: Bench, said: dict[str, Floats], flagged: str, cells: dict[str, Any]) -> Part:
    regime = "frozen" if bench.recipe.regime == "frozen" else "full"
    ours = {
        (name, regime): share(said[name].argmax(axis=1) == bench.labels, bench.specimens, bench.recipe.seed).as_dict()
        for name in ("global", "two-stage")
    }
    rows = _kept(cells, "table_2", comparing.accuracy_rows(ours, flagged))
    gain = ours["two-stage", regime]["value"] - ours["global", regime]["value"]
    text = [
        f"Two-stage less global: published 3.98 (frozen), .31 (ResNet-18) and 1.25 points (ResNet-50); ours"
        f" {100 * gain:+.2f} points. The command sorby experiment heads tests the difference.",
    ]
    return Part("Table 2: overall accuracy", text, [comparing.accuracy_table(rows)])


def _confusions(bench: Bench, said: dict[str, Floats], flagged: str, cells: dict[str, Any]) -> Part:
    figures = []
    for printed, name in ((s1.FIGURE_3, "global"), (s1.FIGURE_4, "two-stage")):
        key = printed.figure.lower().replace(". ", "-")
        published = paper_figures.printed_confusion(printed.cells, s1.CLASSES, f"{key}-published", sums=s1.COLUMN_SUMS)
        lost = count(printed.missing, "image")
        caption = f"{printed.figure} as published ({printed.what}), n = 326; ?: lost in print, {lost}."
        figures.append(Figure(published, caption))
        ours = np.zeros((len(bench.classes),) * 2, np.intp)
        np.add.at(ours, (said[name].argmax(axis=1), bench.labels), 1)
        cells[key] = {"ours": ours.tolist(), "published": printed.cells.tolist(), "unknown": s1.UNKNOWN}
        drawn = paper_figures.printed_confusion(ours, bench.classes, f"{key}-ours", unknown=-2)
        figures.append(Figure(drawn, f"Ours, {name}, n = {bench.n}; {flagged}."))
    text = ["Rows are the predicted classes, columns the true ones, as printed; per cent of the column."]
    return Part("Figs. 3 and 4: confusion matrices", text, figures=figures)


def _round_robin(bench: Bench, cells: dict[str, Any]) -> Part:
    """Fig. 5: what raters called twenty images, and their agreement."""
    title = "Fig. 5: the round robin"
    columns = sorted(str(name) for name in bench.corpus.table if str(name).startswith("rating_"))
    if not columns:
        return Part(title, ["The corpus holds no ratings (columns rating_...)."])
    subtype = np.array([name[0] for name in bench.classes])[bench.labels]
    rng = np.random.default_rng(bench.recipe.seed)
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(subtype == s), min(n, int((subtype == s).sum())), replace=False)
         for s, n in s1.ROUND_ROBIN_IMAGES.items()]
    )  # fmt: skip
    ratings = bench.corpus.table[columns].iloc[chosen].astype(str).to_numpy(object)
    labels = [bench.classes[c] for c in bench.labels[chosen]]
    merged = [["G9-10".replace("G", code[0]) if code[1:] in ("9", "10") else code for code in row] for row in ratings]
    kappas = {
        "full codes": fleiss_kappa(ratings),
        "subtype": fleiss_kappa(np.array([[code[0] for code in row] for row in ratings], object)),
    }
    flag = f"{comparing.NOT_COMPARABLE}: other images, drawn without regard to difficulty"
    rows = [{"what": name, "published": s1.FLEISS_KAPPA[name],
             "ours": {"value": found.value, "ci95": found.ci95}, "n": len(chosen),
             "flag": flag}
            for name, found in kappas.items()]  # fmt: skip
    cells["fleiss_kappa"] = rows
    table = Table(
        "Agreement of the raters, Fleiss' kappa.",
        (Column("what", "ratings"), Column("published", "published", "number"), Column("ours", "ours", "number"),
         Column("n", "images", "count"), Column("flag", "comparable?", "flag")),
        rows,
    )  # fmt: skip
    right = rater_rows(ratings, labels, flag)
    cells["rater_accuracy"] = right
    svg = paper_figures.rating_bubbles(merged, labels, "fig-5")
    caption = (
        f"What {len(columns)} raters called {len(chosen)} images; green is the label, a ring where nobody chose it."
    )
    return Part(title, tables=[table, rater_table(right)], figures=[Figure(svg, caption, 620)])


# -- pictures ---------------------------------------------------------------------------------------------


def _map_parts(request: Request, bench: Bench, folds: Rows, probabilities: Floats) -> list[Part]:
    """Figs. 6 and 7, Suppl. Figs. 2 and 3: where classifiers that have not seen an image looked on it."""
    test = np.flatnonzero(folds == 0)
    subtype_bench = open_bench(request, label="subtype")
    held = {str(path) for path in np.array(bench.corpus.table["path"])[test]}
    by_subtype = _looking(subtype_bench, held)
    at_once = _looking(bench, held)
    paths = np.array([str(path) for path in bench.corpus.table["path"]])
    names = np.array(bench.classes)[bench.labels]
    called = np.array(bench.classes)[probabilities.argmax(axis=1)]
    typical = [_typical(test, names, called, s) for s in s1.SUBTYPES]
    parts = [Part("Fig. 6: what the subtype model looks at", ["A typical micrograph of each subtype, named right."],
                  pictures=by_subtype(paths[[k for k in typical if k >= 0]]))]  # fmt: skip
    bainite = bench.corpus.table["subtype"].astype(str) == "B"
    if "coarse_area_fraction" in bench.corpus.table and bench.corpus.table["size_class"][bainite].nunique() > 1:
        size_bench = open_bench(request, label="size_class", where=lambda table: table["subtype"].astype(str) == "B")
        by_size = _looking(size_bench, held)
        coarse = pd.to_numeric(bench.corpus.table["coarse_area_fraction"], errors="coerce").fillna(0).to_numpy() > 0
        mixed = test[coarse[test] & np.char.startswith(names[test], "B")]
        right, wrong = mixed[called[mixed] == names[mixed]], mixed[called[mixed] != names[mixed]]
        parts.append(
            Part("Fig. 7: heterogeneous bainite and the size model",
                 ["Images with coarse regions: named right by the global model first, then named wrong."],
                 pictures=by_size(paths[np.concatenate([right[:3], wrong[:3]])]))
        )  # fmt: skip
    g7 = test[names[test] == "G7"][:1]
    both = [*at_once(paths[g7]), *by_subtype(paths[g7])]
    parts.append(Part("Suppl. Fig. 2: one G7 image through the global and the subtype model", pictures=both))
    errors = test[(called[test] != names[test])]
    other = errors[[a[0] != b[0] for a, b in zip(called[errors], names[errors], strict=True)]]
    text = [f"{len(errors)} of {len(test)} test images named wrong, {len(other)} of them in the subtype."]
    shown = other[:6] if len(other) else errors[:6]
    parts.append(Part("Suppl. Fig. 3: errors", text, pictures=at_once(paths[shown])))
    return [part for part in parts if part.pictures]


def _typical(test: Rows, names: npt.NDArray[Any], called: npt.NDArray[Any], subtype: str) -> int:
    """Return the first test image of a subtype that was named right, -1 where there is none."""
    good = test[np.char.startswith(names[test], subtype) & (called[test] == names[test])]
    return int(good[0]) if len(good) else -1


def _looking(bench: Bench, held_out: set[str]) -> Callable[[npt.NDArray[Any]], list[tuple[Picture, str]]]:
    """Teach on everything but the held-out images; return a function from paths to pictures with maps."""
    paths = [str(path) for path in bench.corpus.table["path"]]
    outside = np.array([path in held_out for path in paths])
    with noting(bench.warnings):
        trainer = make_trainer(bench.plan, bench.recipe, bench.state, bench.device)
        kept, _ = trainer.read_images(bench.corpus.paths(), list(bench.corpus.table["sha256"]))
        trainer.keep(bench.plan, kept)
        fit = trainer.fit(np.flatnonzero(~outside), np.empty(0, np.intp), "maps")
    classifier, place = fit.classifier, {path: k for k, path in enumerate(paths)}
    absolute = bench.corpus.paths()
    references = np.flatnonzero(outside)[:8]

    def pictures(chosen: npt.NDArray[Any]) -> list[tuple[Picture, str]]:
        rows = [place[path] for path in chosen if path in place]
        if not rows:
            return []
        micrographs = [read(absolute[k]) for k in rows]
        prepared = np.stack([classifier.prepared(each) for each in micrographs])
        usual = np.stack([classifier.prepared(read(absolute[k])) for k in references])
        p = trainer.verdicts(fit, np.array(rows, np.intp)).probabilities
        targets = p.argmax(axis=1).astype(np.int64)
        found = look(classifier.logits_module(), prepared, targets, stage_layers(classifier), usual, bench.recipe.seed)
        shown = []
        for k, each, cam, row in zip(rows, micrographs, found.maps, p, strict=True):
            plain = centre_square(each.pixels, 320)
            pair = strip([plain, np.asarray(overlay(plain, cam, "jet"), np.uint8)])
            truth, verdict = bench.classes[bench.labels[k]], bench.classes[int(row.argmax())]
            caption = f"{truth}, named {verdict} ({percent(float(row.max()))})"
            shown.append((embed(pair, f"Micrograph and map: {caption}"), caption))
        return shown

    return pictures


def _mosaic(bench: Bench) -> Part:
    """Fig. 8: a random sample of the images as received."""
    rng = np.random.default_rng(bench.recipe.seed)
    chosen = rng.choice(bench.n, min(bench.n, _MOSAIC_ROWS * _MOSAIC_COLUMNS), replace=False)
    absolute = bench.corpus.paths()
    tiles = [centre_square(read(absolute[k]).pixels, _TILE_PX) for k in chosen]
    rows = [tiles[k : k + _MOSAIC_COLUMNS] for k in range(0, len(tiles), _MOSAIC_COLUMNS)]
    pictures = [(embed(strip(row), f"{len(row)} micrographs drawn by chance"), "") for row in rows if row]
    return Part("Fig. 8: a random sample of the images", ["Central squares, drawn by chance."], pictures=pictures)

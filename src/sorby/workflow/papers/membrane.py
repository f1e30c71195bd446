"""S3's tables and figures of anomaly detection on sheets of electrode: theirs beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sorby.anomaly.detector import score_meaning
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.recipe import load as load_recipe
from sorby.backbone.runtime import Device
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.report.experiment_page import Column, Table
from sorby.report.paper_page import Part
from sorby.workflow.anomaly.baseline_uniformity import uniformity
from sorby.workflow.anomaly.pretreatment import TREATMENTS, hidden_defects, treatment
from sorby.workflow.anomaly.protocol_command import described
from sorby.workflow.anomaly.protocol_figures import summarised
from sorby.workflow.anomaly.protocols import ProtocolResult, ProtocolSettings, open_models, run_protocol
from sorby.workflow.anomaly.sheets import ScannedSheet, SheetSet, read_sheets
from sorby.workflow.anomaly.sub_images import cut
from sorby.workflow.papers import membrane_figures as figures
from sorby.workflow.papers import membrane_tables as tables
from sorby.workflow.papers import yan2023 as s3

#: Standard runs of the further studies, beyond what is printed.
STUDY_RUNS = 8
_SHARES = (0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class MembraneRequest:
    """What is asked of S3.

    Attributes
    ----------
    data : Corpus or path
        Sheets; see `sorby.workflow.anomaly.sheets.read_sheets`.
    settings : ProtocolSettings
        Repeats, held-out runs and features, for all protocols.
    changes : mapping
        Recipe fields that are overridden in all protocols.
    grids : sequence of int
        Which c of the 6c x 3c grid are run.
    published_network : bool
        EfficientNet-B4 as published, rather than the network whose weights come with sorby.
    studies : bool
        Whether training shares and pretreatment are studied too.
    device : {"auto", "cpu", "cuda"}
    """

    data: Corpus | Path | str
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    changes: Mapping[str, Any] = field(default_factory=dict)
    grids: Sequence[int] = (1, 3, 5)
    published_network: bool = False
    studies: bool = True
    device: Device = "auto"

    def recipe(self, name: str) -> AnomalyRecipe:
        """Return the recipe of a protocol: ``scratches``, ``scratches-c3``, ``pinholes`` ..."""
        stem = "membrane-padim-b4-" if self.published_network else "membrane-"
        return load_recipe(stem + name, dict(self.changes))


def paper_s3(request: MembraneRequest) -> tuple[list[Part], dict[str, Any], list[str]]:
    """Return the parts of the page, every cell for JSON, and warnings.

    Raises
    ------
    InputError
        The data hold neither of the two sets.
    MissingPartError
        The network's weights are not at hand.
    """
    found = read_sheets(request.data)
    grids, pinholes = _run(request, found)
    warnings = [*found.warnings, *(f"{entry.file}: {entry.reason}" for entry in found.quarantined)]
    results = [*grids.values(), *([pinholes] if pinholes else [])]
    if not results:
        raise InputError("the sheets belong to neither set", "a column set with scratches or pinholes, and masks")
    first = results[0]
    setting = tables.Setting(found.phantom, str(first.network["name"]))
    baselines = {result.name: dict(uniformity(result.subs)) for result in results}
    cells: dict[str, Any] = {
        "protocols": [described(result) for result in results],
        "differences": _differences(setting, first, request),
    }
    parts = [
        Part("How to read the scores", [f"A score: {score_meaning(request.recipe('scratches'))}."],
             [tables.meanings_table()]),
        _data_part(found, results, baselines),
        *_table_parts(grids, pinholes, setting, baselines, cells),
    ]  # fmt: skip
    beyond = tables.beyond_rows(results)
    cells["beyond"] = beyond
    parts.append(Part("What a line pays for: false positives, specificity, thresholds", tables=[
        tables.beyond_table(beyond)]))  # fmt: skip
    parts += _figure_parts(grids, pinholes)
    if request.studies and 1 in grids:
        parts += _study_parts(request, found.of("scratches"), grids[1], cells)
    warnings += [f"{result.name}: {note}" for result in results for note in result.notes]
    return parts, cells, warnings


def _run(request: MembraneRequest, found: SheetSet) -> tuple[dict[int, ProtocolResult], ProtocolResult | None]:
    """Carry out every protocol that the sheets allow."""
    grids: dict[int, ProtocolResult] = {}
    scratched, pricked = found.of("scratches"), found.of("pinholes")
    if not any(sheet.subset for sheet in found.sheets):
        # Baseline sheets are what only the scratch set has.
        named = all(sheet.defective for sheet in found.sheets)
        scratched, pricked = ([], pricked) if named else (scratched, [])
    for c in request.grids if scratched else ():
        recipe = request.recipe("scratches" if c == 1 else f"scratches-c{c}")
        grids[c] = run_protocol(cut(scratched, recipe), recipe, request.settings, device=request.device)
    if not pricked:
        return grids, None
    recipe = request.recipe("pinholes")
    return grids, run_protocol(cut(pricked, recipe), recipe, request.settings, device=request.device)


def _differences(setting: tables.Setting, first: ProtocolResult, request: MembraneRequest) -> list[str]:
    """Name everything in which our figures differ from the published ones, one sentence each."""
    network = first.network
    lines = [
        "Sheets: " + ("phantoms, whose truth is known" if setting.phantoms else "not those of the paper") + ".",
        f"Network: {network['name']} ({network['weights']} weights, {network['runtime']}, {network['precision']});"
        f" published: EfficientNet-B4 after blocks 3, 7 and 17, {sum(s3.CHANNELS)} channels.",
        "Leave-one-out: run i draws the good images of standard run i, so that the two procedures differ by the image"
        " held out alone.",
        f"PRO-AUC is integrated to a false positive rate of {request.settings.fpr_limit:g} and divided by it; the paper"
        " does not state its limit.",
    ]
    lines.append(
        "Halves of one hole are held out together."
        if request.settings.same_defect
        else "A tile is held out while the other half of its hole stays, as published."
    )
    return lines


def _data_part(found: SheetSet, results: Sequence[ProtocolResult], baselines: Mapping[str, Mapping[str, Any]]) -> Part:
    rows = []
    for result in results:
        facts = described(result)
        published = s3.TILES if result.c is None else facts["counts"]["sheets"] * s3.SUB_IMAGES_A_SHEET[result.c]
        predicts = facts["baseline"]["spots_predict_scores"]
        rows.append({"protocol": result.name, **facts["counts"], "published": published, **baselines[result.name],
                     "rho": predicts["rho"], "rho_n": predicts["n"]})  # fmt: skip
    columns = (
        Column("protocol", "protocol"),
        Column("published", "sub-images as published", "count"),
        Column("sub_images", "sub-images here", "count"),
        Column("defective", "with a defect", "count"),
        Column("defects", "defects", "count"),
        Column("texture", "texture, grey levels", "number"),
        Column("shading", "shading, grey levels", "number"),
        Column("spots_per_mpx", "bright spots a megapixel", "number"),
        Column("rho", "spots predict scores, Spearman's rho", "number"),
        Column("rho_n", "good images", "count"),
    )
    text = [
        f"{len(found.sheets)} sheets. Only what can be seen is found: a layer of the wrong thickness needs another"
        " sensor.",
        "Bright spots of good material are what false positives are made of; where rho is high, a look at the baseline"
        " tells beforehand where they will be.",
    ]
    return Part("The sheets, and how uniform their baseline is", text, [
        Table("Measured on good sub-images before any model, in the network's pixels.", columns, rows)])  # fmt: skip


def _table_parts(
    grids: Mapping[int, ProtocolResult],
    pinholes: ProtocolResult | None,
    setting: tables.Setting,
    baselines: Mapping[str, Mapping[str, Any]],
    cells: dict[str, Any],
) -> list[Part]:
    """Tables 1 to 4, as far as the sheets allow."""
    parts = []
    cells["table_1"], cells["table_2"], cells["table_3"], cells["table_4"] = [], [], [], []
    standard = "the standard procedure"
    shown = []
    for result in grids.values():
        rows = tables.standard_rows("Table 1", result, setting)
        cells["table_1"] += rows
        shown.append(tables.cells_table(tables.caption(result, baselines[result.name], standard), rows, resampled=True))
    if shown:
        parts.append(Part("Table 1: scratches and scuffs", figures.trade_off(grids), shown))
    if pinholes is not None:
        cells["table_2"] = tables.standard_rows("Table 2", pinholes, setting)
        words = tables.caption(pinholes, baselines[pinholes.name], standard)
        parts.append(Part("Table 2: pinholes", tables=[tables.cells_table(words, cells["table_2"], resampled=True)]))
    for key, title, held in (("table_3", "Table 3: scratches and scuffs, leave-one-out", grids.get(1)),
                             ("table_4", "Table 4: pinholes, leave-one-out", pinholes)):  # fmt: skip
        if held is None or not held.arms[0].inner:
            continue
        cells[key] = tables.loocv_rows(title.split(":")[0], held, setting)
        words = tables.caption(held, baselines[held.name], "leave-one-out")
        said = (
            "The outer figure averages images, the inner one regions: a scuff of many strokes weighs more inside. The"
            " table of false positives has the inner one by image, which is what to compare."
        )
        parts.append(Part(title, [said], [tables.cells_table(words, cells[key], resampled=False)]))
    return parts


def _figure_parts(grids: Mapping[int, ProtocolResult], pinholes: ProtocolResult | None) -> list[Part]:
    """Figs. 1 to 9 in their order, as far as the sheets allow."""
    parts: list[Part] = []
    coarse = grids.get(1)
    for result in (coarse, pinholes):
        if result is not None and result.arms[0].outer:
            parts.append(figures.schematic(result))
            break
    if pinholes is not None:
        if pinholes.arms[0].outer:
            why = "Published: plain pinholes without rings were missed, their maps warm, yet below the threshold."
            parts.append(figures.weakest("Fig. 2: the pinhole missed, and the weakest ones", pinholes, [why]))
            parts.append(figures.histogram("Fig. 3: outer threshold PRO of pinholes", pinholes))
        parts += [figures.false_positives("Fig. 4: false positives on pinhole sheets", pinholes)]
        parts += [figures.curves(pinholes)]
    parts += figures.resolutions(grids)
    for c in sorted(grids)[1:2]:
        cut_off = figures.sliver(grids[c])
        parts += [] if cut_off is None else [cut_off]
    if coarse is not None:
        if coarse.arms[0].outer:
            parts.append(figures.histogram("Fig. 9: outer threshold PRO of scratches and scuffs", coarse))
            parts.append(figures.weakest("Scratches and scuffs: the weakest of the outer loop", coarse))
        parts.append(figures.false_positives("False positives on scratched sheets, c = 1", coarse))
        parts.append(figures.curves(coarse))
    return parts


def _study_parts(
    request: MembraneRequest, sheets: Sequence[ScannedSheet], published: ProtocolResult, cells: dict[str, Any]
) -> list[Part]:
    """Answer what reviewers asked: other training shares, and treatment of the images before the model."""
    recipe = request.recipe("scratches")
    runs = STUDY_RUNS if request.settings.repeats is None else min(STUDY_RUNS, request.settings.repeats)
    few = replace(request.settings, features=request.settings.features[:1], repeats=runs, held_out=0, timings=0,
                  resamples=2)  # fmt: skip
    models = open_models(recipe, few.features, request.device)
    shares, treated = [], []
    for share in _SHARES:
        split = replace(few, train_share=share)
        result = run_protocol(published.subs, recipe, split, models=models)
        shares.append({"share": f"{round(100 * share)} : {round(100 * (1 - share))}", "train": len(result.split.train),
                       **_means(result)})  # fmt: skip
    for name in TREATMENTS:
        subs = published.subs if name == "none" else cut(sheets, recipe, treatment=treatment(name))
        result = run_protocol(subs, recipe, few, models=models)
        treated.append({"treatment": name, **hidden_defects(published.subs, subs), **_means(result)})
    cells["shares"], cells["treatments"] = shares, treated
    scores = [
        Column("image_auroc", "image ROC-AUC", "number"),
        Column("pro_auc", "PRO-AUC", "number"),
        Column("threshold_pro_by_region", "threshold PRO, by region", "number"),
        Column("image_specificity", "image specificity", "number"),
        Column("n", "runs", "count"),
    ]
    proportions = Table(
        "Good sub-images learnt and tested. The more are learnt, the fewer are left to measure specificity on.",
        [Column("share", "learnt : tested"), Column("train", "learnt", "count"), *scores],
        shares,
    )
    treatments = Table(
        "Before the model: contrast by local mean and deviation over 129 px; smoothing by a Gaussian of 2 px. A defect"
        " counts as hidden where it stands out less than half as far from its surroundings as before.",
        [Column("treatment", "treatment"), Column("hidden", "defects hidden", "count"),
         Column("median_ratio", "visibility after / before, median", "number"), *scores],
        treated,
    )  # fmt: skip
    return [
        Part("Other training shares, c = 1", tables=[proportions]),
        Part("Contrast and smoothing before the model, c = 1", tables=[treatments]),
    ]


def _means(result: ProtocolResult) -> dict[str, Any]:
    arm = result.arms[0]
    runs: Sequence[Any] = arm.standard
    return {**summarised(runs), "n": len(runs)}

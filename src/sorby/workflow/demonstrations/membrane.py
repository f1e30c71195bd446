"""``demo membrane``: a web from nothing, on phantoms: fit, evaluate, score, update, run the line, draw the paper."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from sorby import provenance
from sorby.anomaly.comparators import COMPARATORS
from sorby.anomaly.detector import ImageMaps
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.recipe import load as load_recipe
from sorby.backbone.runtime import Device
from sorby.errors import InputError
from sorby.evidence.localisation import image_auroc_estimate
from sorby.files import write_text
from sorby.micrograph import read
from sorby.phantom.membrane.web import Web, WebSpec
from sorby.report.anomaly_figures import score_histogram
from sorby.report.anomaly_pictures import Case, false_alarm_gallery, false_alarm_words, result_panels
from sorby.report.experiment_page import Column, ExperimentFacts, Figure, Table, experiment_page
from sorby.workflow import anomaly
from sorby.workflow.anomaly.protocols import ProtocolSettings
from sorby.workflow.line import LineRequest, line_budget, run_line
from sorby.workflow.papers import run_membrane_paper
from sorby.workflow.papers.membrane import MembraneRequest

_WIDTH_PX = 1536
_PIECE_PX = 1024  # rows of a file: a piece of web
_TILE_PX = 512  # edge of the pictures that are evaluated
_GOOD, _EXTRA, _FRESH, _ROLL = 10, 1, 4, 14  # pieces
_PERIOD_MM, _CLUSTER_MM = 62.8, 180.0
_SPOTS = 2.0  # specular spots a megapixel
_RATE = 0.01
_PAPER_SCALE = 0.25  # of the published sheets; smaller ones hold too few tiles
_SHOWN = 3
_OF_ROLL = ("defects", "repeats", "alarms", "m_per_min", "mpix_per_s", "dropped", "roll_map")

Pixels = npt.NDArray[np.uint8]


def demo_membrane(
    out: Path | str, *, seed: int = 0, device: Device = "auto", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Run the membrane demonstration.

    A web detector is fitted on clean phantom web, measured on pictures with known defects beside classical
    comparators, taught another piece of web, and run along a roll with pinholes, scratches, scuffs, a cluster and a
    dent that a roller leaves once a turn. The protocols of Yan et al. (2023) follow on small sheets.

    Parameters
    ----------
    out : path
        A new folder.
    seed : int
    device : {"auto", "cpu", "cuda"}
    say : callable
        Told what happens, a line at a time.

    Returns
    -------
    dict
        ``report``, ``bundle``, ``metrics``, ``seconds``, ``roll``, ``found``, ``paper``.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: exists and is not empty", "choose another --out, or remove it")
    started = time.perf_counter()
    say(f"rendering {_GOOD + _EXTRA + _FRESH + _ROLL} pieces of phantom web, {_PIECE_PX * 0.034:.0f} mm each")
    web = _render(out, seed)
    say("fitting a detector on clean web")
    bundle = out / "web.sorby"
    fitted = anomaly.fit(out / "good", bundle, recipe=_recipe(seed), device=device)
    say("evaluating it on pictures with known defects, beside classical comparators")
    measured = anomaly.evaluate(
        bundle, out / "fresh", out / "bad", out / "masks", out=out / "evaluation", device=device
    )
    classical = _classical(out)
    scored = anomaly.score(bundle, [out / "bad"], out / "scores", pixel_size_um=34.0, maps=True, device=device)
    cases, threshold = _cases(bundle, out, device)
    say("teaching it another piece of clean web")
    updated = anomaly.update(bundle, add=out / "extra", out=out / "web-updated.sorby", device=device)
    say(f"running the line along {_ROLL * _PIECE_PX * 0.034 / 1000:.2f} m of web")
    roll = run_line(bundle, [out / "roll-strips"], out / "roll", LineRequest(pixel_size_um=34.0))
    found = _found(web, pd.read_csv(out / "roll" / "roll_map.csv"))
    budget = line_budget(across_mm=203.2, along_mm=279.4, pixel_size_um=34.0, m_per_min=3.048, bundle=bundle)
    say("the published protocols, on small sheets")
    paper = run_membrane_paper(out / "paper", request=_paper(seed, device), scale=_PAPER_SCALE)
    result = {
        "bundle": str(bundle),
        "metrics": {name: measured[name] for name in ("image_auroc", "pixel_auroc", "pro_auc", "at_threshold")},
        "classical": classical,
        "threshold": measured["threshold"],
        "fit": {key: fitted[key] for key in ("n_images", "views", "calibration", "seconds")},
        "scores": scored["scores"],
        "updated": {key: updated[key] for key in ("added", "threshold_before", "threshold")},
        "roll": {
            key: roll[key] for key in ("defects", "repeats", "alarms", "m_per_min", "mpix_per_s", "dropped", "roll_map")
        },
        "found": found,
        "budget": budget,
        "paper": paper["report"],
        "report": str(out / "report.html"),
    }
    result["seconds"] = time.perf_counter() - started
    write_text(out / "report.html", experiment_page(_story(result, cases, threshold, seed)))
    return result


def _recipe(seed: int) -> AnomalyRecipe:
    """Return the web recipe at a rate that few tiles suffice for."""
    return load_recipe("web", {"seed": seed, "threshold.false_alarm_rate": _RATE})


def _paper(seed: int, device: Device) -> MembraneRequest:
    """Return the paper's protocols with few runs, one network and one grid."""
    settings = ProtocolSettings(features=(100,), repeats=2, held_out=2, timings=1, resamples=200, seed=seed)
    return MembraneRequest(data="", settings=settings, grids=(1,), studies=False, device=device)


def _render(out: Path, seed: int) -> Web:
    """Write clean web, pictures with and without defects, and the strips of a roll; return the roll."""
    plain: dict[str, Any] = {"width_px": _WIDTH_PX, "spot_rate": _SPOTS}
    clean = Web(WebSpec(**plain, defects_per_m=0, dirt_per_m=0), seed + 1)
    pieces = {"good": range(_GOOD), "extra": range(_GOOD, _GOOD + _EXTRA)}
    for name, numbers in pieces.items():
        for k in numbers:
            _save(out / name / f"piece{k:02d}.png", clean.rows(k * _PIECE_PX, (k + 1) * _PIECE_PX))
    first = (_GOOD + _EXTRA) * _PIECE_PX
    for k in range(2 * _FRESH):
        rows = clean.rows(first + k * _TILE_PX, first + (k + 1) * _TILE_PX)
        for column in range(_WIDTH_PX // _TILE_PX):
            _save(out / "fresh" / f"fresh{k:02d}-{column}.png", rows[:, column * _TILE_PX : (column + 1) * _TILE_PX])
    _write_bad(out, Web(WebSpec(**plain, defects_per_m=60.0), seed + 2))
    roll = Web(
        WebSpec(**plain, repeat_period_mm=_PERIOD_MM, repeat_across_mm=15.0, cluster_at_mm=_CLUSTER_MM,
                cluster_across_mm=30.0),
        seed + 3,
    )  # fmt: skip
    for k in range(_ROLL):
        _save(out / "roll-strips" / f"strip{k:03d}.png", roll.rows(k * _PIECE_PX, (k + 1) * _PIECE_PX))
    return roll


def _write_bad(out: Path, web: Web) -> None:
    """Write the pictures of a web that hold a labelled defect, with their masks."""
    for k in range(2 * _FRESH):
        first = k * _TILE_PX
        rows, mask = web.rows(first, first + _TILE_PX), web.mask_rows(first, first + _TILE_PX)
        for column in range(_WIDTH_PX // _TILE_PX):
            part = slice(column * _TILE_PX, (column + 1) * _TILE_PX)
            if mask[:, part].any():
                _save(out / "bad" / f"bad{k:02d}-{column}.png", rows[:, part])
                _save(out / "masks" / f"bad{k:02d}-{column}.png", np.where(mask[:, part], 255, 0).astype(np.uint8))


def _save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)


def _classical(out: Path) -> list[dict[str, Any]]:
    """Measure what knows grey values only on the same pictures."""
    goods = [read(path).pixels for path in sorted((out / "good").iterdir())]
    tiles = [piece[:, k : k + _TILE_PX] for piece in goods for k in range(0, _WIDTH_PX, _TILE_PX)]
    paths = sorted((out / "fresh").iterdir()) + sorted((out / "bad").iterdir())
    bad = [path.parent.name == "bad" for path in paths]
    rows = []
    for name, kind in COMPARATORS.items():
        comparator = kind().fit(tile.astype(np.uint8) for tile in tiles)
        scores = [float(comparator.maps(np.asarray(read(path).pixels, np.uint8)[None]).max()) for path in paths]
        rows.append({"what": name, "image_auroc": image_auroc_estimate(scores, bad).as_dict(), "n": len(paths)})
    return rows


def _cases(bundle: Path, out: Path, device: Device) -> tuple[list[tuple[Case, bool]], float]:
    """Return every evaluated picture with its map, in pixels, and whether it is bad; and the threshold."""
    detector = anomaly.open_detector(bundle).detector
    paths = sorted((out / "fresh").iterdir()) + sorted((out / "bad").iterdir())
    cases = []
    for k, found in detector.score(paths, device=device):
        if not isinstance(found, ImageMaps):
            raise found
        mask_path = out / "masks" / paths[k].name
        mask = np.asarray(read(mask_path).pixels) > 0 if mask_path.is_file() else None
        whole = anomaly.map_of_image(detector, found)
        cases.append((Case(read(paths[k]).pixels, whole, mask, paths[k].stem), mask is not None))
    assert detector.threshold is not None, "bundles hold calibrated detectors"
    return cases, detector.threshold.value


def _found(web: Web, defects: pd.DataFrame) -> list[dict[str, Any]]:
    """Count for each kind of true defect how many are on the roll map, and how many entries are of none."""
    scale, near = 0.034, 1.0  # mm
    truth = web.truth_table(_ROLL * _PIECE_PX)
    explained = np.zeros(len(defects), bool)
    hits = []
    for y, x, h, w in truth[["y", "x", "h", "w"]].to_numpy(float):
        inside = (
            (defects["along_to_mm"] >= y * scale - near) & (defects["along_from_mm"] <= (y + h) * scale + near)
            & (defects["across_to_mm"] >= x * scale - near) & (defects["across_from_mm"] <= (x + w) * scale + near)
        ).to_numpy(bool)  # fmt: skip
        explained |= inside
        hits.append(bool(inside.any()))
    counted = truth.assign(found=hits).groupby("kind", sort=True)["found"].agg(["sum", "size"])
    rows = [{"what": str(kind), "found": int(row["sum"]), "n": int(row["size"])} for kind, row in counted.iterrows()]
    return [*rows, {"what": "on the map without a cause", "found": int((~explained).sum()), "n": len(defects)}]


def _story(found: Mapping[str, Any], cases: list[tuple[Case, bool]], threshold: float, seed: int) -> ExperimentFacts:
    """Return the page of the demonstration."""
    metrics, roll, budget = found["metrics"], found["roll"], found["budget"]
    good = [float(case.scores.max()) for case, bad in cases if not bad]
    bad = [float(case.scores.max()) for case, bad in cases if bad]
    shown = [case for case, bad in cases if bad][:_SHOWN]
    every = [case for case, _ in cases]
    figures = [
        Figure(result_panels(shown, threshold), "Pictures with defects: image, truth, map, called, outline.", 900),
        Figure(score_histogram(good, bad, threshold), "Scores of pictures with and without a defect; raw distances."),
    ]
    words = false_alarm_words(every, threshold)
    gallery = false_alarm_gallery(every, threshold)
    if gallery:
        figures.append(Figure(gallery, f"What was called and is no labelled defect. {words}", 700))
    repeats = [f"every {each['period_mm']:.2f} mm ({each['count']} times)" for each in roll["repeats"]]
    holds = "holds" if budget["holds"] else "does not hold"
    return ExperimentFacts(
        title="Membrane: from clean web to a roll map",
        question="What does the membrane system do from rendering to roll map, and what is each number worth?",
        source="sorby demo membrane",
        answers=[
            f"The roll map holds {roll['defects']} entries; a roller's dent, rendered every {_PERIOD_MM} mm, was found"
            f" {', '.join(repeats) or 'not at all'}.",
            f"This machine {holds} 10 ft/min on an 8 inch web at 34 um: it needs"
            f" {budget['need']['mpix_per_s']:.1f} Mpx/s.",
        ],
        tables=[
            Table(
                "Pictures of 512 px, with and without a defect: area under the ROC curve over pictures. Half is chance,"
                " 1 is perfect; the comparators know grey values only.",
                (Column("what", "method"), Column("n", "n", "count"), Column("image_auroc", "image AUROC", "number")),
                [
                    {"what": "web detector", "image_auroc": metrics["image_auroc"], "n": metrics["image_auroc"]["n"]},
                    *found["classical"],
                ],
            ),
            Table(
                "The same detector's pixels, and its threshold from clean web alone.",
                (Column("what", "what"), Column("value", "value", "number")),
                [
                    {"what": "pixel AUROC", "value": metrics["pixel_auroc"]},
                    {"what": "PRO-AUC to a false positive rate of .3", "value": metrics["pro_auc"]},
                    {"what": "good pictures called", "value": metrics["at_threshold"]["false_alarm_rate"]},
                    {"what": "defective pictures called", "value": metrics["at_threshold"]["detection_rate"]},
                ],
            ),
            Table(
                "The roll map against the truth: every rendered defect, labelled or not.",
                (Column("what", "kind"), Column("found", "on the map", "count"), Column("n", "of", "count")),
                found["found"],
            ),
        ],
        figures=figures,
        may=["How the parts work together, and what each page looks like."],
        may_not=["Anything about real webs: all of it is rendered."],
        data=[
            f"{_GOOD} clean pieces fitted, {len(good)} good and {len(bad)} defective pictures, seed {seed}",
            "roll/roll_map.html: the roll; scores/maps/: every picture's map; paper/report.html: the protocols",
        ],
        arms=[],
        warnings=[],
        quarantined=[],
        provenance=provenance.describe(seed),
    )

"""``demo``: the main job from nothing, on phantoms: render, train, compare, measure, inspect, report; no network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify import Recipe
from sorby.classify.recipe import load as load_recipe
from sorby.errors import InputError
from sorby.files import write_text
from sorby.phantom import NEAR_OOD, write_novel
from sorby.report.experiment_page import Column, ExperimentFacts, Table, experiment_page
from sorby.workflow.evaluation import evaluate
from sorby.workflow.experiments import run_experiment
from sorby.workflow.inspection import inspect
from sorby.workflow.measuring.needles import needles
from sorby.workflow.phantoms import write_steel_corpus
from sorby.workflow.training import train

_TAUGHT, _FRESH, _NOVEL = 320, 60, 20
_NEAR_EACH = 3
_FRESH_SEED = 1_000_003  # other specimens than those taught
_MEASURED = 4
#: Settings of the classifier of structure codes: a label that fewer images bear is a slip of the simulated rater.
_CODES = {"head.kind": "multitask", "head.routing": "soft", "head.auxiliary": "length", "labels.min_count": 10}


def demo_steel(
    out: Path | str, *, seed: int = 0, device: Device = "auto", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Run the steel demonstration.

    Phantoms of bainite (B) and two martensites (G, M) are rendered with their simulated raters. A first classifier
    tells the subtypes, and refers structures it was never taught. A second one tells structure codes from day-to-day
    labels and is held against the truth; heads are compared, the classifier is set among the raters, needles are
    measured, and what only resembles the taught steels is inspected.

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
        ``report`` (the page that tells it all), ``bundle``, ``metrics``, ``seconds``, ``inspected``,
        ``novel_referred``, ``known_referred``, ``codes``, ``near``, ``needles``, ``pages``.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: exists and is not empty", "choose another --out, or remove it")
    started = time.perf_counter()
    subtypes = _subtypes(out, seed, device, say)
    codes = _codes(out, seed, device, say)
    found = {
        **subtypes,
        "codes": codes["metrics"],
        "near": codes["near"],
        "needles": codes["needles"],
        "pages": {"subtypes": subtypes["report"], **codes["pages"]},
        "report": str(out / "report.html"),
        "seconds": time.perf_counter() - started,
    }
    write_text(out / "report.html", experiment_page(_story(found, codes, seed)))
    return found


def _subtypes(out: Path, seed: int, device: Device, say: Callable[[str], None]) -> dict[str, Any]:
    """Teach and test the classifier of subtypes, and inspect structures that it was never taught."""
    say(f"rendering {_TAUGHT} phantom micrographs of {_TAUGHT // 2} specimens")
    taught = write_steel_corpus(out / "phantoms", _TAUGHT, seed=seed, label="subtype")
    say("subtypes: training on specimens, testing on others")
    trained = train(taught["corpus"], out / "run", Recipe(name="demo-steel", seed=seed), device=device)
    say(f"evaluating on {_FRESH} micrographs of new specimens")
    fresh = write_steel_corpus(out / "new", _FRESH, seed=seed + _FRESH_SEED, label="subtype", novel=_NOVEL)
    scored = evaluate(trained["bundle"], fresh["corpus"], out / "evaluation", seed=seed, device=device)
    say(f"inspecting them and {_NOVEL} images of structures that were never taught")
    pictures = [out / "new" / "steel" / "images", out / "new" / "novel" / "images"]
    inspected = inspect(trained["bundle"], pictures, out / "verdicts", explain=True, device=device)
    return {
        "report": trained["report"],
        "bundle": trained["bundle"],
        "metrics": {
            "test": trained["test"],
            "new_specimens": {name: scored[name] for name in ("accuracy", "macro_f1")},
        },
        "inspected": {key: inspected[key] for key in ("verdicts", "n", "referred", "images_per_s")},
        "novel_referred": _referred(Path(inspected["verdicts"]), pictures[1]),
        "known_referred": _referred(Path(inspected["verdicts"]), pictures[0]),
        "overlays": str(out / "verdicts" / "overlays"),
    }


def _codes(out: Path, seed: int, device: Device, say: Callable[[str], None]) -> dict[str, Any]:
    """Teach structure codes by day-to-day labels; compare heads and raters; measure; inspect near misses."""
    corpus, fresh = out / "phantoms" / "corpus.parquet", out / "new" / "corpus.parquet"
    say("structure codes: training on day-to-day labels of a simulated rater")
    recipe = load_recipe(None, {**_CODES, "name": "demo-steel-codes", "seed": seed})
    trained = train(corpus, out / "codes", recipe, device=device, label="daily_label")
    against = {
        name: evaluate(trained["bundle"], fresh, out / "codes-against" / name, seed=seed, device=device, label=column)
        for name, column in (("truth", "truth"), ("label", "daily_label"))
    }
    say("comparing heads by cross-validation, and the classifier with fourteen simulated raters")
    few: dict[str, Any] = {"label": "truth", "min_count": 10}
    heads = run_experiment("heads", corpus, out / "heads", seed, device, **few, only="two-stage; multi-task")
    raters = run_experiment("fifteenth-rater", corpus, out / "raters", seed, device, **few)
    say(f"inspecting {_NEAR_EACH * len(NEAR_OOD)} images that only resemble what was taught")
    write_novel(out / "near", _NEAR_EACH * len(NEAR_OOD), seed, kinds=NEAR_OOD)
    inspected = inspect(trained["bundle"], [out / "near" / "images"], out / "near-verdicts", device=device)
    say(f"measuring the needles of {_MEASURED} micrographs")
    return {
        "metrics": {name: {key: scored[key] for key in ("accuracy", "macro_f1")} for name, scored in against.items()},
        "heads": heads,
        "raters": raters,
        "near": _by_kind(Path(inspected["verdicts"]), out / "near"),
        "needles": _measured(out),
        "pages": {"codes": trained["report"], "heads": heads["report"], "raters": raters["report"]},
    }


def _referred(verdicts: Path, folder: Path) -> dict[str, int]:
    """Count the images of one folder and how many of them were referred."""
    table = pd.read_csv(verdicts, keep_default_na=False)
    rows = table[table["image"].str.startswith(folder.as_posix())]
    return {"n": len(rows), "referred": int((rows["referred"].astype(str).str.lower() == "true").sum())}


def _by_kind(verdicts: Path, folder: Path) -> list[dict[str, Any]]:
    """Count for each kind how many images were referred, and for how many novelty was a reason."""
    said = pd.read_csv(verdicts, keep_default_na=False)
    said.index = pd.Index([Path(image).name for image in said["image"]])
    kinds = pd.read_csv(folder / "labels.csv")
    rows = []
    for kind, images in kinds.groupby("kind", sort=False):
        own = said.loc[[Path(path).name for path in images["path"]]]
        referred = own["referred"].astype(str).str.lower() == "true"
        novel = own["reason"].str.split("|").map(lambda reasons: "novel" in reasons)
        rows.append({"kind": str(kind), "n": len(own), "referred": int(referred.sum()), "novel": int(novel.sum())})
    return rows


def _measured(out: Path) -> list[dict[str, Any]]:
    """Measure needles in a few of the new micrographs, whose truth is known."""
    table = pd.read_csv(out / "new" / "labels.csv")
    chosen = table.drop_duplicates("subtype").head(_MEASURED - 1)
    chosen = pd.concat([chosen, table.drop(chosen.index).head(_MEASURED - len(chosen))])
    rows = []
    for number, (_, row) in enumerate(chosen.iterrows()):
        path = out / "new" / str(row["path"])
        place = out / "needles" / f"{number}-{row['truth']}"
        (found,) = needles([path], place, pixel_size_um=float(row["pixel_size_um"]))["images"]
        rows.append(
            {
                "image": path.name,
                "code": row["truth"],
                "truth_um": float(row["mean_needle_length_um"]),
                "mean_um": {"value": found["mean_um"], "ci95": found["ci95"]["mean_um"]},
                "traced": found["n_traced"],
            }
        )
    return rows


# -- the page ---------------------------------------------------------------------------------------------


def _story(found: Mapping[str, Any], codes: Mapping[str, Any], seed: int) -> ExperimentFacts:
    """Return the page of the demonstration."""
    test, novel, known = found["metrics"]["test"], found["novel_referred"], found["known_referred"]
    truth, label = (found["codes"][name]["accuracy"] for name in ("truth", "label"))
    held = [
        {"what": "subtype (B, G, M), test specimens", "n": test["n"], "accuracy": _estimate(test)},
        {"what": "structure code, new specimens, against the day-to-day label", "n": label["n"], "accuracy": label},
        {"what": "structure code, new specimens, against the truth", "n": truth["n"], "accuracy": truth},
    ]
    margins = codes["raters"]["margins"]
    return ExperimentFacts(
        title="Steel: from phantoms to a verdict",
        question="What does the steel system do from rendering to verdict, and what is each number worth?",
        source="sorby demo steel",
        answers=[
            f"Structures never taught: {novel['referred']} of {novel['n']} referred to a person; known ones:"
            f" {known['referred']} of {known['n']}.",
            *codes["heads"]["answers"][:3],
            *codes["raters"]["answers"][:1],
        ],
        tables=[
            Table(
                "Classifiers on specimens they were not taught.",
                (Column("what", "what is told"), Column("n", "n", "count"), Column("accuracy", "accuracy", "share")),
                held,
            ),
            Table(
                "Heads, cross-validated against the truth.",
                (
                    Column("arm", "head"),
                    Column("n", "n", "count"),
                    Column("accuracy", "accuracy", "share"),
                    Column("macro_f1", "macro-F1", "share"),
                ),
                codes["heads"]["table"],
            ),
            Table(
                "The classifier among fourteen simulated raters, against the truth.",
                (
                    Column("model", "model"),
                    Column("accuracy", "accuracy", "share"),
                    Column("median_rater", "median rater", "share"),
                    Column("margin", "margin, points", "points"),
                ),
                margins,
            ),
            Table(
                "Images that only resemble what was taught.",
                (
                    Column("kind", "kind"),
                    Column("n", "n", "count"),
                    Column("referred", "referred", "count"),
                    Column("novel", "for novelty", "count"),
                ),
                found["near"],
            ),
            Table(
                "Mean needle length, measured (micrometres, 95 % interval) and true.",
                (
                    Column("image", "micrograph"),
                    Column("code", "code"),
                    Column("traced", "needles traced", "count"),
                    Column("mean_um", "measured", "number"),
                    Column("truth_um", "true", "number"),
                ),
                found["needles"],
            ),
        ],
        figures=[],
        may=["How the parts work together, and what each page looks like."],
        may_not=[
            "Anything about real steel: all of it is rendered, the raters are simulated, and needle measurement was"
            " calibrated on such phantoms."
        ],
        data=[
            f"{_TAUGHT} phantom micrographs of {_TAUGHT // 2} specimens, {_FRESH} of new ones, seed {seed}",
            *(
                f"{name}: {Path(page).relative_to(Path(found['report']).parent)}"
                for name, page in found["pages"].items()
            ),
            "verdicts/ and near-verdicts/: what inspect says; needles/: traced needles; new/: micrographs to try",
        ],
        arms=[],
        warnings=[],
        quarantined=[],
        provenance=provenance.describe(seed),
    )


def _estimate(test: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": test["accuracy"], "ci95": test["ci95"]["accuracy"], "n": test["n"]}

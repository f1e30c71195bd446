"""``demo fracture``: an archive from nothing, on phantoms: match, audit, train, judge specimens, measure a mirror."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sorby.backbone.runtime import Device
from sorby.classify.recipe import load as load_recipe
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.evidence import proportion
from sorby.micrograph import read
from sorby.phantom.fracture import (
    FULL_SIZE,
    SMALL_SIZE,
    fracture_set,
    mirror_view,
    origin_px,
    render,
    write_views,
)
from sorby.phantom.writing import write_picture
from sorby.report.experiment_page import Column, Table
from sorby.report.paper_page import Part
from sorby.report.thumbnails import Picture, embed, shrink
from sorby.workflow.inspection import inspect
from sorby.workflow.measuring.mirrors import Loading, measure_mirrors
from sorby.workflow.papers import run_fracture_paper
from sorby.workflow.papers.fracture import FractureOptions
from sorby.workflow.papers.fracture_archive import read_as_archive
from sorby.workflow.phantoms import write_fracture_corpus
from sorby.workflow.specimens.teaching import Teaching, teach_specimens
from sorby.workflow.training import train

_ARCHIVE, _FRESH = 48, 10  # specimens
_FRESH_SEED = 1_000_003  # other specimens than those taught
_MIRRORS = 3
_PICTURE_PX = 420
_CLASS = "material"  # the rare one


def demo_fracture(
    out: Path | str, *, seed: int = 0, device: Device = "auto", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Run the fracture demonstration.

    An archive of SEM pictures and PDF reports with mistakes is written, read by its rules into a corpus, and held
    against the truth. A classifier and a judge of specimens are taught; new specimens get one verdict each, and of
    some the mirror is measured. The tables and figures of Schmid et al. (2026) follow, with the audit they lacked.

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
        ``report`` (the paper's page with the demonstration before it), ``bundle``, ``judge``, ``metrics``,
        ``matched``, ``specimens``, ``mirrors``, ``seconds``.

    Raises
    ------
    InputError
        *out* holds something.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: exists and is not empty", "choose another --out, or remove it")
    started = time.perf_counter()
    recipe = load_recipe("fracture-frozen", {"seed": seed})
    say(f"writing an archive of {_ARCHIVE} broken phantoms: pictures with info bars, PDF reports with mistakes")
    write_fracture_corpus(out / "phantom", _ARCHIVE, seed=seed, size="small")
    say("reading names and reports, matching them")
    built = read_as_archive(out / "phantom", out / "corpus")
    if built["quarantined"]:
        say(f"{len(built['quarantined'])} reports not read, e.g. {built['quarantined'][0]['reason']}")
    matches = _matches(out)
    say("training on specimens, testing on others; teaching one verdict a specimen")
    trained = train(built["corpus"], out / "run", recipe, device=device)
    bundle, judge = Path(trained["bundle"]), out / "specimens.sorby"
    taught = teach_specimens(
        bundle, built["corpus"], judge, Teaching("attention", expert_classes=(_CLASS,), seed=seed), device=device
    )
    say(f"inspecting {_FRESH} new specimens")
    judged = _judged(out, bundle, judge, seed, device)
    say("measuring fracture mirrors of known radius")
    mirrors = _mirrors(out, seed)
    say("the published tables and figures, with the audit they lacked")
    paper = run_fracture_paper(
        out / "paper", built["corpus"], recipe=recipe, options=FractureOptions(), device=device,
        before=_before(built, matches, trained, taught, judged, mirrors),
    )  # fmt: skip
    return {
        "report": paper["report"],
        "bundle": str(bundle),
        "judge": str(judge),
        "metrics": {
            "test": trained["test"],
            "inflation": paper["cells"]["inflation"],
            "table_2": paper["table"],
        },
        "matched": {**built["matched"], **matches},
        "match_report": built["report"],
        "specimens": {key: judged[key] for key in ("right", "hits", "missed", "rare", "n", "referred", "specimens")},
        "mirrors": mirrors["rows"],
        "warnings": paper["warnings"],
        "seconds": time.perf_counter() - started,
    }


def _matches(out: Path) -> dict[str, Any]:
    """Hold the labels that the archive's reports gave against the truth of each picture."""
    read = Corpus.load(out / "corpus" / "corpus.parquet").usable().table.set_index("sha256")["label"]
    truth = Corpus.load(out / "phantom" / "corpus.parquet").table.drop_duplicates("sha256").set_index("sha256")
    known = truth["label"].reindex(read.index)
    return {"labels_right": proportion(int((read == known).sum()), len(read)).as_dict()}


def _judged(out: Path, bundle: Path, judge: Path, seed: int, device: Device) -> dict[str, Any]:
    """Inspect the pictures of new specimens and hold the verdicts on specimens against the truth."""
    fresh = out / "new"
    table = write_views(fresh, fracture_set(_FRESH, seed + _FRESH_SEED, unknown=0), size=SMALL_SIZE)
    found = inspect(
        bundle, [fresh / "images"], out / "verdicts", by_specimen=fresh / "labels.csv", specimen_judge=judge,
        explain=True, device=device,
    )  # fmt: skip
    truth = table.drop_duplicates("specimen").set_index("specimen")["label"]
    rows = pd.read_csv(found["by_specimen"]["specimens"], dtype=str, keep_default_na=False)
    rows["truth"] = truth.reindex(rows["specimen"]).to_numpy()
    right = int((rows["label"] == rows["truth"]).sum())
    return {
        "rows": [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")],
        "right": proportion(right, len(rows)).as_dict(),
        "hits": right,
        "missed": int(((rows["label"] != rows["truth"]) & (rows["referred"] == "false")).sum()),
        "rare": {
            "label": _CLASS,
            "n": int((rows["truth"] == _CLASS).sum()),
            "found": int(((rows["truth"] == _CLASS) & (rows["label"] == _CLASS)).sum()),
        },
        "n": len(rows),
        "referred": found["by_specimen"]["referred"],
        "specimens": found["by_specimen"]["specimens"],
    }


def _mirrors(out: Path, seed: int) -> dict[str, Any]:
    """Measure some mirrors, each in a picture taken for it, about the origin that a person would set."""
    rows, pictures = [], []
    for specimen in fracture_set(2 * _MIRRORS, seed + _FRESH_SEED + 1, difficulty=0.0, unknown=0)[:_MIRRORS]:
        plan = mirror_view(specimen)
        view = render(specimen, plan, FULL_SIZE)
        picture = out / "mirrors" / f"{specimen.name}.tif"
        picture.parent.mkdir(exist_ok=True)
        write_picture(picture, view.pixels, view.pixel_size_um)
        entry: dict[str, Any] = {"specimen": specimen.name, "truth_um": specimen.mirror_radius_um}
        try:
            found = measure_mirrors(
                [picture], out / "mirrors" / specimen.name, origin=origin_px(specimen, plan, FULL_SIZE),
                loading=Loading(specimen.origin_stress_mpa), seed=seed,
            )["images"][0]  # fmt: skip
        except InputError as refused:
            rows.append({**entry, "said": refused.message})
            continue
        radius, constant = found["radius_um"], found["mirror_constant_mpa_sqrt_m"]
        rows.append({
            **entry,
            "radius_um": {"value": radius, "ci95": found["ci95"]["radius_um"]},
            "constant": {"value": constant, "ci95": found["ci95"]["mirror_constant_mpa_sqrt_m"]},
            "said": "; ".join(found["warnings"]) or "measured",
        })  # fmt: skip
        pictures += [
            (_small(path), f"{specimen.name}: the mirror is outlined in orange")
            for path in sorted((out / "mirrors" / specimen.name).rglob("*.png"))
        ]
    return {"rows": rows, "pictures": pictures}


def _small(path: Path) -> Picture:
    return embed(shrink(read(path).pixels, _PICTURE_PX), path.name)


def _before(
    built: Mapping[str, Any],
    matches: Mapping[str, Any],
    trained: Mapping[str, Any],
    taught: Mapping[str, Any],
    judged: Mapping[str, Any],
    mirrors: Mapping[str, Any],
) -> list[Part]:
    """Return what stands before the paper's tables: archive, verdicts, mirrors."""
    counts = ", ".join(f"{n} {way}" for way, n in built["matched"].items())
    right = matches["labels_right"]
    test, cross = trained["test"], taught["cross_fitted"]["accuracy"]
    low, high = test["ci95"]["accuracy"]
    verdicts = Table(
        "New specimens, each by all its pictures: one verdict, its conformal set, and why it is referred. Which"
        " pictures carried it stands in specimens.csv.",
        (
            Column("specimen", "specimen"),
            Column("truth", "truth"),
            Column("label", "verdict"),
            Column("confidence", "confidence"),
            Column("set", "set"),
            Column("reason", "referred because"),
            Column("n_images", "pictures"),
        ),
        [
            {**row, "set": row["set"].replace("|", ", "), "reason": row["reason"].replace("|", ", ")}
            for row in judged["rows"]
        ],
    )
    radii = Table(
        "Mirror radius about the known origin, along the surface and inwards together (ASTM C1678 terms).",
        (
            Column("specimen", "specimen"),
            Column("truth_um", "truth, µm", "number"),
            Column("radius_um", "measured, µm", "number"),
            Column("constant", "mirror constant, MPa √m", "number"),
            Column("said", "said"),
        ),
        mirrors["rows"],
    )
    return [
        Part(
            "From the archive to a corpus",
            [
                f"{built['rows']} pictures and {built['reports']} reports: {counts}. Unmatched ones are kept aside.",
                f"Of {right['n']} pictures that take part, {100 * right['value']:.1f} % got the right label, as the"
                " phantoms' truth says; a real archive has no such column.",
                *(
                    [f"Reports not read: {len(built['quarantined'])}, e.g. {built['quarantined'][0]['reason']}."]
                    if built["quarantined"]
                    else []
                ),
                f"Page of the match: {Path(built['report']).name} beside the corpus; what is doubtful stands in its"
                " review table.",
            ],
        ),
        Part(
            "One verdict a specimen",
            [
                f"Test of the classifier on specimens not taught: accuracy {100 * test['accuracy']:.1f} % of"
                f" {test['n']} pictures (95 % interval {100 * low:.1f} to {100 * high:.1f} %).",
                f"The judge of specimens, cross-fitted: accuracy {100 * cross['value']:.1f} % of"
                f" {taught['n_specimens']} specimens. Of {judged['n']} new ones {judged['hits']} got the right verdict,"
                f" and {judged['referred']} are referred. Wrong and not referred: {judged['missed']}. Of"
                f" {judged['rare']['n']} that broke from a {_CLASS} defect, {judged['rare']['found']} were named so.",
            ],
            [verdicts],
        ),
        Part("Fracture mirrors", tables=[radii], pictures=mirrors["pictures"]),
    ]

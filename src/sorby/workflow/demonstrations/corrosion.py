"""``demo corrosion``: surfaces, a plate, curves and generated images, on phantoms whose attack is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sorby import provenance
from sorby.backbone.runtime import Device
from sorby.classify.recipe import load as load_recipe
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.evidence import proportion
from sorby.files import write_json, write_text
from sorby.micrograph import read
from sorby.phantom.corrosion import corrosion_set, write_views
from sorby.report.experiment_page import Column, Table
from sorby.report.paper_page import Part, paper_page
from sorby.report.thumbnails import Picture, embed, shrink
from sorby.synthesize import load_recipe as load_synthesis
from sorby.workflow import synthesis
from sorby.workflow.inspection import inspect
from sorby.workflow.measuring.plates import measure_plates
from sorby.workflow.papers import bhat2023
from sorby.workflow.papers.corrosion_consistency import consistency_rows, verdict_counts
from sorby.workflow.papers.corrosion_curves import chosen_coupons, curve_parts
from sorby.workflow.papers.corrosion_page import CLAIMS
from sorby.workflow.phantoms import write_corrosion_corpus
from sorby.workflow.training import train

_COUPONS, _IMAGES, _FRESH = 60, 2, 10
_FRESH_SEED = 1_000_003  # other coupons than those taught
_SIZE_PX = 256
_PICTURE_PX = 420
_GENERATOR = {"image.size_px": 64, "image.original_px": 128, "training.steps": 120, "training.report_every": 40}
_MADE = 12  # generated images of each alloy
_FEW = 12  # coupons of each alloy that teach the generator, and as many that judge it
_TITLE = "Corrosion: severity, a plate, curves and generated images, on phantoms"


def demo_corrosion(
    out: Path | str, *, seed: int = 0, device: Device = "auto", say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Run the corrosion demonstration.

    A classifier of severity is taught on pictures of coupons and judges new ones and every tile of a plate. Sweeps and
    spectra of coupons are analysed and held against their truth. A small generator is taught for a minute, and what its
    images are worth is said. Last, which printed numbers of Bhat et al. (2023) follow from which.

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
        ``report``, ``bundle``, ``metrics`` (``test``, ``new``, ``plate``, ``synthesis``), ``curves``, ``verdicts``,
        ``plate``, ``seconds``, ``warnings``.

    Raises
    ------
    InputError
        *out* holds something.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: exists and is not empty", "choose another --out, or remove it")
    started = time.perf_counter()
    say(f"rendering {_COUPONS} corroded coupons with sweeps and spectra, and a plate")
    phantom = write_corrosion_corpus(out / "phantom", _COUPONS, seed=seed, size_px=_SIZE_PX, images=_IMAGES, plates=1)
    say("training a classifier of severity, testing on other coupons")
    recipe = load_recipe("corrosion-severity", {"seed": seed})
    trained = train(phantom["corpus"], out / "run", recipe, device=device, label="severity")
    bundle = Path(trained["bundle"])
    say(f"inspecting {_FRESH} new coupons")
    judged = _judged(out, bundle, seed, device)
    say("mapping the plate, tile by tile")
    plate = _plate(out, bundle, device)
    say("analysing sweeps and spectra of six coupons")
    cells: dict[str, Any] = {}
    curves = curve_parts(chosen_coupons(out / "phantom" / "corrosion" / "curves.csv"), cells)
    say("teaching a small generator, and asking what its images are worth")
    made = _synthesis(out, phantom["corpus"], seed, device)
    warnings = [*trained["warnings"], *made["warnings"]]
    parts = [
        _severity_part(trained, judged), _plate_part(plate), *curves, _synthesis_part(made), _consistency_part(),
    ]  # fmt: skip
    facts = provenance.describe(seed)
    lead = ["Everything here is of phantoms, whose truth is known; it says nothing about your surfaces.", *warnings]
    write_text(out / "report.html", paper_page(_TITLE, lead, bhat2023.FLAWS, parts, facts))
    result = {
        "report": str(out / "report.html"),
        "bundle": str(bundle),
        "metrics": {"test": trained["test"], "new": judged["counts"], "plate": plate["held"],
                    "synthesis": {key: made[key] for key in ("kid", "floor", "ceiling", "accepted", "rejected")}},
        "curves": cells,
        "verdicts": judged["verdicts"],
        "plate": str(out / "plate"),
        "warnings": warnings,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    write_json(out / "demo.json", {**result, "provenance": facts})
    return result


def _judged(out: Path, bundle: Path, seed: int, device: Device) -> dict[str, Any]:
    """Inspect pictures of new coupons and hold the grades against the truth."""
    fresh = out / "new"
    table = write_views(fresh, corrosion_set(_FRESH, seed + _FRESH_SEED, images=1), size=(_SIZE_PX, _SIZE_PX))
    found = inspect(bundle, [fresh / "images"], out / "verdicts", explain=True, device=device)
    rows = pd.read_csv(found["verdicts"], dtype=str, keep_default_na=False)
    truth = table.assign(stem=[Path(path).stem for path in table["image"]]).set_index("stem")["severity"]
    rows["truth"] = [str(truth[Path(path).stem]) for path in rows["image"]]
    off = (rows["label"].astype(int) - rows["truth"].astype(int)).abs()
    return {
        "verdicts": found["verdicts"],
        "rows": [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")],
        "counts": {
            "right": proportion(int((off == 0).sum()), len(rows)).as_dict(),
            "within_one_grade": proportion(int((off <= 1).sum()), len(rows)).as_dict(),
            "referred": int((rows["referred"] == "true").sum()),
            "n": len(rows),
        },
    }


def _plate(out: Path, bundle: Path, device: Device) -> dict[str, Any]:
    """Map a plate and hold the area of each grade against its truth."""
    place = next(path for path in sorted((out / "phantom" / "plates").iterdir()) if path.is_dir())
    truth = json.loads((place / "plate.json").read_text("utf-8"))
    found = measure_plates(bundle, [place / "plate.tif"], out / "plate", device=device)["plates"][0]
    shares = {key: entry["value"] for key, entry in found["fractions"].items()}
    total = sum(truth["area_by_severity"].values())
    known = {key: value / total for key, value in truth["area_by_severity"].items()}
    rows = [
        {"severity": key, "ours": found["fractions"].get(key), "truth": known.get(key, 0.0)}
        for key in sorted({*shares, *known})
    ]
    gap = max(abs(shares.get(key, 0.0) - known.get(key, 0.0)) for key in {*shares, *known})
    pictures = [
        (_small(path), "Every tile's grade; grey tiles are not judged.")
        for path in sorted((out / "plate").rglob("*map.png"))
    ]
    held = {"largest_error": gap, "tiles": found["tiles"], "not_judged": sum(found["not_judged"].values())}
    return {"rows": rows, "pictures": pictures, "held": held, "warnings": found["warnings"]}


def _synthesis(out: Path, corpus: str, seed: int, device: Device) -> dict[str, Any]:
    """Teach a generator for a minute by a few coupons, and check a sample of it against others."""
    recipe = load_synthesis("stills-128", _GENERATOR)
    few, others = _divided(Corpus.load(corpus))
    taught_by, judged_by = few.save(out / "originals.parquet"), others.save(out / "other-coupons.parquet")
    taught = synthesis.train(taught_by, out / "generator", recipe, seed=seed, device=device)
    synthesis.sample(taught["generator"], out / "generated", n=_MADE, seed=seed, device=device)
    found = synthesis.check(
        judged_by, out / "generated", out / "generated-checked", generator=taught["generator"], seed=seed, device=device
    )
    pictures = []
    originals = few
    for name in originals.classes:
        paths = [path for path, label in zip(originals.paths(), originals.labels, strict=True) if label == name][:3]
        pictures += [(_small(path), f"{name}, phantom") for path in paths]
        pictures += [(_small(path), f"{name}, generated") for path in _of_class(out / "generated", name)[:3]]
    return {**found, "pictures": pictures}


def _divided(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Return the first picture of some coupons of each alloy, and of as many others."""
    first = corpus.table[~corpus.table["specimen"].duplicated()]
    place = first.groupby("label").cumcount().to_numpy()
    rows = first.index.to_numpy()
    return corpus.take(rows[place < _FEW]), corpus.take(rows[(place >= _FEW) & (place < 2 * _FEW)])


def _of_class(folder: Path, name: str) -> list[Path]:
    table = pd.read_csv(folder / "synthetic.csv", dtype=str, keep_default_na=False)
    return [folder / path for path in table.loc[table["label"] == name, "path"]]


def _small(path: Path) -> Picture:
    return embed(shrink(read(path).pixels, _PICTURE_PX), path.name)


def _severity_part(trained: Mapping[str, Any], judged: Mapping[str, Any]) -> Part:
    test, counts = trained["test"], judged["counts"]
    low, high = test["ci95"]["accuracy"]
    columns = (
        Column("image", "picture"),
        Column("truth", "truth"),
        Column("label", "grade"),
        Column("confidence", "confidence"),
        Column("set", "set"),
        Column("reason", "referred because"),
    )
    rows = [
        {**row, "image": Path(row["image"]).name, "set": row["set"].replace("|", ", "),
         "reason": row["reason"].replace("|", ", ")}
        for row in judged["rows"]
    ]  # fmt: skip
    text = [
        f"Test on coupons not taught: {100 * test['accuracy']:.1f} % of {test['n']} pictures get the right grade of"
        f" five (95 % interval {100 * low:.1f} to {100 * high:.1f} %).",
        f"Of {counts['n']} new coupons {round(counts['right']['value'] * counts['n'])} are graded rightly,"
        f" {round(counts['within_one_grade']['value'] * counts['n'])} within one grade; {counts['referred']} are"
        " referred. Grades are steps on a scale without gaps, so neighbours are confused.",
        "The published study's labels are the two alloys; severity was never graded there.",
    ]
    return Part("Severity of attack", text, [Table("New coupons.", columns, rows)])


def _plate_part(plate: Mapping[str, Any]) -> Part:
    columns = (
        Column("severity", "grade"),
        Column("ours", "share of the judged area", "share"),
        Column("truth", "truth", "share"),
    )
    held = plate["held"]
    text = [
        f"Of {held['tiles']} tiles {held['not_judged']} are not judged. Largest error of a grade's share:"
        f" {100 * held['largest_error']:.1f} points.",
        *plate["warnings"],
    ]
    return Part("A whole plate", text, [Table("Area by grade.", columns, plate["rows"])], pictures=plate["pictures"])


def _synthesis_part(made: Mapping[str, Any]) -> Part:
    text = [
        f"A generator taught for a minute by {_FEW} coupons of each alloy. KID {made['kid']:.2f} to as many others,"
        f" between {made['floor']['value']:.2f} (real against real) and {made['ceiling']['value']:.2f} (before it"
        f" was taught). Of its images {made['accepted']} pass the gate, {made['rejected']} do not. A quarter of an hour"
        " gives better ones; see sorby synthesize --help.",
        "Generated images teach only where none of their ancestors is judged.",
        *made["warnings"],
    ]
    return Part("Generated images", text, pictures=made["pictures"])


def _consistency_part() -> Part:
    rows = consistency_rows()
    counted = ", ".join(f"{name} {count}" for name, count in verdict_counts(rows).items())
    return Part(
        "What of the published numbers holds",
        [
            *CLAIMS,
            f"{len(rows)} checks: {counted}. All of them: sorby electro consistency; the tables: sorby paper S2.",
        ],
    )

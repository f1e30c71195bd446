"""The benchmark page, written from the stored JSON and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def _percent(entry: Result | None, key: str = "value") -> str:
    """Return ``99.89 % [99.60, 99.97]``."""
    if entry is None:
        return "-"
    value = entry.get(key, entry.get("mean"))
    bounds = entry["ci95"]
    interval = "" if bounds is None else f" [{100 * bounds[0]:.2f}, {100 * bounds[1]:.2f}]"
    return f"{100 * value:.2f} %{interval}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _neu(r: Result) -> str:
    names = {
        "near_duplicates_together": "near-duplicates in one fold (the protocol asked for)",
        "overlapping_crops_together": "overlapping crops of one field in one fold",
        "by_image": "by image, as published work splits",
    }
    rows = [
        [title, str(r[key]["n"]), _percent(r[key]["accuracy"]), _percent(r[key]["macro_f1"]),
         _percent(r[key]["set_coverage"]), _percent(r[key]["referred"])]
        for key, title in names.items()
    ]  # fmt: skip
    return f"""## NEU-CLS: hot-rolled steel strip, six defects

1,800 images, 5-fold, frozen default (efficientnet_lite0, 224 px), mean over five seeds with its t interval over
seeds, which share the images. Published: {100 * r["published"]["accuracy"]:.2f} % ({r["published"]["method"]}), half
of the images for training, split by image: **not the same protocol**.

{_table(["split", "n", "accuracy", "macro-F1", "set coverage (aim 95 %)", "referred"], rows)}

Seed 0 with the Wilson or bootstrap interval of its {r["near_duplicates_together"]["n"]} images:
{_percent(r["near_duplicates_together"]["accuracy_seed_0"])}. pHash and SSIM find next to no near-duplicates here
({r["groups"]["near_duplicates"]} groups); comparing neighbouring crops finds {r["groups"]["fields"]} fields
(`benchmarks/neu_overlap.py`). One whole run with an empty cache (decoding, features, heads, calibration, evaluation)
took {r["seconds_cold"]:.1f} s; target {r["targets"]["seconds_cold"]} s.
"""


def _elpv(r: Result) -> str:
    rows = []
    for key, title in (
        ("default", "frozen default, 224 px"),
        ("flips_300px", "frozen, flips averaged, 300 px"),
        ("taught_on_certain_only", "the same, taught and tested on certain labels only"),
        ("graded", "the same, four graded labels"),
    ):
        e = r[key]
        seeds = _percent(e["accuracy_over_seeds"]) if "accuracy_over_seeds" in e else "-"
        row = [title, str(e["n"]), _percent(e["accuracy"]), seeds, _percent(e["macro_f1"]),
               _percent(e["accuracy_certain"]), _percent(e["accuracy_uncertain"])]  # fmt: skip
        rows.append(row)
    p = r["published"]
    header = ["", "n", "accuracy (seed 0)", "over 3 seeds", "macro-F1", "on certain labels", "on uncertain labels"]
    return f"""## elpv: electroluminescence of solar cells

2,624 cells; labels 0 and 1/3 are functional, 2/3 and 1 defective; 5-fold. Module ids are not published, so the split
is by image and cells of one module may stand on both sides. Published: SVM {100 * p["svm"]:.2f} %, CNN
{100 * p["cnn"]:.2f} % (Deitsch et al. 2019, one 75:25 split), later work up to about {100 * p["later"]:.1f} %:
**not the same protocol**.

{_table(header, rows)}

401 labels (1/3 and 2/3) are uncertain by the annotators' own word, and an error on them need not be the classifier's:
the certain cells beside them show what it is worth where the truth is known. Leaving the uncertain cells out of the
teaching changes the accuracy on certain cells as the third row beside the second shows; that is what the label noise
costs (or gains) here.
"""


def _finetune(r: Result) -> str:
    e = r["finetune"]
    return f"""### elpv, fine-tuned at native resolution

{e["protocol"]} n = {e["n"]} test images.
Accuracy {_percent(e["accuracy"])}, macro-F1 {_percent(e["macro_f1"])}; on certain labels
{_percent(e["accuracy_certain"])}, on uncertain ones {_percent(e["accuracy_uncertain"])}. Sets cover
{_percent(e["set_coverage"])} (aim 95 %).
"""


def _tiles(r: Result) -> str:
    rows = [
        [title, _percent(r[key]["macro_f1"]), _percent(r[key]["macro_f1_over_seeds"]), _percent(r[key]["accuracy"]),
         _percent(r[key]["balanced_accuracy"]), _percent(r[key]["set_coverage"])]
        for key, title in (("by_tile", "tiles kept whole"), ("by_image", "by image (leaks)"))
    ]  # fmt: skip
    header = ["split", "macro-F1 (seed 0)", "over 3 seeds", "accuracy", "balanced accuracy", "set coverage (aim 95 %)"]
    return f"""## Magnetic tiles, six classes

{r["n"]} images of {r["tiles"]} tiles: the same tile recurs under several exposures, so a split by image tests on tiles
it was taught. Which images show one tile is derived and checked in `benchmarks/magnetic_tile_groups.py`. 5-fold,
frozen, flips averaged, class weights; intervals of seed 0 by bootstrap of tiles (or images).

{_table(header, rows)}
"""


def _speed(r: Result) -> str:
    memory = r["peak_mb"]
    return f"""## Speed of `inspect`

{r["image"]}, {r["n"]} images, both programs in turn in one process, medians: sorby
**{r["images_per_s"]:.0f} images/s**, plain timm + PIL + torch loop {r["plain_images_per_s"]:.0f} images/s, **ratio
{r["ratio"]:.1f}** (target {r["targets"]["ratio"]}). sorby's figure includes calibrated
probabilities, conformal set and novelty.
Peak memory of a fresh process: {memory["1000"]:.0f} MB for 1,000 images, {memory["20000"]:.0f} MB for 20,000
(growth {memory["growth"]:.2f}).
"""


def _finetune_speed(r: Result) -> str:
    return f"""## Speed of fine-tuning

{r["network"]}: {r["steps_per_s"]:.2f} steps/s, plain PyTorch loop {r["plain_steps_per_s"]:.2f} steps/s, **ratio
{r["ratio"]:.2f}** (target {r["targets"]["ratio"]}).
"""


def _difference(row: Result) -> str:
    if "difference" not in row:
        return "reference"
    gap = row["difference"]["macro_f1"]
    bounds = "" if gap["ci95"] is None else f" [{100 * gap['ci95'][0]:+.1f}, {100 * gap['ci95'][1]:+.1f}]"
    return f"{100 * gap['value']:+.1f}{bounds}"


def _steel(r: Result) -> str:
    parts = [
        f"""## Steel experiments on phantoms at the published counts

{r["image"]}, n = {r["n"]}, seed 0, frozen default, 5-fold, specimens kept whole. **Phantoms: the figures say nothing
of real steel**, and no published figure is comparable. All experiments took {r["seconds_experiments"]:.0f} s with an
empty feature cache; target {r["targets"]["seconds_experiments"]} s. What each asks: [experiments](experiments.md).
"""
    ]
    found = r["experiments"]
    for name in ("size-strategy", "imbalance", "heads", "hand-crafted"):
        if name in found:
            rows = [[row["arm"], str(row["n"]), _percent(row["accuracy"]), _percent(row["macro_f1"]), _difference(row)]
                    for row in found[name]["table"]]  # fmt: skip
            header = ["arm", "n", "accuracy", "macro-F1", "macro-F1 less reference, points"]
            parts.append(f"### {name} ({found[name]['seconds']:.0f} s)\n\n{_table(header, rows)}\n")
    for name, entry in found.items():
        if name not in ("size-strategy", "imbalance", "heads", "hand-crafted", "paper"):
            said = "\n".join(f"- {line}" for line in entry["answers"])
            parts.append(f"### {name} ({entry['seconds']:.0f} s)\n\n{said}\n")
    if "novelty" in found:
        rows = [[m["detector"], m["distance"], str(m["kinds"]), f"{m['auroc']:.3f}", f"{100 * m['fpr95']:.1f} %",
                 f"{m['worst']} ({m['worst_auroc']:.3f})"] for m in found["novelty"]["mean_over_kinds"]]  # fmt: skip
        header = ["detector", "kinds", "number", "AUROC, mean over kinds", "FPR95, mean", "hardest"]
        parts.append(f"### Detectors\n\n{_table(header, rows)}\n")
    return "\n".join(parts)


def _needles(r: Result) -> str:
    def row(name: str, entry: Result) -> list[str]:
        cells = [name, str(entry["n"])]
        for length in ("mean", "q95"):
            e = entry[length]
            cells.append(
                f"{100 * e['median']:.1f} % [{100 * e['median_ci95'][0]:.1f}, {100 * e['median_ci95'][1]:.1f}]"
            )
            cells.append(f"{100 * e['mean_absolute']:.1f} %")
            cells.append(f"{100 * e['bias']:+.1f} %")
        return cells

    rows = [row("all", r["estimate"]), *(row(name, entry) for name, entry in r["groups"].items())]
    rows.append(row("traced needles alone", r["traced_uncorrected"]))
    header = ["", "n", "mean: median error", "mean absolute", "bias", "q95: median error", "mean absolute", "bias"]
    covered = ", ".join(
        f"{name} {100 * e['covered']:.1f} % [{100 * e['ci95'][0]:.1f}, {100 * e['ci95'][1]:.1f}]"
        for name, e in r["coverage"].items() if name in ("mean", "q95", "largest")
    )  # fmt: skip
    return f"""## Needle length on unseen phantoms

{r["phantoms"]} phantoms of {r["size_px"]} px, one a specimen, rendered from seeds that the calibration has not seen.
Relative errors of mean length and 95th percentile; aims 10 % and 15 %. **Calibrated on phantoms of the same generator:
on real micrographs nothing of this has been verified.**

{_table(header, rows)}

The truth lies in the 95 % interval: {covered}. The class by mean length is right in
{100 * r["grade_by_mean_right"]:.0f} %.
"""


def _grains(r: Result) -> str:
    errors = r["phantoms"]["errors_of_g"]
    rows = [
        [name, str(e["n"]), f"{e['mean']:+.3f} [{e['ci95_of_mean'][0]:+.3f}, {e['ci95_of_mean'][1]:+.3f}]",
         f"{e['q95_of_absolute']:.3f}", f"{100 * e['within_quarter']:.0f} %"]
        for name, e in errors.items()
    ]  # fmt: skip
    rows += [
        [f"traced: Heyn lines, {name}", str(e["n"]),
         f"{e['mean']:+.3f} [{e['ci95_of_mean'][0]:+.3f}, {e['ci95_of_mean'][1]:+.3f}]",
         f"{e['q95_of_absolute']:.3f}", f"{100 * e['within_quarter']:.0f} %"]
        for name, e in r["harder"].items()
    ]  # fmt: skip
    scores = [["phantom boundaries", r["phantom_segmentation"]]] if "phantom_segmentation" in r else []
    scores += [["inclusions in etched patches", r["patches"]["test"]]] if "patches" in r else []
    found = [
        [name, str(s["n"]), str(s["n_groups"]), *(_percent(s[key]) for key in ("dice", "dice_2px")),
         *(_percent(s["classical"][key]) for key in ("dice", "dice_2px"))]
        for name, s in scores
    ]  # fmt: skip
    header = ["taught and tested on", "n", "groups", "segmenter: Dice", "within 2 px", "classical: Dice", "within 2 px"]
    segmented = f"{r['note']}\n\n{_table(header, found)}\n" if found else ""
    return f"""## Grain size and boundaries

Error of G on phantoms of known grains, G 5 to 11, 4 % of the boundary missing; aim .25.

{_table(["method", "n", "mean error", "95 % of errors below", "within .25"], rows)}

{segmented}"""


def _inclusions(r: Result) -> str:
    e = r["area_fraction_absolute_error"]
    return f"""## Inclusions

{r["n"]} etched micrographs, darkness limit chosen leave-one-out: {100 * r["found_area_fraction_mean"]:.2f} % of the
area found, {100 * r["true_area_fraction_mean"]:.2f} % drawn; mean absolute error {100 * e["mean"]:.2f} points
[{100 * e["ci95"][0]:.2f}, {100 * e["ci95"][1]:.2f}]; Dice {_percent(r["dice"])}, within 3 px {_percent(r["dice_3px"])}.
"""


def _raters(r: Result) -> str:
    rows = [
        [name.replace("_", " "), f"{e['mean']:.3f}", f"{e['sd']:.3f}", f"{e['published']:.3f}"]
        for name, e in r["figures"].items()
    ]
    return f"""## The panel of simulated raters

{r["raters"]} simulated raters on {r["images"]} phantoms, mean and SD over {r["seeds"]} seeds, beside the round robin
of S1. The constants were fitted to such figures, so that they agree is no evidence of how people rate.

{_table(["", "simulated", "SD", "published"], rows)}
"""


SECTIONS: dict[str, Callable[[Result], str]] = {
    "neu_classification": _neu,
    "elpv_classification": _elpv,
    "elpv_finetune": _finetune,
    "magnetic_tile": _tiles,
    "inspect_speed": _speed,
    "finetune_speed": _finetune_speed,
    "steel_experiments": _steel,
    "needle_length": _needles,
    "grain_boundaries": _grains,
    "inclusions": _inclusions,
    "rater_panel": _raters,
}


def write_page(results: Path, page: Path) -> None:
    """Write the page from the results that are there."""
    parts = []
    machines = set()
    for name, section in SECTIONS.items():
        file = results / f"{name}.json"
        if not file.is_file():
            continue
        result = json.loads(file.read_text("utf-8"))
        machine = result["machine"]
        machines.add(f"{machine['cpu']}, {machine['cores']} cores, bf16 {'yes' if machine['bf16'] else 'no'}")
        parts.append(section(result))
    head = f"""# Benchmarks

Written by `make bench` from `benchmarks/results/*.json`. Each benchmark runs alone (`python benchmarks/NAME.py`) and
prints JSON. Brackets are 95 % intervals. Absolute times hold for the machine they were taken on
({"; ".join(machines)}); ratios were taken against the peer in the same run.
"""
    page.write_text("\n".join([head, *parts]), encoding="utf-8")

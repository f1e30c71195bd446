"""The benchmark page's sections on fracture: info bars, leakage, vision transformers, mirrors."""

from __future__ import annotations

from typing import Any

from page_tables import percent, table

Result = dict[str, Any]


def _of(part: Result, key: str) -> str:
    return f"{part[key]} of {part['n']}"


def info_bars(r: Result) -> str:
    """Return bars found and read, and how fast."""
    metaldam, fei, bare = r["metaldam"], r["sem_fei"], r["sem_fei_without_tags"]
    rows = [
        ["metaldam (real, two makers, no tags)", _of(metaldam, "magnification_exact"), "-",
         f"{_of(metaldam, 'bar_found')}, off by {metaldam['bar_row_off_at_most_px']} px at most"],
        ["sem-fei (real, FEI tags)", _of(fei, "magnification_exact"), _of(fei, "pixel_size_within_1e-4"),
         _of(fei, "bar_row_exact") + " exact"],
        ["the same, tags left out", _of(bare, "magnification_exact"), _of(bare, "pixel_size_within_1e-4"),
         _of(bare, "bar_row_exact") + " exact"],
    ]  # fmt: skip
    for size, found in r["phantoms"].items():
        part = found["all"]
        scale, bar = _of(part, "pixel_size_within_1_percent"), _of(part, "bar_row_exact")
        rows.append([f"phantoms, {size}, four makers' styles", _of(part, "magnification_exact"),
                     f"{scale} within 1 %", f"{bar} exact"])  # fmt: skip
    plain = r["pictures_without_bars"]
    false = ", ".join(f"{part['bars_found']} of {part['n']} ({name})" for name, part in plain.items())
    speed = r["speed"]
    times = ", ".join(f"{speed[name]['seconds_an_image']:.2f} s ({name})" for name in ("metaldam", "sem_fei"))
    return f"""## Info bars: magnification and scale

{table(["images", "magnification exact", "pixel size within 1e-4", "bar's first row"], rows)}

Bars seen where there is none: {false}. Tags left out, in batches, decoding included, an image takes {times} on
{speed["cores"]} cores; target .15 s. Text by {r["engine"]["engine"]} {r["engine"]["version"]}. The real bars were used
to write the rules; phantoms of these seeds were not.
"""


def leakage_audit(r: Result) -> str:
    """Return seconds of the audit, beside imagededup."""
    peer = r.get("imagededup")
    beside = (
        f" imagededup {peer['version']} takes {peer['seconds']:.0f} s for hashes and pairs alone"
        f" ({peer['does']}): {peer['seconds'] / r['seconds']:.1f} times as long."
        if peer
        else ""
    )
    steps = ", ".join(f"{name.replace('_', ' ')} {seconds:.1f} s" for name, seconds in r["steps_seconds"].items())
    return f"""## Leakage audit

{r["images"]} images (NEU and seeded altered copies) in {r["folds"]} folds: {r["seconds"]:.1f} s from files to table
({steps}); target 60 s.{beside}
"""


def hash_search(r: Result) -> str:
    """Return seconds of all pairs within a radius, and how they grow."""
    rows = [
        [f"{row['n']:,}", row["method"], f"{row['seconds']:.2f}", str(row["pairs"]), f"{row['recall']:.3f}"]
        for row in r["rows"]
    ]
    return f"""## Search of perceptual hashes

All pairs within {r["radius"]} of 64 bits; a tenth of the hashes have a planted neighbour.

{table(["hashes", "method", "seconds", "pairs", "planted ones found"], rows)}

Exponent of the time over all three sizes {r["exponent"]:.2f}; comparing every pair would have 2 and would take
{r["flat_extrapolated_seconds"]:.0f} s for a million (extrapolated). Random hashes are the worst case: every bucket is
full of strangers. Peak memory {r["peak_memory_mb"]:.0f} MB.
"""


def vit_neu(r: Result) -> str:
    """Return a vision transformer on NEU, frozen and fine-tuned."""
    rows = [
        [f"frozen, {pooling}", str(found["n"]), percent(found["accuracy"]), percent(found["macro_f1"])]
        for pooling, found in r["frozen"].items()
    ]
    tuned = r["finetuned"]
    for key, title in (("finetuned", "fine-tuned"), ("frozen_same_split", "frozen, the same split and size")):
        found = tuned[key]
        ours = {name: {"value": found[name], "ci95": found["ci95"][name]} for name in ("accuracy", "macro_f1")}
        rows.append([f"{title}, {tuned['size_px']} px", str(found["n"]), percent(ours["accuracy"]),
                     percent(ours["macro_f1"])])  # fmt: skip
    return f"""## Vision transformer on NEU-CLS

DINOv2 ViT-S/14 (weights are not shipped: `benchmarks/dinov2_weights.py`). Frozen: five folds, near-duplicates together.
Fine-tuned with the fracture paper's settings for {tuned["epochs"]} epochs on {tuned["split"]["train"]} images, which is
what fits two cores; the frozen head on the same images is the figure to hold it against.

{table(["regime", "n", "accuracy", "macro-F1"], rows)}
"""


def fracture_mirror(r: Result) -> str:
    """Return mirror radii against the phantoms' truth."""
    rows = []
    for name, title in (("cluttered", "cluttered (difficulty 1)"), ("plain", "plain (difficulty 0)")):
        for key, how in (("origin_given", "given"), ("origin_found", "searched")):
            found = r[name][key]
            for part, view in ((found["fair_view"], "fair view"), (found, "all measured")):
                if not part["n"]:
                    continue
                rows.append([
                    title, how, view, str(part["n"]), f"{found['refused']}", f"{100 * part['median_error']:.1f} %",
                    percent(part["within_10_percent"]), percent(part["interval_holds_truth"]),
                    f"{part['median_constant']:.2f}",
                ])  # fmt: skip
    header = ["phantoms", "origin", "pictures", "n", "refused", "median error", "within 10 %",
              "95 % interval holds truth", "median mirror constant (truth 9)"]  # fmt: skip
    return f"""## Fracture mirrors

Mirror/mist radius on phantoms of {r["size"][0]} px that nothing was set on (seeds {r["cluttered"]["seed"]} and
{r["plain"]["seed"]}), each at the magnification that serves best. A fair view is one measured without a warning.

{table(header, rows)}
"""


SECTIONS = {
    "info_bars": info_bars,
    "leakage_audit": leakage_audit,
    "hash_search": hash_search,
    "vit_neu": vit_neu,
    "fracture_mirror": fracture_mirror,
}

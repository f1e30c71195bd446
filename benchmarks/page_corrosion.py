"""The benchmark page's sections on corrosion: equivalent circuits, generated images and what they bring."""

from __future__ import annotations

from typing import Any

from page_tables import table

Result = dict[str, Any]


def circuit_fit(r: Result) -> str:
    """Return sums of squares and times of circuit fits, beside impedance.py."""
    rows = []
    for name in ("unit", "modulus"):
        found = r[name]
        search, start = found["search_seconds"]["median"], found["one_start"]["seconds"]["median"]
        rows.append([
            name, f"{found['chi2']:.4g}", f"{found['chi2_over_peer']:.3f}" if "chi2_over_peer" in found else "-",
            f"{1000 * search:.0f} ms", f"{1000 * start:.1f} ms",
            f"{found['one_start_times_faster']:.1f}" if "one_start_times_faster" in found else "-",
            f"{100 * r['over_seeds'][name]['within_0.1_percent']:.0f} %",
        ])  # fmt: skip
    header = ["weighting", "sum of squares", "over impedance.py's", "search without a guess", "one start",
              "times faster than impedance.py", "seeds that agree"]  # fmt: skip
    return f"""## Equivalent circuits

`exampleData.csv`, {r["circuit"]}, {r["points"]} points, seven parameters. impedance.py starts from the guess of its
documentation, on the same points and weighting. Our least sum belongs to another arrangement of the same circuit, with
the Warburg element in the slow loop; impedance.py's is among the other minima that are reported, and the parameters of
both loops are flagged as not identifiable.

{table(header, rows)}
"""


def plate_map(r: Result) -> str:
    """Return how well plates are mapped and what texture says of attack."""
    called, corrected = r["fractions"]["called"], r["fractions"]["corrected"]
    kappa, within = r["grades"]["weighted_kappa"]["value"], r["grades"]["within_one"]["value"]
    rows = [
        [alloy, f"{found['n']}", f"{found['rank_correlation']:.2f}", f"{found['mean_error']:.2f}",
         f"{found['direction_median_error_deg']:.1f}"]
        for alloy, found in r["texture"].items()
    ]  # fmt: skip
    header = ["alloy", "pictures", "rank correlation with the attacked share", "mean error of the share",
              "median error of the direction, degrees"]  # fmt: skip
    return f"""## Plates

{r["plates"]} phantom plates, judged tile by tile by a classifier of {r["taught_coupons"]} other coupons: of
{r["tiles"]} tiles {r["not_judged"]} are not judged; of the others {100 * r["right"]["value"]:.1f} % have the right
grade, {100 * within:.1f} % are within one; weighted kappa {kappa:.2f}. Area fractions as called are
{100 * called["mean_error"]:.1f} points off on average, corrected for the test's confusion
{100 * corrected["mean_error"]:.1f}; of their 95 % intervals {100 * called["intervals_that_hold"]["value"]:.0f} % and
{100 * corrected["intervals_that_hold"]["value"]:.0f} % hold the truth.

Surface texture, on coupons that its scale was not fitted to:

{table(header, rows)}
"""


def synthesis_kid(r: Result) -> str:
    """Return how near generated surfaces come to real ones."""
    rows = []
    for name, found in r["methods"].items():
        held = found["held_out"]
        for label, facts in [("both classes", held), *held["classes"].items()]:
            low, high = facts["ci95"]["kid"] if label == "both classes" else facts["kid"]["ci95"]
            kid = facts["kid"] if label == "both classes" else facts["kid"]["value"]
            floor, ceiling = (_value(facts[key]) for key in ("floor", "ceiling"))
            rows.append([
                name if label == "both classes" else "", label, f"{floor:.3g}", f"{kid:.3g} [{low:.3g}, {high:.3g}]",
                f"{ceiling:.3g}", f"{100 * (kid - floor) / (ceiling - floor):.0f} %",
                f"{found['recipe']['training']['steps']}" if label == "both classes" else "",
                f"{found['teaching_seconds'] / 60:.1f}" if label == "both classes" else "",
                f"{found['copies_of_taught']}" if label == "both classes" else "",
            ])  # fmt: skip
    header = ["recipe", "class", "floor", "KID", "ceiling", "way from floor to ceiling", "steps a class",
              "minutes, both", "copies"]  # fmt: skip
    return f"""## Generated surfaces

12 + 13 corrosion phantoms teach; {r["judging_coupons"]} other coupons, drawn with another seed and never looked at
while recipes were chosen, judge. KID in standardised features of efficientnet_lite0, unbiased, with a jackknife
interval by coupon; it does not compare with published KIDs, which use other features. The floor is real against real,
other coupons; the ceiling the same generator before it was taught. Minutes are of this machine, and include judging
the samples. The number of generators tried before this recipe was chosen, on other phantoms, is about ten.

{table(header, rows)}
"""


def _value(entry: Any) -> float:
    return float(entry["value"] if isinstance(entry, dict) else entry)


def synthesis_ablation(r: Result) -> str:
    """Return what generated images bring with few originals, on real images and on phantoms."""
    frozen = r["neu_frozen"]
    hardest = min(frozen["pairs"], key=lambda each: each["accuracy"])
    arms = [(f"NEU-DET, {pair.replace('/', ' and ')}", found) for pair, found in r["neu_ablation"].items()]
    rows = [
        [name, row["arm"], f"{row['n']}", _share(row["accuracy"]), _gap(row.get("difference", {}).get("accuracy"))]
        for name, found in arms
        for row in found["table"]
    ]
    options = next(iter(r["neu_ablation"].values()))["options"]
    header = ["images", "arm", "judgements", "accuracy", "less originals alone, points"]
    return f"""## Twenty-five originals

NEU-DET, two of six defect classes, 12 and 13 originals; crops of one field on one side. **Frozen features of
efficientnet_lite0**, {frozen["draws"]} draws: {100 * frozen["mean"]:.1f} % on average over all 15 pairs, 95 % and more
for {round(frozen["pairs_from_95_percent"]["value"] * frozen["pairs_from_95_percent"]["n"])}; least
{100 * hardest["accuracy"]:.1f} % ({" and ".join(hardest["pair"])}).

The network of the corrosion paper's Table 6 from first weights, {options["exposures"]} images seen in every arm;
generator {options["generator"]} ({options["generator_set"] or "as packaged"}), taught from the training originals
alone. Intervals resample specimens; draws of originals are few.

{table(header, rows)}

What leakage adds is in [published beside ours](published-corrosion.md).
"""


def _share(entry: Result) -> str:
    low, high = entry["ci95"]
    return f"{100 * entry['value']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _gap(entry: Result | None) -> str:
    if entry is None:
        return "-"
    said = f"{100 * entry['value']:+.1f}"
    return said if entry["ci95"] is None else f"{said} [{100 * entry['ci95'][0]:+.1f}, {100 * entry['ci95'][1]:+.1f}]"


SECTIONS = {
    "circuit_fit": circuit_fit,
    "plate_map": plate_map,
    "synthesis_kid": synthesis_kid,
    "synthesis_ablation": synthesis_ablation,
}

"""The benchmark page's sections on box detection: the published few-shot protocol on membranes, and speed."""

from __future__ import annotations

from typing import Any

from page_tables import table

Result = dict[str, Any]

_FIRST = "two stages"
_FORMS = ("voc07_ap", "merged_ap50", "recall", "images_silent", "centre_recall", "area_covered")
_KEYS = (("ap", "AP"), ("ap50", "AP50"), ("ap75", "AP75"))


def _margin(entry: Result) -> str:
    """Return ``33.6 ± 2.8`` in per cent."""
    if entry["value"] is None:
        return "-"
    half = "" if entry.get("margin_t") is None else f" ± {100 * entry['margin_t']:.1f}"
    return f"{100 * entry['value']:.1f}{half}"


def _points(entry: Result) -> str:
    if entry["value"] is None:
        return "-"
    bounds = "" if entry["ci95"] is None else f" [{100 * entry['ci95'][0]:+.1f}, {100 * entry['ci95'][1]:+.1f}]"
    return f"{100 * entry['value']:+.1f}{bounds}"


def _span(counts: list[int]) -> str:
    return " to ".join(map(str, counts))


def _printed(cells: Result) -> list[str]:
    return [f"{100 * cells[key]['mean']:.1f} ± {100 * cells[key]['margin']:.1f}" for key, _ in _KEYS]


def _rows(name: str, protocol: Result) -> list[list[str]]:
    """Rows of a protocol: the published cells first, then every way of teaching, class by class."""
    rows = []
    several = len(protocol["classes"]) > 1
    for of_class in protocol["classes"]:
        what = f"{name}: {of_class}" if several else name
        if of_class in protocol["published"]:
            rows.append([what, "published, other images", *_printed(protocol["published"][of_class]), "30"])
        for arm, entry in protocol["arms"].items():
            if f"{of_class}:ap" not in entry["figures"]:
                continue  # taught as one class
            cells = [_margin(entry["figures"][f"{of_class}:{key}"]) for key, _ in _KEYS]
            rows.append([what, arm, *cells, str(entry["repeats"])])
    return rows


def few_shot(r: Result) -> str:
    """Return the published protocol beside ours."""
    rows = [row for name, protocol in r["protocols"].items() for row in _rows(name, protocol)]
    forms = []
    for name, protocol in r["protocols"].items():
        found = protocol["arms"][_FIRST]["figures"]
        z = found["ap"]["margin_z"]
        forms.append([name, *(_margin(found[key]) for key in _FORMS), "-" if z is None else f"{100 * z:.1f}"])
    pairs = [
        [name, arm, *(_points(entry[key]) if key in entry else "-" for key in ("ap", "ap50", "merged_ap50")),
         str(entry["merged_ap50"]["n"])]
        for name, protocol in r["protocols"].items() for arm, entry in protocol["paired"].items()
    ]  # fmt: skip
    titles = {arm: entry["title"] for protocol in r["protocols"].values() for arm, entry in protocol["arms"].items()}
    said = "; ".join(f"*{arm}*: {title}" for arm, title in titles.items())
    counts = "; ".join(
        f"{name} {_span(protocol['counts']['taught'])} taught, {_span(protocol['counts']['tested'])} tested"
        for name, protocol in r["protocols"].items()
    )
    first = next(iter(r["protocols"].values()))["arms"][_FIRST]
    known = ", ".join(r["known_to_the_base"]) or "none of the classes"
    header = ["", "way of teaching", "AP", "AP50", "AP75", "draws"]
    return f"""## Few-shot detection on membrane phantoms, as published

Crops of rendered sheets after Yan et al. 2023, Tables 5 and 6, per cent ± half of the 95 % interval (t) over draws of
examples. **Phantoms, another network and base: the figures do not compare with the published ones.** Images are fitted
to {r["short_side_px"]} px (published {r["published_short_side_px"]}), the network is {r["network"]} (published
ResNet-101); one layer is taught in {r["steps"]} steps on what frozen stages make of the examples (published 20,000 and
40,000 steps through the network): {first["seconds_a_repeat"]:.1f} s a draw. The base, taught on rendered defects, knew
{known} before. {counts}.

{table(header, rows)}

{said}.

Other forms of the first way, the last column the margin of AP in the z form (1.96 s / sqrt(n)):

{
        table(
            [
                "",
                "AP, 11 points",
                "AP50, classes as one",
                "recall at best F1",
                "images without defect left silent",
                "defects that hold a finding's centre",
                "area of defects covered",
                "z margin of AP",
            ],
            forms,
        )
    }

Points more or less than the first way, over the same draws:

{table(["", "way of teaching", "AP", "AP50", "AP50, classes as one", "draws"], pairs)}
{_times(r)}"""


def _times(r: Result) -> str:
    if not r["times"]:
        return ""
    said = "; ".join(
        f"{kind} {entry['ms_an_image']['median']:.0f} ms one at a time, {entry['images_per_s']:.0f} images/s in batches"
        for kind, entry in r["times"].items()
    )
    return f"""
Time an image, from pixels in memory to boxes: {said}; published {r["published_ms"]} ms on a GPU at 800 px. Four
sheets at 10 ft/min, 22 s:

{_line(r["line"])}
"""


def _line(rows: list[Result]) -> str:
    shown = [
        [row["what"], row["source"], f"{row['tiles']:,}", f"{row['ms_a_tile']:.1f}", f"{row['seconds']:.0f}",
         f"{row['share']:.1f}", str(row["lanes"])]
        for row in rows
    ]  # fmt: skip
    header = ["method and tiles", "", "tiles", "ms a tile", "s", "times the time there is", "such computers needed"]
    return table(header, shown)


def speed(r: Result) -> str:
    """Return images/s of each way of running the stages, with what it costs."""
    rows = [
        [name, f"{entry['images_per_s']:.1f}", f"{entry['ms']:.1f}", f"{entry['ratio']:.2f}",
         f"{100 * entry['ap']:.2f}", f"{100 * entry['ap50']:.2f}", f"{entry['ap_points']:+.2f}",
         f"{entry['ap50_points']:+.2f}"]
        for name, entry in r["runners"].items()
    ]  # fmt: skip
    header = ["stages run by", "images/s", "ms an image", "ratio", "AP", "AP50", "AP, points", "AP50, points"]
    big = r["large"]
    at_800 = (
        f"At a short side of {big['short_side_px']} px: {big['images_per_s'][r['ours']]:.2f} images/s and"
        f" {big['images_per_s'][r['peer']]:.2f} by torch eager, ratio {big['ratio']:.1f};"
        f" both with memory kept {big['settled_ratio']:.1f}.\n\n"
        if big
        else ""
    )
    return f"""## Speed of box detection

{r["network"]}, short side {r["short_side_px"]} px, from pixels in memory to boxes; {r["timed"]} pictures, each way
in a process of its own, the processes in turn, medians of {r["rounds"]} rounds. "Memory kept": the allocator gives
nothing back to the system, so that torch is spared most of its page faults; like for like the ratio is then
{r["settled_ratio"]:.1f}. Average precision of the base detector on {r["pictures"]} rendered
pictures it has not seen ({r["boxes"]} boxes). Targets: {r["targets"]["ratio"]:.0f} times torch eager at less than
{r["targets"]["ap_points"]} points of difference.

{table(header, rows)}

{at_800}{_line(r["line"])}
"""


_ARMS = {
    "frozen": "frozen stages of the phantom base, predictor taught",
    "tuned": "all but the backbone goes on from the phantom base",
    "imagenet": "the same without a base",
    "real-a": "behind a base of three real classes, the other three taught (a)",
    "real-b": "the same, the halves exchanged (b)",
    "phantom-a": "the three classes of (a) behind the phantom base",
    "phantom-b": "the three classes of (b) behind the phantom base",
    "real-a-tuned": "(a), all but the backbone goes on",
    "real-b-tuned": "(b), all but the backbone goes on",
    "full": "all images, backbone frozen",
}


def strip(r: Result) -> str:
    """Return few-shot and full detection on real strip."""
    rows = []
    for name, entry in r["arms"].items():
        arm, _, count = name.rpartition("-")
        shots = "all" if arm == "full" else count
        cells = [_percent(entry[key]) for key, _ in _KEYS]
        seconds = f"{entry['seconds_a_draw']:.0f} s"
        rows.append([_ARMS.get(arm, arm), shots, str(entry["draws"]), f"{entry['images']:.0f}", *cells, seconds])
    by_class = [
        [_ARMS.get(name.rpartition("-")[0], name), name.rpartition("-")[2],
         *(f"{entry['ap50_by_class'][key]:.0f}" if key in entry["ap50_by_class"] else "-" for key in r["classes"])]
        for name, entry in r["arms"].items()
    ]  # fmt: skip
    few, full = (", ".join(f"{name} {value}" for name, value in r["published"][key].items()) for key in
                 ("few_shot_30", "full"))  # fmt: skip
    return f"""## Few-shot detection on real strip

NEU-DET: {r["taught"]} images may teach, {r["judged"]} judge; {r["protocol"].partition(";")[2].strip()}.
{r["judged_sharing_a_field_with_taught"]} of the judging images share a field with one that may teach. K boxes a class,
drawn by a seed; intervals are over draws, which share the judging images. Published AP50: 30 shots {few}; all images
{full}.

{table(["taught", "K", "draws", "images", "AP", "AP50", "AP75", "time a draw"], rows)}

AP50 by class:

{table(["taught", "K", *r["classes"]], by_class)}
"""


def _percent(entry: Result) -> str:
    if "margin_t" in entry and entry["margin_t"] is not None:
        return f"{entry['value']:.1f} ± {entry['margin_t']:.1f}"
    return f"{entry.get('value', entry.get('mean')):.1f}"


SECTIONS = {"membrane_few_shot": few_shot, "neu_detection": strip, "detector_speed": speed}

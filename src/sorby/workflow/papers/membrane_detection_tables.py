"""S3's tables of few-shot detection: each published cell beside ours, and what the paper does not print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sorby.detect.recipe import DetectRecipe
from sorby.evidence.repeat_intervals import BesidePublished, RepeatInterval, beside_published
from sorby.phantom.defects import KINDS
from sorby.report.experiment_page import Column, Table
from sorby.report.wording import count, listed
from sorby.workflow.detection.protocol import ArmResult, FewShotResult
from sorby.workflow.detection.protocol_arms import NO_EXAMPLE, PUBLISHED_FORM
from sorby.workflow.detection.protocol_speed import DetectionTimes
from sorby.workflow.papers import yan2023 as s3

_AP = ("ap", "ap50", "ap75")
_TITLES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75"}
_FORMS = (
    ("ap", "AP, 101 points (COCO)"),
    ("voc07_ap", "AP, 11 points (VOC 2007)"),
    ("ap50", "AP50, 101 points"),
    ("voc07_ap50", "AP50, 11 points"),
    ("merged_ap", "AP, classes taken as one"),
    ("merged_ap50", "AP50, classes taken as one"),
    ("recall", "recall at best F1"),
    ("false_per_image", "false findings an image at best F1"),
    ("images_caught", "defective images with a hit, at best F1"),
    ("images_silent", "images without a defect left silent, at best F1"),
    ("centre_recall", "defects that hold the centre of a finding"),
    ("centre_precision", "findings whose centre lies in a defect"),
    ("area_covered", "area of the defects under findings"),
)


@dataclass(frozen=True)
class Setting:
    """What all cells of a run share.

    Attributes
    ----------
    phantoms : bool
    recipe : DetectRecipe
        Of the first way of teaching, as it fits its base.
    base_kinds : tuple of str
        What the base was taught.
    """

    phantoms: bool
    recipe: DetectRecipe
    base_kinds: tuple[str, ...]

    def flag(self, runs: int | None = None) -> str:
        """Say why a cell may not be held against the published one."""
        reasons = ["phantoms" if self.phantoms else "other sheets", "other network", "other base"]
        if self.recipe.image.short_side != s3.CROP_SIDE:
            reasons.append(f"{self.recipe.image.short_side} px")
        reasons.append("other machine" if runs is None else "other schedule")
        if runs is not None and runs != s3.DETECTION_RUNS:
            reasons.append(f"{runs} of {count(s3.DETECTION_RUNS, 'run')}")
        return f"not comparable ({', '.join(reasons)})"


def differences(results: Sequence[FewShotResult], setting: Setting, known: Sequence[str]) -> list[str]:
    """Name everything in which our figures differ from the published ones, one sentence each."""
    recipe, few = setting.recipe, setting.recipe.few_shot
    lines = [
        "Images: " + ("cut from phantoms, whose truth is known" if setting.phantoms else "not those of the paper")
        + f"; fitted to a short side of {recipe.image.short_side} px, published {s3.CROP_SIDE}.",
        f"Network: {recipe.backbone.name} with a pyramid of {recipe.pyramid.channels} channels; published ResNet-101"
        " with 256.",
        f"Schedule: {few.steps:,} steps on everything at once behind stages whose results are kept, with"
        f" {count(few.views, 'view')} of an image and {few.jitter} shifted copies of a box; published"
        f" {s3.SCHEDULE[5][0]:,} steps of 16 images for 5 shots, {s3.SCHEDULE[10][0]:,} for 10, through the network"
        " each time.",
        f"Base: a detector of {len(setting.base_kinds)} kinds of defects ({listed(setting.base_kinds, 20)}); published"
        " the 15 base classes of Pascal VOC, photographs of animals, vehicles and furniture.",
    ]  # fmt: skip
    if known:
        which, rendered = listed(known), tuple(setting.base_kinds) == tuple(KINDS)
        lines.append(
            f"The base has learnt {which} before, on other pictures"
            + (" drawn by the same code as these sheets" if setting.phantoms and rendered else "")
            + ": no novel classes in the sense of the benchmark. What few examples add is a scale, a surface and a"
            " habit of drawing boxes."
            + (" How much the base finds without any example stands beside." if _without_example(results) else "")
        )
    draws = {len(each.arms[0].repeats) for each in results}
    lines.append(
        f"{count(max(draws), 'draw')} of examples; intervals are t over draws, z (1.96 s / sqrt(n)) stands in the JSON"
        " and in the table of forms. They tell how much the choice of examples matters, and nothing of other sheets."
    )
    return lines


def _without_example(results: Sequence[FewShotResult]) -> bool:
    return any(each.arm.name == NO_EXAMPLE for result in results for each in result.arms)


def rows(table: str, result: FewShotResult, setting: Setting) -> list[dict[str, Any]]:
    """Return a row a figure and way of teaching of Table 5 or 6, published cell beside ours."""
    found = []
    for arm in result.arms:
        if arm.classes != result.images.classes:
            continue  # classes taken as one have no published cell
        for name in ("",) if table == "Table 5" else result.images.classes:
            printed = s3.TABLE_5.get(result.shots) if table == "Table 5" else s3.TABLE_6.get(name)
            for key in _AP if printed else ():
                ours = arm.over[f"{name}:{key}" if name else key]
                assert printed is not None
                found.append(_row(table, result, arm, name, key, printed[key], ours, setting))
    return found


def _row(
    table: str,
    result: FewShotResult,
    arm: ArmResult,
    of_class: str,
    key: str,
    cell: s3.Cell,
    ours: RepeatInterval,
    setting: Setting,
) -> dict[str, Any]:
    mean, margin = cell[0] / 100, (cell[1] or 0.0) / 100
    beside = beside_published(ours, mean, margin, s3.DETECTION_RUNS)
    return {
        "table": table,
        "protocol": result.name,
        "arm": arm.arm.name,
        "class": of_class,
        "key": key,
        "figure": f"{of_class} {_TITLES[key]}".strip(),
        "published": {"value": mean, "margin": margin, "printed": f"{cell[0]:.1f} ± {cell[1]:.1f}"},
        "ours": {**ours.as_dict(), "printed": ours.printed(), "printed_z": ours.printed("z")},
        "difference": _difference(beside),
        "published_sd": dict(beside.implied_sd),
        "flag": setting.flag(ours.n),
    }


def _difference(beside: BesidePublished) -> dict[str, Any]:
    """Return a difference fit for JSON; of a single draw there is no interval, of a class never tested no value."""
    value, margin = beside.difference, beside.margin
    return {
        "value": value if math.isfinite(value) else None,
        "ci95": [value - margin, value + margin] if math.isfinite(value + margin) else None,
    }


def detection_tables(
    table: str, results: Sequence[FewShotResult], baselines: Mapping[str, float | None]
) -> list[Table]:
    """Return a table a protocol: the published row first, then every way of teaching."""
    return [_table(table, each, baselines) for each in results]


def _table(table: str, result: FewShotResult, baselines: Mapping[str, float | None]) -> Table:
    classes = [""] if table == "Table 5" else list(result.images.classes)
    columns = [Column("arm", "")]
    columns += [Column(f"{name}:{key}", f"{name} {_TITLES[key]}".strip()) for name in classes for key in _AP]
    columns += [Column("n", "draws", "count"), Column("seconds", "s a draw", "number")]
    shown: list[dict[str, Any]] = []
    printed = {"": s3.TABLE_5.get(result.shots)} if table == "Table 5" else dict(s3.TABLE_6)
    if all(printed.get(name) for name in classes) and "off centre" not in result.name:
        shown.append({
            "arm": "published, on other images",
            **{f"{name}:{key}": f"{cell[0]:.1f} ± {cell[1]:.1f}"
               for name in classes for key, cell in (printed[name] or {}).items()},
            "n": s3.DETECTION_RUNS,
        })  # fmt: skip
    for arm in result.arms:
        if arm.classes != result.images.classes:
            continue
        row: dict[str, Any] = {"arm": arm.arm.name, "n": len(arm.repeats),
                               "seconds": arm.as_dict()["seconds_a_repeat"]}  # fmt: skip
        row |= {
            f"{name}:{key}": arm.over[f"{name}:{key}" if name else key].printed() for name in classes for key in _AP
        }
        shown.append(row)
    return Table(caption(result, baselines), columns, shown)


def caption(result: FewShotResult, baselines: Mapping[str, float | None]) -> str:
    """Caption a table: who taught, who was tested, how often, where such figures stand, how uniform the ground is."""
    counts = {name: " to ".join(map(str, span)) for name, span in result.counts().items()}
    tested = ", ".join(f"{span} {name.removeprefix('tested ')}" for name, span in counts.items()
                       if name.startswith("tested "))  # fmt: skip
    words = (
        f"{result.name}: {counts['taught']} images taught, {counts['tested']} tested ({tested}); per cent ± half of the"
        f" 95 % interval (t) over draws. On photographs 30 is usual for so few examples (AP), 50 for AP50."
    )
    resampled = result.arms[0].resampled
    if resampled is not None and resampled.figures["ap"].ci95 is not None:
        low, high = resampled.figures["ap"].ci95
        words += (
            f" With the examples of the first draw fixed and its test images drawn anew, AP is"
            f" {100 * resampled.ap:.1f} ({100 * low:.1f} to {100 * high:.1f})."
        )
    level = baselines.get(result.name.split(",")[0].split(" ")[0])
    if level is not None:
        words += f" Ground without defect deviates by {level:.2g} grey levels about its surroundings."
    return words


def arms_table(results: Sequence[FewShotResult]) -> Table:
    """Say what each way of teaching is, with its share of defects found whatever they are called."""
    arms = {each.arm.name: each.arm for result in results for each in result.arms}
    shown = []
    for name, arm in arms.items():
        row: dict[str, Any] = {"arm": name, "title": arm.title}
        for result in results:
            for each in result.arms:
                if each.arm.name == name:
                    row[result.name] = each.over["merged_ap50"].as_dict()
        shown.append(row)
    columns = [Column("arm", ""), Column("title", "what is done")]
    columns += [Column(result.name, result.name, "share") for result in results]
    return Table("AP50 with all classes taken as one, mean and 95 % interval (t) over draws.", columns, shown)


def paired_table(results: Sequence[FewShotResult]) -> Table:
    """Return each way less the first, over the same draws."""
    shown = []
    for result in results:
        for name, found in result.paired.items():
            row: dict[str, Any] = {"protocol": result.name, "arm": name, "n": found["merged_ap50"].n}
            row |= {key: each.as_dict() for key, each in found.items()}
            shown.append(row)
    columns = [
        Column("protocol", "protocol"), Column("arm", "way of teaching"),
        *(Column(key, _TITLES[key], "points") for key in _AP),
        Column("merged_ap50", "AP50, classes as one", "points"), Column("n", "draws", "count"),
    ]  # fmt: skip
    return Table("Points more or less than the first way, over the same draws, with the t interval.", columns, shown)


def paired_words(results: Sequence[FewShotResult]) -> list[str]:
    """Say what holds over draws, in words."""
    said = [
        "All ways see the same draws and test images, so their differences are paired: an interval that does not hold 0"
        " tells of a difference on these images, whatever the draw."
    ]
    for result in results:
        form = result.paired.get(PUBLISHED_FORM)
        if form is not None and form["ap"].n > 1:
            low, high = form["ap"].as_dict()["ci95"]
            said.append(
                f"{result.name}: starting the box regression from random numbers, as published, changes AP by"
                f" {100 * form['ap'].mean:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})."
            )
    return said


def form_words() -> list[str]:
    """Say what the forms are for."""
    return [
        "The paper does not say which form of AP it prints, so both stand here. Where annotators cannot agree on the"
        " border or the name of a mark, overlap and name punish what is no mistake: classes taken as one, and the"
        " centre forms, ask only whether the place was shown.",
        "Figures at best F1 are at a score chosen on the test images of each draw: optimistic.",
    ]


def forms_table(results: Sequence[FewShotResult]) -> Table:
    """Return every form of the first way of teaching, a column a protocol, with both margins of AP."""
    shown: list[dict[str, Any]] = []
    for key, title in _FORMS:
        row: dict[str, Any] = {"form": title}
        row |= {result.name: result.arms[0].over[key].as_dict() for result in results}
        shown.append(row)
    for title, form in (("margin of AP, t over draws", "t_margin"), ("margin of AP, 1.96 s / sqrt(n)", "z_margin")):
        row = {"form": title}
        row |= {result.name: getattr(result.arms[0].over["ap"], form) for result in results}
        shown.append(row)
    columns = [Column("form", "")]
    columns += [Column(result.name, result.name, "number") for result in results]
    return Table("First way of teaching; shares of one, mean and 95 % interval (t) over draws.", columns, shown)


def benchmark_rows(pinholes: Sequence[FewShotResult], scratches: Sequence[FewShotResult]) -> list[dict[str, Any]]:
    """Return the benchmark's figures, the paper's and ours, a row each."""
    found = [
        {"what": f"{data}, novel classes, {shots} boxes a class, {draws}", "source": "Wang et al. 2020",
         **{key: f"{row[key][0]:.1f}" for key in _AP}}
        for data, table in (("Pascal VOC, split 1", s3.TFA_VOC), ("COCO", s3.TFA_COCO))
        for (draws, shots), row in table.items()
    ]  # fmt: skip
    found += [
        {"what": f"pinholes, {shots} images, {s3.DETECTION_RUNS} draws", "source": "Yan et al. 2023",
         **{key: _printed(row[key]) for key in _AP}}
        for shots, row in s3.TABLE_5.items()
    ]  # fmt: skip
    found += [
        {"what": f"{name}, 5 images, {s3.DETECTION_RUNS} draws", "source": "Yan et al. 2023",
         **{key: _printed(row[key]) for key in _AP}}
        for name, row in s3.TABLE_6.items()
    ]  # fmt: skip
    for result in [*pinholes, *scratches]:
        arm = result.arms[0]
        for name in ("",) if len(result.images.classes) == 1 else result.images.classes:
            found.append({
                "what": f"{name or result.name}, {result.shots} images, {count(len(arm.repeats), 'draw')}",
                "source": f"ours, {arm.arm.name}",
                **{key: arm.over[f"{name}:{key}" if name else key].printed() for key in _AP},
            })  # fmt: skip
    return found


def _printed(cell: s3.Cell) -> str:
    return f"{cell[0]:.1f}" if cell[1] is None else f"{cell[0]:.1f} ± {cell[1]:.1f}"


def benchmark_words() -> list[str]:
    """Say why the rows do not compare."""
    return [
        "One class on crops that each show one pinhole in the middle, enlarged twelve times, is a far easier task than"
        " novel classes among twenty on photographs. The benchmark counts boxes a class, the paper images a class."
        " The rows tell where figures of AP stand, not which method is better."
    ]


def benchmark_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return them for the page."""
    columns = [Column("what", ""), Column("source", "source"), *(Column(key, _TITLES[key]) for key in _AP)]
    return Table("Per cent; ± half of the 95 % interval over draws where one is given.", columns, rows)


def time_rows(times: Mapping[str, DetectionTimes], setting: Setting) -> list[dict[str, Any]]:
    """Return Table 7: milliseconds an image."""
    value, margin = s3.TABLE_7
    return [
        {
            "table": "Table 7",
            "protocol": kind,
            "arm": "two stages",
            "key": "ms_an_image",
            "figure": "ms an image",
            "published": {"value": value, "margin": margin, "printed": f"{value:.1f} ± {margin:.4f}"},
            "ours": {**each.as_dict()["ms_an_image"],
                     "printed": f"{each.each_ms.mean:.1f} ± {each.each_ms.t_margin:.1f}"},
            "images_per_s": each.images_per_s,
            "each_ms": 1000 * each.model.each_s,
            "fixed_ms": 1000 * each.model.fixed_s,
            "flag": setting.flag(),
        }
        for kind, each in times.items()
    ]  # fmt: skip


def time_words() -> list[str]:
    """Say what was timed."""
    return [
        f"Published: {s3.TABLE_7[0]} ms an image on one GPU, {s3.DETECTION_TRIALS} trials. Ours: from pixels in memory"
        " to boxes, scaling to the network's size included, one image after the other; and all images in batches.",
        "The published line counts crops of 66 px, each enlarged to 800 px: nearly all of the work is spent on plain"
        " ground, twelve times enlarged. An anomaly map that says where to look, and a detector that names what is"
        " there, need a small part of it.",
    ]


def time_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return it for the page."""
    columns = [
        Column("protocol", "crops"), Column("published.printed", "published, ms"),
        Column("ours.printed", "ours, ms, one at a time"), Column("ours.median", "median", "number"),
        Column("each_ms", "one more image of a lot, ms", "number"), Column("images_per_s", "images/s", "number"),
        Column("ours.n", "trials", "count"), Column("flag", "comparable?", "flag"),
    ]  # fmt: skip
    return Table("Time an image.", columns, rows)


def line_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what four sheets at 10 ft/min ask of each method."""
    columns = [
        Column("what", "method and tiles"), Column("source", ""), Column("tiles", "tiles", "count"),
        Column("ms_a_tile", "ms a tile", "number"), Column("seconds", "s for four sheets", "number"),
        Column("share", "times the time there is", "number"), Column("lanes", "such computers needed", "count"),
    ]  # fmt: skip
    return Table(
        "Four sheets of 11 inches pass in 22 s at 10 ft/min. Times scale with the number of tiles (equation 1 of the"
        " paper); ours by the rate in batches.",
        columns,
        rows,
    )

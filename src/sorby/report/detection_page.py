"""The page of a box detector: how good it is and how sure that is, what a score costs, its mistakes, its speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorby.report import detection_figures as figures
from sorby.report.detection_cases import GROUPS, Kind, Shown
from sorby.report.detection_pictures import LEGEND
from sorby.report.experiment_page import Column, Figure, Table, written
from sorby.report.figures import confusion
from sorby.report.page import drawing, render
from sorby.report.wording import ABSENT, count, is_number, number, percent, sureness

_WIDEST_CONFUSION = 24  # classes; more cannot be read
#: What is known of average precision elsewhere, so that a reader may place a figure.
STANDING = (
    ("Few-shot benchmark, VOC novel classes split 1, 10 examples, 30 draws (TFA)", 0.320, 0.529, 0.337),
    ("Few-shot benchmark, VOC novel classes split 1, 5 examples, 30 draws (TFA)", 0.289, 0.479, 0.306),
    ("Pinholes in fuel-cell membranes, 10 examples, crops magnified 12 times (Yan et al. 2023)", 0.403, 0.721, 0.403),
    ("Pinholes, 5 examples (Yan et al. 2023)", 0.336, 0.653, 0.307),
    ("Scratches on electrodes, 5 examples (Yan et al. 2023)", 0.080, 0.177, 0.060),
    ("Scuffs on electrodes, 5 examples (Yan et al. 2023)", 0.039, 0.222, 0.020),
)
_MEANINGS = {
    "ap": ("AP", "mean over overlaps from .50 to .95: found, and the box sits well"),
    "ap50": ("AP50", "an overlap of one half is enough: found, the box may be rough"),
    "ap75": ("AP75", "overlap of three quarters: found, with a good box"),
    "ar": ("Greatest recall", "share of boxes found at whatever score, mean over overlaps .50 to .95"),
}


@dataclass(frozen=True, eq=False)
class DetectionFacts:
    """Everything the page of a box detector says.

    Attributes
    ----------
    title, source : str
        What was judged, and on what.
    scores : mapping
        From `sorby.evidence.detection_metrics.DetectionScores.as_dict`, with its curves.
    errors : mapping
        From `sorby.evidence.detection_errors.DetectionErrors.as_dict`, at the score in use.
    cases : mapping of str to sequence of Shown
        From `sorby.report.detection_cases.show_cases`.
    facts : sequence of (str, str)
        What the detector is and how it was taught: name and value.
    history : sequence of mapping
        Of the training: ``step`` and losses; empty where none is at hand.
    repeats : mapping of str to mapping
        Figures over repeats, from `sorby.evidence.repeat_intervals.RepeatInterval.as_dict`.
    speed : mapping or None
        ``rows``, each with ``method``, ``runtime``, ``device``, ``ms_per_image``, ``images_per_s``, ``line`` (what that
        means on a line, in words); and ``words``, sentences about them.
    limits, warnings : sequence of str
    quarantined : sequence of mapping
        ``file``, ``reason``.
    provenance : mapping
        From `sorby.provenance.describe`.
    """

    title: str
    source: str
    scores: Mapping[str, Any]
    errors: Mapping[str, Any]
    cases: Mapping[Kind, Sequence[Shown]] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    history: Sequence[Mapping[str, float]] = ()
    repeats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    speed: Mapping[str, Any] | None = None
    limits: Sequence[str] = ()
    warnings: Sequence[str] = ()
    quarantined: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def detection_page(facts: DetectionFacts) -> str:
    """Return the page as one self-contained HTML file.

    Parameters
    ----------
    facts : DetectionFacts
    """
    scores = facts.scores
    return render(
        "detection.html",
        title=facts.title,
        sorby_version=facts.provenance["versions"]["sorby"],
        created=str(facts.provenance["created"])[:16].replace("T", " ") + " UTC",
        facts=facts,
        scores=scores,
        point=scores["operating"],
        sentences=_sentences(scores),
        cautions=_cautions(scores),
        cards=_cards(scores),
        score_figures=_drawn(_score_figures(scores)),
        score_table=written(_score_table(scores["by_score"])),
        class_figures=_drawn(_class_figures(scores)),
        class_tables=[written(table) for table in (_class_table(scores), _size_table(scores))],
        mistake_figures=_drawn(_mistake_figures(facts)),
        gallery=[
            {"kind": kind, "title": title, "words": words, "shots": facts.cases[kind]}
            for kind, (title, words) in GROUPS.items()
            if facts.cases.get(kind)
        ],
        legend=LEGEND,
        forgiving=written(_forgiving_table(scores)),
        counted=written(_counted_table(scores)),
        standing=written(_standing_table(scores)),
        repeats=written(_repeats_table(facts.repeats)) if facts.repeats else None,
        training=_drawn(_training_figures(facts.history)),
        speed=written(_speed_table(facts.speed)) if facts.speed else None,
        speed_words=list(facts.speed.get("words", ())) if facts.speed else [],
        quarantined=facts.quarantined[:20],
    )


def _sentences(scores: Mapping[str, Any]) -> list[str]:
    """Say first what it does at the score in use, then how good it is over all scores."""
    behind = f"{count(scores['n_boxes'], 'box', 'boxes')} on {count(scores['n_images'], 'image')}"
    if scores["n_good"]:
        behind += f", {scores['n_good']} of them without a defect"
    lines, point = [], scores["operating"]
    if point is None:
        lines.append(f"It found none of {behind}.")
    else:
        recall, false = point["recall"], point["false_per_image"]["value"]
        if is_number(recall["value"]):
            said = f"Of a hundred defects it finds about {100 * recall['value']:.0f} ({sureness(recall['ci95'])})"
        else:
            said = "There was no defect to be found; it"
        joined = "and raises" if is_number(recall["value"]) else "raises"
        alarm = f"{joined} {count(point['alarms'], 'false alarm') if point['alarms'] else 'no false alarm'}"
        rate = f", {number(false, 2)} for each image" if point["alarms"] else ""
        lines.append(f"{said} {alarm} on {count(scores['n_images'], 'image')}{rate}, reporting from a score"
                     f" of {point['score']:.2f} on ({point['chosen']}).")  # fmt: skip
    if is_number(scores["ap50"]["value"]):
        lines.append(
            f"Over all scores its average precision is {percent(scores['ap50']['value'])} at an overlap of one half"
            f" ({sureness(scores['ap50']['ci95'])}), {percent(scores['ap']['value'])} as the mean over overlaps from"
            f" .50 to .95. Judged on {behind}."
        )
    return lines


def _cautions(scores: Mapping[str, Any]) -> list[str]:
    lines, point = [], scores["operating"]
    if point is not None and "these very images" in point["chosen"]:
        lines.append(
            "The score in use was chosen on the images it is judged on; on new ones expect a little less. Average"
            " precision does not depend on it."
        )
    if scores["n_boxes"] < 50:
        lines.append(f"Only {count(scores['n_boxes'], 'box', 'boxes')} stand behind these figures.")
    if not scores["n_good"]:
        lines.append("No image without a defect was tested: nothing is known of false alarms on good surfaces.")
    empty = [name for name, each in scores["per_class"].items() if not each["ap"]["boxes"]]
    if empty:
        lines.append(f"No box of {', '.join(empty)} was tested; the means are over the other classes.")
    if scores["n_cut"]:
        lines.append(
            f"Of an image and class the {scores['max_detections']} surest findings count, as COCO does;"
            f" {scores['n_cut']} were left out."
        )
    if note := scores["ap50"].get("note"):
        lines.append(f"Intervals: {note}.")
    return lines


def _cards(scores: Mapping[str, Any]) -> list[dict[str, str]]:
    behind = f"n = {count(scores['n_images'], 'image')}, {count(scores['n_boxes'], 'box', 'boxes')}"
    cards = [
        {"what": _MEANINGS[key][0], "value": percent(scores[key]["value"]), "small": sureness(scores[key]["ci95"]),
         "below": behind if key == "ap50" else _MEANINGS[key][1]}
        for key in ("ap50", "ap", "ap75")
    ]  # fmt: skip
    if (point := scores["operating"]) is not None:
        cards.append({"what": "Boxes found", "value": percent(point["recall"]["value"]),
                      "small": sureness(point["recall"]["ci95"]),
                      "below": f"{point['hits']} of {scores['n_boxes']} at score {point['score']:.2f}"})  # fmt: skip
        if scores["n_good"]:
            silent = point["images_silent"]
            behind = f"n = {count(silent['n'], 'good image')}"
            cards.append({"what": "Good images left in peace", "value": percent(silent["value"]),
                          "small": sureness(silent["ci95"]), "below": behind})  # fmt: skip
    return cards


def _score_figures(scores: Mapping[str, Any]) -> list[Figure]:
    point = scores["operating"]
    found = [
        Figure(
            figures.score_cost(scores["by_score"], None if point is None else point["score"]),
            "What a higher or a lower score would cost. Overlap of one half with a box of the same class makes a hit.",
        )
    ]
    if scores["n_boxes"] and scores["froc"]["score"]:
        caption = (
            "Free-response curve: boxes found against false alarms for each image, as the score falls from left to"
            " right. Left of the dashed line there is less than one false alarm in all images."
        )
        found.append(Figure(figures.free_response(scores["froc"], point, scores["n_images"]), caption))
    return found


def _score_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("score", "Score from"), Column("recall", "Boxes found", "share"),
        Column("precision", "Findings right", "share"), Column("false_per_image", "Alarms an image", "number"),
        Column("images_caught", "Images caught", "share"), Column("images_silent", "Good in peace", "share"),
        Column("hits", "Hits", "count"), Column("missed", "Missed", "count"), Column("alarms", "Alarms", "count"),
    ]  # fmt: skip
    named = [{**row, "score": f"{row['score']:.1f}"} for row in rows]
    caption = (
        "What is found and what it costs. Alarms are findings that meet no box of their class; a defective image is"
        " caught when one of its boxes is found; a good one is left in peace when nothing is reported"
    )
    return Table(caption, columns, named)


def _class_figures(scores: Mapping[str, Any]) -> list[Figure]:
    per_class = scores["per_class"]
    if not scores["n_boxes"]:
        return []
    ap50 = {name: each["ap50"]["value"] for name, each in per_class.items()}
    return [
        Figure(figures.scores_by_class(per_class),
               "Average precision of each class, with the number of its boxes and 95 % intervals."),
        Figure(figures.precision_recall(scores["curves"], ap50),
               "Precision against recall at an overlap of one half. A curve that ends early has boxes that were found "
               "at no score."),
    ]  # fmt: skip


def _class_table(scores: Mapping[str, Any]) -> Table:
    rows = [{"name": name, "boxes": each["ap"]["boxes"], **each} for name, each in scores["per_class"].items()]
    whole = {"name": "mean of classes", "boxes": scores["n_boxes"]}
    rows.append({**whole, **{key: scores[key] for key in _MEANINGS}})
    return Table(f"By class; {_behind(scores)}", _ap_columns("Class"), rows)


def _size_table(scores: Mapping[str, Any]) -> Table:
    rows = []
    for name, each in scores["per_size"].items():
        low, high = each["area_px"]
        span = f"{name}: {low:g} to {high:g} px²" if high is not None else f"{name}: above {low:g} px²"
        rows.append({"name": span, "boxes": each["ap"]["boxes"], **{key: each[key] for key in _MEANINGS}})
    return Table("By area of the true box, mean of classes", _ap_columns("Size"), rows)


def _ap_columns(first: str) -> list[Column]:
    return [
        Column("name", first), Column("boxes", "Boxes", "count"), Column("ap50", "AP50", "share"),
        Column("ap", "AP", "share"), Column("ap75", "AP75", "share"), Column("ar", "Greatest recall", "share"),
    ]  # fmt: skip


def _behind(scores: Mapping[str, Any]) -> str:
    method = scores["ap50"]["method"]
    behind = f"{count(scores['n_images'], 'image')}, {count(scores['n_boxes'], 'box', 'boxes')}"
    return f"{behind}; below each figure its 95 % interval ({method})"


def _mistake_figures(facts: DetectionFacts) -> list[Figure]:
    errors, scores = facts.errors, facts.scores
    if not scores["n_boxes"]:
        return []
    gained, made = errors["ap50_gained"], errors["findings"]
    caption = (
        "What AP50 would gain if one kind of mistake alone were mended, over all scores, and how often it is made at"
        f" the score {errors['score']:.2f}. Gains do not add up. Mending every false alarm would gain"
        f" {_points(gained['false_alarms'])}, every missed box {_points(gained['all_missed'])}. Kinds as in TIDE"
        f" (Bolya et al. 2020). Of {count(made['misnamed'], 'finding')} with a wrong name {made['doubled']} stand on a"
        f" defect that was also named right; {count(errors['true_boxes']['unsure'], 'box', 'boxes')} had a score below"
        " the one in use."
    )
    found = [Figure(figures.mistakes(gained, errors["findings"], errors["true_boxes"]), caption)]
    names = errors["confusion_labels"]
    if len(names) <= _WIDEST_CONFUSION:
        words = (
            f"True class against class named, in boxes, at the score {errors['score']:.2f}. The last column are boxes"
            " that nothing met, the last row findings where nothing is annotated."
        )
        found.append(Figure(confusion(errors["confusion"], names, "boxes"), words, 52 * len(names) + 120))
    return found


def _forgiving_table(scores: Mapping[str, Any]) -> Table:
    """Return figures that stand where borders or names of defects are disputed."""
    merged, point = scores["merged_classes"], scores["operating"]
    rows = [
        {"name": "AP50, all classes as one", "meaning": "was it found, whatever it was called?",
         "value": merged["ap50"]},
        {"name": "AP, all classes as one", "meaning": "the same, mean over overlaps .50 to .95",
         "value": merged["ap"]},
    ]  # fmt: skip
    if point is not None:
        rows += [
            {"name": "Found by centre, boxes", "value": point["centre_recall"],
             "meaning": "boxes of which a finding of their class has its centre inside"},
            {"name": "Right by centre, findings", "value": point["centre_precision"],
             "meaning": "findings whose centre lies in a box of their class"},
            {"name": "Defect area covered", "value": point["area_covered"],
             "meaning": "share of the area of all true boxes that lies under findings of whatever class"},
        ]  # fmt: skip
    columns = [Column("name", "Figure"), Column("meaning", "Meaning"), Column("value", "Value", "share"),
               Column("value.boxes", "Boxes", "count")]  # fmt: skip
    caption = "Where the border or the name of a defect is disputed"
    if point is not None:
        caption += f"; the last three at the score {point['score']:.2f}"
    return Table(caption, columns, rows)


def _counted_table(scores: Mapping[str, Any]) -> Table:
    """Return the same findings by COCO's and by Pascal VOC's rules."""
    voc = scores["voc"]
    rows = [
        {"name": "COCO, 101 points", "ap50": scores["ap50"], "ap": scores["ap"]},
        {"name": "Pascal VOC 2007, 11 points", "ap50": voc["voc07_ap50"], "ap": voc["voc07_ap"]},
        {"name": "Pascal VOC 2010, every point", "ap50": voc["voc_ap50"], "ap": voc["voc_ap"]},
    ]
    columns = [Column("name", "Counted as"), Column("ap50", "At overlap .5", "share"),
               Column("ap", "Mean over .50 to .95", "share")]  # fmt: skip
    return Table("The same findings by other rules; few-shot benchmarks on VOC count 11 points", columns, rows)


def _standing_table(scores: Mapping[str, Any]) -> Table:
    rows: list[dict[str, Any]] = [
        {"name": "This detector", **{key: scores[key] for key in ("ap", "ap50", "ap75")}},
        *({"name": name, "ap": ap, "ap50": ap50, "ap75": ap75} for name, ap, ap50, ap75 in STANDING),
    ]
    columns = [Column("name", "On what"), Column("ap", "AP", "share"), Column("ap50", "AP50", "share"),
               Column("ap75", "AP75", "share")]  # fmt: skip
    return Table("Where such figures stand elsewhere; other images are easier or harder, so only the order of magnitude"
                 " compares", columns, rows)  # fmt: skip


def _repeats_table(repeats: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        {"name": _MEANINGS.get(name, (name, ""))[0], "mean": each["mean"], "sd": each["sd"], "n": each["n"],
         "t": _margin(each["margin_t"]), "z": _margin(each["margin_z"])}
        for name, each in repeats.items()
    ]  # fmt: skip
    columns = [Column("name", "Figure"), Column("mean", "Mean", "share"), Column("t", "95 % interval, t", "count"),
               Column("z", "the same, z", "count"), Column("sd", "SD", "share"),
               Column("n", "Repeats", "count")]  # fmt: skip
    return Table("Over repeats, each with other examples to learn from. The test images are the same in all, so the "
                 "interval is of the mean over draws of examples, not over specimens", columns, rows)  # fmt: skip


def _margin(value: float | None) -> str:
    return "none" if value is None else f"± {100 * value:.1f}"


def _training_figures(history: Sequence[Mapping[str, float]]) -> list[Figure]:
    if len(history) < 2:
        return []
    return [Figure(figures.losses(history), "Losses while it was taught.")]


def _speed_table(speed: Mapping[str, Any]) -> Table:
    columns = [
        Column("method", "Method"), Column("runtime", "Runtime"), Column("device", "Device"),
        Column("ms_per_image", "ms an image", "number"), Column("images_per_s", "Images a second", "number"),
        Column("line", "On a line"),
    ]  # fmt: skip
    return Table("Time for each image and what it means on a line", columns, speed["rows"])


def _points(value: float | None) -> str:
    return f"{100 * value:.1f} points" if value is not None else ABSENT


def _drawn(drawn: Sequence[Figure]) -> list[dict[str, Any]]:
    return [{"svg": drawing(each.svg), "caption": each.caption, "least": each.least_px} for each in drawn]

"""``sorby anomaly``: find what good images do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.anomaly import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import device_option, out_option, recipe_options, signed_option
from sorby.cli.anomaly_protocol import protocol
from sorby.workflow import anomaly as verbs

_PATTERN = click.option(
    "--specimen-pattern",
    metavar="REGEX",
    help="Its first group names the specimen in a file's name; specimens stay whole.",
)


def _threshold_lines(result: dict[str, Any]) -> list[str]:
    calibration = result["calibration"]
    n = f" from {calibration['n']} good {calibration['unit']}s" if calibration["n"] else ""
    return [
        f"threshold {result['threshold']:.4g} ({calibration['rule']}{n})",
        f"promise   {calibration['guarantee']}",
    ]


def _notes(result: dict[str, Any]) -> list[str]:
    return [f"note      {line}" for line in result["warnings"]]


def _show_fit(result: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"bundle    {result['bundle']}",
            f"good      {result['n_images']} images remembered, {result['n_calibration']} held out",
            *_threshold_lines(result),
            *_notes(result),
            f"{result['seconds']:.1f} s, {result['tiles_per_s']:.0f} views/s while fitting ({result['runtime']})",
        ]
    )


def _show_score(result: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"{result['n']} images: {result['anomalous']} anomalous, {result['n_findings']} findings",
            *_threshold_lines(result),
            f"score     {result['meaning']}",
            f"scores    {result['scores']}",
            f"findings  {result['findings']}",
            *_notes(result),
            f"{result['tiles_per_s']:.0f} views/s ({result['runtime']})",
        ]
    )


def _estimate(entry: dict[str, Any] | None) -> str:
    if entry is None or entry["value"] is None:
        return "-"
    bounds = "" if entry["ci95"] is None else f" ({entry['ci95'][0]:.3f} to {entry['ci95'][1]:.3f})"
    return f"{entry['value']:.3f}{bounds}, n = {entry['n']}"


def _show_evaluation(result: dict[str, Any]) -> str:
    at = result["at_threshold"]
    return "\n".join(
        [
            f"image AUROC  {_estimate(result['image_auroc'])}",
            f"pixel AUROC  {_estimate(result['pixel_auroc'])}",
            f"PRO-AUC      {_estimate(result['pro_auc'])}",
            f"false alarms {_estimate(at['false_alarm_rate'])} good images at the threshold",
            f"detected     {_estimate(at['detection_rate'])} bad images at the threshold",
            *_threshold_lines(result),
            f"score     {result['meaning']}",
            *_notes(result),
            f"{result['tiles_per_s']:.0f} views/s",
        ]
    )


def _show_update(result: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"bundle    {result['bundle']}",
            f"{result['added']} images added, {result['removed']} removed, {result['n_images']} remembered",
            f"threshold {result['threshold_before']:.4g} before, {result['threshold']:.4g} now",
            f"promise   {result['calibration']['guarantee']}",
            *_notes(result),
        ]
    )


@click.group()
def anomaly() -> None:
    """Fit a detector on good images; score, measure and update it.

    Example: sorby anomaly fit good/ --out tiles.sorby && sorby anomaly score tiles.sorby new/ --out scores
    """


@anomaly.command()
@click.argument("good", type=click.Path(path_type=Path))
@out_option("The bundle: NAME.sorby, or a new folder.")
@click.option("--bad", type=click.Path(path_type=Path), help="Labelled bad images, for threshold.rule=f1 only.")
@click.option("--masks", type=click.Path(path_type=Path), help="Their masks, by file stem.")
@click.option("--false-alarm-rate", type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
              help="Share of good images that may be called anomalous; the recipe's where absent.")  # fmt: skip
@_PATTERN
@recipe_options
@device_option
@reports(_show_fit)
def fit(
    good: Path,
    out: Path,
    bad: Path | None,
    masks: Path | None,
    false_alarm_rate: float | None,
    specimen_pattern: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    device: Any,
) -> dict[str, Any]:
    """Fit a detector on the images in GOOD, which show no defect.

    Example: sorby anomaly fit good/ --out tiles.sorby --false-alarm-rate 0.01
    """
    changes: dict[str, Any] = dict(overrides(settings))
    if false_alarm_rate is not None:
        changes["threshold.false_alarm_rate"] = false_alarm_rate
    if seed is not None:
        changes["seed"] = seed
    chosen = recipes.load(recipe, changes)
    return verbs.fit(good, out, recipe=chosen, bad=bad, masks=masks, specimen_pattern=specimen_pattern, device=device)


@anomaly.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("Folder for scores.csv and findings.csv; must not hold scores yet.")
@click.option("--pixel-size-um", type=click.FloatRange(min=0, min_open=True), help="Scale of every image.")
@click.option("--maps", is_flag=True, help="Write a picture of each image's map.")
@signed_option
@device_option
@reports(_show_score)
def score(
    bundle: Path,
    paths: tuple[Path, ...],
    out: Path,
    pixel_size_um: float | None,
    maps: bool,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Score every image in PATHS (files or folders) and list what was found.

    Example: sorby anomaly score tiles.sorby new/ --out scores --pixel-size-um 34 --maps
    """
    return verbs.score(
        bundle, paths, out, pixel_size_um=pixel_size_um, maps=maps, require_signed=require_signed, device=device
    )


@anomaly.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--good", required=True, type=click.Path(path_type=Path), help="Good images that it was not fitted on.")
@click.option("--bad", required=True, type=click.Path(path_type=Path), help="Bad images.")
@click.option("--masks", type=click.Path(path_type=Path), help="Masks of the bad images, by file stem; > 0 is defect.")
@click.option("--fpr-limit", type=click.FloatRange(0, 1, min_open=True), default=0.3, show_default=True,
              help="False positive rate up to which PRO is integrated.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder for evaluation.json.")
@_PATTERN
@signed_option
@device_option
@reports(_show_evaluation)
def evaluate(
    bundle: Path,
    good: Path,
    bad: Path,
    masks: Path | None,
    fpr_limit: float,
    out: Path | None,
    specimen_pattern: str | None,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Measure a detector on good and bad images, each figure with its interval.

    Example: sorby anomaly evaluate tiles.sorby --good good/ --bad bad/ --masks masks/
    """
    return verbs.evaluate(
        bundle,
        good,
        bad,
        masks,
        out=out,
        specimen_pattern=specimen_pattern,
        fpr_limit=fpr_limit,
        require_signed=require_signed,
        device=device,
    )


@anomaly.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--add", type=click.Path(path_type=Path), help="Folder of good images to remember.")
@click.option("--remove", type=click.Path(path_type=Path), help="Folder of images to forget, found by content.")
@click.option("--images", multiple=True, type=click.Path(path_type=Path),
              help="Where the good images behind the bundle lie now; repeatable.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="The changed bundle; replaces BUNDLE where absent.")
@_PATTERN
@signed_option
@device_option
@reports(_show_update)
def update(
    bundle: Path,
    add: Path | None,
    remove: Path | None,
    images: tuple[Path, ...],
    out: Path | None,
    specimen_pattern: str | None,
    require_signed: bool,
    device: Any,
) -> dict[str, Any]:
    """Add good images to what BUNDLE knows, or take some out; its threshold is calibrated anew.

    Example: sorby anomaly update tiles.sorby --add good_today/
    """
    return verbs.update(
        bundle,
        add=add,
        remove=remove,
        images=images,
        specimen_pattern=specimen_pattern,
        out=out,
        require_signed=require_signed,
        device=device,
    )


anomaly.add_command(protocol)

"""``sorby detect``: boxes around defects, learnt from few labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import overrides, reports
from sorby.cli._options import device_option, out_option, recipe_options, signed_option
from sorby.cli.detect_name import name
from sorby.detect import recipe as recipes
from sorby.detect.recipe import DetectRecipe


def _tell(line: str) -> None:
    click.echo(f"note: {line}", err=True)


def _recipe(name: str, settings: tuple[str, ...], seed: int | None) -> DetectRecipe:
    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    return recipes.load(name, changes)


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.1f} %"


def _figure(value: float | None, bounds: list[float] | None) -> str:
    sure = "no interval" if bounds is None else f"95 % CI {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"
    return f"{_percent(value)}  ({sure})"


def _share(estimate: dict[str, Any]) -> str:
    bounds = estimate["ci95"]
    sure = "" if bounds is None else f" ({100 * bounds[0]:.0f} to {100 * bounds[1]:.0f})"
    return _percent(estimate["value"]) + sure


def _boxes(count: int) -> str:
    return f"{count} box" if count == 1 else f"{count} boxes"


def _notes(result: dict[str, Any]) -> list[str]:
    return [f"note      {line}" for line in result["warnings"]]


def _scores(result: dict[str, Any]) -> list[str]:
    if not result["n_images"]:
        return []
    return [
        *(f"{name.upper():<9} {_figure(result[name], result['ci95'][name])}" for name in ("ap50", "ap", "ap75")),
        f"judged on {result['n_images']} images with {result['n_boxes']} boxes",
    ]


def _show_base(result: dict[str, Any]) -> str:
    return "\n".join(
        [
            *_scores(result),
            *_notes(result),
            f"bundle    {result['bundle']}",
            f"{result['pictures']} rendered pictures, {result['seconds']:.0f} s",
        ]
    )


def _show_train(result: dict[str, Any]) -> str:
    taught = result["taught"]
    per_class = (
        f"  {name:<20} AP50 {_percent(each['ap50'])}, {_boxes(each['n_boxes'])}"
        for name, each in result["per_class"].items()
    )
    return "\n".join(
        [
            f"taught    {taught['images']} images with {taught['boxes']} boxes, base {result['base']}",
            *_scores(result),
            *(per_class if len(result["per_class"]) > 1 else ()),
            f"by        {result['protocol']}",
            f"threshold {result['threshold']:.3f}, chosen on {result['threshold_from']}",
            *_notes(result),
            f"bundle    {result['bundle']}",
            *([f"report    {result['report']}"] if result["report"] else []),
            f"{result['seconds']:.1f} s",
        ]
    )


def _estimate(entry: dict[str, Any] | None) -> str:
    return "undefined" if entry is None else _figure(entry["value"], entry["ci95"])


def _show_evaluation(result: dict[str, Any]) -> str:
    point = result["operating"]
    lines = [
        *(f"{name.upper():<9} {_estimate(result[name])}" for name in ("ap50", "ap", "ap75")),
        f"judged on {result['n_images']} images with {result['n_boxes']} boxes, {result['n_good']} without any",
        *(
            f"  {name:<20} AP50 {_estimate(each['ap50'])}, {_boxes(each['ap50']['boxes'])}"
            for name, each in result["per_class"].items()
        ),
    ]
    if point is not None:
        lines += [
            f"at {point['score']:.3f}  {point['hits']} boxes found, {point['missed']} missed, {point['alarms']} false"
            f" alarms ({point['false_per_image']['value']:.2f} an image)",
            f"images    {_share(point['images_caught'])} of those with a defect caught, "
            f"{_share(point['images_silent'])} of the good ones left in peace",
        ]
    lines += _notes(result)
    return "\n".join([*lines, *([f"report    {result['report']}"] if result["report"] else [])])


@click.group()
def detect() -> None:
    """Teach and judge a detector that draws boxes around defects and names them.

    Example: sorby detect train labelled.json --out run && sorby inspect run/detector.sorby new/ --out seen
    """


@detect.command()
@out_option("The bundle: NAME.sorby. An interrupted teaching goes on with the same command.")
@click.option("--n", "pictures", type=click.IntRange(min=1), default=4000, show_default=True, help="Rendered pictures.")
@click.option("--leave-out", "left_out", multiple=True, metavar="KIND|SURFACE",
              help="Render no such defect or surface; repeatable.")  # fmt: skip
@recipe_options
@device_option
@reports(_show_base)
def base(
    out: Path, pictures: int, left_out: tuple[str, ...], recipe: str | None, settings: tuple[str, ...],
    seed: int | None, device: Any,
) -> dict[str, Any]:  # fmt: skip
    """Teach a base detector on rendered defects of many kinds and surfaces; few-shot teaching stands on it.

    Example: sorby detect base --out base.sorby --n 4000
    """
    from sorby.workflow.detection.bases import PHANTOM_RECIPE, teach_base

    chosen = _recipe(recipe or PHANTOM_RECIPE, settings, seed)
    return teach_base(out, chosen, pictures=pictures, left_out=left_out, device=device)


@detect.command()
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Run folder; must not hold a finished run. An interrupted run there is resumed.")
@click.option("--base", metavar="phantom|none|BUNDLE", help="What it stands on; the recipe's where absent.")
@click.option("--shots", type=click.IntRange(min=1), help="Teach on so many examples a class, drawn by the seed.")
@click.option("--by", type=click.Choice(["boxes", "images"]), default="boxes", show_default=True,
              help="What --shots counts.")  # fmt: skip
@click.option("--classes", metavar="A,B,...", help="Classes to be learnt; all where absent.")
@click.option("--val", type=click.Path(path_type=Path), metavar="DATA", help="Sets the threshold.")
@click.option("--test", type=click.Path(path_type=Path), metavar="DATA", help="Judges.")
@recipe_options
@device_option
@reports(_show_train)
def train(
    data: Path,
    out: Path,
    classes: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    **options: Any,
) -> dict[str, Any]:
    """Teach a detector from labelled boxes: a handful is enough for a start.

    DATA is a corpus with boxes, a COCO file, or a folder of Pascal VOC or YOLO files. Images without boxes teach what
    is no defect. Without a split every image is judged by a predictor that has not seen its specimen.

    Example: sorby detect train ten_images/ --out runs/boxes
    """
    from sorby.workflow.detection.teaching import DEFAULT_RECIPE, train_detector

    wanted = None if classes is None else tuple(name.strip() for name in classes.split(",") if name.strip())
    chosen = _recipe(recipe or DEFAULT_RECIPE, settings, seed)
    return train_detector(data, out, chosen, classes=wanted, say=_tell, **options)


@detect.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page, findings.csv and evaluation.json.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the intervals.")
@signed_option
@device_option
@reports(_show_evaluation)
def evaluate(
    bundle: Path, data: Path, out: Path | None, seed: int, require_signed: bool, device: Any
) -> dict[str, Any]:
    """Score a detector on labelled images: average precision, false alarms, kinds of mistakes.

    Example: sorby detect evaluate runs/boxes/detector.sorby test.json --out judged
    """
    from sorby.workflow.detection.evaluating import evaluate_detector

    return evaluate_detector(bundle, data, out, seed=seed, require_signed=require_signed, device=device)


detect.add_command(name)

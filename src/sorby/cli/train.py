"""``sorby train`` and ``sorby crossval``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.classify import Recipe
from sorby.classify import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options
from sorby.workflow import training


def _recipe(recipe: str | None, settings: tuple[str, ...], seed: int | None) -> Recipe:
    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    return recipes.load(recipe, changes)


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.2f} %"


def _interval(bounds: list[float] | None) -> str:
    return "no interval" if bounds is None else f"95 % CI {100 * bounds[0]:.2f} to {100 * bounds[1]:.2f} %"


def _over_folds(bounds: list[float] | None) -> str:
    """Write an interval over folds, cut where a share ends: Student's t knows of no end."""
    if bounds is None or (bounds[0] >= 0 and bounds[1] <= 1):
        return _interval(bounds)
    ends = [where for where, beyond in (("0 %", bounds[0] < 0), ("100 %", bounds[1] > 1)) if beyond]
    return f"{_interval([max(bounds[0], 0.0), min(bounds[1], 1.0)])}, cut at {' and '.join(ends)},"


def _warnings(result: dict[str, Any]) -> list[str]:
    return [f"note      {line}" for line in result["warnings"]]


def _show_train(result: dict[str, Any]) -> str:
    test = result["test"]
    lines = [
        f"accuracy  {_percent(test['accuracy'])}  ({_interval(test['ci95']['accuracy'])}, n = {test['n']} test images)",
        f"macro-F1  {_percent(test['macro_f1'])}  ({_interval(test['ci95']['macro_f1'])})",
        *_graded({name: {"value": test[name], "ci95": bounds} for name, bounds in test["ci95"].items()}),
        *_warnings(result),
        f"bundle    {result['bundle']}",
        f"report    {result['report']}",
        f"{result['seconds']:.1f} s",
    ]
    return "\n".join(lines)


def _graded(test: dict[str, Any]) -> list[str]:
    """Say how far calls lie from the labels where classes are grades."""
    lines = []
    for name, title in (("mean_absolute_error", "off by"), ("weighted_kappa", "kappa")):
        if name in test:
            entry = test[name]
            unit = " grades" if name == "mean_absolute_error" else ", weighted"
            bounds = entry["ci95"]
            sure = "no interval" if bounds is None else f"95 % CI {bounds[0]:.3f} to {bounds[1]:.3f}"
            value = "undefined" if entry["value"] is None else f"{entry['value']:.3f}"
            lines.append(f"{title:<9} {value}{unit}  ({sure})")
    return lines


def _show_crossval(result: dict[str, Any]) -> str:
    lines = []
    for name, title in (("accuracy", "accuracy"), ("macro_f1", "macro-F1")):
        entry = result[name]
        spread = f"sd {_percent(entry['sd'])}  ({_over_folds(entry['ci95'])} over {result['folds']} folds)"
        lines.append(f"{title}  {_percent(entry['mean'])}  {spread}")
    lines += _graded(result["pooled"])
    kept = "specimens kept whole" if result["grouped"] else "split by image"
    lines += [f"n         {result['n']} images, {kept}", *_inflated(result), *_matched(result), *_warnings(result)]
    return "\n".join([*lines, f"report    {result['report']}", f"{result['seconds']:.1f} s"])


def _inflated(result: dict[str, Any]) -> list[str]:
    """Say by how much a split by image flatters; of the two figures the one by specimen counts."""
    told = result["inflation"]
    if told is None:
        return []
    lines = [f"inflation of a split by image, {told['model']}, {told['repeats']} x {told['folds']} folds:"]
    for name, title in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        entry = told[name]
        bounds = entry["ci95"]
        sure = "no interval" if bounds is None else f"95 % CI {100 * bounds[0]:+.2f} to {100 * bounds[1]:+.2f}"
        lines.append(
            f"  {title}  {_percent(entry['specimen_level'])} by specimen, {_percent(entry['image_level'])} by image:"
            f" {100 * entry['difference']:+.2f} points  ({sure})"
        )
    if not result["grouped"]:
        lines.append("  the figures above are by image, as asked; of new specimens expect those by specimen")
    return lines


def _matched(result: dict[str, Any]) -> list[str]:
    """Say what the metrics are without images whose report was not matched exactly."""
    told = result["without_fuzzy"]
    if told is None or "accuracy" not in told:
        return []
    out = ", ".join(f"{count} {match}" for match, count in told["left_out"].items()) or "none left out"
    accuracy, f1 = _percent(told["accuracy"]["value"]), _percent(told["macro_f1"]["value"])
    return [f"exactly matched images only: accuracy {accuracy}, macro-F1 {f1}, n = {told['n']} ({out})"]


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Run folder; must not hold a finished run. An interrupted run there is resumed.")
@recipe_options
@column_options
@device_option
@reports(_show_train)
def train(
    data: Path,
    out: Path,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
    device: Any,
) -> dict[str, Any]:
    """Train a classifier and test it on specimens it has not seen.

    DATA is a folder with one folder a class, a table (.csv, .parquet) or a corpus.

    Example: sorby train steel_images/ --out runs/first
    """
    chosen = _recipe(recipe, settings, seed)
    return training.train(data, out, chosen, device=device, label=label, group=group, image=image)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Run folder; must not hold a finished run. An interrupted run there is resumed.")
@click.option("--folds", type=click.IntRange(2, 100), help="Overrides the recipe's number of folds.")
@click.option(
    "--inflation/--no-inflation", default=True, help="Compare folds by image and by specimen, where they are known."
)
@recipe_options
@column_options
@device_option
@reports(_show_crossval)
def crossval(
    data: Path,
    out: Path,
    folds: int | None,
    inflation: bool,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
    device: Any,
) -> dict[str, Any]:
    """Cross-validate: every image is tested by a classifier that has not seen its specimen.

    Example: sorby crossval corpus.parquet --folds 5 --out runs/cv
    """
    chosen = _recipe(recipe, settings, seed)

    def tell(fold: int, accuracy: float) -> None:
        click.echo(f"fold {fold}: accuracy {_percent(accuracy)}", err=True)

    return training.crossval(
        data, out, chosen, folds=folds, device=device, label=label, group=group, image=image, inflation=inflation,
        on_fold=tell,
    )  # fmt: skip

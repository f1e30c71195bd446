"""``sorby refine``: changes tried against a locked test part, each with its reason in a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options

_LISTED = 12  # misclassified images that are named on the screen


def _points(entry: dict[str, Any]) -> str:
    sure = "no interval" if entry["ci95"] is None else "95 % CI {:.1f} to {:.1f} %".format(
        *(100 * bound for bound in entry["ci95"])
    )  # fmt: skip
    value = "undefined" if entry["value"] is None else f"{100 * entry['value']:.1f} %"
    return f"{value} ({sure}, n = {entry['n']})"


def _gap(entry: dict[str, Any]) -> str:
    sure = "no interval" if entry["ci95"] is None else "95 % CI {:+.1f} to {:+.1f}".format(
        *(100 * bound for bound in entry["ci95"])
    )  # fmt: skip
    return f"{100 * entry['value']:+.1f} points ({sure})"


def _counts(split: dict[str, int]) -> str:
    return ", ".join(f"{split[part]} {part}" for part in ("train", "val", "test"))


def _ending(result: dict[str, Any]) -> list[str]:
    return [*(f"note      {line}" for line in result["warnings"]), f"log       {result['log_sha256']}"]


def _show_start(result: dict[str, Any]) -> str:
    parts = _counts(result["split"])
    whole = "specimens unknown" if result["specimens"] is None else "specimens kept whole"
    return "\n".join([f"locked    {parts} images, {whole}", f"split     {result['split_sha256']}", *_ending(result)])


def _show_round(result: dict[str, Any]) -> str:
    found = result["validation"]
    changed = ", ".join(f"{key}={value}" for key, value in result["settings"].items()) or "nothing"
    basis = "" if result["after"] is None else f" after round {result['after']}"
    lines = [
        f"round     {result['round']}{basis}: {changed}",
        f"accuracy  {_points(found['accuracy'])}, validation",
        f"macro-F1  {_points(found['macro_f1'])}",
    ]
    if result["difference"] is not None:
        lines.append(f"change    macro-F1 {_gap(result['difference']['macro_f1'])} on the same images")
    wrong = result["misclassified"]
    lines.append(f"{len(wrong)} misclassified" + (", the surest first:" if wrong else ""))
    for row in wrong[:_LISTED]:
        seen = f"{row['label']} called {row['predicted']} ({row['confidence']:.2f})"
        lines.append(f"  {Path(row['path']).name}: {seen}  {row['map'] or ''}".rstrip())
    return "\n".join([*lines, f"bundle    {result['bundle']}", *_ending(result)])


def _show_close(result: dict[str, Any]) -> str:
    lines = [
        f"first     macro-F1 {_points(result['first']['macro_f1'])}, test",
        f"round {result['chosen']:2d}  macro-F1 {_points(result['chosen_test']['macro_f1'])}, test",
    ]
    if result["difference"] is not None:
        p_value = result["difference"]["mcnemar_p"]
        lines.append(f"change    macro-F1 {_gap(result['difference']['macro_f1'])}, McNemar p = {p_value:.2g}")
    return "\n".join([*lines, result["sentence"], *_ending(result)])


def _show_log(result: dict[str, Any]) -> str:
    parts = _counts(result["split"])
    lines = [f"locked    {parts} images"]
    for each in result["rounds"]:
        changed = ", ".join(f"{key}={value}" for key, value in each["settings"].items()) or "nothing"
        lines.append(f"round {each['round']:2d}  {_points(each['validation']['macro_f1'])}  {changed}: {each['why']}")
    closed = result["closed"]
    lines.append("the test part is closed" if closed is None else closed["sentence"])
    return "\n".join([*lines, *_ending(result)])


@click.group()
def refine() -> None:
    """Improve a recipe without learning the test part by heart: start, round by round, close.

    Example: sorby refine start surfaces/ --out refinement
    """


@refine.command("start")
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Folder of the refinement; must be empty.")
@recipe_options
@column_options
@reports(_show_start)
def start(
    data: Path,
    out: Path,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Lock a test part of DATA, specimens whole, and begin the log.

    Example: sorby refine start surfaces/ --recipe corrosion-table6 --out refinement
    """
    from sorby.workflow import refinement

    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    from sorby.classify import recipe as recipes

    return refinement.start(data, out, recipes.load(recipe, changes), label=label, group=group, image=image)


@refine.command("round")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="The change; repeatable.")
@click.option("--why", required=True, metavar="TEXT", help="Its reason; kept in the log.")
@click.option("--after", type=click.IntRange(min=1), metavar="N", help="Change round N, not the last one.")
@device_option
@reports(_show_round)
def round_(folder: Path, settings: tuple[str, ...], why: str, after: int | None, device: Any) -> dict[str, Any]:
    """Train with a change and judge it on the validation part alone.

    Example: sorby refine round refinement --set augment=flips --why "stripes are told by their direction"
    """
    from sorby.workflow.refinement_round import train_round

    return train_round(folder, overrides(settings), why, after=after, device=device)


@refine.command("close")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--round", "chosen", type=click.IntRange(min=1), metavar="N",
              help="Round to test; the best on the validation part where absent.")  # fmt: skip
@device_option
@reports(_show_close)
def close(folder: Path, chosen: int | None, device: Any) -> dict[str, Any]:
    """Open the test part, once, for the first and the chosen round.

    Example: sorby refine close refinement
    """
    from sorby.workflow import refinement_closing

    return refinement_closing.close(folder, chosen, device=device)


@refine.command("show")
@click.argument("folder", type=click.Path(path_type=Path))
@reports(_show_log)
def show(folder: Path) -> dict[str, Any]:
    """Check the log and the split, and tell the rounds.

    Example: sorby refine show refinement
    """
    from sorby.workflow import refinement

    return refinement.show(folder)

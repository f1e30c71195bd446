"""``sorby synthesize``: generated images, what they are worth, and what they descend from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options, signed_option

#: Which originals are taken where the data have a split; the networks are imported when a verb runs.
_PARTS = ("train", "all")
_SPLIT = "Where the data have a split: its training part only, or everything."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _estimate(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "-"
    bounds = "" if entry["ci95"] is None else f" ({entry['ci95'][0]:.3g} to {entry['ci95'][1]:.3g})"
    return f"{entry['value']:.3g}{bounds}"


def _worth(result: dict[str, Any]) -> list[str]:
    """Say what a judged set is worth, a line a class."""
    if not result["classes"]:
        return []
    lines = []
    for label, each in result["classes"].items():
        lines.append(
            f"{label}: KID {_estimate(each['kid'])}, floor {_estimate(each['floor'])}, ceiling"
            f" {_estimate(each['ceiling'])}; n = {each['n_generated']} generated, {each['n_real']} real"
        )
    if len(result["classes"]) > 1:
        lines.append(f"together: KID {_number(result['kid'])}; precision {_number(result['precision'])}, recall"
                     f" {_number(result['recall'])}")  # fmt: skip
    reasons = ", ".join(f"{count} {code}" for code, count in result["reasons"].items() if count)
    lines.append(f"accepted  {result['accepted']}, rejected {result['rejected']}{f' ({reasons})' if reasons else ''}")
    lines.append(f"copies    {result['copies']}")
    return lines


def _notes(result: dict[str, Any]) -> list[str]:
    shown = [f"report    {result['report']}"] if result["report"] else []
    return [*[f"note      {line}" for line in result["warnings"]], *shown, f"{result['seconds']:.1f} s"]


def _show_train(result: dict[str, Any]) -> str:
    taught = ", ".join(f"{label} {n}" for label, n in result["taught"].items())
    lines = [f"generator {result['generator']}", f"taught by {taught} originals; a sample against these:"]
    return "\n".join([*lines, *_worth(result), *_notes(result)])


def _show_sample(result: dict[str, Any]) -> str:
    lines = [f"{result['n']} images in {result['folder']}", *_worth(result)]
    return "\n".join([*lines, f"table     {result['table']}", *_notes(result)])


def _show_check(result: dict[str, Any]) -> str:
    lines = [*_worth(result), f"decided   {result['decided']} by a person", f"table     {result['table']}"]
    return "\n".join([*lines, *_notes(result)])


@click.group()
def synthesize() -> None:
    """Teach generators of images, draw from them, and check what comes out.

    Example: sorby synthesize train corpus.parquet --out gan && sorby synthesize sample gan --n 90 --out made
    """


@synthesize.command()
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Folder for the generator, its history and its report; an interrupted teaching there goes on.")
@click.option("--split", "part", type=click.Choice(_PARTS), default="train", show_default=True, help=_SPLIT)
@recipe_options
@device_option
@column_options
@reports(_show_train)
def train(
    data: Path,
    out: Path,
    part: str,
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    device: Any,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Teach a generator for each class by the originals in DATA, a corpus, a table or a folder per class.

    Example: sorby synthesize train corpus.parquet --recipe stills-128 --out gan
    """
    from sorby.synthesize import load_recipe
    from sorby.workflow import synthesis as verbs

    chosen = load_recipe(recipe or "stills-128", overrides(settings))
    click.echo(f"teaching one generator for each class, {chosen.training.steps} steps each", err=True)
    return verbs.train(
        data, out, chosen, part=part, seed=seed or 0, device=device, label=label, group=group, image=image
    )


@synthesize.command()
@click.argument("generator", type=click.Path(path_type=Path))
@out_option("Folder for the images, synthetic.csv and the report.")
@click.option("--n", "n", type=click.IntRange(1), required=True, help="Images of each class.")
@click.option("--parents", "originals", type=click.Path(path_type=Path),
              help="Originals: made from where the method needs parents, compared with by the gate.")  # fmt: skip
@click.option("--split", "part", type=click.Choice(_PARTS), default="train", show_default=True, help=_SPLIT)
@click.option("--class", "classes", multiple=True, help="Only this class; repeatable.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@signed_option
@device_option
@column_options
@reports(_show_sample)
def sample(
    generator: Path,
    out: Path,
    n: int,
    originals: Path | None,
    part: str,
    classes: tuple[str, ...],
    seed: int,
    require_signed: bool,
    device: Any,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Draw images from GENERATOR; synthetic.csv says what each descends from and whether it may be used.

    Example: sorby synthesize sample gan --parents corpus.parquet --n 90 --out made
    """
    from sorby.workflow import synthesis as verbs

    return verbs.sample(
        generator, out, n=n, originals=originals, part=part, classes=classes, seed=seed, device=device, label=label,
        group=group, image=image, require_signed=require_signed,
    )  # fmt: skip


@synthesize.command()
@click.argument("real", type=click.Path(path_type=Path))
@click.argument("generated", type=click.Path(path_type=Path))
@out_option("Folder for gate.csv, check.json and the report; decisions in an earlier gate.csv there are kept.")
@click.option(
    "--generator", type=click.Path(path_type=Path), help="For the ceiling; by default the one that drew them."
)
@click.option("--split", "part", type=click.Choice(_PARTS), default="all", show_default=True, help=_SPLIT)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@device_option
@column_options
@reports(_show_check)
def check(
    real: Path,
    generated: Path,
    out: Path,
    generator: Path | None,
    part: str,
    seed: int,
    device: Any,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Compare GENERATED images with REAL ones: distances, copies, and which may be used.

    Example: sorby synthesize check corpus.parquet made --out checked
    """
    from sorby.workflow import synthesis as verbs

    return verbs.check(
        real, generated, out, generator=generator, part=part, seed=seed, device=device, label=label, group=group,
        image=image,
    )  # fmt: skip

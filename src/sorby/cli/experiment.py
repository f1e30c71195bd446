"""``sorby experiment``: ablations and studies of the methods, each with its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.classify import recipe as recipes
from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, recipe_options
from sorby.errors import InputError
from sorby.workflow.experiments import experiments, run_experiment
from sorby.workflow.experiments.registry import find

_LISTED = "list"


def _show(result: dict[str, Any]) -> str:
    if "experiments" in result:
        width = max(len(entry["name"]) for entry in result["experiments"])
        lines = []
        for entry in result["experiments"]:
            slow = "  (slow)" if entry["slow"] else ""
            lines.append(f"{entry['name']:<{width}}  {entry['question']}{slow}")
        return "\n".join(lines)
    lines = [*result["answers"], "", *(f"note      {line}" for line in result["warnings"])]
    return "\n".join([*lines, f"report    {result['report']}", f"{result['seconds']:.1f} s"])


def _own(name: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return options that only some experiments have.

    Raises
    ------
    InputError
        The experiment has no such option, or no value is given.
    """
    known = find(name).options
    if bare := [entry for entry in given if "=" not in entry]:
        raise InputError(f"--option {bare[0]}: not of the form name=value", f"options: {', '.join(sorted(known))}")
    options = overrides(given)
    for key in options:
        if key not in known:
            raise InputError(f"experiment {name} has no option {key!r}", f"its options: {', '.join(sorted(known))}")
    return options


@click.command()
@click.argument("name")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the result; experiment-NAME where absent.")
@click.option("--folds", type=click.IntRange(2, 100), help="Folds of the cross-validation; every arm has the same.")
@click.option("--min-count", type=click.IntRange(min=2), help="Fewest images of a class that takes part.")
@click.option("--by", metavar="COLUMN", help="leave-one-out-group: alloy, plant, instrument, magnification ...")
@click.option("--only", metavar="ARMS", help="heads: arms besides the global one, parted by semicolons.")
@click.option("--ood", type=click.Path(path_type=Path), help="novelty: folder with one folder of images a kind.")
@click.option("--curves", type=click.Path(path_type=Path), help="fusion: folder of the coupons' curves.")
@click.option("--repeats", type=click.IntRange(2, 10_000), help="Draws of splits, where an experiment repeats them.")
@click.option("--option", "own", multiple=True, metavar="NAME=VALUE", help="Another option of the experiment.")
@recipe_options
@column_options
@device_option
@reports(_show)
def experiment(
    name: str,
    data: Path | None,
    out: Path | None,
    folds: int | None,
    min_count: int | None,
    only: str | None,
    by: str | None,
    ood: Path | None,
    curves: Path | None,
    repeats: int | None,
    own: tuple[str, ...],
    recipe: str | None,
    settings: tuple[str, ...],
    seed: int | None,
    label: str | None,
    group: str | None,
    image: str | None,
    device: Any,
) -> dict[str, Any]:
    """Run the experiment NAME on DATA; `sorby experiment list` names them all.

    DATA is a corpus, a table or a folder with one folder a class, with the columns the experiment needs.

    Example: sorby experiment imbalance corpus.parquet --out experiments/imbalance
    """
    if name == _LISTED:
        known = experiments().values()
        return {
            "experiments": [
                {"name": each.name, "title": each.title, "question": each.question, "source": each.source,
                 "needs": list(each.needs), "options": sorted(each.options), "slow": each.slow}
                for each in known
            ]
        }  # fmt: skip
    if data is None:
        raise InputError("DATA is missing", f"sorby experiment {name} corpus.parquet")
    options: dict[str, Any] = {"folds": folds, "min_count": min_count, "only": only, "by": by, "ood": ood}
    options |= {"curves": curves}
    options |= {"repeats": repeats, **_own(name, own)}
    changes: dict[str, Any] = dict(overrides(settings))
    if seed is not None:
        changes["seed"] = seed
    return run_experiment(
        name,
        data,
        out or Path(f"experiment-{name}"),
        device=device,
        recipe=recipes.load(recipe, changes),
        label=label,
        group=group,
        image=image,
        **options,
    )

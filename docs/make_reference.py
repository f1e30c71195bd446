"""Write the reference pages that follow from the code: recipes, commands, reason codes, bundle description.

    python docs/make_reference.py

The results are committed; tests/test_docs.py fails when they are no longer what the code says.
"""

from __future__ import annotations

import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sorby.anomaly import recipe as detectors
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.bundle import Description
from sorby.classify import REASONS
from sorby.classify import recipe as recipes
from sorby.classify.flags import FLAGS
from sorby.classify.recipe import Recipe
from sorby.cli import cli
from sorby.corpus.schema import COLUMNS

HERE = Path(__file__).resolve().parent

#: Meanings of fields whose docstring names only a type, and of the recipe itself.
MEANINGS = {
    "name": "a name of your own; it becomes the bundle's name",
    "seed": "of splits, folds, initial weights and shuffling",
    "regime": "`frozen`: a linear head on frozen features, seconds; `finetune`: the whole network learns,"
    " minutes to hours",
    "augment": "random changes of training images when fine-tuning, see [augmentation](#augmentation); the frozen "
    "regime uses none",
    "finetune.epochs": "passes over the training images",
    "finetune.batch_size": "images a step",
    "finetune.accumulate": "steps whose gradients are summed before the weights change",
    "finetune.learning_rate": "of the optimiser, for the classifier and the topmost layers",
    "finetune.weight_decay": "of the optimiser; biases and norms have none",
    "finetune.step_epochs": "epochs between two drops of the rate; only with `schedule: step`",
    "finetune.step_gamma": "factor of each drop; only with `schedule: step`",
    "finetune.drop_path": "share of residual branches dropped at random while training (stochastic depth)",
    "finetune.label_smoothing": "share of the target probability spread over all classes",
}

AUGMENTATION = """
## Augmentation

`augment` names a preset. It changes training images only, never images that are tested or inspected.

| preset | does |
|---|---|
| `none` | nothing |
| `flips` | horizontal and vertical flips, quarter turns |
| `steel` | any rotation (corners reflected), flips, contrast ±20 %, blur of sigma 0.1 to 1.5 px in half of them |
| `fracture` | RandAugment, 2 operations of magnitude 12 |
| `corrosion` | any rotation, shifts of 10 %, flips, brightness ±20 %, zoom of 0.8 to 1.25; corners reflected |
"""


#: The same for the recipe of a detector.
DETECTOR_MEANINGS = {
    "name": "a name of your own",
    "seed": "of what is held out, of remembered patches, of random weights",
    "augment": "in which positions good images are shown when fitting: `flips` makes four of each, `turns` eight"
    " (Yan et al. 2023)",
}


def described(section: type[BaseModel]) -> dict[str, str]:
    """Return the meaning of each field from the ``Attributes`` of the section's docstring."""
    meanings: dict[str, str] = {}
    _, _, attributes = (section.__doc__ or "").partition("Attributes\n")
    lines = textwrap.dedent(attributes.partition("\n")[2]).splitlines()
    names: list[str] = []
    for line in lines:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        for name in names if line.startswith(" ") else ():
            meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
    return meanings


def kind(annotation: Any) -> str:
    """Say what a field holds."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return (
            f"list of {len(get_args(annotation))} numbers" if get_args(annotation)[-1] is not ... else "list of numbers"
        )
    if get_origin(annotation) is types.UnionType:
        return " or ".join(kind(choice) for choice in get_args(annotation))
    if get_origin(annotation) is dict:
        return "mapping"
    names = {"int": "whole number", "float": "number", "str": "text", "bool": "`true`, `false`", "NoneType": "`null`"}
    return names[annotation.__name__]


def limits(field: FieldInfo) -> str:
    """Say the range of a number."""
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    found = [
        f"{sign} {getattr(bound, name):.10g}"
        for bound in field.metadata
        for of, (sign, name) in signs.items()
        if type(bound) is of
    ]
    return ", ".join(found)


def plain(text: str) -> str:
    """Turn docstring markup into Markdown of one table cell."""
    return text.replace("``", "`").replace("|", "\\|")


def shown(value: Any) -> str:
    """Return a default as it would stand in YAML."""
    if value is None or value == {}:
        return "`null`" if value is None else "`{}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`[{', '.join(f'{entry:g}' for entry in value)}]`" if isinstance(value, tuple) else f"`{value}`"


def rows(model: type[BaseModel], prefix: str, known: dict[str, str] = MEANINGS) -> Iterator[str]:
    """Yield a table row for each plain field; *known* goes before what docstrings say."""
    meanings = described(model)
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            continue
        meaning = plain(known.get(f"{prefix}{name}") or meanings[name])  # KeyError: a field nobody has described
        about = "; ".join(part for part in (kind(field.annotation), limits(field)) if part)
        yield f"| `{prefix}{name}` | {shown(field.get_default(call_default_factory=True))} | {about} | {meaning} |"


def recipe_page() -> str:
    """Return the recipe reference."""
    head = "| field | default | allowed | meaning |\n|---|---|---|---|"
    parts = [
        "# Recipe reference",
        "A recipe is a YAML file. Every field has a default, so a recipe names only what differs. Unknown fields and"
        " values out of range are refused; the error names the field.",
        "```yaml\nname: grades\nseed: 7\nhead:\n  views: 4\nverdict:\n  alpha: 0.05\n```",
        "```\nsorby train data/ --recipe grades.yaml --out run\nsorby train data/ --set verdict.alpha=0.05 --seed 7"
        " --out run\n```",
        f"Recipes that come with sorby: {', '.join(f'`{name}`' for name in recipes.names())}. Name one with"
        " `--recipe NAME`; the file itself says where its values come from. The run folder holds the recipe with every"
        " field written out.",
        "## Top level",
        "\n".join([head, *rows(Recipe, "")]),
    ]
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            first = plain((section.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " "))
            parts += [f"## {name}", re.sub(r"\s+", " ", first), "\n".join([head, *rows(section, f"{name}.")])]
    return "\n\n".join(parts) + "\n" + AUGMENTATION + "\n" + detector_part()


def detector_part() -> str:
    """Return the reference of the recipes of anomaly detectors."""
    head = "| field | default | allowed | meaning |\n|---|---|---|---|"
    parts = [
        "## Detector recipes",
        "`sorby anomaly fit` has recipes of its own kind. Which one is for what stands in [fit an anomaly"
        " detector](how-to/anomaly.md#which-recipe); what the fields do to a result in [anomaly"
        " detection](concepts/anomaly.md).",
        "```\nsorby anomaly fit good/ --recipe web --set grid.stride=8 --out web.sorby\n```",
        f"Detector recipes that come with sorby: {', '.join(f'`{name}`' for name in detectors.names())}.",
        "\n".join([head, *rows(AnomalyRecipe, "", DETECTOR_MEANINGS)]),
    ]
    for name, field in AnomalyRecipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            first = plain((section.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " "))
            table = "\n".join([head, *rows(section, f"{name}.", DETECTOR_MEANINGS)])
            parts += [f"### Detector: {name}", re.sub(r"\s+", " ", first), table]
    return "\n\n".join(parts) + "\n"


def commands(
    group: click.Group, path: str, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command below *group*, with its full name."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, **command.context_settings)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}", inner)
        else:
            yield f"{path} {name}", command, inner


def command_page() -> str:
    """Return what ``--help`` prints, for every command."""
    root = click.Context(cli, info_name="sorby", terminal_width=100, **cli.context_settings)
    parts = [
        "# Command line",
        "What `--help` prints. `python -m sorby` is the same as `sorby`. Every command has `--json` (exactly one JSON"
        " object on stdout) and `--debug` (tracebacks); see [outputs and exit codes](outputs.md).",
        f"```\n{cli.get_help(root)}\n```",
    ]
    for name, command, context in commands(cli, "sorby", root):
        command._help_option = None  # click keeps the option of the first context that the command was run in
        parts += [f"## {name}", f"```\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def reasons() -> str:
    """Return the table of reason codes; those of flags come last, which only a specimen judge gives."""
    known = {**REASONS, **{code: f"flag of a specimen judge: {text}" for code, text in FLAGS.items()}}
    return (
        "\n".join(["| code | means |", "|---|---|", *(f"| `{code}` | {text} |" for code, text in known.items())]) + "\n"
    )


def columns() -> str:
    """Return the table of corpus columns."""
    return (
        "\n".join(["| column | holds |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in COLUMNS.items())])
        + "\n"
    )


def description() -> str:
    """Return the fields of bundle.json."""
    fields = described(Description)
    required = {name for name, field in Description.model_fields.items() if field.is_required()}
    lines = ["| field | holds |", "|---|---|"]
    for name in Description.model_fields:
        lines.append(f"| `{name}`{' (required)' if name in required else ''} | {plain(fields[name])} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "recipes.md": recipe_page,
    "generated/reasons.md": reasons,
    "generated/corpus-columns.md": columns,
    "generated/bundle-fields.md": description,
    "reference/commands.md": command_page,
}


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(make(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

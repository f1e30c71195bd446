"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def out_option(help_text: str) -> Callable[[Command], Command]:
    """Add the required ``--out``."""
    return click.option("--out", type=click.Path(path_type=Path), required=True, help=help_text)


def device_option(command: Command) -> Command:
    """Add ``--device``."""
    choices = click.Choice(["auto", "cpu", "cuda"])
    return click.option("--device", type=choices, default="auto", show_default=True, help="Where to compute.")(command)


def column_options(command: Command) -> Command:
    """Add ``--label``, ``--group`` and ``--image`` for tables."""
    for name, meaning in (
        ("--image", "Column of a table that holds the image paths."),
        ("--group", "Column that names the specimen; specimens stay whole in every split."),
        ("--label", "Column that holds the class."),
    ):
        command = click.option(name, metavar="COLUMN", help=meaning)(command)
    return command


def recipe_options(command: Command) -> Command:
    """Add ``--recipe``, ``--set`` and ``--seed``."""
    command = click.option("--seed", type=click.IntRange(min=0), help="Overrides the recipe's seed.")(command)
    command = click.option(
        "--set", "settings", multiple=True, metavar="SECTION.FIELD=VALUE", help="Override one recipe field; repeatable."
    )(command)
    meaning = "A recipe that comes with sorby, or a YAML file."
    return click.option("--recipe", metavar="NAME|FILE", help=meaning)(command)


def signed_option(command: Command) -> Command:
    """Add ``--require-signed``."""
    return click.option("--require-signed", is_flag=True, help="Refuse a bundle that no trusted key has signed.")(
        command
    )

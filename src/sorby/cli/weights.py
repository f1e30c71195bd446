"""``sorby weights``: pretrained weights at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.backbone import weights as store
from sorby.cli._frame import reports


def _show(result: dict[str, Any]) -> str:
    rows = [f"{row['name']:<40} {row['kind']:<8} {row['detail']}" for row in result["weights"]]
    return "\n".join([*rows, f"weights folder: {result['folder']}"])


def _listing() -> dict[str, Any]:
    return {"weights": store.available(), "folder": str(store.weights_folder())}


@click.group()
def weights() -> None:
    """Pretrained weights that need no network.

    Example: sorby weights list
    """


@weights.command("list")
@reports(_show)
def list_weights() -> dict[str, Any]:
    """List the weights that can be had without a network.

    Example: sorby weights list
    """
    return _listing()


@weights.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="timm name under which they are found.")
@reports(_show)
def add(file: Path, name: str) -> dict[str, Any]:
    """Copy a weight file (.safetensors, or .pth that holds tensors only) into the weights folder.

    Example: sorby weights add resnet18.safetensors --as resnet18.a1_in1k
    """
    entry = store.add(file, name)
    return {"added": entry, **_listing()}

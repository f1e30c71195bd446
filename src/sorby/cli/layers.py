"""``sorby layers``: what every layer of a network makes of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.attribution.colour_maps import COLOUR_MAPS
from sorby.cli._frame import reports
from sorby.cli._options import out_option, signed_option


def _show(result: dict[str, Any]) -> str:
    lines = [f"{result['network']}: {result['of_layers']} convolutions and pools"]
    for image in result["images"]:
        lines.append(f"{Path(image['file']).name}: {image['label']} ({image['confidence']:.2f})")
        for layer in image["layers"]:
            channels, height, width = layer["shape"]
            flat = f", {layer['flat']} the same everywhere" if layer["flat"] else ""
            what = f"{layer['kind']}, {channels} channels of {height} x {width}{flat}"
            lines.append(f"  layer {layer['number']:2d}  {what}  {layer['colour_map']}")
    lines += [f"note      {line}" for line in result["warnings"]]
    return "\n".join([*lines, f"page      {result['page']}"])


@click.command("layers")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("Folder for the pictures and layers.html; must be empty.")
@click.option("--map", "colour_map", type=click.Choice(list(COLOUR_MAPS)),
              help="Colours of all layers; each its own as published where absent.")  # fmt: skip
@click.option("--layer", "layers", type=click.IntRange(min=1), multiple=True, metavar="N",
              help="Show layer N alone, counted from 1; repeatable.")  # fmt: skip
@click.option("--every-layer", is_flag=True, help="All layers of a deep network, not twelve of them.")
@signed_option
@reports(_show)
def layers(
    bundle: Path,
    images: tuple[Path, ...],
    out: Path,
    colour_map: str | None,
    layers: tuple[int, ...],
    every_layer: bool,
    require_signed: bool,
) -> dict[str, Any]:
    """Show what the layers of BUNDLE's network make of IMAGES (files or folders).

    Example: sorby layers run/bundle.sorby surface.png --out layers

    Example: sorby layers run/bundle.sorby surfaces/ --layer 3 --map red_lava --out third
    """
    from sorby.workflow.layer_viewing import show_layers

    return show_layers(
        bundle,
        images,
        out,
        colour_map=colour_map,
        layers=layers,
        every_layer=every_layer,
        require_signed=require_signed,
    )

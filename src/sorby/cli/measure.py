"""``sorby measure``: lengths and sizes from micrographs with a scale."""

from __future__ import annotations

import click


@click.group()
def measure() -> None:
    """Measure structures in micrographs; an image without a pixel size is refused.

    Example: sorby measure needles micrographs/ --pixel-size-um 0.2 --out needles
    """

"""``sorby electro``: polarisation curves and impedance spectra."""

from __future__ import annotations

import click

from sorby.cli.electro_compare import compare
from sorby.cli.electro_consistency import consistency
from sorby.cli.electro_eis import eis
from sorby.cli.electro_pdp import pdp


@click.group()
def electro() -> None:
    """Analyse corrosion measurements: polarisation (pdp) and impedance (eis).

    Example: sorby electro pdp sweep.txt --area-mm2 100
    """


for command in (pdp, eis, compare, consistency):
    electro.add_command(command)

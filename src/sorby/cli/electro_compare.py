"""``sorby electro compare``: corrosion rates of several materials side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.errors import InputError


def _named_file(text: str) -> tuple[str, Path]:
    """Return alloy and file of ``ALLOY=FILE``.

    Raises
    ------
    InputError
        It has another form.
    """
    name, equals, file = text.partition("=")
    if not (name.strip() and equals and file.strip()):
        raise InputError(f"{text}: not of the form ALLOY=FILE", "e.g. 316L=curve.txt")
    return name.strip(), Path(file)


def _show(result: dict[str, Any]) -> str:
    lines = [f"{'material':<12} {'files':>5}  rate, mm/year (95 %)          Ecorr, V  Rp, ohm cm2"]
    for row in result["materials"]:
        rate, ends = row["corrosion_rate_mm_y"], row["ci95"].get("corrosion_rate_mm_y")
        shown = (
            "not reported" if rate is None else f"{rate:.3g}" + (f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends else "")
        )
        potential = "-" if row["ecorr_v"] is None else f"{row['ecorr_v']:.3f}"
        resistance = "-" if row["rp_ohm_cm2"] is None else f"{row['rp_ohm_cm2']:.4g}"
        lines.append(f"{row['material']:<12} {row['n']:>5}  {shown:<28} {potential:>9}  {resistance:>10}")
    lines += [f"reading  {line}" for line in result["reading"]]
    lines += [f"warning  {line}" for row in result["materials"] for line in row["warnings"]]
    return "\n".join(lines)


@click.command()
@click.argument("curves", nargs=-1, required=True, metavar="ALLOY=FILE...")
@click.option("--area-mm2", type=float, metavar="A", help="Wetted area of all; not needed for current densities.")
@click.option("--potential-unit", metavar="UNIT", help="V or mV; overrules the files. Bare numbers: V.")
@click.option("--current-unit", metavar="UNIT", help="As of 'electro pdp'; overrules the files. Bare numbers: A.")
@click.option("--sign", type=click.Choice(["anodic-positive", "cathodic-positive"]),
              help="Which currents are positive; overrules the files. Files that do not say: anodic.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@reports(_show)
def compare(
    curves: tuple[str, ...],
    area_mm2: float | None,
    potential_unit: str | None,
    current_unit: str | None,
    sign: str | None,
    seed: int,
) -> dict[str, Any]:
    """Compare corrosion rates of materials measured in the same medium.

    Several files of one alloy are its specimens. The first sweep of each counts.

    Example: sorby electro compare 316L=a.txt 316L=b.txt AZ31B=c.txt --area-mm2 19.6
    """
    from sorby.workflow.material_comparison import compare_materials
    from sorby.workflow.polarisation import Electrode, PolarisationOptions

    options = PolarisationOptions(potential_unit, current_unit, sign, seed=seed)
    return compare_materials([_named_file(text) for text in curves], Electrode(area_mm2), options)

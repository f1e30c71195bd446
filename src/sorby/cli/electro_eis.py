"""``sorby electro eis``: impedance spectra and equivalent circuits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.errors import InputError


def _show(result: dict[str, Any]) -> str:
    lines: list[str] = []
    for entry in result["spectra"]:
        low, high = entry["frequency_hz"]
        lines += [
            f"{entry['file']} ({entry['vendor']}, {entry['points']} points, {low:.3g} to {high:.3g} Hz)",
            f"  circuit  {entry['circuit']}, {entry['weighting']} weighting, sum of squares {entry['chi2']:.4g}",
        ]
        for name, one in entry["parameters"].items():
            below, above = entry["ci95"][name]
            doubt = "" if one["identifiable"] else "  not identifiable"
            lines.append(f"  {name:<8} {one['value']:.4g} {one['unit']} ({below:.3g} to {above:.3g}){doubt}")
        if entry["polarisation_resistance"] is not None:
            total = entry["polarisation_resistance"]
            lines.append(f"  Rp       {total['value']:.4g} {total['unit']}, Z(0) - Z(infinity) of the circuit")
        lines += [
            f"  {one['element']} as capacitance {one['value']:.4g} {one['unit']} by {one['formula']}"
            for one in entry["capacitance"]
        ]
        if len(entry["comparison"]) > 1:
            lines += [
                f"  AICc     {one['delta']:+.1f} {one['circuit']} (weight {one['weight']:.2g})"
                for one in entry["comparison"]
            ]
        lines.append(f"  test     {entry['kramers_kronig']['verdict']}")
        lines += [f"  shape    {line}" for line in entry["features"]["reading"]]
        lines += [f"  warning  {line}" for line in entry["warnings"]]
    trend = result["trend"]
    if trend is not None:
        lines += trend["reading"]
        lines += [f"{file} fails Kramers-Kronig and has no part in the trend" for file in trend["left_out"]]
    if trend is not None and trend["activation_energy_kj_mol"] is not None:
        lines.append(f"1/Rp rises with {trend['activation_energy_kj_mol']:.3g} kJ/mol (r2 {trend['r_squared']:.3f})")
    return "\n".join([*lines, *([f"results  {result['out']}"] if result["out"] else [])])


def _named_numbers(entries: tuple[str, ...], option: str, count: int) -> dict[str, tuple[float, ...]]:
    """Read ``NAME=NUMBER`` or ``NAME=LOW,HIGH``.

    Raises
    ------
    InputError
        An entry has another form.
    """
    found = {}
    for entry in entries:
        name, _, text = entry.partition("=")
        try:
            numbers = tuple(float(part) for part in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != count:
            form = "NAME=LOW,HIGH" if count == 2 else "NAME=VALUE"
            raise InputError(
                f"{option} {entry}: not of the form {form}", f"e.g. {option} R1=10" + ",1000" * (count - 1)
            )
        found[name.strip()] = numbers
    return found


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--circuit", "circuits", multiple=True, metavar="CIRCUIT",
              help="Circuit string, or 316L, AZ31B, randles, randles-cpe; several are compared by AICc. Without one,"
                   " common corrosion circuits are compared.")  # fmt: skip
@click.option("--area-mm2", type=float, help="Wetted area of the electrode; results are then per cm2.")
@click.option("--weighting", type=click.Choice(["modulus", "unit", "proportional"]), default="modulus",
              show_default=True, help="What differences are divided by.")  # fmt: skip
@click.option("--temperature-k", "temperatures_k", multiple=True, type=float,
              help="One for each file, in order: one circuit for all, trend and activation energy.")  # fmt: skip
@click.option("--sign", type=click.Choice(["imag", "minus-imag"]),
              help="What the imaginary column holds; overrules the file.")  # fmt: skip
@click.option("--unit", type=click.Choice(["ohm", "kohm", "mohm"]), help="Of the impedance; overrules the file.")
@click.option("--low-hz", type=click.FloatRange(min=0), help="Leave lower frequencies out.")
@click.option("--high-hz", type=click.FloatRange(min=0), help="Leave higher frequencies out.")
@click.option("--bound", "bounds", multiple=True, metavar="NAME=LOW,HIGH", help="Keep a parameter within these.")
@click.option("--start", "starts", multiple=True, metavar="NAME=VALUE",
              help="Your guess; one for every parameter is the only start.")  # fmt: skip
@click.option("--keep-inductive", is_flag=True,
              help="Keep inductive points at the high-frequency end for a circuit without inductor.")  # fmt: skip
@click.option("--gate", is_flag=True, help="Refuse a spectrum that fails Kramers-Kronig.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder for impedance.html and impedance.json.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the starts.")
@reports(_show)
def eis(
    files: tuple[Path, ...],
    circuits: tuple[str, ...],
    area_mm2: float | None,
    weighting: str,
    temperatures_k: tuple[float, ...],
    sign: str | None,
    unit: str | None,
    low_hz: float | None,
    high_hz: float | None,
    bounds: tuple[str, ...],
    starts: tuple[str, ...],
    keep_inductive: bool,
    gate: bool,
    out: Path | None,
    seed: int,
) -> dict[str, Any]:
    """Fit an equivalent circuit to impedance spectra, after a Kramers-Kronig test.

    Circuits: R C L CPE W Wo Ws G, "-" in series, p(,) in parallel.

    Example: sorby electro eis cell.DTA --circuit "R0-p(R1,CPE1)" --area-mm2 78.5 --out impedance
    """
    from sorby.workflow.impedance import Settings, analyse_impedance

    settings = Settings(
        circuits=circuits,
        weighting=weighting,
        area_mm2=area_mm2,
        sign=sign,
        unit=unit,
        low_hz=low_hz,
        high_hz=high_hz,
        bounds={name: (two[0], two[1]) for name, two in _named_numbers(bounds, "--bound", 2).items()},
        guess={name: one[0] for name, one in _named_numbers(starts, "--start", 1).items()},
        keep_inductive_head=keep_inductive,
        gate=gate,
        seed=seed,
    )
    return analyse_impedance(files, settings, temperatures_k=temperatures_k, out=out)

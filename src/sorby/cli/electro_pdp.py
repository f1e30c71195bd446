"""``sorby electro pdp``: corrosion potential, current, slopes, resistance and rate from a polarisation curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.errors import InputError

_SHOWN = (
    ("ecorr_v", "Ecorr", "V"),
    ("icorr_a_cm2", "icorr (Tafel)", "A/cm2"),
    ("icorr_stern_geary_a_cm2", "icorr (Rp)", "A/cm2"),
    ("beta_a_mv_dec", "beta_a", "mV/decade"),
    ("beta_c_mv_dec", "beta_c", "mV/decade"),
    ("rp_ohm_cm2", "Rp", "ohm cm2"),
    ("corrosion_rate_mm_y", "rate", "mm/year"),
)


def _pair(text: str | None, option: str) -> tuple[float, float] | None:
    """Return two numbers of a comma-separated text.

    Raises
    ------
    InputError
        There are others.
    """
    if text is None:
        return None
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: not two numbers with a comma between", f"e.g. {option} 20,100") from None
    return first, second


def _number(value: float | None, ends: list[float] | None, unit: str) -> str:
    if value is None:
        return "not reported"
    digits = ".5g" if unit == "V" else ".4g"
    interval = "" if ends is None else f"  ({ends[0]:{digits}} to {ends[1]:{digits}})"
    return f"{value:{digits}} {unit}{interval}"


def _curve(result: dict[str, Any]) -> list[str]:
    """Return the lines of one file."""
    units = result["units"]
    kelvin = "" if result["temperature_k"] is None else f" at {result['temperature_k']:g} K"
    lines = [
        f"{result['file']}{kelvin}: {result['format']}; potential in {units['potential']['unit']}"
        f" ({units['potential']['from']}), current in {units['current']['unit']} ({units['current']['from']}), "
        f"{units['sign']['convention']} ({units['sign']['from']})"
    ]
    for sweep in result["sweeps"]:
        lines.append(f"sweep {sweep['direction']}, {sweep['from_v']:.3f} to {sweep['to_v']:.3f} V, {sweep['n']} points")
        for key, name, unit in _SHOWN:
            lines.append(f"  {name:<14} {_number(sweep[key], sweep['ci95'].get(key), unit)}")
        if sweep["fit"] is not None:
            up, down = sweep["fit"]["anodic_window_mv"], sweep["fit"]["cathodic_window_mv"]
            lines.append(
                f"  fitted         {down[0]:.0f} to {down[1]:.0f} mV below and {up[0]:.0f} to {up[1]:.0f} mV"
                f" above Ecorr, by {sweep['fit']['chosen_by']}; {sweep['fit']['n_windows']} windows hold"
            )
        lines += [f"  warning        {line}" for line in sweep["warnings"]]
    first = set(result["sweeps"][0]["warnings"])
    return [*lines, *(f"note    {line}" for line in result["warnings"] if line not in first)]


def _show(result: dict[str, Any]) -> str:
    lines = [line for one in result.get("series", [result]) for line in _curve(one)]
    found = result.get("arrhenius")
    if found is not None:
        interval = found["ci95"].get("activation_energy_kj_mol")
        lines.append(
            f"activation energy {_number(found['activation_energy_kj_mol'], interval, 'kJ/mol')}, n {found['n']}"
        )
        lines += [f"reading {line}" for line in found["reading"]]
        lines += [f"note    {line}" for line in found["warnings"]]
    lines.append(f"note    {result['terms']}")
    return "\n".join([*lines, *([f"results {result['out']}"] if result["out"] else [])])


@click.command("pdp")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--area-mm2", type=float, metavar="A", help="Wetted area; not needed for files of current densities.")
@click.option("--material", metavar="M", help="Alloy, such as 316L, AZ31B, 1018 or 304, for the rate (ASTM G102).")
@click.option("--equivalent-weight", type=float, metavar="EW", help="Instead of the alloy's.")
@click.option("--density", type=float, metavar="RHO", help="In g/cm3, instead of the alloy's.")
@click.option("--potential-unit", metavar="UNIT", help="V or mV; overrules the file. Bare numbers: V.")
@click.option("--current-unit", metavar="UNIT",
              help="A, mA, uA or nA, for densities with /cm2, /mm2 or /m2; overrules the file. Bare numbers: A."
              )  # fmt: skip
@click.option("--sign", type=click.Choice(["anodic-positive", "cathodic-positive"]),
              help="Which currents are positive; overrules the file. Files that do not say: anodic.")  # fmt: skip
@click.option("--columns", metavar="E,I", help="Of a file of bare numbers, counted from 1; the first two: 1,2.")
@click.option(
    "--anodic-window", metavar="NEAR,FAR", help="Fit there, in mV above Ecorr; chosen by rule where left out."
)
@click.option("--cathodic-window", metavar="NEAR,FAR", help="The same in mV below Ecorr.")
@click.option("--beta-mv-dec", metavar="A,C", help="Anodic and cathodic slope for icorr from Rp (Stern-Geary).")
@click.option("--temperature-k", "temperatures_k", multiple=True, type=click.FloatRange(min=0, min_open=True),
              help="One for each file, in order: activation energy, and how Ecorr shifts.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="New folder for polarisation.html and polarisation.json.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@reports(_show)
def pdp(
    files: tuple[Path, ...],
    area_mm2: float | None,
    material: str | None,
    equivalent_weight: float | None,
    density: float | None,
    potential_unit: str | None,
    current_unit: str | None,
    sign: str | None,
    columns: str | None,
    anodic_window: str | None,
    cathodic_window: str | None,
    beta_mv_dec: str | None,
    temperatures_k: tuple[float, ...],
    out: Path | None,
    seed: int,
) -> dict[str, Any]:
    """Analyse potentiodynamic polarisation or linear polarisation curves.

    Every sweep of a file is analysed by itself. Units are never guessed from how large numbers are.

    Example: sorby electro pdp curve.txt --area-mm2 152.7 --material 1018

    Example: sorby electro pdp a.txt b.txt --temperature-k 303 --temperature-k 313 --area-mm2 100
    """
    from sorby.workflow.polarisation import Electrode, PolarisationOptions, analyse_polarisation, analyse_series

    places = _pair(columns, "--columns")
    electrode = Electrode(area_mm2, material, equivalent_weight, density)
    options = PolarisationOptions(
        potential_unit,
        current_unit,
        sign,
        _pair(anodic_window, "--anodic-window"),
        _pair(cathodic_window, "--cathodic-window"),
        _pair(beta_mv_dec, "--beta-mv-dec"),
        None if places is None else (int(places[0]), int(places[1])),
        seed,
    )
    if len(files) == 1 and len(temperatures_k) < 2:
        kelvin = temperatures_k[0] if temperatures_k else None
        return analyse_polarisation(files[0], electrode, options, temperature_k=kelvin, out=out)
    return analyse_series(files, electrode, options, temperatures_k=temperatures_k, out=out)

"""``sorby line``: a moving web to a roll map, and the speed that takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from sorby.cli._frame import reports
from sorby.cli._options import out_option, signed_option
from sorby.errors import InputError
from sorby.line.raw_stream import RawType

_POSITIVE = click.FloatRange(min=0, min_open=True)
_Command = Callable[..., Any]


@click.group()
def line() -> None:
    """Inspect a moving web, and reckon the speed it needs.

    Example: sorby line run web.sorby strips/ --pixel-size-um 34 --out roll
    """


def _detector_options(command: _Command) -> _Command:
    """Add what decides how strips are scored."""
    for option in (
        click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto",
                     show_default=True, help="Of the detector's arithmetic."),
        click.option("--rows", type=click.IntRange(min=64), default=640, show_default=True,
                     help="Lines of a strip, its margins included; a multiple of 32."),
    ):  # fmt: skip
        command = option(command)
    return command


def _raw_options(command: _Command) -> _Command:
    """Add what a raw stream and a deep camera do not say about themselves."""
    for option in (
        click.option("--white", type=float, help="Value that becomes 255, for more than 8 bits."),
        click.option("--black", type=float, help="Value that becomes 0, for more than 8 bits."),
        click.option("--dtype", type=click.Choice(["uint8", "uint16"]), default="uint8", show_default=True,
                     help="Pixels of a raw stream; 16 bits little-endian."),
        click.option("--width", type=click.IntRange(min=8), help="Pixels of a line of a raw stream."),
    ):  # fmt: skip
        command = option(command)
    return command


def _lane_options(command: _Command) -> _Command:
    """Add where several cameras look."""
    for option in (
        click.option("--shift-mm", "shifts_mm", type=float, multiple=True,
                     help="How far along the web a source lies behind the first to see it; once for each source."),
        click.option("--offset-mm", "offsets_mm", type=float, multiple=True,
                     help="Distance of a source's left edge from the web's; once for each source."),
        click.option("--lanes", type=click.IntRange(min=1), default=1, show_default=True,
                     help="Split the width of one source; several sources are lanes by themselves."),
    ):  # fmt: skip
        command = option(command)
    return command


def _finding_options(command: _Command) -> _Command:
    """Add what counts as a defect, and what raises an alarm."""
    for option in (
        click.option("--crops", type=click.IntRange(min=0), default=500, show_default=True,
                     help="Keep pictures of so many defects."),
        click.option("--max-period-mm", type=_POSITIVE, default=4000.0, show_default=True,
                     help="Longest distance at which defects may recur."),
        click.option("--min-period-mm", type=_POSITIVE, default=50.0, show_default=True,
                     help="Shortest distance at which defects may recur: circumference of the smallest roller."),
        click.option("--density-per-m", type=click.IntRange(min=1), default=20, show_default=True,
                     help="So many defects in a metre raise an alarm."),
        click.option("--severe-length-mm", type=_POSITIVE, default=20.0, show_default=True,
                     help="A defect this long is severe."),
        click.option("--severe-ratio", type=_POSITIVE, default=3.0, show_default=True,
                     help="A defect scoring so many times the threshold is severe."),
        click.option("--edge-mm", type=click.FloatRange(min=0), default=0.0, show_default=True,
                     help="Report nothing this close to the web's edges."),
        click.option("--piece-mm", type=_POSITIVE, default=100.0, show_default=True,
                     help="Record longer defects, such as streaks, in pieces of about this length."),
        click.option("--min-cells", type=click.IntRange(min=1), default=1, show_default=True,
                     help="Smaller regions of the map are no defects."),
    ):  # fmt: skip
        command = option(command)
    return command


def _show_run(result: dict[str, Any]) -> str:
    latency = result["latency_ms"]
    speed = f"{result['m_per_min']:.2f} m/min, {result['mpix_per_s']:.1f} Mpx/s"
    if latency["n"]:
        speed += f", latency {latency['p50']:.0f} ms (99 %: {latency['p99']:.0f}, most {latency['max']:.0f})"
    alarms = ", ".join(f"{count} {kind}" for kind, count in result["alarms"].items())
    lines = [
        f"{result['defects']} defects ({result['severe']} severe) on {result['inspected_m']:.2f} m of "
        f"{result['metres']:.2f} m, {result['width_mm']:.0f} mm wide",
        *(
            f"repeat    every {each['period_mm']:.2f} mm, {each['count']} of {each['slots']} times: "
            f"roller of {each['diameter_mm']:.2f} mm diameter (p < {each['p_value']:.2g})"
            for each in result["repeats"]
        ),
        f"alarms    {alarms or 'none'}",
        f"speed     {speed}; {result['dropped']} strips dropped",
        f"map       {result['roll_map']}",
        f"defects   {result['defect_list']}",
        *(f"note      {line}" for line in result["warnings"]),
    ]
    return "\n".join(lines)


@line.command("run")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@out_option("Folder for the roll map; the same command again goes on with an interrupted run.")
@click.option("--pixel-size-um", type=_POSITIVE, required=True, help="Size of a pixel on the web.")
@click.option("--line-pitch-um", type=_POSITIVE, help="Way of the web from line to line, where it is another.")
@_raw_options
@click.option("--sheets", "separate", is_flag=True, help="Images of a folder are single sheets: no strip spans two.")
@click.option("--live", is_flag=True, help="Drop strips, counted, rather than make the source wait.")
@click.option("--frames", type=click.IntRange(min=1), help="Stop a camera after so many frames.")
@_lane_options
@_detector_options
@_finding_options
@click.option("--overlay", type=click.Path(path_type=Path), metavar="FILE.csv",
              help="Readings of another sensor (along_mm, across_mm, value), drawn on the map.")  # fmt: skip
@signed_option
@reports(_show_run)
def run(bundle: Path, sources: tuple[str, ...], out: Path, overlay: Path | None, require_signed: bool,
        **options: Any) -> dict[str, Any]:  # fmt: skip
    """Inspect the web that SOURCE shows: a folder of images in name order, an image, a raw file, a named pipe,
    '-' for standard input (with --width), or genicam:FILE.cti. Several sources are lanes side by side.

    Example: sorby line run web.sorby strips/ --pixel-size-um 34 --out roll
    """
    from sorby.workflow.line import run_line

    return run_line(bundle, sources, out, _request(options), overlay=overlay, require_signed=require_signed)


def _request(options: dict[str, Any]) -> Any:
    from sorby.line.alarms import AlarmLimits
    from sorby.line.lines import Levels
    from sorby.line.repeats import RepeatSearch
    from sorby.workflow.line_opening import LineRequest

    least, most = options.pop("min_period_mm"), options.pop("max_period_mm")
    if least >= most:
        raise InputError(f"--min-period-mm {least:g} is not below --max-period-mm {most:g}", "exchange them")
    if options["rows"] % 32:
        raise InputError(f"--rows {options['rows']} is no multiple of 32", "e.g. 256 or 512")
    return LineRequest(
        levels=Levels(options.pop("black"), options.pop("white")),
        dtype=cast(RawType, options.pop("dtype")),
        alarms=AlarmLimits(options.pop("severe_ratio"), options.pop("severe_length_mm"), options.pop("density_per_m")),
        repeats=RepeatSearch(least_period_mm=least, most_period_mm=most),
        **options,
    )


def _show_budget(result: dict[str, Any]) -> str:
    need, paper, model, machine = result["need"], result["paper"], result["model"], result["machine"]
    lines = [
        f"web       {need['across_mm']:.1f} mm wide, {need['m_per_min']:.3f} m/min, {need['lines_per_s']:.0f} lines/s",
        f"tiles     {need['tiles']} in {need['seconds']:.1f} s",
        f"needed    {need['ms_per_tile']:.2f} ms a tile = {need['tiles_per_s']:.0f} tiles/s; "
        f"{need['mpix_per_s']:.2f} Mpx/s" + (f", each of {need['lanes']} lanes" if need["lanes"] > 1 else ""),
    ]
    if paper:
        lines.append(
            f"eq. 1     {paper['seconds']:.1f} s from {paper['t_test_s']:g} s for {paper['n_test']:g} tiles "
            f"({paper['times_too_slow']:.2f} of the time there is)"
        )
    if model:
        sure = "" if not model["ci95"] else " (95 % {:.1f} to {:.1f})".format(*model["ci95"]["seconds"])
        lines.append(
            f"model     {model['seconds']:.1f} s{sure}: {model['fixed_s']:.3f} s + {model['each_ms']:.3f} ms a tile "
            f"({model['times_too_slow']:.2f} of the time there is)"
        )
    if machine:
        lines.append(
            f"machine   {machine['mpix_per_s']:.1f} Mpx/s = {machine['m_per_min']:.2f} m/min, "
            f"{machine['times_needed']:.1f} times what is needed; {machine['note']}"
        )
    return "\n".join([*lines, *(f"note      {note}" for note in result["notes"])])


def _numbers(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in value.split(",")) if value else ()
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: numbers with commas between them", param=parameter) from error


@line.command("budget")
@click.option("--sheet", metavar="AxB", help="Across x along the web with a unit, e.g. 8x11in.")
@click.option("--width-mm", type=_POSITIVE, help="Of a sheet, across the web; instead of --sheet.")
@click.option("--height-mm", type=_POSITIVE, help="Of a sheet, along the web; instead of --sheet.")
@click.option("--sheets", type=click.IntRange(min=1), default=1, show_default=True, help="Sheets one after the other.")
@click.option("--web-width-mm", type=_POSITIVE, help="Of the web, where it is wider than the sheet.")
@click.option("--pixel-size-um", type=_POSITIVE, required=True, help="Size of a pixel on the web.")
@click.option("--speed", metavar="SPEED", help="Of the web, e.g. '10 ft/min'.")
@click.option("--m-per-min", type=_POSITIVE, help="Speed of the web; instead of --speed.")
@click.option("--tile", "tile_px", type=click.IntRange(min=8), default=224, show_default=True, help="Edge, pixels.")
@click.option("--overlap", "overlap_px", type=click.IntRange(min=0), default=0, show_default=True,
              help="Pixels that neighbouring tiles share.")  # fmt: skip
@click.option("--tiles", type=click.IntRange(min=1), help="Tiles of all sheets, where their number is known.")
@click.option("--lanes", type=click.IntRange(min=1), default=1, show_default=True, help="That share the width.")
@click.option("--measured-n", callback=_numbers, metavar="N,N,...", help="Numbers of tiles that were timed.")
@click.option("--measured-s", callback=_numbers, metavar="S,S,...", help="Seconds each of them took.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Measure what this machine achieves with it.")
@_detector_options
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the strips measured with.")
@signed_option
@reports(_show_budget)
def budget(sheet: str | None, width_mm: float | None, height_mm: float | None, speed: str | None,
           m_per_min: float | None, rows: int, **options: Any) -> dict[str, Any]:  # fmt: skip
    """Reckon the speed that a web asks for, and hold measurements against it.

    Example: sorby line budget --sheet 8x11in --sheets 4 --tiles 4181 --pixel-size-um 34 --speed "10 ft/min"
    """
    from sorby.line.budget import parse_sheet, parse_speed
    from sorby.workflow.line_budget import line_budget

    if (sheet is None) == (width_mm is None and height_mm is None):
        raise InputError("the sheet's size is wanted once", "give --sheet 8x11in, or --width-mm and --height-mm")
    if sheet is None and (width_mm is None or height_mm is None):
        raise InputError("one side of the sheet is missing", "give --width-mm and --height-mm, or --sheet 8x11in")
    if (speed is None) == (m_per_min is None):
        raise InputError("the web's speed is wanted once", "give --speed '10 ft/min' or --m-per-min 3.05")
    if rows % 32:
        raise InputError(f"--rows {rows} is no multiple of 32", "e.g. 256 or 512")
    across, along = parse_sheet(sheet) if sheet is not None else (width_mm or 0.0, height_mm or 0.0)
    velocity = parse_speed(speed) if speed is not None else m_per_min or 0.0
    return line_budget(across_mm=across, along_mm=along, m_per_min=velocity, rows=rows, **options)

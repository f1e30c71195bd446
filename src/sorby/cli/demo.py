"""``sorby demo``: the main job on phantoms."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import device_option

#: Where the demonstration of each system is, imported when asked for.
DEMOS = {
    "steel": "sorby.workflow.demonstrations.steel:demo_steel",
    "corrosion": "sorby.workflow.demonstrations.corrosion:demo_corrosion",
    "membrane": "sorby.workflow.demonstrations.membrane:demo_membrane",
    "fracture": "sorby.workflow.demonstrations.fracture:demo_fracture",
}


def _show_steel(result: dict[str, Any]) -> str:
    test = result["metrics"]["test"]
    low, high = test["ci95"]["accuracy"]
    novel, known = result["novel_referred"], result["known_referred"]
    lines = [
        "",
        f"test accuracy {100 * test['accuracy']:.1f} %  (95 % CI {100 * low:.1f} to {100 * high:.1f} %,"
        f" {test['n']} phantom images of {test['n_specimens']} specimens not trained on)",
        f"structures never taught: {novel['referred']} of {novel['n']} referred to a person;"
        f" known ones: {known['referred']} of {known['n']}",
        "",
        f"report    {result['report']}",
        f"verdicts  {result['inspected']['verdicts']}",
        f"overlays  {result['overlays']}",
        f"bundle    {result['bundle']}",
        f"{result['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _show_membrane(result: dict[str, Any]) -> str:
    auroc, at = result["metrics"]["image_auroc"], result["metrics"]["at_threshold"]
    alarms = at["false_alarm_rate"]
    repeats = ", ".join(f"{each['period_mm']:.2f} mm" for each in result["roll"]["repeats"]) or "none"
    lines = [
        "",
        f"image AUROC {auroc['value']:.3f} on {auroc['n']} phantom pictures; false alarms"
        f" {100 * alarms['value']:.1f} % of {alarms['n']} good ones",
        f"roll map: {result['roll']['defects']} entries; recurring every {repeats}",
        "",
        f"report    {result['report']}",
        f"roll map  {result['roll']['roll_map']}",
        f"paper     {result['paper']}",
        f"bundle    {result['bundle']}",
        f"{result['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _show_corrosion(result: dict[str, Any]) -> str:
    test, new, plate = (result["metrics"][key] for key in ("test", "new", "plate"))
    low, high = test["ci95"]["accuracy"]
    made = result["metrics"]["synthesis"]
    lines = [
        "",
        f"severity: test accuracy {100 * test['accuracy']:.1f} %  (95 % CI {100 * low:.1f} to {100 * high:.1f} %,"
        f" {test['n']} phantom pictures of coupons not trained on)",
        f"new coupons: {round(new['right']['value'] * new['n'])} of {new['n']} graded rightly,"
        f" {round(new['within_one_grade']['value'] * new['n'])} within one grade; {new['referred']} referred",
        f"plate: {plate['tiles']} tiles, {plate['not_judged']} not judged; a grade's share is off by"
        f" {100 * plate['largest_error']:.1f} points at most",
        *(_curve_line(row) for row in result["curves"]["table_4"]),
        f"generated images: KID {made['kid']:.2f} between {made['floor']['value']:.2f} and"
        f" {made['ceiling']['value']:.2f}; {made['accepted']} pass the gate, {made['rejected']} do not",
        "",
        f"report    {result['report']}",
        f"verdicts  {result['verdicts']}",
        f"plate     {result['plate']}",
        f"bundle    {result['bundle']}",
        f"{result['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _curve_line(row: dict[str, Any]) -> str:
    start = f"{row['alloy']} at {row['kelvin']:g} K: "
    if row["rate"] is None:
        return f"{start}no corrosion rate ({row['warnings']})"
    found, (low, high) = row["rate"]["value"], row["rate"]["ci95"]
    return f"{start}{found:.3g} mm a year ({low:.3g} to {high:.3g}), true {row['rate_truth']:.3g}"


def _show_fracture(result: dict[str, Any]) -> str:
    matched, test = result["matched"], result["metrics"]["test"]
    right, rare = matched["labels_right"], result["specimens"]["rare"]
    gap, low_high = result["metrics"]["inflation"]["accuracy"], test["ci95"]["accuracy"]
    ways = ", ".join(f"{matched[way]} {way}" for way in ("exact", "fuzzy", "tie", "unmatched"))
    lines = [
        "",
        f"archive: {ways}; {100 * right['value']:.1f} % of {right['n']} labels right",
        f"test accuracy {100 * test['accuracy']:.1f} %  (95 % CI {100 * low_high[0]:.1f} to {100 * low_high[1]:.1f} %,"
        f" {test['n']} phantom pictures of specimens not trained on)",
        f"cross-validated: {100 * gap['by_image']:.1f} % with folds by image, as published;"
        f" {100 * gap['by_specimen']:.1f} % with specimens whole",
        f"new specimens: {result['specimens']['hits']} of {result['specimens']['n']} verdicts right,"
        f" {result['specimens']['referred']} referred; wrong and not referred: {result['specimens']['missed']};"
        f" {rare['found']} of {rare['n']} {rare['label']} defects named so",
        *(_mirror_line(row) for row in result["mirrors"]),
        "",
        f"report    {result['report']}",
        f"matches   {result['match_report']}",
        f"specimens {result['specimens']['specimens']}",
        f"bundle    {result['bundle']}",
        f"{result['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _mirror_line(row: dict[str, Any]) -> str:
    truth = f"mirror of {row['specimen']}: {row['truth_um']:.0f} um drawn, "
    if "radius_um" not in row:
        return f"{truth}not measured ({row['said']})"
    low, high = row["radius_um"]["ci95"]
    return f"{truth}{row['radius_um']['value']:.0f} um measured ({low:.0f} to {high:.0f})"


def _show(result: dict[str, Any]) -> str:
    if "curves" in result:
        return _show_corrosion(result)
    if "mirrors" in result:
        return _show_fracture(result)
    return _show_membrane(result) if "roll" in result else _show_steel(result)


@click.command()
@click.argument("kind", type=click.Choice(list(DEMOS)), default="steel")
@click.option("--out", type=click.Path(path_type=Path), default=Path("sorby-demo"), show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@device_option
@reports(_show)
def demo(kind: str, out: Path, seed: int, device: Any) -> dict[str, Any]:
    """Run the main job on phantoms: render, train, evaluate, explain, inspect, report. No network is used.

    Example: sorby demo --out my-demo
    """
    module, _, name = DEMOS[kind].partition(":")
    run = getattr(import_module(module), name)
    found: dict[str, Any] = run(out, seed=seed, device=device, say=lambda line: click.echo(line, err=True))
    return found

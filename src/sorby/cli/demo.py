"""``sorby demo``: the main job on phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import device_option
from sorby.workflow.demonstration import demo_steel


def _show(result: dict[str, Any]) -> str:
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


@click.command()
@click.argument("kind", type=click.Choice(["steel"]), default="steel")
@click.option("--out", type=click.Path(path_type=Path), default=Path("sorby-demo"), show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@device_option
@reports(_show)
def demo(kind: str, out: Path, seed: int, device: Any) -> dict[str, Any]:
    """Run the main job on phantoms: render, train, evaluate, explain, inspect, report. No network is used.

    Example: sorby demo --out my-demo
    """
    del kind  # steel is the only one so far; click has checked it
    return demo_steel(out, seed=seed, device=device, say=lambda line: click.echo(line, err=True))

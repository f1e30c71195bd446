"""``sorby detect name``: name a few findings, and have all the others named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import device_option, out_option


def _tell(line: str) -> None:
    click.echo(f"note: {line}", err=True)


def _notes(result: dict[str, Any]) -> list[str]:
    return [f"note      {line}" for line in result["warnings"]]


def _next(result: dict[str, Any]) -> list[str]:
    if not result["to_label"]:
        return ["every finding has a name given by hand"]
    return [
        f"to label  {', '.join(str(number) for number in result['to_label'])}",
        f"see       {result['sheet']}",
        f"fill      {result['table']}, then: sorby detect name teach {result['session']}",
    ]


def _show_start(result: dict[str, Any]) -> str:
    return "\n".join(
        [f"{result['n_findings']} findings described", *_next(result), *_notes(result), f"{result['seconds']:.1f} s"]
    )


def _accuracy(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "not to be judged yet: no two findings bear one name"
    low, high = entry["ci95"]
    return (
        f"{entry['right']} of {entry['n']} named rightly when left out: {100 * entry['value']:.0f} %"
        f" (95 % CI {100 * low:.0f} to {100 * high:.0f} %)"
    )


def _show_teach(result: dict[str, Any]) -> str:
    width = max(len(name) for name in [*result["classes"], "unknown"])
    classes = [
        f"  {name:<{width}}  {each['labelled']:>4} by hand  {each['sure']:>5} sure  {each['unsure']:>5} unsure"
        for name, each in result["classes"].items()
    ]
    return "\n".join(
        [
            f"{result['n_findings']} findings, {result['n_labelled']} named by hand",
            *classes,
            f"  {'unknown':<{width}}  {result['unknown']:>4} like none of these",
            f"judged    {_accuracy(result['accuracy'])}",
            *(f"promise   {line}" for line in result["promise"]),
            *_notes(result),
            f"named     {result['named']}",
            *_next(result),
            f"{result['seconds']:.1f} s",
        ]
    )


def _show_finish(result: dict[str, Any]) -> str:
    taught = result["taught"]
    lines = [f"taught    {taught['images']} pictures with {taught['boxes']} boxes"]
    if result["ap50"] is not None:
        bounds = result["ci95"]["ap50"]
        sure = "no interval" if bounds is None else f"95 % CI {100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %"
        lines.append(f"AP50      {100 * result['ap50']:.1f} % ({sure}), {result['protocol']}")
    return "\n".join(
        [
            *lines,
            f"threshold {result['threshold']:.3f}, chosen on {result['threshold_from']}",
            *_notes(result),
            f"bundle    {result['bundle']}",
            *([f"report    {result['report']}"] if result["report"] else []),
            f"{result['seconds']:.1f} s",
        ]
    )


@click.group()
def name() -> None:
    """Give findings of an anomaly map their kinds: you name ten, all others follow, again until it is right.

    Example: sorby detect name start scores/ --out naming && sorby detect name teach naming
    """


@name.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@out_option("The session's folder. An interrupted start goes on with the same command.")
@click.option("--base", default="phantom", show_default=True, metavar="phantom|BUNDLE",
              help="Box detector whose frozen stages describe findings.")  # fmt: skip
@click.option("--ask", "count", type=click.IntRange(1, 200), default=10, show_default=True,
              help="Findings to be named at a time.")  # fmt: skip
@click.option("--window-px", type=click.IntRange(32, 4096), default=224, show_default=True,
              help="Edge of the window about a finding, in pixels of its picture.")  # fmt: skip
@click.option("--describe", type=click.Choice(["head", "texture", "context"]), default="texture", show_default=True,
              help="What the classifier reads of a finding.")  # fmt: skip
@click.option("--views", type=click.Choice(["1", "2", "4", "8"]), default="4", show_default=True,
              help="Mirrored and turned views of each; fewer are quicker.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the choice.")
@device_option
@reports(_show_start)
def start(
    folder: Path,
    out: Path,
    base: str,
    count: int,
    window_px: int,
    describe: Any,
    views: str,
    seed: int,
    device: Any,
) -> dict[str, Any]:
    """Describe the findings in DIR (of `anomaly score` or `line run`) and choose those to be named first.

    Example: sorby detect name start scores/ --out naming
    """
    from sorby.workflow.detection.naming import start_naming

    return start_naming(
        folder, out, base=base, count=count, describe=describe, window_px=window_px, views=int(views), seed=seed,
        device=device, say=_tell,
    )  # fmt: skip


@name.command()
@click.argument("session", type=click.Path(path_type=Path))
@click.option("--new", multiple=True, metavar="NAME", help="A kind of its own, though spelt much like another.")
@reports(_show_teach)
def teach(session: Path, new: tuple[str, ...]) -> dict[str, Any]:
    """Learn from the labels in SESSION, name all findings, and choose the next to be named.

    Example: sorby detect name teach naming
    """
    from sorby.workflow.detection.naming import teach_names

    return teach_names(session, new=new)


@name.command()
@click.argument("session", type=click.Path(path_type=Path))
@out_option("Run folder; gets detector.sorby and report.html.")
@device_option
@reports(_show_finish)
def finish(session: Path, out: Path, device: Any) -> dict[str, Any]:
    """Teach a box detector what was named in SESSION, for `sorby inspect` and `sorby line run`.

    Example: sorby detect name finish naming --out kinds
    """
    from sorby.workflow.detection.naming_bundle import finish_naming

    return finish_naming(session, out, device=device)

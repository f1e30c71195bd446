"""``sorby study``: people rating images, their agreement, and what comes of it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import LazyGroup, reports
from sorby.cli._options import column_options, device_option, out_option, signed_option
from sorby.errors import InputError, MissingPartError

_TITLES = {
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac1": "Gwet's AC1",
    "krippendorff_alpha": "Krippendorff's alpha",
    "conger_kappa": "Conger's kappa",
    "brennan_prediger": "Brennan-Prediger",
    "gwet_ac2": "Gwet's AC2, ordinal",
    "krippendorff_alpha_ordinal": "Krippendorff's alpha, ordinal",
    "kendall_w": "Kendall's W",
}
_ACCURACIES = {
    "class": "class",
    "size_given_class": "code, class right",
    "code": "full code",
    "reduced": "reduced classes",
    "verdict": "accept or reject",
}
_seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


@click.group("study", cls=LazyGroup)
def study() -> None:
    """Studies: people rating images.

    Example: sorby study new run/corpus.parquet --bundle run/bundle.sorby --out round-robin
    """


# -- agreement --------------------------------------------------------------------------------------------


def _show_agreement(result: dict[str, Any]) -> str:
    lines = [f"{result['items']} items, {result['raters']} raters, {result['ratings']} ratings, {result['gaps']} gaps"]
    for name, title in _TITLES.items():
        if name in result:
            lines.append(f"{title:<31}{_estimate(result[name])}")
    return "\n".join([*lines, *_notes(result)])


def _estimate(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return f"not defined ({entry.get('note', '')})"
    sure = "no interval" if entry["ci95"] is None else f"95 % interval {entry['ci95'][0]:.3f} to {entry['ci95'][1]:.3f}"
    return f"{entry['value']:8.5f}   {sure}"


def _notes(result: dict[str, Any]) -> list[str]:
    return [f"note      {line}" for line in result["warnings"]]


@study.command("agreement")
@click.argument("ratings", type=click.Path(path_type=Path))
@click.option("--id", "id_column", metavar="COLUMN", help="Column that names the items; its number with --no-header.")
@click.option("--no-header", is_flag=True, help="The first row holds ratings, not names.")
@click.option("--order", metavar="A,B,C", help="Categories in order: near misses count then, and Kendall's W is given.")
@reports(_show_agreement)
def agreement(ratings: Path, id_column: str | None, no_header: bool, order: str | None) -> dict[str, Any]:
    """Agreement beyond chance of RATINGS: rows items, columns raters, gaps allowed.

    Example: sorby study agreement ratings.csv --order 5,6,7,8,9,10
    """
    from sorby.study import agreement_of, read_rating_file

    file = read_rating_file(ratings, id_column=id_column, header=not no_header)
    return agreement_of(file, None if order is None else order.split(","))


# -- a round robin ----------------------------------------------------------------------------------------


def _show_new(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in result["classes"].items() if count)
    hard = "" if result["difficult"] is None else f"; {result['difficult']} that the model gets wrong"
    return "\n".join(
        [
            f"{result['items']} images ({counts}){hard}",
            f"{result['showings']} showings for each of {len(result['raters'])} raters",
            f"design    {result['design']} (keep it from the raters)",
            f"hand out  {result['hand_out']}",
            *_notes(result),
        ]
    )


def _quotas(text: str | None) -> dict[str, int] | None:
    if text is None:
        return None
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, count = part.partition("=")
        if not equals or not count.strip().isdecimal() or name.strip() in found:
            raise InputError(f"--quota {text}: {part!r} is no class=number", "e.g. --quota G=11,B=5,M=4")
        found[name.strip()] = int(count)
    return found


@study.command("new")
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Folder of the study.")
@click.option("--scheme", default="steel", show_default=True, metavar="NAME|FILE", help="What raters are asked.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Classifier: what it gets wrong is difficult.")
@click.option("--n", type=click.IntRange(min=1), default=20, show_default=True, help="Images.")
@click.option("--quota", metavar="CLASS=N,...", help="Images of each class, instead of --n.")
@click.option("--repeats", type=click.IntRange(min=0), default=4, show_default=True, help="Images shown twice.")
@click.option("--raters", default="14", show_default=True, metavar="N|NAME,...", help="How many, or their names.")
@click.option("--difficult", "share", type=click.FloatRange(0, 1), default=0.6, show_default=True,
              help="Share of images that the classifier gets wrong.")  # fmt: skip
@click.option("--part", default="test", show_default=True, help="Part of the stored split to draw from, or all.")
@column_options
@signed_option
@device_option
@_seed
@reports(_show_new)
def new(
    data: Path, out: Path, scheme: str, bundle: Path | None, n: int, quota: str | None, repeats: int, raters: str,
    share: float, part: str, label: str | None, group: str | None, image: str | None, require_signed: bool,
    device: Any, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Design a round robin on images of DATA: blind copies, an order and a form for every rater.

    Example: sorby study new run/corpus.parquet --bundle run/bundle.sorby --quota G=11,B=5,M=4 --out round-robin
    """
    from sorby.workflow.studies import new_study

    return new_study(
        data, out, scheme=scheme, bundle=bundle, n=n, quotas=_quotas(quota), repeats=repeats,
        raters=int(raters) if raters.strip().isdecimal() else raters.split(","), difficult_share=share, part=part,
        seed=seed, label=label, group=group, image=image, require_signed=require_signed, device=device,
    )  # fmt: skip


def _show_report(result: dict[str, Any]) -> str:
    done = result["progress"]
    lines = [f"{done['ratings']} of {done['expected']} ratings; {done['finished']} of {done['raters']} raters finished"]
    for key, title in _ACCURACIES.items():
        if key in result["accuracy"]:
            lines.append(f"{title:<20}{_accuracy(result['accuracy'][key])}")
    for level, found in result["agreement"].items():
        if "fleiss_kappa" in found:
            lines.append(f"kappa, {level:<13}{_estimate(found['fleiss_kappa'])}")
    return "\n".join([*lines, f"report    {result['report']}", *_notes(result)])


def _accuracy(entry: dict[str, Any]) -> str:
    if entry["value"] is None or entry["n"] == 0:
        return "nothing to count"
    bounds = entry["ci95"]
    sure = "no interval" if bounds is None else f"95 % interval {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"
    return f"{100 * entry['value']:5.1f} %  {sure}, {entry['hits']} of {entry['n']}"


@study.command("report")
@click.argument("folder", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("ratings", nargs=-1, type=click.Path(path_type=Path))
@out_option("Folder for report.html, results.json and ratings.parquet.")
@click.option("--raters", "profiles", type=click.Path(path_type=Path), help="Table of raters, instead of raters.csv.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Another classifier as the appraiser.")
@signed_option
@device_option
@_seed
@reports(_show_report)
def report(
    folder: Path, ratings: tuple[Path, ...], out: Path, profiles: Path | None, bundle: Path | None,
    require_signed: bool, device: Any, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Results of STUDY from filled-in forms or tables of RATINGS; its own forms where none are named.

    Example: sorby study report round-robin --out round-robin-results
    """
    from sorby.workflow.study_reports import report_study

    return report_study(
        folder, ratings, out, profiles=profiles, bundle=bundle, seed=seed, require_signed=require_signed, device=device
    )


def _show_simulated(result: dict[str, Any]) -> str:
    said = f"{result['ratings']} ratings by {result['raters']} simulated raters"
    return "\n".join([said, f"forms     {result['forms']}", *_notes(result)])


@study.command("simulate")
@click.argument("folder", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--noise", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0: raters tell the truth.")
@_seed
@reports(_show_simulated)
def simulate(folder: Path, data: Path, noise: float, seed: int) -> dict[str, Any]:
    """Let simulated raters fill in the forms of STUDY, drawn from steel phantoms in DATA, to try a study out.

    Example: sorby study simulate round-robin run/corpus.parquet
    """
    from sorby.workflow.study_reports import simulate_raters

    return simulate_raters(folder, data, seed=seed, noise=noise)


# -- in the station ---------------------------------------------------------------------------------------


def _show_open(result: dict[str, Any]) -> str:
    width = max(len(name) for name in result["links"])
    links = [f"{name:<{width}}  {url}" for name, url in result["links"].items()]
    return "\n".join([result["url"], "", *links, "", "each link is told this once, and is its rater's key"])


@study.command("open")
@click.argument("folder", metavar="STUDY", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path(),
              metavar="FOLDER", help="Where the corpus's images lie; here where absent.")  # fmt: skip
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The station's folder, as for sorby serve.")  # fmt: skip
@click.option("--database", metavar="URL", envvar="SORBY_STATION_DATABASE", help="As for sorby serve.")
@reports(_show_open)
def open_(folder: Path, images: Path, home: Path | None, database: str | None) -> dict[str, Any]:
    """Open STUDY in the station: raters sign in by a link each, and rate in a browser.

    Example: sorby study open round-robin --images phantoms --home station
    """
    if find_spec("sqlalchemy") is None or find_spec("fastapi") is None:
        raise MissingPartError("the station is not installed", "pip install 'sorby[station]'")
    from sorby.bundle.keys import home as configuration
    from sorby.station.opening import open_round

    return open_round(home if home is not None else configuration() / "station", folder, images, database)

"""``sorby paper``: published tables and figures, theirs beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import overrides, reports
from sorby.cli._options import column_options, device_option, out_option, recipe_options
from sorby.errors import InputError
from sorby.workflow.experiments.synthetic_images import SHORT_TEACHING
from sorby.workflow.papers import PAPERS


def _show(result: dict[str, Any]) -> str:
    show = _ROWS[result["paper"]]
    lines = [show(row) for row in result["table"]]
    lines += [f"ablation  {line}" for line in result["cells"].get("answers", [])]
    notes = [f"note      {line}" for line in result["warnings"]]
    return "\n".join([*lines, *notes, f"report    {result['report']}", f"{result['seconds']:.1f} s"])


def _steel_row(row: dict[str, Any]) -> str:
    ours = "-" if row["ours"] is None else f"{100 * row['ours']['value']:.2f} %"
    what = f"{row['network']} {row['head']} {row['regime']}"
    return f"{what:<28} published {100 * row['published']['value']:.2f} %   ours {ours}   {row['flag']}"


def _membrane_row(row: dict[str, Any]) -> str:
    how = f"d {row['features']}" if "features" in row else row["arm"]
    what = f"{row['table']}  {row['protocol']:<17} {how:<22} {row['figure']:<29}"
    return f"{what} published {row['published']['printed']:<12} ours {row['ours']['printed']:<12} {row['flag']}"


def _fracture_row(row: dict[str, Any]) -> str:
    said = [f"{100 * row[key]['value']:5.1f} %" for key in ("published", "ours_by_image", "ours_by_specimen")]
    return (
        f"{row['title']:<36} published {said[0]}   ours by image {said[1]}   specimens whole {said[2]}   {row['flag']}"
    )


def _corrosion_row(row: dict[str, Any]) -> str:
    ours, published = row["ours"], row["published"]["value"]
    low, high = ours["ci95"]
    said = f"{100 * ours['value']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return f"{row['what']:<34} published {100 * published:.1f} %   ours {said}, {row['arm']}   {row['flag']}"


_ROWS = {"S1": _steel_row, "S2": _corrosion_row, "S3": _membrane_row, "S4": _fracture_row}
_S3_ONLY = (
    click.option("--scale", type=click.FloatRange(0, 4, min_open=True), default=1.0, show_default=True,
                 help="S3 without DATA: size of the phantom sheets; 0.25 is quick."),
    click.option("--parts", type=click.Choice(["anomaly", "detection", "all"]), default="anomaly", show_default=True,
                 help="S3: Tables 1 to 4 on sheets, Tables 5 to 7 on crops with boxes, or both."),
    click.option("--repeats", type=click.IntRange(min=1),
                 help="S3: standard runs, 36 and 20 where absent; draws of examples, 30 where absent."),
    click.option("--base", default="phantom", show_default=True,
                 help="S3, detection: base detector, phantom (made once and kept) or a bundle."),
    click.option("--other-base", "other_bases", multiple=True, metavar="NAME=BUNDLE",
                 help="S3, detection: a further base beside it; repeatable."),
    click.option("--without-base", type=click.IntRange(min=0), default=0, show_default=True,
                 help="S3, detection: draws that are taught without any base, minutes each."),
    click.option("--held-out", type=click.IntRange(min=0),
                 help="S3: leave-one-out runs; one for each defective image where absent, 0 for none."),
    click.option("--grid", "grids", type=click.Choice(["1", "3", "5"]), multiple=True,
                 help="S3: c of a 6c x 3c grid, repeatable; all where absent."),
    click.option("--fpr-limit", type=click.FloatRange(0, 1, min_open=True), default=0.3, show_default=True,
                 help="S3: false positive rate up to which PRO is integrated."),
    click.option("--b4", is_flag=True, help="S3: the published network, EfficientNet-B4; needs its weights."),
    click.option("--split-holes", is_flag=True,
                 help="S3: as published, hold out a tile while the other half of its hole stays."),
    click.option("--studies/--no-studies", default=True, show_default=True,
                 help="S3: other training shares, contrast and smoothing. S4: tests by magnification, verdicts on"
                      " specimens, triage."),
)  # fmt: skip

_S2_ONLY = (
    click.option("--protocol", type=click.Choice(["folds", "one-out"]), default="folds", show_default=True,
                 help="S2: folds of originals, or each left out once."),
    click.option("--generator", default="stills-128", show_default=True, help="S2: recipe of generated images."),
    click.option("--generator-set", default=SHORT_TEACHING, show_default=True,
                 help="S2: fields of that recipe, 'training.steps=500 image.size_px=64'."),
    click.option("--exposures", type=click.IntRange(min=8), default=1000, show_default=True,
                 help="S2: images that each network of the ablation sees."),
    click.option("--epochs", type=click.IntRange(min=0), default=20, show_default=True,
                 help="S2: epochs of the learning curve; 400 were published, 0 leaves it out."),
)  # fmt: skip


def _own_options(command: Any) -> Any:
    for option in reversed((*_S2_ONLY, *_S3_ONLY)):
        command = option(command)
    return command


@click.command()
@click.argument("name", type=click.Choice(list(PAPERS)))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@out_option("Folder of the page.")
@click.option("--folds", type=click.IntRange(2, 100), help="S1, S2, S4: folds of the cross-validation.")
@click.option("--maps/--no-maps", default=True, show_default=True,
              help="S1, S4: whether figures with attention are made.")  # fmt: skip
@click.option("--specimens", type=click.IntRange(min=30), help="S4 without DATA: phantom specimens; 240 where absent.")
@_own_options
@recipe_options
@column_options
@device_option
@reports(_show)
def paper(name: str, data: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    """Draw a paper's tables and figures again, published cells beside ours.

    DATA is a corpus or table: of structure codes (S1), of pictures of two corroded alloys (S2), of scanned sheets with
    their masks, or of crops with boxes (S3), or of fracture surfaces with specimens and magnifications (S4). Without
    it, phantoms are rendered once and kept in the cache: at the published counts (S1, S2, S3), or 240 specimens (S4).

    Example: sorby paper S1 corpus.parquet --out papers/S1
    """
    _refuse_others(name)
    return {"S1": _steel, "S2": _corrosion, "S3": _membrane, "S4": _fracture}[name](data, out, **options)


#: Options that mean something to each paper; the others are for all.
_OWN = {
    "S1": {"folds", "maps", "recipe", "label", "group", "image"},
    "S2": {"folds", "label", "group", "image", "protocol", "generator", "generator_set", "exposures", "epochs"},
    "S3": {
        "scale",
        "repeats",
        "held_out",
        "grids",
        "fpr_limit",
        "b4",
        "split_holes",
        "studies",
        "parts",
        "base",
        "other_bases",
        "without_base",
    },
    "S4": {"folds", "maps", "recipe", "label", "group", "image", "studies", "specimens"},
}


def _refuse_others(name: str) -> None:
    """Refuse options that mean nothing to this paper, rather than ignore them."""
    context = click.get_current_context()
    for key in sorted(set().union(*_OWN.values()) - _OWN[name]):
        if context.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE:
            flag = {"grids": "--grid", "other_bases": "--other-base"}.get(key, f"--{key.replace('_', '-')}")
            raise InputError(f"{flag} is no option of paper {name}", "see 'sorby paper --help'")


def _steel(data: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    from sorby.classify import recipe as recipes
    from sorby.workflow.papers import run_paper

    changes: dict[str, Any] = dict(overrides(options["settings"]))
    if options["seed"] is not None:
        changes["seed"] = options["seed"]
    chosen = recipes.load(options["recipe"], changes)
    columns = {key: options[key] for key in ("label", "group", "image")}
    return run_paper(
        "S1",
        out,
        data,
        recipe=chosen,
        device=options["device"],
        folds=options["folds"],
        maps=options["maps"],
        **columns,
    )


def _corrosion(data: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    from sorby.workflow.papers import run_corrosion_paper
    from sorby.workflow.papers.corrosion import CorrosionOptions

    if options["settings"]:
        raise InputError("--set is no option of paper S2", "the generator's fields: --generator-set; see --help")
    asked = {key: options[key] for key in ("protocol", "generator", "generator_set", "exposures", "epochs")}
    return run_corrosion_paper(
        out,
        data,
        options=CorrosionOptions(folds=options["folds"] or CorrosionOptions.folds, **asked),
        seed=options["seed"] or 0,
        device=options["device"],
        **{key: options[key] for key in ("label", "group", "image")},
    )


def _fracture(data: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    from sorby.classify import recipe as recipes
    from sorby.workflow.papers import run_fracture_paper
    from sorby.workflow.papers.fracture import FractureOptions
    from sorby.workflow.papers.fracture_archive import SPECIMENS

    if data is not None and options["specimens"] is not None:
        raise InputError("--specimens is of phantoms, but DATA were given", "leave one of them out")
    changes: dict[str, Any] = dict(overrides(options["settings"]))
    if options["seed"] is not None:
        changes["seed"] = options["seed"]
    made = FractureOptions(options["folds"] or FractureOptions.folds, options["maps"], options["studies"])
    return run_fracture_paper(
        out,
        data,
        recipe=recipes.load(options["recipe"] or "fracture-frozen", changes),
        options=made,
        specimens=options["specimens"] or SPECIMENS,
        device=options["device"],
        **{key: options[key] for key in ("label", "group", "image")},
    )


#: Options of S3 that mean something to one of its two parts only.
_OF_ANOMALY = {"held_out": "--held-out", "grids": "--grid", "fpr_limit": "--fpr-limit", "b4": "--b4",
               "split_holes": "--split-holes", "studies": "--studies"}  # fmt: skip
_OF_DETECTION = {"base": "--base", "other_bases": "--other-base", "without_base": "--without-base"}


def _membrane(data: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    from sorby.workflow.anomaly.protocols import ProtocolSettings
    from sorby.workflow.papers import run_membrane_paper
    from sorby.workflow.papers.membrane import MembraneRequest

    _check_parts(data, options)
    settings = ProtocolSettings(
        repeats=options["repeats"],
        held_out=options["held_out"],
        fpr_limit=options["fpr_limit"],
        same_defect=not options["split_holes"],
        seed=options["seed"] or 0,
    )
    request = MembraneRequest(
        data="",
        settings=settings,
        changes=overrides(options["settings"]),
        grids=tuple(sorted({int(c) for c in options["grids"]})) or (1, 3, 5),
        published_network=options["b4"],
        studies=options["studies"],
        device=options["device"],
    )
    anomaly = options["parts"] != "detection"
    detection = None if options["parts"] == "anomaly" else _detection_request(data, options)
    sheets = data if anomaly else None
    return run_membrane_paper(
        out, sheets, request=request, scale=options["scale"], detection=detection, anomaly=anomaly
    )  # fmt: skip


def _check_parts(data: Path | None, options: dict[str, Any]) -> None:
    """Refuse what the part of S3 that is asked for does not know."""
    parts, context = options["parts"], click.get_current_context()
    if parts == "all" and data is not None:
        raise InputError("--parts all: sheets and crops are different data", "one part at a time")
    if parts == "all" and options["settings"]:
        raise InputError("--parts all: --set would change two recipes", "one part at a time")
    foreign = {"anomaly": _OF_DETECTION, "detection": _OF_ANOMALY, "all": {}}[parts]
    given = {"scale": "--scale"} if data is not None else {}
    for key, flag in {**foreign, **given}.items():
        if context.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE:
            why = "is of phantom sheets, but DATA were given" if key == "scale" else f"means nothing to --parts {parts}"
            raise InputError(f"{flag} {why}", "leave one of them out")


def _detection_request(data: Path | None, options: dict[str, Any]) -> Any:
    from sorby.workflow.detection.protocol import FewShotSettings
    from sorby.workflow.papers.membrane_detection import DetectionRequest

    others = {}
    for text in options["other_bases"]:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise InputError(f"--other-base {text}: no name and bundle", "e.g. --other-base steel=steel-base.sorby")
        others[name] = Path(path)
    return DetectionRequest(
        data=() if data is None else (data,),
        scale=options["scale"],
        base=options["base"],
        others=others,
        changes=overrides(options["settings"]) if options["parts"] == "detection" else {},
        settings=FewShotSettings(options["repeats"] or FewShotSettings.repeats, options["seed"] or 0),
        gradient_repeats=options["without_base"],
        device=options["device"],
    )

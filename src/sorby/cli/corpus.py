"""``sorby corpus``: build, audit and scale collections of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.cli._options import column_options
from sorby.cli.corpus_boxes import annotation_lines, box_options, export
from sorby.corpus.interchange import BoxOptions
from sorby.corpus.leakage_table import THRESHOLDS
from sorby.micrograph.region import KINDS
from sorby.micrograph.text_reading import ENGINES
from sorby.workflow import corpora, regions
from sorby.workflow.archive.text_audit import CROPS, audit_text


def _show_build(result: dict[str, Any]) -> str:
    counts = "\n".join(f"  {count:>6} {label}" for label, count in result["classes"].items())
    left_out = [f"  {count:>6} left out: {reason}" for reason, count in result["excluded"].items()]
    boxes = annotation_lines(result.get("annotations"))
    lines = [f"{result['rows']} images, {result['usable']} take part", *(boxes or [counts]), *left_out]
    if isinstance(result["matched"], dict):
        lines.append("matched: " + ", ".join(f"{count} {kind}" for kind, count in result["matched"].items()))
    lines += [f"note: {line}" for line in result["warnings"]]
    if result.get("review"):
        lines.append(f"review  {result['review']} ({result['to_review']} images)")
        lines.append(f"report  {result['report']}")
    return "\n".join([*lines, f"corpus  {result['corpus']}"])


def _show_split(result: dict[str, Any]) -> str:
    specimens = result["specimens"] or {}
    lines = [f"{part}: {count} images" + (f" of {specimens[part]} specimens" if part in specimens else "")
             for part, count in result["parts"].items()]  # fmt: skip
    return "\n".join([*lines, *(f"note: {line}" for line in result["warnings"]), f"corpus  {result['corpus']}"])


def _show_scale(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["images"]:
        size = "unknown" if entry["pixel_size_um"] is None else f"{entry['pixel_size_um']:.6g} um/px"
        nominal = "" if entry["magnification"] is None else f", {entry['magnification']:g}x"
        lines.append(f"{entry['file']}: {size}{nominal} ({entry['source']}, confidence {entry['confidence']:.2f})")
        lines += [f"  disagreement: {each['name']}: {each['detail']}" for each in entry["disagreements"]]
    return "\n".join([*lines, *(f"note: {line}" for line in result["warnings"])])


def _show_text_audit(result: dict[str, Any]) -> str:
    low, high = result["ci95"]["share_with_text"]
    lines = [
        f"{result['with_text']} of {result['n']} images show text after cropping ({result['crop']}): "
        f"{result['share_with_text']:.1%} [{low:.1%}, {high:.1%}]"
    ]
    lines += [f"  {entry['file']}: {'; '.join(entry['texts'])}" for entry in result["images"] if entry["texts"]]
    return "\n".join([*lines, *(f"note: {line}" for line in result["warnings"]), f"report  {result['report']}"])


def _show_audit(result: dict[str, Any]) -> str:
    near = result["near_duplicates"]
    lines = [
        f"{result['n']} images take part; near-duplicates by {result['method']}",
        f"{len(result['duplicates'])} images repeated byte for byte, {near['pairs']} pairs of near-duplicates",
    ]
    if result["embedding"]:
        seen = result["embedding"]
        lines.append(f"{seen['pairs']} pairs nearly alike to the network ({seen['how']})")
    for table in (result["table1"], result["table1_by_specimen"]):
        lines += _show_table(table) if table else []
    if result["table1"]:
        lines.append(f"note: {result['table1']['note']}")
    if made := result["synthetic"]:
        lines.append(f"{made['n']} generated images, which descend from {made['ancestors']} specimens")
    for name, entry in result["leakage"].items():
        lines.append(f"{name}: {entry['leaking']} of {entry['n']} images leak ({entry['how']})")
    for entry in result["shortcuts"]:
        lines.append(f"label by {entry['column']}: Cramér's V {entry['cramers_v']:.2f}, n = {entry['n']}")
    told = {f"{name}: {entry['how']}" for name, entry in result["leakage"].items()}  # stands above, with its count
    lines += [f"warning: {line}" for line in result["warnings"] if line not in told]
    return "\n".join([*lines, *([f"report    {result['report']}"] if result["report"] else [])])


def _show_table(table: dict[str, Any]) -> list[str]:
    """Write a table of folds: percent and count at each SSIM, denominators, specimens on both sides."""
    head = "".join(f"{limit:>14.2f}" for limit in table["thresholds"])
    lines = [f"{table['source']}: judged images with a near-duplicate in the training part, by SSIM", f"fold{head}"]
    for row in table["folds"]:
        cells = "".join(f"{f'{p:.2f} % ({c})':>14}" for p, c in zip(row["percent"], row["counts"], strict=True))
        known = row["specimens_shared"] is not None
        shared = f"; {row['specimens_shared']} specimens on both sides" if known else "; specimens unknown"
        lines.append(f"{row['fold']:<4}{cells}   of {row['n']}{shared}")
    lines.append("mean" + "".join(f"{f'{value:.2f} %':>14}" for value in table["mean"]))
    lines.append("SD  " + "".join(f"{'-' if value is None else f'{value:.2f}':>14}" for value in table["sd"]))
    return lines


def _show_region(result: dict[str, Any]) -> str:
    lines = []
    for entry in result["images"]:
        out = [f"{kind} {share:.1%}" for kind, share in entry["excluded"].items() if share and kind in KINDS]
        why = f" ({', '.join(out)})" if out else f" ({entry['notes'][0]})" if entry["source"] == "file" else ""
        lines.append(f"{entry['file']}: {entry['kept']:.1%} kept{why}")
    lines.append(f"{result['written']} region files written, {len(result['images']) - result['written']} left as found")
    return "\n".join(lines)


engine_option = click.option(
    "--engine", type=click.Choice(ENGINES), help="What reads text; rapidocr where it is installed, if not given."
)


@click.group()
def corpus() -> None:
    """Build, audit and scale collections of images; find their regions of interest.

    Example: sorby corpus build images/ --out corpus.parquet
    """


@corpus.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The corpus, a .parquet file.")
@click.option("--reports", "report_folder", type=click.Path(path_type=Path),
              help="Folder of PDF reports; PATHS are then archives of images to be matched with them.")  # fmt: skip
@click.option("--rules", type=click.Path(path_type=Path),
              help="How the archive numbers, names and reports; by default its rules.yaml.")  # fmt: skip
@click.option("--review", type=click.Path(path_type=Path),
              help="Review table with corrections; by default the one beside --out.")  # fmt: skip
@click.option("--synthetic", multiple=True, type=click.Path(path_type=Path),
              help="Folder of generated images to add, as synthesize sample wrote it; repeatable.")  # fmt: skip
@click.option("--read-bars", is_flag=True, help="Read magnifications of an archive's images from info bars too.")
@column_options
@box_options
@reports(_show_build)
def build(
    paths: tuple[Path, ...],
    out: Path,
    report_folder: Path | None,
    rules: Path | None,
    review: Path | None,
    synthetic: tuple[Path, ...],
    read_bars: bool,
    label: str | None,
    group: str | None,
    image: str | None,
    boxes: BoxOptions,
) -> dict[str, Any]:
    """Build a corpus from folders (one folder a class), tables, images with boxes, or an archive with PDF reports.

    Boxes are recognised by what lies there: a COCO file, or a folder with VOC files or YOLO texts.

    Example: sorby corpus build annotated/ --out corpus.parquet

    Example: sorby corpus build images/ --masks masks/ --min-area-px 9 --out corpus.parquet

    Example: sorby corpus build labels.csv --label grade --group specimen --out corpus.parquet

    Example: sorby corpus build archive/ --reports archive/reports --out corpus.parquet

    Example: sorby corpus build originals.parquet --synthetic generated/ --out both.parquet
    """
    return corpora.build_corpus(
        paths,
        out,
        label=label,
        group=group,
        image=image,
        reports=report_folder,
        rules=rules,
        review=review,
        read_bars=read_bars,
        synthetic=synthetic,
        boxes=boxes,
    )


@corpus.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--ignore-tags", is_flag=True, help="Leave vendor tags and sidecar files out: what info bars alone say.")
@engine_option
@reports(_show_scale)
def scale(images: tuple[Path, ...], ignore_tags: bool, engine: str | None) -> dict[str, Any]:
    """Say magnification and pixel size of images, from vendor tags, sidecar files and info bars.

    Tags are believed first and checked against what the bar says; contradictions are named.

    Example: sorby corpus scale sem/*.tif --json
    """
    return corpora.scales(images, ignore_tags=ignore_tags, engine=engine)


@corpus.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The corpus with its split, .parquet.")
@click.option("--fractions", type=(float, float, float), default=(0.64, 0.16, 0.2), show_default=True,
              help="Shares of train, val and test.")  # fmt: skip
@click.option("--by", default="auto", show_default=True, metavar="auto|image|COLUMN",
              help="What stays whole; auto is specimens where they are known.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@column_options
@reports(_show_split)
def split(
    data: Path,
    out: Path,
    fractions: tuple[float, float, float],
    by: str,
    seed: int,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Divide a corpus into train, val and test once and store it; train and synthesize keep to it.

    Example: sorby corpus split corpus.parquet --fractions .5 .2 .3 --out split.parquet
    """
    return corpora.split(data, out, fractions=fractions, by=by, seed=seed, label=label, group=group, image=image)


@corpus.command("text-audit")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the page and the table.")
@click.option("--n", "n_images", type=click.IntRange(1), default=100, show_default=True, help="Images drawn by chance.")
@click.option(
    "--crop",
    type=click.Choice(CROPS),
    default="found",
    show_default=True,
    help="found: the info bar where it lies; fixed: 9 % of the height off the bottom; none.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@engine_option
@column_options
@reports(_show_text_audit)
def text_audit(
    data: Path,
    out: Path,
    n_images: int,
    crop: str,
    seed: int,
    engine: str | None,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Look whether text remains on images after their info bars were taken off.

    Example: sorby corpus text-audit corpus.parquet --out audit/
    """
    return audit_text(
        data, out, n_images=n_images, crop=crop, seed=seed, engine=engine, label=label, group=group, image=image
    )


@corpus.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for masks and pictures; beside the images if not given."
)
@click.option("--overwrite", is_flag=True, help="Replace region files that exist, edited ones too.")
@reports(_show_region)
def region(images: tuple[Path, ...], out: Path | None, overwrite: bool) -> dict[str, Any]:
    """Propose what of each micrograph shows the specimen, as mask files to edit.

    NAME.region.png is white where the micrograph may be used; NAME.region-overlay.png shows what is left out:
    resin and background red, bleeding zones green, the micron bar blue.

    Example: sorby corpus region images/
    """
    return regions.write_regions(images, out, overwrite=overwrite)


@corpus.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--folds", type=click.IntRange(2, 100), help="Draw so many folds and audit them; 5 where none is stored.")
@click.option(
    "--split", "by", type=click.Choice(["image", "specimen"]), help="How folds are drawn; both where not given."
)
@click.option(
    "--k",
    "neighbours",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Nearest training images looked at.",
)
@click.option(
    "--hamming", type=click.IntRange(0, 32), default=10, show_default=True, help="pHash bits that may differ."
)
@click.option(
    "--ssim",
    type=click.FloatRange(0, 1),
    multiple=True,
    help="Similarity that confirms a candidate; repeated, the thresholds of the table, of which the highest up to .8"
    " confirms. [default: .8, and the seven of the published table]",
)
@click.option("--embedding/--no-embedding", default=True, help="Count near-duplicates by a network's features too.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the folds drawn.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for audit.html and audit.json.")
@column_options
@reports(_show_audit)
def audit(
    data: Path,
    folds: int | None,
    by: Any,
    neighbours: int,
    hamming: int,
    ssim: tuple[float, ...],
    embedding: bool,
    seed: int,
    out: Path | None,
    label: str | None,
    group: str | None,
    image: str | None,
) -> dict[str, Any]:
    """Look for leakage, duplicates and shortcuts, in the stored split or in folds drawn for it.

    Another magnification of a specimen is not a near-duplicate: state specimens, so that they can be counted.

    Example: sorby corpus audit corpus.parquet --folds 5 --out audit/
    """
    return corpora.audit_corpus(
        data, hamming=hamming, ssim=_confirming(ssim), neighbours=neighbours, thresholds=_thresholds(ssim), folds=folds,
        by=by, embedding=embedding, seed=seed, out=out, label=label, group=group, image=image,
    )  # fmt: skip


def _thresholds(ssim: tuple[float, ...]) -> tuple[float, ...]:
    """Return the table's thresholds: several that were asked for, or the published seven."""
    return tuple(sorted(set(ssim))) if len(set(ssim)) > 1 else THRESHOLDS


def _confirming(ssim: tuple[float, ...]) -> float:
    """Return the similarity that confirms a near-duplicate: the one asked for, or the highest up to .8 of several."""
    if not ssim:
        return 0.8
    return max((value for value in ssim if value <= 0.8), default=min(ssim))


corpus.add_command(export)

"""What ``sorby corpus`` does: build a corpus and store it, state scales, audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sorby.corpus import Corpus, audit, build
from sorby.corpus.ancestry import describe_ancestry
from sorby.corpus.boxes import images_per_class
from sorby.corpus.interchange import BoxOptions
from sorby.corpus.interchange.writing import ExportFormat, export_boxes
from sorby.corpus.leakage_table import THRESHOLDS
from sorby.corpus.splitting import split_corpus
from sorby.corpus.strata import stratified, taking_part
from sorby.errors import InputError, Quarantined
from sorby.progress import bar
from sorby.workflow.archive.building import build_archive_corpus
from sorby.workflow.archive.scales import state_scales
from sorby.workflow.data import open_data
from sorby.workflow.leakage.embedding import LEAST_IMAGES, embedding_neighbours


def build_corpus(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
    reports: Path | str | None = None,
    rules: Path | str | None = None,
    review: Path | str | None = None,
    read_bars: bool = False,
    synthetic: Sequence[Path | str] = (),
    boxes: BoxOptions | None = None,
) -> dict[str, Any]:
    """Build a corpus and write it.

    Parameters
    ----------
    paths : sequence of path
        Folders, tables, or images with boxes, see `sorby.corpus.build`.
    out : path
        The corpus, a .parquet file.
    label, group, image : str, optional
        Columns of a table.
    reports : path, optional
        Folder of PDF reports: *paths* are then archives, see `sorby.workflow.archive.building.build_archive_corpus`.
    rules, review, read_bars
        Of an archive, likewise.
    synthetic : sequence of path
        Folders of generated images that join the originals, see `sorby.corpus.ancestry`.
    boxes : BoxOptions, optional
        How boxes are read.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``usable``, ``classes`` (label -> images that take part; with boxes, class -> images
        that show it), ``annotations`` (see `sorby.corpus.interchange.settle_boxes`; None where there are no boxes),
        ``excluded`` (reason -> images), ``quarantined``, ``matched`` (rows matched to a report; of an archive
        ``exact``, ``fuzzy``, ``tie`` and ``unmatched``), ``duplicates``, ``conflicts``, ``synthetic`` (generated
        images), ``warnings``.

    Raises
    ------
    InputError
        Nothing usable in *paths*, or *out* is not a .parquet file that can be written.
    """
    if reports is not None:
        unused = [f"--{name}" for name, value in (("label", label), ("group", group), ("image", image)) if value]
        unused += ["--synthetic"] if synthetic else []
        unused += ["boxes"] if boxes not in (None, BoxOptions()) else []
        if unused:
            raise InputError(f"an archive has no columns: {', '.join(unused)}", "leave them out with --reports")
        return build_archive_corpus(paths, out, reports, rules=rules, review=review, read_bars=read_bars)
    if rules is not None or review is not None or read_bars:
        raise InputError("--rules, --review and --read-bars are for archives", "add --reports DIR")
    out = Path(out)
    if out.suffix.lower() != ".parquet":
        raise InputError(f"{out}: a corpus is stored as Parquet", f"--out {out.with_suffix('.parquet')}")
    # One class is enough to store, look at and score; training asks for two.
    built = build(paths, label=label, group=group, image=image, synthetic=synthetic, boxes=boxes, min_classes=1)
    built.corpus.save(out)
    annotations = built.annotations
    labels = built.corpus.usable().labels if annotations is None else ()
    classes = dict(sorted(Counter(str(name) for name in labels).items()))
    if annotations is not None:
        classes = images_per_class(built.corpus)
    warnings = list(built.warnings)
    if len(classes) == 1 and annotations is None:
        warnings.append(f"only one class, {next(iter(classes))!r}: a classifier needs two")
    made = describe_ancestry(built.corpus)
    if made is not None:
        warnings += made["warnings"]
    return {
        "corpus": str(out),
        "rows": len(built.corpus),
        "usable": len(taking_part(built.corpus)),
        "classes": classes,
        "annotations": annotations,
        "excluded": built.corpus.excluded(),
        "quarantined": [entry.as_dict() for entry in built.quarantined],
        "synthetic": 0 if made is None else made["n"],
        "matched": 0,  # no reports were given to match with
        "duplicates": built.duplicates,
        "conflicts": built.conflicts,
        "warnings": warnings,
    }


def split(
    data: Path | str | Corpus,
    out: Path | str,
    *,
    fractions: Sequence[float] = (0.64, 0.16, 0.2),
    by: str = "auto",
    seed: int = 0,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Divide a corpus into train, val and test once, and store that in it.

    Parameters
    ----------
    data : Corpus, or path of a corpus, a table or a folder with one folder a class
    out : path
        The corpus with its split, a .parquet file.
    fractions, by, seed
        See `sorby.corpus.splitting.split_corpus`.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        ``corpus``, ``parts`` (images of each), ``specimens`` (of each; None where unknown), ``grouped`` (what is kept
        whole), ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        Generated images are among them (split the originals first), or as `split_corpus`.
    """
    out = Path(out)
    if out.suffix.lower() != ".parquet":
        raise InputError(f"{out}: a corpus is stored as Parquet", f"--out {out.with_suffix('.parquet')}")
    opened = open_data(data, label=label, group=group, image=image, min_classes=1)
    if describe_ancestry(opened.corpus) is not None:
        raise InputError("generated images are among them", "split the originals, then build with --synthetic again")
    done = split_corpus(opened.corpus, "holdout", fractions=fractions, by=by, seed=seed)
    done.save(out)
    usable = done.take(taking_part(done))
    parts = usable.table["split"].astype(str)
    groups = usable.groups
    specimens = None if groups is None else {str(name): int(count) for name, count in
                                             pd.Series(groups).groupby(parts.to_numpy()).nunique().items()}  # fmt: skip
    return {
        "corpus": str(out),
        "parts": {str(name): int(count) for name, count in parts.value_counts().items()},
        "specimens": specimens,
        "grouped": done.splits[-1]["grouped"],
        "warnings": [*opened.warnings, *done.splits[-1]["warnings"]],
        "quarantined": [entry.as_dict() for entry in opened.quarantined],
    }


def export(data: Path | str | Corpus, out: Path | str, format: ExportFormat) -> dict[str, Any]:
    """Write images and boxes of a corpus for other programs.

    Parameters
    ----------
    data : Corpus, or path of a corpus or of images with boxes
    out : path
        A new folder.
    format : {"coco", "voc", "yolo"}
        See `sorby.corpus.interchange.writing`.

    Returns
    -------
    dict
        ``out``, ``format``, ``images``, ``boxes``, ``negatives``, ``ignored``, ``classes``, ``warnings``,
        ``quarantined``.

    Raises
    ------
    InputError
        Nothing there has boxes, or *out* is not empty or cannot be written.
    """
    opened = open_data(data, min_classes=0)
    with bar("writing images", len(opened.corpus.annotated())) as advance:
        done = export_boxes(opened.corpus, out, format, advance=advance)
    return {
        "out": str(out),
        "format": format,
        **{name: getattr(done, name) for name in ("images", "boxes", "negatives", "ignored", "classes")},
        "warnings": [*opened.warnings, *done.warnings],
        "quarantined": [entry.as_dict() for entry in opened.quarantined],
    }


def scales(
    images: Sequence[Path | str], *, ignore_tags: bool = False, engine: str | None = None, threads: int | None = None
) -> dict[str, Any]:
    """State magnification and pixel size of images, see `sorby.workflow.archive.scales.state_scales`."""
    return state_scales(images, ignore_tags=ignore_tags, engine=engine, threads=threads)


def audit_corpus(
    data: Path | str | Corpus,
    *,
    hamming: int = 10,
    ssim: float | None = 0.8,
    neighbours: int = 10,
    thresholds: tuple[float, ...] = THRESHOLDS,
    folds: int | None = None,
    by: Literal["image", "specimen"] | None = None,
    embedding: bool = True,
    seed: int = 0,
    out: Path | str | None = None,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Look for leakage, duplicates and shortcuts.

    Parameters
    ----------
    data : Corpus, or path of a corpus, a table or a folder with one folder a class
    hamming, ssim, neighbours, thresholds, folds, by, seed
        See `sorby.corpus.audit`.
    embedding : bool
        Whether near-duplicates by the packaged network's features are counted beside.
    out : path, optional
        Folder for ``audit.html`` and ``audit.json``.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        What `sorby.corpus.audit` returns, ``quarantined`` and ``report`` (None without *out*); ``warnings`` also holds
        what opening the data said.

    Raises
    ------
    InputError
        Nothing usable there, or *out* cannot be written.
    """
    opened = open_data(data, label=label, group=group, image=image, min_classes=1)
    corpus = opened.corpus
    judged = stratified(corpus)
    unreadable: list[Quarantined] = []
    neighboured, too_few = None, []
    if embedding and len(judged) >= LEAST_IMAGES:
        neighboured, unreadable = embedding_neighbours(judged, seed=seed)
    elif embedding:
        too_few = [f"near-duplicates to a network were not looked for: that takes {LEAST_IMAGES} images"]
    found = audit(
        corpus, hamming=hamming, ssim=ssim, neighbours=neighbours, thresholds=thresholds, folds=folds, by=by,
        seed=seed, embedding=neighboured,
    )  # fmt: skip
    result = {
        **found,
        "warnings": list(dict.fromkeys([*opened.warnings, *found["warnings"], *too_few])),
        "quarantined": [entry.as_dict() for entry in (*opened.quarantined, *unreadable)],
        "report": None,
    }
    if out is not None:
        from sorby.workflow.leakage.report import write_leakage_report  # pages are slow to load

        name = f"corpus of {len(corpus)} rows" if isinstance(data, Corpus) else Path(data).name
        result["report"] = str(write_leakage_report(Path(out), result, judged, name, seed))
    return result

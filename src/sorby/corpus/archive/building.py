"""From an archive of images and reports to a corpus; what cannot be matched is kept aside and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sorby.corpus.archive.components import components_of, without_images
from sorby.corpus.archive.corrections import SHOWN, Corrections, corrections_for, review_table
from sorby.corpus.archive.file_names import parse_names
from sorby.corpus.archive.magnifications import reconcile
from sorby.corpus.archive.matching import counts, match_names
from sorby.corpus.archive.report_fields import Report, normal_serial, parse_report
from sorby.corpus.archive.report_text import OpenReader, read_report_text
from sorby.corpus.archive.rules import UNKNOWN, ArchiveRules
from sorby.corpus.building import Built, common_folder, read_rows, settle
from sorby.corpus.table import Corpus
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.micrograph import find_images
from sorby.progress import bar

ReadBars = Callable[[Sequence[Path], Sequence[str]], pd.DataFrame]
"""Reads info bars of images (paths, hashes); returns a table in their order, at least with ``magnification``."""

_ASIDE = ("reports", "truth")
"""Folders of an archive that hold no images of it."""


@dataclass(frozen=True, eq=False)
class BuiltArchive:
    """A corpus from an archive and what building it found.

    Attributes
    ----------
    built : Built
        The corpus; unmatched images stay as excluded rows.
    components : DataFrame
        What the reports say, one row a component, see `sorby.corpus.archive.components`.
    review : DataFrame
        Images that a person should look at, with the corrections made so far.
    matched : dict of str to int
        ``exact``, ``fuzzy``, ``tie``, ``unmatched``: images.
    reviewed : int
        Images whose FOAN, serial number, label or exclusion a person gave.
    conflicts : list of str
        Components to which reports, or corrections, give two causes.
    without_images : list of str
        FOANs of reports that no image belongs to.
    report_problems : list of str
        Doubts about reports that were read.
    """

    built: Built
    components: pd.DataFrame
    review: pd.DataFrame
    matched: dict[str, int]
    reviewed: int
    conflicts: list[str]
    without_images: list[str]
    report_problems: list[str]


def list_archive(sources: Sequence[Path], reports: Path) -> list[Path]:
    """Return the images of an archive: of ``images/`` where a folder has one, else of the folder without its reports.

    Raises
    ------
    InputError
        A source is no folder, or there are no images.
    """
    found: list[Path] = []
    for source in sources:
        if not source.is_dir():
            raise InputError(f"{source}: no such folder", "name the folder of the archive")
        inner = source / "images"
        if inner.is_dir():
            found += find_images(inner)
            continue
        below = reports.resolve().parent
        if below.parent == source.resolve() and (below / "images").is_dir():
            # Its truth and whatever else lies there are pictures too, and no micrographs.
            raise InputError(f"{source}: the archive of these reports is a folder below", f"give {source / below.name}")
        aside = {reports.resolve(), *((source / name).resolve() for name in _ASIDE)}
        found += [image for image in find_images(source) if not aside & set(image.resolve().parents)]
    if not found:
        raise InputError(f"{sources[0]}: holds no images", "name the folder that holds the SEM images")
    return [image.resolve() for image in found]


def read_reports(
    folder: Path, rules: ArchiveRules, open_reader: OpenReader, *, engine: str = "", cache: Path | None = None
) -> tuple[list[Report], list[Quarantined]]:
    """Read every PDF of a folder and its sub-folders.

    Parameters
    ----------
    folder : Path
    rules : ArchiveRules
    open_reader, engine, cache
        See `sorby.corpus.archive.report_text.read_report_text`.

    Returns
    -------
    reports : list of Report
        Also those in which no FOAN was found.
    quarantined : list of Quarantined
        PDFs that could not be read, and why.

    Raises
    ------
    InputError
        No such folder, or no PDF in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "--reports DIR, a folder of PDF reports")
    files = sorted(
        file for file in folder.rglob("*") if file.suffix.lower() == ".pdf" and not file.name.startswith(".")
    )
    if not files:
        raise InputError(f"{folder}: holds no PDF", "--reports DIR, a folder of PDF reports")
    reports, quarantined = [], []
    with bar("reading reports", len(files)) as advance:
        for file in files:
            try:
                text = read_report_text(file, rules.pages, open_reader, engine=engine, cache=cache)
            except SorbyError as error:
                said = Quarantined.from_error(file, error)
                quarantined.append(
                    Quarantined(said.file, f"{said.reason}; {error.hint}" if error.hint else said.reason)
                )
            except OSError as error:
                quarantined.append(Quarantined(str(file), f"cannot be read ({error.strerror})"))
            else:
                reports.append(parse_report(text, file.relative_to(folder).as_posix(), rules))
            advance(1)
    return reports, quarantined


def build_archive(
    images: Sequence[Path],
    reports: Sequence[Report],
    rules: ArchiveRules,
    *,
    corrections: Corrections | None = None,
    read_bars: ReadBars | None = None,
    min_classes: int = 1,
) -> BuiltArchive:
    """Match images with reports and build the corpus.

    Parameters
    ----------
    images : sequence of Path
        Absolute.
    reports : sequence of Report
        From `read_reports`.
    rules : ArchiveRules
    corrections : Corrections, optional
        A review table that was filled in.
    read_bars : callable, optional
        Reads the info bars of images.
    min_classes : int
        Fewer classes that take part are refused.

    Returns
    -------
    BuiltArchive

    Raises
    ------
    InputError
        No image could be read, no report holds a FOAN, or too few classes take part.
    """
    corrections = corrections or Corrections.none()
    components = components_of(reports, rules)
    if not len(components):
        raise InputError(f"none of {len(reports)} reports holds a FOAN", "look at report.foan of the rules")
    root = common_folder([image.parent for image in images])
    rows = pd.DataFrame({"file": pd.Series(list(images), dtype=object)})
    table, quarantined, warnings = read_rows(rows, root)
    if not len(table):
        raise InputError(
            f"none of {len(rows)} images could be read ({quarantined[0].reason})", "check the files of the archive"
        )
    names = parse_names(list(table["path"]), rules)
    corrected = corrections_for(table, corrections, rules)
    asked = pd.DataFrame(
        {
            "foan": corrected["correct_foan"].fillna(names["foan"]),
            "serial": corrected["correct_serial"].fillna(names["serial"].map(normal_serial)),
        }
    )
    matches = match_names(asked, components, rules)
    table = _columns(table, names, components, matches, corrected, rules)
    table = _scaled(table, names, read_bars, root)
    if rules.phantom:
        table["phantom"] = True
    conflicts = _conflicts(table, components)
    corpus = Corpus(table, root, (f"built from {len(images)} images and {len(reports)} reports",))
    astray = table[table["review_confirms"] & (table["match"] != "exact")]
    if len(astray):
        first = f"{astray['path'].iloc[0]}: {astray['match_reason'].iloc[0]}"
        warnings.append(f"{len(astray)} corrected FOANs lead to no report for certain, e.g. {first}")
    built = Built(corpus, quarantined, [*warnings, *corrections.warnings])
    settle(built, min_classes)
    doubtful = _doubtful(built.corpus.table, rules)
    return BuiltArchive(
        built=built,
        components=components,
        review=review_table(doubtful, corrections),
        matched=counts(matches),
        reviewed=int(table["reviewed"].sum()),
        conflicts=conflicts,
        without_images=without_images(components, table.loc[table["match"] != "unmatched", "foan"]),
        report_problems=[f"{report.source}: {line}" for report in reports for line in report.problems],
    )


def _columns(
    table: pd.DataFrame,
    names: pd.DataFrame,
    components: pd.DataFrame,
    matches: pd.DataFrame,
    corrected: pd.DataFrame,
    rules: ArchiveRules,
) -> pd.DataFrame:
    """Add what the name, the report and the reviewer say of every image."""
    chosen = components.reindex(matches["component"].where(matches["component"] >= 0)).set_index(table.index)
    matched = matches["match"] != "unmatched"
    label = corrected["correct_label"].fillna(chosen["label"])
    said_by = ("report " + chosen["report"]).where(corrected["correct_label"].isna(), "review")
    added: dict[str, Any] = {
        "label": label,
        "label_source": said_by.where(label.notna(), None),
        "specimen": chosen["specimen"],
        "foan": chosen["foan"].where(matched, names["foan"]),
        "serial": chosen["serial"].where(matched, names["serial"].map(normal_serial)),
        "fragment": names["fragment"],
        "fracture": (chosen["specimen"] + "/" + label).where(matched & label.notna(), None),
        "report": chosen["report"],
        "fracture_load_n": chosen["fracture_load_n"],
        "fracture_type": chosen["fracture_type"],
        "fracture_subtype": chosen["fracture_subtype"],
        "match": matches["match"],
        "match_similarity": matches["match_similarity"],
        # A FOAN that a person gave and a report has is as sure as it gets.
        "match_confidence": matches["match_confidence"].where(
            corrected["correct_foan"].isna() | (matches["match"] != "exact"), 1.0
        ),
        "match_reason": matches["reason"],
        "match_candidates": matches["candidates"],
        "foan_read": names["foan"],
        "serial_read": names["serial"],
        "convention": names["convention"],
        "reviewed": corrected.notna().any(axis=1),
        "review_confirms": corrected["correct_foan"].notna(),
    }
    for name in ("date", "plant", "instrument"):
        own = table[name] if name in table else pd.Series(None, index=table.index, dtype=object)
        added[name] = own.astype(object).where(own.notna(), names[name])
    frame = pd.DataFrame(added, index=table.index)
    frame["exclusion"] = _exclusions(frame, chosen, corrected, rules)
    for name in map(str, frame.select_dtypes(exclude=["number", "bool"])):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return pd.concat([table.drop(columns=[name for name in frame if name in table]), frame], axis=1)


def _exclusions(
    frame: pd.DataFrame, chosen: pd.DataFrame, corrected: pd.DataFrame, rules: ArchiveRules
) -> pd.Series[Any]:
    """Say for every image why it takes no part, the weightiest reason first; None where it does."""
    conflict = chosen["conflict"].fillna("").astype(str)
    in_conflict = (conflict != "") & corrected["correct_label"].isna()
    aside = frame["label"].isin([*rules.set_aside, UNKNOWN])
    reasons = [
        (corrected["exclude"].notna(), "excluded in review: " + corrected["exclude"].fillna("")),
        (frame["match"] == "unmatched", "no report matched: " + frame["match_reason"].astype(str)),
        (in_conflict, "reports contradict each other: " + conflict),
        (aside, "set aside: " + frame["label"].astype(str)),
    ]
    said = np.select(
        [mask.to_numpy(dtype=bool) for mask, _ in reasons], [text.to_numpy(dtype=object) for _, text in reasons], ""
    )
    return pd.Series(said, index=frame.index, dtype=object).replace("", None)


def _scaled(table: pd.DataFrame, names: pd.DataFrame, read_bars: ReadBars | None, root: Path) -> pd.DataFrame:
    """Add magnifications from tags, info bars and names, and their contradictions."""
    witnesses = {"tag": table["magnification"], "name": names["magnification"]}
    if read_bars is not None:
        seen = read_bars([root / path for path in table["path"]], list(table["sha256"])).set_index(table.index)
        witnesses["bar"] = seen["magnification"]
        if "pixel_size_um" in seen:
            from_bar = table["pixel_size_um"].isna() & seen["pixel_size_um"].notna()
            table = table.assign(
                pixel_size_um=table["pixel_size_um"].fillna(seen["pixel_size_um"]),
                scale_source=table["scale_source"].where(~from_bar, "info bar"),
            )
        for name in ("bar_top", "bar_edge"):
            if name in seen:
                table = table.assign(**{name: seen[name]})
        if "disagreements" in seen:
            table = table.assign(scale_disagreements=seen["disagreements"])
    return pd.concat([table.drop(columns="magnification"), reconcile(witnesses)], axis=1)


def _conflicts(table: pd.DataFrame, components: pd.DataFrame) -> list[str]:
    """Name components with two causes; exclude the images of a specimen that ended up in two classes."""
    named = [text for text in components["conflict"] if text]
    free = table["exclusion"].isna() & table["specimen"].notna() & table["label"].notna()
    classes = table[free].groupby("specimen")["label"].unique()
    for specimen, labels in classes[classes.map(len) > 1].items():
        said = f"specimen in two classes: {specimen} is {' and '.join(sorted(labels))}"
        named.append(said)
        table.loc[free & (table["specimen"] == specimen), "exclusion"] = said
    return named


def _doubtful(table: pd.DataFrame, rules: ArchiveRules) -> pd.DataFrame:
    """Return the images that a person should look at: least sure first."""
    exclusion = table["exclusion"].fillna("").astype(str)
    not_exact = table["match"].isin(["fuzzy", "tie", "unmatched"])
    contradicted = exclusion.str.startswith(("reports contradict", "specimen in two", "label conflict"))
    unsure = (table["match_confidence"] < rules.match.review_below) & (table["match"] != "unmatched")
    scale_doubts = table["magnification_conflict"].astype(object)
    if "scale_disagreements" in table:
        scale_doubts = scale_doubts.fillna(table["scale_disagreements"])
    scale = scale_doubts.notna()
    # What a person has settled needs no second look; a FOAN that no report has settles nothing.
    settled = table["review_confirms"] & ~not_exact & ~contradicted
    asked = (not_exact | contradicted | unsure | scale) & ~settled
    shown = table[asked & ~exclusion.str.startswith("excluded in review")]
    why = shown["match_reason"].astype(str).where(~contradicted, exclusion)
    why = why.where(~scale, why + "; scale: " + scale_doubts.loc[shown.index].fillna("").astype(str))
    doubtful = shown.assign(
        image=shown["path"],
        why=why,
        chosen_foan=shown["foan"].where(shown["match"] != "unmatched"),
        chosen_serial=shown["serial"].where(shown["match"] != "unmatched"),
        chosen_label=shown["label"],
        candidates=shown["match_candidates"],
    )
    order = doubtful.sort_values(["match_confidence", "path"], kind="stable")
    return order.reindex(columns=list(SHOWN)).reset_index(drop=True)

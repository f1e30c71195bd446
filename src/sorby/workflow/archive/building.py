"""``sorby corpus build ARCHIVE --reports DIR``: an archive of SEM images and PDF reports becomes a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache as once
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from sorby._version import __version__
from sorby.backbone.cache import cache_folder
from sorby.corpus.archive import (
    ArchiveRules,
    BuiltArchive,
    Corrections,
    build_archive,
    list_archive,
    load_rules,
    read_corrections,
    read_reports,
    write_review,
)
from sorby.errors import InputError
from sorby.files import atomic_write, write_text
from sorby.micrograph.text_reading import TextReader, open_reader
from sorby.report.wording import count
from sorby.workflow.archive.bar_readings import bar_reader

_RULES = "rules.yaml"


def build_archive_corpus(
    paths: Sequence[Path | str],
    out: Path | str,
    reports: Path | str,
    *,
    rules: Path | str | None = None,
    review: Path | str | None = None,
    read_bars: bool = False,
    engine: str = "rapidocr",
    page: bool = True,
) -> dict[str, Any]:
    """Build a corpus from an archive and write it, with a review table and a match report beside it.

    The text of every PDF, and of every info bar, is kept in the cache by the file's content: an interrupted build
    goes on where it was, and a second one reads no report again.

    Parameters
    ----------
    paths : sequence of path
        Folders of the archive; of each, ``images/`` where there is one.
    out : path
        The corpus, a .parquet file. Beside it: ``.review.csv``, ``.components.csv``, ``.match.html``.
    reports : path
        Folder of PDF reports.
    rules : path, optional
        The house's rules; ``rules.yaml`` of the archive, or beside the reports, where None.
    review : path, optional
        A review table that was filled in; the one beside *out* where None and there is one. Whatever was filled in
        is carried over into the new one.
    read_bars : bool
        Read magnification and pixel size from info bars too.
    engine : {"rapidocr", "tesseract"}
        Text recognition for scans and info bars.
    page : bool
        Write the match report.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``usable``, ``specimens``, ``classes`` (label -> images that take part), ``excluded``,
        ``matched`` (``exact``, ``fuzzy``, ``tie``, ``unmatched``), ``review`` (path), ``to_review``, ``reviewed``,
        ``conflicts``, ``without_images``, ``components`` (path), ``reports``, ``report_problems``, ``report`` (path),
        ``duplicates``, ``quarantined``, ``warnings``.

    Raises
    ------
    InputError
        No images, no reports, no rules, or rules or corrections that are wrong.
    """
    out, reports = Path(out), Path(reports)
    if out.suffix.lower() != ".parquet":
        raise InputError(f"{out}: a corpus is stored as Parquet", f"--out {out.with_suffix('.parquet')}")
    sources = [Path(path) for path in paths]
    images = list_archive(sources, reports)
    house = load_rules(_rules_file(sources, reports, rules))
    corrections = _corrections(out.with_suffix(".review.csv"), review, house)

    @once
    def reader() -> TextReader:
        return open_reader(engine)

    read, quarantined = read_reports(
        reports, house, reader, engine=_engine_identity(engine), cache=cache_folder() / "reports"
    )
    if not read:
        raise InputError(f"{reports}: none of {len(quarantined)} reports could be read", quarantined[0].reason)
    bars = bar_reader(reader, _engine_identity(engine), cache_folder() / "info-bars") if read_bars else None
    found = build_archive(images, read, house, corrections=corrections, read_bars=bars)
    found.built.quarantined[:0] = quarantined
    return _write(found, house, out, len(read), page=page)


def _write(found: BuiltArchive, rules: ArchiveRules, out: Path, n_reports: int, *, page: bool) -> dict[str, Any]:
    """Write corpus, review table, components and page; return the result."""
    built = found.built
    review, components, html = (out.with_suffix(f".{end}") for end in ("review.csv", "components.csv", "match.html"))
    built.corpus.save(out)
    write_review(found.review, review)
    with atomic_write(components) as file:
        file.write(found.components.to_csv(index=False).encode("utf-8"))
    usable = built.corpus.usable()
    classes = dict(sorted(Counter(str(name) for name in usable.labels).items()))
    result: dict[str, Any] = {
        "corpus": str(out),
        "rows": len(built.corpus),
        "usable": len(usable),
        "specimens": int(usable.table["specimen"].nunique()),
        "classes": classes,
        "excluded": built.corpus.excluded(),
        "matched": found.matched,
        "review": str(review),
        "to_review": len(found.review),
        "reviewed": found.reviewed,
        "conflicts": found.conflicts,
        "without_images": found.without_images,
        "components": str(components),
        "reports": n_reports,
        "report_problems": found.report_problems,
        "report": str(html) if page else None,
        "duplicates": built.duplicates,
        "quarantined": [entry.as_dict() for entry in built.quarantined],
        "warnings": _warnings(found, classes),
    }
    if page:
        from sorby.report.archive_page import ArchiveFacts, archive_page  # figures are slow to load

        facts = ArchiveFacts(result, built.corpus.table, found.review, built.corpus.root, rules.match.review_below)
        write_text(html, archive_page(facts))
    return result


def _warnings(found: BuiltArchive, classes: dict[str, int]) -> list[str]:
    lines = list(found.built.warnings)
    if found.conflicts:
        conflicting = count(len(found.conflicts), "contradiction")
        lines.append(f"{conflicting} over the cause; the images take no part, e.g. {found.conflicts[0]}")
    if found.without_images:
        lines.append(f"no images for {count(len(found.without_images), 'FOAN')}, e.g. {found.without_images[0]}")
    if found.report_problems:
        lines.append(f"{count(len(found.report_problems), 'doubt')} about reports, e.g. {found.report_problems[0]}")
    contradicted = int(found.built.corpus.table["magnification_conflict"].notna().sum())
    if contradicted:
        lines.append(f"contradicting magnifications of {count(contradicted, 'image')}; see the review table")
    if len(classes) == 1:
        lines.append(f"only one class, {next(iter(classes))!r}: a classifier needs two")
    return lines


def _rules_file(sources: Sequence[Path], reports: Path, rules: Path | str | None) -> Path:
    if rules is not None:
        return Path(rules)
    places = [*(source / _RULES for source in sources), reports / _RULES, reports.parent / _RULES]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"{sources[0]}: no {_RULES} says how names and reports are read",
        "--rules FILE; sorby phantom fracture writes one to start from",
    )


def _corrections(beside: Path, review: Path | str | None, rules: ArchiveRules) -> Corrections:
    """Return what was corrected: in the table given, and in the one beside the corpus, so that nothing is lost."""
    given = None if review is None else read_corrections(review, rules)
    if not beside.is_file():
        return given or Corrections.none()
    earlier = read_corrections(beside, rules)
    if given is None or Path(str(review)).resolve() == beside.resolve():
        return earlier
    both = pd.concat([earlier.filled, given.table], ignore_index=True)
    both = both.drop_duplicates(["image", "sha256"], keep="last", ignore_index=True)
    return Corrections(both, given.source, [*given.warnings, *earlier.warnings])


def _engine_identity(engine: str) -> str:
    """Name the engine with its version and ours, for texts in the cache: another reader reads anew."""
    try:
        version = metadata.version("pytesseract" if engine == "tesseract" else engine)
    except metadata.PackageNotFoundError:  # said when a page asks for it
        version = "absent"
    return f"{engine} {version}, sorby {__version__}"

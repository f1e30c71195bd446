"""What ``sorby corpus`` does: build a corpus and store it, state scales, audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sorby.corpus import Corpus, audit, build
from sorby.errors import ImageError, InputError, Quarantined
from sorby.micrograph import find_images, scale_of
from sorby.workflow.data import open_data


def build_corpus(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Build a corpus and write it.

    Parameters
    ----------
    paths : sequence of path
        Folders or tables, see `sorby.corpus.build`.
    out : path
        The corpus, a .parquet file.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``usable``, ``classes`` (label -> images that take part), ``excluded`` (reason ->
        images), ``quarantined``, ``matched`` (rows matched to a report), ``duplicates``, ``conflicts``,
        ``warnings``.

    Raises
    ------
    InputError
        Nothing usable in *paths*, or *out* is not a .parquet file that can be written.
    """
    out = Path(out)
    if out.suffix.lower() != ".parquet":
        raise InputError(f"{out}: a corpus is stored as Parquet", f"--out {out.with_suffix('.parquet')}")
    # One class is enough to store, look at and score; training asks for two.
    built = build(paths, label=label, group=group, image=image, min_classes=1)
    built.corpus.save(out)
    usable = built.corpus.usable()
    classes = dict(sorted(Counter(str(name) for name in usable.labels).items()))
    warnings = list(built.warnings)
    if len(classes) == 1:
        warnings.append(f"only one class, {next(iter(classes))!r}: a classifier needs two")
    return {
        "corpus": str(out),
        "rows": len(built.corpus),
        "usable": len(usable),
        "classes": classes,
        "excluded": built.corpus.excluded(),
        "quarantined": [entry.as_dict() for entry in built.quarantined],
        "matched": 0,  # no reports were given to match with
        "duplicates": built.duplicates,
        "conflicts": built.conflicts,
        "warnings": warnings,
    }


def scales(images: Sequence[Path | str]) -> dict[str, Any]:
    """State magnification and pixel size of images.

    Parameters
    ----------
    images : sequence of path
        Files, or folders whose images are taken.

    Returns
    -------
    dict
        ``images``: for each ``file``, ``magnification``, ``pixel_size_um``, ``source``, ``confidence``,
        ``info_bar``, ``detail``, ``notes``; ``quarantined``.

    Raises
    ------
    InputError
        A folder without images, or none of the files is an image.
    """
    stated: list[dict[str, object]] = []
    quarantined: list[Quarantined] = []
    for path in _files(images):
        try:
            stated.append(scale_of(path))
        except ImageError as error:
            quarantined.append(Quarantined.from_error(path, error))
    if not stated:
        first = quarantined[0]
        raise InputError(f"none of {len(quarantined)} files is an image ({first.reason})", "check the paths")
    return {"images": stated, "quarantined": [entry.as_dict() for entry in quarantined]}


def _files(images: Sequence[Path | str]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, images):
        found = find_images(path) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: holds no images", "name image files, or a folder of them")
        files.extend(found)
    if not files:
        raise InputError("no images named", "sorby corpus scale IMAGE...")
    return files


def audit_corpus(
    data: Path | str | Corpus,
    *,
    hamming: int = 10,
    ssim: float | None = 0.8,
    label: str | None = None,
    group: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """Look for leakage, duplicates and shortcuts.

    Parameters
    ----------
    data : Corpus, or path of a corpus, a table or a folder with one folder a class
    hamming, ssim
        Bounds of a near-duplicate, see `sorby.corpus.audit`.
    label, group, image : str, optional
        Columns of a table.

    Returns
    -------
    dict
        What `sorby.corpus.audit` returns, and ``quarantined``; ``warnings`` also holds what opening the data said.

    Raises
    ------
    InputError
        Nothing usable there.
    """
    opened = open_data(data, label=label, group=group, image=image, min_classes=1)
    found = audit(opened.corpus, hamming=hamming, ssim=ssim)
    return {
        **found,
        "warnings": [*opened.warnings, *found["warnings"]],
        "quarantined": [entry.as_dict() for entry in opened.quarantined],
    }

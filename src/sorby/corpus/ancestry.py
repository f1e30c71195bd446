"""Generated images in a corpus: what each descends from, and which rows that ties together.

A generated image shows what its ancestors show: the original it was made from, and every original that its generator
was taught by. Standing on the other side of a split than one of them, it carries the judged specimen into the teaching.
Two rules follow, and hold wherever a corpus is split:

- specimens that a generated image joins stay in one part, as the images of one specimen do;
- generated images teach and never judge.

The columns are ``synthetic``, ``parent`` (path of the original it was made from, empty where there is none),
``ancestors`` (names joined by ``|``) and ``generator`` (SHA-256 of what made it). An original's name is its specimen;
where the corpus names none, ``image:`` and the first 16 digits of its SHA-256, so that moving files changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sorby.corpus.table import Corpus
from sorby.corpus.tabular import read_table
from sorby.errors import InputError
from sorby.files import sha256_file

MANIFEST = "synthetic.csv"
"""Table of a folder of generated images."""

COLUMNS = (
    "path", "sha256", "label", "specimen", "synthetic", "parent", "ancestors", "generator", "seed", "accepted",
    "reason", "decision",
)  # fmt: skip
"""Columns of the manifest."""

REJECTED = "rejected by the gate"
"""How the exclusion of a generated image that was not accepted begins."""

_YES = ("true", "1", "1.0", "yes")  # a column of ones with gaps is stored as reals
_SEPARATOR = "|"

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]


def synthetic_rows(corpus: Corpus) -> Bools:
    """Return which rows are generated images, shape (n,)."""
    if "synthetic" not in corpus.table:
        return np.zeros(len(corpus.table), bool)
    stated: Bools = corpus.table["synthetic"].astype(str).str.lower().isin(_YES).to_numpy(bool)
    return stated


def originals_of(corpus: Corpus) -> Corpus:
    """Return the rows that are no generated images."""
    synthetic = synthetic_rows(corpus)
    return corpus.take(~synthetic) if synthetic.any() else corpus


def image_name(sha256: str) -> str:
    """Return the name of an original without a specimen."""
    return f"image:{sha256[:16]}"


def names_of(corpus: Corpus) -> list[str]:
    """Return the name of each row as generated images state it: its specimen, or its content."""
    hashes = corpus.table["sha256"].astype(str)
    if "specimen" not in corpus.table:
        return [image_name(sha) for sha in hashes]
    pairs = zip(corpus.table["specimen"], hashes, strict=True)
    return [image_name(sha) if pd.isna(name) or not str(name) else str(name) for name, sha in pairs]


def ancestors_of(corpus: Corpus) -> list[frozenset[str]]:
    """Return the names that each row descends from; empty for originals."""
    if "ancestors" not in corpus.table:
        return [frozenset()] * len(corpus.table)
    rows = zip(synthetic_rows(corpus).tolist(), corpus.table["ancestors"], strict=True)
    return [
        frozenset(filter(None, str(text).split(_SEPARATOR))) if made and not pd.isna(text) else frozenset()
        for made, text in rows
    ]


def joined(names: Sequence[str]) -> str:
    """Return names of ancestors as the column holds them.

    Raises
    ------
    InputError
        A name holds the separator.
    """
    piped = [name for name in names if _SEPARATOR in name]
    if piped:
        raise InputError(f"specimen {piped[0]!r} holds '|', which separates ancestors", "rename the specimen")
    return _SEPARATOR.join(sorted(set(names)))


def families(corpus: Corpus, own: npt.NDArray[Any] | None = None) -> Codes:
    """Return which rows must stay together: those of one specimen, and those that generated images join.

    Parameters
    ----------
    corpus : Corpus
    own : ndarray, shape (n,), optional
        What is kept whole besides; specimens where absent.

    Returns
    -------
    ndarray of int, shape (n,)
        A number a family. Ancestors that are not in the corpus join the images that name them, too.
    """
    n = len(corpus.table)
    content = [image_name(sha) for sha in corpus.table["sha256"].astype(str)]
    lines: list[tuple[int, str]] = [(row, f"n:{name}") for row, name in enumerate(names_of(corpus))]
    lines += [(row, f"n:{name}") for row, name in enumerate(content)]
    lines += [(row, f"n:{name}") for row, names in enumerate(ancestors_of(corpus)) for name in sorted(names)]
    if own is not None:
        lines += [(row, f"g:{group}") for row, group in enumerate(own)]
    rows = np.array([row for row, _ in lines], np.intp)
    columns = np.unique([name for _, name in lines], return_inverse=True)[1] + n
    size = int(columns.max(initial=n)) + 1
    links = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    found: Codes = connected_components(links, directed=False)[1][:n].astype(np.intp)
    return found


def descended(corpus: Corpus, rows: Codes, judged: Codes) -> Bools:
    """Return which of *rows* are generated images that descend from what *judged* rows show, shape (len(rows),)."""
    stated, content = names_of(corpus), corpus.table["sha256"].astype(str).tolist()
    shown = {stated[row] for row in judged.tolist()} | {image_name(content[row]) for row in judged.tolist()}
    ancestors = ancestors_of(corpus)
    return np.array([bool(ancestors[row] & shown) for row in rows.tolist()], bool)


def read_manifest(folder: Path | str) -> tuple[pd.DataFrame, list[str]]:
    """Read the table of a folder of generated images as text, empty where nothing stands.

    Raises
    ------
    InputError
        No such table, one without path or label, or a path that is none within the folder.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: no such file", "give a folder that sorby synthesize sample wrote")
    table, warnings = read_table(path)
    missing = [name for name in ("path", "label", "ancestors") if name not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}", f"columns: {', '.join(COLUMNS)}")
    text = table.astype(object).where(table.notna(), "").astype(str)
    for name in COLUMNS:
        if name not in text:
            text[name] = ""
    for line, each in enumerate(text["path"], start=2):
        if not _inside(each):
            raise InputError(f"{path}, line {line}: {each!r} is no picture within the folder", "sample it again")
    return text, warnings


def _inside(path: str) -> bool:
    """Whether a path stays within the folder that it is relative to, on whatever system it was written."""
    parts = PureWindowsPath(path)
    return bool(path) and not parts.drive and not parts.root and ".." not in parts.parts


def list_synthetic(folder: Path | str) -> tuple[pd.DataFrame, list[str]]:
    """List the images of a folder of generated images as rows of a corpus to be built.

    Parameters
    ----------
    folder : path
        With `MANIFEST`, as ``sorby synthesize sample`` leaves it.

    Returns
    -------
    rows : DataFrame
        ``file``, ``label``, ``specimen`` and the columns of ancestry; ``exclusion`` says why an image was not accepted.
    warnings : list of str

    Raises
    ------
    InputError
        As `read_manifest`; or an image names no ancestor.
    """
    folder = Path(folder).resolve()
    text, warnings = read_manifest(folder)
    orphans = text["ancestors"] == ""
    if orphans.any():
        raise InputError(
            f"{folder / MANIFEST}: {text['path'][orphans].iloc[0]} names no ancestor",
            "state the specimens it was made from, joined by |, or leave its row out",
        )
    rows = pd.DataFrame({"file": [folder / path for path in text["path"]], "label": text["label"]})
    rows["label_source"] = "generator"
    for name in ("specimen", "ancestors", "generator", "parent", "seed", "decision"):
        rows[name] = pd.Series([value or None for value in text[name]], dtype=object)
    parents = [str((folder / path).resolve()) if path else None for path in text["parent"]]
    rows["parent"] = pd.Series(parents, dtype=object)
    rows["synthetic"] = True
    refused = ~text["accepted"].str.lower().isin(_YES)
    rows["exclusion"] = pd.Series(
        [f"{REJECTED}: {reason or 'not accepted'}" if no else None
         for no, reason in zip(refused, text["reason"], strict=True)], dtype=object,
    )  # fmt: skip
    altered = [str(file) for file, sha in zip(rows["file"], text["sha256"], strict=True) if _changed(file, sha)]
    if altered:
        raise InputError(f"{altered[0]}: not the image that {MANIFEST} speaks of", "sample it again")
    return rows, warnings


def _changed(file: Path, sha256: str) -> bool:
    """Whether a file is there with other content than stated; an absent one is set aside when images are read."""
    return bool(sha256) and file.is_file() and sha256_file(file) != sha256.lower()


def settle_ancestry(table: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Give generated rows of a table the part of the split that their ancestors stand in.

    Parameters
    ----------
    table : DataFrame
        Originals and generated rows, columns as in `sorby.corpus.schema`.
    root : Path
        What its paths are relative to.

    Returns
    -------
    table : DataFrame
        Where originals have a split, generated rows whose ancestors all teach get ``train``; others are excluded, since
        they would carry judged specimens into the teaching.
    warnings : list of str
    """
    corpus = Corpus(table, root)
    made = synthetic_rows(corpus)
    table = table.assign(synthetic=made)
    if not made.any():
        return table, []
    names, ancestors = names_of(corpus), ancestors_of(corpus)
    content = [image_name(sha) for sha in table["sha256"].astype(str)]
    known = {name for rows in (names, content) for name, synthetic in zip(rows, made, strict=True) if not synthetic}
    warnings = []
    strange = set().union(*ancestors) - known
    if strange:
        warnings.append(
            f"{len(strange)} ancestors of generated images are not in the corpus, e.g. {min(strange)}; add the"
            " originals, or their other images may be judged by what was generated from them"
        )
    if "split" in table and table["split"].notna().any():
        parts = table["split"].astype(object).where(table["split"].notna(), "")
        judged = {name for rows in (names, content)
                  for name, part, synthetic in zip(rows, parts, made, strict=True)
                  if not synthetic and part in ("val", "test")}  # fmt: skip
        leaks = np.array([bool(each & judged) for each in ancestors], bool)
        exclusion = table["exclusion"].astype(object).where(table["exclusion"].notna(), "")
        mark = made & leaks & (exclusion == "").to_numpy()
        said = np.where(mark, "descends from judged specimens", exclusion.where(exclusion != "", None))
        stands = parts.where(parts != "", None).to_list()
        placed = [("train" if not leak else None) if synthetic else part
                  for synthetic, leak, part in zip(made, leaks, stands, strict=True)]  # fmt: skip
        table["exclusion"] = pd.Series(said, index=table.index, dtype=object)
        table["split"] = pd.Series(placed, index=table.index, dtype=object)
        if mark.any():
            warnings.append(
                f"{int(mark.sum())} generated images descend from specimens of the val or test part and take no part;"
                " teach the generator from the training part: sorby synthesize train DATA --split train"
            )
    refused = int((made & table["exclusion"].fillna("").astype(str).str.startswith(REJECTED).to_numpy()).sum())
    if refused:
        warnings.append(f"{refused} of {int(made.sum())} generated images were not accepted and take no part")
    return table, warnings


def describe_ancestry(corpus: Corpus) -> dict[str, Any] | None:
    """Say what generated images a corpus holds and whether any crosses its stored splits; None where it has none.

    Returns
    -------
    dict or None
        ``n``, ``generators``, ``ancestors`` (specimens named), ``joined`` (originals' families, and how many specimens
        the largest joins), ``straddling`` (column -> generated images taught from whose ancestors are judged, and
        generated images that would judge), ``warnings``.
    """
    made = synthetic_rows(corpus)
    if not made.any():
        return None
    named = set().union(*ancestors_of(corpus))
    family = families(corpus)
    specimens = pd.Series(names_of(corpus))[~made].groupby(family[~made]).nunique()
    straddling = {name: _straddling(corpus, name, made)
                  for name in map(str, corpus.table.columns)
                  if name == "split" or name.startswith("split_")}  # fmt: skip
    warnings = []
    for name, entry in straddling.items():
        if entry["descend"]:
            warnings.append(f"{name}: {entry['descend']} generated images that teach descend from judged specimens")
        if entry["judging"]:
            warnings.append(
                f"{name}: {entry['judging']} generated images stand in judged parts; they will not be counted"
            )
    if len(specimens) == 1 and specimens.iloc[0] > 1:
        warnings.append("the generated images join all specimens: no split by specimen is left")
    generators = corpus.table.loc[made, "generator"].dropna().nunique() if "generator" in corpus.table else 0
    return {
        "n": int(made.sum()),
        "generators": int(generators),
        "ancestors": len(named),
        "joined": {"families": len(specimens), "largest": int(specimens.max()) if len(specimens) else 0},
        "straddling": straddling,
        "warnings": warnings,
    }


def _straddling(corpus: Corpus, column: str, made: Bools) -> dict[str, int]:
    parts = corpus.table[column].fillna("").astype(str).to_numpy()
    judged = np.flatnonzero(np.isin(parts, ("val", "test")) & ~made)
    teaching = np.flatnonzero((parts == "train") & made)
    return {
        "descend": int(descended(corpus, teaching, judged).sum()),
        "judging": int((np.isin(parts, ("val", "test")) & made).sum()),
    }

"""Images without a label beside a bench: where they come from, and which of them may show a test specimen."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus.building import read_rows
from sorby.corpus.near_duplicates import RADIUS, hashes_of, pairs_within
from sorby.corpus.table import Corpus
from sorby.errors import InputError, Quarantined
from sorby.micrograph import find_images
from sorby.workflow.data import open_data
from sorby.workflow.experiments.bench import Bench

Rows = npt.NDArray[np.intp]

#: How reasons begin for which an image takes no part though its picture is sound.
_WITHOUT_LABEL = ("no report matched", "set aside", "no label")
#: A candidate of the matching as the corpus tells it: specimen, cause, similarity.
_CANDIDATE = re.compile(r"(?:^|; )(\S+)")


@dataclass(frozen=True, eq=False)
class Pool:
    """Unlabelled images.

    Attributes
    ----------
    corpus : Corpus
        Their rows; labels, where there are any, are not looked at.
    kin : ndarray of int, shape (p, 2)
        Pairs (image of the pool, specimen of the bench) that may be the same specimen.
    said : list of str
        Where they come from, one sentence each.
    quarantined : list of Quarantined
    """

    corpus: Corpus
    kin: Rows
    said: list[str]
    quarantined: list[Quarantined]

    def __len__(self) -> int:
        return len(self.corpus)

    def take(self, rows: Rows) -> Pool:
        """Return the pool with some of its images only, in their order."""
        place = np.full(len(self), -1, np.intp)
        place[rows] = np.arange(len(rows))
        kin = np.stack([place[self.kin[:, 0]], self.kin[:, 1]], axis=1)
        return Pool(self.corpus.take(rows), kin[kin[:, 0] >= 0], self.said, self.quarantined)

    def apart_from(self, specimens: Rows) -> npt.NDArray[np.bool_]:
        """Tell the images that are not kin to any of some specimens of the bench, shape (n,)."""
        apart = np.ones(len(self), np.bool_)
        apart[self.kin[np.isin(self.kin[:, 1], specimens), 0]] = False
        return apart


def specimen_codes(bench: Bench) -> Rows:
    """Return the specimen of each row of a bench as a number; every image is its own where none are named."""
    groups = bench.plan.groups
    if groups is None:
        return np.arange(bench.n)
    return np.unique(np.asarray(groups).astype(str), return_inverse=True)[1].astype(np.intp)


def open_pool(source: Path | str, bench: Bench) -> Pool:
    """Open unlabelled images and look which of them may show a specimen of the bench.

    Parameters
    ----------
    source : path
        A corpus, whose images without a label are taken (unmatched, of unknown cause, or never labelled; all that
        take part where there are none), or a folder of images.
    bench : Bench

    Raises
    ------
    InputError
        Neither of the two, or no image in it.
    """
    path = Path(source)
    if path.is_dir():
        corpus, quarantined, said = _of_folder(path)
    elif path.suffix == ".parquet" and path.is_file() and Corpus.is_corpus(path):
        corpus, quarantined, said = _of_corpus(path)
    else:
        raise InputError(
            f"{path}: neither a corpus nor a folder of images",
            "--option unlabelled=corpus.parquet, the corpus that sorby corpus build made of the archive",
        )
    repeated = np.isin(corpus.table["sha256"].to_numpy(str), bench.corpus.table["sha256"].to_numpy(str))
    repeated |= corpus.table["sha256"].duplicated().to_numpy(bool)
    if repeated.any():
        said.append(f"{int(repeated.sum())} of them repeat another image byte for byte and were left out")
    corpus = corpus.take(~repeated)
    corpus = _of_known_origin(corpus, said)
    if not len(corpus):
        raise InputError(f"{path}: holds no image that can be used without its label", f"{'; '.join(said)}")
    return Pool(corpus, _kin(corpus, bench), said, quarantined)


def _of_known_origin(pool: Corpus, said: list[str]) -> Corpus:
    """Leave out images without specimen and FOAN where others have one: they may show a test specimen unseen."""
    named = np.zeros(len(pool), np.bool_)
    for column in ("specimen", "foan", "foan_read"):
        if column in pool.table:
            named |= pool.table[column].notna().to_numpy(bool)
    if not named.any():
        said.append("none of them names its specimen: whether one shows a test specimen was checked by likeness only")
        return pool
    if not named.all():
        said.append(f"{int((~named).sum())} of them name neither specimen nor FOAN, may show any, and were left out")
    return pool.take(named)


def _of_folder(path: Path) -> tuple[Corpus, list[Quarantined], list[str]]:
    files = [file.resolve() for file in find_images(path)]
    if not files:
        raise InputError(f"{path}: holds no images", "a folder of images without labels, or a corpus")
    rows = pd.DataFrame({"file": pd.Series(files, dtype=object)})
    table, quarantined, _ = read_rows(rows, path.resolve())
    if not len(table):
        raise InputError(f"{path}: none of {len(files)} images could be read ({quarantined[0].reason})", "check them")
    return Corpus(table, path.resolve(), ()), quarantined, [f"unlabelled: {len(table)} images of {path.name}/"]


def _of_corpus(path: Path) -> tuple[Corpus, list[Quarantined], list[str]]:
    opened = open_data(path)
    corpus = opened.corpus
    why = corpus.table["exclusion"].fillna("").astype(str)
    bare = why.str.startswith(_WITHOUT_LABEL).to_numpy(bool)
    if not bare.any():
        said = f"unlabelled: the {len(corpus.usable())} images of {path.name}, whose labels were not looked at"
        return corpus.usable(), opened.quarantined, [said]
    kinds = why[bare].str.split(":").str[0].value_counts().sort_index()
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    return corpus.take(bare), opened.quarantined, [f"unlabelled: {int(bare.sum())} images of {path.name} ({listed})"]


def _kin(pool: Corpus, bench: Bench) -> Rows:
    """Find pairs (image, specimen) by name, by FOAN, by candidates of the matching, and by perceptual hash.

    Images of one specimen of the pool stand together: if one is kin, all are.
    """
    codes, mine = specimen_codes(bench), bench.corpus.table
    owners: dict[str, set[int]] = {}
    for column in ("specimen", "foan"):
        if column in mine:
            named = mine[column].notna().to_numpy(bool)
            for name, code in set(zip(mine[column].astype(str)[named], codes[named].tolist(), strict=True)):
                owners.setdefault(name, set()).add(code)
    claims = [_claims(row) for row in pool.table.to_dict("records")]
    found = {(k, code) for k, names in enumerate(claims) for name in names for code in owners.get(name, ())}
    near = pairs_within(hashes_of(pool), RADIUS, hashes_of(bench.corpus))
    found |= set(zip(near[:, 0].tolist(), codes[near[:, 1]].tolist(), strict=True))
    pairs = np.array(sorted(found), np.intp).reshape(-1, 2)
    return _shared(pairs, pool.table)


def _claims(row: Mapping[Hashable, Any]) -> set[str]:
    """Return every specimen and FOAN that a row of the pool names, or that the matching considered for it."""
    told = {str(row[name]) for name in ("specimen", "foan", "foan_read") if isinstance(row.get(name), str)}
    candidates = row.get("match_candidates")
    if isinstance(candidates, str):
        specimens = _CANDIDATE.findall(candidates)
        told |= {*specimens, *(each.split("/")[0] for each in specimens)}
    return told


def _shared(pairs: Rows, table: pd.DataFrame) -> Rows:
    """Let all images of one specimen, or of one FOAN, of the pool share their kin."""
    own = pd.Series([f"\0{k}" for k in range(len(table))], dtype=object)
    for column in ("foan", "specimen"):  # the specimen where it is known, else the FOAN, else the image alone
        if column in table:
            named = table[column].astype(object).reset_index(drop=True)
            own = named.where(named.notna(), own)
    group = pd.factorize(own.astype(str))[0]
    of_group = pd.DataFrame({"group": group[pairs[:, 0]], "specimen": pairs[:, 1]}).drop_duplicates()
    members = pd.DataFrame({"group": group, "image": np.arange(len(group))})
    both = members.merge(of_group, on="group")[["image", "specimen"]]
    return both.sort_values(["image", "specimen"]).to_numpy(np.intp)

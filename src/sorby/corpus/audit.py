"""The audit of a corpus: what leaks across its splits, what repeats, and what gives the label away.

Near-duplicates are looked for in two stages, as the fracture study did: perceptual hashes name for every test
image its nearest training images within a Hamming radius, and SSIM on the pixels confirms them. The study does not
state its radius and its number of neighbours; both are parameters here. Note that near-duplicates do not measure
specimen leakage: another magnification of the same specimen is no near-duplicate. Where specimens are known,
their overlap is counted directly.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus.ancestry import describe_ancestry, families, synthetic_rows
from sorby.corpus.embedding_neighbours import EmbeddingNeighbours
from sorby.corpus.fold_audit import fold_table
from sorby.corpus.leakage_table import THRESHOLDS, confirmed_counts
from sorby.corpus.likeness import Likeness
from sorby.corpus.near_duplicates import Pairs, groups_of, hashes_of
from sorby.corpus.shortcuts import by_magnification, find_shortcuts
from sorby.corpus.splitting import split_corpus
from sorby.corpus.strata import claims, stratified
from sorby.corpus.table import Corpus

By = Literal["image", "specimen"]

FOLDS = 5
_LISTED = 50
_BEYOND = 2  # bits past the radius, to see whether it cuts anything off

Rows = npt.NDArray[np.intp]


def audit(
    corpus: Corpus,
    *,
    hamming: int = 10,
    ssim: float | None = 0.8,
    neighbours: int = 10,
    thresholds: tuple[float, ...] = THRESHOLDS,
    folds: int | None = None,
    by: By | None = None,
    seed: int = 0,
    embedding: EmbeddingNeighbours | None = None,
) -> dict[str, Any]:
    """Audit a corpus and the splits it stores, or folds drawn for the purpose.

    Parameters
    ----------
    corpus : Corpus
    hamming : int
        Bits of the 64-bit pHash within which images are candidates.
    ssim : float, optional
        Similarity from which a candidate counts as a near-duplicate; None takes the hash's word and reads no
        image.
    neighbours : int
        Nearest training images looked at for each test image.
    thresholds : tuple of float
        SSIM values of the table, inclusive.
    folds : int, optional
        Draw so many folds, stratified by class, and audit them; five where the corpus stores none.
    by : {"image", "specimen"}, optional
        How folds are drawn: as the study did, or with specimens whole. Where not given: by image, and by specimen
        beside it where specimens are known.
    seed : int
        Of the folds drawn.
    embedding : EmbeddingNeighbours, optional
        Near-duplicates among the rows that take part (`sorby.corpus.strata.stratified`) by what a network sees,
        counted beside.

    Returns
    -------
    dict
        ``n``: images that take part. ``leakage``: by the name of every pair of parts and every fold stored or asked
        for (or, without one, ``no stored split``): ``leaking`` of ``n`` judged images that stand on the other side
        too, ``how``, and the counts it is made of: ``byte_duplicates``, ``specimens_shared``, ``near_duplicates``,
        ``share_at`` (SSIM threshold -> share of the judged images with so similar a neighbour).
        ``table1``: see `sorby.corpus.fold_audit.fold_table`; None where pixels are not compared or there are too few
        images. ``table1_by_specimen``: the same with specimens whole, None where not asked for or unknown.
        ``duplicates``, ``conflicts``: groups of paths of equal content, with one label and with several.
        ``near_duplicates``: ``pairs``, ``candidates`` and ``groups`` of paths. ``embedding``: None where not given.
        ``synthetic``: of generated images, see `sorby.corpus.ancestry.describe_ancestry`; None where there are none.
        ``class_by_magnification``; ``shortcuts``; ``warnings``.

    Raises
    ------
    ImageError
        An image of the corpus is no longer readable.
    InputError
        The radius is too wide for these images, or folds by specimen are asked for and no specimens known.
    """
    usable = stratified(corpus)
    made = describe_ancestry(usable)
    wide = Likeness.find(
        usable.paths(), hashes_of(usable), hamming + (_BEYOND if ssim is not None else 0), compare=ssim is not None
    )
    likeness = wide.within(hamming)
    confirmed_at = 1.0 if ssim is None else ssim
    confirmed = likeness.confirmed(confirmed_at)
    stored = {
        name: _leakage(usable, likeness, train, test, neighbours, confirmed_at)
        for name, train, test in _comparisons(usable)
    }
    said: list[str] = []
    drawn = _fold_sets(usable, folds, by, seed, said)
    if folds is not None or by is not None:
        for source, fold in drawn.values():
            stored |= {
                f"{source}, fold {k + 1}": _leakage(
                    usable, likeness, np.flatnonzero(fold != k), np.flatnonzero(fold == k), neighbours, confirmed_at
                )
                for k in range(int(fold.max()) + 1)
            }
    tables = {
        name: fold_table(
            usable, wide, fold, source, hamming=hamming, neighbours=neighbours, thresholds=thresholds,
            embedding=embedding,
        )
        for name, (source, fold) in (drawn if ssim is not None else {}).items()
    }  # fmt: skip
    shortcuts = find_shortcuts(usable.table)
    conflicts, repeats = _marked(corpus)
    return {
        "n": len(usable),
        "method": f"pHash within {hamming} of 64 bits, {neighbours} nearest"
        + (", not confirmed by SSIM" if ssim is None else f", SSIM >= {ssim:g} (grey, longer side 128 px)"),
        "leakage": stored or {"no stored split": _without_split(usable, confirmed)},
        "table1": tables.get("table1"),
        "table1_by_specimen": tables.get("table1_by_specimen"),
        "duplicates": repeats,
        "near_duplicates": {
            "pairs": len(confirmed),
            "candidates": len(likeness.pairs),
            "groups": _path_groups(usable, confirmed)[:_LISTED],
        },
        "embedding": None if embedding is None else embedding.as_dict(usable.labels),
        "conflicts": conflicts,
        "synthetic": made,
        "class_by_magnification": by_magnification(usable.table) if "magnification" in usable.table else {},
        "shortcuts": [shortcut.as_dict() for shortcut in shortcuts],
        "warnings": [
            *([] if made is None else made["warnings"]),
            *(f"{name}: {entry['how']}" for name, entry in stored.items() if entry["leaking"]),
            *_corpus_warnings(usable, bool(stored), len(confirmed), repeats, conflicts),
            *said,
            *(shortcut.sentence() for shortcut in shortcuts if shortcut.strong),
        ],
    }


def _fold_sets(
    corpus: Corpus, folds: int | None, by: By | None, seed: int, said: list[str]
) -> dict[str, tuple[str, Rows]]:
    """Return the folds to make tables of: those stored, or drawn by image and, where they are known, by specimen."""
    if folds is None and by is None and "fold" in corpus.table:
        fold = pd.to_numeric(corpus.table["fold"], errors="coerce").fillna(-1).to_numpy().astype(np.intp)
        if len(np.unique(fold[fold >= 0])) > 1:
            return {"table1": ("stored folds", fold)}
    if len(corpus) < 2:
        return {}
    ways: list[By] = [by] if by is not None else ["image"] if corpus.groups is None else ["image", "specimen"]
    sets = {}
    for name, way in zip(("table1", "table1_by_specimen"), ways, strict=False):
        if way == "specimen" and len(np.unique(families(corpus))) < 2:
            said.append("all images are of one specimen or joined by generated ones: no folds by specimen")
            continue
        split = split_corpus(corpus, "kfold", folds=folds or FOLDS, by=way, seed=seed)
        fold = split.table["fold"].to_numpy().astype(np.intp)
        facts = split.splits[-1]
        said += [line for line in facts["warnings"] if not line.startswith("split by image:") and line not in said]
        sets[name] = (f"{facts['folds']} folds drawn by {way}, seed {seed}", fold)
    return sets


def _comparisons(corpus: Corpus) -> Iterator[tuple[str, Rows, Rows]]:
    """Yield a name, the rows learnt from and the rows judged, for every stored split and fold."""
    for column in corpus.table.columns:
        name = str(column)
        if name == "split" or name.startswith("split_"):
            parts = corpus.table[column].fillna("").astype(str).to_numpy()
            present = [part for part in ("train", "val", "test") if (parts == part).any()]
            for first, second in itertools.combinations(present, 2):
                yield f"{name}: {first} | {second}", np.flatnonzero(parts == first), np.flatnonzero(parts == second)
        elif name == "fold" or name.startswith("fold_"):
            folds = pd.to_numeric(corpus.table[column], errors="coerce").fillna(-1).to_numpy()
            for fold in np.unique(folds[folds >= 0]):
                yield (
                    f"{name} {int(fold)}",
                    np.flatnonzero((folds >= 0) & (folds != fold)),
                    np.flatnonzero(folds == fold),
                )


def _leakage(
    corpus: Corpus, likeness: Likeness, train: Rows, test: Rows, neighbours: int, confirmed_at: float
) -> dict[str, Any]:
    """Count the judged images that stand, themselves or as their likes, on the side that is learnt from."""
    test = test[~synthetic_rows(corpus)[test]]  # generated images never judge
    content = corpus.table["sha256"].astype(str).to_numpy(dtype=object)
    best = likeness.best(train, test, neighbours)
    repeated = np.isin(content[test].astype(str), content[train].astype(str))
    near = best >= confirmed_at
    groups = corpus.groups
    seen = np.zeros(len(test), bool) if groups is None else np.isin(groups[test].astype(str), groups[train].astype(str))
    shared = None if groups is None else len(set(groups[test][seen]))
    leaking = int((repeated | near | seen).sum())
    return {
        "leaking": leaking,
        "n": len(test),
        "n_train": len(train),
        "how": _how(int(repeated.sum()), int(seen.sum()), shared, int(near.sum()), len(test)),
        "byte_duplicates": int(repeated.sum()),
        "specimens_shared": shared,
        "candidates": int((best >= 0).sum()),
        "near_duplicates": int(near.sum()),
        "share_at": {
            f"{limit:.2f}": int(count) / max(1, len(best))
            for limit, count in zip(THRESHOLDS, confirmed_counts(best), strict=True)
        },
    }


def _how(repeated: int, seen: int, shared: int | None, near: int, n: int) -> str:
    """Say in one line what stands on both sides."""
    found = []
    if shared:
        found.append(f"{seen} of {n} images show one of {shared} specimens that stand on both sides")
    if repeated:
        found.append(f"{repeated} images repeat one byte for byte")
    if near:
        found.append(f"{near} of {n} images ({near / n:.1%}) nearly repeat one")
    if found:
        return ", ".join(found)
    return "nothing found" + (", specimens unknown" if shared is None else "")


def _without_split(corpus: Corpus, confirmed: Pairs) -> dict[str, Any]:
    """Count the images that a split not yet made could tear from their near-duplicates."""
    groups = corpus.groups
    if groups is not None:  # a split by specimen keeps the others together
        confirmed = confirmed[groups[confirmed[:, 0]] != groups[confirmed[:, 1]]]
    leaking = len(np.unique(confirmed))
    kept = "by image" if groups is None else "by specimen"
    how = f"no split is stored; a split {kept} could part these images from their near-duplicates"
    return {"leaking": leaking, "n": len(corpus), "how": how, "near_duplicates": leaking}


def _marked(corpus: Corpus) -> tuple[list[list[str]], list[list[str]]]:
    """Return the paths of equal content: with several labels, and with one."""
    told = claims(corpus.table)
    labelled = corpus.table.assign(label=told)[~pd.isna(told)]
    conflicts: list[list[str]] = []
    repeats: list[list[str]] = []
    for _, same in labelled.groupby("sha256", sort=False):
        if len(same) > 1:
            (conflicts if same["label"].nunique() > 1 else repeats).append([str(path) for path in same["path"]])
    return conflicts, repeats


def _path_groups(corpus: Corpus, pairs: Pairs) -> list[list[str]]:
    groups = groups_of(pairs, len(corpus))
    sizes = Counter(groups.tolist())
    paths = corpus.table["path"].astype(str).to_numpy()
    large = sorted((group for group, size in sizes.items() if size > 1), key=lambda group: -sizes[group])
    return [paths[groups == group].tolist() for group in large]


def _corpus_warnings(
    corpus: Corpus, split: bool, pairs: int, repeats: list[list[str]], conflicts: list[list[str]]
) -> list[str]:
    lines = []
    if not split:
        found = "no near-duplicates" if not pairs else f"{pairs} pairs of near-duplicates"
        lines.append(f"no split is stored, so only the corpus as a whole was audited: {found}")
    if corpus.groups is None:
        lines.append("specimens are unknown: their overlap cannot be counted, and near-duplicates do not replace it")
    if repeats:
        lines.append(f"{len(repeats)} images occur more than once, byte for byte")
    if conflicts:
        boxes = " or boxes" if "boxes" in corpus.table else ""
        lines.append(f"{len(conflicts)} images occur under different labels{boxes}")
    return lines

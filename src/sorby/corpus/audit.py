"""The audit of a corpus: what leaks across its splits, what repeats, and what gives the label away.

Near-duplicates are looked for in two stages, as the fracture study did: perceptual hashes name for every test
image its nearest training images within a Hamming radius, and SSIM on the pixels confirms them. The study lost
its radius and its number of neighbours; both are parameters here. Note that near-duplicates do not measure
specimen leakage: another magnification of the same specimen is no near-duplicate. Where specimens are known,
their overlap is counted directly.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus.near_duplicates import Hashes, Pairs, groups_of, hashes_of, pairs_within, ssim_of_pairs
from sorby.corpus.shortcuts import by_magnification, find_shortcuts
from sorby.corpus.table import Corpus

THRESHOLDS = (0.50, 0.60, 0.70, 0.80, 0.85, 0.90, 0.95)
"""SSIM values of the fracture study's leakage table."""

_LISTED = 50

Rows = npt.NDArray[np.intp]


def audit(corpus: Corpus, *, hamming: int = 10, ssim: float | None = 0.8, neighbours: int = 5) -> dict[str, Any]:
    """Audit a corpus and the splits it stores.

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

    Returns
    -------
    dict
        ``n``: images that take part. ``leakage``: by the name of every pair of parts and every fold stored (or,
        without one, ``no stored split``): ``leaking`` of ``n`` judged images that stand on the other side too,
        ``how``, and the counts it is made of: ``byte_duplicates``, ``specimens_shared``, ``near_duplicates``,
        ``share_at`` (SSIM threshold -> share of the judged images with so similar a neighbour).
        ``duplicates``, ``conflicts``: groups of paths of equal content, with one label and with several.
        ``near_duplicates``: ``pairs``, ``candidates`` and ``groups`` of paths. ``class_by_magnification``;
        ``shortcuts``; ``warnings``.

    Raises
    ------
    ImageError
        An image of the corpus is no longer readable.
    InputError
        The radius is too wide for these images.
    """
    usable = corpus.usable()
    hashes = hashes_of(usable)
    near = pairs_within(hashes, hamming)
    similarity = ssim_of_pairs(usable.paths(), near) if ssim is not None else np.ones(len(near))
    confirmed_at = 1.0 if ssim is None else ssim
    likeness = _Likeness(hashes, near, similarity)
    confirmed = near[similarity >= confirmed_at]
    stored = {
        name: _leakage(usable, likeness, train, test, neighbours, confirmed_at)
        for name, train, test in _comparisons(usable)
    }
    shortcuts = find_shortcuts(usable.table)
    conflicts, repeats = _marked(corpus)
    return {
        "n": len(usable),
        "method": f"pHash within {hamming} of 64 bits, {neighbours} nearest"
        + (", not confirmed by SSIM" if ssim is None else f", SSIM >= {ssim:g} (grey, longer side 128 px)"),
        "leakage": stored or {"no stored split": _without_split(usable, confirmed)},
        "duplicates": repeats,
        "near_duplicates": {
            "pairs": len(confirmed),
            "candidates": len(near),
            "groups": _path_groups(usable, confirmed)[:_LISTED],
        },
        "conflicts": conflicts,
        "class_by_magnification": by_magnification(usable.table) if "magnification" in usable.table else {},
        "shortcuts": [shortcut.as_dict() for shortcut in shortcuts],
        "warnings": [
            *(f"{name}: {entry['how']}" for name, entry in stored.items() if entry["leaking"]),
            *_corpus_warnings(usable, bool(stored), len(confirmed), repeats, conflicts),
            *(shortcut.sentence() for shortcut in shortcuts if shortcut.strong),
        ],
    }


class _Likeness:
    """Candidates among all images of the corpus, found once and used for every split."""

    def __init__(self, hashes: Hashes, near: Pairs, similarity: npt.NDArray[np.float64]) -> None:
        # Both directions, so that a test image finds its training images whichever comes first.
        self.of = np.concatenate([near[:, 0], near[:, 1]])
        self.to = np.concatenate([near[:, 1], near[:, 0]])
        self.similarity = np.concatenate([similarity, similarity])
        self.distance = np.bitwise_count(hashes[self.of] ^ hashes[self.to])

    def best(self, train: Rows, test: Rows, neighbours: int, n: int) -> npt.NDArray[np.float64]:
        """Return for every test image the largest SSIM among its nearest training images; -1 without any."""
        is_train, is_test = np.zeros(n, bool), np.zeros(n, bool)
        is_train[train], is_test[test] = True, True
        rows = np.flatnonzero(is_test[self.of] & is_train[self.to])
        rows = rows[np.lexsort((-self.similarity[rows], self.distance[rows], self.of[rows]))]
        image = self.of[rows]
        rank = np.arange(len(rows)) - np.searchsorted(image, image)
        rows = rows[rank < neighbours]
        best = np.full(n, -1.0)
        np.maximum.at(best, self.of[rows], self.similarity[rows])
        return best[test]


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
    corpus: Corpus, likeness: _Likeness, train: Rows, test: Rows, neighbours: int, confirmed_at: float
) -> dict[str, Any]:
    """Count the judged images that stand, themselves or as their likes, on the side that is learnt from."""
    content = corpus.table["sha256"].astype(str).to_numpy(dtype=object)
    best = likeness.best(train, test, neighbours, len(corpus))
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
        "share_at": {f"{limit:.2f}": float((best >= limit).mean()) if len(best) else 0.0 for limit in THRESHOLDS},
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
    labelled = corpus.table[corpus.table["label"].notna()]
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
        lines.append(f"{len(conflicts)} images occur under different labels")
    return lines

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

from sorby.corpus.near_duplicates import Hashes, Pairs, from_hex, groups_of, hash_images, pairs_within, ssim_of_pairs
from sorby.corpus.shortcuts import by_magnification, find_shortcuts
from sorby.corpus.table import Corpus

THRESHOLDS = (0.50, 0.60, 0.70, 0.80, 0.85, 0.90, 0.95)
"""SSIM values of the fracture study's leakage table."""

_LISTED = 50

Rows = npt.NDArray[np.intp]


def audit(
    corpus: Corpus, *, radius: int = 10, neighbours: int = 5, confirmed_at: float = 0.8, with_ssim: bool = True
) -> dict[str, Any]:
    """Audit a corpus and the splits it stores.

    Parameters
    ----------
    corpus : Corpus
    radius : int
        Bits of the 64-bit pHash within which images are candidates.
    neighbours : int
        Nearest training images looked at for each test image.
    confirmed_at : float
        SSIM from which a candidate counts as a near-duplicate in ``near_duplicates`` and the warnings.
    with_ssim : bool
        False takes the hash's word and reads no image.

    Returns
    -------
    dict
        ``leakage``: for every pair of parts of every stored split or fold: ``byte_duplicates``,
        ``specimens_shared``, ``near_duplicates``, ``share_at`` (SSIM threshold -> share of the tested images
        with a confirmed neighbour); ``duplicates``: ``byte`` and ``near`` groups of paths, with counts;
        ``conflicts``; ``class_by_magnification``; ``shortcuts``; ``warnings``.

    Raises
    ------
    ImageError
        An image of the corpus is no longer readable.
    InputError
        The radius is too wide for these images.
    """
    usable = corpus.usable()
    hashes = _hashes(usable)
    near = pairs_within(hashes, radius)
    similarity = ssim_of_pairs(usable.paths(), near) if with_ssim else np.ones(len(near))
    likeness = _Likeness(hashes, near, similarity)
    leakage = [
        _leakage(usable, likeness, name, train, test, neighbours, confirmed_at)
        for name, train, test in _comparisons(usable)
    ]
    shortcuts = find_shortcuts(usable.table)
    conflicts, repeats = _marked(corpus)
    confirmed = near[similarity >= confirmed_at]
    duplicates = {
        "byte": repeats[:_LISTED],
        "byte_groups": len(repeats),
        "near": _path_groups(usable, confirmed)[:_LISTED],
        "near_pairs": len(confirmed),
        "near_candidates": len(near),
    }
    return {
        "n": len(usable),
        "method": f"pHash within {radius} of 64 bits, {neighbours} nearest"
        + (f", SSIM >= {confirmed_at:g} (grey, longer side 128 px)" if with_ssim else ", not confirmed by SSIM"),
        "leakage": leakage,
        "duplicates": duplicates,
        "conflicts": conflicts,
        "class_by_magnification": by_magnification(usable.table) if "magnification" in usable.table else {},
        "shortcuts": [shortcut.as_dict() for shortcut in shortcuts],
        "warnings": [
            *_leak_warnings(leakage),
            *_corpus_warnings(usable, leakage, duplicates, conflicts),
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


def _hashes(corpus: Corpus) -> Hashes:
    """Return the stored hashes; where a row has none, its image is read."""
    stored = corpus.table.get("phash")
    if stored is None or stored.isna().any():
        return hash_images(corpus.paths())
    return from_hex(list(stored.astype(str)))


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
    corpus: Corpus, likeness: _Likeness, name: str, train: Rows, test: Rows, neighbours: int, confirmed_at: float
) -> dict[str, Any]:
    hashes = corpus.table["sha256"].to_numpy(dtype=object)
    best = likeness.best(train, test, neighbours, len(corpus))
    return {
        "split": name,
        "n_train": len(train),
        "n_test": len(test),
        "byte_duplicates": int(np.isin(hashes[test].astype(str), hashes[train].astype(str)).sum()),
        "specimens_shared": _shared_specimens(corpus, train, test),
        "candidates": int((best >= 0).sum()),
        "near_duplicates": int((best >= confirmed_at).sum()),
        "share_at": {f"{limit:.2f}": float((best >= limit).mean()) if len(best) else 0.0 for limit in THRESHOLDS},
    }


def _shared_specimens(corpus: Corpus, train: Rows, test: Rows) -> int | None:
    """Return how many specimens stand on both sides; None where specimens are unknown."""
    groups = corpus.groups
    return None if groups is None else len(set(groups[train]) & set(groups[test]))


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


def _leak_warnings(leakage: list[dict[str, Any]]) -> list[str]:
    lines = []
    for entry in leakage:
        found = []
        if entry["specimens_shared"]:
            found.append(f"{entry['specimens_shared']} specimens on both sides")
        if entry["byte_duplicates"]:
            found.append(f"{entry['byte_duplicates']} images repeated byte for byte")
        if entry["near_duplicates"]:
            share = entry["near_duplicates"] / entry["n_test"]
            found.append(f"{entry['near_duplicates']} of {entry['n_test']} images ({share:.1%}) nearly repeated")
        if found:
            lines.append(f"{entry['split']}: {', '.join(found)}")
    return lines


def _corpus_warnings(
    corpus: Corpus, leakage: list[dict[str, Any]], duplicates: dict[str, Any], conflicts: list[list[str]]
) -> list[str]:
    lines = []
    if not leakage:
        lines.append("no split is stored, so only the corpus as a whole was audited")
    if corpus.groups is None:
        lines.append("specimens are unknown: their overlap cannot be counted, and near-duplicates do not replace it")
    if duplicates["byte_groups"]:
        lines.append(f"{duplicates['byte_groups']} images occur more than once, byte for byte")
    if conflicts:
        lines.append(f"{len(conflicts)} images occur under different labels")
    return lines

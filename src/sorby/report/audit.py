"""Who was taught and who was tested: the parts of a split, counted and checked against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True)
class SplitAudit:
    """The parts of a split.

    Attributes
    ----------
    parts : tuple of str
        ``train``, ``val``, ``test``, or the test folds.
    classes : tuple of str
    counts : ndarray of int, shape (P, C)
        Images of each class in each part.
    specimens : tuple of int or None
        Specimens in each part; None where the corpus names none.
    n_specimens : int or None
        Specimens in all.
    shared_specimens : tuple of str
        Those with images in more than one part.
    shared_images : tuple of str
        Paths of images whose very bytes stand in more than one part.
    unhashed : int
        Images without a content hash, which could not be compared.
    """

    parts: tuple[str, ...]
    classes: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    specimens: tuple[int, ...] | None
    n_specimens: int | None
    shared_specimens: tuple[str, ...]
    shared_images: tuple[str, ...]
    unhashed: int

    @property
    def clean(self) -> bool:
        """Whether specimens are known and nothing stands in two parts."""
        return self.specimens is not None and not self.shared_specimens and not self.shared_images

    @property
    def untested(self) -> tuple[str, ...]:
        """Classes without a single image in some part, with the parts."""
        return tuple(
            f"{name} (none in {', '.join(self.parts[p] for p in np.flatnonzero(column == 0))})"
            for name, column in zip(self.classes, self.counts.T, strict=True)
            if (column == 0).any()
        )


def audit_split(
    labels: Sequence[Any],
    parts: Sequence[Any],
    classes: Sequence[str],
    hashes: Sequence[Any],
    paths: Sequence[str],
    specimens: Sequence[Any] | None,
) -> SplitAudit:
    """Count the parts of a split and look for specimens and files that stand in two.

    Parameters
    ----------
    labels, parts, hashes, paths : sequence, length n
        Class, part, SHA-256 and path of each image.
    classes : sequence of str
    specimens : sequence, length n, optional
        Physical specimen of each image.
    """
    table = pd.DataFrame({"label": labels, "part": parts, "sha256": hashes, "path": paths}).astype(str)
    known = ("train", "val", "test")
    names = sorted(
        table["part"].unique(), key=lambda part: (known.index(part) if part in known else 3, len(part), part)
    )
    counts = (
        table.groupby(["part", "label"]).size().unstack(fill_value=0)
        .reindex(index=names, columns=list(classes), fill_value=0)
    )  # fmt: skip
    hashed = table[table["sha256"].str.fullmatch("[0-9a-f]{64}")]
    spread = hashed.groupby("sha256")["part"].nunique()
    repeated = hashed[hashed["sha256"].isin(spread.index[spread > 1])]
    within: tuple[int, ...] | None = None
    shared: tuple[str, ...] = ()
    total = None
    if specimens is not None:
        groups = pd.Series(list(specimens), index=table.index).astype(str)
        within = tuple(int(groups[table["part"] == name].nunique()) for name in names)
        per_specimen = table["part"].groupby(groups).nunique()
        shared, total = tuple(str(name) for name in per_specimen.index[per_specimen > 1]), len(per_specimen)
    return SplitAudit(
        tuple(names),
        tuple(classes),
        counts.to_numpy(dtype=np.int64),
        within,
        total,
        shared,
        tuple(repeated["path"]),
        len(table) - len(hashed),
    )

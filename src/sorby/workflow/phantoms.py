"""``phantom``: synthetic specimens as a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sorby.corpus import Corpus, build
from sorby.files import atomic_write
from sorby.phantom import DEMO_CLASSES, write_novel, write_steel
from sorby.progress import bar


def write_steel_corpus(
    out: Path | str,
    count: int,
    *,
    seed: int = 0,
    size_px: int = 448,
    label: str = "code",
    novel: int = 0,
    classes: tuple[str, ...] | None = None,
    images_per_specimen: int = 2,
) -> dict[str, Any]:
    """Render steel phantoms and their corpus.

    Parameters
    ----------
    out : path
        Gets ``steel/`` (images, masks, truth), ``corpus.parquet`` and, where *novel* is above 0, ``novel/``.
    count : int
        Images of known classes.
    seed, size_px : int
    label : {"code", "subtype"}
        Which truth is the label.
    novel : int
        Images of structures that are not in the corpus, for testing referral.
    classes : tuple of str, optional
        Structure codes to render.
    images_per_specimen : int

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes``, ``novel``.
    """
    out = Path(out)
    with bar("rendering", count) as advance:
        done = 0

        def step(images: int, _total: int) -> None:
            nonlocal done
            advance(images - done)
            done = images

        table = write_steel(
            out / "steel",
            count,
            seed,
            size_px=size_px,
            images_per_specimen=images_per_specimen,
            classes=DEMO_CLASSES if classes is None else classes,
            progress=step,
        )
    if label == "subtype":
        table = table.assign(label=table["subtype"])
    corpus = _corpus(out, table)
    path = corpus.save(out / "corpus.parquet")
    if novel:
        write_novel(out / "novel", novel, seed, size_px=size_px)
    counts = corpus.table["label"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "novel": str(out / "novel") if novel else None,
    }


def _corpus(out: Path, table: pd.DataFrame) -> Corpus:
    """Build the corpus of rendered images through the same door as real ones."""
    listing = table.assign(path=[f"steel/{path}" for path in table["path"]])
    with atomic_write(out / "labels.csv") as file:
        file.write(listing.to_csv(index=False).encode("utf-8"))
    return build([out / "labels.csv"]).corpus

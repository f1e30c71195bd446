"""The base set of a few-shot detector: rendered defects as a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sorby.phantom.defects import write_defects
from sorby.workflow.phantoms import built_corpus, counting

#: Pictures of a set where nobody says how many.
DEFECT_PICTURES = 200


def write_defect_corpus(
    out: Path | str, count: int | None = None, *, seed: int = 0, size_px: int = 256, family: str | None = None
) -> dict[str, Any]:
    """Render pictures of many kinds of defects on many surfaces, and their corpus: the base set of a detector.

    Parameters
    ----------
    out : path
        Gets ``defects/`` (see `sorby.phantom.defects.write_defects`) and ``corpus.parquet``, whose column ``boxes``
        holds the boxes.
    count : int, optional
        Pictures; 200 where None.
    seed : int
    size_px : int
        Edge of a picture.
    family : str, optional
        Of the surfaces; mixed where None.

    Returns
    -------
    dict
        ``corpus``, ``rows``, ``classes`` (pictures with and without defects), ``defects`` (boxes of each kind),
        ``truth``, ``boxes``.

    Raises
    ------
    InputError
        A request cannot be met, or the folder cannot be written.
    """
    out = Path(out)
    place = out / "defects"
    number = DEFECT_PICTURES if count is None else count
    with counting("rendering", number) as step:
        table = write_defects(place, number, seed, size=(size_px, size_px), family=family, progress=step)
    corpus = built_corpus(out, table, "defects")
    path = corpus.save(out / "corpus.parquet")
    kinds = pd.read_csv(place / "truth.csv")["kind"].value_counts().to_dict()
    counts = corpus.table["label"].value_counts().to_dict()
    return {
        "corpus": str(path),
        "rows": len(corpus),
        "classes": {str(name): int(number) for name, number in sorted(counts.items())},
        "defects": {str(name): int(number) for name, number in sorted(kinds.items())},
        "truth": str(place / "truth.csv"),
        "boxes": str(place / "boxes.json"),
    }

"""Which images of an archive's corpus are matched for certain, to give results without the rest too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.corpus.table import Corpus
from sorby.errors import InputError


def certain_matches(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell images whose FOAN is a report's from those matched by similarity (S4: label noise of fuzzy matches).

    Parameters
    ----------
    table : DataFrame
        Rows of a corpus with a column ``match``.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for exact matches, a person's corrections among them; False for fuzzy ones, ties and unmatched images.

    Raises
    ------
    InputError
        There is no such column.
    """
    if "match" not in table:
        raise InputError(
            "the corpus does not say how its images were matched", "sorby corpus build ARCHIVE --reports DIR"
        )
    values: npt.NDArray[Any] = table["match"].astype(object).to_numpy()
    return np.asarray(values == "exact", dtype=np.bool_)


def without_uncertain(corpus: Corpus) -> Corpus:
    """Return the corpus without images that were matched by similarity or not at all.

    Parameters
    ----------
    corpus : Corpus
        Built from an archive.
    """
    return corpus.take(certain_matches(corpus.table))

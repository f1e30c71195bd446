"""The corrosion phantoms of a paper run: as many originals of each alloy as were published, rendered once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

import sorby.phantom.corrosion as drawing
from sorby.backbone.cache import cache_folder
from sorby.corpus import Corpus
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.workflow.papers import bhat2023 as s2
from sorby.workflow.phantoms import write_corrosion_corpus

_SHARED = ("place_noise", "writing", "info_bars")  # modules that corrosion phantoms share with others
SIZE_PX = s2.TEXT_INPUT


def published_corrosion(seed: int = 0, folder: Path | str | None = None) -> Path:
    """Return a corpus of 12 pictures of 316L and 13 of AZ31B, one a coupon, with the curves of every coupon.

    Parameters
    ----------
    seed : int
    folder : path, optional
        Where sets are kept; ``phantoms`` in the cache folder where None. The key in the set's name changes with the
        code that draws.

    Returns
    -------
    Path
        Of ``published.parquet``; complete, or not there at all.
    """
    home = cache_folder() / "phantoms" if folder is None else Path(folder)
    place = home / f"corrosion-{seed}-{_generator_key()}"
    path = place / "published.parquet"
    if not path.is_file():
        wanted = {alloy: counts[0] for alloy, counts in s2.TABLE_3.items()}
        drawn = write_corrosion_corpus(place, 2 * max(wanted.values()), seed=seed, size_px=SIZE_PX, images=1)
        corpus = Corpus.load(drawn["corpus"])
        kept = [np.flatnonzero(corpus.labels == alloy)[:count] for alloy, count in wanted.items()]
        corpus.take(np.sort(np.concatenate(kept))).save(path)
    return path


def _generator_key() -> str:
    """Return eight hexadecimal digits that change with the code that draws coupons."""
    if drawing.__file__ is None:
        raise InputError("the corrosion phantoms have no source files", "install sorby from its wheel or a checkout")
    own = Path(drawing.__file__).parent
    digest = hashlib.sha256()
    for path in (*sorted(own.glob("*.py")), *(own.parent / f"{name}.py" for name in _SHARED)):
        digest.update(sha256_file(path).encode())
    return digest.hexdigest()[:8]

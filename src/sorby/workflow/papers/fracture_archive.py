"""The fracture phantoms of a paper run: rendered once into the cache, and read as an archive of reports is read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

import sorby.phantom.fracture as drawing
from sorby.backbone.cache import cache_folder
from sorby.corpus import Corpus
from sorby.corpus.table import relative_to
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.workflow.archive.building import build_archive_corpus
from sorby.workflow.phantoms import write_fracture_corpus

SPECIMENS = 240
_SHARED = ("place_noise", "writing")  # modules that fracture phantoms share with others
TRUTH_COLUMNS = ("cues", "origin_in_view", "contamination")
"""What only phantoms know; the corpus that is read from their archive gets it from their truth."""


def published_fracture(specimens: int = SPECIMENS, seed: int = 0, folder: Path | str | None = None) -> Path:
    """Return the corpus read from an archive of phantoms: small pictures, info bars, reports with mistakes.

    Parameters
    ----------
    specimens : int
        Each has some eleven pictures; S4 had about 790.
    seed : int
    folder : path, optional
        Where sets are kept; ``phantoms`` in the cache folder where None. The set lies in
        ``fracture-<specimens>-<seed>-<key>`` below it; the key changes with the code that draws.

    Returns
    -------
    Path
        Of ``corpus.parquet`` as `read_as_archive` makes it; complete, or not there at all.
    """
    home = cache_folder() / "phantoms" if folder is None else Path(folder)
    place = home / f"fracture-{specimens}-{seed}-{_generator_key()}"
    if not (place / "read" / "corpus.parquet").is_file():
        if not (place / "corpus.parquet").is_file():
            write_fracture_corpus(place, specimens, seed=seed, size="small")
        read_as_archive(place, place / "read")
    return place / "read" / "corpus.parquet"


def read_as_archive(phantom: Path, out: Path) -> dict[str, Any]:
    """Build the corpus of a phantom archive from its names and reports, and add what only its truth knows.

    Parameters
    ----------
    phantom : Path
        From `sorby.workflow.phantoms.write_fracture_corpus`.
    out : Path
        Folder; gets ``corpus.parquet`` with review table and match report beside it.

    Returns
    -------
    dict
        As of `sorby.workflow.archive.building.build_archive_corpus`.
    """
    archive, path = phantom / "archive", out / "corpus.parquet"
    out.mkdir(parents=True, exist_ok=True)
    built = build_archive_corpus([archive], path, archive / "reports")
    corpus, truth = Corpus.load(path), Corpus.load(phantom / "corpus.parquet")
    known = truth.table.drop_duplicates("sha256").set_index("sha256")[list(TRUTH_COLUMNS)]
    facts = known.reindex(corpus.table["sha256"]).set_axis(corpus.table.index)
    home = out.resolve()
    facts["cues"] = [None if pd.isna(p) else relative_to(truth.root / str(p), home) for p in facts["cues"]]
    Corpus(corpus.table.assign(**facts), corpus.root, corpus.history, corpus.splits).save(path)
    return built


def _generator_key() -> str:
    """Return eight hexadecimal digits that change with the code that draws fractures."""
    if drawing.__file__ is None:
        raise InputError("the fracture phantoms have no source files", "install sorby from its wheel or a checkout")
    own = Path(drawing.__file__).parent
    digest = hashlib.sha256()
    for path in (*sorted(own.glob("*.py")), *(own.parent / f"{name}.py" for name in _SHARED)):
        digest.update(sha256_file(path).encode())
    return digest.hexdigest()[:8]

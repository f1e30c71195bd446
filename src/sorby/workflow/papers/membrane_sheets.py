"""The membrane phantoms of a paper run: drawn once into the cache, found again by the code that drew them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import ModuleType

import sorby.phantom.membrane as drawing
from sorby.backbone.cache import cache_folder
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.phantom.membrane import write_membrane
from sorby.progress import bar
from sorby.workflow.detection import negatives, published_crops
from sorby.workflow.detection.published_crops import PublishedCrops, write_published_crops


def published_membrane(scale: float = 1.0, seed: int = 0, folder: Path | str | None = None) -> Path:
    """Return the folder of the eight published sheets as phantoms.

    Parameters
    ----------
    scale : float
        Of 8 x 11 inches; the pixel size stays.
    seed : int
    folder : path, optional
        Where sets are kept; ``phantoms`` in the cache folder where None. The set lies in
        ``membrane-<scale>-<seed>-<key>`` below it; the key changes with the code that draws.

    Returns
    -------
    Path
        With ``labels.csv``, ``sheets/`` and ``masks/``; complete, or not there at all.
    """
    home = cache_folder() / "phantoms" if folder is None else Path(folder)
    place = home / f"membrane-{scale:g}-{seed}-{_generator_key()}"
    if not (place / "labels.csv").is_file():
        home.mkdir(parents=True, exist_ok=True)
        with bar("rendering sheets", 8) as advance:
            write_membrane(place, seed=seed, scale=scale, progress=lambda done, total: advance(1))
    return place


def published_crop_corpus(
    kind: PublishedCrops,
    scale: float = 1.0,
    seed: int = 0,
    *,
    off_centre: bool = False,
    folder: Path | str | None = None,
) -> Path:
    """Return the corpus of the crops on which few-shot detection was published, as phantoms.

    Parameters
    ----------
    kind : {"pinholes", "scratches"}
    scale, seed, folder
        As for `published_membrane`; the crops lie in ``KIND-<scale>-<seed>-<key>``.
    off_centre : bool
        Pinholes that lie anywhere in their crops.

    Returns
    -------
    Path
        ``corpus.parquet``, with the images beside it.
    """
    home = cache_folder() / "phantoms" if folder is None else Path(folder)
    name = f"{kind}{'-off-centre' if off_centre else ''}"
    place = home / f"{name}-{scale:g}-{seed}-{_generator_key(published_crops, negatives)}"
    if not (place / "corpus.parquet").is_file():
        place.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place / "crops", ignore_errors=True)  # of a run that was killed before its corpus stood
        write_published_crops(place, kind, seed=seed, scale=scale, off_centre=off_centre)
    return place / "corpus.parquet"


def _generator_key(*further: ModuleType) -> str:
    """Return eight hexadecimal digits that change with the code that draws sheets, and with further modules."""
    if drawing.__file__ is None:
        raise InputError("the membrane phantoms have no source files", "install sorby from its wheel or a checkout")
    digest = hashlib.sha256()
    for path in sorted(Path(drawing.__file__).parent.glob("*.py")):
        digest.update(sha256_file(path).encode())
    for module in further:
        digest.update(sha256_file(Path(str(module.__file__))).encode())
    return digest.hexdigest()[:8]

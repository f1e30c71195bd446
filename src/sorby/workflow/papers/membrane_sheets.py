"""The membrane phantoms of a paper run: rendered once into the cache, found again by the code that drew them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import sorby.phantom.membrane as drawing
from sorby.backbone.cache import cache_folder
from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.phantom.membrane import write_membrane
from sorby.progress import bar


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


def _generator_key() -> str:
    """Return eight hexadecimal digits that change with the code that draws sheets."""
    if drawing.__file__ is None:
        raise InputError("the membrane phantoms have no source files", "install sorby from its wheel or a checkout")
    digest = hashlib.sha256()
    for path in sorted(Path(drawing.__file__).parent.glob("*.py")):
        digest.update(sha256_file(path).encode())
    return digest.hexdigest()[:8]

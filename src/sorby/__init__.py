"""From a materials image to a verdict somebody can defend.

>>> import sorby
>>> result = sorby.train("steel_images/", "runs/first")  # doctest: +SKIP
>>> classifier = sorby.load(result["bundle"])  # doctest: +SKIP

The verbs read like the command line; they are loaded when first used, so importing sorby is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sorby._version import __version__

if TYPE_CHECKING:
    from sorby.corpus import Corpus
    from sorby.micrograph import Micrograph, read
    from sorby.workflow import build, crossval, evaluate, inspect, load, train, tune

__all__ = [
    "Corpus",
    "Micrograph",
    "__version__",
    "build",
    "crossval",
    "evaluate",
    "inspect",
    "load",
    "read",
    "train",
    "tune",
]

_PLACES = {
    "Corpus": "sorby.corpus",
    "Micrograph": "sorby.micrograph",
    "build": "sorby.workflow",
    "crossval": "sorby.workflow",
    "evaluate": "sorby.workflow",
    "inspect": "sorby.workflow",
    "load": "sorby.workflow",
    "read": "sorby.micrograph",
    "train": "sorby.workflow",
    "tune": "sorby.workflow",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'sorby' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)

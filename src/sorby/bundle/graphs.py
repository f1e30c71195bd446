"""From an open bundle to its graph, where the bundle stores none: each task registers who can make it."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from sorby.bundle.reading import OpenBundle

GraphMaker = Callable[[OpenBundle], bytes]
"""Called with the open bundle; returns an ONNX graph."""

_MAKERS: dict[str, str] = {}


def register_graph_maker(kind: str, maker: str) -> None:
    """Say who makes the graph of bundles of *kind*.

    Parameters
    ----------
    kind : str
        `sorby.bundle.Description.kind`.
    maker : str
        ``"package.module:function"``, imported on first use. The name comes from our code, never from a bundle.

    Raises
    ------
    ValueError
        Another maker has the kind already, or the text is not ``module:function``.
    """
    if maker.count(":") != 1:
        raise ValueError(f"{maker!r} is not 'package.module:function'")
    if _MAKERS.setdefault(kind, maker) != maker:
        raise ValueError(f"bundles of kind {kind!r} have a graph maker already: {_MAKERS[kind]}")


def make_graph(bundle: OpenBundle) -> bytes | None:
    """Return the graph of a bundle as its task makes it; None where no task does."""
    maker = _MAKERS.get(bundle.description.kind)
    if maker is None:
        return None
    module, function = maker.split(":")
    made: bytes = getattr(importlib.import_module(module), function)(bundle)
    return made

"""From an open bundle to a working model: each task registers who can do that."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sorby.bundle.reading import OpenBundle, open_bundle
from sorby.errors import BundleError

Loader = Callable[[OpenBundle, str], Any]
"""Called with the open bundle and the device (``auto``, ``cpu``, ``cuda``); returns the task's model."""

_LOADERS: dict[str, Loader | str] = {}


def register_loader(kind: str, loader: Loader | str) -> None:
    """Say who loads bundles of *kind*.

    Parameters
    ----------
    kind : str
        `sorby.bundle.Description.kind`.
    loader : callable or str
        ``loader(bundle, device)``, or ``"package.module:function"`` imported on first use, so that
        registering costs no import of torch. The name comes from our code, never from a bundle.

    Raises
    ------
    ValueError
        Another loader has the kind already, or the text is not ``module:function``.
    """
    if isinstance(loader, str) and loader.count(":") != 1:
        raise ValueError(f"{loader!r} is not 'package.module:function'")
    if _LOADERS.setdefault(kind, loader) != loader:
        raise ValueError(f"bundles of kind {kind!r} have a loader already: {_LOADERS[kind]}")


def registered_kinds() -> list[str]:
    """Return the kinds of bundle that can be loaded, sorted."""
    return sorted(_LOADERS)


def load(path: Path | str, *, require_signed: bool = False, device: str = "auto") -> Any:
    """Verify a bundle and turn it into a working model.

    Parameters
    ----------
    path : Path or str
        A bundle folder or a ``.sorby`` archive.
    require_signed : bool
        Refuse a bundle that is not signed with a trusted key.
    device : {'auto', 'cpu', 'cuda'}
        Handed to the loader.

    Returns
    -------
    object
        What the loader of the bundle's kind returns.

    Raises
    ------
    BundleError
        See `sorby.bundle.open_bundle`; or nobody here loads this kind.
    """
    bundle = open_bundle(path, require_signed=require_signed)
    kind = bundle.description.kind
    loader = _LOADERS.get(kind)
    if loader is None:
        known = ", ".join(registered_kinds()) or "none"
        raise BundleError(f"{path}: nothing here loads a bundle of kind '{kind}'", f"kinds known: {known}")
    if isinstance(loader, str):
        module, function = loader.split(":")
        loader = getattr(importlib.import_module(module), function)
    return loader(bundle, device)

"""Opening generators, and what they draw for being judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sorby.backbone.runtime import Device
from sorby.errors import InputError
from sorby.synthesize import Generator, Samples
from sorby.workflow.synthesis.judging import Made
from sorby.workflow.synthesis.originals import Originals

BUNDLE = "generator.sorby"
"""The generator within the folder that teaching leaves."""
RUN_FILE = "run.json"
"""What teaching says of itself, beside the generator."""


def bundle_path(generator: Path | str) -> Path:
    """Return the bundle of a generator: the file itself, or the one in a folder that teaching left.

    Raises
    ------
    InputError
        Nothing is there.
    """
    path = Path(generator)
    if (path / BUNDLE).exists():
        return path / BUNDLE
    if not path.exists():
        raise InputError(f"{path}: no such generator", "teach one: sorby synthesize train DATA --out FOLDER")
    return path


def open_generator(generator: Path | str, device: Device, *, require_signed: bool = False) -> Generator:
    """Open a generator by its bundle or by the folder that teaching left."""
    return Generator.load(bundle_path(generator), device=device, require_signed=require_signed)


def taught_data(generator: Path | str) -> dict[str, Any] | None:
    """Return where the originals lie that a generator was taught from, as teaching noted it beside the bundle.

    Returns
    -------
    dict or None
        ``path``, ``part``, ``label``, ``group``, ``image``; None where nothing is noted or the data have gone.
    """
    note = bundle_path(generator).parent / RUN_FILE
    if not note.is_file():
        return None
    try:
        found = json.loads(note.read_text("utf-8")).get("data")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{note}: not readable ({error})", "name the originals: --parents DATA") from error
    if not isinstance(found, dict) or not found.get("path") or not Path(str(found["path"])).exists():
        return None
    return {"part": "train", "label": None, "group": None, "image": None, **found}


def drawn(
    generator: Generator, originals: Mapping[str, Originals] | None, label: str, count: int, seed: int
) -> Samples:
    """Draw images of a class, from the originals where the method needs them."""
    if not generator.needs_parents:
        return generator.sample(label, count, seed=seed)
    if originals is None or label not in originals:
        what = "sequences" if generator.recipe.needs_sequences else "originals"
        raise InputError(f"{generator.recipe.method} generates from {what} of class {label}", "give --parents DATA")
    own = originals[label]
    return generator.sample(label, count, seed=seed, parents=own.pixels, parent_names=own.names)


def made_of(generator: Generator, samples: Samples, originals: Originals | None, untaught: Samples | None) -> Made:
    """Return samples as what is judged."""
    parents = None
    if generator.needs_parents and originals is not None:
        parents = [originals.names[k] for k in samples.parent.tolist()]
    return Made(
        np.asarray(samples.pixels), [frozenset(names) for names in samples.ancestors], parents,
        None if untaught is None else np.asarray(untaught.pixels),
    )  # fmt: skip

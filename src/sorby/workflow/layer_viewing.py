"""``layers``: what every layer of a classifier's network makes of some images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sorby.attribution.colour_maps import COLOUR_MAPS
from sorby.attribution.layer_views import LayerView, chosen_layers, view_layers, visible_layers
from sorby.classify.verdict import Verdict
from sorby.errors import InputError, Quarantined, SorbyError
from sorby.files import staged_directory, write_text
from sorby.micrograph import read
from sorby.report.layers_page import ImageLayers, layers_page
from sorby.workflow.inspection import gather
from sorby.workflow.opening import open_classifier

PAGE_FILE = "layers.html"
_MOST_LAYERS = 12  # of a network that nobody chose layers of
_MOST_IMAGES = 24  # a page of more is not looked at


def show_layers(
    bundle: Path | str,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    colour_map: str | None = None,
    layers: Sequence[int] = (),
    every_layer: bool = False,
    require_signed: bool = False,
) -> dict[str, Any]:
    """Write the strongest channels of a network's layers for some images (Bhat et al. 2023, Fig. 9).

    Parameters
    ----------
    bundle : path
        Of a classifier, fine-tuned or frozen.
    paths : sequence of path
        Image files and folders.
    out : path
        Folder for a PNG a layer and image, and ``layers.html``.
    colour_map : str, optional
        For all layers; each the map it has in the published figure where absent.
    layers : sequence of int
        Numbers of layers; all where absent, or twelve evenly spaced ones of a deeper network.
    every_layer : bool
        All layers of a deeper network too.
    require_signed : bool

    Returns
    -------
    dict
        ``page``, ``network``, ``of_layers``, ``images`` (``file``, ``label``, ``confidence``, ``layers`` with
        ``number``, ``name``, ``kind``, ``shape``, ``channels``, ``flat``, ``colour_map``, ``file``), ``warnings``,
        ``quarantined``.

    Raises
    ------
    InputError
        No images, too many, an unknown colour map or layer, or a network without convolutions.
    """
    if colour_map is not None and colour_map not in COLOUR_MAPS:
        raise InputError(f"no colour map named {colour_map!r}", f"one of: {', '.join(COLOUR_MAPS)}")
    files = gather([Path(path) for path in paths])
    if len(files) > _MOST_IMAGES:
        raise InputError(f"{len(files)} images are more than one page shows ({_MOST_IMAGES})", "name some of them")
    classifier, opened = open_classifier(bundle, require_signed=require_signed)
    model, p = classifier.logits_module(), classifier.preprocessing
    blank = np.zeros((1, p.height, p.width, p.channels), np.uint8)
    found = visible_layers(model, blank)
    numbers = chosen_layers(len(found), layers, len(found) if every_layer else _MOST_LAYERS)
    shown = [(number, found[number - 1]) for number in numbers]
    warnings = []
    if not layers and len(shown) < len(found):
        warnings.append(f"{len(shown)} of {len(found)} layers are shown; --layer N shows any, --every-layer all")
    quarantined: list[Quarantined] = []
    pages: list[ImageLayers] = []
    told: list[dict[str, Any]] = []
    with staged_directory(out) as folder:
        for outcome in classifier.inspect(files, device="cpu"):
            if isinstance(outcome, Quarantined):
                quarantined.append(outcome)
                continue
            try:
                pixels = classifier.prepared(read(outcome.image))
            except SorbyError as error:  # readable a moment ago
                quarantined.append(Quarantined.from_error(outcome.image, error))
                continue
            views = view_layers(model, pixels[None], shown, colour_map)
            told.append(_written(folder, len(told), outcome, views))
            pages.append(ImageLayers(outcome.image.name, _verdict(outcome), pixels, views))
        if not pages:
            raise InputError(f"none of {len(files)} images could be read ({quarantined[0].reason})", "check the files")
        result = {"warnings": warnings, "quarantined": [entry.as_dict() for entry in quarantined]}
        name = ", ".join(str(facts["name"]) for facts in _networks(opened.description.model))
        title = f"Layers: {opened.description.name}"
        write_text(folder / PAGE_FILE, layers_page(title, name, len(found), pages, result))
    return {
        "page": str(Path(out) / PAGE_FILE),
        "network": name,
        "of_layers": len(found),
        "images": [{**entry, "layers": [_placed(Path(out), layer) for layer in entry["layers"]]} for entry in told],
        **result,
    }


def _networks(model: Any) -> list[dict[str, Any]]:
    return list(dict(model)["networks"])


def _verdict(verdict: Verdict) -> str:
    referred = f"; referred: {', '.join(verdict.reasons)}" if verdict.reasons else ""
    return f"{verdict.label}, confidence {verdict.confidence:.2f}{referred}"


def _written(folder: Path, place: int, verdict: Verdict, views: Sequence[LayerView]) -> dict[str, Any]:
    """Write an image's pictures and return what is told of it; files are relative to the folder."""
    own = f"{place:02d}-{verdict.image.stem}"
    (folder / own).mkdir()
    told = []
    for view in views:
        file = f"{own}/layer-{view.number:02d}-{view.colour_map}.png"
        Image.fromarray(view.picture).save(folder / file, format="PNG")
        told.append(
            {
                "number": view.number,
                "name": view.name,
                "kind": view.kind,
                "shape": list(view.shape),
                "channels": list(view.channels),
                "flat": view.flat,
                "colour_map": view.colour_map,
                "file": file,
            }
        )
    return {"file": str(verdict.image), "label": verdict.label, "confidence": verdict.confidence, "layers": told}


def _placed(out: Path, layer: dict[str, Any]) -> dict[str, Any]:
    return {**layer, "file": str(out / layer["file"])}

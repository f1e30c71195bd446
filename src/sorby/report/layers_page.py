"""The page of a network's layers: what each made of an image, strongest channels first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sorby import provenance
from sorby.attribution.colour_maps import COLOUR_MAPS
from sorby.attribution.layer_views import LayerView
from sorby.report.page import render
from sorby.report.thumbnails import Uint8Image, embed, shrink

_INPUT_PX = 224


@dataclass(frozen=True, eq=False)
class ImageLayers:
    """What is shown of one image.

    Attributes
    ----------
    name : str
    verdict : str
    pixels : ndarray of uint8, shape (H, W, C)
        As the network sees it.
    views : sequence of LayerView
    """

    name: str
    verdict: str
    pixels: Uint8Image
    views: Sequence[LayerView]


def layers_page(
    title: str, network: str, of_layers: int, images: Sequence[ImageLayers], facts: Mapping[str, Any]
) -> str:
    """Return the page.

    Parameters
    ----------
    title, network : str
    of_layers : int
        Convolutions and pools of the network, shown or not.
    images : sequence of ImageLayers
    facts : mapping
        The command's result: ``warnings``, ``quarantined``.
    """
    made = provenance.describe()
    parts = []
    for image in images:
        rows = [
            {
                "view": view,
                "picture": embed(view.picture, f"{image.name}, layer {view.number}: strongest channels"),
                "channels": ", ".join(map(str, view.channels)),
            }
            for view in image.views
        ]
        seen = image.pixels[..., 0] if image.pixels.shape[-1] == 1 else image.pixels
        parts.append({"image": image, "seen": embed(shrink(seen, _INPUT_PX), f"{image.name} as seen"), "rows": rows})
    return render(
        "layers.html",
        title=title,
        network=network,
        of_layers=of_layers,
        parts=parts,
        purposes={name: path.purpose for name, path in COLOUR_MAPS.items()},
        facts=facts,
        sorby_version=made["versions"]["sorby"],
        created=str(made["created"])[:16].replace("T", " ") + " UTC",
    )

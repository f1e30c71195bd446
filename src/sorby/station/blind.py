"""What raters see of an image: its pixels without info bar, tags or name; the page draws the micron bar."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from PIL import Image

from sorby.errors import InputError, SorbyError
from sorby.micrograph import read, to_uint8
from sorby.micrograph.info_bar import find_info_bar
from sorby.micrograph.info_bar.cropping import crop_info_bar
from sorby.station.store import Store
from sorby.study import Design


def blind_copies(store: Store, design: Design) -> Mapping[str, str]:
    """Put a copy of every image of a design into the store.

    Returns
    -------
    mapping of str to str
        Item to SHA-256 of its copy, an eight-bit PNG.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    return {item.name: item.copy_sha256 or _copied(store, item.sha256) for item in design.items}


def _copied(store: Store, sha256: str) -> str:
    try:
        pixels = to_uint8(read(store.path(sha256)).pixels)
    except SorbyError as error:
        raise InputError(f"image {sha256[:12]} cannot be copied ({error.message})", "leave it out") from error
    picture = BytesIO()
    Image.fromarray(np.ascontiguousarray(crop_info_bar(pixels, find_info_bar(pixels)))).save(picture, "PNG")
    return store.put(picture.getvalue()).sha256

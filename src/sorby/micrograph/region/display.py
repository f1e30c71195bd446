"""A region shown on its micrograph, in the manner of the published supplementary figure 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import find_objects, label

from sorby.micrograph.image import Pixels
from sorby.micrograph.intensity import to_rgb, to_uint8
from sorby.micrograph.region.proposal import Region
from sorby.micrograph.region.rectangle import inscribed_rectangle

_RED, _GREEN, _BLUE, _YELLOW = (214, 39, 40), (44, 160, 44), (31, 119, 180), (255, 221, 51)
_TINTS = {"bar": _BLUE, "resin": _RED, "defocus": _RED, "bleeding": _GREEN}
_OPACITY = 0.5
_LONGEST_PX = 1200


def draw_region(pixels: Pixels, region: Region) -> npt.NDArray[np.uint8]:
    """Return a micrograph with its region drawn on it.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    region : Region

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Resin and defocused background are red, bleeding zones green in a green box, the micron bar blue; the yellow
        frame is the inscribed rectangle. No side is longer than 1200 px.
    """
    picture = np.array(to_rgb(to_uint8(pixels)))
    for kind, mask in region.excluded.items():
        tint = np.array(_TINTS.get(kind, _RED), dtype=np.float32)
        picture[mask] = ((1 - _OPACITY) * picture[mask] + _OPACITY * tint).astype(np.uint8)
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    thick = max(1, round(max(picture.shape[:2]) / 400))
    for top, left, height, width in _boxes(region):
        pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_GREEN, width=thick)
    top, left, height, width = inscribed_rectangle(region.mask)
    if height and not region.mask.all():
        pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_YELLOW, width=thick)
    image.thumbnail((_LONGEST_PX, _LONGEST_PX))
    return np.asarray(image, dtype=np.uint8)


def _boxes(region: Region) -> list[tuple[int, int, int, int]]:
    """Return top, left, height and width of the bleeding zones, crumbs aside."""
    zone = region.excluded.get("bleeding")
    if zone is None or not zone.any():
        return []
    pieces, _ = label(zone)
    areas = np.bincount(pieces.ravel())
    found = []
    for number, place in enumerate(find_objects(pieces), start=1):
        if areas[number] >= 1e-3 * zone.size:
            rows, columns = place
            found.append((rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start))
    return found

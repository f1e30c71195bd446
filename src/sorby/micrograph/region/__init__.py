"""The region of interest of a light micrograph: proposed, kept as a mask file, taken as a rectangle.

>>> import numpy as np
>>> from sorby.micrograph import region
>>> mask = np.ones((6, 9), dtype=bool)
>>> mask[0] = False
>>> region.inscribed_rectangle(mask)
(1, 0, 5, 9)
"""

from sorby.micrograph.region.display import draw_region
from sorby.micrograph.region.files import find_region, read_region, region_path, write_region
from sorby.micrograph.region.proposal import KINDS, NO_SURFACE, Region, propose_region
from sorby.micrograph.region.rectangle import inscribed_rectangle

__all__ = [
    "KINDS",
    "NO_SURFACE",
    "Region",
    "draw_region",
    "find_region",
    "inscribed_rectangle",
    "propose_region",
    "read_region",
    "region_path",
    "write_region",
]

"""Micrographs: reading image files with their scale, bringing them to one depth and size, tiling.

>>> from sorby import micrograph
>>> tiler = micrograph.Tiler.fixed_grid(2, 3)
>>> len(tiler.plan(1024, 1536))
6
"""

from sorby.micrograph.files import IMAGE_SUFFIXES, find_images, is_image_name
from sorby.micrograph.formats import Header
from sorby.micrograph.image import Micrograph, Pixels, Scale
from sorby.micrograph.intensity import IntensityRule, to_grey, to_rgb, to_uint8
from sorby.micrograph.reading import MAX_PIXELS, identify, read, scale_of
from sorby.micrograph.sizing import Sizing, mean_size, mirror_pad_or_crop, mode_size, resize, to_size
from sorby.micrograph.tiling import Aggregation, TilePlan, Tiler, aggregate

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Aggregation",
    "Header",
    "IntensityRule",
    "Micrograph",
    "Pixels",
    "Scale",
    "Sizing",
    "TilePlan",
    "Tiler",
    "aggregate",
    "find_images",
    "identify",
    "is_image_name",
    "mean_size",
    "mirror_pad_or_crop",
    "mode_size",
    "read",
    "resize",
    "scale_of",
    "to_grey",
    "to_rgb",
    "to_size",
    "to_uint8",
]

"""Fracture surfaces of alumina with known origins: one surface a specimen, looked at from 50x to 10,000x."""

from sorby.phantom.fracture.bars import with_bar
from sorby.phantom.fracture.imaging import FULL_SIZE, SMALL_SIZE, FractureView, render
from sorby.phantom.fracture.mirror_views import mirror_view, origin_px
from sorby.phantom.fracture.series import PUBLISHED_IMAGES, fracture_set, with_planned_views
from sorby.phantom.fracture.specimen import (
    DISPLAY_WIDTH_UM,
    LABELS,
    MAGNIFICATIONS,
    SUBTYPES,
    Appearance,
    Flaw,
    FractureSpecimen,
    Fragment,
    Label,
    ViewPlan,
    field_width_um,
)
from sorby.phantom.fracture.surface import CUES, MIST_ENDS
from sorby.phantom.fracture.writing import specimen_row, take, view_name, view_row, write_view, write_views
from sorby.phantom.info_bars import VENDORS, Vendor

__all__ = [
    "CUES",
    "DISPLAY_WIDTH_UM",
    "FULL_SIZE",
    "LABELS",
    "MAGNIFICATIONS",
    "MIST_ENDS",
    "PUBLISHED_IMAGES",
    "SMALL_SIZE",
    "SUBTYPES",
    "VENDORS",
    "Appearance",
    "Flaw",
    "FractureSpecimen",
    "FractureView",
    "Fragment",
    "Label",
    "Vendor",
    "ViewPlan",
    "field_width_um",
    "fracture_set",
    "mirror_view",
    "origin_px",
    "render",
    "specimen_row",
    "take",
    "view_name",
    "view_row",
    "with_bar",
    "with_planned_views",
    "write_view",
    "write_views",
]

"""Fracture surfaces of alumina with known origins: one surface a specimen, looked at from 50x to 10,000x."""

from sorby.phantom.fracture.imaging import FULL_SIZE, SMALL_SIZE, FractureView, render
from sorby.phantom.fracture.specimen import (
    DISPLAY_WIDTH_UM,
    LABELS,
    MAGNIFICATIONS,
    SUBTYPES,
    VENDORS,
    Appearance,
    Flaw,
    FractureSpecimen,
    Fragment,
    Label,
    Vendor,
    ViewPlan,
    field_width_um,
)
from sorby.phantom.fracture.surface import CUES, MIST_ENDS

__all__ = [
    "CUES",
    "DISPLAY_WIDTH_UM",
    "FULL_SIZE",
    "LABELS",
    "MAGNIFICATIONS",
    "MIST_ENDS",
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
    "render",
]

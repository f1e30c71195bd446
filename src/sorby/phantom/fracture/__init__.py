"""Fracture surfaces of alumina with known origins: one surface a specimen, looked at from 50x to 10,000x."""

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

__all__ = [
    "DISPLAY_WIDTH_UM",
    "LABELS",
    "MAGNIFICATIONS",
    "SUBTYPES",
    "VENDORS",
    "Appearance",
    "Flaw",
    "FractureSpecimen",
    "Fragment",
    "Label",
    "Vendor",
    "ViewPlan",
    "field_width_um",
]

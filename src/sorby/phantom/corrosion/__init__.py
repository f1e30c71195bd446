"""Corroded coupons with known attack: 316L with strides and pits, AZ31B with clouds and blobs, graded from 0 to 4."""

from sorby.phantom.corrosion.bars import ACCELERATING_KV, with_bar
from sorby.phantom.corrosion.course import (
    ALLOYS,
    GRADE_BOUNDS,
    KINETICS,
    SEVERITIES,
    TEMPERATURES_K,
    Alloy,
    Course,
    Kinetics,
    Unevenness,
    grade,
    grade_limits,
)
from sorby.phantom.corrosion.curves import (
    ELECTRODES,
    CorrosionCurves,
    Electrode,
    corrosion_curves,
    curve_row,
    write_curves,
)
from sorby.phantom.corrosion.imaging import SIZE, CorrosionView, render
from sorby.phantom.corrosion.plate import CorrosionPlate, draw_plate, plate_window, render_plate, with_survey
from sorby.phantom.corrosion.relief import FORMS
from sorby.phantom.corrosion.series import PUBLISHED_IMAGES, corrosion_set, with_fields, with_sequence
from sorby.phantom.corrosion.specimen import (
    MAGNIFICATION,
    MICROSCOPES,
    Appearance,
    CorrosionSpecimen,
    FieldPlan,
    Microscope,
)
from sorby.phantom.corrosion.writing import label_row, specimen_row, truth_row, view_name, write_plate, write_views

__all__ = [
    "ACCELERATING_KV",
    "ALLOYS",
    "ELECTRODES",
    "FORMS",
    "GRADE_BOUNDS",
    "KINETICS",
    "MAGNIFICATION",
    "MICROSCOPES",
    "PUBLISHED_IMAGES",
    "SEVERITIES",
    "SIZE",
    "TEMPERATURES_K",
    "Alloy",
    "Appearance",
    "CorrosionCurves",
    "CorrosionPlate",
    "CorrosionSpecimen",
    "CorrosionView",
    "Course",
    "Electrode",
    "FieldPlan",
    "Kinetics",
    "Microscope",
    "Unevenness",
    "corrosion_curves",
    "corrosion_set",
    "curve_row",
    "draw_plate",
    "grade",
    "grade_limits",
    "label_row",
    "plate_window",
    "render",
    "render_plate",
    "specimen_row",
    "truth_row",
    "view_name",
    "with_bar",
    "with_fields",
    "with_sequence",
    "with_survey",
    "write_curves",
    "write_plate",
    "write_views",
]

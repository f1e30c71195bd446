"""Electrode and membrane sheets and webs with scratches, scuffs and pinholes, as scanned for Yan et al. (2023).

:class:`Sheet` renders any rows of a planned sheet; :func:`scratch_sheets` and :func:`pinhole_sheets` plan the
published ones; :func:`write_membrane` writes them with masks, boxes and truth; :func:`web_strips` feeds a line.

References
----------
A. Yan, P. Rupnowski, N. Guba, A. Nag. Towards deep computer vision for in-line defect detection in polymer
electrolyte membrane fuel cell materials. International Journal of Hydrogen Energy 48 (50), 18978-18995, 2023.
"""

from sorby.phantom.membrane.defects import KINDS, Defect, DefectPlan
from sorby.phantom.membrane.published import pinhole_sheets, scratch_sheets
from sorby.phantom.membrane.sheet import PIXEL_SIZE_UM, Sheet, SheetSpec
from sorby.phantom.membrane.surface import Surface
from sorby.phantom.membrane.web import Web, WebSpec, web_strips
from sorby.phantom.membrane.writing import (
    PUBLISHED_SHEETS,
    SETS,
    MembraneSet,
    boxes,
    membrane_sheets,
    tile_labels,
    write_membrane,
)

__all__ = [
    "KINDS",
    "PIXEL_SIZE_UM",
    "PUBLISHED_SHEETS",
    "SETS",
    "Defect",
    "DefectPlan",
    "MembraneSet",
    "Sheet",
    "SheetSpec",
    "Surface",
    "Web",
    "WebSpec",
    "boxes",
    "membrane_sheets",
    "pinhole_sheets",
    "scratch_sheets",
    "tile_labels",
    "web_strips",
    "write_membrane",
]

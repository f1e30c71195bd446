"""Info bars of electron micrographs: where they lie, what they say, whether that agrees, and the picture without them.

Finding one needs no reading; what it says is read by an engine of `sorby.micrograph.text_reading`, understood by a
table of rules, and checked against the tags and against the scale bar as drawn.
"""

from sorby.micrograph.info_bar.cropping import FIXED_SHARE, crop_fixed, crop_info_bar
from sorby.micrograph.info_bar.cross_check import DISPLAY_WIDTHS_MM, CheckedScale, Disagreement, cross_check
from sorby.micrograph.info_bar.finding import InfoBar, find_info_bar
from sorby.micrograph.info_bar.reading import InfoBarReading, Value, read_info_bar, read_info_bars

__all__ = [
    "DISPLAY_WIDTHS_MM",
    "FIXED_SHARE",
    "CheckedScale",
    "Disagreement",
    "InfoBar",
    "InfoBarReading",
    "Value",
    "crop_fixed",
    "crop_info_bar",
    "cross_check",
    "find_info_bar",
    "read_info_bar",
    "read_info_bars",
]

"""Pictures of many kinds of defects on many surfaces, with boxes and masks: the base set of a few-shot detector.

Few-shot detectors are first taught on a large set of other things (Wang et al. 2020). None is published for the
surfaces of materials; :func:`render` draws one picture of it, :func:`defect_set` as many as wanted,
:func:`write_defects` puts them on disk.

References
----------
X. Wang, T. E. Huang, T. Darrell, J. E. Gonzalez, F. Yu. Frustratingly simple few-shot object detection. ICML 2020.
"""

from sorby.phantom.defects.picture import KINDS, DefectPicture
from sorby.phantom.defects.rendering import FAMILIES, LEAST_SIDE, defect_set, render
from sorby.phantom.defects.writing import write_defects

__all__ = ["FAMILIES", "KINDS", "LEAST_SIDE", "DefectPicture", "defect_set", "render", "write_defects"]

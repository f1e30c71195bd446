"""Contrast raised or noise smoothed before the model, and a check of whether that hides a defect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, gaussian_filter, uniform_filter

from sorby.backbone.preprocessing import Uint8Image
from sorby.errors import InputError
from sorby.evidence.defect_regions import bounding_box
from sorby.workflow.anomaly.sub_images import SubImages, Treatment

#: What may be done to a sheet before it is cut.
TREATMENTS = ("none", "contrast", "smooth")
_SMOOTH_PX = 2.0
_TOWARDS = 40.0  # grey levels that one local standard deviation is spread to
_WINDOW_PX = 129
_GAP_PX, _MARGIN_PX = 4, 8  # smoothing spreads a defect's own edge into the gap
#: Loss of visibility from which a defect counts as hidden.
HIDDEN = 0.5


def treatment(name: str) -> Treatment | None:
    """Return what is done to a sheet (uint8), None for nothing.

    ``contrast`` spreads grey levels about their local mean by the local standard deviation over 129 px, the same rule
    everywhere on every sheet; ``smooth`` is a Gaussian of 2 px.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in TREATMENTS:
        raise InputError(f"treatment {name!r} is unknown", f"allowed: {', '.join(TREATMENTS)}")
    return {"none": None, "contrast": _contrast, "smooth": _smooth}[name]


def _smooth(image: Uint8Image) -> Uint8Image:
    sigma = (_SMOOTH_PX, _SMOOTH_PX) + (0.0,) * (image.ndim - 2)
    return np.asarray(np.rint(gaussian_filter(image.astype(np.float32), sigma)), np.uint8)


def _contrast(image: Uint8Image) -> Uint8Image:
    grey = image.astype(np.float32)
    size = (_WINDOW_PX, _WINDOW_PX) + (1,) * (image.ndim - 2)
    mean = uniform_filter(grey, size, mode="nearest")
    spread = np.sqrt(np.maximum(uniform_filter(grey * grey, size, mode="nearest") - mean * mean, 1.0))
    return np.asarray(np.clip(np.rint(128.0 + _TOWARDS * (grey - mean) / spread), 0, 255), np.uint8)


def visibility(subs: SubImages, rows: Sequence[int] | npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return how far the defect of each sub-image stands out: |mean inside - mean around| / deviation around, (m,).

    Around is from four to twelve pixels of the network away. A defect made of bright and dark strokes may stand out
    more than its mean does; what is compared is the same defect before and after.
    """
    found = np.full(len(rows), np.nan)
    for k, row in enumerate(rows):
        mask = subs.masks[row]
        assert mask is not None, "only defects can be hidden"
        box = bounding_box(mask)
        reach = _GAP_PX + _MARGIN_PX
        wide = tuple(slice(max(0, part.start - reach), part.stop + reach) for part in box)
        inside, grey = mask[wide], subs.pixels[row][wide].mean(axis=2)
        near = binary_dilation(inside, iterations=_GAP_PX)
        around = binary_dilation(near, iterations=_MARGIN_PX) & ~near
        if around.any():
            found[k] = abs(grey[inside].mean() - grey[around].mean()) / max(float(grey[around].std()), 0.5)
    return found


def hidden_defects(before: SubImages, after: SubImages) -> dict[str, Any]:
    """Compare how far each defect stands out before and after a treatment.

    Parameters
    ----------
    before, after : SubImages
        Of the same sheets, cut the same way.

    Returns
    -------
    dict
        ``median_ratio`` of visibilities, ``hidden`` (defects that lost half of theirs or more), ``names`` of these,
        ``n``.
    """
    rows = np.flatnonzero(before.bad)
    plain, treated = visibility(before, rows), visibility(after, rows)
    ratio = treated / np.maximum(plain, 1e-6)
    lost = rows[np.nan_to_num(ratio, nan=1.0) < HIDDEN]
    return {
        "median_ratio": float(np.nanmedian(ratio)),
        "hidden": len(lost),
        "names": [before.name(int(row)) for row in lost],
        "n": len(rows),
    }

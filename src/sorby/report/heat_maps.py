"""What a detector saw: image, truth, heat map, mask and outline side by side; false alarms; a defect at several scales.

Dark images and faint maps are shown with raised contrast, and every sheet says what was done and what the colours
stand for. Regions too small to be seen at the printed size are ringed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sorby.evidence import region_false_alarms, threshold_pro
from sorby.evidence.defect_regions import label_regions, paired
from sorby.evidence.false_alarms import false_regions
from sorby.micrograph import Pixels, resize, to_rgb, to_uint8
from sorby.report.panels import ColourScale, Panel, panel_sheet
from sorby.report.thumbnails import Uint8Image
from sorby.report.wording import count

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating[Any]]

PANELS = ("image", "ground truth", "heat map", "predicted mask", "outline")

_PANEL_PX = 256  # longer side of a panel's pixels
_FULL_CONTRAST = 128  # grey levels; an image that spans as many is shown as recorded
_RING_BELOW = 0.05  # of a panel's longer side; a smaller region gets a ring
_LEAST_CROP_PX = 48  # around a false alarm, in pixels of the map
_CALLED, _TRUE = (255, 140, 0), (60, 160, 255)  # orange and blue, told apart by all readers


@dataclass(frozen=True, eq=False)
class Case:
    """One image with what is true of it and what was found.

    Attributes
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        As recorded; uint8, uint16 or float32.
    scores : ndarray of float, shape (h, w)
        Distance map, of any resolution.
    mask : ndarray of bool, shape (h, w), or None
        Ground truth at the size of the map; None where nothing is defective.
    label : str
        Names the row.
    """

    image: Pixels
    scores: Scores
    mask: Bools | None = None
    label: str = ""


def result_panels(
    cases: Sequence[Case],
    threshold: float,
    *,
    common_scale: bool = False,
    raise_contrast: bool = True,
    colormap: str = "inferno",
) -> str:
    """Draw five panels for each case: image, ground truth, heat map, predicted mask, segmentation outline.

    Parameters
    ----------
    cases : sequence of Case
    threshold : float
        Pixels that score as much or more are called defective; raw, as in the maps.
    common_scale : bool
        One colour scale for all heat maps, so that they can be compared; otherwise each is spread over all colours,
        so that faint maps can be read. The scale stands below each.
    raise_contrast : bool
        Spread the grey levels of dull images; the levels stand below each.
    colormap : str
        A name in matplotlib's registry.

    Returns
    -------
    str
        One SVG element.

    References
    ----------
    A. Yan et al., Int. J. Hydrogen Energy 48(50) 18978 (2023), figures 2 and 4 to 8.
    """
    shared = _scale([case.scores for case in cases], threshold, colormap) if cases else None
    rows = [
        _five(case, shared if common_scale and shared else _scale([case.scores], threshold, colormap), raise_contrast)
        for case in cases
    ]
    return panel_sheet(
        rows,
        f"{count(len(cases), 'image')} with ground truth, heat map, predicted mask and outline at the threshold"
        f" {threshold:.3g}.",
        [case.label for case in cases],
    )


def resolution_panels(cases: Sequence[Case], threshold: float | Sequence[float]) -> str:
    """Draw the same defect at several resolutions, a row each, and say at which it was found.

    Parameters
    ----------
    cases : sequence of Case
        Labels name the resolution (``c = 1``, ``c = 3``, ``c = 5``).
    threshold : float or sequence of float
        One, or that of each resolution's own model.

    Returns
    -------
    str
        One SVG element.

    References
    ----------
    A. Yan et al. (2023), figures 5 to 7.
    """
    thresholds = [float(value) for value in np.broadcast_to(threshold, len(cases))]
    rows = [
        _five(case, _scale([case.scores], value, "inferno"), True)
        for case, value in zip(cases, thresholds, strict=True)
    ]
    said = [f"{case.label}: {_found(case, value)}" for case, value in zip(cases, thresholds, strict=True)]
    return panel_sheet(rows, f"The same place at {len(cases)} resolutions. {'; '.join(said)}.", said)


def false_alarm_gallery(cases: Sequence[Case], threshold: float, *, most: int = 12, across: int = 6) -> str:
    """Draw the false-positive regions, the highest first, and count them all.

    A false positive is a called 8-connected region without a single defect pixel, on good and on defective images.

    Parameters
    ----------
    cases : sequence of Case
        All images that were judged, not only those with alarms: the counts are of these.
    threshold : float
    most : int
        Regions shown; the first line tells of the rest.
    across : int
        Panels a row.

    Returns
    -------
    str
        One SVG element.

    References
    ----------
    A. Yan et al. (2023), figure 4.
    """
    words = false_alarm_words(cases, threshold)
    found = [alarm for k, case in enumerate(cases) for alarm in _alarms(case, case.label or f"image {k}", threshold)]
    panels = [_alarm_panel(alarm) for alarm in sorted(found, key=lambda alarm: -alarm.peak)[:most]]
    rows = [panels[begin : begin + across] for begin in range(0, len(panels), across)]
    rest = f"; the {len(panels)} highest are shown" if len(found) > len(panels) else ""
    return panel_sheet(rows, words + rest, [words + rest] + [""] * (len(rows) - 1) if rows else (), empty=words)


def false_alarm_words(cases: Sequence[Case], threshold: float) -> str:
    """Count the false-positive regions of images in words."""
    alarms = region_false_alarms([case.scores for case in cases], [case.mask for case in cases], threshold)
    good, on_good = int(alarms.good_images.sum()), int(alarms.regions[alarms.good_images].sum())
    return (
        f"{count(alarms.count, 'false-positive region')} at the threshold {threshold:.3g}: {on_good} on"
        f" {alarms.alarmed_good_images} of {count(good, 'good image')}, {alarms.count - on_good} on"
        f" {count(len(cases) - good, 'defective image')}"
    )


def raised(image: Pixels) -> tuple[Uint8Image, str]:
    """Spread the grey levels of a dull image over black to white.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)

    Returns
    -------
    pixels : ndarray of uint8, shape (H, W, 3)
    words : str
        What was done.
    """
    byte = np.asarray(to_rgb(to_uint8(image)), dtype=np.uint8)
    low, high = np.percentile(byte, [0.5, 99.5])
    if high - low >= _FULL_CONTRAST:
        return byte, "as recorded"
    spread = (byte.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.clip(np.rint(spread), 0, 255).astype(np.uint8), f"contrast raised: grey {low:.0f} to {high:.0f}"


def _five(case: Case, scale: ColourScale, raise_contrast: bool) -> list[Panel]:
    """Lay out the five panels of a case."""
    called = case.scores >= scale.threshold
    mask = np.zeros(case.scores.shape, bool) if case.mask is None else case.mask
    shown, words = raised(case.image) if raise_contrast else (_eight_bit(case.image), "as recorded")
    size = _panel_size(shown.shape)
    picture = np.asarray(resize(shown, size), dtype=np.uint8)
    return [
        Panel(picture, PANELS[0], (words,)),
        _mask_panel(mask, size, PANELS[1], "no defect"),
        Panel(np.asarray(resize(scale.colours(case.scores), size), dtype=np.uint8), PANELS[2], (), scale),
        _mask_panel(called, size, PANELS[3], "nothing called"),
        Panel(
            _outlined(_outlined(picture, _at_size(mask, size), _TRUE), _at_size(called, size), _CALLED),
            PANELS[4],
            (_found(case, scale.threshold), "orange called, blue true"),
        ),
    ]


def _found(case: Case, threshold: float) -> str:
    """Say how much of the defects was found, or how many false alarms a good image gave."""
    overlap = threshold_pro([case.scores], [case.mask], threshold)
    if np.isnan(overlap.by_region):
        alarms = region_false_alarms([case.scores], [case.mask], threshold).count
        return count(alarms, "false alarm") if alarms else "silent"
    if not overlap.by_region:
        return "missed"
    return f"{max(1.0, 100 * overlap.by_region):.0f} % of the defect found"


def _scale(maps: Sequence[Scores], threshold: float, colormap: str) -> ColourScale:
    """From the half per cent below to the peak of the maps."""
    low = min(float(np.percentile(scores, 0.5)) for scores in maps)
    return ColourScale(low, max(float(scores.max()) for scores in maps), threshold, colormap)


def _mask_panel(mask: Bools, size: tuple[int, int], heading: str, if_empty: str) -> Panel:
    labels, regions = label_regions(mask)
    pixels = int(np.count_nonzero(mask))
    note = f"{count(regions, 'region')}, {count(pixels, 'px', 'px')}" if regions else if_empty
    white = np.where(_at_size(mask, size)[..., None], np.uint8(255), np.uint8(0))
    rings = _rings(labels, size)
    return Panel(
        np.broadcast_to(white, (*size, 3)).copy(), heading, (note, "ringed: small regions") if rings else (note,),
        rings=rings, exact=True,
    )  # fmt: skip


def _rings(labels: npt.NDArray[np.int32], size: tuple[int, int]) -> tuple[tuple[float, float, float], ...]:
    """Circles (x, y, radius) in pixels of a panel around regions too small to be seen."""
    unit_y, unit_x = size[0] / labels.shape[0], size[1] / labels.shape[1]
    rings = []
    for rows, columns in ndimage.find_objects(labels):
        height, width = (rows.stop - rows.start) * unit_y, (columns.stop - columns.start) * unit_x
        if max(height, width) < _RING_BELOW * max(size):
            x, y = 0.5 * (columns.start + columns.stop) * unit_x, 0.5 * (rows.start + rows.stop) * unit_y
            rings.append((x, y, 0.6 * _RING_BELOW * max(size) + 2.0))
    return tuple(rings)


@dataclass(frozen=True, eq=False)
class _Alarm:
    """A false-positive region: its image, how high and where it is, and its pixels within that box."""

    case: Case
    label: str
    peak: float
    box: tuple[slice, slice]
    region: Bools


def _alarms(case: Case, label: str, threshold: float) -> list[_Alarm]:
    labels, false = false_regions(paired([case.scores], [case.mask])[0], threshold)
    if not false.size:
        return []
    boxes = ndimage.find_objects(labels)
    peaks = np.atleast_1d(ndimage.maximum(case.scores, labels, false))
    return [
        _Alarm(case, label, float(peak), boxes[k - 1], labels[boxes[k - 1]] == k)
        for k, peak in zip(false.tolist(), peaks, strict=True)
    ]


def _alarm_panel(alarm: _Alarm) -> Panel:
    """Show the surroundings of a false alarm with its outline."""
    image, shape = alarm.case.image, alarm.case.scores.shape
    side = max(_LEAST_CROP_PX, 2 * max(part.stop - part.start for part in alarm.box))
    window = tuple(_around(part, side, whole) for part, whole in zip(alarm.box, shape, strict=True))
    region = np.zeros(shape, bool)
    region[alarm.box] = alarm.region
    units = image.shape[0] / shape[0], image.shape[1] / shape[1]
    of_image = tuple(
        slice(int(part.start * unit), max(int(part.start * unit) + 1, round(part.stop * unit)))
        for part, unit in zip(window, units, strict=True)
    )
    whole, words = raised(image)
    shown = whole[of_image]
    place = _panel_size(shown.shape)
    picture = np.asarray(resize(shown, place), dtype=np.uint8)
    drawn = _outlined(picture, _at_size(region[window], place), _CALLED)
    pixels = count(int(np.count_nonzero(region)), "px", "px")
    return Panel(drawn, alarm.label, (f"peak {alarm.peak:.3g}, {pixels}", words))


def _around(part: slice, side: int, whole: int) -> slice:
    """Return a stretch of *side* pixels about a shorter one, within the image."""
    side = min(side, whole)
    start = min(max(0, (part.start + part.stop - side) // 2), whole - side)
    return slice(start, start + side)


def _eight_bit(image: Pixels) -> Uint8Image:
    return np.asarray(to_rgb(to_uint8(image)), dtype=np.uint8)


def _panel_size(shape: tuple[int, ...]) -> tuple[int, int]:
    factor = _PANEL_PX / max(shape[:2])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _at_size(mask: Bools, size: tuple[int, int]) -> Bools:
    """Bring a mask to another size without losing a single region."""
    rows, columns = (np.arange(size[axis]) * mask.shape[axis] // size[axis] for axis in (0, 1))
    found: Bools = mask[np.ix_(rows, columns)]
    y, x = np.nonzero(mask)
    found[y * size[0] // mask.shape[0], x * size[1] // mask.shape[1]] = True
    return found


def _outlined(picture: Uint8Image, mask: Bools, colour: tuple[int, int, int]) -> Uint8Image:
    """Draw a line two pixels wide around a mask."""
    around = ndimage.binary_dilation(mask, np.ones((3, 3), bool), iterations=2) & ~mask
    drawn = picture.copy()
    drawn[around] = colour
    return drawn

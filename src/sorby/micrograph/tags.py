"""Pixel size and magnification from the tags inside a TIFF.

Each reader returns what one vendor's tag states; the first that knows a pixel size wins, the
instrument's own tag before anything a later program wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from sorby.micrograph.formats import Found, Header
from sorby.micrograph.image import Scale, ScaleSource

VENDOR_CONFIDENCE = 0.98
RESIZED_CONFIDENCE = 0.5
_OME_CONFIDENCE = 0.95
_IMAGEJ_CONFIDENCE = 0.9
_RESOLUTION_CONFIDENCE = 0.4

FEI_DISPLAY_WIDTH_M = 0.2072
"""Width of the display that FEI's databar magnification refers to, metres (checked on a Versa 3D)."""

_COARSEST_MICROGRAPH_UM = 10.0
_UM = {
    "m": 1e6, "meter": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0,
    "nm": 1e-3, "pm": 1e-6, "å": 1e-4, "angstrom": 1e-4,
}  # fmt: skip


def micrometres_per(unit: str) -> float | None:
    """Return how many micrometres *unit* is; None for an inch, a pixel or a word unknown.

    The micro sign and the Greek mu both occur, the former also escaped, as ImageJ writes it.
    """
    plain = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    return _UM.get(plain) or _UM.get(plain.lower())


def magnification_of(text: object) -> float | None:
    """Read a magnification as instruments print it: ``500 X``, ``50.00 K X``, ``x1.0k``, ``10000``."""
    match = re.search(r"(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([kK])?", str(text))
    if match is None:
        return None
    value = float(match[1].replace(",", "")) * (1000 if match[2] else 1)
    return value if 0 < value < math.inf else None


def positive(value: object) -> float | None:
    """Return *value* as a positive finite float, or None; vendors leave fields empty or zero."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if 0 < number < math.inf else None


def scale_from_tiff(page: Any, header: Header) -> Found:
    """Read the scale of one TIFF page from its tags.

    Parameters
    ----------
    page : tifffile.TiffPage
    header : Header
        Size of the page, to notice an image that no longer has the size its tag describes.
    """
    notes: list[str] = []
    partial: Found | None = None
    for reader in _READERS:
        try:
            found = reader(page, header)
        except (ValueError, TypeError, LookupError, ArithmeticError, OSError, AttributeError) as error:
            notes.append(f"{reader.__name__.strip('_').split('_')[0]} tag damaged, not used ({error})"[:160])
            continue
        if found is None:
            continue
        if found.scale.known:
            kept = partial.notes if partial else ()
            return Found(found.scale, found.info, (*notes, *kept, *found.notes))
        partial = partial or found
    return Found(partial.scale, partial.info, (*notes, *partial.notes)) if partial else Found(notes=tuple(notes))


def _fei_scale(page: Any, header: Header) -> Found | None:
    sections: dict[str, Mapping[str, Any]] = {}
    for code in (34680, 34682):
        sections.update(_mapping(page.tags.valueof(code)))
    if not sections:
        return _fei_xml_scale(page)

    def get(section: str, key: str) -> Any:
        return _mapping(sections.get(section)).get(key)

    beam_scan = str(get("Beam", "Scan") or "EScan")
    pixel_m = positive(get("Scan", "PixelWidth")) or positive(get(beam_scan, "PixelWidth"))
    field_m = positive(get("Scan", "HorFieldsize")) or positive(get(beam_scan, "HorFieldsize"))
    scanned = positive(get("Image", "ResolutionX"))
    if field_m is None and pixel_m and scanned:
        field_m = pixel_m * scanned
    display_m = positive(get("Image", "MagCanvasRealWidth")) or FEI_DISPLAY_WIDTH_M
    # Field widths are stored with six digits: five of the quotient are the operator's setting.
    magnification = float(f"{display_m / field_m:.5g}") if field_m else None
    info = _texts(
        instrument=get("System", "SystemType"),
        detector=get("Detectors", "Name"),
        signal=get("Detectors", "Mode"),
        hv_kv=_times(get("Beam", "HV"), 1e-3),
        wd_mm=_times(get("Stage", "WorkingDistance"), 1e3),
        date=get("User", "Date"),
        info_bar_height_px=get("PrivateFei", "DatabarHeight"),
    )
    note, confidence = _same_width(scanned, header, "FEI tag")
    scale = _scale(
        pixel_m and pixel_m * 1e6, magnification, "fei", confidence,
        f"FEI tag: Scan.PixelWidth; magnification on a {display_m * 1e3:g} mm display",
    )  # fmt: skip
    return Found(scale, info, note)


def _fei_xml_scale(page: Any) -> Found | None:
    text = page.tags.valueof(34683)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        return None
    match = re.search(r'<PixelSize>\s*<X unit="(\w+)">\s*([-+.\deE]+)', text) or re.search(
        r'<pixelWidth unit="([^"]+)">\s*([-+.\deE]+)', text
    )
    unit, size = (micrometres_per(match[1]), positive(match[2])) if match else (None, None)
    pixel_um = size * unit if size and unit else None
    return Found(_scale(pixel_um, None, "fei", VENDOR_CONFIDENCE, "FEI XML tag: pixel size"))


def _zeiss_scale(page: Any, header: Header) -> Found | None:
    tag = _mapping(page.tags.valueof(34118))
    if not tag:
        return None

    def text(key: str) -> str | None:
        entry = tag.get(key)
        return " ".join(str(part) for part in entry[1:]) if isinstance(entry, tuple) and len(entry) > 1 else None

    # ap_pixel_size looks alike and is the pitch of the monitor.
    entry = tag.get("ap_image_pixel_size")
    pixel_um, notes = None, ()
    if isinstance(entry, tuple) and len(entry) == 3:
        size, unit = positive(entry[1]), micrometres_per(str(entry[2]))
        pixel_um = size * unit if size and unit else None
    info = _texts(
        instrument=text("dp_sem") or text("sv_serial_number"),
        detector=text("dp_detector_channel") or text("dp_detector_type"),
        hv_kv=_leading_number(text("ap_actualkv") or text("ap_manualkv")),
        wd_mm=_leading_number(text("ap_wd")),
        date=text("ap_date"),
    )
    magnification = magnification_of(text("ap_mag")) if text("ap_mag") else None
    detail = "ZEISS tag: AP_IMAGE_PIXEL_SIZE"
    if pixel_um is None:
        detail = "ZEISS tag without AP_IMAGE_PIXEL_SIZE (AP_PIXEL_SIZE is the monitor's)"
    return Found(_scale(pixel_um, magnification, "zeiss", VENDOR_CONFIDENCE, detail), info, notes)


def _sis_scale(page: Any, header: Header) -> Found | None:
    tag = _mapping(page.tags.valueof(33560))
    if not tag:
        return None
    pixel_m = positive(tag.get("pixelsizex"))
    info = _texts(instrument=tag.get("name"), detector=tag.get("cameraname"), date=tag.get("datetime"))
    scale = _scale(
        pixel_m and pixel_m * 1e6, positive(tag.get("magnification")), "sis", VENDOR_CONFIDENCE,
        "Olympus SIS tag: x calibration",
    )  # fmt: skip
    return Found(scale, info, _squareness(pixel_m, positive(tag.get("pixelsizey"))))


def _ome_scale(page: Any, header: Header) -> Found | None:
    text = page.description
    if "<OME" not in text[:2000] and "<ome:OME" not in text[:2000]:
        return None
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    found = dict(re.findall(r'(\w+)="([^"]*)"', pixels[0])) if pixels else {}
    unit = micrometres_per(found.get("PhysicalSizeXUnit", "µm"))
    size = positive(found.get("PhysicalSizeX"))
    objective = re.search(r'NominalMagnification="([^"]+)"', text)
    model = re.search(r'<(?:\w+:)?Microscope\b[^>]*\bModel="([^"]*)"', text)
    scale = _scale(
        size * unit if size and unit else None, positive(objective[1]) if objective else None,
        "ome", _OME_CONFIDENCE, "OME-XML: Pixels.PhysicalSizeX",
    )  # fmt: skip
    note = _squareness(size, positive(found.get("PhysicalSizeY")))
    return Found(scale, _texts(instrument=model[1] if model else None), note)


def _imagej_scale(page: Any, header: Header) -> Found | None:
    text = page.description
    if not text.startswith("ImageJ="):
        return None
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    notes: tuple[str, ...] = ()
    if header.n_pages == 1 and (positive(fields.get("images")) or 1) > 1:
        notes = (f"ImageJ stack of {fields['images']} images behind one directory; the first is read",)
    unit = micrometres_per(fields.get("unit", ""))
    across, down = _rational(page, 282), _rational(page, 283)
    if unit is None or not across:
        return Found(notes=notes) if notes else None
    detail = f"ImageJ calibration: {across:g} pixels per {fields['unit']}"
    scale = _scale(unit / across, None, "imagej", _IMAGEJ_CONFIDENCE, detail)
    return Found(scale, {}, (*notes, *_squareness(across, down)))


def _resolution_scale(page: Any, header: Header) -> Found | None:
    """Read the baseline resolution tag, which is a print setting unless it is far too fine for print."""
    across = _rational(page, 282)
    unit_tag = page.tags.get(296)
    unit = {2: 25_400.0, 3: 10_000.0}.get(int(unit_tag.value)) if unit_tag is not None else None
    if not across or unit is None:
        return None
    pixel_um, per_inch = unit / across, across * 25_400.0 / unit
    # 25.4 mm hold at most a few thousand printed dots; and a round number of dots per inch is a
    # setting of a scanner or a program, whatever its size.
    round_dpi = abs(per_inch / 50 - round(per_inch / 50)) < 1e-3 and per_inch < 25_400
    if pixel_um > _COARSEST_MICROGRAPH_UM or round_dpi:
        detail = f"no pixel size: the resolution tag ({per_inch:.4g} per inch) is a print setting"
        return Found(Scale(detail=detail))
    detail = f"TIFF resolution tag, {per_inch:.6g} pixels per inch: too fine for print, taken for the specimen"
    return Found(_scale(pixel_um, None, "tiff-resolution", _RESOLUTION_CONFIDENCE, detail), {}, (detail,))


_READERS: tuple[Callable[[Any, Header], Found | None], ...] = (
    _fei_scale, _zeiss_scale, _sis_scale, _ome_scale, _imagej_scale, _resolution_scale,
)  # fmt: skip


def _scale(
    pixel_um: float | None, magnification: float | None, source: ScaleSource, confidence: float, detail: str
) -> Scale:
    if pixel_um is None and magnification is None:
        return Scale(detail=f"{detail}: not stated")
    return Scale(pixel_um, magnification, source, confidence, detail)


def _same_width(stated: float | None, header: Header, what: str) -> tuple[tuple[str, ...], float]:
    """Compare the scanned width with the image's: a resized image no longer has the stated pixel size."""
    if stated is None or stated in (header.width, header.height):
        return (), VENDOR_CONFIDENCE
    return same_width_note(stated, header.width, what), RESIZED_CONFIDENCE


def same_width_note(stated: float, width: int, what: str) -> tuple[str, ...]:
    """Say that an image is not as wide as its own record describes."""
    return (f"{what} describes {stated:g} pixels across, the image has {width}: cropped, or its scale is off",)


def _squareness(across: float | None, down: float | None) -> tuple[str, ...]:
    if across and down and abs(across / down - 1) > 0.01:
        return ("pixels are not square; the horizontal size is used",)
    return ()


def _rational(page: Any, code: int) -> float | None:
    value = page.tags.valueof(code)
    if isinstance(value, tuple) and len(value) == 2 and value[1]:
        return positive(value[0] / value[1])
    return positive(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _times(value: object, factor: float) -> str | None:
    number = positive(value)
    return f"{number * factor:g}" if number else None


def _leading_number(text: str | None) -> str | None:
    match = re.match(r"[-+.\d]+", text or "")
    return match[0] if match else None


def _texts(**fields: object) -> dict[str, str]:
    """Keep the fields that say something."""
    return {name: str(value).strip() for name, value in fields.items() if value not in (None, "")}

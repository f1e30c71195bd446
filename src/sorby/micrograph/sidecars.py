"""The text file that Hitachi and JEOL instruments write beside an image.

Hitachi: an INI-like ``[SemImageFile]`` section with ``PixelSize=`` in nanometres and
``Magnification=``. JEOL: lines ``$KEY value`` with ``$CM_MAG``, and the micron bar as
``$$SM_MICRON_BAR`` (its length in pixels) and ``$$SM_MICRON_MARKER`` (what that is, ``10um``).
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from sorby.micrograph.formats import Found
from sorby.micrograph.image import Scale
from sorby.micrograph.tags import (
    RESIZED_CONFIDENCE,
    VENDOR_CONFIDENCE,
    magnification_of,
    micrometres_per,
    positive,
    same_width_note,
)

_LONGEST = 1 << 18
_SHORT_BAR_PX = 50


def find_sidecar(image: Path) -> Path | None:
    """Return the text file beside *image*: ``name.txt``, ``name.TXT`` or ``name.tif.txt``."""
    for candidate in (image.with_suffix(".txt"), image.with_suffix(".TXT"), image.with_name(image.name + ".txt")):
        if candidate != image and candidate.is_file():
            return candidate
    return None


def read_sidecar(image: Path, width: int) -> Found | None:
    """Read scale and instrument from the sidecar of *image*.

    Parameters
    ----------
    image : Path
        The image; its sidecar need not exist.
    width : int
        Width of the image, pixels, to notice one that was resized since.

    Returns
    -------
    Found or None
        None where there is no sidecar, or it is some other text (annotations often are ``.txt``).
    """
    path = find_sidecar(image)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            text = _decoded(file.read(_LONGEST))
    except OSError as error:
        return Found(notes=(f"{path.name}: sidecar cannot be read ({error.strerror})",))
    return parse_sidecar(text, width)


def parse_sidecar(text: str, width: int) -> Found | None:
    """Parse the text of a Hitachi or JEOL sidecar; None for any other text."""
    if re.search(r"^\s*\[SemImageFile\]", text, re.MULTILINE):
        return _hitachi(text, width)
    if re.search(r"^\s*\$(CM_|\$SM_)", text, re.MULTILINE):
        return _jeol(text, width)
    return None


def _hitachi(text: str, width: int) -> Found:
    section = text.split("[SemImageFile]", 1)[1].split("\n[", 1)[0]
    fields = {
        key.strip().lower(): value.strip()
        for key, found, value in (line.partition("=") for line in section.splitlines())
        if found
    }
    pixel_nm = positive(fields.get("pixelsize"))
    recorded = re.match(r"\s*(\d+)\s*[xX]", fields.get("datasize", ""))
    info = _without_blanks(
        instrument=fields.get("instructname"),  # the instrument's own spelling
        detector=fields.get("signalname"),
        hv_kv=_number(fields.get("acceleratingvoltage"), {"volt": 1e-3, "v": 1e-3, "kv": 1.0}),
        wd_mm=_number(fields.get("workingdistance"), {"um": 1e-3, "mm": 1.0}),
        date=fields.get("date"),
    )
    notes, confidence = _width_check(float(recorded[1]) if recorded else None, width, "Hitachi sidecar")
    magnification = magnification_of(fields.get("magnification", ""))
    if pixel_nm is None and magnification is None:
        return Found(Scale(detail="Hitachi sidecar without PixelSize"), info, notes)
    scale = Scale(pixel_nm and pixel_nm * 1e-3, magnification, "hitachi", confidence, "Hitachi sidecar: PixelSize, nm")
    return Found(scale, info, notes)


def _jeol(text: str, width: int) -> Found:
    fields = dict(re.findall(r"^\s*\$+(\w+)[ \t]+(.*?)\s*$", text, re.MULTILINE))
    bar_px = positive(fields.get("SM_MICRON_BAR"))
    marker = re.match(r"([\d.]+)\s*(\S+)", fields.get("SM_MICRON_MARKER", ""))
    length, unit = (positive(marker[1]), micrometres_per(marker[2])) if marker else (None, None)
    pixel_um = length * unit / bar_px if length and unit and bar_px else None
    recorded = re.match(r"(\d+)", fields.get("CM_FULL_SIZE", ""))
    info = _without_blanks(
        instrument=fields.get("CM_INSTRUMENT"),
        detector=fields.get("CM_SIGNAL_NAME") or fields.get("CM_SIGNAL"),
        hv_kv=fields.get("CM_ACCEL_VOLT"),
        wd_mm=fields.get("SM_WD"),
        date=fields.get("CM_DATE"),
    )
    notes, confidence = _width_check(float(recorded[1]) if recorded else None, width, "JEOL sidecar")
    magnification = magnification_of(fields.get("CM_MAG", ""))
    if pixel_um is None and magnification is None:
        return Found(Scale(detail="JEOL sidecar without a micron bar"), info, notes)
    detail = "JEOL sidecar: micron marker over micron bar"
    if bar_px:
        # The bar is stated in whole pixels, so its pixel size is no better than half a pixel of it.
        detail += f", known to {50 / bar_px:.2g} %"
        if bar_px < _SHORT_BAR_PX:
            confidence = min(confidence, 0.9)
    return Found(Scale(pixel_um, magnification, "jeol", confidence, detail), info, notes)


def _width_check(recorded: float | None, width: int, what: str) -> tuple[tuple[str, ...], float]:
    if recorded is None or recorded == width:
        return (), VENDOR_CONFIDENCE
    return same_width_note(recorded, width, what), RESIZED_CONFIDENCE


def _decoded(data: bytes) -> str:
    """Decode what instruments write: UTF-8, UTF-16 with a mark, or a code page."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _number(text: str | None, units: dict[str, float]) -> str | None:
    match = re.match(r"([\d.]+)\s*(\w+)", text or "")
    number = positive(match[1]) if match else None
    factor = units.get(match[2].lower()) if match else None
    return f"{number * factor:g}" if number and factor else None


def _without_blanks(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}

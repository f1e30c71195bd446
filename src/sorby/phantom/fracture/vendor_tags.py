"""Scale tags in TIFF as FEI's and ZEISS's microscopes leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tifffile

from sorby.phantom.fracture.imaging import FractureView
from sorby.phantom.fracture.specimen import DISPLAY_WIDTH_UM

_FEI_TAG, _ZEISS_TAG = 34682, 34118


def write_tagged(path: Path, view: FractureView, vendor: Literal["fei", "zeiss"]) -> None:
    """Write a picture as TIFF with its maker's tag.

    Parameters
    ----------
    path : Path
    view : FractureView
    vendor : {"fei", "zeiss"}
        ``fei``: pixel width in metres and the width of the display that the magnification refers to;
        ``zeiss``: ``AP_IMAGE_PIXEL_SIZE`` and ``AP_MAG``, and the monitor's pitch that is so easily taken for it.
    """
    number, text = (_FEI_TAG, fei_text(view)) if vendor == "fei" else (_ZEISS_TAG, zeiss_text(view))
    tifffile.imwrite(path, view.pixels, metadata=None, extratags=[(number, "s", 0, text.encode("cp1252"), True)])


def fei_text(view: FractureView) -> str:
    """Return the text of FEI's tag."""
    rows, columns = view.pixels.shape
    metres = view.pixel_size_um * 1e-6
    lines = [
        "[System]",
        "SystemType=Phantom",
        "[Beam]",
        "Scan=EScan",
        "[EScan]",
        f"PixelWidth={metres:.9g}",
        f"PixelHeight={metres:.9g}",
        f"HorFieldsize={metres * columns:.9g}",
        "[Image]",
        f"ResolutionX={columns}",
        f"ResolutionY={rows - view.bar_rows}",
        f"MagCanvasRealWidth={DISPLAY_WIDTH_UM * 1e-6:.6g}",
        "[PrivateFei]",
        f"DatabarHeight={view.bar_rows}",
    ]
    return "\r\n".join(lines) + "\r\n"


def zeiss_text(view: FractureView) -> str:
    """Return the text of ZEISS's tag."""
    size = view.pixel_size_um
    shown = f"{size:.6g} µm" if size >= 1 else f"{size * 1000:.6g} nm"
    kilo = view.magnification / 1000
    power = f"{kilo:.2f} K X" if kilo >= 1 else f"{view.magnification:.0f} X"
    lines = [
        "0",
        "DP_SEM",
        "SEM = Phantom",
        "AP_MAG",
        f"Mag = {power}",
        "AP_PIXEL_SIZE",
        "Pixel Size = 279.4 µm",
        "AP_IMAGE_PIXEL_SIZE",
        f"Image Pixel Size = {shown}",
    ]
    return "\r\n".join(lines) + "\r\n"

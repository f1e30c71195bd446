"""Fracture views with their info bars."""

from __future__ import annotations

from dataclasses import replace

from sorby.phantom.fracture.imaging import FractureView
from sorby.phantom.fracture.specimen import FractureSpecimen
from sorby.phantom.info_bars import draw_bar


def with_bar(view: FractureView, specimen: FractureSpecimen) -> FractureView:
    """Return a view with its info bar added above or below the picture; cues are nothing there.

    Parameters
    ----------
    view : FractureView
        Without bar.
    specimen : FractureSpecimen
        Its vendor, language and place of the bar.
    """
    height, width = view.pixels.shape
    bar = draw_bar(
        specimen.vendor,
        width,
        view.pixel_size_um,
        view.magnification,
        seed=specimen.seed,
        number=view.plan.number,
        language=specimen.language,
        at=specimen.bar_at,
    )
    return replace(
        view,
        pixels=bar.beside(view.pixels),
        cues=bar.nothing_beside(view.cues),
        bar_top=0 if bar.at == "top" else height,
        bar_rows=bar.rows,
        scale_label=bar.scale_label,
        scale_px=bar.scale_px,
    )

"""Pictures of coupons with their microscope's info bar."""

from __future__ import annotations

from dataclasses import replace

from sorby.phantom.corrosion.imaging import CorrosionView
from sorby.phantom.corrosion.specimen import CorrosionSpecimen
from sorby.phantom.info_bars import draw_bar

#: Accelerating voltage of the published pictures.
ACCELERATING_KV = 20.0


def with_bar(view: CorrosionView, specimen: CorrosionSpecimen) -> CorrosionView:
    """Return a view with its info bar added below the picture; masks hold nothing there.

    What the view states of areas stays true of the picture without bar.

    Parameters
    ----------
    view : CorrosionView
        Without bar.
    specimen : CorrosionSpecimen
        Its microscope says whose bar.
    """
    height, width = view.pixels.shape
    bar = draw_bar(
        specimen.microscope.vendor,
        width,
        view.pixel_size_um,
        view.plan.magnification,
        seed=specimen.seed,
        number=view.plan.number,
        kv=ACCELERATING_KV,
    )
    forms = bar.nothing_beside(view.forms)
    return replace(
        view,
        pixels=bar.beside(view.pixels),
        forms=forms,
        attacked=forms > 0,
        bar_top=height,
        bar_rows=bar.rows,
        scale_label=bar.scale_label,
        scale_px=bar.scale_px,
    )

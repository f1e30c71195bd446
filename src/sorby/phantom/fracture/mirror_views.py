"""Views that serve to measure a fracture mirror, and where the origin lies in them."""

from __future__ import annotations

import math

import numpy as np

from sorby.phantom.fracture.specimen import MAGNIFICATIONS, FractureSpecimen, ViewPlan, field_width_um

_SHARE = 0.13  # of the picture's width: the mirror radius that can be measured best
_OFF_CENTRE = 0.05  # of the picture's width: how far from the middle operators put the origin, SD


def mirror_view(specimen: FractureSpecimen) -> ViewPlan:
    """Plan the picture that an operator would take to measure the mirror.

    The origin is near the middle, and the magnification is the one of the published series at which the mirror's
    radius comes nearest to an eighth of the width.

    Parameters
    ----------
    specimen : FractureSpecimen

    Returns
    -------
    ViewPlan
    """
    shares = [specimen.mirror_radius_um / field_width_um(power) for power in MAGNIFICATIONS]
    power = float(MAGNIFICATIONS[int(np.argmin([abs(math.log(share / _SHARE)) for share in shares]))])
    off = np.random.default_rng([specimen.seed, 1678]).normal(0.0, _OFF_CENTRE * field_width_um(power), 2)
    return ViewPlan(1, power, centre_um=(float(off[0]), float(off[1])))


def origin_px(specimen: FractureSpecimen, plan: ViewPlan, size: tuple[int, int]) -> tuple[float, float]:
    """Return where the origin lies in a picture without info bar.

    Parameters
    ----------
    specimen : FractureSpecimen
        It may have been laid under the microscope in quarter turns.
    plan : ViewPlan
    size : (int, int)
        Width and height of the picture in pixels.

    Returns
    -------
    (float, float)
        Column and row in pixels, from the middle of the first one.
    """
    width, height = size
    turns = specimen.appearance.turns % 4
    across, down = (width, height) if turns % 2 == 0 else (height, width)
    pixel = field_width_um(plan.magnification) / width
    x, y = across / 2 - plan.centre_um[0] / pixel - 0.5, down / 2 - plan.centre_um[1] / pixel - 0.5
    for _ in range(turns):  # a quarter turn against the clock: columns become rows
        x, y, across, down = y, across - 1 - x, down, across
    return x, y

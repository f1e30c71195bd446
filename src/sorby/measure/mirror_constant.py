"""The mirror constant that follows from mirror radius and stress (ASTM C1678)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sorby.measure.fracture_mirror import FractureMirror


@dataclass(frozen=True)
class MirrorConstant:
    """A of sigma R^1/2 = A.

    Attributes
    ----------
    value : float
        MPa m^1/2.
    ci95 : tuple of float
        From the radius and the stress.
    stress_mpa : float
    stress_error : float
        Relative standard error of the stress.
    """

    value: float
    ci95: tuple[float, float]
    stress_mpa: float
    stress_error: float


def mirror_constant(mirror: FractureMirror, stress_mpa: float, stress_error: float) -> MirrorConstant:
    """Return the mirror constant with the interval that follows from radius and stress.

    Parameters
    ----------
    mirror : FractureMirror
    stress_mpa : float
        At the origin, not nominal: ASTM C1678 corrects for the depth of the origin and the place along the part.
    stress_error : float
        Relative standard error of the stress.

    Returns
    -------
    MirrorConstant
    """
    value = stress_mpa * math.sqrt(mirror.radius_um * 1e-6)
    spread = math.hypot(stress_error, mirror.relative_error / 2)
    bounds = (value * math.exp(-1.96 * spread), value * math.exp(1.96 * spread))
    return MirrorConstant(value, bounds, stress_mpa, stress_error)


def bending_stress_mpa(load_n: float, width_mm: float, height_mm: float, outer_mm: float, inner_mm: float) -> float:
    """Return the stress at the tensile surface of a bar in bending.

    Parameters
    ----------
    load_n : float
        Load at fracture in newtons.
    width_mm, height_mm : float
        Section; the height lies along the load.
    outer_mm, inner_mm : float
        Distances of supports and loading rollers; an inner distance of 0 is three-point bending.

    Returns
    -------
    float
        ``3 F (L - l) / (2 b h^2)`` in MPa (EN 843-1, ASTM C1161).
    """
    return 1.5 * load_n * (outer_mm - inner_mm) / (width_mm * height_mm**2)

"""Load, stress, mirror radius and flaw size of a broken bar: three equations that hold together in every specimen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Mirror constant of the phantom's alumina in MPa m^1/2; ASTM C1678 reports 8 to 10 for fine-grained alumina.
MIRROR_CONSTANT_MPA_SQRT_M = 9.0
#: Fracture toughness of the phantom's alumina in MPa m^1/2.
TOUGHNESS_MPA_SQRT_M = 5.0
#: Stress intensity shape factors Y of K = Y sigma c^1/2: half-penny crack at the surface, penny crack in the volume.
SHAPE_AT_SURFACE, SHAPE_IN_VOLUME = 1.29, 1.13
_UM_PER_M = 1e6


@dataclass(frozen=True)
class Bar:
    """A bar of rectangular section in four-point bending (as EN 843-1, scaled to a load of some kilonewtons).

    Attributes
    ----------
    width_mm, height_mm : float
        Section; the height lies along the load.
    outer_span_mm, inner_span_mm : float
        Distances of the supports and of the loading rollers.
    """

    width_mm: float = 12.0
    height_mm: float = 10.0
    outer_span_mm: float = 80.0
    inner_span_mm: float = 40.0

    @property
    def section_modulus_mm3(self) -> float:
        """W = b h^2 / 6."""
        return self.width_mm * self.height_mm**2 / 6.0

    def stress_mpa(self, load_n: float, depth_um: float = 0.0) -> float:
        """Return the bending stress at *depth_um* below the tensile surface: sigma = M / W (1 - 2 d / h)."""
        moment_n_mm = load_n * (self.outer_span_mm - self.inner_span_mm) / 4.0
        return moment_n_mm / self.section_modulus_mm3 * (1.0 - 2.0 * depth_um / 1000.0 / self.height_mm)

    def load_n(self, stress_mpa: float, depth_um: float = 0.0) -> float:
        """Return the load that puts *stress_mpa* on the material at *depth_um*; the inverse of :meth:`stress_mpa`."""
        return stress_mpa / self.stress_mpa(1.0, depth_um)


#: The component that every specimen of the phantom was.
COMPONENT = Bar()


def mirror_radius_um(stress_mpa: float, constant: float = MIRROR_CONSTANT_MPA_SQRT_M) -> float:
    """Return the mirror radius in µm from sigma r^1/2 = A (ASTM C1678, C1322).

    Parameters
    ----------
    stress_mpa : float
        Stress at the origin.
    constant : float
        Mirror constant A in MPa m^1/2.
    """
    return float((constant / stress_mpa) ** 2 * _UM_PER_M)


def flaw_depth_um(stress_mpa: float, *, at_surface: bool) -> float:
    """Return the size c of the flaw in µm that breaks at *stress_mpa*: K_Ic = Y sigma c^1/2."""
    shape = SHAPE_AT_SURFACE if at_surface else SHAPE_IN_VOLUME
    return float((TOUGHNESS_MPA_SQRT_M / (shape * stress_mpa)) ** 2 * _UM_PER_M)


def weibull_stress_mpa(rng: np.random.Generator, median_mpa: float, modulus: float) -> float:
    """Draw a strength in MPa from a Weibull distribution of the given median and modulus."""
    scale = median_mpa / np.log(2.0) ** (1.0 / modulus)
    return float(scale * rng.weibull(modulus))

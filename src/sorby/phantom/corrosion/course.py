"""How far corrosion has come: area attacked by place, time and temperature, and its grade from 0 to 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorby.errors import InputError

Alloy = Literal["316L", "AZ31B"]
ALLOYS: tuple[Alloy, ...] = ("316L", "AZ31B")
#: The temperatures of the published study in kelvin.
TEMPERATURES_K = (303.0, 313.0, 323.0)
#: Grades, from sound to severe.
SEVERITIES = (0, 1, 2, 3, 4)
#: Share of the area attacked from which grades 1 to 4 begin. Nobody has published a scale: this one is the house's.
GRADE_BOUNDS = (0.02, 0.10, 0.25, 0.45)
#: The most that is drawn.
_MOST = 0.75
#: J/(mol K).
GAS_CONSTANT = 8.314462618
_REFERENCE_K = 303.0


@dataclass(frozen=True)
class Kinetics:
    """An alloy's law of growth: attacked share = 1 - exp(-(t / t0)^n) of Avrami, t0 falling with temperature.

    Attributes
    ----------
    exponent : float
        n: 1 for attack that spreads at a constant pace, less where its product slows it.
    hours : float
        t0 at 303 K for a usual specimen.
    activation_j_mol : float
        Activation energy of 1/t0; that of the published corrosion currents between 303 and 323 K.
    """

    exponent: float
    hours: float
    activation_j_mol: float

    def rate(self, temperature_k: float) -> float:
        """Return how much faster than at 303 K attack goes (Arrhenius)."""
        return float(np.exp(self.activation_j_mol / GAS_CONSTANT * (1.0 / _REFERENCE_K - 1.0 / temperature_k)))


#: Hours are for the demonstration's sake: days for magnesium, weeks for the steel.
KINETICS: Mapping[Alloy, Kinetics] = {
    "316L": Kinetics(exponent=1.1, hours=1100.0, activation_j_mol=11_900.0),
    "AZ31B": Kinetics(exponent=0.85, hours=160.0, activation_j_mol=23_300.0),
}


def grade(share: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return the grade, 0 to 4, of a share of the area attacked; any shape."""
    return np.digitize(np.asarray(share, dtype=np.float64), GRADE_BOUNDS).astype(np.uint8)


def grade_limits(severity: int) -> tuple[float, float]:
    """Return the shares between which a grade lies.

    Raises
    ------
    InputError
        There is no such grade.
    """
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity} is unknown", "allowed: 0 to 4")
    edges = (0.0, *GRADE_BOUNDS, _MOST)
    return edges[severity], edges[severity + 1]


@dataclass(frozen=True)
class Unevenness:
    """How attack differs from place to place, a sum of plane waves: the same at a point whoever asks.

    Attributes
    ----------
    amplitude : float
        Deviation of the logarithm of the pace.
    waves : tuple of tuple of float
        Of each wave the wave numbers along x and y in radians per µm, and its phase.
    """

    amplitude: float
    waves: tuple[tuple[float, float, float], ...]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, amplitude: float, shortest_um: float = 900.0, longest_um: float = 5000.0
    ) -> Unevenness:
        """Draw six waves between two lengths."""
        lengths = np.exp(rng.uniform(np.log(shortest_um), np.log(longest_um), 6))
        angles, phases = rng.uniform(0.0, 2 * np.pi, (2, 6))
        number = 2 * np.pi / lengths
        parts = zip(number * np.cos(angles), number * np.sin(angles), phases, strict=True)
        return cls(amplitude, tuple((float(x), float(y), float(phase)) for x, y, phase in parts))

    def log_pace(self, x_um: npt.NDArray[Any], y_um: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the logarithm of the pace at places (broadcast), about 0."""
        total = np.zeros(np.broadcast_shapes(x_um.shape, y_um.shape), dtype=np.float32)
        for along_x, along_y, phase in self.waves:
            # cos(a + b) from sines and cosines of rows and columns: far fewer of them over a grid.
            a, b = x_um * np.float32(along_x) + np.float32(phase), y_um * np.float32(along_y)
            total += np.cos(a) * np.cos(b) - np.sin(a) * np.sin(b)
        return total * np.float32(self.amplitude * np.sqrt(2.0 / max(len(self.waves), 1)))


@dataclass(frozen=True)
class Course:
    """The course of corrosion on one specimen.

    Attributes
    ----------
    alloy : {"316L", "AZ31B"}
    temperature_k : float
        Of the medium.
    reactivity : float
        Factor on the pace of this specimen; 1 is usual.
    unevenness : Unevenness
    """

    alloy: Alloy
    temperature_k: float
    reactivity: float
    unevenness: Unevenness

    @property
    def relative_rate(self) -> float:
        """Pace of attack over that of a usual specimen of the alloy at 303 K."""
        return self.reactivity * KINETICS[self.alloy].rate(self.temperature_k)

    def extended(self, hours: float, x_um: npt.NDArray[Any], y_um: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return Avrami's extended area -ln(1 - share) at places (broadcast) after *hours*."""
        law = KINETICS[self.alloy]
        mean = (max(hours, 0.0) * self.relative_rate / law.hours) ** law.exponent
        return np.asarray(mean * np.exp(law.exponent * self.unevenness.log_pace(x_um, y_um)), dtype=np.float32)

    def share(self, hours: float, x_um: npt.NDArray[Any], y_um: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the expected share of the area attacked, 0 to 1, at places (broadcast) after *hours*."""
        return np.asarray(1.0 - np.exp(-self.extended(hours, x_um, y_um)), dtype=np.float32)

    def hours_until(self, share: float) -> float:
        """Return the immersion in hours after which *share* of the area is attacked where the pace is usual."""
        law = KINETICS[self.alloy]
        extended = -np.log1p(-share)
        return float(extended ** (1.0 / law.exponent) * law.hours / self.relative_rate)

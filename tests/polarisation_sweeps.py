"""Synthetic polarisation sweeps with known kinetics, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sorby.electrochem.mixed_control import MixedControl
from sorby.electrochem.polarisation_curve import Sweep

#: An ordinary corroding metal: 10 uA/cm2 at -0.5 V, slopes of 60 and 120 mV a decade.
METAL = MixedControl(1e-5, 60.0, 120.0, -0.5)


def synthetic_sweep(
    model: MixedControl = METAL,
    low_v: float = -0.75,
    high_v: float = -0.25,
    *,
    noise: float = 0.0,
    down: bool = False,
    seed: int = 0,
) -> Sweep:
    """Return a sweep in steps of 1 mV, with relative *noise* on the current."""
    potential = np.arange(low_v, high_v, 1e-3)
    if down:
        potential = potential[::-1]
    density = model.density(potential)
    density = density * (1 + noise * np.random.default_rng(seed).standard_normal(len(density)))
    return Sweep(potential, density, "down" if down else "up", 0)


def write_columns(
    path: Path, *sweeps: Sweep, header: str = "Potential (V)\tCurrent (A)", area_cm2: float = 1.0, comma: bool = False
) -> Path:
    """Write sweeps one below the other as two columns: V, and A on *area_cm2*."""
    lines = [header] if header else []
    for sweep in sweeps:
        for volt, density in zip(sweep.potential_v, sweep.density_a_cm2, strict=True):
            lines.append(f"{volt:.6f}\t{density * area_cm2:.8e}")
    text = "\n".join(lines) + "\n"
    path.write_text(text.replace(".", ",") if comma else text, encoding="utf-8")
    return path

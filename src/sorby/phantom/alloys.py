"""Steels of the published set: their shares, and how an alloy changes the look a little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sorby.errors import InputError
from sorby.phantom.needles import Lognormal
from sorby.phantom.specimens import SteelSpec, SteelSpecimen


@dataclass(frozen=True)
class Alloy:
    """A steel grade and what it does to a micrograph.

    Attributes
    ----------
    images : int
        In the published set (S1-10: 68.7 % 100Cr6, 15.3 % 100CrMnSi6-4, the rest C56E2 and twelve variants).
    austenite, carbides : float
        Factors on the shares of retained austenite and of carbides.
    carbide_size : float
        Factor on their diameter.
    etching : float
        Factor on the depth the usual etch reaches.
    warmth : float
        Added to the tint, brown above 0.
    """

    images: int
    austenite: float = 1.0
    carbides: float = 1.0
    carbide_size: float = 1.0
    etching: float = 1.0
    warmth: float = 0.0


def _variants() -> dict[str, Alloy]:
    """Return the twelve further variants of 100Cr6, always the same; six have fewer than ten images."""
    rng = np.random.default_rng(100)
    images = (61, 38, 27, 19, 14, 11, 8, 5, 4, 2, 2, 1)
    return {
        f"100Cr6-{number:02d}": Alloy(
            count,
            austenite=round(float(rng.uniform(0.8, 1.25)), 3),
            carbides=round(float(rng.uniform(0.6, 1.3)), 3),
            carbide_size=round(float(rng.uniform(0.88, 1.15)), 3),
            etching=round(float(rng.uniform(0.92, 1.08)), 3),
            warmth=round(float(rng.normal(0, 0.12)), 3),
        )
        for number, count in enumerate(images, start=1)
    }


ALLOYS: Mapping[str, Alloy] = {
    "100Cr6": Alloy(1127),
    # Manganese and silicon keep austenite and hold carbides back; the etch bites a little less.
    "100CrMnSi6-4": Alloy(251, austenite=1.2, carbides=0.8, carbide_size=0.95, etching=0.95, warmth=0.1),
    "C56E2": Alloy(71, warmth=-0.08),
    **_variants(),
}


def with_alloy(specimen: SteelSpecimen, alloy: str) -> SteelSpecimen:
    """Return the specimen made of another alloy: phases, etch and tint change a little, needles do not.

    Parameters
    ----------
    specimen : SteelSpecimen
    alloy : str
        A key of ``ALLOYS``.

    Raises
    ------
    InputError
        The alloy is unknown.
    """
    if alloy not in ALLOYS:
        raise InputError(f"alloy {alloy!r} is unknown", f"allowed: {', '.join(ALLOYS)}")
    made = ALLOYS[alloy]

    def change(spec: SteelSpec) -> SteelSpec:
        return replace(
            spec,
            alloy=alloy,
            retained_austenite=spec.retained_austenite * made.austenite,
            carbides=spec.carbides * made.carbides,
            carbide_um=spec.carbide_um * made.carbide_size,
            etching=replace(spec.etching, depth=spec.etching.depth * made.etching),
            instrument=replace(spec.instrument, warmth=spec.instrument.warmth + made.warmth),
        )

    return replace(specimen, specs=tuple(change(spec) for spec in specimen.specs))


def with_coarse_patches(specimen: SteelSpecimen, area: float, ratio: float = 2.6) -> SteelSpecimen:
    """Return bainite with coarse patches too small for the maximum criterion: the mean still grades it.

    Parameters
    ----------
    specimen : SteelSpecimen
        Of one needle population.
    area : float
        Share of the frame that the patches take; below the grade table's `coarse_area` with some reserve.
    ratio : float
        Median needle length in the patches over that of the rest.

    Raises
    ------
    InputError
        The specimen is no bainite of one population, or the rule would make the patches decide.
    """

    def change(spec: SteelSpec) -> SteelSpec:
        if spec.subtype != "B" or spec.coarse_lengths is not None:
            raise InputError(f"{spec.requested}: coarse patches belong into bainite of one population")
        if area > 0.75 * spec.table.coarse_area:
            raise InputError(f"patches of {area:.3f} could count as coarse regions", "stay below 3/4 of coarse_area")
        patch = Lognormal(spec.lengths.median_um * ratio, spec.lengths.sigma)
        return replace(spec, coarse_lengths=patch, coarse_area=area)

    return replace(specimen, specs=tuple(change(spec) for spec in specimen.specs))

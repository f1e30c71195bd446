"""How well `sorby measure mirror` finds the mirror radius and the mirror constant of fracture phantoms.

Every specimen is looked at with the origin near the middle, at the magnification of the published series at which its
mirror's radius is nearest to an eighth of the picture's width. Radius against truth, with the origin given and found;
the share of specimens within 10 %; how often the 95 % interval holds the truth; and the mirror constant. Refused
pictures are counted apart, and so are those measured with a warning that the view does not serve.

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np

from common import finish
from sorby.errors import ImageError
from sorby.evidence import proportion
from sorby.measure.fracture_mirror import FractureMirror, measure_mirror
from sorby.measure.mirror_constant import mirror_constant
from sorby.phantom.fracture import FractureSpecimen, fracture_set, mirror_view, origin_px, render

_STRESS_ERROR = 0.01
#: Seed and difficulty of each set; the measure was set up on seeds 500 and 501, and adopted after a look at 900, 901
#: and 2027.
_SETS = {"cluttered": (3030, 1.0), "plain": (3031, 0.0)}


def measure_specimen(specimen: FractureSpecimen, size: tuple[int, int], search: bool) -> dict[str, Any]:
    """Measure one specimen with its origin given and, with *search*, found."""
    plan = mirror_view(specimen)
    view = render(specimen, plan, size)
    middle = origin_px(specimen, plan, size)
    row: dict[str, Any] = {
        "specimen": specimen.name,
        "subtype": specimen.subtype,
        "magnification": int(plan.magnification),
        "truth_um": specimen.mirror_radius_um,
        "stress_mpa": specimen.origin_stress_mpa,
    }
    for name, origin in (("given", middle), ("found", None)):
        if origin is None and not search:
            continue
        try:
            found = measure_mirror(view.pixels, view.pixel_size_um, origin=origin)
        except ImageError as error:
            row[name] = {"refused": error.message}
            continue
        row[name] = _entry(found, specimen, middle)
    return row


def _entry(found: FractureMirror, specimen: FractureSpecimen, middle: tuple[float, float]) -> dict[str, Any]:
    low, high = found.ci95_um
    constant = mirror_constant(found, specimen.origin_stress_mpa, _STRESS_ERROR)
    return {
        "radius_um": found.radius_um,
        "ratio": found.radius_um / specimen.mirror_radius_um,
        "ci95": [low, high],
        "covered": low <= specimen.mirror_radius_um <= high,
        "constant": constant.value,
        "constant_covered": constant.ci95[0] <= specimen.mirror_constant_mpa_sqrt_m <= constant.ci95[1],
        "origin_off_radii": math.hypot(found.x_px - middle[0], found.y_px - middle[1])
        * found.pixel_size_um / specimen.mirror_radius_um,
        "true_aspect": specimen.mirror_aspect,
        "amplitude": found.amplitude,
        "fair_view": found.fair_view,
        "warnings": found.warnings,
    }  # fmt: skip


def summary(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Summarise the rows with the origin given or found."""
    entries = [row[name] for row in rows if name in row]
    measured = [entry for entry in entries if "ratio" in entry]
    fair = [entry for entry in measured if entry["fair_view"]]
    return {**_summary(measured), "refused": len(entries) - len(measured), "fair_view": _summary(fair)}


def _summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = np.array([entry["ratio"] for entry in measured])
    n = len(measured)
    if not n:
        return {"n": 0}
    return {
        "n": n,
        "median_ratio": float(np.median(ratios)),
        "median_error": float(np.median(np.abs(ratios - 1))),
        "sd_of_log": float(np.log(ratios).std(ddof=1)) if n > 1 else None,
        "within_10_percent": proportion(int((np.abs(ratios - 1) <= 0.1).sum()), n).as_dict(),
        "interval_holds_truth": proportion(sum(entry["covered"] for entry in measured), n).as_dict(),
        "median_constant": float(np.median([entry["constant"] for entry in measured])),
        "constant_interval_holds_truth": proportion(sum(e["constant_covered"] for e in measured), n).as_dict(),
    }


def measured(seed: int, n: int, difficulty: float, search: int, size: tuple[int, int], rows: bool) -> dict[str, Any]:
    """Measure a set of specimens and summarise."""
    specimens = fracture_set(n, seed, difficulty=difficulty, unknown=0.0)
    found = [measure_specimen(specimen, size, number < search) for number, specimen in enumerate(specimens)]
    return {
        "n": n,
        "seed": seed,
        "difficulty": difficulty,
        "origin_given": summary(found, "given"),
        "origin_found": summary(found, "found"),
        **({"rows": found} if rows else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="fracture mirrors of phantoms")
    parser.add_argument("--n", type=int, default=60, help="specimens of each set")
    parser.add_argument("--found", type=int, default=16, help="specimens whose origin is also looked for")
    parser.add_argument("--width", type=int, default=1024, help="of the pictures, 4:3")
    parser.add_argument("--rows", action="store_true", help="print every specimen too")
    options = parser.parse_args()
    size = (options.width, options.width * 3 // 4)
    sets = {
        name: measured(seed, options.n, difficulty, options.found, size, options.rows)
        for name, (seed, difficulty) in _SETS.items()
    }
    finish("fracture_mirror", {"size": list(size), **sets})


if __name__ == "__main__":
    main()

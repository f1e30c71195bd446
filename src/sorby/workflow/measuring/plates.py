"""``measure plate``: severity of every tile of a large surface, stitched to a map with area fractions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sorby.backbone.runtime import Device
from sorby.bundle import OpenBundle
from sorby.classify import Classifier
from sorby.errors import InputError, Quarantined
from sorby.evidence import grades_of, percentile_interval
from sorby.files import staged_directory, write_json, write_text
from sorby.measure.plate_map import block_side, resampled_fractions, unconfused
from sorby.micrograph import Micrograph
from sorby.workflow.measuring.images import measure_each
from sorby.workflow.measuring.plate_judging import LEAST_PLATE, MeasuredPlate, PlateOptions, judged_plate, taught_scale
from sorby.workflow.opening import open_classifier

_MEANING = (
    "fractions are of the judged area, as called; ci95: blocks of neighbouring cells drawn anew, which speaks of"
    " surfaces like this one and leaves out that the classifier errs. Corrected ones are right where tiles of the plate"
    " are confused as the test's images were, and no surer than that test: where both differ by much, neither is to be"
    " trusted further than their difference"
)


def measure_plates(
    bundle: Path | str,
    paths: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    pixel_size_um: float | None = None,
    options: PlateOptions | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Map the severity of plates.

    Parameters
    ----------
    bundle : path
        A classifier whose classes are grades.
    paths : sequence of path
        Pictures of plates, or folders of them.
    out : path, optional
        New folder: for each plate ``<name>-map.png``, ``<name>-tiles.csv``; ``plates.json`` and ``plates.html``.
    pixel_size_um : float, optional
        Of every plate; overrules the files.
    options : PlateOptions, optional
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``plates`` (``file``, ``fractions`` by grade with ``value``, ``ci95``, ``bounds``, and ``corrected`` with a
        ``value`` and ``ci95`` of its own; ``mean_severity``, ``judged_area``, ``tiles``, ``not_judged``, ``texture``,
        ``warnings``), ``correction``, ``terms``,
        ``quarantined``, ``bundle_sha256``, ``out``.

    Raises
    ------
    InputError
        The bundle's classes are no grades, no plate can be measured, or an option cannot be.
    """
    options = options or PlateOptions()
    _check(options)
    classifier, opened = open_classifier(bundle, require_signed=require_signed)
    grades = grades_of(classifier.classes)
    if grades is None:
        raise InputError(
            f"{bundle}: its classes ({', '.join(classifier.classes[:4])}) are no grades",
            "teach severity: sorby train DATA --label severity --recipe corrosion-severity",
        )
    if classifier.reads_magnification:
        raise InputError(f"{bundle}: reads the magnification, which tiles have none of", "teach without it")
    taught = taught_scale(classifier, opened, options.tile_um)
    classifier.runtime(device)

    def measured(micrograph: Micrograph) -> MeasuredPlate:
        return judged_plate(micrograph, classifier, grades, taught, options)

    plates, quarantined = measure_each(paths, pixel_size_um, measured, what="plates")
    if not plates:
        raise InputError(f"none of {len(quarantined)} plates could be measured ({quarantined[0].reason})", "see above")
    return _result(plates, classifier, opened, grades, options, quarantined, out)


def _check(options: PlateOptions) -> None:
    if not 0 <= options.overlap < 1:
        raise InputError(f"an overlap of {options.overlap:g} cannot be", "give a share of a tile, 0 to below 1")
    if options.widest_set < 1:
        raise InputError(f"sets of {options.widest_set} grades leave nothing judged", "give 1 or more")
    if options.tile_um is not None and not 0 < options.tile_um < np.inf:
        raise InputError(f"a tile of {options.tile_um:g} um is none", "give micrometres above 0")


def _result(
    plates: Sequence[MeasuredPlate],
    classifier: Classifier,
    opened: OpenBundle,
    grades: npt.NDArray[np.int64],
    options: PlateOptions,
    quarantined: Sequence[Quarantined],
    out: Path | str | None,
) -> dict[str, Any]:
    confusion, n_specimens, correction = _confusion(opened, len(grades))
    entries = [_entry(plate, classifier, grades, confusion, n_specimens, options) for plate in plates]
    result = {
        "plates": entries,
        "classes": list(classifier.classes),
        "correction": correction,
        "terms": _MEANING,
        "warnings": classifier.judge.limits(),
        "quarantined": [entry.as_dict() for entry in quarantined],
        "bundle_sha256": opened.sha256,
        "out": None if out is None else str(out),
    }
    if out is not None:
        _write(Path(out), plates, classifier, result)
    return result


def _confusion(opened: OpenBundle, size: int) -> tuple[npt.NDArray[np.float64] | None, int, str]:
    """Return the confusion of the bundle's test, on how many specimens it rests, and what is done with it."""
    stated = opened.description.calibration.get("confusion")
    counts = np.asarray(stated["counts"], np.float64) if isinstance(stated, dict) else np.zeros((0, 0))
    if counts.shape != (size, size) or not isinstance(stated, dict):
        return None, 0, "counted as called: the bundle does not hold the confusion of a test"
    n = int(str(stated["n_specimens"]))
    return counts, n, f"adjusted counting by maximum likelihood, with the confusion of the test on {n} specimens"


def _entry(
    plate: MeasuredPlate,
    classifier: Classifier,
    grades: npt.NDArray[np.int64],
    confusion: npt.NDArray[np.float64] | None,
    n_specimens: int,
    options: PlateOptions,
) -> dict[str, Any]:
    found, um = plate.map, plate.micrograph.scale.pixel_size_um or np.nan
    why = Counter(reason for reason in plate.reasons if reason)
    on_plate = len(plate.reasons) - why["beyond-plate"]
    warnings = [*plate.notes]
    fractions: dict[str, Any] = {}
    severity: dict[str, Any] = {"value": None, "ci95": None, "corrected": None}
    share = found.judged_share
    if found.judged.any():
        counted = found.counted()
        called = resampled_fractions(found, None, 0, seed=options.seed)
        values, draws = counted, called
        if confusion is not None:
            values = unconfused(counted, confusion)
            draws = resampled_fractions(found, confusion, n_specimens, seed=options.seed)
        for k, name in enumerate(classifier.classes):
            low = float(counted[k] * share)
            fractions[name] = {
                **_drawn(counted[k], called[:, k]),
                "bounds": [low, low + 1.0 - share],
                "corrected": None if confusion is None else _drawn(values[k], draws[:, k]),
            }
        severity = _drawn(float(counted @ grades), called @ grades)
        severity["corrected"] = None if confusion is None else _drawn(float(values @ grades), draws @ grades)
    else:
        warnings.append("no tile could be judged: there are no fractions")
    if share < 1:
        warnings.append(
            f"{100 * (1 - share):.1f} % of the plate's area is not judged and counts nowhere; bounds say what the"
            " fractions would be if it all were of one grade or of none"
        )
    return {
        "file": str(plate.micrograph.path),
        "pixel_size_um": um,
        "pixel_size_source": plate.micrograph.scale.source,
        "tile_um": [plate.plan.tile[0] * um, plate.plan.tile[1] * um],
        "area_mm2": float(found.area.sum()) * um * um / 1e6,
        "outline": plate.outline_from,
        "fractions": fractions,
        "mean_severity": severity,
        "judged_area": share,
        "tiles": on_plate,
        "tiles_beyond_plate": why.pop("beyond-plate", 0),
        "edge_tiles": int(((plate.shown >= LEAST_PLATE) & (plate.shown < 0.999)).sum()),
        "not_judged": dict(why),
        "block_cells": block_side(found),
        "texture": plate.texture.as_dict(),
        "warnings": warnings,
    }


def _drawn(value: float, draws: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return a value and the interval of its draws; none where these are all alike, which is no certainty."""
    bounds = percentile_interval(draws) if np.nanmax(draws) > np.nanmin(draws) else None
    return {"value": float(value), "ci95": None if bounds is None else list(bounds)}


def tile_table(plate: MeasuredPlate, classes: Sequence[str]) -> pd.DataFrame:
    """Return one row a tile: place, verdict or why there is none, and the cues of its texture.

    Parameters
    ----------
    plate : MeasuredPlate
    classes : sequence of str
    """
    um = plate.micrograph.scale.pixel_size_um or np.nan
    boxes = plate.plan.boxes
    on_plate = plate.shown >= LEAST_PLATE
    place = np.cumsum(on_plate) - 1
    rows = []
    for k, (top, left, bottom, right) in enumerate(boxes.tolist()):
        row: dict[str, Any] = {
            "tile": k,
            "x_um": left * um,
            "y_um": top * um,
            "w_um": (right - left) * um,
            "h_um": (bottom - top) * um,
            "plate_share": round(float(plate.shown[k]), 4),
            "judged": "false" if plate.reasons[k] else "true",
            "reason": plate.reasons[k],
        }
        if on_plate[k]:
            verdict, j = plate.verdicts, int(place[k])
            p = verdict.probabilities[j]
            inside = [name for name, held in zip(classes, verdict.sets[j], strict=True) if held]
            row |= {
                "severity": "" if plate.reasons[k] else classes[int(p.argmax())],
                "confidence": round(float(p.max()), 4),
                "set": "|".join(inside),
                "novelty": round(float(verdict.novelty[j]), 4),
                **{f"p_{name}": round(float(value), 4) for name, value in zip(classes, p, strict=True)},
            }
            cue = plate.textures[k]
            if cue is not None:
                row |= {
                    "texture": cue.reading,
                    "anisotropy": round(cue.anisotropy, 4),
                    "direction_deg": round(cue.direction_deg, 1),
                    "attacked_share": round(cue.attacked_share, 4),
                }
        rows.append(row)
    return pd.DataFrame(rows)


def _write(out: Path, plates: Sequence[MeasuredPlate], classifier: Classifier, result: dict[str, Any]) -> None:
    from sorby.report.plate_figures import PlateDrawn, plate_png
    from sorby.report.plate_page import plate_page

    with staged_directory(out) as folder:
        names: set[str] = set()
        drawings = []
        for plate, entry in zip(plates, result["plates"], strict=True):
            stem = plate.micrograph.path.stem if plate.micrograph.path else "plate"
            name, number = stem, 2
            while name in names:
                name, number = f"{stem}-{number}", number + 1
            names.add(name)
            drawn = PlateDrawn(
                plate.eight_bit, plate.map.top, plate.map.left, plate.map.called, plate.map.area > 0,
                classifier.classes, entry["pixel_size_um"],
            )  # fmt: skip
            picture = plate_png(drawn)
            (folder / f"{name}-map.png").write_bytes(picture)
            write_text(folder / f"{name}-tiles.csv", tile_table(plate, classifier.classes).to_csv(index=False))
            entry |= {"map": f"{name}-map.png", "table": f"{name}-tiles.csv"}
            drawings.append(picture)
        write_json(folder / "plates.json", result)
        write_text(folder / "plates.html", plate_page(result, drawings))

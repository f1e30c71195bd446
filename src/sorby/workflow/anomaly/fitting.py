"""``anomaly fit``: a detector from good images, with a threshold whose false alarms are known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sorby.anomaly import recipe as recipes
from sorby.anomaly.detector import Detector
from sorby.anomaly.detector_bundle import KnownImage, save
from sorby.anomaly.recipe import AnomalyRecipe
from sorby.anomaly.thresholds import Threshold
from sorby.backbone.runtime import Device
from sorby.errors import InputError, Quarantined
from sorby.evidence.pixel_ranking import best_f1_threshold
from sorby.files import sha256_file
from sorby.micrograph import identify
from sorby.progress import bar
from sorby.workflow.anomaly.calibrating import (
    Division,
    divide,
    from_each_without_itself,
    from_held_out,
    specimens_of,
)
from sorby.workflow.anomaly.evaluating import Labelled, labelled_images
from sorby.workflow.anomaly.opening import good_images

_FEW = 30


def fit(
    good: Path | str,
    out: Path | str,
    *,
    recipe: AnomalyRecipe | None = None,
    bad: Path | str | None = None,
    masks: Path | str | None = None,
    specimen_pattern: str | None = None,
    device: Device = "auto",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fit a detector on a folder of good images and write its bundle.

    Parameters
    ----------
    good : path
        Folder of images without a defect.
    out : path
        The bundle: a ``.sorby`` file or a folder.
    recipe : AnomalyRecipe, optional
    bad, masks : path, optional
        Labelled images for ``threshold.rule=f1``; the bundle says that its threshold has seen them.
    specimen_pattern : str, optional
        Regular expression whose first group names the specimen in a file's name; specimens are never divided between
        what is remembered and what calibrates.
    device : {"auto", "cpu", "cuda"}
    overwrite : bool
        Replace a bundle that is there.

    Returns
    -------
    dict
        ``bundle``, ``sha256``, ``threshold``, ``n_images``, ``n_calibration``, ``calibration``, ``tiles_per_s``,
        ``seconds``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No or too few good images, labels that the rule needs are missing, or the bundle cannot be written.
    """
    started = time.perf_counter()
    recipe, out = recipe or recipes.load(), Path(out)
    if out.exists() and not overwrite and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out}: exists", "choose another --out")
    paths = good_images(good)
    if len(paths) < 2 and recipe.views.kind == "whole":
        raise InputError(
            f"{good}: one good image cannot say what good images look like", "give at least two, better thirty and more"
        )
    if (recipe.threshold.rule == "f1") != (bad is not None):
        raise InputError(
            "threshold.rule=f1 and labelled images belong together", "give --bad and --masks, or another rule"
        )
    specimens = specimens_of(paths, specimen_pattern)
    quarantined: list[Quarantined] = []
    views, shapes, depths = _look_at(paths, recipe)
    division = divide(specimens, views, recipe.threshold, recipe.seed)
    detector = Detector.blank(recipe)
    detector.depths = depths
    to_fit = [paths[k] for k in division.fit]
    with bar("fitting", len(to_fit)) as advance:
        kept, bad_files = detector.fit(to_fit, device=device, progress=advance)
    quarantined += bad_files
    fit_seconds = time.perf_counter() - started
    known = [_known(paths[division.fit[k]], "good", n, specimens[division.fit[k]]) for n, k in enumerate(kept)]
    labelled = None if bad is None else labelled_images(None, bad, masks)
    detector.threshold, held, bad_files = _calibrate(detector, paths, division, kept, labelled, device)
    quarantined += bad_files
    known += [_known(paths[k], "calibration", -1, specimens[k]) for k in held]
    warnings = _warnings(detector, len(kept), shapes, recipe)
    if specimen_pattern is None and labelled is None:
        warnings.append(
            "each image counts as a specimen of its own: if several show one part or sheet, new parts are called"
            " anomalous more often than the threshold promises; say what belongs together with --specimen-pattern"
        )
    runtime = detector.runtime(device)
    sha256 = save(
        out, detector, known, notes=[division.note, *warnings], runtime=f"{runtime.name} {runtime.precision}",
        overwrite=overwrite,
    )  # fmt: skip
    return {
        "bundle": str(out),
        "sha256": sha256,
        "threshold": detector.threshold.value,
        "calibration": {**detector.threshold.describe(), "division": division.note},
        "n_images": len(kept),
        "n_calibration": len(held),
        "views": len(kept) * views,
        "tiles_per_s": len(kept) * views * detector.turns / max(fit_seconds, 1e-9),
        "runtime": f"{runtime.name} {runtime.precision}",
        "seconds": time.perf_counter() - started,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


def _look_at(paths: Sequence[Path], recipe: AnomalyRecipe) -> tuple[int, set[tuple[int, int]], set[str]]:
    """Return the views of the first readable image, and sizes and depths of all images, from their headers."""
    views, shapes, depths = 1, set[tuple[int, int]](), set[str]()
    for path in paths:
        try:
            header = identify(path)
            if not shapes:
                views = len(recipe.views.boxes(header.height, header.width))
        except InputError:
            continue  # it is quarantined, with its reason, when it is read for fitting
        shapes.add((header.height, header.width))
        depths.add(header.dtype)
    return views, shapes, depths


def _known(path: Path, role: Any, number: int, specimen: str) -> KnownImage:
    return KnownImage(sha256_file(path), path.resolve().as_posix(), role, number, specimen)


def _calibrate(
    detector: Detector,
    paths: Sequence[Path],
    division: Division,
    kept: Sequence[int],
    labelled: Labelled | None,
    device: Device,
) -> tuple[Threshold, list[int], list[Quarantined]]:
    """Return the threshold, the positions of the images held out for it, and those that could not be read."""
    section = detector.recipe.threshold
    if labelled is not None:
        return f1_threshold(detector, labelled, device), [], []
    if division.rule == "split":
        held = [paths[k] for k in division.calibration]
        threshold, read_ones, quarantined = from_held_out(detector, held, section, device)
        return threshold, [int(division.calibration[k]) for k in read_ones], quarantined
    remembered = [paths[division.fit[k]] for k in kept]
    return from_each_without_itself(detector, remembered, range(len(kept)), section, device), [], []


def f1_threshold(detector: Detector, labelled: Labelled, device: Device) -> Threshold:
    """Return the pixel threshold of best F1 on labelled images (Yan et al. 2023)."""
    scored = labelled.score(detector, device)
    if not scored.pixels:
        raise InputError("threshold.rule=f1 needs masks", "give --masks")
    best = best_f1_threshold(scored.maps, scored.masks)
    return Threshold(float(best.threshold), "f1", None, "image", scored.scores[:0])


def _warnings(detector: Detector, n: int, shapes: set[tuple[int, int]], recipe: AnomalyRecipe) -> list[str]:
    """Say what a user must know of this fit."""
    found = []
    position = recipe.density.kind == "position"
    if position and n * detector.turns <= detector.embedding.length:
        found.append(
            f"{n} good images for covariances of {detector.embedding.length} features at each place: they are"
            " rank-deficient, and density.epsilon alone decides in the missing directions"
        )
    elif n < _FEW and recipe.views.kind == "whole":
        found.append(f"only {n} good images: what else good ones may look like is not known")
    if recipe.views.kind == "whole" and len(shapes) > 1 and recipe.image.sizing == "resize":
        listed = ", ".join(f"{wide} x {high}" for high, wide in sorted(shapes)[:3])
        found.append(f"good images differ in size ({listed} px ...): all are resized to the network's input")
    if len(detector.depths) > 1:
        found.append(
            f"good images differ in depth ({', '.join(sorted(detector.depths))}): deeper ones are stretched, 8-bit ones"
            " are not; convert them to one depth"
        )
    if position and recipe.views.kind != "whole":
        found.append(
            "a Gaussian for each place of a tile means something only where tiles are aligned with the product;"
            " density.kind=pooled compares textures"
        )
    if recipe.threshold.unit == "view":
        found.append("views of one image are not independent: the false-alarm rate holds for images like these")
    return found

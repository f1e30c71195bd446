"""S3's few-shot detection of pinholes, scratches and scuffs: theirs beside ours, in several ways of teaching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from sorby.backbone.runtime import Device
from sorby.detect.detector import Detector
from sorby.detect.recipe import DetectRecipe
from sorby.detect.recipe import load as load_recipe
from sorby.errors import InputError
from sorby.micrograph import Pixels, to_grey, to_uint8
from sorby.report.paper_page import Part
from sorby.workflow.detection.bases import PHANTOM, open_base
from sorby.workflow.detection.labelled import LabelledImages, labelled_images
from sorby.workflow.detection.protocol import FewShotResult, FewShotSettings, read_all, run_few_shot
from sorby.workflow.detection.protocol_arms import Arm, Shelf, fitting, published_arms
from sorby.workflow.detection.protocol_speed import DetectionTimes, LineLoad, detection_times
from sorby.workflow.papers import membrane_detection_figures as figures
from sorby.workflow.papers import membrane_detection_tables as tables
from sorby.workflow.papers import yan2023 as s3
from sorby.workflow.papers.membrane_sheets import published_crop_corpus

_SURROUNDINGS_PX = 8.0


@dataclass(frozen=True)
class DetectionRequest:
    """What is asked of S3's detection.

    Attributes
    ----------
    data : sequence of path
        Corpora of crops with boxes and a column ``part``; phantoms of the published ones where empty.
    scale : float
        Of the phantoms' sheets.
    base : str or path
        What the first way of teaching stands on: ``phantom`` or a bundle.
    others : mapping of str to path
        Further bases, by what they were taught on.
    recipe : str or path
        Of few-shot teaching behind frozen stages.
    changes : mapping
        Fields of it that are overridden.
    settings : FewShotSettings
    shots : sequence of int
        For pinholes; scratches and scuffs have 5.
    gradient_repeats : int
        Draws of the way without a base, which takes minutes each; 0 leaves it out.
    gradient_steps : int
    off_centre : bool
        Whether pinholes that do not lie in the middle are tried as well; of phantoms only.
    trials : int
        Images timed one at a time; 0 for no times.
    device : {"auto", "cpu", "cuda"}
    """

    data: Sequence[Path | str] = ()
    scale: float = 1.0
    base: Path | str = PHANTOM
    others: Mapping[str, Path | str] = field(default_factory=dict)
    recipe: Path | str = "few-shot"
    changes: Mapping[str, Any] = field(default_factory=dict)
    settings: FewShotSettings = field(default_factory=FewShotSettings)
    shots: Sequence[int] = (5, 10)
    gradient_repeats: int = 0
    gradient_steps: int = 120
    off_centre: bool = True
    trials: int = s3.DETECTION_TRIALS
    device: Device = "auto"

    def few_shot(self) -> DetectRecipe:
        """Return the recipe of teaching behind frozen stages."""
        return load_recipe(self.recipe, dict(self.changes))

    def by_gradients(self) -> DetectRecipe | None:
        """Return the recipe that teaches proposals and boxes on the few images alone; None where nobody asks."""
        if not self.gradient_repeats:
            return None
        recipe = self.few_shot()
        teaching = recipe.teaching.model_copy(
            update={"base": None, "freeze": ("backbone",), "steps": self.gradient_steps, "batch": 5, "milestones": ()}
        )
        return recipe.model_copy(update={"name": "few-shot-no-base", "teaching": teaching})


@dataclass(frozen=True, eq=False)
class DetectionRun:
    """Everything that was carried out.

    Attributes
    ----------
    results : list of FewShotResult
    baselines : mapping of str to float or None
        By protocol: how far grey deviates about its surroundings on images without a defect.
    times : mapping of str to DetectionTimes
        By protocol, of the first way of teaching.
    known : tuple of str
        Classes in question that the base has been taught under the same names.
    phantoms : bool
    base : Detector
    """

    results: list[FewShotResult]
    baselines: dict[str, float | None]
    times: dict[str, DetectionTimes]
    known: tuple[str, ...]
    phantoms: bool
    base: Detector


def run_detection(request: DetectionRequest) -> DetectionRun:
    """Carry out every protocol that the data allow.

    Raises
    ------
    InputError
        The data hold neither pinholes nor scratches and scuffs.
    """
    base = _opened(request.base, request.device)
    others = {name: _opened(path, request.device) for name, path in request.others.items()}
    sets = _sets(request)
    results: list[FewShotResult] = []
    baselines: dict[str, float | None] = {}
    times: dict[str, DetectionTimes] = {}
    known: dict[str, None] = {}
    for kind, images in sets.items():
        arms = published_arms(request.few_shot(), base, images.classes, others=others,
                              gradients=request.by_gradients(), gradient_repeats=request.gradient_repeats)  # fmt: skip
        shelf = Shelf(read_all(images), images.truth, request.device)
        known |= dict.fromkeys(name for name in images.classes if name in base.classes)
        baselines[kind] = _deviation(images, shelf.pixels)
        for shots in (5,) if kind == "scratches" else request.shots:
            results.append(_protocol(f"{kind}, {shots}-shot", images, shots, arms, shelf, request))
        if request.trials:
            detector = results[-1].arms[0].detector
            times[kind] = detection_times(detector, shelf.pixels, request.trials, device=request.device)
        if kind == "pinholes" and request.off_centre and not request.data:
            results.append(_off_centre(request, arms[:1]))
    return DetectionRun(results, baselines, times, tuple(known), not request.data, base)


def _opened(spec: Path | str, device: Device) -> Detector:
    base = open_base(spec, device=device)
    if base is None:
        raise InputError("the published way of teaching stands on a base", "--base phantom, or a bundle")
    return base


def _sets(request: DetectionRequest) -> dict[str, LabelledImages]:
    """Return the labelled images of each set, by its name."""
    if not request.data:
        seed = request.settings.seed
        return {
            "pinholes": labelled_images(published_crop_corpus("pinholes", request.scale, seed)),
            "scratches": labelled_images(published_crop_corpus("scratches", request.scale, seed)),
        }
    found = {}
    for path in request.data:
        images = labelled_images(path)
        kind = "pinholes" if images.classes == ("pinhole",) else "scratches"
        if kind == "scratches" and set(images.classes) != set(s3.TABLE_6):
            raise InputError(
                f"{path}: boxes of {', '.join(images.classes)}", "pinhole alone, or scratch and scuff, as published"
            )
        found[kind] = images
    return found


def _protocol(
    name: str, images: LabelledImages, shots: int, arms: Sequence[Arm], shelf: Shelf, request: DetectionRequest
) -> FewShotResult:
    return run_few_shot(name, images, shots, arms, request.settings, device=request.device, shelf=shelf)


def _off_centre(request: DetectionRequest, arms: Sequence[Arm]) -> FewShotResult:
    """Teach and test on pinholes that lie anywhere in their crops."""
    seed, shots = request.settings.seed, request.shots[0]
    images = labelled_images(published_crop_corpus("pinholes", request.scale, seed, off_centre=True))
    shelf = Shelf(read_all(images), images.truth, request.device)
    return _protocol(f"pinholes off centre, {shots}-shot", images, shots, arms, shelf, request)


def _deviation(images: LabelledImages, pixels: Sequence[Pixels]) -> float | None:
    """Return how far grey deviates about its surroundings, in levels: median over images without a box."""
    found = []
    for each, boxes in zip(pixels, images.truth, strict=True):
        if not len(boxes):
            grey = to_grey(to_uint8(each)).astype(np.float32)
            found.append(float((grey - gaussian_filter(grey, _SURROUNDINGS_PX)).std()))
    return float(np.median(found)) if found else None


def detection_parts(
    request: DetectionRequest, padim_s: float | None = None
) -> tuple[list[Part], dict[str, Any], list[str]]:
    """Return the parts of the page, every cell for JSON, and warnings.

    Parameters
    ----------
    request : DetectionRequest
    padim_s : float, optional
        What our anomaly maps took for the 75 pinhole test tiles, to stand beside.

    Raises
    ------
    InputError
        The data hold neither of the two sets, or the base cannot be had.
    """
    run = run_detection(request)
    setting = tables.Setting(run.phantoms, fitting(request.few_shot(), run.base), run.base.classes)
    rates = {kind: each.images_per_s for kind, each in run.times.items()}
    pinholes = [each for each in run.results if each.name.startswith("pinholes")]
    scratches = [each for each in run.results if each.name.startswith("scratches")]
    cells: dict[str, Any] = {
        "detection_protocols": [each.as_dict() for each in run.results],
        "detection_differences": tables.differences(run.results, setting, run.known),
        "table_5": [row for each in pinholes if "off centre" not in each.name
                    for row in tables.rows("Table 5", each, setting)],
        "table_6": [row for each in scratches for row in tables.rows("Table 6", each, setting)],
        "table_7": tables.time_rows(run.times, setting),
        "benchmark": tables.benchmark_rows(pinholes, scratches),
        "line_load": [each.as_dict() for each in line_loads(rates, padim_s)],
    }  # fmt: skip
    parts = [Part("Few-shot detection: what differs from the paper", cells["detection_differences"])]
    if pinholes:
        parts.append(Part("Table 5: pinholes", tables=tables.detection_tables("Table 5", pinholes, run.baselines)))
    if scratches:
        parts.append(
            Part("Table 6: scratches and scuffs", tables=tables.detection_tables("Table 6", scratches, run.baselines))
        )
    parts.append(Part("Ways of teaching beside each other", tables.paired_words(run.results),
                      [tables.arms_table(run.results), tables.paired_table(run.results)]))  # fmt: skip
    parts.append(Part("Other forms of the same figures", tables.form_words(), [tables.forms_table(run.results)]))
    parts.append(Part("Beside the few-shot benchmark", tables.benchmark_words(), [
        tables.benchmark_table(cells["benchmark"])]))  # fmt: skip
    parts += figures.galleries(run.results)
    if run.times:
        parts.append(Part("Table 7 and the line: how long detection takes", tables.time_words(), [
            tables.time_table(cells["table_7"]), tables.line_table(cells["line_load"])]))  # fmt: skip
    return parts, cells, [note for each in run.results for note in each.warnings]


def line_loads(images_per_s: Mapping[str, float], padim_s: float | None = None) -> list[LineLoad]:
    """Return what four sheets ask of each method, published and ours.

    Parameters
    ----------
    images_per_s : mapping of str to float
        Of our detector, by kind of crops: ``pinholes``, ``scratches``.
    padim_s : float, optional
        What our anomaly maps took for the 75 pinhole test tiles.
    """
    allowed = s3.seconds_allowed(4, s3.LINE["sheet_length_in"], s3.LINE["speed_ft_min"])
    of_map = 1000 * s3.LINE["test_s"] / s3.LINE["test_tiles"]
    cells = 4 * s3.SUB_IMAGES_A_SHEET[1]
    loads = [
        LineLoad("anomaly maps, tiles of 224 px", "published", s3.TILES_WITH_BORDER, of_map, allowed),
        LineLoad("pinholes, crops of 66 px", "published", s3.CROPS, s3.TABLE_7[0], allowed),
        LineLoad("scratches and scuffs, 6 x 3 cells", "published", cells, s3.TABLE_7[0], allowed),
    ]
    if padim_s is not None:
        each = 1000 * padim_s / s3.PINHOLE_TEST
        loads.append(LineLoad("anomaly maps, tiles of 224 px", "ours", s3.TILES_WITH_BORDER, each, allowed))
    for kind, what, tiles in (("pinholes", "pinholes, crops of 66 px", s3.CROPS),
                              ("scratches", "scratches and scuffs, 6 x 3 cells", cells)):  # fmt: skip
        if kind in images_per_s:
            loads.append(LineLoad(what, "ours", tiles, 1000 / images_per_s[kind], allowed))
    return loads

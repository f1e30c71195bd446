"""Base detectors: what few-shot teaching stands on, taught on rendered defects of many kinds and surfaces.

Few-shot detectors are first taught on a large set of other things; for the surfaces of materials nobody has published
one. Pictures of defects can be rendered without end, their boxes known.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from sorby.backbone.runtime import Device
from sorby.backbone.weights import home
from sorby.detect import recipe as recipes
from sorby.detect.detector import Detector
from sorby.detect.detector_bundle import save
from sorby.detect.pictures import Example
from sorby.detect.recipe import DetectRecipe
from sorby.detect.teaching import examples_of, teach
from sorby.errors import InputError
from sorby.evidence.boxes import TrueBoxes
from sorby.evidence.detection_metrics import DetectionScores, detection_scores
from sorby.files import sha256_bytes
from sorby.phantom.defects import FAMILIES, KINDS, DefectPicture, render
from sorby.phantom.writing import gather
from sorby.workflow.detection.opening import open_box_detector
from sorby.workflow.phantoms import counting
from sorby.workflow.runs import refuse_unwritable

PHANTOM = "phantom"
"""What a recipe calls the base that is made once and kept."""

PHANTOM_RECIPE = "phantom-base"
PICTURES = 4000
"""Rendered pictures that a base learns from, where nobody says how many."""

_SIDE = 224
_UNSEEN = 250  # further pictures that judge it
_AT_ONCE = 16
_PROBES = 8  # pictures whose pixels tell one version of the renderer from another

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    seed: int
    numbers: tuple[int, ...]
    left_out: frozenset[str]


def teach_base(
    out: Path | str,
    recipe: DetectRecipe | None = None,
    *,
    pictures: int = PICTURES,
    left_out: Sequence[str] = (),
    device: Device = "auto",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Teach a base detector on rendered defects and write its bundle; resumable.

    Parameters
    ----------
    out : path
        The bundle, a ``.sorby`` file. Beside it a folder of the same name with ``.state`` keeps what an interrupted
        teaching goes on from; it is deleted at the end.
    recipe : DetectRecipe, optional
        ``phantom-base`` by default.
    pictures : int
        That it learns from, of 224 x 224 pixels; further ones, which it never sees, judge it and set its threshold.
    left_out : sequence of str
        Kinds of defects and families of surfaces on no picture, so that a study may call them new to the base.
    device : {"auto", "cpu", "cuda"}
    overwrite : bool

    Returns
    -------
    dict
        ``bundle``, ``sha256``, ``ap``, ``ap50``, ``ap75``, ``ci95``, ``per_class``, ``n_images``, ``n_boxes`` (that
        judged), ``pictures``, ``threshold``, ``seconds``, ``warnings``.

    Raises
    ------
    InputError
        The recipe freezes everything, a kind or surface is unknown or all are left out, the bundle exists, or cannot
        be written.
    """
    started = time.perf_counter()
    out, recipe = Path(out), recipe or recipes.load(PHANTOM_RECIPE)
    if recipe.teaching.all_frozen:
        raise InputError(
            f"recipe {recipe.name} freezes all stages: nothing would be taught", "--set teaching.freeze=[backbone]"
        )
    if recipe.teaching.base is not None:
        raise InputError(f"recipe {recipe.name} stands on a base itself", "--set teaching.base=null")
    if out.suffix != ".sorby":
        raise InputError(f"{out}: a base is one file", f"--out {out.with_suffix('.sorby')}")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists", "choose another --out")
    if pictures < 1:
        raise InputError(f"{pictures} pictures teach nothing", f"e.g. --n {PICTURES}")
    kinds = _kinds_without(left_out)
    refuse_unwritable(out)
    state = out.with_name(out.name + ".state")
    taught = _examples(_rendered(pictures, recipe.seed, left_out), recipe, kinds)
    detector = teach(recipe, kinds, taught, state_folder=state, device=device)
    scores = _judged(detector, recipe.seed, left_out, device)
    if scores.best_f1 is not None:
        detector = replace(detector, threshold=scores.best_f1.score)
    spans = [each.truth.boxes[:, 2:] - each.truth.boxes[:, :2] for each in taught if len(each.truth)]
    scale = recipe.image.short_side / _SIDE
    sizes = {"largest_px": float(_SIDE), "largest_box_px": float(np.concatenate(spans).max()) / scale}
    detector = replace(detector, facts={**detector.facts, **sizes})
    figures = scores.as_dict(curves=False)
    sha256 = save(
        out,
        detector,
        n_boxes=sum(len(each.truth) for each in taught),
        metrics={name: figures[name] for name in ("ap", "ap50", "ap75")},
        notes=[
            f"taught on {pictures} rendered pictures of {len(kinds)} kinds of defects, renderer {renderer_version()}",
            *([f"on no picture: {', '.join(left_out)}"] if left_out else []),
            f"its figures are of {_UNSEEN} further rendered pictures: of real surfaces they say nothing",
        ],
        overwrite=overwrite,
    )
    (state / "checkpoint.safetensors").unlink(missing_ok=True)
    if state.is_dir() and not any(state.iterdir()):
        state.rmdir()
    return {
        "bundle": str(out),
        "sha256": sha256,
        **{name: figures[name]["value"] for name in ("ap", "ap50", "ap75")},
        "ci95": {name: figures[name]["ci95"] for name in ("ap", "ap50", "ap75")},
        "per_class": {name: each["ap50"]["value"] for name, each in figures["per_class"].items()},
        "n_images": figures["n_images"],
        "n_boxes": figures["n_boxes"],
        "pictures": pictures,
        "threshold": detector.threshold,
        "seconds": time.perf_counter() - started,
        "warnings": [],
    }


def open_base(spec: str | Path | None, *, device: Device = "auto", say: Say | None = None) -> Detector | None:
    """Return the detector that a recipe or a user names as base.

    Parameters
    ----------
    spec : str, path or None
        ``phantom`` (made on first use and kept), a bundle, or None or ``none`` for no base.
    device : {"auto", "cpu", "cuda"}
    say : callable, optional
        Gets a line where making the phantom base will take a while.

    Raises
    ------
    BundleError
        The bundle holds something else.
    """
    if spec is None or str(spec) == "none":
        return None
    path = phantom_base(device=device, say=say) if str(spec) == PHANTOM else Path(spec)
    if not path.exists():
        raise InputError(f"{path}: no such bundle", "--base phantom, --base none, or a bundle of sorby detect base")
    return open_box_detector(path).detector


def phantom_base(
    recipe: DetectRecipe | None = None,
    *,
    pictures: int = PICTURES,
    device: Device = "auto",
    say: Say | None = None,
) -> Path:
    """Return the bundle of the base detector taught on phantoms, made where it is not there yet.

    It lies in sorby's own data folder under a name that follows from recipe, number of pictures and version of the
    renderer, so that a change of any makes a new one. Processes that want it at the same time wait for the first.

    Parameters
    ----------
    recipe : DetectRecipe, optional
        ``phantom-base`` by default.
    pictures : int
    device : {"auto", "cpu", "cuda"}
    say : callable, optional
    """
    recipe = recipe or recipes.load(PHANTOM_RECIPE)
    told = f"{recipe.model_dump_json(exclude={'few_shot', 'output'})}|{pictures}|{renderer_version()}"
    path = home() / "detectors" / f"{recipe.name}-{sha256_bytes(told.encode())[:12]}.sorby"
    if path.exists():
        return path
    refuse_unwritable(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_suffix(".lock")):
        if not path.exists():
            if say is not None:
                say(
                    f"the base detector is taught on {pictures} rendered pictures, once, and kept as {path}; that takes"
                    f" {_about(recipe, pictures)} on two processor cores, and goes on where it was interrupted"
                )
            teach_base(path, recipe, pictures=pictures, device=device)
    return path


def renderer_version() -> str:
    """Return what tells one version of the renderer of defects from another: a hash of its first pictures."""
    digest = hashlib.sha256()
    for number in range(_PROBES):
        picture = render((0, number), size=(_SIDE, _SIDE))
        digest.update(picture.pixels.tobytes() + picture.boxes.tobytes() + "|".join(picture.labels).encode())
    return digest.hexdigest()[:12]


def _about(recipe: DetectRecipe, pictures: int) -> str:
    """Say how long it takes, by rule of thumb: rendering, and steps by batch and size of the input."""
    seconds = (
        0.02 * pictures + 0.04 * recipe.teaching.steps * recipe.teaching.batch * (recipe.image.short_side / 256) ** 2
    )
    minutes = max(1, round(seconds / 60))
    return f"about {minutes} minutes" if minutes < 90 else f"about {minutes / 60:.0f} hours"


def _kinds_without(left_out: Sequence[str]) -> tuple[str, ...]:
    unknown = sorted(set(left_out) - set(KINDS) - set(FAMILIES))
    if unknown:
        raise InputError(
            f"{unknown[0]} is neither a kind of defect nor a family of surfaces",
            f"kinds: {', '.join(KINDS)}; surfaces: {', '.join(FAMILIES)}",
        )
    kinds = tuple(kind for kind in KINDS if kind not in left_out)
    if not kinds or set(FAMILIES) <= set(left_out):
        raise InputError("nothing is left to render", "leave out fewer kinds and surfaces")
    return kinds


def _rendered(count: int, seed: int, left_out: Sequence[str]) -> list[DefectPicture]:
    """Return the first *count* pictures of a seed that show nothing of what is left out."""
    found: list[DefectPicture] = []
    begin = 0
    with counting("rendering", count) as step:
        while len(found) < count:
            end = begin + count - len(found)
            jobs = [
                _Job(seed, tuple(range(k, min(k + _AT_ONCE, end))), frozenset(left_out))
                for k in range(begin, end, _AT_ONCE)
            ]

            def tell(done: int, _total: int, before: int = len(found)) -> None:
                step(before + done, count)

            found += gather(_render, jobs, None, count, tell)
            begin = end
    return found


def _render(job: _Job) -> list[DefectPicture]:
    pictures = (render((job.seed, number), size=(_SIDE, _SIDE)) for number in job.numbers)
    # Masks and the clean surface teach nothing here, and would be most of what is sent between processes.
    return [
        replace(each, masks=each.masks[:0].copy(), clean=each.clean[:0].copy())
        for each in pictures
        if job.left_out.isdisjoint((*each.labels, each.family))
    ]


def _truth(picture: DefectPicture, kinds: Sequence[str]) -> TrueBoxes:
    return TrueBoxes(picture.boxes, np.array([kinds.index(name) for name in picture.labels], np.intp))


def _examples(pictures: list[DefectPicture], recipe: DetectRecipe, kinds: Sequence[str]) -> list[Example]:
    whole = recipe.model_copy(update={"image": recipe.image.model_copy(update={"tile_px": None})})
    found = examples_of((each.pixels for each in pictures), (_truth(each, kinds) for each in pictures), whole)
    return [example for each in found for example in each]


def _judged(detector: Detector, seed: int, left_out: Sequence[str], device: Device) -> DetectionScores:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class that none of them shows
        unseen = _rendered(_UNSEEN, seed + 1_000_003, left_out)
        found = list(detector.detect((each.pixels for each in unseen), device=device, score=0.0))
        kinds = detector.classes
        return detection_scores([_truth(each, kinds) for each in unseen], found, kinds, resamples=200)

"""``measure boundaries train``: a segmenter from patches and masks, split by inferred parent, scored, and bundled."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.errors import ImageError, InputError, Quarantined
from sorby.evidence import bootstrap_estimate, cluster_bootstrap
from sorby.files import sha256_file
from sorby.measure.boundary_scores import LabelGeometry, label_geometry, mask_intersections, overlap
from sorby.measure.boundary_tracing import close_boundaries, trace_boundaries
from sorby.measure.grain_counting import grains_from_boundaries
from sorby.measure.grain_fields import measure_intercepts
from sorby.measure.inclusion_segmentation import find_inclusions
from sorby.measure.patch_parents import infer_parents
from sorby.measure.segmenter import Segmenter
from sorby.measure.segmenter_training import SegmenterSettings, steps_of, train_segmenter
from sorby.micrograph import find_images, read, to_grey, to_rgb, to_uint8
from sorby.progress import bar

UInt8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

TOLERANCES_PX = (0.0, 2.0)
_DECORATION = re.compile(r"[-_ ]*(mask|label|labels|seg|gt)?[-_ ]*$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_LOSSY = {".jpg", ".jpeg"}


@dataclass(frozen=True, eq=False)
class Patches:
    """Image patches with masks, in the order of their numbers.

    Attributes
    ----------
    names : list of str
    images : list of ndarray, (H, W, 3), uint8
    masks : list of ndarray of bool, (H, W)
    quarantined : list of Quarantined
    fingerprint : str
        SHA-256 over the files' hashes.
    """

    names: list[str]
    images: list[UInt8]
    masks: list[Mask]
    quarantined: list[Quarantined]
    fingerprint: str


def read_mask(path: Path) -> Mask:
    """Read a mask: above zero is marked; in a lossy file, above half of its largest value, because JPEG rings.

    Raises
    ------
    ImageError
        The file cannot be read.
    """
    values = to_grey(read(path).pixels)
    limit = values.max() / 2 if path.suffix.lower() in _LOSSY else 0
    marked: Mask = values > limit
    return marked


def read_patches(images: Path, labels: Path) -> Patches:
    """Read patches and their masks, matched by the name before ``_mask`` or ``_label``.

    Raises
    ------
    InputError
        A folder is missing, or no image has a mask.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder", "give a folder of patches and a folder of masks")
    found = {_key(path): path for path in find_images(images)}
    masks: dict[str, Path] = {}
    set_aside: list[Quarantined] = []
    for path in find_images(labels):
        if masks.setdefault(_key(path), path) != path:
            set_aside.append(Quarantined(str(path), f"a second mask of {_key(path)}; {masks[_key(path)].name} is used"))
    set_aside += [Quarantined(str(path), "has no mask") for key, path in found.items() if key not in masks]
    set_aside += [Quarantined(str(path), "has no image") for key, path in masks.items() if key not in found]
    names, pictures, marked, digest = [], [], [], hashlib.sha256()
    for key in sorted(found.keys() & masks.keys(), key=_order):
        try:
            picture, mask = to_rgb(to_uint8(read(found[key]).pixels)), read_mask(masks[key])
        except ImageError as error:
            set_aside.append(Quarantined.from_error(found[key], error))
            continue
        if picture.shape[:2] != mask.shape:
            sizes = f"{picture.shape[1]} x {picture.shape[0]}, its mask {mask.shape[1]} x {mask.shape[0]}"
            set_aside.append(Quarantined(str(found[key]), f"is {sizes}"))
            continue
        names.append(key)
        pictures.append(picture)
        marked.append(mask)
        digest.update((sha256_file(found[key]) + sha256_file(masks[key])).encode())
    if not names:
        raise InputError(f"{images}: no image with a readable mask of its size in {labels}", "match them by name")
    return Patches(names, pictures, marked, set_aside, digest.hexdigest())


def train_boundaries(
    images: Path | str,
    labels: Path | str,
    out: Path | str,
    *,
    settings: SegmenterSettings | None = None,
    test_share: float = 0.25,
) -> dict[str, Any]:
    """Teach a segmenter from patches and masks, score it on unseen parents, and write its bundle.

    Parameters
    ----------
    images, labels : path
        Folders.
    out : path
        The bundle, ``.sorby`` or a folder.
    settings : SegmenterSettings, optional
    test_share : float
        Share of the patches, by whole inferred parents, that it is scored on and not taught.

    Returns
    -------
    dict
        ``bundle``, ``sha256``, ``labels`` (what they mark), ``split``, ``test`` (Dice and counts with intervals, the
        classical method beside them), ``seconds``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        Too few patches, nothing marked, *out* exists.
    """
    settings = settings or SegmenterSettings()
    out = Path(out)
    if out.exists():
        raise InputError(f"{out}: exists", "choose another --out")
    began = time.perf_counter()
    patches = read_patches(Path(images), Path(labels))
    geometry = label_geometry(patches.masks)
    parents = infer_parents(patches.images)
    train, test = split_by_group(parents.group, test_share, settings.seed)
    taught = [patches.masks[k] for k in train]
    with bar("teaching", steps_of(taught, settings)) as advance:
        network = train_segmenter([patches.images[k] for k in train], taught, settings, advance)
    segmenter = Segmenter(network, "lines" if geometry.marks == "lines" else "regions", geometry.width_px)
    scores = score_segmenter(
        segmenter,
        [patches.images[k] for k in test],
        [patches.masks[k] for k in test],
        parents.group[test],
    )
    split = {
        "grouped_by": "inferred parent micrograph: overlap, or like colours of successive numbers",
        "groups": parents.n_groups,
        "overlapping_pairs": parents.overlapping,
        "alike_successive_pairs": parents.alike,
        "taught": len(train),
        "tested": len(test),
        "tested_groups": len(np.unique(parents.group[test])),
    }
    warnings = _label_warnings(geometry)
    sha256 = segmenter.save(
        out,
        seed=settings.seed,
        fingerprint=patches.fingerprint,
        n_images=len(train),
        n_parents=len(np.unique(parents.group[train])),
        metrics={"dice": scores["dice"], "dice_2px": scores["dice_2px"]},
        settings=asdict(settings),
        notes=[f"Split by {split['grouped_by']}; groups are a lower bound of what belongs together.", *warnings],
    )
    return {
        "bundle": str(out),
        "sha256": sha256,
        "labels": asdict(geometry),
        "split": split,
        "test": scores,
        "seconds": time.perf_counter() - began,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in patches.quarantined],
    }


def split_by_group(
    groups: npt.NDArray[np.int64], test_share: float, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return positions to teach and to test; groups stay whole, the test part holds about *test_share* of the patches.

    Raises
    ------
    InputError
        There are fewer than two groups.
    """
    names = np.unique(groups)
    if names.size < 2:
        raise InputError("all patches seem to come from one micrograph", "give patches of several micrographs")
    order = np.random.default_rng([seed, 411]).permutation(names)
    sizes = np.bincount(groups)
    # A group that would overfill the test part is left to teaching, so that one large parent is not all of it.
    wanted, held = test_share * groups.size, 0
    chosen: list[int] = []
    for name in order:
        if held + sizes[name] <= max(wanted, 1) and len(chosen) < names.size - 1:
            chosen.append(int(name))
            held += int(sizes[name])
    if not chosen:
        chosen = [int(names[np.argmin(sizes[names])])]
    test = np.isin(groups, chosen)
    return np.flatnonzero(~test), np.flatnonzero(test)


def score_segmenter(
    segmenter: Segmenter, images: Sequence[UInt8], masks: Sequence[Mask], groups: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Score a segmenter and the classical method on the same patches.

    Returns
    -------
    dict
        ``dice`` and ``dice_2px`` (pooled over pixels), ``intercepts_found_over_true``, each with its interval by
        group; the same under ``classical``; ``classical_failed`` (patches where the classical method found nothing).
    """
    probability = [segmenter.probability(image) for image in images]
    learned = [each >= segmenter.threshold for each in probability]
    classical, failed = [], 0
    for image in images:
        found = _found_classically(segmenter, image)
        failed += found is None
        classical.append(np.zeros(image.shape[:2], bool) if found is None else found)
    lines = segmenter.marks == "lines"
    _, index = np.unique(groups, return_inverse=True)
    # Counting needs closed grains, Dice the line as wide as the labels drew it.
    countable = [closed_by_model(segmenter, each) for each in probability] if lines else learned
    return {
        **_compare(learned, masks, index, lines, countable),
        "classical": {
            "method": "ridge tracing" if lines else "relative darkness",
            **_compare(classical, masks, index, lines, classical),
        },
        "classical_failed": failed,
        "n": len(images),
        "n_groups": int(index.max()) + 1,
    }


def intersections_of(mask: Mask, lines: bool) -> float:
    """Return how often test lines meet what a mask marks; for boundary lines, crossings between closed grains."""
    if not lines:
        return mask_intersections(mask)
    labels = grains_from_boundaries(mask)
    if labels.max() < 2:
        return 0.0
    try:
        return measure_intercepts(labels, 1.0).intersections
    except ImageError:
        return 0.0


def _found_classically(segmenter: Segmenter, image: UInt8) -> Mask | None:
    try:
        if segmenter.marks == "lines":
            return trace_boundaries(image).boundary
        return find_inclusions(image).mask
    except ImageError:
        return None


def closed_by_model(segmenter: Segmenter, probability: npt.NDArray[np.float32]) -> Mask:
    """Return the closed boundary map that a map of boundary probability leads to; empty where it shows none."""
    try:
        return close_boundaries(probability, segmenter.threshold).boundary
    except ImageError:
        return np.zeros(probability.shape, bool)


def _compare(
    found: Sequence[Mask],
    true: Sequence[Mask],
    index: npt.NDArray[np.intp],
    lines: bool,
    countable: Sequence[Mask],
) -> dict[str, Any]:
    """Return Dice and count ratios with bootstrap intervals by group."""
    n_groups = int(index.max()) + 1
    out: dict[str, Any] = {}
    for tolerance in TOLERANCES_PX:
        rows = []
        for a, b in zip(found, true, strict=True):
            each = overlap(a, b, tolerance)
            rows.append([each.found_right + each.true_met, each.found + each.true])
        name = "dice" if tolerance == 0 else f"dice_{tolerance:g}px"
        out[name] = _ratio(np.array(rows, float), index, n_groups)
    counts = [[intersections_of(a, lines), intersections_of(b, lines)] for a, b in zip(countable, true, strict=True)]
    out["intercepts_found_over_true"] = {
        **_ratio(np.array(counts, float), index, n_groups),
        "found": float(np.sum(counts, axis=0)[0]),
        "true": float(np.sum(counts, axis=0)[1]),
    }
    return out


def _ratio(rows: npt.NDArray[np.float64], index: npt.NDArray[np.intp], n_groups: int) -> dict[str, Any]:
    """Return the ratio of two summed columns with its interval by group."""
    table = np.zeros((n_groups, 2))
    np.add.at(table, index, rows)
    total = table.sum(axis=0)
    value = float(total[0] / total[1]) if total[1] else float("nan")
    samples = cluster_bootstrap(table, lambda sums: sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))
    return bootstrap_estimate(value, samples, len(rows), n_groups, "groups are inferred parents").as_dict()


def _label_warnings(geometry: LabelGeometry) -> list[str]:
    if geometry.marks == "lines":
        return []
    return [
        f"these labels mark regions about {geometry.width_px:.0f} px across, not boundary lines: the segmenter finds "
        "such regions (measure inclusions --segmenter takes it) and measure grains refuses it"
    ]


def _key(path: Path) -> str:
    return _DECORATION.sub("", path.stem)


def _order(key: str) -> tuple[int, str]:
    number = _NUMBER.search(key)
    return (int(number[0]) if number else -1, key)

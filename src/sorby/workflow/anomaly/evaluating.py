"""``anomaly evaluate``: how well a detector tells good from bad, per image and per pixel, with intervals."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorby.anomaly.detector import Detector, ImageMaps, score_meaning
from sorby.backbone.runtime import Device
from sorby.errors import ImageError, InputError, Quarantined, SorbyError
from sorby.evidence.intervals import (
    bootstrap_estimate,
    cluster_bootstrap,
    proportion,
    specimen_index,
    sum_by_group,
)
from sorby.evidence.localisation import image_auroc_estimate, localisation
from sorby.files import sha256_file, write_json
from sorby.progress import bar
from sorby.workflow.anomaly.calibrating import specimens_of
from sorby.workflow.anomaly.masks import in_views, mask_of, masks_by_stem, read_mask
from sorby.workflow.anomaly.opening import good_images, open_detector

Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass
class Scored:
    """Labelled images under a detector, view by view.

    Attributes
    ----------
    maps : list of ndarray of float32, each (H, W)
        In the network's pixels; empty where no masks were given.
    masks : list of ndarray of bool or None
        Of each map; None for a view of a good image.
    groups : list of str
        Specimen, or image, of each map.
    scores : ndarray of float64, (n,)
        Of each image.
    bad : ndarray of bool, (n,)
    image_groups : list of str
        Specimen, or image, of each image.
    """

    maps: list[Array] = field(default_factory=list)
    masks: list[BoolArray | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    bad: BoolArray = field(default_factory=lambda: np.empty(0, bool))
    image_groups: list[str] = field(default_factory=list)
    views: int = 0
    seconds: float = 0.0
    quarantined: list[Quarantined] = field(default_factory=list)
    unmasked: int = 0

    @property
    def pixels(self) -> bool:
        """Whether pixels can be scored: there is a defect in a mask."""
        return any(mask is not None and mask.any() for mask in self.masks)


@dataclass(frozen=True)
class Labelled:
    """Good and bad images, and the masks of the bad ones.

    Attributes
    ----------
    paths : list of Path
    bad : list of bool
    masks : mapping of str to Path or None
        By file stem.
    specimens : list of str
    """

    paths: list[Path]
    bad: list[bool]
    masks: Mapping[str, Path] | None
    specimens: list[str]

    def score(self, detector: Detector, device: Device = "auto") -> Scored:
        """Score every image; unreadable images and unfit masks are set aside with their reason."""
        result = Scored()
        scores: list[float] = []
        bad: list[bool] = []
        started = time.perf_counter()
        with bar("scoring", len(self.paths)) as advance:
            for k, found in detector.score(self.paths, device=device, progress=advance):
                try:
                    if isinstance(found, SorbyError):
                        raise found
                    masks = self._masks(k, found, detector)
                except SorbyError as error:
                    result.quarantined.append(Quarantined.from_error(self.paths[k], error))
                    continue
                group = self.specimens[k] or str(k)
                scores.append(found.score)
                bad.append(self.bad[k])
                result.image_groups.append(group)
                result.views += len(found.maps)
                if self.masks is not None and masks is None:
                    result.unmasked += 1
                if masks is not None:
                    result.maps.extend(detector.in_pixels(found.maps))
                    result.masks.extend(masks)
                    result.groups.extend([group] * len(masks))
        result.seconds = time.perf_counter() - started
        result.scores, result.bad = np.array(scores), np.array(bad, bool)
        return result

    def _masks(self, k: int, found: ImageMaps, detector: Detector) -> Sequence[BoolArray | None] | None:
        """Return the masks of an image's views; None where its pixels cannot be scored."""
        if self.masks is None:
            return None
        if not self.bad[k]:
            return [None] * len(found.maps)
        path = mask_of(self.paths[k], self.masks)
        if path is None:
            return None
        mask = read_mask(path, found.stack.size)
        if not mask.any():
            raise ImageError(f"{path}: marks no pixel of a defective image", "draw the defect, or call the image good")
        return in_views(mask, found.stack, detector.judged_size)


def labelled_images(
    good: Path | str | None,
    bad: Path | str,
    masks: Path | str | None,
    specimen_pattern: str | None = None,
) -> Labelled:
    """List labelled images.

    Raises
    ------
    InputError
        A folder holds no images, or the same file is good and bad.
    """
    fine = [] if good is None else good_images(good)
    faulty = [path for path in good_images(bad) if not path.stem.endswith(("_mask", "-mask"))]
    both = {path.resolve() for path in fine} & {path.resolve() for path in faulty}
    if both:
        raise InputError(f"{min(both)}: is among the good and the bad images", "give two folders without overlap")
    paths = [*fine, *faulty]
    labels = [False] * len(fine) + [True] * len(faulty)
    found = None if masks is None else masks_by_stem(masks)
    if found is not None:
        own = {path.resolve() for path in found.values()}
        keep = [k for k, path in enumerate(paths) if path.resolve() not in own]
        paths, labels = [paths[k] for k in keep], [labels[k] for k in keep]
    return Labelled(paths, labels, found, specimens_of(paths, specimen_pattern))


def evaluate(
    bundle: Path | str,
    good: Path | str,
    bad: Path | str,
    masks: Path | str | None = None,
    *,
    out: Path | str | None = None,
    specimen_pattern: str | None = None,
    fpr_limit: float = 0.3,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Measure a detector on good and bad images.

    Parameters
    ----------
    bundle : path
    good, bad : path
        Folders.
    masks : path, optional
        Folder of masks of the bad images, by file stem; above zero is defect.
    out : path, optional
        Gets ``evaluation.json``.
    specimen_pattern : str, optional
        See `sorby.workflow.anomaly.fit`; intervals then resample specimens.
    fpr_limit : float
        Of the PRO-AUC.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``image_auroc``, ``pixel_auroc``, ``pro_auc`` (objects with ``value``, ``ci95``, ``n``; the last two null
        without masks), ``threshold``, ``tiles_per_s``, ``at_threshold``, ``pixels``, ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        No images of one kind can be read, or an image is among those the detector was fitted on.
    """
    opened = open_detector(bundle, require_signed=require_signed)
    detector = opened.detector
    labelled = labelled_images(good, bad, masks, specimen_pattern)
    scored = labelled.score(detector, device)
    if not scored.bad.any() or scored.bad.all():
        missing = "bad" if not scored.bad.any() else "good"
        raise InputError(f"no {missing} image could be read", f"check the folder of {missing} images")
    threshold = detector.threshold
    assert threshold is not None, "bundles hold calibrated detectors"
    result: dict[str, Any] = {
        "image_auroc": image_auroc_estimate(scored.scores, scored.bad, scored.image_groups).as_dict(),
        "pixel_auroc": None,
        "pro_auc": None,
        "threshold": threshold.value,
        "tiles_per_s": scored.views / max(scored.seconds, 1e-9),
        "calibration": threshold.describe(),
        "at_threshold": _at_threshold(scored, threshold.value),
        "n_good": int((~scored.bad).sum()),
        "n_bad": int(scored.bad.sum()),
        "meaning": score_meaning(detector.recipe),
        "bundle_sha256": opened.sha256,
        "warnings": _warnings(scored, labelled, opened.images),
        "quarantined": [entry.as_dict() for entry in scored.quarantined],
    }
    if scored.pixels:
        pixels = localisation(
            scored.maps, scored.masks, groups=scored.groups, threshold=threshold.value, fpr_limit=fpr_limit
        )
        described = {key: value.as_dict() if hasattr(value, "as_dict") else value for key, value in pixels.items()}
        result |= {"pixel_auroc": described["pixel_auroc"], "pro_auc": described["pro_auc"]}
        result["pixels"] = described
    if out is not None:
        result["evaluation"] = str(Path(out) / "evaluation.json")
        write_json(Path(out) / "evaluation.json", result)
    return result


def _at_threshold(scored: Scored, threshold: float) -> dict[str, Any]:
    """Return false alarms and detections of images at the bundle's threshold.

    Intervals are Wilson's where each image stands for itself, and from resampling specimens otherwise.
    """
    called = scored.scores >= threshold
    index, n_groups = specimen_index(scored.image_groups, len(called))
    figures = {}
    for name, among in (("false_alarm_rate", ~scored.bad), ("detection_rate", scored.bad)):
        hits, n = int((called & among).sum()), int(among.sum())
        if n_groups == len(called):
            figures[name] = proportion(hits, n).as_dict()
            continue
        own = sum_by_group(np.stack([called & among, among], 1).astype(np.float64), index, n_groups)
        own = own[own[:, 1] > 0]
        samples = cluster_bootstrap(own, lambda summed: summed[:, 0] / summed[:, 1])
        figures[name] = bootstrap_estimate(hits / n, samples, n, len(own)).as_dict()
    return figures


def _warnings(scored: Scored, labelled: Labelled, known: Sequence[Any]) -> list[str]:
    found = []
    behind = {image.sha256 for image in known}
    again = sum(sha256_file(path) in behind for path, bad in zip(labelled.paths, labelled.bad, strict=True) if not bad)
    if again:
        found.append(f"{again} of the good images were used in fitting: figures are too good for them")
    if labelled.masks is None:
        found.append("no masks: pixel figures are missing")
    elif scored.unmasked:
        found.append(f"{scored.unmasked} bad images have no mask: they count in image figures only")
    if not any(labelled.specimens):
        found.append("images count as independent: name their specimens for intervals that are wide enough")
    return found

"""``anomaly update``: add good images to what a detector knows, or take some out; its threshold follows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sorby.anomaly.detector import Detector
from sorby.anomaly.detector_bundle import KnownImage, save
from sorby.anomaly.thresholds import Threshold
from sorby.backbone.runtime import Device
from sorby.errors import InputError, Quarantined
from sorby.files import sha256_file
from sorby.micrograph import find_images
from sorby.progress import bar
from sorby.workflow.anomaly.calibrating import from_each_without_itself, from_held_out, specimens_of
from sorby.workflow.anomaly.opening import good_images, open_detector


def update(
    bundle: Path | str,
    *,
    add: Path | str | None = None,
    remove: Path | str | None = None,
    images: Sequence[Path | str] = (),
    specimen_pattern: str | None = None,
    out: Path | str | None = None,
    require_signed: bool = False,
    device: Device = "auto",
) -> dict[str, Any]:
    """Change what a detector knows and calibrate it anew.

    Sums let single images come and go; the result is that of a fit on the images that remain, up to rounding. The
    images that calibrate the threshold are read again: from where they lay, or found by content in *images*.

    Parameters
    ----------
    bundle : path
    add, remove : path, optional
        Folder of good images to remember, or of images to forget (found by content).
    images : sequence of path, optional
        Where the images behind the bundle lie now, if they were moved.
    specimen_pattern : str, optional
        See `sorby.workflow.anomaly.fit`; of the added images.
    out : path, optional
        The changed bundle; replaces *bundle* where None.
    require_signed : bool
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        ``bundle``, ``sha256``, ``n_images``, ``added``, ``removed``, ``threshold``, ``threshold_before``,
        ``warnings``, ``quarantined``.

    Raises
    ------
    InputError
        Nothing to do, an image to forget is not known, or one that calibrates cannot be found.
    """
    started = time.perf_counter()
    if add is None and remove is None:
        raise InputError("nothing to add or to remove", "give --add DIR or --remove DIR")
    opened = open_detector(bundle, require_signed=require_signed)
    detector, known = opened.detector, list(opened.images)
    before = detector.threshold
    assert before is not None, "bundles hold calibrated detectors"
    places = _Places(known, images)
    needed = [image for image in known if image.role == ("calibration" if before.rule == "split" else "good")]
    if before.rule in ("split", "leave-one-out"):
        places.require(needed)
    warnings = _precision(detector, opened.notes, device)
    quarantined: list[Quarantined] = []
    removed = added = 0
    if remove is not None:
        known, removed = _forget(detector, known, good_images(remove), device)
    if add is not None:
        known, added, bad_files, notes = _remember(detector, known, good_images(add), specimen_pattern, device)
        quarantined += bad_files
        warnings += notes
        places.note(known)
    detector.filled().finish()
    detector.threshold = _calibrated(detector, before, known, places, device)
    if before.rule == "f1":
        warnings.append("the threshold of best F1 is that of the images before; fit again with --bad to renew it")
    known = places.named(known)
    target = Path(bundle if out is None else out)
    runtime = detector.runtime(device)
    sha256 = save(
        target, detector, known, notes=[*opened.notes, *warnings], runtime=f"{runtime.name} {runtime.precision}",
        overwrite=out is None,
    )  # fmt: skip
    return {
        "bundle": str(target),
        "sha256": sha256,
        "n_images": sum(image.role == "good" for image in known),
        "n_calibration": sum(image.role == "calibration" for image in known),
        "added": added,
        "removed": removed,
        "threshold": detector.threshold.value,
        "threshold_before": before.value,
        "calibration": detector.threshold.describe(),
        "seconds": time.perf_counter() - started,
        "warnings": warnings,
        "quarantined": [entry.as_dict() for entry in quarantined],
    }


class _Places:
    """Where the images behind a bundle lie, by content."""

    def __init__(self, known: Iterable[KnownImage], folders: Sequence[Path | str]) -> None:
        self._at = {image.sha256: Path(image.name) for image in known}
        self._good: set[str] = set()
        for folder in folders:
            for path in find_images(folder):
                self._at[sha256_file(path)] = path

    def note(self, known: Iterable[KnownImage]) -> None:
        """Remember where new images lie."""
        for image in known:
            self._at.setdefault(image.sha256, Path(image.name))

    def require(self, images: Iterable[KnownImage]) -> None:
        """Check that images are where they were, and what they were.

        Raises
        ------
        InputError
            One is missing or has changed.
        """
        for image in images:
            path = self._at[image.sha256]
            if image.sha256 in self._good:
                continue
            if not path.is_file() or sha256_file(path) != image.sha256:
                raise InputError(
                    f"{image.name}: is needed to calibrate the threshold anew and is not there any more",
                    "give --images DIR, the folder where the good images lie now",
                )
            self._good.add(image.sha256)

    def named(self, images: Sequence[KnownImage]) -> list[KnownImage]:
        """Return images with the place where they lie now as their name."""
        return [replace(image, name=self._at[image.sha256].resolve().as_posix()) for image in images]

    def of(self, images: Sequence[KnownImage]) -> list[Path]:
        """Return the paths of images."""
        self.require(images)
        return [self._at[image.sha256] for image in images]


def _forget(
    detector: Detector, known: list[KnownImage], paths: list[Path], device: Device
) -> tuple[list[KnownImage], int]:
    """Take images out, whatever their role; all of them or none."""
    by_content = {image.sha256: image for image in known}
    hashes = list(dict.fromkeys(sha256_file(path) for path in paths))
    places = {sha256_file(path): path for path in paths}
    for digest in hashes:
        if digest not in by_content:
            raise InputError(
                f"{places[digest]}: the detector does not know this image", "see images.json in the bundle"
            )
    good = [by_content[digest] for digest in hashes if by_content[digest].role == "good"]
    with bar("forgetting", len(good)) as advance:
        _, failed = detector.learn(
            [places[image.sha256] for image in good],
            forget=[image.number for image in good],
            device=device,
            progress=advance,
        )
    if failed:
        raise InputError(f"{failed[0].file}: {failed[0].reason}", "nothing was changed")
    return [image for image in known if image.sha256 not in set(hashes)], len(hashes)


def _remember(
    detector: Detector, known: list[KnownImage], paths: list[Path], pattern: str | None, device: Device
) -> tuple[list[KnownImage], int, list[Quarantined], list[str]]:
    """Add images that are not known yet."""
    behind = {image.sha256 for image in known}
    specimens = dict(zip(paths, specimens_of(paths, pattern), strict=True))
    fresh: dict[str, Path] = {}
    for path in paths:
        fresh.setdefault(sha256_file(path), path)
    todo = [path for digest, path in fresh.items() if digest not in behind]
    first = max((image.number for image in known), default=-1) + 1
    with bar("adding", len(todo)) as advance:
        kept, quarantined = detector.learn(todo, first=first, device=device, progress=advance)
    new = [
        KnownImage(sha256_file(todo[k]), todo[k].resolve().as_posix(), "good", first + n, specimens[todo[k]])
        for n, k in enumerate(kept)
    ]
    repeated = len(paths) - len(todo)
    notes = [f"{repeated} of the images to add were known already, or twice in the folder"] if repeated else []
    held = {image.specimen for image in known if image.role == "calibration" and image.specimen}
    shared = sorted({image.specimen for image in new} & held)
    if shared:
        notes.append(f"specimens {', '.join(shared[:5])} are now remembered and calibrate as well: false alarms are"
                     " underestimated")  # fmt: skip
    return [*known, *new], len(new), quarantined, notes


def _calibrated(
    detector: Detector, before: Threshold, known: Sequence[KnownImage], places: _Places, device: Device
) -> Threshold:
    """Return the threshold by the same rule, from the images as they are now."""
    section = detector.recipe.threshold
    if before.rule == "split":
        held = places.of([image for image in known if image.role == "calibration"])
        threshold, _, failed = from_held_out(detector, held, section, device)
        if failed:
            raise InputError(f"{failed[0].file}: {failed[0].reason}", "it calibrates the threshold; restore it")
        return threshold
    if before.rule == "leave-one-out":
        good = [image for image in known if image.role == "good"]
        return from_each_without_itself(detector, places.of(good), [each.number for each in good], section, device)
    return replace(before)


def _precision(detector: Detector, notes: Sequence[str], device: Device) -> list[str]:
    """Say where features are computed otherwise than when the bundle was made: sums then mix two kinds."""
    now = detector.level_runtime(device)
    del notes
    return [] if now.name == "openvino" else ["features of images that come and go are computed on another device"]

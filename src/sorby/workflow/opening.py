"""From a bundle file to a classifier at work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sorby import bundle as bundles
from sorby.anomaly import KIND as DETECTOR_KIND
from sorby.bundle import OpenBundle, open_bundle
from sorby.classify import KIND, Classifier
from sorby.detect import KIND as BOXES_KIND
from sorby.errors import BundleError
from sorby.measure import SEGMENTER_KIND

_COMMANDS = {
    DETECTOR_KIND: "use sorby anomaly score, or sorby line run",
    BOXES_KIND: "use sorby inspect, sorby detect evaluate or sorby line run",
    SEGMENTER_KIND: "use sorby measure grains or inclusions --segmenter",
}


def load(path: Path | str, *, require_signed: bool = False, device: str = "auto") -> Any:
    """Verify a bundle and return its model, see `sorby.bundle.load`.

    Importing this module has registered every task's loader.
    """
    return bundles.load(path, require_signed=require_signed, device=device)


def open_classifier(path: Path | str, *, require_signed: bool = False) -> tuple[Classifier, OpenBundle]:
    """Verify a bundle and return its classifier.

    Raises
    ------
    BundleError
        Damaged, tampered with, too new, not signed as demanded, or of another kind.
    """
    bundle = open_bundle(path, require_signed=require_signed)
    return classifier_of(bundle), bundle


def classifier_of(bundle: OpenBundle) -> Classifier:
    """Return the classifier of an open, verified bundle.

    Raises
    ------
    BundleError
        It is of another kind, or its contents do not fit together.
    """
    kind = bundle.description.kind
    if kind != KIND:
        raise BundleError(
            f"{bundle.path}: holds a model of kind {kind!r}, not a classifier",
            _COMMANDS.get(kind, "see sorby bundle show"),
        )
    return Classifier.from_bundle(bundle)

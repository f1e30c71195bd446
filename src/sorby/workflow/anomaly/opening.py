"""From a bundle file to a detector at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sorby.anomaly.detector import Detector
from sorby.anomaly.detector_bundle import KnownImage, from_bundle
from sorby.bundle import open_bundle
from sorby.errors import InputError
from sorby.micrograph import find_images


@dataclass(frozen=True)
class OpenDetector:
    """A detector and its bundle's identity.

    Attributes
    ----------
    detector : Detector
    images : list of KnownImage
        Behind it.
    sha256 : str
        Of the bundle.
    signature : str
        Who vouches for it.
    notes : list of str
        What was written down when it was fitted.
    """

    detector: Detector
    images: list[KnownImage]
    sha256: str
    signature: str
    notes: list[str]


def open_detector(path: Path | str, *, require_signed: bool = False) -> OpenDetector:
    """Verify a bundle and return its detector.

    Raises
    ------
    BundleError
        Damaged, tampered with, too new, not signed as demanded, or of another kind.
    """
    with open_bundle(path, require_signed=require_signed) as bundle:
        stored = from_bundle(bundle)
        notes = list(bundle.description.notes)
        return OpenDetector(stored.detector, stored.images, bundle.sha256, str(bundle.signature), notes)


def good_images(folder: Path | str) -> list[Path]:
    """Return the images below a folder of good images.

    Raises
    ------
    InputError
        There is none.
    """
    found = find_images(folder)
    if not found:
        raise InputError(f"{folder}: holds no good images", "give a folder of images that show no defect")
    return found

"""From a bundle file to a detector at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.anomaly.detector import Detector, ImageMaps
from sorby.anomaly.detector_bundle import KnownImage, from_bundle
from sorby.anomaly.findings import put_together
from sorby.anomaly.smoothing import at_pixels
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


def map_of_image(detector: Detector, found: ImageMaps) -> npt.NDArray[np.float32]:
    """Return the map of an image in its own pixels (H, W), the maps of its views put together.

    Parameters
    ----------
    detector : Detector
    found : ImageMaps
        From `Detector.score`.
    """
    centred = detector.embedding.centred and found.maps.shape[1:] == detector.judged_cells
    whole = put_together(found.maps, found.stack, centred=centred)
    values = np.nan_to_num(whole.values, nan=float(np.nanmin(whole.values)))
    height, width = (max(side, n) for side, n in zip(found.stack.size, values.shape, strict=True))
    size = (-(-height // values.shape[0]) * values.shape[0], -(-width // values.shape[1]) * values.shape[1])
    spread = at_pixels(values[None], size, centred=centred)[0]
    return np.ascontiguousarray(spread[: found.stack.size[0], : found.stack.size[1]])

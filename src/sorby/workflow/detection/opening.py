"""From a bundle file to a box detector at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorby.bundle import Description, OpenBundle, open_bundle
from sorby.detect.detector import Detector
from sorby.detect.detector_bundle import from_bundle, images_of


@dataclass(frozen=True, eq=False)
class OpenBoxDetector:
    """A detector and its bundle's identity.

    Attributes
    ----------
    detector : Detector
    description : Description
        What the bundle says of itself.
    sha256 : str
        Of the bundle.
    signature : str
        Who vouches for it.
    images : frozenset of str
        SHA-256 of the images that taught it.
    """

    detector: Detector
    description: Description
    sha256: str
    signature: str
    images: frozenset[str]

    def was_taught(self, hashes: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say for each image file whether it taught this detector."""
        return np.array([each in self.images for each in hashes], bool)


def open_box_detector(path: Path | str | OpenBundle, *, require_signed: bool = False) -> OpenBoxDetector:
    """Verify a bundle and return its detector.

    Raises
    ------
    BundleError
        Damaged, tampered with, too new, not signed as demanded, or of another kind.
    """
    bundle = path if isinstance(path, OpenBundle) else open_bundle(path, require_signed=require_signed)
    with bundle:
        return OpenBoxDetector(
            from_bundle(bundle), bundle.description, bundle.sha256, str(bundle.signature), images_of(bundle)
        )

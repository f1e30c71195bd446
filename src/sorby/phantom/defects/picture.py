"""What a picture of defects is: its pixels, and of each defect its kind, box and mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

#: Every kind that is drawn, in the order of their numbers in the box file.
KINDS = (
    "scratch",
    "inclusion",
    "patch",
    "pitting",
    "rolled_in_scale",
    "crazing",
    "pinhole",
    "scuff",
    "dent",
    "crack",
    "chip",
    "stain",
    "hole",
    "fibre",
    "debris",
)


@dataclass(frozen=True, eq=False)
class Mark:
    """A defect before it is laid on its surface.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    top, left : int
        Where its first pixel lies in the picture; it never hangs over the border.
    delta : ndarray of float32, shape (h, w)
        Grey levels added to the surface.
    mask : ndarray of bool, shape (h, w)
        What an annotator would mark; of a group the union of its parts.
    body : ndarray of bool, shape (h, w)
        The defect itself, which a hand may have drawn around.
    """

    kind: str
    top: int
    left: int
    delta: Float32
    mask: Bool
    body: Bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the mask in the picture; right and bottom lie outside."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return (
            self.left + int(columns[0]),
            self.top + int(rows[0]),
            self.left + int(columns[-1]) + 1,
            self.top + int(rows[-1]) + 1,
        )

    def place(self) -> tuple[slice, slice]:
        """Return its rows and columns in the picture."""
        height, width = self.delta.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class DefectPicture:
    """A surface with defects at known places.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w)
    boxes : ndarray of float32, shape (n, 4)
        Left, top, right, bottom in pixels, right and bottom outside: the bounds of the masks.
    labels : tuple of str
        Kind of each defect, of :data:`KINDS`.
    masks : ndarray of bool, shape (n, h, w)
    clean : ndarray of uint8, shape (h, w)
        The same surface without its defects.
    family, texture : str
        Of the surface.
    grain : float
        Deviation of the surface's fine texture, in grey levels.
    """

    pixels: UInt8
    boxes: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    masks: Bool
    clean: UInt8
    family: str
    texture: str
    grain: float

    def __len__(self) -> int:
        return len(self.labels)

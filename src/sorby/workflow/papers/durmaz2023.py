"""What S1 prints: A. R. Durmaz et al., "Microstructure quality control of steels using deep learning", Front. Mater.
10:1222456 (2023), arXiv:2306.00797. Tables, figures, and what can be recovered of cells that were lost in print.

Confusion matrices are kept as printed: rows predicted, columns true. ``UNKNOWN`` marks a cell that the print lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.intp]

UNKNOWN = -1

CLASSES = ("B7", "B8", "B9-10", "G7", "G8", "G9-10", "M8", "M9-10")
SUBTYPES = ("B", "G", "M")
SUBTYPE_OF = (0, 0, 0, 1, 1, 1, 2, 2)
"""Subtype of each class, for `sorby.evidence.merge_classes`."""
SIZE_OF = (0, 1, 2, 0, 1, 2, 1, 2)
"""Size (7, 8, 9-10) of each class."""

CLASS_COUNTS = {
    "G6": 11, "G7": 48, "G8": 196, "G9-10": 985, "M6": 0, "M7": 1, "M8": 31, "M9-10": 39,
    "B6": 4, "B7": 40, "B8": 137, "B9-10": 149,
}  # fmt: skip
"""Table 1 and Suppl. Table 1: micrographs of each structure code (S1-08)."""
LEFT_OUT = ("G6", "M6", "M7", "B6")
"""Grey rows of Table 1: too scarce, as the classes left in Figs. 3 and 4 show (S1-03)."""
IMAGES = 1641
ALLOY_SHARES = {"100Cr6": 0.687, "100CrMnSi6-4": 0.153}
"""Suppl. Fig. 4: the two alloys whose share is stated; 12 further variants of 100Cr6 and C56E2 share the rest."""
MAGNIFICATION_SHARES = {"500": 0.824, "1000": 0.176}
"""Section 2.1."""
MODE_SIZE_PX = (1994, 1994)

MORPHOLOGY = {
    "6": ("coarse acicular to acicular", "coarse acicular"),
    "7": ("acicular", "coarse acicular to acicular"),
    "8": ("fine acicular", "acicular"),
    "9-10": ("fine acicular to structureless", "fine acicular"),
}
"""Table 1: morphology by the mean and by the maximum criterion (S1-04)."""

SHARES = (0.64, 0.16, 0.2)
SUBTYPE_IMAGES = {"G": 1229, "B": 326, "M": 70}
"""Micrographs of the classes that were kept (R-1.2)."""
TEST_IMAGES = {"G": 246, "B": 66, "M": 14}
"""Test images of the three size models; the global model was tested on their 326."""
SUBTYPE_TEST_IMAGES = 329
"""Test images of the subtype model: ceil(.2 * 1641), with images of the classes left out."""

TABLE_2 = {
    ("ResNet-18", "global", "frozen"): 76.08,
    ("ResNet-18", "two-stage", "frozen"): 80.06,
    ("ResNet-18", "global", "full"): 90.18,
    ("ResNet-18", "two-stage", "full"): 90.49,
    ("ResNet-50", "global", "full"): 87.73,
    ("ResNet-50", "two-stage", "full"): 88.98,
}
"""Overall test accuracy, per cent, n = 326 (S1-35)."""
TABLE_2_HITS = {
    ("ResNet-18", "global", "frozen"): 248,
    ("ResNet-18", "two-stage", "frozen"): 261,
    ("ResNet-18", "global", "full"): 294,
    ("ResNet-18", "two-stage", "full"): 295,
    ("ResNet-50", "global", "full"): 286,
    ("ResNet-50", "two-stage", "full"): 290,
}
"""Nearest whole numbers of hits; 76.08 and 88.98 are no k / 326 (F-1.3)."""
TABLE_3 = {
    ("ResNet-18", "subtype"): 96.35, ("ResNet-18", "G"): 93.90, ("ResNet-18", "B"): 86.36, ("ResNet-18", "M"): 92.86,
    ("ResNet-50", "subtype"): 96.96, ("ResNet-50", "G"): 93.09, ("ResNet-50", "B"): 81.82, ("ResNet-50", "M"): 92.86,
}  # fmt: skip
"""Test accuracy of each stage, per cent (S1-36)."""
TABLE_3_HITS = {
    ("ResNet-18", "subtype"): (317, 329), ("ResNet-18", "G"): (231, 246), ("ResNet-18", "B"): (57, 66),
    ("ResNet-18", "M"): (13, 14), ("ResNet-50", "subtype"): (319, 329), ("ResNet-50", "G"): (229, 246),
    ("ResNet-50", "B"): (54, 66), ("ResNet-50", "M"): (13, 14),
}  # fmt: skip
HEADLINE = {"subtype": 0.96, "needle length": 0.91}
"""Abstract. The second is the unweighted mean of three subtypes; pooled it is 301 / 326 = 92.3 % (F-1.5)."""


@dataclass(frozen=True, eq=False)
class PrintedMatrix:
    """A confusion matrix as printed.

    Attributes
    ----------
    figure : str
    what : str
    cells : ndarray of int, shape (8, 8)
        Rows predicted, columns true; `UNKNOWN` where the print lost the cell.
    hits : int
        Right verdicts, from the accuracy of Table 2.
    """

    figure: str
    what: str
    cells: Counts
    hits: int

    @property
    def missing(self) -> int:
        """Images that lie in the lost cells."""
        return sum(TEST_IMAGES.values()) - int(self.cells[self.cells != UNKNOWN].sum())

    def completions(self) -> Iterator[Counts]:
        """Yield every matrix that the printed cells, the column sums and the accuracy allow, rows predicted."""
        known = np.where(self.cells == UNKNOWN, 0, self.cells)
        lost = np.argwhere(self.cells == UNKNOWN)
        for choice in _placements(len(lost), self.missing):
            filled = known.copy()
            for (row, column), count in zip(lost, choice, strict=True):
                filled[row, column] = count
            if int(np.trace(filled)) == self.hits:
                yield filled

    def likely(self) -> Counts:
        """Return the completion that places lost errors at M8, the neighbouring size of the same subtype."""
        filled = np.where(self.cells == UNKNOWN, 0, self.cells)
        filled[CLASSES.index("M8"), CLASSES.index("M9-10")] = self.missing
        return filled


def _placements(cells: int, total: int) -> Iterator[tuple[int, ...]]:
    """Yield every way of putting *total* images into so many cells."""
    if cells == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _placements(cells - 1, total - first):
            yield (first, *rest)


_ = UNKNOWN
FIGURE_3 = PrintedMatrix(
    "Fig. 3",
    "ResNet-18, global",
    np.array(
        [
            [7, 2, 0, 0, 0, 0, 0, _],
            [1, 24, 5, 0, 0, 2, 0, _],
            [0, 2, 25, 0, 0, 4, 0, _],
            [0, 0, 0, 9, 1, 0, 0, _],
            [0, 0, 0, 1, 32, 5, 0, _],
            [0, 0, 0, 0, 6, 186, 0, _],
            [0, 0, 0, 0, 0, 0, 5, _],
            [0, 0, 0, 0, 0, 0, 1, 6],
        ]
    ),
    294,
)
FIGURE_4 = PrintedMatrix(
    "Fig. 4",
    "ResNet-18, two-stage",
    np.array(
        [
            [7, 1, 0, 0, 0, 0, 0, _],
            [0, 21, 1, 0, 0, 2, 0, _],
            [1, 6, 28, 0, 0, 2, 1, _],
            [0, 0, 0, 9, 1, 0, 0, _],
            [0, 0, 0, 1, 28, 3, 0, _],
            [0, 0, 1, 0, 10, 190, 0, _],
            [0, 0, 0, 0, 0, 0, 5, _],
            [0, 0, 0, 0, 0, 0, 0, 7],
        ]
    ),
    295,
)
"""Figs. 3 and 4 without their lost eighth column, save the one cell each that was printed (F-1.1)."""
del _

COLUMN_SUMS = (8, 28, 30, 10, 39, 197, 6, 8)
"""Test images of each class; they sum to 326."""

ROUND_ROBIN = {"raters": 14, "daily raters": 5, "images": 20, "images kept": 17}
ROUND_ROBIN_IMAGES = {"G": 11, "B": 5, "M": 4}
ROUND_ROBIN_HITS = {
    "subtype": (179, 280),
    "size, given the subtype": (56, 179),
    "structure code": (56, 280),
    "reduced classes": (47, 187),
    "final model": (12, 17),
}
FLEISS_KAPPA = {
    "full codes": 0.146,
    "subtype": 0.330,
    "reduced codes": 0.152,
    "reduced codes, daily raters": 0.318,
}
SIZE_ACCURACY = {"G": 0.21, "B": 0.23, "M": 0.16}
MAJORITY = {"equal": 6, "adjacent": 8}
"""Of the 20 images of the round robin: those whose most frequent code is the label, or beside it."""

FLAWS = (
    "Test sets differ: 326 images for the global and size models, 329 for the subtype model; stage accuracies must"
    " not be multiplied.",
    "88.98 % and 76.08 % are no whole number of 326 images; the nearest are 290 (88.96 %) and 248 (76.07 %).",
    "The subtype model errs on 12 of 329 images in Table 3, on 6 of 326 in Fig. 4; at most 3 of the 12 can be among the"
    " 3 further images.",
    "Needle length 'roughly 91 %' is the unweighted mean over subtypes; pooled it is 301 of 326, 92.3 %.",
    "Accuracy coincides with weighted F1, not with macro-F1 (.84-.85 and .86-.87).",
    "Two-stage against global is 295 against 294 images of 326: no evidence for a difference.",
    "Images were split singly: specimens, series and microscopes stand on both sides, alloy and magnification are"
    " confounded with the class.",
    "Round-robin images were drawn partly by the errors of a model: neither raters nor model are judged on a fair"
    " sample.",
)
"""What must be known to read the published figures (F-1.1 to F-1.10)."""


def test_part(images: int) -> int:
    """Return the number of test images of a data set by S1's rule, ceil(.2 n) (R-1.2)."""
    return math.ceil(round(SHARES[2] * images, 9))

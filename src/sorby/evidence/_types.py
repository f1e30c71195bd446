"""Names for the arrays that go in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
#: What a calibrated object leaves in a bundle: names to plain arrays.
Arrays = dict[str, npt.NDArray[Any]]

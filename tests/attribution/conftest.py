"""Two threads are enough for networks this small, and others share the machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch


@pytest.fixture(autouse=True)
def _few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Five images, 3 x 32 x 48, 0 to 1."""
    return rng.random((5, 3, 32, 48), dtype=np.float32)

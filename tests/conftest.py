"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The shared folder of real images; a user without it skips these tests."""
    beside_checkout = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SORBY_DATA", beside_checkout))
    if not folder.is_dir():
        pytest.skip(f"real data folder absent ({folder}); set SORBY_DATA to run these tests")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator, fresh for each test."""
    return np.random.default_rng(1863)

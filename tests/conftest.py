"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from textures import SMALL, Trained, write_folder, write_table


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


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keys, weights and cached features of the person who runs the tests stay out of them; so does the network."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SORBY_HOME", str(home))
        patch.setenv("HF_HOME", str(home / "hub"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        for name in ("SORBY_WEIGHTS", "SORBY_CACHE", "SORBY_CACHE_MB", "SORBY_KEY_PASSPHRASE"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A frozen classifier of three textures from a table with specimens, two images each."""
    from sorby.classify.recipe import load
    from sorby.workflow import train

    place = tmp_path_factory.mktemp("trained")
    table = write_table(place / "data", specimens=48)
    recipe = load(None, {**SMALL, "name": "textures", "verdict.novelty_rate": 0.02})
    result = train(table, place / "run", recipe, image="picture", label="structure", group="piece", report=False)
    return Trained(table, place / "run", Path(result["bundle"]), result)


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders of eight textures each; nobody may change it."""
    return write_folder(tmp_path_factory.mktemp("folders") / "textures", per_class=8, seed=7)

"""A small archive of broken phantoms and what was taught on it, shared by the tests on specimens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sorby.phantom.fracture import SMALL_SIZE, fracture_set, with_planned_views, write_views

MAGNIFICATIONS = (50, 500, 4000)
RECIPE = {"image.height": 64, "image.width": 64}


@dataclass(frozen=True)
class Fractures:
    """Phantoms, a classifier of them and a judge of specimens; nobody may change them."""

    folder: Path
    bundle: Path
    judge: Path

    @property
    def labels(self) -> Path:
        """Table of the pictures, with specimens, magnifications and cues."""
        return self.folder / "labels.csv"

    @property
    def images(self) -> Path:
        """Folder of the pictures."""
        return self.folder / "images"

    def table(self) -> pd.DataFrame:
        """Rows of the pictures."""
        return pd.read_csv(self.labels)


def write_fractures(folder: Path, specimens: int = 24, seed: int = 3) -> Path:
    """Write plain origins, causes alike often, at three magnifications; return the table."""
    drawn = fracture_set(specimens, seed, difficulty=0.3, balance={"green_body": 1, "hard_machining": 1, "material": 1})
    planned = [with_planned_views(each, difficulty=0.3, magnifications=MAGNIFICATIONS) for each in drawn]
    table = write_views(folder, planned, size=SMALL_SIZE)
    table.rename(columns={"mask": "cues"}).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"

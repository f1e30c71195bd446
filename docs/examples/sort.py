"""Stands in for a person who sorts pictures into one folder a part: python sort.py PHANTOMS FOLDER."""

import shutil
import sys
from pathlib import Path

import pandas as pd

phantoms, target = map(Path, sys.argv[1:])
for row in pd.read_csv(phantoms / "labels.csv").itertuples():
    folder = target / row.specimen.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(phantoms / row.path, folder)
print(f"{len(list(target.iterdir()))} parts in {target}")

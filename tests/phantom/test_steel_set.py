"""Sets of phantoms on disk: complete, reproducible, with labels that are true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from sorby.errors import InputError
from sorby.files import sha256_file
from sorby.phantom import DEMO_CLASSES, HOUSE_SCALE, PUBLISHED_COUNTS, write_novel, write_steel
from sorby.phantom.steel_set import apportion, shares


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_set_is_the_same_whatever_the_number_of_processes(tmp_path: Path) -> None:
    for jobs in (1, 2):
        write_steel(tmp_path / str(jobs), 6, 3, classes=("G8", "M9-10"), size_px=128, jobs=jobs)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_table_files_and_truth_agree(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    table = write_steel(
        tmp_path / "s", 16, 5, size_px=256, jobs=1, progress=lambda done, total: seen.append((done, total))
    )
    assert sorted(table["label"].unique()) == sorted(DEMO_CLASSES)
    assert table["phantom"].all()
    assert seen[-1] == (16, 16)
    on_disk = pd.read_csv(tmp_path / "s" / "labels.csv")
    assert list(on_disk["path"]) == list(table["path"])
    truth = json.loads((tmp_path / "s" / "truth.json").read_text(encoding="utf-8"))
    for row in table.itertuples():
        name = Path(row.path).stem
        assert row.specimen in name
        with np.load(tmp_path / "s" / "needles" / f"{name}.npz") as needles:
            lengths = needles["length_um"][needles["graded"]].astype(np.float64)
        assert HOUSE_SCALE.grade(lengths, row.subtype, row.criterion) == row.label == row.subtype + row.size_class
        assert lengths.mean() == pytest.approx(row.mean_needle_length_um, rel=1e-5)  # stored as float32
        assert truth["images"][row.path]["label"] == row.label
        assert Image.open(tmp_path / "s" / row.path).size == (256, 256)
    assert (table.groupby("specimen")["label"].nunique() == 1).all()
    assert (table.groupby("specimen").size() == 2).all()


def test_png_carries_no_scale_and_tiff_carries_the_true_one(tmp_path: Path) -> None:
    png = write_steel(tmp_path / "p", 1, 1, classes=("G8",), size_px=128, jobs=1, truth_files=False)
    assert "dpi" not in Image.open(tmp_path / "p" / png["path"][0]).info
    tif = write_steel(tmp_path / "t", 1, 1, classes=("G8",), size_px=128, jobs=1, file_format="tiff")
    with tifffile.TiffFile(tmp_path / "t" / tif["path"][0]) as file:
        pixels = file.asarray()
        numerator, denominator = file.pages[0].tags["XResolution"].value  # type: ignore[union-attr]
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "um"
    assert denominator / numerator == pytest.approx(tif["pixel_size_um"][0], rel=1e-4)
    assert np.array_equal(pixels, np.asarray(Image.open(tmp_path / "p" / png["path"][0])))


def test_published_counts_are_those_of_s1() -> None:
    assert sum(PUBLISHED_COUNTS.values()) == 1641
    by_subtype = {s: sum(n for code, n in PUBLISHED_COUNTS.items() if code[0] == s) for s in "GMB"}
    assert by_subtype == {"G": 1240, "M": 71, "B": 330}
    part = shares(tuple(PUBLISHED_COUNTS), "published")
    assert apportion(1641 * 3, part)["G9-10"] == pytest.approx(985 * 3, rel=0.01)  # everyone gets one first


def test_apportioning_loses_nobody() -> None:
    counts = apportion(10, {"a": 0.9, "b": 0.05, "c": 0.05})
    assert sum(counts.values()) == 10
    assert min(counts.values()) >= 1
    with pytest.raises(InputError):
        apportion(2, {"a": 0.5, "b": 0.25, "c": 0.25})


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        write_steel(tmp_path / "mine", 2, 1, classes=("G8",), size_px=64, jobs=1)
    assert (tmp_path / "mine" / "note.txt").read_text(encoding="utf-8") == "keep"


@pytest.mark.parametrize(
    "wrong", [{"balance": "fair"}, {"classes": ()}, {"file_format": "bmp"}, {"classes": ("Q1",)}, {"jobs": 0}]
)
def test_wrong_requests_are_refused_and_leave_nothing(tmp_path: Path, wrong: dict[str, object]) -> None:
    request = {"classes": ("G8",), "size_px": 96, "jobs": 1, **wrong}
    with pytest.raises(InputError):
        write_steel(tmp_path / "out", 2, 1, **request)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_novel_images_are_labelled_novel(tmp_path: Path) -> None:
    table = write_novel(tmp_path / "n", 5, 1, size_px=96, jobs=1)
    assert set(table["label"]) == {"novel"}
    assert table["kind"].nunique() == 5
    assert all((tmp_path / "n" / path).is_file() for path in table["path"])

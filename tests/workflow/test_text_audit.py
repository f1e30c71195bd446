"""The audit of left-over text: clean after a crop that fits, and lettering named where the crop does not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from info_bars import Words, with_bar
from sorby.errors import InputError
from sorby.micrograph.text_reading import open_reader
from sorby.workflow.archive.text_audit import audit_text

pytest.importorskip("rapidocr", reason="the extra ocr is not installed")


@pytest.fixture(scope="module")
def loaded():
    return open_reader(threads=1)


@pytest.fixture(autouse=True)
def reader(loaded, monkeypatch):
    """Load the networks once for all tests."""
    monkeypatch.setattr("sorby.workflow.archive.text_audit.open_reader", lambda engine: loaded)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("barred")
    (root / "a").mkdir()
    for seed in range(3):
        Image.fromarray(with_bar("light", seed=seed, rows=560).pixels).save(root / "a" / f"bottom{seed}.png")
    words = Words("5 000 x", "15.00 kV", "8.5 mm", "ETD", "5 µm")
    Image.fromarray(with_bar("cells", words, seed=9, top=True, rows=240).pixels).save(root / "a" / "top.png")
    return root


def test_no_text_is_left_where_bars_are_found(folder, tmp_path):
    result = audit_text(folder, tmp_path / "out")
    assert (result["n"], result["with_text"], result["without_bar"]) == (4, 0, 0)
    low, high = result["ci95"]["share_with_text"]
    assert low == 0
    assert high == pytest.approx(0.49, abs=0.01)  # Wilson, 0 of 4
    page = (tmp_path / "out" / "text_audit.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 4
    assert "http://" not in page
    assert "https://" not in page


def test_the_fixed_share_leaves_a_bar_at_the_top(folder, tmp_path):
    result = audit_text(folder, tmp_path / "out", crop="fixed")
    left = [Path(entry["file"]).name for entry in result["images"] if entry["texts"]]
    assert left == ["top.png"]
    with open(tmp_path / "out" / "text_audit.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["text"]]
    assert {Path(row["file"]).name for row in rows} == {"top.png"}
    assert any("kV" in row["text"] for row in rows)


def test_the_draw_is_by_seed_and_bounded_by_the_corpus(folder, tmp_path):
    chosen = [
        [entry["file"] for entry in audit_text(folder, tmp_path / str(k), n_images=2, seed=3)["images"]]
        for k in range(2)
    ]
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 2
    assert "the corpus has 4" in " ".join(audit_text(folder, tmp_path / "all")["warnings"])


def test_an_unknown_crop_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no way to crop"):
        audit_text(folder, tmp_path / "out", crop="half")

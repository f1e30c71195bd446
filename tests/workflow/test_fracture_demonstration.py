"""The fracture demonstration from nothing to its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.workflow.demonstrations.fracture import demo_fracture
from sorby.workflow.papers.schmid2026 import TABLE_2


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="not empty"):
        demo_fracture(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"


@pytest.mark.slow
def test_the_whole_demonstration(tmp_path: Path) -> None:
    found = demo_fracture(tmp_path / "demo", device="cpu")
    page = Path(found["report"]).read_text(encoding="utf-8")
    for title in ("From the archive", "One verdict a specimen", "Fracture mirrors", "Table 1", "Fig. 6", "triage"):
        assert title in page
    # The rules that come with the phantoms read every report; only doubtful names may go astray.
    assert found["matched"]["labels_right"]["value"] > 0.95
    assert {row["metric"] for row in found["metrics"]["table_2"]} == set(TABLE_2)
    inflation = found["metrics"]["inflation"]["macro_f1"]
    assert inflation["by_image"] > inflation["by_specimen"]
    assert found["specimens"]["n"] == 10
    assert all(("radius_um" in row) or row["said"] for row in found["mirrors"])

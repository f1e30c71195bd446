"""The corrosion demonstration from nothing to its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.workflow.demonstrations.corrosion import demo_corrosion


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="not empty"):
        demo_corrosion(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"


@pytest.mark.slow
def test_the_whole_demonstration(tmp_path: Path) -> None:
    found = demo_corrosion(tmp_path / "demo", device="cpu")
    page = Path(found["report"]).read_text(encoding="utf-8")
    for title in ("Severity of attack", "A whole plate", "Fig. 4 and Table 4", "Generated images", "published numbers"):
        assert title in page
    # Five grades: chance is a fifth. Neighbouring grades are confused, distant ones are not.
    assert found["metrics"]["test"]["accuracy"] > 0.4
    assert found["metrics"]["new"]["within_one_grade"]["value"] >= 0.8
    for row in found["curves"]["table_4"]:
        low, high = row["icorr"]["ci95"]
        assert low <= row["icorr_truth"] <= high
    made = found["metrics"]["synthesis"]
    assert made["accepted"] + made["rejected"] == 24

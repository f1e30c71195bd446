"""``sorby phantom membrane`` as a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sorby.cli import cli
from sorby.cli._frame import run


def test_sheets_of_electrode_come_as_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--n", "2", "--set", "scratches", "--scale", "0.08", "--tiles", "32"]
    assert run(cli, ["phantom", "membrane", *options, "--out", str(tmp_path / "p"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"defect": 1, "good": 1}
    assert sum(found["defects"].values()) == 18  # one a cell of a 6 x 3 grid
    table = pd.read_parquet(found["corpus"])
    assert (table["pixel_size_um"] == 34.0).all()
    for row in table.itertuples():
        assert (tmp_path / "p" / str(row.path)).is_file()
        assert (tmp_path / "p" / str(row.mask)).is_file()
    assert any(Path(found["tiles"], "bad").iterdir())


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("membrane", "--novel", "3"),
        ("membrane", "--size-px", "96"),
        ("steel", "--tiles", "64"),
        ("steel", "--scale", "0.5"),
        ("membrane", "--scale", "0.01"),
        ("membrane", "--difficulty", "0"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(
    kind: str, option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["phantom", kind, "--n", "2", option, value, "--out", str(tmp_path / "never"), "--json"]
    assert run(cli, command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint"]
    assert not (tmp_path / "never").exists()

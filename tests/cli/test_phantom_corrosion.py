"""``sorby phantom corrosion`` as a script sees it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from sorby.cli import cli
from sorby.cli._frame import run


def test_coupons_come_as_a_corpus(tmp_path, capsys):
    options = ["--n", "4", "--size", "64", "--images", "1", "--frames", "2"]
    assert run(cli, ["phantom", "corrosion", *options, "--out", str(tmp_path / "p"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"316L": 6, "AZ31B": 6}
    assert sum(found["severities"].values()) == found["rows"] == 12
    table = pd.read_parquet(found["corpus"])
    assert {"severity", "temperature_k", "hours", "frame"} <= set(table.columns)
    assert (table["width"] == 64).all()
    assert table["pixel_size_um"].to_numpy() == pytest.approx(254.0 / 64)
    for row in table.itertuples():
        assert (tmp_path / "p" / str(row.path)).is_file()
        assert (tmp_path / "p" / str(row.mask)).is_file()
    measured = pd.read_csv(found["curves_truth"])
    assert len(measured) == 4
    for name in [*measured["polarisation"], *measured["impedance"]]:
        assert (tmp_path / "p" / "corrosion" / name).parent == Path(found["curves"])
        assert (tmp_path / "p" / "corrosion" / name).is_file()


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("corrosion", "--size", "small"),
        ("corrosion", "--size", "8"),
        ("corrosion", "--frames", "1"),
        ("corrosion", "--tiles", "64"),
        ("fracture", "--size", "450"),
        ("fracture", "--plates", "1"),
    ],
)
def test_sizes_of_other_kinds_are_refused_in_one_line(kind, option, value, tmp_path, capsys):
    assert run(cli, ["phantom", kind, "--n", "6", option, value, "--out", str(tmp_path / "never"), "--json"]) == 2
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "hint"]
    assert not (tmp_path / "never").exists()

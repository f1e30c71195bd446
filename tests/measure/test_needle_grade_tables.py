"""Grade tables of a house's own: what is taken, what is refused and how it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sorby.corpus.grade_files import read_grade_table
from sorby.corpus.grades import HOUSE_SCALE
from sorby.errors import InputError


def test_fields_left_out_keep_the_values_of_the_house_scale(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("mean_um: [20, 12, 7]\nname: works B\n")
    table = read_grade_table(tmp_path / "t.yaml")
    assert table.mean_um == (20.0, 12.0, 7.0)
    assert table.maximum_um == HOUSE_SCALE.maximum_um
    assert table.name == "works B"


def test_json_is_read_and_a_written_table_comes_back(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(HOUSE_SCALE.as_dict()))
    assert read_grade_table(tmp_path / "t.json") == HOUSE_SCALE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mean_um: [6, 10, 16]", "mean_um must fall"),
        ("mean_um: [16, 10]", "mean_um has 2 limits for 4 classes"),
        ("maximum_um: [42, twenty, 15]", "'twenty' is no number"),
        ("maximum_um: 42", "maximum_um must be a list"),
        ("mean_um: [16, .nan, 6]", "nan is no number"),
        ("subtype_factor: {M: 0}", "subtype_factor"),
        ("subtype_factor: [1.1]", "subtype_factor"),
        ("largest_share: 5", "largest_share must lie in 0..1"),
        ("coarse_area: -0.1", "coarse_area must lie in 0..1"),
        ("classes: [a, a, b, c]", "classes must be"),
        ("thresholds: [1]", "unknown field 'thresholds'"),
        ("name: 7", "name must be a text"),
        ("- 16\n- 10", "holds no fields"),
        ("mean_um: [16", "neither YAML nor JSON"),
    ],
)
def test_a_table_with_wrong_values_is_refused_in_one_line_that_names_file_and_field(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_grade_table(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_grade_table(tmp_path / "absent.yaml")

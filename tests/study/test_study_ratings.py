"""Ratings: forms there and back, rows that do not fit, second thoughts, gaps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from round_robins import designed, measures, rated
from sorby.errors import InputError
from sorby.study import Ratings, form_rows, rating_rows, read_ratings, write_form

DESIGN = designed(measures(8), raters=3, repeats=2)


def _fill(folder: Path, rater: str, code: str = "G7", **more: str) -> Path:
    rows = [{**row, "class": code[0], "code": code, **more} for row in form_rows(DESIGN, rater)]
    path = folder / f"{rater}.csv"
    write_form(path, rows)
    return path


def test_forms_are_named_after_their_rater_and_read_by_folder(tmp_path: Path) -> None:
    for rater, code in zip(DESIGN.raters, ("G7", "B8", "M9"), strict=True):
        _fill(tmp_path, rater, code)
    found = read_ratings([tmp_path], DESIGN)
    assert len(found.table) == 3 * 10
    assert found.quarantined == ()
    assert (found.matrix(DESIGN)[:, 1] == "B8").all()
    second = found.matrix(DESIGN, occasion=2)
    assert sum(value is not None for value in second[:, 0]) == 2


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.parquet"])
def test_a_saved_table_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    table = measures(8)
    given = rated(DESIGN, table)
    given.save(tmp_path / name)
    again = read_ratings([tmp_path / name], DESIGN)
    pd.testing.assert_frame_equal(again.table, given.table, check_dtype=False)


def test_what_a_spreadsheet_does_to_a_form_is_forgiven(tmp_path: Path) -> None:
    path = _fill(tmp_path, "R01", "M7")
    text = path.read_text("utf-8").replace(",M7,", ",7.0,").replace(",", ";")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert set(read_ratings([path], DESIGN).table["code"]) == {"M7"}


def test_a_bad_row_is_set_aside_with_its_place_and_the_others_count(tmp_path: Path) -> None:
    path = _fill(tmp_path, "R01")
    lines = path.read_text("utf-8").splitlines()
    lines[2] = lines[2].replace("G7", "B7", 1).replace(",G,", ",G,")
    lines[4] = lines[4].replace(lines[4].split(",")[1], "NONE")
    path.write_text("\n".join(lines), "utf-8")
    found = read_ratings([path], DESIGN)
    assert len(found.table) == 8
    assert [entry.file for entry in found.quarantined] == ["R01.csv: line 3", "R01.csv: line 5"]
    assert "lies outside the range of class G" in found.quarantined[0].reason
    assert "'NONE' is not part of study" in found.quarantined[1].reason


def test_the_later_of_two_answers_counts_and_is_told() -> None:
    code = DESIGN.orders["R01"][0]
    rows = [
        {"rater": "R01", "image": code, "class": "G", "code": "G8", "at": "2026-01-05T10:00:00Z"},
        {"rater": "R01", "image": code, "class": "G", "code": "G7", "at": "2026-01-05T09:00:00Z"},
    ]
    found = rating_rows(DESIGN, rows)
    assert found.table["code"].tolist() == ["G8"]
    assert "given again" in found.warnings[0]
    assert rating_rows(DESIGN, [rows[1], rows[0]]).table["code"].tolist() == ["G8"]


def test_an_empty_line_is_a_gap_and_an_image_that_cannot_be_rated_is_an_answer() -> None:
    first, second = DESIGN.orders["R01"][:2]
    found = rating_rows(
        DESIGN,
        [{"rater": "R01", "image": first}, {"rater": "R01", "image": second, "flags": "cannot_rate over_etched"}],
    )
    assert len(found.table) == 1
    assert found.table["flags"].tolist() == ["cannot_rate|over_etched"]
    assert all(value is None for value in found.matrix(DESIGN).ravel())


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"rater": "nobody", "image": "XXXX", "code": "G7"}, "takes no part"),
        ({"rater": "R01", "item": "I99", "code": "G7"}, "'I99'"),
        ({"rater": "R01", "item": "I01", "occasion": "3", "code": "G7"}, "occasion"),
        ({"rater": "R01", "item": "I01", "code": "G7", "seconds": "-1"}, "seconds"),
        ({"rater": "R01", "item": "I01", "code": "G7", "seconds": "soon"}, "seconds"),
    ],
)
def test_rows_of_strangers_are_set_aside(row: dict[str, str], says: str) -> None:
    assert says in rating_rows(DESIGN, [row]).quarantined[0].reason


def test_profiles_group_raters_and_name_the_simulated(tmp_path: Path) -> None:
    path = tmp_path / "raters.csv"
    path.write_text("rater,frequency,simulated\nR01,daily,\nR02,weekly,yes\nR03,daily,no\n", "utf-8")
    found = read_ratings([_fill(tmp_path / "forms", "R01")], DESIGN, path)
    assert found.groups() == {"daily": ("R01", "R03"), "weekly": ("R02",)}
    assert found.simulated == ("R02",)
    path.write_text("rater,frequency\nR01,often\n", "utf-8")
    with pytest.raises(InputError, match="'often'"):
        read_ratings([tmp_path / "forms"], DESIGN, path)


@pytest.mark.parametrize(("text", "says"), [("a,b\n1,2\n", "no form"), (b"\xff\xfe", "UTF-8")])
def test_a_file_that_is_no_form_is_refused(text: str | bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "R01.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=says):
        read_ratings([path], DESIGN)
    with pytest.raises(InputError, match="no such file"):
        read_ratings([tmp_path / "gone.csv"], DESIGN)
    with pytest.raises(InputError, match="no ratings"):
        read_ratings([], DESIGN)


def test_no_profile_is_no_group() -> None:
    assert Ratings(pd.DataFrame()).groups() == {}

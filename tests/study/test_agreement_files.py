"""Tables of ratings: published coefficients from files as people save them, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorby.errors import InputError
from sorby.study import agreement_of, read_rating_file

# Gwet (2014), table 2.10.
GWET = """unit,rater1,rater2,rater3,rater4
1,1,1,,1
2,2,2,3,2
3,3,3,3,3
4,3,3,3,3
5,2,2,2,2
6,1,2,3,4
7,4,4,4,4
8,1,1,2,1
9,2,2,2,2
10,,5,5,5
11,,,1,1
12,,,3,
"""
PUBLISHED = {
    "fleiss_kappa": 0.76117,
    "gwet_ac1": 0.77544,
    "krippendorff_alpha": 0.74342,
    "conger_kappa": 0.76282,
    "brennan_prediger": 0.77273,
}


def _write(folder: Path, text: str | bytes) -> Path:
    path = folder / "ratings.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _coefficients(path: Path, **options: object) -> dict[str, float]:
    found = agreement_of(read_rating_file(path, **options))  # type: ignore[arg-type]
    return {name: found[name]["value"] for name in PUBLISHED}


def _same(found: dict[str, float]) -> bool:
    return all(found[name] == pytest.approx(value, abs=5e-6) for name, value in PUBLISHED.items())


def test_gwets_table_gives_his_coefficients(tmp_path: Path) -> None:
    assert _same(_coefficients(_write(tmp_path, GWET)))


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace(",,", ",NaN,") + "\n\n",
        lambda text: text.replace("unit,", "ID,"),
    ],
    ids=["semicolons", "tabs", "windows lines", "byte order mark", "NaN for gaps", "another name of the id"],
)
def test_how_a_spreadsheet_saves_it_does_not_matter(tmp_path: Path, saved: object) -> None:
    assert _same(_coefficients(_write(tmp_path, saved(GWET))))  # type: ignore[operator]


def test_decimals_that_a_gap_makes_of_whole_numbers_are_the_same_categories(tmp_path: Path) -> None:
    lines = [line.split(",") for line in GWET.splitlines()]
    text = "\n".join(",".join(f"{cell}.0" if k == 1 and cell.isdigit() else cell for k, cell in enumerate(line))
                     for line in lines)  # fmt: skip
    assert _same(_coefficients(_write(tmp_path, text)))


def test_names_of_categories_are_only_names(tmp_path: Path) -> None:
    head, *rows = GWET.splitlines()
    renamed = "\n".join([head, *(",".join([row.split(",")[0], *(cell and f"G{cell}" for cell in row.split(",")[1:])])
                                 for row in rows)])  # fmt: skip
    assert _same(_coefficients(_write(tmp_path, renamed)))


def test_an_id_column_may_have_any_name_and_without_a_header_a_number(tmp_path: Path) -> None:
    assert _same(_coefficients(_write(tmp_path, GWET.replace("unit", "specimen")), id_column="specimen"))
    bare = "\n".join(GWET.splitlines()[1:])
    assert _same(_coefficients(_write(tmp_path, bare), id_column="1", header=False))


def test_an_order_brings_the_coefficients_that_need_one(tmp_path: Path) -> None:
    file = read_rating_file(_write(tmp_path, GWET))
    found = agreement_of(file, ["1", "2", "3", "4", "5"])
    # Most disagreements of this table are between neighbours, and AC2 counts near misses for something.
    assert found["gwet_ac2"]["value"] > found["gwet_ac1"]["value"]
    assert 0 < found["kendall_w"]["value"] <= 1
    assert found["categories"] == ["1", "2", "3", "4", "5"]
    assert agreement_of(file)["gaps"] == 7
    assert "gwet_ac2" not in agreement_of(file)


def test_none_in_small_letters_is_a_finding_and_not_a_gap(tmp_path: Path) -> None:
    file = read_rating_file(_write(tmp_path, "item,a,b\n1,none,none\n2,pore,none\n3,pore,pore\n"))
    assert file.categories == ["none", "pore"]
    assert agreement_of(file)["gaps"] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("item,a,b\n", "no row of ratings"),
        ("item,a\n1,2\n", "1 rater"),
        ("item,a,b\n1,2,3\n2,3\n", "line 3 has 2 cells"),
        ("item,a,a\n1,2,3\n", "rater 'a' stands there twice"),
        ("item,a,b\n1,2,3\n1,2,2\n", "item '1' stands there twice"),
        ("item,a,b\n1,,3\n2,2,\n", "no item has two ratings"),
        ("item,a,b\n1,,\n2,,\n", "no rating"),
        (b"\xff\xfe\x00\x01", "UTF-8"),
        (b"PK\x03\x04\x00\x00", "not a text file"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        agreement_of(read_rating_file(_write(tmp_path, text)))
    assert "\n" not in error.value.message


def test_an_order_that_lacks_a_category_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown codes: 5"):
        agreement_of(read_rating_file(_write(tmp_path, GWET)), ["1", "2", "3", "4"])


@pytest.mark.realdata
def test_published_tables_to_four_digits(real_data: Path) -> None:
    assert _same(_coefficients(real_data / "raters" / "gwet_4raters.csv"))
    found = agreement_of(read_rating_file(real_data / "raters" / "diagnoses.csv", header=False))
    assert found["fleiss_kappa"]["value"] == pytest.approx(0.43024, abs=5e-6)
    assert (found["items"], found["raters"]) == (30, 6)

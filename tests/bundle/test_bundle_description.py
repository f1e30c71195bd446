from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from sorby.bundle import Description, json_schema, open_bundle, write
from sorby.bundle.description import decode
from sorby.errors import BundleError, InputError


def test_the_schema_is_a_valid_schema_and_accepts_what_is_written(description: Description) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(description.encode()), schema)
    json.dumps(schema, allow_nan=False)


def test_the_description_survives_its_own_encoding(description: Description) -> None:
    assert decode(description.encode()) == description


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("kind", "Not A Kind", "kind"),
        ("kind", "os; import", "kind"),
        ("name", "", "name"),
        ("name", "two\nlines", "name"),
        ("name", "\x1b[31mred", "name"),
        ("created", "yesterday", "created"),
        ("created", "2026-11-21T09:00:00", "created"),
        ("classes", ["a", "a"], "classes"),
        ("classes", ["a", 7], "classes"),
        ("classes", "ab", "classes"),
        ("classes", ["a\x00b"], "classes"),
        ("licence", "", "licence"),
        ("licence", None, "licence"),
        ("training_data", {"fingerprint": "xyz", "n": 3}, "training_data"),
        ("training_data", {"fingerprint": "0" * 64, "n": -1}, "training_data"),
        ("training_data", {"fingerprint": "0" * 64, "n": 2.5}, "training_data"),
        ("metrics", [0.9], "metrics"),
        ("versions", {"sorby": 1}, "versions"),
        ("limits", [1], "limits"),
        ("unknown", 1, "unknown"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, named: str, description: Description) -> None:
    stated = {**json.loads(description.encode()), field: value}
    with pytest.raises(BundleError, match=named) as caught:
        decode(json.dumps(stated).encode())
    assert "\n" not in caught.value.message
    assert caught.value.message.isprintable()
    with pytest.raises(ValidationError):
        Description.model_validate(stated, strict=True)


@pytest.mark.parametrize("field", ["kind", "name", "licence"])
def test_a_missing_field_is_named(field: str, description: Description) -> None:
    stated = json.loads(description.encode())
    del stated[field]
    with pytest.raises(BundleError, match=field):
        decode(json.dumps(stated).encode())


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_refused_before_anything_is_written(
    number: float, description: Description, tmp_path: Path
) -> None:
    made = description.model_copy(update={"metrics": {"accuracy": number}})
    with pytest.raises(InputError, match="needle grades"):
        write(tmp_path / "b.sorby", made)
    assert list(tmp_path.glob("*b.sorby*")) == []


def test_what_could_not_be_read_back_is_not_written(description: Description, tmp_path: Path) -> None:
    made = description.model_copy(update={"classes": ["a", "a"]})  # model_copy checks nothing
    with pytest.raises(InputError, match="classes"):
        write(tmp_path / "b", made)


def test_further_facts_about_the_training_data_are_kept(description: Description, tmp_path: Path) -> None:
    stated = json.loads(description.encode())
    stated["training_data"]["plants"] = ["A", "B"]
    write(tmp_path / "b", Description.model_validate(stated))
    read = open_bundle(tmp_path / "b").description.training_data
    assert read is not None
    assert read.model_dump()["plants"] == ["A", "B"]

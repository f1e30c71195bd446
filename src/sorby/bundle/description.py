"""bundle.json: what a bundle says about itself, in a form that any language can check."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from sorby import provenance
from sorby.bundle import canonical
from sorby.bundle.members import DESCRIPTION
from sorby.errors import BundleError, InputError

FORMAT_VERSION = 1
"""The newest bundle format this sorby writes and reads."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


Line = Annotated[
    str,
    Field(max_length=2000),
    AfterValidator(_one_line),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": _PLAIN_LINE}),
]
Name = Annotated[
    str,
    Field(min_length=1, max_length=200),
    AfterValidator(_one_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200, "pattern": _PLAIN_LINE}),
]
Section = dict[str, JsonValue]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class TrainingData(BaseModel):
    """Which images the model was made from; further fields are kept.

    Attributes
    ----------
    fingerprint : str
        SHA-256 over the sorted content hashes and labels of the corpus, 64 hexadecimal digits.
    n : int
        Number of images.
    n_specimens : int or None
        Number of physical specimens; None = not known.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    n: Annotated[int, Field(ge=0)]
    n_specimens: Annotated[int, Field(ge=0)] | None = None


class Description(BaseModel):
    """Everything a bundle states about its model; the format itself knows no task.

    Attributes
    ----------
    format_version : int
        Version of the bundle format, not of sorby.
    kind : str
        The task, by which a loader is found: ``classifier``, ``anomaly`` ...
    name : str
        The model's name, one line.
    created : str
        Time of making, ISO 8601 with its offset from UTC.
    classes : list of str
        Labels in the order of the model's outputs; empty where the task has none.
    preprocessing : dict
        How pixels become the model's input.
    model : dict
        The task's own section.
    calibration, conformal, novelty : dict
        Their scalar parameters; arrays go into ``calibration.safetensors``.
    training_data : TrainingData or None
        Fingerprint and size of the training corpus; None = the model was not trained on images.
    metrics : dict
        Measured quality; each entry is best given as ``{"value", "ci95", "n", "method"}``.
    versions : dict of str to str
        sorby, Python and the packages that shaped the model.
    licence : str
        SPDX identifier or one line.
    provenance : dict
        Seed, git state, platform.
    limits : list of str
        What the model must not be used for, and what it was never shown.
    notes : list of str
        Anything else the reader must know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="sorby bundle description")

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    name: Name
    created: Name = Field(default_factory=_now)
    classes: list[Name] = []
    preprocessing: Section = {}
    model: Section = {}
    calibration: Section = {}
    conformal: Section = {}
    novelty: Section = {}
    training_data: TrainingData | None = None
    metrics: Section = {}
    versions: dict[str, Line] = Field(default_factory=provenance.versions)
    licence: Name
    provenance: Section = {}
    limits: list[Line] = []
    notes: list[Line] = []

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) != len(classes):
            raise ValueError("a class is named twice")
        return classes

    @field_validator("created")
    @classmethod
    def _dated(cls, created: str) -> str:
        if datetime.fromisoformat(created).tzinfo is None:
            raise ValueError("must be an ISO 8601 time with its offset from UTC")
        return created

    def encode(self) -> bytes:
        """Return ``bundle.json``.

        Raises
        ------
        InputError
            A number is NaN or infinite, text is not Unicode, or it would not be read back.
        """
        try:
            data = canonical.encode(self.model_dump(mode="json"))
        except ValueError as error:
            raise InputError(
                f"bundle description '{canonical.printable(self.name)}': {canonical.printable(str(error))}",
                "give null for a number that does not exist",
            ) from error
        try:
            decode(data)
        except BundleError as error:
            raise InputError(error.message, "mend the description") from error
        return data


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``bundle.json``."""
    schema = Description.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def decode(data: bytes) -> Description:
    """Read ``bundle.json``, checked against `json_schema` and the rules a schema cannot state.

    Raises
    ------
    BundleError
        Not JSON, from a newer format, or not a description; the message names the field.
    """
    value = canonical.decode(data, DESCRIPTION)
    refuse_newer(value)
    from jsonschema import Draft202012Validator  # slow to import, and only needed here
    from jsonschema.exceptions import best_match

    fault = best_match(Draft202012Validator(json_schema()).iter_errors(value))
    if fault is not None:
        where = ".".join(str(part) for part in fault.absolute_path) or "the whole"
        raise BundleError(f"{DESCRIPTION}: {_short(where)}: {_short(fault.message)}")
    try:
        return Description.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BundleError(f"{DESCRIPTION}: {_short(where)}: {_short(first['msg'])}") from error


def refuse_newer(value: object) -> None:
    """Raise BundleError when *value*, a parsed JSON object, states a format newer than ours."""
    version = value.get("format_version") if isinstance(value, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise BundleError(
            f"bundle format {version} is newer than this sorby reads (format {FORMAT_VERSION})",
            "update sorby",
        )


def _short(text: str) -> str:
    return canonical.printable(text[:160])

"""Grade tables of a house's own, from a YAML or JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from sorby.corpus.grades import GradeTable
from sorby.errors import InputError

_HINT = "fields: classes, mean_um, maximum_um, subtype_factor, largest_share, coarse_area, name"


def read_grade_table(path: Path | str) -> GradeTable:
    """Read a grade table; fields left out keep the house scale's values.

    Parameters
    ----------
    path : Path or str
        A YAML file; JSON is YAML too.

    Returns
    -------
    GradeTable

    Raises
    ------
    InputError
        The file cannot be read, has unknown fields, or its values make no scale; the message names the field.
    """
    path = Path(path)
    try:
        stated = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error.__class__.__name__})", "check the path") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: neither YAML nor JSON ({' '.join(str(error).split())[:120]})", _HINT) from error
    if not isinstance(stated, dict):
        raise InputError(f"{path}: holds no fields", _HINT)
    unknown = sorted(str(name) for name in set(stated) - {field.name for field in fields(GradeTable)})
    if unknown:
        raise InputError(f"{path}: unknown field {unknown[0]!r}", _HINT)
    try:
        return GradeTable(**{name: _value(name, value) for name, value in stated.items()})
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint or _HINT) from error


def _value(name: str, value: Any) -> Any:
    """Return a field's value in the type that the table holds."""
    if name == "name":
        if not isinstance(value, str) or not value.strip():
            raise InputError("name must be a text")
        return value
    if name == "classes":
        if not isinstance(value, list) or len(value) < 2 or len(set(map(str, value))) < len(value):
            raise InputError("classes must be a list of at least two different names")
        return tuple(str(entry) for entry in value)
    if name in ("mean_um", "maximum_um"):
        if not isinstance(value, list):
            raise InputError(f"{name} must be a list of lengths in micrometres")
        return tuple(_number(name, entry) for entry in value)
    if name == "subtype_factor":
        if not isinstance(value, Mapping) or not all(_number(name, factor) > 0 for factor in value.values()):
            raise InputError("subtype_factor must name a factor above 0 for each subtype")
        return {str(subtype): _number(name, factor) for subtype, factor in value.items()}
    share = _number(name, value)
    if not 0 < share <= 1:
        raise InputError(f"{name} must lie in 0..1")
    return share


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise InputError(f"{name}: {value!r} is no number")
    return float(value)

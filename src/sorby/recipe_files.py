"""Reading a recipe: a YAML file checked by a model, single fields overridden, errors that name the field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from sorby.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def recipe_folder(kind: str = "") -> Path:
    """Return the folder of recipes that come with sorby, installed or in a checkout; *kind* names a sub-folder."""
    installed = Path(str(resources.files("sorby"))) / "recipes"
    home = installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "recipes"
    return home / kind if kind else home


def recipe_names(folder: Path) -> list[str]:
    """Name the recipes of a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_recipe(
    model: type[Model], folder: Path, name_or_file: str | Path | None, settings: Mapping[str, Any] | None = None
) -> Model:
    """Read a recipe by name or file and override single fields.

    Parameters
    ----------
    model : type of pydantic model
        What the recipe must be.
    folder : Path
        Where recipes are found by name.
    name_or_file : str or Path, optional
        A name, or a YAML file; the model's defaults where absent.
    settings : mapping, optional
        ``{"section.field": value}``; texts are read as YAML.

    Raises
    ------
    InputError
        No such recipe, not YAML, or a field that is unknown or out of range; the line names it.
    """
    content: Any = {}
    origin = "recipe"
    if name_or_file is not None:
        path = Path(name_or_file)
        if path.suffix not in (".yaml", ".yml"):
            path = folder / f"{name_or_file}.yaml"
        if not path.is_file():
            names = ", ".join(recipe_names(folder))
            raise InputError(f"no recipe {name_or_file}", f"a .yaml file or one of: {names}")
        origin = path.name
        try:
            content = yaml.safe_load(path.read_text("utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})", "mend the file") from error
    if not isinstance(content, dict):
        raise InputError(f"{origin}: a recipe is a mapping of sections", f"sections: {', '.join(model.model_fields)}")
    for key, value in (settings or {}).items():
        _override(content, key, _value(key, value) if isinstance(value, str) else value)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        what = "no such field" if first["type"] == "extra_forbidden" else first["msg"]
        hint = _missing if first["type"] == "missing" else _allowed
        raise InputError(f"{origin}: {where}: {what}", hint(model, first["loc"])) from error


def dump_recipe(recipe: BaseModel) -> str:
    """Return a recipe as YAML, every field written out."""
    return str(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        hint = "numbers, words or lists such as '[.64, .16, .2]'"
        raise InputError(f"--set {key}={text}: not a value", hint) from None


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, field = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise InputError(f"--set {key}: {section} is not a section", "e.g. --set head.folds=3")
    content[field] = value


def _missing(model: Any, location: tuple[int | str, ...]) -> str:
    """Say which section or field is to be added, and what a section holds."""
    *above, name = location
    where = ".".join(str(part) for part in above)
    fields = getattr(_annotation(model, location), "model_fields", None)
    inside = f" in {where}" if where else ""
    return f"add field {name}{inside}" if fields is None else f"add section {name}{inside}, fields: {', '.join(fields)}"


def _annotation(model: Any, location: tuple[int | str, ...]) -> Any:
    """Return the type of the field at *location*, of lists that of their items."""
    for part in location:
        if isinstance(part, int):
            model = next(iter(get_args(model)), None)
        else:
            fields = getattr(model, "model_fields", None) or {}
            model = fields[part].annotation if part in fields else None
    return model


def _allowed(model: Any, location: tuple[int | str, ...]) -> str:
    """Say what a field may hold, or which fields there are."""
    for part in location:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            break
        if part not in fields:
            near = difflib.get_close_matches(str(part), fields, n=1)
            return (f"did you mean {near[0]}? " if near else "") + f"fields: {', '.join(fields)}"
        model = fields[part].annotation
    if fields := getattr(model, "model_fields", None):
        return f"a section with fields: {', '.join(fields)}"
    choices = get_args(model) if get_origin(model) is Literal else ()
    return f"allowed: {', '.join(map(str, choices))}" if choices else "choose a value in that range"

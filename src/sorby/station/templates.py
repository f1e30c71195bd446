"""Templates: schemes of rating and vocabularies of cues that studies share, locked so that these stay comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station.accounts import confirm
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound
from sorby.station.permissions import Actor, Permission
from sorby.study import Scheme, read_scheme, scheme_names

KINDS = ("round-robin", "consensus")


@dataclass(frozen=True)
class TemplateFacts:
    """A template.

    Attributes
    ----------
    name : str
    kind : str
        ``round-robin`` (a scheme) or ``consensus`` (a vocabulary of cues).
    content : dict
    locked_by, locked_at : str or None
        A locked one does not change any more; a new name is a new version.
    shipped : bool
        Whether it comes with sorby.
    """

    name: str
    kind: str
    content: dict[str, Any]
    locked_by: str | None = None
    locked_at: str | None = None
    shipped: bool = False


def list_templates(desk: Desk, actor: Actor) -> list[TemplateFacts]:
    """Return the station's templates by name, then the schemes that come with sorby."""
    with desk.looking(actor, Permission.LOOK) as session:
        own = [_facts(row) for row in session.scalars(select(tables.Template).order_by(tables.Template.name))]
    taken = {template.name for template in own}
    return own + [_shipped(name) for name in scheme_names() if name not in taken]


def save_template(desk: Desk, actor: Actor, name: str, kind: str, content: dict[str, Any]) -> TemplateFacts:
    """Make a template or change one that is not locked.

    Raises
    ------
    InputError
        The content is no scheme; the line names the field.
    Conflict
        It is locked, or the name belongs to another kind.
    """
    content = checked_content(kind, content)
    with desk.acting(actor, Permission.ORGANISE) as act:
        row = act.session.get(tables.Template, name)
        if row is not None and (row.locked_by is not None or row.kind != kind):
            raise Conflict(
                f"the template {name} is {'locked' if row.locked_by else f'a {row.kind}'}", "save it under another name"
            )
        old = None if row is None else row.content
        if row is None:
            row = tables.Template(name=name, kind=kind, content=content, locked_by=None, locked_at=None)
            act.session.add(row)
        row.content = content
        if old != content:
            act.record("template.save", f"template/{name}", old=old, new=content)
        return _facts(row)


def lock_template(desk: Desk, actor: Actor, name: str, password: str) -> TemplateFacts:
    """Lock a template for good, signed with the password as approved.

    Raises
    ------
    NotFound
    Conflict
        It is locked already.
    Refused
        The password is wrong.
    """
    meaning = confirm(desk, actor, password, "approved")
    with desk.acting(actor, Permission.LOCK) as act:
        row = act.session.get(tables.Template, name)
        if row is None:
            raise NotFound(f"no template {name}", "save it first")
        if row.locked_by is not None:
            raise Conflict(f"{row.locked_by} locked it at {row.locked_at}", "it is as locked as it can be")
        row.locked_by, row.locked_at = actor.name, act.at
        act.record("template.lock", f"template/{name}", new=row.content, meaning=meaning)
        return _facts(row)


def scheme_named(desk: Desk, actor: Actor, name: str) -> Scheme:
    """Return the scheme of a template, or one that comes with sorby.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        row = session.get(tables.Template, name)
    if row is not None and row.kind == "round-robin":
        return Scheme.model_validate(row.content)
    if name in scheme_names():
        return read_scheme(name)
    raise NotFound(f"no scheme {name}", f"for example {', '.join(scheme_names())}")


def checked_content(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a template in full.

    Raises
    ------
    InputError
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of template", f"one of {', '.join(KINDS)}")
    if kind == "consensus":
        return _checked_cues(content)
    try:
        scheme: dict[str, Any] = Scheme.model_validate(content).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"the scheme: {place or 'it'}: {first['msg']}", "look at a scheme that comes with sorby"
        ) from error
    return scheme


def _checked_cues(content: dict[str, Any]) -> dict[str, Any]:
    cues = content.get("cues")
    if (
        set(content) != {"cues"}
        or not isinstance(cues, list)
        or not 1 <= len(cues) <= 100
        or not all(isinstance(cue, str) and 0 < len(cue) <= 60 for cue in cues)
        or len(set(cues)) != len(cues)
    ):
        raise InputError('a consensus template is {"cues": [...]}, words of 1 to 60 characters, each once')
    return {"cues": list(cues)}


def _shipped(name: str) -> TemplateFacts:
    return TemplateFacts(name, "round-robin", read_scheme(name).model_dump(mode="json"), shipped=True)


def _facts(row: tables.Template) -> TemplateFacts:
    return TemplateFacts(row.name, row.kind, dict(row.content), row.locked_by, row.locked_at)

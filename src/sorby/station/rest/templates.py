"""Routes: templates of rating and of consensus."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from sorby.station import templates
from sorby.station.permissions import Actor, Permission
from sorby.station.rest.frame import Needs, Plain, Secret, TheDesk
from sorby.station.rest.problems import ANSWERS
from sorby.station.templates import TemplateFacts

router = APIRouter(prefix="/templates", tags=["studies"], responses=ANSWERS)
TemplateName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$")]


class TemplateContent(BaseModel):
    """A scheme of rating, or ``{"cues": [...]}``."""

    kind: Literal["round-robin", "consensus"]
    content: Plain


class Password(BaseModel):
    """The password again: it signs."""

    password: Secret


@router.get("")
def list_templates(desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.LOOK))]) -> list[TemplateFacts]:
    """List templates, those that come with sorby too."""
    return templates.list_templates(desk, actor)


@router.put("/{name}")
def save_template(
    desk: TheDesk,
    actor: Annotated[Actor, Depends(Needs(Permission.ORGANISE))],
    name: TemplateName,
    template: TemplateContent,
) -> TemplateFacts:
    """Make a template, or change one that is not locked."""
    return templates.save_template(desk, actor, name, template.kind, template.content)


@router.post("/{name}/lock")
def lock_template(
    desk: TheDesk, actor: Annotated[Actor, Depends(Needs(Permission.LOCK))], name: TemplateName, signed: Password
) -> TemplateFacts:
    """Lock a template for good, signed."""
    return templates.lock_template(desk, actor, name, signed.password)

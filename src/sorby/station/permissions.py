"""Who may do what: five roles of people who sign in, and raters, who came by a link."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is at this station."""

    OPERATOR = "operator"
    REVIEWER = "reviewer"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What an action needs."""

    LOOK = "look"  # images, verdicts, the queue, charts, own jobs
    INSPECT = "inspect"  # add images, start inspections, watch folders
    ANNOTATE = "annotate"
    REVIEW = "review"  # decide on inspections and synthetic images, issue certificates
    RETRAIN = "retrain"
    ORGANISE = "organise"  # round robins and consensus sessions
    TAKE_PART = "take-part"  # as an expert of a consensus session
    PROMOTE = "promote"  # make a candidate bundle the current one
    LOCK = "lock"  # templates
    READ_RECORD = "read-record"
    MANAGE_ACCOUNTS = "manage-accounts"
    MANAGE_STATION = "manage-station"  # settings, bundles, anchors


_OPERATOR = {Permission.LOOK, Permission.INSPECT, Permission.ANNOTATE}
_REVIEWER = _OPERATOR | {Permission.REVIEW, Permission.RETRAIN, Permission.TAKE_PART}
_SUPERVISOR = _REVIEWER | {Permission.ORGANISE, Permission.PROMOTE, Permission.LOCK, Permission.READ_RECORD}

GRANTED: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(_OPERATOR),
    Role.REVIEWER: frozenset(_REVIEWER),
    Role.SUPERVISOR: frozenset(_SUPERVISOR),
    # Who keeps the accounts decides nothing about materials, so that nobody can give themselves a verdict.
    Role.ADMINISTRATOR: frozenset(
        {Permission.LOOK, Permission.READ_RECORD, Permission.MANAGE_ACCOUNTS, Permission.MANAGE_STATION}
    ),
    Role.AUDITOR: frozenset({Permission.LOOK, Permission.READ_RECORD}),
}


@dataclass(frozen=True)
class Actor:
    """Who acts, as the record names them.

    Attributes
    ----------
    id : str
        Of the user or rater.
    name : str
    role : str
        One of `Role`, ``rater``, or ``station`` for what the station does by itself.
    permissions : frozenset of Permission
        Of the role, cut down to a token's scopes where a program acts.
    study : str or None
        The one study that a rater may see.
    token : str or None
        Name of the token, where a program acts for somebody; programs never sign.
    must_change : bool
        Whether the password must be changed before anything else; there are no permissions until then.
    """

    id: str
    name: str
    role: str
    permissions: frozenset[Permission]
    study: str | None = None
    token: str | None = None
    must_change: bool = False

    @property
    def recorded_name(self) -> str:
        """The name as entries of the record have it: a program is told from the person it acts for."""
        return self.name if self.token is None else f"{self.name} by token {self.token}"


STATION = Actor("station", "station", "station", frozenset(Permission))
"""The station itself: what workers do for somebody is recorded under this name, with the job."""

NOBODY = Actor("nobody", "nobody", "visitor", frozenset())
"""Somebody at the door: refused sign-ins are recorded under this name."""

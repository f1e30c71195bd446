"""A rater's side of a round robin: who came by a link sees their own order, blind, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound, SignedOut
from sorby.station.permissions import Actor
from sorby.station.rounds import KIND, design_of
from sorby.station.sessions import digest_of
from sorby.station.wording import one_line, plain_text
from sorby.study import FREQUENCIES, Answer, Design

_LONGEST_S = 24 * 3600.0
_FIELDS = {"class", "code", "criterion", "region", "flags", "comment"}
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class Place:
    """One place in a rater's order.

    Attributes
    ----------
    place : int
        From 1.
    code : str
        Blind code.
    width_um : float or None
        Of what is shown, for a scale bar.
    answer : dict or None
        As it was saved last.
    """

    place: int
    code: str
    pixel_size_um: float | None
    answer: dict[str, Any] | None


@dataclass(frozen=True)
class Welcome:
    """What a rater sees first.

    Attributes
    ----------
    study, rater : str
    state : str
    scheme : dict
        Question, classes, their codes, criteria, regions, flags.
    profile : dict
        Empty until the rater has told.
    places, done : int
    next : int or None
        First place without an answer.
    """

    study: str
    rater: str
    state: str
    scheme: dict[str, Any]
    profile: dict[str, Any]
    places: int
    done: int
    next: int | None


@dataclass(frozen=True)
class Saved:
    """An answer that is on disk and on the record."""

    place: int
    at: str
    changed: bool
    done: int
    next: int | None


@dataclass(frozen=True)
class _Seated:
    """A rater at their place, within a session."""

    study: tables.Study
    rater: tables.Rater
    design: Design

    @property
    def actor(self) -> Actor:
        return Actor(self.rater.id, self.rater.name, "rater", frozenset(), study=self.study.id)


def welcome(desk: Desk, secret: str) -> Welcome:
    """Return what a rater sees first.

    Raises
    ------
    SignedOut
        The link does not hold.
    """
    with desk.database.read() as session:
        seated = _seated(desk, session, secret)
        done = _answered(session, seated)
        places = len(seated.design.order_of(seated.rater.name))
        scheme = seated.design.scheme.model_dump(mode="json", exclude={"reduced", "left_out", "reject"})
        return Welcome(
            seated.study.name, seated.rater.name, seated.study.state, scheme, dict(seated.rater.profile), places,
            len(done), _next(done, places),
        )  # fmt: skip


def save_profile(desk: Desk, secret: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a rater tells of themselves: years of experience, how often they rate, site.

    Raises
    ------
    SignedOut
    InputError
        Another field, or a value that it cannot have.
    """
    told = _checked_profile(profile)
    with desk.database.read() as session:
        actor = _seated(desk, session, secret).actor
    with desk.acting(actor) as act:
        seated = _seated(desk, act.session, secret)
        old = dict(seated.rater.profile)
        if told != old:
            seated.rater.profile = told
            seated.rater.joined_at = seated.rater.joined_at or act.at
            act.record("rating.profile", f"study/{seated.study.id}/rater/{seated.rater.id}", old=old, new=told)
    return told


def look(desk: Desk, secret: str, place: int) -> Place:
    """Return one place of the rater's order.

    Raises
    ------
    SignedOut
    NotFound
        The order has no such place.
    """
    with desk.database.read() as session:
        seated = _seated(desk, session, secret)
        showing = _showing(seated, place)
        item = seated.design.items[seated.design.place[showing.item]]
        given = session.get(tables.Rating, (seated.study.id, seated.rater.id, place))
        return Place(place, showing.code, item.pixel_size_um, None if given is None else dict(given.answer))


def picture(desk: Desk, secret: str, place: int) -> str:
    """Return the SHA-256 of the picture shown at a place.

    Raises
    ------
    SignedOut
    NotFound
    """
    with desk.database.read() as session:
        seated = _seated(desk, session, secret)
        if seated.study.state == "draft":
            raise Conflict("the study is not open yet", "come back when it is")
        item = seated.design.items[seated.design.place[_showing(seated, place).item]]
        return item.copy_sha256 or item.sha256


def save_rating(desk: Desk, secret: str, place: int, answer: Mapping[str, Any], seconds: float) -> Saved:
    """Keep an answer. The same answer again changes nothing, so that who did not hear may ask again.

    Parameters
    ----------
    desk : Desk
    secret : str
    place : int
        From 1.
    answer : mapping
        ``class``, ``code``, ``criterion``, ``region``, ``flags`` (a list), ``comment``.
    seconds : float
        How long the rater looked.

    Returns
    -------
    Saved
        When it returns, answer and entry are on disk.

    Raises
    ------
    SignedOut
    NotFound
    InputError
        The answer does not fit the scheme; the line says why.
    Conflict
        The study is not open.
    """
    with desk.database.read() as session:
        before = _seated(desk, session, secret)
        showing = _showing(before, place)
        told = _checked_answer(before.design, answer)
        actor = before.actor
    spent = min(max(float(seconds), 0.0), _LONGEST_S)
    with desk.acting(actor) as act:
        seated = _seated(desk, act.session, secret)
        if seated.study.state != "open":
            raise Conflict(f"the study is {seated.study.state}", "ask who organises it")
        key = (seated.study.id, seated.rater.id, place)
        given = act.session.get(tables.Rating, key)
        old = None if given is None else dict(given.answer)
        if given is None:
            given = tables.Rating(
                study_id=key[0], rater_id=key[1], place=place, item=showing.item, occasion=showing.occasion,
                answer=told, seconds=spent, at=act.at,
            )  # fmt: skip
            act.session.add(given)
        if old != told:
            given.answer, given.at, given.seconds = told, act.at, spent
            seated.rater.joined_at = seated.rater.joined_at or act.at
            act.record("rating.save", f"study/{key[0]}/rater/{key[1]}/place/{place}", old=old, new=told)
        done = _answered(act.session, seated)
        return Saved(
            place, given.at, old != told, len(done), _next(done, len(seated.design.order_of(seated.rater.name)))
        )


def _seated(desk: Desk, session: Session, secret: str) -> _Seated:
    """Return the rater of a link.

    Raises
    ------
    SignedOut
    """
    found = None
    if _SECRET.fullmatch(secret):
        found = session.execute(
            select(tables.Rater, tables.Study)
            .join(tables.Study, tables.Study.id == tables.Rater.study_id)
            .where(tables.Rater.digest == digest_of(secret), tables.Study.kind == KIND)
        ).first()
    if found is None:
        raise SignedOut("the link does not hold", "ask who sent it for a new one")
    rater, study = found
    return _Seated(study, rater, design_of(desk, study))


def _showing(seated: _Seated, place: int) -> Any:
    order = seated.design.order_of(seated.rater.name)
    if not 1 <= place <= len(order):
        raise NotFound(f"there is no place {place}", f"places are 1 to {len(order)}")
    return order[place - 1]


def _answered(session: Session, seated: _Seated) -> set[int]:
    query = select(tables.Rating.place).filter_by(study_id=seated.study.id, rater_id=seated.rater.id)
    return set(session.scalars(query))


def _next(done: set[int], places: int) -> int | None:
    return next((place for place in range(1, places + 1) if place not in done), None)


def _checked_answer(design: Design, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer in full that fits the scheme."""
    unknown = sorted(set(answer) - _FIELDS)
    if unknown:
        raise InputError(
            f"an answer has no {one_line(unknown[0], 40, 'field')!r}", f"it has {', '.join(sorted(_FIELDS))}"
        )
    text = {name: answer.get(name, "") for name in _FIELDS - {"flags"}}
    flags = answer.get("flags", [])
    if not all(isinstance(value, str) for value in text.values()) or not (
        isinstance(flags, list | tuple) and len(flags) <= 50 and all(isinstance(flag, str) for flag in flags)
    ):
        raise InputError("an answer is made of texts and a list of flags", "see the OpenAPI description")
    comment = plain_text(text["comment"], 20_000, "comment")
    given = Answer(text["class"], text["code"], text["criterion"], text["region"], tuple(flags), comment)
    checked = asdict(design.scheme.check(design.scheme.completed(given)))
    return {"class": checked.pop("class_name"), **checked, "flags": list(checked["flags"])}


def _checked_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(profile) - {"experience_years", "frequency", "site"})
    if unknown:
        raise InputError(f"a profile has no {one_line(unknown[0], 40, 'field')!r}", "experience_years, frequency, site")
    told: dict[str, Any] = {}
    years = profile.get("experience_years")
    if years is not None:
        if isinstance(years, bool) or not isinstance(years, int | float) or not 0 <= years <= 80:
            raise InputError("years of experience are a number from 0 to 80", "0 for a beginner")
        told["experience_years"] = float(years)
    if profile.get("frequency"):
        if profile["frequency"] not in FREQUENCIES:
            raise InputError("that is no frequency", f"one of {', '.join(FREQUENCIES)}")
        told["frequency"] = profile["frequency"]
    if profile.get("site"):
        told["site"] = one_line(str(profile["site"]), 120, "site")
    return told

"""Round robins: designed, opened, followed and evaluated by whoever organises them.

A design is fixed when the study is opened. What raters do with their links is in `sorby.station.rating`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sorby.errors import InputError
from sorby.station.blind import blind_copies
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound, new_id, now
from sorby.station.permissions import Actor, Permission
from sorby.station.sessions import digest_of
from sorby.station.templates import scheme_named
from sorby.study import (
    PROFILE_COLUMNS,
    Design,
    Item,
    ModelRatings,
    Ratings,
    draw_sample,
    plan,
    proportional_quotas,
    rating_rows,
    results,
)

KIND = "round-robin"
_MOST_ITEMS, _MOST_RATERS = 500, 200


@dataclass(frozen=True)
class StudyFacts:
    """A study as everybody may see it: nothing of what its images are.

    Attributes
    ----------
    id, kind, name : str
    state : str
        ``draft``, ``open`` or ``closed``.
    images, showings, raters, ratings, expected : int
    created_by, created_at : str
    """

    id: str
    kind: str
    name: str
    state: str
    images: int
    showings: int
    raters: int
    ratings: int
    expected: int
    created_by: str
    created_at: str


@dataclass(frozen=True)
class Seat:
    """A rater and how far they are.

    Attributes
    ----------
    id, name : str
    profile : dict
    invited_at : str
    joined_at : str or None
    done : int
    last_at : str or None
        Of the latest rating.
    """

    id: str
    name: str
    profile: dict[str, Any]
    invited_at: str
    joined_at: str | None
    done: int
    last_at: str | None


@dataclass(frozen=True)
class Invitation:
    """A link for one rater, told once; a new one ends the old one."""

    rater: str
    name: str
    url: str


@dataclass(frozen=True)
class Wanted:
    """An image proposed for a study.

    Attributes
    ----------
    sha256 : str
        In the store.
    label : str
        On record; empty where there is none.
    predicted : str
        What a model said; empty without one.
    """

    sha256: str
    label: str = ""
    predicted: str = ""


def plan_round(
    desk: Desk,
    actor: Actor,
    name: str,
    scheme: str,
    images: Sequence[Wanted],
    raters: Sequence[str],
    *,
    n: int | None = None,
    difficult_share: float | None = None,
    repeats: int = 0,
    seed: int = 0,
) -> StudyFacts:
    """Design a round robin from images of the station.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    name : str
    scheme : str
        Name of a template, or of a scheme that comes with sorby.
    images : sequence of Wanted
    raters : sequence of str
    n : int, optional
        Draw so many of them, classes as frequent as they are; all of them where None.
    difficult_share : float, optional
        Share of images that the model got wrong among those drawn.
    repeats : int
        Images shown twice.
    seed : int

    Raises
    ------
    InputError
        An image is not here, a label is no code of the scheme, or they are fewer than wanted.
    """
    chosen = scheme_named(desk, actor, scheme)
    if not 1 <= len(images) <= _MOST_ITEMS or not 1 <= len(raters) <= _MOST_RATERS:
        raise InputError(f"a study has 1 to {_MOST_ITEMS} images and 1 to {_MOST_RATERS} raters", "fewer or more")
    if len({image.sha256 for image in images}) < len(images):
        raise InputError("an image is named twice", "repeats are a number of their own")
    with desk.looking(actor, Permission.ORGANISE) as session:
        known = {image.sha256: _image(session, image.sha256) for image in images}
    facts: dict[str, Any] = {"chosen": "by hand"}
    warnings: tuple[str, ...] = ()
    if n is not None and n < len(images):
        classes = [chosen.class_of(image.label) or "" for image in images]
        predicted = all(image.predicted for image in images)
        wrong = [bool(chosen.steps(image.label, image.predicted) != 0) for image in images] if predicted else None
        drawn = draw_sample(
            [image.label for image in images], classes, proportional_quotas(classes, n), wrong=wrong, seed=seed,
            **({} if difficult_share is None else {"difficult_share": difficult_share}),
            specimens=[known[image.sha256].specimen or image.sha256 for image in images],
        )  # fmt: skip
        images = [images[row] for row in drawn.rows]
        facts = {"chosen": f"{n} drawn by class", "difficult": drawn.difficult}
        warnings = drawn.warnings
    items = [
        _item(number, image, known[image.sha256], chosen.class_of(image.label))
        for number, image in enumerate(images, 1)
    ]
    design = plan(
        name, chosen, items, list(raters), repeats=repeats, seed=seed, created=now(), facts=facts, warnings=warnings
    )
    return create_round(desk, actor, design.as_dict())


def create_round(desk: Desk, actor: Actor, design: Mapping[str, Any]) -> StudyFacts:
    """Keep a design, such as ``sorby study new`` writes; its images are in the store already.

    Raises
    ------
    InputError
        It is no design, or an image is not here.
    """
    made = Design.from_dict(design)
    if not 1 <= len(made.items) <= _MOST_ITEMS or not 1 <= len(made.raters) <= _MOST_RATERS:
        raise InputError(f"a study has 1 to {_MOST_ITEMS} images and 1 to {_MOST_RATERS} raters", "fewer or more")
    with desk.acting(actor, Permission.ORGANISE) as act:
        for item in made.items:
            _image(act.session, item.sha256)
        study = tables.Study(
            id=new_id(), kind=KIND, name=made.study, design=made.as_dict(), state="draft", created_by=actor.name,
            created_at=act.at,
        )  # fmt: skip
        act.session.add(study)
        act.record("study.create", f"study/{study.id}", new={"name": study.name}, evidence={"design": made.digest})
        act.session.flush()
        return _facts(act.session, study)


def invite(desk: Desk, actor: Actor, study_id: str, names: Sequence[str] | None = None) -> list[Invitation]:
    """Make links for raters of the design, for all where *names* is None; a link made again ends the one before.

    The link is the key: whoever has it rates under that name. It is told once, only its SHA-256 is kept.

    Raises
    ------
    NotFound
    InputError
        The design has no such rater.
    Conflict
        The study is closed.
    """
    with desk.acting(actor, Permission.ORGANISE) as act:
        study = find_study(act.session, study_id)
        if study.state == "closed":
            raise Conflict("the study is closed", "make a new one")
        design = Design.from_dict(study.design)
        made = []
        for name in design.raters if names is None else names:
            if name not in design.raters:
                raise InputError(f"the design has no rater {name!r}", f"it has {', '.join(design.raters[:8])}")
            made.append(_invited(desk, act.session, study, name, act.at))
        new = {"raters": [invitation.name for invitation in made]}
        act.record("study.invite", f"study/{study.id}", new=new)
        return made


def set_state(desk: Desk, actor: Actor, study_id: str, state: str) -> StudyFacts:
    """Open a draft, or close an open study; neither goes back.

    When a round robin is opened its images are copied for the raters, without what an instrument wrote on them.

    Raises
    ------
    NotFound
    Conflict
        That does not follow its state.
    """
    with desk.looking(actor, Permission.ORGANISE) as session:
        study = find_study(session, study_id, None)
        _refuse_step(study, state)
        design = Design.from_dict(study.design) if study.kind == KIND else None
    copied = None if design is None or state != "open" else design.with_copies(blind_copies(desk.store, design))
    with desk.acting(actor, Permission.ORGANISE) as act:
        study = find_study(act.session, study_id, None)
        _refuse_step(study, state)
        evidence = {}
        if copied is not None:
            study.design, evidence = copied.as_dict(), {"design": copied.digest}
        act.record(
            f"study.{state}", f"study/{study.id}", old={"state": study.state}, new={"state": state}, evidence=evidence
        )
        study.state = state
        act.session.flush()
        return _facts(act.session, study)


def list_studies(desk: Desk, actor: Actor, kind: str | None = None) -> list[StudyFacts]:
    """Return the studies, newest first."""
    query = select(tables.Study).order_by(tables.Study.created_at.desc())
    with desk.looking(actor, Permission.LOOK) as session:
        return [
            _facts(session, study) for study in session.scalars(query if kind is None else query.filter_by(kind=kind))
        ]


def get_study(desk: Desk, actor: Actor, study_id: str) -> StudyFacts:
    """Return what everybody may know of a study.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, Permission.LOOK) as session:
        return _facts(session, find_study(session, study_id, None))


def get_design(desk: Desk, actor: Actor, study_id: str) -> dict[str, Any]:
    """Return the design with its labels, which raters must not see.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, _seeing(actor)) as session:
        return dict(find_study(session, study_id, None).design)


def seats(desk: Desk, actor: Actor, study_id: str) -> list[Seat]:
    """Return the raters who were invited and how far they are, in the order of their names.

    Raises
    ------
    NotFound
    """
    with desk.looking(actor, _seeing(actor)) as session:
        study = find_study(session, study_id, None)
        done = {
            rater: (count, last)
            for rater, count, last in session.execute(
                select(tables.Rating.rater_id, func.count(), func.max(tables.Rating.at))
                .where(tables.Rating.study_id == study.id)
                .group_by(tables.Rating.rater_id)
            )
        }
        raters = session.scalars(select(tables.Rater).filter_by(study_id=study.id).order_by(tables.Rater.name))
        return [
            Seat(
                rater.id,
                rater.name,
                dict(rater.profile),
                rater.invited_at,
                rater.joined_at,
                *done.get(rater.id, (0, None)),
            )
            for rater in raters
        ]


def study_ratings(session: Session, study: tables.Study, design: Design) -> Ratings:
    """Return the ratings of a round robin as `sorby.study` takes them."""
    rows = session.execute(
        select(tables.Rating, tables.Rater.name)
        .join(tables.Rater, tables.Rater.id == tables.Rating.rater_id)
        .where(tables.Rating.study_id == study.id)
        .order_by(tables.Rater.name, tables.Rating.place)
    ).all()
    given = rating_rows(
        design,
        [
            {"rater": name, "item": one.item, "occasion": one.occasion, **one.answer,
             "flags": "|".join(one.answer.get("flags", ())), "seconds": one.seconds, "at": one.at}
            for one, name in rows
        ],
    )  # fmt: skip
    raters = session.scalars(select(tables.Rater).filter_by(study_id=study.id))
    told = [{"rater": rater.name, **rater.profile} for rater in raters]
    return replace(given, profiles=pd.DataFrame(told, columns=list(PROFILE_COLUMNS)))


def round_results(desk: Desk, actor: Actor, study_id: str) -> dict[str, Any]:
    """Return the results of a round robin so far; see `sorby.study.results`.

    Raises
    ------
    NotFound
    InputError
        Nobody has rated yet.
    """
    with desk.looking(actor, _seeing(actor)) as session:
        study = find_study(session, study_id)
        design = design_of(desk, study)
        found: dict[str, Any] = plain(results(design, study_ratings(session, study, design), _model(design)))
        return found


def _model(design: Design) -> ModelRatings | None:
    """Return what a model had said of the images when the study was designed, as one more appraiser."""
    verdicts = {item.name: item.predicted for item in design.items if item.predicted}
    chose = design.facts.get("difficult") is not None
    return ModelRatings("the model", verdicts, chose_the_images=chose) if verdicts else None


def find_study(session: Session, study_id: str, kind: str | None = KIND) -> tables.Study:
    """Return a study.

    Raises
    ------
    NotFound
        There is none, or it is of another kind.
    """
    study = session.get(tables.Study, study_id)
    if study is None or (kind is not None and study.kind != kind):
        raise NotFound("no such study", "look at the list of studies")
    return study


def design_of(desk: Desk, study: tables.Study) -> Design:
    """Return a study's design; of an open study it is fixed, and read once."""
    if study.state == "draft":
        return Design.from_dict(study.design)
    return _design(str(desk.database.url), study.id, _Once(study.design))


class _Once:
    """Carries a design past the cache's key, of which it is no part."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self.stored = stored

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=32)
def _design(_database: str, study_id: str, stored: _Once) -> Design:
    return Design.from_dict(stored.stored, f"study {study_id}")


def _refuse_step(study: tables.Study, state: str) -> None:
    if (study.state, state) not in (("draft", "open"), ("open", "closed")):
        raise Conflict(f"the study is {study.state}", "a draft is opened, an open study is closed")


def _invited(desk: Desk, session: Session, study: tables.Study, name: str, at: str) -> Invitation:
    secret = secrets.token_urlsafe(24)
    rater = session.scalar(select(tables.Rater).filter_by(study_id=study.id, name=name))
    if rater is None:
        rater = tables.Rater(
            id=new_id(), study_id=study.id, name=name, digest=digest_of(secret), profile={}, user_id=None,
            invited_at=at, joined_at=None,
        )  # fmt: skip
        session.add(rater)
    rater.digest, rater.invited_at = digest_of(secret), at
    return Invitation(rater.id, name, f"{desk.settings.public_url}/rate/{secret}")


def _item(number: int, image: Wanted, known: tables.Image, class_name: str | None) -> Item:
    return Item(
        f"I{number:02d}", image.sha256, known.name, image.label, class_name or "", known.specimen, image.predicted,
        None if not image.predicted else image.predicted != image.label, known.pixel_size_um,
    )  # fmt: skip


def _image(session: Session, sha256: str) -> tables.Image:
    found = session.get(tables.Image, sha256)
    if found is None:
        raise InputError(f"the image {sha256[:12]} is not here", "upload it first")
    return found


def _facts(session: Session, study: tables.Study) -> StudyFacts:
    raters = session.scalar(select(func.count()).select_from(tables.Rater).filter_by(study_id=study.id)) or 0
    given = session.scalar(select(func.count()).select_from(tables.Rating).filter_by(study_id=study.id)) or 0
    showings = len(study.design.get("showings", study.design.get("items", ())))
    seated = len(study.design.get("orders", ())) or raters
    return StudyFacts(
        study.id, study.kind, study.name, study.state, len(study.design.get("items", ())), showings, raters, given,
        showings * seated, study.created_by, study.created_at,
    )  # fmt: skip


def _seeing(actor: Actor) -> Permission:
    """Return what seeing labels and results needs: to organise, or to audit."""
    return Permission.ORGANISE if Permission.ORGANISE in actor.permissions else Permission.READ_RECORD


def plain(value: Any) -> Any:
    """Return plain JSON values: what has no value is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value

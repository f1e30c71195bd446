"""Consensus sessions: experts judge each case alone, then together; nobody sees what others said before that.

What may be said, and when, is decided by `sorby.study.consensus`; this keeps it, with who and when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Reading

from sorby.errors import InputError
from sorby.files import sha256_bytes
from sorby.station.accounts import confirm
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, NotFound, Refused, new_id
from sorby.station.permissions import GRANTED, Actor, Permission, Role
from sorby.station.rounds import StudyFacts, find_study, get_study, plain
from sorby.station.sessions import digest_of
from sorby.station.wording import plain_text
from sorby.study.consensus import CUES, QUESTIONS, REPLIES, Case, Dissent, Joint, Judgement, Session, session_results

KIND = "consensus"
_MOST_CASES, _MOST_EXPERTS, _LONGEST_NAME = 500, 20, 40


@dataclass(frozen=True)
class Sheet:
    """A case as one expert may see it.

    Attributes
    ----------
    case : dict
        Views from low to high magnification, predicted class, confidence, label.
    questions : dict
        Key to words.
    replies, cues : list of str
    own : dict or None
        What this expert said alone.
    alone : list of dict
        What all said alone, once all have; before, one's own.
    waiting_for : list of str
        Who has not judged it alone.
    joint : dict or None
        Judgement and dissent.
    """

    case: dict[str, Any]
    questions: dict[str, str]
    replies: list[str]
    cues: list[str]
    own: dict[str, Any] | None
    alone: list[dict[str, Any]]
    waiting_for: list[str]
    joint: dict[str, Any] | None


def create_session(
    desk: Desk,
    actor: Actor,
    name: str,
    cases: Sequence[Mapping[str, Any]],
    experts: Sequence[str],
    *,
    cues: Sequence[str] = CUES,
    bundle: str = "",
) -> StudyFacts:
    """Prepare a consensus session.

    Parameters
    ----------
    desk : Desk
    actor : Actor
    name : str
    cases : sequence of mapping
        Fields of `sorby.study.consensus.Case`; all images are in the store.
    experts : sequence of str
        Names of accounts that may take part.
    cues : sequence of str
    bundle : str
        SHA-256 of the bundle whose verdicts are judged.

    Raises
    ------
    InputError
        An image is not here, or somebody may not take part.
    """
    if not 1 <= len(cases) <= _MOST_CASES or not 2 <= len(experts) <= _MOST_EXPERTS:
        raise InputError(f"a session has 1 to {_MOST_CASES} cases and 2 to {_MOST_EXPERTS} experts", "fewer or more")
    made = Session.from_dict(
        {"name": name, "cases": list(cases), "raters": list(experts), "cues": list(cues), "alone": [], "joint": [],
         "bundle_sha256": bundle}
    )  # fmt: skip
    for case in made.cases:
        _check_case(case)
    with desk.acting(actor, Permission.ORGANISE) as act:
        users = [_expert(act.session, expert) for expert in experts]
        for sha256 in {view.sha256 for case in made.cases for view in case.views}:
            if act.session.get(tables.Image, sha256) is None:
                raise InputError(f"the image {sha256[:12]} is not here", "upload it first")
        study = tables.Study(
            id=new_id(), kind=KIND, name=name, state="open", created_by=actor.name, created_at=act.at,
            design={key: value for key, value in made.as_dict().items() if key not in ("alone", "joint")},
        )  # fmt: skip
        act.session.add(study)
        act.session.flush()
        for user in users:
            seat = new_id()
            act.session.add(
                tables.Rater(
                    id=seat, study_id=study.id, name=user.name, digest=digest_of(seat), profile={}, user_id=user.id,
                    invited_at=act.at, joined_at=None,
                )
            )  # fmt: skip
        new = {"name": name, "cases": len(made.cases), "experts": list(experts)}
        evidence = {"bundle": bundle} if bundle else {}
        act.record("consensus.create", f"study/{study.id}", new=new, evidence=evidence)
    return get_study(desk, actor, study.id)


def list_cases(desk: Desk, actor: Actor, study_id: str) -> list[dict[str, Any]]:
    """Return the cases with who is still to judge them: ``name``, ``mine`` (judged alone), ``waiting_for``, ``closed``.

    Raises
    ------
    NotFound
    Refused
        The actor is no expert of this session and does not organise or audit.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        held = _held(session, study_id)
        _let_in(held, actor)
        closed = {joint.judgement.case for joint in held.joint}
        mine = {each.case for each in held.alone if each.rater == actor.name}
        return [
            {"name": case.name, "mine": case.name in mine, "waiting_for": list(held.missing(case.name)),
             "closed": case.name in closed}
            for case in held.cases
        ]  # fmt: skip


def sheet(desk: Desk, actor: Actor, study_id: str, case: str) -> Sheet:
    """Return a case as the actor may see it.

    Raises
    ------
    NotFound
    Refused
    """
    with desk.looking(actor, Permission.LOOK) as session:
        held = _held(session, study_id)
    _let_in(held, actor)
    found = _case(held, case)
    seen = held.visible_to(actor.name, case)
    own = next((each for each in seen if each.rater == actor.name), None)
    joint = next((each for each in held.joint if each.judgement.case == case), None)
    return Sheet(
        plain(asdict(found)), dict(QUESTIONS), list(REPLIES), list(held.cues),
        None if own is None else plain(asdict(own)), [plain(asdict(each)) for each in seen], list(held.missing(case)),
        None if joint is None else plain(asdict(joint)),
    )  # fmt: skip


def judge_alone(
    desk: Desk, actor: Actor, study_id: str, case: str, answers: Mapping[str, str], cues: Sequence[str], comment: str
) -> Sheet:
    """Keep what one expert says of a case before seeing what others said; it stays as it is.

    Raises
    ------
    NotFound
    Refused
        The actor is no expert of this session.
    InputError
        The answers do not fit the questions.
    Conflict
        The actor has judged this case already, it is closed, or the session is.
    """
    comment = plain_text(comment, 4000, "comment")
    with desk.acting(actor, Permission.TAKE_PART) as act:
        held, study = _open(act.session, study_id)
        rater = _seat(act.session, study, actor)
        place = [each.name for each in held.cases].index(_case(held, case).name) + 1
        if act.session.get(tables.Rating, (study.id, rater.id, place)) is not None:
            raise Conflict(f"you have judged {case} already", "what was said alone stays; say more in the joint answer")
        judgement = Judgement(case, dict(answers), tuple(cues), actor.name, comment, act.at)  # type: ignore[arg-type]
        _refuse_closed(held, case)
        held.with_judgement(judgement)
        answer = {"answers": dict(answers), "cues": list(cues), "comment": comment}
        act.session.add(
            tables.Rating(
                study_id=study.id, rater_id=rater.id, place=place, item=case, occasion=1, answer=answer, seconds=0.0,
                at=act.at,
            )
        )  # fmt: skip
        rater.joined_at = rater.joined_at or act.at
        # Who reads the record must not learn what was said alone: the answer's digest fixes it, the words follow with
        # the joint answer.
        act.record("consensus.alone", f"study/{study.id}/case/{place}", evidence={"answer": _digest(answer)})
    return sheet(desk, actor, study_id, case)


def judge_together(
    desk: Desk,
    actor: Actor,
    study_id: str,
    case: str,
    answers: Mapping[str, str],
    cues: Sequence[str],
    comment: str,
    dissent: Sequence[Mapping[str, str]],
    password: str,
) -> Sheet:
    """Keep the joint answer of a case, signed by the expert who writes it down; others' dissent stands beside it.

    Raises
    ------
    NotFound
    Refused
        The actor is no expert of this session, or the password is wrong.
    InputError
        The answers do not fit the questions, a dissent is none.
    Conflict
        Somebody has not judged it alone yet, it has a joint answer, or the session is closed.
    """
    comment = plain_text(comment, 4000, "comment")
    held_against = tuple(_dissent(each) for each in dissent)
    meaning = confirm(desk, actor, password, "reviewed")
    with desk.acting(actor, Permission.TAKE_PART) as act:
        held, study = _open(act.session, study_id)
        _seat(act.session, study, actor)
        place = [each.name for each in held.cases].index(_case(held, case).name) + 1
        _refuse_closed(held, case)
        if waiting := held.missing(case):
            raise Conflict(f"{', '.join(waiting)} has not judged {case} alone yet", "first alone, then together")
        judgement = Judgement(case, dict(answers), tuple(cues), "", comment, act.at)  # type: ignore[arg-type]
        held.with_joint(Joint(judgement, held_against))
        answer = {"answers": dict(answers), "cues": list(cues), "comment": comment}
        told = [asdict(each) for each in held_against]
        act.session.add(
            tables.JointRating(
                study_id=study.id, item=case, answer=answer, dissent=told, saved_by=actor.name, at=act.at
            )
        )
        alone = [
            {"rater": each.rater, "answers": dict(each.answers), "cues": list(each.cues), "comment": each.comment}
            for each in held.alone
            if each.case == case
        ]
        new = {**answer, "dissent": told, "alone": alone}
        act.record("consensus.together", f"study/{study.id}/case/{place}", new=new, meaning=meaning)
    return sheet(desk, actor, study_id, case)


def consensus_results(desk: Desk, actor: Actor, study_id: str) -> dict[str, Any]:
    """Return what a session came to so far; see `sorby.study.consensus.session_results`.

    Raises
    ------
    NotFound
    Refused
        Somebody who is still to judge a case would see what others said.
    """
    with desk.looking(actor, Permission.LOOK) as session:
        held = _held(session, study_id)
    _let_in(held, actor)
    if actor.name in held.raters and any(actor.name in held.missing(case.name) for case in held.cases):
        raise Refused("the results show what others said", "judge every case alone first")
    found: dict[str, Any] = plain(session_results(held))
    return found


def _held(session: Reading, study_id: str) -> Session:
    """Return the session with all that was said."""
    study = find_study(session, study_id, KIND)
    base = Session.from_dict({**study.design, "alone": [], "joint": []})
    given = session.execute(
        select(tables.Rating, tables.Rater.name)
        .join(tables.Rater, tables.Rater.id == tables.Rating.rater_id)
        .where(tables.Rating.study_id == study.id)
        .order_by(tables.Rating.at)
    )
    alone = tuple(_judgement(one.item, one.answer, name, one.at) for one, name in given)
    joint = tuple(
        Joint(_judgement(one.item, one.answer, "", one.at), tuple(Dissent(**each) for each in one.dissent))
        for one in session.scalars(
            select(tables.JointRating).filter_by(study_id=study.id).order_by(tables.JointRating.at)
        )
    )
    return replace(base, alone=alone, joint=joint)


def _open(session: Reading, study_id: str) -> tuple[Session, tables.Study]:
    study = find_study(session, study_id, KIND)
    if study.state != "open":
        raise Conflict(f"the session is {study.state}", "make a new one")
    return _held(session, study_id), study


def _judgement(case: str, answer: Mapping[str, Any], rater: str, at: str) -> Judgement:
    return Judgement(case, dict(answer["answers"]), tuple(answer["cues"]), rater, str(answer["comment"]), at)


def _digest(answer: Mapping[str, Any]) -> str:
    text = json.dumps(answer, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256_bytes(text.encode("utf-8"))


def _seat(session: Reading, study: tables.Study, actor: Actor) -> tables.Rater:
    seat = session.scalar(select(tables.Rater).filter_by(study_id=study.id, user_id=actor.id))
    if seat is None:
        raise Refused("you take no part in this session", "ask who organises it")
    return seat


def _expert(session: Reading, name: str) -> tables.User:
    user = session.scalar(select(tables.User).where(tables.User.name == name, tables.User.active))
    if user is None or Permission.TAKE_PART not in GRANTED[Role(user.role)]:
        raise InputError(f"{name!r} cannot take part", "experts are accounts of reviewers and supervisors")
    return user


def _let_in(held: Session, actor: Actor) -> None:
    """Refuse who is neither expert nor organiser nor auditor."""
    if actor.name not in held.raters and not {Permission.ORGANISE, Permission.READ_RECORD} & actor.permissions:
        raise Refused("you take no part in this session", "ask who organises it")


def _case(held: Session, name: str) -> Case:
    found = next((case for case in held.cases if case.name == name), None)
    if found is None:
        raise NotFound("the session has no such case", "look at the list of its cases")
    return found


def _refuse_closed(held: Session, case: str) -> None:
    if any(joint.judgement.case == case for joint in held.joint):
        raise Conflict(f"{case} is closed: its joint answer was given", "it stays as it is")


def _check_case(case: Case) -> None:
    if not case.name or len(case.name) > _LONGEST_NAME or not case.views:
        raise InputError(
            f"a case has a name of 1 to {_LONGEST_NAME} characters, and images", "e.g. a specimen's number"
        )


def _dissent(given: Mapping[str, str]) -> Dissent:
    try:
        return Dissent(given["rater"], given["question"], given["reply"], plain_text(given["reason"], 2000, "reason"))  # type: ignore[arg-type]
    except KeyError as error:
        raise InputError(f"a dissent names {error.args[0]}", "rater, question, reply, reason") from error

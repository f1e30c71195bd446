"""A consensus session: experts judge whether a classifier looked at what a fractographer would look at.

Each case shows the images of a specimen at all magnifications with the predicted class, its confidence, the label and
the maps. Three questions are asked: do the regions coincide with the diagnostic cue, is that mechanistically plausible,
is the verdict right for the wrong reason. Everybody answers alone first; only then is a joint answer given, unanimous
or with the dissent on record. A session is a value: every step returns a new one, and nothing in it is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from sorby.errors import InputError
from sorby.evidence.agreement import agreement
from sorby.evidence.intervals import proportion

FORMAT = "1"
Reply = Literal["yes", "no", "unclear"]
REPLIES: tuple[Reply, ...] = get_args(Reply)
#: Yes and no at the ends, so that near misses are near.
_ORDER = ("no", "unclear", "yes")

QUESTIONS: Mapping[str, str] = {
    "coincides": "Do the highlighted regions coincide with the diagnostic cue?",
    "plausible": "Is it mechanistically plausible that these regions decide the class?",
    "wrong_reason": "Is the verdict right for the wrong reason?",
}
CUES = ("mirror", "mist", "hackle", "pore", "machining mark")


@dataclass(frozen=True)
class View:
    """One image of a case.

    Attributes
    ----------
    sha256 : str
        Of the image file.
    magnification, pixel_size_um : float or None
    map_sha256 : str
        Of the map shown over it; empty where there is none.
    predicted : str
        What the classifier says of this image alone; empty where it was not asked.
    confidence : float or None
    """

    sha256: str
    magnification: float | None = None
    pixel_size_um: float | None = None
    map_sha256: str = ""
    predicted: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class Case:
    """A specimen on the table.

    Attributes
    ----------
    name : str
    views : tuple of View
        From low to high magnification.
    predicted : str
    confidence : float or None
    label : str
        Empty where the cause is not known.
    """

    name: str
    views: tuple[View, ...]
    predicted: str
    confidence: float | None = None
    label: str = ""

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the label; None where there is no label."""
        return self.predicted == self.label if self.label else None


@dataclass(frozen=True)
class Judgement:
    """Answers to the three questions.

    Attributes
    ----------
    case : str
    answers : mapping of str to {"yes", "no", "unclear"}
        One for each of `QUESTIONS`.
    cues : tuple of str
        Cues seen in the highlighted regions.
    rater : str
        Empty for the joint judgement.
    comment : str
    at : str
        UTC, ISO 8601.
    """

    case: str
    answers: Mapping[str, Reply]
    cues: tuple[str, ...] = ()
    rater: str = ""
    comment: str = ""
    at: str = ""


@dataclass(frozen=True)
class Dissent:
    """What one rater holds against the joint judgement, and why."""

    rater: str
    question: str
    reply: Reply
    reason: str


@dataclass(frozen=True)
class Joint:
    """The joint judgement of a case.

    Attributes
    ----------
    judgement : Judgement
    dissent : tuple of Dissent
        Empty where it is unanimous.
    """

    judgement: Judgement
    dissent: tuple[Dissent, ...] = ()

    @property
    def unanimous(self) -> bool:
        """Whether nobody dissents."""
        return not self.dissent


@dataclass(frozen=True)
class Session:
    """A consensus session as it stands.

    Attributes
    ----------
    name : str
    cases : tuple of Case
    raters : tuple of str
    cues : tuple of str
        Vocabulary; a house may add to `CUES`.
    alone : tuple of Judgement
    joint : tuple of Joint
    bundle_sha256 : str
    """

    name: str
    cases: tuple[Case, ...]
    raters: tuple[str, ...]
    cues: tuple[str, ...] = CUES
    alone: tuple[Judgement, ...] = ()
    joint: tuple[Joint, ...] = ()
    bundle_sha256: str = ""

    def __post_init__(self) -> None:
        for what, names in (("case", [case.name for case in self.cases]), ("rater", list(self.raters)),
                            ("cue", list(self.cues))):  # fmt: skip
            if not names or len(set(names)) != len(names):
                raise InputError(f"session {self.name}: {what}s {', '.join(names) or 'none'}", f"name each {what} once")
        if len(self.raters) < 2:
            raise InputError(f"session {self.name}: one rater", "a consensus needs two people or more")

    # -- steps --------------------------------------------------------------------------------------------

    def with_judgement(self, judgement: Judgement) -> Session:
        """Return the session with what one rater said alone.

        Raises
        ------
        InputError
            Unknown case or rater, answers that are not to the three questions, an unknown cue, a second judgement, or
            one after the joint judgement was given.
        """
        self._check(judgement)
        if judgement.rater not in self.raters:
            raise InputError(f"rater {judgement.rater!r} takes no part in session {self.name}")
        if any(each.case == judgement.case and each.rater == judgement.rater for each in self.alone):
            raise InputError(f"{judgement.rater} has judged case {judgement.case} already", "judgements alone stay")
        return replace(self, alone=(*self.alone, judgement))

    def with_joint(self, joint: Joint) -> Session:
        """Return the session with the joint judgement of a case.

        Raises
        ------
        InputError
            Somebody has not judged the case alone yet, it has a joint judgement, or a dissent is none: it agrees with
            the joint answer, or gives no reason.
        """
        judgement = joint.judgement
        self._check(judgement)
        if missing := self.missing(judgement.case):
            raise InputError(
                f"case {judgement.case}: {', '.join(missing)} has not judged it alone yet", "first alone, then together"
            )
        if judgement.rater:
            raise InputError(f"case {judgement.case}: a joint judgement names no rater")
        for each in joint.dissent:
            if each.rater not in self.raters or each.question not in QUESTIONS or each.reply not in REPLIES:
                raise InputError(f"case {judgement.case}: dissent of {each.rater!r} on {each.question!r} fits nothing")
            if each.reply == judgement.answers[each.question]:
                raise InputError(f"case {judgement.case}: {each.rater} dissents with the joint answer itself")
            if not each.reason.strip():
                raise InputError(f"case {judgement.case}: {each.rater} dissents without a reason", "give the reason")
        return replace(self, joint=(*self.joint, joint))

    def _check(self, judgement: Judgement) -> None:
        if judgement.case not in {case.name for case in self.cases}:
            raise InputError(f"case {judgement.case!r} is not part of session {self.name}")
        if any(each.judgement.case == judgement.case for each in self.joint):
            raise InputError(f"case {judgement.case} is closed: its joint judgement has been given")
        if set(judgement.answers) != set(QUESTIONS):
            raise InputError(f"case {judgement.case}: answer {', '.join(QUESTIONS)}, each once")
        for question, reply in judgement.answers.items():
            if reply not in REPLIES:
                raise InputError(f"case {judgement.case}: {question}: {reply!r}", f"allowed: {', '.join(REPLIES)}")
        if unknown := [cue for cue in judgement.cues if cue not in self.cues]:
            raise InputError(f"case {judgement.case}: cue {unknown[0]!r} is unknown", f"cues: {', '.join(self.cues)}")
        right = next(case.right for case in self.cases if case.name == judgement.case)
        if right is False and judgement.answers["wrong_reason"] == "yes":
            raise InputError(
                f"case {judgement.case}: its prediction is wrong and cannot be right for the wrong reason",
                "answer no, or unclear",
            )

    # -- what it says -------------------------------------------------------------------------------------

    def missing(self, case: str) -> tuple[str, ...]:
        """Return who has not judged a case alone yet."""
        done = {each.rater for each in self.alone if each.case == case}
        return tuple(rater for rater in self.raters if rater not in done)

    def visible_to(self, rater: str, case: str) -> tuple[Judgement, ...]:
        """Return the judgements that a rater may see of a case: the own one, and all once everybody has judged."""
        found = tuple(each for each in self.alone if each.case == case)
        return found if not self.missing(case) else tuple(each for each in found if each.rater == rater)

    def replies(self, question: str) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Return what raters said alone, cases by raters; None for a gap."""
        found = np.full((len(self.cases), len(self.raters)), None, dtype=object)
        row = {case.name: k for k, case in enumerate(self.cases)}
        for each in self.alone:
            found[row[each.case], self.raters.index(each.rater)] = each.answers[question]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the session as plain values, for JSON."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Session:
        """Return a session from plain values.

        Raises
        ------
        InputError
            A field is missing or of another kind.
        """
        try:
            cases = tuple(
                Case(**{**case, "views": tuple(View(**view) for view in case["views"])}) for case in stored["cases"]
            )
            joint = tuple(
                Joint(_judgement(each["judgement"]), tuple(Dissent(**one) for one in each["dissent"]))
                for each in stored["joint"]
            )
            return cls(
                stored["name"], cases, tuple(stored["raters"]), tuple(stored["cues"]),
                tuple(_judgement(each) for each in stored["alone"]), joint, stored.get("bundle_sha256", ""),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise InputError(f"not a consensus session ({error})", "the file has been changed") from error


def _judgement(stored: Mapping[str, Any]) -> Judgement:
    return Judgement(**{**stored, "cues": tuple(stored["cues"])})


@dataclass(frozen=True)
class RegisterEntry:
    """A verdict that was right for the wrong reason: what accuracy does not show.

    Attributes
    ----------
    case, predicted : str
    confidence : float or None
    unanimous : bool
    cues : tuple of str
        Cues that the regions did show.
    votes : int
        How many said so alone.
    comment : str
    """

    case: str
    predicted: str
    confidence: float | None
    unanimous: bool
    cues: tuple[str, ...]
    votes: int
    comment: str


def wrong_reasons(session: Session) -> list[RegisterEntry]:
    """Return the register of verdicts that were right for the wrong reason, the surest verdicts first.

    A case enters where the joint answer says so, and also where the prediction is right and the joint answers deny
    that the regions coincide with the cue or that this is plausible.
    """
    by_name = {case.name: case for case in session.cases}
    found = []
    for joint in session.joint:
        judgement, case = joint.judgement, by_name[joint.judgement.case]
        denied = "no" in (judgement.answers["coincides"], judgement.answers["plausible"])
        if judgement.answers["wrong_reason"] == "yes" or (case.right is True and denied):
            votes = sum(e.case == case.name and e.answers["wrong_reason"] == "yes" for e in session.alone)
            found.append(RegisterEntry(case.name, case.predicted, case.confidence, joint.unanimous, judgement.cues,
                                       votes, judgement.comment))  # fmt: skip
    return sorted(found, key=lambda entry: -(entry.confidence or 0.0))


def session_results(session: Session) -> dict[str, Any]:
    """Return what a session came to.

    Returns
    -------
    dict
        ``questions``: for each the counts of replies given alone, the joint ones, and the ``agreement`` of those given
        alone (nominal coefficients, and Gwet's AC2 and the ordinal alpha with unclear between no and yes); ``cases``
        (all, judged by all, closed), ``unanimous`` (share with its Wilson interval), ``wrong_reasons``, ``cues``
        (how often each was seen jointly), ``changed``: joint answers that most had not given alone.
    """
    closed = session.joint
    questions: dict[str, Any] = {}
    changed = 0
    for question, words in QUESTIONS.items():
        said = session.replies(question)
        given = [reply for reply in said.ravel() if reply is not None]
        together = [joint.judgement.answers[question] for joint in closed]
        for joint in closed:
            row = said[[case.name for case in session.cases].index(joint.judgement.case)].tolist()
            changed += row.count(joint.judgement.answers[question]) * 2 <= len(row)
        try:
            coefficients: dict[str, Any] = {k: v.as_dict() for k, v in agreement(said, order=_ORDER).items()}
        except InputError as error:  # nothing judged twice yet: said where the figures would stand
            coefficients = {"not_defined": {"value": None, "ci95": None, "n": 0, "note": error.message}}
        questions[question] = {
            "words": words,
            "alone": {reply: given.count(reply) for reply in REPLIES},
            "joint": {reply: together.count(reply) for reply in REPLIES},
            "agreement": coefficients,
        }
    seen = [cue for joint in closed for cue in joint.judgement.cues]
    return {
        "session": session.name,
        "raters": list(session.raters),
        "cases": {
            "all": len(session.cases),
            "judged_by_all": sum(not session.missing(case.name) for case in session.cases),
            "closed": len(closed),
        },
        "questions": questions,
        "unanimous": proportion(sum(joint.unanimous for joint in closed), len(closed)).as_dict(),
        "changed": changed,
        "cues": {cue: seen.count(cue) for cue in session.cues},
        "wrong_reasons": [asdict(entry) for entry in wrong_reasons(session)],
    }

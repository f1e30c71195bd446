from __future__ import annotations

import pytest

from sorby.errors import InputError
from sorby.station import consensus
from sorby.station.accounts import change_own_password, create_account
from sorby.station.desk import Conflict, Refused
from sorby.station.permissions import Actor, Role
from sorby.station.records import list_entries, verify_record
from sorby.station.sessions import sign_in
from station_household import PASSWORD, add_image

YES = {"coincides": "yes", "plausible": "yes", "wrong_reason": "no"}
NO = {"coincides": "no", "plausible": "no", "wrong_reason": "yes"}


@pytest.fixture
def held(station):
    """A session of two cases and two experts, and the second expert."""
    made = create_account(station.desk, station.actors["administrator"], "expert", "Expert", Role.REVIEWER)
    must = Actor(made.account.id, "expert", "reviewer", frozenset())
    change_own_password(station.desk, must, made.password, PASSWORD)
    station.actors["expert"] = sign_in(station.desk, "expert", PASSWORD, "10.0.0.1").visit.actor
    views = [{"sha256": add_image(station, 1), "magnification": 50.0}, {"sha256": add_image(station, 2)}]
    cases = [
        {"name": name, "views": views, "predicted": "pore", "confidence": 0.8, "label": label}
        for name, label in (("A-1", "pore"), ("A-2", "machining"))
    ]
    experts = ["reviewer", "expert"]
    return consensus.create_session(station.desk, station.actors["supervisor"], "spring", cases, experts).id


def _alone(station, held, who, answers=YES, case="A-1"):
    return consensus.judge_alone(station.desk, station.actors[who], held, case, answers, ["pore"], f"says {who}")


def test_nobody_sees_others_before_all_have_judged(station, held) -> None:
    assert len(_alone(station, held, "reviewer").alone) == 1
    mine = consensus.sheet(station.desk, station.actors["expert"], held, "A-1")
    assert (mine.alone, mine.own, mine.waiting_for) == ([], None, ["expert"])
    organiser = consensus.sheet(station.desk, station.actors["supervisor"], held, "A-1")
    assert organiser.alone == []
    with pytest.raises(Refused):
        consensus.consensus_results(station.desk, station.actors["expert"], held)
    entries = list_entries(station.desk, station.actors["auditor"], action="consensus.alone")
    assert "says reviewer" not in str(entries)  # who reads the record learns nothing either
    assert len(_alone(station, held, "expert").alone) == 2


def test_together_only_after_all_alone_and_once(station, held) -> None:
    _alone(station, held, "reviewer")

    def together():
        return consensus.judge_together(
            station.desk, station.actors["reviewer"], held, "A-1", YES, ["pore"], "agreed", [], PASSWORD
        )

    with pytest.raises(Conflict):
        together()
    _alone(station, held, "expert", NO)
    assert together().joint["judgement"]["answers"] == YES
    with pytest.raises(Conflict):
        together()
    with pytest.raises(Conflict):
        _alone(station, held, "expert")
    entry = list_entries(station.desk, station.actors["auditor"], action="consensus.together")[0]
    assert entry.meaning == "reviewed"
    assert [one["rater"] for one in entry.new["alone"]] == ["reviewer", "expert"]
    assert verify_record(station.desk).intact


def test_dissent_is_kept_with_its_reason(station, held) -> None:
    _alone(station, held, "reviewer")
    _alone(station, held, "expert", NO)
    against = {"rater": "expert", "question": "coincides", "reply": "no", "reason": "the pore is elsewhere"}
    shown = consensus.judge_together(
        station.desk, station.actors["reviewer"], held, "A-1", YES, ["pore"], "", [against], PASSWORD
    )
    assert shown.joint["dissent"] == [against]
    found = consensus.consensus_results(station.desk, station.actors["supervisor"], held)
    assert found["unanimous"]["value"] == 0
    assert found["cases"]["closed"] == 1


def test_a_wrong_prediction_cannot_be_right_for_the_wrong_reason(station, held) -> None:
    with pytest.raises(InputError, match="wrong"):
        _alone(station, held, "reviewer", NO, case="A-2")


def test_only_experts_take_part_and_see(station, held) -> None:
    with pytest.raises(Refused):
        _alone(station, held, "supervisor")
    with pytest.raises(Refused):
        consensus.sheet(station.desk, station.actors["operator"], held, "A-1")
    case = [{"name": "A", "views": [{"sha256": add_image(station, 3)}], "predicted": "pore"}]
    with pytest.raises(InputError):
        consensus.create_session(station.desk, station.actors["supervisor"], "x", case, ["reviewer", "operator"])


def test_joint_answer_needs_the_password(station, held) -> None:
    for who in ("reviewer", "expert"):
        _alone(station, held, who)
    with pytest.raises(Refused):
        consensus.judge_together(
            station.desk, station.actors["reviewer"], held, "A-1", YES, [], "", [], "a wrong password"
        )

"""The review queue, decisions, annotations, and bundles that a second person promotes."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station import annotations as marks
from sorby.station import bundles, images, inspections, retraining, reviews
from sorby.station.database import tables
from sorby.station.desk import Conflict, NotFound, Refused, new_id
from sorby.station.permissions import STATION, Permission
from stations import new_desk, person, put_picture

BUNDLE, OTHER = "b" * 64, "c" * 64


@pytest.fixture
def desk(tmp_path):
    desk = new_desk(tmp_path)
    with desk.acting(STATION) as act:
        for sha, state in ((BUNDLE, "current"), (OTHER, "candidate")):
            act.session.add(
                tables.Bundle(
                    sha256=sha, file=sha, name=sha[:3], kind="classifier", task="steel", state=state,
                    classes=["B", "G", "M"], signature="unsigned", added_by="administrator", added_at=act.at,
                )
            )  # fmt: skip
    return desk


def said(desk, seed, *, risk=0.5, at="2026-03-01T10:00:00.000000Z", reasons=("novel",), label="G", **words):
    """Put a verdict on a new image into the queue; return its identity."""
    image = put_picture(desk, seed, **words)
    with desk.acting(STATION, Permission.INSPECT) as act:
        row = tables.Inspection(
            id=new_id(), image=image, bundle=BUNDLE, label=label, confidence=0.6, set_=[label], novelty=0.2,
            referred=bool(reasons), reasons=list(reasons), verdict={}, overlays={}, risk=risk,
            state="waiting" if reasons else "clear", at=at,
        )  # fmt: skip
        act.session.add(row)
    return row.id


def order(desk, **wanted):
    return [each["id"] for each in reviews.queue(desk, person("auditor"), **wanted)["inspections"]]


def test_the_queue_is_by_risk_and_age(desk):
    risky = said(desk, 1, risk=0.9, at="2026-03-05T10:00:00.000000Z")
    old = said(desk, 2, risk=0.3, at="2026-02-20T10:00:00.000000Z")
    new = said(desk, 3, risk=0.4, at="2026-03-05T10:00:00.000000Z")
    said(desk, 4, risk=1.0, reasons=())
    assert order(desk, order="risk") == [risky, new, old]
    assert order(desk, order="oldest") == [old, *sorted([risky, new])]
    # 13 days of waiting weigh 1.3: more than any difference of risk.
    assert order(desk) == [old, risky, new]


def test_the_queue_is_filtered_and_counted(desk):
    said(desk, 1, label="B", specimen="S1", reasons=("novel", "set-several"))
    second = said(desk, 2, label="G", specimen="S2", reasons=("set-several",))
    found = reviews.queue(desk, person("auditor"), reason="set-several", label="G")
    assert [each["id"] for each in found["inspections"]] == [second]
    assert reviews.queue(desk, person("auditor"))["reasons"] == {"set-several": 2, "novel": 1}
    assert order(desk, specimen="S2") == [second]
    assert order(desk, limit=1, offset=1) + order(desk, limit=1) == order(desk)[::-1]


def test_a_decision_is_on_the_record_and_ends_the_waiting(desk):
    waits = said(desk, 1)
    done = reviews.decide(desk, person("reviewer"), waits, "corrected", label="B", reason="upper bainite")
    assert (done["state"], done["label"]) == ("corrected", "G")
    assert not order(desk)
    with desk.database.read() as session:
        entry = session.scalars(select(tables.Entry).where(tables.Entry.action == "inspection.correct")).one()
    assert entry.reason == "upper bainite"
    assert '"label":"B"' in entry.new
    assert '"label":"G"' in entry.old


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("corrected", {"label": "B"}),
        ("corrected", {"reason": "why"}),
        ("corrected", {"label": "G", "reason": "the same"}),
        ("rejected", {}),
        ("accepted", {"label": "B"}),
        ("doubted", {"reason": "x"}),
        ("rejected", {"reason": "x" * 2001}),
    ],
)
def test_a_decision_that_is_none_changes_nothing(desk, decision, words):
    waits = said(desk, 1)
    with pytest.raises(InputError):
        reviews.decide(desk, person("reviewer"), waits, decision, **words)
    assert order(desk) == [waits]


def test_of_two_reviewers_at_once_one_is_told_to_look_again(desk):
    waits = said(desk, 1)
    outcomes, gate = [], threading.Barrier(2)

    def decide(name, decision, words):
        gate.wait()
        try:
            reviews.decide(desk, person("reviewer", name), waits, decision, **words)
            outcomes.append((name, "done"))
        except Conflict as conflict:
            outcomes.append((name, conflict.message))

    two = [
        threading.Thread(target=decide, args=("ada", "accepted", {})),
        threading.Thread(target=decide, args=("henry", "rejected", {"reason": "scratched"})),
    ]
    for each in two:
        each.start()
    for each in two:
        each.join()
    won = [name for name, what in outcomes if what == "done"]
    assert len(won) == 1
    assert any(f"{won[0]} has decided" in what for _, what in outcomes)
    seen = inspections.get(desk, person("auditor"), waits)["decisions"]
    assert [each["reviewer"] for each in seen] == won


def test_who_has_seen_the_last_decision_may_decide_again(desk):
    waits = said(desk, 1)
    first = reviews.decide(desk, person("reviewer"), waits, "accepted")["decisions"][-1]["id"]
    with pytest.raises(Conflict):
        reviews.decide(desk, person("supervisor"), waits, "rejected", reason="no")
    again = reviews.decide(desk, person("supervisor"), waits, "rejected", reason="no", seen=first)
    assert [each["decision"] for each in again["decisions"]] == ["accepted", "rejected"]
    assert again["state"] == "rejected"


@pytest.mark.parametrize("role", ["operator", "auditor", "administrator"])
def test_only_reviewers_decide(desk, role):
    waits = said(desk, 1)
    with pytest.raises(Refused):
        reviews.decide(desk, person(role), waits, "accepted")


def test_risk_grows_with_doubt_strangeness_and_gravity():
    sure = inspections.risk(0.99, 0.5, [])[0]
    assert sure < inspections.risk(0.6, 0.5, [])[0] < inspections.risk(0.6, 0.01, [])[0]
    assert inspections.risk(0.6, 0.01, [])[0] < inspections.risk(0.6, 0.01, ["novel"])[0] <= 1
    assert inspections.risk(None, None, [])[0] == 0


# -- corrections ------------------------------------------------------------------------------------------


def test_corrections_are_the_last_word_on_each_image(desk):
    confirmed, corrected, rejected = said(desk, 1), said(desk, 2), said(desk, 3)
    reviews.decide(desk, person("reviewer"), confirmed, "accepted")
    reviews.decide(desk, person("reviewer"), corrected, "corrected", label="B", reason="plates")
    seen = reviews.decide(desk, person("reviewer"), rejected, "accepted")["decisions"][-1]["id"]
    reviews.decide(desk, person("reviewer"), rejected, "rejected", reason="blurred", seen=seen)
    found = retraining.corrections(desk, person("auditor"), "steel")
    assert [(each["said"], each["label"], each["decision"]) for each in found] == [
        ("G", "G", "accepted"),
        ("G", "B", "corrected"),
    ]
    assert found[1]["reviewer"] == "reviewer"
    assert not retraining.corrections(desk, person("auditor"), "another task")


# -- bundles ----------------------------------------------------------------------------------------------


def test_a_second_person_promotes(desk):
    proposer = person("supervisor", "administrator")  # proposed it
    with pytest.raises(Refused, match="proposed this bundle"):
        bundles.promote(desk, proposer, OTHER, reason="better")
    with pytest.raises(InputError, match="reason"):
        bundles.promote(desk, person("supervisor"), OTHER, reason="  ")
    with pytest.raises(Refused):
        bundles.promote(desk, person("reviewer"), OTHER, reason="better")
    done = bundles.promote(desk, person("supervisor"), OTHER, reason="better by 4 points")
    assert (done["state"], done["promoted_by"]) == ("current", "supervisor")
    assert {each["sha256"]: each["state"] for each in bundles.listed(desk, person("auditor"))} == {
        OTHER: "current",
        BUNDLE: "retired",
    }
    with pytest.raises(Conflict):
        bundles.promote(desk, person("supervisor"), OTHER, reason="again")
    with pytest.raises(Conflict, match="retired"):
        inspections.request(desk, person("operator"), [put_picture(desk, 1)], using=[BUNDLE])


def test_what_is_no_bundle_is_refused(desk):
    with pytest.raises(InputError):
        bundles.receive(desk, person("administrator"), io.BytesIO(b"PK\x03\x04 not a bundle"), task="steel")
    with pytest.raises(Refused):
        bundles.receive(desk, person("supervisor"), io.BytesIO(b""), task="steel")


# -- annotations ------------------------------------------------------------------------------------------


def png(inside, mode="L"):
    buffer = io.BytesIO()
    Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_brushed_mask_comes_back_as_its_connected_components(desk):
    sha = put_picture(desk, 1)  # 48 x 64
    inside = np.zeros((48, 64), bool)
    inside[2:6, 3:10] = True
    inside[6, 10] = True  # touches by a corner
    inside[30:32, 50:53] = True
    made = marks.add(desk, person("operator"), sha, "mask", label_="scratch", mask=png(inside))
    assert made["geometry"]["count"] == 2
    assert made["geometry"]["area_px"] == 4 * 7 + 1 + 6
    assert made["geometry"]["components"] == [
        {"x": 3, "y": 2, "w": 8, "h": 5, "area_px": 29},
        {"x": 50, "y": 30, "w": 3, "h": 2, "area_px": 6},
    ]
    kept = np.asarray(Image.open(desk.store.path(made["geometry"]["mask"])))
    assert np.array_equal(kept > 0, inside)
    assert images.picture(desk, person("auditor"), made["geometry"]["overlay"]).is_file()


def test_a_mask_on_a_transparent_sheet_counts_where_it_was_brushed():
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[1, 2] = (255, 240, 60, 255)
    rgba[3, 3] = (0, 0, 0, 255)  # erased with black
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    assert np.argwhere(marks.mask_of(buffer.getvalue(), 5, 4)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "mask",
    [b"", b"no png", png(np.ones((48, 63), bool)), png(np.zeros((48, 64), bool)), png(np.ones((48, 64), bool))[:60]],
)
def test_a_mask_of_another_size_or_none_is_refused(desk, mask):
    with pytest.raises(InputError):
        marks.add(desk, person("operator"), put_picture(desk, 1), "mask", label_="scuff", mask=mask)


def test_a_polygons_area_and_the_images_border(desk):
    sha = put_picture(desk, 1)
    made = marks.add(
        desk, person("operator"), sha, "polygon", label_="x", geometry={"points": [[0, 0], [10, 0], [0, 8]]}
    )
    assert made["geometry"]["area_px"] == 40
    for points in (
        [[0, 0], [65, 0], [0, 8]],
        [[0, 0], [1, 1]],
        [[0, 0], [1, 1], [2, 2]],
        [[0, 0], [1, None], [2, 2]],
        7,
    ):
        with pytest.raises(InputError):
            marks.add(desk, person("operator"), sha, "polygon", label_="x", geometry={"points": points})


@pytest.mark.parametrize(
    "box",
    [
        {"x": 60, "y": 0, "w": 5, "h": 5},
        {"x": 0, "y": 0, "w": 0, "h": 5},
        {"x": float("nan"), "y": 0, "w": 1, "h": 1},
        {},
    ],
)
def test_a_box_lies_in_the_image(desk, box):
    with pytest.raises(InputError):
        marks.add(desk, person("operator"), put_picture(desk, 1), "box", label_="pinhole", geometry=box)


def test_a_mark_of_unknown_origin_needs_no_label(desk):
    sha = put_picture(desk, 1)
    box = {"x": 1, "y": 1, "w": 5, "h": 5}
    with pytest.raises(InputError, match="label"):
        marks.add(desk, person("operator"), sha, "box", geometry=box)
    assert marks.add(desk, person("operator"), sha, "box", geometry=box, origin_unknown=True)["origin_unknown"]


def test_a_mark_is_changed_by_its_author_or_a_reviewer_and_once(desk):
    sha, box = put_picture(desk, 1), {"x": 1, "y": 1, "w": 5, "h": 5}
    first = marks.add(desk, person("operator", "ada"), sha, "box", label_="scuff", geometry=box)["id"]
    with pytest.raises(Refused):
        marks.add(desk, person("operator", "henry"), sha, "box", label_="pit", geometry=box, replaces=first)
    second = marks.add(desk, person("reviewer"), sha, "box", label_="pit", geometry=box, replaces=first)["id"]
    with pytest.raises(Conflict):
        marks.add(desk, person("operator", "ada"), sha, "box", label_="x", geometry=box, replaces=first)
    assert [each["id"] for each in marks.listed(desk, person("auditor"), sha)] == [second]
    marks.remove(desk, person("reviewer"), second, reason="")
    assert not marks.listed(desk, person("auditor"), sha)
    with pytest.raises(NotFound):
        marks.remove(desk, person("reviewer"), "nothing", reason="")

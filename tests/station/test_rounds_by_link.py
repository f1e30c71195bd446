from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station import rating, rounds, templates
from sorby.station.database import tables
from sorby.station.desk import Conflict, Refused, SignedOut
from sorby.station.records import list_entries, verify_record
from sorby.station.rounds import Wanted
from station_household import PASSWORD, add_image

LABELS = ("M7", "G6", "B8", "M9", "G8")
GOOD = {"class": "M", "code": "M7", "criterion": "average", "region": "whole", "flags": [], "comment": ""}


@pytest.fixture
def links(station) -> list[str]:
    """The secrets of three raters of an open round robin of five images and two repeats."""
    images = [Wanted(add_image(station, k), label) for k, label in enumerate(LABELS)]
    who = station.actors["supervisor"]
    study = rounds.plan_round(station.desk, who, "autumn", "steel", images, ["R1", "R2", "R3"], repeats=2, seed=1)
    rounds.set_state(station.desk, who, study.id, "open")
    station.study = study.id
    return [one.url.rpartition("/")[2] for one in rounds.invite(station.desk, who, study.id)]


def test_a_link_is_told_once_and_only_its_digest_is_kept(station, links) -> None:
    raw = b"".join(
        file.read_bytes() for file in station.desk.settings.home.iterdir() if file.name.startswith("station.sqlite")
    )
    assert not any(secret.encode() in raw for secret in links)
    assert len(set(links)) == 3


def test_a_new_link_ends_the_old_one_and_keeps_the_answers(station, links) -> None:
    rating.save_rating(station.desk, links[0], 1, GOOD, 3.0)
    (fresh,) = rounds.invite(station.desk, station.actors["supervisor"], station.study, ["R1"])
    with pytest.raises(SignedOut):
        rating.welcome(station.desk, links[0])
    assert rating.welcome(station.desk, fresh.url.rpartition("/")[2]).done == 1


def test_rater_sees_nothing_of_what_the_images_are(station, links) -> None:
    client = station.client()
    seen = client.get(f"/api/v1/rate/{links[0]}").text
    for place in range(1, 8):
        seen += client.get(f"/api/v1/rate/{links[0]}/places/{place}").text
    design = rounds.get_design(station.desk, station.actors["supervisor"], station.study)
    for item in design["items"]:
        for hidden in (item["sha256"], item["copy_sha256"], item["path"], item["specimen"], item["name"]):
            assert f'"{hidden}"' not in seen
    for path in (f"studies/{station.study}/design", f"studies/{station.study}/results", "studies", "records"):
        assert client.get(f"/api/v1/{path}").status_code == 401


def test_repeats_show_the_same_image_under_another_code(station, links) -> None:
    places = [rating.look(station.desk, links[0], place) for place in range(1, 8)]
    pictures = [rating.picture(station.desk, links[0], place) for place in range(1, 8)]
    assert len({place.code for place in places}) == 7
    assert len(set(pictures)) == 5
    assert not any(one == other for one, other in pairwise(pictures))


def test_range_of_codes_follows_the_class_chosen(station, links) -> None:
    refused = {**GOOD, "class": "B"}
    with pytest.raises(InputError, match="range"):
        rating.save_rating(station.desk, links[0], 1, refused, 3.0)
    client = station.client()
    answer = client.put(f"/api/v1/rate/{links[0]}/places/1", json={"answer": refused})
    assert answer.status_code == 422
    assert "B5" in answer.json()["hint"]


def test_saving_the_same_answer_again_changes_nothing(station, links) -> None:
    first = rating.save_rating(station.desk, links[0], 1, GOOD, 3.0)
    again = rating.save_rating(station.desk, links[0], 1, GOOD, 9.0)
    assert (first.changed, again.changed) == (True, False)
    assert first.at == again.at
    entries = list_entries(station.desk, station.actors["auditor"], action="rating.save")
    assert len(entries) == 1


def test_a_changed_answer_keeps_the_old_one_on_the_record(station, links) -> None:
    rating.save_rating(station.desk, links[0], 1, GOOD, 3.0)
    rating.save_rating(station.desk, links[0], 1, {**GOOD, "code": "M8"}, 3.0)
    entry = list_entries(station.desk, station.actors["auditor"], action="rating.save")[0]
    assert (entry.old["code"], entry.new["code"], entry.actor, entry.role) == ("M7", "M8", "R1", "rater")
    assert verify_record(station.desk).intact


def test_raters_at_once_lose_nothing(station, links) -> None:
    jobs = [(secret, place) for secret in links for place in range(1, 8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: rating.save_rating(station.desk, job[0], job[1], GOOD, 1.0), jobs))
    seats = rounds.seats(station.desk, station.actors["supervisor"], station.study)
    assert [seat.done for seat in seats] == [7, 7, 7]
    assert verify_record(station.desk).intact


def test_resuming_elsewhere_goes_on_at_the_first_gap(station, links) -> None:
    for place in (1, 2, 4):
        rating.save_rating(station.desk, links[0], place, GOOD, 1.0)
    assert rating.welcome(station.desk, links[0]).next == 3


def test_nothing_is_rated_before_opening_or_after_closing(station, links) -> None:
    who = station.actors["supervisor"]
    rounds.set_state(station.desk, who, station.study, "closed")
    with pytest.raises(Conflict):
        rating.save_rating(station.desk, links[0], 1, GOOD, 1.0)
    with pytest.raises(Conflict):
        rounds.set_state(station.desk, who, station.study, "open")
    with pytest.raises(Conflict):
        rounds.invite(station.desk, who, station.study)


def test_results_are_those_of_the_ratings(station, links) -> None:
    design = rounds.get_design(station.desk, station.actors["supervisor"], station.study)
    label = {item["name"]: item["label"] for item in design["items"]}
    behind = {showing["code"]: showing["item"] for showing in design["showings"]}
    for secret in links:
        for place in range(1, 8):
            code = label[behind[rating.look(station.desk, secret, place).code]]
            rating.save_rating(station.desk, secret, place, {**GOOD, "class": code[0], "code": code}, 2.0)
    found = rounds.round_results(station.desk, station.actors["supervisor"], station.study)
    assert found["progress"]["ratings"] == found["progress"]["expected"] == 21
    assert found["agreement"]["code"]["fleiss_kappa"]["value"] == pytest.approx(1.0)
    with pytest.raises(Refused):
        rounds.round_results(station.desk, station.actors["reviewer"], station.study)


def test_profile_is_kept_and_checked(station, links) -> None:
    told = {"experience_years": 12, "frequency": "daily", "site": "Ulm"}
    assert rating.save_profile(station.desk, links[0], told)["experience_years"] == 12.0
    for wrong in ({"experience_years": -1}, {"frequency": "hourly"}, {"role": "administrator"}):
        with pytest.raises(InputError):
            rating.save_profile(station.desk, links[0], wrong)


def test_comments_are_kept_as_text(station, links) -> None:
    nasty = "<script>alert(1)</script>\x00\x1b[31m"
    answer = station.client().put(
        f"/api/v1/rate/{links[0]}/places/1", json={"answer": {**GOOD, "comment": "<img src=x onerror=alert(1)>"}}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    refused = station.client().put(f"/api/v1/rate/{links[0]}/places/1", json={"answer": {**GOOD, "comment": nasty}})
    assert refused.status_code == 422  # a NUL is no text


def test_locked_template_stays_as_it_is(station) -> None:
    who, cues = station.actors["supervisor"], {"cues": ["mirror", "mist"]}
    templates.save_template(station.desk, who, "ceramics", "consensus", cues)
    with pytest.raises(Refused):
        templates.lock_template(station.desk, who, "ceramics", "a wrong password")
    templates.lock_template(station.desk, who, "ceramics", PASSWORD)
    with pytest.raises(Conflict):
        templates.save_template(station.desk, who, "ceramics", "consensus", {"cues": ["pore"]})
    entry = list_entries(station.desk, station.actors["auditor"], action="template.lock")[0]
    assert (entry.meaning, entry.new) == ("approved", cues)
    with station.desk.database.read() as session:
        assert session.scalars(select(tables.Template.content)).one() == cues


def test_a_round_robin_runs_on_either_database(either_station) -> None:
    desk, who = either_station.desk, either_station.actors["supervisor"]
    images = [Wanted(add_image(either_station, k), label) for k, label in enumerate(LABELS)]
    study = rounds.plan_round(desk, who, "autumn", "steel", images, ["R1", "R2"], seed=1)
    rounds.set_state(desk, who, study.id, "open")
    links = [one.url.rpartition("/")[2] for one in rounds.invite(desk, who, study.id)]
    jobs = [(secret, place) for secret in links for place in range(1, 6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job: rating.save_rating(desk, job[0], job[1], GOOD, 1.0), jobs))
    assert rounds.round_results(desk, who, study.id)["progress"]["finished"] == 2
    assert verify_record(desk).intact

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pypdfium2 import PdfDocument

from sorby.errors import InputError
from sorby.record import Anchor
from sorby.station import certificates
from sorby.station.database import tables
from sorby.station.desk import Conflict, NotFound, Refused
from sorby.station.drift import drift
from sorby.station.records import list_anchors, list_entries, verify_record
from sorby.station.reviews import decide
from station_household import PASSWORD, add_bundle, add_image, add_inspection


@pytest.fixture
def specimen(station) -> list[str]:
    """Two inspected images of one specimen, one of them waiting for a person."""
    bundle = add_bundle(station)
    images = [add_image(station, k, "100Cr6-17") for k in (1, 2)]
    return [
        add_inspection(station, images[0], bundle),
        add_inspection(station, images[1], bundle, "waiting", reasons=["novel"]),
    ]


def _issue(station, password: str = PASSWORD):
    return certificates.issue(station.desk, station.actors["reviewer"], ["100Cr6-17"], password)


def test_nothing_is_certified_that_waits_for_a_person(station, specimen) -> None:
    with pytest.raises(Conflict, match="wait for a person: 1"):
        _issue(station)
    with pytest.raises(NotFound):
        certificates.issue(station.desk, station.actors["reviewer"], ["unheard of"], PASSWORD)


def test_certificate_states_a_record_that_verifies(station, specimen) -> None:
    decide(station.desk, station.actors["reviewer"], specimen[1], "corrected", label="M8", reason="needles are longer")
    (made,) = _issue(station)
    page = certificates.page_file(station.desk, station.actors["auditor"], made.id)
    text = PdfDocument(page)[0].get_textpage().get_text_bounded()
    for words in ("100Cr6-17", "M7 (1 image), M8 (1 image)", "Reviewer", "validation"):
        assert words in text, words
    anchor = Anchor(made.count, made.head)
    assert verify_record(station.desk, [anchor]).intact
    assert made.head in {one.head for one in list_anchors(station.desk).anchors}
    entry = list_entries(station.desk, station.actors["auditor"], action="certificate.issue")[0]
    assert (entry.meaning, entry.evidence["certificate"]) == ("approved", made.file)
    batch = certificates.batch_file(station.desk, station.actors["auditor"], made.id)
    with zipfile.ZipFile(batch) as archive:
        names = archive.namelist()
    assert {"certificates.csv", "certificates.xlsx", f"certificates/{made.id}.pdf"} <= set(names)


def test_certificate_needs_the_right_password(station, specimen) -> None:
    decide(station.desk, station.actors["reviewer"], specimen[1], "accepted")
    with pytest.raises(Refused):
        _issue(station, "a wrong password")
    assert certificates.list_certificates(station.desk, station.actors["auditor"]) == []


def _weeks(station, shares: list[float], n: int = 40) -> str:
    """A bundle that referred a share of *n* images in each of some weeks."""
    bundle = add_bundle(station)
    image = add_image(station, 1)
    monday = datetime(2026, 1, 5, 12, tzinfo=UTC)
    rng = np.random.default_rng(1863)
    for week, share in enumerate(shares):
        at = (monday + timedelta(weeks=week)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for k in range(n):
            referred = k < round(share * n)
            confidence = float(rng.normal(0.9, 0.02))
            add_inspection(station, image, bundle, referred=referred, confidence=confidence, at=at)
    return bundle


def test_a_jump_of_the_referral_share_is_an_alarm_in_its_week(station) -> None:
    bundle = _weeks(station, [0.1, 0.15, 0.1, 0.125, 0.1, 0.15, 0.6], n=20)
    found = drift(station.desk, station.actors["auditor"], bundle, baseline=6)
    assert found.periods == [f"2026-W{week:02d}" for week in range(2, 9)]
    assert found.images == [20] * 7
    jump = [alarm for alarm in found.alarms if alarm["chart"] == "referred" and alarm["rule"] == "beyond-3-sigma"]
    assert [(alarm["period"], alarm["high"], alarm["n"]) for alarm in jump] == [("2026-W08", True, 20)]
    assert not [alarm for alarm in found.alarms if alarm["chart"] == "confidence" and alarm["rule"] == "beyond-3-sigma"]


def test_weeks_without_images_are_gaps(station) -> None:
    bundle, image = add_bundle(station), add_image(station, 1)
    for at in ("2025-12-29T08:00:00.000000Z", "2026-01-12T08:00:00.000000Z"):
        add_inspection(station, image, bundle, at=at)
    found = drift(station.desk, station.actors["auditor"], bundle)
    assert found.periods == ["2026-W01", "2026-W02", "2026-W03"]
    assert found.images == [1, 0, 1]
    assert found.charts["referred"]["values"] == [0.0, None, 0.0]


def test_instruments_are_charted_apart(station) -> None:
    bundle = add_bundle(station)
    for number, instrument in ((1, "LM1"), (2, "LM2")):
        add_inspection(station, add_image(station, number, instrument=instrument), bundle)
    assert drift(station.desk, station.actors["auditor"], bundle, instrument="LM1").images == [1]
    with pytest.raises(InputError):
        drift(station.desk, station.actors["auditor"], bundle, instrument="LM3")


def test_what_was_measured_is_printed_with_its_standard(station) -> None:
    bundle, image = add_bundle(station), add_image(station, 1, "100Cr6-17")
    measured = {
        "kind": "grains", "standard": "ASTM E112-13(2021)", "warnings": [],
        "figures": [{"name": "G (planimetric)", "value": 8.25, "ci95": [8.0, 8.5], "unit": ""}],
    }  # fmt: skip
    inspection = add_inspection(station, image, bundle)
    with station.desk.database.write() as session:
        row = session.get(tables.Inspection, inspection)
        row.verdict = {**row.verdict, "measurement": measured}
    (made,) = _issue(station)
    page = certificates.page_file(station.desk, station.actors["auditor"], made.id)
    text = PdfDocument(page)[0].get_textpage().get_text_bounded()
    for words in ("G (planimetric)", "8.25", "ASTM E112-13(2021)"):
        assert words in text, words

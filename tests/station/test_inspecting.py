"""Inspection jobs with real bundles: verdicts, overlays, traces, crashes half-way, and teaching from corrections."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from sorby.bundle import open_bundle
from sorby.classify import Classifier, Verdict
from sorby.errors import InputError
from sorby.station import bundles, datasets, images, inspections, jobs, retraining, reviews
from sorby.station.database import tables
from sorby.station.desk import Conflict, NotFound
from sorby.station.jobs import claim, inspecting
from sorby.station.jobs.worker import Worker
from sorby.station.permissions import STATION
from stations import new_desk, person
from textures import CLASSES, texture


def encoded(grey) -> io.BytesIO:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return io.BytesIO(buffer.getvalue())


@pytest.fixture
def desk(tmp_path):
    return new_desk(tmp_path)


def upload(desk, kind, seed, **words):
    grey = texture(kind, np.random.default_rng(seed))
    return images.receive(desk, person("operator"), encoded(grey), f"{kind}-{seed}.png", **words)["sha256"]


@pytest.fixture
def bundle(desk, trained):
    with open(trained.bundle, "rb") as file:
        made = bundles.receive(desk, person("administrator"), file, task="textures")
    return bundles.promote(desk, person("supervisor"), made["sha256"], reason="the first one")["sha256"]


def work_off(desk):
    worker = Worker(desk)
    while (work := claim(desk, worker.name)) is not None:
        worker.do(work)


def all_of(desk, **wanted):
    return inspections.listed(desk, person("auditor"), **wanted)["inspections"]


def test_a_station_says_what_the_bundle_says(desk, bundle, trained):
    shas = [upload(desk, kind, seed) for seed, kind in enumerate([*CLASSES, "rings"])]
    asked = inspections.request(desk, person("operator"), shas)
    work_off(desk)
    done = jobs.get(desk, person("auditor"), asked["id"])
    assert (done["state"], done["done"], done["result"]["inspected"]) == ("done", 4, 4)
    classifier = Classifier.from_bundle(open_bundle(trained.bundle))
    alone = dict(zip(shas, classifier.inspect([desk.store.path(sha) for sha in shas]), strict=True))
    for row in all_of(desk):
        verdict = alone[row["image"]]
        assert isinstance(verdict, Verdict)
        assert row["label"] == verdict.label
        assert row["confidence"] == pytest.approx(verdict.confidence, abs=1e-6)
        assert row["set"] == list(verdict.labels)
        assert set(row["reasons"]) == set(verdict.reasons)
        assert row["state"] == ("waiting" if verdict.reasons else "clear")
    # Rings were never taught: they wait for a person, and first of all.
    assert reviews.queue(desk, person("reviewer"), order="risk")["inspections"][0]["image"] == shas[3]


def test_a_verdict_shows_where_the_classifier_looked_and_how_it_came_about(desk, bundle):
    sha = upload(desk, "stripes", 5)
    inspections.request(desk, person("operator"), [sha])
    work_off(desk)
    (row,) = all_of(desk)
    shown = Image.open(images.picture(desk, person("auditor"), row["overlays"]["cam"]))
    assert (shown.mode, shown.size) == ("RGBA", (72, 72))
    assert 0 < np.asarray(shown)[..., 3].mean() < 255
    found = inspections.get(desk, person("auditor"), row["id"])
    trace = found["verdict"]["trace"]
    assert trace["bundle"]["sha256"] == bundle
    assert trace["recipe"] == "textures"
    assert trace["thresholds"]["novelty_rate"] == 0.02
    assert [step["step"] for step in trace["steps"]] == ["scale", "label", "set", "novelty", "decision"]
    assert sum(found["verdict"]["probabilities"].values()) == pytest.approx(1)
    assert found["verdict"]["notes"] == []  # the store's own names are nobody's business
    with desk.database.read() as session:
        entry = session.scalars(select(tables.Entry).where(tables.Entry.subject == f"inspection/{row['id']}")).one()
    assert sha in entry.evidence
    assert bundle in entry.evidence


def test_a_job_cut_short_goes_on_where_it_was(desk, bundle, monkeypatch):
    shas = [upload(desk, CLASSES[k % 3], k) for k in range(11)]
    asked = inspections.request(desk, person("operator"), shas, explain=False)
    commit, committed = inspecting._commit, []

    def dies_after_one(work, sha, said):
        if committed:
            raise KeyboardInterrupt  # as a kill would, past every handler of errors
        committed.append(len(said))
        commit(work, sha, said)

    monkeypatch.setattr(inspecting, "_commit", dies_after_one)
    with pytest.raises(KeyboardInterrupt):
        inspecting.run(claim(desk, "doomed", lease_s=0))
    assert len(all_of(desk, job=asked["id"])) == committed[0] == 8
    seen = []
    monkeypatch.setattr(
        inspecting, "_commit", lambda work, sha, said: (seen.append(len(said)), commit(work, sha, said))
    )
    work_off(desk)
    assert seen == [3]
    assert jobs.get(desk, person("auditor"), asked["id"])["result"]["inspected"] == 11
    rows = all_of(desk, job=asked["id"], limit=100)
    assert sorted(row["image"] for row in rows) == sorted(shas)


def test_an_image_that_is_gone_is_said_and_the_others_go_on(desk, bundle):
    good, gone = upload(desk, "blobs", 1), upload(desk, "blobs", 2)
    path = desk.store.path(gone)
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    asked = inspections.request(desk, person("operator"), [good, gone])
    work_off(desk)
    done = jobs.get(desk, person("auditor"), asked["id"])
    assert done["state"] == "done"
    assert [each["image"] for each in done["result"]["quarantined"]] == [gone]
    assert [row["image"] for row in all_of(desk)] == [good]


def test_which_bundle_looks_must_be_clear(desk):
    sha = upload(desk, "blobs", 1)
    with pytest.raises(Conflict, match="0 bundles are current"):
        inspections.request(desk, person("operator"), [sha])
    with pytest.raises(NotFound):
        inspections.request(desk, person("operator"), [sha], using=["ab" * 32])


@pytest.fixture
def second(desk, trained, tmp_path, bundle):
    """The same classifier with two classes' names exchanged: it disagrees wherever it is right."""
    from sorby.classify.recipe import load
    from sorby.workflow import train
    from textures import SMALL, write_table

    names = {"blobs": "checks", "checks": "blobs"}
    table = write_table(tmp_path / "other", specimens=16, names=names)
    result = train(
        table, tmp_path / "run", load(None, SMALL), image="picture", label="structure", group="piece", report=False
    )
    with open(result["bundle"], "rb") as file:
        return bundles.receive(desk, person("administrator"), file, task="textures")["sha256"]


def test_images_on_which_two_bundles_disagree_are_disputed(desk, bundle, second):
    shas = [upload(desk, kind, 7) for kind in CLASSES]
    asked = inspections.request(desk, person("operator"), shas, using=[bundle, second], explain=False)
    work_off(desk)
    found = inspections.compared(desk, person("auditor"), asked["id"])
    assert (found["n"], found["agreeing"]) == (3, 1)
    assert [line["agree"] for line in found["images"]] == [False, False, True]
    disputed = [row for row in all_of(desk) if "bundles-disagree" in row["reasons"]]
    assert {row["image"] for row in disputed} == set(shas[:2])
    assert {row["state"] for row in disputed} == {"waiting"}


def labelled(desk, seeds, classes=CLASSES):
    return [
        {"image": upload(desk, kind, 100 * k + seed, specimen=f"{kind}{seed}"), "label": kind}
        for k, kind in enumerate(classes)
        for seed in seeds
    ]


def test_a_candidate_is_taught_from_corrections_and_compared_on_locked_images(desk, bundle):
    supervisor, reviewer = person("supervisor"), person("reviewer")
    with pytest.raises(NotFound, match="teaching"):
        retraining.start(desk, reviewer, bundle)
    datasets.make(desk, supervisor, "first", "textures", "teaching", labelled(desk, range(500, 516)))
    locked = labelled(desk, range(600, 606))
    datasets.make(desk, supervisor, "locked", "textures", "locked", locked)
    with pytest.raises(Conflict, match="corrections"):
        retraining.start(desk, reviewer, bundle)
    new = [upload(desk, "blobs", seed, specimen=f"new{seed}") for seed in range(900, 904)]
    inspections.request(desk, person("operator"), [*new, locked[0]["image"]], explain=False)
    work_off(desk)
    for row in all_of(desk):
        reviews.decide(desk, reviewer, row["id"], "accepted")
    asked = retraining.start(desk, reviewer, bundle)
    with pytest.raises(Conflict, match="already"):
        retraining.start(desk, supervisor, bundle)
    work_off(desk)
    done = jobs.get(desk, supervisor, asked["id"])
    assert done["state"] == "done", done["message"]
    comparison = done["result"]["comparison"]
    assert comparison["n"] == 18
    assert comparison["taught"]["corrections"] == 4  # the locked image teaches nothing, whoever reviewed it
    right = {name: comparison[name]["accuracy"]["value"] for name in ("candidate", "current")}
    assert comparison["difference"]["accuracy"]["value"] == pytest.approx(right["candidate"] - right["current"])
    assert "locked images" in comparison["sentence"]
    candidate = bundles.get(desk, supervisor, done["result"]["bundle"])
    assert (candidate["state"], candidate["added_by"]) == ("candidate", "reviewer")
    made = Classifier.from_bundle(open_bundle(desk.store.path(_file(desk, candidate["sha256"]))))
    assert not made.was_taught([row["image"] for row in locked]).any()
    bundles.promote(desk, supervisor, candidate["sha256"], reason=comparison["sentence"])
    assert bundles.get(desk, supervisor, bundle)["state"] == "retired"


def _file(desk, sha):
    with desk.database.read() as session:
        return bundles.find(session, sha).file


def test_an_anomaly_bundle_finds_regions(desk, tmp_path):
    from sorby.anomaly.recipe import load
    from sorby.workflow.anomaly.fitting import fit

    good = tmp_path / "good"
    good.mkdir()
    for seed in range(24):
        Image.fromarray(texture("stripes", np.random.default_rng(seed))).save(good / f"{seed}.png")
    fit(good, tmp_path / "a.sorby", recipe=load(None, {"image.height": 64, "image.width": 64}))
    with open(tmp_path / "a.sorby", "rb") as file:
        sha = bundles.receive(desk, person("administrator"), file, task="stripes")["sha256"]
    bad = texture("stripes", np.random.default_rng(99))
    bad[30:44, 20:40] = 255
    flawed = images.receive(desk, STATION, encoded(bad), "flaw.png", pixel_size_um=2.0)["sha256"]
    inspections.request(desk, person("operator"), [flawed], using=[sha])
    work_off(desk)
    (row,) = all_of(desk)
    assert (row["label"], row["reasons"], row["state"]) == ("anomalous", ["anomalous"], "waiting")
    assert set(row["overlays"]) == {"map", "mask", "boxes"}
    found = inspections.get(desk, person("auditor"), row["id"])["verdict"]["findings"]
    strongest = found[0]
    assert strongest["x"] < 40
    assert strongest["x"] + strongest["w"] > 20
    assert strongest["area_um2"] == pytest.approx(4 * strongest["area_px"])


def test_a_measurement_stands_beside_the_verdict(desk, bundle):
    from sorby.phantom.grains import render_grains

    grains = render_grains(8.0, 3)
    scaled = images.receive(desk, STATION, encoded(grains.pixels), "grains.png", pixel_size_um=grains.pixel_size_um)
    unscaled = images.receive(desk, STATION, encoded(grains.pixels[:300]), "no-scale.png")
    inspections.request(
        desk, person("operator"), [scaled["sha256"], unscaled["sha256"]], explain=False, measure="grains"
    )
    work_off(desk)
    rows = {row["image"]: inspections.get(desk, person("auditor"), row["id"]) for row in all_of(desk)}
    found = rows[scaled["sha256"]]["verdict"]["measurement"]
    planimetric = next(each for each in found["figures"] if each["name"] == "G (planimetric)")
    # A field of some 150 grains: the tracer is within half a number of this phantom's own truth.
    assert planimetric["value"] == pytest.approx(grains.grain_size_g, abs=0.5)
    assert found["standard"].startswith("ASTM E112")
    assert images.picture(desk, person("auditor"), rows[scaled["sha256"]]["overlays"]["measurement"]).is_file()
    without = rows[unscaled["sha256"]]["verdict"]["measurement"]
    assert (without["figures"], without["warnings"]) == ([], ["no pixel size is known"])
    with pytest.raises(InputError):
        inspections.request(desk, person("operator"), [scaled["sha256"]], measure="temperature")

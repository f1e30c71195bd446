"""A station with something of everything, made in seconds and without teaching a model, and its server.

    python tests/station/browser/sample_station.py HOME PORT [calm]

Images are steel phantoms. What the bundle "said" of them is written here: it is a sample of pages, not of a model.
Unless *calm*, people typed what a browser must not run.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import select

from sorby.phantom import draw_specimen, render_steel
from sorby.station import annotations, candidates, consensus, images, jobs, overlays, rating, reviews, rounds
from sorby.station.accounts import change_own_password, create_account
from sorby.station.database import tables
from sorby.station.desk import Act, Desk, new_id
from sorby.station.home import open_desk, prepare
from sorby.station.inspections import risk, trace
from sorby.station.permissions import GRANTED, STATION, Actor, Role
from sorby.station.settings import Settings
from sorby.study import Design, read_scheme

PASSWORD = "grain boundary tea 42"
PEOPLE = {
    "operator": Role.OPERATOR, "reviewer": Role.REVIEWER, "second": Role.REVIEWER, "supervisor": Role.SUPERVISOR,
    "administrator": Role.ADMINISTRATOR, "auditor": Role.AUDITOR,
}  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
CODES = ("G6", "G8", "B7", "B8", "M6", "M8", "G7", "M7")
CLASSES = ("G", "B", "M")


@dataclass(frozen=True)
class Words:
    """What people typed here and there."""

    file: str = "<img src=x onerror=alert(3)>.png"
    specimen: str = HOSTILE
    rater: str = HOSTILE[:28]
    label: str = HOSTILE
    comment: str = HOSTILE


CALM = Words("section-4.png", "S-18", "Dinah", "coarse needles", "mixed structure")


def actor(name: str) -> Actor:
    """Return one of the station's people."""
    return Actor(f"id-{name}", name, PEOPLE[name].value, GRANTED[PEOPLE[name]])


def make(home: Path, url: str, words: Words) -> Desk:
    """Return the desk of a sample station."""
    prepare(home)
    desk = open_desk(Settings(home, url), migrating=True)
    for name, role in PEOPLE.items():
        made = create_account(desk, STATION, name, name.title(), role, PASSWORD + " first")
        change_own_password(desk, Actor(made.account.id, name, role.value, frozenset()), PASSWORD + " first", PASSWORD)
    shown = [_image(desk, k, code, words) for k, code in enumerate(CODES)]
    with desk.acting(STATION) as act:
        current, candidate = (_bundle(act, k) for k in range(2))
        job = jobs.enqueue(act, "inspect", {"images": [each["sha256"] for each in shown],
                                            "bundles": [current, candidate]}, total=2 * len(shown))  # fmt: skip
        job.state, job.done, job.finished_at, job.result = "done", job.total, act.at, {}
        for k, (image, code) in enumerate(zip(shown, CODES, strict=True)):
            _inspection(desk, act, job.id, image, current, code[0], k)
            _inspection(desk, act, job.id, image, candidate, CLASSES[(k + k // 3) % 3], k, quiet=True)
        _history(act, current, shown)
        jobs.enqueue(act, "retrain", {"bundle": current}, total=40)
    _review(desk)
    _annotate(desk, shown, words)
    _round(desk, words)
    _consensus(desk, words)
    return desk


def _image(desk: Desk, k: int, code: str, words: Words) -> dict[str, Any]:
    specimen = draw_specimen(code, seed=k // 2, images=1, size_px=(420, 560), micron_bar=False, resin_share=0.0)
    pixels = render_steel(specimen.specs[0], seed=k).pixels
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    buffer.seek(0)
    name = words.file if k == 3 else f"section-{k + 1}.png"
    return images.receive(
        desk, actor("operator"), buffer, name, specimen=words.specimen if k == 3 else f"S-{17 + k // 2}",
        instrument="Axio Imager", pixel_size_um=0.1857 if k % 2 else 0.3714, magnification=500 if k % 2 else 250,
    )  # fmt: skip


def _bundle(act: Act, k: int) -> str:
    sha = f"{k + 1:064x}"
    comparison = {
        "n": 120, "n_specimens": 40, "mcnemar_p": 0.041, "only_candidate": 9, "only_current": 2, "seen_by_current": 0,
        "current": {"accuracy": {"value": 0.842}, "macro_f1": {"value": 0.815}},
        "candidate": {"accuracy": {"value": 0.9}, "macro_f1": {"value": 0.884}},
        "difference": {"accuracy": {"value": 0.058, "ci95": [0.008, 0.108]},
                       "macro_f1": {"value": 0.069, "ci95": [0.01, 0.121]}},
        "sentence": "accuracy +5.8 points on 120 locked images, 95 % CI +0.8 to +10.8",
    }  # fmt: skip
    act.session.add(
        tables.Bundle(
            sha256=sha, file=sha, name=f"steel-{'ab'[k]}", kind="classifier", task="steel subtypes",
            state=("current", "candidate")[k], classes=list(CLASSES), signature="trusted",
            comparison=comparison if k else None, added_by="reviewer", added_at=act.at,
        )
    )  # fmt: skip
    act.session.flush()
    act.record("bundle.add", f"bundle/{sha}")
    return sha


def _inspection(
    desk: Desk, act: Act, job: str, image: dict[str, Any], bundle: str, label: str, k: int, *, quiet: bool = False
) -> None:
    rng = np.random.default_rng(k + 100 * quiet)
    confidence = float(rng.uniform(0.55, 0.98))
    reasons = [] if quiet or k % 4 == 1 else [("novel", "set-several", "scale-out-of-range")[k % 3]]
    novelty = 0.012 if "novel" in reasons else float(rng.uniform(0.1, 0.9))
    others = [each for each in CLASSES if each != label]
    value, parts = risk(confidence, novelty, reasons)
    y, x = np.mgrid[0:52, 0:70].astype(np.float32)
    heat = np.exp(-((y - rng.uniform(10, 40)) ** 2 + (x - rng.uniform(12, 58)) ** 2) / 130)
    picture = overlays.heat_map(heat, (image["height"], image["width"]))
    steps = [
        ("scale", "0.186 µm a pixel (user)"), ("label", f"{label}, calibrated probability {confidence:.3f}"),
        ("novelty", f"p = {novelty:.3f}; referred up to 0.05"),
    ]  # fmt: skip
    act.session.add(
        tables.Inspection(
            id=new_id(), job_id=job, image=image["sha256"], bundle=bundle, label=label, confidence=confidence,
            set_=[label, others[0]] if "set-several" in reasons else [label], novelty=novelty, referred=bool(reasons),
            reasons=reasons, risk=value, state="waiting" if reasons else "clear", at=act.at,
            verdict={
                "probabilities": {label: confidence, others[0]: (1 - confidence) * 0.7,
                                  others[1]: (1 - confidence) * 0.3},
                "lengths_um": {}, "notes": [], "findings": [],
                "trace": trace({"name": "steel-a", "sha256": bundle}, {"software": "sample"}, steps, parts),
            },
            overlays={"cam": desk.store.put(picture).sha256},
        )
    )  # fmt: skip
    act.session.flush()


def _history(act: Act, bundle: str, shown: list[dict[str, Any]]) -> None:
    """Let the bundle have looked for half a year, and the images change towards its end."""
    rng = np.random.default_rng(9)
    today = datetime.strptime(act.at[:10], "%Y-%m-%d")
    for k in range(600):
        week = k // 24
        at = (today - timedelta(weeks=26 - week, days=int(rng.integers(0, 5)))).strftime("%Y-%m-%dT08:00:00.000000Z")
        odd = week >= 21 and rng.random() < 0.4
        referred = bool(odd or rng.random() < 0.08)
        act.session.add(
            tables.Inspection(
                id=new_id(), job_id=None, image=shown[k % len(shown)]["sha256"], bundle=bundle,
                label=str(rng.choice(CLASSES)), confidence=float(rng.beta(9, 2) - 0.2 * odd), set_=["G"],
                novelty=float(rng.uniform(0, 0.06) if odd else rng.uniform(0.05, 1)), referred=referred, reasons=[],
                risk=0.1, state="accepted" if referred else "clear", at=at, verdict={"trace": {}}, overlays={},
            )
        )  # fmt: skip
    act.session.flush()


def _review(desk: Desk) -> None:
    """Decide on the oldest, so that a study has labels and the queue has something left."""
    found = reviews.queue(desk, actor("reviewer"), order="oldest", limit=50)["inspections"]
    for each in found[:2]:
        reviews.decide(desk, actor("reviewer"), each["id"], "accepted")


def _annotate(desk: Desk, shown: list[dict[str, Any]], words: Words) -> None:
    for image, code in zip(shown, CODES, strict=True):
        annotations.add(desk, actor("reviewer"), image["sha256"], "class", label_=code)
    place = {"x": 90, "y": 60, "w": 130, "h": 90}
    annotations.add(desk, actor("operator"), shown[0]["sha256"], "box", label_=words.label, geometry=place)


def _round(desk: Desk, words: Words) -> None:
    who = actor("supervisor")
    found = candidates.labelled_images(desk, who, read_scheme("steel"))
    study = rounds.plan_round(
        desk, who, "Steel, autumn round", "steel", found, ("Ada", "Ben", "Chloe", words.rater), repeats=2, seed=1
    )
    rounds.set_state(desk, who, study.id, "open")
    rng = np.random.default_rng(5)
    truth = {item["name"]: item["label"] for item in rounds.get_design(desk, who, study.id)["items"]}
    orders = Design.from_dict(rounds.get_design(desk, who, study.id))
    for invitation in rounds.invite(desk, who, study.id)[:2]:
        secret = invitation.url.rpartition("/")[2]
        rating.save_profile(desk, secret, {"experience_years": 7, "frequency": "daily"})
        for place, showing in enumerate(orders.order_of(invitation.name), 1):
            code = truth[showing.item] if rng.random() < 0.6 else str(rng.choice(CODES))
            comment = words.comment if place == 1 else ""
            answer = {"class": code[0], "code": code, "criterion": "average", "comment": comment}
            rating.save_rating(desk, secret, place, answer, float(rng.uniform(4, 30)))


def _consensus(desk: Desk, words: Words) -> None:
    who = actor("supervisor")
    made = candidates.cases(desk, who, ["S-17", "S-19", "S-20"], ["G", "M", "G"])
    session = consensus.create_session(desk, who, "Where the model looks", made, ["reviewer", "second"])
    answers = {"coincides": "yes", "plausible": "yes", "wrong_reason": "no"}
    for name in ("reviewer", "second"):
        with desk.database.read() as reading:
            user = reading.scalars(select(tables.User).filter_by(name=name)).one()
        judge = Actor(user.id, name, user.role, GRANTED[Role(user.role)])
        consensus.judge_alone(desk, judge, session.id, "S-17", answers, ["pore"], words.comment)


def serve(home: Path, port: int, words: Words) -> None:
    """Make a sample station and serve it."""
    import uvicorn

    os.environ["NICEGUI_STORAGE_PATH"] = str(home / "pages")
    desk = make(home, f"http://127.0.0.1:{port}", words)
    from sorby.station.app import create_app
    from sorby.station.pages import mount

    uvicorn.run(create_app(desk, mount), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), CALM if "calm" in sys.argv else Words())

"""The demo project: made-up steel, a small bundle, a review queue, a round robin, a consensus session.

Nothing in it is real: images are phantoms, raters and experts are simulated, and every name says so.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select

from sorby.bundle import open_bundle
from sorby.errors import InputError
from sorby.station import accounts, bundles, candidates, consensus, datasets, images, inspections, jobs, rating, rounds
from sorby.station import annotations as marks
from sorby.station.database import tables
from sorby.station.desk import Conflict, Desk, allow
from sorby.station.jobs.queue import Work
from sorby.station.permissions import GRANTED, STATION, Actor, Permission, Role

TASK = "Demo: steel subtypes"
ROUND = "Demo: simulated round robin"
SESSION = "Demo: simulated consensus"
CUES = ("needles", "carbides", "prior austenite grains", "preparation marks")
_TAUGHT, _LOCKED, _NEW, _NOVEL = 96, 32, 24, 6
_SIZE_PX = 320
_SEED = 2026
_RATED, _REPEATED, _RATERS = 12, 4, 8
_EXPERTS = ("demo.expert-a", "demo.expert-b", "demo.expert-c")
_CASES = 4
_PATIENCE_S = 900.0


def start(desk: Desk, actor: Actor) -> dict[str, Any]:
    """Ask for the demo project; return the job.

    Raises
    ------
    Refused
        The actor neither manages the station nor organises studies.
    Conflict
        It is here, or being made.
    """
    needed = Permission.MANAGE_STATION if Permission.MANAGE_STATION in actor.permissions else Permission.ORGANISE
    with desk.acting(actor, needed) as act:
        made = act.session.execute(select(tables.Bundle.sha256).where(tables.Bundle.task == TASK).limit(1)).first()
        query = select(tables.Job).where(tables.Job.kind == "demo", tables.Job.state.in_(("queued", "running")))
        if made is not None or act.session.execute(query.limit(1)).first() is not None:
            raise Conflict("the demo project is here already, or being made", "see the list of jobs")
        job = jobs.enqueue(act, "demo", {"seed": _SEED}, total=6)
        act.record("demo.request", f"job/{job.id}")
        return jobs.as_dict(job)


def run(work: Work) -> None:
    """Render, teach, upload, and ask for inspections; the studies follow as a job of their own."""
    from sorby.classify.recipe import load
    from sorby.workflow.phantoms import write_steel_corpus
    from sorby.workflow.training import train

    desk, seed = work.desk, int(work.request["seed"])
    with tempfile.TemporaryDirectory(prefix="sorby-demo-") as place:
        folder = Path(place)
        work.alive(0, 6, f"rendering {_TAUGHT} phantoms to teach from")
        write_steel_corpus(folder / "taught", _TAUGHT, seed=seed, size_px=_SIZE_PX, label="subtype")
        work.alive(1, 6, "teaching a small classifier")
        taught = folder / "taught" / "corpus.parquet"
        # So few images cannot tell one strange image in a hundred.
        recipe = load(None, {"name": "demo", "seed": seed, "verdict.novelty_rate": 0.05})
        trained = train(taught, folder / "run", recipe, report=False)
        work.alive(2, 6, f"rendering {_LOCKED} phantoms to compare bundles on")
        write_steel_corpus(folder / "locked", _LOCKED, seed=seed + 1, size_px=_SIZE_PX, label="subtype")
        work.alive(3, 6, f"rendering {_NEW} new phantoms and {_NOVEL} of what was never taught")
        write_steel_corpus(folder / "new", _NEW, seed=seed + 2, size_px=_SIZE_PX, label="subtype", novel=_NOVEL)
        work.alive(4, 6, "uploading")
        rows = _upload(desk, folder / "new")
        _synthetic(desk, folder / "taught", rows)
        opened, file = open_bundle(trained["bundle"]), desk.store.put(Path(trained["bundle"]).read_bytes()).sha256
        work.alive(5, 6, "asking for verdicts")
        with work.committing() as act:
            bundle = bundles.add(act, opened, file, task=TASK, name="Demo classifier (phantoms)", state="current",
                                 proposer=work.created_by)  # fmt: skip
            for part in datasets.PARTS:
                source = folder / ("taught" if part == "teaching" else "locked") / "corpus.parquet"
                _enter(desk, act, source, part)
            asked = inspections.ask(act, [row["sha256"] for row in rows], using=[bundle.sha256], source="demo")
            following = jobs.enqueue(
                act, "demo-studies", {"seed": seed, "after": asked.id, "images": rows, "for": work.created_by}, total=3
            )
            work.finish(act, {"bundle": bundle.sha256, "inspection": asked.id, "studies": following.id})


def _enter(desk: Desk, act: Any, source: Path, part: datasets.Part) -> None:
    from sorby.corpus import Corpus

    datasets.enter_corpus(desk, act, Corpus.load(source), f"Demo: phantoms, {part}", TASK, part)


def _upload(desk: Desk, folder: Path) -> list[dict[str, Any]]:
    """Upload the new phantoms with what a laboratory would know of them; return hash, name and, of steel, the code."""
    rows = []
    for table in ("labels.csv", "novel/labels.csv"):
        root = (folder / table).parent
        for row in pd.read_csv(folder / table).to_dict("records"):
            with open(root / str(row["path"]), "rb") as file:
                image = images.receive(
                    desk, STATION, file, Path(str(row["path"])).name, specimen=str(row["specimen"]),
                    instrument=str(row["instrument"]), pixel_size_um=float(row["pixel_size_um"]),
                    magnification=float(row["magnification"]),
                )  # fmt: skip
            code = str(row["truth"]) if "truth" in row else ""
            if image["new"] and code:
                marks.add(desk, STATION, image["sha256"], "class", label_=code)
            rows.append({"sha256": image["sha256"], "specimen": image["specimen"], "code": code, **_shown(row)})
    return rows


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what simulated raters look at."""
    columns = (
        "subtype", "mean_needle_length_um", "largest_needle_length_um", "coarse_area_fraction",
        "retained_austenite_fraction", "carbide_fraction", "etching_depth",
    )  # fmt: skip
    return {name: row[name] for name in columns if name in row}


def _synthetic(desk: Desk, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Upload three generated images beside an original of the same subtype, waiting to be accepted."""
    for row in pd.read_csv(folder / "labels.csv").drop_duplicates("subtype").to_dict("records"):
        parent = next((each["sha256"] for each in rows if each.get("subtype") == row["subtype"]), None)
        if parent is None:
            continue
        with open(folder / str(row["path"]), "rb") as file:
            images.receive(desk, STATION, file, f"generated-{row['subtype']}.png", parent=parent,
                           pixel_size_um=float(row["pixel_size_um"]))  # fmt: skip


# -- studies ----------------------------------------------------------------------------------------------


def run_studies(work: Work) -> None:
    """Make the round robin and the consensus session, once the inspections they speak of are there."""
    desk = work.desk
    _wait(work, str(work.request["after"]))
    steel = [row for row in work.request["images"] if row["code"]]
    work.alive(1, 3, f"{_RATERS} simulated raters at work")
    study = _round(desk, steel, int(work.request["seed"]), work)
    work.alive(2, 3, "simulated experts at work")
    session = _consensus(desk, steel, str(work.request["for"]))
    with work.committing() as act:
        work.finish(act, {"round": study, "consensus": session}, "the demo project is complete")


def _wait(work: Work, job_id: str) -> None:
    began = time.monotonic()
    while True:
        work.alive(0, 3, "waiting for the verdicts")
        with work.desk.database.read() as session:
            job = session.get(tables.Job, job_id)
        if job is not None and job.state == "done":
            return
        if job is None or job.state in ("failed", "cancelled") or time.monotonic() - began > _PATIENCE_S:
            raise InputError("the demo's inspection did not come to an end", "see its job")
        time.sleep(1.0)


def _study_named(desk: Desk, name: str) -> str | None:
    with desk.database.read() as session:
        return session.execute(select(tables.Study.id).where(tables.Study.name == name)).scalars().first()


def _round(desk: Desk, steel: list[dict[str, Any]], seed: int, work: Work) -> str:
    """Make a round robin and let simulated raters answer; one of them has not finished."""
    from sorby.phantom.rater_panel import draw_panel
    from sorby.phantom.raters import rate

    names = [f"Simulated rater {number:02d}" for number in range(1, _RATERS + 1)]
    study = _study_named(desk, ROUND)
    if study is None:
        wanted = [rounds.Wanted(row["sha256"], row["code"], row["subtype"]) for row in steel[:_RATED]]
        study = rounds.plan_round(desk, STATION, ROUND, "steel", wanted, names, repeats=_REPEATED, seed=seed).id
        rounds.set_state(desk, STATION, study, "open")
    table, panel = pd.DataFrame(steel[:_RATED]), draw_panel(seed)
    # A second look is another draw of the same person's habits.
    seen = {str(name): table[name].to_numpy() for name in table}
    looks = [rate(seen, panel, seed + occasion).tolist() for occasion in (0, 1)]
    row_of = {row["sha256"]: k for k, row in enumerate(steel[:_RATED])}
    with desk.database.read() as session:
        design = rounds.design_of(desk, rounds.find_study(session, study))
    sha_of = {item.name: item.sha256 for item in design.items}
    for number, invitation in enumerate(rounds.invite(desk, STATION, study)):
        secret = invitation.url.rpartition("/")[2]
        daily = bool(panel.daily[number])
        rating.save_profile(desk, secret, {"frequency": "daily" if daily else "weekly", "experience_years": 4 + number})
        order = design.order_of(invitation.name)
        for place, showing in enumerate(order, 1):
            if number == _RATERS - 1 and place > len(order) // 2:
                break
            code = str(looks[showing.occasion - 1][row_of[sha_of[showing.item]]][number])
            answer = {"class": code[0], "code": code, "criterion": "average", "region": "whole"}
            rating.save_rating(desk, secret, place, answer, 8.0 + (place * 7 + number * 3) % 20)
        work.alive()
    return study


def _consensus(desk: Desk, steel: list[dict[str, Any]], asked_by: str) -> str:
    """Make a consensus session; simulated experts have answered alone, the joint answers are open."""
    known = _study_named(desk, SESSION)
    if known is not None:
        return known
    experts = [_expert(desk, name) for name in _EXPERTS]
    people = [*[each.name for each in experts], *_human(desk, asked_by)]
    specimens = list(dict.fromkeys(row["specimen"] for row in steel))[:_CASES]
    truth = {row["specimen"]: row["subtype"] for row in steel}
    cases = candidates.cases(desk, STATION, specimens, [truth[each] for each in specimens])
    with desk.database.read() as session:
        bundle = bundles.current(session, TASK)
    study = consensus.create_session(
        desk, STATION, SESSION, cases, people, cues=CUES, bundle="" if bundle is None else bundle.sha256
    ).id
    for number, expert in enumerate(experts):
        for k, case in enumerate(cases):
            right = case["predicted"] == case["label"]
            answers = _answers(right, doubtful=(k + number) % 4 == 3)
            consensus.judge_alone(desk, expert, study, case["name"], answers, CUES[: 1 + k % 2], "simulated")
    return study


def _answers(right: bool, doubtful: bool) -> dict[str, str]:
    from sorby.study.consensus import QUESTIONS, REPLIES

    yes, no, unsure = REPLIES
    coincide, plausible, wrong_reason = QUESTIONS
    return {
        coincide: unsure if doubtful else yes,
        plausible: yes if right else no,
        wrong_reason: yes if right and doubtful else no,
    }


def _human(desk: Desk, name: str) -> list[str]:
    """Return who asked for the demo, where they may take part."""
    with desk.database.read() as session:
        user = session.execute(select(tables.User).where(tables.User.name == name)).scalar_one_or_none()
        return [name] if user is not None and Permission.TAKE_PART in GRANTED[Role(user.role)] else []


def _expert(desk: Desk, name: str) -> Actor:
    """Return a simulated expert: an account with a password that nobody knows."""
    allow(STATION, Permission.MANAGE_ACCOUNTS)
    with desk.database.read() as session:
        user = session.execute(select(tables.User).where(tables.User.name == name)).scalar_one_or_none()
    if user is None:
        accounts.create_account(desk, STATION, name, "Simulated expert of the demo project", Role.REVIEWER)
        with desk.database.read() as session:
            user = session.execute(select(tables.User).where(tables.User.name == name)).scalar_one()
    return Actor(user.id, user.name, Role.REVIEWER.value, GRANTED[Role.REVIEWER])

"""Jobs: each done once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from sqlalchemy import select

from sorby.errors import InputError
from sorby.station.database import tables
from sorby.station.desk import Conflict, NotFound, Refused
from sorby.station.home import open_desk, prepare
from sorby.station.jobs import Cancelled, Lost, cancel, claim, enqueue, get, listed, retry
from sorby.station.jobs.queue import MOST_ATTEMPTS
from sorby.station.jobs.worker import Worker
from sorby.station.permissions import Permission
from sorby.station.settings import Settings
from stations import new_desk, person


@pytest.fixture
def desk(tmp_path):
    return new_desk(tmp_path)


def put(desk, kind="count", by="operator", **request) -> str:
    with desk.acting(person(by), Permission.INSPECT) as act:
        return enqueue(act, kind, request).id


def entries(desk, action):
    with desk.database.read() as session:
        return session.scalars(select(tables.Entry).where(tables.Entry.action == action)).all()


def count_up(work):
    with work.committing() as act:
        act.record("test.counted", f"job/{work.id}")
        work.finish(act, {"by": work.worker})


def look(desk, job_id):
    return get(desk, person("auditor"), job_id)


def test_the_one_that_waited_longest_is_taken_first(desk):
    first, second = put(desk), put(desk)
    assert [claim(desk, "a").id, claim(desk, "b").id] == [first, second]
    assert claim(desk, "c") is None


def test_many_workers_never_take_one_job_twice(desk):
    jobs = {put(desk) for _ in range(24)}
    taken, lock = [], threading.Lock()

    def take(name):
        while (work := claim(desk, name)) is not None:
            with lock:
                taken.append(work.id)
            with work.committing() as act:
                work.finish(act, {})

    threads = [threading.Thread(target=take, args=(f"w{k}",)) for k in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(taken) == sorted(jobs)
    assert len(entries(desk, "job.done")) == 24


def test_a_lease_that_ran_out_passes_the_job_on_and_the_first_worker_can_write_nothing(desk):
    job = put(desk)
    slow = claim(desk, "slow", lease_s=0.05)
    time.sleep(0.1)
    quick = claim(desk, "quick")
    assert (quick.id, quick.attempt) == (job, 2)
    with pytest.raises(Lost), slow.committing() as act:
        act.record("test.counted", f"job/{job}")
    with pytest.raises(Lost):
        slow.alive(done=3)
    assert not slow.fail("too late")
    count_up(quick)
    assert look(desk, job)["result"] == {"by": "quick"}
    assert len(entries(desk, "test.counted")) == 1


def test_results_and_state_are_written_together_or_not_at_all(desk):
    put(desk)
    work = claim(desk, "w")

    def torn():
        with work.committing() as act:
            act.record("test.counted", "x")
            work.finish(act, {})
            raise RuntimeError("the power fails before the commit")

    with pytest.raises(RuntimeError):
        torn()
    assert look(desk, work.id)["state"] == "running"
    assert not entries(desk, "test.counted")
    assert not entries(desk, "job.done")


def test_a_job_that_kills_its_workers_is_given_up_with_the_reason(desk):
    job = put(desk)
    for _ in range(MOST_ATTEMPTS):
        assert claim(desk, "doomed", lease_s=0) is not None
        time.sleep(0.002)
    assert claim(desk, "next") is None
    found = look(desk, job)
    assert found["state"] == "failed"
    assert "died" in found["message"]
    assert len(entries(desk, "job.failed")) == 1


def test_a_job_that_gets_on_is_not_given_up(desk):
    job = put(desk)
    for _ in range(2 * MOST_ATTEMPTS):
        work = claim(desk, "unlucky", lease_s=0.02)
        with work.committing() as act:
            act.record("test.step", f"job/{job}")
        time.sleep(0.03)
    count_up(claim(desk, "last"))
    assert look(desk, job)["state"] == "done"


def test_cancelling(desk):
    waiting, running = put(desk), put(desk)
    assert cancel(desk, person("operator"), waiting)["state"] == "cancelled"
    work = claim(desk, "w")
    assert work.id == running
    assert cancel(desk, person("operator"), running)["state"] == "running"
    with pytest.raises(Cancelled):
        work.alive()
    with pytest.raises(Cancelled), work.committing():
        pass
    assert work.cancelled()
    with pytest.raises(Conflict):
        cancel(desk, person("operator"), running)
    assert retry(desk, person("operator"), running)["state"] == "queued"
    assert claim(desk, "w").id == running


def test_a_job_that_was_cancelled_while_its_worker_was_dead_is_closed(desk):
    job = put(desk)
    claim(desk, "dead", lease_s=0)
    cancel(desk, person("operator"), job)
    assert claim(desk, "next") is None
    assert look(desk, job)["state"] == "cancelled"


def test_others_jobs_are_cancelled_by_those_who_organise(desk):
    job = put(desk)
    with pytest.raises(Refused):
        cancel(desk, person("operator", "another"), job)
    with pytest.raises(Refused):
        cancel(desk, person("auditor", "operator"), job)  # the same name, but a role that changes nothing
    with pytest.raises(NotFound):
        cancel(desk, person("supervisor"), "nothing")
    cancel(desk, person("supervisor"), job)
    assert [each["id"] for each in listed(desk, person("auditor"), state="cancelled")] == [job]
    assert not listed(desk, person("auditor"), state="open")


def refuses(work):
    raise InputError("the bundle is gone", "upload it again")


def breaks(work):
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("handler", "said"),
    [(refuses, "the bundle is gone; upload it again"), (breaks, "a fault of sorby itself: ZeroDivisionError")],
)
def test_a_job_that_fails_says_why(desk, handler, said):
    job = put(desk)
    worker = Worker(desk, handlers={"count": handler})
    worker.do(claim(desk, worker.name))
    found = look(desk, job)
    assert found["state"] == "failed"
    assert found["message"].startswith(said)


def test_an_unknown_kind_is_said(desk):
    job = put(desk, kind="alchemy")
    Worker(desk).do(claim(desk, "w"))
    assert "alchemy" in look(desk, job)["message"]


_WORKER = """
    import sys, time
    from pathlib import Path
    from sorby.station.home import open_desk
    from sorby.station.jobs.worker import Worker
    from sorby.station.settings import Settings

    home, slow = Path(sys.argv[1]), float(sys.argv[2])

    def count_up(work):
        Path(home / f"at-{work.worker}").touch()
        time.sleep(slow)
        with work.committing() as act:
            act.record("test.counted", f"job/{work.id}")
            work.finish(act, {"by": work.worker})

    Worker(open_desk(Settings(home)), lease_s=1.0, handlers={"count": count_up}).run()
"""


def start_worker(tmp_path, slow: float) -> subprocess.Popen:
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(_WORKER))
    return subprocess.Popen([sys.executable, script, tmp_path / "home", str(slow)], start_new_session=True)


def wait_for(true, seconds=60.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def test_a_killed_workers_job_is_done_once_by_another(desk, tmp_path):
    job, home = put(desk), tmp_path / "home"
    doomed = start_worker(tmp_path, 60)
    try:
        wait_for(lambda: list(home.glob("at-*")))
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait()
        heir = start_worker(tmp_path, 0)
        try:
            wait_for(lambda: look(desk, job)["state"] == "done")
        finally:
            heir.kill()
            heir.wait()
    finally:
        doomed.kill()
        doomed.wait()
    assert look(desk, job)["attempts"] == 1  # counted anew when it got on
    assert len(entries(desk, "test.counted")) == len(entries(desk, "job.done")) == 1
    assert f"-{heir.pid}-" in look(desk, job)["result"]["by"]


def test_a_worker_that_is_told_to_stop_hands_its_job_back_at_once(desk, tmp_path):
    job = put(desk)
    script = tmp_path / "stopping.py"
    script.write_text(
        textwrap.dedent(_WORKER)
        .replace(
            "Worker(open",
            "import signal\nworker = Worker(open",
        )
        .replace(".run()", "\nsignal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())\nworker.run()")
    )
    told = subprocess.Popen([sys.executable, script, tmp_path / "home", "60"], start_new_session=True)
    try:
        wait_for(lambda: list((tmp_path / "home").glob("at-*")))
        told.terminate()
        assert told.wait(timeout=20) == 0
    finally:
        told.kill()
        told.wait()
    found = look(desk, job)
    assert (found["state"], found["attempts"]) == ("queued", 0)


def test_jobs_of_one_transaction_keep_their_order(desk):
    with desk.acting(person("operator"), Permission.INSPECT) as act:
        wanted = [enqueue(act, "count", {}).id for _ in range(20)]
    assert [claim(desk, f"w{k}").id for k in range(20)] == wanted


@pytest.mark.postgres
def test_on_postgresql_as_on_sqlite(tmp_path, postgres_url):
    home = tmp_path / "home"
    prepare(home)
    desk = open_desk(Settings(home), postgres_url, migrating=True)
    test_many_workers_never_take_one_job_twice(desk)
    test_a_lease_that_ran_out_passes_the_job_on_and_the_first_worker_can_write_nothing(desk)
    desk.database.close()

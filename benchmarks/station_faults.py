"""Server and workers are killed at random moments: is everything there that was acknowledged, and each job done once?

Raters save answers, a reviewer decides, somebody asks for inspections, all by REST and all at once. At random moments
the server or a worker gets SIGKILL; the server is started again at once. Who gets no answer asks again: saving a rating
is idempotent, a decision says which one it saw last, and a job that was not acknowledged may exist. In the end every
acknowledged rating, decision and job must be there, each job done once with one verdict an image, and the record must
verify, also against the anchors that were set meanwhile.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from common import finish
from station_client import (
    Server,
    Somebody,
    answer_of,
    as_json,
    database,
    household,
    log_tail,
    picture,
    round_robin,
    scratch,
    upload,
)

TARGETS = {"kills": 100, "lost_ratings": 0, "lost_decisions": 0, "jobs_not_once": 0}
_AGAIN_S = 0.2


class Persistent:
    """Somebody who asks until there is an answer.

    Parameters
    ----------
    client : httpx.Client
    over : threading.Event
        Set when nothing new is to be begun.
    """

    def __init__(self, client: httpx.Client, over: threading.Event) -> None:
        self.client, self.over = client, over
        self.unanswered = 0

    def once(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """Ask; None where no answer came."""
        try:
            return self.client.request(method, path, **options)
        except httpx.HTTPError:
            self.unanswered += 1
            time.sleep(_AGAIN_S)
            return None

    def until_answered(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask until an answer comes."""
        while True:
            answer = self.once(method, path, **options)
            if answer is not None:
                return answer


class Rater(threading.Thread):
    """Saves answers one after another and remembers the last acknowledged one of each place."""

    def __init__(self, url: str, secret: str, places: int, pause: float, seed: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.asking = Persistent(httpx.Client(base_url=f"{url}/api/v1/", timeout=30), over)
        self.secret, self.places, self.pause = secret, places, pause
        self.rng = np.random.default_rng(seed)
        self.kept: dict[int, dict[str, Any]] = {}
        self.saved, self.refused = 0, list[str]()

    def run(self) -> None:
        """Rate until it is over; the last answer is pursued to its acknowledgement."""
        while not self.asking.over.is_set():
            place, answer = int(self.rng.integers(1, self.places + 1)), answer_of(int(self.rng.integers(10**6)))
            reply = self.asking.until_answered(
                "PUT", f"rate/{self.secret}/places/{place}", json={"answer": answer, "seconds": 1.0}
            )
            if reply.status_code == 200:
                self.kept[place], self.saved = answer, self.saved + 1
            else:
                self.refused.append(f"{reply.status_code} {reply.text[:120]}")
            time.sleep(float(self.rng.exponential(self.pause)))

    def lost(self) -> int:
        """Count places whose last acknowledged answer is not there."""
        there = {
            place: self.asking.until_answered("GET", f"rate/{self.secret}/places/{place}").json()["answer"]
            for place in self.kept
        }
        return sum(as_json(there[place]) != as_json(answer) for place, answer in self.kept.items())


class Asker(threading.Thread):
    """Asks for inspections, and remembers the jobs that were acknowledged."""

    def __init__(self, who: Somebody, images: list[str], bundle: str, pause: float, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.asking, self.images, self.bundle, self.pause = Persistent(who, over), images, bundle, pause
        self.rng = np.random.default_rng(62)
        self.jobs: dict[str, set[str]] = {}

    def run(self) -> None:
        """Ask now and then; what is not answered is not asked again, for the job may be there."""
        while not self.asking.over.is_set():
            some = set(self.rng.choice(self.images, 3, replace=False).tolist())
            wish = {"images": sorted(some), "bundles": [self.bundle], "explain": False}
            reply = self.asking.once("POST", "inspections", json=wish)
            if reply is not None and reply.status_code == 202:
                self.jobs[reply.json()["id"]] = some
            self.asking.over.wait(float(self.rng.exponential(self.pause)))


class Reviewer(threading.Thread):
    """Accepts inspections, and remembers the decisions that were acknowledged."""

    def __init__(self, who: Somebody, pause: float, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.asking, self.pause = Persistent(who, over), pause
        self.decided: set[str] = set()

    def run(self) -> None:
        """Decide on whatever was not decided; one that got no answer is asked again and may then be a conflict."""
        while not self.asking.over.is_set():
            listed = self.asking.once("GET", "inspections", params={"limit": 200})
            open_ = [] if listed is None or listed.is_error else listed.json()["inspections"]
            for one in open_:
                if one["state"] not in ("clear", "waiting") or self.asking.over.is_set():
                    continue
                reply = self.asking.once("POST", f"inspections/{one['id']}/decisions", json={"decision": "accepted"})
                if reply is not None and reply.status_code == 201:
                    self.decided.add(one["id"])
            self.asking.over.wait(self.pause)


def make_bundle(folder: Path) -> Path:
    """Teach a small classifier on phantoms, by the command line."""
    run = [sys.executable, "-m", "sorby"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run(
        [*run, "phantom", "steel", "--n", "60", "--seed", "1863", "--out", str(folder / "phantoms")], **quiet
    )
    corpus = next((folder / "phantoms").glob("*.parquet"))
    subprocess.run([*run, "train", str(corpus), "--out", str(folder / "run"), "--seed", "1863"], **quiet)
    return folder / "run" / "bundle.sorby"


def kill_many(server: Server, kills: int, gap: float, share: float) -> Counter[str]:
    """Kill server or a worker, again and again; return how often each."""
    rng = np.random.default_rng(1863)
    done: Counter[str] = Counter()
    while sum(done.values()) < kills:
        print(f"killed {dict(done)} of {kills}", file=sys.stderr, flush=True)
        time.sleep(float(rng.uniform(0, 2 * gap)))
        workers = server.worker_pids()
        if rng.uniform() < share or not workers:
            server.kill()
            server.start()
            done["server"] += 1
            continue
        try:
            os.kill(int(rng.choice(workers)), signal.SIGKILL)
            done["worker"] += 1
        except ProcessLookupError:  # an orphan that ended by itself
            continue
    return done


def wait_for_jobs(who: Somebody, patience: float) -> list[dict[str, Any]]:
    """Return all jobs once none is open."""
    until = time.monotonic() + patience
    while time.monotonic() < until and who.ask("GET", "jobs", params={"state": "open"}):
        time.sleep(1)
    found, offset = list[dict[str, Any]](), 0
    while page := who.ask("GET", "jobs", params={"kind": "inspect", "offset": offset, "limit": 200}):
        found, offset = found + page, offset + 200
    return found


def check(who: Somebody, raters: list[Rater], asker: Asker, reviewer: Reviewer, jobs: list[dict[str, Any]],
          ) -> dict[str, Any]:  # fmt: skip
    """Compare what was acknowledged with what is there."""
    known = {job["id"]: job for job in jobs}
    not_once = []
    for job, wanted in asker.jobs.items():
        rows = who.ask("GET", "inspections", params={"job": job, "limit": 200})["inspections"]
        ended = who.ask("GET", "records", params={"subject": f"job/{job}", "action": "job.done"})
        fine = known.get(job, {}).get("state") == "done" and len(ended) == 1
        if not fine or Counter(row["image"] for row in rows) != Counter(wanted):
            not_once.append({"job": job, "state": known.get(job, {}).get("state"), "verdicts": len(rows)})
    lost = [
        one for one in reviewer.decided if len(who.ask("GET", f"inspections/{one}")["decisions"]) != 1
    ]  # fmt: skip
    record = who.ask("GET", "records/verify")
    return {
        "ratings_acknowledged": sum(rater.saved for rater in raters),
        "lost_ratings": sum(rater.lost() for rater in raters),
        "refused": [one for rater in raters for one in rater.refused][:3],
        "unanswered": sum(rater.asking.unanswered for rater in raters),
        "decisions_acknowledged": len(reviewer.decided), "lost_decisions": len(lost),
        "jobs_acknowledged": len(asker.jobs), "jobs_not_once": len(not_once), "jobs_not_once_first": not_once[:3],
        "record_intact": record["intact"], "record_entries": record["entries"],
        "anchors_checked": record["anchors_checked"], "faults": record["faults"][:3],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--gap", type=float, default=3.0, help="mean seconds between kills")
    parser.add_argument("--server-share", type=float, default=0.5, help="of the kills")
    parser.add_argument("--raters", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.5, help="mean seconds between a rater's answers")
    parser.add_argument("--job-pause", type=float, default=5.0, help="mean seconds between jobs")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds for the last jobs")
    parser.add_argument("--bundle", type=Path, help="a classifier; by default a small one is taught")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with (
        scratch() as folder,
        database(options.database, folder) as url,
        Server(folder / "home", url, options.workers) as server,
    ):
        bundle_file = options.bundle or make_bundle(folder)
        server.start()
        people = household(server.url)
        who = people["supervisor"]
        wish = {"task": "steel", "name": "steel.sorby"}
        bundle = people["admin"].ask("POST", "bundles", params=wish, content=bundle_file.read_bytes())["sha256"]
        images = [upload(who, picture(k), f"image{k}.tif", f"S{k}") for k in range(12)]
        _, secrets = round_robin(who, images, options.raters)
        over = threading.Event()
        raters = [
            Rater(server.url, secret, len(images) + 4, options.pause, 1863 + k, over)
            for k, secret in enumerate(secrets)
        ]
        asker = Asker(who, images, bundle, options.job_pause, over)
        reviewer = Reviewer(people["reviewer"], options.pause, over)
        at_work: list[threading.Thread] = [*raters, asker, reviewer]
        began = time.perf_counter()
        for thread in at_work:
            thread.start()
        killed = kill_many(server, options.kills, options.gap, options.server_share)
        over.set()
        for thread in at_work:
            thread.join(120)
        seconds = time.perf_counter() - began
        again = Somebody(server.url, "supervisor")  # a session of its own, in case the first was ended
        jobs = wait_for_jobs(again, options.patience)
        found = check(again, raters, asker, reviewer, jobs)
        code = server.stop()
        log = log_tail(folder) if found["jobs_not_once"] or not found["record_intact"] else ""
    result = {
        "database": options.database, "kills": dict(killed), "seconds": round(seconds, 1), "workers": options.workers,
        **found, "exit_code": code, "targets": TARGETS, **({"log": log} if log else {}),
    }  # fmt: skip
    finish("station_faults", result)


if __name__ == "__main__":
    main()

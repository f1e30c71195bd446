"""A station in a process of its own and somebody who talks to it by REST: what its benchmarks share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

PASSWORD = "a benchmark is no secret 7"
_POSTGRES = Path("/usr/lib/postgresql/15/bin")
_PATIENCE_S = 600


@dataclass
class Server:
    """`sorby serve` in a process group of its own; it may be killed and started again on the same home and port.

    Attributes
    ----------
    home : Path
    database : str or None
    workers : int
    port : int
    """

    home: Path
    database: str | None = None
    workers: int = 1
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it and return the seconds until it answered."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.home.parent / "password.txt"
        password.write_text(PASSWORD + " first")
        command = [sys.executable, "-m", "sorby", "serve", "--json", "--home", str(self.home), "--port", str(self.port),
                   "--workers", str(self.workers), "--admin-password-file", str(password)]  # fmt: skip
        if self.database is not None:
            command += ["--database", self.database]
        began = time.perf_counter()
        log = (self.home.parent / "server.log").open("a")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, text=True, start_new_session=True)
        while time.perf_counter() - began < _PATIENCE_S:
            if self.process.poll() is not None:
                sys.exit(f"error: the server ended\nhint: see {log.name}")
            try:
                if httpx.get(f"{self.url}/api/v1/health", timeout=5).status_code == 200:
                    return time.perf_counter() - began
            except httpx.HTTPError:
                time.sleep(0.05)
        sys.exit("error: the server did not answer")

    def __enter__(self) -> Server:
        """Leave the starting to whoever measures it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing running, whatever went wrong."""
        self.kill()

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def worker_pids(self) -> list[int]:
        """Process numbers of the workers that run on this home, orphans of a killed server included."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:  # it ended meanwhile
                    continue
                if b"sorby.station.jobs.worker" in words and str(self.home).encode() in words:
                    found.append(int(folder.name))
        return found

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(60)


class Somebody(httpx.Client):
    """Somebody who is signed in and sends the CSRF token along."""

    def __init__(self, url: str, name: str, password: str = PASSWORD) -> None:
        super().__init__(base_url=f"{url}/api/v1/", timeout=60)
        me = self.ask("POST", "auth/sign-in", json={"name": name, "password": password})
        self.headers["X-CSRF-Token"] = me["csrf"]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the answer's JSON, or leave with what the station said."""
        answer = self.request(method, path, **options)
        if answer.is_error:
            sys.exit(f"error: {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None


def household(url: str) -> dict[str, Somebody]:
    """Make a supervisor and a reviewer, and return everybody signed in."""
    admin = Somebody(url, "admin", PASSWORD + " first")
    admin.ask("POST", "me/password", json={"old": PASSWORD + " first", "new": PASSWORD})
    people = {"admin": Somebody(url, "admin")}
    for role in ("supervisor", "reviewer"):
        new = {"name": role, "full_name": role.title(), "role": role, "password": PASSWORD + " first"}
        people["admin"].ask("POST", "users", json=new)
        first = Somebody(url, role, PASSWORD + " first")
        first.ask("POST", "me/password", json={"old": PASSWORD + " first", "new": PASSWORD})
        people[role] = Somebody(url, role)
    return people


def picture(seed: int, width: int = 640, height: int = 480) -> bytes:
    """Return a TIFF of smooth noise, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1), dtype=np.uint8)
    grey = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    file = BytesIO()
    grey.save(file, "TIFF", compression="raw" if width * height < 10**7 else "tiff_lzw")
    return file.getvalue()


def upload(who: Somebody, content: bytes, name: str, specimen: str = "") -> str:
    """Upload an image and return its SHA-256."""
    asked = {"name": name, "specimen": specimen, "pixel_size_um": 0.2}
    answer = who.ask("POST", "images", params=asked, content=content)
    return str(answer["sha256"])


def round_robin(who: Somebody, images: list[str], raters: int, repeats: int = 4) -> tuple[str, list[str]]:
    """Design and open a round robin; return its id and the secret of each rater's link."""
    labels = ["M7", "G6", "B8", "M9", "G8"]
    wish = {
        "name": "under load", "scheme": "steel", "repeats": repeats,
        "images": [{"sha256": sha, "label": labels[k % len(labels)]} for k, sha in enumerate(images)],
        "raters": [f"R{k:02d}" for k in range(1, raters + 1)],
    }  # fmt: skip
    study = who.ask("POST", "studies/plan", json=wish)["id"]
    who.ask("POST", f"studies/{study}/state", json={"state": "open"})
    links = who.ask("POST", f"studies/{study}/invitations", json={})
    return study, [link["url"].rpartition("/")[2] for link in links]


def answer_of(number: int) -> dict[str, Any]:
    """Return one of many answers that fit the steel scheme."""
    kind, size = "GBM"[number % 3], 5 + number // 3 % 6
    return {"class": kind, "code": f"{kind}{size}", "criterion": "average", "region": "whole", "flags": [],
            "comment": f"answer {number}"}  # fmt: skip


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is removed at the end, also where the benchmark is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: told to stop"))
    folder = Path(tempfile.mkdtemp(prefix="sorby-station-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str | None]:
    """Give the URL of an empty database: None for SQLite in the home, or a PostgreSQL server of our own."""
    if kind == "sqlite":
        yield None
        return
    if not (_POSTGRES / "initdb").exists():
        sys.exit(f"error: PostgreSQL is not in {_POSTGRES}")
    home, port = folder / "postgres", _free_port()
    home.mkdir()
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        folder.chmod(0o755)
        shutil.chown(home, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def run(program: str, *arguments: str) -> None:
        command = [*as_postgres, str(_POSTGRES / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=home)

    data = str(home / "data")
    run("initdb", "-D", data, "-U", "sorby", "--auth=trust")
    run("pg_ctl", "-D", data, "-w", "-l", str(home / "log"), "-o", f"-p {port} -k {home}", "start")
    try:
        yield f"postgresql://sorby@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def log_tail(folder: Path) -> str:
    """Return the end of the server's log."""
    return (folder / "server.log").read_text(errors="replace")[-2000:]


def as_json(value: Any) -> str:
    """Return one line of JSON with sorted keys: two answers are the same where these are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sorby.cli import cli
from sorby.cli._frame import run
from sorby.station.home import prepare, record_key_file

COMMAND = [sys.executable, "-m", "sorby", "serve", "--port", "0", "--workers", "0"]


def _answer(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_station_says_where_it_is_serves_and_ends_cleanly(tmp_path: Path) -> None:
    home, log = tmp_path / "home", (tmp_path / "log").open("w")
    started = subprocess.Popen(
        [*COMMAND, "--json", "--home", str(home)], stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
    )
    try:
        told = ""
        while not told.endswith("}\n"):
            told += started.stdout.readline()
        found = json.loads(told)
        assert found["url"].startswith("http://127.0.0.1:")
        assert found["administrator"]["name"] == "admin"
        assert _answer(f"{found['url']}/api/v1/health") == 200
        assert _answer(f"{found['url']}/api/v1/me") == 401
        second = subprocess.run([*COMMAND, "--home", str(home)], capture_output=True, text=True, timeout=200)
        assert (second.returncode, "another server" in second.stderr) == (2, True)
        os.kill(started.pid, signal.SIGTERM)
        assert started.wait(60) == 0
        assert started.stdout.read() == ""  # exactly one JSON object
        assert (home / "anchors.jsonl").stat().st_size > 0
        held = "".join(path.read_text(errors="replace") for path in home.iterdir() if path.is_file())
        assert found["administrator"]["password"] not in held
    finally:
        if started.poll() is None:
            started.kill()


def test_keys_that_others_may_read_stop_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path / "home")
    record_key_file(tmp_path / "home").chmod(0o644)
    assert run(cli, ["serve", "--home", str(tmp_path / "home"), "--port", "0"]) == 2
    assert "chmod" in capsys.readouterr().err


def test_a_first_password_comes_from_a_file_and_must_be_fit(tmp_path: Path, capsys) -> None:
    password = tmp_path / "password"
    password.write_text("short\n")
    arguments = ["serve", "--home", str(tmp_path / "home"), "--port", "0", "--admin-password-file", str(password)]
    assert run(cli, arguments) == 2
    assert "12 characters" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys) -> None:

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(cli, ["serve", "--home", str(tmp_path / "home"), "--port", port]) == 2
    assert "--port" in capsys.readouterr().err

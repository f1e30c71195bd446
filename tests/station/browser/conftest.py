"""Browser tests: one sample station in a process of its own, one Chromium, a context for each person."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from station_pages import settle, sign_in

CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE_S = 240  # a computer that does much else at once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sample station."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    home = tmp_path_factory.mktemp("station")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, str(Path(__file__).parent / "sample_station.py"), str(home / "home"), str(port)]
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(program, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + _PATIENCE_S
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/sign-in", timeout=30).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > until:
                    pytest.fail((home / "log").read_text()[-3000:])
                time.sleep(0.3)
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


class Faults(list[str]):
    """What a browser complained of: errors of scripts, dialogues that a script opened, requests to elsewhere."""


@pytest.fixture
def enter(site: str, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page of somebody's own browser, signed in by name, or of a visitor where the name is None."""
    contexts: list[BrowserContext] = []
    faults = Faults()

    def entered(name: str | None, path: str = "/", *, phone: bool = False) -> Page:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, has_touch=phone, accept_downloads=True)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialogue: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda sent: _note_foreign(sent.url, site, faults))
        if name is not None:
            sign_in(page, site, name)
        page.goto(site + path)
        settle(page)
        return page

    yield entered
    for context in contexts:
        context.close()
    assert not faults


def _note_foreign(url: str, site: str, faults: list[str]) -> None:
    if not url.startswith((site, site.replace("http", "ws"), "data:", "blob:")):
        faults.append(f"a request to {url}")

"""Make the screenshots of the station's pages in docs/images/station/ with the system's Chromium.

    python docs/make_screenshots.py [--only NAME ...] [--chromium FILE]

The station is the sample of the browser tests: steel phantoms, and verdicts that were written down, not predicted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "images" / "station"
SAMPLE = HERE.parent / "tests" / "station" / "browser" / "sample_station.py"
PORT = 8699
URL = f"http://127.0.0.1:{PORT}"
DESK, PHONE = (1280, 860), (390, 844)
PASSWORD = "grain boundary tea 42"  # noqa: S105 - of a sample that lives as long as this script


def first_shot(page: Page) -> None:
    """Open an image and zoom in a little."""
    page.locator(".shot", has_text="section-1.png").click()
    page.wait_for_timeout(1500)
    page.locator("canvas").first.focus()
    page.keyboard.press("+")


def comparison(page: Page) -> None:
    """Open two bundles side by side."""
    page.get_by_role("row").filter(has_text="16 of 16").get_by_role("link", name="Verdicts").click()
    page.get_by_role("link", name="Compare the bundles").click()


def study(page: Page) -> None:
    """Open a round robin and its results."""
    page.get_by_role("link", name="Steel, autumn round").click()
    page.get_by_role("button", name="Show the results so far").click()
    page.get_by_text("Accuracy against the labels").wait_for()


def case(page: Page) -> None:
    """Open a case of a consensus session."""
    page.get_by_role("link", name="Where the model looks").click()
    page.get_by_role("link", name="S-19").click()


def verified(page: Page) -> None:
    """Verify the record."""
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text("Intact").wait_for()


def rater(page: Page) -> None:
    """Rate as somebody who was invited."""
    page.get_by_role("link", name="Steel, autumn round").click()
    page.get_by_role("row").filter(has_text="Chloe").get_by_role("button", name="New link").click()
    page.get_by_role("button", name="Make links").click()
    to = page.get_by_role("dialog", name="Invitation links").locator("code").inner_text()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(to)
    page.get_by_label("Years of experience").fill("6")
    page.get_by_label("How often do you rate such images?").select_option("weekly")
    page.get_by_role("button", name="Begin").click()
    page.get_by_text("Image 1 of").wait_for()
    page.wait_for_timeout(800)
    page.locator("input[name=class]").nth(2).check()


#: Name of the picture: who looks, at which page, and what is done before.
SHOTS: dict[str, tuple[str | None, str, Callable[[Page], None] | None]] = {
    "sign-in": (None, "/sign-in", None),
    "home": ("reviewer", "/", None),
    "inspect": ("operator", "/inspect", None),
    "image": ("reviewer", "/specimens", first_shot),
    "specimens": ("reviewer", "/specimens", None),
    "specimen": ("reviewer", "/specimens/S-17", None),
    "queue": ("reviewer", "/queue", None),
    "comparison": ("reviewer", "/jobs", comparison),
    "jobs": ("reviewer", "/jobs", None),
    "models": ("supervisor", "/models", None),
    "drift": ("supervisor", "/drift", None),
    "studies": ("supervisor", "/studies", None),
    "new-round-robin": ("supervisor", "/studies/new", None),
    "round-robin": ("supervisor", "/studies", study),
    "rating": ("supervisor", "/studies", rater),
    "consensus": ("reviewer", "/studies", case),
    "certificates": ("reviewer", "/certificates?specimen=S-17", None),
    "record": ("auditor", "/record", verified),
    "accounts": ("administrator", "/accounts", None),
    "tokens": ("operator", "/tokens", None),
}


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(SHOTS), choices=list(SHOTS))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    wanted = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        server = subprocess.Popen([sys.executable, str(SAMPLE), f"{home}/station", str(PORT), "calm"])  # noqa: S603 - our own sample
        try:
            wait_for(server)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=wanted.chromium, args=["--no-sandbox"])
                for name in wanted.only:
                    take(browser, name)
                browser.close()
        finally:
            server.terminate()
            server.wait()


def wait_for(server: subprocess.Popen[bytes]) -> None:
    """Wait until the sample answers."""
    while True:
        try:
            urllib.request.urlopen(f"{URL}/sign-in", timeout=30).close()  # noqa: S310 - of this computer
            return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                raise SystemExit("the sample station did not start") from None
            time.sleep(0.5)


def take(browser: Browser, name: str) -> None:
    """Take one picture, in 128 colours or fewer where that is enough."""
    who, path, act = SHOTS[name]
    context = browser.new_context(viewport={"width": DESK[0], "height": DESK[1]})
    page = context.new_page()
    if who is not None:
        page.goto(f"{URL}/sign-in")
        page.fill("#name", who)
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"{URL}/")
    page.goto(URL + path)
    page.wait_for_function("window.did_handshake === true")
    page.wait_for_timeout(500)
    if act is not None:
        act(page)
    page.wait_for_timeout(1800)
    page.screenshot(path=str(PICTURES / f"{name}.png"), full_page=True)
    context.close()
    with Image.open(PICTURES / f"{name}.png") as picture:
        shrunk = picture.convert("RGB").quantize(200, dither=Image.Dither.NONE)
    shrunk.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()

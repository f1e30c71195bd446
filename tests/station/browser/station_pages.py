"""Small steps that all browser tests take."""

from __future__ import annotations

from playwright.sync_api import Page
from sample_station import PASSWORD


def sign_in(page: Page, site: str, name: str, password: str = PASSWORD) -> None:
    """Sign in as people do."""
    page.goto(f"{site}/sign-in")
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{site}/")


def settle(page: Page) -> None:
    """Wait until the page is connected to its server and has stopped changing."""
    page.wait_for_function("window.did_handshake === true")
    page.wait_for_timeout(150)

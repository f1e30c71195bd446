"""Pages for everybody: without a mouse, by screen readers, on a phone; what people typed stays text; roles hold."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sample_station import HOSTILE
from station_pages import settle

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
PAGES = {
    "reviewer": ["/", "/inspect", "/queue", "/specimens", "/specimens/S-17", "/studies", "/jobs", "/models",
                 "/drift", "/certificates?specimen=S-17", "/tokens", "/password", "/watch"],
    "supervisor": ["/studies/new", "/consensus/new", "/record"],
    "administrator": ["/accounts"],
}  # fmt: skip


def violations(page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("name", list(PAGES))
def test_no_page_breaks_a_rule_of_wcag(site, enter, name):
    page = enter(name)
    told = {}
    for path in PAGES[name]:
        page.goto(site + path)
        settle(page)
        page.wait_for_timeout(300)
        told[path] = violations(page)
    assert not {path: found for path, found in told.items() if found}


def test_pages_behind_links_break_no_rule_either(site, enter):
    door = enter(None, "/sign-in")
    assert not violations(door)
    page = enter("supervisor", "/specimens")
    for kind, path in (("shot", "/specimens"), ("study", "/studies"), ("session", "/studies"), ("model", "/models")):
        page.goto(site + path)
        settle(page)
        to = {
            "shot": page.locator(".shot", has_text="section-1.png"),
            "study": page.get_by_role("link", name="Steel, autumn round"),
            "session": page.get_by_role("link", name="Where the model looks"),
            "model": page.get_by_role("button", name="Retire").first,
        }[kind]
        to.click()
        settle(page)
        page.wait_for_timeout(500)
        assert not violations(page), kind


def test_keys_alone_reach_the_queue_from_the_door(enter):
    page = enter("auditor")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/queue":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/inspect", "/queue", "/specimens", "/studies", "/jobs", "/models", "/drift"])
def test_nothing_is_wider_than_a_phone(enter, path):
    page = enter("reviewer", path, phone=True)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{path} is {wide} pixels wide"


def test_the_menu_unfolds_on_a_phone(enter):
    page = enter("auditor", phone=True)
    record = page.get_by_role("link", name="Record", exact=True)
    expect(record).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    record.click()
    expect(page.get_by_role("heading", name="Record")).to_be_visible()


def test_names_labels_and_reasons_are_shown_as_text(site, enter):
    page = enter("supervisor", "/specimens")
    expect(page.get_by_text("<img src=x onerror=alert(3)>.png").first).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    page.locator(".shot", has_text="section-1.png").click()
    expect(page.get_by_role("cell", name=HOSTILE)).to_be_visible()  # a mark's label
    for path in ("/", "/queue", "/studies/new", "/consensus/new", "/record"):
        page.goto(site + path)
        settle(page)
    assert page.evaluate("document.querySelectorAll('img[src=x], .main script').length") == 0


@pytest.mark.parametrize(
    ("name", "path"),
    [("operator", "/record"), ("operator", "/studies/new"), ("auditor", "/inspect"), ("reviewer", "/models/new"),
     ("administrator", "/consensus/new")],
)  # fmt: skip
def test_a_page_for_another_role_shows_nothing(enter, name, path):
    page = enter(name, path)
    expect(page.get_by_role("heading", name="This page is not for your role")).to_be_visible()
    assert page.locator(".main input, .main table").count() == 0


def test_operators_and_auditors_are_offered_no_decision(enter):
    for name in ("operator", "auditor"):
        page = enter(name, "/queue")
        expect(page.get_by_text("only reviewers decide").or_(page.get_by_text("Enjoy the quiet"))).to_be_visible()
        assert page.get_by_role("button", name="Accept").count() == 0

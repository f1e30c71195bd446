"""What people do on the station's pages, each in a browser of their own."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect
from sample_station import PASSWORD
from station_pages import settle, sign_in


def picture(seed: int) -> bytes:
    grey = np.random.default_rng(seed).integers(0, 255, (700, 900), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def bar(page: Page) -> tuple[float, float]:
    """Length that the scale bar states, in micrometres, and how long it is drawn, in pixels of the screen."""
    canvas = page.locator(".viewer canvas").first
    expect(canvas).to_have_attribute("data-bar", re.compile("."))
    number, unit = canvas.get_attribute("data-bar").split(" ")
    factor = {"nm": 1e-3, "µm": 1.0, "mm": 1e3}[unit]
    return float(number) * factor, float(canvas.get_attribute("data-bar-pixels"))


def test_a_wrong_password_opens_nothing_and_the_right_one_leads_on(site, enter):
    page = enter(None, "/record")
    assert page.url.startswith(f"{site}/sign-in?next=")
    page.fill("#name", "auditor")
    page.fill("#password", "not the password")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_role("heading", name="Record", exact=True)).to_be_visible()


def test_a_link_that_leads_out_of_the_station_is_not_followed(site, enter):
    page = enter(None, "/sign-in?next=//elsewhere.example/")
    page.fill("#name", "auditor")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{site}/")


def test_an_operator_drops_images_and_asks_for_verdicts(enter):
    page = enter("operator", "/inspect")
    files = [{"name": f"dropped-{k}.png", "mimeType": "image/png", "buffer": picture(k)} for k in range(2)]
    files.append({"name": "page.png", "mimeType": "image/png", "buffer": b"<html><script>alert(1)</script>"})
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("2 of 3 files are here, 1 were refused")).to_be_visible()
    page.get_by_role("button", name="Inspect", exact=True).click()
    expect(page.get_by_role("heading", name="Verdicts")).to_be_visible()  # no worker runs here: the job waits
    page.goto(page.url.split("/inspect")[0] + "/jobs")
    row = page.get_by_role("row").filter(has_text="Inspection").filter(has_text="operator").first
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("cancelled")


def test_the_scale_bar_follows_the_zoom(enter):
    page = enter("operator", "/specimens")
    page.locator(".shot", has_text="section-2.png").click()
    canvas = page.locator(".viewer canvas").first
    first_um, first_px = bar(page)
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("+")
    expect(canvas).not_to_have_attribute("data-bar", f"{first_um:g} µm")
    second_um, second_px = bar(page)
    zoom = (second_px / second_um) / (first_px / first_um)
    assert abs(zoom - 1.6**4) < 0.02 * 1.6**4  # the bar is told to a tenth of a pixel
    page.keyboard.press("0")
    expect(canvas).to_have_attribute("data-bar-pixels", f"{first_px:.1f}")


def test_an_overlay_fades_and_goes(enter):
    page = enter("reviewer", "/queue")
    canvas = page.locator(".viewer canvas").first
    middle = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].reduce((a, b) => a + b, 0)"
    page.wait_for_timeout(800)
    lit = canvas.evaluate(middle)
    page.get_by_label("Where the model looked", exact=True).uncheck()
    page.wait_for_timeout(300)
    plain = canvas.evaluate(middle)
    assert plain != lit
    page.get_by_label("Where the model looked, strength").fill("0")  # moving it shows the layer again, at this strength
    page.wait_for_timeout(300)
    assert abs(canvas.evaluate(middle) - plain) < 1e-4 * plain


def test_marks_are_drawn_counted_and_removed(enter):
    page = enter("operator", "/specimens")
    page.locator(".shot", has_text="section-2.png").click()
    page.get_by_text("Mark what you see").click()
    page.get_by_label("Label").fill("scratch")
    page.get_by_label("Tool").select_option("brush")
    box = page.locator(".viewer canvas").first.bounding_box()
    for left in (0.3, 0.6):  # two strokes that do not touch
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.4 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + (left + 0.05) * box["width"], box["y"] + 0.5 * box["height"], steps=4)
        page.mouse.up()
    page.get_by_role("button", name="Keep mask").click()
    row = page.get_by_role("row").filter(has_text="connected parts")
    expect(page.get_by_label("Label")).to_have_value("scratch")  # what was chosen stays for the next mark
    expect(row).to_contain_text("mask, 2 connected parts")
    expect(row).to_contain_text("scratch")
    page.get_by_label("Tool").select_option("box")
    page.get_by_label("Origin unknown").check()
    page.evaluate("scrollTo(0, 0)")  # fields below the image were filled in
    box = page.locator(".viewer canvas").first.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    page.mouse.up()
    unknown = page.get_by_role("row").filter(has_text="origin unknown")
    expect(unknown).to_contain_text("box")
    unknown.get_by_role("button", name="Remove").click()
    expect(unknown).to_have_count(0)
    expect(row).to_have_count(1)


def test_keys_alone_decide_in_the_queue(enter):
    page = enter("reviewer", "/queue")
    count = page.get_by_role("status").filter(has_text="waiting")
    before = int(count.inner_text().split()[0])
    first = page.locator("tr.chosen a").inner_text()
    page.keyboard.press("j")
    expect(page.locator("tr.chosen a")).not_to_have_text(first)
    page.keyboard.press("k")
    expect(page.locator("tr.chosen a")).to_have_text(first)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    correct = page.get_by_role("dialog", name=f"Correct: {first}")
    correct.get_by_role("button", name="Correct").click()
    expect(page.get_by_text("needs a reason")).to_be_visible()
    correct.get_by_label("Reason").fill("retained austenite between the needles")
    correct.get_by_role("button", name="Correct").click()
    expect(count).to_have_text(f"{before - 1} waiting")
    page.keyboard.press("a")
    expect(count).to_have_text(f"{before - 2} waiting")


def test_two_reviewers_at_once_and_the_second_is_told(enter):
    first, second = enter("reviewer", "/queue"), enter("second", "/queue")
    name = first.locator("tr.chosen a").inner_text()
    expect(second.locator("tr.chosen a")).to_have_text(name)
    first.get_by_label("Sign my decisions").check()
    first.keyboard.press("Escape")
    first.get_by_role("button", name="Accept").click()
    dialog = first.get_by_role("dialog", name=f"Accept: {name}")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Accept").click()
    expect(first.get_by_text(f"{name}: accepted, signed.")).to_be_visible()
    second.get_by_role("button", name="Reject").click()
    dialog = second.get_by_role("dialog", name=f"Reject: {name}")
    dialog.get_by_label("Reason").fill("out of focus")
    dialog.get_by_role("button", name="Reject").click()
    expect(second.get_by_text("reviewer has decided on this image meanwhile")).to_be_visible()


def test_a_session_that_has_ended_acts_no_more(site, enter):
    page = enter("second", "/specimens")
    page.locator(".shot", has_text="section-2.png").click()
    page.get_by_text("Mark what you see").click()
    page.get_by_label("Label").fill("pore")
    other = page.context.new_page()
    other.goto(site)
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url(f"{site}/sign-in")
    page.get_by_role("button", name="Mark the whole image").click()
    page.wait_for_url(re.compile("/sign-in"))


def test_an_auditor_looks_at_the_record_verifies_and_changes_nothing(enter):
    page = enter("auditor", "/record")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text(re.compile(r"^Intact: \d+ entries"))).to_be_visible()
    page.get_by_label("Action").fill("account.*")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("cell", name="account.create").first).to_be_visible()
    expect(page.get_by_role("cell", name="inspection.accept")).to_have_count(0)
    page.get_by_role("button", name=re.compile("Details of entry")).first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Digest")
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == "record.jsonl"
    for offered in ("Set an anchor",):
        expect(page.get_by_role("button", name=offered)).to_have_count(0)
    settle(page)


def test_an_administrator_makes_an_account_that_must_choose_a_password(site, enter):
    page = enter("administrator", "/accounts")
    page.get_by_role("button", name="New account").click()
    page.get_by_label("Name to sign in with").fill("grace")
    page.get_by_label("Full name").fill("Grace H.")
    page.get_by_label("Role").select_option("reviewer")
    page.get_by_role("button", name="Make account").click()
    told = page.get_by_role("dialog", name="Password of grace")
    password = told.locator(".mono").inner_text()
    told.get_by_role("button", name="Done").click()
    expect(page.get_by_role("cell", name="grace", exact=True)).to_be_visible()
    newcomer = enter(None, "/sign-in")
    newcomer.fill("#name", "grace")
    newcomer.fill("#password", password)
    newcomer.click("button[type=submit]")
    newcomer.wait_for_url(f"{site}/password")
    newcomer.goto(f"{site}/queue")
    newcomer.wait_for_url(f"{site}/password")  # nothing else before
    newcomer.fill("#old", password)
    for field in ("#fresh", "#again"):
        newcomer.fill(field, "thirteen coarse needles")
    newcomer.click("button[type=submit]")
    newcomer.wait_for_url(f"{site}/")
    expect(newcomer.get_by_text("You are signed in as reviewer.")).to_be_visible()


def test_a_token_is_told_once_and_revoked(enter):
    page = enter("operator", "/tokens")
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Program").fill("microscope")
    page.get_by_label("inspect", exact=True).check()
    page.get_by_role("button", name="Make token").click()
    told = page.get_by_role("dialog", name="Token for microscope")
    assert told.locator(".mono").inner_text().startswith("sorby_")
    told.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Revoke token microscope").click()
    expect(page.get_by_role("row").filter(has_text="microscope")).to_contain_text("revoked")


def test_who_proposed_a_bundle_does_not_promote_it(enter):
    page = enter("supervisor", "/models")
    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog", name="Promote steel-b")
    dialog.get_by_label("Reason").fill("better on the locked set")
    dialog.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("row").filter(has_text="steel-b")).to_contain_text("current")
    expect(page.get_by_role("row").filter(has_text="steel-a")).to_contain_text("retired")


def test_bundles_are_compared_side_by_side(enter):
    page = enter("operator", "/jobs")
    page.get_by_role("row").filter(has_text="16 of 16").get_by_role("link", name="Verdicts").click()
    page.get_by_role("link", name="Compare the bundles").click()
    expect(page.locator(".viewer")).to_have_count(2)
    bars = page.locator(".viewer canvas")
    bars.first.focus()
    page.keyboard.press("+")
    page.wait_for_timeout(300)
    assert bars.nth(0).get_attribute("data-bar-pixels") == bars.nth(1).get_attribute("data-bar-pixels")


def test_signing_out_leads_to_the_door(site, enter):
    page = enter("auditor")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site}/sign-in")
    page.goto(f"{site}/record")
    assert "/sign-in" in page.url
    sign_in(page, site, "auditor")

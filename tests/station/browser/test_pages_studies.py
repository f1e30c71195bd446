"""Round robins and consensus sessions on the station's pages, for those who organise and those who take part."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from sample_station import HOSTILE, PASSWORD
from station_pages import settle


def links(page: Page) -> dict[str, str]:
    """The invitation links that a dialogue tells once."""
    codes = page.get_by_role("dialog", name="Invitation links").locator("code")
    codes.first.wait_for()
    return {code.get_attribute("data-rater"): code.inner_text() for code in codes.all()}


def rate(page: Page, name: str, code: str) -> None:
    """Give one rating: the class, a code of its range, go on."""
    page.get_by_role("radio", name=re.compile(f"^{name}, ")).check()
    page.get_by_role("radio", name=code, exact=True).check()
    page.get_by_role("button", name="Save and go on").click()


def test_a_round_robin_from_design_to_results(site, enter):
    organiser = enter("supervisor", "/studies/new")
    organiser.get_by_label("Name").fill("Spring round")
    organiser.get_by_label("Scheme").select_option("steel")
    expect(organiser.get_by_text("8 images have a label")).to_be_visible()
    organiser.get_by_label("Raters, one a line").fill("Dora\nEmil")
    organiser.get_by_label("Images").fill("4")
    organiser.get_by_label("of these shown twice").fill("1")
    organiser.get_by_role("button", name="Design the study").click()
    expect(organiser.get_by_role("heading", name="Spring round")).to_be_visible()
    settle(organiser)
    organiser.get_by_role("button", name="Open the study").click()
    expect(organiser.locator(".head .mark")).to_have_text("open")
    settle(organiser)
    organiser.get_by_role("button", name="Invite everybody").click()
    organiser.get_by_role("button", name="Make links").click()
    found = links(organiser)
    assert set(found) == {"Dora", "Emil"}
    organiser.get_by_role("button", name="Done").click()

    rater = enter(None, found["Dora"].removeprefix(site), phone=True)
    rater.get_by_label("Years of experience").fill("11")
    rater.get_by_label("How often do you rate such images?").select_option("daily")
    rater.get_by_role("button", name="Begin").click()
    expect(rater.get_by_text("Image 1 of 5")).to_be_visible()
    assert "section-" not in rater.content()  # blind: no name of a file
    rater.get_by_role("radio", name=re.compile("^B, ")).check()
    codes = rater.locator("input[name=code]")
    assert [code.get_attribute("value") for code in codes.all()] == [f"B{size}" for size in range(5, 11)]
    wide = rater.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"the page is {wide} pixels wide on a phone of 390"
    rate(rater, "M", "M7")
    expect(rater.get_by_text("Image 2 of 5")).to_be_visible()

    elsewhere = enter(None, found["Dora"].removeprefix(site))  # another device goes on where this one stopped
    expect(elsewhere.get_by_text("Image 2 of 5")).to_be_visible()
    elsewhere.get_by_role("button", name="Back").click()
    expect(elsewhere.get_by_role("radio", name="M7", exact=True)).to_be_checked()
    rate(elsewhere, "M", "M8")
    for number in range(2, 6):
        expect(elsewhere.get_by_text(f"Image {number} of 5")).to_be_visible()
        rate(elsewhere, "G", "G8")
    expect(elsewhere.get_by_role("heading", name="Thank you")).to_be_visible()

    expect(organiser.get_by_role("row").filter(has_text="Dora")).to_contain_text("5 of 5", timeout=15_000)
    organiser.get_by_role("button", name="Show the results so far").click()
    expect(organiser.get_by_role("region", name="Accuracy against the labels")).to_be_visible(timeout=30_000)
    organiser.get_by_role("button", name="Close the study").click()
    organiser.get_by_role("dialog").get_by_role("button", name="Close the study").click()
    expect(organiser.locator(".head .mark")).to_have_text("closed")
    elsewhere.reload()
    expect(elsewhere.get_by_text("This study is closed")).to_be_visible()


def test_a_rectangle_says_which_part_decided(site, enter):
    organiser = enter("supervisor", "/studies")
    organiser.get_by_role("link", name="Steel, autumn round").click()
    organiser.get_by_role("row").filter(has_text="Chloe").get_by_role("button", name="New link").click()
    organiser.get_by_role("button", name="Make links").click()
    rater = enter(None, links(organiser)["Chloe"].removeprefix(site))
    rater.get_by_label("Years of experience").fill("0.5")
    rater.get_by_label("How often do you rate such images?").select_option("rarely")
    rater.get_by_role("button", name="Begin").click()
    rater.get_by_role("radio", name=re.compile("^G, ")).check()
    rater.get_by_role("radio", name="G7", exact=True).check()
    rater.get_by_role("button", name="Draw a rectangle").click()
    expect(rater.get_by_role("button", name="Draw a rectangle on the image")).to_be_visible()
    box = rater.locator("canvas").bounding_box()
    rater.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
    rater.mouse.down()
    rater.mouse.move(box["x"] + box["width"] / 2 + 90, box["y"] + 190, steps=4)
    rater.mouse.up()
    expect(rater.get_by_role("button", name="Rectangle drawn")).to_be_visible()
    rater.get_by_role("button", name="Save and go on").click()
    expect(rater.get_by_text("Image 2 of 10")).to_be_visible()


def test_a_link_that_was_made_anew_or_up_opens_nothing(enter):
    page = enter(None, "/rate/abcdefghijklmnopqrstuvwx")
    expect(page.get_by_role("heading", name="This link does not open anything")).to_be_visible()


def test_results_show_what_raters_wrote_as_text(enter):
    page = enter("auditor", "/studies")
    page.get_by_role("link", name="Steel, autumn round").click()
    expect(page.get_by_role("cell", name=HOSTILE[:28])).to_be_visible()
    page.get_by_role("button", name="Show the results so far").click()
    expect(page.get_by_role("region", name="Agreement among raters, first showings")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("cell", name="Fleiss’ kappa")).to_be_visible()
    expect(page.locator(".chart circle").first).to_be_visible()
    settle(page)


def test_experts_judge_alone_and_then_together(enter):
    first, second = enter("reviewer", "/studies"), enter("second", "/studies")
    for page in (first, second):
        page.get_by_role("link", name="Where the model looks").click()
        page.get_by_role("link", name="S-19").click()
    first.get_by_label(re.compile("^1. ")).select_option("yes")
    first.get_by_role("button", name="Keep my judgement").click()
    expect(first.get_by_text("answer coincides, plausible, wrong_reason, each once")).to_be_visible()
    for page, reply in ((first, "yes"), (second, "no")):
        expect(page.get_by_role("cell", name="reviewer", exact=True)).to_have_count(0)  # nobody sees another's answer
        page.get_by_label(re.compile("^1. ")).select_option("yes")
        page.get_by_label(re.compile("^2. ")).select_option("yes")
        page.get_by_label(re.compile("^3. ")).select_option(reply)
        page.get_by_label("machining mark").check()
        page.get_by_role("button", name="Keep my judgement").click()
        page.wait_for_timeout(600)
    second.reload()
    expect(second.get_by_role("cell", name="reviewer", exact=True)).to_be_visible()  # all have judged: all is shown
    for number in (1, 2, 3):
        second.get_by_label(re.compile(f"^{number}. ")).select_option("yes")
    second.get_by_text("Somebody dissents").click()
    second.get_by_label("Who", exact=True).select_option("second")
    second.get_by_label("On", exact=True).select_option("wrong_reason")
    second.get_by_label("Says", exact=True).select_option("no")
    second.get_by_label("Reason of the dissent").fill(HOSTILE)
    second.get_by_label(re.compile("Your password")).fill(PASSWORD)
    second.get_by_role("button", name="Sign the joint answer").click()
    expect(second.get_by_text("with dissent").first).to_be_visible()
    expect(second.get_by_text(HOSTILE).first).to_be_visible()

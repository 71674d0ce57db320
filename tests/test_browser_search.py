"""The Search page in a real browser: every change where it stands, the address, two visitors."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from tests.conftest import opened, settled

pytestmark = pytest.mark.browser
WAIT = 120_000  # milliseconds; the models share two cores with everything else


def ask(page, text, index=2):
    page.locator("#strip .mini").nth(index).click()
    page.locator("#reference img").first.wait_for()
    page.get_by_label("Modification text").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()
    finished(page)


def finished(page):
    page.locator("#share .share").wait_for(timeout=WAIT)
    page.locator("#search:enabled").wait_for(timeout=WAIT)


def changed(page, act):
    """Do something that runs again, and wait until the address has followed."""
    before = page.evaluate("location.hash")
    act()
    page.wait_for_function("(old) => location.hash !== old", arg=before, timeout=WAIT)
    finished(page)


def test_a_cue_is_dropped_negated_and_undone(page):
    ask(page, "now with a drum too")
    text = page.locator("#text-union").input_value()
    chip = page.locator("#describe .union .chip.kept").last
    phrase = chip.locator(".keep").get_attribute("data-value")
    changed(page, chip.locator(".keep").click)
    assert phrase not in page.locator("#text-union").input_value()
    gone = page.locator("#describe .union .chip:is(.dropped, .changed)", has_text=phrase)
    assert gone.count() >= 1
    assert page.locator("#describe .union .mine").is_visible()
    against = page.locator("#describe .union .chip.kept .not").first
    changed(page, against.click)
    assert page.locator("#describe .chip.negated").count() >= 1 and "without=" in page.url
    assert page.locator("#turns li").count() == 3
    for _ in range(2):
        changed(page, page.locator("#turns .undo").click)
    assert page.locator("#text-union").input_value() == text
    assert page.locator("#turns .undo").is_disabled()


def test_the_text_can_be_written_and_the_dial_turned(page):
    ask(page, "let it sleep")
    page.locator("#text-intersection").fill("a red fox sleeping")
    changed(page, page.locator("#describe .intersection .run").click)
    assert "intersection=a+red+fox+sleeping" in page.url
    changed(page, page.locator("#describe .dial button", has_text="Union").click)
    assert page.locator("#judge .flow .head").first.text_content() == "union"
    changed(page, page.locator("#coarse .columns button", has_text="Image only").click)
    assert page.locator("#coarse .list.image .card").count() == 10


def test_a_verdict_is_explained_and_a_picture_is_disliked(page):
    ask(page, "let it sleep")
    card = page.locator("#coarse .intersection .card").first
    image_id = card.get_attribute("data-id")
    card.click()
    page.locator(f"#picked button[data-value='{image_id}']").first.wait_for(timeout=WAIT)
    page.locator("#picked button", has_text="Why").click()
    page.locator("#picked .why li").first.wait_for(timeout=WAIT)
    changed(page, page.locator("#picked button", has_text="Not like this").click)
    first = page.locator("#coarse .intersection .card").first
    assert first.get_attribute("data-id") != image_id


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_a_picked_card_can_be_used_where_it_stands(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    ask(page, "let it sleep")
    sheet = page.locator("#picked")
    expect(sheet).to_be_hidden()
    card = page.locator("#reason .card").nth(2)  # of the last chapter, far below its maps
    image_id = card.get_attribute("data-id")
    card.focus()
    page.keyboard.press("Enter")
    expect(sheet).to_be_focused()
    expect(sheet.locator(".lookat")).to_have_attribute("data-shown", image_id)
    settled(page)
    expect(card).to_be_in_viewport()
    expect(sheet.locator(".shut")).to_be_in_viewport(ratio=1)
    box, over = card.bounding_box(), sheet.bounding_box()
    assert box["y"] + box["height"] <= over["y"] + 1  # the sheet does not lie on the card
    assert over["x"] >= 0 and over["x"] + over["width"] <= width
    assert over["y"] + over["height"] <= height
    page.keyboard.press("Tab")
    expect(sheet.get_by_role("button", name="Use as reference")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(card).to_be_focused()
    page.locator("#heatmaps .look-head").get_by_text("More about this picture").click()
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="See its maps").click()
    expect(sheet).to_be_hidden()
    expect(page.locator("#heatmaps h2")).to_be_in_viewport()


def test_the_threshold_dims_cards_at_once(page):
    ask(page, "let it sleep")
    total = page.locator("#judge .card").count()
    slider = page.locator("#judge input[type=range]")
    slider.focus()
    page.keyboard.press("End")
    assert page.locator("#judge .card.under").count() > total / 2
    page.keyboard.press("Home")
    expect(page.locator("#judge .survive")).to_have_text(f"{total} of {total} at or above")
    page.wait_for_function("location.hash.includes('threshold=0')")


def test_a_painted_region_changes_what_the_models_see(page):
    ask(page, "let it sleep")
    before = page.locator("#text-union").input_value()
    page.get_by_role("button", name="Ignore, keep or crop to a region").click()
    page.locator("#painter .cells").scroll_into_view_if_needed()
    page.locator("#painter .cells").hover()  # stands still once the fold is open
    box = page.locator("#painter .cells").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    for row in range(6):
        y = box["y"] + box["height"] * (row + 0.5) / 6.5
        page.mouse.move(box["x"] + 4, y, steps=4)
        page.mouse.move(box["x"] + box["width"] - 4, y, steps=14)
    page.mouse.up()
    page.wait_for_function(
        "document.querySelectorAll('#painter .cell[aria-pressed=true]').length > 40"
    )
    changed(page, page.get_by_role("button", name="Search", exact=True).click)
    assert "region=ignore" in page.url
    assert page.locator("#text-union").input_value() != before


def test_a_permalink_restores_the_whole_view(page, browser):
    ask(page, "let it sleep")
    page.locator("#text-intersection").fill("a red fox sleeping")
    changed(page, page.locator("#describe .intersection .run").click)
    changed(page, page.locator("#coarse .columns button", has_text="Text only").click)
    page.locator("#coarse .union .card").nth(3).click()
    page.wait_for_function("location.hash.includes('picked=')", timeout=WAIT)
    shown = [c.get_attribute("data-id") for c in page.locator("#coarse .card").all()]
    picked = page.locator("#picked b").first.inner_text()
    other = opened(browser)
    other.goto(page.url)
    finished(other)
    expect(other.locator("#text-intersection")).to_have_value("a red fox sleeping")
    assert [c.get_attribute("data-id") for c in other.locator("#coarse .card").all()] == shown
    expect(other.locator("#picked b").first).to_have_text(picked)
    expect(other.get_by_label("Modification text")).to_have_value("let it sleep")
    other.close()


def test_going_back_in_the_browser_goes_back_in_the_turns(page):
    ask(page, "let it sleep")
    first = page.url
    changed(page, page.locator("#coarse .columns button", has_text="Text only").click)
    page.go_back()
    page.wait_for_function("!location.hash.includes('columns')")
    page.locator("#coarse .list.text").wait_for(state="detached", timeout=WAIT)
    finished(page)
    expect(page).to_have_url(first)


def test_a_result_becomes_the_reference(page):
    ask(page, "let it sleep")
    page.locator("#coarse .union .card").first.click()
    page.locator("#picked button", has_text="Use as reference").click()
    page.wait_for_function("document.querySelector('#modification textarea').value === ''")
    expect(page.locator("#modification textarea")).to_be_focused()


def test_two_visitors_are_answered_at_once_and_apart(page, browser, url):
    other = opened(browser)
    other.goto(url)
    for visitor, text in ((page, "now at night"), (other, "with a red hat please")):
        visitor.locator("#strip .mini").nth(3).click()
        visitor.locator("#reference img").first.wait_for()
        visitor.get_by_label("Modification text").fill(text)
    for visitor in (page, other):
        visitor.get_by_role("button", name="Search", exact=True).click()
    for visitor in (page, other):
        visitor.locator("#judge svg.flow").wait_for(timeout=WAIT)
        finished(visitor)
    assert "now+at+night" in page.url and "red+hat" in other.url
    told = [v.locator("#text-intersection").input_value() for v in (page, other)]
    assert told[0] != told[1]
    other.close()


def test_a_page_and_a_bundle_are_taken_along(page):
    ask(page, "let it sleep")
    for label, ending in (("Save as page", ".html"), ("Replay bundle", ".zip")):
        with page.expect_download(timeout=WAIT) as found:
            page.locator("#share button", has_text=label).click()
        assert found.value.suggested_filename.endswith(ending)


def test_a_picture_of_ones_own_is_taken_searched_and_restored_from_the_address(page, tmp_path):
    own = tmp_path / "own.jpg"
    picture = Image.new("RGB", (300, 200), "skyblue")
    ImageDraw.Draw(picture).ellipse((90, 40, 210, 170), fill="orangered")
    picture.save(own)
    page.locator("#region").get_by_text("Ignore, keep or crop").click()
    page.locator("#reference input[type=file]").set_input_files(own)
    expect(page.locator("#reference img")).to_be_visible()
    expect(page.locator("#painter .canvas img")).to_be_attached()  # what else hears of it has
    assert page.locator(".toast-body").count() == 0
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".toast-body")).to_contain_text("Write what should change")
    page.get_by_label("Modification text").fill("let it sleep")
    page.get_by_role("button", name="Search", exact=True).click()
    finished(page)
    page.reload()
    expect(page.locator("#reference img")).to_be_visible(timeout=WAIT)
    expect(page.get_by_label("Modification text")).to_have_value("let it sleep")
    finished(page)


def test_a_file_that_is_no_picture_is_refused_when_it_is_chosen(page, tmp_path):
    fake = tmp_path / "fake.png"
    fake.write_text("no picture at all")
    page.locator("#reference input[type=file]").set_input_files(fake)
    expect(page.locator(".toast-body").first).to_be_visible()
    expect(page.locator("#reference img")).to_have_count(0)


def test_on_a_phone_a_run_is_shown_and_the_verdicts_stand_in_whole_rows(page):
    page.set_viewport_size({"width": 390, "height": 844})
    ask(page, "let it sleep")
    expect(page.locator("#notice .question")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cards = page.locator("#judge .grid .card:visible")
    expect(cards).to_have_count(12)
    page.locator("#judge .all").click()
    expect(cards).to_have_count(50)
    expect(page.locator("#judge .all")).to_be_hidden()

"""The Compare tab in a real browser: all methods, two settings, what if, and the ways between."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LONG = 120_000  # milliseconds; models are loaded on first use, on a machine that may be busy
WIDTHS = (390, 1024, 1440)


@pytest.fixture
def compare(page):
    from tests.conftest import EMBEDDED

    if not EMBEDDED.exists():
        pytest.skip("compares real models")
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.locator("#compare-card .asked").wait_for()
    return page


def turn(page, name):
    page.locator("#compare-turn").get_by_text(name, exact=True).click()


def ask(page, reference, text):
    """Type a query; the card follows when the field is left."""
    page.locator("#compare-reference input").fill(reference)
    page.locator("#compare-text input").fill(text)
    page.locator("#compare-text input").press("Enter")
    page.locator("#compare-card blockquote", has_text=text).wait_for()


def test_every_method_answers_and_one_opens_in_search(compare):
    ask(compare, "fables-0987", "have the bear sleep")
    expect(compare.locator("#compare-card .to img")).to_have_count(3)
    expect(compare.locator("#lineup")).to_be_hidden()  # no empty rows before a run
    compare.locator("#lineup-run").click()
    expect(compare.locator("#lineup")).to_be_visible()
    compare.locator("#line-setr_fused .card").first.wait_for(timeout=LONG)
    rows = compare.locator("#lineup .line:not(.idle)")
    expect(rows).to_have_count(17, timeout=LONG)
    expect(compare.locator("#line-cot .card")).to_have_count(8)
    compare.locator("#lineup-run:not([disabled])").wait_for()
    expect(compare.locator("#agreement td[style]")).to_have_count(17 * 16 // 2)
    said = compare.locator("#compare .head .took").first
    expect(said).to_contain_text("17 methods in")
    expect(said).to_contain_text("put a target first")

    card = compare.locator("#line-setr .card").first  # by keyboard: mark it in every list, pin it
    image_id = card.get_attribute("data-id")
    card.focus()
    compare.keyboard.press("Enter")
    marked = compare.locator("#compare .card[aria-pressed='true']")
    marked.first.wait_for()
    assert {m.get_attribute("data-id") for m in marked.all()} == {image_id}
    turn(compare, "What if")
    expect(compare.locator("#lab-pinned input")).to_have_value(image_id)

    turn(compare, "All methods")
    compare.locator("#line-union .go").click()
    compare.locator("#tabs").get_by_role("tab", name="Search", selected=True).wait_for()


def test_a_random_query_clears_what_was_found(compare, monkeypatch):
    monkeypatch.setattr("cirdemo.ui.compare.query.random.choice", lambda found: found[-1])
    before = compare.locator("#compare-card").inner_html()
    compare.locator("#compare-random").click()
    compare.wait_for_function(
        "before => document.querySelector('#compare-card').innerHTML !== before", arg=before
    )
    expect(compare.locator("#compare-card .star")).to_have_count(1)
    expect(compare.locator("#lineup .card")).to_have_count(0)


def test_a_wrong_reference_is_told_and_nothing_is_lost(compare):
    compare.locator("#compare-reference input").fill("fables-9999")
    compare.locator("#lineup-run").click()
    compare.get_by_test_id("toast-body").first.wait_for(timeout=LONG)
    expect(compare.locator("#compare .head .took").first).to_contain_text("fables-9999")
    compare.locator("#lineup-run:not([disabled])").wait_for()
    assert compare.locator("#compare-text input").input_value()


def test_two_settings_are_compared_stopped_filtered_and_opened(compare):
    turn(compare, "A against B")
    expect(compare.locator("#compare-bar")).to_be_hidden()
    compare.locator("#duel-run").click()
    compare.locator("#duel-board .result").wait_for(timeout=LONG)
    expect(compare.locator("#duel-board .result")).to_contain_text("McNemar")
    compare.locator("#duel-head .took", has_text=re.compile("queries/s.*left")).wait_for()
    compare.locator("#duel-stop").click()
    compare.locator("#duel-head .took", has_text="Stopped after").wait_for(timeout=LONG)
    compare.wait_for_function(  # the two are drawn one after the other
        """() => {
          const every = document.querySelectorAll('#duel-matches .match').length;
          const told = [...document.querySelectorAll('#duel-board .tally li b')];
          const sum = told.reduce((n, b) => n + Number(b.innerText.trim().split(/\\s+/)[1]), 0);
          return every >= 1 && sum === every;
        }"""
    )
    compare.locator("#duel-show").get_by_text("ties").click()
    compare.wait_for_function(
        "() => !document.querySelector('#duel-matches .win, #duel-matches .loss')"
    )
    compare.locator("#duel-show").get_by_text("all").click()
    compare.locator("#duel-matches .match").first.click()
    compare.locator("#tabs").get_by_role("tab", name="Search", selected=True).wait_for()
    compare.locator("#judge svg.flow").wait_for(timeout=LONG)  # a search left alone ends badly


def test_the_lab_moves_a_pinned_picture(compare):
    ask(compare, "fables-0987", "have the bear sleep")
    turn(compare, "What if")
    compare.locator("#lab-own textarea").fill("standing in the rain")
    compare.locator("#lab-run").click()
    compare.locator("#lab-told", has_text="sorted by effect").wait_for(timeout=LONG)
    text = compare.locator("#lab-told").inner_text()
    assert "standing in the rain" in text and "wordings that mean the same" in text
    assert compare.locator("#lab-told .words li").count() == 4
    for kind in ("drop", "swap", "negate", "paraphrase", "own"):
        assert compare.locator(f"#lab-told .outcomes .{kind}").count() >= 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", ["All methods", "A against B", "What if"])
def test_nothing_is_wider_than_the_page(compare, width, view):
    compare.set_viewport_size({"width": width, "height": 900})
    turn(compare, view)
    wide = compare.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_a_view_from_elsewhere_opens_and_runs(compare):
    compare.get_by_role("tab", name="Search", exact=True).click()
    compare.evaluate(
        """() => {
          const field = document.querySelector('#compare_view :is(input, textarea)');
          const set = Object.getOwnPropertyDescriptor(
            Object.getPrototypeOf(field), 'value').set;
          set.call(field, 'gallery=wardrobe&reference_id=wardrobe-0939&text=in red');
          field.dispatchEvent(new Event('input', {bubbles: true}));
        }"""
    )
    compare.locator("#tabs").get_by_role("tab", name="Compare", selected=True).wait_for()
    compare.locator("#compare-card blockquote", has_text="in red").wait_for()
    compare.locator("#line-text .card").first.wait_for(timeout=LONG)
    assert "wardrobe-" in compare.locator("#line-text .card").first.get_attribute("data-id")
    expect(compare.locator("#line-text .card")).to_have_count(8)
    expect(compare.locator("#compare .head .took").first).to_contain_text("methods in")

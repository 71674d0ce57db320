"""The Learn tab in a real browser: a chapter runs, the quiz is played by key, a sheet prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cirdemo import report
from cirdemo.types import Description
from tests.conftest import opened
from tests.fakes import fake_engine

pytestmark = pytest.mark.browser
LONG = 240_000  # ms: two cores may be shared


def learn(page, width=1440):
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("tab", name="Learn").click()
    page.locator("#learn-lesson h2").wait_for()


def chapter(page, key):
    page.locator(f"#learn-steps [data-id={key}]").click()
    page.locator(f"#learn-steps [data-id={key}][aria-current=step]").wait_for()


def test_a_chapter_runs_asks_and_opens_in_search(page, tmp_path):
    learn(page)
    page.get_by_role("button", name="Run it").click()
    page.locator("#learn-proof .finding").wait_for(timeout=LONG)
    expect(page.locator("#learn-proof .finding")).to_contain_text("best target")
    assert page.locator("#learn-proof .lcard.target").count() >= 1
    answer = page.locator("#learn-proof details p")
    expect(answer).to_be_hidden()
    page.locator("#learn-proof summary").focus()
    page.keyboard.press("Enter")
    expect(answer).to_be_visible()
    page.locator("#learn-sheet").wait_for()
    with page.expect_download() as download:
        page.locator("#learn-sheet").click()
    download.value.save_as(tmp_path / "sheet.html")
    assert "case sheet" in (tmp_path / "sheet.html").read_text(encoding="utf-8")
    asked = page.locator("#learn-lesson [aria-pressed=true] q").inner_text().strip("“”")
    page.locator("#learn-search").click()
    page.locator("#describe textarea").first.wait_for(timeout=LONG)
    expect(page.get_by_label("Modification text").first).to_have_value(asked)


def test_the_quiz_is_played_with_keys(page):
    learn(page)
    chapter(page, "quiz")
    page.get_by_role("button", name="New query").click()
    page.locator("#learn-question .option").first.wait_for(timeout=LONG)
    page.keyboard.press("2")  # wherever the focus is
    page.locator("#learn-question .truth").wait_for()
    assert page.locator("#learn-question .option.right").count() == 1
    tally = page.locator("#learn-question .l-tally").inner_text()
    assert re.fullmatch("[01] of 1 right · gallery fables", tally)


@pytest.mark.parametrize("width", [1024, 390])
def test_no_chapter_scrolls_the_page_sideways(page, width):
    learn(page, width)
    for key in ("judge", "wardrobe"):
        chapter(page, key)
        page.get_by_role("button", name="Run it").click()
        page.locator("#learn-proof .finding").wait_for(timeout=LONG)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    chapter(page, "quiz")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def pages_of(pdf: Path) -> int:
    return pdf.read_bytes().count(b"/Type /Page\n") or pdf.read_bytes().count(b"/Type /Page ")


def test_the_report_prints_on_one_page_and_fits_a_phone(browser, tmp_path):
    engine = fake_engine()
    query = engine.make_query(text="green " * 12, reference_id="red")
    *_, result = engine.search(query)
    shelf = engine.gallery("fables")
    told = {
        mode: Description(text="a red square with a hat in the garden " * 3, mode=mode)
        for mode in ("union", "intersection")
    }
    from dataclasses import replace

    maps = {"green": engine.explain(shelf.image("green"), ["a", "b"], "green")}
    result = replace(result, descriptions=told, notices=("A notice of one line.",) * 2)
    sheet = tmp_path / "sheet.html"
    sheet.write_text(report.html(result, shelf, maps, targets=("green",)), encoding="utf-8")
    page = opened(browser, viewport={"width": 390, "height": 844})
    page.goto(sheet.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.pdf(path=tmp_path / "sheet.pdf", prefer_css_page_size=True)
    page.close()
    assert pages_of(tmp_path / "sheet.pdf") == 1

"""The Benchmark tab in a real browser: read the table, walk through failures, turn the dials."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cirdemo.ui.view import View
from tests.conftest import settled

RESULTS = Path(__file__).resolve().parents[1] / "assets" / "results"
pytestmark = pytest.mark.browser


@pytest.fixture
def bench(page):
    page.get_by_role("tab", name="Benchmark", exact=True).click()
    page.locator("#bench-table table").wait_for()
    return page


def part(page, name):
    page.locator("#bench-pages").get_by_role("tab", name=name, exact=True).first.click()


def with_rows(page):
    """Open a stored evaluation whose rows are kept."""
    page.locator("#bench-evaluation input").click()
    page.get_by_role("option", name="wardrobe · test").click()
    page.locator("#bench-header strong", has_text="wardrobe").wait_for()


def test_a_column_head_explains_and_sorts(bench):
    head = bench.locator("#bench-table th button", has_text="R@10")
    head.focus()
    expect(bench.locator("#bench-table .says")).to_contain_text("among the first 10")
    bench.keyboard.press("Enter")
    expect(head.locator("xpath=..")).to_have_attribute("aria-sort", "descending")
    values = [
        float(row.locator("td").nth(2).get_attribute("data-v") or "-1")
        for row in bench.locator("#bench-table tbody tr").all()
    ]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("kind", ["csv", "json", "zip"])
def test_files_come_down(bench, kind):
    with bench.expect_download() as waited:
        bench.locator(f"#bench-get-{kind}").click()
    assert waited.value.suggested_filename == f"fables-test.{kind}"


def test_a_figure_is_drawn_and_saved(bench):
    part(bench, "Figures")
    bench.locator("#bench-plot img").wait_for()
    bench.get_by_label("Kinds", exact=True).click()
    bench.locator("#bench-plot img[alt^='Kinds']").wait_for()
    with bench.expect_download() as waited:
        bench.locator("#bench-get-svg").click()
    assert waited.value.suggested_filename == "fables-test-kinds.svg"


def test_failures_are_walked_by_key_and_open_in_search(bench):
    with_rows(bench)
    part(bench, "Failures")
    place = bench.locator("#bench-detail header small")
    bench.locator("#bench-detail header small", has_text="1 of").first.wait_for()
    bench.keyboard.press("j")
    bench.locator("#bench-detail header small", has_text="2 of").wait_for()
    bench.get_by_role("button", name="‹ previous").click()
    bench.locator("#bench-detail header small", has_text="1 of").wait_for()
    chip = bench.locator("#bench-facets .facet", has_text="judge wrong")
    count = chip.locator("b").inner_text()
    chip.click()
    bench.locator("#bench-detail header small", has_text=f"1 of {count}").wait_for()
    before = place.inner_text()
    bench.get_by_label("Search the queries").type("jjkk")  # typing walks nowhere
    # no query has these words: the old one stands until the answer is there, and then none does
    assert {t.split(" ·")[0] for t in place.all_inner_texts()} <= {before.split(" ·")[0]}
    bench.get_by_label("Search the queries").fill("")
    bench.locator("#bench-detail header small", has_text=f"1 of {count}").wait_for()
    text = bench.locator("#bench-detail h2").inner_text().strip("“”")
    bench.get_by_role("button", name="Open in Search").click()
    search = bench.get_by_role("tab", name="Search", exact=True).first
    bench.wait_for_function("(tab) => tab.ariaSelected === 'true'", arg=search.element_handle())
    view = bench.locator("#view :is(input, textarea)").first
    expect(view).to_have_value(re.compile("gallery=wardrobe"))
    asked = view.input_value()
    assert View.loads(asked).text.strip() == text and View.loads(asked).gallery == "wardrobe"


def test_the_threshold_moves_precision_and_recall(bench):
    with_rows(bench)
    part(bench, "Calibration")
    verdict = bench.locator("#bench-judge .trio")
    verdict.wait_for()
    before = verdict.inner_text()
    box = bench.locator("#bench-threshold input[type=number]")
    box.fill("0.9")
    box.press("Tab")
    bench.wait_for_function(
        "(old) => document.querySelector('#bench-judge .trio').innerText !== old", arg=before
    )
    expect(bench.locator("#bench-judge")).to_contain_text("From P(Yes) 0.90 on")
    expect(bench.locator("#bench-judge .protocol")).to_contain_text("reference-excluded")


def test_files_from_elsewhere_open(bench):
    files = [RESULTS / "wardrobe-test.json", RESULTS / "wardrobe-test-queries.json.gz"]
    bench.locator("#bench-open input[type=file]").set_input_files(files)
    bench.locator("#bench-header", has_text="from your files").wait_for()
    part(bench, "Failures")
    bench.locator("#bench-detail header small", has_text="1 of").wait_for()


def test_every_column_of_the_table_is_seen_on_a_small_desktop(bench):
    bench.set_viewport_size({"width": 1024, "height": 844})
    settled(bench)
    sheet, table = (
        bench.locator(f"#bench-table {part}").bounding_box() for part in (".sheet", "table.methods")
    )
    assert table["x"] + table["width"] <= sheet["x"] + sheet["width"]


def test_a_phone_is_told_of_the_columns_beyond_its_edge(bench):
    bench.set_viewport_size({"width": 390, "height": 844})
    more = bench.locator("#bench-table .more")
    expect(more).to_be_visible()
    bench.locator("#bench-table .wide").evaluate("wide => wide.scrollTo(wide.scrollWidth, 0)")
    expect(more).to_be_hidden()


def test_a_small_run_opens_as_an_evaluation(bench):
    part(bench, "Run")
    for name in ("(setr): ", "(cot): ", "Union: ", "(image): "):
        bench.locator("#bench-methods").get_by_label(name).uncheck()
    box = bench.locator("#bench-limit input")
    box.fill("6")
    box.press("Tab")
    bench.locator("#bench-start").click()
    bench.locator("#bench-header", has_text="made in this visit").wait_for()
    expect(bench.locator("#bench-table .caption")).to_contain_text("6 queries of fables, split val")


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_no_page_scrolls_sideways(bench, width):
    bench.set_viewport_size({"width": width, "height": 844})
    with_rows(bench)
    for name in ("Table", "Figures", "Failures", "Calibration", "Run"):
        part(bench, name)
        settled(bench)
        assert bench.evaluate("document.documentElement.scrollWidth") <= width, name

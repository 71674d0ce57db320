"""Stop in a real browser, pressed while the run's own request is still on its way to the queue."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

VIEWS = {  # the choice in the Compare tab -> id of the buttons, where it is told, the run's event
    "All methods": ("lineup", "#compare .head .took >> nth=0", "line_up"),
    "A against B": ("duel", "#duel-head .took", "duel"),
    "What if": ("lab", "#lab-head .took", "what_if"),
}


def numbers(page, name):
    """The events of an api name."""
    told = page.evaluate("window.gradio_config.dependencies.map(d => [d.id, String(d.api_name)])")
    return {number for number, api in told if api.rstrip("_0123456789") == name}


def hold(page, name):
    """Keep the requests back that put a run into the queue."""
    wanted, kept = numbers(page, name), []

    def meet(route):
        if route.request.post_data_json["fn_index"] in wanted:
            kept.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", meet)
    return kept


def let_go(page, kept):
    """Let the request that was kept back through; wait for what the page asks when it is over."""
    while not kept:
        page.wait_for_timeout(20)
    over = numbers(page, "ended")

    def ended(answer):
        sent = answer.request.post_data if answer.request.method == "POST" else None
        return bool(sent) and answer.request.post_data_json.get("fn_index") in over

    with page.expect_response(ended, timeout=120_000):
        kept.pop().continue_()


@pytest.mark.parametrize("view", VIEWS)
def test_compare_stays_stopped(page, view):
    from tests.conftest import EMBEDDED

    if not EMBEDDED.exists():
        pytest.skip("compares real models")
    name, head, event = VIEWS[view]
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.locator("#compare-card .asked").wait_for()
    page.locator("#compare-turn").get_by_text(view, exact=True).click()
    kept = hold(page, event)
    page.locator(f"#{name}-run").click()
    page.locator(f"#{name}-stop:enabled").click()
    expect(page.locator(head)).to_contain_text("Stopped")
    let_go(page, kept)
    expect(page.locator(f"#{name}-run")).to_be_enabled()
    expect(page.locator(head)).to_contain_text("Stopped")
    assert page.locator("#compare .line .card, #compare .match, #compare .outcomes li").count() == 0


def test_a_search_stays_stopped_and_the_next_one_runs(page):
    kept = hold(page, "run")
    page.locator("#strip .mini").first.click()
    page.locator("#reference img").first.wait_for()
    page.get_by_label("Modification text").fill("now with a trumpet too")
    page.locator("#search").click()
    page.locator("#stop:enabled").click()
    expect(page.locator("#notice")).to_contain_text("Stopped")
    let_go(page, kept)
    expect(page.locator("#search")).to_be_enabled()
    expect(page.locator("#notice")).to_contain_text("Stopped")
    assert page.locator("#describe textarea, #coarse .card, .chapter .spin").count() == 0
    page.unroute("**/queue/join*")
    page.locator("#search").click()
    page.locator("#coarse .card").first.wait_for(timeout=120_000)
    expect(page.locator("#notice")).not_to_contain_text("Stopped")
    page.locator("#search:enabled").wait_for(timeout=120_000)

"""No serious finding of axe-core on any tab, in either theme, wide and narrow."""

from __future__ import annotations

import pytest

from tests.conftest import settled

pytestmark = pytest.mark.browser
TABS = {  # and what shows that it is filled
    "Search": "#strip .mini",
    "Compare": "#compare-card .asked",
    "Benchmark": "#bench-table table",
    "Gallery": "#gal-grid .g-tile",
    "Learn": "#learn-lesson h2",
}
NOT_OURS = ()  # rules that Gradio's own widgets break, with the reason


def findings(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = axe.Axe().run(page, options=options).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {v['help']}: {node['html'][:160]}"
        for v in found
        if v["impact"] in ("serious", "critical") and v["id"] not in NOT_OURS
        for node in v["nodes"][:3]
    ]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("tab", TABS)
def test_a_tab_has_no_serious_finding(page, tab, dark):
    if dark:
        page.get_by_role("button", name="Light / dark").click()
    page.get_by_role("tab", name=tab, exact=True).click()
    page.locator(TABS[tab]).first.wait_for()
    settled(page)
    assert findings(page) == []


@pytest.mark.parametrize("width", [1440, 390])
def test_an_answer_has_no_serious_finding(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#examples .example").first.click()
    page.locator("#share .share").wait_for(timeout=120_000)
    page.locator("#coarse .card").nth(3).click()
    page.locator("#picked b").first.wait_for()
    settled(page)
    assert findings(page) == []

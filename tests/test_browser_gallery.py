"""The Gallery tab in a real browser: look around, look up, build, reload while it builds."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from test_ui_gallery import engine_of

from tests.conftest import opened
from tests.fixtures_pictures import write_folder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An app over a colour encoder, one gallery of 100 pictures, and a folder of 120 more."""
    from cirdemo.data import folder
    from cirdemo.ui.build import build_app, look

    root = tmp_path_factory.mktemp("site")
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(root / "gradio"))
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    engine = engine_of(root / "own")
    list(engine.index("mine", folder.pictures_at(write_folder(root / "first", 100))))
    photos = write_folder(root / "photos", 120)
    (photos / "half.jpg").write_bytes(b"no picture")
    app = build_app(engine)
    app.queue()
    _, address, _ = app.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, **look()
    )
    yield address, photos, engine
    app.close()
    patch.undo()


@pytest.fixture
def tab(browser, site):
    """A page with the Gallery tab open."""
    faults: list[str] = []
    page = opened(browser, viewport={"width": 1440, "height": 900})
    page.on("pageerror", lambda error: faults.append(str(error)))
    open_tab(page, site[0])
    yield page
    page.close()
    assert faults == []


def open_tab(page, address):
    page.goto(address)
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#gal-grid .g-tile").first.wait_for()


def test_one_looks_around_and_takes_a_picture_to_search(tab):
    tiles = tab.locator("#gal-grid .g-tile")
    expect(tiles).to_have_count(72)
    tab.get_by_label("Next page").first.click()
    expect(tiles).to_have_count(28)
    tiles.nth(2).focus()
    tab.keyboard.press("Enter")
    tab.locator("#gal-picked article").wait_for()
    expect(tiles.nth(2)).to_have_attribute("aria-pressed", "true")
    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).length"
    assert tab.evaluate(broken) == 0
    picked = tab.locator("#gal-picked .g-id").inner_text()
    tab.locator("#gal-picked .g-tile").first.click()
    expect(tab.locator("#gal-picked .g-id")).not_to_have_text(picked)
    tab.get_by_role("button", name="Use as reference in Search").click()
    expect(tab.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")


def test_looking_up_says_how(tab):
    tab.get_by_label("Picture id").check()
    tab.locator("#gal-text").get_by_role("textbox").fill("p01")
    tab.get_by_role("button", name="Look up").click()
    expect(tab.locator("#gal-grid .g-found p")).to_contain_text("10 pictures with “p01” in the id")
    tab.get_by_label("Text, through the encoder").check()
    tab.get_by_role("button", name="Look up").click()
    expect(tab.locator("#gal-grid .g-found p")).to_contain_text("cosine between “p01”")
    expect(tab.locator("#gal-grid .g-tile .score").first).to_have_text("1.000")
    tab.get_by_role("button", name="Show all").click()
    expect(tab.locator("#gal-grid .g-found p")).to_contain_text("All 100 pictures")


def test_a_folder_becomes_a_gallery_across_a_stop_and_a_reload(tab, site):
    address, photos, engine = site
    encoder = engine.parts.encoder.get()
    encoder.pause = 0.5  # a minute in all: it is stopped and looked at before it is done
    tab.get_by_text("Build your own", exact=True).click()
    tab.get_by_label("Folder on this machine").check()
    tab.get_by_label("Path of the folder").fill(str(photos))
    tab.get_by_label("Name of the gallery").fill("fresh")
    tab.get_by_role("button", name="Build", exact=True).click()
    tab.get_by_role("progressbar").wait_for()
    tab.get_by_role("button", name="Stop").last.click()
    expect(tab.locator("#gal-panel")).to_contain_text("Stopped")
    tab.get_by_role("button", name="Resume fresh").click()
    tab.get_by_role("progressbar").wait_for()
    open_tab(tab, address)  # the page is loaded anew: the build goes on, and is shown
    tab.get_by_text("Build your own", exact=True).click()
    tab.get_by_role("progressbar").wait_for()
    encoder.pause = 0.0
    expect(tab.locator("#gal-panel")).to_contain_text("is ready")
    expect(tab.locator("#gal-panel")).to_contain_text("1 file was left out")
    expect(tab.locator("#gal-panel")).to_contain_text("half.jpg")
    expect(tab.locator("#gal-mine")).to_contain_text("120 pictures")
    tab.get_by_label("Folder on this machine").check()
    tab.get_by_role("button", name="Build", exact=True).click()  # without a name
    expect(tab.locator("#gal-panel")).to_contain_text("Give the gallery a name")
    expect(tab.locator("#gal-panel")).not_to_contain_text("is ready")
    tab.once("dialog", lambda asked: asked.accept())
    tab.get_by_role("button", name="Delete fresh").click()
    expect(tab.locator("#gal-panel")).to_contain_text("Gallery “fresh” deleted")


def test_opening_a_gallery_shows_its_pictures_and_leaves_the_form_whole(tab):
    tab.get_by_text("Build your own", exact=True).click()
    tab.get_by_role("button", name="Open mine").click()
    tab.locator("#gal-grid").get_by_text("All 100 pictures").wait_for()
    expect(tab.locator("#gallery input")).to_have_value("Mine")
    tab.get_by_text("Build your own", exact=True).click()
    expect(tab.locator("#gal-start")).to_have_text("Build")
    expect(tab.locator("#gal-stop")).to_have_text("Stop")
    expect(tab.locator("#gal-panel h2").first).to_be_visible()


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_no_width_scrolls_sideways(tab, width):
    tab.set_viewport_size({"width": width, "height": 844})
    wide = "document.documentElement.scrollWidth"
    tab.locator("#gal-grid .g-tile").first.click()
    tab.locator("#gal-picked article").wait_for()
    assert tab.evaluate(wide) <= width
    tab.get_by_text("Build your own", exact=True).click()
    tab.locator("#gal-form").wait_for()
    assert tab.evaluate(wide) <= width

"""Requirement 9: whatever a name, a caption, a text or a model says, it stays a text.

The page and the exported page are opened in a real browser over a gallery whose ids and captions
are hostile, with models that write the same, and read for traces of what they would have done.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ui_engine import FakeDataset, FakeEngine, FakeGallery
from playwright.sync_api import expect

from cirdemo import report
from cirdemo.results import csv_lines
from cirdemo.types import Cue, Rationale
from cirdemo.ui.view import View
from tests.safety import figures
from tests.safety.conftest import serve
from tests.safety.hostile import STRINGS

NIGHTLY = bool(os.environ.get("CIRDEMO_NIGHTLY"))
TYPED = STRINGS if NIGHTLY else STRINGS[2:3]  # each is a search


class Gallery(FakeGallery):
    """Every id and every caption is one of the strings."""

    def __init__(self, folder):
        super().__init__(folder)
        self.files = dict(zip((f"{n} {s}" for n, s in enumerate(STRINGS)), self.ids, strict=False))
        self.ids = tuple(self.files)
        self.captions = {i: STRINGS[n] for n, i in enumerate(self.ids)}

    def thumbnail(self, image_id):
        return self.folder / f"{self.files.get(image_id, 'f000')}.webp"  # the examples name others

    image_path = thumbnail


class Dataset(FakeDataset):
    def triplets(self, split):
        found = zip(super().triplets(split), STRINGS, strict=False)
        return [replace(t, modification=s, kind=s, query_id=s) for t, s in found]


class Engine(FakeEngine):
    """Models that write the strings wherever they write."""

    def __init__(self, folder):
        super().__init__(folder)
        self.shelf = Gallery(folder)

    def dataset(self, name):
        return Dataset(self.gallery(name))

    def search(self, query, **given):
        for step in super().search(query, **given):
            yield worded(step)

    def explain(self, image, texts, image_id=""):
        return [replace(m, text=STRINGS[0]) for m in super().explain(image, texts, image_id)]


def worded(result, first=0):
    """A result whose every word is one of the strings, from `first` on."""
    words = (STRINGS * 3)[first:]
    cues = [
        Cue(text=w, status=s) for w, s in zip(words, ("kept", "dropped", "added"), strict=False)
    ]
    told = {
        mode: replace(d, text=words[3 + n], cues=tuple(cues), writer=words[5], caption=words[6])
        for n, (mode, d) in enumerate(result.descriptions.items())
    }
    thought = Rationale(caption=words[7], reasoning=words[8], conclusion=words[9])
    return replace(
        result,
        descriptions=told,
        notices=(words[10], words[11]),
        unknown_words=(words[12],),
        rationale=thought if result.rationale else None,
        models={"writer": words[13], "judge": words[14]},
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    before = os.environ.get("GRADIO_TEMP_DIR")
    engine = Engine(tmp_path_factory.mktemp("pictures"))
    yield serve(engine, tmp_path_factory.mktemp("uploads"), public=True)
    if before is not None:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture
def watched(browser):
    """A page whose traces are collected."""
    page, traces = browser.new_page(viewport={"width": 1440, "height": 900}), []
    page.set_default_timeout(120_000)  # milliseconds
    page.on("dialog", lambda d: (traces.append(f"dialog {d.message}"), d.dismiss()))
    page.on("request", lambda r: traces.append(r.url) if "hit.example" in r.url else None)
    page.on("popup", lambda p: traces.append("popup"))
    yield page, traces
    page.close()


def clean(page, traces):
    assert page.evaluate("window.hit") is None
    assert page.locator(".hit").count() == 0
    assert page.evaluate("[...document.querySelectorAll('[onerror],[onload]')].length") == 0
    assert traces == []


@pytest.mark.browser
@pytest.mark.parametrize("text", TYPED)
def test_req_09_the_page_shows_hostile_texts_as_texts(hostile, watched, text):
    page, traces = watched
    page.goto(hostile.url)
    page.locator("#strip .mini").first.click()
    page.locator("#reference img").first.wait_for()
    page.get_by_label("Modification text").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("#reason .steps li").first.wait_for()
    expect(page.locator("#describe")).to_contain_text(STRINGS[0])  # shown, and as it is
    page.locator("#search:enabled").wait_for()
    page.locator("#coarse .card").nth(2).click()
    page.locator("#heatmaps figure").first.wait_for()
    clean(page, traces)
    for name in ("Compare", "Benchmark", "Gallery", "Learn"):
        page.get_by_role("tab", name=name, exact=True).click()
        if name == "Gallery":
            page.locator("#gal-grid .g-tile").nth(2).click()
            page.locator("#gal-picked article").wait_for()
        clean(page, traces)
    figures.count(9, "hostile texts through every field of the page", "shown as text")


@pytest.mark.browser
def test_req_09_a_hostile_link_is_a_text(hostile, watched):
    page, traces = watched
    view = View(
        text=STRINGS[3], reference_id="0 " + STRINGS[0], union=STRINGS[4], picked=STRINGS[5]
    )
    page.goto(f"{hostile.url}/?x={STRINGS[0]}#{view.fragment()}")
    page.locator("#strip .mini").first.wait_for()
    expect(page.get_by_label("Modification text")).to_have_value(STRINGS[3])
    clean(page, traces)


@pytest.mark.browser
def test_req_09_an_exported_page_shows_hostile_texts_as_texts(hostile, watched, tmp_path):
    page, traces = watched
    engine, file = hostile.engine, tmp_path / "case.html"
    for n in range(0, len(STRINGS), 1 if NIGHTLY else 9):  # a page holds 15 of them in words
        text = STRINGS[n].replace("\0", "")
        query = engine.make_query(text=text, reference_id=engine.shelf.ids[n % 40])
        *_, result = engine.search(query)
        maps = {engine.shelf.ids[1]: engine.explain(query.reference, ["a", "b"])}
        file.write_text(report.html(worded(result, n), engine.shelf, maps), "utf-8")
        page.goto(file.as_uri())
        assert page.locator("h1").inner_text().strip("“”") == text.strip()
        clean(page, traces)
        figures.count(9, "hostile texts through every field of an exported page", "shown as text")
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert policy.startswith("default-src 'none'") and "script" not in policy


def test_req_09_no_cell_is_a_formula():
    kinds = {s: {"R@1": 0.5, "queries": 1} for s in STRINGS}
    method = {
        "n": 1,
        "seconds": 0.1,
        "R@1": -0.5,
        "interval": {},
        "by_kind": kinds,
        "by_phrasing": {},
    }
    told = {"dataset": "@x", "split": "=1", "methods": dict.fromkeys(STRINGS, method)}
    cells = [cell for line in csv_lines(told) for cell in line]
    texts = [c for c in cells if isinstance(c, str)]
    assert -0.5 in cells and not [c for c in texts if c[:1] in "=+-@\t\r" and c]
    assert any(c.startswith("'=HYPERLINK") for c in texts)


def test_req_09_no_folder_of_the_test_is_left(hostile):
    """The strings name paths and hosts; none of them was made or asked."""
    assert not Path("hit.example").exists() and not list(hostile.uploads.glob("*passwd*"))

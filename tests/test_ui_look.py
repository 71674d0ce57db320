"""Chapter 3: maps, words, control, curves, strip and figures, over the stand-in engine."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cirdemo.explain.curves import carried, curve_areas, curve_lines
from cirdemo.types import BadInput, CirError, Heatmap
from cirdemo.ui.search import look_read, look_views
from cirdemo.ui.search.history import History
from cirdemo.ui.search.look import LookHandlers
from cirdemo.ui.search.story import CHAPTERS, PAGE, Story
from cirdemo.ui.shelf import Library
from cirdemo.ui.view import View
from tests.fake_ui_engine import FakeEngine


class Mean:
    """An encoder whose cosine is the mean square of a picture's red: a plain one has least."""

    def encode_images(self, images):
        reds = [((np.asarray(i.convert("RGB"))[..., 0] / 255) ** 2).mean() for i in images]
        return np.stack([reds, np.ones(len(reds))], 1)

    def encode_texts(self, texts):
        return np.array([[1.0, 0.0]] * len(texts))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = FakeEngine(tmp_path_factory.mktemp("fables"))
    made.parts = SimpleNamespace(encoder=SimpleNamespace(get=Mean))
    return made


@pytest.fixture
def look(engine):
    engine.explained.clear()
    return LookHandlers(engine, Library(engine))


@pytest.fixture(scope="module")
def result(engine):
    query = engine.make_query(text="hugging instead", reference_id="f000")
    *_, last = engine.search(query, rerank=0, reason=False)
    return last


def values(html):
    return re.findall(r'data-action="word" data-value="([^"]*)"', html)


def test_a_picked_picture_under_both_descriptions_and_word_by_word(look, engine, result):
    html = look.chapter(result, "fables", "f005")
    for title in ("Union", "Intersection", "Difference", "The picture"):
        assert f"<b>{title}</b>" in html
    assert 'id="chapter-3"' in html and html.count('<img class="heat" src="data:image/webp') == 3
    assert "--under:url(&#x27;" not in html and "--under:url('thumbnails/fables/f005.webp')" in html
    *words, control = values(html)
    assert words == ["two brown dogs", "with hats", "hugging", "in the snow", "beside a sledge"]
    assert not {control} & set(" ".join(words).split()) and f"control: {control}" in html
    assert "Colour bar from 0.05 to 0.31" in html and "Colour bar from -0.26 to 0.26" in html
    assert engine.explained == ["f005"]  # one pass for all texts


def test_a_click_on_a_word_shows_its_map_and_computes_nothing_anew(look, engine, result):
    look.chapter(result, "fables", "f005")
    html = look.chapter(result, "fables", "f005", "hugging")
    assert "“hugging” alone" in html and "<b>Word</b>" in html and engine.explained == ["f005"]
    pressed = re.findall(r'data-value="([^"]*)" aria-pressed="true"', html)
    assert pressed == [""]  # a second click takes it back
    control = values(html)[-1]
    drawn = look.chapter(result, "fables", "f005", control)
    assert "<b>Control word</b>" in drawn and "said nowhere" in drawn
    assert values(look.chapter(result, "fables", "f005"))[-1] == control  # the same every time


def test_the_first_of_union_and_the_reference_can_be_looked_at(look, engine, result):
    look.chapter(result, "fables", "")
    assert engine.explained == [result.coarse["union"].ids[0]]
    html = look.chapter(result, "fables", "reference")
    assert "the reference image itself" in html and engine.explained[-1] == "f000"
    upload = engine.make_query(text="x", reference=Image.new("RGB", (40, 30), "red"))
    *_, other = engine.search(upload, rerank=0, reason=False)
    assert "the uploaded reference image" in look.chapter(other, "fables", "reference")


def heat(text, values, top=1.0):
    return Heatmap(
        image_id="a",
        text=text,
        kind="similarity",
        values=np.array(values, np.float32),
        value_range=(0.0, top),
    )


def test_a_sentence_is_read_off_the_maps():
    left, right = np.zeros((5, 5)), np.zeros((5, 5))
    left[:, 0], right[:, 4] = 1, 1
    words = (heat("two deer", left), heat("at <b> sunset", right), heat("riding", left[::-1]))
    said = look_read.read(
        heat("two deer at sunset", np.ones((5, 5))), heat("two deer", left), words
    )
    assert "Under union no part of the picture stands out" in said
    assert "under intersection the warm part is that of “two deer”. " in said
    assert "hold 20% of the warmth under union and 100% under intersection" in said
    odd = look_read.read(heat("two deer", right), heat("two deer", np.zeros((5, 5))), words)
    assert "Under union the warm part is that of no single phrase" in odd
    assert "0% under intersection" in odd


def test_curves_can_wait_and_are_measured_once(look, result, monkeypatch):
    early = look.chapter(result, "fables", "f005", curve=False)
    assert "Measuring how much" in early and "<svg" not in early
    html = look.chapter(result, "fables", "f005")
    assert '<details class="look-curves"><summary>' in html
    assert html.count('<svg class="curve"') == 2 and "the hottest 20% of the area" in html
    monkeypatch.setattr("cirdemo.ui.search.look.curve_lines", None)
    assert (
        html.split("</header>")[1] == look.chapter(result, "fables", "f005").split("</header>")[1]
    )


def test_the_strip_shows_the_first_of_intersection_on_one_scale(look, result):
    html = look.strip(result, "fables")
    ids = list(result.coarse["intersection"].ids[:8])
    assert re.findall(r'data-id="([^"]+)"', html) == ids and html.count("data:image/webp") == 8
    assert "Look at rank 1: " in html and "Colour bar from 0 to 0.31" in html


@pytest.mark.parametrize(("kind", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_figures_can_be_taken_away(look, result, kind, head):
    path = Path(look.download(result, "fables", "f005", kind, "hugging"))
    assert path.suffix == f".{kind}" and path.read_bytes().startswith(head)
    if kind == "svg":
        text = path.read_text()
        assert "Union" in text and "two brown dogs with hats hugging" in text
    again = Path(look.download(result, "fables", "f005", kind, "hugging"))
    assert again.name == path.name == f"maps-f005.{kind}" and again != path  # one visitor's each


def test_what_cannot_be_is_said(look, engine, result, monkeypatch):
    with pytest.raises(BadInput, match="no picture 'nothing'"):
        look.chapter(result, "fables", "nothing")
    with pytest.raises(BadInput, match="png or svg"):
        look.download(result, "fables", "f005", "pdf")

    def breaks(*given):
        raise CirError("The encoder shows no inner layers.")

    monkeypatch.setattr(engine, "explain", breaks)
    assert "shows no inner layers" in look.chapter(result, "fables", "f007")
    assert look.strip(result, "fables") == ""


def test_texts_of_strangers_are_escaped(look, engine, result):
    bad = replace(result.descriptions["union"], text="<script>alert(1)</script> dog")
    sent = replace(result, descriptions={**result.descriptions, "union": bad})
    assert "<script" not in look.chapter(sent, "fables", "f005", "<script>")


def test_no_message_of_a_search_is_large(tmp_path):
    engine = FakeEngine(tmp_path, count=60)
    engine.parts = SimpleNamespace(fusions={}, encoder=SimpleNamespace(get=Mean))
    library = Library(engine)
    story = Story(engine, library, LookHandlers(engine, library))
    view = View(gallery="fables", reference_id="f000", text="hugging instead", depth=50)
    sizes: dict[str, int] = {}
    for step in story.stages(view, None, None, History()):
        named = {name: p for name, p in zip(PAGE, step, strict=True) if isinstance(p, str)}
        what = "+".join(name for name in named if name in CHAPTERS)
        sizes[what] = max(sizes.get(what, 0), len(json.dumps(named).encode()))
    assert max(sizes.values()) < 56_000  # a gallery's real addresses are some 20 characters longer
    assert 5_000 < sizes["heatmaps"] < 30_000  # layers, and no picture that the page has already


# --- curves -------------------------------------------------------------------------------


def test_lines_are_those_of_the_single_curves_and_areas_are_theirs():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8))
    orders = {"map": rng.random((4, 4)), "random": rng.random((4, 4))}
    shares, lines = curve_lines(Mean(), image, "red", orders, steps=4)
    areas = curve_areas(Mean(), image, "red", orders, steps=4)
    assert list(shares) == [0, 0.25, 0.5, 0.75, 1]
    for curve, by_order in lines.items():
        for name, line in by_order.items():
            assert areas[curve][name] == pytest.approx(np.trapezoid(line, shares))
    assert lines["deletion"]["map"][0] == pytest.approx(lines["insertion"]["map"][-1])


def test_what_the_hot_area_carries_is_its_share_of_the_fall():
    shares = np.array([0, 0.2, 1.0])
    assert carried(shares, np.array([0.6, 0.3, 0.1])) == pytest.approx(0.6)
    assert carried(shares, np.array([0.1, 0.1, 0.1])) is None
    said = look_views.sentence(shares, np.array([0.6, 0.3, 0.1]), np.array([0.6, 0.55, 0.1]))
    assert "from 0.60 to 0.30" in said and "<b>60%</b>" in said and "a random fifth: 10%" in said
    blind = look_views.sentence(shares, np.array([0.6, 0.58, 0.1]), np.array([0.6, 0.5, 0.1]))
    assert "no more than chance" in blind
    flat = look_views.sentence(shares, np.full(3, 0.1), np.full(3, 0.1))
    assert "no part of it carries" in flat

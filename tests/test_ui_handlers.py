"""The page's events, called as methods."""

from __future__ import annotations

import json

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine
from PIL import Image

from cirdemo.types import CirError
from cirdemo.ui.events import SearchHandlers, guarded
from cirdemo.ui.shelf import Example, Library, load_examples

TEXT = "hugging instead of standing"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return FakeEngine(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def handlers(engine):
    examples = (Example("fables", "f003", TEXT, "union is dragged along"),)
    return SearchHandlers(engine, Library(engine), examples)


def click(value):
    return gr.EventData(target=None, _data={"id": value})


def run(handlers, **changes):
    asked = {
        "reference": None,
        "reference_id": "f000",
        "modification": TEXT,
        "gallery": "fables",
    }
    return list(handlers.search(**(asked | changes)))


def told(steps, place):
    """What a place of the page was last given."""
    return [s[place] for s in steps if isinstance(s[place], str)][-1]


def test_a_run_fills_the_chapters_in_order_and_ends_with_the_whole_result(handlers):
    steps = run(handlers)
    stages = [s[0].stage for s in steps]
    assert stages[:2] == ["describe", "coarse"] and stages[-1] == "reason"
    assert stages.count("judging") == 3
    assert "two brown dogs" in told(steps, 2) and "0.08 s" in told(steps, 3)
    assert "Difference" in told(steps, 4) and "was " in told(steps, 5)
    assert "Conclusion" in told(steps, 6)
    assert steps[-1][0].rationale and steps[-1][0].reranked


def test_every_step_stays_small(handlers):
    for step in run(handlers):
        sent = sum(len(part) for part in step if isinstance(part, str))
        assert sent < 60_000


def test_a_dataset_query_marks_its_target_and_an_upload_has_none(handlers):
    assert "The target is known" in told(run(handlers), 1)
    assert "★" in told(run(handlers), 1)
    upload = run(handlers, reference=Image.new("RGB", (64, 64)), reference_id="")
    assert "target is known" not in told(upload, 1)


def test_stages_switched_off_say_so(handlers):
    steps = run(handlers, judging=False, reasoning=False)
    assert "switched off" in told(steps, 5) and "switched off" in told(steps, 6)


def test_the_first_union_candidate_is_picked_and_any_other_can_be(handlers, engine):
    steps = run(handlers)
    assert engine.explained[-1] == steps[-1][0].coarse["union"].ids[0]
    html = handlers.pick(steps[-1][0], "fables", click("f005"))
    assert engine.explained[-1] == "f005" and engine.shelf.captions["f005"] in html


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reference_id": ""}, "Choose a reference image"),
        ({"modification": "  "}, "Write what should change"),
        ({"modification": "x" * 301}, "too long"),
        ({"gallery": "moon"}, "no gallery"),
    ],
)
def test_bad_input_is_told_in_a_sentence(handlers, changes, says):
    with pytest.raises(gr.Error, match=says):
        run(handlers, **changes)


def test_unknown_words_are_told_above_the_chapters(handlers):
    assert "“zeppelin”" in told(run(handlers, modification="with a zeppelin"), 1)


def test_the_error_boundary_keeps_generators_and_other_errors():
    @guarded
    def stream():
        yield 1
        raise CirError("no way")

    steps = stream()
    assert next(steps) == 1
    with pytest.raises(gr.Error, match="no way"):
        next(steps)

    @guarded
    def broken():
        raise ValueError("a bug")

    with pytest.raises(ValueError):
        broken()


def test_gallery_picture_example_and_surprise_fill_the_form(handlers):
    picture, image_id = handlers.use_picture("fables", click("f004"))
    assert picture.size == (160, 160) and image_id == "f004"
    gallery, _, image_id, text = handlers.use_example(click("0"))
    assert (gallery, image_id, text) == ("fables", "f003", TEXT)
    _, image_id, text = handlers.surprise("fables")
    assert image_id in ("f000", "f001", "f002") and text == TEXT
    with pytest.raises(gr.Error, match="no picture"):
        handlers.use_picture("fables", click("../etc/passwd"))
    with pytest.raises(gr.Error, match="no such example"):
        handlers.use_example(click("99"))


def test_pictures_are_served_as_thumbnails_with_words(handlers):
    html = handlers.strip("fables", 1)
    assert html.count("gradio_api/file=") == 12 and "Use as reference image: " in html
    assert "union is dragged along" in handlers.example_list()


def test_examples_are_read_for_the_galleries_at_hand(tmp_path):
    path = tmp_path / "examples.json"
    row = {"query_id": "q", "reference_id": "a", "modification": "m", "label": "l"}
    path.write_text(json.dumps([{**row, "gallery": "fables"}, {**row, "gallery": "other"}]))
    assert [e.gallery for e in load_examples(["fables"], path)] == ["fables"]
    assert load_examples(["fables"], tmp_path / "none.json") == []


def test_stop_leaves_a_page_that_says_so(handlers):
    search, stop, said = handlers.stopped(None)
    assert search["interactive"] and not stop["interactive"] and "Stopped" in said


def test_an_error_on_the_way_is_told_and_what_was_finished_stays(engine, handlers, monkeypatch):
    def breaks(*args, **named):
        for result in FakeEngine.search(engine, *args, **named):
            if result.judgements:
                raise CirError("The judge ran out of memory; lower the depth.")
            yield result

    monkeypatch.setattr(engine, "search", breaks)
    asked = (None, "f000", TEXT, "fables")
    steps = []
    with pytest.raises(gr.Error, match="out of memory"):
        steps.extend(handlers.search(*asked))
    last = steps[-1]
    assert "lower the depth" in last[1]
    assert [isinstance(part, str) for part in last[2:]] == [False, False, True, True, True]

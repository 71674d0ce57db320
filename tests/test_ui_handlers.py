"""The page's events, called as methods."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine, run_number
from PIL import Image

from cirdemo.types import CirError, Cue
from cirdemo.ui.search import history
from cirdemo.ui.search.ask import LEADS, AskHandlers
from cirdemo.ui.search.events import SearchHandlers
from cirdemo.ui.search.history import History
from cirdemo.ui.search.look import LookHandlers
from cirdemo.ui.search.story import CHAPTERS, PAGE
from cirdemo.ui.shelf import Example, Library, load_examples
from cirdemo.ui.ticket import Ticket
from cirdemo.ui.view import View
from cirdemo.ui.wiring import guarded

TEXT = "hugging instead of standing"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return FakeEngine(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def handlers(engine):
    library = Library(engine)
    return SearchHandlers(engine, library, LookHandlers(engine, library))


@pytest.fixture
def ask(engine):
    examples = (Example("fables", "f003", TEXT, "union is dragged along"),)
    return AskHandlers(engine, Library(engine), examples)


def click(image_id="", **data):
    return gr.EventData(target=None, _data={"id": image_id, **data})


def asked(handlers, **changes):
    form = {
        "before": View(),
        "gallery": "fables",
        "reference": None,
        "reference_id": "f000",
        "region": "",
        "text": TEXT,
        "depth": 50,
        "judge": True,
        "reason": True,
    }
    return handlers.asked(**(form | changes))


def run(handlers, view=None, before=None, **changes):
    view = view or asked(handlers, **changes)
    reference = changes.get("reference")
    return list(handlers.run(*run_number(), view, reference, before, History()))


def told(steps, name):
    """What a place of the page was last given."""
    return [s[PAGE.index(name)] for s in steps if isinstance(s[PAGE.index(name)], str)][-1]


def last(steps, name):
    """The last value of a place that is not a text."""
    found = [s[PAGE.index(name)] for s in steps]
    return [f for f in found if not (isinstance(f, dict) and f.get("__type__"))][-1]


def test_a_run_fills_the_chapters_in_order_and_ends_with_the_whole_result(handlers):
    steps = run(handlers)
    stages = [s[0].stage for s in steps if hasattr(s[0], "stage")]
    assert stages[:2] == ["describe", "coarse"] and stages[-1] == "reason"
    assert stages.count("judging") == 3
    assert "two brown dogs" in told(steps, "describe") and "0.08 s" in told(steps, "coarse")
    assert "Difference" in told(steps, "heatmaps") and "was " in told(steps, "judge")
    assert "Conclusion" in told(steps, "reason")
    result = last(steps, "result")
    assert result.rationale and result.reranked
    assert told(steps, "address") == "reference_id=f000&text=hugging+instead+of+standing"


@pytest.mark.parametrize(("depth", "most"), [(50, 40_000), (100, 60_000)])
def test_every_step_stays_small(tmp_path, depth, most):
    engine = FakeEngine(tmp_path, count=120)
    library = Library(engine)
    handlers = SearchHandlers(engine, library, LookHandlers(engine, library))
    steps = run(handlers, depth=depth)
    assert told(steps, "judge").count('class="card') == depth
    for step in steps:
        sent = json.dumps([part for part in step if isinstance(part, str)])
        assert len(sent) < most


def test_a_dataset_query_marks_its_target_and_an_upload_has_none(handlers):
    assert "the known target" in told(run(handlers), "notice")
    assert "★" in told(run(handlers), "notice")
    upload = run(handlers, reference=Image.new("RGB", (64, 64)), reference_id="")
    assert "known target" not in told(upload, "notice")


def test_an_upload_travels_in_the_address(handlers):
    steps = run(handlers, reference=Image.new("RGB", (640, 480), "teal"), reference_id="")
    *_, view = handlers.open(told(steps, "address"))
    form = handlers.open(told(steps, "address"))
    assert form[1].size == (224, 168) and form[4] == TEXT and view.reference_id == ""
    assert len(told(steps, "address")) < 20_000


def test_stages_switched_off_say_so(handlers):
    steps = run(handlers, judge=False, reason=False)
    assert "switched off" in told(steps, "judge") and "switched off" in told(steps, "reason")


def test_the_first_union_candidate_is_picked_and_any_other_can_be(handlers, engine):
    engine.explained.clear()
    result = last(run(handlers), "result")
    assert engine.explained[0] == result.coarse["union"].ids[0]
    engine.explained.clear()
    step = handlers.closer(result, View(gallery="fables"), click("f005", value="f005"))
    assert engine.explained[0] == "f005"
    assert engine.shelf.captions["f005"] in told([step], "picked")
    assert told([step], "address").endswith("picked=f005")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reference_id": ""}, "Choose a reference image"),
        ({"text": "  "}, "Write what should change"),
        ({"text": "x" * 301}, "too long"),
        ({"gallery": "moon"}, "no gallery"),
        ({"region": "ignore:xyz"}, "cannot be read"),
    ],
)
def test_bad_input_is_told_in_a_sentence(handlers, changes, says):
    with pytest.raises(gr.Error, match=says):
        run(handlers, **changes)


def test_unknown_words_are_told_above_the_chapters(handlers):
    assert "“zeppelin”" in told(run(handlers, text="with a zeppelin"), "notice")


def test_a_word_that_no_description_took_up_is_told_until_one_is_written(handlers, engine):
    there = " ".join(engine.shelf.captions.values())
    animal = next(a for a in ("fox", "cat", "lion", "owl", "frog") if a in there)
    view = asked(handlers, text=f"let them hug and add a {animal}")
    assert f"no description speaks of “{animal}”" in told(run(handlers, view), "notice")
    assert "speaks of" not in told(run(handlers, text="let them hug please"), "notice")
    view = replace(view, intersection=f"two brown dogs and a {animal} hugging")
    assert "speaks of" not in told(run(handlers, view), "notice")


def test_dropping_and_restoring_a_cue_rewrites_the_description(handlers, engine):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    drop = {"action": "chip", "mode": "union", "value": "in the snow"}
    view = handlers.act(view, result, click(**drop))
    assert view.union == "two brown dogs with hats hugging beside a sledge"
    steps = run(handlers, view, result)
    assert engine.asked[-1]["descriptions"] == {"union": view.union}
    back = handlers.act(view, last(steps, "result"), click(**drop))
    assert back.union == "two brown dogs with hats hugging in the snow beside a sledge"


def test_negating_a_cue_takes_it_out_everywhere_and_steers(handlers, engine):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    view = handlers.act(view, result, click(action="negate", mode="union", value="with hats"))
    assert view.without == ("with hats",)
    assert "hats" not in view.union and "hats" not in view.intersection
    run(handlers, view, result)
    assert engine.asked[-1]["steer"].without == ("with hats",)


def test_the_last_cue_cannot_go(handlers):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    short = replace(result.descriptions["union"], text="hugging")
    result = replace(result, descriptions={"union": short})
    with pytest.raises(gr.Error, match="last cue"):
        handlers.act(view, result, click(action="chip", mode="union", value="hugging"))


def test_liking_and_disliking_exclude_each_other(handlers):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    view = handlers.act(view, result, click(action="more", value="f007"))
    assert view.more == ("f007",)
    view = handlers.act(view, result, click(action="less", value="f007"))
    assert (view.more, view.less) == ((), ("f007",))


def test_a_thought_is_kept_with_those_before_it(handlers):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    event = click(action="think", value="reasoning", text="  only the dogs  matter ")
    view = handlers.act(view, result, event)
    assert view.thoughts == {
        "caption": result.rationale.caption,
        "reasoning": "only the dogs matter",
    }
    assert handlers.act(view, result, click(action="unthink")).thoughts == {}


def test_a_click_that_fits_nothing_is_told(handlers):
    view = asked(handlers)
    with pytest.raises(gr.Error, match="Search first"):
        handlers.act(view, None, click(action="chip"))
    result = last(run(handlers, view), "result")
    with pytest.raises(gr.Error, match="load it again"):
        handlers.act(view, result, click(action="explode"))
    with pytest.raises(gr.Error, match="no description"):
        handlers.act(view, result, click(action="write", mode="moon", text="x"))


def test_a_view_survives_its_address():
    view = View(
        gallery="wardrobe",
        reference_id="w1",
        text="in red & blue = better",
        region="ignore:" + "0" * 35 + "1",
        without=("a belt", "no sleeves"),
        more=("w2", "w3"),
        columns=("image",),
        tuned=False,
        threshold=0.35,
        depth=20,
        conclusion="x",
    )
    assert View.loads(view.fragment()) == view and View.loads("#" + view.dumps()) == view
    assert View().fragment() == ""


@pytest.mark.parametrize(
    "text",
    [
        "depth=many",
        "judge=perhaps",
        "rerank_on=moon",
        "depth=5000",
        "picture=https://x",
        "x" * 70_000,
    ],
)
def test_an_address_that_cannot_be_is_told(text):
    with pytest.raises(CirError):
        View.loads(text)


def test_sentences_that_rest_on_nothing_are_marked_in_words_too(handlers):
    html = told(run(handlers), "reason")
    assert 'class="said unfounded"' in html and "unsure: so it is" in html


def test_where_the_judge_refuses_all_its_reasons_are_told(handlers, engine, monkeypatch):
    html = told(run(handlers), "notice")
    assert "in its own words" not in html  # it says Yes to some
    found = FakeEngine.search

    def refuse(*args, **named):
        for result in found(engine, *args, **named):
            low = tuple(replace(r, yes_probability=r.yes_probability / 3) for r in result.reranked)
            yield replace(result, reranked=low)

    monkeypatch.setattr(engine, "search", refuse)
    html = told(run(handlers), "notice")
    assert "Of the first 3 it writes, in its own words: “scarves not hats”" in html

    def silent(*given):
        raise CirError("This judge gives verdicts without reasons.")

    monkeypatch.setattr(engine, "why", silent)
    html = told(run(handlers), "notice")
    assert "says Yes to none" in html and "in its own words" not in html


def test_the_dropped_words_are_put_back_with_one_press(handlers, engine):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    view = handlers.act(view, result, click(action="restore"))
    assert view.intersection == "two brown dogs with hats hugging in the snow beside a sledge"
    told = dict(result.descriptions)
    for mode, after in (("union", "a long striped shirt"), ("intersection", "a long shirt")):
        cue = Cue(text=f"a short striped shirt → {after}", status="changed")
        told[mode] = replace(told[mode], text=after, cues=(cue,))
    worn = handlers.act(view, replace(result, descriptions=told), click(action="restore"))
    assert worn.intersection == "a long striped shirt"


def test_a_verdict_is_taken_apart(handlers):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    step = handlers.closer(result, view, click(action="why", value="f005"))
    html = told([step], "picked")
    assert "says <b>No</b>" in html and "scarves not hats" in html
    assert 'class="worst"><span>with hats' in html


@pytest.mark.parametrize(("kind", "begins"), [("html", b"<!doctype html>"), ("bundle", b"PK")])
def test_a_search_is_taken_along(handlers, kind, begins):
    view = asked(handlers)
    result = last(run(handlers, view), "result")
    file = Path(handlers.save(result, view, click(action=kind)))
    assert file.read_bytes().startswith(begins) and "hugging" in file.name


def test_turns_branch_and_are_undone(handlers):
    view = asked(handlers)
    turns = History().add(view, "a.webp")
    turns = turns.add(replace(view, without=("snow",)), "a.webp")
    assert turns.now == 1 and turns.back().now == 0 and turns.back().back().now == 0
    turns = turns.back().add(replace(view, more=("f001",)), "a.webp")
    assert [t.parent for t in turns.turns] == [None, 0, 0] and turns.depth(2) == 1
    assert turns.add(view, "a.webp").now == 0 and len(turns.turns) == 3
    turns, fragment = handlers.go_to(turns, click(action="turn", value="1"))
    assert turns.now == 1 and View.loads(fragment).without == ("snow",)
    html = history.tree(turns)
    assert "against “snow”" in html and "1 liked" in html and "Undo" in html


def test_turns_are_bounded(handlers):
    turns = History()
    for n in range(history.KEPT + 5):
        turns = turns.add(View(text=f"edit {n}"), "")
    assert len(turns.turns) == history.KEPT and turns.turns[turns.now].view.text.endswith("44")


def test_a_run_ends_when_another_is_asked_for(handlers):
    number, ticket = run_number()
    steps = handlers.run(number, ticket, asked(handlers), None, None, History())
    next(steps)
    handlers.started(ticket)
    assert list(steps) == []
    search, stop = handlers.ended(ticket)  # of the first; the other is still to come
    assert not search["interactive"] and stop["interactive"]


def test_a_stop_before_the_run_has_its_turn_holds(engine, handlers):
    ticket, before = Ticket(), len(engine.asked)
    number, *_ = handlers.begin(ticket)
    handlers.stop(ticket, None, View())
    (last,) = handlers.run(number, ticket, asked(handlers), None, None, History())
    page = dict(zip(PAGE, last, strict=True))
    assert "Stopped" in page["notice"] and len(engine.asked) == before
    assert not any('class="spin"' in str(page[name]) for name in CHAPTERS)
    assert handlers.ended(ticket)[0]["interactive"]


def test_a_stop_before_its_turn_holds_when_a_new_run_is_asked_for(engine, handlers):
    ticket, before = Ticket(), len(engine.asked)
    first, *_ = handlers.begin(ticket)
    handlers.stop(ticket, None, View())
    second, *_ = handlers.begin(ticket)
    assert list(handlers.run(first, ticket, asked(handlers), None, None, History())) == []
    view = asked(handlers, text="with a kite")
    steps = list(handlers.run(second, ticket, view, None, None, History()))
    assert last(steps, "result").query.modification == "with a kite"
    assert len(engine.asked) == before + 1


def test_stop_leaves_a_page_that_says_so(handlers):
    number, ticket = run_number()
    steps = handlers.run(number, ticket, asked(handlers), None, None, History())
    shown = next(steps)[PAGE.index("result")]
    search, stop, said = handlers.stop(ticket, shown, asked(handlers))
    assert TEXT in said  # the question stays above what was found
    assert search["interactive"] and not stop["interactive"] and "Stopped" in said
    (last,) = steps  # a stage on its way when Stop was pressed must not have the last word
    page = dict(zip(PAGE, last, strict=True))
    assert page["notice"] == said and "the ten best pictures" in page["coarse"]
    assert not any('class="spin"' in page[name] for name in CHAPTERS if isinstance(page[name], str))
    search, stop = handlers.ended(ticket)
    assert search["interactive"] and not stop["interactive"]


def stopped_at(handlers, chapter, sign, before=None):
    """The page after Stop, pressed when a chapter said something."""
    number, ticket = run_number()
    steps = handlers.run(number, ticket, asked(handlers), None, before, History())
    for step in steps:
        if isinstance(part := step[PAGE.index(chapter)], str) and sign in part:
            break
    handlers.stop(ticket, None, View())
    (end,) = steps
    return dict(zip(PAGE, end, strict=True))


@pytest.mark.parametrize("again", [False, True])
def test_a_stop_while_judging_keeps_the_verdicts_and_stills_the_page(handlers, again):
    before = last(run(handlers), "result") if again else None
    page = stopped_at(handlers, "judge", "judged…", before)
    judge = page["judge"]
    assert 'class="spin"' not in judge and "P(Yes)" in judge
    assert re.search(r">stopped at \d+ of \d+ judged<", judge)
    assert "follows when all candidates" not in judge and "no rank-flow chart" in judge
    # the finished stages and what they showed stand above it, as before
    assert 'class="standing"' in page["notice"] and "Stopped" in page["notice"]
    if not again:  # else chapter 3 is that of the run before
        assert ">stopped<" in page["heatmaps"] and "comes last" not in page["heatmaps"]


def test_a_stop_while_measuring_says_so(handlers):
    html = stopped_at(handlers, "heatmaps", "Measuring how much")["heatmaps"]
    assert "Measuring how much" not in html and "the curves were not measured" in html
    assert re.search(r'role="status">[\w. ]+ s<', html)  # the maps were made: their seconds stay


def test_a_stop_while_it_thinks_leaves_no_cursor(handlers, engine, monkeypatch):
    def slowly(*args, **named):
        for result in FakeEngine.search(engine, *args, **named):
            if result.stage == "reason":
                yield replace(result, stage="reasoning")
            yield result

    monkeypatch.setattr(engine, "search", slowly)
    html = stopped_at(handlers, "reason", "caret")["reason"]
    assert "caret" not in html and "thinking" not in html and ">stopped<" in html
    assert "two brown dogs with hats" in html


def test_a_result_becomes_the_reference_and_the_text_is_asked_anew(handlers):
    picture, image_id, region, text = handlers.as_reference(View(), click(value="f009"))
    assert picture.size == (160, 160) and (image_id, region, text) == ("f009", "", "")
    with pytest.raises(gr.Error, match="no picture"):
        handlers.as_reference(View(), click(value="../x"))


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


def test_gallery_picture_example_and_surprise_fill_the_form(ask):
    picture, image_id, region = ask.use_picture("fables", click("f004"))
    assert picture.size == (160, 160) and (image_id, region) == ("f004", "")
    gallery, _, image_id, _, text = ask.use_example(click("0"))
    assert (gallery, image_id, text) == ("fables", "f003", TEXT)
    _, image_id, _, text = ask.surprise("fables")
    assert image_id in ("f000", "f001", "f002") and text == TEXT
    assert ask.use_query("fables", "q1")[1] == "f001"
    with pytest.raises(gr.Error, match="no picture"):
        ask.use_picture("fables", click("../etc/passwd"))
    with pytest.raises(gr.Error, match="no such example"):
        ask.use_example(click("99"))


def test_a_picture_can_be_painted_on(ask):
    html = ask.painter(Image.new("RGB", (400, 300)), "keep:" + "0" * 35 + "1")
    assert html.count('class="cell"') == 144 and html.count('aria-pressed="true"') == 2
    assert "Choose a reference" in ask.painter(None, "")
    assert ask.painted(click(region="keep:1")) == "keep:1"


def test_pictures_are_served_as_thumbnails_with_words(ask):
    html = ask.strip("fables", 1)
    assert html.count("thumbnails/fables/f") == 12 and "Use as reference image: " in html
    assert "union is dragged along" in ask.example_list()


def test_a_newcomer_is_offered_questions_with_examples_that_answer_them(ask):
    assert ask.start_here() == ""  # none of these examples answers one
    story = next(iter(LEADS))
    examples = (*ask.examples, Example("fables", "f004", "<b>hug</b>", story))
    html = replace(ask, examples=examples).start_here()
    assert LEADS[story] in html and 'data-id="1"' in html and html.count('class="lead"') == 1
    assert "&lt;b&gt;hug" in html


def test_the_shipped_examples_answer_every_question():
    offered = {e.label for e in load_examples(["fables", "wardrobe"])}
    assert set(LEADS) <= offered


def test_examples_are_read_for_the_galleries_at_hand(tmp_path):
    path = tmp_path / "examples.json"
    row = {"query_id": "q", "reference_id": "a", "modification": "m", "label": "l"}
    path.write_text(json.dumps([{**row, "gallery": "fables"}, {**row, "gallery": "other"}]))
    assert [e.gallery for e in load_examples(["fables"], path)] == ["fables"]
    assert load_examples(["fables"], tmp_path / "none.json") == []


def test_an_error_on_the_way_is_told_and_what_was_finished_stays(engine, handlers, monkeypatch):
    def breaks(*args, **named):
        for result in FakeEngine.search(engine, *args, **named):
            if result.judgements:
                raise CirError("The judge ran out of memory; lower the depth.")
            yield result

    monkeypatch.setattr(engine, "search", breaks)
    steps = []
    with pytest.raises(gr.Error, match="out of memory"):
        steps.extend(handlers.run(*run_number(), asked(handlers), None, None, History()))
    end = dict(zip(PAGE, steps[-1], strict=True))
    assert "lower the depth" in end["notice"]
    chapters = ("describe", "coarse", "heatmaps", "judge", "reason")
    assert [isinstance(end[n], str) for n in chapters] == [False, False, True, True, True]

"""The Compare tab's handlers, called as methods, over real engine parts made of colours."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from fake_ui_engine import run_number
from fakes import COLOURS, ColourGallery, ScriptedJudge, fake_engine
from PIL import Image

from cirdemo.engine import Engine
from cirdemo.evaluate.duel import Setting
from cirdemo.lineup import Line
from cirdemo.ui.compare import duel_views, lab_views, lineup_views
from cirdemo.ui.compare.tab import CompareHandlers
from cirdemo.ui.context import Context
from cirdemo.ui.naming import titled
from cirdemo.ui.shelf import Library
from cirdemo.ui.ticket import Ticket
from cirdemo.ui.view import View

ASKED = ("", "red", "green")  # picture, reference id, text: the dataset's first query
GALLERY = "fables"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Handlers over an engine; its pictures are files as a page needs them."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{name}.webp")
    monkeypatch.setattr(
        ColourGallery, "thumbnail", lambda self, i: tmp_path / f"{i}.webp", raising=False
    )

    def handlers(**parts):
        engine = fake_engine(**parts)
        with gr.Blocks():
            return CompareHandlers(
                Context(
                    engine=engine,
                    library=Library(engine),
                    gallery=gr.Dropdown([GALLERY], value=GALLERY),
                    view=gr.Textbox(),
                    public=False,
                )
            )

    return handlers


def click(**data):
    return gr.EventData(target=None, _data=data)


def told(steps, place):
    """What a place of the page was last given."""
    return [s[place] for s in steps if isinstance(s[place], str)][-1]


# --- the query ------------------------------------------------------------------------------


def test_the_bar_shows_the_reference_and_the_known_targets(make):
    ask = make().query
    card = ask.card("", "blue", "Red ", GALLERY)
    assert card.count("known target: ") == 2 and "2 known targets" in card
    assert "No target is known" in ask.card("", "blue", "green", GALLERY)
    assert "no picture “blu”" in ask.card("", "blu", "red", GALLERY)
    assert "<script>" not in ask.card("", "blue", "<script>", GALLERY)


def test_benchmark_queries_fill_the_bar(make):
    ask = make().query
    assert ask.take("q2", GALLERY)[1:3] == ("blue", "red")
    query_id, _, reference, text, _ = ask.surprise(GALLERY)
    assert (query_id, reference, text) in [("q1", "red", "green"), ("q2", "blue", "red")]
    assert ask.first(GALLERY) == ("red", "green")
    with pytest.raises(gr.Error, match="pick one from the list"):
        ask.take("q9", GALLERY)


def test_a_view_from_another_tab_opens_with_its_gallery(make):
    ask = make().query
    address = View(gallery=GALLERY, reference_id="blue", text="red").dumps()
    gallery, picture, reference, text, card = ask.open(address)
    assert (gallery, picture, reference, text) == (GALLERY, "", "blue", "red") and "★" in card
    with pytest.raises(gr.Error, match="no gallery “moon”"):
        ask.open(View(gallery="moon", reference_id="blue", text="red").dumps())


def test_an_uploaded_reference_comes_along_in_the_view(make):
    data = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(data, "WEBP")
    uri = "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()
    handlers = make()
    query = handlers.query.ask(uri, "", "green", GALLERY)
    assert query.reference_id is None and query.reference.size == (32, 32)
    rows = list(handlers.lineup.search(*run_number(), uri, "", "green", GALLERY))
    assert "no known target" in told(rows, 1)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("", "red", " "), "Write what should change"),
        (("", "", "green"), "Name a reference"),
        (("", "redd", "green"), "redd"),
        (("data:image/webp;base64,@@", "", "green"), "did not arrive whole"),
    ],
)
def test_a_query_that_cannot_be_asked_is_told(make, asked, says):
    with pytest.raises(gr.Error, match=says):
        list(make().lineup.search(*run_number(), *asked, GALLERY))


# --- all methods ----------------------------------------------------------------------------


def test_rows_come_one_by_one_each_in_its_place(make):
    handlers = make(judge=ScriptedJudge({"green": 0.9})).lineup
    names = list(handlers.reasons)
    steps = list(handlers.search(*run_number(), *ASKED, GALLERY))
    assert len(steps) == len(names)
    for n, (step, name) in enumerate(zip(steps, names, strict=True), 1):
        filled = [i for i, part in enumerate(step[1:-1]) if isinstance(part, str)]
        assert filled == [n - 1] and f"<h4>{titled(name)}</h4>" in step[n]
        assert f"{n} of {len(names)}" in step[0] or n == len(names)
    last = steps[-1]
    assert "put a target first" in last[0] and "Overlap@10" in last[-1]
    union = steps[names.index("union")][names.index("union") + 1]
    assert 'data-id="green"' in union and "known target" in union and "red green" in union


def test_a_method_that_cannot_run_says_why_before_anything_runs(make):
    handlers = make(broken={"judge": "No adapter 'judge' here."}).lineup
    _, *rows, before = handlers.blank()
    assert set(rows) == {""} and "2 of them cannot run here" in before  # no rows to scroll over
    *_, after = begun = handlers.begin(Ticket())
    rows = begun[4:-1]
    assert len(rows) == len(handlers.reasons) and after == ""
    assert sum("No adapter" in row for row in rows) == 2  # setr and setr_fused
    steps = list(handlers.search(*run_number(), *ASKED, GALLERY))
    assert len(steps) == len(rows) - 2


def test_a_click_pins_a_picture_or_opens_a_method_in_search(make):
    handlers = make().lineup
    view, pinned = handlers.select(*ASKED, GALLERY, click(id="white"))
    assert pinned == "white" and not isinstance(view, str)
    address, _ = handlers.select(*ASKED, GALLERY, click(action="open", method="union"))
    view = View.loads(address)
    assert (view.reference_id, view.text, view.rerank_on) == ("red", "green", "union")
    address, _ = handlers.select(*ASKED, GALLERY, click(action="open", method="setr_fused"))
    assert View.loads(address).fuse
    with pytest.raises(gr.Error, match="no picture"):
        handlers.select(*ASKED, GALLERY, click(id="../etc"))


def test_ranks_are_told_in_words_and_on_a_logarithmic_line():
    line = Line(method="m", ids=tuple("abcdefghij"))
    html = lineup_views.ranks(line, ["c", "a", "x"], 1000)
    assert "<b>1</b>" in html and "ranks of known targets: 1, 3" in html
    xs = [
        float(x) for x in re.findall(r'circle cx="([\d.]+)"', lineup_views.strip([1, 1000], 1000))
    ]
    assert sorted(xs) == [5, 135]


def test_agreement_is_a_triangle_of_counts():
    lines = [Line(method=m, ids=tuple(ids)) for m, ids in (("a", "abcd"), ("b", "abxy"))]
    html = lineup_views.agreement([*lines, Line(method="c", reason="no")])
    assert "a and b share 5 of 10" in html or "b and a share 5 of 10" in html
    assert html.count("<td style") == 1 and "c" not in re.findall(r"<span>(\w)</span>", html)
    assert lineup_views.agreement(lines[:1]) == ""


# --- two settings ---------------------------------------------------------------------------

A, B = ("intersection", 20, False, 0.75), ("text", 0, False, 0.75)


def test_a_duel_fills_board_and_matches(make):
    handlers = make(judge=ScriptedJudge({"yellow": 0.9})).duel
    steps = list(handlers.search(*run_number(), *A, *B, 40, "all", GALLERY))
    state, head, board, matches = steps[-1]
    assert len(state["rows"]) == 2 and "2 queries in" in head
    assert "--a intersection,judge=20 --b text --limit 40" in board and "McNemar" in board
    assert matches.count('class="match ') == 2
    wins = handlers.filtered(state, "win")
    losses = handlers.filtered(state, "loss")
    ties = handlers.filtered(state, "tie")
    assert sum(html.count('class="match ') for html in (wins, losses, ties)) == 2
    view = View.loads(handlers.open(state, click(action="open", n="1")))
    assert (view.reference_id, view.text) == ("blue", "red")
    with pytest.raises(gr.Error, match="no longer there"):
        handlers.open(state, click(n="77"))
    with pytest.raises(gr.Error, match="no longer there"):
        handlers.open(None, click(n="0"))


def test_a_panel_leaves_out_what_its_method_has_not(make):
    setting = make().duel.setting
    assert setting("union", 0, True, 0.3) == Setting(method="union")
    assert setting("sum", 10, True, 0.3) == Setting(
        method="sum", depth=10, fuse=True, text_weight=0.3
    )


@pytest.mark.parametrize(
    ("panel", "says"),
    [
        (("", 0, False, 0.75), "Choose a method"),
        (("onion", 0, False, 0.75), "union"),
        (("rrf:text+image", 10, True, 0.75), "no cosines"),
    ],
)
def test_a_setting_that_cannot_run_is_told_and_stops_nothing(make, panel, says):
    steps = []
    with pytest.raises(gr.Error, match=says):
        steps.extend(make().duel.search(*run_number(), *panel, *B, 5, "all", GALLERY))
    assert len(steps) == 1  # the same sentence at the head of the view


def test_what_a_duel_has_told_does_not_grow_while_it_is_read(make):
    steps = make().duel.search(*run_number(), *A, *B, 5, "all", GALLERY)
    first, *_ = next(steps)
    told = len(first["rows"])
    later = [len(state["rows"]) for state, *_ in steps]
    assert len(first["rows"]) == told == 1 and later == [2]


def test_a_stopped_duel_keeps_its_rows(make):
    handlers, (number, ticket) = make().duel, run_number()
    run = handlers.search(number, ticket, *A, *B, 40, "all", GALLERY)
    state, *_ = next(run)
    run_button, stop_button, head, board, matches = handlers.stop(ticket, state, "all")
    assert run_button["interactive"] and not stop_button["interactive"]
    assert isinstance(board, str) and "win" in board.lower()
    assert "Stopped after 1 query" in head and matches.count('class="match ') == 1
    ((state, head, board, matches),) = run
    assert "Stopped after 1 query" in head and len(state["rows"]) == 1
    assert "Stopped." in handlers.stop(ticket, None, "all")[2]


def test_rows_and_figure_can_be_taken_home(make):
    handlers = make().duel
    state, *_ = list(handlers.search(*run_number(), *A, *B, 5, "all", GALLERY))[-1]
    files = [Path(update["value"]) for update in handlers.files(state)]
    assert [f.name for f in files] == [f"fables-val-compare.{k}" for k in ("json", "png", "svg")]
    told = json.loads(files[0].read_text(encoding="utf-8"))
    assert told["queries"] == 2 and told["a"] == "intersection,judge=20" and len(told["rows"]) == 2
    assert Image.open(files[1]).width > 1000 and "McNemar p" in files[2].read_text()
    assert not any(update["visible"] for update in handlers.files(None))


def test_a_stranger_may_not_ask_for_the_whole_set(make):
    handlers = make().duel
    public = replace(handlers, context=replace(handlers.context, public=True))
    with pytest.raises(gr.Error, match="at most 100 queries"):
        list(public.search(*run_number(), *A, *B, 400, "all", GALLERY))
    assert len(list(public.search(*run_number(), *A, *B, 100, "all", GALLERY))) == 2


def test_progress_tells_rate_and_time_left():
    assert duel_views.progress(10, 40, 5.0) == "10 of 40 · 2.0 queries/s · 15 s left"
    assert "min left" in duel_views.progress(1, 400, 10.0)
    assert "loading" in duel_views.progress(0, 40, 0.0)


# --- what if --------------------------------------------------------------------------------


def lab(
    handlers, text="green", pinned="", kinds=("drop", "swap", "negate"), own="blue\nblue green"
):
    return list(
        handlers.lab.search(
            *run_number(), "", "red", text, pinned, list(kinds), "intersection", own, GALLERY
        )
    )


def test_the_lab_follows_the_known_target_and_sorts_by_effect(make):
    steps = lab(make(judge=ScriptedJudge({"green": 0.75})))
    (outcomes, gallery), head, body = steps[-1]
    assert gallery == GALLERY and outcomes[0].variant.text == "green"
    assert "<b>1</b> <span>of 9</span>" in body and "0.75" in body and "sorted by effect" in body
    assert f"{len(outcomes)} of {len(outcomes)} texts" in head
    order = re.findall(r"<q>(.*?)</q>", body)
    assert order.index("blue") < order.index("blue green")  # the one that loses it comes first


def test_another_picture_can_be_pinned_and_is_checked(make):
    handlers = make()
    assert "known target" in handlers.lab.show("", "red", "green", GALLERY)
    assert "not a known target" in handlers.lab.show("white", "red", "green", GALLERY)
    assert "no picture" in handlers.lab.show("whit", "red", "green", GALLERY)
    (outcomes, _), *_ = lab(handlers, pinned="blue")[-1]
    assert outcomes[0].rank > 1
    with pytest.raises(gr.Error, match="the reference itself"):
        lab(handlers, pinned="red")
    with pytest.raises(gr.Error, match="name a picture to pin"):
        lab(handlers, text="no benchmark query")
    with pytest.raises(gr.Error, match="nothing to try"):
        lab(handlers, kinds=(), own="")


def test_a_stopped_lab_sums_up_what_is_there(make):
    handlers, (number, ticket) = make().lab, run_number()
    asked = ("", "red", "green", "", ["drop"], "intersection", "a b\nc d\ne", GALLERY)
    run = handlers.search(number, ticket, *asked)
    state, _, body = next(run)
    assert "in the order they run" in body or "Every variant" not in body
    *_, head, body = handlers.stop(ticket, state)
    assert "Stopped after 1 text" in head and "rank" in body
    (((outcomes, _), head, _),) = run
    assert len(outcomes) == 1 and "Stopped after 1 text" in head


# --- stop -----------------------------------------------------------------------------------

RUNS = {  # what each view asks for, behind number and ticket
    "lineup": (*ASKED, GALLERY),
    "duel": (*A, *B, 40, "all", GALLERY),
    "lab": ("", "red", "green", "", ["drop"], "intersection", "blue", GALLERY),
}
REST = {"lineup": (), "duel": (None, "all"), "lab": (None,)}  # what Stop reads behind the ticket


@pytest.mark.parametrize("view", RUNS)
def test_a_stop_before_the_run_has_its_turn_holds(make, monkeypatch, view):
    handlers, ticket = getattr(make(), view), Ticket()
    monkeypatch.setattr(Engine, "search", None)  # nothing may be computed
    number, run_button, stop_button, *_ = handlers.begin(ticket)
    assert not run_button["interactive"] and stop_button["interactive"]
    run_button, stop_button, *_ = handlers.stop(ticket, *REST[view])
    assert run_button["interactive"] and not stop_button["interactive"]
    (page,) = handlers.search(number, ticket, *RUNS[view])
    said = [part for part in page if isinstance(part, str) and part]
    assert said and all("Stopped." in part for part in said)
    assert handlers.ended(ticket)[0]["interactive"]


@pytest.mark.parametrize("view", RUNS)
def test_a_run_after_a_stop_has_the_page_for_itself(make, view):
    handlers, ticket = getattr(make(), view), Ticket()
    first, *_ = handlers.begin(ticket)
    handlers.stop(ticket, *REST[view])
    second, *_ = handlers.begin(ticket)
    assert list(handlers.search(first, ticket, *RUNS[view])) == []  # it had waited all the while
    assert not handlers.ended(ticket)[0]["interactive"]  # the second is still to come
    steps = list(handlers.search(second, ticket, *RUNS[view]))
    assert "Stopped" not in str(steps[-1])
    assert handlers.ended(ticket)[0]["interactive"]


def test_another_query_ends_the_run_without_a_word(make):
    handlers, ticket = make().lineup, Ticket()
    number, *_ = handlers.begin(ticket)
    run = handlers.search(number, ticket, *ASKED, GALLERY)
    next(run)
    run_button, *_ = handlers.leave(ticket)
    assert run_button["interactive"] and list(run) == []


def test_edits_are_marked_by_shape_and_escaped():
    from cirdemo.counterfactual import Outcome, Variant

    def outcome(kind, text, **more):
        return Outcome(variant=Variant(kind=kind, text=text), first="", **more)

    original = outcome("original", "make it red", rank=2, yes_probability=0.5)
    told = [
        original,
        outcome("swap", "make it <b>", rank=200, yes_probability=0.1, description="<i>"),
        outcome("paraphrase", "red please", rank=1, yes_probability=0.5),
    ]
    html = lab_views.told(told, None, 1000, done=True)
    assert "<del>red</del> <ins>&lt;b&gt;</ins>" in html and "&lt;i&gt;" in html
    assert "▼ 198" in html and "▲ 1" in html and "-0.40" in html
    assert "<b>1 of 1</b> wordings that mean the same" in html


# --- together -------------------------------------------------------------------------------


def test_another_gallery_brings_another_query_unless_one_came_along(make):
    handlers = make()
    stays, moved, nowhere = (
        handlers.move(gallery, reference, Ticket(), Ticket())
        for gallery, reference in ((GALLERY, "blue"), (GALLERY, "not-here"), ("", "blue"))
    )
    assert len(stays) == len(moved) == len(nowhere)
    assert not any(isinstance(part, str) for part in stays)
    assert (moved[3]["value"], moved[4]) == ("red", "green")


def test_a_gallery_without_queries_says_so_and_draws_none(make, monkeypatch):
    handlers = make()
    listed, chance, _, named, _, card, *_ = handlers.move(GALLERY, "", Ticket(), Ticket())
    assert listed["interactive"] and chance["interactive"]
    monkeypatch.setattr(Library, "queries", lambda self, name: [])
    monkeypatch.setattr("cirdemo.ui.compare.query.load_examples", lambda names: [])
    listed, chance, _, named, _, card, *_ = handlers.move(GALLERY, "", Ticket(), Ticket())
    assert not listed["interactive"] and not chance["interactive"]
    assert "no benchmark queries" in listed["label"]
    some = handlers.query.hint(GALLERY)
    assert some in COLOURS and named["placeholder"] == some
    assert f"Name a reference, say “{some}”" in card and "Pick a benchmark" not in card


def test_the_turn_shows_one_view_and_the_bar_for_two_of_them():
    shown = {
        name: [u["visible"] for u in CompareHandlers.turn(name)]
        for name in ("methods", "ab", "lab")
    }
    assert shown == {
        "methods": [True, True, False, False],
        "ab": [False, False, True, False],
        "lab": [True, False, False, True],
    }


def test_states_survive_as_json(make):
    state, *_ = list(make().duel.search(*run_number(), *A, *B, 5, "all", GALLERY))[-1]
    assert json.loads(json.dumps(state))["rows"][0]["a"]["rank"]

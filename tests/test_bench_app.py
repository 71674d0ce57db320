"""Visits over plain HTTP, as `bench app` makes them, of an app over a fake engine."""

from __future__ import annotations

import pytest
from fake_ui_engine import FakeEngine

from cirdemo.bench import app as bench
from cirdemo.bench import minimal
from cirdemo.bench.clock import Times
from cirdemo.bench.visit import App, Visitor, free_port, resident, served
from cirdemo.types import CirError
from cirdemo.ui.build import build_app, look


def _launched(page, **options):
    page.queue()
    _, url, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, **options
    )
    return App.at(url.rstrip("/"))


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    pages = build_app(FakeEngine(tmp_path_factory.mktemp("pictures"))), minimal.build()
    yield _launched(pages[0], **look()), _launched(pages[1])
    for page in pages:
        page.close()
    patch.undo()


def test_a_search_is_heard_stage_by_stage(apps):
    found = bench.search(apps[0], "fables", ("f000", "hugging"))
    assert 0 < found.at("coarse") <= found.at("judged") <= found.at("whole")
    assert found.largest > bench.WRITTEN


def test_many_visitors_are_all_answered_and_a_fault_is_counted(apps):
    queries = [("f001", "hugging"), ("f002", "running"), ("no such picture", "x")]
    crowd = bench._crowd(apps[0], "fables", queries)
    told = bench._many(crowd, alone=0.1)
    assert told["visitors"] == 3 and told["errors"] == 1 and len(told["faults"]) == 1
    assert told["p50"] <= told["p95"] and 0 <= told["in_order"] <= 1


def test_empty_events_of_both_apps_take_turns(apps, monkeypatch):
    monkeypatch.setattr(bench, "EMPTY", 2)
    times = bench._empty(*apps, "fables", ("f000", "hugging"))
    assert {name: len(t.seconds) for name, t in times.items()} == {"app": 2, "minimal": 2}


def test_a_minimal_app_says_what_it_is_asked(apps):
    heard = Visitor(apps[1]).ask(apps[1].event("plain"), ["hello"])
    assert heard[-1].data == ["hello"]
    three = Visitor(apps[1]).ask(apps[1].event("three"), ["x"])
    assert sum(h.kind == "process_generating" for h in three) == 3


def test_an_event_that_is_not_there_is_named(apps):
    with pytest.raises(CirError, match="no event 'nothing'"):
        apps[1].event("nothing")


def test_a_program_that_does_not_serve_is_told_with_its_last_words(tmp_path):
    words = ["-c", "raise SystemExit('there is no model')"]
    with pytest.raises(CirError, match="there is no model"), served(words, free_port(), tmp_path):
        pass


def test_targets_are_held_against_what_was_measured():
    times = {name: Times((1.0, 2.0, 3.0)) for name in ("coarse", "judged", "whole")}
    many = {"visitors": 2, "errors": 0, "p50": 1.0, "p95": 2.0, "throughput": 0.9}
    empty = {"app": Times((0.2, 0.2)), "minimal": Times((0.1, 0.1))}
    memory = {"now": 2**30, "most": 3 * 2**30}
    told = list(bench.targets({"clock": 10.0}, times, many, empty, 50_000, memory))
    missed = [t.what.split(" /")[0] for t in told if not t.met]
    assert missed == [
        "descriptions and coarse lists",
        "an event that computes nothing",
        "memory at most",
    ]
    assert resident(-1) == {}

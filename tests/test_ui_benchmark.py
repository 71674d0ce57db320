"""The Benchmark tab's events, called as methods."""

import json
import re
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from fake_ui_engine import FakeEngine

from cirdemo.evaluate import Measurement
from cirdemo.export import report_json
from cirdemo.lineup import methods
from cirdemo.results import write
from cirdemo.ui.benchmark.desk import Desk, Look, contents
from cirdemo.ui.benchmark.events import BenchmarkHandlers
from cirdemo.ui.benchmark.judge import AS_JUDGED, FITTED, answer
from cirdemo.ui.benchmark.run import PUBLIC, STEP, RunHandlers
from cirdemo.ui.context import Context
from cirdemo.ui.naming import NAMES, called, choices, code
from cirdemo.ui.search import views as search_views
from cirdemo.ui.shelf import Library
from cirdemo.ui.view import View
from tests.fakes import ScriptedJudge, fake_engine

KEY = "fables-test"


def context_of(engine, *, public=False):
    return Context(engine=engine, library=Library(engine), gallery=None, view=None, public=public)


def measured(folder, name, methods):
    """A stored evaluation of two queries; SETR misses the first, where a target was first."""
    run = Measurement(
        fake_engine(judge=ScriptedJudge({"white": 0.9, "green": 0.3, "red": 0.95})),
        "fables",
        "test",
        methods,
    )
    run.step()
    report = run.report()
    rows = {e.method: e.rows for e in report.evaluations}
    answer = report_json(report, gallery=run.gallery) | {"command": "cirdemo <b>"}
    files = write(folder / "made", answer, rows, "command", report.queries)
    for path in files:
        if path.name.startswith("fables-test") and path.suffix in (".json", ".gz"):
            (folder / path.name.replace("fables-test", name)).write_bytes(path.read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    measured(folder, KEY, ["text", "image", "intersection", "setr"])
    measured(folder, "x-coarse", ["text", "image", "union"])
    report = json.loads((folder / f"{KEY}.json").read_text())
    (folder / "y-bare.json").write_text(json.dumps(report | {"queries": 9, "planned": 30}))
    (folder / "z-broken.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def handlers(folder, tmp_path_factory):
    return BenchmarkHandlers(context_of(FakeEngine(tmp_path_factory.mktemp("pictures"))), folder)


def click(**data):
    return gr.EventData(target=None, _data=data)


# --- opening ------------------------------------------------------------------------------


def test_every_stored_evaluation_that_can_be_read_is_offered(handlers):
    assert [key for _, key in handlers.store.choices(None)] == [KEY, "x-coarse", "y-bare"]
    assert handlers.first() == KEY


def test_the_table_and_its_head_say_what_was_measured(handlers, folder):
    head, table, beside = handlers.show(None, KEY)
    assert "reference-excluded" in head and "left out of the results" in head
    assert "scripted-judge" in head and "cirdemo &lt;b&gt;" in head and "<b>cirdemo" not in head
    report = json.loads((folder / f"{KEY}.json").read_text())
    for name in report["methods"]:
        assert f'data-v="{called(name)}"' in table
    cells = re.findall(
        r'<td data-v="([\d.]+)"', table.split('data-v="Re-ranked"')[1].split("</tr>")[0]
    )
    assert float(cells[0]) == pytest.approx(report["methods"]["setr"]["R@1"])
    assert "2 queries of fables, split test" in table and "reference-excluded" in table
    assert "re-rank inversion" in beside
    assert handlers.show(None, None)[0].startswith('<p class="empty">No evaluation is stored')


def test_without_rows_the_pages_say_so_and_how_to_get_them(handlers):
    head, _, _ = handlers.show(None, "y-bare")
    assert "not stored" in head and "first 9 of 30" in head
    facets, rows, detail, _ = handlers.browse(None, "y-bare", None)
    assert (facets, detail) == ("", "") and "Run" in rows
    assert "Nothing was judged" in handlers.judge(None, "y-bare", AS_JUDGED, 0.5)


def test_what_was_closed_is_told(handlers):
    with pytest.raises(gr.Error, match="not open any more"):
        handlers.show(Desk(), "run:7")


def test_uploads_open_for_this_visit_and_bad_ones_are_told(handlers, folder, tmp_path):
    files = [str(folder / f"{KEY}.json"), str(folder / f"{KEY}-queries.json.gz")]
    desk, update = handlers.upload(None, files)
    assert update["value"] == "uploaded:1" and len(update["choices"]) == 4
    assert handlers.show(desk, "uploaded:1")[1] == handlers.show(None, KEY)[1]
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(gr.Error, match="it lacks"):
        handlers.upload(desk, [str(tmp_path / "a.json")])
    with pytest.raises(gr.Error, match="Nothing was uploaded"):
        handlers.upload(desk, None)
    assert len(desk.made) == 1
    for _ in range(20):
        handlers.upload(desk, files)
    assert len(desk.made) == 8  # the oldest go first


def test_files_open_again(handlers, tmp_path):
    path = Path(handlers.file(None, KEY, "zip", "recall")["value"])
    assert path.name == "fables-test.zip"
    assert sorted(zipfile.ZipFile(path).namelist()) == [
        "fables-test-queries.json.gz", "fables-test.csv", "fables-test.json",
    ]  # fmt: skip
    desk, update = handlers.upload(None, [str(path)])
    assert handlers.browse(desk, update["value"], None)[0]
    svg = Path(handlers.file(None, KEY, "svg", "recall")["value"]).read_text()
    assert "<svg" in svg and "Recall@K by method" in svg
    with pytest.raises(gr.Error, match="no file of kind"):
        handlers.file(None, KEY, "exe", "recall")


def test_a_figure_is_drawn_or_says_that_it_has_no_numbers(handlers):
    assert 'src="data:image/png;base64,' in handlers.figure(None, KEY, "recall")
    assert "no numbers" in handlers.figure(None, "x-coarse", "judge")


# --- failures -----------------------------------------------------------------------------


def test_the_browser_opens_on_the_misses(handlers):
    facets, rows, detail, look = handlers.browse(None, KEY, None)
    assert 'data-value="missed" aria-pressed="true"' in facets
    assert rows.count('class="qrow"') == 1 and look.picked == "q1"
    assert 'aria-current="true"' in rows
    assert "re-rank inversion" in detail and "P(Yes) 0.30 and another picture 0.90" in detail
    assert "1 of 1" in detail and "fables, split test" in detail
    assert detail.count('class="top5"') == 5  # text, image, intersection, setr, setr_fused


def test_choices_narrow_and_widen_the_list(handlers):
    look = handlers.browse(None, KEY, None)[3]
    _, rows, _, look = handlers.filter(None, KEY, look, click(facet="blame", value="missed"))
    assert rows.count('class="qrow"') == 2
    _, rows, detail, look = handlers.words(None, KEY, look, "nothing like it")
    assert "No query fits" in rows and "Pick a query" in detail
    _, rows, _, look = handlers.words(None, KEY, look, "")
    assert rows.count('class="qrow"') == 2
    update, detail, look = handlers.pick(None, KEY, look, click(id="q2"))
    assert "Re-ranking puts a target first" in detail and look.picked == "q2"
    assert update == gr.skip()
    _, rows, _, look = handlers.filter(None, KEY, look, click(facet="method", value="image"))
    assert look.asked.method == "image"


def test_pages_turn_and_walking_back_lands_on_the_last_row(handlers, monkeypatch):
    monkeypatch.setattr("cirdemo.ui.benchmark.cases.PAGE", 1)
    look = handlers.filter(None, KEY, Look(), click(facet="blame", value="missed"))[3]
    rows, detail, look = handlers.pick(None, KEY, look, click(action="page", value="1"))
    assert look.picked == "q2" and "2–2 of 2" in rows
    back = click(action="page", value="0", end="last")
    rows, detail, look = handlers.pick(None, KEY, look, back)
    assert look.picked == "q1" and "1–1 of 2" in rows and "1 of 2" in detail


def test_an_evaluation_without_setr_is_browsed_by_rank(handlers):
    look = Look(asked=handlers.browse(None, KEY, None)[3].asked)
    facets, _, detail, look = handlers.browse(None, "x-coarse", look)
    assert look.asked.method == "union" and look.asked.blame == ""
    assert "Blame" not in facets and (not look.picked or "no stage is blamed" in detail)


def test_a_query_opens_in_search(handlers):
    look = handlers.browse(None, KEY, None)[3]
    view = View.loads(handlers.open_in_search(None, KEY, look))
    assert (view.gallery, view.reference_id, view.text) == ("fables", "red", "green")
    with pytest.raises(gr.Error, match="Pick a query"):
        handlers.open_in_search(None, KEY, Look())


def test_an_evaluation_of_a_gallery_that_is_not_here(handlers, folder):
    from dataclasses import replace

    from cirdemo.evaluate.opened import load

    found = load(folder / f"{KEY}.json")
    desk = Desk()
    key = desk.add("run", replace(found, cases=replace(found.cases, dataset="elsewhere")))
    _, rows, detail, look = handlers.browse(desk, key, None)
    assert "nopic" in rows and "nopic" in detail and "<img" not in detail
    with pytest.raises(gr.Error, match="not on this machine"):
        handlers.open_in_search(desk, key, look)


# --- calibration --------------------------------------------------------------------------


def test_the_calibration_page_counts_and_names_its_protocol(handlers):
    page = handlers.judge(None, KEY, AS_JUDGED, 0.5)
    assert "16 judged candidates, 3 of them targets" in page and "reference-excluded" in page
    assert "It cannot be told" in page
    assert page.count("<svg") == 2 and "From P(Yes) 0.50 on" in page
    assert "From P(Yes) 0.95 on, 0 candidates" in handlers.judge(None, KEY, FITTED, 0.95)


@pytest.mark.parametrize(
    ("targets", "count", "says"),
    [
        (50, 100, "No:</b> of the 100 candidates judged at 0.75 to 0.85, 50 in 100 are targets"),
        (95, 100, "promises less than it keeps there"),
        (78, 100, "Yes, as far as can be told:</b> of the 100"),
        (8, 10, "cannot be told:</b> too few candidates, 10,"),
    ],
)
def test_whether_eighty_in_a_hundred_holds_is_answered_from_the_candidates(targets, count, says):
    p = np.array([0.8] * count + [0.01] * 900)
    right = np.arange(len(p)) < targets
    told = answer(p, right, 0.0123)
    assert says in told
    assert ("ECE is 0.0123 all the same" in told) == told.startswith("<b>No")


def test_the_fitted_temperature_has_the_form_of_the_judge_s_own_file(handlers, tmp_path):
    from cirdemo.rerank import Calibration

    name, data = contents(handlers.store.get(None, KEY), "temperature")
    (tmp_path / name).write_bytes(data)
    told = json.loads(data)
    assert Calibration.load(tmp_path).temperature == told["temperature"]
    assert told["split"] == "test" and told["candidates"] == 16
    with pytest.raises(gr.Error, match="judged candidates"):
        handlers.file(None, "x-coarse", "temperature", "recall")


# --- running ------------------------------------------------------------------------------


@pytest.fixture
def runs(folder):
    return RunHandlers(context_of(fake_engine()), BenchmarkHandlers(context_of(None), folder).store)


def test_a_run_goes_in_steps_and_opens_at_the_end(runs, handlers):
    desk, told, timer, *_ = runs.start(None, "fables", "val", ["text", "setr"], 2)
    assert "loading" in told and timer.active
    desk, told, *_ = runs.tick(desk)  # loads
    assert "first queries" in told
    desk, told, timer, start, stop, opened, page = runs.tick(desk)
    assert "<b>2</b> of 2 queries" in told and "done" in told and not timer.active
    assert start["interactive"] and not stop["interactive"]
    assert opened["value"] == "run:1" and page["selected"] == "table"
    head, *_ = handlers.show(desk, "run:1")
    assert "made in this visit" in head and "--split val --methods text,setr --limit 2" in head
    assert desk.job is None
    assert runs.tick(desk)[2].active is False


def test_a_stopped_run_keeps_what_it_has(runs, handlers, monkeypatch):
    monkeypatch.setattr("cirdemo.ui.benchmark.run.STEP", 1)
    desk, *_ = runs.start(None, "fables", "val", ["text"], 2)
    for _ in range(2):
        desk, told, *_ = runs.tick(desk)
    assert "<b>1</b> of 2" in told and "left" in told and "R@1 so far" in told
    runs.halt(desk)
    desk, told, timer, *_ = runs.tick(desk)
    assert "stopped" in told and not timer.active
    assert "first 1 of 2" in handlers.show(desk, "run:1")[0]
    assert STEP > 1


def test_a_run_stopped_before_its_first_step_says_so_and_loads_nothing(runs, monkeypatch):
    monkeypatch.setattr("cirdemo.ui.benchmark.run.Measurement", None)
    desk, *_ = runs.start(None, "fables", "val", ["text"], 2)
    runs.halt(desk)
    desk, told, timer, start, stop, *_ = runs.tick(desk)
    assert "Stopped before the first query" in told and "spin" not in told
    assert not timer.active and start["interactive"] and not stop["interactive"]
    assert desk.job is None and desk.made == {}


def test_what_cannot_run_is_told_before_anything_is_loaded(runs):
    with pytest.raises(gr.Error, match="at least one method"):
        runs.start(None, "fables", "val", [], 5)
    with pytest.raises(gr.Error, match="whole number"):
        runs.start(None, "fables", "val", ["text"], 0)
    with pytest.raises(gr.Error, match="Did you mean 'text'"):
        runs.start(None, "fables", "val", ["txt"], 5)
    desk, *_ = runs.start(None, "fables", "val", ["text"], 5)
    with pytest.raises(gr.Error, match="running already"):
        runs.start(desk, "fables", "val", ["text"], 5)


def test_an_error_on_the_way_ends_the_run_with_its_reason(runs):
    desk, *_ = runs.start(None, "fables", "train", ["text"], 5)
    desk, told, timer, start, *_ = runs.tick(desk)
    assert "no queries in split" in told and not timer.active and start["interactive"]
    assert desk.job is None and desk.made == {}


def test_strangers_get_fewer_queries(folder):
    runs = RunHandlers(context_of(fake_engine(), public=True), None)
    desk, *_ = runs.start(None, "fables", "val", ["text"], 5000)
    assert desk.job.limit == PUBLIC


def test_every_method_that_can_be_measured_is_explained():
    shown = {name: label for label, name in choices(methods(fake_engine()))}
    assert {"union", "cot", "setr", "rrf"} <= set(shown)
    assert all(f"{called(name)} ({name}): " in label for name, label in shown.items() if code(name))
    assert shown["text"] == "Text only (text): the text alone"
    assert shown["union"].startswith("Union: ")  # one name is enough where both are the same
    assert set(shown) <= set(NAMES)
    assert all(search_views.LISTS[name] == called(name) for name in search_views.LISTS)
    assert choices(["setr"], explained=False) == [("Re-ranked (setr)", "setr")]
    assert choices(["rrf:text+union"]) == [("rrf:text+union", "rrf:text+union")]

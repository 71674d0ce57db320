"""The tour says what its run has shown and nothing else; the quiz keeps its truth and its score."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine

from cirdemo.selftest import selftest
from cirdemo.types import (
    BadInput,
    Candidate,
    CirError,
    Cue,
    Description,
    Query,
    Ranking,
    Rationale,
    Reranked,
    SearchResult,
)
from cirdemo.ui import findings
from cirdemo.ui.context import Context
from cirdemo.ui.findings import Run
from cirdemo.ui.learn import quiz
from cirdemo.ui.learn import views as learn_views
from cirdemo.ui.learn.lessons import LESSONS
from cirdemo.ui.learn.tab import KEYS, LearnHandlers
from cirdemo.ui.shelf import Library
from cirdemo.ui.view import View
from tests.fakes import fake_engine

IDS = [f"p{n}" for n in range(1, 101)]
CAPTIONS = {"p1": "a dog in the snow", "p2": "a cat in the snow", "t": "a dog hugging a cat"}


def ranking(name, place, ids=IDS):
    """A list with the target "t" at a place."""
    ordered = [i for i in ids if i != "t"]
    ordered.insert(place - 1, "t")
    found = tuple(
        Candidate(image_id=i, score=1 - n / 100, rank=n) for n, i in enumerate(ordered, 1)
    )
    return Ranking(query_id="q", method=name, candidates=found)


def run_of(judged=(), rationale=None, **places):
    cue = Cue(text="in the snow", status="kept")
    away = Cue(text="in the snow", status="dropped")
    result = SearchResult(
        query=Query(query_id="q", reference=None, modification="hugging"),
        stage="coarse",
        descriptions={
            "union": Description(text="u", mode="union", cues=(cue,)),
            "intersection": Description(text="i", mode="intersection", cues=(away,)),
        },
        coarse={name: ranking(name, place) for name, place in places.items()},
        reranked=judged,
        judgements={r.image_id: r for r in judged},
        rationale=rationale,
    )
    caption = CAPTIONS.get
    return Run(result=result, targets={"t"}, size=101, caption=lambda i: caption(i, "a lion"))


def verdict(image_id, rank, was, p):
    return Reranked(
        image_id=image_id, rank=rank, coarse_rank=was, score=0.5, yes_probability=p, margin=p
    )


def test_the_union_is_blamed_only_where_it_is_behind():
    found = findings.dragged(run_of(union=41, intersection=1))
    assert found.holds and "at rank 41 of 101, the intersection at rank 1." in found.sentences[0]
    assert "2 of the union's first 10 pictures still show “in the snow”;" in found.sentences[1]
    assert "of the intersection's, 2." in found.sentences[1]
    none = replace(run_of(union=41, intersection=1), caption=lambda i: "a dog")
    assert "None of the union's first 10" in findings.dragged(none).sentences[1]
    every = replace(none, caption=lambda i: "a dog in the snow")
    assert "All of the union's first 10" in findings.dragged(every).sentences[1]
    other = findings.dragged(run_of(union=1, intersection=3))
    assert not other.holds and "the opposite" in other.sentences[-1]
    same = findings.dragged(run_of(union=2, intersection=2))
    assert not same.holds and "does not show the effect" in same.sentences[-1]


def test_the_wardrobe_chapter_wants_the_union_ahead():
    assert findings.wardrobe(run_of(union=1, intersection=20)).holds
    assert not findings.wardrobe(run_of(union=20, intersection=1)).holds


def test_the_judge_is_praised_blamed_or_excused():
    up = (verdict("t", 1, 3, 0.9), verdict("p1", 2, 1, 0.1), verdict("p2", 3, 2, 0.0))
    found = findings.judged(run_of(judged=up, intersection=3))
    assert found.holds and "rank 3; after the judge it stands at 1, with P(Yes) 0.90" in " ".join(
        found.sentences
    )
    assert "P(Yes) 0.10 and moved from 1 to 2" in found.sentences[1]
    down = (verdict("p1", 1, 2, 0.8), verdict("t", 2, 1, 0.3))
    found = findings.judged(run_of(judged=down, intersection=1))
    assert found.holds and "Here it errs: P(Yes) 0.80" in found.sentences[-1]
    assert "a dog in the snow" in found.sentences[-1]
    still = (verdict("t", 1, 1, 0.8), verdict("p1", 2, 2, 0.3))
    assert not findings.judged(run_of(judged=still, intersection=1)).holds
    two = (verdict("t2", 1, 2, 0.9), verdict("t", 2, 1, 0.8), verdict("p1", 3, 3, 0.1))
    both = replace(run_of(judged=two, intersection=1), targets={"t", "t2"})
    found = findings.judged(both)
    assert "rank 1; the judge puts that one at 2 and another target before" in found.sentences[0]
    assert "2 → 1, with P(Yes) 0.90" in found.sentences[0] and not found.holds
    assert "left it where it was" not in found.sentences[-1]
    unseen = (verdict("p1", 1, 1, 0.8),)
    found = findings.judged(run_of(judged=unseen, intersection=60))
    assert not found.holds and "saw only the first 1, so it could not help" in found.sentences[0]


def test_the_reasoning_is_measured_against_itself():
    thought = Rationale(caption="c", reasoning="r", conclusion="a dog hugging")
    places = {"union": 9, "intersection": 4}
    found = findings.reasoned(run_of(rationale=thought, cot=1, cot_direct=8, **places))
    assert found.holds and "true caption begins" in found.sentences[1]
    same = findings.reasoned(run_of(rationale=thought, cot=1, cot_direct=1, **places))
    assert not same.holds and "changes nothing" in same.sentences[-1]
    wrong = Rationale(caption="c", reasoning="r", conclusion="a lion")
    worse = findings.reasoned(run_of(rationale=wrong, cot=5, cot_direct=2, **places))
    assert not worse.holds and "costs ranks" in worse.sentences[-1]
    assert "true caption is “a dog hugging a cat”" in worse.sentences[1]


def test_dpo_is_compared_with_chance():
    places = {"dpo": 30, "text": 40, "intersection": 1}
    found = findings.tuned(run_of(dpo_published=60, **places))
    assert found.holds and "near rank 51" in found.sentences[1]
    assert "-0.010 to 0.990" in found.sentences[2]
    assert not findings.tuned(run_of(dpo_published=2, **places)).holds


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return FakeEngine(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def handlers(engine):
    with gr.Blocks():
        gallery, view = gr.Dropdown(["fables"]), gr.Textbox()
    library = Library(engine)
    return LearnHandlers(
        Context(engine=engine, library=library, gallery=gallery, view=view, public=False)
    )


def click(value):
    return gr.EventData(target=None, _data={"id": value})


@pytest.mark.parametrize("key", KEYS)
def test_every_chapter_runs_and_proves_itself(handlers, key):
    steps, lesson, waiting, *rest = handlers.turn(click(key))
    assert f'data-id="{key}" aria-current=step' in steps and "Press “Run it”" in waiting
    assert [c["visible"] for c in rest[:3]] == [True, False, False]
    told = next(t for t in LESSONS if t.key == key)
    assert told.title in lesson and "hugging instead of standing" in lesson
    *busy, (proof, sheet) = handlers.run(rest[3])
    assert len(busy) >= 2 and all('class="spin"' in html for html, _ in busy)
    assert 'class="finding"' in proof and proof.count("llist") == len(told.show)
    assert 'class="star"' in proof and "<details" in proof and told.question in proof
    page = Path(sheet["value"]).read_text()
    assert sheet["visible"] and "case sheet" in page and "known target" in page


def test_case_sheets_lie_where_old_files_are_swept(handlers, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    sheets = [list(handlers.run(("union", 0)))[-1][1]["value"] for _ in range(2)]
    assert len(set(sheets)) == 2  # one visitor's each
    assert all(Path(sheet).is_relative_to(tmp_path / "downloads") for sheet in sheets)


def test_a_chapter_opens_in_search(handlers):
    view = View.loads(handlers.search(("union", 0)))
    assert (view.gallery, view.reference_id) == ("fables", "f000")
    assert view.text == "hugging instead of standing"


def test_unknown_chapters_and_queries_fall_back(handlers):
    _, lesson, *_ = handlers.turn(click("<script>"))
    assert LESSONS[0].title in lesson
    lesson, _, state, _ = handlers.choose(("union", 0), click("7"))
    assert "hugging" in View.loads(handlers.search(state)).text


def test_the_quiz_asks_answers_and_counts(handlers):
    (_, busy, _), (question, screen, search) = handlers.ask(None, "fables")
    assert "spin" in busy
    assert "no answer yet" in screen and not search["visible"]
    assert screen.count("<button") == len(question.options) and "truth" not in screen
    answered, screen, search = handlers.guess(question, click(str(question.right)))
    assert answered.score == (1, 1) and "Right." in screen and search["visible"]
    assert "✓ this one" in screen and "✗" not in screen and "disabled" in screen
    again, _, _ = handlers.guess(answered, click("0"))
    assert again.score == (1, 1)  # a second answer does not count
    *_, (asked, screen, _) = handlers.ask(again, "fables")
    assert asked.score == (1, 1) and "1 of 1 right" in screen
    wrong = next(n for n in range(len(asked.options)) if n != asked.right)
    lost, screen, _ = handlers.guess(asked, click(str(wrong)))
    assert lost.score == (1, 2) and "✗ your guess" in screen and "✓ this one" in screen
    assert View.loads(handlers.search_question(lost)).reference_id == lost.triplet.reference_id


@pytest.mark.parametrize("seed", range(12))
def test_the_truth_of_the_quiz_is_the_runs(engine, seed):
    question = quiz.ask(engine, Library(engine), "fables", (0, 0), random.Random(seed))
    ids = question.run.result.coarse[question.method].ids
    if question.kind == "picture":
        assert question.options[question.right] == ids[0]
        assert len(set(question.options)) == quiz.PICTURES
    else:
        rank = 1 + min(ids.index(t) for t in question.triplet.target_ids)
        low, high, _ = quiz.BANDS[question.right]
        assert low <= rank <= high


def test_bad_answers_are_told(handlers, engine):
    handlers.context.library._queries["mine"] = []
    *_, (question, screen, _) = handlers.ask(None, "mine")  # has no queries: another is taken
    assert "Gallery “mine” has no queries" in screen and f"from “{question.gallery}”" in screen
    *_, (_, screen, _) = handlers.ask(None, question.gallery)
    assert "no queries" not in screen
    assert question.gallery == "fables"
    for value in ("9", "-1", "x", ""):
        with pytest.raises(gr.Error, match="no such answer"):
            handlers.guess(question, click(value))
    with pytest.raises(gr.Error, match="Ask for a query first"):
        handlers.guess(None, click("0"))
    library = Library(engine)
    library._queries["fables"] = []
    with pytest.raises(BadInput, match="needs queries"):
        quiz.ask(engine, library, "fables", (0, 0), random.Random(0))


def test_the_selftest_tells_each_part_and_what_failed(monkeypatch):
    found = {c.name: c for c in selftest(fake_engine(broken={"cot": "No checkpoint 'cot'."}))}
    assert found["method cot"].state == "left out" and "checkpoint" in found["method cot"].detail
    assert found["method union"].state == found["query: rerank"].state == "passed"
    assert found["gallery fables"].detail == "9 pictures" and found["heatmaps"].detail == "2 maps"
    engine = fake_engine()

    def broken(*args, **named):
        raise CirError("The encoder is damaged.")
        yield

    monkeypatch.setattr(engine, "search", broken)
    found = {c.name: c for c in selftest(engine)}
    assert found["one query"].state == "failed"
    assert found["one query"].detail == "The encoder is damaged." and "heatmaps" not in found
    html = learn_views.checks(list(found.values()))
    assert "1 failed" in html and "✗" in html


def test_a_judge_that_fails_is_seen():
    engine = fake_engine(broken={"judge": "No checkpoint 'judge'."})

    def missing():
        raise CirError("No checkpoint 'judge'.")

    engine.parts.judge._load = missing
    found = {c.name: c for c in selftest(engine)}
    assert found["query: rerank"].state == "failed"
    assert "could not run" in found["query: rerank"].detail


def test_the_page_shows_the_selftest_as_it_goes(handlers):
    *steps, last = handlers.test()
    assert "checking…" in steps[0] and "Everything works" in last and "gallery fables" in last


def test_what_was_left_out_of_a_changed_phrase_is_named():
    def told(mode, after, status):
        changed = Cue(text=f"a short striped shirt → {after}", status="changed")
        cues = (changed, Cue(text="and pockets", status=status))
        return Description(text=after, mode=mode, cues=cues)

    both = {
        "union": told("union", "a long striped shirt", "kept"),
        "intersection": told("intersection", "a long shirt", "dropped"),
    }
    result = SearchResult(query=None, stage="describe", descriptions=both)
    run = findings.Run(result=result, targets=(), size=9, caption=str)
    assert findings.extra_of(run) == ["striped", "pockets"]

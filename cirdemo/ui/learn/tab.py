"""The Learn tab: a tour over real runs, a quiz, and a test of this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo import report
from cirdemo.selftest import Check, selftest
from cirdemo.types import BadInput, CirError, SearchResult
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import on_disk, stem
from cirdemo.ui.findings import Run
from cirdemo.ui.learn import quiz
from cirdemo.ui.learn import views as learn_views
from cirdemo.ui.learn.lessons import LESSONS, Lesson
from cirdemo.ui.shelf import Example, load_examples
from cirdemo.ui.view import View
from cirdemo.ui.wiring import CLICKS, MODEL, PLAIN, QUIET, clicked_number, guarded

KEYS = tuple(lesson.key for lesson in LESSONS)
WORKING = {"describe": "Searching the gallery", "coarse": "Judging", "judging": "Judging"}
# The keys 1 to 5 answer the quiz that is in view, unless someone types; an answer is marked at
# once.
DIGITS = (
    CLICKS
    + """
element.addEventListener('click', (event) => {
  event.target.closest('.option:not(:disabled)')?.classList.add('taken');
});
document.addEventListener('keydown', (event) => {
  if (!element.isConnected || !element.offsetParent) return;
  if (event.target.closest('input, textarea, select, [role="listbox"]')) return;
  const hit = element.querySelectorAll('.option:not(:disabled)')[Number(event.key) - 1];
  if (hit && !event.ctrlKey && !event.metaKey && !event.altKey) hit.click();
});
"""
)


@dataclass(frozen=True)
class LearnHandlers:
    """What the Learn tab does."""

    context: Context

    @property
    def _library(self) -> Any:
        return self.context.library

    def examples(self, told: Lesson) -> list[Example]:
        """The example queries of a chapter; any of its gallery where none has its story."""
        names = self.context.engine.galleries()
        gallery = told.gallery if told.gallery in names else names[0]
        asked = self._library.targets
        stored = [
            e
            for e in load_examples(names)
            if e.gallery == gallery and asked(gallery, e.reference_id, e.modification)
        ]
        found = ([e for label in told.labels for e in stored if e.label == label] or stored)[:3]
        if found:
            return found
        return [
            Example(gallery, t.reference_id, t.modification, "a validation query")
            for t in self._library.queries(gallery)[:1]
        ]

    def lesson(self, key: str, chosen: int) -> str:
        """A chapter's screen."""
        told, examples = _told(key), self.examples(_told(key))
        gallery = examples[0].gallery if examples else self.context.engine.galleries()[0]
        return learn_views.lesson(told, examples, chosen, self._library.shelf(gallery))

    @guarded
    def open(self, key: str) -> tuple[Any, ...]:
        """Another chapter: steps, lesson, proof, which columns show, state, case sheet."""
        told = key if key in KEYS else KEYS[0]
        shows = [gr.update(visible=v) for v in (key in KEYS, key == "quiz", key == "test")]
        waiting = learn_views.waiting(_told(told))
        lesson = self.lesson(told, 0)
        return (
            learn_views.steps(key),
            lesson,
            waiting,
            *shows,
            (told, 0),
            gr.update(visible=False),
        )

    def turn(self, event: gr.EventData) -> tuple[Any, ...]:
        """A chapter was clicked."""
        found: tuple[Any, ...] = self.open(str(event._data.get("id", "")))
        return found

    def choose(self, state: tuple[str, int], event: gr.EventData) -> tuple[Any, ...]:
        """Another example query was clicked: lesson, proof, state, case sheet."""
        key, chosen = state[0], int(clicked_number(event, "id"))
        waiting = learn_views.waiting(_told(key))
        return self.lesson(key, chosen), waiting, (key, chosen), gr.update(visible=False)

    @guarded
    def run(self, state: tuple[str, int]) -> Iterator[tuple[Any, Any]]:
        """The chapter's query: what is being done, then the proof and its case sheet."""
        told, example = _told(state[0]), self._example(state)
        shelf = self._library.shelf(example.gallery)
        yield learn_views.busy("Reading the reference"), gr.update(visible=False)
        query = self.context.engine.make_query(
            text=example.modification, reference_id=example.reference_id, gallery=example.gallery
        )
        targets = self._library.targets(example.gallery, example.reference_id, example.modification)
        size = len(shelf.gallery.ids)
        result = SearchResult(query=query, stage="")
        for result in self.context.engine.search(
            query, gallery=example.gallery, methods=told.methods, top=size, **told.options
        ):
            yield learn_views.busy(WORKING.get(result.stage, "Thinking")), gr.skip()
        run = Run(result=result, targets=frozenset(targets), size=size - 1, caption=shelf.alt)
        sheet = sheet_file(told, run, shelf.gallery)
        yield learn_views.proof(told, run, shelf), gr.update(value=str(sheet), visible=True)

    def search(self, state: tuple[str, int]) -> str:
        """The chapter's query, for the Search tab."""
        example = self._example(state)
        return _view(example.gallery, example.reference_id, example.modification)

    def _example(self, state: tuple[str, int]) -> Example:
        examples = self.examples(_told(state[0]))
        if not examples:
            raise BadInput("This gallery has no query to show it on; choose another.")
        return examples[min(max(state[1], 0), len(examples) - 1)]

    # --- quiz ------------------------------------------------------------------------------

    @guarded
    def ask(self, question: quiz.Question | None, gallery: str) -> Iterator[tuple[Any, ...]]:
        """A new query: state, screen, whether it can be opened in Search."""
        score = question.score if question else (0, 0)
        shelf = self._library.shelf(question.gallery) if question else None
        off = gr.update(visible=False)
        yield gr.skip(), quiz.waiting(), off
        try:
            asked = quiz.playable(self._library, (gallery, *self.context.engine.galleries()))
            made = quiz.ask(self.context.engine, self._library, asked, score, random.Random())
            made = replace(made, wanted="" if asked == gallery else gallery)
        except CirError:
            yield gr.skip(), quiz.shown(question, shelf), off
            raise
        yield made, quiz.shown(made, self._library.shelf(asked)), off

    @guarded
    def guess(self, question: quiz.Question | None, event: gr.EventData) -> tuple[Any, ...]:
        """An answer: state, screen, Open in Search."""
        told = quiz.guessed(question, str(event._data.get("id", "")))
        shelf = self._library.shelf(told.gallery)
        return told, quiz.shown(told, shelf), gr.update(visible=True)

    def search_question(self, question: quiz.Question | None) -> str:
        """The quiz's query, for the Search tab."""
        if question is None:
            return ""
        t = question.triplet
        return _view(question.gallery, t.reference_id, t.modification)

    # --- self-test -------------------------------------------------------------------------

    def test(self) -> Iterator[str]:
        """The lines of the self-test as they come."""
        rows: list[Check] = []
        yield learn_views.checks(rows, running=True)
        for check in selftest(self.context.engine):
            rows.append(check)
            yield learn_views.checks(rows, running=True)
        yield learn_views.checks(rows)


def _told(key: str) -> Lesson:
    return next((lesson for lesson in LESSONS if lesson.key == key), LESSONS[0])


def _view(gallery: str, reference_id: str, text: str) -> str:
    return View(gallery=gallery, reference_id=reference_id, text=text).dumps()


def sheet_file(told: Lesson, run: Run, gallery: Any) -> Path:
    """The case sheet in a file, which Gradio copies."""
    result, said = run.result, told.finding(run).sentences
    used = {"methods": told.methods, **told.options}
    sheet = report.html(result, gallery, targets=run.targets, options=used, told=said)
    return Path(on_disk(f"{stem(result.query.modification)}.html", sheet.encode()))


@dataclass(frozen=True)
class LearnTab:
    """The components of the Learn tab."""

    state: gr.State
    steps: gr.HTML
    columns: tuple[gr.Column, gr.Column, gr.Column]
    lesson: gr.HTML
    proof: gr.HTML
    run: gr.Button
    search: gr.Button
    sheet: gr.DownloadButton
    question: gr.State
    quiz: gr.HTML
    ask: gr.Button
    quiz_search: gr.Button
    test: gr.Button
    checks: gr.HTML


def _html(value: str, name: str, js: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=name, elem_classes="ours learn", js_on_load=js, **PLAIN)


def render(context: Context) -> LearnTab:
    """Build the components; no event yet."""
    first = LESSONS[0]
    handlers = LearnHandlers(context)
    made: dict[str, Any] = {"state": gr.State((first.key, 0)), "question": gr.State(None)}
    made["steps"] = _html(learn_views.steps(first.key), "learn-steps", CLICKS)
    with gr.Column(elem_id="learn-tour") as tour:
        made["lesson"] = _html(handlers.lesson(first.key, 0), "learn-lesson", CLICKS)
        with gr.Row(elem_classes="learn-go"):
            made["run"] = gr.Button("Run it", variant="primary", elem_id="learn-run")
            made["search"] = gr.Button("Open in Search", elem_id="learn-search")
            made["sheet"] = gr.DownloadButton(
                "Case sheet (HTML, one page)",
                visible=False,
                elem_id="learn-sheet",
            )
        made["proof"] = _html(learn_views.waiting(first), "learn-proof")
    with gr.Column(elem_id="learn-quiz", visible=False) as game:
        made["quiz"] = _html(quiz.shown(None, None), "learn-question", DIGITS)
        with gr.Row(elem_classes="learn-go"):
            made["ask"] = gr.Button("New query", variant="primary", elem_id="learn-ask")
            made["quiz_search"] = gr.Button("Open in Search", visible=False)
    with gr.Column(elem_id="learn-test", visible=False) as test:
        _html(
            '<article class="quiz"><p class="kick">Test the program</p>'
            '<h2>Does everything work here?</h2><p class="lead">Opens every gallery, '
            "loads every method, runs one query and draws its heatmaps; with the seconds each "
            "took, and what failed.</p></article>",
            "learn-about",
        )
        with gr.Row(elem_classes="learn-go"):
            made["test"] = gr.Button("Test", variant="primary", elem_id="learn-check")
        made["checks"] = _html("", "learn-checks")
    return LearnTab(columns=(tour, game, test), **made)


def listen(tab: LearnTab, handlers: LearnHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
    calm: dict[str, Any] = {"queue": False, **QUIET}
    tab.steps.select(
        handlers.turn,
        None,
        [tab.steps, tab.lesson, tab.proof, *tab.columns, tab.state, tab.sheet],
        **calm,
    )
    tab.lesson.select(
        handlers.choose, tab.state, [tab.lesson, tab.proof, tab.state, tab.sheet], **calm
    )
    tab.run.click(handlers.run, tab.state, [tab.proof, tab.sheet], **MODEL, **QUIET)
    tab.search.click(handlers.search, tab.state, context.view, **calm)
    tab.ask.click(
        handlers.ask,
        [tab.question, context.gallery],
        [tab.question, tab.quiz, tab.quiz_search],
        **MODEL,
        **QUIET,
    )
    tab.quiz.select(handlers.guess, tab.question, [tab.question, tab.quiz, tab.quiz_search], **calm)
    tab.quiz_search.click(handlers.search_question, tab.question, context.view, **calm)
    tab.test.click(handlers.test, None, tab.checks, **MODEL, **QUIET)

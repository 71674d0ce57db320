"""Running an evaluation from the page: a few queries a step, so that searches get their turn.

A step is one event in the model queue. Between two steps whoever waits there is served, and a
visitor who leaves takes the run along: nothing goes on without a page that asks for the next step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from cirdemo.evaluate import Measurement
from cirdemo.evaluate import opened as evaluations
from cirdemo.evaluate.opened import Opened
from cirdemo.export import report_json
from cirdemo.types import BadInput, CirError
from cirdemo.ui.benchmark.desk import RUN, Desk, Stored
from cirdemo.ui.cards import esc
from cirdemo.ui.context import Context
from cirdemo.ui.naming import called
from cirdemo.ui.wiring import guarded

STEP = 4  # queries in one event: two or three seconds with the judge on two cores
IMAGES = 400  # decoded pictures that one visitor's run may hold, 80 MB of them
PUBLIC = 60  # queries that a stranger may ask for at once
CHOSEN = ("text", "image", "union", "intersection", "setr", "cot")  # unless others are picked


@dataclass(eq=False)
class Job:
    """An evaluation on its way."""

    dataset: str
    split: str
    methods: tuple[str, ...]
    limit: int
    run: Measurement | None = None
    stopped: bool = False
    error: str = ""
    started: float = field(default_factory=time.perf_counter)
    first: float = 0.0  # when the models were loaded

    @property
    def done(self) -> int:
        """Queries measured so far."""
        return self.run.done if self.run else 0

    @property
    def planned(self) -> int:
        """Queries to measure; what was asked for until the split has been counted."""
        return len(self.run.triplets) if self.run else self.limit

    @property
    def command(self) -> str:
        """What would do the same in a terminal."""
        return (
            f"python -m cirdemo evaluate {self.dataset} --split {self.split} "
            f"--methods {','.join(self.methods)} --limit {self.done or self.limit}"
        )


def ask(
    engine: Any, dataset: str, split: str, methods: Sequence[str], limit: float, public: bool
) -> Job:
    """A job of what was asked for; nothing is loaded yet.

    Raises:
        BadInput: No method is picked, or a number is out of its range.
        CirError: A method cannot run here.
    """
    if not methods:
        raise BadInput("Pick at least one method to measure.")
    if limit < 1 or limit != int(limit):
        raise BadInput("The number of queries must be a whole number of at least 1.")
    if public:
        limit = min(limit, PUBLIC)
    engine.require(list(methods))
    return Job(dataset=dataset, split=split, methods=tuple(methods), limit=int(limit))


def step(engine: Any, job: Job) -> bool:
    """The next few queries; whether any are left. An error ends the job and is kept in it."""
    try:
        if job.run is None:
            asked = (job.dataset, job.split, list(job.methods), job.limit)
            job.run = Measurement(engine, *asked, images=IMAGES)
            job.first = time.perf_counter()
            return True
        return job.run.step(STEP) and not job.stopped
    except CirError as error:
        job.error = str(error)
        return False


def result(job: Job) -> Opened | None:
    """The evaluation of what was measured; None where nothing was."""
    if job.run is None or not job.run.done:
        return None
    report = job.run.report()
    answer = report_json(report, gallery=job.run.gallery)
    answer["command"] = job.command
    return evaluations.of_report(answer, report)


def progress(job: Job | None) -> str:
    """How far it is, how fast, how long it still takes, and what it finds so far."""
    if job is None:
        return (
            '<p class="empty">Nothing is running. The first numbers appear after a few seconds; '
            "searches of other visitors go in between, and stopping keeps what is measured.</p>"
        )
    if job.error:
        return f'<p class="note" role="alert"><b aria-hidden="true">!</b> {esc(job.error)}</p>'
    run = job.run
    if job.stopped and not job.done:
        return '<p class="empty" role="status">Stopped before the first query was measured.</p>'
    if run is None or not job.done:
        what = "loading the models…" if run is None else "the first queries…"
        return f'<div class="running" role="status"><p><i class="spin"></i> {what}</p></div>'
    seconds = time.perf_counter() - job.first
    rate = job.done / seconds
    left = (job.planned - job.done) / rate
    over = job.done >= job.planned or job.stopped
    state = "stopped" if job.stopped else "done" if over else f"about {_time(left)} left"
    share = job.done / job.planned
    return (
        f'<div class="running"><p role="status"><b>{job.done}</b> of {job.planned} queries · '
        f"{rate:.2f} a second · {_time(seconds)} so far · {state}</p>"
        f'<div class="gauge" role="progressbar" aria-label="Queries measured" aria-valuemin="0" '
        f'aria-valuemax="{job.planned}" aria-valuenow="{job.done}"><i style="width:{share:.1%}">'
        f"</i></div>{_so_far(job, run)}</div>"
    )


def _so_far(job: Job, measured: Measurement) -> str:
    """R@1 by method of the queries measured so far."""
    rows = measured.run.rows
    items = "".join(
        f"<li><span>{esc(called(name))}</span><i class='cellbar' aria-hidden='true'><em "
        f"style='width:{share:.1%}'></em></i><b>{share * 100:.1f}</b></li>"
        for name in measured.run.order(job.methods)
        if (found := rows.get(name))
        for share in (sum(r["rank"] == 1 for r in found) / len(found),)
    )
    return (
        f'<h3>R@1 so far, in percent</h3><ul class="sofar">{items}</ul><p class="what">'
        f"{esc(job.dataset)}, split {esc(job.split)}, protocol {esc(measured.protocol)}; the "
        "intervals come at the end.</p>"
    )


@dataclass(frozen=True)
class RunHandlers:
    """The events of the page Run; `desk` holds a visitor's own evaluations."""

    context: Context
    store: Stored

    def methods(self) -> list[str]:
        """Methods that can run here."""
        return [name for name, why in self.context.engine.methods().items() if not why]

    @guarded
    def start(
        self, desk: Desk | None, dataset: str, split: str, methods: list[str], limit: float
    ) -> tuple[Any, ...]:
        """A run begins: desk, progress, timer, both buttons."""
        desk = desk or Desk()
        if desk.job is not None:
            raise BadInput("One evaluation is running already; stop it first.")
        desk.job = ask(self.context.engine, dataset, split, methods, limit, self.context.public)
        return desk, progress(desk.job), gr.Timer(active=True), *_buttons(running=True)

    @guarded
    def tick(self, desk: Desk | None) -> tuple[Any, ...]:
        """A few queries more: desk, progress, timer, buttons, evaluations, the open page."""
        keep = (gr.skip(), gr.skip())
        if desk is None or desk.job is None:
            return desk, gr.skip(), gr.Timer(active=False), *_buttons(running=False), *keep
        job: Job = desk.job
        if not job.stopped and step(self.context.engine, job):
            return desk, progress(job), *[gr.skip()] * 5
        desk.job = None
        found = result(job)
        over = (progress(job), gr.Timer(active=False), *_buttons(running=False))
        if found is None:
            return desk, *over, *keep
        key = desk.add(RUN, found)
        opened = gr.update(choices=self.store.choices(desk), value=key)
        return desk, *over, opened, gr.skip() if job.error else gr.update(selected="table")

    def halt(self, desk: Desk | None) -> Any:
        """The run ends after the queries it is at; what is measured stays."""
        if desk and desk.job:
            desk.job.stopped = True
        return gr.update(interactive=False, value="Stopping…")


def _buttons(*, running: bool) -> tuple[Any, Any]:
    return gr.update(interactive=not running), gr.update(interactive=running, value="Stop")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min"

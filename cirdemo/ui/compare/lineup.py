"""All methods on one query: a row a method, filled as it is computed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo import lineup
from cirdemo.types import BadInput, CirError
from cirdemo.ui.compare import lineup_views as views
from cirdemo.ui.compare.query import QueryBar, QueryHandlers
from cirdemo.ui.context import Context
from cirdemo.ui.ticket import Ticket, parts
from cirdemo.ui.view import MODES, View
from cirdemo.ui.wiring import CLICKS, PLAIN, QUIET, RUN, guarded

SKIP = gr.skip()
STOPPED = "Stopped. Rows that were done stay; run again for all of them."
Page = tuple[Any, ...]
# A picture that is clicked is marked in every list; Python pins it for "What if".
PICKS = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-id],[data-action]');
  if (!hit) return;
  if (hit.dataset.id)
    document.querySelectorAll('#compare .card[data-id]').forEach((card) =>
      card.setAttribute('aria-pressed', String(card.dataset.id === hit.dataset.id)));
  trigger('select', {...hit.dataset});
});
element.addEventListener('pointerover', (event) => {
  const card = event.target.closest('.card[data-id]');
  if (card) card.title ||= card.ariaLabel;
});
"""


@dataclass(frozen=True)
class LineupTab:
    """The components of the view."""

    run: gr.Button
    stop: gr.Button
    number: gr.Number
    ticket: gr.State
    head: gr.HTML
    rows: dict[str, gr.HTML]
    agreement: gr.HTML

    @property
    def page(self) -> list[Any]:
        """What a run writes."""
        return [self.head, *self.rows.values(), self.agreement]


@dataclass(frozen=True)
class LineupHandlers:
    """Runs every method and opens one of them in Search."""

    context: Context
    query: QueryHandlers

    @property
    def reasons(self) -> dict[str, str | None]:
        """Methods in the order of the page, with why they cannot run or None."""
        table = lineup.methods(self.context.engine)
        return {name: table[name] for name in views.order(list(table))}

    def idle(self, name: str) -> str:
        """A method's row before it has run."""
        reasons = self.reasons
        head = views.heading(list(reasons), name)
        why = reasons[name]
        return views.cannot(name, why, head) if why else views.waiting(name, head)

    def blank(self, said: str = "") -> tuple[Any, ...]:
        """Nothing has run: no rows yet, and what will stand there."""
        reasons = self.reasons
        head = views.header(0, len(reasons), said=said or f"{len(reasons)} methods")
        cannot = sum(1 for why in reasons.values() if why)
        return (head, *[""] * len(reasons), views.before(len(reasons), cannot))

    def begin(self, ticket: Ticket) -> tuple[Any, ...]:
        """A run has been asked for: its number, buttons, page."""
        number = ticket.ask()
        reasons = self.reasons
        names = [name for name, why in reasons.items() if not why]
        first = views.header(0, len(names), running="loading the models")
        return number, *ticket.buttons(), first, *(self.idle(name) for name in reasons), ""

    def leave(self, ticket: Ticket) -> tuple[Any, ...]:
        """Another query: buttons and page as before a run, and no run goes on."""
        ticket.drop()
        return *ticket.buttons(), *self.blank()

    @staticmethod
    def ended(ticket: Ticket) -> tuple[Any, Any]:
        """The run is over: offer another one, unless it is on its way."""
        return ticket.buttons()

    def stop(self, ticket: Ticket) -> tuple[Any, ...]:
        """The run ends at its next row; rows that are there stay."""
        ticket.stop()
        return *ticket.buttons(), views.header(0, 1, said=STOPPED)

    @guarded
    def search(self, number: float | None, ticket: Ticket, *asked: str) -> Iterator[Page]:
        """Head, rows and agreement, a row at a time.

        Args:
            number: The run's.
            ticket: The visitor's.
            asked: The bar's picture, reference id and text, the gallery.
        """
        untouched = (SKIP,) * (len(self.reasons) + 1)
        said = views.header(0, 1, said=STOPPED)
        yield from ticket.steps(number, self._run(*asked), lambda: (said, *untouched))

    def _run(
        self, picture: str, reference_id: str, text: str, gallery: str
    ) -> Generator[Page, None, None]:
        reasons = self.reasons
        names = [name for name, why in reasons.items() if not why]
        try:
            query = self.query.ask(picture, reference_id, text, gallery)
            shelf = self.context.library.shelf(gallery)
        except CirError as error:
            yield self.blank(str(error))
            raise
        targets = self.query.targets(gallery, query.reference_id or "", text)
        count = len(shelf.gallery.ids)
        start = time.perf_counter()
        found: list[lineup.Line] = []
        for line in lineup.line_up(self.context.engine, query, gallery=gallery, names=names):
            found.append(line)
            out = dict.fromkeys(reasons, SKIP)
            head = views.heading(list(reasons), line.method)
            out[line.method] = views.line(line, shelf, targets, count, head)
            left = names[len(found) :]
            seconds = time.perf_counter() - start
            said = "" if left else views.summary(found, targets, seconds)
            running = left[0] if left else ""
            title = views.header(len(found), len(names), running=running, said=said)
            show = len(found) % 4 == 0 or not left  # the table grows too fast to follow each row
            yield (title, *out.values(), views.agreement(found) if show else SKIP)

    @guarded
    def select(
        self, picture: str, reference_id: str, text: str, gallery: str, event: gr.EventData
    ) -> tuple[Any, Any]:
        """A click in a row: the view for Search, the picture to pin."""
        if image_id := event._data.get("id"):
            if image_id not in self.context.library.shelf(gallery).gallery.ids:
                raise BadInput(f"Gallery “{gallery}” has no picture “{image_id}”.")
            gr.Info("Marked in every list, and pinned for “What if”.", duration=3)
            return SKIP, image_id
        method = str(event._data.get("method", ""))
        return opened(method, picture, reference_id, text, gallery).dumps(), SKIP


def opened(method: str, picture: str, reference_id: str, text: str, gallery: str) -> View:
    """A query in Search, with a method's list in view."""
    ordered = method in ("setr", "setr_fused")
    return View(
        gallery=gallery,
        reference_id=reference_id,
        picture="" if reference_id else picture,
        text=text,
        rerank_on=method if method in MODES else "intersection",
        fuse=method == "setr_fused",
        columns=() if ordered or method in (*MODES, "cot") else (method,),
    )


def render(handlers: LineupHandlers) -> LineupTab:
    """Build the view; no event yet."""
    head, *rows, below = handlers.blank()
    with gr.Row(elem_classes="compare-head"):
        top = gr.HTML(head, elem_classes="ours", js_on_load=None, **PLAIN)
        with gr.Row(elem_classes="pair go"):
            run = gr.Button(
                "Run all methods", variant="primary", elem_id="lineup-run", min_width=130
            )
            stop = gr.Button("Stop", interactive=False, elem_id="lineup-stop", min_width=60)
    with gr.Column(elem_id="lineup"):
        slots = {
            name: gr.HTML(
                html, elem_id=f"line-{name}", elem_classes="ours", js_on_load=PICKS, **PLAIN
            )
            for name, html in zip(handlers.reasons, rows, strict=True)
        }
    table = gr.HTML(below, elem_id="agreement", elem_classes="ours", js_on_load=CLICKS, **PLAIN)
    number, ticket = parts()
    return LineupTab(
        run=run, stop=stop, number=number, ticket=ticket, head=top, rows=slots, agreement=table
    )


def run_after(
    after: Any, tab: LineupTab, handlers: LineupHandlers, bar: QueryBar, context: Context
) -> None:
    """Run once `after` has happened, and give the buttons back whatever comes of it."""
    buttons = [tab.run, tab.stop]
    quick: dict[str, Any] = {"queue": False, **QUIET}
    begun = after.success(handlers.begin, tab.ticket, [tab.number, *buttons, *tab.page], **quick)
    asked = [tab.number, tab.ticket, *bar.asked, context.gallery]
    run = begun.success(handlers.search, asked, tab.page, api_name="line_up", **RUN, **QUIET)
    for over in (run.success, run.failure):
        over(handlers.ended, tab.ticket, buttons, **quick)


def listen(
    tab: LineupTab,
    handlers: LineupHandlers,
    bar: QueryBar,
    pinned: gr.Textbox,
    opening: Any,
    context: Context,
) -> None:
    """Connect the components; `opening` is the event of a query that comes from elsewhere."""
    pressed = tab.run.click(None, None, None, queue=False, **QUIET)
    for after in (pressed, opening):
        run_after(after, tab, handlers, bar, context)
    halted = [tab.run, tab.stop, tab.head]
    tab.stop.click(handlers.stop, tab.ticket, halted, queue=False, **QUIET)
    for slot in tab.rows.values():
        slot.select(
            handlers.select,
            [*bar.asked, context.gallery],
            [context.view, pinned],
            queue=False,
            **QUIET,
        )

"""The counterfactual lab: pin a picture, try other texts, watch it move."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo import counterfactual
from cirdemo.counterfactual import KINDS, Outcome
from cirdemo.data.drawn.wording import WORLDS
from cirdemo.types import BadInput, CirError
from cirdemo.ui import cards
from cirdemo.ui.compare import lab_views as views
from cirdemo.ui.compare.query import QueryBar, QueryHandlers
from cirdemo.ui.context import Context
from cirdemo.ui.ticket import Ticket, parts
from cirdemo.ui.wiring import PLAIN, QUIET, RUN, guarded

SKIP = gr.skip()
Page = tuple[Any, ...]  # state, head, body
CAPTIONS = 1500  # of a gallery of no drawn world, for the words of its own
CHOICES = [
    ("leave one word out", "drop"),
    ("swap a value", "swap"),
    ("negate", "negate"),
    ("paraphrase", "paraphrase"),
]


@dataclass(frozen=True)
class LabTab:
    """The components of the view."""

    pin: gr.HTML
    pinned: gr.Textbox
    kinds: gr.CheckboxGroup
    mode: gr.Radio
    own: gr.Textbox
    run: gr.Button
    stop: gr.Button
    number: gr.Number
    ticket: gr.State
    state: gr.State
    head: gr.HTML
    told: gr.HTML


@dataclass(frozen=True)
class LabHandlers:
    """Runs variants of a text and shows what they do to one picture."""

    context: Context
    query: QueryHandlers

    def show(self, pinned: str, reference_id: str, text: str, gallery: str) -> str:
        """The pinned picture; the first known target unless another is named."""
        shelf = self.context.library.shelf(gallery)
        right = self.query.targets(gallery, reference_id, text)
        image_id = (pinned or "").strip() or (right[0] if right else "")
        if not image_id:
            return cards.placeholder(
                "No target is known here: name a picture to follow, or click one in “All methods”."
            )
        if image_id not in shelf.gallery.ids:
            return cards.placeholder(f"Gallery “{gallery}” has no picture “{image_id}”.")
        return views.pin(image_id, shelf, target=image_id in right)

    def unpinned(
        self, ticket: Ticket, reference_id: str, text: str, gallery: str
    ) -> tuple[Any, ...]:
        """Another query: its own target is pinned, nothing has run, and no run goes on."""
        ticket.drop()
        card = self.show("", reference_id, text, gallery)
        return (*ticket.buttons(), "", card, None, views.header(), views.waiting())

    def begin(self, ticket: Ticket) -> tuple[Any, ...]:
        """A run has been asked for: its number, buttons, page."""
        head = views.header("loading the models", of=1)
        return (ticket.ask(), *ticket.buttons(), None, head, SKIP)

    @staticmethod
    def ended(ticket: Ticket) -> tuple[Any, Any]:
        """The run is over: offer another one, unless it is on its way."""
        return ticket.buttons()

    @guarded
    def stop(self, ticket: Ticket, state: tuple[list[Outcome], str] | None) -> tuple[Any, ...]:
        """The run ends at its next text; what is there is summed up."""
        ticket.stop()
        return (*ticket.buttons(), *self._halted(*(state or ([], ""))))

    def _halted(self, outcomes: list[Outcome], gallery: str) -> tuple[Any, Any]:
        """Head and body of a run that was stopped."""
        if not outcomes:
            return views.header("Stopped."), SKIP
        shelf = self.context.library.shelf(gallery)
        body = views.told(outcomes, shelf, len(shelf.gallery.ids), done=True)
        some = "1 text; it stands" if len(outcomes) == 1 else f"{len(outcomes)} texts; they stand"
        return views.header(f"Stopped after {some}."), body

    @guarded
    def search(self, number: float | None, ticket: Ticket, *asked: Any) -> Iterator[Page]:
        """State, head and body as variants are done.

        Args:
            number: The run's.
            ticket: The visitor's.
            asked: The bar's picture, reference id and text, the pinned picture, kinds, mode, own
                variants, the gallery.
        """
        outcomes, gallery = list[Outcome](), asked[-1]

        def halted() -> Page:
            return (outcomes, gallery) if outcomes else SKIP, *self._halted(outcomes, gallery)

        yield from ticket.steps(number, self._told(outcomes, *asked), halted)

    def _told(self, outcomes: list[Outcome], *asked: Any) -> Generator[Page, None, None]:
        """The run; an error in words as well."""
        try:
            yield from self._run(outcomes, *asked)
        except CirError as error:
            yield SKIP, views.header(str(error)), SKIP
            raise

    def _run(
        self,
        outcomes: list[Outcome],
        picture: str,
        reference_id: str,
        text: str,
        pinned: str,
        kinds: Sequence[str],
        mode: str,
        own: str,
        gallery: str,
    ) -> Iterator[Page]:
        query = self.query.ask(picture, reference_id, text, gallery)
        right = self.query.targets(gallery, query.reference_id or "", text)
        image_id = (pinned or "").strip() or (right[0] if right else "")
        if not image_id:
            raise BadInput("No target is known for this query: name a picture to pin.")
        wanted = [*kinds, "own"]
        benchmark = self.query.triplet(gallery, query.reference_id or "", text)
        tried = counterfactual.variants(
            query.modification,
            kinds=[k for k in KINDS if k in wanted],
            world=gallery,
            edit=benchmark.kind if benchmark else "",
            captions=self._captions(gallery),
            own=own or "",
        )
        if len(tried) < 2:
            raise BadInput("There is nothing to try: tick a kind of variant, or write your own.")
        shelf = self.context.library.shelf(gallery)
        count = len(shelf.gallery.ids)
        engine: Any = self.context.engine
        found = counterfactual.run(
            engine,
            query,
            image_id,
            tried,
            gallery=gallery,
            mode=mode,  # type: ignore[arg-type]  # one of the radio's
        )
        for outcome in found:
            outcomes.append(outcome)
            done = len(outcomes) == len(tried)
            said = f"{len(outcomes)} of {len(tried)} texts"
            head = views.header(said, done=len(outcomes), of=0 if done else len(tried))
            if done or len(outcomes) % 2:  # every other one: the body is sent whole
                body = views.told(outcomes, shelf, count, done=done)
                yield (outcomes, gallery), head, body

    def _captions(self, gallery: str) -> list[str]:
        """Captions of a gallery of no drawn world; a sample of a large one."""
        if gallery in WORLDS:
            return []
        shelf = self.context.library.shelf(gallery)
        told = (shelf.alt(i) for i in shelf.some(CAPTIONS, random.Random(0)))
        return [text for text in told if " " in text]  # an id is no caption


def render(handlers: LabHandlers, bar: QueryBar, gallery: str) -> LabTab:
    """Build the view; no event yet."""
    with gr.Row(elem_classes="compare-page"):
        with gr.Column(elem_classes="compare-ask", min_width=0):
            pin = gr.HTML(
                handlers.show("", bar.reference_id.value, bar.text.value, gallery),
                elem_id="lab-pin",
                elem_classes="ours",
                **PLAIN,
            )
            pinned = gr.Textbox(
                label="Pin another picture",
                placeholder="its id, or click one in “All methods”",
                max_lines=1,
                max_length=200,
                elem_id="lab-pinned",
            )
            kinds = gr.CheckboxGroup(
                CHOICES,
                value=[value for _, value in CHOICES],
                label="What to try",
                elem_id="lab-kinds",
            )
            own = gr.Textbox(
                label="Your own variants",
                placeholder="one a line",
                lines=2,
                max_lines=6,
                max_length=4000,
                elem_id="lab-own",
            )
            mode = gr.Radio(
                [("Intersection", "intersection"), ("Union", "union")],
                value="intersection",
                label="Search with",
                info="the judge is told the intersection either way",
                elem_id="lab-mode",
            )
            with gr.Row(elem_classes="pair go"):
                run = gr.Button("Try them", variant="primary", elem_id="lab-run")
                stop = gr.Button("Stop", interactive=False, elem_id="lab-stop", min_width=60)
        with gr.Column(elem_classes="compare-told", min_width=0):
            head = gr.HTML(views.header(), elem_id="lab-head", elem_classes="ours", **PLAIN)
            told = gr.HTML(views.waiting(), elem_id="lab-told", elem_classes="ours", **PLAIN)
    number, ticket = parts()
    return LabTab(
        pin=pin,
        pinned=pinned,
        kinds=kinds,
        mode=mode,
        own=own,
        run=run,
        stop=stop,
        number=number,
        ticket=ticket,
        state=gr.State(None),
        head=head,
        told=told,
    )


def listen(tab: LabTab, handlers: LabHandlers, bar: QueryBar, context: Context) -> None:
    """Connect the components."""
    buttons, page = [tab.run, tab.stop], [tab.state, tab.head, tab.told]
    query = [bar.reference_id, bar.text, context.gallery]
    tab.pinned.change(handlers.show, [tab.pinned, *query], tab.pin, queue=False, **QUIET)
    quick: dict[str, Any] = {"queue": False, **QUIET}
    begun = tab.run.click(handlers.begin, tab.ticket, [tab.number, *buttons, *page], **quick)
    asked = [*bar.asked, tab.pinned, tab.kinds, tab.mode, tab.own, context.gallery]
    values = [tab.number, tab.ticket, *asked]
    run = begun.success(handlers.search, values, page, api_name="what_if", **RUN, **QUIET)
    for over in (run.success, run.failure):
        over(handlers.ended, tab.ticket, buttons, **quick)
    halted = [*buttons, tab.head, tab.told]
    tab.stop.click(handlers.stop, [tab.ticket, tab.state], halted, **quick)

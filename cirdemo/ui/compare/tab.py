"""The Compare tab: all methods on one query, two settings over a set, what if."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.ui.compare import duel, lab, lineup, query
from cirdemo.ui.context import Context
from cirdemo.ui.ticket import Ticket
from cirdemo.ui.wiring import QUIET, guarded

VIEWS = [("All methods", "methods"), ("A against B", "ab"), ("What if", "lab")]


@dataclass(frozen=True)
class CompareHandlers:
    """What the Compare tab does, by view."""

    context: Context

    @property
    def query(self) -> query.QueryHandlers:
        """The bar with the query."""
        return query.QueryHandlers(self.context)

    @property
    def lineup(self) -> lineup.LineupHandlers:
        """All methods on one query."""
        return lineup.LineupHandlers(self.context, self.query)

    @property
    def duel(self) -> duel.DuelHandlers:
        """Two settings over a set."""
        return duel.DuelHandlers(self.context)

    @property
    def lab(self) -> lab.LabHandlers:
        """Other texts for one picture."""
        return lab.LabHandlers(self.context, self.query)

    @guarded
    def move(
        self, gallery: str, reference_id: str, lab_run: Ticket, lineup_run: Ticket
    ) -> tuple[Any, ...]:
        """Another gallery: another query, and nothing has run; unless a query brought it along."""
        untouched = (gr.skip(),) * (11 + len(self.lineup.blank()))
        if not gallery:  # while the choices are being changed
            return (*[gr.skip()] * 4, *untouched)
        listed = [gr.update(**change) for change in self.query.listed(gallery)]
        filled = self.query.change_gallery(gallery, reference_id)
        named = gr.update(placeholder=self.query.hint(gallery))
        if filled is None:
            return (*listed, gr.skip(), named, *untouched)
        picture, reference_id, words, card = filled
        named["value"] = reference_id
        forgotten = self.lab.unpinned(lab_run, reference_id, words, gallery)
        return (*listed, picture, named, words, card, *forgotten, *self.lineup.leave(lineup_run))

    @staticmethod
    def turn(name: str) -> tuple[Any, ...]:
        """Show one view; two of them share the bar."""
        seen = [name != "ab", *(name == value for _, value in VIEWS)]
        return tuple(gr.update(visible=yes) for yes in seen)


@dataclass(frozen=True)
class CompareTab:
    """The components of the Compare tab."""

    view: gr.Textbox  # hidden; a `View.dumps()` written here opens the query in this tab
    turn: gr.Radio
    shells: tuple[gr.Column, ...]  # of the bar and the three views
    bar: query.QueryBar
    lineup: lineup.LineupTab
    duel: duel.DuelTab
    lab: lab.LabTab


def render(context: Context) -> CompareTab:
    """Build the components; no event yet."""
    handlers = CompareHandlers(context)
    gallery = str(context.gallery.value)
    with gr.Column(elem_id="compare"):
        turn = gr.Radio(
            VIEWS, value="methods", show_label=False, label="View", elem_id="compare-turn",
            elem_classes="views", container=False,
        )  # fmt: skip
        view = gr.Textbox(visible="hidden", elem_id="compare_view", label="View to compare")
        with gr.Column() as shell:
            bar = query.render(handlers.query, gallery)
        with gr.Column() as first:
            methods = lineup.render(handlers.lineup)
        with gr.Column(visible=False) as second:
            settings = duel.render(handlers.duel)
        with gr.Column(visible=False) as third:
            variants = lab.render(handlers.lab, bar, gallery)
    return CompareTab(
        view=view,
        turn=turn,
        shells=(shell, first, second, third),
        bar=bar,
        lineup=methods,
        duel=settings,
        lab=variants,
    )


def listen(tab: CompareTab, handlers: CompareHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
    bar, ask = tab.bar, handlers.query
    filled = [bar.picture, bar.reference_id, bar.text, bar.card]
    tab.turn.change(handlers.turn, tab.turn, list(tab.shells), queue=False, **QUIET)
    taken = bar.queries.input(ask.take, [bar.queries, context.gallery], filled, **QUIET)
    chance = bar.random.click(ask.surprise, context.gallery, [bar.queries, *filled], **QUIET)
    typed = gr.on(
        [bar.reference_id.submit, bar.reference_id.blur, bar.text.submit, bar.text.blur],
        ask.show,
        [*bar.asked, context.gallery],
        bar.card,
        trigger_mode="always_last",  # leaving one field must not swallow what the next one says
        **QUIET,
    )
    opened = tab.view.change(ask.open, tab.view, [context.gallery, *filled], **QUIET)
    shown = opened.success(lambda: "methods", None, tab.turn, queue=False, **QUIET)
    texts, methods = tab.lab, tab.lineup
    asked = [texts.ticket, bar.reference_id, bar.text, context.gallery]
    forgotten = [
        *(texts.run, texts.stop, texts.pinned, texts.pin, texts.state, texts.head, texts.told)
    ]
    emptied = [methods.run, methods.stop, *methods.page]
    context.gallery.change(
        handlers.move,
        [context.gallery, bar.reference_id, texts.ticket, methods.ticket],
        [bar.queries, bar.random, *filled, *forgotten, *emptied],
        **QUIET,
    )
    for event in (taken, chance, opened):
        event.success(handlers.lab.unpinned, asked, forgotten, **QUIET)
    for event in (taken, chance):  # an opened query runs, and its run begins with blank rows
        event.success(handlers.lineup.leave, methods.ticket, emptied, **QUIET)
    typed.success(handlers.lab.show, [texts.pinned, *asked[1:]], texts.pin, queue=False, **QUIET)
    lineup.listen(tab.lineup, handlers.lineup, bar, tab.lab.pinned, shown, context)
    duel.listen(tab.duel, handlers.duel, context)
    lab.listen(tab.lab, handlers.lab, bar, context)

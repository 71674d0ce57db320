"""The Search page: its components and what listens to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import Dependency

from cirdemo.ui.context import Context
from cirdemo.ui.downloads import fetch
from cirdemo.ui.search import views
from cirdemo.ui.search.ask import PAINT, AskHandlers
from cirdemo.ui.search.events import SearchHandlers
from cirdemo.ui.search.history import History
from cirdemo.ui.search.scripts import ACTS, ADDRESS, SAVED, SHEET, TAKE, TO_THE_STORY
from cirdemo.ui.search.story import CHAPTERS, PAGE
from cirdemo.ui.ticket import parts
from cirdemo.ui.view import View
from cirdemo.ui.wiring import CLICKS, MODEL, PLAIN, QUIET, RUN


@dataclass(frozen=True)
class SearchTab:
    """The components of the Search page."""

    reference: gr.Image
    reference_id: gr.Textbox
    region: gr.Textbox
    painter: gr.HTML
    strip: gr.HTML
    more: gr.Button
    surprise: gr.Button
    benchmark: gr.Dropdown
    modification: gr.Textbox
    search: gr.Button
    stop: gr.Button
    examples: gr.HTML
    depth: gr.Slider
    judging: gr.Checkbox
    reasoning: gr.Checkbox
    turns: gr.HTML
    result: gr.State
    view: gr.State
    history: gr.State
    number: gr.Number
    ticket: gr.State
    address: gr.HTML
    notice: gr.HTML
    start: gr.HTML
    picked: gr.HTML
    share: gr.HTML
    file: gr.DownloadButton
    chapters: dict[str, gr.HTML]

    @property
    def page(self) -> list[gr.components.Component]:
        """What a run writes, in the order of `events.PAGE`."""
        return [self.chapters.get(name) or getattr(self, name) for name in PAGE]

    @property
    def form(self) -> list[gr.components.Component]:
        """The question, without the gallery."""
        return [self.reference, self.reference_id, self.region, self.modification]

    @property
    def options(self) -> list[gr.components.Component]:
        """The advanced options."""
        return [self.depth, self.judging, self.reasoning]


def _html(value: str, name: str, script: str | None, classes: str = "ours") -> gr.HTML:
    return gr.HTML(value, js_on_load=script, elem_id=name, elem_classes=classes, **PLAIN)


def _ask(ask: AskHandlers, gallery: str) -> dict[str, Any]:
    """The left column: reference, text, buttons, options, examples."""
    made: dict[str, Any] = {}
    made["reference"] = gr.Image(
        label="Reference image",
        type="pil",
        sources=["upload", "webcam", "clipboard"],
        height=216,
        buttons=[],
        elem_id="reference",
        placeholder="Drop a picture here,\nor pick one below",
    )
    made["reference_id"] = gr.Textbox(
        "", visible=False, label="Reference id", elem_id="reference-id"
    )
    made["region"] = gr.Textbox("", visible=False, label="Region", elem_id="region-code")
    made["strip"] = _html(ask.strip(gallery, 7), "strip", CLICKS)
    with gr.Row(elem_classes="pair"):
        made["more"] = gr.Button("Other pictures", size="sm", min_width=80)
        made["surprise"] = gr.Button("Surprise me", size="sm", min_width=80, elem_id="surprise")
    made["modification"] = gr.Textbox(
        label="Modification text",
        placeholder="What should change? For example: hugging instead of standing",
        lines=2,
        max_lines=4,
        submit_btn=False,
        elem_id="modification",
    )
    with gr.Row(elem_classes="pair go"):
        made["search"] = gr.Button("Search", variant="primary", min_width=80, elem_id="search")
        made["stop"] = gr.Button("Stop", min_width=60, interactive=False, elem_id="stop")
    with gr.Accordion("Ignore, keep or crop to a region", open=False, elem_id="region"):
        made["painter"] = _html(ask.painter(None, ""), "painter", PAINT)
    with gr.Accordion("Benchmark queries and options", open=False, elem_id="advanced"):
        made["benchmark"] = gr.Dropdown(
            label="Benchmark query (validation split)",
            info="its targets are known and will be marked",
            elem_id="benchmark-query",
        )
        made["depth"] = gr.Slider(
            5, 100, value=50, step=5, label="Re-ranking depth", info="candidates the judge sees"
        )
        made["judging"] = gr.Checkbox(True, label="Judge the candidates")
        made["reasoning"] = gr.Checkbox(True, label="Reason (CIR-CoT)")
    with gr.Column(visible=bool(ask.examples), elem_id="example-box"):
        gr.HTML(
            f"<h2 class='small'>{len(ask.examples)} examples, each with a story</h2>",
            elem_classes="ours",
            **PLAIN,
        )
        made["examples"] = _html(ask.example_list(), "examples", CLICKS)
    return made


def render(ask: AskHandlers, gallery: str) -> SearchTab:
    """Build the components; no event yet."""
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="ask", min_width=0):
            asked = _ask(ask, gallery)
        with gr.Column(elem_id="story", min_width=0):
            notice = _html("", "notice", ACTS)
            turns = _html("", "turns", CLICKS)
            start = _html(ask.start_here(), "start", CLICKS)
            chapters: dict[str, gr.HTML] = {}
            for name, number in CHAPTERS.items():
                if name == "heatmaps":
                    picked = _html("", "picked", ACTS + SHEET)
                chapters[name] = _html(views.waiting(number), name, ACTS, "slot ours")
            share = _html("", "share", ACTS + TAKE)
            file = gr.DownloadButton("File", visible="hidden", elem_id="search-file")
    run, ticket = parts()
    return SearchTab(
        **asked,
        result=gr.State(None),
        view=gr.State(View(gallery=gallery)),
        history=gr.State(History()),
        number=run,
        ticket=ticket,
        address=_html("", "address", ADDRESS),
        notice=notice,
        turns=turns,
        start=start,
        picked=picked,
        share=share,
        file=file,
        chapters=chapters,
    )


def listen(
    tab: SearchTab,
    handlers: SearchHandlers,
    ask: AskHandlers,
    context: Context,
    compare: gr.Textbox,
) -> None:
    """Connect the components; the only place with events.

    Args:
        tab: The components.
        handlers: What they do.
        ask: What the left column does.
        context: The components above the tabs.
        compare: Where the Compare tab takes a view from.
    """
    gallery, buttons = context.gallery, [tab.search, tab.stop]
    quick: dict[str, Any] = {"queue": False, **QUIET}  # for what cannot fail; errors need a queue

    def run(after: Dependency, *, fresh: bool, how: Any = handlers.run) -> None:
        """Search once `after` has made the view; give the buttons back whatever happens."""
        if fresh:
            begun = [tab.number, *buttons, *tab.page]
            after = after.success(handlers.begin, tab.ticket, begun, js=TO_THE_STORY, **quick)
        else:
            after = after.success(handlers.started, tab.ticket, [tab.number, *buttons], **quick)
        inputs = [tab.number, tab.ticket, tab.view, tab.reference, tab.result, tab.history]
        done = after.success(how, inputs, tab.page, **RUN, **QUIET)
        for over in (done.success, done.failure):
            over(handlers.ended, tab.ticket, buttons, **quick)

    _fill(tab, ask, context)
    pressed = gr.on(
        [tab.search.click, tab.modification.submit],
        handlers.asked,
        [tab.view, gallery, *tab.form, *tab.options],
        tab.view,
        **QUIET,
    )
    run(pressed, fresh=True)
    picks = [tab.examples.select, tab.start.select]
    chosen = gr.on(picks, ask.use_example, None, [gallery, *tab.form], **QUIET)
    chosen = chosen.success(
        handlers.asked, [tab.view, gallery, *tab.form, *tab.options], tab.view, **QUIET
    )
    run(chosen, fresh=True)
    opened = context.view.change(
        handlers.open, context.view, [gallery, *tab.form, *tab.options, tab.view], **QUIET
    )
    run(opened, fresh=True, how=handlers.run_opened)
    tab.address.select(handlers.visit, None, context.view, **quick)
    tab.turns.select(handlers.go_to, tab.history, [tab.history, context.view], **QUIET)
    tab.stop.click(
        handlers.stop, [tab.ticket, tab.result, tab.view], [*buttons, tab.notice], **quick
    )

    for part in (tab.notice, tab.picked, *tab.chapters.values()):
        changed = part.input(handlers.act, [tab.view, tab.result], tab.view, **QUIET)
        run(changed, fresh=False)
        part.select(handlers.closer, [tab.result, tab.view], tab.page, **MODEL, **QUIET)
    tab.picked.submit(
        handlers.as_reference,
        tab.view,
        tab.form,
        js="(...given) => { document.querySelector('#modification textarea')?.focus(); "
        "return given; }",
        **QUIET,
    )
    for part in (tab.share, tab.chapters["heatmaps"]):
        saved = part.like(handlers.save, [tab.result, tab.view], tab.file, **QUIET)
        saved.success(None, js=fetch("search-file", SAVED), api_visibility="private")
    tab.share.submit(handlers.compare, tab.view, compare, **quick)
    tab.chapters["judge"].release(
        handlers.threshold,
        tab.view,
        [tab.view, tab.address],
        **quick,
    )


def _fill(tab: SearchTab, ask: AskHandlers, context: Context) -> None:
    """What fills the form."""
    gallery, fill = context.gallery, [tab.reference, tab.reference_id]
    gr.on(
        [tab.reference.upload, tab.reference.clear, tab.reference.input],
        fn=None,
        js="() => ['', '']",
        outputs=[tab.reference_id, tab.region],
        **QUIET,
    )
    taken = tab.reference.upload(ask.taken, tab.reference, None, **QUIET)
    taken.failure(lambda: (None, "", ""), None, [*fill, tab.region], **QUIET)
    tab.reference.change(ask.painter, [tab.reference, tab.region], tab.painter, **QUIET)
    tab.strip.select(ask.use_picture, gallery, [*fill, tab.region], **QUIET)
    tab.more.click(ask.strip, gallery, tab.strip, **QUIET)
    tab.surprise.click(ask.surprise, gallery, tab.form, **QUIET)
    gallery.change(
        ask.change_gallery,
        gallery,
        [tab.strip, tab.benchmark],
        show_progress="hidden",
        api_visibility="private",
    )
    gallery.input(lambda: (None, "", ""), None, [*fill, tab.region], **QUIET)
    tab.benchmark.input(ask.use_query, [gallery, tab.benchmark], tab.form, **QUIET)
    tab.painter.input(ask.painted, None, tab.region, **QUIET)

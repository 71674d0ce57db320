"""The Search page: its components and what listens to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import Dependency

from cirdemo.ui import views
from cirdemo.ui.events import SearchHandlers
from cirdemo.ui.wiring import CLICKS, MODEL, PLAIN, QUIET

# Picking a result also marks it everywhere and brings the heatmaps into view.
PICKS = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('.card[data-id]');
  if (!hit) return;
  document.querySelectorAll('.card[data-id]').forEach((card) =>
    card.setAttribute('aria-pressed', String(card.dataset.id === hit.dataset.id)));
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  document.getElementById('heatmaps')?.scrollIntoView(
    {block: 'nearest', behavior: calm ? 'auto' : 'smooth'});
  trigger('select', {id: hit.dataset.id});
});
"""


@dataclass(frozen=True)
class SearchTab:
    """The components of the Search page."""

    reference: gr.Image
    reference_id: gr.Textbox
    strip: gr.HTML
    more: gr.Button
    surprise: gr.Button
    modification: gr.Textbox
    search: gr.Button
    stop: gr.Button
    examples: gr.HTML
    depth: gr.Slider
    judging: gr.Checkbox
    reasoning: gr.Checkbox
    rerank_on: gr.Radio
    fuse: gr.Checkbox
    state: gr.State
    notice: gr.HTML
    chapters: tuple[gr.HTML, ...]

    @property
    def page(self) -> list[gr.components.Component]:
        """What a run writes: state, notice, chapters."""
        return [self.state, self.notice, *self.chapters]


def _ask(handlers: SearchHandlers, gallery: str) -> dict[str, Any]:
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
    made["reference_id"] = gr.Textbox(visible=False, label="Reference id", elem_id="reference-id")
    made["strip"] = gr.HTML(
        handlers.strip(gallery, 7), js_on_load=CLICKS, elem_id="strip", elem_classes="ours", **PLAIN
    )
    with gr.Row(elem_classes="pair"):
        made["more"] = gr.Button("Other pictures", size="sm", min_width=80)
        made["surprise"] = gr.Button("Surprise me", size="sm", min_width=80, elem_id="surprise")
    made["modification"] = gr.Textbox(
        label="Modification text",
        placeholder="What should change? For example: hugging instead of standing",
        lines=2,
        max_lines=4,
        max_length=400,
        submit_btn=False,
        elem_id="modification",
    )
    with gr.Row(elem_classes="pair go"):
        made["search"] = gr.Button("Search", variant="primary", min_width=80, elem_id="search")
        made["stop"] = gr.Button("Stop", min_width=60, interactive=False, elem_id="stop")
    with gr.Accordion("Advanced options", open=False, elem_id="advanced"):
        made["depth"] = gr.Slider(
            5, 100, value=50, step=5, label="Re-ranking depth", info="candidates the judge sees"
        )
        made["rerank_on"] = gr.Radio(
            list(reversed(views.MODES)), value="intersection", label="List to re-rank"
        )
        made["judging"] = gr.Checkbox(True, label="Judge the candidates")
        made["fuse"] = gr.Checkbox(
            False,
            label="Fuse with the coarse score",
            info="log-odds of both, added",
            elem_id="fuse",
        )
        made["reasoning"] = gr.Checkbox(True, label="Reason (CIR-CoT)")
    with gr.Column(visible=bool(handlers.examples), elem_id="example-box"):
        gr.HTML("<h2 class='small'>Examples, each with a story</h2>", elem_classes="ours", **PLAIN)
        made["examples"] = gr.HTML(
            handlers.example_list(),
            js_on_load=CLICKS,
            elem_id="examples",
            elem_classes="ours",
            **PLAIN,
        )
    return made


def render(handlers: SearchHandlers, gallery: str) -> SearchTab:
    """Build the components; no event yet."""
    with gr.Row(elem_id="page"):
        with gr.Column(elem_id="ask", min_width=0):
            asked = _ask(handlers, gallery)
        with gr.Column(elem_id="story", min_width=0):
            notice = gr.HTML("", elem_id="notice", elem_classes="ours", js_on_load=None, **PLAIN)
            ids = ("describe", "coarse", "heatmaps", "judge", "reason")
            chapters = tuple(
                gr.HTML(
                    views.waiting(n),
                    js_on_load=None if name in ("describe", "heatmaps") else PICKS,
                    elem_id=name,
                    elem_classes="slot ours",
                    **PLAIN,
                )
                for n, name in enumerate(ids, 1)
            )
    return SearchTab(
        **asked,
        state=gr.State(None),
        notice=notice,
        chapters=chapters,
    )


def _run(
    after: Dependency, tab: SearchTab, handlers: SearchHandlers, gallery: gr.Dropdown
) -> Dependency:
    """Search once `after` has cleared the page, and give the buttons back whatever happens."""
    asked = [tab.reference, tab.reference_id, tab.modification, gallery]
    options = [tab.depth, tab.judging, tab.reasoning, tab.rerank_on, tab.fuse]
    run: Dependency = after.then(
        handlers.search, [*asked, *options], tab.page, api_name="run", **MODEL, **QUIET
    )
    for over in (run.success, run.failure):
        over(handlers.finish, None, [tab.search, tab.stop], queue=False, **QUIET)
    return run


def listen(tab: SearchTab, handlers: SearchHandlers, gallery: gr.Dropdown) -> None:
    """Connect the components; the only place with events."""
    fill = [tab.reference, tab.reference_id]
    gr.on(
        [tab.reference.upload, tab.reference.clear, tab.reference.input],
        fn=None,
        js="() => ''",
        outputs=tab.reference_id,
        **QUIET,
    )
    tab.strip.select(handlers.use_picture, gallery, fill, **QUIET)
    tab.more.click(handlers.strip, gallery, tab.strip, **QUIET)
    tab.surprise.click(handlers.surprise, gallery, [*fill, tab.modification], **QUIET)
    gallery.input(handlers.change_gallery, gallery, [tab.strip, *fill, *tab.page], **QUIET)

    buttons = [tab.search, tab.stop]
    chosen = tab.examples.select(
        handlers.use_example, None, [gallery, *fill, tab.modification], **QUIET
    )
    pressed = gr.on(
        [tab.search.click, tab.modification.submit],
        handlers.begin,
        outputs=[*buttons, *tab.page],
        queue=False,
        **QUIET,
    )
    begun = chosen.success(handlers.begin, None, [*buttons, *tab.page], queue=False, **QUIET)
    runs: list[Any] = [_run(after, tab, handlers, gallery) for after in (pressed, begun)]
    halted = tab.stop.click(None, None, None, cancels=runs, queue=False, **QUIET)
    halted.then(
        handlers.stopped, tab.state, [*buttons, tab.notice], queue=False, **QUIET
    )  # only then may Search be pressed: a late cancel would take the new run with it
    for chapter in (tab.chapters[1], tab.chapters[3], tab.chapters[4]):
        chapter.select(
            handlers.pick,
            [tab.state, gallery],
            tab.chapters[2],
            api_visibility="private",
            show_progress="minimal",
            **MODEL,
        )

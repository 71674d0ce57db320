"""The page Files of the Benchmark tab: its components and what listens to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.ui.benchmark.files import FilesHandlers
from cirdemo.ui.benchmark.files_views import NOTHING
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import fetch
from cirdemo.ui.wiring import CLICKS, PLAIN, QUIET

DOWNLOADS = {  # kind -> text of its button
    "checks": "Checks and scores (JSON)",
    "analysis": "Analysis (JSON)",
    "markdown": "Analysis (Markdown)",
    "votes": "Doubts and votes (JSON)",
}


@dataclass(frozen=True)
class FilesPage:
    """The components of the page Files."""

    kept: gr.State
    files: gr.UploadButton
    close: gr.Button
    checked: gr.HTML
    scores: gr.HTML
    a: gr.Dropdown
    b: gr.Dropdown
    analysis: gr.HTML
    doubts: gr.HTML
    moved: gr.Accordion
    doubted: gr.Accordion
    gets: dict[str, gr.Button]
    link: gr.DownloadButton


def _html(value: str, name: str, script: str | None = None) -> gr.HTML:
    return gr.HTML(
        value,
        js_on_load=script,
        elem_id=f"bench-files-{name}",
        elem_classes=["ours", "bench"],
        **PLAIN,
    )


def _get(made: dict[str, gr.Button], kind: str, *, visible: bool = True) -> None:
    made[kind] = gr.Button(
        DOWNLOADS[kind],
        size="sm",
        min_width=60,
        visible=visible,
        elem_id=f"bench-files-get-{kind}",
    )


def render() -> FilesPage:
    """Build the components; no event yet. What needs a file is shown once one is open."""
    made: dict[str, Any] = {"kept": gr.State(None)}
    gets: dict[str, gr.Button] = {}
    with gr.Row(elem_classes="bench-row"):
        made["files"] = gr.UploadButton(
            "Open submissions or runs…",
            file_count="multiple",
            file_types=[".json"],
            size="sm",
            variant="primary",
            min_width=90,
            elem_id="bench-files-open",
        )
        made["close"] = gr.Button(
            "Close all", size="sm", min_width=60, visible=False, elem_id="bench-files-close"
        )
        _get(gets, "checks", visible=False)
    made["checked"] = _html(NOTHING, "checked")
    made["scores"] = _html("", "scores")
    with gr.Accordion("What moved between two runs", open=True, visible=False) as made["moved"]:
        with gr.Row(elem_classes="bench-row", elem_id="bench-files-pair"):
            for side, told in (("a", "A, the earlier run"), ("b", "B, the later run")):
                made[side] = gr.Dropdown(
                    [], label=told, filterable=False, min_width=200, elem_id=f"bench-files-{side}"
                )
            _get(gets, "analysis")
            _get(gets, "markdown")
        made["analysis"] = _html("", "analysis")
    with gr.Accordion("Annotations in doubt", open=True, visible=False) as made["doubted"]:
        made["doubts"] = _html("", "doubts", CLICKS)
        with gr.Row(elem_classes="bench-row"):
            _get(gets, "votes")
    made["link"] = gr.DownloadButton("File", visible="hidden", elem_id="bench-files-link")
    return FilesPage(gets=gets, **made)


def listen(page: FilesPage, context: Context) -> None:
    """Connect the components; the only place with this page's events."""
    handlers = FilesHandlers(context)
    results: list[Any] = [page.kept, page.checked, page.scores, page.a, page.b]
    results += [page.analysis, page.doubts]
    results += [page.close, page.gets["checks"], page.moved, page.doubted]
    page.files.upload(
        handlers.open,
        [page.kept, page.files],
        results,
        api_visibility="private",
        show_progress="minimal",
        trigger_mode="multiple",
    )
    page.close.click(handlers.close, None, results, **QUIET)
    gr.on(
        [page.a.input, page.b.input],
        handlers.analyse,
        [page.kept, page.a, page.b],
        page.analysis,
        trigger_mode="always_last",
        api_visibility="private",
        show_progress="minimal",
    )
    page.doubts.select(
        handlers.vote, page.kept, [page.kept, page.doubts], trigger_mode="multiple", **QUIET
    )
    for kind, button in page.gets.items():
        kept = gr.State(kind)
        button.click(handlers.file, [page.kept, kept], page.link, **QUIET).success(
            None, js=fetch("bench-files-link"), api_visibility="private"
        )

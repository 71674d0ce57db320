"""The Benchmark tab: what listens to what."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cirdemo.ui.benchmark import files_page as benchmark_files_page
from cirdemo.ui.benchmark.events import BenchmarkHandlers
from cirdemo.ui.benchmark.pages import BenchmarkTab, render
from cirdemo.ui.benchmark.run import RunHandlers
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import fetch
from cirdemo.ui.wiring import MODEL, QUIET

__all__ = ["BenchmarkHandlers", "BenchmarkTab", "listen", "render"]


def listen(tab: BenchmarkTab, handlers: BenchmarkHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
    chosen = [tab.desk, tab.evaluation]
    tab.upload.upload(handlers.upload, [tab.desk, tab.upload], [tab.desk, tab.evaluation], **QUIET)
    gr.on(
        [tab.evaluation.change],
        handlers.show,
        chosen,
        [tab.header, tab.table, tab.beside],
        **QUIET,
    )
    _figures(tab, handlers, chosen)
    _failures(tab, handlers, chosen, context)
    benchmark_files_page.listen(tab.runs, context)
    last: dict[str, Any] = {"trigger_mode": "always_last", **QUIET}
    dials = [tab.setting, tab.threshold]
    gr.on(
        [
            tab.tabs["calibration"].select,
            tab.evaluation.change,
            tab.setting.change,
            tab.threshold.change,
        ],
        handlers.judge,
        [*chosen, *dials],
        tab.judge,
        **last,
    )
    for kind, button in tab.files.items():
        kept = gr.State(kind)
        button.click(handlers.file, [*chosen, kept, tab.name], tab.link, **QUIET).success(
            None, js=fetch("bench-file"), api_visibility="private"
        )
    runs = RunHandlers(context, handlers.store)
    buttons = [tab.start, tab.stop]
    asked = [tab.desk, tab.dataset, tab.split, tab.methods, tab.limit]
    tab.start.click(
        runs.start, asked, [tab.desk, tab.progress, tab.timer, *buttons], queue=False, **QUIET
    )
    tab.stop.click(runs.halt, tab.desk, tab.stop, queue=False, **QUIET)
    tab.timer.tick(
        runs.tick,
        tab.desk,
        [tab.desk, tab.progress, tab.timer, *buttons, tab.evaluation, tab.pages],
        trigger_mode="once",
        **MODEL,
        **QUIET,
    )


def _figures(tab: BenchmarkTab, handlers: BenchmarkHandlers, chosen: list[Any]) -> None:
    """A figure is drawn when its page is opened, or another one is asked for."""
    gr.on(
        [tab.tabs["figures"].select, tab.name.change, tab.evaluation.change],
        handlers.figure,
        [*chosen, tab.name],
        tab.plot,
        trigger_mode="always_last",
        api_visibility="private",
        show_progress="minimal",
    )


def _failures(
    tab: BenchmarkTab, handlers: BenchmarkHandlers, chosen: list[Any], context: Context
) -> None:
    """Facets, words, rows: each leads to a list and to one query of it."""
    asked = [*chosen, tab.look]
    last: dict[str, Any] = {"trigger_mode": "always_last", **QUIET}
    every: dict[str, Any] = {"trigger_mode": "multiple", **QUIET}  # each click has its own data
    gr.on(
        [tab.tabs["failures"].select, tab.evaluation.change],
        handlers.browse,
        asked,
        tab.browser,
        **QUIET,
    )
    tab.facets.select(handlers.filter, asked, tab.browser, **every)
    tab.words.change(handlers.words, [*asked, tab.words], tab.browser, **last)
    tab.rows.select(handlers.pick, asked, [tab.rows, tab.detail, tab.look], **every)
    tab.search.click(handlers.open_in_search, asked, context.view, **QUIET)

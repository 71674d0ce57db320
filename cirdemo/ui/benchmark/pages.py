"""The components of the Benchmark tab, page by page; no events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.lineup import DEPTH
from cirdemo.ui.benchmark import files_page as benchmark_files_page
from cirdemo.ui.benchmark.desk import FIGURES
from cirdemo.ui.benchmark.events import BenchmarkHandlers
from cirdemo.ui.benchmark.judge import AS_JUDGED, FITTED, RAW
from cirdemo.ui.benchmark.run import CHOSEN, PUBLIC, RunHandlers, progress
from cirdemo.ui.benchmark.scripts import COPIES, SORTS, STEPS, WALKS
from cirdemo.ui.context import Context
from cirdemo.ui.naming import choices
from cirdemo.ui.wiring import CLICKS, PLAIN

LEAD = (
    '<h2 class="title">Benchmark</h2><p class="lead">Methods measured on queries whose targets are '
    "known: how often a target is found, where the pipeline breaks, and whether P(Yes) can be "
    "trusted. Every page says how its numbers were made.</p>"
)


@dataclass(frozen=True)
class BenchmarkTab:
    """The components of the Benchmark tab."""

    desk: gr.State
    look: gr.State
    evaluation: gr.Dropdown
    upload: gr.UploadButton
    header: gr.HTML
    pages: gr.Tabs
    tabs: dict[str, gr.Tab]
    table: gr.HTML
    beside: gr.Markdown
    files: dict[str, gr.Button]  # kind of file -> the button that asks for it
    link: gr.DownloadButton
    name: gr.Radio
    plot: gr.HTML
    facets: gr.HTML
    words: gr.Textbox
    rows: gr.HTML
    search: gr.Button
    detail: gr.HTML
    setting: gr.Radio
    threshold: gr.Slider
    judge: gr.HTML
    dataset: gr.Dropdown
    split: gr.Radio
    methods: gr.CheckboxGroup
    limit: gr.Number
    start: gr.Button
    stop: gr.Button
    progress: gr.HTML
    timer: gr.Timer
    runs: benchmark_files_page.FilesPage  # runs' files: checks, scores, two against each other

    @property
    def browser(self) -> list[Any]:
        """What the failure browser's events write."""
        return [self.facets, self.rows, self.detail, self.look]


READING = (  # until a page that is opened for the first time has been made
    '<p class="empty" role="status"><i class="spin" aria-hidden="true"></i> '
    "Reading the evaluation…</p>"
)


def _html(value: str, name: str, script: str | None = None, *more: str) -> gr.HTML:
    return gr.HTML(
        value,
        js_on_load=script,
        elem_id=f"bench-{name}",
        elem_classes=["ours", "bench", *more],
        **PLAIN,
    )


def _button(text: str, name: str) -> gr.Button:
    return gr.Button(text, size="sm", min_width=60, elem_id=f"bench-{name}")


def render(context: Context) -> BenchmarkTab:
    """Build the components; no event yet."""
    handlers = BenchmarkHandlers(context)
    key = handlers.first()
    header, table, beside = handlers.show(None, key)
    made: dict[str, Any] = {"desk": gr.State(None), "look": gr.State(None), "tabs": {}, "files": {}}
    with gr.Column(elem_id="bench", min_width=0):
        with gr.Row(elem_id="bench-open"):
            _html(LEAD, "lead")
            made["evaluation"] = gr.Dropdown(
                handlers.store.choices(None),
                value=key,
                label="Evaluation",
                elem_id="bench-evaluation",
                filterable=False,
                min_width=200,
            )
            made["upload"] = gr.UploadButton(
                "Open files…",
                file_count="multiple",
                file_types=[".json", ".gz", ".zip"],
                size="sm",
                min_width=90,
                elem_id="bench-upload",
            )
        made["header"] = _html(header, "header", COPIES)
        with gr.Tabs(elem_id="bench-pages", selected="table") as made["pages"]:
            for name, page in (
                ("table", _table_page),
                ("figures", _figures_page),
                ("failures", _failures_page),
                ("calibration", _calibration_page),
            ):
                with gr.Tab(name.capitalize(), id=name) as made["tabs"][name]:
                    page(made)
            with gr.Tab("Files", id="files"):
                made["runs"] = benchmark_files_page.render()
            with gr.Tab("Run", id="run"):
                _run_page(made, context, RunHandlers(context, handlers.store).methods())
        made["link"] = gr.DownloadButton("File", visible="hidden", elem_id="bench-file")
    made["table"].value, made["beside"].value = table, beside
    return BenchmarkTab(**made)


def _table_page(made: dict[str, Any]) -> None:
    made["table"] = _html("", "table", SORTS)
    with gr.Row(elem_classes="bench-row"):
        for kind, text in (("csv", "CSV"), ("json", "JSON"), ("zip", "All of it (zip)")):
            made["files"][kind] = _button(text, f"get-{kind}")
    with gr.Accordion(
        "Also measured: phrasings, statements, blames, impossible edits, heatmaps", open=False
    ):
        made["beside"] = gr.Markdown("", elem_id="bench-beside", container=False)


def _figures_page(made: dict[str, Any]) -> None:
    with gr.Row(elem_id="bench-figures"):
        with gr.Column(min_width=0):
            made["name"] = gr.Radio(
                [(text, name) for name, text in FIGURES.items()],
                value="recall",
                show_label=False,
                label="Figure",
                container=False,
                elem_id="bench-figure",
            )
            with gr.Row(elem_classes="bench-row"):
                for kind in ("png", "svg"):
                    made["files"][kind] = _button(kind.upper(), f"get-{kind}")
        made["plot"] = _html(READING, "plot")


def _failures_page(made: dict[str, Any]) -> None:
    made["facets"] = _html("", "facets", CLICKS)
    with gr.Row(elem_id="bench-browser"):
        with gr.Column(elem_id="bench-list", min_width=0):
            made["words"] = gr.Textbox(
                placeholder="Words of the text or of a description",
                label="Search the queries",
                show_label=False,
                container=False,
                max_length=200,
                elem_id="bench-words",
            )
            made["rows"] = _html(READING, "rows", WALKS)
        with gr.Column(elem_id="bench-case", min_width=0):
            with gr.Row(elem_classes="bench-row"):
                _html(
                    '<div class="walk"><button type="button" data-walk="-1">‹ previous</button>'
                    '<button type="button" data-walk="1">next ›</button><small>keys <kbd>j</kbd> '
                    "<kbd>k</kbd> or arrows</small></div>",
                    "walk",
                    STEPS,
                )
                made["search"] = _button("Open in Search", "search")
            made["detail"] = _html("", "detail")


def _calibration_page(made: dict[str, Any]) -> None:
    with gr.Row(elem_classes="bench-row", elem_id="bench-dials"):
        made["setting"] = gr.Radio(
            [AS_JUDGED, RAW, FITTED],
            value=AS_JUDGED,
            label="P(Yes)",
            info="under which temperature",
            elem_id="bench-setting",
        )
        made["threshold"] = gr.Slider(
            0,
            1,
            value=0.5,
            step=0.01,
            label="Threshold",
            info="a candidate counts as found from this P(Yes) on",
            elem_id="bench-threshold",
        )
        made["files"]["temperature"] = _button("Fitted temperature (JSON)", "get-temperature")
    made["judge"] = _html(READING, "judge")


def _run_page(made: dict[str, Any], context: Context, methods: list[str]) -> None:
    names = list(context.engine.galleries())
    most = PUBLIC if context.public else None
    few = f"the first so many; here at most {PUBLIC}" if most else "the first so many"
    with gr.Row(elem_id="bench-run"):
        with gr.Column(elem_id="bench-ask", min_width=0):
            with gr.Row(elem_classes="bench-row"):
                made["dataset"] = gr.Dropdown(
                    names, value=names[0], label="Dataset", filterable=False, min_width=110
                )
                made["limit"] = gr.Number(
                    40,
                    label="Queries",
                    info=few,
                    minimum=1,
                    precision=0,
                    min_width=110,
                    elem_id="bench-limit",
                    maximum=most,
                )
            made["split"] = gr.Radio(
                [("val: to choose and tune", "val"), ("test: to report, not to choose", "test")],
                value="val",
                label="Split",
                elem_id="bench-split",
            )
        with gr.Row(elem_classes="bench-row", elem_id="bench-go"):
            made["start"] = gr.Button(
                "Measure", variant="primary", min_width=80, elem_id="bench-start"
            )
            made["stop"] = gr.Button("Stop", min_width=60, interactive=False, elem_id="bench-stop")
        with gr.Column(elem_id="bench-right", min_width=0):
            made["progress"] = _html(progress(None), "progress")
            with gr.Column(elem_id="bench-pick", min_width=0):
                made["methods"] = gr.CheckboxGroup(
                    choices(methods),
                    value=[m for m in CHOSEN if m in methods],
                    label="Methods",
                    info=f"“Re-ranked” judges {DEPTH} candidates a query: most time goes there",
                    elem_id="bench-methods",
                )
    made["timer"] = gr.Timer(0.3, active=False)

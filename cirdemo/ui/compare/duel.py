"""Two full settings over the val queries of the gallery: run, stop, read, open."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo import lineup
from cirdemo.evaluate.compare import compare
from cirdemo.evaluate.duel import MOST, WEIGHED, Setting, duel
from cirdemo.evaluate.figures_duel import figure
from cirdemo.types import BadInput, CirError
from cirdemo.ui.compare import duel_views as views
from cirdemo.ui.compare import lineup as lined
from cirdemo.ui.compare.lineup_views import order
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import on_disk
from cirdemo.ui.naming import called, choices
from cirdemo.ui.ticket import Ticket, parts
from cirdemo.ui.wiring import CLICKS, PLAIN, QUIET, guarded

SPLIT = "val"  # test stays unlooked at: settings are chosen on val
QUERIES = 40  # compared unless told
PAUSE = 0.6  # seconds between two pictures of the board
LISTED = 8  # queries between two lists of matches
SKIP = gr.skip()
Page = tuple[Any, ...]  # state, head, board, matches
SHOW = [("A wins", "win"), ("B wins", "loss"), ("ties", "tie"), ("all", "all")]


# A run over a set takes minutes: it waits for other such runs, and searches pass it by; the models'
# own locks keep the two apart.
LONG: dict[str, Any] = {
    "concurrency_id": "duel",
    "concurrency_limit": 1,
    "trigger_mode": "multiple",  # a run that was stopped may not have ended
}
KINDS = ("json", "png", "svg")  # of a file to download
PUBLIC_QUERIES, PUBLIC_DEPTH = 100, 50  # the most that a stranger may ask for


@dataclass(frozen=True)
class SettingPanel:
    """The components of one setting."""

    method: gr.Dropdown
    depth: gr.Slider
    fuse: gr.Checkbox
    weight: gr.Slider

    @property
    def values(self) -> list[Any]:
        """What a run reads."""
        return [self.method, self.depth, self.fuse, self.weight]


@dataclass(frozen=True)
class DuelTab:
    """The components of the view."""

    a: SettingPanel
    b: SettingPanel
    count: gr.Slider
    run: gr.Button
    stop: gr.Button
    number: gr.Number
    ticket: gr.State
    state: gr.State
    head: gr.HTML
    board: gr.HTML
    show: gr.Radio
    matches: gr.HTML
    files: tuple[gr.DownloadButton, ...]


@dataclass(frozen=True)
class DuelHandlers:
    """Runs two settings and shows who wins what."""

    context: Context

    def methods(self) -> list[str]:
        """Coarse methods that can run here: what a setting can begin with."""
        table = lineup.methods(self.context.engine)
        fit = [n for n, why in table.items() if not why and n not in (lineup.SETR, lineup.FUSED)]
        return order(fit)

    @staticmethod
    def setting(method: str, depth: float, fuse: bool, weight: float) -> Setting:
        """A setting of the panel's values; what does not apply to its method is left out."""
        if not (method or "").strip():
            raise BadInput("Choose a method for both A and B.")
        return Setting(
            method=method.strip(),
            depth=int(depth),
            fuse=bool(fuse) and int(depth) > 0,
            text_weight=float(weight) if method.strip() == WEIGHED else None,
        )

    def begin(self, ticket: Ticket) -> tuple[Any, ...]:
        """A run has been asked for: its number, buttons, page."""
        head = views.header("waiting for its turn, loading the models", of=1)
        return (ticket.ask(), *ticket.buttons(), None, head, SKIP, "")

    @staticmethod
    def ended(ticket: Ticket) -> tuple[Any, Any]:
        """The run is over: offer another one, unless it is on its way."""
        return ticket.buttons()

    @guarded
    def stop(self, ticket: Ticket, state: dict[str, Any] | None, show: str) -> tuple[Any, ...]:
        """The run ends at its next query; what is there stays, with all of its matches."""
        ticket.stop()
        return (*ticket.buttons(), *self._halted(state, show))

    def _halted(self, state: dict[str, Any] | None, show: str) -> tuple[Any, Any, Any]:
        """Head, board and matches of a run that was stopped."""
        done = len(state["rows"]) if state else 0
        some = "1 query; it stands" if done == 1 else f"{done} queries; they stand"
        said = f"Stopped after {some}." if done else "Stopped."
        about = {k: v for k, v in state.items() if k != "rows"} if state else {}
        board = views.board(list(state["rows"]), about) if state and done else SKIP
        return views.header(said), board, self.filtered(state, show)

    @guarded
    def search(self, number: float | None, ticket: Ticket, *asked: Any) -> Iterator[Page]:
        """State, head, board and matches as queries are done.

        Args:
            number: The run's.
            ticket: The visitor's.
            asked: Method, depth, fuse and weight of A, the same of B, how many queries, which
                matches to show, the gallery.
        """
        found: dict[str, Any] = {}

        def halted() -> Page:
            state = found if found.get("rows") else None
            return (state or SKIP, *self._halted(state, asked[-2]))

        yield from ticket.steps(number, self._told(found, *asked), halted)

    def _told(self, found: dict[str, Any], *asked: Any) -> Generator[Page, None, None]:
        """The run; an error in words as well."""
        try:
            yield from self._run(found, *asked)
        except CirError as error:
            yield SKIP, views.header(str(error)), SKIP, SKIP
            raise

    def _run(self, state: dict[str, Any], *values: Any) -> Iterator[Page]:
        *panels, count, show, gallery = values
        a, b = self.setting(*panels[:4]), self.setting(*panels[4:])
        if self.context.public and (
            int(count) > PUBLIC_QUERIES or max(a.depth, b.depth) > PUBLIC_DEPTH
        ):
            most = f"{PUBLIC_QUERIES} queries with {PUBLIC_DEPTH} candidates"
            raise BadInput(f"This page is public: at most {most}. On your own machine run more.")
        shelf = self.context.library.shelf(gallery)
        engine, limit = self.context.engine, int(count)
        of, found = duel(engine, gallery, a, b, split=SPLIT, limit=limit)
        words = ["compare", gallery, "--a", str(a), "--b", str(b), "--limit", str(limit)]
        about = {"a": str(a), "b": str(b), "dataset": gallery, "split": SPLIT}
        about["command"] = "python -m cirdemo " + shlex.join(words)
        rows: list[dict[str, Any]] = []
        state |= {"rows": rows, **about}
        start = shown = time.perf_counter()
        for row in found:
            rows.append(row)
            now = time.perf_counter()
            last = len(rows) == of
            if not last and now - shown < PAUSE and len(rows) > 1:
                continue
            shown = now
            told = views.progress(len(rows), of, now - start)
            head = views.header(told, done=len(rows), of=of)
            if last:
                head = views.header(f"{of} queries in {now - start:.0f} s")
            listed = last or len(rows) % LISTED == 0
            cards = views.matches(rows, show, shelf) if listed else SKIP
            # a copy: whoever stops the run reads it while the next row is still being made
            yield {"rows": list(rows), **about}, head, views.board(rows, about), cards

    @guarded
    def filtered(self, state: dict[str, Any] | None, show: str) -> str:
        """The matches of a kind."""
        if not state:
            return ""
        shelf = self.context.library.shelf(state["dataset"])
        return views.matches(state["rows"], show, shelf)

    @guarded
    def files(self, state: dict[str, Any] | None) -> tuple[Any, ...]:
        """Rows and figure to download, once there are any."""
        if not state or not state["rows"]:
            return tuple(gr.update(visible=False) for _ in KINDS)
        stem = f"{state['dataset']}-{state['split']}-compare"
        told = {**state, **compare(state["rows"])}
        found = {"json": json.dumps(told, ensure_ascii=False, indent=1).encode()}
        found |= {kind: figure(state["rows"], state, kind) for kind in KINDS[1:]}
        return tuple(
            gr.update(value=on_disk(f"{stem}.{kind}", found[kind]), visible=True) for kind in KINDS
        )

    @guarded
    def open(self, state: dict[str, Any] | None, event: gr.EventData) -> str:
        """A match as a view of the Search page, with A's list."""
        try:
            row = state["rows"][int(event._data["n"])]  # type: ignore[index]
        except (TypeError, KeyError, ValueError, IndexError):
            raise BadInput("This query is no longer there; run the comparison again.") from None
        method = Setting.parse(state["a"]).method  # type: ignore[index]
        gallery = state["dataset"]  # type: ignore[index]
        return lined.opened(method, "", row["reference_id"], row["modification"], gallery).dumps()


def _panel(side: str, methods: list[str], method: str, depth: int) -> SettingPanel:
    with gr.Column(elem_classes=["setting", side], min_width=0):
        gr.HTML(f"<h3>Setting {side.upper()}</h3>", elem_classes="ours", **PLAIN)
        return SettingPanel(
            method=gr.Dropdown(
                choices(methods, explained=False),
                value=method if method in methods else methods[0] if methods else None,
                label="Coarse method",
                info="whose list it is; type rrf:text+union to fuse others",
                allow_custom_value=True,
                elem_id=f"duel-method-{side}",
                min_width=0,
            ),
            depth=gr.Slider(
                0,
                MOST,
                value=depth,
                step=5,
                label="Judge",
                info="re-orders so many of the list; 0 leaves it as it is",
                elem_id=f"duel-depth-{side}",
                min_width=0,
            ),
            fuse=gr.Checkbox(
                False, label="Fuse P(Yes) with the coarse score", elem_id=f"duel-fuse-{side}"
            ),
            weight=gr.Slider(
                0,
                1,
                value=0.75,
                step=0.05,
                label=f"Text weight in “{called(WEIGHED)}”",
                visible=method == WEIGHED,
            ),
        )


def render(handlers: DuelHandlers) -> DuelTab:
    """Build the view; no event yet."""
    methods = handlers.methods()
    with gr.Row(elem_classes="compare-page"):
        with gr.Column(elem_classes="compare-ask", min_width=0):
            a = _panel("a", methods, "intersection", 20)
            b = _panel("b", methods, "intersection", 0)
            count = gr.Slider(
                5,
                400,
                value=QUERIES,
                step=5,
                label="Queries",
                info="the first so many of the val split",
                elem_id="duel-count",
            )
            with gr.Row(elem_classes="pair go"):
                run = gr.Button("Run A against B", variant="primary", elem_id="duel-run")
                stop = gr.Button("Stop", interactive=False, elem_id="duel-stop", min_width=60)
        with gr.Column(elem_classes="compare-told", min_width=0):
            head = gr.HTML(views.header(), elem_id="duel-head", elem_classes="ours", **PLAIN)
            board = gr.HTML(views.waiting(), elem_id="duel-board", elem_classes="ours", **PLAIN)
            with gr.Row(elem_classes="pair", elem_id="duel-files"):
                files = tuple(
                    gr.DownloadButton(kind.upper(), visible=False, size="sm", min_width=60)
                    for kind in KINDS
                )
            show = gr.Radio(
                SHOW, value="all", label="Show queries", elem_id="duel-show", container=False
            )
            matches = gr.HTML(
                "", elem_id="duel-matches", elem_classes="ours", js_on_load=CLICKS, **PLAIN
            )
    number, ticket = parts()
    return DuelTab(
        a=a,
        b=b,
        count=count,
        run=run,
        stop=stop,
        number=number,
        ticket=ticket,
        state=gr.State(None),
        head=head,
        board=board,
        show=show,
        matches=matches,
        files=files,
    )


def listen(tab: DuelTab, handlers: DuelHandlers, context: Context) -> None:
    """Connect the components."""
    buttons, page = [tab.run, tab.stop], [tab.state, tab.head, tab.board, tab.matches]
    for panel in (tab.a, tab.b):
        panel.method.change(
            lambda name: gr.update(visible=name == WEIGHED),
            panel.method,
            panel.weight,
            queue=False,
            **QUIET,
        )
    quick: dict[str, Any] = {"queue": False, **QUIET}
    begun = tab.run.click(handlers.begin, tab.ticket, [tab.number, *buttons, *page], **quick)
    values = [*tab.a.values, *tab.b.values, tab.count, tab.show, context.gallery]
    asked = [tab.number, tab.ticket, *values]
    run = begun.success(handlers.search, asked, page, api_name="duel", **LONG, **QUIET)
    for over in (run.success, run.failure):
        over(handlers.ended, tab.ticket, buttons, **quick)
    halted = [*buttons, tab.head, tab.board, tab.matches]
    kept = tab.stop.click(handlers.stop, [tab.ticket, tab.state, tab.show], halted, **quick)
    for over in (run.success, kept.success):
        over(handlers.files, tab.state, list(tab.files), **QUIET)
    tab.show.input(handlers.filtered, [tab.state, tab.show], tab.matches, queue=False, **QUIET)
    tab.matches.select(handlers.open, tab.state, context.view, queue=False, **QUIET)

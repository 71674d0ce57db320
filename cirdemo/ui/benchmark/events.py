"""What the Benchmark tab does: handlers as methods, plain values in, plain values out."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from cirdemo.evaluate import failures, reliability
from cirdemo.evaluate import opened as evaluations
from cirdemo.evaluate.failures import Filter
from cirdemo.evaluate.packed import SETR, Case, Cases
from cirdemo.export import blocks_markdown
from cirdemo.rerank import CALIBRATION
from cirdemo.types import BadInput
from cirdemo.ui.benchmark import cases as benchmark_cases
from cirdemo.ui.benchmark import judge as benchmark_judge
from cirdemo.ui.benchmark import table as benchmark_table
from cirdemo.ui.benchmark.desk import (
    FIGURES,
    RUN,
    STORED,
    UPLOADED,
    Desk,
    Look,
    Stored,
    contents,
    picture,
)
from cirdemo.ui.cards import esc
from cirdemo.ui.context import Context
from cirdemo.ui.downloads import on_disk
from cirdemo.ui.view import View
from cirdemo.ui.wiring import clicked_number, guarded

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "assets" / "results"
NO_ROWS = (
    "This evaluation has no rows per query, so there is nothing to look at one by one. Run one on "
    "the page “Run”, or open the files of “evaluate --out”."
)
NO_JUDGE = (
    "Nothing was judged in this evaluation, or its rows are not kept. Run one with the method "
    "“Re-ranked” on the page “Run”."
)
ORIGINS = {
    STORED: "stored with the app",
    RUN: "made in this visit; not stored",
    UPLOADED: "from your files; not stored",
}
PICK = "Pick a query on the list to see what each method made of it."
NOTHING = (
    "No evaluation is stored. Run one on the page “Run”, or make one with “python -m cirdemo "
    "evaluate fables --methods all --split test --out assets/results”."
)


@dataclass(frozen=True)
class BenchmarkHandlers:
    """The events of the Benchmark tab; `key` names an evaluation, `desk` holds a visitor's own."""

    context: Context
    folder: Path = RESULTS

    @property
    def store(self) -> Stored:
        """The stored evaluations."""
        return Stored(self.folder)

    # --- opening ---------------------------------------------------------------------------

    def first(self) -> str | None:
        """The evaluation that is open when the page is."""
        choices = self.store.choices(None)
        return choices[0][1] if choices else None

    @guarded
    def show(self, desk: Desk | None, key: str | None) -> tuple[str, str, str]:
        """Header, table, and what was measured beside the methods' lists."""
        if not key:
            return f'<p class="empty">{esc(NOTHING)}</p>', "", ""
        found = self.store.get(desk, key)
        origin = ORIGINS[key.partition(":")[0] if desk and key in desk.made else STORED]
        beside = blocks_markdown(found.report) or "Nothing else was measured."
        return (
            benchmark_table.header(found, origin),
            benchmark_table.table(found.report),
            f"{beside}\n\n{benchmark_table.measured(found.report)}.",
        )

    @guarded
    def upload(self, desk: Desk | None, paths: list[str] | None) -> tuple[Desk, Any]:
        """Open files from outside; they are kept for this visit only."""
        if not paths:
            raise BadInput(f"Nothing was uploaded. {evaluations.HOW}")
        desk = desk or Desk()
        key = desk.add(UPLOADED, evaluations.of_paths([Path(p) for p in paths]))
        return desk, gr.update(choices=self.store.choices(desk), value=key)

    @guarded
    def file(self, desk: Desk | None, key: str | None, kind: str, name: str) -> Any:
        """A file to download."""
        return gr.update(value=on_disk(*contents(self.store.get(desk, key), kind, name)))

    # --- figures ---------------------------------------------------------------------------

    @guarded
    def figure(self, desk: Desk | None, key: str | None, name: str) -> str:
        """A figure as it is downloaded."""
        if not key:
            return ""
        found = self.store.get(desk, key)
        about = benchmark_table.measured(found.report)
        try:
            data = base64.b64encode(picture(found, name, "png")).decode()
        except BadInput as error:
            return f'<p class="empty">{esc(error)}</p>'
        alt = f"{FIGURES[name]}: {about}. The table holds the same numbers."
        return (
            f'<figure class="plot"><img src="data:image/png;base64,{data}" alt="{esc(alt)}">'
            f"<figcaption>{esc(about)}</figcaption></figure>"
        )

    # --- failures --------------------------------------------------------------------------

    @guarded
    def browse(
        self, desk: Desk | None, key: str | None, look: Look | None
    ) -> tuple[str, str, str, Look]:
        """Facets, list and one query in full."""
        cases = self._cases(desk, key)
        if cases is None:
            return "", f'<p class="empty">{esc(NO_ROWS)}</p>', "", look or Look()
        look = _fitted(cases, look or Look())
        found = failures.select(cases.cases, look.asked)
        ids = [c.query_id for c in found]
        if look.picked not in ids:
            start = look.page * benchmark_cases.PAGE
            look = look.changed(picked=ids[start] if start < len(ids) else ids[0] if ids else "")
        page = ids.index(look.picked) // benchmark_cases.PAGE if look.picked else 0
        look = look.changed(page=page)
        pictures = benchmark_cases.Shown(self.context.library, cases.dataset)
        return (
            benchmark_cases.facets(cases, look.asked),
            benchmark_cases.rows(cases, found, look.picked, page, look.asked, pictures),
            self._detail(cases, found, look.picked),
            look,
        )

    @guarded
    def filter(
        self, desk: Desk | None, key: str | None, look: Look | None, event: gr.EventData
    ) -> tuple[str, str, str, Look]:
        """A facet's value is chosen, or taken back."""
        look = look or Look()
        asked = look.asked.chosen(str(event._data.get("facet")), str(event._data.get("value")))
        return self.browse(desk, key, look.changed(asked=asked, page=0, picked=""))  # type: ignore[no-any-return]

    @guarded
    def words(
        self, desk: Desk | None, key: str | None, look: Look | None, words: str
    ) -> tuple[str, str, str, Look]:
        """Only queries with these words."""
        look = look or Look()
        asked = Filter(
            **{f: getattr(look.asked, f) for f in (*failures.FACETS, "method")}, words=words[:200]
        )
        return self.browse(desk, key, look.changed(asked=asked, page=0, picked=""))  # type: ignore[no-any-return]

    @guarded
    def pick(
        self, desk: Desk | None, key: str | None, look: Look | None, event: gr.EventData
    ) -> tuple[Any, str, Look]:
        """A row, or another page of rows: the list only where it changes, and the query."""
        look = look or Look()
        told = event._data
        if told.get("action") == "page":
            page = max(0, int(clicked_number(event, "value")))
            picked = ""
            cases = self._cases(desk, key)
            if told.get("end") and cases is not None:  # walked backwards onto it: its last row
                found = failures.select(cases.cases, look.asked)
                last = min((page + 1) * benchmark_cases.PAGE, len(found)) - 1
                picked = found[last].query_id if found else ""
            _, listed, detail, look = self.browse(desk, key, look.changed(page=page, picked=picked))
            return listed, detail, look
        cases = self._cases(desk, key)
        if cases is None:
            raise BadInput(NO_ROWS)
        found = failures.select(cases.cases, look.asked)
        picked = str(told.get("id"))
        return gr.skip(), self._detail(cases, found, picked), look.changed(picked=picked)

    @guarded
    def open_in_search(self, desk: Desk | None, key: str | None, look: Look | None) -> str:
        """The address of the picked query in the Search tab."""
        cases = self._cases(desk, key)
        every = cases.cases if cases else ()
        case = next((c for c in every if look and c.query_id == look.picked), None)
        if cases is None or case is None:
            raise BadInput("Pick a query first.")
        if cases.dataset not in self.context.engine.galleries():
            raise BadInput(
                f"The gallery “{cases.dataset}” is not on this machine, so the query cannot run."
            )
        view = View(gallery=cases.dataset, reference_id=case.reference_id, text=case.text)
        return view.dumps()

    def _cases(self, desk: Desk | None, key: str | None) -> Cases | None:
        return self.store.get(desk, key).cases if key else None

    def _detail(self, cases: Cases, found: list[Case], picked: str) -> str:
        place = next((n for n, c in enumerate(found) if c.query_id == picked), None)
        if place is None:
            return f'<p class="empty">{esc(PICK)}</p>'
        pictures = benchmark_cases.Shown(self.context.library, cases.dataset)
        told = f"{place + 1} of {len(found)}"
        return benchmark_cases.detail(found[place], cases, pictures, told)

    # --- calibration -----------------------------------------------------------------------

    @guarded
    def judge(self, desk: Desk | None, key: str | None, setting: str, threshold: float) -> str:
        """The calibration page."""
        cases = self._cases(desk, key)
        pairs = reliability.judged(cases) if cases else None
        if key is None or pairs is None:
            return f'<p class="empty">{esc(NO_JUDGE)}</p>'
        about = benchmark_table.measured(self.store.get(desk, key).report)
        facts = self.calibration()
        return benchmark_judge.page(pairs, setting, threshold, about, facts)

    def calibration(self) -> dict[str, Any]:
        """The calibration file of the judge in use; {} where it has none."""
        parts = getattr(self.context.engine, "parts", None)
        folder = dict(getattr(parts, "about", {})).get("judge", "")
        file = Path(folder) / CALIBRATION
        if not folder or not file.is_file():
            return {}
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


def _fitted(cases: Cases, look: Look) -> Look:
    """A look without choices that this evaluation does not have."""
    asked = look.asked
    method = asked.method if asked.method in cases.methods else ""
    method = method or (*benchmark_cases.ordered(cases), "")[0]
    blame = asked.blame if SETR in cases.methods else ""
    band = asked.band or ("" if SETR in cases.methods else failures.LOWER)
    fitted = Filter(
        method=method,
        blame=blame,
        band=band,
        p=asked.p if SETR in cases.methods else "",
        versus=asked.versus if {"union", "intersection"} <= set(cases.methods) else "",
        kind=asked.kind if any(c.kind == asked.kind for c in cases.cases) else "",
        phrasing=asked.phrasing if any(c.phrasing == asked.phrasing for c in cases.cases) else "",
        words=asked.words,
    )
    return look.changed(asked=fitted)

"""The five chapters of a search as its stages finish: from the engine's records to the page."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from PIL import Image

from cirdemo.steer import Steer
from cirdemo.types import CirError, Heatmap, ImageId, Query, Rationale, SearchResult
from cirdemo.ui import findings, happened
from cirdemo.ui.search import header, history, judge_views, look_views, picked, reason_views, views
from cirdemo.ui.search.history import History
from cirdemo.ui.search.look import LookHandlers
from cirdemo.ui.shelf import Library, data_uri, opened
from cirdemo.ui.view import View
from cirdemo.unheard import half_understood, passed_over, unheard

TOP = 50  # length of the coarse lists
ASKED = 3  # candidates whose refusal the judge explains, where it refuses all
REPORTED = 3  # pictures whose maps go into a report
SKIP = gr.skip()
SPIN = '<i class="spin" aria-hidden="true"></i>'
_STATUS = re.compile(
    rf'(?P<head><span class="took"[^>]*>)(?:{re.escape(SPIN)})?(?P<said>[^<]*)</span></header>'
)
NO_REASON = "There is no reasoning for this query; the rest holds."
COLUMNS = ("image", "text", "sum", "qformer", "rrf")  # lists that are one click away
PAGE = (  # what a run writes, in the order of the page's components
    *("result", "notice", "describe", "coarse", "heatmaps", "judge", "reason"),
    *("picked", "view", "address", "history", "turns", "share"),
)
CHAPTERS = {name: n for n, name in enumerate(PAGE[2:7], start=1)}
Page = tuple[Any, ...]


def page(**parts: Any) -> Page:
    """The outputs of a run: what is named, and nothing changed elsewhere."""
    return tuple(parts.get(name, SKIP) for name in PAGE)


@dataclass(frozen=True)
class Story:
    """Runs a view on the engine and draws what it finds."""

    engine: Any
    library: Library
    look: LookHandlers
    offered: tuple[str, ...] = ()  # lists that are one click away

    def stages(
        self,
        view: View,
        reference: Image.Image | None,
        before: SearchResult | None,
        turns: History,
    ) -> Iterator[Page]:
        """What changes on the page after each stage.

        Args:
            view: What is asked.
            reference: The picture of the form; a gallery picture is taken by its id.
            before: What is on the page: its chapters stay until new ones come.
            turns: The visitor's turns so far.
        """
        shelf = self.library.shelf(view.gallery)
        query = self.query(reference, view)
        known = self.library.triplet(view.gallery, query.reference_id, view.text)
        targets = known.target_ids if known else ()
        depth = view.depth if view.judge else 0
        other = _other_verdicts(before, query.query_id, view)
        reasons: tuple[str, ...] = ()
        result: SearchResult | None = None
        for result in self.engine.search(query, **options(view)):
            marks = views.marks_of(result, view, targets, known.subset_ids if known else ())
            out: dict[str, Any] = {
                "result": result,
                "notice": self.notice(result, view, reasons=reasons),
                "view": view,
            }
            if result.stage == "describe":
                out |= {"describe": views.describe(result, view)}
                out |= {"coarse": views.waiting(2, busy=True)} if before is None else {}
            elif result.stage == "coarse":
                marks = replace(marks, picked=view.picked or _first(result))
                out["coarse"] = views.coarse(result, shelf, marks, view, self.offered, before)
                if before is None:
                    busy, off = views.waiting(4, busy=True), views.skipped(4, _OFF["judge"])
                    out |= {
                        "heatmaps": views.waiting(3, busy=True),
                        "judge": busy if depth else off,
                    }
            elif result.stage in ("judging", "rerank") and depth:
                out["judge"] = judge_views.judge(result, shelf, marks, view, other)
                if result.stage == "rerank" and view.reason and before is None:
                    out["reason"] = views.waiting(5, busy=True)
            elif result.stage in ("reasoning", "reason"):
                out["reason"] = self._reasoned(result, shelf, marks, view)
            yield page(**out)
            if result.stage == "rerank" and (reasons := self.reasons(result, view)):
                yield page(notice=self.notice(result, view, reasons=reasons))
            if result.stage == "reason" and result.judgements:  # its chart has a third column now
                yield page(judge=judge_views.judge(result, shelf, marks, view, other))
        if result is None:
            return
        end = self.end(result, view, turns)
        yield page(heatmaps=self.maps(result, view, curve=False), **end)
        end = {"heatmaps": self.maps(result, view, strip=True)}
        if depth and not result.judgements:
            end["judge"] = views.skipped(4, "The judge gave no verdict; the coarse lists hold.")
        elif not depth:
            end["judge"] = views.skipped(4, _OFF["judge"])
        if not view.reason:
            end["reason"] = views.skipped(5, _OFF["reason"])
        elif result.rationale is None and "cot" not in result.coarse:
            end["reason"] = views.skipped(
                5, "There is no reasoning for this query; the rest holds."
            )
        yield page(**end)

    def end(self, result: SearchResult, view: View, turns: History) -> dict[str, Any]:
        """What follows the last stage: the maps, the picked picture, the address, the turn."""
        shelf = self.library.shelf(view.gallery)
        image_id = view.picked or _first(result)
        small = result.query.reference.copy()
        small.thumbnail((56, 56))
        turns = turns.add(view, data_uri(small))
        return {
            "picked": picked.panel(result, shelf, view, image_id),
            "address": view.fragment(),
            "history": turns,
            "turns": history.tree(turns),
            "share": picked.share(),
        }

    def report_maps(self, result: SearchResult, view: View) -> dict[ImageId, Sequence[Heatmap]]:
        """The maps of the first pictures under both descriptions, for a report."""
        texts = [result.descriptions[m].text for m in views.MODES if m in result.descriptions]
        ids = [r.image_id for r in result.reranked] or list(result.coarse["intersection"].ids)
        image = self.library.shelf(view.gallery).gallery.image
        try:
            return {i: self.engine.explain(image(i), texts, i) for i in ids[:REPORTED]}
        except CirError:  # a profile without heatmaps
            return {}

    def told(self, result: SearchResult, view: View) -> tuple[str, ...]:
        """What happened, in sentences, for a report."""
        return happened.walked(self._run(result, view), self.reasons(result, view))

    def notice(
        self, result: SearchResult, view: View, *, extra: str = "", reasons: Sequence[str] = ()
    ) -> str:
        """What stands above the chapters.

        Args:
            result: The search.
            view: What was asked.
            extra: A warning of the page's own.
            reasons: See `reasons`.
        """
        run, shelf = self._run(result, view), self.library.shelf(view.gallery)
        if result.query.reference_id and not view.region:
            src = shelf.src(result.query.reference_id)
        else:  # an upload, or painted over
            small = result.query.reference.copy()
            small.thumbnail((56, 56))
            src = data_uri(small)
        return header.notice(
            result,
            self.library.targets(view.gallery, result.query.reference_id, view.text),
            extra=extra or self._missed(result, view),
            told=happened.walked(run, reasons),
            pictures=shelf,
            src=src,
            restore=not view.intersection and happened.dropped_too_much(run),
        )

    def reasons(self, result: SearchResult, view: View) -> tuple[str, ...]:
        """What the judge writes of its first candidates, where it refuses all that it saw."""
        if not happened.refused(result):
            return ()
        ids = [r.image_id for r in result.reranked if r.image_id in result.judgements]
        try:
            found = [self.engine.why(result, view.gallery, i).reason for i in ids[:ASKED]]
        except CirError:  # a judge that gives no reasons
            return ()
        return tuple(reason for reason in found if reason)

    def _run(self, result: SearchResult, view: View) -> findings.Run:
        targets = self.library.targets(view.gallery, result.query.reference_id, view.text)
        caption = self.library.shelf(view.gallery).alt
        return findings.Run(result=result, targets=set(targets), size=TOP, caption=caption)

    def unheard(self, result: SearchResult, view: View) -> tuple[str, ...]:
        """Words of the text that no description took up; none where the visitor changed one."""
        made = result.descriptions.values()
        if not made or view.descriptions or view.without:
            return ()
        captions = {found.caption for found in made}
        if view.reference_id:  # what it shows is known, whatever the model makes of it
            captions.add(self.library.shelf(view.gallery).caption(view.reference_id))
        texts = [found.text for found in made]
        known = self.library.words(view.gallery)
        return unheard(result.query.modification, texts, " ".join(captions), known)

    def _missed(self, result: SearchResult, view: View) -> str:
        """What the descriptions made nothing of."""
        if said := half_understood(self.unheard(result, view)):
            return said
        if view.descriptions or view.without:
            return ""
        made = [found.text for found in result.descriptions.values()]
        return passed_over(result.query.modification, made)

    def query(self, reference: Image.Image | None, view: View) -> Query:
        """The engine's query of a view."""
        asked: dict[str, Any]
        if view.reference_id:
            asked = {"reference_id": view.reference_id}
        else:
            asked = {"reference": reference if reference is not None else opened(view.picture)}
        query: Query = self.engine.make_query(
            text=view.text, gallery=view.gallery, region=view.region, **asked
        )
        return query

    def _reasoned(self, result: SearchResult, shelf: Any, marks: Any, view: View) -> str:
        if result.rationale is None and "cot" not in result.coarse:
            return views.skipped(5, NO_REASON)
        support: Sequence[Any] = ()
        if result.stage == "reason":
            with contextlib.suppress(CirError):  # an extra: the rationale stands without it
                support = self.engine.supports(result)
        return reason_views.reason(result, shelf, marks, view, support)

    def maps(
        self,
        result: SearchResult,
        view: View,
        word: str = "",
        *,
        curve: bool = True,
        strip: bool = False,
    ) -> str:
        """Chapter 3 for the picked picture, or the first of union's list.

        Args:
            result: The search.
            view: Which picture is picked.
            word: A phrase whose map is shown too.
            curve: Whether to measure what the hot area carries, which takes longest.
            strip: Whether the first candidates of the intersection are drawn too.
        """
        html = self.look.chapter(result, view.gallery, view.picked, word, curve=curve)
        if not curve or 'class="look-maps"' not in html:
            return html
        more = self.look.strip(result, view.gallery) if strip else ""
        return html.removesuffix("</section>") + more + picked.figures(word) + "</section>"


def options(view: View) -> dict[str, Any]:
    """The keywords of `Engine.search` for a view."""
    steps = {"reasoning": "", "conclusion": "", **view.thoughts}
    return {
        "gallery": view.gallery,
        "methods": list(dict.fromkeys(("union", "intersection", *view.columns))),
        "rerank": view.depth if view.judge else 0,
        "rerank_on": view.rerank_on,
        "fuse": view.fuse,
        "reason": view.reason,
        "top": TOP,
        "descriptions": view.descriptions,
        "steer": Steer(more=view.more, less=view.less, without=view.without),
        "thoughts": Rationale(**steps) if view.thoughts else None,
        "tuned": view.tuned,
    }


def _first(result: SearchResult) -> ImageId:
    """The first candidate of the first coarse list: union's."""
    return next((r.ids[0] for r in result.coarse.values() if r.ids), "")


def _other_verdicts(before: SearchResult | None, query_id: str, view: View) -> dict[ImageId, float]:
    """P(Yes) of the run before, where it asked the same of the judge switched the other way."""
    if before is None or before.query.query_id != query_id or before.tuned == view.tuned:
        return {}
    return {i: j.yes_probability for i, j in before.judgements.items()}


def left_over(number: int, shown: str) -> Any:
    """What a chapter says after an error: what was finished stays."""
    if '<i class="spin"' in shown and number == 4:
        return views.skipped(4, "The judge did not finish; the coarse lists above still hold.")
    return SKIP if shown and 'class="empty"' not in shown else views.waiting(number)


def halted(number: int, shown: str) -> Any:
    """What a chapter says after a stop: what was finished stays, and nothing runs any more."""
    if not shown:
        return views.waiting(number)
    still = shown.replace(reason_views.CARET, "")
    still = still.replace(look_views.measuring(), look_views.STOPPED)
    still = still.replace(judge_views.CHART_WAITS, judge_views.CHART_STOPPED)
    if SPIN in still or f">{views.BUSY[3]}<" in still:
        still = _STATUS.sub(_stopped, still)
    return SKIP if still == shown else still


def _stopped(status: re.Match[str]) -> str:
    """A chapter's label once nothing runs any more: how far it came, if it said so."""
    far = status["said"].removesuffix("…")
    return f"{status['head']}stopped{f' at {far}' if far[:1].isdigit() else ''}</span></header>"


_OFF = {
    "judge": "The judge is switched off in the advanced options.",
    "reason": "The reasoning is switched off in the advanced options.",
}

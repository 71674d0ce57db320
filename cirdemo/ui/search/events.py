"""What the Search page does: handlers as methods, plain values in, plain values out."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from PIL import Image

from cirdemo import replay, report
from cirdemo.types import BadInput, CirError, ImageId, SearchResult
from cirdemo.ui.downloads import on_disk, stem
from cirdemo.ui.search import actions, header, picked, story, views
from cirdemo.ui.search.ask import linked
from cirdemo.ui.search.history import History
from cirdemo.ui.search.look import REFERENCE, LookHandlers
from cirdemo.ui.search.story import CHAPTERS, PAGE, Page, Story, halted, left_over, page
from cirdemo.ui.shelf import Library, opened
from cirdemo.ui.ticket import Ticket
from cirdemo.ui.view import View
from cirdemo.ui.wiring import clicked_number, guarded

STOPPED = "Stopped. What is shown was finished before; press Search to start again."


@dataclass(frozen=True)
class SearchHandlers:
    """The events of the Search page over one shared engine."""

    engine: Any
    library: Library
    look: LookHandlers
    offered: tuple[str, ...] = ()

    @property
    def story(self) -> Story:
        """What draws the chapters."""
        return Story(self.engine, self.library, self.look, self.offered)

    # --- what is asked ---------------------------------------------------------------------

    @guarded
    def asked(
        self,
        before: View,
        gallery: str,
        reference: Image.Image | None,
        reference_id: str,
        region: str,
        text: str,
        depth: int,
        judge: bool,
        reason: bool,
    ) -> View:
        """The view that the form asks for; the dial and the switches stay where they were."""
        if reference is None and not reference_id:
            raise BadInput("Choose a reference image: upload one or click a gallery picture.")
        if not (text or "").strip():
            raise BadInput("Write what should change, for example “hugging instead of standing”.")
        return replace(
            before.asked(),
            gallery=gallery,
            reference_id=reference_id,
            picture="" if reference_id else linked(reference),
            region=region,
            text=" ".join(text.split()),
            depth=int(depth),
            judge=judge,
            reason=reason,
        )

    @guarded
    def open(self, fragment: str) -> tuple[Any, ...]:
        """The form of a view from an address or another tab."""
        view = View.loads(fragment)
        shelf = self.library.shelf(view.gallery)
        if view.reference_id:
            if view.reference_id not in shelf.gallery.ids:
                raise BadInput(
                    f"Gallery {view.gallery!r} has no picture {view.reference_id!r} any more."
                )
            reference = shelf.gallery.image(view.reference_id)
        elif view.picture:
            reference = opened(view.picture)
        else:
            raise BadInput("This link names no reference image; choose one and search.")
        form = (view.gallery, reference, view.reference_id, view.region, view.text)
        return (*form, view.depth, view.judge, view.reason, view)

    @guarded
    def act(self, view: View, result: SearchResult | None, event: gr.EventData) -> View:
        """The view after a click that asks for something else."""
        return actions.changed(view, result, event._data)

    @staticmethod
    def visit(event: gr.EventData) -> str:
        """An address that was loaded or gone back to."""
        return f"{event._data.get('fragment', '')}&at={time.time_ns()}"

    @guarded
    def go_to(self, turns: History, event: gr.EventData) -> tuple[History, str]:
        """Undo, or another turn."""
        if event._data.get("action") == "undo":
            turns = turns.back()
        else:
            index = int(clicked_number(event, "value", -1))
            if not 0 <= index < len(turns.turns):
                raise BadInput("That turn is gone; the oldest ones are forgotten.")
            turns = replace(turns, now=index)
        if turns.now is None:
            raise BadInput("There is nothing to undo yet.")
        return turns, turns.turns[turns.now].view.dumps()

    @guarded
    def as_reference(self, view: View, event: gr.EventData) -> tuple[Any, ...]:
        """A result becomes the reference of the next turn; what should change is asked anew."""
        image_id = str(event._data.get("value", ""))
        return self._image(view.gallery, image_id), image_id, "", ""

    # --- running ---------------------------------------------------------------------------

    def blank(self, said: str = "") -> Page:
        """Nothing has run."""
        waiting = {name: views.waiting(n) for name, n in CHAPTERS.items()}
        return page(result=None, notice=header.notice(None, extra=said), picked="", **waiting)

    def begin(self, ticket: Ticket) -> tuple[Any, ...]:
        """A new question: its number, clear the page, offer Stop."""
        waiting = {name: views.waiting(n, busy=n == 1) for name, n in CHAPTERS.items()}
        cleared = page(result=None, notice="", picked="", **waiting)
        return (*self.started(ticket), *cleared)

    def stop(self, ticket: Ticket, result: SearchResult | None, view: View) -> tuple[Any, ...]:
        """The run ends at its next stage; what is there stays."""
        ticket.stop()
        return (*ticket.buttons(), self._above(result, view, STOPPED))

    def _above(self, result: SearchResult | None, view: View, said: str) -> str:
        """What stands above the chapters, with a sentence on why nothing more comes."""
        if result is None or not result.stage:
            return header.notice(None, extra=said)
        return self.story.notice(result, view, extra=said)

    @staticmethod
    def started(ticket: Ticket) -> tuple[Any, ...]:
        """A run's number, and offer Stop."""
        return (ticket.ask(), *ticket.buttons())

    @staticmethod
    def ended(ticket: Ticket) -> tuple[Any, Any]:
        """The run is over: offer Search, unless another one is on its way."""
        return ticket.buttons()

    @guarded
    def run(
        self,
        number: float | None,
        ticket: Ticket,
        view: View,
        reference: Image.Image | None,
        before: SearchResult | None,
        turns: History,
    ) -> Iterator[Page]:
        """The chapters as the stages finish; an error is told and leaves what still holds."""
        last: dict[str, str] = {}
        shown = before

        def stages() -> Generator[Page, None, None]:
            nonlocal shown
            try:
                for step in self.story.stages(view, reference, before, turns):
                    if isinstance(step[0], SearchResult):
                        shown = step[0]
                    named = zip(PAGE, step, strict=True)
                    last.update({name: part for name, part in named if isinstance(part, str)})
                    yield step
            except CirError as error:
                rest = {name: left_over(n, last.get(name, "")) for name, n in CHAPTERS.items()}
                yield page(notice=self._above(shown, view, str(error)), **rest)
                raise

        def stopped() -> Page:
            # with a result before, chapters that were not reached still show that one
            names = [n for n in CHAPTERS if before is None or n in last]
            rest = {name: halted(CHAPTERS[name], last.get(name, "")) for name in names}
            return page(notice=self._above(shown, view, STOPPED), **rest)

        yield from ticket.steps(number, stages(), stopped)

    def run_opened(
        self, number: float | None, ticket: Ticket, view: View, *rest: Any
    ) -> Iterator[Page]:
        """A view from elsewhere: run it, or ask for the text where it has none yet."""
        if view.text.strip():
            yield from self.run(number, ticket, view, *rest)
        elif ticket.holds(number):
            ticket.drop()
            yield self.blank("The reference is set. Say what should change, and press Search.")

    # --- looking closer --------------------------------------------------------------------

    @guarded
    def closer(self, result: SearchResult | None, view: View, event: gr.EventData) -> Page:
        """Another picture, or why the judge says what it says; no list changes."""
        if result is None:
            raise BadInput("Search first; then click a result to look closer.")
        shelf = self.library.shelf(view.gallery)
        told = event._data
        action = told.get("action")
        if action == "word":  # of the descriptions, on the picture that is picked
            return page(heatmaps=self.story.maps(result, view, str(told.get("value", ""))))
        if action == "trace":  # of the rationale, on the reference image
            view, word = replace(view, picked=REFERENCE), str(told.get("value", ""))
            maps = self.story.maps(result, view, word)
            return page(heatmaps=maps, picked="", view=view, address=view.fragment())
        image_id = str(told.get("value") or told.get("id") or "")
        if action == "why":
            why = self.engine.why(result, view.gallery, image_id)
            return page(picked=picked.panel(result, shelf, view, image_id, why=why))
        view = replace(view, picked=image_id)
        return page(
            heatmaps=self.story.maps(result, view, strip=True),
            picked=picked.panel(result, shelf, view, image_id),
            view=view,
            address=view.fragment(),
        )

    @guarded
    def save(self, result: SearchResult | None, view: View, event: gr.EventData) -> Any:
        """The search as a file: one HTML page, or a bundle that can be replayed."""
        kind = str(event._data.get("action"))
        if kind not in ("html", "bundle", "png", "svg"):
            return gr.skip()
        if result is None:
            raise BadInput("Search first; then take the answer along.")
        if kind in ("png", "svg"):
            word = str(event._data.get("value", ""))
            return self.look.download(result, view.gallery, view.picked, kind, word)
        gallery = self.library.shelf(view.gallery).gallery
        known = self.library.triplet(view.gallery, view.reference_id, view.text)
        targets = known.target_ids if known else ()
        maps = self.story.report_maps(result, view)
        name = stem(view.text)
        if kind == "html":
            used = {**story.options(view), "region": view.region, "threshold": view.threshold}
            said = self.story.told(result, view)
            sheet = report.html(result, gallery, maps, targets=targets, options=used, told=said)
            return on_disk(f"{name}.html", sheet.encode())
        zipped = replay.bundle(result, gallery, story.options(view), maps=maps, targets=targets)
        return on_disk(f"{name}.zip", zipped)

    @staticmethod
    def compare(view: View) -> str:
        """The view for the Compare tab."""
        return view.dumps()

    def threshold(self, view: View, event: gr.EventData) -> tuple[View, str]:
        """The threshold of P(Yes) goes into the address."""
        view = replace(view, threshold=min(1.0, max(0.0, clicked_number(event, "value", 0.5))))
        return view, view.fragment()

    # --- parts -----------------------------------------------------------------------------

    def _image(self, gallery: str, image_id: ImageId) -> Image.Image:
        if image_id not in self.library.shelf(gallery).gallery.ids:
            raise BadInput(f"Gallery {gallery!r} has no picture {image_id!r}; pick another.")
        image: Image.Image = self.library.shelf(gallery).gallery.image(image_id)
        return image

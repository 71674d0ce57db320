"""What the page does: handlers as methods, plain values in, plain values out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from cirdemo.types import BadInput, CirError, ImageId, SearchResult
from cirdemo.ui import cards, views
from cirdemo.ui.maps import figures
from cirdemo.ui.shelf import Example, Library
from cirdemo.ui.wiring import guarded

STRIP = 12  # gallery pictures offered as references
TOP = 50  # length of the coarse lists
Chapters = tuple[Any, ...]  # state, notice, chapters 1 to 5
SKIP = gr.skip()


@dataclass(frozen=True)
class SearchHandlers:
    """The events of the Search page over one shared engine."""

    engine: Any
    library: Library
    examples: tuple[Example, ...] = ()

    # --- asking ----------------------------------------------------------------------------

    def strip(self, gallery: str, seed: int | None = None) -> str:
        """A strip of gallery pictures to click."""
        shelf = self.library.shelf(gallery)
        ids = shelf.some(STRIP, random.Random(seed))
        items = "".join(
            f'<button type="button" class="mini" data-id="{cards.esc(i)}" '
            f'title="{cards.esc(shelf.alt(i))}" '
            f'aria-label="Use as reference image: {cards.esc(shelf.alt(i))}">'
            f'<img src="{cards.esc(shelf.src(i))}" alt="" width="56" height="56"></button>'
            for i in ids
        )
        return f'<div class="strip" role="group" aria-label="Gallery pictures">{items}</div>'

    def example_list(self) -> str:
        """The examples as buttons: picture, text, story."""
        items = []
        for i, e in enumerate(self.examples):
            shelf = self.library.shelf(e.gallery)
            items.append(
                f'<li><button type="button" class="example" data-id="{i}">'
                f'<img src="{cards.esc(shelf.src(e.reference_id))}" '
                f'alt="{cards.esc(shelf.alt(e.reference_id))}" width="44" height="44" '
                f'loading="lazy"><span><q>{cards.esc(e.modification)}</q>'
                f"<small>{cards.esc(e.label)}</small></span></button></li>"
            )
        return f'<ul class="examples">{"".join(items)}</ul>'

    @guarded
    def use_picture(self, gallery: str, event: gr.EventData) -> tuple[Image.Image, ImageId]:
        """A gallery picture becomes the reference."""
        image_id = str(event._data["id"])
        return self._picture(gallery, image_id), image_id

    @guarded
    def use_example(self, event: gr.EventData) -> tuple[str, Image.Image, ImageId, str]:
        """An example fills the form."""
        try:
            e = self.examples[int(event._data["id"])]
        except (ValueError, IndexError) as error:
            raise BadInput("There is no such example; pick one from the list.") from error
        return e.gallery, self._picture(e.gallery, e.reference_id), e.reference_id, e.modification

    @guarded
    def surprise(self, gallery: str) -> tuple[Image.Image, ImageId, str]:
        """A random validation query, or a random picture where there are none."""
        queries = self.library.queries(gallery)
        if not queries:
            image_id = self.library.shelf(gallery).some(1, random.Random())[0]
            return self._picture(gallery, image_id), image_id, ""
        t = random.choice(queries)
        return self._picture(gallery, t.reference_id), t.reference_id, t.modification

    @guarded
    def change_gallery(self, gallery: str) -> tuple[Any, ...]:
        """Another gallery: its pictures, an empty reference, nothing found yet."""
        return (self.strip(gallery), None, "", *self.blank())

    def _picture(self, gallery: str, image_id: ImageId) -> Image.Image:
        if image_id not in self.library.shelf(gallery).gallery.ids:
            raise BadInput(f"Gallery {gallery!r} has no picture {image_id!r}; pick another.")
        image: Image.Image = self.library.shelf(gallery).gallery.image(image_id)
        return image

    # --- running ---------------------------------------------------------------------------

    def blank(self, said: str = "") -> Chapters:
        """Nothing has run."""
        return (None, views.notice(None, extra=said), *(views.waiting(n) for n in range(1, 6)))

    def begin(self) -> tuple[Any, ...]:
        """A run has been asked for: clear the page, offer Stop."""
        first, *rest = (views.waiting(n, busy=n == 1) for n in range(1, 6))
        return (gr.update(interactive=False), gr.update(interactive=True), None, "", first, *rest)

    def finish(self) -> tuple[Any, Any]:
        """The run is over: offer Search."""
        return gr.update(interactive=True), gr.update(interactive=False)

    def stopped(self, state: SearchResult | None) -> tuple[Any, ...]:
        """The run was stopped: keep what is there, and say that it is not all."""
        said = "Stopped. What is shown was finished before; press Search to start again."
        return (*self.finish(), views.notice(None, extra=said))

    @guarded
    def search(self, *asked: Any, **named: Any) -> Iterator[Chapters]:
        """The chapters as the stages finish; an error is told and leaves what still holds."""
        last: dict[int, Any] = {}
        try:
            for step in self._stages(*asked, **named):
                last |= {n: part for n, part in enumerate(step) if isinstance(part, str)}
                yield step
        except CirError as error:
            rest = [_left_over(n, last.get(n + 1, "")) for n in range(1, 6)]
            yield (SKIP, views.notice(None, extra=str(error)), *rest)
            raise

    def _stages(
        self,
        reference: Image.Image | None,
        reference_id: str,
        modification: str,
        gallery: str,
        depth: int = 50,
        judging: bool = True,
        reasoning: bool = True,
        rerank_on: str = "intersection",
        fuse: bool = False,
    ) -> Iterator[Chapters]:
        """The chapters as the stages finish: state, notice, then chapters 1 to 5."""
        depth = int(depth) if judging else 0
        shelf = self.library.shelf(gallery)
        query = self._query(reference, reference_id, modification, gallery)
        targets = self.library.targets(gallery, query.reference_id, modification)
        result = None
        for result in self.engine.search(
            query,
            gallery=gallery,
            rerank=depth,
            rerank_on=rerank_on,
            fuse=fuse,
            reason=reasoning,
            top=TOP,
        ):
            out: list[Any] = [result, views.notice(result, targets), *[SKIP] * 5]
            marks = views.marks_of(result, targets)
            if result.stage == "describe":
                out[2], out[3] = views.describe(result), views.waiting(2, busy=True)
            elif result.stage == "coarse":
                marks = views.marks_of(result, targets, self._first(result))
                out[3] = views.coarse(result, shelf, marks)
                out[4] = views.waiting(3, busy=True)
                out[5] = views.waiting(4, busy=True) if depth else views.skipped(4, _OFF["judge"])
            elif result.stage in ("judging", "rerank") and depth:
                out[5] = self._judged(result, shelf, marks, rerank_on, depth)
                if result.stage == "rerank" and reasoning:
                    out[6] = views.waiting(5, busy=True)
            elif result.stage == "reason":
                out[6] = self._reasoned(result, shelf, marks)
            yield tuple(out)
        if result is None:
            return
        last: list[Any] = [result, SKIP, SKIP, SKIP, self._maps(result, gallery, ""), SKIP, SKIP]
        if depth and not result.reranked:
            last[5] = views.skipped(4, "The judge gave no verdict; the coarse lists still hold.")
        if not reasoning:
            last[6] = views.skipped(5, _OFF["reason"])
        elif result.rationale is None and "cot" not in result.coarse:
            last[6] = views.skipped(5, "There is no reasoning for this query; the rest holds.")
        yield tuple(last)

    @guarded
    def pick(self, state: SearchResult | None, gallery: str, event: gr.EventData) -> str:
        """Chapter 3 for the picture that was clicked."""
        if state is None:
            raise BadInput("Search first; then click a result to see its heatmaps.")
        return self._maps(state, gallery, str(event._data["id"]))

    # --- parts -----------------------------------------------------------------------------

    def _query(
        self, reference: Image.Image | None, reference_id: str, text: str, gallery: str
    ) -> Any:
        if reference is None and not reference_id:
            raise BadInput("Choose a reference image: upload one or click a gallery picture.")
        if not (text or "").strip():
            raise BadInput("Write what should change, for example “hugging instead of standing”.")
        if reference_id:
            return self.engine.make_query(text=text, reference_id=reference_id, gallery=gallery)
        return self.engine.make_query(text=text, reference=reference, gallery=gallery)

    @staticmethod
    def _first(result: SearchResult) -> ImageId:
        """The first candidate of the first coarse list: union's."""
        for ranking in result.coarse.values():
            if ranking.candidates:
                return ranking.candidates[0].image_id
        return ""

    @staticmethod
    def _judged(result: SearchResult, shelf: Any, marks: Any, on: str, depth: int) -> str:
        return views.judge(result, shelf, marks, rerank_on=on, depth=depth)

    @staticmethod
    def _reasoned(result: SearchResult, shelf: Any, marks: Any) -> str:
        if result.rationale is None and "cot" not in result.coarse:
            return views.skipped(5, "There is no reasoning for this query; the rest holds.")
        return views.reason(result, shelf, marks)

    def _maps(self, result: SearchResult, gallery: str, image_id: ImageId) -> str:
        """Chapter 3: both maps and their difference; a plain sentence where there are none."""
        image_id = image_id or self._first(result)
        texts = [result.descriptions[m].text for m in views.MODES if m in result.descriptions]
        if len(texts) < 2 or not image_id:
            return views.skipped(3, "Two descriptions are needed to compare heatmaps.")
        start = time.perf_counter()
        image = self._picture(gallery, image_id)
        try:
            both = self.engine.explain(image, texts, image_id)
        except CirError as error:
            return views.skipped(3, str(error))
        drawn, bar = figures(image, both)
        shelf = self.library.shelf(gallery)
        where = views.placed(result, image_id)
        seconds = time.perf_counter() - start
        return views.heatmaps(
            image_id, shelf, drawn, bar, both[0].value_range, where, seconds=seconds
        )


def _left_over(number: int, shown: str) -> Any:
    """What a chapter says after an error: what was finished stays."""
    if '<i class="spin"' in shown and number == 4:
        return views.skipped(4, "The judge did not finish; the coarse lists above still hold.")
    return SKIP if shown and 'class="empty"' not in shown else views.waiting(number)


_OFF = {
    "judge": "The judge is switched off in the advanced options.",
    "reason": "The reasoning is switched off in the advanced options.",
}

"""The Gallery tab: look around in a gallery, look pictures up, and build one of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import numpy as np

from cirdemo.archives import told
from cirdemo.intake import clean_text
from cirdemo.types import BadInput, CirError, Composed, ImageId
from cirdemo.ui.cards import esc
from cirdemo.ui.context import Context
from cirdemo.ui.gallery import build as build_tab
from cirdemo.ui.gallery import build_form
from cirdemo.ui.gallery import views as gallery_views
from cirdemo.ui.gallery.build_form import BROWSE, BUILD, BuildTab
from cirdemo.ui.view import View
from cirdemo.ui.wiring import CLICKS, MODEL, PLAIN, QUIET, guarded

# The grid is filled when it is first seen; a pick is marked at once. Where the page is narrow the
# picked picture is a sheet over the foot of the grid, which can be shut.
GRID = """
new IntersectionObserver((seen, me) => {
  if (!seen.some((s) => s.isIntersecting)) return;
  me.disconnect();
  trigger('select', {action: 'show'});
}).observe(element);
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-action]');
  if (!hit || hit.disabled) return;
  if (hit.dataset.action === 'pick') {
    element.querySelectorAll('.g-tile').forEach((tile) =>
      tile.setAttribute('aria-pressed', String(tile === hit)));
    const sheet = document.querySelector('#gal-picked article');
    sheet?.setAttribute('aria-busy', 'true');  // until the picked one has come
    document.getElementById('gal-picked')?.removeAttribute('data-shut');
  }
  trigger('select', {...hit.dataset});
});
"""


PICKED = (
    CLICKS
    + """
element.addEventListener('click', (event) => {
  const act = event.target.closest('[data-action]')?.dataset.action;
  const shut = event.target.closest('.g-shut');
  if (shut || act === 'alike')
    document.getElementById('gal-picked')?.setAttribute('data-shut', '');
  if (shut) document.querySelector('#gal-grid .g-tile[aria-pressed="true"]')?.focus();
  if (act === 'use' || act === 'ask') {  // the form of the Search tab, from its top
    document.getElementById('ask')?.scrollTo(0, 0);
    scrollTo(0, 0);
  }
});
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one is in a gallery; a plain value, so that it can be kept for each visitor."""

    shown: bool = False  # the tab has been opened
    by: str = "words"  # or id, text, like
    text: str = ""  # what is looked up, or the picture that others are compared with
    page: int = 0
    picked: ImageId = ""


@dataclass(frozen=True)
class GalleryHandlers:
    """What the Gallery tab does while one looks around."""

    context: Context
    _sizes: dict[int, int] = field(default_factory=dict)  # bytes by gallery, counted once

    # --- looking around --------------------------------------------------------------------

    @guarded
    def open(self, gallery: str, place: Place, *, first: bool = False) -> tuple[Any, ...]:
        """Place, facts, grid, picked and text of a gallery; nothing before the tab is seen."""
        if not gallery or not (place.shown or first):  # none while the choices are being changed
            return (gr.skip(),) * 5
        place = Place(shown=True)
        return (
            place,
            self.facts(gallery),
            self.grid(gallery, place),
            gallery_views.nothing_picked(),
            "",
        )

    @guarded
    def look_up(self, gallery: str, by: str, text: str) -> tuple[Place, str]:
        """The pictures that a text finds."""
        place = Place(shown=True, by=by, text=(text or "").strip())
        return place, self.grid(gallery, place)

    @guarded
    def act(self, gallery: str, place: Place, event: gr.EventData) -> tuple[Any, ...]:
        """A click in the grid: place, facts, grid, picked, text."""
        action, target = str(event._data.get("action")), str(event._data.get("id", ""))
        skip = gr.skip()
        if action == "show":
            found: tuple[Any, ...] = self.open(gallery, place, first=True)
            return found
        if action == "page" and target.isdigit():
            place = replace(place, page=int(target))
            return place, skip, self.grid(gallery, place), skip, skip
        if action == "pick":
            place = replace(place, picked=target)
            return place, skip, skip, self.panel(gallery, target), skip
        raise BadInput("There is nothing to do there; pick a picture or turn the page.")

    @guarded
    def act_picked(self, gallery: str, place: Place, event: gr.EventData) -> tuple[Any, ...]:
        """A click in the panel: place, grid, picked, view."""
        action, target = str(event._data.get("action")), str(event._data.get("id", ""))
        skip = gr.skip()
        if action == "pick":
            return replace(place, picked=target), skip, self.panel(gallery, target), skip
        if action == "alike":
            place = replace(place, by="like", text=place.picked, page=0)
            return place, self.grid(gallery, place), skip, skip
        if action in ("use", "ask"):
            text = target if action == "ask" else ""
            view = View(gallery=gallery, reference_id=place.picked, text=text)
            return place, skip, skip, view.dumps()
        raise BadInput("There is nothing to do there; pick a picture first.")

    # --- what is shown ---------------------------------------------------------------------

    def grid(self, gallery: str, place: Place) -> str:
        """A page of pictures."""
        shelf = self.context.library.shelf(gallery)
        found, said = self.found(gallery, place)
        pages = max(1, -(-len(found) // gallery_views.PAGE))
        page = min(place.page, pages - 1)
        return gallery_views.grid(found, shelf, page, place.picked, said)

    def found(self, gallery: str, place: Place) -> tuple[list[tuple[ImageId, str]], str]:
        """Pictures with the number under each, and a line that says which they are."""
        shelf = self.context.library.shelf(gallery)
        ids: Sequence[ImageId] = shelf.gallery.ids
        text = place.text
        if not text:
            return [(i, "") for i in ids], f"All {len(ids):,} pictures, by id."
        if place.by == "id":
            kept = [i for i in ids if text.lower() in i.lower()]
            return [(i, "") for i in kept], f"{_count(kept)} with “{esc(text)}” in the id."
        if place.by == "words":
            words = text.lower().split()
            kept = [i for i in ids if all(w in shelf.alt(i).lower() for w in words)]
            listed = ", ".join(f"“{esc(w)}”" for w in words)
            return [(i, "") for i in kept], f"{_count(kept)} with {listed} in the caption."
        encoder = self.context.engine.parts.encoder.get()
        if place.by == "like":
            vector = shelf.gallery.vector(text)
            said = f"All pictures by the cosine with “{esc(shelf.alt(text))}”, most alike first."
        else:
            text = clean_text(text)
            vector = encoder.encode_texts([text])[0]  # (D,)
            strange = self.context.engine.parts.unknown_words(text)
            said = (
                f"All pictures by the cosine between “{esc(text)}” and the picture, both encoded "
                f"by {esc(encoder.space)}, best first."
            )
            if strange:
                said += f" The models have never seen {esc(', '.join(strange))}."
        scores = shelf.gallery.scores(Composed(vector=vector, space=encoder.space))  # (N,)
        order = sorted(zip((-scores).tolist(), ids, strict=True))
        return [(i, f"{-score:.3f}") for score, i in order], said

    def panel(self, gallery: str, image_id: ImageId) -> str:
        """The picture that was clicked."""
        shelf = self.context.library.shelf(gallery)
        record = shelf.gallery.record(image_id) or {}
        queries = [t for t in self.context.library.queries(gallery) if t.reference_id == image_id]
        return gallery_views.picked(
            image_id, shelf, record, self.alike(gallery, image_id), queries[:6]
        )

    def alike(self, gallery: str, image_id: ImageId) -> list[tuple[ImageId, float]]:
        """The nearest neighbours of a picture by its vector, itself left out."""
        shelf = self.context.library.shelf(gallery).gallery
        vectors: np.ndarray | None = getattr(shelf, "vectors", None)  # (N, D)
        if vectors is None:
            return []
        composed = Composed(vector=shelf.vector(image_id), space=shelf.space)
        ranking = shelf.search(composed, gallery_views.NEIGHBOURS, exclude=image_id)
        return [(c.image_id, c.score) for c in ranking.candidates]

    def facts(self, gallery: str) -> str:
        """What the gallery is."""
        shelf = self.context.library.shelf(gallery).gallery
        about = getattr(shelf, "about", {})
        source = dict(about.get("source", {}))
        made = {
            "folder": "a folder on this machine",
            "zip": "an archive",
            "upload": "uploads",
            "benchmark": f"the benchmark {source.get('name', '')}",
        }
        ids = shelf.ids
        key = id(shelf)
        if key not in self._sizes:
            self._sizes[key] = int(about.get("bytes", 0)) or _bytes(shelf)
        return gallery_views.facts(
            [
                ("pictures", f"{len(ids):,}"),
                ("from", made.get(str(source.get("kind", "")), "drawn by this project")),
                ("built", str(about.get("built", "")) or "shipped with the program"),
                ("files", told(self._sizes[key])),
                ("encoder", str(getattr(shelf, "space", ""))),
                ("search", gallery_views.how(about.get("index") or {})),
                ("left out", f"{n:,} files" if (n := len(about.get("left_out", ()))) else ""),
                ("near-duplicates", f"{n:,} pairs" if (n := len(about.get("near", ()))) else ""),
            ]
        )


def _count(kept: Sequence[ImageId]) -> str:
    return f"{len(kept):,} picture{'' if len(kept) == 1 else 's'}"


def _bytes(shelf: Any) -> int:
    """Of a gallery's files; 0 where they cannot be counted."""
    try:
        return sum(shelf.image_path(i).stat().st_size for i in shelf.ids)
    except (OSError, CirError, AttributeError):
        return 0


# --- components ---------------------------------------------------------------------------


@dataclass(frozen=True)
class GalleryTab:
    """The components of the Gallery tab."""

    mode: gr.Radio
    browse: gr.Column
    build_page: gr.Column
    facts: gr.HTML
    by: gr.Radio
    text: gr.Textbox
    find: gr.Button
    everything: gr.Button
    grid: gr.HTML
    picked: gr.HTML
    place: gr.State
    build: BuildTab


def render(context: Context) -> GalleryTab:
    """Build the components; no event yet."""
    with gr.Column(elem_id="gal", min_width=0):
        mode = gr.Radio(
            [BROWSE, BUILD],
            value=BROWSE,
            show_label=False,
            label="View",
            container=False,
            elem_id="gal-mode",
            elem_classes="views",
        )
        with gr.Column(elem_id="gal-browse", min_width=0) as browse:
            facts = gr.HTML("", elem_id="gal-facts", elem_classes="ours", **PLAIN)
            with gr.Row(elem_id="gal-page"):
                with gr.Column(elem_id="gal-main", min_width=0):
                    with gr.Column(elem_id="gal-bar", min_width=0):
                        by = gr.Radio(
                            [(words, name) for name, words in gallery_views.BY.items()],
                            value="words",
                            label="Look up by",
                            info=gallery_views.BY_SAYS["words"],
                            elem_id="gal-by",
                        )
                        with gr.Row(elem_id="gal-ask"):
                            text = gr.Textbox(
                                label="Look for",
                                show_label=False,
                                placeholder="What to look for",
                                max_lines=1,
                                max_length=400,
                                elem_id="gal-text",
                                min_width=120,
                            )
                            find = gr.Button("Look up", variant="primary", min_width=70)
                            everything = gr.Button("Show all", min_width=70)
                    grid = gr.HTML(
                        '<p class="empty">The pictures are on their way.</p>',
                        js_on_load=GRID,
                        elem_id="gal-grid",
                        elem_classes="ours",
                        **PLAIN,
                    )
                picked = gr.HTML(
                    gallery_views.nothing_picked(),
                    js_on_load=PICKED,
                    elem_id="gal-picked",
                    elem_classes="ours",
                    **PLAIN,
                )
        with gr.Column(visible=False, elem_id="gal-build", min_width=0) as page:
            build = build_form.render(context)
    place = gr.State(Place())
    return GalleryTab(
        mode, browse, page, facts, by, text, find, everything, grid, picked, place, build
    )


def listen(tab: GalleryTab, handlers: GalleryHandlers, context: Context) -> None:
    """Connect the components; the only place with events."""
    page = [tab.place, tab.facts, tab.grid, tab.picked, tab.text]
    where = [context.gallery, tab.place]
    context.gallery.change(handlers.open, where, page, **MODEL, **QUIET)
    asked = [context.gallery, tab.by, tab.text]
    gr.on(
        [tab.find.click, tab.text.submit],
        handlers.look_up,
        asked,
        [tab.place, tab.grid],
        api_visibility="private",
        **MODEL,
    )
    tab.everything.click(
        lambda: ("", Place(shown=True)), None, [tab.text, tab.place], queue=False, **QUIET
    ).then(handlers.grid, where, tab.grid, **QUIET)
    tab.by.change(
        lambda by: gr.update(info=gallery_views.BY_SAYS[by]), tab.by, tab.by, queue=False, **QUIET
    )
    tab.grid.select(handlers.act, where, page, **MODEL, **QUIET)
    tab.picked.select(
        handlers.act_picked,
        where,
        [tab.place, tab.grid, tab.picked, context.view],
        **MODEL,
        **QUIET,
    )
    tab.mode.change(
        lambda mode: (gr.update(visible=mode == BROWSE), gr.update(visible=mode == BUILD)),
        tab.mode,
        [tab.browse, tab.build_page],
        queue=False,
        **QUIET,
    )
    build_tab.listen(tab.build, build_tab.BuildHandlers(context), context, tab.mode)

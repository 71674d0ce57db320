"""The query that the views of the Compare tab share: its bar, and what fills it."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from cirdemo.types import BadInput, ImageId, Query, Triplet
from cirdemo.ui import cards
from cirdemo.ui.cards import esc
from cirdemo.ui.context import Context
from cirdemo.ui.shelf import load_examples
from cirdemo.ui.view import View
from cirdemo.ui.wiring import PLAIN, guarded

TARGETS = 4  # pictures of known targets in the bar
QUERIES = "Benchmark query (val): type to find one"
NO_QUERIES = "This gallery has no benchmark queries"


@dataclass(frozen=True)
class QueryBar:
    """The components of the bar."""

    card: gr.HTML
    queries: gr.Dropdown
    random: gr.Button
    reference_id: gr.Textbox
    text: gr.Textbox
    picture: gr.Textbox  # hidden: a reference that is not the gallery's, as a data URI

    @property
    def asked(self) -> list[Any]:
        """What a run reads, the gallery left out."""
        return [self.picture, self.reference_id, self.text]


def label(triplet: Triplet) -> str:
    """A benchmark query as a line of the list."""
    kind = f" · {triplet.kind}" if triplet.kind else ""
    return f"{triplet.modification}{kind} · {triplet.query_id}"


def choices(queries: Iterable[Triplet]) -> list[tuple[str, str]]:
    """Benchmark queries for a dropdown."""
    return [(label(t), t.query_id) for t in queries]


@dataclass(frozen=True)
class QueryHandlers:
    """What fills the bar."""

    context: Context

    def first(self, gallery: str) -> tuple[ImageId, str]:
        """A query to begin with: an example of the gallery, else its first benchmark query."""
        library = self.context.library
        for example in load_examples([gallery]):
            if example.reference_id in library.shelf(gallery).gallery.ids:
                return example.reference_id, example.modification
        queries = library.queries(gallery)
        if queries:
            return queries[0].reference_id, queries[0].modification
        return "", ""

    def triplet(self, gallery: str, reference_id: str, text: str) -> Triplet | None:
        """The benchmark query that is asked, if it is one."""
        said = (text or "").strip().lower()
        for t in self.context.library.queries(gallery):
            if t.reference_id == reference_id and t.modification.strip().lower() == said:
                return t
        return None

    def targets(self, gallery: str, reference_id: str, text: str) -> tuple[ImageId, ...]:
        """The known targets of what is asked."""
        found = self.triplet(gallery, reference_id, text)
        return found.target_ids if found else ()

    def ask(self, picture: str, reference_id: str, text: str, gallery: str) -> Query:
        """The query of the bar.

        Raises:
            BadInput: There is no reference or no text, or one cannot be used.
        """
        if not (text or "").strip():
            raise BadInput("Write what should change, or pick a benchmark query.")
        engine = self.context.engine
        if (reference_id or "").strip():
            found: Query = engine.make_query(
                text=text, reference_id=reference_id.strip(), gallery=gallery
            )
        elif picture:
            found = engine.make_query(text=text, reference=decoded(picture), gallery=gallery)
        else:
            raise BadInput("Name a reference image by its id, or pick a benchmark query.")
        return found

    # --- filling the bar -------------------------------------------------------------------

    def card(self, picture: str, reference_id: str, text: str, gallery: str) -> str:
        """The reference, the text in large, and the known targets."""
        shelf = self.context.library.shelf(gallery)
        reference_id = (reference_id or "").strip()
        if reference_id and reference_id not in shelf.gallery.ids:
            said = f"Gallery “{gallery}” has no picture “{reference_id}”. Ids look like "
            return cards.placeholder(f"{said}“{shelf.gallery.ids[0]}”.")
        if not reference_id and not picture:
            name = f"name a reference, say “{self.hint(gallery)}”, and write a text."
            asked = self.context.library.queries(gallery)
            return cards.placeholder(f"Pick a benchmark query, or {name}" if asked else _up(name))
        alt = shelf.alt(reference_id) if reference_id else "your picture"
        src = shelf.src(reference_id) if reference_id else picture
        right = self.targets(gallery, reference_id, text)
        stars = "".join(
            f'<img src="{esc(shelf.src(t))}" alt="known target: {esc(shelf.alt(t))}" '
            f'title="{esc(shelf.alt(t))}" width="64" height="64">'
            for t in right[:TARGETS]
        )
        more = f"<small>+{len(right) - TARGETS}</small>" if len(right) > TARGETS else ""
        told = (
            f'<figure class="to"><div>{stars}{more}</div><figcaption><b class="star">★</b> '
            f"{'known target' if len(right) == 1 else f'{len(right)} known targets'}"
            "</figcaption></figure>"
            if right
            else '<p class="to none">No target is known for this query: ranks of targets are left '
            "out, the rest works.</p>"
        )
        return (
            f'<div class="asked"><figure><img src="{esc(src)}" alt="Reference image: {esc(alt)}" '
            f'title="{esc(alt)}" width="84" height="84"><figcaption>reference</figcaption></figure>'
            f'<span class="arrow" aria-hidden="true">+</span><blockquote>{esc(text or "…")}'
            f'</blockquote><span class="arrow" aria-hidden="true">→</span>{told}</div>'
        )

    def _filled(self, gallery: str, reference_id: str, text: str, picture: str = "") -> Any:
        """Picture, reference, text and card."""
        card = self.card(picture, reference_id, text, gallery)
        return picture, reference_id, text, card

    @guarded
    def show(self, picture: str, reference_id: str, text: str, gallery: str) -> str:
        """The card of what was typed."""
        return self.card("" if reference_id else picture, reference_id, text, gallery)

    @guarded
    def take(self, query_id: str, gallery: str) -> Any:
        """A benchmark query by its id."""
        for t in self.context.library.queries(gallery):
            if t.query_id == query_id:
                return self._filled(gallery, t.reference_id, t.modification)
        raise BadInput("This query is not of the gallery at hand; pick one from the list.")

    @guarded
    def surprise(self, gallery: str) -> Any:
        """A random benchmark query: its id for the list, and the bar."""
        queries = self.context.library.queries(gallery)
        if not queries:
            raise BadInput(f"Gallery “{gallery}” has no benchmark queries; name a reference.")
        t = random.choice(queries)
        return (t.query_id, *self._filled(gallery, t.reference_id, t.modification))

    def change_gallery(self, gallery: str, reference_id: str) -> tuple[Any, ...] | None:
        """Another gallery: one of its queries, or None if the reference is there too."""
        if reference_id and reference_id in self.context.library.shelf(gallery).gallery.ids:
            return None
        filled: tuple[Any, ...] = self._filled(gallery, *self.first(gallery))
        return filled

    def listed(self, gallery: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The list of a gallery's benchmark queries, and the button that draws one of them."""
        queries = choices(self.context.library.queries(gallery))
        some = bool(queries)
        listed = {"choices": queries, "value": None, "label": QUERIES if some else NO_QUERIES}
        return {**listed, "interactive": some}, {"interactive": some}

    def hint(self, gallery: str) -> ImageId:
        """What an id of the gallery looks like."""
        return next(iter(self.context.library.shelf(gallery).gallery.ids), "")

    @guarded
    def open(self, address: str) -> Any:
        """A view of the Search page: its gallery, and the bar."""
        view = View.loads(address)
        if view.gallery not in self.context.engine.galleries():
            raise BadInput(f"There is no gallery “{view.gallery}” here.")
        filled = self._filled(view.gallery, view.reference_id, view.text, view.picture)
        return (view.gallery, *filled)


def _up(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def decoded(uri: str) -> bytes:
    """The bytes of a data URI.

    Raises:
        BadInput: It is none.
    """
    try:
        return base64.b64decode(uri.partition(";base64,")[2], validate=True)
    except (ValueError, binascii.Error):
        raise BadInput("The reference picture did not arrive whole; choose it again.") from None


def render(handlers: QueryHandlers, gallery: str) -> QueryBar:
    """Build the bar; no event yet."""
    reference_id, text = handlers.first(gallery)
    listed, drawn = handlers.listed(gallery)
    with gr.Row(elem_id="compare-bar"):
        card = gr.HTML(
            handlers.card("", reference_id, text, gallery),
            elem_id="compare-card",
            elem_classes="ours",
            js_on_load=None,
            **PLAIN,
        )
        with gr.Column(elem_id="compare-fields", min_width=0):
            with gr.Row(elem_classes="pair"):
                queries = gr.Dropdown(
                    **listed,
                    elem_id="compare-queries",
                    min_width=140,
                    scale=4,
                )
                chance = gr.Button(
                    "Random", size="sm", elem_id="compare-random", min_width=70, **drawn
                )
            with gr.Row(elem_classes="pair"):
                typed = gr.Textbox(
                    value=reference_id,
                    label="Reference id",
                    placeholder=handlers.hint(gallery),
                    max_lines=1,
                    max_length=200,
                    elem_id="compare-reference",
                    min_width=128,
                )
                words = gr.Textbox(
                    value=text,
                    label="Modification text",
                    placeholder="What should change?",
                    max_lines=1,
                    max_length=400,
                    elem_id="compare-text",
                    min_width=140,
                    scale=3,
                )
    return QueryBar(
        card=card,
        queries=queries,
        random=chance,
        reference_id=typed,
        text=words,
        picture=gr.Textbox("", visible=False, label="Reference picture"),
    )

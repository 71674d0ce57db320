"""What the left column does: choose a reference image, paint a region, fill the form."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from cirdemo.region import SIDE
from cirdemo.types import BadInput, ImageId
from cirdemo.ui import cards
from cirdemo.ui.shelf import Example, Library, data_uri
from cirdemo.ui.wiring import clicked_number, guarded

STRIP = 12  # gallery pictures offered as references
LINKED = 224  # pixels of an uploaded picture in an address; the embedded models see no more
PAINTED = 280  # pixels of the picture that is painted on

LEADS = {  # what a newcomer would ask, by the story of the example that answers it
    "union is dragged along by the surroundings": (
        "Why does the shorter description (intersection) win?"
    ),
    "intersection misses, union finds it": "And when does the intersection lose?",
    "the judge rescues it from far down": "What does a second look put right?",
    "the judge errs": "Can the judge be wrong?",
}

PAINT = """
let on = null;
const cells = () => [...element.querySelectorAll('.cell')];
const send = () => {
  const kind = element.querySelector('[data-kind][aria-pressed="true"]')?.dataset.kind;
  const bits = cells().map((c) => c.getAttribute('aria-pressed') === 'true' ? 1 : 0);
  let hex = '';
  for (let i = 0; i < bits.length; i += 4) {
    hex += (8 * bits[i] + 4 * bits[i + 1] + 2 * bits[i + 2] + bits[i + 3]).toString(16);
  }
  trigger('input', {region: bits.some(Boolean) ? `${kind}:${hex}` : ''});
};
const put = (cell, value) => cell?.setAttribute('aria-pressed', String(value));
element.addEventListener('pointerdown', (event) => {
  const cell = event.target.closest('.cell');
  if (!cell) return;
  event.preventDefault();
  cell.focus();
  on = cell.getAttribute('aria-pressed') !== 'true';
  put(cell, on);
});
element.addEventListener('pointermove', (event) => {
  if (on === null) return;
  const under = document.elementFromPoint(event.clientX, event.clientY);
  if (under && element.contains(under)) put(under.closest('.cell'), on);
});
window.addEventListener('pointerup', () => { if (on !== null) { on = null; send(); } });
element.addEventListener('keydown', (event) => {
  const all = cells(), at = all.indexOf(event.target.closest('.cell'));
  const side = Math.round(Math.sqrt(all.length));
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side}[event.key];
  if (at < 0) return;
  if (by && all[at + by]) { event.preventDefault(); all[at + by].focus(); }
  if (event.key === ' ' || event.key === 'Enter') {
    event.preventDefault();
    put(all[at], all[at].getAttribute('aria-pressed') !== 'true');
    send();
  }
});
element.addEventListener('click', (event) => {
  const kind = event.target.closest('[data-kind]');
  if (kind) {
    element.querySelectorAll('[data-kind]').forEach((k) => put(k, k === kind));
    element.querySelector('.painter').dataset.now = kind.dataset.kind;
    send();
  }
  if (event.target.closest('[data-clear]')) { cells().forEach((c) => put(c, false)); send(); }
});
"""


@dataclass(frozen=True)
class AskHandlers:
    """The events of the left column."""

    engine: Any
    library: Library
    examples: tuple[Example, ...] = ()

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

    def start_here(self) -> str:
        """Questions, each with an example that answers it; they stay, smaller, beside an answer."""
        items = []
        for story, question in LEADS.items():
            found = next((n for n, e in enumerate(self.examples) if e.label == story), None)
            if found is None:
                continue
            e = self.examples[found]
            shelf = self.library.shelf(e.gallery)
            items.append(
                f'<li><button type="button" class="lead" data-id="{found}">'
                f'<img src="{cards.esc(shelf.src(e.reference_id))}" '
                f'alt="{cards.esc(shelf.alt(e.reference_id))}" width="96" height="96">'
                f"<span><b>{cards.esc(question)}</b><q>{cards.esc(e.modification)}</q></span>"
                f"</button></li>"
            )
        if not items:
            return ""
        return (
            '<section class="start"><h2><span>Start with a question</span><span>More questions'
            "</span></h2><p>Press one: the models run on "
            "this picture and this text now, and the five chapters below fill.</p>"
            f"<ul>{''.join(items)}</ul></section>"
        )

    @guarded
    def use_picture(self, gallery: str, event: gr.EventData) -> tuple[Any, ...]:
        """A gallery picture becomes the reference."""
        image_id = str(event._data.get("id", ""))
        return self._picture(gallery, image_id), image_id, ""

    @guarded
    def use_example(self, event: gr.EventData) -> tuple[Any, ...]:
        """An example fills the form."""
        try:
            e = self.examples[int(clicked_number(event, "id", len(self.examples)))]
        except IndexError as error:
            raise BadInput("There is no such example; pick one from the list.") from error
        picture = self._picture(e.gallery, e.reference_id)
        return e.gallery, picture, e.reference_id, "", e.modification

    @guarded
    def surprise(self, gallery: str) -> tuple[Any, ...]:
        """A random validation query, or a random picture where there are none."""
        queries = self.library.queries(gallery)
        if not queries:
            image_id = self.library.shelf(gallery).some(1, random.Random())[0]
            return self._picture(gallery, image_id), image_id, "", ""
        t = random.choice(queries)
        return self._picture(gallery, t.reference_id), t.reference_id, "", t.modification

    def benchmark(self, gallery: str) -> Any:
        """The validation queries of a gallery, as the choices of a dropdown."""
        found = self.library.queries(gallery)
        choices = [(f"{t.modification}  ·  {t.kind}", t.query_id) for t in found]
        return gr.update(choices=choices, value=None, visible=bool(choices))

    @guarded
    def use_query(self, gallery: str, query_id: str | None) -> tuple[Any, ...]:
        """A benchmark query fills the form."""
        for t in self.library.queries(gallery):
            if t.query_id == query_id:
                picture = self._picture(gallery, t.reference_id)
                return picture, t.reference_id, "", t.modification
        raise BadInput("There is no such query in this gallery; pick one from the list.")

    @staticmethod
    def taken(reference: Image.Image | None) -> None:
        """Nothing: a file that is no picture is refused, and told, before it comes here."""

    def painter(self, reference: Image.Image | None, region: str | None) -> str:
        """The reference under a grid of cells to paint."""
        if reference is None:
            return '<p class="what">Choose a reference image first.</p>'
        kind, _, code = (region or "").partition(":")
        bits = f"{int(code, 16):0{SIDE * SIDE}b}" if code else "0" * SIDE * SIDE
        small = reference.convert("RGB")
        small.thumbnail((PAINTED, PAINTED))
        cells = "".join(
            f'<button type="button" class="cell" tabindex="{0 if i == 0 else -1}" '
            f'aria-pressed="{"true" if bit == "1" else "false"}" '
            f'aria-label="row {i // SIDE + 1}, column {i % SIDE + 1}"></button>'
            for i, bit in enumerate(bits)
        )
        now = kind or "ignore"
        kinds = "".join(
            f'<button type="button" class="toggle" data-kind="{k}" '
            f'aria-pressed="{str(k == now).lower()}">{says}</button>'
            for k, says in (("ignore", "Ignore"), ("keep", "Keep only"), ("crop", "Crop to"))
        )
        return (
            f'<div class="painter" data-now="{now}"><div class="canvas">'
            f'<img src="{data_uri(small)}" alt="Reference image to paint on">'
            f'<div class="cells" role="group" aria-label="Cells; arrow keys move, space paints">'
            f'{cells}</div></div><div class="tools">{kinds}'
            f'<button type="button" class="quiet" data-clear>Clear</button></div>'
            f'<p class="what">Drag over what the models should not see, over all that they should, '
            f"or over the part to search by. Then search: the cues show what it carried.</p></div>"
        )

    @guarded
    def change_gallery(self, gallery: str) -> tuple[Any, ...]:
        """Another gallery: its pictures and queries."""
        if not gallery:  # while the choices are being changed
            return gr.skip(), gr.skip()
        return self.strip(gallery), self.benchmark(gallery)

    @staticmethod
    def painted(event: gr.EventData) -> str:
        """The region that was painted."""
        return str(event._data.get("region", ""))

    def _picture(self, gallery: str, image_id: ImageId) -> Image.Image:
        if image_id not in self.library.shelf(gallery).gallery.ids:
            raise BadInput(f"Gallery {gallery!r} has no picture {image_id!r}; pick another.")
        image: Image.Image = self.library.shelf(gallery).gallery.image(image_id)
        return image


def linked(picture: Image.Image | None) -> str:
    """An uploaded picture as it goes into an address."""
    if picture is None:
        return ""
    small = picture.convert("RGB")
    small.thumbnail((LINKED, LINKED))
    return data_uri(small, quality=80)

"""Chapter 3: a picture under two descriptions, word by word, and what its hot area carries."""

from __future__ import annotations

import hashlib
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from cirdemo.cache import Memory
from cirdemo.explain import overlay
from cirdemo.explain.curves import curve_lines
from cirdemo.types import BadInput, CirError, Heatmap, ImageId, SearchResult
from cirdemo.ui.downloads import on_disk
from cirdemo.ui.search import look_figure, views
from cirdemo.ui.search import look_views as draw
from cirdemo.ui.shelf import Library, data_uri
from cirdemo.words import control_word, phrases

REFERENCE = "reference"  # stands for the reference image where an id is asked for
KEPT = 64  # pictures whose maps are kept: a click on a word then draws and computes nothing
WORDS = 12  # phrases that get a map of their own
STEPS = 10  # of a curve: a fifth of the area is a step
RANDOM = 2  # blind orders that the map's is held against
STRIP = 8  # candidates in the strip
SPARE = ("piano", "umbrella", "bicycle", "ladder", "teapot", "guitar")  # where nothing is captioned
CAPTIONS = 200  # pictures whose captions the control word is drawn from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """One picture with all of its maps on one value range."""

    image: Image.Image
    image_id: ImageId  # "" for an upload
    key: str  # of its pixels: a gallery picture's id, or a digest of a reference
    union: Heatmap
    intersection: Heatmap
    words: tuple[Heatmap, ...]  # one a phrase, in the order of the descriptions
    control: Heatmap | None

    def of(self, word: str) -> Heatmap | None:
        """The map of a phrase or of the control word."""
        every = (*self.words, *([self.control] if self.control else ()))
        return next((heat for heat in every if heat.text == word), None)


@dataclass(frozen=True)
class LookHandlers:
    """Chapter 3 over one shared engine."""

    engine: Any
    library: Library
    _maps: Memory[Any] = field(default_factory=lambda: Memory(KEPT))
    _curves: Memory[Any] = field(default_factory=lambda: Memory(KEPT))

    def chapter(
        self,
        result: SearchResult,
        gallery: str,
        image_id: ImageId,
        word: str = "",
        *,
        curve: bool = True,
    ) -> str:
        """The chapter for one picture, or the sentence that says why there is none.

        Args:
            result: With two descriptions and a coarse list.
            gallery: The result's.
            image_id: Any picture of the gallery; "" for the first of union's list, "reference"
                for the reference image.
            word: Any phrase, or the control word, whose map is shown too.
            curve: Whether to measure what the hot area carries; False draws a note in its place,
                so that the maps need not wait for it.
        """
        start = time.perf_counter()
        try:
            looked = self._look(result, gallery, image_id, word)
        except BadInput:
            raise
        except CirError as error:
            return views.skipped(3, str(error))
        shelf = self.library.shelf(gallery)
        names = [result.descriptions[mode].text for mode in views.MODES]
        picked = draw.Picked(
            image_id=looked.image_id,
            alt=shelf.alt(looked.image_id) if looked.image_id else "the uploaded reference image",
            is_reference=image_id == REFERENCE,
            reference=result.query.reference,
            src=self._src(looked, shelf, is_reference=image_id == REFERENCE),
        )
        maps = draw.maps(looked, picked, word, self._seen(looked.image))
        buttons = draw.words(looked, word, phrases(names[0]), phrases(names[1]))
        seconds = time.perf_counter() - start
        below = self._curve(looked, gallery) if curve else draw.measuring()
        return draw.chapter(picked, maps, buttons, below, seconds)

    def strip(self, result: SearchResult, gallery: str) -> str:
        """The first candidates of the intersection list, each under the intersection map."""
        if "intersection" not in result.coarse or "intersection" not in result.descriptions:
            return ""
        ids = result.coarse["intersection"].ids[:STRIP]
        text = result.descriptions["intersection"].text
        shelf = self.library.shelf(gallery)
        try:
            found = [(i, self._one(gallery, i, text)) for i in ids]
        except CirError:
            return ""  # the chapter itself says why
        high = max((heat.value_range[1] for _, (_, heat) in found), default=0.0)
        shown = []
        for image_id, (image, heat) in found:
            share = heat.value_range[1] / high if high > 0 else 0.0
            one = replace(heat, values=heat.values * share, value_range=(0.0, high))
            shown.append((image_id, image.size, one, self._seen(image)))
        return draw.strip(shown, shelf, high)

    def download(
        self, result: SearchResult, gallery: str, image_id: ImageId, kind: str, word: str = ""
    ) -> str:
        """The maps as one figure in a file.

        Args:
            result: As in `chapter`.
            gallery: As in `chapter`.
            image_id: As in `chapter`.
            kind: "png" or "svg".
            word: As in `chapter`.

        Raises:
            BadInput: There is no such kind or no such picture.
            CirError: The models draw no maps.
        """
        if kind not in ("png", "svg"):
            raise BadInput(f"Figures are saved as png or svg, not {kind!r}.")
        looked = self._look(result, gallery, image_id, word)
        extra = looked.of(word)
        data = look_figure.figure(
            looked.image,
            looked.union,
            looked.intersection,
            extra,
            is_control=extra is not None and extra is looked.control,
            seen=self._seen(looked.image),
            kind=kind,
        )
        name = (looked.image_id or REFERENCE).replace("/", "-")
        return on_disk(f"maps-{name}.{kind}", data)

    # --- parts -----------------------------------------------------------------------------

    def _look(
        self, result: SearchResult, gallery: str, image_id: ImageId, word: str = ""
    ) -> Looked:
        missing = [mode for mode in views.MODES if mode not in result.descriptions]
        if missing:
            raise CirError("Two descriptions are needed to compare heatmaps.")
        image_id = image_id or self._first(result)
        if not image_id:
            raise CirError("There is no list yet to pick a picture from.")
        if image_id == REFERENCE:
            image, real = result.query.reference, result.query.reference_id or ""
        else:
            image, real = self._picture(gallery, image_id), image_id
        union, intersection = (result.descriptions[mode].text for mode in views.MODES)
        said = list(dict.fromkeys([*phrases(union), *phrases(intersection)]))[:WORDS]
        control = self._control(gallery, real, [union, intersection, result.query.modification])
        if word and word not in (*said, control):  # a phrase of the rationale, say
            said.append(word)
        texts = [union, intersection, *said, *([control] if control else ())]
        pixels = _content(image) if image_id == REFERENCE else image_id  # it may be painted over
        key = (gallery, pixels, tuple(texts))

        def make() -> Looked:
            found = self.engine.explain(image, texts, real)
            return Looked(
                image=image,
                image_id=real,
                key=pixels,
                union=found[0],
                intersection=found[1],
                words=tuple(found[2 : 2 + len(said)]),
                control=found[-1] if control else None,
            )

        looked: Looked = self._maps.made(key, make)
        return looked

    def _one(self, gallery: str, image_id: ImageId, text: str) -> tuple[Image.Image, Heatmap]:
        def make() -> tuple[Image.Image, Heatmap]:
            image = self._picture(gallery, image_id)
            return image, self.engine.explain(image, [text], image_id)[0]

        found: tuple[Image.Image, Heatmap] = self._maps.made((gallery, image_id, text), make)
        return found

    def _curve(self, looked: Looked, gallery: str) -> str:
        text = looked.intersection.text
        key = (gallery, looked.key, text)

        def make() -> Any:
            shape = looked.intersection.values.shape
            rng = np.random.default_rng(zlib.crc32(repr(key).encode()))
            orders = {"map": looked.intersection.values}
            orders |= {f"random {n}": rng.random(shape) for n in range(RANDOM)}
            encoder = self.engine.parts.encoder.get()
            return curve_lines(encoder, looked.image, text, orders, steps=STEPS)

        shares, lines = self._curves.made(key, make)
        return draw.curves(shares, lines, text)

    def _control(self, gallery: str, image_id: ImageId, said: list[str]) -> str:
        """A word of other captions that nobody said of the picture; always the same one for it."""
        shelf = self.library.shelf(gallery).gallery
        ids = list(shelf.ids)
        every = max(1, len(ids) // CAPTIONS)
        captions = [c for i in ids[::every] if (c := _caption(shelf, i))]
        own = _caption(shelf, image_id) if image_id else ""
        try:
            return control_word(captions or SPARE, [*said, own], seed=image_id or said[-1])
        except ValueError:
            return ""

    @staticmethod
    def _src(looked: Looked, shelf: Any, *, is_reference: bool) -> str:
        if not is_reference:
            return str(shelf.src(looked.image_id))
        small = looked.image.copy()  # the reference may be an upload, or painted over
        small.thumbnail((draw.SIZE, draw.SIZE))
        return data_uri(small)

    @staticmethod
    def _first(result: SearchResult) -> ImageId:
        for ranking in result.coarse.values():
            if ranking.candidates:
                return ranking.candidates[0].image_id
        return ""

    def _picture(self, gallery: str, image_id: ImageId) -> Image.Image:
        shelf = self.library.shelf(gallery)
        if image_id not in shelf.gallery.ids:
            raise BadInput(f"Gallery {gallery!r} has no picture {image_id!r}; pick another.")
        image: Image.Image = shelf.gallery.image(image_id)
        return image

    def _seen(self, image: Image.Image) -> overlay.Box | None:
        """The part of a picture that the encoder sees, where it does not see all of it."""
        parts = getattr(self.engine, "parts", None)
        seen = getattr(parts.encoder.get(), "seen_box", None) if parts else None
        box: overlay.Box | None = seen(image) if seen else None
        return box


def _caption(gallery: Any, image_id: ImageId) -> str:
    try:
        return str((gallery.record(image_id) or {}).get("caption") or "")
    except (CirError, KeyError):
        return ""


def _content(image: Image.Image) -> str:
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()

"""Gallery pictures as the page uses them: thumbnail addresses, words, queries and targets."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from cirdemo.gallery.own import VISITOR
from cirdemo.intake import load_image
from cirdemo.types import BadInput, CirError, ImageId, Triplet
from cirdemo.unheard import vocabulary

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples.json"


def data_uri(image: Image.Image, quality: int = 72) -> str:
    """A small picture as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def layer_uri(layer: Image.Image) -> str:
    """A small see-through picture as a data URI."""
    buffer = io.BytesIO()
    layer.save(buffer, "WEBP", quality=60, alpha_quality=60, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def opened(uri: str) -> Image.Image:
    """The picture of a data URI.

    Raises:
        BadInput: It is no picture.
    """
    try:
        data = base64.b64decode(uri.partition(",")[2], validate=True)
    except ValueError as error:
        raise BadInput("The picture in this link is damaged; ask for the link again.") from error
    return load_image(data)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One gallery; satisfies `cards.Pictures`."""

    gallery: Any

    def src(self, image_id: ImageId) -> str:
        """Address of the thumbnail, relative so that it holds behind a proxy."""
        file = Path(self.gallery.thumbnail(image_id)).name
        return f"thumbnails/{quote(self.gallery.name)}/{quote(file)}"

    def alt(self, image_id: ImageId) -> str:
        """The caption of the picture's record, or its id."""
        return self.caption(image_id) or image_id

    def caption(self, image_id: ImageId) -> str:
        """The caption of the picture's record, "" where it has none."""
        try:
            record = self.gallery.record(image_id) or {}
        except (CirError, KeyError):
            record = {}
        return str(record.get("caption") or "")

    def some(self, count: int, rng: random.Random) -> list[ImageId]:
        """A few pictures at random."""
        ids = list(self.gallery.ids)
        return rng.sample(ids, min(count, len(ids)))


@dataclass(frozen=True, slots=True)
class Example:
    """A query that tells a story."""

    gallery: str
    reference_id: ImageId
    modification: str
    label: str


def load_examples(galleries: Iterable[str], path: Path = EXAMPLES) -> list[Example]:
    """The written examples of the galleries at hand; none when there is no file."""
    if not path.is_file():
        return []
    known = set(galleries)
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        Example(r["gallery"], r["reference_id"], r["modification"], r["label"])
        for r in rows
        if r["gallery"] in known
    ]


@dataclass(frozen=True, slots=True)
class Library:
    """All galleries of an engine, each opened once."""

    engine: Any
    _shelves: dict[str, Shelf] = field(default_factory=dict)
    _queries: dict[str, list[Triplet]] = field(default_factory=dict)
    _words: dict[str, frozenset[str]] = field(default_factory=dict)

    def shelf(self, name: str) -> Shelf:
        """A gallery; its thumbnails, and nothing else, are served from then on."""
        gallery = self.engine.gallery(name)  # another one once it has been built anew
        if name not in self._shelves or self._shelves[name].gallery is not gallery:
            self._shelves[name] = Shelf(gallery)
        return self._shelves[name]

    def served(self, name: str, file: str) -> Path | None:
        """A thumbnail by the names in its address; None where there is none."""
        shelf = self._shelves.get(name)
        if shelf is None or not len(shelf.gallery.ids):
            return None
        path = Path(shelf.gallery.thumbnail(shelf.gallery.ids[0])).parent / file
        return path if path.is_file() and not path.is_symlink() else None

    def expire(self) -> None:
        """Delete visitors' galleries that are older than an hour, and forget what is gone."""
        with contextlib.suppress(CirError, AttributeError):  # an engine that keeps none
            self.engine.own().expire()
            for name in [n for n in self._shelves if n.startswith(VISITOR)]:
                if self.engine.own().home(name).current() is None:
                    self._shelves.pop(name, None)
                    self._queries.pop(name, None)

    def queries(self, name: str) -> list[Triplet]:
        """Validation queries whose reference is in the gallery; none for a gallery without."""
        if name not in self._queries:
            try:
                found = self.engine.dataset(name).triplets("val")
            except (CirError, AttributeError):
                found = ()
            ids = set(self.shelf(name).gallery.ids)
            self._queries[name] = [t for t in found if t.reference_id in ids]
        return self._queries[name]

    def words(self, name: str) -> frozenset[str]:
        """What the captions of a shipped gallery speak of; nothing for a gallery of one's own.

        Only the drawn worlds have one word for one thing; elsewhere a "couch" may be a "sofa".
        """
        gallery = self.shelf(name).gallery
        if getattr(gallery, "about", {}).get("source"):
            return frozenset()
        if name not in self._words:
            shelf = self.shelf(name)
            self._words[name] = vocabulary(shelf.caption(i) for i in gallery.ids)
        return self._words[name]

    def triplet(self, name: str, reference_id: str | None, text: str) -> Triplet | None:
        """The dataset's query of this reference and text, when it is one of them."""
        if not reference_id:
            return None
        asked = text.strip().lower()
        for t in self.queries(name):
            if t.reference_id == reference_id and t.modification.strip().lower() == asked:
                return t
        return None

    def targets(self, name: str, reference_id: str | None, text: str) -> tuple[ImageId, ...]:
        """The known targets of a query, when it is one of the dataset's."""
        found = self.triplet(name, reference_id, text)
        return found.target_ids if found else ()

"""Search on Milvus: a file of this machine (milvus-lite) or a server, for galleries past one.

A build's vectors stay the truth: what is in Milvus is counted when it is opened, written again
from them where it is not whole, and what it finds is compared again with them, so that scores are
those of exact search.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cirdemo.gallery import milvus
from cirdemo.gallery.faiss_index import begun, checked
from cirdemo.gallery.fast_index import TEXTS, K, composed, nearest, shared
from cirdemo.gallery.items import Item
from cirdemo.gallery.milvus import CALL, LOAD, Fields, Place
from cirdemo.gallery.own import Build, Home
from cirdemo.types import BadInput, CirError, Encoder

log = logging.getLogger(__name__)

KIND = "milvus"  # of an index, in a manifest
MOST = 16_384  # results that Milvus gives at once
QUERIES = 100  # composed, to measure the recall


class MilvusIndex:
    """Nearest neighbours by dot product, in one partition of a Milvus collection.

    Source: Wang et al., "Milvus: A Purpose-Built Vector Data Management System", 2021. The
        collection's index is FLAT; a server's keeper may give it another, and the gallery's card
        says the recall that was measured when it was built.
    """

    exact = False  # a gallery takes scores from its own vectors
    filters = True

    def __init__(
        self,
        place: Place,
        vectors: np.ndarray,
        fields: Callable[[], Fields] = lambda: {},
    ) -> None:
        """An index of rows that are in Milvus, or will be when it is first used.

        Args:
            place: Where.
            vectors: (N, D) float32, to count against and to write from.
            fields: What filters may name, asked for when rows are written.
        """
        self.place, self.dim = place, int(vectors.shape[1])
        self._vectors, self._fields = vectors, fields
        self._client: Any = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, vectors: np.ndarray) -> None:
        """Append (N, D) float32 rows; they are written with the next search.

        Raises:
            ValueError: Another shape, or a value that is not finite.
        """
        with self._lock:
            self._vectors = np.concatenate([self._vectors, checked(vectors, self.dim)])
            self._client = None

    def search(self, vectors: np.ndarray, k: int, where: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, K) float32 and rows (Q, K) int64, best first; equal ones in row order.

        Where there are fewer than k rows, the row is -1 and the score -inf.

        Args:
            vectors: (Q, D) float32.
            k: How many.
            where: Milvus' own filter over `FIELDS`: 'width >= 800 and image_id like "beach/%"'.

        Raises:
            ValueError: Another shape, a value that is not finite, or k below 1.
            BadInput: Milvus does not understand the filter.
            CirError: Milvus does not answer.
        """
        queries, scores, rows = begun(vectors, self.dim, k)
        if not len(self) or not len(queries):
            return scores, rows
        client = self.ready()
        found: list[list[tuple[float, int]]] = [[] for _ in queries]
        with self._asked(where):
            for condition in _conditions(where, min(k, len(self)), len(self), self.place.first):
                hits = client.search(
                    self.place.collection,
                    data=list(queries),
                    limit=min(k, len(self), MOST),
                    filter=condition,
                    output_fields=["pk"],
                    partition_names=[self.place.partition],
                    timeout=CALL,
                )
                for one, more in zip(found, hits, strict=True):
                    one += [(-hit["distance"], hit["pk"] - self.place.first) for hit in more]
        for query, one in enumerate(found):
            one.sort()
            for column, (negative, row) in enumerate(one[:k]):
                scores[query, column], rows[query, column] = -negative, row
        return scores, rows

    def ready(self) -> Any:
        """Connect, and write the rows unless they are all there.

        Raises:
            CirError: Milvus does not answer.
        """
        with self._lock:
            if self._client is None:
                with self._asked(), milvus.patience(f"opening {self.place.uri}"):
                    client = milvus.connect(self.place.uri)
                    if milvus.count(client, self.place) != len(self):
                        milvus.write(client, self.place, self._vectors, self._fields())
                    client.load_collection(self.place.collection, timeout=LOAD)
                self._client = client
            return self._client

    @contextlib.contextmanager
    def _asked(self, where: str = "") -> Iterator[None]:
        """Turn a fault of Milvus into a sentence; the next search connects anew."""
        with milvus.told(self.place.uri, where):
            try:
                yield
            except BadInput:
                raise
            except Exception:
                self._client = None
                raise


def _conditions(where: str, k: int, rows: int, first: int) -> list[str]:
    """Filters of searches that give the first k together: one, or one a range of rows."""
    if k <= MOST:
        return [where]
    spans = [milvus.between(first + a, first + a + MOST) for a in range(0, rows, MOST)]
    return [f"({where}) and {span}" if where else span for span in spans]


def fitted(
    home: Home, items: Sequence[Item], vectors: np.ndarray, encoder: Encoder, uri: str
) -> dict[str, Any]:
    """Write a build's rows into Milvus; what its manifest says of the index.

    Args:
        home: The gallery; the place is noted in its folder before a row is written.
        items: One a row.
        vectors: (N, D) float32, unit norm.
        encoder: Of the vectors; asked for texts, to measure the recall.
        uri: From `milvus.address`.

    Raises:
        CirError: Milvus does not answer.
    """
    name = str(home.folder.resolve())
    place = Place.of(uri, gallery=name, space=encoder.space, vectors=vectors)
    milvus.note(home.folder, [*milvus.noted(home.folder), place])
    index = MilvusIndex(place, vectors, lambda: _fields(items))
    queries = composed(vectors, encoder.encode_texts(TEXTS), QUERIES)
    rows = index.search(queries, min(K, len(vectors)))[1]
    recall = shared(rows, nearest(vectors, queries))
    return {"kind": KIND, **place.told(), "recall": recall, "queries": QUERIES}


def opened(build: Build) -> MilvusIndex | None:
    """The index of a build whose rows are in Milvus, or None.

    It connects now, so that the first search need not wait for that; a gallery whose Milvus does
    not answer opens all the same, and its searches say so.
    """
    facts = build.manifest.get("index") or {}
    if facts.get("kind") != KIND:
        return None
    index = MilvusIndex(Place.read(facts), build.vectors, lambda: _fields(build.items))
    try:
        index.ready()
    except CirError as fault:
        log.warning("%s", fault)
    return index


def _fields(items: Sequence[Item]) -> Fields:
    names = zip(milvus.FIELDS, ("image_id", "width", "height", "size"), strict=True)
    return {name: [getattr(item, attribute) for item in items] for name, attribute in names}

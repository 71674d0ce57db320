"""All methods on one query: a whole list of each, in turn, what they share done once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cirdemo import coarse, incident
from cirdemo.rerank import reorder
from cirdemo.retrieve import compose_many
from cirdemo.types import CirError, Composed, ImageId, Query, Ranking

if TYPE_CHECKING:
    from cirdemo.engine import Engine
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

SETR, FUSED, BASE = "setr", "setr_fused", "intersection"
DEPTH = 50  # candidates judged, as everywhere
HEAD = 10  # of two lists that are held against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One method's answer."""

    method: str
    ids: tuple[ImageId, ...] = ()  # every picture of the gallery but the reference, best first
    seconds: float = 0.0  # with all that it rests on, loading left out
    text: str = ""  # the description it searched with, or what its rationale concludes
    reason: str = ""  # why it has no list

    def rank_of(self, image_id: ImageId) -> int | None:
        """Rank of a picture, from 1."""
        return self.ids.index(image_id) + 1 if image_id in self.ids else None

    def best(self, targets: Sequence[ImageId]) -> int | None:
        """Rank of the best of some pictures."""
        return min((r for t in targets if (r := self.rank_of(t))), default=None)


def methods(engine: Engine) -> dict[str, str | None]:
    """Every method in the order it is run, with why it cannot run or None; loads nothing.

    Fusions come behind what they fuse and the judge comes last: dear ones let cheap ones pass.
    """
    table = dict(engine.methods())
    if SETR in table:
        table[SETR] = table[FUSED] = table.pop(SETR)
    return table


def line_up(
    engine: Engine, query: Query, *, gallery: str, names: Sequence[str] | None = None
) -> Iterator[Line]:
    """Each method's line as soon as it is there; one that fails says why and stops no other.

    Args:
        engine: Whose methods.
        query: From `Engine.make_query`.
        gallery: Where to search.
        names: Which methods, in which order; all of `methods` unless given.

    Raises:
        UnknownName: The gallery does not exist.
    """
    shelf = engine.gallery(gallery)
    reasons = methods(engine)
    run = _Run(engine, shelf, query)
    for name in reasons if names is None else names:
        if reason := reasons.get(name, "There is no such method."):
            yield Line(method=name, reason=reason)
            continue
        try:
            yield run.judged(name) if name in (SETR, FUSED) else run.line(name)
        except CirError as error:
            yield Line(method=name, reason=str(error))
        except Exception:
            told = f"It failed (incident {incident.number(log)}; the log has the details)."
            yield Line(method=name, reason=told)


class _Run:
    """Vectors, lists and verdicts of one query, with what each has cost."""

    def __init__(self, engine: Engine, shelf: Gallery, query: Query) -> None:
        """Nothing is computed yet."""
        self.engine, self.shelf, self.query = engine, shelf, query
        self.composed: dict[str, Composed] = {}
        self.seconds: dict[str, float] = {}  # by composer
        self.orders: dict[str, tuple[ImageId, ...]] = {}  # of the judge
        self.judging = 0.0

    def line(self, method: str) -> Line:
        """A coarse method's list."""
        names = coarse.composers_of(self.engine.parts, method)
        for name in names:
            if name not in self.composed:
                composer = self.engine.composer(name)  # loading is on nobody's bill
                start = time.perf_counter()
                self.composed[name] = compose_many(composer, [self.query])[0]
                self.seconds[name] = time.perf_counter() - start
        start = time.perf_counter()
        members: Mapping[str, Composed] = {name: self.composed[name] for name in names}
        ranking = self._rank(method, members)
        seconds = time.perf_counter() - start + sum(self.seconds[name] for name in names)
        own = self.composed.get(method)
        text = own.description.text if own and own.description else ""
        text = own.rationale.conclusion if own and own.rationale else text
        return Line(method=method, ids=ranking.ids, seconds=seconds, text=text)

    def _rank(self, method: str, members: Mapping[str, Composed]) -> Ranking:
        return coarse.rank(
            self.engine.parts,
            self.shelf,
            method,
            members,
            len(self.shelf.ids),
            exclude=self.query.reference_id,
            query_id=self.query.query_id,
        )

    def judged(self, method: str) -> Line:
        """The intersection list with its head in the judge's order, alone or fused."""
        base = self.line(BASE)
        if not self.orders:
            judge = self.engine.parts.judge.get()
            ranking = self._rank(BASE, {BASE: self.composed[BASE]})
            start = time.perf_counter()
            pictures = [(i, self.shelf.image(i)) for i in ranking.ids[:DEPTH]]
            verdicts = tuple(judge.judge(self.query, pictures, base.text))
            self.judging = time.perf_counter() - start
            prior = getattr(self.engine.parts.encoder.get(), "scale", 1.0)
            for name, weight in ((SETR, 0.0), (FUSED, prior)):
                order = reorder(ranking, verdicts, prior=weight)
                self.orders[name] = tuple(r.image_id for r in order)
        return Line(
            method=method,
            ids=self.orders[method],
            seconds=base.seconds + self.judging,
            text=base.text,
        )


def overlap(a: Sequence[ImageId], b: Sequence[ImageId], k: int = HEAD) -> float:
    """The share of the first k that two lists have in common, in [0, 1]; order does not count."""
    head = min(k, len(a), len(b))
    return len(set(a[:head]) & set(b[:head])) / head if head else float("nan")

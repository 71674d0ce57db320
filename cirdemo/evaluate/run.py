"""One pass over the queries of a split: nothing is composed, ranked or judged twice."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cirdemo import coarse
from cirdemo.evaluate.errors import lost_cues
from cirdemo.evaluate.rows import TOP, Rows, subset
from cirdemo.retrieve import compose_many
from cirdemo.types import (
    CirError,
    Composed,
    Description,
    ImageId,
    Judgement,
    Query,
    Ranking,
    Reranked,
    Triplet,
)

if TYPE_CHECKING:
    from cirdemo.engine import Engine
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

SETR = "setr"
FUSED = "setr_fused"  # setr's judgements with the coarse retriever's probability as a prior
BASE = "intersection"  # the list that setr re-ranks
BASELINES = ("text", "image")  # what the composition gap is measured against
DEPTH = 50  # candidates judged, as in the app
BATCH = 32  # queries composed together
CAPTIONS = 600  # pictures whose caption is checked, evenly from the gallery: a share to ±4 %
IMAGES = 2000  # decoded pictures kept: a picture is judged for many queries

Progress = Callable[[str, int, int], None]  # what, done, of


class Run:
    """Rows by method, and what each piece of work has cost."""

    def __init__(
        self,
        engine: Engine,
        shelf: Gallery,
        dataset_name: str,
        methods: Sequence[str],
        *,
        leave_out: bool,
        skip: bool,
        progress: Progress,
        images: int = IMAGES,
    ) -> None:
        """Load what the methods need.

        Args:
            engine: Whose parts are measured.
            shelf: The gallery.
            dataset_name: Its dataset.
            methods: What to measure; the baselines are measured in any case.
            leave_out: Whether the reference is left out of the ranking.
            skip: Whether a method that fails is left out, with its reason in `skipped`.
            progress: Told what is being done.
            images: Decoded pictures kept.
        """
        self.engine, self.shelf, self.leave_out, self.skip = engine, shelf, leave_out, skip
        self.progress = progress
        self.image = functools.lru_cache(maxsize=images)(shelf.image)
        self.make = Rows(shelf, dataset_name)
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(float)  # by piece of work
        self.skipped: dict[str, str] = {}
        reasons = engine.methods()
        beside = [b for b in BASELINES if b not in methods and reasons.get(b, "") is None]
        self.methods = [*beside, *methods]
        for name in methods:  # so that loading is on nobody's bill
            with self._surviving(name):
                for composer in coarse.composers_of(engine.parts, _base(name)):
                    engine.composer(composer)
                if name == SETR:
                    engine.parts.judge.get()

    @contextlib.contextmanager
    def _surviving(self, method: str) -> Iterator[None]:
        """A method's work; where methods may be skipped, it ends with it and not with the run."""
        try:
            yield
        except CirError as error:
            if not self.skip:
                raise
            log.warning("%s is skipped: %s", method, error)
            self.skipped[method] = str(error)
            for name in (method, FUSED) if method == SETR else (method,):
                self.rows.pop(name, None)

    def order(self, methods: Sequence[str]) -> list[str]:
        """The methods that have rows, the fused order behind the one it comes from."""
        names = [n for m in methods for n in ((m, FUSED) if m == SETR else (m,))]
        return [name for name in names if name in self.rows]

    def seconds_of(self, method: str) -> float:
        """What a method would have cost alone: a piece of work that is shared counts for each."""
        base = _base(method)
        pieces = [f"compose {c}" for c in coarse.composers_of(self.engine.parts, base)]
        pieces += [f"rank {base}", *(["judge"] if base != method else [])]
        return sum(self.seconds[p] for p in pieces)

    @contextlib.contextmanager
    def _timed(self, piece: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[piece] += time.perf_counter() - start

    # --- a batch of queries ----------------------------------------------------------------

    def queries(self, triplets: Sequence[Triplet]) -> list[Query]:
        """Triplets as queries, with their pictures."""
        return [
            Query(
                query_id=t.query_id,
                reference=self.image(t.reference_id),
                modification=t.modification,
                reference_id=t.reference_id,
            )
            for t in triplets
        ]

    def batch(self, triplets: Sequence[Triplet]) -> None:
        """Every query under every method."""
        queries = self.queries(triplets)
        vectors: dict[str, list[Composed]] = {}
        lists: dict[str, list[Ranking]] = {}
        for name in self.methods:
            if name in self.skipped:
                continue
            with self._surviving(name):
                base = _base(name)
                found = self.lists(base, queries, vectors, lists)
                own = vectors.get(base, [None] * len(queries))  # a fusion has no vector
                for number, (triplet, query) in enumerate(zip(triplets, queries, strict=True)):
                    if name == SETR:
                        row, fused = self._judge(triplet, query, own[number], found[number])
                        self.rows[FUSED].append(fused)
                    else:
                        ranking = found[number]
                        scores = [c.score for c in ranking.candidates]
                        row = self.make.row(triplet, ranking.ids, own[number], scores)
                    self.rows[name].append(row)

    def lists(
        self,
        method: str,
        queries: Sequence[Query],
        vectors: dict[str, list[Composed]],
        lists: dict[str, list[Ranking]],
    ) -> list[Ranking]:
        """A method's whole rankings; vectors and lists that are there already are taken."""
        parts = self.engine.parts
        members = coarse.composers_of(parts, method)
        for member in members:
            if member not in vectors:
                with self._timed(f"compose {member}"):
                    vectors[member] = compose_many(self.engine.composer(member), queries)
        if method not in lists:
            with self._timed(f"rank {method}"):
                lists[method] = [
                    self._rank(method, {m: vectors[m][n] for m in members}, query)
                    for n, query in enumerate(queries)
                ]
        return lists[method]

    def _rank(self, method: str, composed: dict[str, Composed], query: Query) -> Ranking:
        return coarse.rank(
            self.engine.parts,
            self.shelf,
            method,
            composed,
            len(self.shelf.ids),
            exclude=query.reference_id if self.leave_out else None,
            query_id=query.query_id,
        )

    # --- the judge -------------------------------------------------------------------------

    def _judge(
        self, triplet: Triplet, query: Query, composed: Composed | None, ranking: Ranking
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rows of the list by P(Yes), with what the judge said, and of the fused list."""
        group = set(triplet.subset_ids) - {triplet.reference_id}
        extra = [i for i in ranking.ids[DEPTH:] if i in group]
        wanted = composed.description.text if composed and composed.description else ""
        with self._timed("judge"):
            by_id = self.verdicts(query, (*ranking.ids[:DEPTH], *extra), wanted)
        prior = getattr(self.engine.parts.encoder.get(), "scale", 1.0)
        members = replace(
            ranking, candidates=tuple(c for c in ranking.candidates if c.image_id in group)
        )
        rows = []
        for weight in (0.0, prior):
            order = _reorder(ranking, by_id, ranking.ids[:DEPTH], weight)
            row = self.make.row(triplet, [r.image_id for r in order], composed)
            row["was"] = [r.coarse_rank for r in order[:TOP]]
            inside = _reorder(members, by_id, members.ids, weight)
            rows.append(row | subset(triplet, [r.image_id for r in inside]))
            if not weight:
                rows[0] |= self._told(triplet, query, wanted, by_id, order)
        return rows[0], rows[1]

    def verdicts(
        self, query: Query, ids: Sequence[ImageId], wanted: str
    ) -> dict[ImageId, Judgement]:
        """What the judge says of pictures; `wanted` is the description it is told."""
        judge = self.engine.parts.judge.get()
        verdicts = judge.judge(query, [(i, self.image(i)) for i in ids], wanted)
        found = {v.image_id: v for v in verdicts}
        if lost := next((v for v in found.values() if v.failed), None):
            raise CirError(
                f"The judge gave no answer for {lost.image_id} ({lost.failed}). Nothing is "
                "measured on a part of the verdicts; run it again when the server answers."
            )
        return found

    def _told(
        self,
        triplet: Triplet,
        query: Query,
        wanted: str,
        by_id: dict[ImageId, Judgement],
        order: Sequence[Reranked],
    ) -> dict[str, Any]:
        """What the judge said, and of the best target what `errors.blame` looks at."""
        right = set(triplet.target_ids)
        head = sorted((r for r in order if r.coarse_rank <= DEPTH), key=lambda r: r.coarse_rank)
        told: dict[str, Any] = {
            "judged": [[by_id[r.image_id].yes_probability, r.image_id in right] for r in head],
            "margins": [by_id[r.image_id].margin for r in head],
            "coarse_rank": min((r.coarse_rank for r in order if r.image_id in right), default=None),
        }
        target = next((r for r in order if r.image_id in right), None)
        if target is None or target.rank == 1:
            return told
        first = order[0]
        told |= {"target": target.image_id, "target_p": target.yes_probability}
        told |= {"first": first.image_id, "first_p": first.yes_probability}
        told |= {"modification": triplet.modification, "truth": triplet.intersection}
        if lost_cues(wanted, triplet.intersection):
            told["rank_with_truth"] = self._rank_with_truth(triplet, query)
        return told

    def _rank_with_truth(self, triplet: Triplet, query: Query) -> int | None:
        """Where SETR would have put a target, had the true description been written."""
        composer: Any = self.engine.composer(BASE)
        truth = Description(text=triplet.intersection, mode="intersection")
        ranking = self._rank(BASE, {BASE: composer.encode([truth])[0]}, query)
        head = ranking.ids[:DEPTH]
        order = _reorder(ranking, self.verdicts(query, head, truth.text), head, 0.0)
        right = set(triplet.target_ids)
        return next((r.rank for r in order if r.image_id in right), None)

    # --- captions --------------------------------------------------------------------------

    def captions(self, limit: int | None) -> list[dict[str, Any]]:
        """One row a picture of a sample: is the writer's caption the record's, word by word."""
        part = self.engine.parts.captioner
        if part is None or part.why_not() is not None:
            return []
        try:
            write = part.get()
        except CirError as error:
            log.warning("captions are not measured: %s", error)
            return []
        every = len(self.shelf.ids)
        count = min(limit or CAPTIONS, CAPTIONS, every)
        ids = [self.shelf.ids[n * every // count] for n in range(count)]
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            chunk = ids[start : start + BATCH]
            pictures = [self.image(i) for i in chunk]
            with self._timed("caption"):
                said = write(pictures)
            for image_id, text in zip(chunk, said, strict=True):
                true = (self.shelf.record(image_id) or {}).get("caption", "")
                if true:
                    match = float(text.strip() == true.strip())
                    rows.append({"image_id": image_id, "caption": text, "caption_match": match})
            self.progress("captions", min(start + BATCH, len(ids)), len(ids))
        return rows


def _base(method: str) -> str:
    """The coarse method whose list a method starts from."""
    return BASE if method in (SETR, FUSED) else method


def _reorder(
    ranking: Ranking, by_id: dict[ImageId, Judgement], judged: Sequence[ImageId], prior: float
) -> tuple[Reranked, ...]:
    from cirdemo.rerank import reorder

    return reorder(ranking, tuple(by_id[i] for i in judged), prior=prior)

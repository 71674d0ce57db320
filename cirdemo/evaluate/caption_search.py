"""Captions searched by text: scores of every query under a method, ranks, and rows of them.

Where scores tie, a target gets the mean of the ranks that it could have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cirdemo import metrics
from cirdemo.evaluate.rows import CUTS, SUBSET_CUTS, TOP
from cirdemo.registry import load, unknown
from cirdemo.types import BadInput, Encoder, ImageId, Triplet

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark

CHUNK = 256  # queries scored at once: (256, N) float64, 5 MB for CIRR val
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)  # of the caption's score beside the text's
METHODS = {  # name -> what it does
    "text": "BM25 of the modification text",
    "caption": "BM25 of the reference's captions",
    "rrf": "reciprocal rank fusion of these two (k = 60); nothing is tuned",
    "sum": "their sum; the captions' weight is chosen on the other half of the queries",
    "edit": "the same, without the words that the text takes away",
    "ngram": "the same, on character n-grams in place of words",
    "dense": "the same as sum, by a text encoder in place of BM25",
}
TUNED = ("sum", "edit", "ngram", "dense")
FUSED_K = 60  # of reciprocal rank fusion, as `retrieve.fusions`
Pair = tuple[np.ndarray, np.ndarray]  # scores (Q, N) of the text, of the reference's captions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Captioned:
    """The captioned part of a benchmark's split."""

    dataset: str
    split: str
    ids: tuple[ImageId, ...]  # N pictures, in order of their ids, so that ties go by id
    texts: tuple[str, ...]  # their captions
    triplets: tuple[Triplet, ...]  # queries whose reference and a target have captions
    without: tuple[ImageId, ...]  # pictures that have none
    lost: tuple[str, ...]  # queries left out with them

    @classmethod
    def of(cls, benchmark: Benchmark, captions: Mapping[ImageId, str]) -> Captioned:
        """What of a benchmark can be searched by captions.

        Raises:
            BadInput: No query is left, or the split has no targets.
        """
        gallery = sorted(benchmark.gallery_ids)
        every = benchmark.triplets(benchmark.split)
        kept = [
            t
            for t in every
            if t.reference_id in captions and any(i in captions for i in t.target_ids)
        ]
        if not any(t.target_ids for t in every):
            raise BadInput(f"Split {benchmark.split} of {benchmark.name} has no public targets.")
        ids = tuple(i for i in gallery if i in captions)
        if not kept:
            raise BadInput("The captions are of other pictures: no query is left.")
        names = {t.query_id for t in kept}
        return cls(
            dataset=benchmark.name,
            split=benchmark.split,
            ids=ids,
            texts=tuple(captions[i] for i in ids),
            triplets=tuple(kept),
            without=tuple(i for i in gallery if i not in captions),
            lost=tuple(t.query_id for t in every if t.query_id not in names),
        )

    def first(self, count: int | None) -> Captioned:
        """Only the first so many queries; the gallery stays."""
        return replace(self, triplets=self.triplets[:count])


class Search:
    """Scores of every query under a method, and rows of them."""

    def __init__(
        self,
        data: Captioned,
        *,
        leave_out: bool = True,
        encoder: Callable[[], Encoder] | None = None,
    ) -> None:
        """Nothing is indexed before a method needs it."""
        self.data, self.leave_out = data, leave_out
        self.models: dict[str, str] = {}
        self._encoder = encoder
        self._at = {image_id: n for n, image_id in enumerate(data.ids)}
        self._halves = halves(data.triplets)  # (Q,)

    def rows(self, method: str) -> tuple[list[dict[str, Any]], tuple[float, ...]]:
        """A row a query, and the weights of the two halves where the method has one."""
        pairs = self._pairs(method)
        weights = self._weights(pairs) if method in TUNED else ()
        made = []
        for start, scores in self._scores(method, pairs, weights):
            above, tied = (found.tolist() for found in self._places(start, scores))
            for n, triplet in enumerate(self.data.triplets[start : start + len(scores)]):
                made.append(self._row(triplet, scores[n], above[n], tied[n]))
        return made, weights

    def lists(
        self, method: str, top: int, weight: float | None = None
    ) -> Iterator[tuple[Triplet, list[ImageId], list[ImageId]]]:
        """Each query with its first `top` pictures, and its group of look-alikes in order.

        Args:
            method: A name of `METHODS`.
            top: How many pictures.
            weight: Of the captions; chosen on the other half unless given.

        Raises:
            UnknownName: There is no such method.
        """
        if method not in METHODS:
            raise unknown("method on captions", method, METHODS)
        pairs = self._pairs(method)
        weights: tuple[float, ...] = ()
        if method in TUNED:
            weights = self._weights(pairs) if weight is None else (weight, weight)
        for start, scores in self._scores(method, pairs, weights):
            for n, triplet in enumerate(self.data.triplets[start : start + len(scores)]):
                group = sorted(self._at[i] for i in triplet.subset_ids if i in self._at)
                kept = [i for i in group if np.isfinite(scores[n, i])]
                order = sorted(kept, key=lambda i, row=scores[n]: -row[i])  # type: ignore[misc]
                yield triplet, self._first(scores[n], top), [self.data.ids[i] for i in order]

    def _first(self, scores: np.ndarray, top: int) -> list[ImageId]:
        """The best `top` pictures of a row (N,), ties by id; those that are left out never."""
        top = min(top, len(scores))
        least = np.partition(scores, len(scores) - top)[len(scores) - top]
        some = np.flatnonzero((scores >= least) & np.isfinite(scores))  # in order of ids
        return [self.data.ids[i] for i in some[np.argsort(-scores[some], kind="stable")][:top]]

    # --- scores ----------------------------------------------------------------------------

    def _pairs(self, method: str) -> Callable[[int], Pair]:
        """From the first query of a chunk to the scores of its texts and captions."""
        if method == "dense":
            return self._dense()
        lexical = load("cirdemo.retrieve.lexical:Bm25")
        takes_away = load("cirdemo.retrieve.lexical:takes_away")
        lacking = load("cirdemo.retrieve.lexical:lacking")
        index = lexical(self.data.texts, analyzer="ngram" if method == "ngram" else "word")
        texts = [t.modification for t in self.data.triplets]
        said = [self.data.texts[self._at[t.reference_id]] for t in self.data.triplets]
        if method in ("edit", "ngram"):
            split = [takes_away(text) for text in texts]
            said = [lacking(text, away) for text, (_, away) in zip(said, split, strict=True)]
            texts = [wanted for wanted, _ in split]
        queries = index.queries(texts), index.queries(said)

        def pair(start: int) -> Pair:
            return tuple(index.scores(q[start : start + CHUNK]) for q in queries)  # type: ignore[return-value]

        return pair

    def _dense(self) -> Callable[[int], Pair]:
        if self._encoder is None:
            raise BadInput("The method dense needs a text encoder; name a profile.")
        encoder = self._encoder()
        self.models["dense"] = encoder.space
        pictures = encoder.encode_texts(self.data.texts)  # (N, D)
        texts = encoder.encode_texts([t.modification for t in self.data.triplets])  # (Q, D)
        rows = [self._at[t.reference_id] for t in self.data.triplets]

        def pair(start: int) -> Pair:
            chunk = slice(start, start + CHUNK)
            return texts[chunk] @ pictures.T, pictures[rows[chunk]] @ pictures.T

        return pair

    def _scores(
        self, method: str, pairs: Callable[[int], Pair], weights: Sequence[float]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Chunks of scores (q, N), minus infinity for a reference that is left out."""
        for start in range(0, len(self.data.triplets), CHUNK):
            text, caption = pairs(start)
            half = self._halves[start : start + CHUNK]
            if weights:
                scores = text + np.array(weights)[half][:, None] * caption
            elif method == "rrf":
                scores = sum(1.0 / (FUSED_K + _ranks(s)) for s in (text, caption))
            else:
                scores = text if method == "text" else caption
            yield start, self._without(start, np.array(scores))

    def _without(self, start: int, scores: np.ndarray) -> np.ndarray:
        if self.leave_out:
            chunk = self.data.triplets[start : start + len(scores)]
            scores[range(len(scores)), [self._at[t.reference_id] for t in chunk]] = -np.inf
        return scores

    def _weights(self, pairs: Callable[[int], Pair]) -> tuple[float, float]:
        """For each half, the weight with the best mean reciprocal rank on the other half."""
        found = np.zeros((len(WEIGHTS), len(self.data.triplets)))
        for start in range(0, len(self.data.triplets), CHUNK):
            text, caption = pairs(start)
            for w, weight in enumerate(WEIGHTS):
                scores = self._without(start, text + weight * caption)
                above, tied = self._places(start, scores)
                found[w, start : start + len(scores)] = 1.0 / (1 + above + tied / 2)
        best = [found[:, self._halves != half].mean(1).argmax() for half in (0, 1)]
        return WEIGHTS[int(best[0])], WEIGHTS[int(best[1])]

    # --- rows ------------------------------------------------------------------------------

    def _places(self, start: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many pictures score above each query's best target, and how many others tie (q,)."""
        found = [
            [self._at[i] for i in t.target_ids if i in self._at]
            for t in self.data.triplets[start : start + len(scores)]
        ]
        best = np.array([row[t].max() for row, t in zip(scores, found, strict=True)])
        own = [(row[t] == b).sum() for row, t, b in zip(scores, found, best, strict=True)]
        tied = (scores == best[:, None]).sum(1) - np.array(own)
        return (scores > best[:, None]).sum(1), tied

    def _row(self, triplet: Triplet, scores: np.ndarray, above: int, tied: int) -> dict[str, Any]:
        ids = self._first(scores, max(CUTS))
        row: dict[str, Any] = {
            "query_id": triplet.query_id,
            "kind": triplet.kind,
            "rank": 1 + above + tied // 2,  # the mean rank, rounded down: 3.5 is within the first 3
            "best": 1 + above,
            "worst": 1 + above + tied,
            "top": ids[:TOP],
        }
        row |= {f"R@{k}": float(row["rank"] <= k) for k in CUTS}
        group = [i for i in triplet.subset_ids if i in self._at and i != triplet.reference_id]
        if group:
            within = scores[[self._at[i] for i in group]]
            mine = scores[self._at[triplet.target_ids[0]]]
            tied = int((within == mine).sum()) - 1
            rank = 1 + int((within > mine).sum()) + tied // 2
            row |= {f"R_subset@{k}": float(rank <= k) for k in SUBSET_CUTS}
        if len(triplet.target_ids) > 1:
            row["mAP@10"] = metrics.average_precision_at_k(ids, triplet.target_ids, 10)
        if triplet.soft_targets:
            labels = dict(triplet.soft_targets)
            row["soft"] = {f"R@{k}": metrics.soft_recall_at_k(ids, labels, k) for k in CUTS}
        return row


def halves(triplets: Sequence[Triplet]) -> np.ndarray:
    """A half, 0 or 1, for each query (Q,); queries that share a group of look-alikes stay together.

    Groups are dealt out in turn, so that neither half is easier by its place in the file.
    """
    groups: dict[tuple[str, ...], int] = {}
    keys = [tuple(sorted(t.subset_ids)) or (t.reference_id,) for t in triplets]
    return np.array([groups.setdefault(key, len(groups) % 2) for key in keys], dtype=np.int64)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Rank (q, N) of each score in its row, from 1; equal ones share the better rank."""
    ordered = -np.sort(-scores, axis=1)
    ranks = [np.searchsorted(-row, -mine) + 1 for row, mine in zip(ordered, scores, strict=True)]
    return np.array(ranks)

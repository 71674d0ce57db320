"""Methods measured on a drawn dataset: rows per query, means, intervals, and their table.

Every method is measured on its whole ranking of the gallery, so a subset recall is exact. SETR
re-orders the first `DEPTH` of the intersection list; members of a query's subset that are not
among them are judged as well, for the subset recall alone.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cirdemo import metrics
from cirdemo.registry import unknown
from cirdemo.retrieve import compose_many
from cirdemo.types import (
    BadInput,
    CirError,
    Composed,
    Evaluation,
    ImageId,
    Judgement,
    Query,
    Ranking,
    Triplet,
)

if TYPE_CHECKING:
    from cirdemo.engine import Engine
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

METHODS = ("text", "image", "sum", "union", "intersection", "setr", "cot")
FUSED = "setr_fused"  # setr's judgements with the coarse retriever's probability as a prior
PROTOCOLS = {  # name -> is the reference left out of the ranking
    "reference-excluded": True,
    "reference-kept": False,
}
CUTS = (1, 5, 10, 50)
SUBSET_CUTS = (1, 2, 3)
DEPTH = 50  # candidates judged, as in the app
BATCH = 32  # queries composed together
IMAGES = 2000  # decoded pictures kept: a picture is judged for many queries
AUC_RESAMPLES = 200  # each resample sorts every judged candidate; 200 give the ends to ±1 %

Progress = Callable[[str, int, int], None]  # what, done, of


def evaluate(
    engine: Engine,
    dataset_name: str,
    split: str = "test",
    methods: Sequence[str] = METHODS,
    limit: int | None = None,
    progress: Progress | None = None,
    *,
    protocol: str = "reference-excluded",
    captions: bool = True,
) -> list[Evaluation]:
    """Every method on a split; last, the writer's captions of the gallery, under "caption".

    Args:
        engine: The engine whose parts are measured.
        dataset_name: A dataset with a gallery of the same name.
        split: Whose queries.
        methods: Names; "setr" and "cot" among them.
        limit: Only the first so many queries.
        progress: Told what is being done.
        protocol: A name of `PROTOCOLS`.
        captions: Whether to caption the gallery too.

    Raises:
        UnknownName: The dataset, a method or the protocol does not exist.
        CirError: A method cannot run, or the split has no queries.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    if limit is not None and limit < 1:
        raise BadInput(f"limit must be at least 1, got {limit}.")
    engine.require(methods)
    shelf = engine.gallery(dataset_name)
    triplets = list(engine.dataset(dataset_name).triplets(split))[:limit]
    if not triplets:
        raise CirError(f"Dataset {dataset_name!r} has no queries in split {split!r}.")
    run = _Run(engine, shelf, leave_out=PROTOCOLS[protocol], progress=progress or _log)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in methods}
    for start in range(0, len(triplets), BATCH):
        for name, row in run.batch(triplets[start : start + BATCH], methods):
            rows.setdefault(name, []).append(row)
        run.progress("queries", min(start + BATCH, len(triplets)), len(triplets))
    about = {"dataset": dataset_name, "split": split, "protocol": protocol}
    order = [n for m in methods for n in ((m, FUSED) if m == "setr" else (m,))]
    results = [_summary(name, rows[name], **about) for name in order]
    said = run.captions(limit) if captions else []
    return [*results, _summary("caption", said, **about)] if said else results


class _Run:
    """One pass over the queries of a split."""

    def __init__(
        self, engine: Engine, shelf: Gallery, *, leave_out: bool, progress: Progress
    ) -> None:
        self.engine = engine
        self.shelf = shelf
        self.image = functools.lru_cache(maxsize=IMAGES)(shelf.image)
        self.leave_out = leave_out
        self.progress = progress

    def batch(
        self, triplets: Sequence[Triplet], methods: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """(method, row) of every query under every method."""
        queries = [
            Query(
                query_id=t.query_id,
                reference=self.image(t.reference_id),
                modification=t.modification,
                reference_id=t.reference_id,
            )
            for t in triplets
        ]
        composed: dict[str, list[Composed]] = {}
        for name in methods:
            base = "intersection" if name == "setr" else name  # the list that SETR re-ranks
            if base not in composed:
                composed[base] = compose_many(self.engine.composer(base), queries)
            for triplet, query, vector in zip(triplets, queries, composed[base], strict=True):
                ranking = self._rank(name, triplet, vector)
                row = _row(triplet, ranking.ids, vector)
                if name == "setr":
                    row, fused = self._judge(triplet, query, vector, ranking)
                    yield FUSED, fused
                yield name, row

    def _rank(self, method: str, triplet: Triplet, composed: Composed) -> Ranking:
        exclude = triplet.reference_id if self.leave_out else None
        return self.shelf.search(
            composed,
            len(self.shelf.ids),
            exclude=exclude,
            query_id=triplet.query_id,
            method=method,
        )

    def _judge(
        self, triplet: Triplet, query: Query, composed: Composed, ranking: Ranking
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Metrics of the list by P(Yes), with what the judge said; and of the fused list."""
        from cirdemo.rerank import reorder

        head = ranking.ids[:DEPTH]
        group = set(triplet.subset_ids) - {triplet.reference_id}
        extra = [i for i in ranking.ids[DEPTH:] if i in group]
        pictures = [(i, self.image(i)) for i in (*head, *extra)]
        wanted = composed.description.text if composed.description else ""
        verdicts = list(self.engine.parts.judge.get().judge(query, pictures, wanted))
        by_id: dict[ImageId, Judgement] = {v.image_id: v for v in verdicts}
        prior = getattr(self.engine.parts.encoder.get(), "scale", 1.0)
        members = replace(
            ranking, candidates=tuple(c for c in ranking.candidates if c.image_id in group)
        )
        rows = []
        for weight in (0.0, prior):
            order = reorder(ranking, tuple(by_id[i] for i in head), prior=weight)
            row = _row(triplet, [r.image_id for r in order], composed)
            judged = tuple(by_id[c.image_id] for c in members.candidates)
            order = reorder(members, judged, prior=weight)
            rows.append(row | _subset(triplet, [r.image_id for r in order]))
        right = set(triplet.target_ids)
        told = {"judged": [[by_id[i].yes_probability, i in right] for i in head]}
        return rows[0] | told, rows[1]

    def captions(self, limit: int | None) -> list[dict[str, Any]]:
        """One row a gallery picture: is the writer's caption the record's, word by word."""
        part = self.engine.parts.captioner
        if part is None or part.why_not() is not None:
            return []
        try:
            write = part.get()
        except CirError as error:
            log.warning("captions are not measured: %s", error)
            return []
        ids = list(self.shelf.ids)[:limit]
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ids), BATCH):
            chunk = ids[start : start + BATCH]
            said = write([self.image(i) for i in chunk])
            for image_id, text in zip(chunk, said, strict=True):
                true = (self.shelf.record(image_id) or {}).get("caption", "")
                if true:
                    match = float(text.strip() == true.strip())
                    rows.append({"image_id": image_id, "caption": text, "caption_match": match})
            self.progress("captions", min(start + BATCH, len(ids)), len(ids))
        return rows


def _row(triplet: Triplet, ids: Sequence[ImageId], composed: Composed) -> dict[str, Any]:
    """One query's metrics on a ranked list."""
    right = set(triplet.target_ids)
    row: dict[str, Any] = {
        "query_id": triplet.query_id,
        "kind": triplet.kind,
        "rank": next((r for r, i in enumerate(ids, start=1) if i in right), None),
        "top": list(ids[:10]),
    }
    row |= {f"R@{k}": metrics.recall_at_k(ids, right, k) for k in CUTS}
    row["mAP@10"] = metrics.average_precision_at_k(ids, right, 10)
    row |= _subset(triplet, ids)
    if composed.description is not None:
        text, mode = composed.description.text, composed.description.mode
        row["description"] = text
        if truth := getattr(triplet, mode):
            row["description_match"] = float(text.strip() == truth.strip())
    if composed.rationale is not None:
        conclusion = composed.rationale.conclusion
        row["conclusion"] = conclusion
        if truth := triplet.conclusion or triplet.intersection:
            row["conclusion_match"] = float(conclusion.strip() == truth.strip())
    return row


def _subset(triplet: Triplet, ids: Sequence[ImageId]) -> dict[str, float]:
    if not triplet.subset_ids:
        return {}
    return {
        f"R_subset@{k}": metrics.recall_subset_at_k(
            ids, triplet.target_ids, triplet.subset_ids, k, reference=triplet.reference_id
        )
        for k in SUBSET_CUTS
    }


def _is_metric(key: str) -> bool:
    return key.startswith(("R@", "R_subset@", "mAP@")) or key.endswith("_match")


def _pooled(rows: Sequence[Mapping[str, Any]], measure: Callable[..., float]) -> float:
    """A measure of the judge over all judged candidates of the rows."""
    pairs = [pair for row in rows for pair in row["judged"]]
    return measure([p for p, _ in pairs], [label for _, label in pairs])


def _summary(
    method: str, rows: Sequence[dict[str, Any]], *, dataset: str, split: str, protocol: str
) -> Evaluation:
    """Means and intervals of rows."""
    means: dict[str, float] = {}
    interval: dict[str, tuple[float, float]] = {}
    for key in dict.fromkeys(k for row in rows for k in row if _is_metric(k)):
        values = [float(row[key]) for row in rows if key in row]
        means[key] = metrics.mean(values)
        interval[key] = metrics.bootstrap_interval(values)
    judged = [row for row in rows if row.get("judged")]
    measures: dict[str, Callable[..., float]] = {
        "judge_AUC": metrics.auc,
        "judge_ECE": metrics.expected_calibration_error,
    }
    for key, measure in measures.items() if judged else ():
        means[key] = _pooled(judged, measure)
        interval[key] = metrics.bootstrap_interval(
            judged,
            functools.partial(_pooled, measure=measure),
            resamples=AUC_RESAMPLES,
        )
    return Evaluation(
        method=method,
        dataset=dataset,
        split=split,
        protocol=protocol,
        means=means,
        rows=tuple(rows),
        interval=interval,
    )


def by_kind(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The means of each kind of modification, with how many queries they are of."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in evaluation.rows:
        if kind := row.get("kind"):
            kinds.setdefault(str(kind), []).append(row)
    table: dict[str, dict[str, float]] = {}
    for kind in sorted(kinds):
        rows = kinds[kind]
        table[kind] = {"queries": len(rows)}
        for key in evaluation.means:
            values = [float(row[key]) for row in rows if key in row]
            if values:
                table[kind][key] = metrics.mean(values)
    return table


def _log(what: str, done: int, total: int) -> None:
    log.info("%s: %d of %d", what, done, total)

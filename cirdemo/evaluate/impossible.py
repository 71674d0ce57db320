"""How the judge answers edits that nothing satisfies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cirdemo import metrics
from cirdemo.coarse import rank
from cirdemo.data.drawn import impossible
from cirdemo.evaluate.run import BASE, DEPTH, Progress
from cirdemo.retrieve import compose_many
from cirdemo.types import Query

if TYPE_CHECKING:
    from cirdemo.engine import Engine

COUNT = 100
LOW = 0.5  # a query counts as refused when no candidate's P(Yes) reaches this


def refusals(
    engine: Engine,
    dataset_name: str,
    split: str,
    limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Impossible queries through description, coarse list and judge, as any other query.

    Args:
        engine: With a judge.
        dataset_name: A drawn dataset; the edits are made from its records.
        split: Whose references.
        limit: Fewer than `COUNT` queries.
        progress: Told how many are judged.

    Returns:
        {"queries", "refused": share with max P(Yes) < 0.5, "interval", "by_kind", "rows"}.
    """
    shelf, judge = engine.gallery(dataset_name), engine.parts.judge.get()
    count = min(limit or COUNT, COUNT)
    asked = impossible.of_dataset(engine.dataset(dataset_name), split, count)
    queries = [
        Query(
            query_id=f"impossible-{n}",
            reference=shelf.image(image_id),
            modification=odd.text,
            reference_id=image_id,
        )
        for n, (image_id, odd) in enumerate(asked)
    ]
    composed = compose_many(engine.composer(BASE), queries)
    rows: list[dict[str, Any]] = []
    for n, (query, vector, (_, odd)) in enumerate(zip(queries, composed, asked, strict=True)):
        head = rank(
            engine.parts,
            shelf,
            BASE,
            {BASE: vector},
            DEPTH,
            exclude=query.reference_id,
            query_id=query.query_id,
        )
        wanted = vector.description.text if vector.description else ""
        verdicts = judge.judge(query, [(i, shelf.image(i)) for i in head.ids], wanted)
        highest = max((v.yes_probability for v in verdicts if not v.failed), default=0.0)
        rows.append(
            {
                "reference_id": query.reference_id,
                "modification": odd.text,
                "kind": odd.kind,
                "max_p_yes": highest,
                "refused": float(highest < LOW),
            }
        )
        if progress:
            progress("impossible", n + 1, len(queries))
    refused = [row["refused"] for row in rows]
    return {
        "queries": len(rows),
        "refused": metrics.mean(refused),
        "interval": list(metrics.bootstrap_interval(refused)),
        "by_kind": {
            kind: metrics.mean([row["refused"] for row in rows if row["kind"] == kind])
            for kind in dict.fromkeys(row["kind"] for row in rows)
        },
        "rows": rows,
    }

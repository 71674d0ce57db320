"""Methods measured on a dataset: rows per query, means, intervals, and what went wrong.

Every method is measured on its whole ranking of the gallery, so a subset recall is exact. SETR
re-orders the first `DEPTH` of the intersection list; members of a query's subset that are not
among them are judged as well, for the subset recall alone.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cirdemo.evaluate.run import BASELINES, BATCH, DEPTH, FUSED, Progress, Run
from cirdemo.evaluate.summary import by_kind, by_phrasing, summarise
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError, Evaluation

if TYPE_CHECKING:
    from cirdemo.engine import Engine

__all__ = [
    "BATCH",
    "DEPTH",
    "FUSED",
    "METHODS",
    "PROTOCOLS",
    "Report",
    "by_kind",
    "by_phrasing",
    "evaluate",
    "measure",
]

log = logging.getLogger(__name__)

METHODS = ("text", "image", "sum", "union", "intersection", "setr", "cot")
PROTOCOLS = {  # name -> is the reference left out of the ranking
    "reference-excluded": True,
    "reference-kept": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one pass over a split has measured."""

    evaluations: tuple[Evaluation, ...]  # by method; last the writer's captions, as "caption"
    skipped: Mapping[str, str] = field(default_factory=dict)  # method -> why it has no row
    seconds: float = 0.0  # of the whole pass


def measure(
    engine: Engine,
    dataset_name: str,
    split: str = "test",
    methods: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    *,
    protocol: str = "reference-excluded",
    captions: bool = True,
) -> Report:
    """Methods on a split.

    Args:
        engine: The engine whose parts are measured.
        dataset_name: A dataset with a gallery of the same name.
        split: Whose queries.
        methods: Names; None for every one that can run, the others going to `skipped`.
        limit: Only the first so many queries.
        progress: Told what is being done.
        protocol: A name of `PROTOCOLS`.
        captions: Whether to caption the gallery too.

    Raises:
        UnknownName: The dataset, a method or the protocol does not exist.
        CirError: A method that was named cannot run, none can, or the split has no queries.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    if limit is not None and limit < 1:
        raise BadInput(f"limit must be at least 1, got {limit}.")
    start = time.perf_counter()
    skipped: dict[str, str] = {}
    if methods is None:
        reasons = engine.methods()
        skipped = {name: why for name, why in reasons.items() if why}
        names = [name for name in reasons if name not in skipped] or list(reasons)
    else:
        names = list(dict.fromkeys(methods))
    engine.require(names)
    shelf = engine.gallery(dataset_name)
    triplets = list(engine.dataset(dataset_name).triplets(split))[:limit]
    if not triplets:
        raise CirError(f"Dataset {dataset_name!r} has no queries in split {split!r}.")
    run = Run(
        engine,
        shelf,
        dataset_name,
        names,
        leave_out=PROTOCOLS[protocol],
        skip=methods is None,
        progress=progress or _log,
    )
    for first in range(0, len(triplets), BATCH):
        run.batch(triplets[first : first + BATCH])
        run.progress("queries", min(first + BATCH, len(triplets)), len(triplets))
    summary = functools.partial(summarise, dataset=dataset_name, split=split, protocol=protocol)
    baselines = [run.rows[b] for b in BASELINES if b in run.rows]
    found = [
        summary(name, run.rows[name], baselines, seconds=run.seconds_of(name))
        for name in run.order(names)
    ]
    if not found:
        raise CirError(f"No method can run: {'; '.join(run.skipped.values())}")
    said = run.captions(limit) if captions else []
    if said:
        found.append(summary("caption", said, seconds=run.seconds["caption"]))
    return Report(
        evaluations=tuple(found),
        skipped=skipped | run.skipped,
        seconds=time.perf_counter() - start,
    )


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
    """The evaluations of `measure`, of named methods."""
    report = measure(
        engine, dataset_name, split, methods, limit, progress, protocol=protocol, captions=captions
    )
    return list(report.evaluations)


def _log(what: str, done: int, total: int) -> None:
    log.info("%s: %d of %d", what, done, total)

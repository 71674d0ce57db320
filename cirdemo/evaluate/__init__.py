"""Methods measured on a dataset: rows per query, means, intervals, and what went wrong.

Every method is measured on its whole ranking of the gallery, so a subset recall is exact. SETR
re-orders the first `DEPTH` of the intersection list; members of a query's subset that are not
among them are judged as well, for the subset recall alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cirdemo.evaluate.measurement import PROTOCOLS, Measurement, Report
from cirdemo.evaluate.run import BATCH, DEPTH, FUSED, Progress
from cirdemo.evaluate.summary import by_kind, by_phrasing
from cirdemo.types import Evaluation

if TYPE_CHECKING:
    from cirdemo.engine import Engine

__all__ = [
    "BATCH",
    "DEPTH",
    "FUSED",
    "METHODS",
    "PROTOCOLS",
    "Measurement",
    "Report",
    "by_kind",
    "by_phrasing",
    "evaluate",
    "measure",
]

METHODS = ("text", "image", "sum", "union", "intersection", "setr", "cot")


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
    """Methods on a split, from its first query to its last.

    The arguments are those of `Measurement`; `captions` says whether to caption a sample of the
    gallery too.

    Raises:
        UnknownName: The dataset, a method or the protocol does not exist.
        CirError: A method that was named cannot run, none can, or the split has no queries.
    """
    found = Measurement(engine, dataset_name, split, methods, limit, progress, protocol=protocol)
    while found.step():
        pass
    return found.report(captions=captions)


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

"""Submission files and annotations in, analyses out: what the command line and the page share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cirdemo.data.facts import facts
from cirdemo.evaluate.doubts import Doubt, queue
from cirdemo.evaluate.movement import analyse
from cirdemo.submission.files import Submission
from cirdemo.submission.score import complete
from cirdemo.types import BadInput, Triplet

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark


def triplets_of(benchmarks: Sequence[Benchmark]) -> list[Triplet]:
    """The queries of a split; of FashionIQ those of every category."""
    return [t for b in benchmarks for t in b.triplets(b.split)]


def facts_of(benchmarks: Sequence[Benchmark]) -> list[dict[str, Any]]:
    """What is odd about the annotations, as JSON objects."""
    return [asdict(fact) | {"of_what": b.name} for b in benchmarks for fact in facts(b)]


def analyse_files(a: Submission, b: Submission, benchmarks: Sequence[Benchmark]) -> dict[str, Any]:
    """Two runs against each other: `movement.analyse`, with what they are and the facts.

    Raises:
        BadInput: They are not of one split and metric, or do not answer exactly its queries.
    """
    if (a.dataset, a.split, a.metric) != (b.dataset, b.split, b.metric):
        raise BadInput(f"{a.name} and {b.name} are not of one dataset, split and metric.")
    triplets = triplets_of(benchmarks)
    told = analyse(
        triplets, complete(a, triplets), complete(b, triplets), leave_out=a.dataset == "cirr"
    )
    about = {"dataset": a.dataset, "split": a.split, "metric": a.metric, "a": a.name, "b": b.name}
    return {**about, **told, "facts": facts_of(benchmarks)}


def doubts_of(runs: Sequence[Submission], benchmarks: Sequence[Benchmark]) -> list[Doubt]:
    """The queue of annotations to look at again.

    Raises:
        BadInput: The split has no public targets, or a run is of another one.
    """
    triplets = triplets_of(benchmarks)
    first = runs[0]
    if not any(t.target_ids for t in triplets):
        raise BadInput(f"Split {first.split} of {first.dataset} has no public targets to doubt.")
    for run in runs:
        if (run.dataset, run.split) != (first.dataset, first.split):
            raise BadInput(f"{first.name} and {run.name} are not of one dataset and split.")
    lists = [complete(run, triplets) for run in runs]
    return queue(triplets, lists, leave_out=first.dataset == "cirr")

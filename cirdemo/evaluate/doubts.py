"""Annotations to look at again: pictures that runs put above the target, and what people say.

A benchmark names few right pictures of many; some that it does not name are right too. The queue
holds, for each query, the picture that most runs put above its target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cirdemo.types import BadInput, ImageId, Triplet

Vote = Literal["right", "wrong", "unsure"]
VOTES: tuple[Vote, ...] = ("right", "wrong", "unsure")
FORMAT = "cirdemo-doubts-1"
Lists = Mapping[str, Sequence[ImageId]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A picture that is no target and stands above it."""

    query_id: str
    reference_id: ImageId
    modification: str
    target_id: ImageId
    candidate_id: ImageId
    runs: int  # that put it above the target
    rank: int  # its best rank in any of them
    target_rank: int | None  # the target's best rank in any run, None where no list holds it
    label: float | None  # its soft label, where the benchmark has one
    in_group: bool  # whether it is one of the query's look-alikes

    @property
    def key(self) -> str:
        """Names the doubt in a file of votes."""
        return f"{self.query_id}/{self.candidate_id}"


def queue(triplets: Sequence[Triplet], runs: Sequence[Lists], *, leave_out: bool) -> list[Doubt]:
    """The doubts of some runs, the most doubtful annotation first.

    Those come first that more runs agree on, then those without a label from the benchmark, then
    those whose target is known to the runs and stands close below.

    Args:
        triplets: The queries, with targets.
        runs: At least one: query id -> picture ids, best first.
        leave_out: Whether the reference is no candidate (CIRR).
    """
    found = [d for t in triplets if t.target_ids and (d := _of(t, runs, leave_out)) is not None]
    last = 10**9

    def order(doubt: Doubt) -> tuple[Any, ...]:
        place = doubt.target_rank or last
        return (-doubt.runs, doubt.label is not None, doubt.rank, place, doubt.query_id)

    return sorted(found, key=order)


def _of(triplet: Triplet, runs: Sequence[Lists], leave_out: bool) -> Doubt | None:
    """The picture that most runs put above a query's best target; None where none does."""
    right = set(triplet.target_ids)
    above: dict[ImageId, list[int]] = {}
    ranks: list[int] = []
    for run in runs:
        ids = [i for i in run[triplet.query_id] if not leave_out or i != triplet.reference_id]
        place = next((n for n, i in enumerate(ids) if i in right), len(ids))
        ranks += [place + 1] if place < len(ids) else []
        for rank, image_id in enumerate(ids[:place], start=1):
            above.setdefault(image_id, []).append(rank)
    if not above:
        return None
    best = min(above, key=lambda i: (-len(above[i]), min(above[i]), i))
    labels = dict(triplet.soft_targets)
    return Doubt(
        query_id=triplet.query_id,
        reference_id=triplet.reference_id,
        modification=triplet.modification,
        target_id=triplet.target_ids[0],
        candidate_id=best,
        runs=len(above[best]),
        rank=min(above[best]),
        target_rank=min(ranks, default=None),
        label=labels.get(best),
        in_group=best in triplet.subset_ids,
    )


def export(
    doubts: Iterable[Doubt], votes: Mapping[str, Vote], *, dataset: str, split: str
) -> dict[str, Any]:
    """The queue as JSON, with what people said; null where nobody has."""
    return {
        "format": FORMAT,
        "dataset": dataset,
        "split": split,
        "doubts": [
            {**{key: getattr(d, key) for key in Doubt.__slots__}, "vote": votes.get(d.key)}
            for d in doubts
        ],
    }


def votes_of(told: Any, *, dataset: str, split: str) -> dict[str, Vote]:
    """The votes of an exported queue, to go on with.

    Raises:
        BadInput: It is no such file, or of another split.
    """
    try:
        if told["format"] != FORMAT:
            raise BadInput("This is no file of votes on annotations.")
        if (told["dataset"], told["split"]) != (dataset, split):
            raise BadInput(
                f"The votes are on {told['dataset']}, split {told['split']}, not on {dataset}, "
                f"split {split}."
            )
        rows = [(f"{d['query_id']}/{d['candidate_id']}", d["vote"]) for d in told["doubts"]]
    except (KeyError, TypeError) as fault:
        raise BadInput("This is no file of votes on annotations.") from fault
    if any(vote not in (*VOTES, None) for _, vote in rows):
        raise BadInput(f"A vote is one of {', '.join(VOTES)}.")
    return {key: vote for key, vote in rows if vote}

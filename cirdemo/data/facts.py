"""What is known to be odd about a benchmark's annotations, counted in the file at hand.

Each fact names the numbers that it affects, so that it can stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cirdemo.data.benchmark import Benchmark


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One count."""

    name: str
    count: float
    of: int  # what the count is out of; 0 where it is out of nothing
    affects: str  # the numbers, "" where none
    text: str  # a sentence


def facts(benchmark: Benchmark) -> list[Fact]:
    """The facts of a split, in the order they matter."""
    if benchmark.name == "cirr":
        return [*_cirr(benchmark), *_shared(benchmark)]
    if benchmark.name == "circo":
        return [*_circo(benchmark), *_shared(benchmark)]
    return [*_fashioniq(benchmark), *_shared(benchmark)]


def _cirr(benchmark: Benchmark) -> Iterator[Fact]:
    triplets = benchmark.triplets(benchmark.split)
    count = len(triplets)
    whole = sum(
        len(t.subset_ids) == 6 and {t.reference_id, *t.target_ids} <= set(t.subset_ids)
        for t in triplets
    )
    yield Fact(
        name="groups of six",
        count=whole,
        of=count,
        affects="R_subset",
        text=f"The group of {whole} of {count} queries holds 6 pictures, reference and target "
        "among them. The reference is left out, so chance is 20, 40 and 60 % at 1, 2 and 3.",
    )
    if not any(t.target_ids for t in triplets):
        return
    labels = [(t, dict(t.soft_targets)) for t in triplets]
    many = sum(len(soft) > 1 for _, soft in labels)
    yield Fact(
        name="more than one soft label",
        count=many,
        of=count,
        affects="R, soft-label",
        text=f"{many} of {count} queries have soft labels on more than one picture.",
    )
    other = sum(any(v > 0 and i not in t.target_ids for i, v in s.items()) for t, s in labels)
    yield Fact(
        name="another right picture",
        count=other,
        of=count,
        affects="R, hard-target",
        text=f"In {other} queries another picture than the target is labelled right, or half "
        "right; hard-target R counts it as wrong.",
    )
    absent = sum(t.target_ids[0] not in soft for t, soft in labels)
    refs = sum(t.reference_id in soft for t, soft in labels)
    oracle = sum(max(0.0, s.get(t.target_ids[0], 0.0)) for t, s in labels) / max(count, 1)
    yield Fact(
        name="target without a soft label",
        count=absent,
        of=count,
        affects="R, soft-label",
        text=f"The target of {absent} queries has no soft label, and the reference of {refs} has "
        f"one: a list with the target first scores {100 * oracle:.3f} % at most, not 100.",
    )


def _circo(benchmark: Benchmark) -> Iterator[Fact]:
    triplets = benchmark.triplets(benchmark.split)
    sizes = [len(t.target_ids) for t in triplets]
    if sum(sizes):
        yield Fact(
            name="ground truths",
            count=sum(sizes),
            of=0,
            affects="mAP",
            text=f"{len(triplets)} queries have {sum(sizes)} ground truths, "
            f"{sum(sizes) / len(sizes):.2f} each, {max(sizes)} at most; Recall counts only the "
            "first.",
        )
        own = sum(t.reference_id in t.target_ids for t in triplets)
        yield Fact(
            name="reference among the ground truths",
            count=own,
            of=len(triplets),
            affects="mAP, Recall",
            text=f"The reference is a ground truth in {own} queries. The official code leaves it "
            "in the list, where it costs a place.",
        )


def _fashioniq(benchmark: Benchmark) -> Iterator[Fact]:
    triplets = benchmark.triplets(benchmark.split)
    named = {i for t in triplets for i in (t.reference_id, *t.target_ids)}
    yield Fact(
        name="two galleries",
        count=len(named),
        of=len(benchmark.gallery_ids),
        affects="R",
        text=f"The split lists {len(benchmark.gallery_ids)} pictures, its queries name "
        f"{len(named)}. R is higher on the smaller gallery: compare only the same protocol.",
    )


def _shared(benchmark: Benchmark) -> Iterator[Fact]:
    triplets = benchmark.triplets(benchmark.split)
    if twice := len(benchmark.duplicates()):
        yield Fact(
            name="duplicate keys",
            count=twice,
            of=len(triplets),
            affects="R at 1",
            text=f"{twice} pairs of reference and text occur more than once, with other targets: "
            "no method can put both first.",
        )
    if odd := sum(not t.modification.isascii() for t in triplets):
        yield Fact(
            name="not ASCII",
            count=odd,
            of=len(triplets),
            affects="",
            text=f"{odd} modification texts have letters outside ASCII.",
        )

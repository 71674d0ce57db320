"""Ranked lists of any method over a benchmark's queries: what a test server is sent.

A list is made once for all pictures; the group of look-alikes is ordered apart from it, because
after re-ranking the first members of the list are not the best of the group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cirdemo.evaluate.caption_search import TUNED, Captioned, Search
from cirdemo.evaluate.duel import BATCH, Setting, check, setting_lists
from cirdemo.evaluate.run import BASE, Run
from cirdemo.rerank import reorder
from cirdemo.types import BadInput, Composed, ImageId, Triplet

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark
    from cirdemo.engine import Engine

TOP = 50  # what both servers take
ORACLE = "oracle"  # the targets first: what a perfect method would score


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One query's list and its group, best first."""

    query_id: str
    top: tuple[ImageId, ...]
    group: tuple[ImageId, ...] = ()  # without the reference


def leave_out(benchmark: Benchmark) -> bool:
    """Whether a benchmark's own code leaves the reference out of the list."""
    return benchmark.name == "cirr"


def oracle(benchmark: Benchmark) -> Iterator[Answer]:
    """The targets first, then any pictures in order of their ids.

    Raises:
        BadInput: The split has no public targets.
    """
    every = sorted(benchmark.gallery_ids)
    triplets = benchmark.triplets(benchmark.split)
    if not any(t.target_ids for t in triplets):
        raise BadInput(f"Split {benchmark.split} of {benchmark.name} has no public targets.")
    for t in triplets:
        gone = {t.reference_id} if leave_out(benchmark) else set()
        rest = (i for i in every if i not in gone and i not in t.target_ids)
        ids = [*t.target_ids, *(i for i, _ in zip(rest, range(TOP), strict=False))]
        group = [*t.target_ids, *(i for i in t.subset_ids if i not in t.target_ids)]
        yield Answer(
            query_id=t.query_id,
            top=tuple(ids[:TOP]),
            group=_group(t, group) if t.subset_ids else (),
        )


def _group(triplet: Triplet, order: Sequence[ImageId]) -> tuple[ImageId, ...]:
    members = set(triplet.subset_ids) - {triplet.reference_id}
    return tuple(i for i in order if i in members)


# --- on captions ---------------------------------------------------------------------------


def on_captions(
    benchmark: Benchmark,
    captions: Mapping[ImageId, str],
    method: str,
    *,
    weight: float | None = None,
    skip: int = 0,
) -> Iterator[Answer]:
    """A method of `evaluate.captioned` on every query; a picture without captions ranks last.

    Args:
        benchmark: Whose queries.
        captions: Of its pictures.
        method: A name of `captioned.METHODS`.
        weight: Of the captions' score beside the text's; chosen by halves unless given, which
            takes targets.
        skip: Queries at the start that are answered already.

    Raises:
        BadInput: A weight is needed, or none of the pictures has captions.
    """
    ids = tuple(sorted(benchmark.gallery_ids))
    if not any(i in captions for i in ids):
        raise BadInput("The captions are of other pictures: none of the split's has any.")
    triplets = tuple(benchmark.triplets(benchmark.split))
    targets = any(t.target_ids for t in triplets)
    if method in TUNED and weight is None and not targets:
        raise BadInput(
            f"{method!r} weighs captions against text, and split {benchmark.split} has no targets "
            "to choose the weight on. Choose it on val and name it with --weight."
        )
    data = Captioned(
        dataset=benchmark.name,
        split=benchmark.split,
        ids=ids,
        texts=tuple(captions.get(i, "") for i in ids),
        triplets=triplets,
        without=tuple(i for i in ids if i not in captions),
        lost=(),
    )
    search = Search(data, leave_out=leave_out(benchmark))
    for n, (triplet, top, order) in enumerate(search.lists(method, TOP, weight)):
        if n >= skip:
            yield Answer(query_id=triplet.query_id, top=tuple(top), group=_group(triplet, order))


# --- on pictures ---------------------------------------------------------------------------


def on_pictures(
    engine: Engine, gallery: str, benchmark: Benchmark, setting: Setting, *, skip: int = 0
) -> Iterator[Answer]:
    """A full setting on every query, over the pictures of a gallery that `index` has built.

    Raises:
        BadInput: The gallery lacks pictures of the benchmark.
        CirError: The setting cannot run.
    """
    check(engine, [setting])
    shelf = engine.gallery(gallery)
    there = set(shelf.ids)
    triplets = benchmark.triplets(benchmark.split)
    absent = sorted({t.reference_id for t in triplets} - there)
    absent += sorted(set(benchmark.gallery_ids) - there - set(absent))
    if absent:
        raise BadInput(
            f"The gallery {gallery!r} lacks {len(absent)} pictures of {benchmark.name}, split "
            f"{benchmark.split}: {', '.join(absent[:5])}. Build it from all of them: "
            f"python -m cirdemo index DIR --name {gallery} --dataset {benchmark.name.split('-')[0]}"
            f" --split {benchmark.split}"
        )
    run = Run(
        engine,
        shelf,
        gallery,
        [setting.method],
        leave_out=leave_out(benchmark),
        skip=False,
        progress=lambda what, done, of: None,
    )
    listed = set(benchmark.gallery_ids)
    for first in range(skip, len(triplets), BATCH):
        yield from _batch(run, setting, triplets[first : first + BATCH], listed)


def _batch(
    run: Run, setting: Setting, triplets: Sequence[Triplet], listed: set[ImageId]
) -> Iterator[Answer]:
    """The lists of some queries; the judge sees the first of each, and its group."""
    queries = run.queries(triplets)
    vectors: dict[str, list[Composed]] = {}
    rankings = setting_lists(run, setting, queries, vectors)
    if setting.depth and BASE in run.engine.parts.composers:
        run.lists(BASE, queries, vectors, {})  # for the description that the judge is told
    prior = getattr(run.engine.parts.encoder.get(), "scale", 1.0) if setting.fuse else 0.0
    for n, (triplet, query) in enumerate(zip(triplets, queries, strict=True)):
        ranking = rankings[n]
        kept = tuple(c for c in ranking.candidates if c.image_id in listed)
        ranking = replace(ranking, candidates=kept)
        ids = ranking.ids
        order = group = _group(triplet, ids)
        if setting.depth:
            told = vectors[BASE][n].description if BASE in vectors else None
            head = ids[: setting.depth]
            extra = [i for i in group if i not in head]
            verdicts = run.verdicts(query, (*head, *extra), told.text if told else "")
            ids = tuple(
                r.image_id for r in reorder(ranking, [verdicts[i] for i in head], prior=prior)
            )
            members = replace(ranking, candidates=tuple(c for c in kept if c.image_id in group))
            order = tuple(
                r.image_id for r in reorder(members, [verdicts[i] for i in group], prior=prior)
            )
        yield Answer(query_id=triplet.query_id, top=ids[:TOP], group=order)

"""Two full settings over the queries of a split: a row a query, as soon as it is done.

What the two settings share is done once: descriptions, vectors, and the judge's verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cirdemo import coarse
from cirdemo.evaluate.run import BASE, DEPTH, Run
from cirdemo.rerank import reorder
from cirdemo.retrieve import compose_many
from cirdemo.types import BadInput, CirError, Composed, ImageId, Judgement, Query, Ranking, Triplet

if TYPE_CHECKING:
    from cirdemo.engine import Engine

BATCH = 8  # queries described together: fewer wait longer in sum, more are slower to show and stop
MOST = 200  # candidates the judge may see of a query
WEIGHED = "sum"  # the method with a text weight
EXAMPLE = "for example 'intersection,judge=50,fuse' or 'sum,text=0.5'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All that decides a list: the coarse method, the judge on top of it, and their weights."""

    method: str = "intersection"
    depth: int = 0  # candidates of the method's list that the judge orders anew; 0: it stands
    fuse: bool = False  # order them by the judge's log-odds plus the coarse log-probability
    text_weight: float | None = None  # of `sum`, in [0, 1]

    def __post_init__(self) -> None:
        """Reject what cannot be.

        Raises:
            BadInput: A number is out of its range, or options contradict each other.
        """
        if not 0 <= self.depth <= MOST:
            raise BadInput(f"The judge sees 0 to {MOST} candidates, got {self.depth}.")
        if self.fuse and not self.depth:
            raise BadInput("'fuse' mixes the judge with the coarse score: turn the judge on too.")
        if self.text_weight is not None:
            if not 0 <= self.text_weight <= 1:
                raise BadInput(f"The text's weight lies between 0 and 1, got {self.text_weight}.")
            if self.method != WEIGHED:
                raise BadInput(f"The text's weight is for 'sum', not for {self.method!r}.")

    @classmethod
    def parse(cls, spec: str) -> Setting:
        """A setting from its one-line form METHOD[,judge[=DEPTH]][,fuse][,text=SHARE].

        "setr" is "intersection,judge=50", "setr_fused" that with "fuse".

        Raises:
            BadInput: The line is not of that form.
        """
        method, *options = (part.strip() for part in spec.split(","))
        if not method:
            raise BadInput(f"A setting begins with a method, {EXAMPLE}.")
        given: dict[str, Any] = {"method": method}
        if method in ("setr", "setr_fused"):
            given = {"method": BASE, "depth": DEPTH, "fuse": method == "setr_fused"}
        for option in options:
            name, _, value = option.partition("=")
            try:
                if name == "judge":
                    given["depth"] = int(value or DEPTH)
                elif name == "fuse" and not value:
                    given["fuse"] = True
                elif name == "text":
                    given["text_weight"] = float(value)
                else:
                    raise ValueError
            except ValueError:
                raise BadInput(f"Cannot read {option!r} in {spec!r}; {EXAMPLE}.") from None
        return cls(**given)

    def __str__(self) -> str:
        """The one-line form, which `parse` reads back."""
        parts = [self.method]
        parts += [f"judge={self.depth}"] if self.depth else []
        parts += ["fuse"] if self.fuse else []
        parts += [f"text={self.text_weight:g}"] if self.text_weight is not None else []
        return ",".join(parts)


def duel(
    engine: Engine,
    dataset_name: str,
    a: Setting,
    b: Setting,
    *,
    split: str = "val",
    limit: int | None = None,
) -> tuple[int, Iterator[dict[str, Any]]]:
    """Two settings on the same queries.

    Returns:
        How many queries there are, and their rows: {"query_id", "kind", "reference_id",
        "modification", "targets", "a", "b"}; a side holds what `rows.Rows.row` says of its list,
        and "target", the id of its best target.

    Raises:
        UnknownName: The dataset or a method does not exist.
        CirError: A method or the judge cannot run, or the split has no queries.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"limit must be at least 1, got {limit}.")
    settings = (a, b)
    check(engine, settings)
    triplets = list(engine.dataset(dataset_name).triplets(split))[:limit]
    if not triplets:
        raise CirError(f"Dataset {dataset_name!r} has no queries in split {split!r}.")
    return len(triplets), _rows(engine, dataset_name, settings, triplets)


def check(engine: Engine, settings: Sequence[Setting]) -> None:
    """Check that settings can run.

    Raises:
        UnknownName: A method does not exist.
        CirError: A method or the judge cannot run.
    """
    for one in settings:
        engine.require([one.method])
        if one.depth and (reason := engine.parts.judge.why_not() or _no_words(engine)):
            raise CirError(f"The judge cannot run: {reason}")
        if one.fuse:
            coarse.check_cosines(engine.parts, one.method)


def _no_words(engine: Engine) -> str | None:
    """Why the description that the judge is told cannot be written, or None."""
    return coarse.why_not(engine.parts, BASE) if BASE in engine.parts.composers else None


def _rows(
    engine: Engine, dataset_name: str, settings: Sequence[Setting], triplets: Sequence[Triplet]
) -> Iterator[dict[str, Any]]:
    run = Run(
        engine,
        engine.gallery(dataset_name),
        dataset_name,
        list(dict.fromkeys(s.method for s in settings)),
        leave_out=True,
        skip=False,
        progress=lambda what, done, of: None,
    )
    prior = getattr(engine.parts.encoder.get(), "scale", 1.0)
    for first in range(0, len(triplets), BATCH):
        batch = triplets[first : first + BATCH]
        queries = run.queries(batch)
        vectors: dict[str, list[Composed]] = {}
        found = [setting_lists(run, one, queries, vectors) for one in settings]
        if any(s.depth for s in settings) and BASE in engine.parts.composers:
            run.lists(BASE, queries, vectors, {})  # for the description that the judge is told
        for n, (triplet, query) in enumerate(zip(batch, queries, strict=True)):
            told = vectors[BASE][n].description if BASE in vectors else None
            verdicts: dict[ImageId, Judgement] = {}
            row: dict[str, Any] = {
                "query_id": triplet.query_id,
                "kind": triplet.kind,
                "reference_id": triplet.reference_id,
                "modification": triplet.modification,
                "targets": list(triplet.target_ids),
            }
            for side, one, rankings in zip(("a", "b"), settings, found, strict=True):
                ids = list(rankings[n].ids)
                if one.depth:
                    head = ids[: one.depth]
                    new = [i for i in head if i not in verdicts]
                    verdicts |= run.verdicts(query, new, told.text if told else "")
                    order = reorder(
                        rankings[n],
                        [verdicts[i] for i in head],
                        prior=prior if one.fuse else 0.0,
                    )
                    ids = [r.image_id for r in order]
                right = set(triplet.target_ids)
                best = next((i for i in ids if i in right), None)
                row[side] = run.make.row(triplet, ids, None) | {"target": best}
            yield row


def setting_lists(
    run: Run, one: Setting, queries: Sequence[Query], vectors: dict[str, list[Composed]]
) -> list[Ranking]:
    """A setting's coarse rankings of all pictures; vectors that are in `vectors` are taken."""
    if one.text_weight is None:
        return run.lists(one.method, queries, vectors, {})
    weighed: Any = run.engine.composer(WEIGHED)
    own = {WEIGHED: compose_many(weighed.weighted(one.text_weight), queries)}
    return run.lists(one.method, queries, own, {})

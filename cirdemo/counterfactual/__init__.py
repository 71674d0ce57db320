"""A counterfactual lab: what one picture's rank and P(Yes) would be, had the text said otherwise.

For each variant of the text the whole chain runs again: description, vector, list, verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cirdemo import coarse
from cirdemo.counterfactual.variants import KINDS as KINDS
from cirdemo.counterfactual.variants import Kind as Kind
from cirdemo.counterfactual.variants import Variant as Variant
from cirdemo.counterfactual.variants import marked as marked
from cirdemo.counterfactual.variants import variants as variants
from cirdemo.intake import clean_text
from cirdemo.registry import unknown
from cirdemo.types import BadInput, CirError, Description, ImageId, Mode, Query

if TYPE_CHECKING:
    from cirdemo.engine import Engine

BATCH = 4  # variants described together: a step of the progress
TOLD: Mode = "intersection"  # the description that the judge is told, as in a search
WITHIN = 10  # a rank up to this is a find


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a variant does to the pinned picture."""

    variant: Variant
    description: str = ""  # what the list was searched with
    rank: int | None = None  # of the pinned picture, from 1; None where the variant could not run
    yes_probability: float | None = None  # of the pinned picture; None without a judge
    first: ImageId = ""  # what stands first now
    error: str = ""  # why the variant could not run


def run(
    engine: Engine,
    query: Query,
    pinned: ImageId,
    tried: Sequence[Variant],
    *,
    gallery: str = "fables",
    mode: Mode = TOLD,
) -> Iterator[Outcome]:
    """The outcomes of variants, in their order, as they are found.

    Args:
        engine: Whose parts run.
        query: Gives the reference; its text is replaced.
        pinned: The gallery picture that is followed.
        tried: From `variants`.
        gallery: Where to search.
        mode: Which description to search with.

    Raises:
        UnknownName: The gallery, or the picture in it, does not exist.
        BadInput: The pinned picture is the reference, which no list holds.
        MissingCheckpoint: The description cannot be written here.
    """
    shelf = engine.gallery(gallery)
    if pinned not in shelf.ids:
        raise unknown(f"picture in gallery {gallery!r}", pinned, shelf.ids)
    if pinned == query.reference_id:
        raise BadInput("The pinned picture is the reference itself, which is left out of the list.")
    engine.require([mode])
    picture = shelf.image(pinned)
    for first in range(0, len(tried), BATCH):
        batch = tried[first : first + BATCH]
        asked: dict[int, Query] = {}
        faults: dict[int, str] = {}
        for n, variant in enumerate(batch):
            try:
                asked[n] = replace(query, modification=clean_text(variant.text))
            except BadInput as error:
                faults[n] = str(error)
        written = _written(engine, list(asked.values()), mode)
        told = written if mode == TOLD else _written(engine, list(asked.values()), TOLD)
        composer: Any = engine.composer(mode)
        vectors = composer.encode(written)
        at = {n: place for place, n in enumerate(asked)}
        for n, variant in enumerate(batch):
            if n in faults:
                yield Outcome(variant=variant, error=faults[n])
                continue
            place = at[n]
            ranking = coarse.rank(
                engine.parts,
                shelf,
                mode,
                {mode: vectors[place]},
                len(shelf.ids),
                exclude=query.reference_id,
            )
            yield Outcome(
                variant=variant,
                description=written[place].text,
                rank=ranking.rank_of(pinned),
                yes_probability=_judged(engine, asked[n], pinned, picture, told[place].text),
                first=ranking.ids[0],
            )


def _written(engine: Engine, queries: Sequence[Query], mode: Mode) -> list[Description]:
    if not queries:
        return []
    composer: Any = engine.composer(mode)
    return list(composer.write_many(queries))


def _judged(
    engine: Engine, query: Query, pinned: ImageId, picture: Any, wanted: str
) -> float | None:
    """P(Yes) of the pinned picture, or None where no judge can run."""
    if engine.parts.judge.why_not() is not None:
        return None
    try:
        verdict = next(iter(engine.parts.judge.get().judge(query, [(pinned, picture)], wanted)))
    except CirError:
        return None
    return None if verdict.failed else verdict.yes_probability


# --- what the outcomes say --------------------------------------------------------------------


def effect(outcome: Outcome, original: Outcome, pictures: int) -> float:
    """How much a variant moves the pinned picture, in [0, 1].

    The larger of two changes: of P(Yes), and of the rank on a logarithmic scale on which 1 is from
    the first to the last of the gallery's pictures; from 1 to 10 counts as much as from 10 to 100.
    """
    change = 0.0
    if outcome.rank and original.rank and pictures > 1:
        change = abs(math.log(outcome.rank / original.rank)) / math.log(pictures)
    if outcome.yes_probability is not None and original.yes_probability is not None:
        change = max(change, abs(outcome.yes_probability - original.yes_probability))
    return min(change, 1.0)


def by_effect(outcomes: Sequence[Outcome], pictures: int) -> list[Outcome]:
    """The outcomes but the original's, those that move the picture most first."""
    original = next((o for o in outcomes if o.variant.kind == "original"), None)
    rest = [o for o in outcomes if o.variant.kind != "original"]
    if original is None:
        return rest
    return sorted(rest, key=lambda o: (bool(o.error), -effect(o, original, pictures)))


def robustness(outcomes: Sequence[Outcome], within: int = WITHIN) -> tuple[int, int]:
    """How many paraphrases keep the pinned picture among the first `within`, and of how many."""
    told = [o for o in outcomes if o.variant.kind == "paraphrase" and o.rank]
    return sum(1 for o in told if o.rank and o.rank <= within), len(told)


def weights(outcomes: Sequence[Outcome], pictures: int) -> dict[int, float]:
    """For each word that was left out, by index, how much that moved the picture, in [0, 1]."""
    original = next((o for o in outcomes if o.variant.kind == "original"), None)
    if original is None:
        return {}
    return {
        o.variant.word: effect(o, original, pictures)
        for o in outcomes
        if o.variant.word is not None and not o.error
    }

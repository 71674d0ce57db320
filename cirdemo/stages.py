"""The stages of a search that ask a language model: describe, judge and re-rank, reason.

A stage takes the result so far and returns it with what it has found. A late stage that fails
leaves a notice, and the lists that are there already stand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cirdemo.intake import clean_text
from cirdemo.parts import Part
from cirdemo.types import (
    CirError,
    Composed,
    Composer,
    Description,
    ImageId,
    Judgement,
    Mode,
    Ranking,
    Reranker,
    SearchResult,
)

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

JUDGING_STEP = 10  # judgements between two partial results: five updates for fifty candidates


def done(result: SearchResult, stage: str, start: float, **changes: Any) -> SearchResult:
    """The result after a stage; its seconds count from `start`."""
    key = "rerank" if stage == "judging" else stage
    seconds = {**result.seconds, key: time.perf_counter() - start}
    return replace(result, stage=stage, seconds=seconds, **changes)


def describe(
    result: SearchResult, composers: Sequence[Composer], given: Mapping[Mode, str]
) -> SearchResult:
    """Write the descriptions that composers need, or take the given ones."""
    start = time.perf_counter()
    written: dict[Mode, Description] = {
        mode: Description(text=clean_text(text), mode=mode, writer="user")
        for mode, text in given.items()
    }
    models = dict(result.models)
    for composer in composers:
        mode = getattr(composer, "mode", None)
        if mode is not None and mode not in written:
            written[mode] = composer.write(result.query)  # type: ignore[attr-defined]
            models["writer"] = written[mode].writer
    return done(result, "describe", start, descriptions=written, models=models)


def rerank(
    result: SearchResult,
    shelf: Gallery,
    ranking: Ranking,
    judge: Part[Reranker],
    depth: int,
    *,
    prior: float = 0.0,
) -> Generator[SearchResult, None, SearchResult]:
    """Judge the first `depth` candidates; partial results have the stage "judging".

    Args:
        result: With the intersection description, which the judge is told.
        shelf: For the pictures.
        ranking: The list to order anew; what is not judged follows in its order.
        judge: Who judges.
        depth: How many.
        prior: See `rerank.reorder`.
    """
    from cirdemo.rerank import reorder

    start, pause = time.perf_counter(), 0.0
    judged: dict[ImageId, Judgement] = {}
    notices = result.notices
    wanted = result.descriptions.get("intersection")
    try:
        asked = judge.get()
        result = replace(result, models={**result.models, "judge": asked.identity})
        pictures = [(i, shelf.image(i)) for i in ranking.ids[:depth]]
        for verdict in asked.judge(result.query, pictures, wanted.text if wanted else ""):
            judged[verdict.image_id] = verdict
            if len(judged) % JUDGING_STEP == 0 and len(judged) < len(pictures):
                away = time.perf_counter()
                order = reorder(ranking, tuple(judged.values()), prior=prior)
                changes = {"judgements": dict(judged), "reranked": order}
                yield done(result, "judging", start + pause, **changes)
                pause += time.perf_counter() - away  # the reader's time is not the judge's
    except Exception as error:
        notices = (*notices, _late("The judge", error, f"The {ranking.method} list stands."))
    order = reorder(ranking, tuple(judged.values()), prior=prior) if judged else ()
    changes = {"judgements": judged, "reranked": order, "notices": notices}
    result = done(result, "rerank", start + pause, **changes)
    yield result
    return result


def reason(
    result: SearchResult,
    reasoner: Callable[[], Composer],
    rank: Callable[[Mapping[str, Composed]], Ranking],
) -> SearchResult:
    """CIR-CoT: a rationale, and the list of its vector.

    Args:
        result: Its vector of `cot` is taken where a fusion has asked for it already.
        reasoner: Loads the method `cot`.
        rank: From a table with that vector to its list.
    """
    start = time.perf_counter()
    try:
        composer = reasoner()
        composed = result.composed.get("cot") or composer.compose(result.query)
        ranking = rank({"cot": composed})
    except Exception as error:
        notice = _late("The reasoning", error, "The other lists stand.")
        return done(result, "reason", start, notices=(*result.notices, notice))
    return done(
        result,
        "reason",
        start,
        composed={**result.composed, "cot": composed},
        coarse={**result.coarse, "cot": ranking},
        rationale=composed.rationale,
        models={**result.models, "reasoner": getattr(composer, "identity", "cot")},
    )


def _late(who: str, error: Exception, stands: str) -> str:
    """The notice for a late stage that could not finish."""
    if isinstance(error, CirError):
        return f"{who} could not run: {error} {stands}"
    log.error("%s failed", who, exc_info=error)
    return f"{who} failed ({type(error).__name__}: {error}). {stands}"

"""The stages of a search that ask a language model: describe, judge and re-rank, reason.

A stage takes the result so far and returns it with what it has found. A late stage that fails
leaves a notice, and the lists that are there already stand. What a model has answered before, to
the same contents, is remembered and not asked again.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cirdemo import incident
from cirdemo.cache import Memory
from cirdemo.intake import clean_text
from cirdemo.lettering import has_writing
from cirdemo.parts import Part
from cirdemo.types import (
    CirError,
    Composed,
    Composer,
    Cue,
    Description,
    ImageId,
    Judgement,
    Mode,
    Query,
    Ranking,
    Rationale,
    Reranked,
    Reranker,
    SearchResult,
)

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

LOOKED_AT = 10  # pictures of the judge's list that are looked at for writing: those that are seen
JUDGING_STEP = 10  # judgements between two partial results: five updates for fifty candidates


@dataclass(frozen=True, slots=True, eq=False)
class Memories:
    """What the models have answered, by content."""

    written: Memory[Description] = field(default_factory=lambda: Memory(1024))
    judged: Memory[Judgement] = field(default_factory=lambda: Memory(100_000))
    thought: Memory[Composed] = field(default_factory=lambda: Memory(512))
    lettered: Memory[bool] = field(default_factory=lambda: Memory(100_000))  # has writing on it


def content(query: Query) -> str:
    """A digest of what a query's answer depends on: its picture's pixels and its text."""
    image = query.reference
    digest = hashlib.sha256(repr((image.size, query.modification)).encode() + image.tobytes())
    return digest.hexdigest()


def done(result: SearchResult, stage: str, start: float, **changes: Any) -> SearchResult:
    """The result after a stage; its seconds count from `start`."""
    key = "rerank" if stage == "judging" else stage
    seconds = {**result.seconds, key: time.perf_counter() - start}
    return replace(result, stage=stage, seconds=seconds, **changes)


def describe(
    result: SearchResult,
    composers: Sequence[Composer],
    given: Mapping[Mode, str],
    memories: Memories,
    without: Sequence[str] = (),
) -> SearchResult:
    """Write the descriptions that composers need, or take the given ones.

    Args:
        result: With the query.
        composers: Those with a `mode` need a description of it.
        given: Texts by mode, from the user.
        memories: Of what was written before.
        without: Cues that the user turned against; they are marked, and left out of the texts.
    """
    start = time.perf_counter()
    key = content(result.query)
    written: dict[Mode, Description] = {}
    models = dict(result.models)
    fresh = False
    for composer in composers:
        mode: Mode | None = getattr(composer, "mode", None)
        if mode is None or mode in written:
            continue
        text = clean_text(given[mode]) if mode in given else ""
        known = memories.written.get((key, mode, text, id(composer)))
        if known is None:
            fresh = True
            if text:
                known = composer.given(result.query, text)  # type: ignore[attr-defined]
            else:
                known = composer.write(result.query)  # type: ignore[attr-defined]
            memories.written.put((key, mode, text, id(composer)), known)
        against = tuple(Cue(text=cue, status="negated") for cue in without)
        kept = tuple(cue for cue in known.cues if cue.text not in without)
        written[mode] = replace(known, cues=(*kept, *against))
        models["writer"] = known.writer
    changes = {"descriptions": written, "models": models}
    if written and not fresh:
        changes["remembered"] = result.remembered | {"describe"}
    return done(result, "describe", start, **changes)


def rerank(
    result: SearchResult,
    shelf: Gallery,
    ranking: Ranking,
    judge: Part[Reranker],
    depth: int,
    memories: Memories,
    *,
    prior: float = 0.0,
    tuned: bool = True,
    without: Sequence[str] = (),
) -> Generator[SearchResult, None, SearchResult]:
    """Judge the first `depth` candidates; partial results have the stage "judging".

    Args:
        result: With the intersection description, which the judge is told.
        shelf: For the pictures.
        ranking: The list to order anew; what is not judged follows in its order.
        judge: Who judges.
        depth: How many.
        memories: Of what was judged before.
        prior: See `rerank.reorder`.
        tuned: Whether the judge uses its adapter.
        without: Cues that the user turned against; the judge is told them as part of the text.
    """
    from cirdemo.rerank import reorder

    start, pause = time.perf_counter(), 0.0
    judged: dict[ImageId, Judgement] = {}
    unanswered: dict[ImageId, Judgement] = {}  # a server's; never remembered

    def told() -> dict[str, Any]:
        """The verdicts so far and the order they give."""
        verdicts = (*judged.values(), *unanswered.values())
        return {
            "judgements": dict(judged),
            "unanswered": {i: j.failed for i, j in unanswered.items()},
            "reranked": reorder(ranking, verdicts, prior=prior) if judged else (),
        }

    notices, remembered = result.notices, result.remembered
    wanted = result.descriptions.get("intersection")
    text = wanted.text if wanted else ""
    query = result.query
    if without:
        edit = " ".join([query.modification, *(f"without {cue}" for cue in without)])
        query = replace(query, modification=edit)
    try:
        asked = judge.get()
        result = replace(result, models={**result.models, "judge": asked.identity})
        about = (asked.identity, content(query), text, tuned)
        for image_id in ranking.ids[:depth]:
            if (known := memories.judged.get((*about, *_which(shelf, image_id)))) is not None:
                judged[image_id] = known
        pictures = [(i, shelf.image(i)) for i in ranking.ids[:depth] if i not in judged]
        remembered |= frozenset() if pictures else {"rerank"}
        how = {} if tuned else {"tuned": False}
        verdicts = asked.judge(query, pictures, text, **how) if pictures else ()
        for n, verdict in enumerate(verdicts, start=1):
            if verdict.failed:
                unanswered[verdict.image_id] = verdict
            else:
                judged[verdict.image_id] = verdict
                memories.judged.put((*about, *_which(shelf, verdict.image_id)), verdict)
            if n % JUDGING_STEP == 0 and n < len(pictures):
                away = time.perf_counter()
                changes = told()
                yield done(result, "judging", start + pause, **changes)
                pause += time.perf_counter() - away  # the reader's time is not the judge's
    except Exception as error:
        notices = (*notices, _late("The judge", error, f"The {ranking.method} list stands."))
    first = next((j.failed for j in unanswered.values()), "")
    if unanswered and not judged:
        unanswered.clear()
        nothing = CirError(f"it gave no answer for any picture ({first}).")
        notices = (*notices, _late("The judge", nothing, f"The {ranking.method} list stands."))
    elif unanswered:
        notices = (
            *notices,
            f"The judge gave no answer for {len(unanswered)} of {len(unanswered) + len(judged)} "
            f"pictures ({first}). They keep their coarse rank and are marked; search again to ask "
            "for them anew.",
        )
    changes = told()
    if written := _written(shelf, changes["reranked"][:LOOKED_AT], memories):
        notices = (
            *notices,
            f"{len(written)} of the judge's first {LOOKED_AT} pictures seem to carry writing "
            f"({', '.join(written[:3])}). A judge that reads can be swayed by what stands there.",
        )
    changes |= {"notices": notices}
    result = done(result, "rerank", start + pause, remembered=remembered, **changes)
    yield result
    return result


def _which(shelf: Gallery, image_id: ImageId) -> tuple[str, ImageId, str]:
    """A picture's key in a memory; a gallery built anew may show another under the same id."""
    return shelf.name, image_id, shelf.digest(image_id)


def _written(shelf: Gallery, listed: Sequence[Reranked], memories: Memories) -> list[ImageId]:
    """Those pictures of a list that carry writing."""
    found = []
    for item in listed:
        key = _which(shelf, item.image_id)
        known = memories.lettered.get(key)
        if known is None:
            try:
                known = has_writing(shelf.image(item.image_id))
            except CirError:  # it is gone since it was judged
                continue
            memories.lettered.put(key, known)
        if known:
            found.append(item.image_id)
    return found


def reason(
    result: SearchResult,
    reasoner: Callable[[], Composer],
    rank: Callable[[Composed], Ranking],
    memories: Memories,
    given: Rationale | None = None,
    *,
    found: Composed | None = None,
    move: Callable[[Composed], Composed] = lambda vector: vector,
) -> Iterator[SearchResult]:
    """CIR-CoT: a rationale, and the list of its vector; partial results are of "reasoning".

    Args:
        result: So far.
        reasoner: Loads the method `cot`.
        rank: From its vector, moved, to its list.
        memories: Of what was thought before.
        given: Steps that the user wrote; the model goes on from them.
        found: What `cot` has answered already, where a fusion has asked it.
        move: What the user moves every vector by.
    """
    start = time.perf_counter()
    remembered = result.remembered
    try:
        composer = reasoner()
        composed = found if given is None else None
        key = (content(result.query), given, id(composer))
        if composed is None and (composed := memories.thought.get(key)) is not None:
            remembered |= {"reason"}
        if composed is None:
            for step in _thinking(composer, result.query, given):
                if isinstance(step, Rationale):
                    yield done(result, "reasoning", start, rationale=step)
                else:
                    composed = step
            if composed is None:
                raise CirError("The reasoner ended without a vector.")
            memories.thought.put(key, composed)
        moved = move(composed)
        ranking = rank(moved)
    except Exception as error:
        notice = _late("The reasoning", error, "The other lists stand.")
        yield done(result, "reason", start, notices=(*result.notices, notice))
        return
    yield done(
        result,
        "reason",
        start,
        composed={**result.composed, "cot": moved},
        coarse={**result.coarse, "cot": ranking},
        rationale=composed.rationale,
        remembered=remembered,
        models={**result.models, "reasoner": getattr(composer, "identity", "cot")},
    )


def _thinking(
    composer: Any, query: Query, given: Rationale | None
) -> Iterator[Rationale | Composed]:
    """The rationale as it is written, then the vector; at once where it cannot be streamed."""
    stream = getattr(composer, "stream", None)
    if stream is None:
        if given is not None:
            raise CirError("This reasoner cannot go on from steps that were written by hand.")
        yield composer.compose(query)
    else:
        yield from stream(query, given)


def _late(who: str, error: Exception, stands: str) -> str:
    """The notice for a late stage that could not finish."""
    if isinstance(error, CirError):
        return f"{who} could not run: {error} {stands}"
    return f"{who} failed (incident {incident.number(log)}; the log has the details). {stands}"

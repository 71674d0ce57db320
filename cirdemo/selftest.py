"""Does it work here: open every gallery, load every part, run one query; with seconds."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cirdemo import incident
from cirdemo.types import CirError, SearchResult

if TYPE_CHECKING:
    from cirdemo.engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the self-test."""

    name: str
    state: Literal["passed", "failed", "left out"]  # left out: not part of these models
    seconds: float
    detail: str


def selftest(engine: Engine) -> Iterator[Check]:
    """The checks, each as soon as it is done; one that fails does not end the others."""
    for name in engine.galleries():
        yield _check(f"gallery {name}", functools.partial(_opened, engine, name))
    for name, why in engine.methods().items():
        if name == "setr":  # the judge, whose turn is the query
            continue
        if why is not None:
            yield Check(name=f"method {name}", state="left out", seconds=0.0, detail=why)
        else:
            yield _check(f"method {name}", functools.partial(_loaded, engine, name))
    yield from _query(engine)


def _opened(engine: Engine, name: str) -> str:
    shelf = engine.gallery(name)
    shelf.image(shelf.ids[0])
    return f"{len(shelf.ids)} pictures"


def _loaded(engine: Engine, name: str) -> str:
    if name in engine.parts.fusions:
        return "made of other lists"
    engine.composer(name)
    return "loaded"


def _query(engine: Engine) -> Iterator[Check]:
    """One query stage by stage, then a heatmap."""
    gallery = engine.galleries()[0]
    shelf = engine.gallery(gallery)
    asked: dict[str, Any] = {"text": "without the hat", "reference_id": shelf.ids[0]}
    result: SearchResult | None = None
    start = time.perf_counter()
    try:
        query = engine.make_query(**asked, gallery=gallery)
        for step in engine.search(query, gallery=gallery, rerank=10):
            result = step
    except Exception as error:
        yield _failed("one query", start, error)
    if result is None:
        return
    for stage, seconds in result.seconds.items():
        detail = _says(result, stage)
        late = [n for n in result.notices if _who(stage) and n.startswith(_who(stage))]
        state: Literal["passed", "failed"] = "failed" if late else "passed"
        yield Check(
            name=f"query: {stage}", state=state, seconds=seconds, detail=" ".join(late) or detail
        )
    texts = [d.text for d in result.descriptions.values()]
    if texts:
        image_id = shelf.ids[0]
        yield _check(
            "heatmaps",
            lambda: f"{len(engine.explain(shelf.image(image_id), texts, image_id))} maps",
        )


def _who(stage: str) -> str:
    """How the notice of a late stage that failed begins."""
    return {"rerank": "The judge", "reason": "The reasoning"}.get(stage, "")


def _says(result: SearchResult, stage: str) -> str:
    if stage == "describe":
        return "; ".join(d.text for d in result.descriptions.values())
    if stage == "coarse":
        return f"{len(set(result.coarse) - {'cot'})} lists"
    if stage == "rerank":
        return f"{len(result.judgements)} judged"
    return result.rationale.conclusion if result.rationale else ""


def _check(name: str, work: Callable[[], str]) -> Check:
    start = time.perf_counter()
    try:
        detail = work()
    except Exception as error:
        return _failed(name, start, error)
    return Check(name=name, state="passed", seconds=time.perf_counter() - start, detail=detail)


def _failed(name: str, start: float, error: Exception) -> Check:
    """A bug is logged whole; what the user can mend is told as it stands."""
    detail = str(error)
    if not isinstance(error, CirError):
        detail = (
            f"{type(error).__name__} (incident {incident.number(log)}; the log has the details)"
        )
    return Check(name=name, state="failed", seconds=time.perf_counter() - start, detail=detail)

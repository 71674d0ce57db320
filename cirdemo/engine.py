"""The façade: one query through describe, coarse, rerank and reason; and what can run here.

The engine knows the order of the stages and no concrete part: `config.build_engine` hands it the
parts, each loaded on first use.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from cirdemo.intake import clean_text, load_image
from cirdemo.parts import Parts, named
from cirdemo.registry import unknown
from cirdemo.retrieve import compose
from cirdemo.types import (
    BadInput,
    CirError,
    Composed,
    Composer,
    Dataset,
    Description,
    Heatmap,
    ImageId,
    Judgement,
    MissingCheckpoint,
    Mode,
    Query,
    Ranking,
    SearchResult,
)

if TYPE_CHECKING:
    from cirdemo.gallery.store import Gallery

log = logging.getLogger(__name__)

JUDGING_STEP = 10  # judgements between two partial results: five updates for fifty candidates
STRANGE_PICTURE = (
    "The reference looks like nothing the models were trained on: what they say of it is a guess."
)
DEPTH = 50  # candidates judged when SETR is asked for without a depth, as in the search contract


class Engine:
    """Runs queries and yields what they have produced after every stage."""

    def __init__(self, parts: Parts) -> None:
        """An engine of parts; loads nothing yet."""
        self.parts = parts

    # --- what there is ---------------------------------------------------------------------

    def methods(self) -> dict[str, str | None]:
        """Every method's name, with the reason it cannot run or None; loads nothing."""
        table = {name: part.why_not() for name, part in self.parts.composers.items()}
        if "intersection" in table:
            table["setr"] = table["intersection"] or self.parts.judge.why_not()
        return table

    def galleries(self) -> tuple[str, ...]:
        """Names of the galleries."""
        return tuple(self.parts.galleries)

    def gallery(self, name: str) -> Gallery:
        """A gallery by name, or UnknownName with the nearest one."""
        return named("gallery", name, self.parts.galleries).get()

    def dataset(self, name: str) -> Dataset:
        """A dataset by name, or UnknownName with the nearest one."""
        return named("dataset", name, self.parts.datasets).get()

    def composer(self, name: str) -> Composer:
        """A coarse method by name, or UnknownName with the nearest one."""
        return named("method", name, self.parts.composers).get()

    def require(self, methods: Sequence[str]) -> None:
        """Check that methods exist and can run.

        Raises:
            UnknownName: A method does not exist.
            MissingCheckpoint: A method cannot run; the text says why.
        """
        table = self.methods()
        for name in methods:
            if name not in table:
                raise unknown("method", name, table)
            if table[name] is not None:
                raise MissingCheckpoint(f"Method {name!r} cannot run: {table[name]}")

    # --- a query ---------------------------------------------------------------------------

    def make_query(
        self,
        *,
        text: str,
        reference: Image.Image | Path | str | bytes | None = None,
        reference_id: ImageId | None = None,
        gallery: str = "fables",
    ) -> Query:
        """A query from outside: a picture or the id of a gallery picture, and a text.

        Raises:
            BadInput: Picture or text cannot be used, or not exactly one reference is given.
            UnknownName: The gallery or the id in it does not exist.
        """
        if (reference is None) is (reference_id is None):
            raise BadInput("Give one reference: a picture, or the id of a gallery picture.")
        text = clean_text(text)
        if reference_id is not None:
            shelf = self.gallery(gallery)
            if reference_id not in shelf.ids:
                raise unknown(f"picture in gallery {gallery!r}", reference_id, shelf.ids)
            reference = shelf.image(reference_id)
        image = load_image(reference)  # type: ignore[arg-type]  # one of the two was given
        digest = hashlib.sha256(image.tobytes() + repr((image.size, text)).encode()).hexdigest()
        return Query(
            query_id=digest[:12], reference=image, modification=text, reference_id=reference_id
        )

    def search(
        self,
        query: Query,
        *,
        gallery: str = "fables",
        methods: Sequence[str] = ("union", "intersection"),
        rerank: int = DEPTH,
        rerank_on: str = "intersection",
        reason: bool = True,
        top: int = 50,
        descriptions: Mapping[Mode, str] | None = None,
    ) -> Iterator[SearchResult]:
        """The result after each stage: describe, coarse, judging (several), rerank, reason.

        Args:
            query: From `make_query`.
            gallery: Where to search.
            methods: Coarse methods; "setr" asks for intersection and the judge, "cot" for reason.
            rerank: How many candidates the judge sees; 0 leaves the stage out.
            rerank_on: The method whose list is re-ranked.
            reason: Whether to run CIR-CoT.
            top: Length of the coarse lists that are returned; what was judged is returned whole.
            descriptions: Texts to use in place of the writer's, by mode.

        Raises:
            UnknownName: A method or the gallery does not exist.
            MissingCheckpoint: A method that was asked for cannot run. A judge or a reasoner that
                was not asked for by name leaves a notice, as does one that fails on the way.
        """
        if top < 1 or rerank < 0:
            raise BadInput(f"top must be at least 1 and rerank at least 0, got {top}, {rerank}.")
        self.require(methods)
        if "setr" in methods:
            rerank, rerank_on = rerank or DEPTH, "intersection"
        names = [m for m in dict.fromkeys(methods) if m not in ("setr", "cot")]
        shelf = self.gallery(gallery)
        words = self.parts.unknown_words(query.modification)
        notices = [_words_notice(words)] if words else []
        if query.reference_id is None and not self.parts.is_familiar(query.reference):
            notices.append(STRANGE_PICTURE)
        if rerank and rerank_on not in names:
            named("method", rerank_on, self.parts.composers)
            if reason_against := self.methods()[rerank_on]:
                notices.append(f"Nothing is re-ranked: {reason_against}")
                rerank = 0
            else:
                names.append(rerank_on)
        result = SearchResult(
            query=query,
            stage="",
            models={"encoder": self.parts.encoder.get().space},
            unknown_words=words,
            notices=tuple(notices),
        )
        composers = {name: self.composer(name) for name in names}

        result = self._describe(result, composers, descriptions or {})
        yield result
        start = time.perf_counter()
        composed = {n: compose(c, query, result.descriptions) for n, c in composers.items()}
        deep = {n: _rank(shelf, c, query, n, max(top, rerank)) for n, c in composed.items()}
        coarse = {n: replace(r, candidates=r.candidates[:top]) for n, r in deep.items()}
        result = _done(result, "coarse", start, composed=composed, coarse=coarse)
        yield result
        if rerank:
            result = yield from self._rerank(result, shelf, deep[rerank_on], rerank, top)
        if reason or "cot" in methods:
            result = self._reason(result, shelf, top)
            yield result

    def explain(
        self, image: Image.Image, texts: Sequence[str], image_id: ImageId = ""
    ) -> list[Heatmap]:
        """Where a picture carries its similarity to texts: one map a text, on one value range.

        Raises:
            CirError: This engine has no heatmaps.
        """
        if self.parts.heatmaps is None:
            raise CirError("This set of models draws no heatmaps; pick another profile.")
        return self.parts.heatmaps(self.parts.encoder.get(), image, texts, image_id)

    # --- stages ----------------------------------------------------------------------------

    def _describe(
        self, result: SearchResult, composers: Mapping[str, Composer], given: Mapping[Mode, str]
    ) -> SearchResult:
        """Write the descriptions that the methods need, or take the given ones."""
        start = time.perf_counter()
        written: dict[Mode, Description] = {
            mode: Description(text=clean_text(text), mode=mode, writer="user")
            for mode, text in given.items()
        }
        models = dict(result.models)
        for composer in composers.values():
            mode = getattr(composer, "mode", None)
            if mode is not None and mode not in written:
                written[mode] = composer.write(result.query)  # type: ignore[attr-defined]
                models["writer"] = written[mode].writer
        return _done(result, "describe", start, descriptions=written, models=models)

    def _rerank(
        self, result: SearchResult, shelf: Gallery, ranking: Ranking, depth: int, top: int
    ) -> Generator[SearchResult, None, SearchResult]:
        """Judge the first `depth` candidates; partial results have the stage "judging"."""
        from cirdemo.rerank import reorder

        start, pause = time.perf_counter(), 0.0
        judged: dict[ImageId, Judgement] = {}
        notices = result.notices
        ranking = replace(ranking, candidates=ranking.candidates[: max(depth, top)])
        wanted = result.descriptions.get("intersection")
        try:
            judge = self.parts.judge.get()
            result = replace(result, models={**result.models, "judge": judge.identity})
            pictures = [(i, shelf.image(i)) for i in ranking.ids[:depth]]
            for verdict in judge.judge(result.query, pictures, wanted.text if wanted else ""):
                judged[verdict.image_id] = verdict
                if len(judged) % JUDGING_STEP == 0 and len(judged) < len(pictures):
                    away = time.perf_counter()
                    order = reorder(ranking, tuple(judged.values()))
                    changes = {"judgements": dict(judged), "reranked": order}
                    yield _done(result, "judging", start + pause, **changes)
                    pause += time.perf_counter() - away  # the reader's time is not the judge's
        except Exception as error:
            notices = (*notices, _late("The judge", error, f"The {ranking.method} list stands."))
        order = reorder(ranking, tuple(judged.values())) if judged else ()
        changes = {"judgements": judged, "reranked": order, "notices": notices}
        result = _done(result, "rerank", start + pause, **changes)
        yield result
        return result

    def _reason(self, result: SearchResult, shelf: Gallery, top: int) -> SearchResult:
        """CIR-CoT: a rationale, and the list of its vector."""
        start = time.perf_counter()
        try:
            composer = self.composer("cot")
            composed = composer.compose(result.query)
            ranking = _rank(shelf, composed, result.query, "cot", top)
        except Exception as error:
            notice = _late("The reasoning", error, "The other lists stand.")
            return _done(result, "reason", start, notices=(*result.notices, notice))
        return _done(
            result,
            "reason",
            start,
            composed={**result.composed, "cot": composed},
            coarse={**result.coarse, "cot": ranking},
            rationale=composed.rationale,
            models={**result.models, "reasoner": getattr(composer, "identity", "cot")},
        )


def _done(result: SearchResult, stage: str, start: float, **changes: Any) -> SearchResult:
    """The result after a stage; its seconds count from `start`."""
    key = "rerank" if stage == "judging" else stage
    seconds = {**result.seconds, key: time.perf_counter() - start}
    return replace(result, stage=stage, seconds=seconds, **changes)


def _rank(shelf: Gallery, composed: Composed, query: Query, method: str, k: int) -> Ranking:
    return shelf.search(
        composed, k, exclude=query.reference_id, query_id=query.query_id, method=method
    )


def _words_notice(words: Sequence[str]) -> str:
    listed = ", ".join(repr(w) for w in words)
    return f"The models have never seen {listed}: what they make of it is a guess."


def _late(who: str, error: Exception, stands: str) -> str:
    """The notice for a late stage that could not finish."""
    if isinstance(error, CirError):
        return f"{who} could not run: {error} {stands}"
    log.error("%s failed", who, exc_info=error)
    return f"{who} failed ({type(error).__name__}: {error}). {stands}"
